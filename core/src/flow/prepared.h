// SPDX-License-Identifier: Apache-2.0
// One region made ready for one set of shapes: the table of shapes, a plan of its own where the
// model's symbols cannot express them, and the execution that runs it again and again.
#ifndef TENON_FLOW_PREPARED_H
#define TENON_FLOW_PREPARED_H

#include "exec/request.h"
#include "exec/state.h"
#include "flow/flow.h"

// Who keeps what executions point into, and takes those that a device may still be at.
typedef struct tni_keeper {
    void (*hold)(void *user_data);                             // one more needs the flow
    void (*let_go)(void *user_data);                           // one less
    void (*retire)(void *user_data, tni_execution *execution); // now or later destroyed
    void *user_data;
} tni_keeper;

// What all regions of one request have in common.
typedef struct tni_prepare_context {
    tni_alloc alloc;
    const tni_flow *flow;
    tni_trace *trace;
    uint64_t memory_cap_bytes; // of one region's arenas; 0: none
    bool sensitive;
    tni_state_set *states; // may be null
    tni_keeper keeper;
} tni_prepare_context;

// Single owner.
typedef struct tni_prepared {
    tni_alloc alloc;
    tni_keeper keeper;
    tni_shape_table *table;
    tni_plan *plan; // its own; null: the flow's
    tni_execution *execution;
    tni_state_set *states; // when they are kept in place; else null
    uint64_t arena_bytes;  // of all spaces
} tni_prepared;

// Makes a region ready for the shapes in table, which is taken over on success. plan is the flow's,
// or null. States that the plugins can keep in place are; where one cannot, none is. TN_OK · errors
// of tni_flow_plan_for, tni_schedule_create, tni_memory_plan and tni_execution_create.
// *out_prepared is null on failure.
TN_MUST_USE tn_status tni_prepared_create(const tni_prepare_context *context,
                                          const tni_region *region, const tni_plan *plan,
                                          tni_shape_table *table, tni_prepared **out_prepared,
                                          tn_error *error);
// Ends what still runs and frees everything once no device can touch it. Null is ignored.
void tni_prepared_drop(tni_prepared *prepared);

#endif // TENON_FLOW_PREPARED_H
