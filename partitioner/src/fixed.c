// SPDX-License-Identifier: Apache-2.0
// Plans and prices of labels that somebody else chose.
#include "order.h"
#include "plan.h"

#include <string.h>

static int is_bound(const tnp_problem *p, uint32_t claim, uint32_t op) {
    for (uint32_t i = 0; i < p->claims[claim].bound_count; i++) {
        if (p->claim_ops[p->claims[claim].op_begin + i] == op) {
            return 1;
        }
    }
    return 0;
}

// Why labels cannot be: TNP_OK, or TNP_INFEASIBLE with the op.
static tnp_status check_labels(const tnp_graph *g, const uint32_t *label, uint32_t *out_culprit) {
    const tnp_problem *p = g->problem;
    for (uint32_t op = 0; op < g->op_count; op++) {
        int suits = label[op] < g->label_count && tnp_op_cost(g, op, label[op]) != TNP_UNSUPPORTED;
        uint32_t claim = suits ? tnp_claim_at(g, op, label[op]) : TNP_NONE;
        if (claim != TNP_NONE && is_bound(p, claim, op)) {
            for (uint32_t i = 0; i < p->claims[claim].op_count; i++) {
                suits &= label[p->claim_ops[p->claims[claim].op_begin + i]] == label[op];
            }
        }
        for (uint32_t other = 0; p->group != NULL && p->group[op] != TNP_NONE && other < op;
             other++) {
            suits &= g->var_of[other] != g->var_of[op] || label[other] == label[op];
        }
        if (!suits) {
            *out_culprit = op;
            return TNP_INFEASIBLE;
        }
    }
    return TNP_OK;
}

tnp_status tnp_plan_of_labels(const tnp_allocator *allocator, const tnp_problem *problem,
                              const uint32_t *label, tnp_plan *out_plan) {
    memset(out_plan, 0, sizeof(*out_plan));
    tnp_status status = tnp_problem_validate(problem, &out_plan->culprit);
    if (status != TNP_OK) {
        return status;
    }
    tnp_arena arena = {allocator, NULL};
    tnp_graph graph;
    tnp_orderer orderer;
    status = tnp_graph_init(&arena, problem, &graph, &out_plan->culprit);
    if (status == TNP_OK) {
        status = check_labels(&graph, label, &out_plan->culprit);
    }
    if (status == TNP_OK) {
        status = tnp_orderer_init(&arena, &graph, &orderer);
    }
    if (status == TNP_OK && !tnp_order(&orderer, label, 1)) {
        status = TNP_UNORDERABLE;
    }
    if (status == TNP_OK) {
        status = tnp_plan_write(allocator, label, orderer.order, &orderer.cost, problem->op_count,
                                out_plan);
        out_plan->lower_bound = INT64_MIN;
        out_plan->work = orderer.schedule.work;
    }
    tnp_arena_release(&arena);
    return status;
}

tnp_status tnp_cost_of_order(const tnp_allocator *allocator, const tnp_problem *problem,
                             const uint32_t *label, const uint32_t *order, tnp_cost *out_cost) {
    tnp_arena arena = {allocator, NULL};
    tnp_graph graph;
    uint32_t unused;
    memset(out_cost, 0, sizeof(*out_cost));
    tnp_status status = tnp_graph_init(&arena, problem, &graph, &unused);
    uint32_t *segment_of = tnp_arena_array(&arena, problem->op_count, sizeof(*segment_of));
    if (status == TNP_OK && segment_of == NULL) {
        status = TNP_OUT_OF_MEMORY;
    }
    if (status == TNP_OK) {
        tnp_price(&graph, label, order, segment_of, out_cost, &unused);
    }
    tnp_arena_release(&arena);
    return status;
}
