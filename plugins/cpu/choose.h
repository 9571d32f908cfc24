// SPDX-License-Identifier: Apache-2.0
// Which of several algorithms of the library is the fastest here: measured once for each kind of
// layer while the island is compiled, and remembered with the program.
#ifndef TENON_CPU_CHOOSE_H
#define TENON_CPU_CHOOSE_H

#include "build.h"

// More implementations than this of one layer are not looked at.
#define CPU_CANDIDATES 4u

// The index of the descriptor that runs fastest; 0 where there is one, or nothing could be
// measured. out_time_ns: null, or how long it takes, which is measured for one as well; 0 where
// that failed. variant: tells lists of descriptors apart that have the same tensors.
uint32_t tni_cpu_choose(cpu_build *build, const dnnl_primitive_desc_t *descs, uint32_t count,
                        uint32_t variant, uint64_t *out_time_ns);

// Gives back what measuring needed.
void tni_cpu_choose_done(cpu_build *build);

// Decides how images lie in this program, by what all its convolutions take in either way and what
// concatenations copy.
void tni_cpu_choose_images(cpu_build *build);
// What a convolution takes by the present decision; 0 where that is not known.
uint64_t tni_cpu_conv_time(cpu_build *build, const cpu_node *node);

#endif // TENON_CPU_CHOOSE_H
