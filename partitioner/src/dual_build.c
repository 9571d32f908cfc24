// SPDX-License-Identifier: Apache-2.0
// The dual's nodes and edges. Variables come in their order, a star's label nodes after the
// producer, a claim's node after its last op, so that the passes run along the graph.
#include "dual.h"

#include <math.h>
#include <string.h>

typedef struct builder {
    tnp_dual *dual;
    const tnp_graph *graph;
    uint32_t *star_begin;  // [var]: stars by producer's variable
    uint32_t *star_of;     // range content: index into energy->stars
    uint32_t *claim_begin; // [var]: claims by last variable
    uint32_t *claim_of;
    uint32_t *star_node;  // [star][label]: node or TNP_NONE
    uint32_t *claim_node; // [claim]
    uint32_t *fill;       // [node]: next free place of a list
    tnp_dual_edge *unsorted;
} builder;

static uint32_t claim_var(const builder *b, uint32_t claim, uint32_t i) {
    const tnp_problem *p = b->graph->problem;
    return b->graph->var_of[p->claim_ops[p->claims[claim].op_begin + i]];
}

static uint32_t star_var(const builder *b, uint32_t star, uint32_t i) {
    const tnp_graph *g = b->graph;
    return g->var_of[g->consumers[g->tensors[star].consumer_begin + i]];
}

static uint32_t last_var_of_claim(const builder *b, uint32_t claim) {
    uint32_t last = 0;
    for (uint32_t i = 0; i < b->graph->problem->claims[claim].op_count; i++) {
        uint32_t var = claim_var(b, claim, i);
        last = var > last ? var : last;
    }
    return last;
}

// Lists items by key; begin has key_count + 2 entries.
static void sort_by_key(uint32_t *begin, uint32_t *items, uint32_t key_count, uint32_t item_count,
                        uint32_t (*key)(const builder *b, uint32_t item), const builder *b) {
    for (uint32_t i = 0; i < item_count; i++) {
        begin[key(b, i) + 2]++;
    }
    for (uint32_t i = 0; i <= key_count; i++) {
        begin[i + 1] += begin[i];
    }
    for (uint32_t i = 0; i < item_count; i++) {
        items[begin[key(b, i) + 1]++] = i;
    }
}

static uint32_t star_key(const builder *b, uint32_t i) {
    return b->graph->var_of[b->graph->tensors[b->dual->energy->stars[i]].producer];
}

static int var_can(const tnp_graph *g, uint32_t var, uint32_t label) {
    return g->unary[(uint64_t)var * g->label_count + label] != TNP_INFINITE;
}

static uint64_t star_labels(const builder *b, uint32_t star) {
    uint64_t labels = 0;
    for (uint32_t i = 0; i < b->graph->tensors[star].consumer_count; i++) {
        for (uint32_t label = 0; label < b->graph->label_count; label++) {
            labels |= (uint64_t)(var_can(b->graph, star_var(b, star, i), label) != 0) << label;
        }
    }
    return labels;
}

static uint32_t add_node(builder *b, uint32_t var, uint32_t labels) {
    tnp_dual *d = b->dual;
    d->nodes[d->node_count].var = var;
    d->nodes[d->node_count].labels = labels;
    return d->node_count++;
}

static void add_nodes(builder *b) {
    const tnp_graph *g = b->graph;
    const tnp_energy *energy = b->dual->energy;
    for (uint32_t var = 0; var < g->var_count; var++) {
        b->dual->node_of_var[var] = add_node(b, var, g->label_count);
        for (uint32_t i = b->star_begin[var]; i < b->star_begin[var + 1]; i++) {
            uint32_t star = b->star_of[i];
            uint64_t labels = star_labels(b, energy->stars[star]);
            for (uint32_t label = 0; label < g->label_count; label++) {
                b->star_node[(uint64_t)star * g->label_count + label] =
                    (labels >> label) & 1u ? add_node(b, TNP_NONE, 2) : TNP_NONE;
            }
        }
        for (uint32_t i = b->claim_begin[var]; i < b->claim_begin[var + 1]; i++) {
            b->claim_node[b->claim_of[i]] = add_node(b, TNP_NONE, 2);
        }
    }
}

static uint32_t add_edge(builder *b, uint32_t one, uint32_t other) {
    tnp_dual *d = b->dual;
    b->unsorted[d->edge_count] = one < other ? (tnp_dual_edge){.from = one, .to = other}
                                             : (tnp_dual_edge){.from = other, .to = one};
    return d->edge_count++;
}

static void add_edges(builder *b) {
    const tnp_graph *g = b->graph;
    tnp_dual *d = b->dual;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t u = g->var_of[g->edges[e].from];
        uint32_t v = g->var_of[g->edges[e].to];
        d->edge_of[e] = u == v ? TNP_NONE : add_edge(b, d->node_of_var[u], d->node_of_var[v]);
    }
    for (uint32_t i = 0; i < d->energy->star_count; i++) {
        uint32_t star = d->energy->stars[i];
        for (uint32_t label = 0; label < g->label_count; label++) {
            uint32_t node = b->star_node[(uint64_t)i * g->label_count + label];
            if (node == TNP_NONE) {
                continue;
            }
            uint32_t producer = g->var_of[g->tensors[star].producer];
            add_edge(b, d->node_of_var[producer], node);
            for (uint32_t c = 0; c < g->tensors[star].consumer_count; c++) {
                uint32_t var = star_var(b, star, c);
                if (var != producer && var_can(g, var, label)) {
                    add_edge(b, node, d->node_of_var[var]);
                }
            }
        }
    }
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        for (uint32_t i = 0; i < g->problem->claims[c].op_count; i++) {
            add_edge(b, d->node_of_var[claim_var(b, c, i)], b->claim_node[c]);
        }
    }
}

// Sorts edges by their earlier node, keeping edge_of right, and lists them by the later one.
static void sort_edges(builder *b) {
    tnp_dual *d = b->dual;
    uint64_t value = 1;
    memset(b->fill, 0, ((uint64_t)d->node_count + 2) * sizeof(uint32_t));
    for (uint32_t e = 0; e < d->edge_count; e++) {
        b->fill[b->unsorted[e].from + 1]++;
    }
    for (uint32_t n = 0; n < d->node_count; n++) {
        b->fill[n + 1] += b->fill[n];
        d->nodes[n].out_begin = b->fill[n];
        d->nodes[n].cost = value;
        value += d->nodes[n].labels;
    }
    d->nodes[d->node_count].out_begin = d->edge_count;
    for (uint32_t e = 0; e < d->edge_count; e++) {
        uint32_t place = b->fill[b->unsorted[e].from]++;
        d->edges[place] = b->unsorted[e];
        d->edges[place].table = value;
        value +=
            (uint64_t)d->nodes[d->edges[place].from].labels * d->nodes[d->edges[place].to].labels;
        // Remember where it went: edge_of and the loaders below speak of places.
        b->unsorted[e].table = place;
    }
    d->value_count = value;
    for (uint32_t e = 0; e < b->graph->edge_count; e++) {
        if (d->edge_of[e] != TNP_NONE) {
            d->edge_of[e] = (uint32_t)b->unsorted[d->edge_of[e]].table;
        }
    }
    memset(b->fill, 0, ((uint64_t)d->node_count + 2) * sizeof(uint32_t));
    for (uint32_t e = 0; e < d->edge_count; e++) {
        b->fill[d->edges[e].to + 1]++;
    }
    for (uint32_t n = 0; n < d->node_count; n++) {
        b->fill[n + 1] += b->fill[n];
        d->nodes[n].in_begin = b->fill[n];
    }
    d->nodes[d->node_count].in_begin = d->edge_count;
    for (uint32_t e = 0; e < d->edge_count; e++) {
        d->in_edges[b->fill[d->edges[e].to]++] = e;
    }
}

// The table entry for labels of the two ends, given in the order one, other.
static double *entry(tnp_dual *d, const tnp_dual_edge *edge, uint32_t one, uint32_t label_of_one,
                     uint32_t label_of_other) {
    uint64_t columns = d->nodes[edge->to].labels;
    return edge->from == one ? &d->values[edge->table + label_of_one * columns + label_of_other]
                             : &d->values[edge->table + label_of_other * columns + label_of_one];
}

static void load_prices(tnp_dual *d) {
    uint64_t k = d->energy->graph->label_count;
    for (uint32_t m = 0; m < d->energy->metric_count; m++) {
        const int64_t *metric = d->energy->metric + m * k * k;
        double *price = d->price + (uint64_t)m * 2 * k * k;
        for (uint64_t i = 0; i < k * k; i++) {
            price[i] = (double)metric[i];
            uint64_t mirrored = (i % k) * k + i / k;
            price[k * k + i] = (double)metric[mirrored];
        }
    }
}

static void load_dependencies(tnp_dual *d) {
    const tnp_graph *g = d->energy->graph;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        if (d->edge_of[e] == TNP_NONE) {
            continue;
        }
        tnp_dual_edge *edge = &d->edges[d->edge_of[e]];
        uint32_t from = d->node_of_var[g->var_of[g->edges[e].from]];
        for (uint32_t a = 0; a < g->label_count; a++) {
            for (uint32_t b = 0; b < g->label_count; b++) {
                if (a != b) {
                    double copies = (double)tnp_energy_copies(d->energy, e, a, b);
                    *entry(d, edge, from, a, b) +=
                        copies + (double)tnp_energy_prices(d->energy, e, a, b);
                    edge->reach = copies > edge->reach ? copies : edge->reach;
                }
            }
        }
    }
}

// The edges of star and claim nodes follow those of dependencies in the unsorted list, in the
// order in which add_edges made them.
static void load_stars(builder *b, uint32_t *io_next) {
    tnp_dual *d = b->dual;
    const tnp_graph *g = b->graph;
    for (uint32_t i = 0; i < d->energy->star_count; i++) {
        uint32_t star = d->energy->stars[i];
        for (uint32_t label = 0; label < g->label_count; label++) {
            uint32_t node = b->star_node[(uint64_t)i * g->label_count + label];
            if (node == TNP_NONE) {
                continue;
            }
            tnp_dual_edge *edge = &d->edges[b->unsorted[(*io_next)++].table];
            for (uint32_t a = 0; a < g->label_count; a++) {
                double copy = (double)(tnp_copy_row(g, star, a)[label] * d->energy->scale);
                *entry(d, edge, node, 1, a) = copy;
                edge->reach = copy > edge->reach ? copy : edge->reach;
            }
            double reach = edge->reach;
            uint32_t producer = g->var_of[g->tensors[star].producer];
            for (uint32_t c = 0; c < g->tensors[star].consumer_count; c++) {
                uint32_t var = star_var(b, star, c);
                if (var != producer && var_can(g, var, label)) {
                    edge = &d->edges[b->unsorted[(*io_next)++].table];
                    *entry(d, edge, node, 0, label) = HUGE_VAL;
                    edge->reach = reach;
                }
            }
        }
    }
}

static void load_claims(builder *b, uint32_t next) {
    tnp_dual *d = b->dual;
    const tnp_graph *g = b->graph;
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        const tnp_claim *claim = &g->problem->claims[c];
        d->values[d->nodes[b->claim_node[c]].cost] = (double)(claim->saving * d->energy->scale);
        for (uint32_t i = 0; i < claim->op_count; i++) {
            tnp_dual_edge *edge = &d->edges[b->unsorted[next++].table];
            edge->reach = (double)(claim->saving * d->energy->scale);
            for (uint32_t label = 0; label < g->label_count; label++) {
                if (label != claim->label) {
                    *entry(d, edge, b->claim_node[c], 1, label) = HUGE_VAL;
                } else if (i < claim->bound_count) {
                    *entry(d, edge, b->claim_node[c], 0, label) = HUGE_VAL;
                }
            }
        }
    }
}

static void load_unaries(tnp_dual *d) {
    const tnp_graph *g = d->energy->graph;
    for (uint32_t var = 0; var < g->var_count; var++) {
        for (uint32_t label = 0; label < g->label_count; label++) {
            int64_t cost = tnp_energy_unary(d->energy, var, label);
            d->values[d->nodes[d->node_of_var[var]].cost + label] =
                cost == TNP_INFINITE ? HUGE_VAL : (double)cost;
        }
    }
}

static tnp_status builder_alloc(tnp_arena *arena, builder *b, uint64_t nodes, uint64_t edges) {
    const tnp_graph *g = b->graph;
    tnp_dual *d = b->dual;
    uint64_t vars = g->var_count;
    uint64_t stars = d->energy->star_count;
    uint64_t claims = g->problem->claim_count;
    uint64_t flows = (uint64_t)g->edge_count * d->energy->metric_count;
    b->star_begin = tnp_arena_array(arena, vars + 2, sizeof(uint32_t));
    b->claim_begin = tnp_arena_array(arena, vars + 2, sizeof(uint32_t));
    b->star_of = tnp_arena_array(arena, stars, sizeof(uint32_t));
    b->claim_of = tnp_arena_array(arena, claims, sizeof(uint32_t));
    b->star_node = tnp_arena_array(arena, stars * g->label_count, sizeof(uint32_t));
    b->claim_node = tnp_arena_array(arena, claims, sizeof(uint32_t));
    b->fill = tnp_arena_array(arena, nodes + 2, sizeof(uint32_t));
    b->unsorted = tnp_arena_array(arena, edges, sizeof(*b->unsorted));
    d->nodes = tnp_arena_array(arena, nodes + 1, sizeof(*d->nodes));
    d->edges = tnp_arena_array(arena, edges, sizeof(*d->edges));
    d->in_edges = tnp_arena_array(arena, edges, sizeof(uint32_t));
    d->node_of_var = tnp_arena_array(arena, vars, sizeof(uint32_t));
    d->edge_of = tnp_arena_array(arena, g->edge_count, sizeof(uint32_t));
    d->choice = tnp_arena_array(arena, nodes, sizeof(uint32_t));
    d->left = tnp_arena_array(arena, nodes, sizeof(uint32_t));
    d->doubt = tnp_arena_array(arena, nodes, sizeof(double));
    d->flow_seen = tnp_arena_array(arena, flows, sizeof(uint32_t));
    d->price = tnp_arena_array(arena, (uint64_t)d->energy->metric_count * 2 * g->label_count,
                               g->label_count * sizeof(double));
    d->price_seen = tnp_arena_array(arena, g->label_count, sizeof(int64_t));
    int complete = b->star_begin != NULL && b->claim_begin != NULL && b->star_of != NULL &&
                   b->claim_of != NULL && b->star_node != NULL && b->claim_node != NULL &&
                   b->fill != NULL && b->unsorted != NULL && d->nodes != NULL && d->edges != NULL &&
                   d->in_edges != NULL && d->node_of_var != NULL && d->edge_of != NULL &&
                   d->choice != NULL && d->left != NULL && d->doubt != NULL &&
                   d->flow_seen != NULL && d->price != NULL && d->price_seen != NULL;
    return complete ? TNP_OK : TNP_OUT_OF_MEMORY;
}

tnp_status tnp_dual_init(tnp_arena *arena, const tnp_energy *energy, tnp_dual *out_dual) {
    const tnp_graph *g = energy->graph;
    tnp_dual *d = out_dual;
    memset(d, 0, sizeof(*d));
    d->energy = energy;
    builder b = {.dual = d, .graph = g};
    uint64_t star_edges = 0;
    for (uint32_t i = 0; i < energy->star_count; i++) {
        star_edges += 1u + g->tensors[energy->stars[i]].consumer_count;
    }
    uint64_t labels = g->label_count;
    uint64_t nodes = g->var_count + energy->star_count * labels + g->problem->claim_count;
    uint64_t edges = g->edge_count + star_edges * labels + g->problem->claim_op_total;
    if (nodes >= UINT32_MAX / 4 || edges >= UINT32_MAX / 4 ||
        builder_alloc(arena, &b, nodes, edges) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    sort_by_key(b.star_begin, b.star_of, g->var_count, energy->star_count, star_key, &b);
    sort_by_key(b.claim_begin, b.claim_of, g->var_count, g->problem->claim_count, last_var_of_claim,
                &b);
    add_nodes(&b);
    add_edges(&b);
    sort_edges(&b);
    d->values = tnp_arena_array(arena, d->value_count, sizeof(double));
    if (d->values == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    uint32_t next = 0;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        next += d->edge_of[e] != TNP_NONE;
    }
    load_unaries(d);
    load_prices(d);
    load_dependencies(d);
    load_stars(&b, &next);
    load_claims(&b, next);
    memcpy(d->flow_seen, energy->flow,
           (uint64_t)g->edge_count * energy->metric_count * sizeof(uint32_t));
    if (energy->byte_price != NULL) {
        memcpy(d->price_seen, energy->byte_price, labels * sizeof(int64_t));
    }
    tnp_dual_settle(d);
    tnp_dual_weigh(d);
    return TNP_OK;
}
