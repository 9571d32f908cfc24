// SPDX-License-Identifier: Apache-2.0
// What is behind the handles of the embedding API. Handles are reference counted: a model holds its
// host, a compiled model its model, a request its compiled model.
#ifndef TENON_API_OBJECTS_H
#define TENON_API_OBJECTS_H

#include "api/island_report.h"
#include "base/machine.h"
#include "exec/request.h"
#include "flow/prepared.h"
#include "loader/loader.h"
#include "plan/cost_file.h"
#include "plan/plan_store.h"

#include "tenon/tenon.h"

#include <stdatomic.h>

// What became of the calibration file.
typedef struct tni_calibration {
    tni_cost_table table;
    tni_cost_file file;
    tn_error error;
    char path[PATH_MAX]; // "" when turned off
    char machine[TNI_MACHINE_NAME_BYTES];
} tni_calibration;

struct tn_host {
    atomic_uint references;
    tn_allocator allocator; // the embedder's, when given
    const tni_alloc *own;   // else
    tni_alloc alloc;        // counts, then passes on
    atomic_uint_fast64_t live_bytes;
    atomic_uint_fast64_t peak_bytes;
    atomic_uint_fast64_t allocation_count;
    tn_log_fn log_fn;
    void *log_user_data;
    tni_log log;
    tni_pool *pool;
    tni_weights weights;
    bool weights_ready;
    tni_loader loader;
    bool loader_ready;
    tni_device **devices; // of all plugins, by host index
    uint32_t device_count;
    tni_calibration calibration;
    tni_plan_store plans;
    tni_trace trace;
    tni_mutex mutex; // guards the rest
    bool mutex_ready;
    bool shut_down;
    uint32_t compiled_count;
    tni_execution *undrained; // runs given up that a device may still be at
};

struct tn_model {
    atomic_uint references;
    tn_host *host;
    tni_model *model;
    tn_model_summary summary;
    char producer[128];
    char graph_name[128];
    tni_alloc alloc; // of the graph and its constants; wipes where the model is sensitive
    bool sensitive;
};

struct tn_compiled {
    atomic_uint references;
    tn_model *model;
    tni_model *fork; // of the model: what is planned
    tni_flow *flow;
    tni_report report;
    tni_cost_table costs; // the host's with other links; empty: the host's as they are
    uint64_t memory_cap_bytes;
    uint64_t max_iterations;
    uint64_t compile_ns;
    bool plan_only;     // has no programs
    bool counted;       // as a compiled model of the host
    bool weights_added; // the model's constants are visible to plugins
    bool fork_added;    // and those that the fork has beyond them
};

// Keeps a compiled model while something is prepared from it, and takes executions to its host.
tni_keeper tni_compiled_keeper(tn_compiled *compiled);

// The embedder's struct has a header we know and room for it.
static inline bool tni_struct_ok(const void *given, uint32_t type, uint32_t min_bytes) {
    const tn_struct_header *header = given;
    return given != NULL && header->struct_type == type && header->struct_size >= min_bytes;
}

// Copies an out-struct as far as the caller's size reaches, keeping the caller's header.
void tni_struct_out(void *destination, const void *source, uint32_t source_bytes);

// A text of a model, whose texts end with a NUL that their length does not count.
static inline const char *tni_text_or_empty(tn_string text) {
    return text.data == NULL ? "" : text.data;
}

// The node of the fork that stands for node `position` of the model: itself, or where its expansion
// took its place, the one that makes its first output, or the one that stands for a call around it.
uint32_t tni_standing_for(const tn_compiled *compiled, uint32_t position);

// Reads the host's calibration file, if it wants one; a bad one is a warning in the log.
void tni_host_read_calibration(tn_host *host, const tn_host_config *config);

// Drops a reference without waiting for runs that were given up.
void tni_host_drop(tn_host *host);

// Frees executions that no device can touch any more; waits for the rest until deadline_ns. Returns
// whether none is left. Any thread.
bool tni_host_reap(tn_host *host, uint64_t deadline_ns);
// Frees it now or, when a device may still touch it, later.
void tni_host_retire(tn_host *host, tni_execution *execution);

#endif // TENON_API_OBJECTS_H
