// SPDX-License-Identifier: Apache-2.0
// Gives function ops a graph of simpler ops that computes the same. The node stays as it is:
// devices are asked about both. Read next: expand.h and the formulas in expand_*.c.
#include "graph/rewrite/expand.h"

#include "base/error.h"
#include "graph/elements.h"
#include "graph/rewrite/rewrite_internal.h"

// What formulas are written in at least. Devices that know only older versions are shown those.
#define OLDEST_OPSET 13u

typedef enum {
    FLOATS,   // the result is float, double, float16 or bfloat16, and the arithmetic is done in it
    STASHED,  // the same, with statistics in the type of attribute stash_type
    ANYTHING, // any type
} arithmetic;

typedef struct {
    const char *op_type;
    uint32_t oldest_version; // since_version of the first form that the formula is about
    arithmetic in;
    tni_formula_fn build;
    tni_formula_check check; // may be null
} formula;

static const formula formulas[] = {
    {"Celu", 12, FLOATS, tni_formula_celu, NULL},
    {"Clip", 11, ANYTHING, tni_formula_clip, NULL},
    {"DynamicQuantizeLinear", 11, ANYTHING, tni_formula_dynamic_quantize, NULL},
    {"Elu", 1, FLOATS, tni_formula_elu, NULL},
    {"Gelu", 20, FLOATS, tni_formula_gelu, NULL},
    {"GreaterOrEqual", 12, ANYTHING, tni_formula_greater_or_equal, NULL},
    {"GroupNormalization", 21, STASHED, tni_formula_group_norm, tni_formula_has_channels},
    {"HardSigmoid", 1, FLOATS, tni_formula_hard_sigmoid, NULL},
    {"HardSwish", 14, FLOATS, tni_formula_hard_swish, NULL},
    {"InstanceNormalization", 1, FLOATS, tni_formula_instance_norm, tni_formula_has_channels},
    {"LayerNormalization", 17, STASHED, tni_formula_layer_norm, tni_formula_has_trailing_axes},
    {"LeakyRelu", 1, FLOATS, tni_formula_leaky_relu, NULL},
    {"LessOrEqual", 12, ANYTHING, tni_formula_less_or_equal, NULL},
    {"LogSoftmax", 13, FLOATS, tni_formula_log_softmax, NULL},
    {"MeanVarianceNormalization", 9, FLOATS, tni_formula_mean_variance_norm, NULL},
    {"Mish", 18, FLOATS, tni_formula_mish, NULL},
    {"PRelu", 7, FLOATS, tni_formula_prelu, NULL},
    {"RMSNormalization", 23, STASHED, tni_formula_rms_norm, tni_formula_has_trailing_axes},
    {"ReduceL1", 1, FLOATS, tni_formula_reduce_l1, tni_formula_reduces},
    {"ReduceL2", 1, FLOATS, tni_formula_reduce_l2, tni_formula_reduces},
    {"ReduceLogSum", 1, FLOATS, tni_formula_reduce_log_sum, tni_formula_reduces},
    {"ReduceLogSumExp", 1, FLOATS, tni_formula_reduce_log_sum_exp, tni_formula_reduces},
    {"ReduceSumSquare", 1, FLOATS, tni_formula_reduce_sum_square, tni_formula_reduces},
    {"Selu", 1, FLOATS, tni_formula_selu, NULL},
    {"Shrink", 9, FLOATS, tni_formula_shrink, NULL},
    {"Softmax", 13, FLOATS, tni_formula_softmax, NULL},
    {"Softplus", 1, FLOATS, tni_formula_softplus, NULL},
    {"Softsign", 1, FLOATS, tni_formula_softsign, NULL},
    {"Swish", 24, FLOATS, tni_formula_swish, NULL},
    {"ThresholdedRelu", 10, FLOATS, tni_formula_thresholded_relu, NULL},
};

static const formula *find_formula(const tni_node *node) {
    for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++) {
        if (tni_node_is(node, formulas[i].op_type)) {
            return node->since_version >= formulas[i].oldest_version ? &formulas[i] : NULL;
        }
    }
    return NULL;
}

// The type of scalars and statistics, or UNDEFINED where the formula does not hold.
static tn_dtype arithmetic_type(const tni_model *model, const tni_node *node, const formula *f) {
    const tn_dtype dtype = model->values[node->outputs[0]].dtype;
    tn_dtype stash = dtype;
    if (f->in == ANYTHING) {
        return TN_DTYPE_FLOAT;
    }
    if (f->in == STASHED) {
        stash = (tn_dtype)tni_node_int(node, "stash_type", TN_DTYPE_FLOAT);
    }
    // Over doubles, the default stash type would narrow the result: such a node stays whole.
    const bool narrows = stash != TN_DTYPE_DOUBLE && dtype == TN_DTYPE_DOUBLE;
    return tni_elements_encodable(stash) && tni_elements_encodable(dtype) && !narrows
               ? stash
               : TN_DTYPE_UNDEFINED;
}

static bool operands_fit(const tni_model *model, const tni_node *node) {
    return node->input_count > 0 && node->inputs[0] != TN_NONE && node->output_count > 0 &&
           node->outputs[0] != TN_NONE && node->input_count <= TNI_EXPANSION_MAX_OPERANDS &&
           node->output_count <= TNI_EXPANSION_MAX_OPERANDS &&
           !model->graphs[node->graph].is_expansion && !model->graphs[node->graph].is_form;
}

// The formal value for an operand, of the operand's name; TN_NONE when it is absent.
static uint32_t add_formal(tni_builder *b, uint32_t actual) {
    uint32_t value = TN_NONE;
    if (actual != TN_NONE && b->status == TN_OK) {
        b->status = tni_model_add_value(b->model, b->graph, b->model->values[actual].name, &value);
    }
    return value;
}

static void add_formals(tni_expansion *e) {
    tni_builder *b = &e->b;
    for (uint32_t i = 0; i < TNI_EXPANSION_MAX_OPERANDS; i++) {
        e->in[i] = add_formal(b, tni_node_input(&e->node, i));
        e->out[i] = add_formal(b, tni_node_output(&e->node, i));
        if (b->status == TN_OK && i < e->node.input_count) {
            b->status = tni_graph_add_input(b->model, b->graph, e->in[i]);
        }
    }
}

static void add_outputs(tni_expansion *e) {
    for (uint32_t i = 0; i < e->node.output_count && e->b.status == TN_OK; i++) {
        e->b.status = tni_graph_add_output(e->b.model, e->b.graph, e->out[i]);
    }
}

static tn_status write_expansion(tni_model *model, uint32_t id, const formula *f, tn_dtype dtype,
                                 tn_error *error) {
    const uint32_t opset = tni_model_opset(model, TNI_LITERAL(""));
    tni_expansion e = {
        .b = {.model = model,
              .node = id,
              .opset = opset < OLDEST_OPSET ? OLDEST_OPSET : opset,
              .dtype = dtype},
        .node = model->nodes[id],
    };
    e.rank = model->values[e.node.inputs[0]].rank;
    e.dtype = model->values[e.node.outputs[0]].dtype;
    e.b.status = tni_model_add_graph(model, id, e.node.op_type, &e.b.graph);
    if (e.b.status == TN_OK) {
        model->graphs[e.b.graph].is_expansion = true;
        e.b.scope = e.b.graph;
        add_formals(&e);
        f->build(&e);
        add_outputs(&e);
    }
    if (e.b.status != TN_OK) {
        return tni_fail_plain(error, e.b.status, "expansion of a function op");
    }
    model->nodes[id].expansion = e.b.graph;
    return TN_OK;
}

static tn_status expand_node(tni_model *model, uint32_t id, bool *inout_changed, tn_error *error) {
    const tni_node *node = &model->nodes[id];
    const formula *f = node->removed || node->expansion != TN_NONE ? NULL : find_formula(node);
    if (f == NULL || !operands_fit(model, node) || (f->check != NULL && !f->check(model, node))) {
        return TN_OK;
    }
    const tn_dtype dtype = arithmetic_type(model, node, f);
    if (dtype == TN_DTYPE_UNDEFINED) {
        return TN_OK;
    }
    *inout_changed = true;
    return write_expansion(model, id, f, dtype, error);
}

tn_status tni_rewrite_expand(tni_model *model, bool *inout_changed, tn_error *error) {
    const uint32_t node_count = model->node_count;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node_count && status == TN_OK; i++) {
        status = expand_node(model, i, inout_changed, error);
    }
    return status;
}
