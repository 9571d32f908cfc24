// SPDX-License-Identifier: Apache-2.0
// Expansions of softmaxes and of reductions that are a plain one with something around it.
#include "graph/rewrite/expand.h"

#define NEW TN_NONE

// The attributes that a reduction shares with the one that it is made of.
static uint32_t reduce(tni_expansion *e, const char *op_type, uint32_t x, bool keep,
                       uint32_t output) {
    uint32_t count = 0;
    int64_t off = 0;
    const bool keep_dims = keep || tni_node_int(&e->node, "keepdims", 1) != 0;
    const int64_t *axes = tni_node_ints(&e->node, "axes", &count);
    if (axes != NULL) {
        return tni_build_reduce(&e->b, op_type, x, axes, count, keep_dims, output);
    }
    const uint32_t inputs[2] = {x, e->in[1]};
    const tni_attr attr = tni_attr_int("keepdims", &off);
    return tni_build_node(&e->b, op_type, e->in[1] == TN_NONE ? 1 : 2, inputs, output, &attr,
                          keep_dims ? 0 : 1);
}

bool tni_formula_reduces(const tni_model *model, const tni_node *node) {
    uint32_t count = 0;
    (void)model;
    (void)tni_node_ints(node, "axes", &count);
    // What is left of a reduction that reduces nothing was read in two ways over time.
    return tni_node_int(node, "noop_with_empty_axes", 0) == 0 && count <= TN_MAX_RANK;
}

static uint32_t square(tni_expansion *e) {
    return tni_build_binary(&e->b, "Mul", e->in[0], e->in[0], NEW);
}

void tni_formula_reduce_l1(tni_expansion *e) {
    (void)reduce(e, "ReduceSum", tni_build_unary(&e->b, "Abs", e->in[0], NEW), false, e->out[0]);
}

void tni_formula_reduce_l2(tni_expansion *e) {
    (void)tni_build_unary(&e->b, "Sqrt", reduce(e, "ReduceSum", square(e), false, NEW), e->out[0]);
}

void tni_formula_reduce_sum_square(tni_expansion *e) {
    (void)reduce(e, "ReduceSum", square(e), false, e->out[0]);
}

void tni_formula_reduce_log_sum(tni_expansion *e) {
    (void)tni_build_unary(&e->b, "Log", reduce(e, "ReduceSum", e->in[0], false, NEW), e->out[0]);
}

// log(sum(exp(x))) as m + log(sum(exp(x - m))), m being the maximum, kept finite so that x - m is
// no difference of infinities.
void tni_formula_reduce_log_sum_exp(tni_expansion *e) {
    tni_builder *b = &e->b;
    const double most = e->dtype == TN_DTYPE_FLOAT16 ? 65504.0 : 3.3e38;
    uint32_t bound[2];
    for (int i = 0; i < 2; i++) {
        // Once to subtract, with its dimensions, and once in the shape of the result.
        bound[i] = reduce(e, "ReduceMax", e->in[0], i == 0, NEW);
        bound[i] = tni_build_binary(b, "Max", bound[i], tni_build_scalar(b, -most), NEW);
        bound[i] = tni_build_binary(b, "Min", bound[i], tni_build_scalar(b, most), NEW);
    }
    const uint32_t below = tni_build_binary(b, "Sub", e->in[0], bound[0], NEW);
    const uint32_t sum = reduce(e, "ReduceSum", tni_build_unary(b, "Exp", below, NEW), false, NEW);
    (void)tni_build_binary(b, "Add", tni_build_unary(b, "Log", sum, NEW), bound[1], e->out[0]);
}

// x minus its maximum along the axis
static uint32_t below_maximum(tni_expansion *e, const int64_t *axis) {
    const uint32_t most = tni_build_reduce(&e->b, "ReduceMax", e->in[0], axis, 1, true, NEW);
    return tni_build_binary(&e->b, "Sub", e->in[0], most, NEW);
}

// Softmax-13: exp(x) / sum(exp(x)) along one axis
void tni_formula_softmax(tni_expansion *e) {
    const int64_t axis = tni_node_int(&e->node, "axis", -1);
    const uint32_t powers = tni_build_unary(&e->b, "Exp", below_maximum(e, &axis), NEW);
    const uint32_t sum = tni_build_reduce(&e->b, "ReduceSum", powers, &axis, 1, true, NEW);
    (void)tni_build_binary(&e->b, "Div", powers, sum, e->out[0]);
}

// LogSoftmax-13: x - log(sum(exp(x))) along one axis
void tni_formula_log_softmax(tni_expansion *e) {
    const int64_t axis = tni_node_int(&e->node, "axis", -1);
    const uint32_t below = below_maximum(e, &axis);
    const uint32_t powers = tni_build_unary(&e->b, "Exp", below, NEW);
    const uint32_t sum = tni_build_reduce(&e->b, "ReduceSum", powers, &axis, 1, true, NEW);
    const uint32_t log_sum = tni_build_unary(&e->b, "Log", sum, NEW);
    (void)tni_build_binary(&e->b, "Sub", below, log_sum, e->out[0]);
}
