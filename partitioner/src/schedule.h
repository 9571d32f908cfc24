// SPDX-License-Identifier: Apache-2.0
// Serial orders for given labels. One step runs everything of one label that is ready or becomes so
// by it (its closure). With handover costs that obey the triangle inequality some sequence of
// closures is optimal: an op that could join a segment and waits for a later one saves nothing
// (Kennedy and McKinley 1994, typed fusion). For two labels the sequence is their alternation, so
// trying both starts is exact; for more, choosing it is NP-hard and beam.c searches.
//
// A held claim joins a segment whole or not at all.
#ifndef TENON_PARTITIONER_SCHEDULE_H
#define TENON_PARTITIONER_SCHEDULE_H

#include "graph.h"

// Where a schedule stands. One block of memory, so that it can be copied.
typedef struct tnp_frontier {
    uint32_t *waiting; // [op]: predecessors not yet run; TNP_NONE once it ran itself
    uint32_t *next;    // [op]: ready ops of a label, doubly linked
    uint32_t *prev;
    uint32_t *first; // [label]: TNP_NONE when none is ready
    uint32_t *last;
    uint32_t done; // ops run
} tnp_frontier;

typedef struct tnp_schedule {
    const tnp_graph *graph;
    const uint32_t *label; // of the schedule at work
    tnp_frontier frontier;
    uint32_t *order;    // [op]
    int64_t *tail;      // [op]: most handovers, in cost, on any path from it
    uint32_t *joined;   // [claim]: ops in the segment at work
    uint8_t *held;      // [claim]
    uint8_t *blocked;   // [claim]: cannot be whole in the segment at work
    uint32_t *deferred; // [op]: ready ops of blocked claims
    uint32_t held_count;
    uint64_t work; // steps taken so far
} tnp_schedule;

tnp_status tnp_schedule_init(tnp_arena *arena, const tnp_graph *graph, tnp_schedule *out_schedule);

// Space for one more frontier; TNP_OK or TNP_OUT_OF_MEMORY.
tnp_status tnp_frontier_init(tnp_arena *arena, const tnp_graph *graph, tnp_frontier *out_frontier);
void tnp_frontier_copy(const tnp_graph *graph, const tnp_frontier *from, tnp_frontier *to);

// Starts over with these labels; computes tail, claims are as held says.
void tnp_schedule_start(tnp_schedule *schedule, const uint32_t *label);

// Runs label's closure, appending to order. Returns how many ops ran; 0 when none could.
uint32_t tnp_schedule_segment(tnp_schedule *schedule, uint32_t label);

// The least that is still to be paid after a segment of label, UINT32_MAX before the first.
int64_t tnp_schedule_remaining(const tnp_schedule *schedule, uint32_t label);

// A whole order by taking the label with the greatest tail next; starting with first unless it is
// TNP_NONE. *out_handovers is its cost. Returns 0 when held claims leave no way on.
int tnp_schedule_greedy(tnp_schedule *schedule, const uint32_t *label, uint32_t first,
                        int64_t *out_handovers);

#endif // TENON_PARTITIONER_SCHEDULE_H
