// SPDX-License-Identifier: Apache-2.0
// Lowering: makes the relocatable graph view (tenon/abi/graph.h) of a whole model or of an island,
// with the maps that lead from the view's indices back to the model's.
#ifndef TENON_GRAPH_VIEW_H
#define TENON_GRAPH_VIEW_H

#include "graph/shape/shape.h"

// How a node is written for one device: as it stands but for this since_version, or as the nodes of
// a form. limit is 0, or what the device knows when that excludes the version (newest or oldest).
typedef struct tni_form {
    uint32_t since_version;
    uint32_t graph; // or TN_NONE
    uint32_t limit;
} tni_form;

// What the view shows. With nodes == null: all of graph 0. Arrays are borrowed for the call.
typedef struct tni_view_spec {
    const uint32_t *nodes; // of one graph, in topological order
    uint32_t node_count;
    const tni_map *inlined; // model nodes in whose place go those of their expansion; or null
    const uint32_t *inputs; // values that become graph 0's inputs, in order
    uint32_t input_count;
    const uint32_t *outputs; // values that become graph 0's outputs, in order
    uint32_t output_count;
    const tni_form *forms;   // by model node; null: every node as it stands
    bool without_expansions; // leave expansions out (an island that is compiled as it stands)
    bool with_hashes;        // fill content_hash of every constant; reads weights
    uint64_t limit_bytes;    // 0: 1 GiB
    // Null: types and shapes are the model's. Else these take their place where they are known, so
    // that a program is made for one set of shapes.
    const tni_shape_table *shapes;
} tni_view_spec;

// Single owner. The bytes at view are total_bytes long and relocatable.
typedef struct tni_view {
    tni_alloc alloc;
    tn_graph_view *view;
    uint64_t total_bytes;
    uint32_t node_count;
    uint32_t value_count;
    uint32_t constant_count;
    uint32_t *node_of;  // view node -> model node
    uint32_t *value_of; // view value -> model value
} tni_view;

// Builds a view. Symbols are those of the model, at the same index, all of them, so that
// tn_symbol_value.symbol is the model's symbol. Constants used by the shown nodes are included as
// records; keys are the model's. An input that none of the nodes reads is kept. TN_OK ·
// TN_ERROR_INVALID_ARGUMENT a node reads a value that is neither given as input, nor produced
// inside, nor constant (error names the node), a node twice or unknown, or an output that nothing
// inside makes · TN_ERROR_LIMIT_EXCEEDED · TN_ERROR_OUT_OF_MEMORY · with hashes, errors of
// tni_constant_hash. *out_view is null on failure; free with tni_view_destroy. The model must not
// be changed meanwhile; any number of threads may build views of it.
TN_MUST_USE tn_status tni_view_build(const tni_alloc *alloc, tni_model *model,
                                     const tni_view_spec *spec, tni_view **out_view,
                                     tn_error *error);
// Frees a view. Null is ignored.
void tni_view_destroy(tni_view *view);

#endif // TENON_GRAPH_VIEW_H
