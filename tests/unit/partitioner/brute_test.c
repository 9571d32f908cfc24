// SPDX-License-Identifier: Apache-2.0
// The partitioner against the optimum of thousands of tiny problems, found by trying everything.
// Nothing in the partitioner is special to small sizes, so what holds here says something about
// large problems too.
#include "support/partition/brute_force.h"
#include "support/partition/random_problem.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_OPS 9u

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static const tnp_allocator heap = {heap_alloc, heap_free, NULL};

// What came of the problems with one number of labels.
typedef struct tally {
    uint32_t problems; // that have a plan
    uint32_t optimal;
    uint32_t proven;  // of those: by the bound
    uint32_t no_plan; // rightly
    uint32_t missed;  // a plan exists, none was found
    double worst_excess;
    double worst_gap; // of the bound below the optimum
} tally;

static void print_tallies(const char *what, const tally *tallies) {
    for (uint32_t labels = 1; labels <= RANDOM_MAX_LABELS; labels++) {
        const tally *t = &tallies[labels];
        print_message("%s, %" PRIu32 " labels: %" PRIu32 " of %" PRIu32 " optimal, %" PRIu32
                      " proven; worst %.2f %% above, bound %.2f %% below; %" PRIu32
                      " without a plan, %" PRIu32 " missed\n",
                      what, labels, t->optimal, t->problems, t->proven, t->worst_excess,
                      t->worst_gap, t->no_plan, t->missed);
    }
}

static double percent(int64_t part, int64_t whole) {
    return part == 0 ? 0.0 : 100.0 * (double)part / (double)(whole > 1 ? whole : 1);
}

static void raise_to(double *most, double value) {
    *most = value > *most ? value : *most;
}

// Fails where the plan is not a plan, where its cost is not what it costs, or where the bound is
// above the optimum.
static void judge_plan(const tnp_problem *problem, const tnp_plan *plan, tally *t) {
    int64_t cost = plan->cost.total;
    assert_int_equal(brute_force_price(problem, plan->label, plan->order), cost);
    int64_t optimum = brute_force(problem, cost + 1);
    assert_true(optimum <= cost);
    assert_true(plan->lower_bound <= optimum);
    t->problems++;
    t->optimal += optimum == cost;
    t->proven += plan->lower_bound == cost;
    raise_to(&t->worst_excess, percent(cost - optimum, optimum));
    raise_to(&t->worst_gap, percent(optimum - plan->lower_bound, optimum));
}

// Whether label alone can run every op within its capacity.
static int label_runs_all(const tnp_problem *problem, uint32_t label) {
    uint64_t used = 0;
    for (uint32_t op = 0; op < problem->op_count; op++) {
        if (problem->op_cost[op * problem->label_count + label] == TNP_UNSUPPORTED) {
            return 0;
        }
        used += problem->op_bytes[op];
    }
    return used <= problem->label_capacity[label];
}

static void solve(uint64_t seed, random_features features, tally *tallies) {
    static random_problem r;
    // Most of them as large as they may be.
    uint64_t state = seed;
    uint32_t ops = random_below(&state, 4) > 0 ? MAX_OPS - random_below(&state, 3)
                                               : 1 + random_below(&state, MAX_OPS);
    uint32_t kind = random_below(&state, 16);
    uint32_t labels = kind == 0 ? 1 : kind < 6 ? 2 : kind < 11 ? 3 : 4;
    random_problem_make(seed, ops, labels, features, &r);
    tnp_plan plan;
    tnp_status status = tnp_plan_init(&heap, &r.problem, NULL, &plan);
    if (status == TNP_OK) {
        judge_plan(&r.problem, &plan, &tallies[labels]);
    } else {
        assert_in_range(status, TNP_OVER_CAPACITY, TNP_UNORDERABLE);
        int64_t optimum = brute_force(&r.problem, INT64_MAX);
        for (uint32_t label = 0; label < labels && status == TNP_OVER_CAPACITY; label++) {
            assert_false(label_runs_all(&r.problem, label));
        }
        tallies[labels].no_plan += optimum == INT64_MAX;
        tallies[labels].missed += optimum != INT64_MAX;
    }
    tnp_plan_deinit(&heap, &plan);
}

static void assert_standard(const tally *tallies) {
    uint32_t hard = 0;
    uint32_t optimal = 0;
    for (uint32_t labels = 1; labels <= RANDOM_MAX_LABELS; labels++) {
        const tally *t = &tallies[labels];
        assert_true(t->problems > 0);
        assert_int_equal(t->missed, 0);
        hard += labels > 2 ? t->problems : 0;
        optimal += labels > 2 ? t->optimal : 0;
    }
    assert_int_equal(tallies[1].optimal, tallies[1].problems);
    assert_int_equal(tallies[2].optimal, tallies[2].problems);
    assert_true(optimal >= hard - hard / 200);
}

static void plan_init__is_optimal_without_claims(void **state) {
    (void)state;
    tally tallies[RANDOM_MAX_LABELS + 1] = {0};
    for (uint64_t seed = 1; seed <= BRUTE_PROBLEMS; seed++) {
        solve(seed, seed % 2 == 0 ? RANDOM_GROUPS : 0, tallies);
    }
    print_tallies("plain", tallies);
    assert_standard(tallies);
}

static void plan_init__is_optimal_with_claims(void **state) {
    (void)state;
    tally tallies[RANDOM_MAX_LABELS + 1] = {0};
    for (uint64_t seed = 1; seed <= BRUTE_PROBLEMS; seed++) {
        solve(1000000 + seed, RANDOM_CLAIMS | (seed % 4 == 0 ? RANDOM_GROUPS : 0), tallies);
    }
    print_tallies("claims", tallies);
    assert_standard(tallies);
}

// With capacities even finding any plan is hard; the branches find one where there is any, by which
// the standard is the same.
static void plan_init__keeps_capacities(void **state) {
    (void)state;
    tally tallies[RANDOM_MAX_LABELS + 1] = {0};
    for (uint64_t seed = 1; seed <= BRUTE_PROBLEMS; seed++) {
        random_features others = seed % 4 == 0 ? RANDOM_GROUPS : seed % 4 == 1 ? RANDOM_CLAIMS : 0;
        solve(2000000 + seed, RANDOM_CAPACITIES | others, tallies);
    }
    print_tallies("capacities", tallies);
    assert_standard(tallies);
}

// Labels drawn at random; op by op such that few bound ops lack their claim.
static void draw_labels(const random_problem *r, uint64_t *state, uint32_t *out_label) {
    uint32_t labels = r->problem.label_count;
    for (uint32_t op = 0; op < r->problem.op_count; op++) {
        do {
            out_label[op] = random_below(state, labels);
        } while (r->op_cost[op * labels + out_label[op]] == TNP_UNSUPPORTED);
    }
    for (uint32_t c = 0; c < r->problem.claim_count && random_below(state, 4) > 0; c++) {
        for (uint32_t i = 0; i < r->claims[c].op_count; i++) {
            out_label[r->claim_ops[r->claims[c].op_begin + i]] = r->claims[c].label;
        }
    }
}

static void plan_of_labels__finds_the_cheapest_order(void **state) {
    (void)state;
    static random_problem r;
    uint32_t orders = 0;
    uint32_t optimal = 0;
    for (uint64_t seed = 1; seed <= BRUTE_PROBLEMS; seed++) {
        uint64_t draws = seed;
        uint32_t label[MAX_OPS];
        uint32_t labels = 2 + random_below(&draws, 3);
        random_problem_make(seed, MAX_OPS, labels, seed % 2 == 0 ? RANDOM_CLAIMS : 0, &r);
        draw_labels(&r, &draws, label);
        tnp_plan plan;
        tnp_status status = tnp_plan_of_labels(&heap, &r.problem, label, &plan);
        int64_t optimum = brute_force_of_labels(&r.problem, label);
        if (optimum == INT64_MAX) {
            assert_true(status == TNP_INFEASIBLE || status == TNP_UNORDERABLE);
        } else {
            assert_int_equal(status, TNP_OK);
            int64_t cost = brute_force_price(&r.problem, plan.label, plan.order);
            assert_int_equal(plan.cost.total, cost);
            assert_memory_equal(plan.label, label, sizeof(label));
            assert_true(cost >= optimum && (labels > 2 || cost == optimum));
            orders++;
            optimal += cost == optimum;
        }
        tnp_plan_deinit(&heap, &plan);
    }
    print_message("orders: %" PRIu32 " of %" PRIu32 " optimal\n", optimal, orders);
    assert_true(orders > BRUTE_PROBLEMS / 2);
    assert_true(optimal >= orders - orders / 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_init__is_optimal_without_claims),
        cmocka_unit_test(plan_init__is_optimal_with_claims),
        cmocka_unit_test(plan_init__keeps_capacities),
        cmocka_unit_test(plan_of_labels__finds_the_cheapest_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
