// SPDX-License-Identifier: Apache-2.0
// Inside of gradient.c: what a Gradient node is about. Its attributes name values; binding turns
// the names into operands, so that later steps neither lose nor drop what they stand for.
#ifndef TENON_GRAPH_GRADIENT_PATH_H
#define TENON_GRAPH_GRADIENT_PATH_H

#include "graph/graph.h"

bool tni_is_gradient(const tni_node *node);
// The number of names in xs.
uint32_t tni_gradient_xs(const tni_node *node);

// The operands of a bound Gradient are the k values it was given, the k values that xs and zs name,
// and y.
static inline uint32_t tni_gradient_bound(const tni_node *node, uint32_t i) {
    return node->inputs[(node->input_count - 1) / 2 + i];
}
static inline uint32_t tni_gradient_y(const tni_node *node) {
    return node->inputs[node->input_count - 1];
}

// Binds a node. TN_OK · TN_ERROR_INVALID_DATA "gradient.operands" it has not as many inputs as xs
// and zs have names, "gradient.name" a name is no value, or two, that exist before the node ·
// TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_gradient_bind(tni_model *model, uint32_t gradient, tn_error *error);

// The nodes between the named values and y.
typedef struct tni_path {
    tni_alloc alloc;
    uint32_t *nodes; // from y backwards
    uint32_t node_count;
    uint32_t node_capacity;
    uint8_t *depends; // per value of the model: on a named one
    uint32_t value_count;
} tni_path;

typedef enum {
    TNI_PATH_OF_XS,  // along floating-point values only
    TNI_PATH_OF_ALL, // from xs and zs, along values of any type
} tni_path_kind;

// Finds the path of a bound node; a node with bodies counts as on it whenever y depends on it.
// Free *out_path with tni_path_deinit also after a failure. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_path_find(const tni_model *model, uint32_t gradient, tni_path_kind kind,
                                    tni_path *out_path, tn_error *error);
void tni_path_deinit(tni_path *path);

// Where the values given differ from the named ones: writes the path to y once more, from the given
// values, and binds the node to that. *out_changed: they did. TN_OK · TN_ERROR_UNSUPPORTED
// "gradient.no-rule" a node on the way has bodies · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_gradient_evaluate(tni_model *model, uint32_t gradient, bool *out_changed,
                                            tn_error *error);

// Moves the nodes of the node's graph from index `first` on to where the node is; they belong to
// the call of a function that it belongs to.
void tni_gradient_move_in_front(tni_model *model, uint32_t gradient, uint32_t first);

#endif // TENON_GRAPH_GRADIENT_PATH_H
