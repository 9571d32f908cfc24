// SPDX-License-Identifier: Apache-2.0
// Setting up, pricing a labelling, and knowing when to stop.
#include "search.h"

#include <string.h>

// Steps between two questions whether to stop: some milliseconds.
#define QUESTION_STEPS 500000u

// Up to 100 ms for a hundred ops, of which nearly all problems need a tenth; for ten thousand 30 ms
// with two labels and 100 with four.
static uint64_t default_budget(const tnp_graph *g) {
    uint64_t size = (uint64_t)g->op_count + g->edge_count + 1;
    uint64_t per_size = g->label_count <= 2 ? 130u : 215u * g->label_count;
    return 30000000u * (uint64_t)200 / (200 + size) + size * per_size;
}

static void *copy_array(tnp_arena *arena, const void *array, uint64_t count, uint64_t size) {
    void *copy = tnp_arena_array(arena, count, size);
    if (copy != NULL) {
        memcpy(copy, array, count * size);
    }
    return copy;
}

// Contractions are proven for serial plans: what labels at work at the same time need is the graph
// as it is before.
static tnp_status keep_whole(tnp_arena *arena, tnp_search *s) {
    const tnp_graph *g = &s->graph;
    uint64_t vars = g->var_count;
    s->whole = s->graph;
    s->whole.var_of = copy_array(arena, g->var_of, g->op_count, sizeof(*g->var_of));
    s->whole.unary = copy_array(arena, g->unary, vars * g->label_count, sizeof(*g->unary));
    if (g->var_bytes != NULL) {
        s->whole.var_bytes = copy_array(arena, g->var_bytes, vars, sizeof(*g->var_bytes));
    }
    return s->whole.var_of != NULL && s->whole.unary != NULL &&
                   (s->whole.var_bytes != NULL) == (g->var_bytes != NULL)
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

tnp_status tnp_search_init(tnp_arena *arena, const tnp_problem *problem, const tnp_options *options,
                           tnp_search *out_search, uint32_t *out_culprit) {
    tnp_search *s = out_search;
    memset(s, 0, sizeof(*s));
    tnp_status status = tnp_graph_init(arena, problem, &s->graph, out_culprit);
    if (status == TNP_OK && options != NULL && options->concurrent) {
        status = keep_whole(arena, s);
    }
    if (status == TNP_OK) {
        status = tnp_contract(arena, &s->graph, &s->own_work);
    }
    if (status != TNP_OK) {
        return status;
    }
    int64_t *metrics = NULL;
    uint32_t metric_count = 0;
    s->options = options;
    s->budget = options != NULL && options->work_budget > 0 ? options->work_budget
                                                            : default_budget(&s->graph);
    s->bound = INT64_MIN;
    s->var_label = tnp_arena_array(arena, s->graph.op_count, sizeof(uint32_t));
    s->op_label = tnp_arena_array(arena, s->graph.op_count, sizeof(uint32_t));
    s->label = tnp_arena_array(arena, s->graph.op_count, sizeof(uint32_t));
    s->order = tnp_arena_array(arena, s->graph.op_count, sizeof(uint32_t));
    if (s->var_label == NULL || s->op_label == NULL || s->label == NULL || s->order == NULL ||
        tnp_split_handovers(arena, &s->graph, &metrics, &metric_count) != TNP_OK ||
        tnp_energy_init(arena, &s->graph, metrics, metric_count, &s->energy) != TNP_OK ||
        tnp_paths_init(arena, &s->energy, &s->paths) != TNP_OK ||
        tnp_caps_init(arena, &s->energy, &s->caps) != TNP_OK ||
        // Two labels are bounded by cuts; branch.c makes the dual when it gets there.
        (s->graph.label_count > 2 && tnp_dual_init(arena, &s->energy, &s->dual) != TNP_OK) ||
        tnp_mover_init(arena, &s->energy, &s->mover) != TNP_OK ||
        tnp_orderer_init(arena, &s->graph, &s->orderer) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    return TNP_OK;
}

uint64_t tnp_search_work(const tnp_search *search) {
    return search->own_work + search->paths.work + search->dual.work + search->mover.flow.work +
           search->orderer.schedule.work;
}

int tnp_search_goes_on(tnp_search *search) {
    uint64_t work = tnp_search_work(search);
    if (search->options != NULL && search->options->cancelled != NULL && !search->cancelled &&
        work >= search->next_question) {
        search->next_question = work + QUESTION_STEPS;
        search->cancelled = search->options->cancelled(search->options->user_data) != 0;
    }
    return !search->cancelled && work < search->budget &&
           (!search->found || search->bound < search->cost.total);
}

void tnp_search_raise_bound(tnp_search *search, int64_t bound) {
    search->bound = bound > search->bound ? bound : search->bound;
}

void tnp_search_best_labels(const tnp_search *search, uint32_t *out_var_label) {
    for (uint32_t op = 0; op < search->graph.op_count; op++) {
        out_var_label[search->graph.var_of[op]] = search->label[op];
    }
}

// Where var costs least other than on label; label itself when nowhere else.
static uint32_t elsewhere(const tnp_graph *g, uint32_t var, uint32_t label) {
    const int64_t *cost = g->unary + (uint64_t)var * g->label_count;
    uint32_t best = label;
    for (uint32_t other = 0; other < g->label_count; other++) {
        if (other != label && cost[other] != TNP_INFINITE &&
            (best == label || cost[other] < cost[best])) {
            best = other;
        }
    }
    return best;
}

// A claim of which only some ops are on the label loses those that are bound to it: each goes where
// it is cheapest otherwise. Where one cannot go elsewhere, the rest comes instead. Returns whether
// anything moved.
static int mend_claim(const tnp_graph *g, const tnp_claim *claim, uint32_t *var_label) {
    const uint32_t *ops = g->problem->claim_ops + claim->op_begin;
    uint32_t here = 0;
    int bound_here = 0;
    int stuck = 0;
    for (uint32_t i = 0; i < claim->op_count; i++) {
        uint32_t var = g->var_of[ops[i]];
        here += var_label[var] == claim->label;
        if (i < claim->bound_count && var_label[var] == claim->label) {
            bound_here = 1;
            stuck |= elsewhere(g, var, claim->label) == claim->label;
        }
    }
    if (!bound_here || here == claim->op_count) {
        return 0;
    }
    for (uint32_t i = 0; i < claim->op_count; i++) {
        uint32_t *label = &var_label[g->var_of[ops[i]]];
        if (stuck) {
            *label = claim->label;
        } else if (*label == claim->label && i < claim->bound_count) {
            *label = elsewhere(g, g->var_of[ops[i]], claim->label);
        }
    }
    return 1;
}

// Mending one claim can break another, so a few rounds; returns 0 when that does not end.
static int mend_claims(const tnp_graph *g, uint32_t *var_label) {
    for (uint32_t round = 0; round < 4; round++) {
        int mended = 0;
        for (uint32_t c = 0; c < g->problem->claim_count; c++) {
            mended |= mend_claim(g, &g->problem->claims[c], var_label);
        }
        if (!mended) {
            return 1;
        }
    }
    return 0;
}

int tnp_search_consider_fitted(tnp_search *search, uint32_t *var_label) {
    return search->graph.var_bytes != NULL && !tnp_caps_fit(&search->caps, var_label) &&
           tnp_caps_mend(&search->caps, var_label) && tnp_search_consider(search, var_label, 0);
}

int tnp_search_admit(tnp_search *search, const uint32_t *var_label) {
    const tnp_graph *g = &search->graph;
    if (var_label != search->var_label) {
        memcpy(search->var_label, var_label, (uint64_t)g->var_count * sizeof(uint32_t));
    }
    if (!mend_claims(g, search->var_label) || !tnp_caps_fit(&search->caps, search->var_label)) {
        return 0;
    }
    // After mending, which brings ops where their claim is without asking whether they can.
    for (uint32_t var = 0; var < g->var_count; var++) {
        if (g->unary[(uint64_t)var * g->label_count + search->var_label[var]] == TNP_INFINITE) {
            return 0;
        }
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        search->op_label[op] = search->var_label[g->var_of[op]];
    }
    search->own_work += g->op_count + g->edge_count;
    return 1;
}

int tnp_search_consider(tnp_search *search, const uint32_t *var_label, int thorough) {
    const tnp_graph *g = &search->graph;
    if (!tnp_search_admit(search, var_label)) {
        return 0;
    }
    if (!tnp_order(&search->orderer, search->op_label, thorough)) {
        return 0;
    }
    if (search->found && search->orderer.cost.total >= search->cost.total) {
        return 0;
    }
    search->found = 1;
    search->cost = search->orderer.cost;
    memcpy(search->label, search->op_label, (uint64_t)g->op_count * sizeof(uint32_t));
    memcpy(search->order, search->orderer.order, (uint64_t)g->op_count * sizeof(uint32_t));
    return 1;
}
