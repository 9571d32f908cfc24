// SPDX-License-Identifier: Apache-2.0
// Costs of labels without an order, and how prices on dependencies enter them.
#include "energy.h"
#include "price.h"

#include <string.h>

// Shares of a dependency's price that flows can have: fine enough for bounds within 1e-6 of the
// handovers. Scaled sums stay below 2^53, where doubles hold integers exactly (see dual.h).
#define MAX_SCALE ((int64_t)1 << 16)
#define MAX_SCALED ((int64_t)1 << 51)

static int64_t choose_scale(const tnp_graph *g) {
    // What validate proved to be at most TNP_MAX_TOTAL, roughly: the larger the costs, the coarser.
    int64_t total = 1;
    for (uint64_t i = 0; i < (uint64_t)g->var_count * g->label_count; i++) {
        if (g->unary[i] != TNP_INFINITE && total < TNP_MAX_TOTAL) {
            total += g->unary[i];
        }
    }
    uint64_t cells = (uint64_t)g->label_count * g->label_count;
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        const int64_t *copy = tnp_copy_row(g, t, 0);
        for (uint64_t i = 0; i < cells && total < TNP_MAX_TOTAL; i++) {
            total += copy[i];
        }
    }
    int64_t handover = 0;
    for (uint64_t i = 0; i < cells; i++) {
        handover = g->handover[i] > handover ? g->handover[i] : handover;
    }
    for (uint32_t op = 0; op < g->op_count && total < TNP_MAX_TOTAL; op++) {
        total += 2 * handover;
    }
    int64_t scale = MAX_SCALE;
    while (scale > 1 && total > MAX_SCALED / scale) {
        scale /= 2;
    }
    return scale;
}

// The one variable other than the producer's that reads tensor, or TNP_NONE: *out_many tells
// whether there are several or none.
static uint32_t only_reader(const tnp_graph *g, uint32_t tensor, int *out_many) {
    const tnp_tensor *t = &g->tensors[tensor];
    uint32_t only = TNP_NONE;
    *out_many = 0;
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t op = g->consumers[t->consumer_begin + i];
        if (g->var_of[op] == g->var_of[t->producer]) {
            continue;
        }
        if (only != TNP_NONE && g->var_of[only] != g->var_of[op]) {
            *out_many = 1;
            return TNP_NONE;
        }
        only = only == TNP_NONE ? op : only;
    }
    return only;
}

static uint32_t find_edge(const tnp_graph *g, uint32_t from, uint32_t to) {
    for (uint32_t e = g->out_begin[from]; e < g->out_begin[from + 1]; e++) {
        if (g->edges[e].to == to) {
            return e;
        }
    }
    return TNP_NONE;
}

static void sort_tensors(tnp_energy *energy) {
    const tnp_graph *g = energy->graph;
    memset(energy->edge_tensor, 0xff, (uint64_t)g->edge_count * sizeof(uint32_t));
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        int many;
        uint32_t reader = only_reader(g, t, &many);
        energy->tensor_next[t] = TNP_NONE;
        if (many) {
            energy->stars[energy->star_count++] = t;
        } else if (reader != TNP_NONE) {
            uint32_t edge = find_edge(g, g->tensors[t].producer, reader);
            energy->tensor_next[t] = energy->edge_tensor[edge];
            energy->edge_tensor[edge] = t;
        }
    }
}

tnp_status tnp_energy_init(tnp_arena *arena, const tnp_graph *graph, int64_t *metrics,
                           uint32_t metric_count, tnp_energy *out_energy) {
    tnp_energy *e = out_energy;
    memset(e, 0, sizeof(*e));
    e->graph = graph;
    e->scale = choose_scale(graph);
    while ((int64_t)1 << e->scale_bits < e->scale) {
        e->scale_bits++;
    }
    e->metric = metrics;
    e->metric_count = metric_count;
    e->edge_tensor = tnp_arena_array(arena, graph->edge_count, sizeof(uint32_t));
    e->tensor_next = tnp_arena_array(arena, graph->tensor_count, sizeof(uint32_t));
    e->stars = tnp_arena_array(arena, graph->tensor_count, sizeof(uint32_t));
    e->flow = tnp_arena_array(arena, (uint64_t)graph->edge_count * metric_count, sizeof(uint32_t));
    if (graph->var_bytes != NULL) {
        e->byte_price = tnp_arena_array(arena, graph->label_count, sizeof(int64_t));
    }
    if (e->edge_tensor == NULL || e->tensor_next == NULL || e->stars == NULL || e->flow == NULL ||
        (e->byte_price == NULL && graph->var_bytes != NULL)) {
        return TNP_OUT_OF_MEMORY;
    }
    sort_tensors(e);
    return TNP_OK;
}

int64_t tnp_energy_unary(const tnp_energy *energy, uint32_t var, uint32_t label) {
    const tnp_graph *g = energy->graph;
    int64_t cost = g->unary[(uint64_t)var * g->label_count + label];
    if (cost == TNP_INFINITE) {
        return cost;
    }
    cost *= energy->scale;
    if (energy->byte_price != NULL) {
        cost += energy->byte_price[label] * (int64_t)g->var_bytes[var];
    }
    return cost;
}

int64_t tnp_energy_copies(const tnp_energy *energy, uint32_t edge, uint32_t from, uint32_t to) {
    int64_t sum = 0;
    for (uint32_t t = energy->edge_tensor[edge]; t != TNP_NONE; t = energy->tensor_next[t]) {
        sum += tnp_copy_row(energy->graph, t, from)[to];
    }
    return sum * energy->scale;
}

int64_t tnp_energy_prices(const tnp_energy *energy, uint32_t edge, uint32_t from, uint32_t to) {
    uint64_t labels = energy->graph->label_count;
    int64_t sum = 0;
    for (uint32_t m = 0; m < energy->metric_count; m++) {
        uint32_t share = energy->flow[(uint64_t)m * energy->graph->edge_count + edge];
        sum += share * energy->metric[(m * labels + from) * labels + to];
    }
    return sum;
}

static int64_t unsaved(const tnp_energy *energy, const uint32_t *var_label) {
    const tnp_problem *p = energy->graph->problem;
    int64_t sum = 0;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        const tnp_claim *claim = &p->claims[c];
        for (uint32_t i = 0; i < claim->op_count; i++) {
            uint32_t op = p->claim_ops[claim->op_begin + i];
            if (var_label[energy->graph->var_of[op]] != claim->label) {
                sum += claim->saving;
                break;
            }
        }
    }
    return sum * energy->scale;
}

int64_t tnp_energy_total(const tnp_energy *energy, const uint32_t *var_label) {
    const tnp_graph *g = energy->graph;
    int64_t sum = unsaved(energy, var_label);
    for (uint32_t var = 0; var < g->var_count; var++) {
        sum += tnp_energy_unary(energy, var, var_label[var]);
    }
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t from = var_label[g->var_of[g->edges[e].from]];
        uint32_t to = var_label[g->var_of[g->edges[e].to]];
        if (from != to) {
            sum += tnp_energy_copies(energy, e, from, to) + tnp_energy_prices(energy, e, from, to);
        }
    }
    for (uint32_t i = 0; i < energy->star_count; i++) {
        sum += energy->scale * tnp_price_copies(g, var_label, g->var_of, energy->stars[i], NULL);
    }
    return sum;
}

int64_t tnp_energy_constant(const tnp_energy *energy) {
    const tnp_problem *p = energy->graph->problem;
    int64_t sum = 0;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        sum += p->claims[c].saving * energy->scale;
    }
    for (uint32_t label = 0; energy->byte_price != NULL && label < p->label_count; label++) {
        if (p->label_capacity[label] != TNP_NO_CAPACITY) {
            sum += energy->byte_price[label] * (int64_t)p->label_capacity[label];
        }
    }
    return sum;
}
