// SPDX-License-Identifier: Apache-2.0
// The flows of paths that price handovers.
#include "paths.h"

#include <string.h>

tnp_status tnp_paths_init(tnp_arena *arena, tnp_energy *energy, tnp_paths *out_paths) {
    memset(out_paths, 0, sizeof(*out_paths));
    out_paths->energy = energy;
    uint64_t ops = energy->graph->op_count;
    out_paths->average = tnp_arena_array(
        arena, (uint64_t)energy->graph->edge_count * energy->metric_count, sizeof(double));
    out_paths->most = tnp_arena_array(arena, ops, sizeof(*out_paths->most));
    out_paths->way = tnp_arena_array(arena, ops, sizeof(*out_paths->way));
    return out_paths->average != NULL && out_paths->most != NULL && out_paths->way != NULL
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

// Old and new weigh like in a mean that counts later rounds more: the new one 2 / (round + 2).
// Where the averages are not exact they are the same on every machine.
static void average_changes(tnp_paths *paths, double *average, const int64_t *metric,
                            const uint32_t *label) {
    const tnp_graph *g = paths->energy->graph;
    double weight = 2.0 / (paths->round + 2.0);
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t from = label[g->edges[e].from];
        uint32_t to = label[g->edges[e].to];
        average[e] += ((double)metric[from * g->label_count + to] - average[e]) * weight;
    }
}

// The op where the path with the most changes ends; paths->way leads back.
static uint32_t longest_path(tnp_paths *paths, const double *average) {
    const tnp_graph *g = paths->energy->graph;
    uint32_t end = 0;
    for (uint32_t op = 0; op < g->op_count; op++) {
        double most = 0;
        uint32_t way = TNP_NONE;
        for (uint32_t i = g->in_begin[op]; i < g->in_begin[op + 1]; i++) {
            uint32_t e = g->in_edges[i];
            double changes = paths->most[g->edges[e].from] + average[e];
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
            flow[e] = (uint32_t)(flow[e] * (scale - share) >> energy->scale_bits);
        }
        double *average = paths->average + (uint64_t)m * g->edge_count;
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
