// SPDX-License-Identifier: Apache-2.0
// A compiled model: the stages of graph 0 and of every body the host steps through, with a plan for
// each region. Most models are one region and nothing else.
#ifndef TENON_FLOW_FLOW_H
#define TENON_FLOW_FLOW_H

#include "flow/stage.h"
#include "plan/plan.h"

// How deep function ops may lie in expansions of others.
#define TNI_MAX_EXPANSIONS 8u

// Single owner; read by any thread.
typedef struct tni_flow {
    tni_alloc alloc;
    tni_model *model;
    tni_plan_info info; // what plans are made with; region and shapes are set for each
    tni_device **devices;
    tni_pin *pins;
    tni_cap *caps;                   // with what the plans made here hold
    tni_presentation *presentations; // how each device sees the model
    uint32_t graph_count;
    tni_track *tracks;    // per graph; without stages where the host does not step through it
    uint32_t *stage_of;   // per model node: index in graph 0's track, TN_NONE for nodes in bodies
    uint32_t *place_of;   // per model node: place in its region's list, of those in graph 0
    uint32_t stage_count; // of all tracks
    tni_plan **plans;     // per stage; null for a host's, and where shapes must be known first
    bool simple;          // graph 0 is one region that needs nothing of the host
} tni_flow;

// Writes the model in the op versions that the devices know, which adds to it, cuts it, and plans
// every region whose types and ranks are known; the others are planned when a run meets them. A
// function op that no device takes, neither whole nor as its expansion, gives way to the expansion,
// as does a node for a call that no listed device takes whole, and everything is done again:
// TNI_MAX_EXPANSIONS times, and once more for every call. info.region, info.shapes and
// info.call_device_count are ignored; info.devices is copied, the devices must outlive the flow.
// Errors as tni_plan_create. *out_flow is null on failure; free with tni_flow_destroy.
TN_MUST_USE tn_status tni_flow_create(const tni_alloc *alloc, const tni_plan_info *info,
                                      tni_flow **out_flow, tn_error *error);
void tni_flow_destroy(tni_flow *flow); // null is ignored

// A plan of one region for these shapes alone. Errors and ownership as tni_plan_create.
TN_MUST_USE tn_status tni_flow_plan_for(const tni_flow *flow, const tni_region *region,
                                        const tni_shape_table *shapes, tni_plan **out_plan,
                                        tn_error *error);

// The stage of graph 0 that a node belongs to, or null. *out_place: where in its region's list.
const tni_stage *tni_flow_stage_of(const tni_flow *flow, uint32_t node, uint32_t *out_place);

#endif // TENON_FLOW_FLOW_H
