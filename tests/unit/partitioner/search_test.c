// SPDX-License-Identifier: Apache-2.0
// Plans of random problems: valid, honestly priced, never worse than one label alone, never below
// the bound, and stable; bad problems are refused by name; every allocation may fail.
#include "support/partition/random_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_OPS 24u

typedef struct counting_heap {
    uint64_t live_bytes;
    uint64_t calls;
    uint64_t fail_at; // 0: never
    int fail_after;   // 1: every call from fail_at on
} counting_heap;

static void *counting_alloc(void *user_data, uint64_t size_bytes) {
    counting_heap *heap = user_data;
    heap->calls++;
    if (heap->fail_at != 0 &&
        (heap->calls == heap->fail_at || (heap->fail_after && heap->calls > heap->fail_at))) {
        return NULL;
    }
    heap->live_bytes += size_bytes;
    return malloc(size_bytes);
}

static void counting_free(void *user_data, void *pointer, uint64_t size_bytes) {
    counting_heap *heap = user_data;
    heap->live_bytes -= size_bytes;
    free(pointer);
}

// Label 0 runs everything that is not pinned elsewhere, so there is a plan.
static void make_problem(random_problem *r, uint64_t seed) {
    uint64_t state = seed;
    uint32_t ops = 1 + random_below(&state, MAX_OPS);
    uint32_t labels = 1 + random_below(&state, RANDOM_MAX_LABELS);
    random_problem_make(seed, ops, labels, 0, r);
}

static void assert_order_is_topological(const tnp_problem *problem, const uint32_t *order) {
    uint32_t place[MAX_OPS];
    uint32_t seen = 0;
    memset(place, 0xff, sizeof(place));
    for (uint32_t i = 0; i < problem->op_count; i++) {
        assert_in_range(order[i], 0, problem->op_count - 1);
        assert_int_equal(place[order[i]], UINT32_MAX);
        place[order[i]] = i;
        seen++;
    }
    assert_int_equal(seen, problem->op_count);
    for (uint32_t t = 0; t < problem->tensor_count; t++) {
        for (uint32_t i = 0; i < problem->tensors[t].consumer_count; i++) {
            uint32_t consumer = problem->consumers[problem->tensors[t].consumer_begin + i];
            assert_true(place[problem->tensors[t].producer] < place[consumer]);
        }
    }
}

static int64_t single_label_cost(const tnp_problem *problem, uint32_t label) {
    int64_t total = 0;
    for (uint32_t op = 0; op < problem->op_count; op++) {
        int64_t cost = problem->op_cost[op * problem->label_count + label];
        if (cost == TNP_UNSUPPORTED) {
            return INT64_MAX;
        }
        total += cost;
    }
    return total;
}

static void check_plan(const tnp_allocator *allocator, const tnp_problem *problem,
                       const tnp_plan *plan) {
    tnp_cost cost;
    assert_order_is_topological(problem, plan->order);
    assert_int_equal(tnp_cost_of_order(allocator, problem, plan->label, plan->order, &cost),
                     TNP_OK);
    assert_memory_equal(&cost, &plan->cost, sizeof(cost));
    assert_true(plan->lower_bound <= plan->cost.total);
    for (uint32_t label = 0; label < problem->label_count; label++) {
        assert_true(plan->cost.total <= single_label_cost(problem, label));
    }
    uint32_t covered = 0;
    for (uint32_t s = 0; s < plan->segment_count; s++) {
        assert_int_equal(plan->segments[s].begin, covered);
        covered += plan->segments[s].count;
        assert_true(s == 0 || plan->segments[s].label != plan->segments[s - 1].label);
    }
    assert_int_equal(covered, problem->op_count);
    assert_int_equal(plan->segment_count, plan->cost.handover_count + 1);
}

static void plan_init__random_problems_get_valid_plans(void **state) {
    (void)state;
    static random_problem r;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        counting_heap heap = {0};
        tnp_allocator allocator = {counting_alloc, counting_free, &heap};
        tnp_plan plan;
        tnp_plan again;
        make_problem(&r, seed);
        assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_OK);
        check_plan(&allocator, &r.problem, &plan);
        assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &again), TNP_OK);
        assert_memory_equal(plan.order, again.order, plan.op_count * sizeof(uint32_t));
        assert_memory_equal(plan.label, again.label, plan.op_count * sizeof(uint32_t));
        tnp_plan_deinit(&allocator, &plan);
        tnp_plan_deinit(&allocator, &again);
        assert_int_equal(heap.live_bytes, 0);
    }
}

static void plan_init__every_allocation_may_fail(void **state) {
    (void)state;
    static random_problem r;
    make_problem(&r, 7);
    counting_heap counter = {0};
    tnp_allocator counted = {counting_alloc, counting_free, &counter};
    tnp_plan plan;
    assert_int_equal(tnp_plan_init(&counted, &r.problem, NULL, &plan), TNP_OK);
    tnp_plan_deinit(&counted, &plan);
    assert_true(counter.calls > 4);
    for (int after = 0; after < 2; after++) {
        for (uint64_t i = 1; i <= counter.calls; i++) {
            counting_heap heap = {.fail_at = i, .fail_after = after};
            tnp_allocator allocator = {counting_alloc, counting_free, &heap};
            assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_OUT_OF_MEMORY);
            assert_int_equal(heap.live_bytes, 0);
        }
    }
}

static void plan_init__names_what_is_wrong(void **state) {
    (void)state;
    static random_problem r;
    counting_heap heap = {0};
    tnp_allocator allocator = {counting_alloc, counting_free, &heap};
    tnp_plan plan;
    uint32_t labels;

    make_problem(&r, 11);
    labels = r.problem.label_count;
    assert_true(r.problem.op_count > 3);
    for (uint32_t label = 0; label < labels; label++) {
        r.op_cost[2 * labels + label] = TNP_UNSUPPORTED;
    }
    assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_INFEASIBLE);
    assert_int_equal(plan.culprit, 2);

    make_problem(&r, 11);
    r.op_cost[(uint64_t)3 * labels] = TNP_MAX_COST + 1;
    assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_INVALID);
    assert_int_equal(plan.culprit, 3);

    make_problem(&r, 11);
    r.tensors[1].producer = r.problem.op_count;
    assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_INVALID);
    assert_int_equal(plan.culprit, 1);

    make_problem(&r, 11);
    r.problem.label_count = TNP_MAX_LABELS + 1;
    assert_int_equal(tnp_plan_init(&allocator, &r.problem, NULL, &plan), TNP_INVALID);
    assert_int_equal(heap.live_bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_init__random_problems_get_valid_plans),
        cmocka_unit_test(plan_init__every_allocation_may_fail),
        cmocka_unit_test(plan_init__names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
