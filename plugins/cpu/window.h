// SPDX-License-Identifier: Apache-2.0
// The windows of convolution and pooling: kernel, strides, dilations and paddings of the spatial
// axes, from a node's attributes and shapes.
#ifndef TENON_CPU_WINDOW_H
#define TENON_CPU_WINDOW_H

#include "build.h"

typedef struct cpu_window {
    uint32_t axes; // spatial ones
    dnnl_dims_t kernel;
    dnnl_dims_t strides;
    dnnl_dims_t dilates; // 0: none, as the library counts
    dnnl_dims_t before;  // padding
    dnnl_dims_t after;
} cpu_window;

// For windows over input that give output sizes; kernel: from the weights' spatial dims, or null
// for the attribute kernel_shape. Returns 0 where there is no such window.
uint32_t tni_cpu_window(const cpu_build *build, const cpu_node *node, const cpu_value *input,
                        const cpu_value *output, const int64_t *kernel, cpu_window *out_window);
// From the first element of the kernel to the last, dilation included.
int64_t tni_cpu_window_reach(const cpu_window *window, uint32_t axis);
// Whether windows over input give just the output's sizes. rounds_up: where the last one may reach
// out of the padding.
uint32_t tni_cpu_window_makes(const cpu_window *window, const cpu_value *input,
                              const cpu_value *output, uint32_t rounds_up);

#endif // TENON_CPU_WINDOW_H
