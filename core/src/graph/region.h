// SPDX-License-Identifier: Apache-2.0
// A region: the part of one graph that is planned and run as a whole. Usually all of graph 0; in
// models with control flow or sizes that only a run can tell, one of several (flow/stage.h).
#ifndef TENON_GRAPH_REGION_H
#define TENON_GRAPH_REGION_H

#include "graph/graph.h"

// Single owner, immutable once made.
typedef struct tni_region {
    tni_alloc alloc;
    uint32_t graph;
    uint32_t node_count;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t *nodes;      // of the model, in topological order
    uint32_t *inputs;     // values that are made outside, constants left out
    uint32_t *outputs;    // values made inside that are read outside
    uint8_t *read_inputs; // per input: sizes inside follow from its elements, not its shape alone
} tni_region;

// Makes a region with room for these counts, all ids TN_NONE. TN_OK · TN_ERROR_OUT_OF_MEMORY.
// Deinit in every case.
TN_MUST_USE tn_status tni_region_init(const tni_alloc *alloc, uint32_t graph, uint32_t node_count,
                                      uint32_t input_count, uint32_t output_count,
                                      tni_region *out_region);
// A zeroed region may be deinitialised.
void tni_region_deinit(tni_region *region);

// The region that is all of a graph, with the graph's inputs and outputs in their order. Errors and
// ownership as tni_region_init.
TN_MUST_USE tn_status tni_region_of_graph(const tni_alloc *alloc, const tni_model *model,
                                          uint32_t graph, tni_region *out_region);

#endif // TENON_GRAPH_REGION_H
