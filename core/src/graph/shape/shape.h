// SPDX-License-Identifier: Apache-2.0
// Shape and type inference: once at load with symbolic sizes, and again at prepare with the actual
// sizes of the inputs. Small integer tensors (what Shape, Gather, Concat feed into Reshape) are
// followed by value.
#ifndef TENON_GRAPH_SHAPE_H
#define TENON_GRAPH_SHAPE_H

#include "graph/region.h"

// Fills dtype, rank and dims of every value that can be known, in every graph. Equal sizes share a
// symbol; a size that cannot be expressed gets a new unnamed symbol, so after this every dim of a
// value of known rank is a size or a symbol. Declared shapes fill gaps; where a declared shape
// contradicts what the ops compute, the computed one wins and a warning is logged. May be called
// again after rewrites. One thread. TN_OK · TN_ERROR_INVALID_DATA operands contradict each other;
// error has the node, the operand's value and the shapes · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_shapes_infer(tni_model *model, tn_error *error);

// The actual shape of one input of graph 0 or of a region.
typedef struct tni_shape_input {
    uint32_t value;
    uint32_t rank;
    const int64_t *dims;
    // Of a region's inputs only:
    tn_dtype dtype;   // UNDEFINED: the model's
    const void *data; // the elements, for those that region.read_inputs marks; else null
    uint64_t size_bytes;
} tni_shape_input;

// One value's shape; sizes that only a run can tell are -1.
typedef struct tni_shape {
    tn_dtype dtype;
    uint32_t rank; // or TN_RANK_UNKNOWN
    const int64_t *dims;
    uint64_t size_bytes; // 0 unless every dim is known and the type has a size
    bool known;          // every dim is known
} tni_shape;

// Shapes of the model's values that are known. Single owner; read by any thread.
typedef struct tni_shape_table {
    tni_alloc alloc;
    tni_arena arena;
    uint32_t count;
    uint32_t capacity;
    uint32_t symbol_count;
    uint32_t *values;      // ascending
    tni_shape *shapes;     // of these
    int64_t *symbol_sizes; // symbol_count; -1: no value with this symbol has a known size
} tni_shape_table;

// The shape of a value; one of unknown rank where nothing is known of it, or it is a constant.
const tni_shape *tni_shape_of(const tni_shape_table *table, uint32_t value);

// Computes the shape of every value from those of the inputs. inputs: each input of graph 0 once,
// in any order. The model is only read; any thread. TN_OK · TN_ERROR_INVALID_ARGUMENT an input is
// missing, unknown, or contradicts the model's declared rank, a fixed dim, a symbol's range, or
// another dim with the same symbol (value_index says which) · TN_ERROR_INVALID_DATA operands of a
// node contradict (node_index, value_index) · TN_ERROR_LIMIT_EXCEEDED a tensor is larger than 2^47
// bytes · TN_ERROR_OUT_OF_MEMORY. *out_table is null on failure; free with tni_shape_table_destroy.
TN_MUST_USE tn_status tni_shapes_evaluate(const tni_model *model, const tni_alloc *alloc,
                                          const tni_shape_input *inputs, uint32_t input_count,
                                          tni_shape_table **out_table, tn_error *error);
// The same for a region: computes the shape of every value its nodes make from those of its inputs,
// of whatever graph. A symbol that would have to mean two sizes is no error here: see
// tni_shapes_agree. inputs: each input of the region once. TN_ERROR_INVALID_ARGUMENT a rank or dim
// that is none · the other errors and ownership as tni_shapes_evaluate.
TN_MUST_USE tn_status tni_shapes_evaluate_region(const tni_model *model, const tni_alloc *alloc,
                                                 const tni_region *region,
                                                 const tni_shape_input *inputs,
                                                 uint32_t input_count, tni_shape_table **out_table,
                                                 tn_error *error);

// Whether what the model says of the region's values is complete, and true of this run once its
// symbols are replaced by table's sizes. If not, a plan for the region has to be made for these
// very shapes. Sizes that only the run will tell are left out of account.
bool tni_shapes_agree(const tni_model *model, const tni_region *region,
                      const tni_shape_table *table);
// Whether the model tells type and rank of every value the region reads or makes: without, no plan
// can be made before the shapes are known.
bool tni_shapes_complete(const tni_model *model, const tni_region *region);

// Frees a table. Null is ignored.
void tni_shape_table_destroy(tni_shape_table *table);

#endif // TENON_GRAPH_SHAPE_H
