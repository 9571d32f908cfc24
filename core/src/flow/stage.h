// SPDX-License-Identifier: Apache-2.0
// Cutting a graph into stages. A region is planned and run as a whole; it ends where the host has
// something to do before the next one can be prepared: carry a node out itself (control flow,
// sequences), or read elements or sizes that decide shapes further down.
#ifndef TENON_FLOW_STAGE_H
#define TENON_FLOW_STAGE_H

#include "graph/region.h"

typedef enum tni_stage_kind {
    TNI_STAGE_REGION,
    TNI_STAGE_HOST, // one node that the host carries out
} tni_stage_kind;

typedef struct tni_stage {
    tni_stage_kind kind;
    uint32_t id;       // among all stages of a flow
    uint32_t node;     // HOST
    tni_region region; // REGION
    uint32_t release_count;
    uint32_t *releases; // values that nothing after this stage reads
} tni_stage;

// The stages of one graph, in order. Single owner, immutable once made.
typedef struct tni_track {
    tni_alloc alloc;
    uint32_t graph;
    uint32_t stage_count;
    uint32_t stage_capacity;
    tni_stage *stages;
    bool simple; // one region with the graph's own inputs and outputs, all sizes from their shapes
} tni_track;

// Cuts a graph. *inout_stage_id numbers the stages. Deterministic: the same graph gives the same
// stages. TN_OK · TN_ERROR_OUT_OF_MEMORY. Deinit in every case.
TN_MUST_USE tn_status tni_track_init(const tni_alloc *alloc, const tni_model *model, uint32_t graph,
                                     uint32_t *inout_stage_id, tni_track *out_track,
                                     tn_error *error);
// A zeroed track may be deinitialised.
void tni_track_deinit(tni_track *track);

#endif // TENON_FLOW_STAGE_H
