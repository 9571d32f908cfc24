// SPDX-License-Identifier: Apache-2.0
// Expansions of elementwise function ops. Choices between branches are Where, not products with 0
// and 1, so that what was not chosen cannot turn the result into NaN.
#include "graph/rewrite/expand.h"

#define NEW TN_NONE

static uint32_t number(tni_expansion *e, double value) {
    return tni_build_scalar(&e->b, value);
}

static uint32_t attribute(tni_expansion *e, const char *name, float fallback) {
    return number(e, (double)tni_node_float(&e->node, name, fallback));
}

static uint32_t add(tni_expansion *e, uint32_t x, uint32_t y, uint32_t output) {
    return tni_build_binary(&e->b, "Add", x, y, output);
}

static uint32_t sub(tni_expansion *e, uint32_t x, uint32_t y, uint32_t output) {
    return tni_build_binary(&e->b, "Sub", x, y, output);
}

static uint32_t mul(tni_expansion *e, uint32_t x, uint32_t y, uint32_t output) {
    return tni_build_binary(&e->b, "Mul", x, y, output);
}

static uint32_t divide(tni_expansion *e, uint32_t x, uint32_t y, uint32_t output) {
    return tni_build_binary(&e->b, "Div", x, y, output);
}

static uint32_t call(tni_expansion *e, const char *op_type, uint32_t x, uint32_t output) {
    return tni_build_unary(&e->b, op_type, x, output);
}

// x < bound ? below : otherwise
static void where_less(tni_expansion *e, uint32_t x, uint32_t bound, uint32_t below,
                       uint32_t otherwise, uint32_t output) {
    const uint32_t less = tni_build_binary(&e->b, "Less", x, bound, NEW);
    (void)tni_build_ternary(&e->b, "Where", less, below, otherwise, output);
}

// exp(x) - 1
static uint32_t exp_minus_one(tni_expansion *e, uint32_t x) {
    return sub(e, call(e, "Exp", x, NEW), number(e, 1.0), NEW);
}

// log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
static uint32_t softplus(tni_expansion *e, uint32_t x, uint32_t output) {
    const uint32_t decay = call(e, "Exp", call(e, "Neg", call(e, "Abs", x, NEW), NEW), NEW);
    const uint32_t rest = call(e, "Log", add(e, decay, number(e, 1.0), NEW), NEW);
    return add(e, tni_build_binary(&e->b, "Max", x, number(e, 0.0), NEW), rest, output);
}

// max(0, min(1, alpha * x + beta))
static uint32_t hard_sigmoid(tni_expansion *e, double alpha, double beta, uint32_t output) {
    const uint32_t line = add(e, mul(e, e->in[0], number(e, alpha), NEW), number(e, beta), NEW);
    const uint32_t below = tni_build_binary(&e->b, "Min", line, number(e, 1.0), NEW);
    return tni_build_binary(&e->b, "Max", below, number(e, 0.0), output);
}

// Celu: max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
void tni_formula_celu(tni_expansion *e) {
    const uint32_t alpha = attribute(e, "alpha", 1.0f);
    const uint32_t zero = number(e, 0.0);
    const uint32_t curve = mul(e, alpha, exp_minus_one(e, divide(e, e->in[0], alpha, NEW)), NEW);
    const uint32_t low = tni_build_binary(&e->b, "Min", curve, zero, NEW);
    const uint32_t high = tni_build_binary(&e->b, "Max", e->in[0], zero, NEW);
    (void)add(e, high, low, e->out[0]);
}

// Clip: min(max, max(min, x)); absent bounds do nothing.
void tni_formula_clip(tni_expansion *e) {
    const bool high = e->in[2] != TN_NONE;
    uint32_t x = e->in[0];
    if (e->in[1] != TN_NONE) {
        x = tni_build_binary(&e->b, "Max", x, e->in[1], high ? NEW : e->out[0]);
    }
    if (high) {
        (void)tni_build_binary(&e->b, "Min", x, e->in[2], e->out[0]);
    } else if (x == e->in[0]) {
        (void)call(e, "Identity", x, e->out[0]);
    }
}

// Elu: alpha * (exp(x) - 1) below 0, x above
void tni_formula_elu(tni_expansion *e) {
    const uint32_t curve = mul(e, attribute(e, "alpha", 1.0f), exp_minus_one(e, e->in[0]), NEW);
    where_less(e, e->in[0], number(e, 0.0), curve, e->in[0], e->out[0]);
}

// Gelu: x/2 * (1 + erf(x / sqrt 2)), or with approximate="tanh"
// x/2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))
void tni_formula_gelu(tni_expansion *e) {
    const uint32_t x = e->in[0];
    uint32_t inner = TN_NONE;
    if (tni_string_is(tni_node_text(&e->node, "approximate", "none"), "tanh")) {
        const uint32_t cube = mul(e, mul(e, x, x, NEW), x, NEW);
        const uint32_t sum = add(e, x, mul(e, cube, number(e, 0.044715), NEW), NEW);
        inner = call(e, "Tanh", mul(e, sum, number(e, 0.79788456080286535588), NEW), NEW);
    } else {
        inner = call(e, "Erf", mul(e, x, number(e, 0.70710678118654752440), NEW), NEW);
    }
    const uint32_t half = mul(e, x, number(e, 0.5), NEW);
    (void)mul(e, half, add(e, inner, number(e, 1.0), NEW), e->out[0]);
}

void tni_formula_hard_sigmoid(tni_expansion *e) {
    (void)hard_sigmoid(e, (double)tni_node_float(&e->node, "alpha", 0.2f),
                       (double)tni_node_float(&e->node, "beta", 0.5f), e->out[0]);
}

// HardSwish: x * HardSigmoid(x) with alpha = 1/6 and beta = 1/2
void tni_formula_hard_swish(tni_expansion *e) {
    (void)mul(e, e->in[0], hard_sigmoid(e, 1.0 / 6.0, 0.5, NEW), e->out[0]);
}

// LeakyRelu: alpha * x below 0, x above
void tni_formula_leaky_relu(tni_expansion *e) {
    const uint32_t slow = mul(e, e->in[0], attribute(e, "alpha", 0.01f), NEW);
    where_less(e, e->in[0], number(e, 0.0), slow, e->in[0], e->out[0]);
}

// Mish: x * tanh(log(1 + exp(x)))
void tni_formula_mish(tni_expansion *e) {
    (void)mul(e, e->in[0], call(e, "Tanh", softplus(e, e->in[0], NEW), NEW), e->out[0]);
}

// PRelu: slope * x below 0, x above
void tni_formula_prelu(tni_expansion *e) {
    const uint32_t slow = mul(e, e->in[0], e->in[1], NEW);
    where_less(e, e->in[0], number(e, 0.0), slow, e->in[0], e->out[0]);
}

// Selu: gamma * x above 0, gamma * alpha * (exp(x) - 1) below
void tni_formula_selu(tni_expansion *e) {
    const uint32_t alpha = attribute(e, "alpha", 1.67326319217681884765625f);
    const uint32_t gamma = attribute(e, "gamma", 1.05070102214813232421875f);
    const uint32_t curve = mul(e, gamma, mul(e, alpha, exp_minus_one(e, e->in[0]), NEW), NEW);
    const uint32_t line = mul(e, gamma, e->in[0], NEW);
    where_less(e, e->in[0], number(e, 0.0), curve, line, e->out[0]);
}

// Shrink: x + bias below -lambd, x - bias above lambd, else 0
void tni_formula_shrink(tni_expansion *e) {
    const double lambd = (double)tni_node_float(&e->node, "lambd", 0.5f);
    const uint32_t bias = attribute(e, "bias", 0.0f);
    const uint32_t above = tni_build_binary(&e->b, "Greater", e->in[0], number(e, lambd), NEW);
    const uint32_t high =
        tni_build_ternary(&e->b, "Where", above, sub(e, e->in[0], bias, NEW), number(e, 0.0), NEW);
    where_less(e, e->in[0], number(e, -lambd), add(e, e->in[0], bias, NEW), high, e->out[0]);
}

void tni_formula_softplus(tni_expansion *e) {
    (void)softplus(e, e->in[0], e->out[0]);
}

// Softsign: x / (1 + |x|)
void tni_formula_softsign(tni_expansion *e) {
    const uint32_t size = add(e, call(e, "Abs", e->in[0], NEW), number(e, 1.0), NEW);
    (void)divide(e, e->in[0], size, e->out[0]);
}

// Swish: x * sigmoid(alpha * x)
void tni_formula_swish(tni_expansion *e) {
    const uint32_t scaled = mul(e, e->in[0], attribute(e, "alpha", 1.0f), NEW);
    (void)mul(e, e->in[0], call(e, "Sigmoid", scaled, NEW), e->out[0]);
}

// ThresholdedRelu: x above alpha, else 0
void tni_formula_thresholded_relu(tni_expansion *e) {
    const uint32_t above =
        tni_build_binary(&e->b, "Greater", e->in[0], attribute(e, "alpha", 1.0f), NEW);
    (void)tni_build_ternary(&e->b, "Where", above, e->in[0], number(e, 0.0), e->out[0]);
}

static void compare_or_equal(tni_expansion *e, const char *op_type) {
    const uint32_t strict = tni_build_binary(&e->b, op_type, e->in[0], e->in[1], NEW);
    const uint32_t equal = tni_build_binary(&e->b, "Equal", e->in[0], e->in[1], NEW);
    (void)tni_build_binary(&e->b, "Or", strict, equal, e->out[0]);
}

void tni_formula_less_or_equal(tni_expansion *e) {
    compare_or_equal(e, "Less");
}

void tni_formula_greater_or_equal(tni_expansion *e) {
    compare_or_equal(e, "Greater");
}

// A reduction of everything to a scalar that includes 0.
static uint32_t extreme(tni_expansion *e, const char *reduce, const char *with_zero) {
    int64_t off = 0;
    const tni_attr attr = tni_attr_int("keepdims", &off);
    const uint32_t of_all = tni_build_node(&e->b, reduce, 1, e->in, NEW, &attr, 1);
    return tni_build_binary(&e->b, with_zero, of_all, number(e, 0.0), NEW);
}

// DynamicQuantizeLinear: scale = (max - min) / 255, zero point = round(clip(-min / scale, 0, 255))
void tni_formula_dynamic_quantize(tni_expansion *e) {
    e->b.dtype = TN_DTYPE_FLOAT;
    const uint32_t low = extreme(e, "ReduceMin", "Min");
    const uint32_t high = extreme(e, "ReduceMax", "Max");
    const uint32_t scale = divide(e, sub(e, high, low, NEW), number(e, 255.0), e->out[1]);
    uint32_t zero = sub(e, number(e, 0.0), divide(e, low, scale, NEW), NEW);
    zero = tni_build_binary(&e->b, "Max", zero, number(e, 0.0), NEW);
    zero = tni_build_binary(&e->b, "Min", zero, number(e, 255.0), NEW);
    zero = tni_build_cast(&e->b, call(e, "Round", zero, NEW), TN_DTYPE_UINT8, e->out[2]);
    (void)tni_build_ternary(&e->b, "QuantizeLinear", e->in[0], scale, zero, e->out[0]);
}
