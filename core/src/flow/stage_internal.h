// SPDX-License-Identifier: Apache-2.0
// Inside of stage.h: the working state of one cut, shared by stage.c (which node goes where) and
// stage_lists.c (what every stage reads, makes and releases).
#ifndef TENON_FLOW_STAGE_INTERNAL_H
#define TENON_FLOW_STAGE_INTERNAL_H

#include "flow/stage.h"

// What is known of a value while the region that reads it is being prepared.
typedef enum tni_value_state {
    TNI_OUTSIDE,         // made before: the host has it
    TNI_INSIDE,          // made in the open region: its shape will be known, its elements not
    TNI_INSIDE_FOLLOWED, // its elements too
    TNI_INSIDE_MEASURED, // not even its shape
} tni_value_state;

typedef struct tni_id_list {
    uint32_t count, capacity;
    uint32_t *ids;
} tni_id_list;

tn_status tni_id_list_push(const tni_alloc *alloc, tni_id_list *list, uint32_t id);
void tni_id_list_deinit(const tni_alloc *alloc, tni_id_list *list);

// A node of a region with its place in the graph's list.
typedef struct tni_member {
    uint32_t position;
    uint32_t node;
} tni_member;

// Arrays are by id of the model. Only nodes of the graph have entries; bodies count as part of the
// node that holds them.
typedef struct tni_stager {
    tni_alloc alloc;
    const tni_model *model;
    tni_track *track;
    uint32_t next_id;
    uint8_t *state;         // per value: tni_value_state; what other graphs make is OUTSIDE
    uint32_t *pending;      // per node: operands of this graph that are not made yet
    uint32_t *position;     // per node: in the graph's list
    uint32_t *stage_of;     // per node: index of its stage, TN_NONE before
    uint32_t *reader_begin; // per value, one more at the end: range of readers
    uint32_t *readers;      // nodes, once for each time they or their bodies read the value
    uint32_t reader_count;
    uint8_t *is_output; // per value: of the graph
    uint32_t *listed;   // per value: 1 + the stage it was last listed for
    uint32_t *followed; // per value: 1 + the stage it was last followed back in
    tni_id_list now;
    tni_id_list later;
    tni_id_list for_host;
    tni_id_list work;
} tni_stager;

// Fills everything but the track. TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED. Deinit
// in every case.
TN_MUST_USE tn_status tni_stager_init(tni_stager *stager);
void tni_stager_deinit(tni_stager *stager);

// Whether the open region makes the value.
bool tni_stager_inside(const tni_stager *stager, uint32_t value);
// Whether the graph has inputs or outputs that are no tensors of numbers.
bool tni_stager_has_containers(const tni_model *model, const tni_graph *graph);
// The region of these nodes, which are sorted; it is still open. Deinit in every case.
TN_MUST_USE tn_status tni_stager_make_region(tni_stager *stager, const tni_member *members,
                                             uint32_t count, tni_region *out_region);
// From now on what the newest stage makes is outside.
void tni_stager_close(tni_stager *stager);
// Fills the releases of every stage.
TN_MUST_USE tn_status tni_stager_find_releases(tni_stager *stager);

#endif // TENON_FLOW_STAGE_INTERNAL_H
