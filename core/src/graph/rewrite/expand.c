// SPDX-License-Identifier: Apache-2.0
// Gives function ops a graph of simpler ops that computes the same. The node stays as it is:
// devices are asked about both.
#include "base/error.h"
#include "graph/builder.h"
#include "graph/elements.h"
#include "graph/rewrite/rewrite_internal.h"

// The formal value for an operand, of the operand's name; TN_NONE when it is absent.
static uint32_t add_formal(tni_builder *b, uint32_t actual, bool is_output) {
    uint32_t value = TN_NONE;
    if (actual != TN_NONE && b->status == TN_OK) {
        b->status = tni_model_add_value(b->model, b->graph, b->model->values[actual].name, &value);
    }
    if (b->status == TN_OK) {
        b->status = is_output ? TN_OK : tni_graph_add_input(b->model, b->graph, value);
    }
    return value;
}

// Makes the expansion's outputs from formal values, in order.
static void add_outputs(tni_builder *b, const uint32_t *formals, uint32_t count) {
    for (uint32_t i = 0; i < count && b->status == TN_OK; i++) {
        b->status = tni_graph_add_output(b->model, b->graph, formals[i]);
    }
}

// The axes from `axis` to the last, counted from the end so that the rank need not be known.
static uint32_t trailing_axes(const tni_model *model, const tni_node *node, int64_t *out_axes) {
    const uint32_t rank = model->values[tni_node_input(node, 0)].rank;
    int64_t axis = tni_node_int(node, "axis", -1);
    if (axis >= 0) {
        if (rank == TN_RANK_UNKNOWN) {
            return 0;
        }
        axis -= rank;
    }
    if (axis < -(int64_t)TN_MAX_RANK || axis >= 0) {
        return 0;
    }
    const uint32_t count = (uint32_t)-axis;
    for (uint32_t i = 0; i < count; i++) {
        out_axes[i] = axis + i;
    }
    return count;
}

// y = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias, with the statistics in the
// stash type.
static void build_layer_norm(tni_builder *b, const int64_t *axes, uint32_t axis_count) {
    const tni_node node = b->model->nodes[b->node];
    const tn_dtype outer = b->model->values[node.outputs[0]].dtype;
    uint32_t in[3] = {TN_NONE, TN_NONE, TN_NONE};
    uint32_t out[3] = {TN_NONE, TN_NONE, TN_NONE};
    for (uint32_t i = 0; i < node.input_count && i < 3; i++) {
        in[i] = add_formal(b, node.inputs[i], false);
    }
    const uint32_t output_count = node.output_count < 3 ? node.output_count : 3;
    for (uint32_t i = 0; i < output_count; i++) {
        out[i] = add_formal(b, node.outputs[i], true);
    }
    const bool casts = b->dtype != outer;
    const uint32_t x = casts ? tni_build_cast(b, in[0], b->dtype, TN_NONE) : in[0];
    const uint32_t mean = tni_build_reduce(b, "ReduceMean", x, axes, axis_count, true, out[1]);
    const uint32_t centred = tni_build_binary(b, "Sub", x, mean, TN_NONE);
    const uint32_t square = tni_build_binary(b, "Mul", centred, centred, TN_NONE);
    const uint32_t variance =
        tni_build_reduce(b, "ReduceMean", square, axes, axis_count, true, TN_NONE);
    const double epsilon = (double)tni_node_float(&node, "epsilon", 1e-5f);
    const uint32_t shifted =
        tni_build_binary(b, "Add", variance, tni_build_scalar(b, epsilon), TN_NONE);
    const uint32_t deviation = tni_build_unary(b, "Sqrt", shifted, TN_NONE);
    if (out[2] != TN_NONE) {
        (void)tni_build_unary(b, "Reciprocal", deviation, out[2]);
    }
    uint32_t result = tni_build_binary(b, "Div", centred, deviation, TN_NONE);
    result = casts ? tni_build_cast(b, result, outer, TN_NONE) : result;
    result = tni_build_binary(b, "Mul", result, in[1], in[2] == TN_NONE ? out[0] : TN_NONE);
    if (in[2] != TN_NONE) {
        (void)tni_build_binary(b, "Add", result, in[2], out[0]);
    }
    add_outputs(b, out, output_count);
}

// x/2 * (1 + erf(x / sqrt 2)), or the tanh form.
static void build_gelu(tni_builder *b) {
    const tni_node node = b->model->nodes[b->node];
    const uint32_t x = add_formal(b, node.inputs[0], false);
    const uint32_t y = add_formal(b, node.outputs[0], true);
    uint32_t inner = TN_NONE;
    if (tni_string_is(tni_node_text(&node, "approximate", "none"), "tanh")) {
        const uint32_t square = tni_build_binary(b, "Mul", x, x, TN_NONE);
        const uint32_t cube = tni_build_binary(b, "Mul", square, x, TN_NONE);
        const uint32_t term =
            tni_build_binary(b, "Mul", cube, tni_build_scalar(b, 0.044715), TN_NONE);
        const uint32_t sum = tni_build_binary(b, "Add", x, term, TN_NONE);
        const uint32_t scaled =
            tni_build_binary(b, "Mul", sum, tni_build_scalar(b, 0.79788456080286535588), TN_NONE);
        inner = tni_build_unary(b, "Tanh", scaled, TN_NONE);
    } else {
        const uint32_t scaled =
            tni_build_binary(b, "Mul", x, tni_build_scalar(b, 0.70710678118654752440), TN_NONE);
        inner = tni_build_unary(b, "Erf", scaled, TN_NONE);
    }
    const uint32_t shifted = tni_build_binary(b, "Add", inner, tni_build_scalar(b, 1.0), TN_NONE);
    const uint32_t half = tni_build_binary(b, "Mul", x, tni_build_scalar(b, 0.5), TN_NONE);
    (void)tni_build_binary(b, "Mul", half, shifted, y);
    add_outputs(b, &y, 1);
}

static tn_status expand_node(tni_model *model, uint32_t id, bool *inout_changed, tn_error *error) {
    const tni_node *node = &model->nodes[id];
    const bool layer_norm = tni_node_is(node, "LayerNormalization");
    tni_builder b = {.model = model, .node = id, .opset = tni_model_opset(model, TNI_LITERAL(""))};
    int64_t axes[TN_MAX_RANK];
    uint32_t axis_count = 0;
    if (node->removed || node->expansion != TN_NONE ||
        (!layer_norm && !tni_node_is(node, "Gelu")) || node->output_count == 0 ||
        node->outputs[0] == TN_NONE || model->graphs[node->graph].is_expansion) {
        return TN_OK;
    }
    b.dtype = model->values[node->outputs[0]].dtype;
    if (layer_norm) {
        axis_count = trailing_axes(model, node, axes);
        b.dtype = (tn_dtype)tni_node_int(node, "stash_type", TN_DTYPE_FLOAT);
    }
    // Over doubles, the default stash type would narrow the result: such a node stays whole.
    const bool narrows =
        b.dtype != TN_DTYPE_DOUBLE && model->values[node->outputs[0]].dtype == TN_DTYPE_DOUBLE;
    if (!tni_elements_encodable(b.dtype) || narrows || (layer_norm && axis_count == 0)) {
        return TN_OK;
    }
    b.status = tni_model_add_graph(model, id, model->nodes[id].op_type, &b.graph);
    if (b.status == TN_OK) {
        model->graphs[b.graph].is_expansion = true;
        b.scope = b.graph;
        if (layer_norm) {
            build_layer_norm(&b, axes, axis_count);
        } else {
            build_gelu(&b);
        }
    }
    if (b.status != TN_OK) {
        return tni_fail_plain(error, b.status, "expansion of a function op");
    }
    model->nodes[id].expansion = b.graph;
    *inout_changed = true;
    return TN_OK;
}

tn_status tni_rewrite_expand(tni_model *model, bool *inout_changed, tn_error *error) {
    const uint32_t node_count = model->node_count;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node_count && status == TN_OK; i++) {
        status = expand_node(model, i, inout_changed, error);
    }
    return status;
}
