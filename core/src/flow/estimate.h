// SPDX-License-Identifier: Apache-2.0
// What a node that the host carries out is predicted to cost: its bodies' plans, as often as they
// run. A Loop with a constant trip count and a Scan along an axis of known size are stepped through
// that often (an early end is not foreseen); other loops TNI_ASSUMED_STEPS times; of the branches
// of an If the dearer one counts, or the one that a constant condition names.
#ifndef TENON_FLOW_ESTIMATE_H
#define TENON_FLOW_ESTIMATE_H

#include "flow/flow.h"

#define TNI_ASSUMED_STEPS 10u

// Sums saturate at INT64_MAX and UINT32_MAX.
typedef struct tni_estimate {
    int64_t total;
    int64_t compute;
    int64_t copies;
    int64_t handovers;
    int64_t savings;
    int64_t lower_bound;
    int64_t makespan;
    int64_t makespan_bound;
    uint32_t handover_count;
    uint32_t copy_count;
    uint32_t claim_count;
    uint32_t loops_assumed;   // loops that were taken to have TNI_ASSUMED_STEPS
    uint32_t unplanned_nodes; // in regions that cost nothing here: planned during a run
    bool none;                // there is no such plan
} tni_estimate;

// What one plan contributes.
typedef tni_estimate (*tni_estimate_fn)(const void *user_data, const tni_plan *plan);

void tni_estimate_add(tni_estimate *sum, const tni_estimate *one, uint64_t times);
// Of all stages of graph 0, with what lies in their bodies.
tni_estimate tni_estimate_flow(const tni_flow *flow, tni_estimate_fn of_plan,
                               const void *user_data);

#endif // TENON_FLOW_ESTIMATE_H
