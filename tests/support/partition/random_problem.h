// SPDX-License-Identifier: Apache-2.0
// Small random partition problems with everything that the interface allows: costs that differ by
// pair and obey no triangle inequality, tensors with many readers, holes, pins, groups, claims and
// capacities.
#ifndef TENON_TESTS_RANDOM_PROBLEM_H
#define TENON_TESTS_RANDOM_PROBLEM_H

#include "tenon/partition.h"

#define RANDOM_MAX_OPS 64u
#define RANDOM_MAX_LABELS 4u
#define RANDOM_MAX_INPUTS 3u
#define RANDOM_MAX_CLAIMS 16u

typedef uint32_t random_features;
#define RANDOM_GROUPS 1u
#define RANDOM_CLAIMS 2u
#define RANDOM_CAPACITIES 4u

typedef struct random_problem {
    tnp_problem problem;
    uint64_t state; // of the generator
    int64_t op_cost[RANDOM_MAX_OPS * RANDOM_MAX_LABELS];
    tnp_tensor tensors[RANDOM_MAX_OPS * 2];
    uint32_t consumers[RANDOM_MAX_OPS * RANDOM_MAX_INPUTS];
    int64_t copy_cost[RANDOM_MAX_OPS * 2 * RANDOM_MAX_LABELS * RANDOM_MAX_LABELS];
    int64_t handover_cost[RANDOM_MAX_LABELS * RANDOM_MAX_LABELS];
    tnp_claim claims[RANDOM_MAX_CLAIMS];
    uint32_t claim_ops[RANDOM_MAX_OPS * RANDOM_MAX_LABELS];
    uint32_t group[RANDOM_MAX_OPS];
    uint64_t op_bytes[RANDOM_MAX_OPS];
    uint64_t label_capacity[RANDOM_MAX_LABELS];
    uint32_t input_count[RANDOM_MAX_OPS];               // of each op
    uint32_t inputs[RANDOM_MAX_OPS][RANDOM_MAX_INPUTS]; // tensors
} random_problem;

// The same seed gives the same problem on every machine. It is valid; with pins, groups and claims
// at odds, or tight capacities, it may have no plan. out_random must not move while in use.
void random_problem_make(uint64_t seed, uint32_t ops, uint32_t labels, random_features features,
                         random_problem *out_random);

// A number from 0 to limit - 1.
uint32_t random_below(uint64_t *state, uint32_t limit);

#endif // TENON_TESTS_RANDOM_PROBLEM_H
