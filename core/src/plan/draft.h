// SPDX-License-Identifier: Apache-2.0
// Inside of planning: the working state of one partition call, shared by partition.c (the problem)
// and islands.c (what the answer means).
#ifndef TENON_PLAN_DRAFT_H
#define TENON_PLAN_DRAFT_H

#include "plan/plan.h"

#include "tenon/partition.h"

// Working arrays of one partition call. Op 0 is the host's start, ops 1..n the nodes, op n + 1 its
// end.
typedef struct tni_draft_plan {
    tni_plan *plan;
    const tni_plan_info *info;
    const tni_region *region;
    uint32_t op_count;
    uint32_t label_count;
    uint32_t tensor_count;
    uint32_t tensor_capacity;
    uint32_t consumer_capacity;
    uint32_t consumer_count;
    int64_t *op_cost;
    tnp_tensor *tensors;
    uint32_t *consumers;
    int64_t *copy_cost;
    int64_t *handover_cost;
    tnp_claim *claims;
    uint32_t *claim_ops;
    uint32_t claim_capacity;
    uint32_t claim_op_capacity;
    uint32_t claim_count;
    uint32_t claim_op_count;
    uint64_t *op_bytes; // of weights; null without caps
    uint64_t capacity[TNP_MAX_LABELS];
    uint32_t *op_of_node;    // model node -> op
    uint32_t *tensor_of;     // model value -> tensor, TN_NONE
    uint32_t *pending_count; // model value -> consumers counted, then filled
} tni_draft_plan;

// Whether a value is one that ops hand to each other: there, and no constant.
static inline bool tni_is_op_input(const tni_model *model, uint32_t value) {
    return value != TN_NONE && model->values[value].constant == TN_NONE;
}

// Turns the answer into the plan's islands with their borders. answer->label is used up. TN_OK ·
// TN_ERROR_OUT_OF_MEMORY · errors of tni_connected_segments.
TN_MUST_USE tn_status tni_make_islands(tni_draft_plan *draft, tnp_plan *answer, tn_error *error);

#endif // TENON_PLAN_DRAFT_H
