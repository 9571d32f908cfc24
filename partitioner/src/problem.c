// SPDX-License-Identifier: Apache-2.0
// Whether a problem makes sense: indices, costs, and sums that no arithmetic here can overflow.
#include "tenon/partition.h"

#include <stddef.h>

static int cost_is_valid(int64_t cost) {
    return cost >= 0 && cost <= TNP_MAX_COST;
}

// Adds to a sum of which only "too large" matters beyond the limit.
static void add_limited(int64_t *sum, int64_t cost) {
    *sum = *sum > TNP_MAX_TOTAL ? *sum : *sum + cost;
}

static tnp_status validate_ops(const tnp_problem *problem, int64_t *total, uint32_t *out_culprit) {
    for (uint32_t op = 0; op < problem->op_count; op++) {
        const int64_t *cost = problem->op_cost + (uint64_t)op * problem->label_count;
        int64_t most = -1;
        for (uint32_t label = 0; label < problem->label_count; label++) {
            if (cost[label] != TNP_UNSUPPORTED && !cost_is_valid(cost[label])) {
                *out_culprit = op;
                return TNP_INVALID;
            }
            most = cost[label] > most ? cost[label] : most;
        }
        *out_culprit = op;
        if (problem->group != NULL && problem->group[op] != TNP_NONE &&
            problem->group[op] >= problem->op_count) {
            return TNP_INVALID;
        }
        if (most < 0) {
            return TNP_INFEASIBLE;
        }
        add_limited(total, most);
    }
    *out_culprit = 0;
    return TNP_OK;
}

// The greatest entry, or -1 where one is out of range.
static int64_t matrix_maximum(const int64_t *matrix, uint32_t label_count) {
    int64_t most = 0;
    for (uint32_t from = 0; from < label_count; from++) {
        for (uint32_t to = 0; to < label_count; to++) {
            int64_t cost = matrix[(uint64_t)from * label_count + to];
            if (!cost_is_valid(cost) || (from == to && cost != 0)) {
                return -1;
            }
            most = cost > most ? cost : most;
        }
    }
    return most;
}

static int tensor_is_valid(const tnp_problem *problem, uint32_t index, int64_t *total) {
    const tnp_tensor *tensor = &problem->tensors[index];
    uint64_t end = (uint64_t)tensor->consumer_begin + tensor->consumer_count;
    if (tensor->producer >= problem->op_count || end > problem->consumer_total) {
        return 0;
    }
    for (uint64_t i = tensor->consumer_begin; i < end; i++) {
        if (problem->consumers[i] <= tensor->producer ||
            problem->consumers[i] >= problem->op_count) {
            return 0;
        }
    }
    uint64_t cells = (uint64_t)problem->label_count * problem->label_count;
    int64_t most = matrix_maximum(problem->copy_cost + index * cells, problem->label_count);
    for (uint32_t label = 0; label < problem->label_count && most >= 0; label++) {
        add_limited(total, most);
    }
    return most >= 0;
}

static int claim_is_valid(const tnp_problem *problem, const tnp_claim *claim) {
    uint64_t end = (uint64_t)claim->op_begin + claim->op_count;
    if (claim->bound_count > claim->op_count || claim->label >= problem->label_count ||
        claim->op_count == 0 || end > problem->claim_op_total || claim->saving < 0) {
        return 0;
    }
    int64_t sum = 0;
    for (uint64_t i = claim->op_begin; i < end; i++) {
        uint32_t op = problem->claim_ops[i];
        if (op >= problem->op_count) {
            return 0;
        }
        int64_t cost = problem->op_cost[(uint64_t)op * problem->label_count + claim->label];
        if (cost == TNP_UNSUPPORTED) {
            return 0;
        }
        add_limited(&sum, cost);
    }
    return claim->saving <= sum;
}

tnp_status tnp_problem_validate(const tnp_problem *problem, uint32_t *out_culprit) {
    int64_t total = 0;
    *out_culprit = 0;
    if (problem->label_count == 0 || problem->label_count > TNP_MAX_LABELS ||
        problem->op_count >= UINT32_MAX / 4 || problem->consumer_total >= UINT32_MAX / 4) {
        return TNP_INVALID;
    }
    int64_t handover = matrix_maximum(problem->handover_cost, problem->label_count);
    if (handover < 0) {
        return TNP_INVALID;
    }
    for (uint32_t tensor = 0; tensor < problem->tensor_count; tensor++) {
        if (!tensor_is_valid(problem, tensor, &total)) {
            *out_culprit = tensor;
            return TNP_INVALID;
        }
    }
    tnp_status status = validate_ops(problem, &total, out_culprit);
    for (uint32_t claim = 0; claim < problem->claim_count && status == TNP_OK; claim++) {
        if (!claim_is_valid(problem, &problem->claims[claim])) {
            *out_culprit = claim;
            status = TNP_INVALID;
        }
    }
    if (status == TNP_OK &&
        (total > TNP_MAX_TOTAL || (handover > 0 && problem->op_count > TNP_MAX_TOTAL / handover))) {
        *out_culprit = problem->op_count;
        status = TNP_INVALID;
    }
    return status;
}
