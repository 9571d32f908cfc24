// SPDX-License-Identifier: Apache-2.0
// How other runtimes decide which device runs which op, imitated on partition problems: their
// rules, not their code. Label 0 is the host's CPU, as it is for them.
#ifndef TENON_BENCH_STRATEGIES_H
#define TENON_BENCH_STRATEGIES_H

#include "tenon/partition.h"

// Fills label and order, op_count entries each. Returns 0 when out of memory.
typedef int strategy_decide(const tnp_problem *problem, uint32_t *out_label, uint32_t *out_order);

typedef struct strategy {
    const char *name;
    strategy_decide *decide;
} strategy;

#define STRATEGY_COUNT 4u
extern const strategy strategies[STRATEGY_COUNT];

#endif // TENON_BENCH_STRATEGIES_H
