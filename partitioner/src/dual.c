// SPDX-License-Identifier: Apache-2.0
// The passes of the bound; dual_build.c makes what they work on.
#include "dual.h"

#include <math.h>
#include <string.h>

static double *costs_of(tnp_dual *d, uint32_t node) {
    return d->values + d->nodes[node].cost;
}

static void strike(tnp_dual *d, uint32_t node, uint32_t label) {
    const tnp_dual_node *n = &d->nodes[node];
    costs_of(d, node)[label] = HUGE_VAL;
    for (uint32_t e = n->out_begin; e < n[1].out_begin; e++) {
        uint32_t columns = d->nodes[d->edges[e].to].labels;
        double *table = d->values + d->edges[e].table;
        for (uint32_t b = 0; b < columns; b++) {
            table[label * columns + b] = HUGE_VAL;
        }
    }
    for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
        const tnp_dual_edge *edge = &d->edges[d->in_edges[i]];
        for (uint32_t a = 0; a < d->nodes[edge->from].labels; a++) {
            d->values[edge->table + a * n->labels + label] = HUGE_VAL;
        }
    }
}

// Moves the least cost to the constant, and strikes out what costs too much with it. Returns 0 when
// nothing is left.
static int settle_node(tnp_dual *d, uint32_t node, double limit) {
    double *cost = costs_of(d, node);
    uint32_t labels = d->nodes[node].labels;
    double least = HUGE_VAL;
    for (uint32_t a = 0; a < labels; a++) {
        least = cost[a] < least ? cost[a] : least;
    }
    if (least == HUGE_VAL) {
        return 0;
    }
    d->values[0] += least;
    uint32_t left = 0;
    double doubt = HUGE_VAL;
    for (uint32_t a = 0; a < labels; a++) {
        if (cost[a] == HUGE_VAL) {
            continue;
        }
        cost[a] -= least;
        if (d->values[0] + cost[a] > limit) {
            strike(d, node, a);
            continue;
        }
        // The best one is the first without extra cost; a second such leaves full doubt.
        doubt = left > 0 && cost[a] < doubt ? cost[a] : doubt;
        left++;
    }
    d->doubt[node] = doubt;
    return left > 0;
}

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

void tnp_dual_settle(tnp_dual *dual) {
    for (uint32_t node = 0; node < dual->node_count; node++) {
        for (uint32_t a = 0; a < dual->nodes[node].labels; a++) {
            if (costs_of(dual, node)[a] == HUGE_VAL) {
                strike(dual, node, a);
            }
        }
    }
}

void tnp_dual_update(tnp_dual *dual) {
    tnp_dual *d = dual;
    const tnp_energy *energy = d->energy;
    const tnp_graph *g = energy->graph;
    uint32_t k = g->label_count;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        int changed = 0;
        for (uint32_t m = 0; m < energy->metric_count; m++) {
            uint64_t at = (uint64_t)m * g->edge_count + e;
            int64_t change = (int64_t)energy->flow[at] - d->flow_seen[at];
            d->flow_seen[at] = energy->flow[at];
            if (change == 0 || d->edge_of[e] == TNP_NONE) {
                continue;
            }
            changed = 1;
            const tnp_dual_edge *edge = &d->edges[d->edge_of[e]];
            const int64_t *metric = energy->metric + (uint64_t)m * k * k;
            int forth = d->node_of_var[g->var_of[g->edges[e].from]] == edge->from;
            double *table = d->values + edge->table;
            for (uint32_t i = 0; i < k * k; i++) {
                int64_t price = forth ? metric[i] : metric[(i % k) * k + i / k];
                table[i] += (double)(change * price);
            }
        }
        if (changed) {
            settle_edge(d, &d->edges[d->edge_of[e]]);
        }
    }
    d->work += (uint64_t)g->edge_count * energy->metric_count / 4;
    for (uint32_t label = 0; energy->byte_price != NULL && label < k; label++) {
        int64_t change = energy->byte_price[label] - d->price_seen[label];
        d->price_seen[label] = energy->byte_price[label];
        for (uint32_t var = 0; var < g->var_count && change != 0; var++) {
            costs_of(d, d->node_of_var[var])[label] +=
                (double)(change * (int64_t)g->var_bytes[var]);
            settle_node(d, d->node_of_var[var], HUGE_VAL);
        }
    }
}

// An edge takes the share of one end's costs that was set aside for it and gives its least costs to
// the other end, in one go: exchange_columns from the earlier node to the later one, exchange_rows
// back. They are called with constant sizes for few labels, so that their loops unroll (see
// FOR_SIZES), and return whether a label of the receiving end has lost its last partner.
static inline int exchange_columns(double *restrict table, const double *restrict share,
                                   double *restrict cost, uint32_t rows, uint32_t columns) {
    int lost = 0;
    for (uint32_t b = 0; b < columns; b++) {
        double least = table[b] + share[0];
        for (uint32_t a = 1; a < rows; a++) {
            double sum = table[a * columns + b] + share[a];
            least = sum < least ? sum : least;
        }
        lost |= least == HUGE_VAL && cost[b] < HUGE_VAL;
        least = least == HUGE_VAL ? 0 : least;
        cost[b] += least;
        for (uint32_t a = 0; a < rows; a++) {
            table[a * columns + b] += share[a] - least;
        }
    }
    return lost;
}

static inline int exchange_rows(double *restrict table, const double *restrict share,
                                double *restrict cost, uint32_t rows, uint32_t columns) {
    int lost = 0;
    for (uint32_t a = 0; a < rows; a++) {
        double *row = table + (uint64_t)a * columns;
        double least = row[0] + share[0];
        for (uint32_t b = 1; b < columns; b++) {
            double sum = row[b] + share[b];
            least = sum < least ? sum : least;
        }
        lost |= least == HUGE_VAL && cost[a] < HUGE_VAL;
        least = least == HUGE_VAL ? 0 : least;
        cost[a] += least;
        for (uint32_t b = 0; b < columns; b++) {
            row[b] += share[b] - least;
        }
    }
    return lost;
}

// Calls kernel with the sizes of a table; as constants where both are at most four.
#define FOR_SIZES(kernel, table, share, cost, rows, columns)                                       \
    switch ((rows)*8u + (columns)) {                                                               \
    case 18:                                                                                       \
        return kernel(table, share, cost, 2, 2);                                                   \
    case 19:                                                                                       \
        return kernel(table, share, cost, 2, 3);                                                   \
    case 20:                                                                                       \
        return kernel(table, share, cost, 2, 4);                                                   \
    case 26:                                                                                       \
        return kernel(table, share, cost, 3, 2);                                                   \
    case 27:                                                                                       \
        return kernel(table, share, cost, 3, 3);                                                   \
    case 34:                                                                                       \
        return kernel(table, share, cost, 4, 2);                                                   \
    case 36:                                                                                       \
        return kernel(table, share, cost, 4, 4);                                                   \
    default:                                                                                       \
        return kernel(table, share, cost, rows, columns);                                          \
    }

static int exchange_forth(tnp_dual *d, const tnp_dual_edge *edge) {
    const tnp_dual_node *from = &d->nodes[edge->from];
    const tnp_dual_node *to = &d->nodes[edge->to];
    FOR_SIZES(exchange_columns, d->values + edge->table, d->shares + from->cost,
              d->values + to->cost, from->labels, to->labels)
}

static int exchange_back(tnp_dual *d, const tnp_dual_edge *edge) {
    const tnp_dual_node *from = &d->nodes[edge->from];
    const tnp_dual_node *to = &d->nodes[edge->to];
    FOR_SIZES(exchange_rows, d->values + edge->table, d->shares + to->cost, d->values + from->cost,
              from->labels, to->labels)
}

// Strikes out labels of one end of the edge that no label of the other goes with.
static void strike_partnerless(tnp_dual *d, const tnp_dual_edge *edge, uint32_t node) {
    const double *table = d->values + edge->table;
    uint32_t columns = d->nodes[edge->to].labels;
    uint32_t step = node == edge->to ? columns : 1;
    uint32_t partners = d->nodes[node == edge->to ? edge->from : edge->to].labels;
    for (uint32_t label = 0; label < d->nodes[node].labels; label++) {
        const double *cells = table + (node == edge->to ? label : label * columns);
        int any = 0;
        for (uint32_t i = 0; i < partners; i++) {
            any |= cells[i * step] < HUGE_VAL;
        }
        if (!any && costs_of(d, node)[label] < HUGE_VAL) {
            strike(d, node, label);
        }
    }
}

// Sets shares of the node's costs aside for count edges, so that chains through it weigh the same
// both ways.
static void take_shares(tnp_dual *d, uint32_t node, uint32_t count, uint32_t other_count) {
    const tnp_dual_node *n = &d->nodes[node];
    double *cost = costs_of(d, node);
    double *share = d->shares + n->cost;
    uint32_t parts = count > other_count ? count : other_count;
    double part = parts > 0 ? 1.0 / parts : 0;
    for (uint32_t a = 0; a < n->labels; a++) {
        // Whole numbers only. The product may be rounded up to one too many.
        double whole = cost[a] < HUGE_VAL ? (double)(int64_t)(cost[a] * part) : 0;
        whole -= whole * count > cost[a] ? 1 : 0;
        share[a] = whole;
        cost[a] -= whole * count;
    }
}

// The label that is best given the choices of the nodes before.
static void round_node(tnp_dual *d, uint32_t node) {
    const tnp_dual_node *n = &d->nodes[node];
    const double *cost = costs_of(d, node);
    uint32_t best = 0;
    double best_cost = HUGE_VAL;
    for (uint32_t b = 0; b < n->labels; b++) {
        double sum = cost[b];
        for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
            const tnp_dual_edge *edge = &d->edges[d->in_edges[i]];
            sum += d->values[edge->table + d->choice[edge->from] * n->labels + b];
        }
        if (sum < best_cost) {
            best = b;
            best_cost = sum;
        }
    }
    d->choice[node] = best;
}

static int pass_forth(tnp_dual *d, double limit, int rounding) {
    for (uint32_t node = 0; node < d->node_count; node++) {
        const tnp_dual_node *n = &d->nodes[node];
        if (rounding) {
            round_node(d, node);
        }
        for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
            const tnp_dual_edge *edge = &d->edges[d->in_edges[i]];
            if (exchange_forth(d, edge)) {
                strike_partnerless(d, edge, node);
            }
        }
        if (!settle_node(d, node, limit)) {
            return 0;
        }
        take_shares(d, node, n[1].out_begin - n->out_begin, n[1].in_begin - n->in_begin);
    }
    return 1;
}

static int pass_back(tnp_dual *d, double limit) {
    for (uint32_t node = d->node_count; node-- > 0;) {
        const tnp_dual_node *n = &d->nodes[node];
        for (uint32_t e = n->out_begin; e < n[1].out_begin; e++) {
            if (exchange_back(d, &d->edges[e])) {
                strike_partnerless(d, &d->edges[e], node);
            }
        }
        if (!settle_node(d, node, limit)) {
            return 0;
        }
        take_shares(d, node, n[1].in_begin - n->in_begin, n[1].out_begin - n->out_begin);
    }
    return 1;
}

int tnp_dual_pass(tnp_dual *dual, int64_t beat, uint32_t *out_label) {
    const tnp_energy *energy = dual->energy;
    double limit = beat == INT64_MAX
                       ? HUGE_VAL
                       : (double)((beat - 1) * energy->scale + tnp_energy_constant(energy));
    int left = pass_forth(dual, limit, out_label != NULL);
    for (uint32_t var = 0; left && out_label != NULL && var < energy->graph->var_count; var++) {
        out_label[var] = dual->choice[dual->node_of_var[var]];
    }
    dual->work += dual->value_count * 2;
    return left && pass_back(dual, limit);
}

int64_t tnp_dual_bound(const tnp_dual *dual) {
    int64_t scaled = (int64_t)dual->values[0] - tnp_energy_constant(dual->energy);
    int64_t scale = dual->energy->scale;
    return scaled > 0 ? (scaled + scale - 1) / scale : scaled / scale;
}

int tnp_dual_fix(tnp_dual *dual, uint32_t var, uint32_t label) {
    uint32_t node = dual->node_of_var[var];
    int allowed = costs_of(dual, node)[label] < HUGE_VAL;
    for (uint32_t a = 0; a < dual->nodes[node].labels; a++) {
        if (a != label && costs_of(dual, node)[a] < HUGE_VAL) {
            strike(dual, node, a);
        }
    }
    return allowed;
}
