// SPDX-License-Identifier: Apache-2.0
// Loops over elements of up to three tensors in whatever layouts: blocks become axes, axes that
// follow each other in all of them become one, and the innermost is a call of a simd function.
#ifndef TENON_CPU_LOOPS_H
#define TENON_CPU_LOOPS_H

#include "build.h"

#define CPU_LOOP_AXES 10u
#define CPU_LOOP_TENSORS 3u

typedef struct cpu_loops {
    uint32_t axes; // at least 1; the last is the innermost
    int64_t sizes[CPU_LOOP_AXES];
    int64_t steps[CPU_LOOP_AXES][CPU_LOOP_TENSORS]; // in elements; 0: the same for all
    int64_t outer;                                  // product of all sizes but the last
} cpu_loops;

// Loops over the elements of layouts[0], blocks and padding included, of which the others may be
// broadcast. Ranks may differ: missing axes in front are ones. Returns 0 where a layout cannot be
// walked so: blocks that the first has not, or padding that a plain one does not have.
uint32_t tni_cpu_loops(const dnnl_memory_desc_t *layouts, uint32_t count, cpu_loops *out_loops);

// The offsets of the innermost run with the given index.
void tni_cpu_loops_at(const cpu_loops *loops, int64_t index, int64_t *out_offsets);

#endif // TENON_CPU_LOOPS_H
