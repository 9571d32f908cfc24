// SPDX-License-Identifier: Apache-2.0
// Plans that come from elsewhere, sound and damaged, against the oracle's price.
#include "support/partition/brute_force.h"
#include "support/partition/random_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_OPS BRUTE_MAX_OPS

static void *take(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return calloc(1, size_bytes);
}

static void give(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static const tnp_allocator heap = {take, give, NULL};

static void plan_of_order__gives_back_what_the_search_found(void **state) {
    (void)state;
    static random_problem r;
    uint32_t found = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const random_features features = (random_features)(seed % 8);
        tnp_plan plan;
        tnp_plan again;
        random_problem_make(seed, 24, 3, features, &r);
        if (tnp_plan_init(&heap, &r.problem, NULL, &plan) == TNP_OK) {
            assert_int_equal(tnp_plan_of_order(&heap, &r.problem, plan.label, plan.order, &again),
                             TNP_OK);
            assert_memory_equal(&again.cost, &plan.cost, sizeof(plan.cost));
            assert_true(again.hash == plan.hash);
            assert_int_equal(again.segment_count, plan.segment_count);
            assert_memory_equal(again.segments, plan.segments,
                                plan.segment_count * sizeof(plan.segments[0]));
            assert_true(again.lower_bound == INT64_MIN);
            tnp_plan_deinit(&heap, &again);
            found++;
        }
        tnp_plan_deinit(&heap, &plan);
    }
    assert_true(found > 100);
}

// Damages a plan; false: with numbers that are no ops or labels.
static bool damage(const random_problem *r, uint64_t *state, uint32_t *label, uint32_t *order) {
    const uint32_t ops = r->problem.op_count;
    const uint32_t a = random_below(state, ops);
    const uint32_t b = random_below(state, ops);
    const uint32_t kept = order[a];
    switch (random_below(state, 4)) {
    case 0:
        label[a] = random_below(state, r->problem.label_count);
        return true;
    case 1:
        order[a] = order[b];
        order[b] = kept;
        return true;
    case 2:
        order[a] = order[b]; // twice, where they differ
        return true;
    default:
        *(random_below(state, 2) == 0 ? &label[a] : &order[a]) ^= 0x80000000u;
        return false;
    }
}

static bool is_permutation(const uint32_t *order, uint32_t count) {
    bool seen[MAX_OPS] = {false};
    for (uint32_t i = 0; i < count; i++) {
        if (seen[order[i]]) {
            return false;
        }
        seen[order[i]] = true;
    }
    return true;
}

static void plan_of_order__refuses_what_is_no_plan(void **state) {
    (void)state;
    static random_problem r;
    uint32_t sound = 0;
    uint32_t refused = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t draws = seed;
        tnp_plan plan;
        tnp_plan again;
        random_problem_make(seed, MAX_OPS, 3, (random_features)(seed % 8), &r);
        if (tnp_plan_init(&heap, &r.problem, NULL, &plan) == TNP_OK) {
            const bool readable = damage(&r, &draws, plan.label, plan.order);
            const bool whole = readable && is_permutation(plan.order, MAX_OPS);
            const int64_t price =
                whole ? brute_force_price(&r.problem, plan.label, plan.order) : INT64_MAX;
            const tnp_status status =
                tnp_plan_of_order(&heap, &r.problem, plan.label, plan.order, &again);
            assert_int_equal(status == TNP_OK, price != INT64_MAX);
            if (status == TNP_OK) {
                assert_true(again.cost.total == price);
            }
            sound += status == TNP_OK;
            refused += status != TNP_OK;
            tnp_plan_deinit(&heap, &again);
        }
        tnp_plan_deinit(&heap, &plan);
    }
    assert_true(sound > 200 && refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_of_order__gives_back_what_the_search_found),
        cmocka_unit_test(plan_of_order__refuses_what_is_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
