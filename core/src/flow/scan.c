// SPDX-License-Identifier: Apache-2.0
// Scan as the ONNX standard defines it (docs/Operators.md, Changelog.md for version 8): a body
// steps along an axis of its inputs, carries state and collects outputs.
#include "base/error.h"
#include "flow/collect.h"
#include "flow/host_ops.h"

#include <string.h>

// A Scan under way. Version 8 has a batch axis in front of everything, which is stepped through
// outside.
typedef struct scan {
    tni_flow_run *run;
    const tni_node *node;
    uint32_t graph;
    const tni_graph *body;
    uint32_t state_count;
    uint32_t input_count;  // scanned
    uint32_t output_count; // collected
    int64_t step_count;    // as long as the inputs are
    int64_t length;        // steps to take; -1: all. The outputs are as long as the inputs are
    tni_item *state;
    tni_item *inputs;
    uint32_t *axes; // of the inputs
    tni_collector *collectors;
} scan;

static tn_status bad_scan(const scan *s, const char *what, tn_error *error) {
    return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.scan",
                         (uint32_t)(s->node - s->run->flow->model->nodes), TN_NONE,
                         "node \"%.*s\" (Scan): %s", TNI_TEXT(s->node->name), what);
}

static int64_t int_at(const tni_node *node, const char *name, uint32_t index) {
    uint32_t count = 0;
    const int64_t *ints = tni_node_ints(node, name, &count);
    return index < count ? ints[index] : 0;
}

// Finds the axis of every scanned input and the number of steps, the same for all.
static tn_status measure(scan *s, tn_error *error) {
    for (uint32_t i = 0; i < s->input_count; i++) {
        const tni_item *item = &s->inputs[i];
        if (item->kind != TNI_ITEM_TENSOR || item->tensor->rank == 0) {
            return bad_scan(s, "an input has no axis to scan along", error);
        }
        int64_t rank = item->tensor->rank;
        int64_t axis = int_at(s->node, "scan_input_axes", i);
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank) {
            return bad_scan(s, "an axis is outside of its input", error);
        }
        s->axes[i] = (uint32_t)axis;
        if (i > 0 && item->tensor->dims[axis] != s->step_count) {
            return bad_scan(s, "the inputs have different lengths", error);
        }
        s->step_count = item->tensor->dims[axis];
    }
    return TN_OK;
}

static tn_status bind_step(scan *s, int64_t step, int64_t steps, tn_error *error) {
    const char *directions = s->node->since_version < 9 ? "directions" : "scan_input_directions";
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->state_count; i++) {
        tni_flow_set(s->run, s->body->inputs[i], s->state[i]);
        s->state[i] = (tni_item){.kind = TNI_ITEM_EMPTY};
    }
    for (uint32_t i = 0; i < s->input_count && status == TN_OK; i++) {
        bool backwards = int_at(s->node, directions, i) != 0;
        int64_t index = backwards ? steps - 1 - step : step;
        tni_tensor *part = NULL;
        status = tni_tensor_part(s->inputs[i].tensor, s->axes[i], index, &part, error);
        if (status == TN_OK) {
            tni_flow_set(s->run, s->body->inputs[s->state_count + i], tni_item_of(part));
        }
    }
    return status;
}

static tn_status take_step(scan *s, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->state_count && status == TN_OK; i++) {
        status = tni_flow_take(s->run, s->body->outputs[i], &s->state[i], error);
    }
    for (uint32_t i = 0; i < s->output_count && status == TN_OK; i++) {
        tni_item item;
        status = tni_flow_take(s->run, s->body->outputs[s->state_count + i], &item, error);
        if (status == TN_OK) {
            status = tni_collect(&s->collectors[i], &item, error);
        }
    }
    return status;
}

// All steps for state and inputs as they are; what was collected goes to results.
static tn_status run_steps(scan *s, tni_item *results, tn_error *error) {
    tn_status status = measure(s, error);
    if (status == TN_OK && s->length > s->step_count) {
        status = bad_scan(s, "a sequence is longer than the inputs are", error);
    }
    const int64_t steps = s->length < 0 ? s->step_count : s->length;
    for (uint32_t i = 0; i < s->output_count && status == TN_OK; i++) {
        const tni_value *declared =
            &s->run->flow->model->values[s->body->outputs[s->state_count + i]];
        tni_collector_init(&s->collectors[i], &s->run->store, declared,
                           int_at(s->node, "scan_output_axes", i),
                           int_at(s->node, "scan_output_directions", i) != 0, steps);
        s->collectors[i].at_least = s->step_count;
    }
    for (int64_t step = 0; step < steps && status == TN_OK; step++) {
        status = tni_iterate(s->run, s->node, error);
        if (status == TN_OK) {
            status = bind_step(s, step, steps, error);
        }
        if (status == TN_OK) {
            status = tni_flow_walk(s->run, s->graph, error);
        }
        if (status == TN_OK) {
            status = take_step(s, error);
        }
        tni_flow_clear_body(s->run, s->graph);
    }
    for (uint32_t i = 0; i < s->output_count; i++) {
        if (status == TN_OK) {
            status = tni_collector_finish(&s->collectors[i], &results[i], error);
        }
        tni_collector_deinit(&s->collectors[i]);
    }
    return status;
}

static tn_status take_operands(scan *s, uint32_t first, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->state_count && status == TN_OK; i++) {
        status = tni_operand(s->run, s->node, first + i, &s->state[i], error);
    }
    for (uint32_t i = 0; i < s->input_count && status == TN_OK; i++) {
        status = tni_operand(s->run, s->node, first + s->state_count + i, &s->inputs[i], error);
    }
    return status;
}

static void clear_operands(scan *s) {
    for (uint32_t i = 0; i < s->state_count; i++) {
        tni_item_clear(&s->state[i]);
    }
    for (uint32_t i = 0; i < s->input_count; i++) {
        tni_item_clear(&s->inputs[i]);
    }
}

static tn_status scan_once(scan *s, tni_item *results, tn_error *error) {
    tn_status status = take_operands(s, 0, error);
    if (status == TN_OK) {
        status = run_steps(s, results + s->state_count, error);
    }
    for (uint32_t i = 0; i < s->state_count && status == TN_OK; i++) {
        results[i] = s->state[i];
        s->state[i] = (tni_item){.kind = TNI_ITEM_EMPTY};
    }
    return status;
}

// Version 8: element batch of every operand is taken out before its steps.
static tn_status pick_batch(scan *s, int64_t batch, int64_t *out_batches, tn_error *error) {
    tn_status status = take_operands(s, 1, error);
    tni_item *lists[] = {s->state, s->inputs};
    uint32_t counts[] = {s->state_count, s->input_count};
    for (uint32_t l = 0; l < 2; l++) {
        for (uint32_t i = 0; i < counts[l] && status == TN_OK; i++) {
            tni_item *item = &lists[l][i];
            tni_tensor *part = NULL;
            if (item->kind != TNI_ITEM_TENSOR || item->tensor->rank == 0 ||
                batch >= item->tensor->dims[0]) {
                return bad_scan(s, "an operand has another number of batches", error);
            }
            *out_batches = item->tensor->dims[0];
            status = tni_tensor_part(item->tensor, 0, batch, &part, error);
            if (status == TN_OK) {
                tni_item_clear(item);
                *item = tni_item_of(part);
            }
        }
    }
    return status;
}

// Version 8: how many steps the sequence of this batch has, where operand 0 says so.
static tn_status pick_length(scan *s, int64_t batch, int64_t batches, tn_error *error) {
    tni_tensor *lengths = NULL;
    if (!tni_operand_present(s->node, 0)) {
        return TN_OK;
    }
    tn_status status = tni_operand_tensor(s->run, s->node, 0, &lengths, error);
    if (status != TN_OK) {
        return status;
    }
    if (lengths->dtype == TN_DTYPE_INT64 && lengths->rank == 1 && lengths->dims[0] == batches) {
        memcpy(&s->length, lengths->data + (uint64_t)batch * sizeof(s->length), sizeof(s->length));
        status = s->length < 0 ? bad_scan(s, "a sequence has a negative length", error) : TN_OK;
    } else {
        status = bad_scan(s, "the lengths are not one int64 a batch", error);
    }
    tni_tensor_release(lengths);
    return status;
}

static tn_status one_batch(scan *s, int64_t batch, int64_t *out_batches, tni_item *steps,
                           tni_collector *batches, tn_error *error) {
    tn_status status = pick_batch(s, batch, out_batches, error);
    if (status == TN_OK) {
        status = pick_length(s, batch, *out_batches, error);
    }
    if (status == TN_OK) {
        status = run_steps(s, steps, error);
    }
    for (uint32_t i = 0; i < s->state_count && status == TN_OK; i++) {
        status = tni_collect(&batches[i], &s->state[i], error);
    }
    for (uint32_t i = 0; i < s->output_count && status == TN_OK; i++) {
        status = tni_collect(&batches[s->state_count + i], &steps[i], error);
    }
    for (uint32_t i = 0; i < s->output_count; i++) {
        tni_item_clear(&steps[i]);
    }
    clear_operands(s);
    return status;
}

static tn_status scan_batches(scan *s, tni_item *results, tn_error *error) {
    uint32_t count = s->state_count + s->output_count;
    tni_flow_run *run = s->run;
    tni_collector *batches = tni_alloc_array(&run->alloc, (uint64_t)count + 1, sizeof(*batches));
    tn_status status =
        batches != NULL ? TN_OK : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a scan");
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        tni_collector_init(&batches[i], &run->store, &run->flow->model->values[s->body->outputs[i]],
                           0, false, INT64_MAX);
    }
    int64_t batch_count = 1;
    for (int64_t batch = 0; batch < batch_count && status == TN_OK; batch++) {
        status = one_batch(s, batch, &batch_count, results, batches, error);
    }
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        status = tni_collector_finish(&batches[i], &results[i], error);
    }
    for (uint32_t i = 0; batches != NULL && i < count; i++) {
        tni_collector_deinit(&batches[i]);
    }
    tni_free_array(&run->alloc, batches, (uint64_t)count + 1, sizeof(*batches));
    return status;
}

static tn_status run_scan(scan *s, tn_error *error) {
    uint64_t room = (uint64_t)s->state_count + s->output_count + 1;
    tni_item *results = tni_alloc_array(&s->run->alloc, room, sizeof(*results));
    if (results == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a scan");
    }
    tn_status status =
        s->node->since_version < 9 ? scan_batches(s, results, error) : scan_once(s, results, error);
    for (uint32_t i = 0; i + 1 < room; i++) {
        if (status == TN_OK) {
            tni_result(s->run, s->node, i, results[i]);
        } else {
            tni_item_clear(&results[i]);
        }
    }
    tni_free_array(&s->run->alloc, results, room, sizeof(*results));
    return status;
}

static tn_status count_operands(scan *s, tn_error *error) {
    int64_t scanned = tni_node_int(s->node, "num_scan_inputs", 0);
    uint32_t first = s->node->since_version < 9 ? 1 : 0;
    bool fits = s->node->input_count >= first && scanned >= 1 &&
                scanned <= (int64_t)(s->node->input_count - first);
    s->input_count = fits ? (uint32_t)scanned : 0;
    s->state_count = fits ? s->node->input_count - first - s->input_count : 0;
    if (!fits || s->body->input_count != s->state_count + s->input_count ||
        s->body->output_count < s->state_count) {
        return bad_scan(s, "the body takes or gives another number of values", error);
    }
    s->output_count = s->body->output_count - s->state_count;
    return TN_OK;
}

tn_status tni_op_scan(tni_flow_run *run, const tni_node *node, tn_error *error) {
    scan s = {.run = run, .node = node, .length = -1};
    tn_status status = tni_body(run, node, "body", &s.graph, error);
    if (status != TN_OK) {
        return status;
    }
    s.body = &run->flow->model->graphs[s.graph];
    status = count_operands(&s, error);
    if (status != TN_OK) {
        return status;
    }
    const tni_alloc *alloc = &run->alloc;
    s.state = tni_alloc_array(alloc, (uint64_t)s.state_count + 1, sizeof(tni_item));
    s.inputs = tni_alloc_array(alloc, (uint64_t)s.input_count + 1, sizeof(tni_item));
    s.axes = tni_alloc_array(alloc, (uint64_t)s.input_count + 1, sizeof(uint32_t));
    s.collectors = tni_alloc_array(alloc, (uint64_t)s.output_count + 1, sizeof(tni_collector));
    bool complete = s.state != NULL && s.inputs != NULL && s.axes != NULL && s.collectors != NULL;
    status =
        complete ? run_scan(&s, error) : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a scan");
    if (complete) {
        clear_operands(&s);
    }
    tni_free_array(alloc, s.state, (uint64_t)s.state_count + 1, sizeof(tni_item));
    tni_free_array(alloc, s.inputs, (uint64_t)s.input_count + 1, sizeof(tni_item));
    tni_free_array(alloc, s.axes, (uint64_t)s.input_count + 1, sizeof(uint32_t));
    tni_free_array(alloc, s.collectors, (uint64_t)s.output_count + 1, sizeof(tni_collector));
    return status;
}
