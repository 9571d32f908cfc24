// SPDX-License-Identifier: Apache-2.0
// Search for the sequence of labels whose closures hand over for least (see schedule.h).
#ifndef TENON_PARTITIONER_BEAM_H
#define TENON_PARTITIONER_BEAM_H

#include "schedule.h"

#define TNP_BEAM_WIDTH 48u

typedef struct tnp_beam_state {
    tnp_frontier frontier;
    int64_t cost;   // handovers so far
    int64_t bound;  // cost plus the least that remains
    uint32_t label; // of the last segment
    uint32_t step;  // index of the step that led here
} tnp_beam_state;

typedef struct tnp_beam_step {
    uint32_t before; // step, or TNP_NONE
    uint32_t label;
} tnp_beam_step;

typedef struct tnp_beam {
    tnp_schedule *schedule;
    uint32_t width;         // states kept a level; 0: too many ops to search
    tnp_beam_state *states; // two levels
    tnp_beam_step *steps;
    uint32_t step_count;
    uint32_t step_capacity;
    uint32_t *sequence; // labels of the best order's segments
    uint32_t sequence_count;
    int exact; // the last search left nothing out
} tnp_beam;

// The schedule is borrowed and worked on.
tnp_status tnp_beam_init(tnp_arena *arena, tnp_schedule *schedule, tnp_beam *out_beam);

// Looks for an order that costs less than *io_handovers. Returns 1 when it found one: then
// *io_handovers is its cost and schedule->order holds it. Otherwise schedule->order is spoiled.
int tnp_beam_search(tnp_beam *beam, const uint32_t *label, int64_t *io_handovers);

#endif // TENON_PARTITIONER_BEAM_H
