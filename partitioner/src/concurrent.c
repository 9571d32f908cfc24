// SPDX-License-Identifier: Apache-2.0
// Plans for labels that work at the same time. Starting from the serial plan, connected stretches
// and single ops take other labels while the end comes earlier. An order with few segments hands
// over seldom, one that follows the ops' numbers lets results go early: both are tried.
#include "search.h"
#include "simulate.h"

#include <string.h>

typedef struct concurrent {
    tnp_search *search;
    tnp_simulator simulator;
    uint32_t *natural; // [op]: 0, 1, 2 ...
    uint32_t *segment_of;
    uint32_t *trial; // [var]
    int64_t best;
    uint64_t limit; // work at which to stop
} concurrent;

static uint64_t work_of(const concurrent *c) {
    return tnp_search_work(c->search) + c->simulator.steps;
}

static void keep(concurrent *c, const uint32_t *label, const uint32_t *order, int64_t makespan) {
    tnp_search *s = c->search;
    uint64_t bytes = (uint64_t)s->graph.op_count * sizeof(uint32_t);
    uint32_t broken;
    memcpy(s->label, label, bytes);
    memcpy(s->order, order, bytes);
    tnp_price(&s->graph, s->label, s->order, c->segment_of, &s->cost, &broken);
    c->best = makespan;
}

// Simulates both orders of these labels (by op) and keeps the better if it ends earlier.
static int try_labels(concurrent *c, const uint32_t *label) {
    tnp_search *s = c->search;
    int better = 0;
    const uint32_t *orders[2] = {NULL, c->natural};
    if (tnp_order(&s->orderer, label, 0)) {
        orders[0] = s->orderer.order;
    }
    for (uint32_t i = 0; i < 2; i++) {
        tnp_cost cost;
        uint32_t broken = 0;
        if (orders[i] == NULL) {
            continue;
        }
        tnp_price(&s->graph, label, orders[i], c->segment_of, &cost, &broken);
        int64_t makespan =
            broken == 0 ? tnp_simulator_run(&c->simulator, label, orders[i]) : INT64_MAX;
        if (makespan < c->best) {
            keep(c, label, orders[i], makespan);
            better = 1;
        }
    }
    return better;
}

static int try_trial(concurrent *c) {
    tnp_search *s = c->search;
    if (!tnp_search_admit(s, c->trial)) {
        return 0;
    }
    return try_labels(c, s->op_label);
}

static int can(const tnp_graph *g, uint32_t op, uint32_t label) {
    return g->unary[(uint64_t)g->var_of[op] * g->label_count + label] != TNP_INFINITE;
}

// From op on, the ops that can follow it along dependencies without leaving its label and without
// meeting a branch: a chain, which is what moves best as a whole.
static void move_chain(concurrent *c, uint32_t op, uint32_t label) {
    const tnp_graph *g = &c->search->graph;
    uint32_t here = c->search->label[op];
    tnp_search_best_labels(c->search, c->trial);
    while (can(g, op, label)) {
        c->trial[g->var_of[op]] = label;
        if (g->out_begin[op + 1] - g->out_begin[op] != 1) {
            return;
        }
        op = g->edges[g->out_begin[op]].to;
        if (c->search->label[op] != here || g->in_begin[op + 1] - g->in_begin[op] != 1) {
            return;
        }
    }
}

static int improve_once(concurrent *c) {
    const tnp_graph *g = &c->search->graph;
    int better = 0;
    for (uint32_t op = 0; op < g->op_count && work_of(c) < c->limit; op++) {
        for (uint32_t label = 0; label < g->label_count; label++) {
            if (label == c->search->label[op] || !can(g, op, label)) {
                continue;
            }
            move_chain(c, op, label);
            better |= try_trial(c);
            if (label != c->search->label[op]) {
                tnp_search_best_labels(c->search, c->trial);
                c->trial[g->var_of[op]] = label;
                better |= try_trial(c);
            }
        }
    }
    return better;
}

tnp_status tnp_search_concurrent(tnp_arena *arena, tnp_search *search) {
    concurrent c = {.search = search};
    uint64_t ops = search->graph.op_count;
    c.natural = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c.segment_of = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c.trial = tnp_arena_array(arena, search->graph.var_count, sizeof(uint32_t));
    if (c.natural == NULL || c.segment_of == NULL || c.trial == NULL ||
        tnp_simulator_init(arena, &search->graph, &c.simulator) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    for (uint32_t op = 0; op < ops; op++) {
        c.natural[op] = op;
    }
    c.best = tnp_simulator_run(&c.simulator, search->label, search->order);
    try_labels(&c, search->label);
    // As much again as the serial search was allowed.
    c.limit = work_of(&c) + search->budget;
    while (work_of(&c) < c.limit && improve_once(&c)) {
    }
    search->own_work += c.simulator.steps;
    return TNP_OK;
}
