// SPDX-License-Identifier: Apache-2.0
// Labels at work at the same time: one queue a label, one engine for copies into each.
#ifndef TENON_PARTITIONER_SIMULATE_H
#define TENON_PARTITIONER_SIMULATE_H

#include "graph.h"

typedef struct tnp_simulator {
    const tnp_graph *graph;
    uint32_t *segment_of; // [op]
    uint32_t *seg_label;  // [segment]; at most one an op
    int64_t *work;        // [segment]: what its ops cost
    int64_t *begin;       // [segment]
    int64_t *end;
    int64_t *earliest;    // [op][label]: for the bound
    int64_t *arrival;     // [tensor][label]: when it is there; -1: no copy yet
    int64_t *free_at;     // [label]: its queue
    int64_t *copies_end;  // [label]: its engine
    uint32_t *first;      // [segment]: where its ops begin in the order
    uint32_t *made_begin; // [op]: tensors it reads, as a list: used with reads
    uint32_t *reads;
    uint32_t segment_count;
    uint64_t steps; // taken so far
} tnp_simulator;

tnp_status tnp_simulator_init(tnp_arena *arena, const tnp_graph *graph, tnp_simulator *out);

// When the last segment of this order ends; begin and end are set for every segment.
int64_t tnp_simulator_run(tnp_simulator *simulator, const uint32_t *label, const uint32_t *order);

// No labels and order end earlier: the longest path with each op where that is best, and the work
// spread over all labels as well as could be.
int64_t tnp_makespan_bound(tnp_simulator *simulator);

#endif // TENON_PARTITIONER_SIMULATE_H
