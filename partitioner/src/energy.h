// SPDX-License-Identifier: Apache-2.0
// What labels cost without an order: ops, copies, claims, and prices on dependencies and bytes that
// make it a lower bound of the whole (paths.c, caps.c). Everything is multiplied by scale, so that
// prices can be fractions.
#ifndef TENON_PARTITIONER_ENERGY_H
#define TENON_PARTITIONER_ENERGY_H

#include "graph.h"

typedef struct tnp_energy {
    const tnp_graph *graph;
    int64_t scale; // a power of two:
    uint32_t scale_bits;

    // A tensor whose consumers are one variable is a cost of that dependency; one that several
    // read is a star. (Variables, not ops: those of one group move together.)
    uint32_t *edge_tensor; // [edge]: first tensor, or TNP_NONE
    uint32_t *tensor_next; // [tensor]: another of the same dependency
    uint32_t *stars;       // tensors
    uint32_t star_count;

    // flow[m * edge_count + e] of scale shares of metric m lie on dependency e.
    uint32_t metric_count;
    int64_t *metric; // [m][from][to]
    uint32_t *flow;

    int64_t *byte_price; // [label], scaled; null when nothing is capped
} tnp_energy;

// metrics: metric_count matrices, borrowed; flows start at 0. TNP_OK or TNP_OUT_OF_MEMORY.
tnp_status tnp_energy_init(tnp_arena *arena, const tnp_graph *graph, int64_t *metrics,
                           uint32_t metric_count, tnp_energy *out_energy);

// Scaled cost of variable var on label; TNP_INFINITE where it cannot be.
int64_t tnp_energy_unary(const tnp_energy *energy, uint32_t var, uint32_t label);

// Scaled cost of a dependency: copies of single tensors and prices.
int64_t tnp_energy_copies(const tnp_energy *energy, uint32_t edge, uint32_t from, uint32_t to);
int64_t tnp_energy_prices(const tnp_energy *energy, uint32_t edge, uint32_t from, uint32_t to);

// Scaled total for labels by variable, less all claims' savings (a claim that does not hold costs
// its saving). No less than tnp_energy's own minimum.
int64_t tnp_energy_total(const tnp_energy *energy, const uint32_t *var_label);

// What tnp_energy_total is above the problem's own costs: savings of all claims minus prices of
// capacity. total - constant, divided by scale and rounded up, bounds plans.
int64_t tnp_energy_constant(const tnp_energy *energy);

#endif // TENON_PARTITIONER_ENERGY_H
