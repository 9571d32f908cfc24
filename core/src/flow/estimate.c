// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "flow/estimate.h"

#define MOST_STEPS ((uint64_t)1 << 24)

typedef struct estimating {
    const tni_flow *flow;
    tni_estimate_fn of_plan;
    const void *user_data;
} estimating;

static void add_time(int64_t *sum, int64_t one, uint64_t times) {
    const uint64_t most = (uint64_t)(INT64_MAX - *sum);
    const uint64_t each = one > 0 ? (uint64_t)one : 0;
    *sum += each > 0 && times > most / each ? (int64_t)most : (int64_t)(each * times);
}

static void add_count(uint32_t *sum, uint32_t one, uint64_t times) {
    const uint64_t most = UINT32_MAX - *sum;
    *sum += one > 0 && times > most / one ? (uint32_t)most : (uint32_t)(one * times);
}

void tni_estimate_add(tni_estimate *sum, const tni_estimate *one, uint64_t times) {
    add_time(&sum->total, one->total, times);
    add_time(&sum->compute, one->compute, times);
    add_time(&sum->copies, one->copies, times);
    add_time(&sum->handovers, one->handovers, times);
    add_time(&sum->savings, one->savings, times);
    add_time(&sum->lower_bound, one->lower_bound, times);
    add_time(&sum->makespan, one->makespan, times);
    add_time(&sum->makespan_bound, one->makespan_bound, times);
    add_count(&sum->handover_count, one->handover_count, times);
    add_count(&sum->copy_count, one->copy_count, times);
    add_count(&sum->claim_count, one->claim_count, times);
    // These are of the model, however often they run.
    add_count(&sum->loops_assumed, one->loops_assumed, 1);
    add_count(&sum->unplanned_nodes, one->unplanned_nodes, 1);
    sum->none = sum->none || one->none;
}

// The single integer that an operand is where it is constant.
static bool constant_int(const tni_model *model, const tni_node *node, uint32_t input,
                         int64_t *out_value) {
    const tni_constant *constant = tni_node_constant(model, node, input);
    uint32_t count = 0;
    return constant != NULL &&
           tni_constant_ints(model, (uint32_t)(constant - model->constants), out_value, 1, &count,
                             NULL) == TN_OK &&
           count == 1;
}

static bool loop_steps(const tni_model *model, const tni_node *node, uint64_t *out_steps) {
    int64_t value = 0;
    *out_steps = 0;
    if (constant_int(model, node, 1, &value) && value == 0) {
        return true;
    }
    // A trip count beyond all bounds is how a while loop is written.
    const bool known = constant_int(model, node, 0, &value) && value <= (int64_t)MOST_STEPS;
    *out_steps = value > 0 ? (uint64_t)value : 0;
    return known;
}

// Version 8 has the lengths as its first operand and a batch axis in front, which is stepped
// through as well.
static bool scan_steps(const tni_model *model, const tni_node *node, uint64_t *out_steps) {
    const bool batched = node->since_version < 9;
    const int64_t scanned = tni_node_int(node, "num_scan_inputs", 0);
    const int64_t first = (int64_t)node->input_count - scanned;
    const uint32_t value = scanned > 0 && first >= 0 ? node->inputs[first] : TN_NONE;
    uint32_t axis_count = 0;
    const int64_t *axes = tni_node_ints(node, "scan_input_axes", &axis_count);
    int64_t axis = batched ? 1 : axis_count > 0 ? axes[0] : 0;
    if (value == TN_NONE || model->values[value].rank == TN_RANK_UNKNOWN) {
        return false;
    }
    axis += axis < 0 ? (int64_t)model->values[value].rank : 0;
    if (axis < 0 || axis >= (int64_t)model->values[value].rank ||
        model->values[value].dims[axis].size < 0 ||
        (batched && model->values[value].dims[0].size < 0)) {
        return false;
    }
    *out_steps = (uint64_t)model->values[value].dims[axis].size;
    *out_steps *= batched ? (uint64_t)model->values[value].dims[0].size : 1;
    return *out_steps <= MOST_STEPS;
}

static tni_estimate of_graph(const estimating *e, uint32_t graph);

static uint32_t body_of(const tni_node *node, const char *name) {
    const tni_attr *attr = tni_node_attr(node, name);
    return attr != NULL && attr->kind == TN_ATTR_GRAPH && attr->count == 1 ? attr->indices[0]
                                                                           : TN_NONE;
}

static tni_estimate of_branches(const estimating *e, const tni_node *node) {
    const uint32_t branches[2] = {body_of(node, "else_branch"), body_of(node, "then_branch")};
    tni_estimate each[2] = {{0}, {0}};
    int64_t taken = 0;
    for (int i = 0; i < 2; i++) {
        each[i] = branches[i] == TN_NONE ? each[i] : of_graph(e, branches[i]);
    }
    if (constant_int(e->flow->model, node, 0, &taken)) {
        return each[taken != 0];
    }
    const bool then = each[1].none || (!each[0].none && each[1].total >= each[0].total);
    // No run takes less than the dearer one may, by these numbers; both have to be planned.
    each[then].loops_assumed += each[!then].loops_assumed;
    each[then].unplanned_nodes += each[!then].unplanned_nodes;
    each[then].none = each[0].none || each[1].none;
    return each[then];
}

static tni_estimate of_node(const estimating *e, const tni_node *node) {
    const tni_model *model = e->flow->model;
    const uint32_t body = body_of(node, "body");
    tni_estimate sum = {0};
    uint64_t steps = 0;
    if (tni_node_is(node, "If")) {
        return of_branches(e, node);
    }
    if (body == TN_NONE) {
        return sum;
    }
    const bool known = (tni_node_is(node, "Loop") && loop_steps(model, node, &steps)) ||
                       (tni_node_is(node, "Scan") && scan_steps(model, node, &steps));
    const tni_estimate once = of_graph(e, body);
    tni_estimate_add(&sum, &once, known ? steps : TNI_ASSUMED_STEPS);
    sum.loops_assumed += !known;
    return sum;
}

// Recursion is as deep as graphs nest, which the importer bounds.
static tni_estimate of_graph(const estimating *e, uint32_t graph) {
    const tni_track *track = &e->flow->tracks[graph];
    tni_estimate sum = {0};
    for (uint32_t i = 0; i < track->stage_count; i++) {
        const tni_stage *stage = &track->stages[i];
        const tni_plan *plan = e->flow->plans[stage->id];
        tni_estimate one = {0};
        if (stage->kind == TNI_STAGE_HOST) {
            one = of_node(e, &e->flow->model->nodes[stage->node]);
        } else if (plan != NULL) {
            one = e->of_plan(e->user_data, plan);
        } else {
            one.unplanned_nodes = stage->region.node_count;
        }
        tni_estimate_add(&sum, &one, 1);
    }
    return sum;
}

tni_estimate tni_estimate_flow(const tni_flow *flow, tni_estimate_fn of_plan,
                               const void *user_data) {
    const estimating e = {flow, of_plan, user_data};
    return of_graph(&e, 0);
}
