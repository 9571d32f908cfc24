// SPDX-License-Identifier: Apache-2.0
// Labels at the same time, on virtual time: branches overlap, waits and copies are where they
// should be, a timeline is never later than the serial plan nor earlier than the bound.
#include "support/partition/random_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_OPS 20u

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    uint64_t *left = user_data;
    if (left != NULL && (*left)-- == 0) {
        *left = 0;
        return NULL;
    }
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static const tnp_allocator heap = {heap_alloc, heap_free, NULL};

// Two branches of 100 between a source and a sink on label 0; labels 1 and 2 run either alike.
typedef struct fork {
    tnp_problem problem;
    int64_t op_cost[4 * 3];
    tnp_tensor tensors[3];
    uint32_t consumers[4];
    int64_t copy_cost[3 * 9];
    int64_t handover_cost[9];
} fork;

static void make_fork(fork *f, int64_t handover, int64_t copy) {
    static const int64_t costs[4][3] = {{0, -1, -1}, {-1, 100, 100}, {-1, 100, 100}, {0, -1, -1}};
    memset(f, 0, sizeof(*f));
    memcpy(f->op_cost, costs, sizeof(costs));
    f->tensors[0] = (tnp_tensor){0, 0, 2};
    f->tensors[1] = (tnp_tensor){1, 2, 1};
    f->tensors[2] = (tnp_tensor){2, 3, 1};
    f->consumers[0] = 1;
    f->consumers[1] = 2;
    f->consumers[2] = 3;
    f->consumers[3] = 3;
    for (uint32_t i = 0; i < 9; i++) {
        f->handover_cost[i] = i % 4 == 0 ? 0 : handover;
        for (uint32_t t = 0; t < 3; t++) {
            f->copy_cost[t * 9 + i] = i % 4 == 0 ? 0 : copy;
        }
    }
    f->problem = (tnp_problem){.op_count = 4,
                               .label_count = 3,
                               .tensor_count = 3,
                               .consumer_total = 4,
                               .op_cost = f->op_cost,
                               .tensors = f->tensors,
                               .consumers = f->consumers,
                               .copy_cost = f->copy_cost,
                               .handover_cost = f->handover_cost};
}

static void plan_init__branches_overlap_when_labels_may(void **state) {
    (void)state;
    fork f;
    tnp_options options = {.concurrent = 1};
    tnp_plan serial;
    tnp_plan both;
    tnp_timeline one;
    tnp_timeline two;
    make_fork(&f, 10, 5);
    assert_int_equal(tnp_plan_init(&heap, &f.problem, NULL, &serial), TNP_OK);
    assert_int_equal(tnp_plan_init(&heap, &f.problem, &options, &both), TNP_OK);
    assert_int_equal(serial.label[1], serial.label[2]);
    assert_int_not_equal(both.label[1], both.label[2]);
    assert_int_equal(tnp_simulate(&heap, &f.problem, &serial, &one), TNP_OK);
    assert_int_equal(tnp_simulate(&heap, &f.problem, &both, &two), TNP_OK);
    // In: 10 + 5. One after the other: 200. Out: 10, and two copies.
    assert_int_equal(one.makespan, 15 + 200 + 10 + 10);
    // Side by side: both engines copy at once, both branches run at once.
    assert_int_equal(two.makespan, 15 + 100 + 10 + 10);
    assert_true(two.begin[1] < two.end[2] && two.begin[2] < two.end[1]);
    assert_true(one.makespan <= serial.cost.total);
    assert_int_equal(one.lower_bound, two.lower_bound);
    assert_true(two.lower_bound <= two.makespan);
    assert_int_equal(two.lower_bound, 15 + 100 + 15);
    tnp_timeline_deinit(&heap, &one);
    tnp_timeline_deinit(&heap, &two);
    tnp_plan_deinit(&heap, &serial);
    tnp_plan_deinit(&heap, &both);
}

// When handing over costs more than the branch, nothing overlaps.
static void plan_init__overlap_that_does_not_pay_is_left(void **state) {
    (void)state;
    fork f;
    tnp_options options = {.concurrent = 1};
    tnp_plan plan;
    make_fork(&f, 10, 5);
    f.copy_cost[2] = 500; // the source's tensor to label 2
    f.copy_cost[1] = 5;
    assert_int_equal(tnp_plan_init(&heap, &f.problem, &options, &plan), TNP_OK);
    assert_int_equal(plan.label[1], 1);
    assert_int_equal(plan.label[2], 1);
    tnp_plan_deinit(&heap, &plan);
}

static void make_random(random_problem *r, uint64_t seed) {
    uint64_t state = seed;
    uint32_t ops = 2 + random_below(&state, MAX_OPS - 1);
    random_problem_make(seed, ops, 2 + random_below(&state, 2), 0, r);
}

static int64_t makespan_of(const tnp_problem *problem, const tnp_plan *plan, int64_t *out_bound) {
    tnp_timeline timeline;
    assert_int_equal(tnp_simulate(&heap, problem, plan, &timeline), TNP_OK);
    assert_int_equal(timeline.segment_count, plan->segment_count);
    for (uint32_t i = 0; i < timeline.segment_count; i++) {
        assert_true(timeline.begin[i] >= 0 && timeline.end[i] >= timeline.begin[i]);
        assert_true(timeline.end[i] <= timeline.makespan);
        for (uint32_t k = 0; k < i; k++) {
            // One queue a label.
            assert_true(plan->segments[k].label != plan->segments[i].label ||
                        timeline.begin[i] >= timeline.end[k]);
        }
    }
    assert_true(timeline.lower_bound <= timeline.makespan);
    *out_bound = timeline.lower_bound;
    int64_t makespan = timeline.makespan;
    tnp_timeline_deinit(&heap, &timeline);
    return makespan;
}

static void simulate__random_plans_keep_their_promises(void **state) {
    (void)state;
    static random_problem r;
    tnp_options options = {.work_budget = 200000, .concurrent = 1};
    tnp_options serial_options = {.work_budget = 200000};
    uint32_t earlier = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        tnp_plan serial;
        tnp_plan both;
        tnp_plan again;
        int64_t bound;
        int64_t other_bound;
        make_random(&r, seed);
        assert_int_equal(tnp_plan_init(&heap, &r.problem, &serial_options, &serial), TNP_OK);
        assert_int_equal(tnp_plan_init(&heap, &r.problem, &options, &both), TNP_OK);
        assert_int_equal(tnp_plan_init(&heap, &r.problem, &options, &again), TNP_OK);
        assert_int_equal(both.hash, again.hash);
        int64_t before = makespan_of(&r.problem, &serial, &bound);
        int64_t after = makespan_of(&r.problem, &both, &other_bound);
        assert_int_equal(bound, other_bound);
        assert_true(before <= serial.cost.total);
        assert_true(after <= both.cost.total);
        assert_true(after <= before);
        assert_true(both.lower_bound <= both.cost.total);
        earlier += after < before;
        tnp_plan_deinit(&heap, &serial);
        tnp_plan_deinit(&heap, &both);
        tnp_plan_deinit(&heap, &again);
    }
    assert_true(earlier >= 100); // overlap is found where there is some
}

static void simulate__every_allocation_may_fail(void **state) {
    (void)state;
    fork f;
    tnp_plan plan;
    tnp_options options = {.concurrent = 1};
    bool done = false;
    make_fork(&f, 10, 5);
    for (uint64_t i = 0; !done; i++) {
        uint64_t left = i;
        tnp_allocator failing = {heap_alloc, heap_free, &left};
        tnp_status status = tnp_plan_init(&failing, &f.problem, &options, &plan);
        done = status == TNP_OK;
        assert_true(done || status == TNP_OUT_OF_MEMORY);
        assert_true(i < 1000);
    }
    done = false;
    for (uint64_t i = 0; !done; i++) {
        uint64_t left = i;
        tnp_timeline timeline;
        tnp_allocator failing = {heap_alloc, heap_free, &left};
        tnp_status status = tnp_simulate(&failing, &f.problem, &plan, &timeline);
        done = status == TNP_OK;
        assert_true(done || status == TNP_OUT_OF_MEMORY);
        tnp_timeline_deinit(&heap, &timeline);
    }
    tnp_plan_deinit(&heap, &plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_init__branches_overlap_when_labels_may),
        cmocka_unit_test(plan_init__overlap_that_does_not_pay_is_left),
        cmocka_unit_test(simulate__random_plans_keep_their_promises),
        cmocka_unit_test(simulate__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
