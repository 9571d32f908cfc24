// SPDX-License-Identifier: Apache-2.0
// The cheapest order for given labels, claims included.
#ifndef TENON_PARTITIONER_ORDER_H
#define TENON_PARTITIONER_ORDER_H

#include "beam.h"
#include "price.h"

typedef struct tnp_orderer {
    const tnp_graph *graph;
    tnp_schedule schedule;
    tnp_beam beam;
    uint32_t *order;      // the best found
    uint32_t *trial;      // the best with the claims held now
    uint32_t *segment_of; // of the trial priced last
    uint8_t *given_up;    // [claim]: a bonus this branch does without
    tnp_cost cost;        // of order
    int found;
    uint32_t tries; // left for claims
    int exact;      // the last thorough order left nothing out
} tnp_orderer;

tnp_status tnp_orderer_init(tnp_arena *arena, const tnp_graph *graph, tnp_orderer *out_orderer);

// Writes order and cost; returns 0 when none keeps the claims of bound ops whole (or a label does
// not suit one). thorough searches sequences and combinations of claims, else a greedy order does.
int tnp_order(tnp_orderer *orderer, const uint32_t *label, int thorough);

#endif // TENON_PARTITIONER_ORDER_H
