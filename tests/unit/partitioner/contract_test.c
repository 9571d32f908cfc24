// SPDX-License-Identifier: Apache-2.0
// Contractions keep the optimum: that of thousands of tiny problems, by trying everything, is the
// same when the ops of each contracted variable must share a label.
#include "contract.h"
#include "support/partition/brute_force.h"
#include "support/partition/random_problem.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_OPS 8u

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

// Copies that cost much beside ops are what contracts.
static void raise_copies(random_problem *r, int64_t by) {
    uint32_t k = r->problem.label_count;
    for (uint32_t i = 0; i < r->problem.tensor_count * k * k; i++) {
        r->copy_cost[i] += i % (k * k) % (k + 1) == 0 ? 0 : by;
    }
}

// Contracts; writes the variables of ops as groups. Returns how many variables went.
static uint32_t contract(const tnp_problem *problem, uint32_t *out_group) {
    tnp_arena arena = {&heap, NULL};
    tnp_graph graph;
    uint32_t culprit;
    uint64_t work = 0;
    uint32_t gone = 0;
    memset(out_group, 0xff, problem->op_count * sizeof(*out_group));
    if (tnp_graph_init(&arena, problem, &graph, &culprit) == TNP_OK) {
        uint32_t before = graph.var_count;
        assert_int_equal(tnp_contract(&arena, &graph, &work), TNP_OK);
        gone = before - graph.var_count;
        memcpy(out_group, graph.var_of, problem->op_count * sizeof(*out_group));
    }
    tnp_arena_release(&arena);
    return gone;
}

static void check_optima(random_features features, uint64_t first_seed) {
    static random_problem r;
    uint32_t contracted = 0;
    uint32_t gone = 0;
    for (uint64_t seed = first_seed; seed < first_seed + CONTRACT_PROBLEMS; seed++) {
        uint32_t group[MAX_OPS];
        uint32_t ops = 2 + (uint32_t)(seed % (MAX_OPS - 1));
        random_problem_make(seed, ops, 2 + (uint32_t)(seed % 3), features, &r);
        raise_copies(&r, (int64_t)(seed % 4) * 250);
        uint32_t went = contract(&r.problem, group);
        if (went > 0) {
            int64_t optimum = brute_force(&r.problem, INT64_MAX);
            r.problem.group = group;
            assert_int_equal(brute_force(&r.problem, INT64_MAX), optimum);
            contracted++;
            gone += went;
        }
    }
    print_message("%" PRIu32 " of %u problems contracted, by %" PRIu32 " variables\n", contracted,
                  CONTRACT_PROBLEMS, gone);
    assert_true(contracted > CONTRACT_PROBLEMS / 8);
}

static void contract__keeps_the_optimum(void **state) {
    (void)state;
    check_optima(0, 1);
}

static void contract__keeps_the_optimum_with_groups(void **state) {
    (void)state;
    check_optima(RANDOM_GROUPS, 100001);
}

static void contract__keeps_the_optimum_with_claims(void **state) {
    (void)state;
    check_optima(RANDOM_CLAIMS, 200001);
}

static void contract__keeps_the_optimum_with_capacities(void **state) {
    (void)state;
    check_optima(RANDOM_CAPACITIES | RANDOM_GROUPS, 300001);
}

static void contract__every_allocation_may_fail(void **state) {
    (void)state;
    static random_problem r;
    random_problem_make(7, MAX_OPS, 3, RANDOM_GROUPS, &r);
    for (uint64_t allowed = 0;; allowed++) {
        uint64_t left = allowed;
        tnp_allocator failing = {heap_alloc, heap_free, &left};
        tnp_arena arena = {&heap, NULL};
        tnp_graph graph;
        uint32_t culprit;
        uint64_t work;
        assert_int_equal(tnp_graph_init(&arena, &r.problem, &graph, &culprit), TNP_OK);
        tnp_arena poor = {&failing, NULL};
        tnp_status status = tnp_contract(&poor, &graph, &work);
        tnp_arena_release(&poor);
        tnp_arena_release(&arena);
        if (status == TNP_OK) {
            assert_true(allowed > 4);
            return;
        }
        assert_int_equal(status, TNP_OUT_OF_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contract__keeps_the_optimum),
        cmocka_unit_test(contract__keeps_the_optimum_with_groups),
        cmocka_unit_test(contract__keeps_the_optimum_with_claims),
        cmocka_unit_test(contract__keeps_the_optimum_with_capacities),
        cmocka_unit_test(contract__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
