// SPDX-License-Identifier: Apache-2.0
// Small moves at the true cost: one connected stretch of equal labels, one claim or one op at a
// border takes another label, and stays there if the plan gets cheaper.
#include "search.h"

#include <string.h>

typedef struct local {
    tnp_search *search;
    uint32_t *part_of; // [op]: connected stretch, numbered by its first op
    uint32_t *trial;   // [var]
    uint64_t limit;    // work at which to stop
} local;

static int goes_on(const local *l) {
    return tnp_search_work(l->search) < l->limit && tnp_search_goes_on(l->search);
}

static uint32_t root_of(uint32_t *part_of, uint32_t op) {
    while (part_of[op] != op) {
        part_of[op] = part_of[part_of[op]];
        op = part_of[op];
    }
    return op;
}

static void find_parts(local *l) {
    const tnp_graph *g = &l->search->graph;
    for (uint32_t op = 0; op < g->op_count; op++) {
        l->part_of[op] = op;
    }
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t a = g->edges[e].from;
        uint32_t b = g->edges[e].to;
        if (l->search->label[a] == l->search->label[b]) {
            uint32_t x = root_of(l->part_of, a);
            uint32_t y = root_of(l->part_of, b);
            l->part_of[x > y ? x : y] = x > y ? y : x;
        }
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        l->part_of[op] = root_of(l->part_of, op);
    }
}

static int can(const tnp_graph *g, uint32_t op, uint32_t label) {
    return g->unary[(uint64_t)g->var_of[op] * g->label_count + label] != TNP_INFINITE;
}

// Moves what can of the ops from first on that `belongs` to label; returns whether that paid.
static int try_part(local *l, uint32_t part, uint32_t label) {
    tnp_search *s = l->search;
    uint32_t moved = 0;
    tnp_search_best_labels(s, l->trial);
    for (uint32_t op = part; op < s->graph.op_count; op++) {
        if (l->part_of[op] == part && can(&s->graph, op, label)) {
            l->trial[s->graph.var_of[op]] = label;
            moved++;
        }
    }
    s->own_work += s->graph.op_count / 2;
    return moved > 0 && tnp_search_consider(s, l->trial, 0);
}

static int try_op(local *l, uint32_t op, uint32_t label) {
    tnp_search_best_labels(l->search, l->trial);
    l->trial[l->search->graph.var_of[op]] = label;
    return tnp_search_consider(l->search, l->trial, 0);
}

static int try_claim(local *l, const tnp_claim *claim) {
    tnp_search *s = l->search;
    tnp_search_best_labels(s, l->trial);
    for (uint32_t i = 0; i < claim->op_count; i++) {
        l->trial[s->graph.var_of[s->graph.problem->claim_ops[claim->op_begin + i]]] = claim->label;
    }
    return tnp_search_consider(s, l->trial, 0);
}

static int move_parts(local *l) {
    const tnp_graph *g = &l->search->graph;
    int better = 0;
    find_parts(l);
    for (uint32_t op = 0; op < g->op_count && goes_on(l); op++) {
        for (uint32_t label = 0; label < g->label_count && l->part_of[op] == op; label++) {
            if (label != l->search->label[op] && can(g, op, label) && try_part(l, op, label)) {
                better = 1;
                find_parts(l);
                break;
            }
        }
    }
    return better;
}

// Whether a neighbour of op has the label.
static int borders(const tnp_search *s, uint32_t op, uint32_t label) {
    const tnp_graph *g = &s->graph;
    for (uint32_t e = g->out_begin[op]; e < g->out_begin[op + 1]; e++) {
        if (s->label[g->edges[e].to] == label) {
            return 1;
        }
    }
    for (uint32_t i = g->in_begin[op]; i < g->in_begin[op + 1]; i++) {
        if (s->label[g->edges[g->in_edges[i]].from] == label) {
            return 1;
        }
    }
    return 0;
}

static int move_ops(local *l) {
    const tnp_search *s = l->search;
    int better = 0;
    for (uint32_t op = 0; op < s->graph.op_count && goes_on(l); op++) {
        for (uint32_t label = 0; label < s->graph.label_count; label++) {
            if (label != s->label[op] && can(&s->graph, op, label) && borders(s, op, label)) {
                better |= try_op(l, op, label);
            }
        }
    }
    return better;
}

static int move_claims(local *l) {
    const tnp_problem *p = l->search->graph.problem;
    int better = 0;
    for (uint32_t c = 0; c < p->claim_count && goes_on(l); c++) {
        better |= try_claim(l, &p->claims[c]);
    }
    return better;
}

tnp_status tnp_search_local(tnp_arena *arena, tnp_search *search) {
    local l = {.search = search};
    l.part_of = tnp_arena_array(arena, search->graph.op_count, sizeof(uint32_t));
    l.trial = tnp_arena_array(arena, search->graph.var_count, sizeof(uint32_t));
    if (l.part_of == NULL || l.trial == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    // A quarter of the budget at most.
    l.limit = tnp_search_work(search) + search->budget / 4;
    while (search->found && goes_on(&l)) {
        int better = move_parts(&l);
        better |= move_claims(&l);
        better |= move_ops(&l);
        if (!better) {
            break;
        }
    }
    return TNP_OK;
}
