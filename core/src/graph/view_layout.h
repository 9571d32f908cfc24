// SPDX-License-Identifier: Apache-2.0
// Inside of view.h: which records a view shows, in which order, and how large its pools are.
#ifndef TENON_GRAPH_VIEW_LAYOUT_H
#define TENON_GRAPH_VIEW_LAYOUT_H

#include "graph/view.h"

typedef struct tni_view_graph {
    uint32_t graph; // model graph; 0 for the outermost, also of an island
    uint32_t first_node;
    uint32_t node_count;
    uint32_t first_capture;
    uint32_t capture_count;
} tni_view_graph;

// Indices are model -> view (TN_NONE: not shown); lists are view -> model.
typedef struct tni_view_plan {
    tni_alloc alloc;
    const tni_model *model;
    const tni_view_spec *spec;
    tn_error *error;
    uint32_t *graph_index;
    uint32_t *node_index;
    uint32_t *value_index;
    uint32_t *constant_index;
    uint32_t *alias; // per value: what stands for it where an expansion is inlined
    uint8_t *ready;  // per value: may be read at this point
    tni_view_graph *graphs;
    uint32_t *nodes;
    uint32_t *node_graph; // view graph of a shown node
    uint32_t *values;
    uint32_t *value_graph;    // view graph of a shown value
    uint32_t *value_producer; // view node of a shown value, or TN_NONE
    uint32_t *constants;
    uint32_t *captures;
    uint32_t graph_count, graph_capacity;
    uint32_t node_count, node_capacity;
    uint32_t node_graph_capacity;
    uint32_t value_count, value_capacity;
    uint32_t value_graph_capacity;
    uint32_t value_producer_capacity;
    uint32_t constant_count, constant_capacity;
    uint32_t capture_capacity;
    // Sizes of the other pools.
    uint64_t value_ids, attributes, attr_ints, attr_floats, attr_texts, attr_indices, dims, strings;
} tni_view_plan;

// Decides what is shown. Errors as tni_view_build; deinit also after a failure.
TN_MUST_USE tn_status tni_view_plan_init(tni_view_plan *plan, const tni_alloc *alloc,
                                         const tni_model *model, const tni_view_spec *spec,
                                         tn_error *error);
void tni_view_plan_deinit(tni_view_plan *plan);

// The shape that takes the place of a value's own, or null.
static inline const tni_shape *tni_view_shape(const tni_view_spec *spec, uint32_t value) {
    const tni_shape *shape = spec->shapes != NULL ? tni_shape_of(spec->shapes, value) : NULL;
    return shape != NULL && shape->rank != TN_RANK_UNKNOWN ? shape : NULL;
}

// The view's header: where every pool lies, and the total size, already known to be in bounds.
void tni_view_layout(const tni_view_plan *plan, tn_graph_view *out_header);

#endif // TENON_GRAPH_VIEW_LAYOUT_H
