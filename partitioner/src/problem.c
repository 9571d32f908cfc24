// SPDX-License-Identifier: Apache-2.0
// Validation of a problem, and the exact cost of one labelled serial order.
#include "tenon/partition.h"

static int cost_is_valid(int64_t cost) {
    return cost >= 0 && cost <= TNP_MAX_COST;
}

static tnp_status validate_ops(const tnp_problem *problem, uint32_t *out_culprit) {
    for (uint32_t op = 0; op < problem->op_count; op++) {
        const int64_t *cost = problem->op_cost + (uint64_t)op * problem->label_count;
        int feasible = 0;
        for (uint32_t label = 0; label < problem->label_count; label++) {
            if (cost[label] == TNP_UNSUPPORTED) {
                continue;
            }
            if (!cost_is_valid(cost[label])) {
                *out_culprit = op;
                return TNP_INVALID;
            }
            feasible = 1;
        }
        if (!feasible) {
            *out_culprit = op;
            return TNP_INFEASIBLE;
        }
    }
    return TNP_OK;
}

static int matrix_is_valid(const int64_t *matrix, uint32_t label_count) {
    for (uint32_t from = 0; from < label_count; from++) {
        for (uint32_t to = 0; to < label_count; to++) {
            int64_t cost = matrix[(uint64_t)from * label_count + to];
            if (!cost_is_valid(cost) || (from == to && cost != 0)) {
                return 0;
            }
        }
    }
    return 1;
}

static int tensor_is_valid(const tnp_problem *problem, uint32_t index) {
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
    return matrix_is_valid(problem->copy_cost + index * cells, problem->label_count);
}

tnp_status tnp_problem_validate(const tnp_problem *problem, uint32_t *out_culprit) {
    *out_culprit = 0;
    if (problem->label_count == 0 || problem->label_count > TNP_MAX_LABELS ||
        problem->op_count == UINT32_MAX ||
        !matrix_is_valid(problem->handover_cost, problem->label_count)) {
        return TNP_INVALID;
    }
    for (uint32_t tensor = 0; tensor < problem->tensor_count; tensor++) {
        if (!tensor_is_valid(problem, tensor)) {
            *out_culprit = tensor;
            return TNP_INVALID;
        }
    }
    return validate_ops(problem, out_culprit);
}

static void add_copies(const tnp_problem *problem, const uint32_t *label, uint32_t index,
                       tnp_cost *cost) {
    const tnp_tensor *tensor = &problem->tensors[index];
    uint32_t labels = problem->label_count;
    uint32_t from = label[tensor->producer];
    const int64_t *copy = problem->copy_cost + ((uint64_t)index * labels + from) * labels;
    uint64_t seen = (uint64_t)1 << from;
    for (uint32_t i = 0; i < tensor->consumer_count; i++) {
        uint32_t to = label[problem->consumers[tensor->consumer_begin + i]];
        if ((seen >> to) & 1u) {
            continue;
        }
        seen |= (uint64_t)1 << to;
        cost->copies += copy[to];
        cost->copy_count += copy[to] > 0;
    }
}

void tnp_cost_of_order(const tnp_problem *problem, const uint32_t *label, const uint32_t *order,
                       tnp_cost *out_cost) {
    tnp_cost cost = {0};
    for (uint32_t op = 0; op < problem->op_count; op++) {
        cost.compute += problem->op_cost[(uint64_t)op * problem->label_count + label[op]];
    }
    for (uint32_t tensor = 0; tensor < problem->tensor_count; tensor++) {
        add_copies(problem, label, tensor, &cost);
    }
    for (uint32_t i = 1; i < problem->op_count; i++) {
        uint32_t from = label[order[i - 1]];
        uint32_t to = label[order[i]];
        if (from != to) {
            cost.handovers += problem->handover_cost[(uint64_t)from * problem->label_count + to];
            cost.handover_count++;
        }
    }
    cost.total = cost.compute + cost.copies + cost.handovers;
    *out_cost = cost;
}
