// SPDX-License-Identifier: Apache-2.0
// Windows: attributes as ONNX writes them, made explicit.
#include "window.h"

static uint32_t read_list(cpu_build *build, const cpu_node *node, const char *name,
                          int64_t otherwise, uint32_t axes, dnnl_dims_t out_list) {
    int64_t list[2 * CPU_MAX_RANK];
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), name, list, axes);
    for (uint32_t i = 0; i < axes; ++i) {
        out_list[i] = count == axes ? list[i] : otherwise;
    }
    return count == axes ? 1u : 0u;
}

// The padding that makes the output as large as it is; odd pixels go to the end, or to the
// beginning for SAME_LOWER.
static void pad_same(const cpu_value *input, const cpu_value *output, uint32_t lower,
                     cpu_window *window) {
    for (uint32_t i = 0; i < window->axes; ++i) {
        const int64_t reach = (window->kernel[i] - 1) * (window->dilates[i] + 1) + 1;
        const int64_t need =
            (output->dims[i + 2] - 1) * window->strides[i] + reach - input->dims[i + 2];
        const int64_t total = need > 0 ? need : 0;
        window->before[i] = lower ? total - total / 2 : total / 2;
        window->after[i] = total - window->before[i];
    }
}

uint32_t tni_cpu_window(cpu_build *build, const cpu_node *node, const cpu_value *input,
                        const cpu_value *output, const int64_t *kernel, cpu_window *out_window) {
    const tn_graph_node *from = tni_cpu_view_node(build, node);
    *out_window = (cpu_window){.axes = input->rank - 2};
    cpu_window *window = out_window;
    if (kernel == NULL) {
        if (!read_list(build, node, "kernel_shape", 1, window->axes, window->kernel)) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "kernel_shape does not fit");
            return 0;
        }
    } else {
        for (uint32_t i = 0; i < window->axes; ++i) {
            window->kernel[i] = kernel[i];
        }
    }
    (void)read_list(build, node, "strides", 1, window->axes, window->strides);
    (void)read_list(build, node, "dilations", 1, window->axes, window->dilates);
    for (uint32_t i = 0; i < window->axes; ++i) {
        window->dilates[i] -= 1;
        if (window->kernel[i] < 1 || window->strides[i] < 1 || window->dilates[i] < 0) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "a window has no extent");
            return 0;
        }
    }
    const uint32_t lower = tn_view_attr_string_is(build->view, from, "auto_pad", "SAME_LOWER");
    if (lower || tn_view_attr_string_is(build->view, from, "auto_pad", "SAME_UPPER")) {
        pad_same(input, output, lower, window);
        return 1;
    }
    int64_t pads[2 * CPU_MAX_RANK] = {0};
    (void)tn_view_attr_ints(build->view, from, "pads", pads, 2 * window->axes);
    for (uint32_t i = 0; i < window->axes; ++i) {
        window->before[i] = pads[i];
        window->after[i] = pads[i + window->axes];
    }
    return 1;
}
