// SPDX-License-Identifier: Apache-2.0
// Which of several algorithms of the library is the fastest here: measured once for each kind of
// layer while the island is compiled, and remembered with the program.
#ifndef TENON_CPU_CHOOSE_H
#define TENON_CPU_CHOOSE_H

#include "build.h"

// The index of the descriptor that runs fastest; 0 where there is one, or nothing could be
// measured. What it costs to bring the input into another layout is not part of it.
uint32_t tni_cpu_choose(cpu_build *build, const dnnl_primitive_desc_t *descs, uint32_t count);

#endif // TENON_CPU_CHOOSE_H
