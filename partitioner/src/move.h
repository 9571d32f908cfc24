// SPDX-License-Identifier: Apache-2.0
// Large moves: every variable keeps its label or takes another one, all at once, so that the energy
// is least: one minimum cut (Boykov, Veksler and Zabih 2001).
// All may take one label: an expansion.
// With two labels the expansion of one from "all on the other" is the exact minimum.
#ifndef TENON_PARTITIONER_MOVE_H
#define TENON_PARTITIONER_MOVE_H

#include "energy.h"
#include "maxflow.h"

typedef struct tnp_mover {
    const tnp_energy *energy;
    tnp_maxflow flow;
    uint32_t *node;        // [var]: node of the network, TNP_NONE when it stays
    uint32_t *stay;        // [var]: its label now
    uint32_t *take;        // [var]: its label when it moves
    const uint32_t *chain; // order of ops whose neighbours hand over at full cost; or null
} tnp_mover;

tnp_status tnp_mover_init(tnp_arena *arena, const tnp_energy *energy, tnp_mover *out_mover);

// Changes io_label (by variable) to the best expansion. The energy does not rise. chain null: the
// energy itself; otherwise without its prices on dependencies, but with the handovers of this order
// of ops. Returns how many variables moved.
uint32_t tnp_expand(tnp_mover *mover, const uint32_t *chain, uint32_t label, uint32_t *io_label);

#endif // TENON_PARTITIONER_MOVE_H
