// SPDX-License-Identifier: Apache-2.0
// The passes of the bound; dual_build.c makes what they work on, dual_update.c keeps it up to date.
#include "dual.h"
#include "exchange.h"

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
            d->values[edge->table + (uint64_t)a * n->labels + label] = HUGE_VAL;
        }
    }
}

// Strikes out labels that cannot be or cost more than limit with the constant. Returns what the
// second best label costs more; -1 when none is left.
static double strike_dear(tnp_dual *d, uint32_t node, double limit) {
    const double *cost = costs_of(d, node);
    double second = HUGE_VAL;
    uint32_t left = 0;
    int seen_best = 0;
    for (uint32_t a = 0; a < d->nodes[node].labels; a++) {
        if (cost[a] == HUGE_VAL || d->values[0] + cost[a] > limit) {
            strike(d, node, a);
            continue;
        }
        left++;
        if (cost[a] == 0 && !seen_best) {
            seen_best = 1;
        } else {
            second = cost[a] < second ? cost[a] : second;
        }
    }
    d->left[node] = left;
    return left > 0 ? second : -1;
}

// Moves a node's least cost to the constant and strikes out labels whose cost, with the constant,
// is above limit. Returns 0 when none is left.
static inline int settle_node(tnp_dual *d, uint32_t node, double limit, uint32_t labels) {
    double *cost = costs_of(d, node);
    double least = HUGE_VAL;
    double second = HUGE_VAL;
    double most = 0;
    uint32_t left = 0;
    for (uint32_t a = 0; a < labels; a++) {
        double larger = cost[a] > least ? cost[a] : least;
        second = larger < second ? larger : second;
        least = cost[a] < least ? cost[a] : least;
        most = cost[a] < HUGE_VAL && cost[a] > most ? cost[a] : most;
        left += cost[a] < HUGE_VAL;
    }
    if (left == 0) {
        return 0;
    }
    d->values[0] += least;
    d->doubt[node] = second - least;
    for (uint32_t a = 0; a < labels; a++) {
        cost[a] -= least;
    }
    if (left != d->left[node] || d->values[0] + (most - least) > limit) {
        d->doubt[node] = strike_dear(d, node, limit);
    }
    return d->doubt[node] >= 0;
}

int tnp_dual_settle_node(tnp_dual *dual, uint32_t node, double limit) {
    return settle_node(dual, node, limit, dual->nodes[node].labels);
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

// The label that is best given the choices of the nodes before.
static void round_node(tnp_dual *d, uint32_t node) {
    const tnp_dual_node *n = &d->nodes[node];
    double sum[TNP_MAX_LABELS];
    uint32_t best = 0;
    memcpy(sum, costs_of(d, node), n->labels * sizeof(*sum));
    for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
        const tnp_dual_edge *edge = &d->edges[d->in_edges[i]];
        const double *row = d->values + edge->table + (uint64_t)d->choice[edge->from] * n->labels;
        for (uint32_t b = 0; b < n->labels; b++) {
            sum[b] += row[b];
        }
    }
    for (uint32_t b = 1; b < n->labels; b++) {
        best = sum[b] < sum[best] ? b : best;
    }
    d->choice[node] = best;
}

static inline void begin_giving(const double *cost, uint32_t labels, tnp_giving *giving) {
    for (uint32_t a = 0; a < labels; a++) {
        giving->whole[a] = cost[a] < HUGE_VAL ? cost[a] : 0;
        giving->rest[a] = giving->whole[a];
    }
}

static inline void end_giving(double *cost, uint32_t labels, const tnp_giving *giving) {
    for (uint32_t a = 0; a < labels; a++) {
        cost[a] = cost[a] < HUGE_VAL ? giving->rest[a] : HUGE_VAL;
    }
}

// Calls with (rows, columns) as constants where those are few; other is the size not known yet.
#define WITH_SIZE(call, other)                                                                     \
    switch (other) {                                                                               \
    case 2:                                                                                        \
        call(2u);                                                                                  \
        break;                                                                                     \
    case 3:                                                                                        \
        call(3u);                                                                                  \
        break;                                                                                     \
    case 4:                                                                                        \
        call(4u);                                                                                  \
        break;                                                                                     \
    default:                                                                                       \
        call(other);                                                                               \
        break;                                                                                     \
    }

static inline int node_forth(tnp_dual *d, uint32_t node, double limit, uint32_t labels) {
    const tnp_dual_node *n = &d->nodes[node];
    tnp_giving giving;
    if (!settle_node(d, node, limit, labels)) {
        return 0;
    }
    begin_giving(costs_of(d, node), labels, &giving);
    for (uint32_t e = n->out_begin; e < n[1].out_begin; e++) {
        const tnp_dual_edge *edge = &d->edges[e];
        uint32_t columns = d->nodes[edge->to].labels;
#define FORTH(size)                                                                                \
    tnp_exchange_forth(d->values + edge->table, edge->forth, &giving, costs_of(d, edge->to),       \
                       labels, size)
        WITH_SIZE(FORTH, columns)
#undef FORTH
    }
    end_giving(costs_of(d, node), labels, &giving);
    return 1;
}

static inline int node_back(tnp_dual *d, uint32_t node, double limit, uint32_t labels) {
    const tnp_dual_node *n = &d->nodes[node];
    tnp_giving giving;
    if (!settle_node(d, node, limit, labels)) {
        return 0;
    }
    begin_giving(costs_of(d, node), labels, &giving);
    for (uint32_t i = n->in_begin; i < n[1].in_begin; i++) {
        const tnp_dual_edge *edge = &d->edges[d->in_edges[i]];
        uint32_t rows = d->nodes[edge->from].labels;
#define BACK(size)                                                                                 \
    tnp_exchange_back(d->values + edge->table, edge->back, &giving, costs_of(d, edge->from), size, \
                      labels)
        WITH_SIZE(BACK, rows)
#undef BACK
    }
    end_giving(costs_of(d, node), labels, &giving);
    return 1;
}

static int pass_forth(tnp_dual *d, double limit, int rounding) {
    int left = 1;
    for (uint32_t node = 0; node < d->node_count && left; node++) {
        uint32_t labels = d->nodes[node].labels;
        if (rounding) {
            round_node(d, node);
        }
#define NODE(size) left = node_forth(d, node, limit, size)
        WITH_SIZE(NODE, labels)
#undef NODE
    }
    return left;
}

static int pass_back(tnp_dual *d, double limit) {
    int left = 1;
    for (uint32_t node = d->node_count; node-- > 0 && left;) {
        uint32_t labels = d->nodes[node].labels;
#define NODE(size) left = node_back(d, node, limit, size)
        WITH_SIZE(NODE, labels)
#undef NODE
    }
    return left;
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

uint32_t tnp_dual_only_label(const tnp_dual *dual, uint32_t var) {
    uint32_t node = dual->node_of_var[var];
    const double *cost = dual->values + dual->nodes[node].cost;
    uint32_t only = TNP_NONE;
    for (uint32_t a = 0; a < dual->nodes[node].labels; a++) {
        if (cost[a] < HUGE_VAL) {
            if (only != TNP_NONE) {
                return TNP_NONE;
            }
            only = a;
        }
    }
    return only;
}

uint32_t tnp_dual_forbid(tnp_dual *dual, uint32_t var, uint32_t label) {
    uint32_t node = dual->node_of_var[var];
    uint32_t left = 0;
    if (costs_of(dual, node)[label] < HUGE_VAL) {
        strike(dual, node, label);
    }
    for (uint32_t a = 0; a < dual->nodes[node].labels; a++) {
        left += costs_of(dual, node)[a] < HUGE_VAL;
    }
    return left;
}
