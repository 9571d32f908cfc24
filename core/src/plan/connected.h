// SPDX-License-Identifier: Apache-2.0
// Cutting what the partitioner gave one device into connected pieces, for devices that ask for them
// (TN_DEVICE_CONNECTED_ISLANDS).
#ifndef TENON_PLAN_CONNECTED_H
#define TENON_PLAN_CONNECTED_H

#include "graph/graph.h"

#include "tenon/partition.h"

// The segments of an answer, those of label l cut into connected components where wants[l], and
// answer->order reordered to match: in the old order inside a component, components by their first
// op. Ops are connected by the values that one makes and another reads, itself or in a body; a
// common input connects nothing. No path between two components of a segment leads through other
// ops (it would leave the segment and come back), so the new order is as good as the old one.
//
// Op i is the node nodes[i - 1]; ops of labels that want nothing may be anything. *out_segments has
// room for op_count: give it back with tni_free_array. TN_OK · TN_ERROR_OUT_OF_MEMORY, and then
// *out_segments is null.
TN_MUST_USE tn_status tni_connected_segments(const tni_alloc *alloc, const tni_model *model,
                                             const uint32_t *nodes, const bool *wants,
                                             tnp_plan *answer, tnp_segment **out_segments,
                                             uint32_t *out_count);

#endif // TENON_PLAN_CONNECTED_H
