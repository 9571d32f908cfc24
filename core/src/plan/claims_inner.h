// SPDX-License-Identifier: Apache-2.0
// Claims as they concern one node of the model: several nodes of a view may stand for it, those of
// a form in another op version or those of its expansion. A claim over some of these alone holds
// whenever the device takes the node, so it is part of what that costs.
#ifndef TENON_PLAN_CLAIMS_INNER_H
#define TENON_PLAN_CLAIMS_INNER_H

#include "plan/verdicts.h"

// Why a claim counts for nothing.
typedef enum tni_claim_loss {
    TNI_CLAIM_COUNTS,
    TNI_CLAIM_IN_BODY, // names nodes of a body, which is planned apart, or of expansions in others
    TNI_CLAIM_PARTLY,  // names some of what stands for a node, and nodes beyond it
    TNI_CLAIM_TWICE,   // names a node twice
    TNI_CLAIM_OVERLAP, // shares nodes with one that counts, inside of what stands for a node
    TNI_CLAIM_LOSSES,
} tni_claim_loss;

// By view node and by claim. Zeroed may be deinitialised.
typedef struct tni_inner_claims {
    tni_alloc alloc;
    const tni_model *model;
    const tni_view *view;
    const tn_verdicts *verdicts;
    uint32_t *inner;    // per node: 1 + the claim that counts inside of what stands for one; 0
    uint8_t *outer;     // per node: named by a claim that reaches further
    uint8_t *is_inner;  // per claim: lies inside, whether it counts or not
    uint32_t *seen;     // per node: 1 + the claim that was looked at last
    uint32_t overlaps;  // claims that lie inside and lost to others
    uint64_t node_room; // of the arrays
    uint64_t claim_room;
} tni_inner_claims;

// The claims must be sound (tni_claims_check). TN_OK · TN_ERROR_OUT_OF_MEMORY. Deinit in every
// case.
TN_MUST_USE tn_status tni_inner_claims_init(const tni_alloc *alloc, const tni_model *model,
                                            const tni_view *view, const tn_verdicts *verdicts,
                                            tni_inner_claims *out_claims);
void tni_inner_claims_deinit(tni_inner_claims *claims);

// The answer for a node as part of what stands for another: in an all-or-nothing claim that counts,
// the first node costs what the claim does and the others nothing; a node is bound only where a
// claim that reaches further has it, and impossible where none does.
void tni_inner_claims_member(const tni_inner_claims *claims, uint32_t node, tni_option *inout_one);
// What claims save among nodes [begin, begin + count) of the view, if the device takes them all.
uint64_t tni_inner_claims_saving(const tni_inner_claims *claims, uint32_t begin, uint32_t count);

// A record of the answer; strides as the plugin was told them.
static inline const tn_claim *tni_claim_at(const tn_verdicts *v, uint32_t index) {
    return (const tn_claim *)(const void *)((const unsigned char *)v->claims +
                                            (uint64_t)index * v->claim_stride_bytes);
}

#endif // TENON_PLAN_CLAIMS_INNER_H
