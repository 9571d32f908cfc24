// SPDX-License-Identifier: Apache-2.0
// Takes changed prices over into the bound's tables, and weighs its edges anew.
#include "dual.h"

#include <math.h>

// No edge weighs less than this part of the mean, so that what is learned elsewhere gets across it.
#define LEAST_WEIGHT 0.1
// After as many updates, weights are set anew only with every one that is a multiple.
#define WEIGH_EACH 4u

static void settle_edge(tnp_dual *d, const tnp_dual_edge *edge) {
    double *table = d->values + edge->table;
    uint32_t cells = d->nodes[edge->from].labels * d->nodes[edge->to].labels;
    double least = HUGE_VAL;
    for (uint32_t i = 0; i < cells; i++) {
        least = table[i] < least ? table[i] : least;
    }
    if (least == HUGE_VAL || least == 0) {
        return;
    }
    d->values[0] += least;
    for (uint32_t i = 0; i < cells; i++) {
        table[i] -= least;
    }
}

// Takes over the flow of one metric on one dependency; returns whether there was a change.
static int update_flow(tnp_dual *d, uint32_t m, uint32_t e, const tnp_dual_edge *edge) {
    const tnp_energy *energy = d->energy;
    const tnp_graph *g = energy->graph;
    uint32_t k = g->label_count;
    uint64_t at = (uint64_t)m * g->edge_count + e;
    double change = (double)energy->flow[at] - (double)d->flow_seen[at];
    if (change == 0) {
        return 0;
    }
    d->flow_seen[at] = energy->flow[at];
    int forth = d->node_of_var[g->var_of[g->edges[e].from]] == edge->from;
    const double *price = d->price + ((uint64_t)m * 2 + (forth ? 0 : 1)) * k * k;
    double *table = d->values + edge->table;
    for (uint32_t i = 0; i < k * k; i++) {
        table[i] += change * price[i];
    }
    return 1;
}

static void update_edge(tnp_dual *d, uint32_t e) {
    int changed = 0;
    if (d->edge_of[e] == TNP_NONE) {
        return;
    }
    const tnp_dual_edge *edge = &d->edges[d->edge_of[e]];
    for (uint32_t m = 0; m < d->energy->metric_count; m++) {
        changed |= update_flow(d, m, e, edge);
    }
    if (changed) {
        settle_edge(d, edge);
    }
}

static void update_bytes(tnp_dual *d) {
    const tnp_energy *energy = d->energy;
    const tnp_graph *g = energy->graph;
    for (uint32_t label = 0; energy->byte_price != NULL && label < g->label_count; label++) {
        int64_t change = energy->byte_price[label] - d->price_seen[label];
        d->price_seen[label] = energy->byte_price[label];
        for (uint32_t var = 0; var < g->var_count && change != 0; var++) {
            uint32_t node = d->node_of_var[var];
            d->values[d->nodes[node].cost + label] += (double)(change * (int64_t)g->var_bytes[var]);
            tnp_dual_settle_node(d, node, HUGE_VAL);
        }
    }
}

// What an edge can tell its ends: what it can make labels differ by, prices included.
static void measure_edges(tnp_dual *d) {
    const tnp_energy *energy = d->energy;
    const tnp_graph *g = energy->graph;
    double sum = 0;
    for (uint32_t e = 0; e < d->edge_count; e++) {
        d->edges[e].forth = d->edges[e].reach;
    }
    for (uint32_t m = 0; m < energy->metric_count; m++) {
        const int64_t *metric = energy->metric + (uint64_t)m * g->label_count * g->label_count;
        int64_t most = 0;
        for (uint32_t i = 0; i < g->label_count * g->label_count; i++) {
            most = metric[i] > most ? metric[i] : most;
        }
        const uint32_t *flow = energy->flow + (uint64_t)m * g->edge_count;
        for (uint32_t e = 0; e < g->edge_count; e++) {
            if (d->edge_of[e] != TNP_NONE) {
                d->edges[d->edge_of[e]].forth += (double)flow[e] * (double)most;
            }
        }
    }
    for (uint32_t e = 0; e < d->edge_count; e++) {
        sum += d->edges[e].forth;
    }
    double least = d->edge_count > 0 ? LEAST_WEIGHT * sum / d->edge_count + 1 : 1;
    for (uint32_t e = 0; e < d->edge_count; e++) {
        d->edges[e].forth += least;
        d->edges[e].back = d->edges[e].forth;
    }
}

// A node's costs go to its edges in proportion to what those can tell, and as much of them one way
// as the other, so that chains through it weigh the same both ways.
void tnp_dual_weigh(tnp_dual *dual) {
    tnp_dual *d = dual;
    measure_edges(d);
    for (uint32_t node = 0; node < d->node_count; node++) {
        const tnp_dual_node *n = &d->nodes[node];
        double out = 0;
        double in = 0;
        for (uint32_t e = n->out_begin; e < n[1].out_begin; e++) {
            out += d->edges[e].forth;
        }
        for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
            in += d->edges[d->in_edges[i]].back;
        }
        double part = in > out ? 1 / in : 1 / out;
        for (uint32_t e = n->out_begin; e < n[1].out_begin; e++) {
            d->edges[e].forth *= part;
        }
        for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
            d->edges[d->in_edges[i]].back *= part;
        }
    }
}

void tnp_dual_update(tnp_dual *dual) {
    const tnp_energy *energy = dual->energy;
    for (uint32_t e = 0; e < energy->graph->edge_count; e++) {
        update_edge(dual, e);
    }
    update_bytes(dual);
    // Flows change less and less.
    if (dual->updates < WEIGH_EACH || dual->updates % WEIGH_EACH == 0) {
        tnp_dual_weigh(dual);
    }
    dual->updates++;
    dual->work += (uint64_t)energy->graph->edge_count * energy->metric_count / 4;
}
