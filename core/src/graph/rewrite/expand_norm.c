// SPDX-License-Identifier: Apache-2.0
// Expansions of normalisations: subtract a mean, divide by a deviation, scale and shift. What
// differs is over which axes, in which type, and what scale and bias belong to.
#include "graph/rewrite/expand.h"

#define NEW TN_NONE

static uint32_t binary(tni_expansion *e, const char *op_type, uint32_t x, uint32_t y) {
    return tni_build_binary(&e->b, op_type, x, y, NEW);
}

static uint32_t mean_over(tni_expansion *e, uint32_t x, const int64_t *axes, uint32_t count,
                          uint32_t output) {
    return tni_build_reduce(&e->b, "ReduceMean", x, axes, count, true, output);
}

// sqrt(mean(x^2) + epsilon)
static uint32_t deviation(tni_expansion *e, uint32_t x, const int64_t *axes, uint32_t count) {
    const double epsilon = (double)tni_node_float(&e->node, "epsilon", 1e-5f);
    const uint32_t variance = mean_over(e, binary(e, "Mul", x, x), axes, count, NEW);
    const uint32_t shifted = binary(e, "Add", variance, tni_build_scalar(&e->b, epsilon));
    return tni_build_unary(&e->b, "Sqrt", shifted, NEW);
}

// Into and out of the type of the statistics.
static uint32_t widen(tni_expansion *e, uint32_t x) {
    return e->b.dtype != e->dtype ? tni_build_cast(&e->b, x, e->b.dtype, NEW) : x;
}

static uint32_t narrow(tni_expansion *e, uint32_t x) {
    return e->b.dtype != e->dtype ? tni_build_cast(&e->b, x, e->dtype, NEW) : x;
}

// x * scale + bias, the latter optional, into out[0].
static void scale_and_shift(tni_expansion *e, uint32_t x, uint32_t scale, uint32_t bias) {
    x = tni_build_binary(&e->b, "Mul", x, scale, bias == TN_NONE ? e->out[0] : NEW);
    if (bias != TN_NONE) {
        (void)tni_build_binary(&e->b, "Add", x, bias, e->out[0]);
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

bool tni_formula_has_trailing_axes(const tni_model *model, const tni_node *node) {
    int64_t axes[TN_MAX_RANK];
    return trailing_axes(model, node, axes) > 0;
}

bool tni_formula_has_channels(const tni_model *model, const tni_node *node) {
    const uint32_t rank = model->values[tni_node_input(node, 0)].rank;
    return rank != TN_RANK_UNKNOWN && rank > 2;
}

// LayerNormalization: (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias
void tni_formula_layer_norm(tni_expansion *e) {
    int64_t axes[TN_MAX_RANK];
    const uint32_t count = trailing_axes(e->b.model, &e->node, axes);
    const uint32_t x = widen(e, e->in[0]);
    const uint32_t centred = binary(e, "Sub", x, mean_over(e, x, axes, count, e->out[1]));
    const uint32_t divisor = deviation(e, centred, axes, count);
    if (e->out[2] != TN_NONE) {
        (void)tni_build_unary(&e->b, "Reciprocal", divisor, e->out[2]);
    }
    scale_and_shift(e, narrow(e, binary(e, "Div", centred, divisor)), e->in[1], e->in[2]);
}

// RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale
void tni_formula_rms_norm(tni_expansion *e) {
    int64_t axes[TN_MAX_RANK];
    const uint32_t count = trailing_axes(e->b.model, &e->node, axes);
    const uint32_t x = widen(e, e->in[0]);
    const uint32_t divisor = deviation(e, x, axes, count);
    scale_and_shift(e, narrow(e, binary(e, "Div", x, divisor)), e->in[1], TN_NONE);
}

// One number a channel, with an axis of size 1 for every spatial axis.
static uint32_t per_channel(tni_expansion *e, uint32_t x) {
    int64_t axes[TN_MAX_RANK];
    const uint32_t count = e->rank - 2;
    for (uint32_t i = 0; i < count; i++) {
        axes[i] = i + 1;
    }
    return tni_build_unsqueeze(&e->b, x, axes, count, NEW);
}

// GroupNormalization: each group of channels as one row, then scale and bias per channel
void tni_formula_group_norm(tni_expansion *e) {
    const int64_t rows[3] = {0, tni_node_int(&e->node, "num_groups", 1), -1};
    const int64_t last = -1;
    const uint32_t x = tni_build_reshape(&e->b, widen(e, e->in[0]), rows, 3, NEW);
    const uint32_t centred = binary(e, "Sub", x, mean_over(e, x, &last, 1, NEW));
    const uint32_t result = binary(e, "Div", centred, deviation(e, centred, &last, 1));
    const uint32_t shape = tni_build_unary(&e->b, "Shape", e->in[0], NEW);
    scale_and_shift(e, narrow(e, binary(e, "Reshape", result, shape)), per_channel(e, e->in[1]),
                    per_channel(e, e->in[2]));
}

// InstanceNormalization: over the spatial axes of each channel
void tni_formula_instance_norm(tni_expansion *e) {
    int64_t axes[TN_MAX_RANK];
    const uint32_t count = e->rank - 2;
    for (uint32_t i = 0; i < count; i++) {
        axes[i] = i + 2;
    }
    const uint32_t centred = binary(e, "Sub", e->in[0], mean_over(e, e->in[0], axes, count, NEW));
    const uint32_t result = binary(e, "Div", centred, deviation(e, centred, axes, count));
    scale_and_shift(e, result, per_channel(e, e->in[1]), per_channel(e, e->in[2]));
}

// MeanVarianceNormalization: (x - mean) / (sqrt(mean((x - mean)^2)) + 1e-9)
void tni_formula_mean_variance_norm(tni_expansion *e) {
    static const int64_t usual[3] = {0, 2, 3};
    uint32_t count = 0;
    const int64_t *axes = tni_node_ints(&e->node, "axes", &count);
    if (axes == NULL || count > TN_MAX_RANK) {
        axes = usual;
        count = 3;
    }
    const uint32_t centred = binary(e, "Sub", e->in[0], mean_over(e, e->in[0], axes, count, NEW));
    const uint32_t variance = mean_over(e, binary(e, "Mul", centred, centred), axes, count, NEW);
    const uint32_t root = tni_build_unary(&e->b, "Sqrt", variance, NEW);
    const uint32_t divisor = binary(e, "Add", root, tni_build_scalar(&e->b, 1e-9));
    (void)tni_build_binary(&e->b, "Div", centred, divisor, e->out[0]);
}
