// SPDX-License-Identifier: Apache-2.0
// The driver of the rewrites and the helpers that the passes share.
#include "graph/rewrite/rewrite_internal.h"

#include "base/checked.h"
#include "base/error.h"
#include "graph/shape/shape.h"

#include <string.h>

#define MAX_ROUNDS 8

static void count_ids(const tni_model *model, const uint32_t *ids, uint32_t count, uint32_t *uses) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t value = tni_model_resolve(model, ids[i]);
        if (value != TN_NONE) {
            uses[value]++;
        }
    }
}

tn_status tni_count_uses(const tni_model *model, uint32_t **out_uses, uint32_t *out_count,
                         tn_error *error) {
    *out_count = model->value_count;
    *out_uses = tni_alloc_array(&model->alloc, (uint64_t)*out_count + 1, sizeof **out_uses);
    if (*out_uses == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "rewrite");
    }
    for (uint32_t i = 0; i < model->node_count; i++) {
        const tni_node *node = &model->nodes[i];
        if (!node->removed) {
            count_ids(model, node->inputs, node->input_count, *out_uses);
        }
    }
    for (uint32_t i = 0; i < model->graph_count; i++) {
        const tni_graph *graph = &model->graphs[i];
        if (!graph->removed) {
            count_ids(model, graph->outputs, graph->output_count, *out_uses);
        }
    }
    return TN_OK;
}

tn_status tni_replace_by_constant(tni_model *model, uint32_t value, uint32_t constant,
                                  tn_error *error) {
    uint32_t replacement = TN_NONE;
    const tni_value *record = &model->values[value];
    const tn_status status =
        tni_model_add_constant_value(model, record->graph, record->name, constant, &replacement);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "folded constant");
    }
    tni_model_replace_uses(model, value, replacement);
    return TN_OK;
}

tn_status tni_settle_recipe(tni_model *model, uint32_t constant, tn_error *error) {
    void *bytes = NULL;
    const uint64_t size_bytes = model->constants[constant].size_bytes;
    if (model->constants[constant].kind != TNI_CONSTANT_RECIPE || size_bytes > TNI_FOLD_MAX_BYTES) {
        return TN_OK;
    }
    tn_status status = tni_arena_alloc(&model->arena, size_bytes, TNI_ALIGNMENT, &bytes);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "folded constant");
    }
    status = tni_constant_read(model, constant, 0, size_bytes, bytes, error);
    if (status == TN_OK) {
        model->constants[constant].kind = TNI_CONSTANT_OWNED;
        model->constants[constant].bytes = bytes;
        model->constants[constant].recipe = NULL;
    }
    return status;
}

tn_status tni_add_recipe(tni_model *model, const tni_recipe *recipe, tn_dtype dtype, uint32_t rank,
                         const int64_t *dims, uint32_t *out_constant, tn_error *error) {
    tni_constant_info info = {
        .dtype = dtype, .rank = rank, .dims = dims, .kind = TNI_CONSTANT_RECIPE, .recipe = recipe};
    uint64_t count = 0;
    tn_status status = TN_ERROR_INVALID_ARGUMENT;
    if (tni_count_of_dims(dims, rank, &count) &&
        tni_size_of_elements(dtype, count, &info.size_bytes)) {
        status = tni_model_add_constant(model, &info, out_constant);
    }
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "folded constant");
}

bool tni_static_dims(const tni_model *model, uint32_t value, uint32_t *out_rank,
                     int64_t out_dims[TN_MAX_RANK]) {
    const tni_value *record = &model->values[value];
    if (record->rank == TN_RANK_UNKNOWN) {
        return false;
    }
    *out_rank = record->rank;
    for (uint32_t i = 0; i < record->rank; i++) {
        if (record->dims[i].size < 0) {
            return false;
        }
        out_dims[i] = record->dims[i].size;
    }
    return true;
}

// Applies what a pass noted, and learns the shapes that follow.
static tn_status finish_pass(tni_model *model, tn_status status, bool changed, tn_error *error) {
    if (status != TN_OK || !changed) {
        return status;
    }
    tni_model_compact(model);
    return tni_shapes_infer(model, error);
}

static tn_status run_round(tni_model *model, const tni_rewrite_info *info, bool *inout_changed,
                           tn_error *error) {
    bool changed = false;
    tn_status status = tni_rewrite_noops(model, &changed, error);
    status = finish_pass(model, status, changed, error);
    *inout_changed = *inout_changed || changed;
    changed = false;
    if (status == TN_OK && !info->keep_constants) {
        status = tni_rewrite_fold(model, info->fold_dequantize, &changed, error);
        status = finish_pass(model, status, changed, error);
        *inout_changed = *inout_changed || changed;
        changed = false;
    }
    if (status == TN_OK && !info->keep_batch_norm) {
        status = tni_rewrite_batch_norm(model, &changed, error);
        status = finish_pass(model, status, changed, error);
        *inout_changed = *inout_changed || changed;
    }
    return status;
}

tn_status tni_model_canonicalise(tni_model *model, const tni_rewrite_info *info, tn_error *error) {
    static const tni_rewrite_info defaults = {false};
    const tni_rewrite_info *how = info != NULL ? info : &defaults;
    bool changed = true;
    tn_status status = tni_rewrite_gradients(model, error);
    if (status == TN_OK) {
        tni_model_compact(model);
        status = tni_shapes_infer(model, error);
    }
    for (int round = 0; round < MAX_ROUNDS && changed && status == TN_OK; round++) {
        changed = false;
        status = run_round(model, how, &changed, error);
    }
    if (status == TN_OK && !how->no_expansions) {
        changed = false;
        status = tni_rewrite_expand(model, &changed, error);
        if (status == TN_OK && changed) {
            status = tni_shapes_infer(model, error);
        }
    }
    if (status != TN_OK) {
        return status;
    }
    status = tni_model_normalise_outputs(model);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "outputs");
}
