// SPDX-License-Identifier: Apache-2.0
// Pooling and resampling: the library's, in the layout that the input has.
#include "window.h"

static void emit_desc(cpu_build *build, const cpu_node *node, const_dnnl_primitive_desc_t desc,
                      uint32_t in) {
    const dnnl_memory_desc_t *dst = dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0);
    const uint32_t out = node->outputs[0];
    tni_cpu_define(build, out, dst);
    tni_cpu_step_primitive(build, desc, 2,
                           (const cpu_arg[]){{DNNL_ARG_SRC, in, NULL}, {DNNL_ARG_DST, out, dst}});
}

static void emit_window(cpu_build *build, const cpu_node *node, dnnl_alg_kind_t alg,
                        const cpu_window *window) {
    const uint32_t in = tni_cpu_as_run(build, node->inputs[0]);
    if (in == TN_NONE) {
        return;
    }
    const dnnl_memory_desc_t src = tni_cpu_value(build, in)->layout;
    dnnl_memory_desc_t dst =
        tni_cpu_any_of(tni_cpu_plain_of(tni_cpu_value(build, node->outputs[0])));
    dst.data_type = src.data_type;
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    dnnl_pooling_desc_t pool;
    const dnnl_status_t status = dnnl_pooling_forward_desc_init(
        &pool, dnnl_forward_inference, alg, &src, &dst, window->strides, window->kernel,
        window->before, window->after);
    dnnl_primitive_desc_t desc = tni_cpu_desc(build, status, &pool, attr, "pooling");
    if (desc != NULL) {
        emit_desc(build, node, desc, in);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

void tni_cpu_emit_global_mean(cpu_build *build, const cpu_node *node) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    cpu_window window = {.axes = x->rank - 2};
    int64_t dims[CPU_MAX_RANK] = {x->dims[0], x->dims[1], 1, 1, 1, 1};
    const uint32_t rank = x->rank;
    for (uint32_t i = 0; i < window.axes; ++i) {
        window.kernel[i] = x->dims[i + 2];
        window.strides[i] = 1;
    }
    if (y.rank == rank) {
        emit_window(build, node, dnnl_pooling_avg_exclude_padding, &window);
        return;
    }
    // Without keepdims: the same with ones, seen without them.
    const uint32_t kept = tni_cpu_value_new(build, y.dtype, rank, dims);
    if (kept == TN_NONE) {
        return;
    }
    uint32_t out[1] = {kept};
    cpu_node with_ones = *node;
    with_ones.outputs = out;
    emit_window(build, &with_ones, dnnl_pooling_avg_exclude_padding, &window);
    const uint32_t plain = tni_cpu_as_plain(build, kept);
    if (plain != TN_NONE) {
        const dnnl_memory_desc_t layout = tni_cpu_plain_of(&y);
        tni_cpu_alias(build, node->outputs[0], plain, &layout, 0);
    }
}

void tni_cpu_emit_pool(cpu_build *build, const cpu_node *node) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    cpu_window window;
    if (node->variant == CPU_POOL_GLOBAL) {
        tni_cpu_emit_global_mean(build, node);
        return;
    }
    if (!tni_cpu_window(build, node, x, y, NULL, &window)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "there is no such window");
        return;
    }
    for (uint32_t i = 0; i < window.axes; ++i) {
        // With ceil_mode the last window may begin late: what it reaches beyond is padding.
        const int64_t reach = (y->dims[i + 2] - 1) * window.strides[i] + window.kernel[i];
        window.after[i] = reach - x->dims[i + 2] - window.before[i];
        if (window.dilates[i] != 0) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a window is dilated");
            return;
        }
    }
    const uint32_t padded = tni_cpu_int(build, node, "count_include_pad", 0) != 0;
    const dnnl_alg_kind_t alg = node->variant == CPU_POOL_MAX ? dnnl_pooling_max
                                : padded                      ? dnnl_pooling_avg_include_padding
                                                              : dnnl_pooling_avg_exclude_padding;
    emit_window(build, node, alg, &window);
}

// The verdict saw to it that both agree on where samples lie.
void tni_cpu_emit_resize(cpu_build *build, const cpu_node *node) {
    const uint32_t in = tni_cpu_as_run(build, node->inputs[0]);
    if (in == TN_NONE) {
        return;
    }
    const uint32_t linear =
        tn_view_attr_string_is(build->view, tni_cpu_view_node(build, node), "mode", "linear");
    const dnnl_memory_desc_t src = tni_cpu_value(build, in)->layout;
    dnnl_memory_desc_t dst =
        tni_cpu_any_of(tni_cpu_plain_of(tni_cpu_value(build, node->outputs[0])));
    dst.data_type = src.data_type;
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    dnnl_resampling_desc_t resample;
    const dnnl_status_t status = dnnl_resampling_forward_desc_init(
        &resample, dnnl_forward_inference,
        linear ? dnnl_resampling_linear : dnnl_resampling_nearest, NULL, &src, &dst);
    dnnl_primitive_desc_t desc = tni_cpu_desc(build, status, &resample, attr, "resampling");
    if (desc != NULL) {
        emit_desc(build, node, desc, in);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}
