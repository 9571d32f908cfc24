// SPDX-License-Identifier: Apache-2.0
// Inside of rewrite.h: what the passes share.
#ifndef TENON_GRAPH_REWRITE_INTERNAL_H
#define TENON_GRAPH_REWRITE_INTERNAL_H

#include "graph/rewrite/rewrite.h"

// How often every value is read, by nodes of all graphs and as graph output. One entry per value at
// the time of the call; free with tni_free_array(&model->alloc, uses, *out_count + 1,
// sizeof(uint32_t)).
TN_MUST_USE tn_status tni_count_uses(const tni_model *model, uint32_t **out_uses,
                                     uint32_t *out_count, tn_error *error);

// Puts a constant in the place of a node's output; the node dies when its outputs are all replaced.
TN_MUST_USE tn_status tni_replace_by_constant(tni_model *model, uint32_t value, uint32_t constant,
                                              tn_error *error);

// Computes a recipe of at most TNI_FOLD_MAX_BYTES now and keeps the bytes instead.
TN_MUST_USE tn_status tni_settle_recipe(tni_model *model, uint32_t constant, tn_error *error);

// Adds a recipe of this type and shape. sources beyond source_count are absent.
TN_MUST_USE tn_status tni_add_recipe(tni_model *model, const tni_recipe *recipe, tn_dtype dtype,
                                     uint32_t rank, const int64_t *dims, uint32_t *out_constant,
                                     tn_error *error);

// Evaluates a node whose operands are small constants into *out_constant, or leaves TN_NONE when it
// is none of the ops known here.
TN_MUST_USE tn_status tni_fold_small(tni_model *model, const tni_node *node, uint32_t *out_constant,
                                     tn_error *error);

// The sizes of a value when its rank and all dims are known.
bool tni_static_dims(const tni_model *model, uint32_t value, uint32_t *out_rank,
                     int64_t out_dims[TN_MAX_RANK]);

// Folds a cast of a small constant to an integer type where every value fits; else leaves
// *out_constant. Errors as tni_fold_small.
TN_MUST_USE tn_status tni_fold_cast_to_integer(tni_model *model, const tni_constant *x, tn_dtype to,
                                               uint32_t *out_constant, tn_error *error);

#endif // TENON_GRAPH_REWRITE_INTERNAL_H
