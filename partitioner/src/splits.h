// SPDX-License-Identifier: Apache-2.0
// Handover costs as a sum of metrics that tell one set of labels from the rest (splits). Bounding
// each with a flow of its own (paths.h) is better than one flow for all: three labels that
// alternate on two parallel paths are seen together.
//
// A metric that is the same both ways is split as Bandelt and Dress (1992) do, which for up to four
// labels leaves nothing over. One that differs by direction is split into ways out of sets: of each
// as much goes as the triangle inequality allows what is left over.
#ifndef TENON_PARTITIONER_SPLITS_H
#define TENON_PARTITIONER_SPLITS_H

#include "graph.h"

// *out_metrics has *out_count matrices [from][to] that sum to no more than the handover costs.
// TNP_OK or TNP_OUT_OF_MEMORY.
tnp_status tnp_split_handovers(tnp_arena *arena, const tnp_graph *graph, int64_t **out_metrics,
                               uint32_t *out_count);

#endif // TENON_PARTITIONER_SPLITS_H
