// SPDX-License-Identifier: Apache-2.0
// Capacities of labels: what ops take on a label is limited. Prices per byte turn the limits into
// costs, which keeps the bound true (Lagrange); plans are made to fit by moving what costs least.
#ifndef TENON_PARTITIONER_CAPS_H
#define TENON_PARTITIONER_CAPS_H

#include "energy.h"

typedef struct tnp_caps {
    tnp_energy *energy;
    struct tnp_caps_move *moves; // [var]
    uint64_t *used;              // [label]
    uint64_t total;
} tnp_caps;

// TNP_OK or TNP_OUT_OF_MEMORY. For a problem without capacities the functions below do nothing.
tnp_status tnp_caps_init(tnp_arena *arena, tnp_energy *energy, tnp_caps *out_caps);

// Whether labels by variable fit.
int tnp_caps_fit(const tnp_caps *caps, const uint32_t *var_label);

// Moves variables off overfull labels, those first that lose least per byte. Returns whether the
// labels fit now.
int tnp_caps_mend(tnp_caps *caps, uint32_t *var_label);

// Raises the prices of labels that the cheapest labels overfill and lowers those of others; gap is
// what may still be gained, in unscaled cost.
void tnp_caps_reprice(tnp_caps *caps, const uint32_t *var_label, int64_t gap);

#endif // TENON_PARTITIONER_CAPS_H
