// SPDX-License-Identifier: Apache-2.0
// Derivatives of arithmetic and activations. x and y are the operands, z the result, and share is
// that of z. See gradient.h.
#include "graph/rewrite/gradient.h"

#include <math.h>

#define NEW TN_NONE

static uint32_t unary(tni_gradient *s, const char *op_type, uint32_t x) {
    return tni_build_unary(&s->b, op_type, x, NEW);
}

static uint32_t binary(tni_gradient *s, const char *op_type, uint32_t x, uint32_t y) {
    return tni_build_binary(&s->b, op_type, x, y, NEW);
}

static uint32_t scalar(tni_gradient *s, double number) {
    return tni_build_scalar(&s->b, number);
}

// share * factor to the only operand.
static void give_product(tni_gradient *s, uint32_t share, uint32_t factor) {
    tni_gradient_give(s, 0, binary(s, "Mul", share, factor));
}

// z = x + y + ...
void tni_gradient_add(tni_gradient *s, uint32_t share) {
    for (uint32_t i = 0; i < s->node.input_count; i++) {
        tni_gradient_give_broadcast(s, i, share);
    }
}

void tni_gradient_sub(tni_gradient *s, uint32_t share) {
    tni_gradient_give_broadcast(s, 0, share);
    if (tni_gradient_wants(s, 1)) {
        tni_gradient_give_broadcast(s, 1, unary(s, "Neg", share));
    }
}

void tni_gradient_mul(tni_gradient *s, uint32_t share) {
    for (uint32_t i = 0; i < 2; i++) {
        if (tni_gradient_wants(s, i)) {
            tni_gradient_give_broadcast(s, i, binary(s, "Mul", share, s->node.inputs[1 - i]));
        }
    }
}

// By x: share / y. By y: -share * z / y.
void tni_gradient_div(tni_gradient *s, uint32_t share) {
    const uint32_t quotient = binary(s, "Div", share, s->node.inputs[1]);
    tni_gradient_give_broadcast(s, 0, quotient);
    if (tni_gradient_wants(s, 1)) {
        const uint32_t product = binary(s, "Mul", quotient, s->node.outputs[0]);
        tni_gradient_give_broadcast(s, 1, unary(s, "Neg", product));
    }
}

// share * y * x^(y - 1), which is 0 for y = 0 also where x = 0.
void tni_gradient_pow(tni_gradient *s, uint32_t share) {
    const uint32_t x = s->node.inputs[0];
    uint32_t y = s->node.inputs[1];
    if (tni_gradient_wants(s, 1)) {
        tni_gradient_refuse(s, "gradient.exponent", "no rule for the exponent of Pow");
        return;
    }
    if (s->b.model->values[y].dtype != s->b.dtype) {
        y = tni_build_cast(&s->b, y, s->b.dtype, NEW);
    }
    const uint32_t lower = binary(s, "Pow", x, binary(s, "Sub", y, scalar(s, 1.0)));
    const uint32_t slope = binary(s, "Mul", y, lower);
    const uint32_t constant = binary(s, "Equal", y, scalar(s, 0.0));
    const uint32_t safe = tni_build_ternary(&s->b, "Where", constant, scalar(s, 0.0), slope, NEW);
    tni_gradient_give_broadcast(s, 0, binary(s, "Mul", share, safe));
}

void tni_gradient_neg(tni_gradient *s, uint32_t share) {
    tni_gradient_give(s, 0, unary(s, "Neg", share));
}

void tni_gradient_exp(tni_gradient *s, uint32_t share) {
    give_product(s, share, s->node.outputs[0]);
}

void tni_gradient_log(tni_gradient *s, uint32_t share) {
    tni_gradient_give(s, 0, binary(s, "Div", share, s->node.inputs[0]));
}

void tni_gradient_sqrt(tni_gradient *s, uint32_t share) {
    const uint32_t twice = binary(s, "Mul", s->node.outputs[0], scalar(s, 2.0));
    tni_gradient_give(s, 0, binary(s, "Div", share, twice));
}

// z = 1 / x, so -z^2
void tni_gradient_reciprocal(tni_gradient *s, uint32_t share) {
    const uint32_t z = s->node.outputs[0];
    give_product(s, share, unary(s, "Neg", binary(s, "Mul", z, z)));
}

void tni_gradient_abs(tni_gradient *s, uint32_t share) {
    give_product(s, share, unary(s, "Sign", s->node.inputs[0]));
}

void tni_gradient_sin(tni_gradient *s, uint32_t share) {
    give_product(s, share, unary(s, "Cos", s->node.inputs[0]));
}

void tni_gradient_cos(tni_gradient *s, uint32_t share) {
    give_product(s, share, unary(s, "Neg", unary(s, "Sin", s->node.inputs[0])));
}

// 2 / sqrt(pi) * exp(-x^2)
void tni_gradient_erf(tni_gradient *s, uint32_t share) {
    const uint32_t x = s->node.inputs[0];
    const uint32_t bell = unary(s, "Exp", unary(s, "Neg", binary(s, "Mul", x, x)));
    give_product(s, share, binary(s, "Mul", bell, scalar(s, 2.0 / sqrt(acos(-1.0)))));
}

void tni_gradient_tanh(tni_gradient *s, uint32_t share) {
    const uint32_t z = s->node.outputs[0];
    give_product(s, share, binary(s, "Sub", scalar(s, 1.0), binary(s, "Mul", z, z)));
}

void tni_gradient_sigmoid(tni_gradient *s, uint32_t share) {
    const uint32_t z = s->node.outputs[0];
    give_product(s, share, binary(s, "Mul", z, binary(s, "Sub", scalar(s, 1.0), z)));
}

// 0 at 0, as usual.
void tni_gradient_relu(tni_gradient *s, uint32_t share) {
    const uint32_t positive = binary(s, "Greater", s->node.inputs[0], scalar(s, 0.0));
    const uint32_t zero = scalar(s, 0.0);
    tni_gradient_give(s, 0, tni_build_ternary(&s->b, "Where", positive, share, zero, NEW));
}

void tni_gradient_where(tni_gradient *s, uint32_t share) {
    const uint32_t zero = scalar(s, 0.0);
    for (uint32_t i = 1; i < 3; i++) {
        if (tni_gradient_wants(s, i)) {
            const uint32_t chosen =
                tni_build_ternary(&s->b, "Where", s->node.inputs[0], i == 1 ? share : zero,
                                  i == 1 ? zero : share, NEW);
            tni_gradient_give_broadcast(s, i, chosen);
        }
    }
}

static uint32_t sum_over_axis(tni_gradient *s, uint32_t x) {
    const int64_t axis = tni_node_int(&s->node, "axis", -1);
    return tni_build_reduce(&s->b, "ReduceSum", x, &axis, 1, true, NEW);
}

// z * (share - sum(share * z))
void tni_gradient_softmax(tni_gradient *s, uint32_t share) {
    const uint32_t z = s->node.outputs[0];
    const uint32_t mean = sum_over_axis(s, binary(s, "Mul", share, z));
    give_product(s, binary(s, "Sub", share, mean), z);
}

// share - exp(z) * sum(share)
void tni_gradient_log_softmax(tni_gradient *s, uint32_t share) {
    const uint32_t z = unary(s, "Exp", s->node.outputs[0]);
    const uint32_t part = binary(s, "Mul", z, sum_over_axis(s, share));
    tni_gradient_give(s, 0, binary(s, "Sub", share, part));
}
