// SPDX-License-Identifier: Apache-2.0
// Changes to a graph view at random: single fields, sizes wherever they occur, and raw bytes.
#ifndef TENON_TESTS_CPU_MUTATE_H
#define TENON_TESTS_CPU_MUTATE_H

#include "tenon/abi/graph.h"

// A number below `below`; the same sequence for the same seed.
uint32_t cpu_random(uint64_t *inout_random, uint32_t below);

// Changes one field of a record, or one size in all of them.
void cpu_mutate(tn_graph_view *view, uint64_t *inout_random);
// Changes one byte, of whatever it is, but not how many there are. Nothing can be said of the view
// afterwards, so it comes last.
void cpu_mutate_bytes(tn_graph_view *view, uint64_t *inout_random);

#endif // TENON_TESTS_CPU_MUTATE_H
