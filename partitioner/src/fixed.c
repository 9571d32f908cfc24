// SPDX-License-Identifier: Apache-2.0
// Plans and prices of labels that somebody else chose.
#include "order.h"
#include "plan.h"
#include "price.h"

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

static int is_order(tnp_arena *arena, const tnp_graph *g, const uint32_t *order,
                    tnp_status *out_status) {
    uint32_t *place = tnp_arena_array(arena, g->op_count, sizeof(*place));
    *out_status = place == NULL ? TNP_OUT_OF_MEMORY : TNP_OK;
    if (place == NULL) {
        return 0;
    }
    memset(place, 0xff, (uint64_t)g->op_count * sizeof(*place));
    for (uint32_t i = 0; i < g->op_count; i++) {
        if (order[i] >= g->op_count || place[order[i]] != TNP_NONE) {
            return 0;
        }
        place[order[i]] = i;
    }
    for (uint32_t i = 0; i < g->edge_count; i++) {
        if (place[g->edges[i].from] > place[g->edges[i].to]) {
            return 0;
        }
    }
    return 1;
}

static int fits(const tnp_problem *p, const uint32_t *label) {
    for (uint32_t k = 0; k < p->label_count && p->label_capacity != NULL && p->op_bytes != NULL;
         k++) {
        uint64_t room = p->label_capacity[k];
        for (uint32_t op = 0; op < p->op_count && room != TNP_NO_CAPACITY; op++) {
            if (label[op] == k && p->op_bytes[op] > room) {
                return 0;
            }
            room -= label[op] == k ? p->op_bytes[op] : 0;
        }
    }
    return 1;
}

static tnp_status price_given(tnp_arena *arena, const tnp_graph *g, const uint32_t *label,
                              const uint32_t *order, tnp_cost *out_cost) {
    tnp_status status;
    uint32_t broken = 0;
    uint32_t *segment_of = tnp_arena_array(arena, g->op_count, sizeof(*segment_of));
    if (segment_of == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    if (!is_order(arena, g, order, &status)) {
        return status == TNP_OK ? TNP_UNORDERABLE : status;
    }
    tnp_price(g, label, order, segment_of, out_cost, &broken);
    return broken > 0 ? TNP_UNORDERABLE : !fits(g->problem, label) ? TNP_OVER_CAPACITY : TNP_OK;
}

tnp_status tnp_plan_of_order(const tnp_allocator *allocator, const tnp_problem *problem,
                             const uint32_t *label, const uint32_t *order, tnp_plan *out_plan) {
    memset(out_plan, 0, sizeof(*out_plan));
    tnp_status status = tnp_problem_validate(problem, &out_plan->culprit);
    if (status != TNP_OK) {
        return status;
    }
    tnp_arena arena = {allocator, NULL};
    tnp_graph graph;
    tnp_cost cost = {0};
    status = tnp_graph_init(&arena, problem, &graph, &out_plan->culprit);
    if (status == TNP_OK) {
        status = check_labels(&graph, label, &out_plan->culprit);
    }
    if (status == TNP_OK) {
        status = price_given(&arena, &graph, label, order, &cost);
    }
    if (status == TNP_OK) {
        status = tnp_plan_write(allocator, label, order, &cost, problem->op_count, out_plan);
        out_plan->lower_bound = INT64_MIN;
    }
    tnp_arena_release(&arena);
    return status;
}
