// SPDX-License-Identifier: Apache-2.0
// Shape and type inference: once at load with symbolic sizes, and again at prepare with the actual
// sizes of the inputs. Small integer tensors (what Shape, Gather, Concat feed into Reshape) are
// followed by value.
#ifndef TENON_GRAPH_SHAPE_H
#define TENON_GRAPH_SHAPE_H

#include "graph/graph.h"

// Fills dtype, rank and dims of every value that can be known, in every graph. Equal sizes share a
// symbol; a size that cannot be expressed gets a new unnamed symbol, so after this every dim of a
// value of known rank is a size or a symbol. Declared shapes fill gaps; where a declared shape
// contradicts what the ops compute, the computed one wins and a warning is logged. May be called
// again after rewrites. One thread. TN_OK · TN_ERROR_INVALID_DATA operands contradict each other;
// error has the node, the operand's value and the shapes · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_shapes_infer(tni_model *model, tn_error *error);

// The actual shape of one graph input.
typedef struct tni_shape_input {
    uint32_t value; // an input of graph 0
    uint32_t rank;
    const int64_t *dims;
} tni_shape_input;

// One value's shape; sizes that only a run can tell are -1.
typedef struct tni_shape {
    tn_dtype dtype;
    uint32_t rank; // or TN_RANK_UNKNOWN
    const int64_t *dims;
    uint64_t size_bytes; // 0 unless every dim is known and the type has a size
    bool known;          // every dim is known
} tni_shape;

// Shapes of every value of the model, by value index. Single owner; read by any thread.
typedef struct tni_shape_table {
    tni_alloc alloc;
    tni_arena arena;
    uint32_t value_count;
    uint32_t symbol_count;
    tni_shape *shapes;     // value_count
    int64_t *symbol_sizes; // symbol_count; -1: no value with this symbol has a known size
} tni_shape_table;

// Computes the shape of every value from those of the inputs. inputs: each input of graph 0 once,
// in any order. The model is only read; any thread. TN_OK · TN_ERROR_INVALID_ARGUMENT an input is
// missing, unknown, or contradicts the model's declared rank, a fixed dim, a symbol's range, or
// another dim with the same symbol (value_index says which) · TN_ERROR_INVALID_DATA operands of a
// node contradict (node_index, value_index) · TN_ERROR_LIMIT_EXCEEDED a tensor is larger than 2^47
// bytes · TN_ERROR_OUT_OF_MEMORY. *out_table is null on failure; free with tni_shape_table_destroy.
TN_MUST_USE tn_status tni_shapes_evaluate(const tni_model *model, const tni_alloc *alloc,
                                          const tni_shape_input *inputs, uint32_t input_count,
                                          tni_shape_table **out_table, tn_error *error);
// Frees a table. Null is ignored.
void tni_shape_table_destroy(tni_shape_table *table);

#endif // TENON_GRAPH_SHAPE_H
