// SPDX-License-Identifier: Apache-2.0
// Derivatives of matrix products, reductions and what only moves elements. x and y are the
// operands, z the result, and share is that of z. See gradient.h.
#include "graph/rewrite/gradient.h"

#include <string.h>

#define NEW TN_NONE

void tni_gradient_identity(tni_gradient *s, uint32_t share) {
    tni_gradient_give(s, 0, share);
}

void tni_gradient_cast(tni_gradient *s, uint32_t share) {
    const tn_dtype dtype = s->b.model->values[s->node.inputs[0]].dtype;
    tni_gradient_give(s, 0, tni_build_cast(&s->b, share, dtype, NEW));
}

void tni_gradient_expand(tni_gradient *s, uint32_t share) {
    tni_gradient_give_broadcast(s, 0, share);
}

// Reshape, Flatten, Squeeze, Unsqueeze: back to the shape of x. A 0 in it is a size, which Reshape
// can be told from opset 14 on.
void tni_gradient_reshape(tni_gradient *s, uint32_t share) {
    const uint32_t shape = tni_build_unary(&s->b, "Shape", s->node.inputs[0], NEW);
    const uint32_t inputs[2] = {share, shape};
    int64_t on = 1;
    const tni_attr attr = tni_attr_int("allowzero", &on);
    const uint32_t attr_count = s->b.opset >= 14 ? 1 : 0;
    tni_gradient_give(s, 0, tni_build_node(&s->b, "Reshape", 2, inputs, NEW, &attr, attr_count));
}

static uint32_t transpose(tni_gradient *s, uint32_t x, int64_t *perm, uint32_t rank) {
    const tni_attr attr = tni_attr_ints("perm", perm, rank);
    return tni_build_node(&s->b, "Transpose", 1, &x, NEW, &attr, 1);
}

void tni_gradient_transpose(tni_gradient *s, uint32_t share) {
    uint32_t rank = 0;
    int64_t inverse[TN_MAX_RANK] = {0};
    const int64_t *perm = tni_node_ints(&s->node, "perm", &rank);
    if (perm == NULL) { // the reverse is its own inverse
        tni_gradient_give(s, 0, tni_build_unary(&s->b, "Transpose", share, NEW));
        return;
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < rank && rank <= TN_MAX_RANK; i++) {
        if (perm[i] >= 0 && perm[i] < rank) {
            inverse[perm[i]] = i;
            seen |= 1u << perm[i];
        }
    }
    if (rank > TN_MAX_RANK || seen != (1u << rank) - 1) {
        tni_gradient_refuse(s, "gradient.axes", "perm is no permutation");
        return;
    }
    tni_gradient_give(s, 0, transpose(s, share, inverse, rank));
}

// The axes that a reduction removed or made 1, ascending. False after refusing.
static bool reduced_axes(tni_gradient *s, uint32_t rank, bool out_reduced[TN_MAX_RANK]) {
    const tni_model *model = s->b.model;
    uint32_t count = 0;
    int64_t read[TN_MAX_RANK];
    const int64_t *axes = tni_node_ints(&s->node, "axes", &count);
    if (tni_node_input(&s->node, 1) != TN_NONE) {
        const tni_constant *constant = tni_node_constant(model, &s->node, 1);
        if (constant == NULL || constant->dtype != TN_DTYPE_INT64 ||
            constant->element_count > TN_MAX_RANK) {
            tni_gradient_refuse(s, "gradient.axes", "axes that are no constant");
            return false;
        }
        count = (uint32_t)constant->element_count;
        axes = read;
        s->b.status = tni_constant_read(model, (uint32_t)(constant - model->constants), 0,
                                        constant->size_bytes, read, s->error);
    }
    const bool all = count == 0 && tni_node_int(&s->node, "noop_with_empty_axes", 0) == 0;
    for (uint32_t i = 0; i < rank; i++) {
        out_reduced[i] = all;
    }
    for (uint32_t i = 0; i < count && s->b.status == TN_OK; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank) {
            tni_gradient_refuse(s, "gradient.axes", "axis %lld of rank %u", (long long)axes[i],
                                rank);
            return false;
        }
        out_reduced[axis] = true;
    }
    return s->b.status == TN_OK;
}

// ReduceSum, ReduceMean: every element gets the share of what it went into.
void tni_gradient_reduce(tni_gradient *s, uint32_t share) {
    const uint32_t x = s->node.inputs[0];
    const tni_value *in = tni_gradient_ranked(s, x);
    bool reduced[TN_MAX_RANK] = {false};
    if (in == NULL || !reduced_axes(s, in->rank, reduced)) {
        return;
    }
    int64_t axes[TN_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->rank; i++) {
        if (reduced[i]) {
            axes[count++] = i;
        }
    }
    if (tni_node_int(&s->node, "keepdims", 1) == 0 && count > 0) {
        share = tni_build_unsqueeze(&s->b, share, axes, count, NEW);
    }
    const uint32_t shape = tni_build_unary(&s->b, "Shape", x, NEW);
    share = tni_build_binary(&s->b, "Expand", share, shape, NEW);
    if (tni_node_is(&s->node, "ReduceMean")) {
        const uint32_t many = tni_build_unary(&s->b, "Size", x, NEW);
        uint32_t few = tni_build_unary(&s->b, "Size", s->node.outputs[0], NEW);
        few = tni_build_binary(&s->b, "Max", few, tni_build_int(&s->b, 1), NEW); // not 0
        const uint32_t each = tni_build_binary(&s->b, "Div", many, few, NEW);
        const uint32_t divisor = tni_build_cast(&s->b, each, s->b.dtype, NEW);
        share = tni_build_binary(&s->b, "Div", share, divisor, NEW);
    }
    tni_gradient_give(s, 0, share);
}

static uint32_t swap_last_two(tni_gradient *s, uint32_t x, uint32_t rank) {
    int64_t perm[TN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        perm[i] = i;
    }
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return transpose(s, x, perm, rank);
}

// A matrix product in which vectors have become matrices of one row or one column.
typedef struct {
    uint32_t sides[2]; // x with rank 1 as [1, k], y with rank 1 as [k, 1]
    uint32_t ranks[2]; // of the operands as they were
    uint32_t batch_rank;
    tn_graph_dim dims[TN_MAX_RANK + 2]; // batch dims, then room for those of a matrix
} product;

static bool as_matrices(tni_gradient *s, product *p, uint32_t *inout_share) {
    const tni_value *out = tni_gradient_ranked(s, s->node.outputs[0]);
    for (uint32_t i = 0; i < 2; i++) {
        const tni_value *in = tni_gradient_ranked(s, s->node.inputs[i]);
        if (in == NULL || out == NULL) {
            return false;
        }
        p->ranks[i] = in->rank;
        p->sides[i] = s->node.inputs[i];
    }
    const uint32_t vectors = (p->ranks[0] == 1 ? 1u : 0u) + (p->ranks[1] == 1 ? 1u : 0u);
    if (p->ranks[0] == 0 || p->ranks[1] == 0 || out->rank + vectors < 2 ||
        out->rank + vectors > TN_MAX_RANK) {
        tni_gradient_refuse(s, "gradient.shape", "ranks %u and %u give rank %u", p->ranks[0],
                            p->ranks[1], out->rank);
        return false;
    }
    p->batch_rank = out->rank + vectors - 2;
    for (uint32_t i = 0; i < p->batch_rank; i++) {
        p->dims[i] = out->dims[i];
    }
    // The axis that a vector lacks, counted from the end: a row's is the first, a column's the
    // last.
    for (uint32_t i = 2; i-- > 0;) {
        const int64_t axis = i == 0 ? -2 : -1;
        if (p->ranks[i] == 1) {
            p->sides[i] = tni_build_unsqueeze(&s->b, p->sides[i], &axis, 1, NEW);
            *inout_share = tni_build_unsqueeze(&s->b, *inout_share, &axis, 1, NEW);
        }
    }
    return s->b.status == TN_OK;
}

// What operand i gets: the product without its missing axis, summed over the batch it was
// broadcast to.
static void give_side(tni_gradient *s, product *p, uint32_t i, uint32_t value) {
    const int64_t axis = i == 0 ? -2 : -1;
    const uint32_t own = p->ranks[i] == 1 ? 1 : 2;
    const tni_value *in = &s->b.model->values[s->node.inputs[i]];
    for (uint32_t k = 0; k < own; k++) {
        p->dims[p->batch_rank + k] = in->dims[in->rank - own + k];
    }
    if (own == 1) {
        value = tni_build_squeeze(&s->b, value, &axis, 1, NEW);
    }
    tni_gradient_give_dims(s, i, value, p->batch_rank + own, p->dims);
}

// By x: share * y^T. By y: x^T * share.
void tni_gradient_matmul(tni_gradient *s, uint32_t share) {
    product p;
    memset(&p, 0, sizeof p);
    if (!as_matrices(s, &p, &share)) {
        return;
    }
    const uint32_t ranks[2] = {p.ranks[0] == 1 ? 2 : p.ranks[0], p.ranks[1] == 1 ? 2 : p.ranks[1]};
    if (tni_gradient_wants(s, 0)) {
        const uint32_t y = swap_last_two(s, p.sides[1], ranks[1]);
        give_side(s, &p, 0, tni_build_binary(&s->b, "MatMul", share, y, NEW));
    }
    if (tni_gradient_wants(s, 1)) {
        const uint32_t x = swap_last_two(s, p.sides[0], ranks[0]);
        give_side(s, &p, 1, tni_build_binary(&s->b, "MatMul", x, share, NEW));
    }
}

// alpha * op(x) * op(y)
static uint32_t multiply(tni_gradient *s, uint32_t x, bool swap_x, uint32_t y, bool swap_y) {
    const uint32_t inputs[2] = {x, y};
    float alpha = tni_node_float(&s->node, "alpha", 1.0f);
    int64_t swaps[2] = {swap_x, swap_y};
    const tni_attr attrs[3] = {tni_attr_float("alpha", &alpha), tni_attr_int("transA", &swaps[0]),
                               tni_attr_int("transB", &swaps[1])};
    return tni_build_node(&s->b, "Gemm", 2, inputs, NEW, attrs, 3);
}

// z = alpha * op(a) * op(b) + beta * c
void tni_gradient_gemm(tni_gradient *s, uint32_t share) {
    const uint32_t a = s->node.inputs[0];
    const uint32_t b = s->node.inputs[1];
    const bool swap_a = tni_node_int(&s->node, "transA", 0) != 0;
    const bool swap_b = tni_node_int(&s->node, "transB", 0) != 0;
    if (tni_gradient_wants(s, 0)) {
        tni_gradient_give(s, 0,
                          swap_a ? multiply(s, b, swap_b, share, true)
                                 : multiply(s, share, false, b, !swap_b));
    }
    if (tni_gradient_wants(s, 1)) {
        tni_gradient_give(s, 1,
                          swap_b ? multiply(s, share, true, a, swap_a)
                                 : multiply(s, a, !swap_a, share, false));
    }
    if (tni_gradient_wants(s, 2)) {
        const double beta = (double)tni_node_float(&s->node, "beta", 1.0f);
        const uint32_t factor = tni_build_scalar(&s->b, beta);
        tni_gradient_give_broadcast(s, 2, tni_build_binary(&s->b, "Mul", share, factor, NEW));
    }
}
