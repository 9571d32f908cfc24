// SPDX-License-Identifier: Apache-2.0
// Gives function ops a graph of simpler ops that computes the same. The node stays as it is:
// devices are asked about both.
#include "base/error.h"
#include "graph/elements.h"
#include "graph/rewrite/rewrite_internal.h"
#include "graph/schema/schema.h"

// An expansion under construction. The first failure is kept in status and stops the rest.
typedef struct {
    tni_model *model;
    tn_error *error;
    tn_status status;
    uint32_t node; // that is being expanded
    uint32_t graph;
    uint32_t opset;
    tn_dtype dtype; // of the arithmetic
} builder;

static uint32_t add_value(builder *b, const char *name) {
    uint32_t value = TN_NONE;
    if (b->status == TN_OK) {
        b->status = tni_model_add_value(b->model, b->graph, tni_string_of(name), &value);
    }
    return value;
}

// The formal value for an operand, of the operand's name; TN_NONE when it is absent.
static uint32_t add_formal(builder *b, uint32_t actual, bool is_output) {
    uint32_t value = TN_NONE;
    if (actual != TN_NONE && b->status == TN_OK) {
        b->status = tni_model_add_value(b->model, b->graph, b->model->values[actual].name, &value);
    }
    if (b->status == TN_OK) {
        b->status = is_output ? TN_OK : tni_graph_add_input(b->model, b->graph, value);
    }
    return value;
}

// A scalar (rank 0) in the arithmetic's type.
static uint32_t add_scalar(builder *b, double number) {
    uint8_t bytes[8];
    uint32_t constant = TN_NONE;
    uint32_t value = TN_NONE;
    if (b->status != TN_OK) {
        return TN_NONE;
    }
    tni_elements_encode(b->dtype, &number, 1, bytes);
    const tni_constant_info info = {
        .dtype = b->dtype,
        .kind = TNI_CONSTANT_OWNED,
        .bytes = bytes,
        .size_bytes = b->dtype == TN_DTYPE_DOUBLE  ? 8u
                      : b->dtype == TN_DTYPE_FLOAT ? 4u
                                                   : 2u,
    };
    b->status = tni_model_add_constant(b->model, &info, &constant);
    if (b->status == TN_OK) {
        b->status =
            tni_model_add_constant_value(b->model, b->graph, TNI_LITERAL(""), constant, &value);
    }
    return value;
}

// Adds a node that computes `output` (made here when TN_NONE) and returns it.
static uint32_t add_node(builder *b, const char *op_type, uint32_t input_count,
                         const uint32_t *inputs, uint32_t output, const tni_attr *attrs,
                         uint32_t attr_count) {
    uint32_t id = TN_NONE;
    if (output == TN_NONE) {
        output = add_value(b, "");
    }
    if (b->status != TN_OK) {
        return TN_NONE;
    }
    const tni_node_info info = {
        .graph = b->graph,
        .op_type = tni_string_of(op_type),
        .name = b->model->nodes[b->node].name,
        .since_version =
            tni_schema_since_version(TNI_LITERAL(""), tni_string_of(op_type), b->opset),
        .input_count = input_count,
        .output_count = 1,
        .inputs = inputs,
        .outputs = &output,
        .attrs = attrs,
        .attr_count = attr_count,
        .source_id = b->model->nodes[b->node].source_id,
    };
    b->status = tni_model_add_node(b->model, &info, &id);
    return output;
}

static uint32_t unary(builder *b, const char *op_type, uint32_t x, uint32_t output) {
    return add_node(b, op_type, 1, &x, output, NULL, 0);
}

static uint32_t binary(builder *b, const char *op_type, uint32_t x, uint32_t y, uint32_t output) {
    const uint32_t inputs[2] = {x, y};
    return add_node(b, op_type, 2, inputs, output, NULL, 0);
}

static uint32_t cast(builder *b, uint32_t x, tn_dtype dtype, uint32_t output) {
    int64_t to = dtype;
    const tni_attr attr = {.name = TNI_LITERAL("to"), .kind = TN_ATTR_INT, .count = 1, .ints = &to};
    return add_node(b, "Cast", 1, &x, output, &attr, 1);
}

// ReduceMean over the last axes; they became an operand with opset 18.
static uint32_t reduce_mean(builder *b, uint32_t x, const int64_t *axes, uint32_t axis_count,
                            uint32_t output) {
    int64_t values[TN_MAX_RANK];
    uint32_t inputs[2] = {x, TN_NONE};
    uint32_t constant = TN_NONE;
    for (uint32_t i = 0; i < axis_count; i++) {
        values[i] = axes[i];
    }
    if (b->opset < 18) {
        const tni_attr attr = {
            .name = TNI_LITERAL("axes"), .kind = TN_ATTR_INTS, .count = axis_count, .ints = values};
        return add_node(b, "ReduceMean", 1, inputs, output, &attr, 1);
    }
    if (b->status == TN_OK) {
        b->status = tni_model_add_ints(b->model, values, axis_count, 1, &constant);
    }
    if (b->status == TN_OK) {
        b->status =
            tni_model_add_constant_value(b->model, b->graph, TNI_LITERAL(""), constant, &inputs[1]);
    }
    return add_node(b, "ReduceMean", 2, inputs, output, NULL, 0);
}

// Makes the expansion's outputs from formal values, in order.
static void add_outputs(builder *b, const uint32_t *formals, uint32_t count) {
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
static void build_layer_norm(builder *b, const int64_t *axes, uint32_t axis_count) {
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
    const uint32_t x = casts ? cast(b, in[0], b->dtype, TN_NONE) : in[0];
    const uint32_t mean = reduce_mean(b, x, axes, axis_count, out[1]);
    const uint32_t centred = binary(b, "Sub", x, mean, TN_NONE);
    const uint32_t square = binary(b, "Mul", centred, centred, TN_NONE);
    const uint32_t variance = reduce_mean(b, square, axes, axis_count, TN_NONE);
    const double epsilon = (double)tni_node_float(&node, "epsilon", 1e-5f);
    const uint32_t shifted = binary(b, "Add", variance, add_scalar(b, epsilon), TN_NONE);
    const uint32_t deviation = unary(b, "Sqrt", shifted, TN_NONE);
    if (out[2] != TN_NONE) {
        (void)unary(b, "Reciprocal", deviation, out[2]);
    }
    uint32_t result = binary(b, "Div", centred, deviation, TN_NONE);
    result = casts ? cast(b, result, outer, TN_NONE) : result;
    result = binary(b, "Mul", result, in[1], in[2] == TN_NONE ? out[0] : TN_NONE);
    if (in[2] != TN_NONE) {
        (void)binary(b, "Add", result, in[2], out[0]);
    }
    add_outputs(b, out, output_count);
}

// x/2 * (1 + erf(x / sqrt 2)), or the tanh form.
static void build_gelu(builder *b) {
    const tni_node node = b->model->nodes[b->node];
    const uint32_t x = add_formal(b, node.inputs[0], false);
    const uint32_t y = add_formal(b, node.outputs[0], true);
    uint32_t inner = TN_NONE;
    if (tni_string_is(tni_node_text(&node, "approximate", "none"), "tanh")) {
        const uint32_t square = binary(b, "Mul", x, x, TN_NONE);
        const uint32_t cube = binary(b, "Mul", square, x, TN_NONE);
        const uint32_t term = binary(b, "Mul", cube, add_scalar(b, 0.044715), TN_NONE);
        const uint32_t sum = binary(b, "Add", x, term, TN_NONE);
        const uint32_t scaled =
            binary(b, "Mul", sum, add_scalar(b, 0.79788456080286535588), TN_NONE);
        inner = unary(b, "Tanh", scaled, TN_NONE);
    } else {
        const uint32_t scaled = binary(b, "Mul", x, add_scalar(b, 0.70710678118654752440), TN_NONE);
        inner = unary(b, "Erf", scaled, TN_NONE);
    }
    const uint32_t shifted = binary(b, "Add", inner, add_scalar(b, 1.0), TN_NONE);
    const uint32_t half = binary(b, "Mul", x, add_scalar(b, 0.5), TN_NONE);
    (void)binary(b, "Mul", half, shifted, y);
    add_outputs(b, &y, 1);
}

static tn_status expand_node(tni_model *model, uint32_t id, bool *inout_changed, tn_error *error) {
    const tni_node *node = &model->nodes[id];
    const bool layer_norm = tni_node_is(node, "LayerNormalization");
    builder b = {.model = model,
                 .error = error,
                 .node = id,
                 .opset = tni_model_opset(model, TNI_LITERAL(""))};
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
