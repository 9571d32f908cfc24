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
// for the attribute kernel_shape. Keeps a failure where sizes and attributes disagree; returns 1
// when there is none.
uint32_t tni_cpu_window(cpu_build *build, const cpu_node *node, const cpu_value *input,
                        const cpu_value *output, const int64_t *kernel, cpu_window *out_window);

#endif // TENON_CPU_WINDOW_H
