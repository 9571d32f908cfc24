// SPDX-License-Identifier: Apache-2.0
// A compiled island: a copy of its view, which is relocatable, plus where each value lives. Kernels
// read attributes from the copy, so there is no second form of the graph that could disagree.
#ifndef TENON_REFERENCE_PROGRAM_H
#define TENON_REFERENCE_PROGRAM_H

#include "ops.h"

#include <pthread.h>

// Start of every intermediate in the workspace.
#define REF_WORKSPACE_ALIGNMENT 64

// Where a value of graph 0 lives while the program runs.
typedef uint32_t ref_home;
#define REF_HOME_NOWHERE 0u
#define REF_HOME_PORT 1u      // index: port
#define REF_HOME_CONSTANT 2u  // index: constant
#define REF_HOME_WORKSPACE 3u // placed by tni_ref_plan

typedef struct ref_place {
    ref_home home;
    uint32_t index;
    uint32_t first_node;     // that writes it; workspace values only
    uint32_t last_node;      // that reads it
    uint32_t data_dependent; // 1: its actual shape is known only after the run
} ref_place;

typedef struct ref_program {
    tn_helper_host host;
    tn_graph_view *view; // own copy
    uint64_t view_bytes;
    const ref_op **ops;    // per node of graph 0
    ref_place *places;     // per value
    ref_tensor *constants; // per constant; data is mapped or, where owned says so, read
    uint8_t *owned;        // per constant
    uint64_t owned_bytes;
    pthread_mutex_t
        weights_mutex; // guards what follows, and the data of owned constants until read
    uint32_t weights_mutex_ready;
    uint32_t deferred; // 1: owned constants are still to be read
    uint32_t input_count;
    uint32_t output_count;
    uint32_t workspace_count;  // 0 or 1
    uint32_t *appends_to;      // per output: the input it may grow in place, or TN_NONE (state.h)
    uint32_t operand_capacity; // most inputs, and most outputs, of one node
} ref_program;

// Functions of the adapter's table (tenon/helper/sync_adapter.h).
tn_status tni_ref_compile(const tn_helper_host *host, uint32_t device_index,
                          const tn_compile_info *info, void **out_program, tn_error *error);
void tni_ref_program_destroy(void *program);
void tni_ref_program_info(void *program, tn_program_info *out_info);
tn_status tni_ref_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                        uint32_t port_capacity, uint32_t *out_port_count, tn_error *error);
tn_status tni_ref_context_create(void *program, void **out_context, tn_error *error);
tn_status tni_ref_prepare(void *context, const tn_prepare_info *info, tn_error *error);
tn_status tni_ref_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                      tn_error *error);
tn_status tni_ref_cancel(void *context, tn_error *error);
void tni_ref_context_destroy(void *context);

// Describes a constant; its data is mapped, read, or left for tni_ref_weights_read (weights.c).
// TN_ERROR_IO the host could not give it · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_UNSUPPORTED too large.
tn_status tni_ref_constant_open(ref_program *program, uint32_t index, tn_error *error);
// Reads what was left, once for all contexts. Any thread. Errors as above.
tn_status tni_ref_weights_read(ref_program *program, tn_error *error);

// Fills tensors, one per value of the view, with the types and the actual sizes of all values that
// have a home; data-dependent ones get the largest sizes they can have. TN_ERROR_INVALID_ARGUMENT a
// symbol is missing or out of its range · TN_ERROR_UNSUPPORTED a tensor's size overflows.
tn_status tni_ref_resolve(const ref_program *program, const tn_symbol_value *symbols,
                          uint64_t symbol_count, ref_tensor *tensors, tn_error *error);

// Places the workspace values: offsets, one per value, where the scratch memory that nodes share
// begins, and the bytes of the whole workspace.
// Values whose lifetimes overlap do not share bytes. Deterministic.
// TN_ERROR_UNSUPPORTED the sum overflows, or a node needs too much scratch memory.
tn_status tni_ref_plan(const ref_program *program, ref_tensor *tensors, int64_t *offsets,
                       int64_t *out_scratch, int64_t *out_bytes, tn_error *error);

#endif // TENON_REFERENCE_PROGRAM_H
