// SPDX-License-Identifier: Apache-2.0
// Writes Gradient (ai.onnx.preview.training) out in ordinary nodes: what leads from xs to y is
// walked backwards, and every node on the way hands its share of dy back to its operands. y that is
// no scalar counts as the sum of its elements. Read next: gradient.h and the rules.
#include "graph/rewrite/gradient.h"

#include "base/error.h"
#include "graph/elements.h"
#include "graph/rewrite/gradient_path.h"
#include "graph/rewrite/rewrite_internal.h"
#include "graph/shape/shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// What is written is of the model's opset, so that the result can be saved, and at least of this:
// from here on, Gemm needs no third operand, and Equal and Max take every type.
#define OLDEST_OPSET 12u
// Derivatives of derivatives grow fast, and shapes are inferred after every one.
#define MAX_GRADIENTS 256u
#define MAX_NODES 4000000u

typedef struct {
    const char *op_type;
    uint32_t oldest_version; // since_version of the first form that the rule is about
    uint32_t operands;       // that must be there
    tni_gradient_fn hand_back;
} rule;

static const rule rules[] = {
    {"Abs", 1, 1, tni_gradient_abs},
    {"Add", 7, 2, tni_gradient_add},
    {"Cast", 6, 1, tni_gradient_cast},
    {"Cos", 7, 1, tni_gradient_cos},
    {"Div", 7, 2, tni_gradient_div},
    {"Erf", 9, 1, tni_gradient_erf},
    {"Exp", 1, 1, tni_gradient_exp},
    {"Expand", 8, 2, tni_gradient_expand},
    {"Flatten", 1, 1, tni_gradient_reshape},
    {"Gemm", 7, 2, tni_gradient_gemm},
    {"Identity", 1, 1, tni_gradient_identity},
    {"Log", 1, 1, tni_gradient_log},
    {"LogSoftmax", 13, 1, tni_gradient_log_softmax},
    {"MatMul", 1, 2, tni_gradient_matmul},
    {"Mul", 7, 2, tni_gradient_mul},
    {"Neg", 1, 1, tni_gradient_neg},
    {"Pow", 7, 2, tni_gradient_pow},
    {"Reciprocal", 1, 1, tni_gradient_reciprocal},
    {"ReduceMean", 1, 1, tni_gradient_reduce},
    {"ReduceSum", 1, 1, tni_gradient_reduce},
    {"Relu", 1, 1, tni_gradient_relu},
    {"Reshape", 1, 1, tni_gradient_reshape},
    {"Sigmoid", 1, 1, tni_gradient_sigmoid},
    {"Sin", 7, 1, tni_gradient_sin},
    {"Softmax", 13, 1, tni_gradient_softmax},
    {"Sqrt", 1, 1, tni_gradient_sqrt},
    {"Squeeze", 1, 1, tni_gradient_reshape},
    {"Sub", 7, 2, tni_gradient_sub},
    {"Sum", 8, 1, tni_gradient_add},
    {"Tanh", 1, 1, tni_gradient_tanh},
    {"Transpose", 1, 1, tni_gradient_transpose},
    {"Unsqueeze", 1, 1, tni_gradient_reshape},
    {"Where", 9, 3, tni_gradient_where},
};

static const rule *find_rule(const tni_node *node) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (tni_node_is(node, rules[i].op_type)) {
            return node->since_version >= rules[i].oldest_version ? &rules[i] : NULL;
        }
    }
    return NULL;
}

void tni_gradient_refuse(tni_gradient *s, const char *id, const char *format, ...) {
    char text[256];
    va_list args;
    if (s->b.status != TN_OK) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->b.status = tni_fail_node(s->error, TN_ERROR_UNSUPPORTED, id, s->node_id, TN_NONE,
                                "Gradient through node '%.*s' (%.*s): %s", TNI_TEXT(s->node.name),
                                TNI_TEXT(s->node.op_type), text);
}

const tni_value *tni_gradient_ranked(tni_gradient *s, uint32_t value) {
    if (s->b.status == TN_OK && s->b.model->values[value].rank == TN_RANK_UNKNOWN) {
        tni_gradient_refuse(s, "gradient.shape", "the rank of '%.*s' is not known",
                            TNI_TEXT(s->b.model->values[value].name));
    }
    return s->b.status == TN_OK ? &s->b.model->values[value] : NULL;
}

bool tni_gradient_wants(const tni_gradient *s, uint32_t operand) {
    const uint32_t value = tni_node_input(&s->node, operand);
    return value != TN_NONE && s->depends[value] != 0;
}

void tni_gradient_give(tni_gradient *s, uint32_t operand, uint32_t value) {
    if (!tni_gradient_wants(s, operand) || s->b.status != TN_OK) {
        return;
    }
    uint32_t *share = &s->shares[s->node.inputs[operand]];
    *share = *share == TN_NONE ? value : tni_build_binary(&s->b, "Add", *share, value, TN_NONE);
}

// Which axes of the larger shape the operand was stretched along. False after refusing: sizes that
// only a run tells do not say.
static bool stretched_axes(tni_gradient *s, const tni_value *in, uint32_t rank,
                           const tn_graph_dim *dims, int64_t *out_axes, uint32_t *out_count) {
    *out_count = 0;
    if (in->rank > rank || rank > TN_MAX_RANK) {
        tni_gradient_refuse(s, "gradient.shape", "the shape of '%.*s' contradicts the result's",
                            TNI_TEXT(in->name));
        return false;
    }
    const uint32_t lead = rank - in->rank;
    for (uint32_t i = lead; i < rank; i++) {
        const tn_graph_dim own = in->dims[i - lead];
        const bool same = own.size >= 0 ? own.size == dims[i].size
                                        : dims[i].size < 0 && own.symbol == dims[i].symbol;
        if (own.size == 1 && !same) {
            out_axes[(*out_count)++] = i;
        } else if (!same) {
            tni_gradient_refuse(s, "gradient.shape",
                                "whether '%.*s' is broadcast is known only in a run",
                                TNI_TEXT(in->name));
            return false;
        }
    }
    return true;
}

void tni_gradient_give_dims(tni_gradient *s, uint32_t operand, uint32_t value, uint32_t rank,
                            const tn_graph_dim *dims) {
    int64_t axes[TN_MAX_RANK];
    uint32_t count = 0;
    const tni_value *in =
        tni_gradient_wants(s, operand) ? tni_gradient_ranked(s, s->node.inputs[operand]) : NULL;
    if (in == NULL || !stretched_axes(s, in, rank, dims, axes, &count)) {
        return;
    }
    const uint32_t lead = rank - in->rank;
    if (count > 0) {
        value = tni_build_reduce(&s->b, "ReduceSum", value, axes, count, true, TN_NONE);
    }
    for (uint32_t i = 0; i < lead; i++) {
        axes[i] = i;
    }
    if (lead > 0) {
        value = tni_build_reduce(&s->b, "ReduceSum", value, axes, lead, false, TN_NONE);
    }
    tni_gradient_give(s, operand, value);
}

void tni_gradient_give_broadcast(tni_gradient *s, uint32_t operand, uint32_t value) {
    const tni_value *out =
        tni_gradient_wants(s, operand) ? tni_gradient_ranked(s, s->node.outputs[0]) : NULL;
    if (out != NULL) {
        tni_gradient_give_dims(s, operand, value, out->rank, out->dims);
    }
}

// number, in the shape and type of a value.
static uint32_t filled(tni_gradient *s, double number, uint32_t like) {
    s->b.dtype = s->b.model->values[like].dtype;
    const uint32_t scalar = tni_build_scalar(&s->b, number);
    return tni_build_binary(&s->b, "Expand", scalar, tni_build_unary(&s->b, "Shape", like, TN_NONE),
                            TN_NONE);
}

static void walk_back(tni_gradient *s, uint32_t id) {
    s->node_id = id;
    s->node = s->b.model->nodes[id];
    // What is written reads values that a call of a function may have kept to itself.
    tni_model_cross_calls(s->b.model, s->node.call, s->b.model->nodes[s->b.node].call);
    const uint32_t out = s->node.outputs[0];
    const rule *r = find_rule(&s->node);
    if (r == NULL) {
        tni_gradient_refuse(s, "gradient.no-rule", "no rule for version %u of this op",
                            s->node.since_version);
        return;
    }
    for (uint32_t i = 0; i < r->operands; i++) {
        if (tni_node_input(&s->node, i) == TN_NONE) {
            tni_gradient_refuse(s, "gradient.operands", "operand %u is absent", i);
            return;
        }
    }
    if (out != TN_NONE && s->shares[out] != TN_NONE) {
        s->b.dtype = s->b.model->values[out].dtype;
        r->hand_back(s, s->shares[out]);
    }
}

// Writes the derivatives and puts them in the place of the Gradient's outputs.
static void differentiate(tni_gradient *s, const tni_path *path) {
    const tni_node node = s->b.model->nodes[s->b.node];
    const uint32_t xs = tni_gradient_xs(&node);
    const uint32_t y = tni_gradient_y(&node);
    s->shares[y] = filled(s, 1.0, y);
    for (uint32_t i = 0; i < path->node_count && s->b.status == TN_OK; i++) {
        walk_back(s, path->nodes[i]);
    }
    for (uint32_t i = 0; i < xs && i < node.output_count && s->b.status == TN_OK; i++) {
        const uint32_t x = tni_gradient_bound(&node, i);
        if (node.outputs[i] != TN_NONE) {
            const uint32_t share = s->shares[x] != TN_NONE ? s->shares[x] : filled(s, 0.0, x);
            tni_model_replace_uses(s->b.model, node.outputs[i], share);
        }
    }
}

static tn_status write_out(tni_model *model, uint32_t id, const tni_path *path, tn_error *error) {
    const uint32_t opset = tni_model_opset(model, TNI_LITERAL(""));
    tni_gradient s = {
        .b = {.model = model,
              .node = id,
              .graph = model->nodes[id].graph,
              .scope = model->nodes[id].graph,
              .opset = opset < OLDEST_OPSET ? OLDEST_OPSET : opset},
        .error = error,
        .value_count = model->value_count,
        .depends = path->depends,
    };
    const uint32_t first = model->graphs[s.b.graph].node_count;
    s.shares = tni_alloc_array(&model->alloc, s.value_count, sizeof *s.shares);
    if (s.shares == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "Gradient");
    }
    memset(s.shares, 0xff, s.value_count * sizeof *s.shares); // TN_NONE
    differentiate(&s, path);
    tni_free_array(&model->alloc, s.shares, s.value_count, sizeof *s.shares);
    if (s.b.status == TN_OK) {
        tni_gradient_move_in_front(model, id, first);
        tni_model_remove_node(model, id);
        return TN_OK;
    }
    return s.b.status == TN_ERROR_UNSUPPORTED ? s.b.status
                                              : tni_fail_plain(error, s.b.status, "Gradient");
}

// Derivatives are taken of floating-point values, by floating-point values.
static tn_status check_types(const tni_model *model, uint32_t id, tn_error *error) {
    const tni_node *node = &model->nodes[id];
    const uint32_t xs = tni_gradient_xs(node);
    for (uint32_t i = 0; i <= xs; i++) {
        const uint32_t value = i < xs ? tni_gradient_bound(node, i) : tni_gradient_y(node);
        if (!tni_elements_encodable(model->values[value].dtype)) {
            return tni_fail_node(error, TN_ERROR_UNSUPPORTED, "gradient.type", id, value,
                                 "node '%.*s' (Gradient): '%.*s' is not known to be of a "
                                 "floating-point type",
                                 TNI_TEXT(node->name), TNI_TEXT(model->values[value].name));
        }
    }
    return TN_OK;
}

// Applies the last change, so that the next step reads shapes and operands as they are.
static tn_status settle(tni_model *model, tn_error *error) {
    tni_model_compact(model);
    return tni_shapes_infer(model, error);
}

static tn_status rewrite_one(tni_model *model, uint32_t id, tn_error *error) {
    bool moved = false;
    tni_path path;
    tn_status status = tni_gradient_evaluate(model, id, &moved, error);
    if (status == TN_OK && moved) {
        status = settle(model, error);
    }
    if (status == TN_OK) {
        status = check_types(model, id, error);
    }
    if (status != TN_OK) {
        return status;
    }
    status = tni_path_find(model, id, TNI_PATH_OF_XS, &path, error);
    if (status == TN_OK) {
        status = write_out(model, id, &path, error);
    }
    tni_path_deinit(&path);
    return status == TN_OK ? settle(model, error) : status;
}

static tn_status bind_all(tni_model *model, uint32_t node_count, uint32_t *out_count,
                          tn_error *error) {
    tn_status status = TN_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < node_count && status == TN_OK; i++) {
        if (!tni_is_gradient(&model->nodes[i]) || model->nodes[i].removed) {
            continue;
        }
        if (++*out_count > MAX_GRADIENTS) {
            return tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "gradient.too-many", i, TN_NONE,
                                 "more than %u Gradient nodes", MAX_GRADIENTS);
        }
        status = tni_gradient_bind(model, i, error);
    }
    return status;
}

tn_status tni_rewrite_gradients(tni_model *model, tn_error *error) {
    const uint32_t node_count = model->node_count;
    uint32_t count = 0;
    tn_status status = bind_all(model, node_count, &count, error);
    if (status == TN_OK && count > 0) {
        status = settle(model, error);
    }
    // In the order of the file, so that what a derivative is taken of has no Gradient in it.
    for (uint32_t i = 0; i < node_count && count > 0 && status == TN_OK; i++) {
        if (!tni_is_gradient(&model->nodes[i]) || model->nodes[i].removed) {
            continue;
        }
        status = rewrite_one(model, i, error);
        if (status == TN_OK && model->node_count > MAX_NODES) {
            status = tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "gradient.too-large", i, TN_NONE,
                                   "the derivatives have more than %u nodes", MAX_NODES);
        }
    }
    return status;
}
