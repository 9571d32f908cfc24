// SPDX-License-Identifier: Apache-2.0
// Convolution: the library chooses the layouts of input, weights and output; bias, activation and
// the sum with another tensor are part of it. Which algorithm computes it, conv_choice.c says.
#include "conv_choice.h"

#include <string.h>

static const dnnl_memory_desc_t *md_of(const_dnnl_primitive_desc_t desc, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(desc, what, 0);
}

static void emit_with(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                      const_dnnl_primitive_desc_t desc, uint32_t bias, uint32_t summed,
                      uint32_t out) {
    const dnnl_memory_desc_t *weights = md_of(desc, dnnl_query_weights_md);
    const dnnl_memory_desc_t *dst = md_of(desc, dnnl_query_dst_md);
    const uint32_t x = tni_cpu_as(build, node->inputs[0], md_of(desc, dnnl_query_src_md));
    const uint32_t w = tni_cpu_packed(build, node->inputs[1], &shape->plain_weights, weights);
    const uint32_t b = bias == TN_NONE ? TN_NONE : tni_cpu_as_plain(build, bias);
    if (build->status != TN_OK) {
        return;
    }
    if (summed != TN_NONE) {
        tni_cpu_define_sum(build, out, summed, dst);
    } else {
        tni_cpu_define(build, out, dst);
    }
    const cpu_arg args[4] = {{DNNL_ARG_SRC, x, md_of(desc, dnnl_query_src_md)},
                             {DNNL_ARG_WEIGHTS, w, weights},
                             {DNNL_ARG_DST, out, dst},
                             {DNNL_ARG_BIAS, b, &shape->bias}};
    tni_cpu_step_primitive(build, desc, b == TN_NONE ? 3 : 4, args);
}

void tni_cpu_emit_integer_conv(cpu_build *build, const cpu_node *node) {
    const uint32_t bias = tni_cpu_bias(node);
    int64_t scale_count = 0;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    cpu_conv_shape shape;
    if ((node->out_scale != 0.0f && !tni_cpu_posts_commute(node)) ||
        (node->out_scale == 0.0f && node->post_count > 0)) {
        tni_cpu_emit_integers_as_floats(build, node);
        return;
    }
    uint32_t inputs[2] = {tni_cpu_value(build, node->inputs[0])->quant.value,
                          tni_cpu_value(build, node->inputs[1])->quant.value};
    cpu_node integers = *node;
    integers.inputs = inputs;
    const float *scales = tni_cpu_accumulator_scales(build, node, &scale_count);
    const uint32_t units = scales == NULL || bias == TN_NONE
                               ? TN_NONE
                               : tni_cpu_accumulator_bias(build, bias, scales, scale_count);
    if (build->status != TN_OK || !tni_cpu_conv_describe(build, &integers, units, &shape)) {
        return;
    }
    if (tni_cpu_integer_attr(build, node, scales, scale_count, 2, &attr) &&
        tni_cpu_conv_descs(build, &shape, dnnl_convolution_direct, attr, 1, &desc) == 0) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED,
                                 "the library has no such convolution of integers");
    }
    if (build->status == TN_OK) {
        emit_with(build, &integers, &shape, desc, units, TN_NONE, node->outputs[0]);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

void tni_cpu_emit_conv(cpu_build *build, const cpu_node *node) {
    if (tni_cpu_is_integer_product(build, node)) {
        tni_cpu_emit_integer_conv(build, node);
        return;
    }
    const uint32_t bias = tni_cpu_bias(node);
    cpu_conv_shape shape;
    cpu_conv_choice choice;
    if (!tni_cpu_conv_describe(build, node, bias, &shape)) {
        return;
    }
    tni_cpu_conv_arrange(build, &shape);
    tni_cpu_conv_choice_init(build, node, &shape, &choice);
    if (choice.count == 0) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED,
                                 "the library has no such convolution");
        return;
    }
    const uint32_t best = tni_cpu_conv_choose(build, node, &shape, &choice);
    const cpu_conv_way *way = &choice.ways[best];
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const uint32_t out = way->fused < node->post_count
                             ? tni_cpu_value_new(build, y.dtype, y.rank, y.dims)
                             : node->outputs[0];
    if (build->status == TN_OK) {
        if (shape.src.data_type == dnnl_bf16) {
            build->out->numerics = TN_NUMERICS_REDUCED;
        } else if (best > 0 && build->out->numerics < TN_NUMERICS_WINOGRAD) {
            build->out->numerics = TN_NUMERICS_WINOGRAD;
        }
        emit_with(build, node, &shape, way->desc, bias,
                  way->sum != TN_NONE ? node->posts[way->sum].value : TN_NONE, out);
        cpu_node rest = *node;
        rest.post_count -= way->fused;
        for (uint32_t i = 0; i < rest.post_count; ++i) {
            rest.posts[i] = node->posts[i + way->fused];
        }
        if (rest.post_count > 0) {
            tni_cpu_emit_posts(build, &rest, out);
        }
    }
    tni_cpu_conv_choice_deinit(&choice);
}

// Weights are [in, out / groups, ...]: the library wants them as if out came first.
static dnnl_memory_desc_t transposed_weights(const cpu_value *weights, int64_t group) {
    int64_t dims[CPU_MAX_RANK + 1];
    const uint32_t grouped = group > 1 ? 1u : 0u;
    dims[0] = group;
    dims[grouped] = weights->dims[0] / group;
    for (uint32_t axis = 1; axis < weights->rank; ++axis) {
        dims[axis + grouped] = weights->dims[axis];
    }
    const dnnl_memory_desc_t as_written =
        tni_cpu_plain(weights->dtype, weights->rank + grouped, dims);
    int order[CPU_MAX_RANK + 1];
    for (int i = 0; i < as_written.ndims; ++i) {
        order[i] = i;
    }
    order[grouped] = (int)grouped + 1;
    order[grouped + 1] = (int)grouped;
    dnnl_memory_desc_t swapped;
    (void)dnnl_memory_desc_permute_axes(&swapped, &as_written, order);
    return swapped;
}

void tni_cpu_emit_conv_transpose(cpu_build *build, const cpu_node *node) {
    const uint32_t bias = tni_cpu_bias(node);
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    cpu_conv_shape shape = {.has_bias = bias != TN_NONE};
    // It is the convolution from y to x, backwards: so are its paddings.
    if (!tni_cpu_window(build, node, y, x, w->dims + 2, &shape.window)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "there is no such window");
        return;
    }
    for (uint32_t i = 0; i < shape.window.axes; ++i) {
        // output_padding lengthens the end: as negative padding there.
        const cpu_window *v = &shape.window;
        const int64_t reach = tni_cpu_window_reach(v, i);
        const int64_t full = (x->dims[i + 2] - 1) * v->strides[i] + reach - v->before[i];
        shape.window.after[i] = full - y->dims[i + 2];
        if (v->before[i] >= reach || v->after[i] >= reach) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED,
                                     "padding is no shorter than the window");
            return;
        }
    }
    shape.plain_weights = transposed_weights(w, group);
    shape.src = tni_cpu_any_of(tni_cpu_plain_of(x));
    shape.weights = tni_cpu_any_of(shape.plain_weights);
    shape.dst = tni_cpu_any_of(tni_cpu_plain_of(y));
    shape.bias = tni_cpu_plain(TN_DTYPE_FLOAT, 1, &y->dims[1]);
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    dnnl_deconvolution_desc_t deconv;
    const dnnl_status_t status = dnnl_dilated_deconvolution_forward_desc_init(
        &deconv, dnnl_forward_inference, dnnl_deconvolution_direct, &shape.src, &shape.weights,
        shape.has_bias ? &shape.bias : NULL, &shape.dst, shape.window.strides, shape.window.dilates,
        shape.window.before, shape.window.after);
    dnnl_primitive_desc_t desc = tni_cpu_desc(build, status, &deconv, attr, "deconvolution");
    const uint32_t out = tni_cpu_before_posts(build, node);
    if (build->status == TN_OK) {
        emit_with(build, node, &shape, desc, bias, TN_NONE, out);
        tni_cpu_emit_posts(build, node, out);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}
