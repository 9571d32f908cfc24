// SPDX-License-Identifier: Apache-2.0
// A convolution as the library describes it, and the ways to compute it, among which measuring
// decides (choose.h).
#ifndef TENON_CPU_CONV_CHOICE_H
#define TENON_CPU_CONV_CHOICE_H

#include "choose.h"
#include "window.h"

typedef struct cpu_conv_shape {
    cpu_window window;
    dnnl_memory_desc_t plain_weights; // as they are in the model, groups apart
    dnnl_memory_desc_t src;           // any layout
    dnnl_memory_desc_t weights;
    dnnl_memory_desc_t bias;
    dnnl_memory_desc_t dst;
    uint32_t has_bias;
} cpu_conv_shape;

// The convolution, and the first of the node's posts.
typedef struct cpu_conv_way {
    dnnl_primitive_desc_t desc;
    uint32_t fused; // posts
    uint32_t sum;   // of these the one that adds a tensor, or TN_NONE
} cpu_conv_way;

typedef struct cpu_conv_choice {
    cpu_conv_way ways[CPU_CANDIDATES]; // the first is the direct one
    uint32_t count;
} cpu_conv_choice;

// Returns 0 where shapes do not fit, which is kept as a failure.
uint32_t tni_cpu_conv_describe(cpu_build *build, const cpu_node *node, uint32_t bias,
                               cpu_conv_shape *out);
// Puts channels in blocks of a register's width, where the program has images so and the layer as
// many channels.
void tni_cpu_conv_arrange(const cpu_build *build, cpu_conv_shape *shape);
// The library's implementations of an algorithm, at most so many; returns how many there are. They
// become the caller's.
uint32_t tni_cpu_conv_descs(const cpu_build *build, const cpu_conv_shape *shape,
                            dnnl_alg_kind_t alg, const_dnnl_primitive_attr_t attr, uint32_t most,
                            dnnl_primitive_desc_t *out_descs);

// No ways where the library has none.
void tni_cpu_conv_choice_init(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                              cpu_conv_choice *out);
void tni_cpu_conv_choice_deinit(cpu_conv_choice *choice);
// The index of the way to take. Of large images the upper rows are tried.
uint32_t tni_cpu_conv_choose(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                             const cpu_conv_choice *choice);

// Measures a convolution in several arrangements, in turns; leaves the program in the last.
// out_ns: of the way that each would take; UINT64_MAX where that is not known.
void tni_cpu_conv_times(cpu_build *build, const cpu_node *node, uint32_t count,
                        const cpu_arrangement *arrangements, uint64_t *out_ns);

#endif // TENON_CPU_CONV_CHOICE_H
