// SPDX-License-Identifier: Apache-2.0
// Bound and plan in turn. Each round finds the labels that are cheapest under the present prices of
// dependencies, which bounds every plan from below; orders and prices them as a plan; and moves the
// prices towards the path where these labels change most.
#include "search.h"

#define ROUNDS 400u
#define ROUNDS_WITHOUT_PROGRESS 40u
#define ALTERNATIONS 6u

// All on label 0 where that can be: from here one expansion of label 1 is exact for two labels.
static void lowest_labels(const tnp_graph *g, uint32_t *out_label) {
    for (uint32_t var = 0; var < g->var_count; var++) {
        uint32_t label = 0;
        while (g->unary[(uint64_t)var * g->label_count + label] == TNP_INFINITE) {
            label++;
        }
        out_label[var] = label;
    }
}

void tnp_search_follow(tnp_search *search, const uint32_t *var_label) {
    tnp_search *s = search;
    for (uint32_t op = 0; op < s->graph.op_count; op++) {
        s->op_label[op] = var_label[s->graph.var_of[op]];
    }
    tnp_paths_follow(&s->paths, s->op_label);
}

static int64_t scaled_bound(const tnp_energy *energy, int64_t value) {
    int64_t above = value - tnp_energy_constant(energy);
    return above > 0 ? (above + energy->scale - 1) / energy->scale : above / energy->scale;
}

// Expands every label in turn until nothing moves, at most `cycles` times.
static void expand_all(tnp_search *s, const uint32_t *chain, uint32_t cycles, uint32_t *label) {
    uint32_t labels = s->graph.label_count;
    uint32_t still = 0; // labels in a row that moved nothing
    if (labels == 2) {
        lowest_labels(&s->graph, label);
        tnp_expand(&s->mover, chain, 1, label);
        return;
    }
    for (uint32_t i = 0; i < cycles * labels && still < labels; i++) {
        still = tnp_expand(&s->mover, chain, i % labels, label) > 0 ? 0 : still + 1;
    }
}

// The cheapest labels under the present prices, into s->var_label, and the bound that they give.
static int64_t solve_round(tnp_search *s, uint32_t round) {
    if (s->graph.label_count <= 2) {
        expand_all(s, NULL, 1, s->var_label);
        return scaled_bound(&s->energy, tnp_energy_total(&s->energy, s->var_label));
    }
    int64_t beat = s->found ? s->cost.total : INT64_MAX;
    tnp_dual_update(&s->dual);
    int left = 1;
    uint32_t passes = round == 0 ? 4u : 2u;
    for (uint32_t pass = 0; pass < passes && left; pass++) {
        left = tnp_dual_pass(&s->dual, beat, pass + 1 == passes ? s->var_label : NULL);
    }
    if (!left) {
        return s->cost.total;
    }
    int64_t bound = tnp_dual_bound(&s->dual);
    return bound < beat ? bound : beat;
}

// Prices of capacities aim at the best plan, or where there is none yet at twice the bound.
static void reprice(tnp_search *s) {
    int64_t aim = s->found ? s->cost.total : s->bound * 2 + 1;
    tnp_caps_reprice(&s->caps, s->var_label, aim > s->bound ? aim - s->bound : 0);
}

void tnp_search_alternate(tnp_search *search) {
    tnp_search *s = search;
    for (uint32_t i = 0; s->found && i < ALTERNATIONS && tnp_search_goes_on(s); i++) {
        tnp_search_best_labels(s, s->var_label);
        expand_all(s, s->order, 1, s->var_label);
        int better = tnp_search_consider(s, s->var_label, 0);
        better |= tnp_search_consider_fitted(s, s->var_label);
        if (!better) {
            return;
        }
    }
}

void tnp_search_bounds(tnp_search *search) {
    tnp_search *s = search;
    uint32_t idle = 0;
    tnp_search_follow(s, s->var_label);
    for (uint32_t round = 0; round < ROUNDS && idle < ROUNDS_WITHOUT_PROGRESS; round++) {
        if (!tnp_search_goes_on(s)) {
            return;
        }
        int64_t before = s->found ? s->cost.total - s->bound : INT64_MAX;
        tnp_search_raise_bound(s, solve_round(s, round));
        // consider mends labels in place; the prices follow the labels as they were rounded.
        tnp_search_follow(s, s->var_label);
        reprice(s);
        int better = tnp_search_consider(s, s->var_label, 0);
        better |= tnp_search_consider_fitted(s, s->var_label);
        if (better || round % 8 == 2) {
            tnp_search_alternate(s);
        }
        int64_t gap = s->found ? s->cost.total - s->bound : INT64_MAX;
        idle = gap < before - before / 256 ? 0 : idle + 1;
    }
}
