// SPDX-License-Identifier: Apache-2.0
// Removes nodes that hand their first operand on unchanged.
#include "graph/rewrite/rewrite_internal.h"

#include "base/error.h"
#include "graph/elements.h"

static bool same_dims(const tni_value *a, const tni_value *b) {
    if (a->rank == TN_RANK_UNKNOWN || a->rank != b->rank) {
        return false;
    }
    for (uint32_t i = 0; i < a->rank; i++) {
        const tn_graph_dim x = a->dims[i];
        const tn_graph_dim y = b->dims[i];
        const bool equal = x.size >= 0 ? x.size == y.size
                                       : y.size < 0 && x.symbol == y.symbol && x.symbol != TN_NONE;
        if (!equal) {
            return false;
        }
    }
    return true;
}

// Whether a scalar boolean constant is false; absent counts as false, unknown does not.
static bool is_false(const tni_model *model, const tni_node *node, uint32_t input) {
    int64_t value = 1;
    uint32_t count = 0;
    if (tni_node_input(node, input) == TN_NONE) {
        return true;
    }
    const tni_constant *constant = tni_node_constant(model, node, input);
    return constant != NULL &&
           tni_constant_ints(model, (uint32_t)(constant - model->constants), &value, 1, &count,
                             NULL) == TN_OK &&
           count == 1 && value == 0;
}

static bool is_inference_dropout(const tni_model *model, const tni_node *node,
                                 const uint32_t *uses) {
    const uint32_t mask = tni_node_output(node, 1);
    if (mask != TN_NONE && uses[mask] > 0) {
        return false;
    }
    if (node->since_version >= 12) {
        return is_false(model, node, 2);
    }
    return node->since_version >= 7 || tni_node_int(node, "is_test", 0) != 0;
}

static bool is_identity_transpose(const tni_model *model, const tni_node *node, uint32_t from) {
    uint32_t count = 0;
    const int64_t *perm = tni_node_ints(node, "perm", &count);
    if (perm == NULL) {
        return model->values[from].rank <= 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (perm[i] != i) {
            return false;
        }
    }
    return true;
}

static bool is_noop(const tni_model *model, const tni_node *node, uint32_t from,
                    const uint32_t *uses) {
    static const char *const by_shape[] = {"Reshape",   "Flatten", "Squeeze",
                                           "Unsqueeze", "Expand",  "Tile"};
    static const char *const by_count[] = {"Concat", "Sum", "Max", "Min", "Mean"};
    const tni_value *before = &model->values[from];
    const tni_value *after = &model->values[node->outputs[0]];
    if (tni_node_is(node, "Identity")) {
        return true;
    }
    if (tni_node_is(node, "Dropout")) {
        return is_inference_dropout(model, node, uses);
    }
    if (tni_node_is(node, "Cast")) {
        return before->dtype != TN_DTYPE_UNDEFINED && before->dtype == after->dtype;
    }
    if (tni_node_is(node, "Transpose")) {
        return is_identity_transpose(model, node, from);
    }
    for (size_t i = 0; i < sizeof by_shape / sizeof by_shape[0]; i++) {
        if (tni_node_is(node, by_shape[i])) {
            return same_dims(before, after);
        }
    }
    for (size_t i = 0; i < sizeof by_count / sizeof by_count[0]; i++) {
        if (tni_node_is(node, by_count[i])) {
            return node->input_count == 1;
        }
    }
    return false;
}

tn_status tni_rewrite_noops(tni_model *model, bool *inout_changed, tn_error *error) {
    uint32_t *uses = NULL;
    uint32_t use_count = 0;
    tn_status status = tni_count_uses(model, &uses, &use_count, error);
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        const tni_node *node = &model->nodes[i];
        const uint32_t from = tni_model_resolve(model, tni_node_input(node, 0));
        if (node->removed || from == TN_NONE || node->output_count == 0 ||
            node->outputs[0] == TN_NONE || model->graphs[node->graph].is_expansion) {
            continue;
        }
        // A body that hands on a value from outside keeps its node: its output has to be its own.
        const bool own = model->values[from].graph == node->graph;
        const bool free_input = node->graph == 0 || model->values[from].producer != TN_NONE;
        if (own && free_input && is_noop(model, node, from, uses)) {
            tni_model_replace_uses(model, node->outputs[0], from);
            tni_model_remove_node(model, i);
            *inout_changed = true;
        }
    }
    tni_free_array(&model->alloc, uses, (uint64_t)use_count + 1, sizeof *uses);
    return status;
}
