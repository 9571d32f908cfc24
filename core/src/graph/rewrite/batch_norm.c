// SPDX-License-Identifier: Apache-2.0
// Folds a BatchNormalization into the convolution before it: the weight and the bias become
// recipes.
#include "base/error.h"
#include "graph/elements.h"
#include "graph/rewrite/rewrite_internal.h"

#include <string.h>

// Everything one folding needs, as constant ids.
typedef struct {
    uint32_t conv;
    uint32_t weight;
    uint32_t bias;          // or TN_NONE
    uint32_t parameters[4]; // gamma, beta, mean, variance
    double epsilon;
} folding;

static uint32_t constant_of(const tni_model *model, const tni_node *node, uint32_t input) {
    const tni_constant *constant = tni_node_constant(model, node, input);
    return constant != NULL ? (uint32_t)(constant - model->constants) : TN_NONE;
}

static bool is_inference(const tni_node *node) {
    for (uint32_t i = 1; i < node->output_count; i++) {
        if (node->outputs[i] != TN_NONE) {
            return false;
        }
    }
    if (node->since_version < 7 && tni_node_int(node, "is_test", 0) == 0) {
        return false;
    }
    return tni_node_int(node, "training_mode", 0) == 0 && tni_node_int(node, "spatial", 1) == 1;
}

static bool is_vector(const tni_model *model, uint32_t constant, uint64_t count) {
    const tni_constant *record = &model->constants[constant];
    return record->rank == 1 && record->element_count == count &&
           tni_elements_encodable(record->dtype);
}

static bool find_parameters(const tni_model *model, const tni_node *node, folding *f) {
    const tni_constant *weight = &model->constants[f->weight];
    const uint64_t channels = (uint64_t)weight->dims[0];
    for (uint32_t i = 0; i < 4; i++) {
        f->parameters[i] = constant_of(model, node, i + 1);
        if (f->parameters[i] == TN_NONE || !is_vector(model, f->parameters[i], channels)) {
            return false;
        }
    }
    // The default is 1e-5 as a binary32 number, like any other value of the attribute.
    f->epsilon = (double)tni_node_float(node, "epsilon", 1e-5f);
    return f->bias == TN_NONE || is_vector(model, f->bias, channels);
}

// Whether the node can be folded into the convolution that feeds it, and nothing else reads.
static bool match(const tni_model *model, const tni_node *node, const uint32_t *uses, folding *f) {
    if (node->removed || !tni_node_is(node, "BatchNormalization") || node->output_count == 0 ||
        node->outputs[0] == TN_NONE || !is_inference(node)) {
        return false;
    }
    const uint32_t x = tni_model_resolve(model, tni_node_input(node, 0));
    if (x == TN_NONE || model->values[x].producer == TN_NONE || uses[x] != 1) {
        return false;
    }
    f->conv = model->values[x].producer;
    const tni_node *conv = &model->nodes[f->conv];
    if (conv->removed || !tni_node_is(conv, "Conv") || conv->graph != node->graph) {
        return false;
    }
    f->weight = constant_of(model, conv, 1);
    f->bias = constant_of(model, conv, 2);
    if (f->weight == TN_NONE || (f->bias == TN_NONE && tni_node_input(conv, 2) != TN_NONE)) {
        return false;
    }
    const tni_constant *weight = &model->constants[f->weight];
    return weight->rank >= 3 && tni_elements_encodable(weight->dtype) &&
           find_parameters(model, node, f);
}

static tn_status add_constants(tni_model *model, const folding *f, uint32_t *out_weight,
                               uint32_t *out_bias, tn_error *error) {
    const tni_constant weight = model->constants[f->weight];
    const tni_recipe weight_recipe = {
        .kind = TNI_RECIPE_BN_WEIGHT,
        .sources = {f->weight, f->parameters[0], f->parameters[3], TN_NONE, TN_NONE},
        .epsilon = f->epsilon,
    };
    const tni_recipe bias_recipe = {
        .kind = TNI_RECIPE_BN_BIAS,
        .sources = {f->bias, f->parameters[0], f->parameters[1], f->parameters[2],
                    f->parameters[3]},
        .epsilon = f->epsilon,
    };
    tn_status status = tni_add_recipe(model, &weight_recipe, weight.dtype, weight.rank, weight.dims,
                                      out_weight, error);
    if (status == TN_OK) {
        status = tni_add_recipe(model, &bias_recipe, weight.dtype, 1, weight.dims, out_bias, error);
    }
    if (status == TN_OK) {
        status = tni_settle_recipe(model, *out_weight, error);
    }
    return status == TN_OK ? tni_settle_recipe(model, *out_bias, error) : status;
}

static tn_status apply(tni_model *model, uint32_t norm, const folding *f, tn_error *error) {
    uint32_t constants[2] = {TN_NONE, TN_NONE};
    uint32_t *inputs = NULL;
    tn_status status = add_constants(model, f, &constants[0], &constants[1], error);
    if (status != TN_OK) {
        return status;
    }
    status = tni_arena_array(&model->arena, 3, sizeof *inputs, sizeof *inputs, (void **)&inputs);
    const uint32_t graph = model->nodes[norm].graph;
    const uint32_t old_bias = tni_node_input(&model->nodes[f->conv], 2);
    const uint32_t output = model->nodes[norm].outputs[0];
    const tn_string names[2] = {
        model->values[tni_node_input(&model->nodes[f->conv], 1)].name,
        model->values[old_bias != TN_NONE ? old_bias : tni_node_input(&model->nodes[norm], 2)]
            .name};
    for (uint32_t i = 0; i < 2 && status == TN_OK; i++) {
        status = tni_model_add_constant_value(model, graph, names[i], constants[i], &inputs[i + 1]);
    }
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "BatchNormalization folding");
    }
    tni_node *conv = &model->nodes[f->conv];
    tni_model_cross_calls(model, conv->call, model->nodes[norm].call);
    inputs[0] = conv->inputs[0];
    conv->inputs = inputs;
    conv->input_count = 3;
    tni_model_replace_uses(model, output, conv->outputs[0]);
    tni_model_remove_node(model, norm);
    return TN_OK;
}

tn_status tni_rewrite_batch_norm(tni_model *model, bool *inout_changed, tn_error *error) {
    uint32_t *uses = NULL;
    uint32_t use_count = 0;
    tn_status status = tni_count_uses(model, &uses, &use_count, error);
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        folding f;
        if (match(model, &model->nodes[i], uses, &f)) {
            // The convolution's result is now read by whoever read the normalised one.
            const uint32_t output = model->nodes[i].outputs[0];
            uses[model->nodes[f.conv].outputs[0]] = uses[output];
            status = apply(model, i, &f, error);
            *inout_changed = true;
        }
    }
    tni_free_array(&model->alloc, uses, (uint64_t)use_count + 1, sizeof *uses);
    return status;
}
