// SPDX-License-Identifier: Apache-2.0
// Which of several algorithms of the library is the fastest here: measured once for each kind of
// layer while the island is compiled, and remembered with the program.
#ifndef TENON_CPU_CHOOSE_H
#define TENON_CPU_CHOOSE_H

#include "build.h"

// More implementations than this of one layer are not looked at.
#define CPU_CANDIDATES 4u
#define CPU_ARRANGEMENTS 3u
#define CPU_CONTENDERS (CPU_CANDIDATES * CPU_ARRANGEMENTS)

typedef struct cpu_contender {
    const_dnnl_primitive_desc_t desc;
    uint64_t extra_ns; // of steps that it needs besides
} cpu_contender;

// Whether anything may be chosen by measuring, so that the next process may choose otherwise.
uint32_t tni_cpu_measures(const cpu_program *program);

// The index of who is to run: the first, unless another is clearly faster.
uint32_t tni_cpu_choose(cpu_build *build, const cpu_contender *all, uint32_t count);

// The steps of that one by one. How long each takes, extra_ns included; UINT64_MAX where it could
// not be measured.
void tni_cpu_race(cpu_build *build, const cpu_contender *all, uint32_t count, uint64_t *out_ns);
// Whether a contender is out of the race, given its least time, the least of all and, unless it is
// the first itself (UINT64_MAX), that of the first: a quarter behind after two runs, half behind
// after one that is long, or hardly faster than the first, which it would have to displace.
uint32_t tni_cpu_is_beaten(uint64_t took, uint64_t best, uint64_t first, uint32_t runs);
// Who is less than one part in so many faster than the first is not worth other weights, other
// rounding and another choice in the next process. Of whole arrangements more is asked: what lies
// between convolutions is not in the sample, and is slower where channels are last.
#define CPU_MARGIN_ALGORITHM 8u
#define CPU_MARGIN_ARRANGEMENT 4u
// The first, or the least of the others if that is less by more than the margin's part.
uint32_t tni_cpu_best(const uint64_t *took, uint32_t count, uint32_t margin);
// Returns the same, and tni_cpu_choose will from now on.
uint32_t tni_cpu_remember(cpu_build *build, const cpu_contender *all, uint32_t count,
                          const uint64_t *took);

// Gives back what measuring needed.
void tni_cpu_choose_done(cpu_build *build);

// How images lie in a program, and in what type.
typedef struct cpu_arrangement {
    cpu_images images;
    uint32_t narrow;
} cpu_arrangement;

void tni_cpu_arrange(cpu_program *program, cpu_arrangement arrangement);
// Decides that for the program, by what the convolutions that weigh most take in each way, in
// turns, and what concatenations copy.
void tni_cpu_choose_images(cpu_build *build);

#endif // TENON_CPU_CHOOSE_H
