// SPDX-License-Identifier: Apache-2.0
// The optimum of tiny partition problems by trying everything: the oracle of the partitioner. It
// shares no code with it and knows its interface only.
#ifndef TENON_TESTS_BRUTE_FORCE_H
#define TENON_TESTS_BRUTE_FORCE_H

#include "tenon/partition.h"

#define BRUTE_MAX_OPS 10u
#define BRUTE_MAX_LABELS 4u
#define BRUTE_MAX_CLAIMS 16u

// The cost of the cheapest plan, or INT64_MAX where there is none that costs less than below.
// Capacities count. The problem must be valid, of at most BRUTE_MAX_OPS ops.
int64_t brute_force(const tnp_problem *problem, int64_t below);

// The cost of the cheapest order for labels, by op, or INT64_MAX where bound ops cannot have their
// claims.
int64_t brute_force_of_labels(const tnp_problem *problem, const uint32_t *label);

// What running order with label costs; INT64_MAX where the interface does not allow it: the order
// is not topological, an op does not run on its label, a group is torn, bound ops have not their
// claim, or a capacity is exceeded.
int64_t brute_force_price(const tnp_problem *problem, const uint32_t *label, const uint32_t *order);

#endif // TENON_TESTS_BRUTE_FORCE_H
