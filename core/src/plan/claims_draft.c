// SPDX-License-Identifier: Apache-2.0
// The claims of a partition problem, from those of the devices that stand.
#include "plan/claims.h"

#include "base/error.h"

void tni_claims_draft_deinit(tni_draft_plan *draft) {
    const tni_alloc *alloc = &draft->plan->alloc;
    tni_free_array(alloc, draft->claims, (uint64_t)draft->claim_capacity + 1,
                   sizeof(*draft->claims));
    tni_free_array(alloc, draft->claim_ops, (uint64_t)draft->claim_op_capacity + 1,
                   sizeof(*draft->claim_ops));
}

static int64_t *cost_of(const tni_draft_plan *d, uint32_t op, uint32_t label) {
    return &d->op_cost[(uint64_t)op * d->label_count + label];
}

// The op of a claim's node, or TN_NONE where the choice of devices leaves it out.
static uint32_t claim_op(const tni_draft_plan *d, const tni_verdict_set *set, uint32_t index,
                         uint32_t label) {
    uint32_t op = set->claim_places[index] + 1;
    return *cost_of(d, op, label) != TNP_UNSUPPORTED ? op : TN_NONE;
}

static bool is_complete(const tni_draft_plan *d, const tni_verdict_set *set, const tni_claim *claim,
                        uint32_t label) {
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        if (claim_op(d, set, claim->nodes.begin + i, label) == TN_NONE) {
            return false;
        }
    }
    return true;
}

// Bound ops first, as the partitioner wants them; they cost what the claim says.
static void add_claim(tni_draft_plan *d, tni_verdict_set *set, const tni_claim *claim,
                      uint32_t label) {
    tni_claim_cost cost = tni_claims_cost(set, claim);
    tnp_claim *out = &d->claims[d->claim_count++];
    int64_t sum = 0;
    *out = (tnp_claim){.label = label, .op_begin = d->claim_op_count};
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < claim->nodes.count; i++) {
            tni_option *option = &set->options[set->claim_places[claim->nodes.begin + i]];
            if (option->bound != (pass == 0)) {
                continue;
            }
            uint32_t op = claim_op(d, set, claim->nodes.begin + i, label);
            if (option->bound && claim->origin != TN_COST_UNKNOWN) {
                option->cost_ns =
                    cost.bound_node_ns >> 40 ? (uint64_t)TNI_MAX_COST_NS : cost.bound_node_ns;
                option->origin = claim->origin;
                *cost_of(d, op, label) = (int64_t)option->cost_ns;
            }
            out->bound_count += option->bound;
            sum += *cost_of(d, op, label);
            d->claim_ops[d->claim_op_count++] = op;
        }
    }
    out->op_count = d->claim_op_count - out->op_begin;
    out->saving = cost.saving_ns < (uint64_t)sum ? (int64_t)cost.saving_ns : sum;
}

// Where a claim cannot be offered, its bound nodes cannot either.
static void refuse_bound(tni_draft_plan *d, const tni_verdict_set *set, const tni_claim *claim,
                         uint32_t label) {
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        uint32_t place = set->claim_places[claim->nodes.begin + i];
        if (set->options[place].bound) {
            *cost_of(d, place + 1, label) = TNP_UNSUPPORTED;
        }
    }
}

tn_status tni_claims_draft(tni_draft_plan *draft, tn_error *error) {
    tni_draft_plan *d = draft;
    const tni_plan *plan = d->plan;
    tni_claims_merge_room(d, &d->claim_capacity, &d->claim_op_capacity);
    for (uint32_t k = 0; k < plan->set_count; k++) {
        d->claim_capacity += plan->sets[k].claim_count;
        d->claim_op_capacity += plan->sets[k].claim_place_count;
    }
    d->claims = tni_alloc_array(&plan->alloc, (uint64_t)d->claim_capacity + 1, sizeof(*d->claims));
    d->claim_ops =
        tni_alloc_array(&plan->alloc, (uint64_t)d->claim_op_capacity + 1, sizeof(*d->claim_ops));
    if (d->claims == NULL || d->claim_ops == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "claims");
    }
    for (uint32_t k = 0; k < plan->set_count; k++) {
        tni_verdict_set *set = &plan->sets[k];
        for (uint32_t i = 0; i < set->claim_count; i++) {
            const tni_claim *claim = &set->claims[i];
            if (claim->stands && is_complete(d, set, claim, k + 1)) {
                add_claim(d, set, claim, k + 1);
            } else if (claim->stands) {
                refuse_bound(d, set, claim, k + 1);
            }
        }
    }
    return d->info->merge_copies ? tni_claims_merge(d, error) : TN_OK;
}
