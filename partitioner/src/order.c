// SPDX-License-Identifier: Apache-2.0
// Without claims an order is a sequence of closures. A claim whose ops are all on its label must be
// held together to count; holding it can cost handovers. Claims with bound ops are always held; for
// those without bound ops that the cheapest order splits, both answers are tried.
#include "order.h"

#include <string.h>

#define CLAIM_TRIES 64u

tnp_status tnp_orderer_init(tnp_arena *arena, const tnp_graph *graph, tnp_orderer *out_orderer) {
    memset(out_orderer, 0, sizeof(*out_orderer));
    out_orderer->graph = graph;
    out_orderer->order = tnp_arena_array(arena, graph->op_count, sizeof(uint32_t));
    out_orderer->trial = tnp_arena_array(arena, graph->op_count, sizeof(uint32_t));
    out_orderer->segment_of = tnp_arena_array(arena, graph->op_count, sizeof(uint32_t));
    out_orderer->given_up = tnp_arena_array(arena, graph->problem->claim_count, 1);
    if (out_orderer->order == NULL || out_orderer->trial == NULL ||
        out_orderer->segment_of == NULL || out_orderer->given_up == NULL ||
        tnp_schedule_init(arena, graph, &out_orderer->schedule) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    return tnp_beam_init(arena, &out_orderer->schedule, &out_orderer->beam);
}

// Takes the schedule's order as the best with the claims held now.
static void keep_trial(tnp_orderer *o) {
    memcpy(o->trial, o->schedule.order, (uint64_t)o->graph->op_count * sizeof(uint32_t));
}

// Prices the trial; segment_of speaks of it afterwards.
static void keep_if_cheaper(tnp_orderer *o, const uint32_t *label) {
    tnp_cost cost;
    uint32_t broken = 0;
    tnp_price(o->graph, label, o->trial, o->segment_of, &cost, &broken);
    if (broken == 0 && (!o->found || cost.total < o->cost.total)) {
        uint32_t *order = o->order;
        o->found = 1;
        o->cost = cost;
        o->order = o->trial;
        o->trial = order;
    }
}

static uint64_t source_labels(const tnp_graph *g, const uint32_t *label) {
    uint64_t labels = 0;
    for (uint32_t op = 0; op < g->op_count; op++) {
        if (g->in_begin[op + 1] == g->in_begin[op]) {
            labels |= (uint64_t)1 << label[op];
        }
    }
    return labels;
}

// The cheapest sequence found with the claims that are held now. Returns whether there is one.
static int order_held(tnp_orderer *o, const uint32_t *label, int thorough) {
    uint64_t sources = source_labels(o->graph, label);
    int64_t best = INT64_MAX;
    for (uint32_t first = 0; first < o->graph->label_count; first++) {
        int64_t handovers;
        if (((sources >> first) & 1u) &&
            tnp_schedule_greedy(&o->schedule, label, first, &handovers) && handovers < best) {
            best = handovers;
            keep_trial(o);
        }
    }
    // Two labels alternate, so their two starts are all there is, unless a start is held back.
    int search = o->graph->label_count > 2 || o->schedule.held_count > 0;
    if (thorough && search) {
        if (tnp_beam_search(&o->beam, label, &best)) {
            keep_trial(o);
        }
        o->exact &= o->beam.exact;
    }
    if (best < INT64_MAX) {
        keep_if_cheaper(o, label);
    }
    return best < INT64_MAX;
}

static int claim_is_whole(const tnp_problem *p, const tnp_claim *claim, const uint32_t *label) {
    for (uint32_t i = 0; i < claim->op_count; i++) {
        if (label[p->claim_ops[claim->op_begin + i]] != claim->label) {
            return 0;
        }
    }
    return 1;
}

static void hold(tnp_orderer *o, uint32_t claim, int on) {
    o->schedule.held_count += on ? 1u : 0u;
    o->schedule.held_count -= o->schedule.held[claim] ? 1u : 0u;
    o->schedule.held[claim] = on ? 1 : 0;
}

// Holds the claims with bound ops, and the mere bonuses too when with_bonuses. Returns how many
// bonuses could be held.
static uint32_t hold_claims(tnp_orderer *o, const uint32_t *label, int with_bonuses) {
    const tnp_problem *p = o->graph->problem;
    uint32_t bonuses = 0;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        const tnp_claim *claim = &p->claims[c];
        int bonus = claim->bound_count == 0;
        int whole = claim->op_count > 1 && claim_is_whole(p, claim, label);
        int worth = bonus && whole && claim->saving > 0;
        bonuses += worth ? 1u : 0u;
        hold(o, c, bonus ? worth && with_bonuses : whole);
        o->given_up[c] = 0;
    }
    return bonuses;
}

// A bonus whose ops are all on its label but not in one segment of the last trial.
static uint32_t split_bonus(const tnp_orderer *o, const uint32_t *label) {
    const tnp_problem *p = o->graph->problem;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        const tnp_claim *claim = &p->claims[c];
        if (claim->bound_count > 0 || claim->saving == 0 || o->given_up[c] || o->schedule.held[c] ||
            !claim_is_whole(p, claim, label)) {
            continue;
        }
        for (uint32_t i = 1; i < claim->op_count; i++) {
            if (o->segment_of[p->claim_ops[claim->op_begin + i]] !=
                o->segment_of[p->claim_ops[claim->op_begin]]) {
                return c;
            }
        }
    }
    return TNP_NONE;
}

// Orders with the claims held now; then holds one bonus that this order splits, and then does
// without it.
static void try_bonuses(tnp_orderer *o, const uint32_t *label) {
    if (o->tries == 0) {
        o->exact = 0;
        return;
    }
    o->tries--;
    uint32_t claim = order_held(o, label, 1) ? split_bonus(o, label) : TNP_NONE;
    if (claim != TNP_NONE) {
        hold(o, claim, 1);
        try_bonuses(o, label);
        hold(o, claim, 0);
        o->given_up[claim] = 1;
        try_bonuses(o, label);
        o->given_up[claim] = 0;
    }
}

int tnp_order(tnp_orderer *orderer, const uint32_t *label, int thorough) {
    tnp_orderer *o = orderer;
    o->found = 0;
    o->tries = CLAIM_TRIES;
    o->exact = thorough;
    if (hold_claims(o, label, 1) > 0) {
        order_held(o, label, thorough);
        hold_claims(o, label, 0);
    }
    if (thorough) {
        try_bonuses(o, label);
    } else {
        order_held(o, label, 0);
    }
    return o->found;
}
