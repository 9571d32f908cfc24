// SPDX-License-Identifier: Apache-2.0
// One prepared execution: arenas, contexts, fences and bindings made once (prepare.c), walked at
// every run (run.c), and given back once no device can touch them (drain.c).
#ifndef TENON_EXEC_REQUEST_H
#define TENON_EXEC_REQUEST_H

#include "exec/schedule.h"
#include "exec/trace.h"

#include "tenon/request.h"

#include <stdatomic.h>

struct tni_execution;

// What a plugin fills in for a port whose shape only the run tells: the rank, then the sizes.
#define TNI_MEASURED_SLOTS (TN_MAX_RANK + 1u)

// What belongs to one step at run time.
typedef struct tni_step_state {
    struct tni_execution *execution;
    uint32_t step;
    tn_context *context;   // ISLAND
    tn_fence *fence;       // reaches the run's number when the step has finished
    tn_binding *bindings;  // ISLAND: of tni_execution.bindings
    tn_fence_point *waits; // of tni_execution.points: device waits, then bridges
    uint32_t wait_count;
    tni_job job;              // for devices with a worker
    _Atomic tn_status status; // of the current run: TN_OK, or what it failed with
    atomic_bool fence_failed; // the fence must be made anew before the next run
    atomic_bool submitted;
    atomic_bool queued; // posted to a worker and not yet taken care of
} tni_step_state;

typedef struct tni_bridge_state {
    struct tni_execution *execution;
    uint32_t bridge;
    tn_fence *fence; // on the waiting device
    uint64_t run;    // value to raise it to
    atomic_bool fence_failed;
} tni_bridge_state;

// Memory that a device sees: its own arena, or its import of the host's.
typedef struct tni_mount {
    tni_device *device;
    uint32_t space;
    tn_memory *memory;
} tni_mount;

// Everything that a device may still touch after a run was given up; outlives its request until
// drained.
typedef struct tni_execution {
    tni_alloc alloc;
    tni_trace *trace;
    tni_schedule *schedule;
    uint8_t *host_arena;
    uint64_t host_arena_bytes;
    uint32_t mount_count, mount_capacity;
    tni_mount *mounts;
    tni_step_state *steps;     // step_count of them
    tni_bridge_state *bridges; // bridge_count of them
    tn_binding *bindings;      // port_count of them
    tn_fence_point *points;
    uint32_t point_count;
    int64_t *binding_dims; // port_count * TN_MAX_RANK
    int64_t *measured;     // port_count * TNI_MEASURED_SLOTS when the schedule measures, else null
    bool sensitive;
    uint64_t run; // number of the current or last run
    atomic_uint pending_bridges;
    atomic_bool cancelled;
    uint64_t deadline_ns;          // of the host clock; UINT64_MAX: none
    bool gave_up;                  // the last run ended early: fences may have failed since
    const tni_device *last_device; // whose turn it is; null: the host's
    // Counted at the calls.
    atomic_uint host_waits;
    atomic_uint submits;
    atomic_uint transfers;
    atomic_uint handovers;
    atomic_uint bridged;
    atomic_uint_fast64_t transfer_bytes;
    atomic_uint_fast64_t wait_ns;
    atomic_uint_fast64_t transfer_ns;
    atomic_uint_fast64_t kernel_ns;
    // Of these three, what was spent on threads of devices.
    atomic_uint_fast64_t worker_wait_ns;
    atomic_uint_fast64_t worker_transfer_ns;
    atomic_uint_fast64_t worker_kernel_ns;
    uint64_t submit_ns;   // the walking thread's alone, as is the next
    uint64_t dispatch_ns; // of the walk, what is none of the above
    // Called last by tni_execution_destroy: lets go of what the schedule points into. May be null.
    void (*release)(void *user_data);
    void *release_user_data;
    struct tni_execution *next; // in a list of undrained ones
} tni_execution;

// Makes everything a run needs. schedule is taken over on success. TN_OK · TN_ERROR_OUT_OF_MEMORY ·
// the plugins' errors. *out_execution is null on failure.
TN_MUST_USE tn_status tni_execution_create(const tni_alloc *alloc, tni_trace *trace,
                                           tni_schedule *schedule, const tn_symbol_value *symbols,
                                           uint32_t symbol_count, bool sensitive,
                                           tni_execution **out_execution, tn_error *error);

// Frees it; must be drained. Null is ignored.
void tni_execution_destroy(tni_execution *execution);

// Runs once on the calling thread. Returns when the outputs are there, or early after cancel or the
// deadline. TN_OK · TN_ERROR_CANCELLED · TN_ERROR_TIMEOUT · TN_ERROR_BUSY an earlier run is not
// drained · what a step failed with.
TN_MUST_USE tn_status tni_execution_run(tni_execution *execution, uint64_t deadline_ns,
                                        tn_error *error);

// Of the last run, what the thread that walked spent in calls: copies, waits, programs, submits.
uint64_t tni_execution_own_ns(const tni_execution *execution);

// Whether no device or worker can touch it any more. Any thread.
bool tni_execution_drained(tni_execution *execution);
// Waits for that, at most until deadline_ns of the host clock. Returns whether it is.
bool tni_execution_drain(tni_execution *execution, uint64_t deadline_ns);
// Asks every step in flight to end early, without waiting (drain.c).
void tni_execution_abandon(tni_execution *execution);

// The status of one graph output after a run: TN_OK when nothing it depends on failed.
tn_status tni_execution_output_status(tni_execution *execution, uint32_t output);

// The shape that the last run gave an output which only the run could tell (places[].measured);
// *out_dims points into the execution. TN_OK · TN_ERROR_INVALID_DATA the plugin told none, or one
// that does not fit what it promised.
TN_MUST_USE tn_status tni_execution_measured(const tni_execution *execution, uint32_t output,
                                             uint32_t *out_rank, const int64_t **out_dims,
                                             tn_error *error);

// The memory of a place in the host's space; null when nothing there has any bytes.
static inline void *tni_execution_host(const tni_execution *execution, uint32_t place) {
    return execution->host_arena == NULL
               ? NULL
               : execution->host_arena + execution->schedule->places[place].offset_bytes;
}

// Makes the fence of a step or bridge anew after it failed (prepare.c). TN_OK · the plugin's
// errors, and then the old one is kept.
TN_MUST_USE tn_status tni_execution_renew_fence(tni_device *device, tn_fence **inout_fence,
                                                tn_error *error);

// Waits on a step's fence from a host thread, in slices so that cancel and the deadline are seen.
// TN_OK · TN_ERROR_TIMEOUT · TN_ERROR_CANCELLED · what the step failed with (also noted in its
// state).
tn_status tni_execution_wait(tni_execution *execution, uint32_t step);

#endif // TENON_EXEC_REQUEST_H
