// SPDX-License-Identifier: Apache-2.0
// Graph views made by hand for tests: one graph, a few nodes, data of constants beside it. Every
// function asserts that its fixed capacities are kept; nothing needs an error path.
#ifndef TENON_TESTS_VIEW_BUILDER_H
#define TENON_TESTS_VIEW_BUILDER_H

#include "tenon/abi/graph.h"

// A dimension given as VIEW_SYMBOL(i) is the symbol i; VIEW_ANONYMOUS has neither size nor name.
#define VIEW_SYMBOL(index) (-2 - (int64_t)(index))
#define VIEW_ANONYMOUS ((int64_t)-1)

typedef struct view_builder view_builder;

// Free with view_builder_destroy, which also frees the finished view.
view_builder *view_builder_create(void);
void view_builder_destroy(view_builder *builder);

uint32_t view_builder_symbol(view_builder *builder, const char *name, int64_t min, int64_t max);
// Index of a new value of graph 0. rank TN_RANK_UNKNOWN: dims is ignored.
uint32_t view_builder_value(view_builder *builder, tn_dtype dtype, uint32_t rank,
                            const int64_t *dims);
// Index of a new constant; its bytes are copied and its key is 1000 plus the index.
uint32_t view_builder_constant(view_builder *builder, tn_dtype dtype, uint32_t rank,
                               const int64_t *dims, const void *data, uint64_t size_bytes,
                               tn_constant_flags flags);
// Index of a new value that is a constant.
uint32_t view_builder_constant_value(view_builder *builder, tn_dtype dtype, uint32_t rank,
                                     const int64_t *dims, const void *data, uint64_t size_bytes,
                                     tn_constant_flags flags);
// Says that a value is a constant, whatever the shapes of both.
void view_builder_bind(view_builder *builder, uint32_t value, uint32_t constant);
// Index of a new node of domain ai.onnx. Attributes that follow belong to it.
uint32_t view_builder_node(view_builder *builder, const char *op_type, uint32_t since_version,
                           const uint32_t *inputs, uint32_t input_count, const uint32_t *outputs,
                           uint32_t output_count);
void view_builder_int(view_builder *builder, const char *name, int64_t value);
void view_builder_ints(view_builder *builder, const char *name, const int64_t *values,
                       uint32_t count);
void view_builder_float(view_builder *builder, const char *name, float value);
void view_builder_text(view_builder *builder, const char *name, const char *value);
void view_builder_tensor(view_builder *builder, const char *name, uint32_t constant);
void view_builder_input(view_builder *builder, uint32_t value);
void view_builder_output(view_builder *builder, uint32_t value);

// Lays the view out; may be called once, after which nothing may be added. stride_extra_bytes (a
// multiple of 8) makes every record longer than this build's, as a newer writer would.
tn_graph_view *view_builder_finish(view_builder *builder, uint32_t stride_extra_bytes);

// The bytes of a constant by its key, for a host's weight services; null when there is none.
const void *view_builder_weight(const view_builder *builder, uint64_t key, uint64_t *out_bytes);

#endif // TENON_TESTS_VIEW_BUILDER_H
