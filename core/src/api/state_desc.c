// SPDX-License-Identifier: Apache-2.0
// tenon/model.h: states that a model shows by its form.
#include "api/objects.h"

// The input that an output grows, as Concat(input, new); TN_NONE: none.
static uint32_t grown_input(const tni_model *model, uint32_t output, uint32_t *out_axis) {
    const tni_graph *graph = &model->graphs[0];
    const tni_value *value = &model->values[graph->outputs[output]];
    const tni_node *node = value->producer == TN_NONE ? NULL : &model->nodes[value->producer];
    if (node == NULL || !tni_node_is(node, "Concat") || node->input_count != 2 ||
        value->rank == TN_RANK_UNKNOWN) {
        return TN_NONE;
    }
    int64_t axis = tni_node_int(node, "axis", 0);
    axis += axis < 0 ? value->rank : 0;
    *out_axis = (uint32_t)axis;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        if (graph->inputs[i] == node->inputs[0]) {
            return i;
        }
    }
    return TN_NONE;
}

uint32_t tn_model_state_count(const tn_model *model) {
    uint32_t count = 0;
    uint32_t axis = 0;
    for (uint32_t i = 0; model != NULL && i < model->model->graphs[0].output_count; i++) {
        count += grown_input(model->model, i, &axis) != TN_NONE;
    }
    return count;
}

tn_status tn_model_state_get(const tn_model *model, uint32_t index, tn_state_desc *out_desc) {
    if (model == NULL || !tni_struct_ok(out_desc, TN_STRUCT_STATE_DESC, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < model->model->graphs[0].output_count; i++) {
        tn_state_desc desc = {.output = i};
        desc.input = grown_input(model->model, i, &desc.axis);
        if (desc.input != TN_NONE && index-- == 0) {
            tni_struct_out(out_desc, &desc, sizeof(desc));
            return TN_OK;
        }
    }
    return TN_ERROR_INVALID_ARGUMENT;
}
