// SPDX-License-Identifier: Apache-2.0
// The stages in their order, and the plan that comes out.
#include "plan.h"

#include "search.h"

#include <string.h>

static void write_segments(tnp_plan *plan) {
    plan->segment_count = 0;
    for (uint32_t begin = 0; begin < plan->op_count;) {
        uint32_t label = plan->label[plan->order[begin]];
        uint32_t end = begin + 1;
        while (end < plan->op_count && plan->label[plan->order[end]] == label) {
            end++;
        }
        plan->segments[plan->segment_count++] = (tnp_segment){label, begin, end - begin};
        begin = end;
    }
}

static uint64_t hash_words(uint64_t hash, const uint32_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t byte = 0; byte < 4; byte++) {
            hash = (hash ^ ((words[i] >> (8 * byte)) & 0xffu)) * 1099511628211u; // FNV-1a
        }
    }
    return hash;
}

tnp_status tnp_plan_write(const tnp_allocator *allocator, const uint32_t *label,
                          const uint32_t *order, const tnp_cost *cost, uint32_t op_count,
                          tnp_plan *plan) {
    uint64_t bytes = (uint64_t)op_count * sizeof(uint32_t);
    plan->op_count = op_count;
    plan->label = tnp_alloc_array(allocator, op_count, sizeof(*plan->label));
    plan->order = tnp_alloc_array(allocator, op_count, sizeof(*plan->order));
    plan->segments = tnp_alloc_array(allocator, op_count, sizeof(*plan->segments));
    if (plan->label == NULL || plan->order == NULL || plan->segments == NULL) {
        tnp_plan_deinit(allocator, plan);
        return TNP_OUT_OF_MEMORY;
    }
    memcpy(plan->label, label, bytes);
    memcpy(plan->order, order, bytes);
    plan->cost = *cost;
    write_segments(plan);
    plan->hash = hash_words(14695981039346656037u, plan->label, op_count);
    plan->hash = hash_words(plan->hash, plan->order, op_count);
    return TNP_OK;
}

void tnp_plan_deinit(const tnp_allocator *allocator, tnp_plan *plan) {
    tnp_free_array(allocator, plan->label, plan->op_count, sizeof(*plan->label));
    tnp_free_array(allocator, plan->order, plan->op_count, sizeof(*plan->order));
    tnp_free_array(allocator, plan->segments, plan->op_count, sizeof(*plan->segments));
    plan->label = NULL;
    plan->order = NULL;
    plan->segments = NULL;
    plan->segment_count = 0;
}

static tnp_status run_stages(tnp_arena *arena, tnp_search *s) {
    tnp_search_seeds(s);
    tnp_search_bounds(s);
    tnp_search_alternate(s);
    tnp_status status = tnp_search_local(arena, s);
    if (status == TNP_OK && s->found) {
        tnp_search_best_labels(s, s->var_label);
        tnp_search_consider(s, s->var_label, 1);
    }
    if (status == TNP_OK) {
        status = tnp_search_branch(arena, s);
    }
    if (status == TNP_OK && s->found && s->options != NULL && s->options->concurrent &&
        !s->cancelled) {
        s->graph = s->whole;
        status = tnp_search_concurrent(arena, s);
    }
    if (status == TNP_OK && !s->found) {
        status = s->graph.var_bytes != NULL ? TNP_OVER_CAPACITY : TNP_UNORDERABLE;
    }
    return status;
}

tnp_status tnp_plan_init(const tnp_allocator *allocator, const tnp_problem *problem,
                         const tnp_options *options, tnp_plan *out_plan) {
    memset(out_plan, 0, sizeof(*out_plan));
    tnp_status status = tnp_problem_validate(problem, &out_plan->culprit);
    if (status != TNP_OK) {
        return status;
    }
    tnp_arena arena = {allocator, NULL};
    tnp_search search;
    status = tnp_search_init(&arena, problem, options, &search, &out_plan->culprit);
    if (status == TNP_OK) {
        status = run_stages(&arena, &search);
    }
    if (status == TNP_OK) {
        status = tnp_plan_write(allocator, search.label, search.order, &search.cost,
                                problem->op_count, out_plan);
    }
    if (status == TNP_OK) {
        out_plan->lower_bound = search.bound < search.cost.total ? search.bound : search.cost.total;
        out_plan->work = tnp_search_work(&search);
        out_plan->truncated = search.cancelled ? 1 : 0;
        out_plan->hash = search.cancelled ? 0 : out_plan->hash;
    }
    tnp_arena_release(&arena);
    return status;
}
