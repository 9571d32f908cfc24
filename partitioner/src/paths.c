// SPDX-License-Identifier: Apache-2.0
// Splitting handover costs into metrics, and the flow of paths that prices them.
#include "paths.h"

#include <string.h>

#define MAX_METRICS 24u
// Averages are whole numbers of this part; costs below TNP_MAX_COST leave room for sums of it.
#define AVERAGE_UNIT ((int64_t)1 << 12)

static int64_t least_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// Twice the isolation index of the split that a bit set of labels makes (Bandelt and Dress): the
// weight with which it is part of the metric d.
static int64_t isolation(const int64_t *d, uint32_t k, uint64_t set) {
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < k; i++) {
        for (uint32_t j = i; j < k; j++) {
            if (((set >> i) & 1u) == 0 || ((set >> j) & 1u) == 0) {
                continue;
            }
            for (uint32_t p = 0; p < k; p++) {
                for (uint32_t q = p; q < k; q++) {
                    if (((set >> p) & 1u) || ((set >> q) & 1u)) {
                        continue;
                    }
                    int64_t inside = d[i * k + j] + d[p * k + q];
                    int64_t across =
                        most_of(d[i * k + p] + d[j * k + q], d[i * k + q] + d[j * k + p]);
                    least = least_of(least, most_of(inside, across) - inside);
                }
            }
        }
    }
    return least;
}

static void close_metric(int64_t *d, uint32_t k) {
    for (uint32_t via = 0; via < k; via++) {
        for (uint32_t a = 0; a < k; a++) {
            for (uint32_t b = 0; b < k; b++) {
                d[a * k + b] = least_of(d[a * k + b], d[a * k + via] + d[via * k + b]);
            }
        }
    }
}

static int is_zero(const int64_t *d, uint32_t k) {
    for (uint32_t i = 0; i < k * k; i++) {
        if (d[i] != 0) {
            return 0;
        }
    }
    return 1;
}

// Splits off set with its weight: appends the metric and takes it from rest.
static uint32_t take_split(const int64_t *both, int64_t *rest, uint32_t k, uint64_t set,
                           int64_t *metrics, uint32_t count) {
    int64_t weight = isolation(both, k, set) / 2;
    if (weight <= 0 || count + 1 >= MAX_METRICS) {
        return count;
    }
    for (uint32_t a = 0; a < k; a++) {
        for (uint32_t b = 0; b < k; b++) {
            int64_t part = ((set >> a) & 1u) != ((set >> b) & 1u) ? weight : 0;
            metrics[((uint64_t)count * k + a) * k + b] = part;
            rest[a * k + b] -= part;
        }
    }
    return count + 1;
}

// Sets that the splits are made of: single labels, and pairs where there are few labels.
static uint64_t next_set(uint64_t set, uint32_t k) {
    uint32_t limit = k <= 8 ? 2 : 1;
    while (++set < (uint64_t)1 << k) {
        uint64_t rest = set & (set - 1);
        uint32_t size = rest == 0 ? 1 : (rest & (rest - 1)) == 0 ? 2 : 3;
        // Of a split in halves one side is enough.
        if (size <= limit && !(size == 2 && k <= 3) && !(size == 2 && k == 4 && (set & 1u))) {
            return set;
        }
    }
    return 0;
}

tnp_status tnp_split_handovers(tnp_arena *arena, const tnp_graph *graph, int64_t **out_metrics,
                               uint32_t *out_count) {
    uint32_t k = graph->label_count;
    uint64_t cells = (uint64_t)k * k;
    int64_t *metrics = tnp_arena_array(arena, MAX_METRICS * cells, sizeof(*metrics));
    int64_t *both = tnp_arena_array(arena, cells, sizeof(*both));
    int64_t *rest = tnp_arena_array(arena, cells, sizeof(*rest));
    if (metrics == NULL || both == NULL || rest == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    for (uint32_t a = 0; a < k; a++) {
        for (uint32_t b = 0; b < k; b++) {
            both[a * k + b] = least_of(graph->handover[a * k + b], graph->handover[b * k + a]);
        }
    }
    close_metric(both, k);
    memcpy(rest, graph->handover, cells * sizeof(*rest));
    uint32_t count = 0;
    if (k > 2 && k <= 16) {
        for (uint64_t set = next_set(0, k); set != 0; set = next_set(set, k)) {
            count = take_split(both, rest, k, set, metrics, count);
        }
    }
    close_metric(rest, k);
    if (!is_zero(rest, k) || count == 0) {
        memcpy(metrics + count * cells, rest, cells * sizeof(*rest));
        count++;
    }
    *out_metrics = metrics;
    *out_count = count;
    return TNP_OK;
}

tnp_status tnp_paths_init(tnp_arena *arena, tnp_energy *energy, tnp_paths *out_paths) {
    memset(out_paths, 0, sizeof(*out_paths));
    out_paths->energy = energy;
    uint64_t ops = energy->graph->op_count;
    out_paths->average = tnp_arena_array(
        arena, (uint64_t)energy->graph->edge_count * energy->metric_count, sizeof(int64_t));
    out_paths->most = tnp_arena_array(arena, ops, sizeof(*out_paths->most));
    out_paths->way = tnp_arena_array(arena, ops, sizeof(*out_paths->way));
    return out_paths->average != NULL && out_paths->most != NULL && out_paths->way != NULL
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

// Old and new weigh like in a mean that counts later rounds more: the new one 2 / (round + 2).
static void average_changes(tnp_paths *paths, int64_t *average, const int64_t *metric,
                            const uint32_t *label) {
    const tnp_graph *g = paths->energy->graph;
    int64_t weight = paths->round + 2;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t from = label[g->edges[e].from];
        uint32_t to = label[g->edges[e].to];
        average[e] += (metric[from * g->label_count + to] * AVERAGE_UNIT - average[e]) * 2 / weight;
    }
}

// The op where the path with the most changes ends; paths->way leads back.
static uint32_t longest_path(tnp_paths *paths, const int64_t *average) {
    const tnp_graph *g = paths->energy->graph;
    uint32_t end = 0;
    for (uint32_t op = 0; op < g->op_count; op++) {
        int64_t most = 0;
        uint32_t way = TNP_NONE;
        for (uint32_t i = g->in_begin[op]; i < g->in_begin[op + 1]; i++) {
            uint32_t e = g->in_edges[i];
            int64_t changes = paths->most[g->edges[e].from] + average[e];
            if (way == TNP_NONE || changes > most) {
                most = changes;
                way = e;
            }
        }
        paths->most[op] = most;
        paths->way[op] = way;
        end = most > paths->most[end] ? op : end;
    }
    return end;
}

void tnp_paths_follow(tnp_paths *paths, const uint32_t *label) {
    tnp_energy *energy = paths->energy;
    const tnp_graph *g = energy->graph;
    uint64_t cells = (uint64_t)g->label_count * g->label_count;
    // The first path is the whole flow; later ones get 2 / (round + 2) of it. Rounding down keeps
    // every flow below a true one, which only weakens the bound.
    uint64_t scale = (uint64_t)energy->scale;
    uint64_t share = scale * 2 / (paths->round + 2u);
    for (uint32_t m = 0; m < energy->metric_count; m++) {
        uint32_t *flow = energy->flow + (uint64_t)m * g->edge_count;
        for (uint32_t e = 0; e < g->edge_count; e++) {
            flow[e] = (uint32_t)(flow[e] * (scale - share) / scale);
        }
        int64_t *average = paths->average + (uint64_t)m * g->edge_count;
        average_changes(paths, average, energy->metric + m * cells, label);
        uint32_t op = longest_path(paths, average);
        while (op < g->op_count && paths->way[op] != TNP_NONE) {
            uint32_t e = paths->way[op];
            flow[e] += (uint32_t)share;
            op = g->edges[e].from;
        }
    }
    paths->round++;
    paths->work += (uint64_t)energy->metric_count * (2 * g->edge_count + g->op_count);
}
