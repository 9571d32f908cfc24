// SPDX-License-Identifier: Apache-2.0
// Adding nodes that belong to another node: expansions of function ops (rewrite/expand.c) and forms
// of other op versions (version/). The first failure is kept in status and stops the rest, so that
// a formula reads as one.
#ifndef TENON_GRAPH_BUILDER_H
#define TENON_GRAPH_BUILDER_H

#include "graph/graph.h"

typedef struct tni_builder {
    tni_model *model;
    tn_status status; // of the first failure: out of memory, or a limit
    uint32_t node;    // that the new ones are made for; they take its name and source id
    uint32_t graph;   // that gets them
    uint32_t scope;   // graph that new values belong to: graph, or for a form its node's graph
    uint32_t opset;   // new nodes are written in the forms of this opset version
    tn_dtype dtype;   // of scalars
} tni_builder;

// A new value; TN_NONE after a failure.
uint32_t tni_build_value(tni_builder *b);
// A scalar of rank 0 in b->dtype: a float type, int32, int64 or bool.
uint32_t tni_build_scalar(tni_builder *b, double number);
// A constant of rank 1 (INT64), and one of rank 0.
uint32_t tni_build_ints(tni_builder *b, const int64_t *values, uint32_t count);
uint32_t tni_build_int(tni_builder *b, int64_t value);
// A constant of rank 1 (FLOAT).
uint32_t tni_build_floats(tni_builder *b, const float *values, uint32_t count);
// A constant with other dims of the same element count.
uint32_t tni_build_reshaped(tni_builder *b, uint32_t constant, const int64_t *dims, uint32_t rank);

// Adds a node and returns its first output: `output`, or a new value where that is TN_NONE.
uint32_t tni_build_node(tni_builder *b, const char *op_type, uint32_t input_count,
                        const uint32_t *inputs, uint32_t output, const tni_attr *attrs,
                        uint32_t attr_count);
uint32_t tni_build_unary(tni_builder *b, const char *op_type, uint32_t x, uint32_t output);
uint32_t tni_build_binary(tni_builder *b, const char *op_type, uint32_t x, uint32_t y,
                          uint32_t output);
uint32_t tni_build_ternary(tni_builder *b, const char *op_type, uint32_t x, uint32_t y, uint32_t z,
                           uint32_t output);
uint32_t tni_build_cast(tni_builder *b, uint32_t x, tn_dtype dtype, uint32_t output);
// Ops whose axes or sizes moved from an attribute to an operand: written as b->opset has it.
uint32_t tni_build_reduce(tni_builder *b, const char *op_type, uint32_t x, const int64_t *axes,
                          uint32_t axis_count, bool keep_dims, uint32_t output);
uint32_t tni_build_unsqueeze(tni_builder *b, uint32_t x, const int64_t *axes, uint32_t axis_count,
                             uint32_t output);
uint32_t tni_build_squeeze(tni_builder *b, uint32_t x, const int64_t *axes, uint32_t axis_count,
                           uint32_t output);
uint32_t tni_build_reshape(tni_builder *b, uint32_t x, const int64_t *dims, uint32_t rank,
                           uint32_t output);
uint32_t tni_build_expand(tni_builder *b, uint32_t x, const int64_t *dims, uint32_t rank,
                          uint32_t output);

// Attributes that borrow their value.
tni_attr tni_attr_int(const char *name, int64_t *value);
tni_attr tni_attr_ints(const char *name, int64_t *values, uint32_t count);
tni_attr tni_attr_float(const char *name, float *value);
tni_attr tni_attr_text(const char *name, tn_string *value);

#endif // TENON_GRAPH_BUILDER_H
