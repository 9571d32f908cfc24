// SPDX-License-Identifier: Apache-2.0
// QLinearConv and QLinearMatMul are convolution and product of dequantised values, quantised again,
// written as one node: they become that, and then go the way of every quantised network.
#include "build.h"

// A float value that stands for integers with their scale and zero point.
static uint32_t dequantised(cpu_build *build, uint32_t integers, uint32_t scale, uint32_t zero,
                            uint32_t axis) {
    const cpu_value v = *tni_cpu_value(build, integers);
    const uint32_t value = tni_cpu_value_new(build, TN_DTYPE_FLOAT, v.rank, v.dims);
    const float *scales = tni_cpu_known(build, scale);
    const void *zeros = zero == TN_NONE ? NULL : tni_cpu_known(build, zero);
    if (value == TN_NONE || scales == NULL || (zero != TN_NONE && zeros == NULL)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a scale is not known");
        return TN_NONE;
    }
    const uint32_t single = tni_cpu_value(build, scale)->count == 1;
    const uint32_t shifted = tni_cpu_is_shifted(build, zero);
    tni_cpu_value(build, value)->quant = (cpu_quant){
        .value = integers,
        .scale = scales[0],
        .zero_point =
            zeros == NULL ? 0 : tni_cpu_integer_at(tni_cpu_value(build, zero)->dtype, zeros, 0),
        .axis = single ? TN_NONE : axis,
        .scales = scale,
        .zeros = zero,
        .shifted = shifted};
    return value;
}

// The bias counts in products of both scales.
static uint32_t bias_scales(cpu_build *build, uint32_t x_scale, uint32_t w_scale) {
    const float *x = tni_cpu_known(build, x_scale);
    const float *w = tni_cpu_known(build, w_scale);
    const int64_t count = tni_cpu_value(build, w_scale)->count;
    float *product = tni_cpu_arena_array(build->arena, (uint64_t)count, sizeof *product);
    if (x == NULL || w == NULL || product == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a scale is not known");
        return TN_NONE;
    }
    for (int64_t i = 0; i < count; ++i) {
        product[i] = x[0] * w[i];
    }
    return tni_cpu_value_known(build, TN_DTYPE_FLOAT, 1, &count, product);
}

void tni_cpu_rule_qlinear(cpu_build *build, cpu_node *node) {
    if (node->kind != CPU_KIND_QLINEAR) {
        return;
    }
    const uint32_t is_conv = node->variant == CPU_KIND_CONV;
    const uint32_t *in = node->inputs;
    const uint32_t weight_axis = is_conv ? 0u : tni_cpu_value(build, in[3])->rank - 1;
    const float *y_scale = tni_cpu_known(build, in[6]);
    uint32_t *inputs = tni_cpu_arena_array(build->arena, 3, sizeof *inputs);
    if (inputs == NULL || y_scale == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a scale is not known");
        return;
    }
    inputs[0] = dequantised(build, in[0], in[1], in[2], TN_NONE);
    inputs[1] = dequantised(build, in[3], in[4], in[5], weight_axis);
    inputs[2] = TN_NONE;
    const uint32_t bias = tni_cpu_input(node, 8);
    if (bias != TN_NONE) {
        const uint32_t scales = bias_scales(build, in[1], in[4]);
        inputs[2] = scales == TN_NONE ? TN_NONE : dequantised(build, bias, scales, TN_NONE, 0);
    }
    const void *zero = tni_cpu_known(build, in[7]);
    node->out_scale = y_scale[0];
    node->out_zero_point =
        zero == NULL ? 0 : tni_cpu_integer_at(tni_cpu_value(build, in[7])->dtype, zero, 0);
    node->inputs = inputs;
    node->input_count = inputs[2] == TN_NONE ? 2 : 3;
    node->kind = node->variant;
    node->variant = 0;
    node->emit = is_conv ? tni_cpu_emit_conv : tni_cpu_emit_matmul;
    if (build->status == TN_OK && !tni_cpu_is_integer_product(build, node)) {
        // Weights that are no constants, or have a zero point: floats, quantised again.
        node->emit = tni_cpu_emit_integers_as_floats;
    }
}
