// SPDX-License-Identifier: Apache-2.0
// Windows: attributes as ONNX writes them, made explicit.
#include "window.h"

// Sums of products of two such numbers do not overflow.
#define MOST INT32_MAX

static uint32_t read_list(const cpu_build *build, const cpu_node *node, const char *name,
                          int64_t otherwise, uint32_t axes, dnnl_dims_t out_list) {
    int64_t list[2 * CPU_MAX_RANK];
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), name, list, axes);
    for (uint32_t i = 0; i < axes; ++i) {
        out_list[i] = count == axes ? list[i] : otherwise;
    }
    return count == axes ? 1u : 0u;
}

static uint32_t is_between(int64_t value, int64_t least) {
    return value >= least && value <= MOST;
}

int64_t tni_cpu_window_reach(const cpu_window *window, uint32_t axis) {
    return (window->kernel[axis] - 1) * (window->dilates[axis] + 1) + 1;
}

// The padding that makes the output as large as the strides cut the input; odd pixels go to the
// end, or to the beginning for SAME_LOWER.
static uint32_t pad_same(const cpu_value *input, const cpu_value *output, uint32_t lower,
                         cpu_window *window) {
    for (uint32_t i = 0; i < window->axes; ++i) {
        const int64_t size = input->dims[i + 2];
        const int64_t stride = window->strides[i];
        const int64_t need =
            (output->dims[i + 2] - 1) * stride + tni_cpu_window_reach(window, i) - size;
        const int64_t total = need > 0 ? need : 0;
        window->before[i] = lower ? total - total / 2 : total / 2;
        window->after[i] = total - window->before[i];
        if (output->dims[i + 2] != (size + stride - 1) / stride) {
            return 0;
        }
    }
    return 1;
}

// As the attributes say.
static uint32_t pad_given(const cpu_build *build, const cpu_node *node, cpu_window *window) {
    int64_t pads[2 * CPU_MAX_RANK] = {0};
    const uint32_t count = tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), "pads",
                                             pads, 2 * window->axes);
    for (uint32_t i = 0; i < window->axes; ++i) {
        window->before[i] = pads[i];
        window->after[i] = pads[i + window->axes];
        if (!is_between(window->before[i], 0) || !is_between(window->after[i], 0)) {
            return 0;
        }
    }
    return count == 0 || count == 2 * window->axes;
}

uint32_t tni_cpu_window(const cpu_build *build, const cpu_node *node, const cpu_value *input,
                        const cpu_value *output, const int64_t *kernel, cpu_window *out_window) {
    const tn_graph_node *from = tni_cpu_view_node(build, node);
    *out_window = (cpu_window){.axes = input->rank - 2};
    cpu_window *window = out_window;
    for (uint32_t i = 0; kernel != NULL && i < window->axes; ++i) {
        window->kernel[i] = kernel[i];
    }
    if (kernel == NULL &&
        !read_list(build, node, "kernel_shape", 1, window->axes, window->kernel)) {
        return 0;
    }
    (void)read_list(build, node, "strides", 1, window->axes, window->strides);
    (void)read_list(build, node, "dilations", 1, window->axes, window->dilates);
    for (uint32_t i = 0; i < window->axes; ++i) {
        if (!is_between(window->kernel[i], 1) || !is_between(window->strides[i], 1) ||
            !is_between(window->dilates[i], 1) || !is_between(input->dims[i + 2], 0) ||
            !is_between(output->dims[i + 2], 0)) {
            return 0;
        }
        window->dilates[i] -= 1;
    }
    const uint32_t lower = tn_view_attr_string_is(build->view, from, "auto_pad", "SAME_LOWER");
    return lower || tn_view_attr_string_is(build->view, from, "auto_pad", "SAME_UPPER")
               ? pad_same(input, output, lower, window)
               : pad_given(build, node, window);
}

uint32_t tni_cpu_window_makes(const cpu_window *window, const cpu_value *input,
                              const cpu_value *output, uint32_t rounds_up) {
    for (uint32_t i = 0; i < window->axes; ++i) {
        const int64_t size = input->dims[i + 2] + window->before[i];
        const int64_t room = size + window->after[i] - tni_cpu_window_reach(window, i);
        const int64_t stride = window->strides[i];
        const int64_t made = room < 0 ? 0 : room / stride + 1;
        const int64_t last = room < 0 ? 0 : (room + stride - 1) / stride * stride;
        const int64_t rounded = last < size ? last / stride + 1 : made;
        if (output->dims[i + 2] != made && !(rounds_up && output->dims[i + 2] == rounded)) {
            return 0;
        }
    }
    return 1;
}
