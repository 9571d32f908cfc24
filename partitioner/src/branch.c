// SPDX-License-Identifier: Apache-2.0
// Branch and bound for what the rounds leave open: fix the variable in the greatest doubt to each
// label, let the dual strike out what can no longer beat the best plan, and so on. When all
// branches are closed the best plan is proven optimal. The prices of dependencies go on being
// played for in every branch: what bounds the whole is not what bounds a part best.
//
// Capacities are kept exactly: what is fixed takes its room, and labels without room for a variable
// are struck out. So a plan that fits is found, if there is one, however well it is hidden; as long
// as there is none, the largest variable is fixed next.
#include "search.h"

#include <math.h>
#include <string.h>

// Larger problems have too many variables in doubt for branches to close.
#define MAX_OPS 4000u
#define MAX_DEPTH 200u
// Saved states of the dual: what all depths together may take.
#define MAX_SAVED_VALUES (1u << 20)
#define PASSES 40u
// A pass that closes less than a 64th of the gap is idle; so many in a row end the tightening.
#define IDLE_PASSES 4u
// In a branch the play goes on as if it were this young, so that it can still change its mind.
#define YOUNG_ROUND 60u

typedef struct branching {
    tnp_search *search;
    double *saved;        // [depth][value]
    uint32_t *saved_flow; // [depth]: the dual's flow_seen
    int64_t *saved_price; // [depth][label]: its price_seen
    uint64_t flow_count;
    uint32_t depth_limit;
    uint32_t *rounded; // [var]
    uint64_t *room;    // [label]: what fixed variables leave
    int complete;      // no branch was left open
} branching;

static int64_t cost_to_beat(const tnp_search *s) {
    return s->found ? s->cost.total : INT64_MAX;
}

// Passes, and rounds of the play, until the bound stands still. Returns 0 when nothing here beats
// the best plan.
static int tighten(branching *b) {
    tnp_search *s = b->search;
    int64_t last = tnp_dual_bound(&s->dual);
    int64_t beat = cost_to_beat(s);
    uint32_t idle = 0;
    s->paths.round = s->paths.round < YOUNG_ROUND ? s->paths.round : YOUNG_ROUND;
    for (uint32_t pass = 0; pass < PASSES && idle <= IDLE_PASSES && tnp_search_goes_on(s); pass++) {
        if (!tnp_dual_pass(&s->dual, beat, b->rounded)) {
            return 0;
        }
        int64_t now = tnp_dual_bound(&s->dual);
        if (now >= beat) {
            return 0;
        }
        int64_t open = s->found ? beat - now : INT64_MAX;
        if (now > last + open / 64) {
            last = now;
            idle = 0;
        } else {
            idle++;
        }
        tnp_search_follow(s, b->rounded);
        tnp_caps_reprice(&s->caps, b->rounded, s->found ? open : now > 0 ? now / 4 + 1 : 1);
        tnp_dual_update(&s->dual);
    }
    return 1;
}

static void save(branching *b, uint32_t depth) {
    const tnp_dual *d = &b->search->dual;
    memcpy(b->saved + depth * d->value_count, d->values, d->value_count * sizeof(*d->values));
    memcpy(b->saved_flow + depth * b->flow_count, d->flow_seen,
           b->flow_count * sizeof(*d->flow_seen));
    uint32_t labels = b->search->graph.label_count;
    memcpy(b->saved_price + (uint64_t)depth * labels, d->price_seen, labels * sizeof(int64_t));
}

// Flows and prices stay what they are; the dual takes them over.
static void restore(branching *b, uint32_t depth) {
    tnp_dual *d = &b->search->dual;
    memcpy(d->values, b->saved + depth * d->value_count, d->value_count * sizeof(*d->values));
    memcpy(d->flow_seen, b->saved_flow + depth * b->flow_count,
           b->flow_count * sizeof(*d->flow_seen));
    uint32_t labels = b->search->graph.label_count;
    memcpy(d->price_seen, b->saved_price + (uint64_t)depth * labels, labels * sizeof(int64_t));
    tnp_dual_update(d);
    b->search->own_work += d->value_count / 4;
}

// Takes the room of variables with one label left. Returns 0 when there is not enough.
static int take_room(branching *b) {
    const tnp_search *s = b->search;
    const tnp_graph *g = &s->graph;
    memcpy(b->room, g->problem->label_capacity, g->label_count * sizeof(*b->room));
    for (uint32_t var = 0; var < g->var_count; var++) {
        uint32_t label = tnp_dual_only_label(&s->dual, var);
        if (label == TNP_NONE) {
            continue;
        }
        if (g->var_bytes[var] > b->room[label]) {
            return 0;
        }
        b->room[label] -= b->room[label] == TNP_NO_CAPACITY ? 0 : g->var_bytes[var];
    }
    return 1;
}

// Strikes out labels that have no room, until that leaves no label alone any more. Returns 0 when
// nothing fits.
static int keep_capacities(branching *b) {
    tnp_search *s = b->search;
    const tnp_graph *g = &s->graph;
    int settled = g->var_bytes == NULL;
    while (!settled) {
        settled = 1;
        if (!take_room(b)) {
            return 0;
        }
        for (uint32_t var = 0; var < g->var_count; var++) {
            if (tnp_dual_only_label(&s->dual, var) != TNP_NONE) {
                continue;
            }
            uint32_t left = g->label_count;
            for (uint32_t label = 0; label < g->label_count && left > 1; label++) {
                left = g->var_bytes[var] > b->room[label] ? tnp_dual_forbid(&s->dual, var, label)
                                                          : left;
            }
            if (left == 0) {
                return 0;
            }
            settled &= left > 1;
        }
        s->own_work += (uint64_t)g->var_count * g->label_count;
    }
    return 1;
}

// The variable with labels left whose second label costs least more; as long as there is no plan,
// the one that takes most room. TNP_NONE when all are fixed.
static uint32_t most_doubtful(const tnp_search *s) {
    uint32_t best = TNP_NONE;
    double least = HUGE_VAL;
    uint64_t most = 0;
    for (uint32_t var = 0; var < s->graph.var_count; var++) {
        double doubt = s->dual.doubt[s->dual.node_of_var[var]];
        uint64_t bytes = s->found || s->graph.var_bytes == NULL ? 0 : s->graph.var_bytes[var];
        if (doubt < HUGE_VAL &&
            (best == TNP_NONE || bytes > most || (bytes == most && doubt < least))) {
            least = doubt;
            most = bytes;
            best = var;
        }
    }
    return best;
}

static void explore(branching *b, uint32_t depth) {
    tnp_search *s = b->search;
    if (!tnp_search_goes_on(s)) {
        b->complete = b->complete && s->found && s->bound >= s->cost.total;
        return;
    }
    if (!keep_capacities(b) || !tighten(b)) {
        return;
    }
    tnp_search_consider(s, b->rounded, 1);
    int exact = s->orderer.exact;
    uint32_t var = most_doubtful(s);
    if (var == TNP_NONE || depth == b->depth_limit) {
        // All fixed: the order was searched for; what that left out stays open.
        b->complete = b->complete && var == TNP_NONE && exact;
        return;
    }
    uint32_t first = b->rounded[var];
    save(b, depth);
    for (uint32_t i = 0; i < s->graph.label_count; i++) {
        // The rounded label first, then the others.
        uint32_t label = i == 0 ? first : i <= first ? i - 1 : i;
        restore(b, depth);
        if (tnp_dual_fix(&s->dual, var, label)) {
            explore(b, depth + 1);
        }
    }
}

tnp_status tnp_search_branch(tnp_arena *arena, tnp_search *search) {
    tnp_search *s = search;
    branching b = {.search = s, .complete = 1};
    if (s->graph.op_count > MAX_OPS || !tnp_search_goes_on(s)) {
        return TNP_OK;
    }
    if (s->graph.label_count <= 2 && tnp_dual_init(arena, &s->energy, &s->dual) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    uint64_t depths = MAX_SAVED_VALUES / s->dual.value_count;
    b.depth_limit = depths > MAX_DEPTH ? MAX_DEPTH : (uint32_t)depths;
    if (b.depth_limit == 0) {
        return TNP_OK;
    }
    b.rounded = tnp_arena_array(arena, s->graph.var_count, sizeof(uint32_t));
    b.saved = tnp_arena_array(arena, b.depth_limit * s->dual.value_count, sizeof(*b.saved));
    b.flow_count = (uint64_t)s->energy.metric_count * s->graph.edge_count;
    b.saved_flow = tnp_arena_array(arena, b.depth_limit * b.flow_count, sizeof(*b.saved_flow));
    b.saved_price = tnp_arena_array(arena, (uint64_t)b.depth_limit * s->graph.label_count,
                                    sizeof(*b.saved_price));
    b.room = tnp_arena_array(arena, s->graph.label_count, sizeof(*b.room));
    if (b.rounded == NULL || b.room == NULL || b.saved_price == NULL || b.saved == NULL ||
        b.saved_flow == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    tnp_dual_update(&s->dual);
    explore(&b, 0);
    if (b.complete && s->found) {
        tnp_search_raise_bound(s, s->cost.total);
    }
    return TNP_OK;
}
