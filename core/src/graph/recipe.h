// SPDX-License-Identifier: Apache-2.0
// Inside of constant.h: computing a recipe's bytes.
#ifndef TENON_GRAPH_RECIPE_H
#define TENON_GRAPH_RECIPE_H

#include "graph/constant.h"

// Computes a range inside the constant; the recursion over sources follows falling indices.
// Errors as tni_constant_read.
TN_MUST_USE tn_status tni_recipe_read(const struct tni_model *model, const tni_constant *constant,
                                      uint64_t offset_bytes, uint64_t size_bytes, void *destination,
                                      tn_error *error);

// Whether the recipe kind can produce this type from these sources: called before adding one.
bool tni_recipe_castable(tn_dtype from, tn_dtype to);

#endif // TENON_GRAPH_RECIPE_H
