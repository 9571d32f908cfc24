// SPDX-License-Identifier: Apache-2.0
// One request of a model that runs in stages: the values between them, the prepared regions kept
// for shapes met before, and the walk through graphs and bodies. One thread at a time, except
// tni_flow_run_cancel.
#ifndef TENON_FLOW_RUN_H
#define TENON_FLOW_RUN_H

#include "flow/prepared.h"
#include "flow/tensor.h"

// What a run of hostile or mistaken models may take.
typedef struct tni_flow_limits {
    uint64_t memory_cap_bytes; // tensors and arenas together; 0: none
    uint64_t max_iterations;   // of all loops of one run together, and pieces of splits
} tni_flow_limits;

// A prepared region with what it was prepared for.
typedef struct tni_profile {
    tni_prepared *prepared; // null: the slot is free
    uint8_t *key;           // types and dims of the inputs, elements of those read
    uint64_t key_bytes;
    uint64_t last_use;
} tni_profile;

// Shapes met before that a region stays prepared for.
#define TNI_PROFILES_PER_STAGE 4u

// Counted over all stages of one run, as in tn_run_stats.
typedef struct tni_flow_counts {
    tni_counts planned;
    tni_counts counted;
    uint32_t submits;
    uint32_t bridged;
    uint32_t prepared;  // regions made ready during the run
    uint32_t replanned; // of them, with a plan for their very shapes
    uint64_t wait_ns;
    uint64_t transfer_ns;
    uint64_t kernel_ns;
    uint64_t prepare_ns;
    uint64_t worker_wait_ns;
    uint64_t worker_transfer_ns;
    uint64_t worker_kernel_ns;
    uint64_t submit_ns;
    uint64_t copy_ns; // between the store's tensors and regions
    uint64_t own_ns;  // of the walking thread, in calls that regions count
    uint64_t dispatch_ns;
} tni_flow_counts;

typedef struct tni_flow_run {
    tni_alloc alloc;
    tni_prepare_context context;
    tni_flow_limits limits;
    const tni_flow *flow;
    tni_store store;
    tni_item *items;            // per value of the model
    tni_item *inputs;           // per input of graph 0: the caller's
    tni_item *outputs;          // per output of graph 0: of the last run
    tni_profile *profiles;      // TNI_PROFILES_PER_STAGE a stage
    uint64_t uses;              // counts up, for profiles[].last_use
    const tni_prepared *in_use; // may not be dropped now; else null
    uint64_t iterations;        // of the run at hand
    uint64_t deadline_ns;       // of the host clock; UINT64_MAX: none
    tni_flow_counts counts;
    atomic_bool cancelled;
    tni_mutex mutex; // guards current
    bool mutex_ready;
    tni_execution *current; // running now
} tni_flow_run;

// Errors TN_ERROR_OUT_OF_MEMORY. *out_run is null on failure; free with tni_flow_run_destroy.
TN_MUST_USE tn_status tni_flow_run_create(const tni_prepare_context *context,
                                          const tni_flow_limits *limits, tni_flow_run **out_run,
                                          tn_error *error);
void tni_flow_run_destroy(tni_flow_run *run); // null is ignored

// Lets go of inputs and outputs; regions stay prepared.
void tni_flow_run_forget(tni_flow_run *run);
// Gives an input of graph 0 a zeroed tensor of this shape, or one of empty strings. TN_OK · errors
// of tni_tensor_create.
TN_MUST_USE tn_status tni_flow_run_shape(tni_flow_run *run, uint32_t input, uint32_t rank,
                                         const int64_t *dims, tn_error *error);

// Walks graph 0 from inputs to outputs. deadline_ns: from now; 0: none. TN_OK · TN_ERROR_CANCELLED
// · TN_ERROR_TIMEOUT · TN_ERROR_LIMIT_EXCEEDED iterations or memory · TN_ERROR_INVALID_DATA what
// the model does with its values is not allowed · errors of preparing and running regions. After
// an error there are no outputs.
TN_MUST_USE tn_status tni_flow_run_go(tni_flow_run *run, uint64_t deadline_ns, tn_error *error);

// Asks the run at hand to end early. Any thread.
void tni_flow_run_cancel(tni_flow_run *run);

// Inside, for the ops the host carries out (control.c, sequence.c):

// Whether the run has to end now: TN_OK · TN_ERROR_CANCELLED · TN_ERROR_TIMEOUT.
TN_MUST_USE tn_status tni_flow_check(tni_flow_run *run, tn_error *error);
// Walks a graph whose inputs are set.
TN_MUST_USE tn_status tni_flow_walk(tni_flow_run *run, uint32_t graph, tn_error *error);
// A new reference to what a value is now; constants are read. TN_ERROR_INVALID_DATA nothing is
// there. The item is empty on failure.
TN_MUST_USE tn_status tni_flow_take(tni_flow_run *run, uint32_t value, tni_item *out_item,
                                    tn_error *error);
// Sets a value; the reference is taken over. TN_NONE drops it.
void tni_flow_set(tni_flow_run *run, uint32_t value, tni_item item);
// Lets go of everything that a body was given and has made.
void tni_flow_clear_body(tni_flow_run *run, uint32_t graph);
// Runs a region for what its inputs are now (region.c).
TN_MUST_USE tn_status tni_flow_run_region(tni_flow_run *run, const tni_stage *stage,
                                          tn_error *error);
// Drops the prepared region used longest ago, but for the one in use; user_data is the run. Whether
// there was one (region_run.c).
bool tni_flow_drop_oldest(void *user_data);
// Carries out a node of the host's (host_ops.c).
TN_MUST_USE tn_status tni_flow_run_node(tni_flow_run *run, uint32_t node, tn_error *error);

#endif // TENON_FLOW_RUN_H
