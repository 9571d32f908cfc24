// SPDX-License-Identifier: Apache-2.0
// Claims: groups of nodes that a device computes together for less, or only together. Read from its
// answer, checked (ABI-47), and given to the partitioner.
#ifndef TENON_PLAN_CLAIMS_H
#define TENON_PLAN_CLAIMS_H

#include "plan/claims_inner.h"
#include "plan/draft.h"
#include "plan/verdicts.h"

#define TNI_MAX_CLAIM_NODES (1u << 26)

// TN_OK · TN_ERROR_INVALID_DATA a claim names a node that is not there or was refused, or is of no
// known kind, or a node is IN_CLAIM without one, or claims name too many · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_claims_check(const tni_verdict_set *set, const tn_verdicts *verdicts,
                                       const tni_view *view, tn_error *error);

// Keeps the claims of an answer that reach beyond what stands for one node, by places in the region
// (places: node -> place); options must have been read. A claim that names all nodes that stand for
// one of the model, in its form or in the expansion through which the device takes it, names that.
// Others are left out, counted and logged. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_claims_read(tni_verdict_set *set, const tni_inner_claims *inner,
                                      const tni_map *places, tn_error *error);

// Decides which claims stand: those whose nodes are all possible, and of those that overlap the
// one with more nodes, or the earlier. Refuses nodes that are left in none and cannot do without.
// To be called again when a node has been ruled out. taken: room for a byte a place.
void tni_claims_settle(tni_verdict_set *set, uint8_t *taken);

// What all the nodes of a standing claim cost in it, and what it saves against their single costs.
typedef struct tni_claim_cost {
    uint64_t bound_node_ns; // each node that runs in the claim only
    uint64_t saving_ns;
} tni_claim_cost;

tni_claim_cost tni_claims_cost(const tni_verdict_set *set, const tni_claim *claim);

// Fills the draft's claims from those of the devices that stand; op costs must have
// been filled, and the costs of bound nodes are put right. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_claims_draft(tni_draft_plan *draft, tn_error *error);
void tni_claims_draft_deinit(tni_draft_plan *draft);

// For a trial (tni_plan_info.merge_copies): copies of one node that a device takes in no claim are
// one node there, which is said to the partitioner as a saving. room: how many claims and ops that
// takes at most. TN_OK · TN_ERROR_OUT_OF_MEMORY.
void tni_claims_merge_room(const tni_draft_plan *draft, uint32_t *out_claims, uint32_t *out_ops);
TN_MUST_USE tn_status tni_claims_merge(tni_draft_plan *draft, tn_error *error);

#endif // TENON_PLAN_CLAIMS_H
