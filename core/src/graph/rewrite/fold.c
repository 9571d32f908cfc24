// SPDX-License-Identifier: Apache-2.0
// Constant folding: integers known by value, other names for the same bytes, recipes over weights,
// and small arithmetic.
#include "base/dtype.h"
#include "base/error.h"
#include "graph/recipe.h"
#include "graph/rewrite/rewrite_internal.h"
#include "graph/shape/infer.h"

#include <string.h>

static uint32_t constant_id(const tni_model *model, const tni_constant *constant) {
    return (uint32_t)(constant - model->constants);
}

// A tensor that shape inference followed to the last element.
static tn_status fold_known_ints(tni_model *model, const tni_fact *fact, uint32_t *out_constant,
                                 tn_error *error) {
    int64_t wide[TNI_MAX_ELEMENTS];
    int32_t narrow[TNI_MAX_ELEMENTS];
    const bool is_wide = fact->dtype == TN_DTYPE_INT64;
    if (fact->elements == NULL || fact->rank > 1 || (!is_wide && fact->dtype != TN_DTYPE_INT32)) {
        return TN_OK;
    }
    for (uint32_t i = 0; i < fact->element_count; i++) {
        if (!fact->elements[i].known) {
            return TN_OK;
        }
        wide[i] = fact->elements[i].value;
        narrow[i] = (int32_t)wide[i];
        if (!is_wide && narrow[i] != wide[i]) {
            return TN_OK;
        }
    }
    const int64_t dim = fact->element_count;
    const tni_constant_info info = {
        .dtype = fact->dtype,
        .rank = fact->rank,
        .dims = &dim,
        .kind = TNI_CONSTANT_OWNED,
        .bytes = is_wide ? (const void *)wide : (const void *)narrow,
        .size_bytes = (uint64_t)fact->element_count * (is_wide ? sizeof *wide : sizeof *narrow),
    };
    const tn_status status = tni_model_add_constant(model, &info, out_constant);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "folded constant");
}

// Ops that keep bytes and change dims.
static bool is_reshape_like(const tni_node *node) {
    return tni_node_is(node, "Reshape") || tni_node_is(node, "Flatten") ||
           tni_node_is(node, "Squeeze") || tni_node_is(node, "Unsqueeze") ||
           tni_node_is(node, "Identity");
}

static tn_status fold_reshape(tni_model *model, const tni_node *node, const tni_constant *x,
                              uint32_t *out_constant, tn_error *error) {
    int64_t dims[TN_MAX_RANK];
    uint32_t rank = 0;
    if (!tni_static_dims(model, node->outputs[0], &rank, dims)) {
        return TN_OK;
    }
    const tn_status status =
        tni_model_add_reshaped(model, constant_id(model, x), dims, rank, out_constant);
    if (status == TN_ERROR_INVALID_ARGUMENT) {
        return TN_OK;
    }
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "folded constant");
}

static tni_recipe empty_recipe(tni_recipe_kind kind, uint32_t source) {
    tni_recipe recipe = {.kind = kind};
    for (uint32_t i = 0; i < TNI_RECIPE_MAX_SOURCES; i++) {
        recipe.sources[i] = TN_NONE;
    }
    recipe.sources[0] = source;
    return recipe;
}

static tn_status fold_transpose(tni_model *model, const tni_node *node, const tni_constant *x,
                                uint32_t *out_constant, tn_error *error) {
    tni_recipe recipe = empty_recipe(TNI_RECIPE_TRANSPOSE, constant_id(model, x));
    int64_t dims[TN_MAX_RANK];
    uint32_t count = 0;
    const uint32_t rank = x->rank;
    const int64_t *perm = tni_node_ints(node, "perm", &count);
    if (tni_dtype_bits(x->dtype) < 8 || x->dtype == TN_DTYPE_STRING ||
        (perm != NULL && count != rank)) {
        return TN_OK;
    }
    for (uint32_t i = 0; i < rank; i++) {
        recipe.perm[i] = perm != NULL ? (uint32_t)perm[i] : rank - 1 - i;
        dims[i] = x->dims[recipe.perm[i]];
    }
    return tni_add_recipe(model, &recipe, x->dtype, rank, dims, out_constant, error);
}

static tn_status fold_cast(tni_model *model, const tni_node *node, const tni_constant *x,
                           uint32_t *out_constant, tn_error *error) {
    int64_t dims[TN_MAX_RANK];
    const tn_dtype to = model->values[node->outputs[0]].dtype;
    if (!tni_recipe_castable(x->dtype, to)) {
        return tni_fold_cast_to_integer(model, x, to, out_constant, error);
    }
    const tni_recipe recipe = empty_recipe(TNI_RECIPE_CAST, constant_id(model, x));
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    return tni_add_recipe(model, &recipe, to, x->rank, dims, out_constant, error);
}

// Whether scales (one per block of an axis) belong to a tensor.
static bool fits_blocks(const tni_constant *x, const tni_constant *scale, int64_t axis,
                        int64_t block) {
    bool fits = scale->rank == x->rank && block <= INT32_MAX && axis >= 0 && axis < x->rank;
    for (uint32_t i = 0; fits && i < x->rank; i++) {
        const int64_t blocks = x->dims[i] / block + (x->dims[i] % block != 0 ? 1 : 0);
        fits = scale->dims[i] == (i == (uint32_t)axis ? blocks : x->dims[i]);
    }
    return fits;
}

static tn_status fold_dequantize(tni_model *model, const tni_node *node, const tni_constant *x,
                                 uint32_t *out_constant, tn_error *error) {
    const tni_constant *scale = tni_node_constant(model, node, 1);
    const tni_constant *zero = tni_node_constant(model, node, 2);
    const tn_dtype to = model->values[node->outputs[0]].dtype;
    const int64_t given = tni_node_int(node, "axis", 1);
    const int64_t axis = given < 0 ? given + x->rank : given;
    const int64_t block = tni_node_int(node, "block_size", 0);
    int64_t dims[TN_MAX_RANK];
    if (scale == NULL || (zero == NULL && tni_node_input(node, 2) != TN_NONE) || block < 0 ||
        !tni_recipe_castable(x->dtype, to) || !tni_recipe_castable(scale->dtype, to) ||
        tni_dtype_is_float(x->dtype)) {
        return TN_OK;
    }
    const bool per_axis = scale->rank == 1 && scale->element_count > 1;
    const bool fits =
        block > 0  ? fits_blocks(x, scale, axis, block)
        : per_axis ? axis >= 0 && axis < x->rank && (uint64_t)x->dims[axis] == scale->element_count
                   : scale->element_count == 1;
    if (!fits || (zero != NULL && (zero->element_count != scale->element_count ||
                                   !tni_recipe_castable(zero->dtype, to)))) {
        return TN_OK;
    }
    tni_recipe recipe = empty_recipe(TNI_RECIPE_DEQUANTIZE, constant_id(model, x));
    recipe.sources[1] = constant_id(model, scale);
    recipe.sources[2] = zero != NULL ? constant_id(model, zero) : TN_NONE;
    recipe.axis = per_axis || block > 0 ? (uint32_t)axis : 0;
    recipe.block = (uint32_t)block;
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    return tni_add_recipe(model, &recipe, to, x->rank, dims, out_constant, error);
}

static tn_status fold_constant_input(tni_model *model, const tni_node *node, bool dequantize,
                                     uint32_t *out_constant, tn_error *error) {
    const tni_constant *x = tni_node_constant(model, node, 0);
    if (x == NULL) {
        return TN_OK;
    }
    if (is_reshape_like(node)) {
        return fold_reshape(model, node, x, out_constant, error);
    }
    if (tni_node_is(node, "Transpose")) {
        return fold_transpose(model, node, x, out_constant, error);
    }
    if (tni_node_is(node, "Cast")) {
        const tn_status status = fold_cast(model, node, x, out_constant, error);
        if (status != TN_OK || *out_constant != TN_NONE) {
            return status;
        }
    }
    if (dequantize && tni_node_is(node, "DequantizeLinear")) {
        return fold_dequantize(model, node, x, out_constant, error);
    }
    return tni_fold_small(model, node, out_constant, error);
}

static tn_status fold_node(tni_model *model, const tni_inference *in, uint32_t id, bool dequantize,
                           bool *inout_changed, tn_error *error) {
    // The record moves when nodes are added; none are here, but constants and values are.
    const tni_node node = model->nodes[id];
    uint32_t constant = TN_NONE;
    if (node.removed || node.output_count != 1 || node.outputs[0] == TN_NONE ||
        node.domain.size_bytes != 0 || model->graphs[node.graph].is_expansion) {
        return TN_OK;
    }
    tn_status status = fold_known_ints(model, &in->facts[node.outputs[0]], &constant, error);
    if (status == TN_OK && constant == TN_NONE) {
        status = fold_constant_input(model, &node, dequantize, &constant, error);
    }
    if (status == TN_OK && constant != TN_NONE) {
        status = tni_settle_recipe(model, constant, error);
    }
    if (status != TN_OK || constant == TN_NONE) {
        return status;
    }
    *inout_changed = true;
    status = tni_replace_by_constant(model, node.outputs[0], constant, error);
    tni_model_remove_node(model, id);
    return status;
}

tn_status tni_rewrite_fold(tni_model *model, bool fold_dequantize_nodes, bool *inout_changed,
                           tn_error *error) {
    tni_inference in;
    tn_status status = tni_inference_init(&in, model, model, error);
    const uint32_t value_count = model->value_count;
    if (status == TN_OK) {
        status = tni_infer_graph(&in, 0);
    }
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        status = fold_node(model, &in, i, fold_dequantize_nodes, inout_changed, error);
    }
    // Values were added since: the facts are freed by the count they were made with.
    tni_free_array(&model->alloc, in.facts, (uint64_t)value_count + 1, sizeof *in.facts);
    in.facts = NULL;
    tni_inference_deinit(&in);
    return status;
}
