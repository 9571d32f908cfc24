// SPDX-License-Identifier: Apache-2.0
// Asking devices what they can do: the model is written in op versions that the device knows, then
// one batched call a device; per node of a region the answer that counts, whether the device takes
// the op itself or the whole expansion of a function op.
#ifndef TENON_PLAN_VERDICTS_H
#define TENON_PLAN_VERDICTS_H

#include "graph/version/present.h"
#include "loader/plugin.h"

// What one device says about one node.
typedef struct tni_option {
    bool possible;
    bool bound;       // only in one of the claims that name it
    tn_reason reason; // when not possible
    uint32_t subject;
    int64_t limit;
    int64_t actual;
    uint64_t cost_ns; // 0 with TN_COST_UNKNOWN, until tni_cost_fill
    tn_cost_origin origin;
    tn_numerics numerics;
} tni_option;

// Nodes that a device takes together.
typedef struct tni_claim {
    tn_range nodes; // of claim_places: each once
    tn_claim_kind kind;
    tn_cost_origin origin;
    uint64_t cost_ns; // all of them together, or with TN_CLAIM_BONUS what that saves
    bool stands;      // see tni_claims_settle
} tni_claim;

// One device's answers about a region. Single owner.
typedef struct tni_verdict_set {
    tni_alloc alloc;
    tni_device *device;
    tni_option *options;      // by place in the region's list
    uint32_t node_count;      // of the region
    tni_map inlined;          // nodes of the model that it takes through their expansion only
    tn_verdict_bound *bounds; // node: place, or TN_NONE; answers hold while sizes are inside
    uint32_t bound_count;
    tni_claim *claims;
    uint32_t *claim_places; // in the region's list
    uint32_t claim_count;
    uint32_t claim_place_count;
    uint32_t claim_place_capacity;
    uint32_t lost_claims; // of the device's, which count for nothing; the log says why
    const tni_presentation *presentation; // how this device sees the model
    bool listed;  // used where it pays, not only for what no listed device takes
    bool refused; // to compile something that it had claimed
} tni_verdict_set;

// Writes the model in the op versions that an open device knows; the model may get more forms, so
// nobody else may read it meanwhile. TN_OK · TN_ERROR_INVALID_DATA the plugin breaks the contract ·
// errors of tni_presentation_init and tni_shapes_infer · the plugin's errors. Deinit in every case.
TN_MUST_USE tn_status tni_verdicts_present(tni_model *model, tni_device *device,
                                           tni_presentation *out_presentation, tn_error *error);

// Whom to ask about what. Borrowed; the presentation must outlive the set.
typedef struct tni_query {
    tni_model *model;
    const tni_region *region;
    const tni_shape_table *shapes; // null: for whatever shapes there will be
    tni_device *device;            // open
    const tni_presentation *presentation;
    tn_precision precision;
} tni_query;

// What an open device lists. Errors as tni_verdicts_present.
TN_MUST_USE tn_status tni_device_op_list(tni_device *device, tn_op_list *out_ops, tn_error *error);

const tn_graph_node *tni_view_node(const tni_view *view, uint32_t index);
const tn_graph_record *tni_view_graph(const tni_view *view, uint32_t index);

// The nodes of a view's outermost graph, and the node of the model that one of its nodes was
// written for, by itself or with others.
tn_range tni_view_outermost(const tni_view *view);
uint32_t tni_view_written_for(const tni_model *model, const tni_view *view, uint32_t node);

// Asks a device about a region, with bodies and expansions. TN_OK · TN_ERROR_INVALID_DATA the
// plugin breaks the contract (a count above the capacity, NO without a reason) ·
// TN_ERROR_OUT_OF_MEMORY · errors of tni_view_build · the plugin's errors. Deinit in every case.
TN_MUST_USE tn_status tni_verdicts_ask(const tni_alloc *alloc, const tni_query *query,
                                       tni_verdict_set *out_set, tn_error *error);
void tni_verdicts_deinit(tni_verdict_set *set);

// Whether the device takes a node of the model through its expansion only.
bool tni_verdicts_inline(const tni_verdict_set *set, uint32_t node);
// Rules a place of the region's list out after the fact, e.g. TN_REASON_COMPILE_FAILED.
void tni_verdicts_forbid(tni_verdict_set *set, uint32_t place, tn_reason reason);

#endif // TENON_PLAN_VERDICTS_H
