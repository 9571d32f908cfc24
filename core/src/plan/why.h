// SPDX-License-Identifier: Apache-2.0
// What is kept of a partition problem to explain its answer.
#ifndef TENON_PLAN_WHY_H
#define TENON_PLAN_WHY_H

#include "plan/draft.h"

#include "tenon/plan.h"

typedef struct tni_alternative {
    const tni_device *device;
    tn_alternative_kind kind;
    uint32_t refused_nodes;
    tnp_cost cost; // total TN_COST_NO_PLAN when there is none
} tni_alternative;

typedef struct tni_planned_transfer {
    uint32_t value;
    const tni_device *from; // null: the host
    const tni_device *to;
    uint32_t from_place; // in the region's list; TN_NONE: the host
    uint32_t to_place;   // of the first node that reads it there
    int64_t cost_ns;
} tni_planned_transfer;

typedef struct tni_node_choice {
    const tni_device *device;
    const tni_device *cheapest;
    int64_t cost_ns;
    int64_t cheapest_cost_ns;
    tnp_choice choice;
} tni_node_choice;

// Single owner.
typedef struct tni_why {
    tni_alloc alloc;
    tni_alternative *alternatives;
    tni_planned_transfer *transfers;
    tni_node_choice *choices; // by place in the region's list
    uint32_t alternative_count;
    uint32_t transfer_count;
    uint32_t choice_count;
    uint32_t transfer_capacity;
} tni_why;

// TN_OK · TN_ERROR_CANCELLED · TN_ERROR_OUT_OF_MEMORY. *out_why is null on failure; free with
// tni_why_destroy.
TN_MUST_USE tn_status tni_why_create(const tni_draft_plan *draft, const tnp_allocator *allocator,
                                     const tnp_problem *problem, const tnp_plan *answer,
                                     tni_why **out_why, tn_error *error);
void tni_why_destroy(tni_why *why); // null is ignored

// Fills one alternative a device: the plan without it (fewer.c). TN_OK · TN_ERROR_CANCELLED ·
// TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_price_fewer(const tni_draft_plan *draft, const tnp_allocator *allocator,
                                      const tnp_problem *problem, const tnp_plan *answer,
                                      tni_alternative *out_alternatives, tn_error *error);
// Handovers of a plan as they are counted everywhere: an inline device is at the host already.
uint32_t tni_count_handovers(const tni_draft_plan *draft, const tnp_plan *plan);

#endif // TENON_PLAN_WHY_H
