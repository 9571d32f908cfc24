// SPDX-License-Identifier: Apache-2.0
// Builds the partition problem of a region and has it solved; islands.c reads the answer. Label
// 0 is the host, which only the two ends of the run are pinned to; label 1 + d is device d.
#include "plan/caps.h"
#include "plan/claims.h"
#include "plan/cost.h"
#include "plan/draft.h"
#include "plan/plan_search.h"
#include "plan/why.h"

#include "base/checked.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static void draft_deinit(tni_draft_plan *d) {
    const tni_alloc *alloc = &d->plan->alloc;
    const tni_model *model = d->plan->model;
    uint64_t cells = (uint64_t)d->label_count * d->label_count;
    tni_free_array(alloc, d->op_cost, (uint64_t)d->op_count * d->label_count, sizeof(*d->op_cost));
    tni_free_array(alloc, d->tensors, at_least_one(d->tensor_capacity), sizeof(*d->tensors));
    tni_free_array(alloc, d->consumers, at_least_one(d->consumer_capacity), sizeof(*d->consumers));
    tni_free_array(alloc, d->copy_cost, at_least_one(d->tensor_capacity * cells),
                   sizeof(*d->copy_cost));
    tni_claims_draft_deinit(d);
    tni_caps_deinit(d);
    tni_free_array(alloc, d->handover_cost, cells, sizeof(*d->handover_cost));
    tni_free_array(alloc, d->op_of_node, at_least_one(model->node_count), sizeof(uint32_t));
    tni_free_array(alloc, d->tensor_of, at_least_one(model->value_count), sizeof(uint32_t));
    tni_free_array(alloc, d->pending_count, at_least_one(model->value_count), sizeof(uint32_t));
}

// Counts the consumers of every value that is produced inside or comes from outside.
static tn_status count_uses(tni_draft_plan *d, tn_error *error) {
    const tni_model *model = d->plan->model;
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        const tni_node *node = &model->nodes[d->region->nodes[i]];
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (tni_is_op_input(model, node->inputs[k])) {
                d->pending_count[node->inputs[k]]++;
            }
        }
    }
    for (uint32_t i = 0; i < d->region->output_count; i++) {
        d->pending_count[d->region->outputs[i]]++;
    }
    uint64_t tensors = 0;
    uint64_t consumers = 0;
    for (uint32_t value = 0; value < model->value_count; value++) {
        tensors += d->pending_count[value] > 0;
        consumers += d->pending_count[value];
    }
    if (tensors >= UINT32_MAX || consumers >= UINT32_MAX) {
        return tni_fail_plain(error, TN_ERROR_LIMIT_EXCEEDED, "the partition problem");
    }
    d->tensor_capacity = (uint32_t)tensors;
    d->consumer_capacity = (uint32_t)consumers;
    return TN_OK;
}

static tn_status draft_alloc(tni_draft_plan *d, tn_error *error) {
    const tni_alloc *alloc = &d->plan->alloc;
    const tni_model *model = d->plan->model;
    uint64_t cells = (uint64_t)d->label_count * d->label_count;
    d->op_of_node = tni_alloc_array(alloc, at_least_one(model->node_count), sizeof(uint32_t));
    d->tensor_of = tni_alloc_array(alloc, at_least_one(model->value_count), sizeof(uint32_t));
    d->pending_count = tni_alloc_array(alloc, at_least_one(model->value_count), sizeof(uint32_t));
    if (d->op_of_node == NULL || d->tensor_of == NULL || d->pending_count == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the partition problem");
    }
    tn_status status = count_uses(d, error);
    if (status != TN_OK) {
        return status;
    }
    d->op_cost =
        tni_alloc_array(alloc, (uint64_t)d->op_count * d->label_count, sizeof(*d->op_cost));
    d->tensors = tni_alloc_array(alloc, at_least_one(d->tensor_capacity), sizeof(*d->tensors));
    d->consumers =
        tni_alloc_array(alloc, at_least_one(d->consumer_capacity), sizeof(*d->consumers));
    d->copy_cost =
        tni_alloc_array(alloc, at_least_one(d->tensor_capacity * cells), sizeof(*d->copy_cost));
    d->handover_cost = tni_alloc_array(alloc, cells, sizeof(*d->handover_cost));
    return d->op_cost != NULL && d->tensors != NULL && d->consumers != NULL &&
                   d->copy_cost != NULL && d->handover_cost != NULL
               ? TN_OK
               : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the partition problem");
}

static bool listed_can(const tni_plan *plan, uint32_t place) {
    for (uint32_t d = 0; d < plan->listed_count; d++) {
        if (plan->sets[d].options[place].possible) {
            return true;
        }
    }
    return false;
}

static void fill_op_costs(tni_draft_plan *d) {
    const tni_plan *plan = d->plan;
    uint64_t labels = d->label_count;
    for (uint64_t i = 0; i < d->op_count * labels; i++) {
        d->op_cost[i] = TNP_UNSUPPORTED;
    }
    d->op_cost[0] = 0;
    d->op_cost[(d->op_count - 1) * labels] = 0;
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        bool only_listed = listed_can(plan, i);
        for (uint32_t k = 0; k < plan->set_count; k++) {
            const tni_option *option = &plan->sets[k].options[i];
            if (!option->possible || (only_listed && k >= plan->listed_count)) {
                continue;
            }
            d->op_cost[(i + 1) * labels + k + 1] = (int64_t)option->cost_ns;
        }
    }
}

static const tni_device *label_device(const tni_draft_plan *d, uint32_t label) {
    return label == 0 ? NULL : d->plan->sets[label - 1].device;
}

// A value becomes a tensor when it has consumers; its consumer list is filled afterwards.
static void add_tensor(tni_draft_plan *d, uint32_t value, uint32_t producer_op) {
    if (d->pending_count[value] == 0) {
        return;
    }
    uint32_t tensor = d->tensor_count++;
    d->tensor_of[value] = tensor;
    d->tensors[tensor].producer = producer_op;
    d->tensors[tensor].consumer_begin = d->consumer_count;
    d->consumer_count += d->pending_count[value];
    uint64_t bytes = tni_value_bytes(d->plan->model, value);
    int64_t *cost = d->copy_cost + (uint64_t)tensor * d->label_count * d->label_count;
    for (uint32_t from = 0; from < d->label_count; from++) {
        for (uint32_t to = 0; to < d->label_count; to++) {
            cost[from * d->label_count + to] =
                tni_cost_copy(d->info->costs, label_device(d, from), label_device(d, to), bytes);
        }
    }
}

static void add_use(tni_draft_plan *d, uint32_t value, uint32_t op) {
    uint32_t tensor = tni_is_op_input(d->plan->model, value) ? d->tensor_of[value] : TN_NONE;
    if (tensor != TN_NONE) {
        tnp_tensor *t = &d->tensors[tensor];
        d->consumers[t->consumer_begin + t->consumer_count++] = op;
    }
}

static void fill_tensors(tni_draft_plan *d) {
    const tni_model *model = d->plan->model;
    memset(d->tensor_of, 0xff, (uint64_t)model->value_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < d->region->input_count; i++) {
        if (tni_is_op_input(model, d->region->inputs[i])) {
            add_tensor(d, d->region->inputs[i], 0);
        }
    }
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        const tni_node *node = &model->nodes[d->region->nodes[i]];
        d->op_of_node[d->region->nodes[i]] = i + 1;
        for (uint32_t k = 0; k < node->input_count; k++) {
            add_use(d, node->inputs[k], i + 1);
        }
        for (uint32_t k = 0; k < node->output_count; k++) {
            if (node->outputs[k] != TN_NONE) {
                add_tensor(d, node->outputs[k], i + 1);
            }
        }
    }
    for (uint32_t i = 0; i < d->region->output_count; i++) {
        add_use(d, d->region->outputs[i], d->op_count - 1);
    }
    for (uint32_t from = 0; from < d->label_count; from++) {
        for (uint32_t to = 0; to < d->label_count; to++) {
            d->handover_cost[from * d->label_count + to] =
                tni_cost_handover(d->info->costs, label_device(d, from), label_device(d, to));
        }
    }
}

void tni_option_text(const tni_option *option, char *text, uint32_t capacity) {
    int used = snprintf(text, capacity, "%s", tn_reason_text(option->reason));
    if (option->subject != TN_NONE && used > 0 && (uint32_t)used < capacity) {
        used += snprintf(text + used, capacity - (uint32_t)used, " at %u", option->subject);
    }
    if ((option->limit != 0 || option->actual != 0) && used > 0 && (uint32_t)used < capacity) {
        snprintf(text + used, capacity - (uint32_t)used, " (limit %lld, actual %lld)",
                 (long long)option->limit, (long long)option->actual);
    }
}

static tn_status refuse_node(const tni_draft_plan *d, uint32_t place, tn_error *error) {
    const tni_plan *plan = d->plan;
    const uint32_t node_index = d->region->nodes[place];
    const tni_node *node = &plan->model->nodes[node_index];
    char reasons[320] = "";
    uint32_t used = 0;
    for (uint32_t k = 0; k < plan->set_count && used + 1 < sizeof(reasons); k++) {
        char one[96];
        tni_option_text(&plan->sets[k].options[place], one, sizeof(one));
        int wrote = snprintf(reasons + used, sizeof(reasons) - used, "%s%s: %s",
                             used > 0 ? "; " : "", plan->sets[k].device->id, one);
        used += wrote > 0 ? (uint32_t)wrote : 0;
    }
    return tni_fail_node(
        error, d->info->no_fallback ? TN_ERROR_DENIED : TN_ERROR_UNSUPPORTED, "plan.no-device",
        node_index, TN_NONE, "no device takes node \"%.*s\" (%.*s): %s", (int)node->name.size_bytes,
        node->name.data == NULL ? "" : node->name.data, (int)node->op_type.size_bytes,
        node->op_type.data, used > 0 ? reasons : "no device is loaded; the load report says why");
}

static tn_status settle_claims(tni_plan *plan, tn_error *error) {
    uint8_t *taken = tni_alloc_array(&plan->alloc, (uint64_t)plan->region->node_count + 1, 1);
    if (taken == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "claims");
    }
    for (uint32_t k = 0; k < plan->set_count; k++) {
        tni_claims_settle(&plan->sets[k], taken);
    }
    tni_free_array(&plan->alloc, taken, (uint64_t)plan->region->node_count + 1, 1);
    return TN_OK;
}

static void limit_all(int64_t *costs, uint64_t count, uint64_t shares) {
    int64_t most = (TNP_MAX_TOTAL >> 2) / (int64_t)(shares + 1);
    for (uint64_t i = 0; i < count; i++) {
        costs[i] = costs[i] > most ? most : costs[i];
    }
}

// A claim saves no more than its ops cost.
static void limit_savings(tni_draft_plan *d) {
    for (uint32_t i = 0; i < d->claim_count; i++) {
        tnp_claim *claim = &d->claims[i];
        int64_t sum = 0;
        for (uint32_t k = 0; k < claim->op_count; k++) {
            const uint64_t op = d->claim_ops[claim->op_begin + k];
            sum += d->op_cost[op * d->label_count + claim->label];
        }
        claim->saving = claim->saving < sum ? claim->saving : sum;
    }
}

// Estimates for absurd sizes would overflow the partitioner's sums; beyond days they say nothing.
static void limit_costs(tni_draft_plan *d) {
    uint64_t labels = d->label_count;
    uint64_t cells = labels * labels;
    limit_all(d->op_cost, d->op_count * labels, d->op_count);
    limit_savings(d);
    limit_all(d->copy_cost, d->tensor_count * cells, d->tensor_count * labels);
    limit_all(d->handover_cost, cells, d->op_count);
}

static void *pool_alloc(void *user_data, uint64_t size_bytes) {
    return tni_alloc_zeroed(user_data, size_bytes);
}

static void pool_free(void *user_data, void *pointer, uint64_t size_bytes) {
    tni_free(user_data, pointer, size_bytes);
}

// When the plan ends if devices work at the same time.
static tn_status simulate(tni_draft_plan *d, const tnp_allocator *allocator,
                          const tnp_problem *problem, const tnp_plan *answer, tn_error *error) {
    tnp_timeline timeline;
    if (!d->info->concurrent && !d->info->explain) {
        return TN_OK;
    }
    if (tnp_simulate(allocator, problem, answer, &timeline) != TNP_OK) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the partition");
    }
    d->plan->makespan_ns = timeline.makespan;
    d->plan->makespan_bound_ns = timeline.lower_bound;
    tnp_timeline_deinit(allocator, &timeline);
    return TN_OK;
}

static tn_status search_once(tni_draft_plan *d, const tnp_allocator *allocator,
                             const tnp_problem *problem, tnp_plan *out_answer, tn_error *error) {
    tnp_status solved = TNP_OK;
    const tn_status status =
        tni_plan_search(d->info, allocator, problem, out_answer, &solved, &d->plan->stored, error);
    if (status != TN_OK) {
        return status;
    }
    if (solved == TNP_INFEASIBLE) {
        return refuse_node(d, out_answer->culprit - 1, error);
    }
    if (solved == TNP_OUT_OF_MEMORY) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the partition");
    }
    if (solved == TNP_OVER_CAPACITY) {
        return tni_caps_refuse(d, error);
    }
    return solved == TNP_OK
               ? TN_OK
               : tni_fail(error, TN_ERROR_INTERNAL, "plan.problem",
                          "the partition problem is invalid at %u", out_answer->culprit);
}

// Weights are first counted so that no plan that fits is left out; where the answer then does not
// fit, so that none is taken that does not. The bound is that of the first count.
static tn_status search(tni_draft_plan *d, const tnp_allocator *allocator,
                        const tnp_problem *problem, tnp_plan *out_answer, tn_error *error) {
    if (!tni_caps_wanted(d)) {
        return search_once(d, allocator, problem, out_answer, error);
    }
    tnp_problem capped = *problem;
    tn_status status = tni_caps_fill(d, TNI_CAP_ONCE, NULL, error);
    capped.op_bytes = d->op_bytes;
    capped.label_capacity = d->capacity;
    if (status != TN_OK) {
        return status;
    }
    status = search_once(d, allocator, &capped, out_answer, error);
    if (status != TN_OK) {
        return status;
    }
    status = tni_caps_check(d, out_answer->label);
    if (status == TN_OK) {
        return TN_OK;
    }
    if (status != TN_ERROR_LIMIT_EXCEEDED) {
        tnp_plan_deinit(allocator, out_answer);
        return tni_fail_plain(error, status, "memory caps");
    }
    const int64_t bound = out_answer->lower_bound;
    status = tni_caps_fill(d, TNI_CAP_EACH, out_answer->label, error);
    tnp_plan_deinit(allocator, out_answer);
    status = status == TN_OK ? search_once(d, allocator, &capped, out_answer, error) : status;
    if (status == TN_OK) {
        out_answer->lower_bound = bound;
    }
    return status;
}

static tn_status solve(tni_draft_plan *d, tn_error *error) {
    tnp_allocator allocator = {pool_alloc, pool_free, &d->plan->alloc};
    tnp_problem problem = {
        .op_count = d->op_count,
        .label_count = d->label_count,
        .tensor_count = d->tensor_count,
        .consumer_total = d->consumer_count,
        .op_cost = d->op_cost,
        .tensors = d->tensors,
        .consumers = d->consumers,
        .copy_cost = d->copy_cost,
        .handover_cost = d->handover_cost,
        .claims = d->claims,
        .claim_ops = d->claim_ops,
        .claim_count = d->claim_count,
        .claim_op_total = d->claim_op_count,
    };
    tnp_plan answer;
    tn_status status = search(d, &allocator, &problem, &answer, error);
    if (status != TN_OK) {
        return status;
    }
    problem.op_bytes = d->op_bytes;
    problem.label_capacity = d->op_bytes != NULL ? d->capacity : NULL;
    if (!tni_caps_wanted(d)) {
        status = tni_plan_settle(d->info, &allocator, &problem, &answer, &d->plan->settled, error);
    }
    if (status != TN_OK) {
        tnp_plan_deinit(&allocator, &answer);
        return status;
    }
    d->plan->cost = answer.cost;
    d->plan->lower_bound_ns = answer.lower_bound;
    d->plan->hash = answer.hash;
    d->plan->truncated = answer.truncated != 0;
    status = simulate(d, &allocator, &problem, &answer, error);
    if (status == TN_OK && d->info->explain) {
        status = tni_why_create(d, &allocator, &problem, &answer, &d->plan->why, error);
    }
    if (status == TN_OK) {
        status = tni_make_islands(d, &answer, error);
    }
    tnp_plan_deinit(&allocator, &answer);
    return status;
}

tn_status tni_plan_partition(tni_plan *plan, const tni_plan_info *info, tn_error *error) {
    if (plan->set_count + 1 > TNP_MAX_LABELS) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "plan.devices",
                        "%u devices; at most %u can be planned at once", plan->set_count,
                        TNP_MAX_LABELS - 1);
    }
    tni_draft_plan d = {.plan = plan, .info = info, .region = plan->region};
    d.op_count = d.region->node_count + 2;
    d.label_count = plan->set_count + 1;
    tn_status status = draft_alloc(&d, error);
    if (status == TN_OK) {
        status = settle_claims(plan, error);
    }
    if (status == TN_OK) {
        fill_op_costs(&d);
        fill_tensors(&d);
        status = tni_claims_draft(&d, error);
    }
    if (status == TN_OK) {
        limit_costs(&d);
        status = solve(&d, error);
    }
    draft_deinit(&d);
    return status;
}
