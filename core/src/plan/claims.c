// SPDX-License-Identifier: Apache-2.0
// Reading claims, choosing among those that overlap, and what they cost.
#include "plan/claims.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static tn_status check_claim(const tni_verdict_set *set, const tn_verdicts *v, uint32_t index,
                             const tni_view *view, tn_error *error) {
    const tn_claim *claim = tni_claim_at(v, index);
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

// How many nodes of the view stand for one of the model, in the form that the device takes: the
// nodes of its expansion, or of the form.
static uint32_t count_for(const tni_verdict_set *set, const tni_inner_claims *c, uint32_t named,
                          uint32_t owner) {
    const uint32_t graph = tni_view_node(c->view, named)->graph;
    const tn_range outermost = tni_view_outermost(c->view);
    if (tni_verdicts_inline(set, owner)) {
        return graph == 0 ? 0 : tni_view_graph(c->view, graph)->nodes.count;
    }
    uint32_t begin = named;
    uint32_t end = named + 1;
    if (graph != 0) {
        return 0;
    }
    while (begin > outermost.begin && tni_view_written_for(c->model, c->view, begin - 1) == owner) {
        begin--;
    }
    while (end < outermost.begin + outermost.count &&
           tni_view_written_for(c->model, c->view, end) == owner) {
        end++;
    }
    return end - begin;
}

// The node of the region that a node of the view helps to stand for; TN_NONE where it is in a body,
// or in the expansion of a node that is not outermost.
static uint32_t owner_of(const tni_inner_claims *c, uint32_t named) {
    const uint32_t graph = tni_view_node(c->view, named)->graph;
    if (graph == 0) {
        return tni_view_written_for(c->model, c->view, named);
    }
    const uint32_t parent = tni_view_graph(c->view, graph)->parent_node;
    return tni_view_node(c->view, parent)->expansion == graph &&
                   tni_view_node(c->view, parent)->graph == 0
               ? tni_view_written_for(c->model, c->view, parent)
               : TN_NONE;
}

// Appends the nodes of the model that the claim's nodes stand for, as places of the region, each
// once; *inout_left counts, by place, what is still to be named of it.
static tni_claim_loss add_nodes(tni_verdict_set *set, const tni_inner_claims *c, uint32_t index,
                                const tni_map *places, uint32_t *left) {
    const tn_claim *claim = tni_claim_at(c->verdicts, index);
    const uint32_t begin = set->claim_place_count;
    uint32_t still = 0;
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        const uint32_t named = c->verdicts->claim_nodes[claim->nodes.begin + i];
        const uint32_t owner = owner_of(c, named);
        uint32_t place = TN_NONE;
        if (owner == TN_NONE || !tni_map_find_u64(places, owner, &place)) {
            return TNI_CLAIM_IN_BODY;
        }
        bool known = false;
        for (uint32_t k = begin; k < set->claim_place_count && !known; k++) {
            known = set->claim_places[k] == place;
        }
        if (c->seen[named] == index + 1) {
            return TNI_CLAIM_TWICE;
        }
        c->seen[named] = index + 1;
        if (!known) {
            set->claim_places[set->claim_place_count++] = place;
            left[place] = count_for(set, c, named, owner);
            still += left[place];
        }
        if (left[place] == 0) { // of a form that the device does not take it in
            return TNI_CLAIM_PARTLY;
        }
        left[place]--;
        still--;
    }
    return still == 0 ? TNI_CLAIM_COUNTS : TNI_CLAIM_PARTLY;
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

static void tell_losses(tni_verdict_set *set, const tni_inner_claims *c, const uint32_t *losses) {
    static const char *const reasons[TNI_CLAIM_LOSSES] = {
        [TNI_CLAIM_IN_BODY] = "name nodes of bodies, or of expansions in others",
        [TNI_CLAIM_PARTLY] =
            "name part of what stands for a node, or the form of it that is not used",
        [TNI_CLAIM_TWICE] = "name a node twice",
        [TNI_CLAIM_OVERLAP] = "share nodes with others in what stands for a node",
    };
    for (uint32_t i = TNI_CLAIM_COUNTS + 1; i < TNI_CLAIM_LOSSES; i++) {
        if (losses[i] > 0) {
            set->lost_claims += losses[i];
            tni_log_write(&c->model->log, TN_LOG_WARN,
                          "%s: %u of %u claims count for nothing: they %s", set->device->id,
                          losses[i], c->verdicts->claim_count, reasons[i]);
        }
    }
}

static void read_claims(tni_verdict_set *set, const tni_inner_claims *c, const tni_map *places,
                        uint32_t *left) {
    uint32_t losses[TNI_CLAIM_LOSSES] = {[TNI_CLAIM_OVERLAP] = c->overlaps};
    memset(c->seen, 0, c->node_room * sizeof(uint32_t));
    for (uint32_t i = 0; i < c->verdicts->claim_count; i++) {
        const tn_claim *claim = tni_claim_at(c->verdicts, i);
        const uint32_t begin = set->claim_place_count;
        set->claims[i] = (tni_claim){
            .nodes = {begin, 0},
            .kind = claim->kind,
            .origin = claim->origin,
            .cost_ns = claim->origin == TN_COST_UNKNOWN ? 0 : claim->cost_ns,
        };
        if (c->is_inner[i]) {
            continue; // part of what one node costs
        }
        const tni_claim_loss loss = add_nodes(set, c, i, places, left);
        losses[loss]++;
        if (loss == TNI_CLAIM_COUNTS) {
            set->claims[i].nodes.count = set->claim_place_count - begin;
        } else {
            set->claim_place_count = begin;
        }
    }
    tell_losses(set, c, losses);
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

tn_status tni_claims_check(const tni_verdict_set *set, const tn_verdicts *v, const tni_view *view,
                           tn_error *error) {
    uint64_t nodes = v->claim_node_count;
    for (uint32_t i = 0; i < v->claim_count; i++) {
        const tn_status status = check_claim(set, v, i, view, error);
        if (status != TN_OK) {
            return status;
        }
        // Claims may share their ranges; each gets its own.
        nodes += tni_claim_at(v, i)->nodes.count;
    }
    if (nodes > TNI_MAX_CLAIM_NODES) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.claim",
                        "%s: the claims name %llu nodes", set->device->id,
                        (unsigned long long)nodes);
    }
    uint8_t *named = tni_alloc_array(&set->alloc, (uint64_t)view->node_count + 1, 1);
    const tn_status status = named != NULL
                                 ? check_bound(set, v, view, named, error)
                                 : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "claims");
    tni_free_array(&set->alloc, named, (uint64_t)view->node_count + 1, 1);
    return status;
}

tn_status tni_claims_read(tni_verdict_set *set, const tni_inner_claims *inner,
                          const tni_map *places, tn_error *error) {
    const tn_verdicts *v = inner->verdicts;
    const uint64_t room = (uint64_t)set->node_count + 1;
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < v->claim_count; i++) {
        nodes += tni_claim_at(v, i)->nodes.count;
    }
    uint32_t *left = tni_alloc_array(&set->alloc, room, sizeof(*left));
    set->claims = tni_alloc_array(&set->alloc, (uint64_t)v->claim_count + 1, sizeof(*set->claims));
    set->claim_places = tni_alloc_array(&set->alloc, nodes + 1, sizeof(*set->claim_places));
    set->claim_count = v->claim_count;
    set->claim_place_capacity = (uint32_t)nodes;
    tn_status status = TN_OK;
    if (left != NULL && set->claims != NULL && set->claim_places != NULL) {
        read_claims(set, inner, places, left);
        qsort(set->claims, set->claim_count, sizeof(*set->claims), by_size);
    } else {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "claims");
    }
    tni_free_array(&set->alloc, left, room, sizeof(*left));
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
