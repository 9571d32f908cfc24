// SPDX-License-Identifier: Apache-2.0
// The search: label every op by each of a few simple rules, order and price each labelling exactly,
// keep the cheapest, then move whole segments to other labels while that pays.
#include "schedule.h"

#include <string.h>

#define DEFAULT_BUDGET 50000000u

typedef struct search {
    const tnp_allocator *allocator;
    const tnp_problem *problem;
    tnp_schedule schedule;
    tnp_plan *best;
    uint32_t *label; // the labelling being tried
    uint32_t *order;
    uint64_t budget; // op visits left
} search;

static int64_t op_cost(const tnp_problem *problem, uint32_t op, uint32_t label) {
    return problem->op_cost[(uint64_t)op * problem->label_count + label];
}

static uint32_t cheapest_label(const tnp_problem *problem, uint32_t op) {
    uint32_t best = TNP_MAX_LABELS;
    for (uint32_t label = 0; label < problem->label_count; label++) {
        int64_t cost = op_cost(problem, op, label);
        if (cost != TNP_UNSUPPORTED &&
            (best == TNP_MAX_LABELS || cost < op_cost(problem, op, best))) {
            best = label;
        }
    }
    return best;
}

// Prices search->label; keeps it when it is cheaper than the best so far.
static int try_labels(search *s) {
    tnp_cost cost;
    uint64_t bytes = (uint64_t)s->problem->op_count * sizeof(uint32_t);
    tnp_schedule_order(&s->schedule, s->label, s->order);
    tnp_cost_of_order(s->problem, s->label, s->order, &cost);
    uint64_t visits = (uint64_t)s->problem->op_count + s->problem->consumer_total + 1;
    s->budget -= s->budget < visits ? s->budget : visits;
    if (cost.total >= s->best->cost.total) {
        return 0;
    }
    s->best->cost = cost;
    memcpy(s->best->label, s->label, bytes);
    memcpy(s->best->order, s->order, bytes);
    return 1;
}

// Everything on preferred where it can be, the rest where it is cheapest.
static void try_preference(search *s, uint32_t preferred) {
    for (uint32_t op = 0; op < s->problem->op_count; op++) {
        int can = preferred < s->problem->label_count &&
                  op_cost(s->problem, op, preferred) != TNP_UNSUPPORTED;
        s->label[op] = can ? preferred : cheapest_label(s->problem, op);
    }
    try_labels(s);
}

// Moves one segment of the best plan, as far as its ops allow, to label.
static int try_segment_move(search *s, uint32_t begin, uint32_t end, uint32_t label) {
    uint32_t moved = 0;
    memcpy(s->label, s->best->label, (uint64_t)s->problem->op_count * sizeof(uint32_t));
    for (uint32_t i = begin; i < end; i++) {
        uint32_t op = s->best->order[i];
        if (op_cost(s->problem, op, label) != TNP_UNSUPPORTED) {
            s->label[op] = label;
            moved++;
        }
    }
    return moved > 0 && try_labels(s);
}

static uint32_t segment_end(const tnp_plan *plan, uint32_t begin) {
    uint32_t end = begin + 1;
    while (end < plan->op_count &&
           plan->label[plan->order[end]] == plan->label[plan->order[begin]]) {
        end++;
    }
    return end;
}

// One pass over the segments of the best plan; returns whether anything got cheaper.
static int improve_once(search *s) {
    int improved = 0;
    for (uint32_t begin = 0; begin < s->problem->op_count && s->budget > 0;) {
        uint32_t end = segment_end(s->best, begin);
        uint32_t current = s->best->label[s->best->order[begin]];
        int moved = 0;
        for (uint32_t label = 0; label < s->problem->label_count && !moved; label++) {
            moved = label != current && try_segment_move(s, begin, end, label);
        }
        improved |= moved;
        begin = moved ? 0 : end;
    }
    return improved;
}

// Every op costs at least its cheapest label.
static int64_t lower_bound(const tnp_problem *problem) {
    int64_t bound = 0;
    for (uint32_t op = 0; op < problem->op_count; op++) {
        bound += op_cost(problem, op, cheapest_label(problem, op));
    }
    return bound;
}

static void write_segments(tnp_plan *plan) {
    plan->segment_count = 0;
    for (uint32_t begin = 0; begin < plan->op_count;) {
        uint32_t end = segment_end(plan, begin);
        tnp_segment *segment = &plan->segments[plan->segment_count++];
        segment->label = plan->label[plan->order[begin]];
        segment->begin = begin;
        segment->count = end - begin;
        begin = end;
    }
}

static void *alloc_array(search *s, uint64_t size_bytes) {
    uint64_t count = (uint64_t)s->problem->op_count + 1;
    return s->allocator->alloc(s->allocator->user_data, count * size_bytes);
}

static void free_array(const tnp_allocator *allocator, void *array, uint32_t op_count,
                       uint64_t size_bytes) {
    if (array != NULL) {
        allocator->free(allocator->user_data, array, ((uint64_t)op_count + 1) * size_bytes);
    }
}

static tnp_status search_alloc(search *s) {
    s->best->label = alloc_array(s, sizeof(uint32_t));
    s->best->order = alloc_array(s, sizeof(uint32_t));
    s->best->segments = alloc_array(s, sizeof(tnp_segment));
    s->label = alloc_array(s, sizeof(uint32_t));
    s->order = alloc_array(s, sizeof(uint32_t));
    if (s->best->label == NULL || s->best->order == NULL || s->best->segments == NULL ||
        s->label == NULL || s->order == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    return tnp_schedule_init(s->allocator, s->problem, &s->schedule);
}

tnp_status tnp_plan_init(const tnp_allocator *allocator, const tnp_problem *problem,
                         tnp_plan *out_plan) {
    memset(out_plan, 0, sizeof(*out_plan));
    tnp_status status = tnp_problem_validate(problem, &out_plan->culprit);
    if (status != TNP_OK) {
        return status;
    }
    search s = {.allocator = allocator, .problem = problem, .best = out_plan};
    s.budget = problem->budget > 0 ? problem->budget : DEFAULT_BUDGET;
    s.schedule.problem = problem;
    out_plan->op_count = problem->op_count;
    out_plan->cost.total = INT64_MAX;
    status = search_alloc(&s);
    if (status == TNP_OK) {
        // label_count is "no preference": every op where it is cheapest.
        for (uint32_t label = 0; label <= problem->label_count; label++) {
            try_preference(&s, label);
        }
        while (s.budget > 0 && improve_once(&s)) {
        }
        write_segments(out_plan);
        out_plan->lower_bound = lower_bound(problem);
    }
    tnp_schedule_deinit(allocator, &s.schedule);
    free_array(allocator, s.label, problem->op_count, sizeof(uint32_t));
    free_array(allocator, s.order, problem->op_count, sizeof(uint32_t));
    if (status != TNP_OK) {
        tnp_plan_deinit(allocator, out_plan);
    }
    return status;
}

void tnp_plan_deinit(const tnp_allocator *allocator, tnp_plan *plan) {
    free_array(allocator, plan->label, plan->op_count, sizeof(uint32_t));
    free_array(allocator, plan->order, plan->op_count, sizeof(uint32_t));
    free_array(allocator, plan->segments, plan->op_count, sizeof(tnp_segment));
    plan->label = NULL;
    plan->order = NULL;
    plan->segments = NULL;
    plan->segment_count = 0;
}
