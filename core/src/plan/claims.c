// SPDX-License-Identifier: Apache-2.0
// Reading claims, choosing among those that overlap, and what they cost.
#include "plan/claims.h"

#include "base/checked.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

// A record of the answer; strides as the plugin was told them.
static const tn_claim *claim_at(const tn_verdicts *v, uint32_t index) {
    return (const tn_claim *)(const void *)((const unsigned char *)v->claims +
                                            (uint64_t)index * v->claim_stride_bytes);
}

static tn_status check_claim(const tni_verdict_set *set, const tn_verdicts *v, uint32_t index,
                             const tni_view *view, tn_error *error) {
    const tn_claim *claim = claim_at(v, index);
    uint64_t end = (uint64_t)claim->nodes.begin + claim->nodes.count;
    bool sound =
        claim->kind <= TN_CLAIM_BONUS && claim->nodes.count > 0 && end <= v->claim_node_count;
    for (uint64_t i = claim->nodes.begin; sound && i < end; i++) {
        uint32_t node = v->claim_nodes[i];
        sound = node < view->node_count && v->nodes[node].answer != TN_ANSWER_NO;
    }
    return sound ? TN_OK
                 : tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.claim",
                            "%s: claim %u is of kind %u, or names a node that is not there or that "
                            "the device refuses (ABI-47)",
                            set->device->id, index, claim->kind);
}

// Appends the claim's nodes as places of the region, each once. Returns false when the claim is
// about other than the outermost nodes, or takes some but not all that stand for one of the model.
static bool add_nodes(tni_verdict_set *set, const tn_verdicts *v, const tn_claim *claim,
                      const tni_model *model, const tni_view *view, const tni_map *places) {
    const tn_range outermost = tni_view_outermost(view);
    uint32_t begin = set->claim_place_count;
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        uint32_t named = v->claim_nodes[claim->nodes.begin + i];
        uint32_t owner = named - outermost.begin < outermost.count
                             ? tni_view_written_for(model, view, named)
                             : TN_NONE;
        uint32_t place = TN_NONE;
        bool unfit = owner == TN_NONE || !tni_map_find_u64(places, owner, &place);
        for (uint32_t k = begin; k < set->claim_place_count; k++) {
            unfit |= set->claim_places[k] == place;
        }
        // Forms of several nodes would have to be counted; no device has claimed in one yet.
        if (unfit || owner != view->node_of[named]) {
            set->claim_place_count = begin;
            return false;
        }
        set->claim_places[set->claim_place_count++] = place;
    }
    return true;
}

// A node that is IN_CLAIM must be in one.
static tn_status check_bound(const tni_verdict_set *set, const tn_verdicts *v, const tni_view *view,
                             uint8_t *named, tn_error *error) {
    for (uint32_t i = 0; i < v->claim_node_count; i++) {
        if (v->claim_nodes[i] < view->node_count) {
            named[v->claim_nodes[i]] = 1;
        }
    }
    for (uint32_t i = 0; i < view->node_count; i++) {
        if (v->nodes[i].answer == TN_ANSWER_IN_CLAIM && !named[i]) {
            return tni_fail_node(error, TN_ERROR_INVALID_DATA, "verdict.no-claim", i, TN_NONE,
                                 "%s: node %u is to be taken in a claim, and no claim names it "
                                 "(ABI-47)",
                                 set->device->id, i);
        }
    }
    return TN_OK;
}

static tn_status read_claims(tni_verdict_set *set, const tn_verdicts *v, const tni_model *model,
                             const tni_view *view, const tni_map *places, tn_error *error) {
    for (uint32_t i = 0; i < v->claim_count; i++) {
        const tn_claim *claim = claim_at(v, i);
        tn_status status = check_claim(set, v, i, view, error);
        if (status != TN_OK) {
            return status;
        }
        tni_claim *kept = &set->claims[i];
        *kept = (tni_claim){
            .nodes = {set->claim_place_count, 0},
            .kind = claim->kind,
            .origin = claim->origin,
            .cost_ns = claim->origin == TN_COST_UNKNOWN ? 0 : claim->cost_ns,
        };
        if (add_nodes(set, v, claim, model, view, places)) {
            kept->nodes.count = set->claim_place_count - kept->nodes.begin;
        }
    }
    return TN_OK;
}

// Larger claims come first, so they win; of equals the one that the device named first.
static int by_size(const void *a, const void *b) {
    const tni_claim *x = a;
    const tni_claim *y = b;
    if (x->nodes.count != y->nodes.count) {
        return x->nodes.count > y->nodes.count ? -1 : 1;
    }
    return x->nodes.begin < y->nodes.begin ? -1 : x->nodes.begin > y->nodes.begin;
}

tn_status tni_claims_read(tni_verdict_set *set, const tn_verdicts *verdicts, const tni_model *model,
                          const tni_view *view, const tni_map *places, tn_error *error) {
    uint64_t nodes = verdicts->claim_node_count;
    for (uint32_t i = 0; i < verdicts->claim_count; i++) {
        // Claims may share their ranges; each gets its own.
        nodes += claim_at(verdicts, i)->nodes.count;
    }
    if (nodes > TNI_MAX_CLAIM_NODES) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.claim",
                        "%s: the claims name %llu nodes", set->device->id,
                        (unsigned long long)nodes);
    }
    uint8_t *named = tni_alloc_array(&set->alloc, (uint64_t)view->node_count + 1, 1);
    set->claims =
        tni_alloc_array(&set->alloc, (uint64_t)verdicts->claim_count + 1, sizeof(*set->claims));
    set->claim_places = tni_alloc_array(&set->alloc, nodes + 1, sizeof(*set->claim_places));
    set->claim_count = verdicts->claim_count;
    set->claim_place_capacity = (uint32_t)nodes;
    tn_status status = named != NULL && set->claims != NULL && set->claim_places != NULL
                           ? check_bound(set, verdicts, view, named, error)
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "claims");
    if (status == TN_OK) {
        status = read_claims(set, verdicts, model, view, places, error);
        qsort(set->claims, set->claim_count, sizeof(*set->claims), by_size);
    }
    tni_free_array(&set->alloc, named, (uint64_t)view->node_count + 1, 1);
    return status;
}

static bool can_stand(const tni_verdict_set *set, const tni_claim *claim, const uint8_t *taken) {
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        uint32_t place = set->claim_places[claim->nodes.begin + i];
        if (!set->options[place].possible || taken[place]) {
            return false;
        }
    }
    return claim->nodes.count > 0;
}

static void choose_claims(tni_verdict_set *set, uint8_t *taken) {
    memset(taken, 0, set->node_count);
    for (uint32_t i = 0; i < set->claim_count; i++) {
        tni_claim *claim = &set->claims[i];
        claim->stands = can_stand(set, claim, taken);
        for (uint32_t k = 0; claim->stands && k < claim->nodes.count; k++) {
            taken[set->claim_places[claim->nodes.begin + k]] = 1;
        }
    }
}

void tni_claims_settle(tni_verdict_set *set, uint8_t *taken) {
    // Refusing a node can bring down a claim that another node needs.
    for (bool changed = true; changed;) {
        changed = false;
        choose_claims(set, taken);
        for (uint32_t i = 0; i < set->node_count; i++) {
            if (set->options[i].possible && set->options[i].bound && !taken[i]) {
                tni_verdicts_forbid(set, i, TN_REASON_CONVEXITY);
                changed = true;
            }
        }
    }
}

tni_claim_cost tni_claims_cost(const tni_verdict_set *set, const tni_claim *claim) {
    tni_claim_cost cost = {0, 0};
    uint64_t singles = 0;
    uint64_t bound = 0;
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        uint32_t place = set->claim_places[claim->nodes.begin + i];
        bound += set->options[place].bound;
        singles += set->options[place].bound ? 0 : set->options[place].cost_ns;
    }
    if (claim->kind == TN_CLAIM_BONUS) {
        cost.saving_ns = claim->cost_ns < singles ? claim->cost_ns : singles;
    } else if (claim->origin != TN_COST_UNKNOWN && claim->cost_ns < singles) {
        cost.saving_ns = singles - claim->cost_ns;
    } else if (claim->origin != TN_COST_UNKNOWN && bound > 0) {
        cost.bound_node_ns = (claim->cost_ns - singles) / bound;
    }
    return cost;
}
