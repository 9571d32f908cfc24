// SPDX-License-Identifier: Apache-2.0
// One run: walk the steps in order, block only where the schedule says the host waits, hand the
// rest to the devices, and say at the end which results hold.
#include "exec/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "plan/cost.h"

#include <string.h>

#define ABORT_DRAIN_NS 1000000000ull

static void pass_order_back(tni_execution *e) {
    if (!tni_is_near_host(e->last_device)) {
        atomic_fetch_add(&e->handovers, 1);
        tni_trace_add(e->trace, TN_TRACE_HANDOVER, TN_NONE, TN_NONE, e->run, 0, 0);
    }
}

// Failures of steps that nobody waited for directly are found on their fences.
static void collect_failures(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    for (uint32_t i = 0; i < s->step_count; i++) {
        tni_step_state *state = &e->steps[i];
        if (atomic_load(&state->submitted) && !tni_device_is_inline(s->steps[i].device)) {
            uint64_t value = 0;
            tn_status status =
                s->steps[i].device->plugin->sync.fence_query(state->fence, &value, NULL);
            if (status != TN_OK) {
                atomic_store(&state->fence_failed, true);
                tni_note_failure(state, tni_device_note(s->steps[i].device, status));
            }
        }
        // Steps are in topological order, so one pass carries a failure to all descendants.
        tn_status inherited = tni_failed_dependency(e, i);
        if (inherited != TN_OK) {
            tni_note_failure(state, inherited);
        }
    }
}

static void forget_times(tni_execution *e) {
    atomic_uint_fast64_t *times[] = {&e->transfer_bytes,  &e->wait_ns,
                                     &e->transfer_ns,     &e->kernel_ns,
                                     &e->worker_wait_ns,  &e->worker_transfer_ns,
                                     &e->worker_kernel_ns};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        atomic_store(times[i], 0);
    }
    e->submit_ns = 0;
    e->dispatch_ns = 0;
}

// What the walking thread did since begin_ns besides calls that are counted on their own.
static void count_dispatch(tni_execution *e, uint64_t begin_ns) {
    uint64_t calls = tni_execution_own_ns(e);
    uint64_t walk = tni_clock_ns() - begin_ns;
    e->dispatch_ns = walk > calls ? walk - calls : 0;
}

uint64_t tni_execution_own_ns(const tni_execution *e) {
    uint64_t all =
        atomic_load(&e->transfer_ns) + atomic_load(&e->wait_ns) + atomic_load(&e->kernel_ns);
    uint64_t workers = atomic_load(&e->worker_transfer_ns) + atomic_load(&e->worker_wait_ns) +
                       atomic_load(&e->worker_kernel_ns);
    return (all > workers ? all - workers : 0) + e->submit_ns;
}

static tn_status begin_run(tni_execution *e, uint64_t deadline_ns, tn_error *error) {
    const tni_schedule *s = e->schedule;
    if (!tni_execution_drained(e)) {
        return tni_fail(error, TN_ERROR_BUSY, "run.busy",
                        "devices are still at work on a run that was given up");
    }
    tn_status status = tni_model_check_sources(s->plan->model, error);
    if (e->gave_up) {
        collect_failures(e); // what failed after nobody looked any more
        e->gave_up = false;
    }
    for (uint32_t i = 0; i < s->step_count && status == TN_OK; i++) {
        if (atomic_load(&e->steps[i].fence_failed)) {
            status = tni_execution_renew_fence(s->steps[i].device, &e->steps[i].fence, error);
            atomic_store(&e->steps[i].fence_failed, status != TN_OK);
        }
        atomic_store(&e->steps[i].status, TN_OK);
        atomic_store(&e->steps[i].submitted, false);
    }
    for (uint32_t i = 0; i < s->bridge_count && status == TN_OK; i++) {
        if (atomic_load(&e->bridges[i].fence_failed)) {
            status = tni_execution_renew_fence(s->steps[s->bridges[i].to].device,
                                               &e->bridges[i].fence, error);
            atomic_store(&e->bridges[i].fence_failed, status != TN_OK);
        }
    }
    if (status != TN_OK) {
        return status; // the run's number stays: fences of the last one were reached by it
    }
    e->run++;
    if (e->measured != NULL) {
        // No plugin may seem to have told the shapes of the run before.
        memset(e->measured, 0xff,
               (uint64_t)s->port_count * TNI_MEASURED_SLOTS * sizeof(*e->measured));
    }
    e->deadline_ns = deadline_ns == 0 ? UINT64_MAX : tni_clock_deadline(deadline_ns);
    e->last_device = NULL;
    atomic_uint *counters[] = {&e->host_waits, &e->submits, &e->transfers, &e->handovers,
                               &e->bridged};
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        atomic_store(counters[i], 0);
    }
    forget_times(e);
    return TN_OK;
}

// Whether a step has done its part of this run.
static bool is_reached(const tni_execution *e, uint32_t index) {
    const tni_device *device = e->schedule->steps[index].device;
    uint64_t value = 0;
    return atomic_load(&e->steps[index].submitted) &&
           device->plugin->sync.fence_query(e->steps[index].fence, &value, NULL) == TN_OK &&
           value >= e->run;
}

// What the run was given up before holds nothing: its outputs say so.
static void note_unreached(tni_execution *e, tn_status stop) {
    for (uint32_t i = 0; i < e->schedule->step_count; i++) {
        if (atomic_load(&e->steps[i].status) == TN_OK && !is_reached(e, i)) {
            tni_note_failure(&e->steps[i], stop);
        }
    }
}

// After a failure, steps that nothing waits for may still be at work on outputs that are good.
// Returns a stop.
static tn_status wait_for_the_rest(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    bool failed = false;
    for (uint32_t i = 0; i < s->step_count; i++) {
        failed = failed || atomic_load(&e->steps[i].status) != TN_OK;
    }
    for (uint32_t i = 0; i < s->step_count && failed; i++) {
        const tni_step_state *state = &e->steps[i];
        bool begun = atomic_load(&state->submitted) || atomic_load(&state->queued);
        tn_status status = begun && !is_reached(e, i) ? tni_execution_wait(e, i) : TN_OK;
        if (tni_is_stop(e, i, status)) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status give_up(tni_execution *e, tn_status stop, tn_error *error) {
    bool can_abort = true;
    e->gave_up = true;
    tni_execution_abandon(e);
    for (uint32_t i = 0; i < e->schedule->step_count; i++) {
        can_abort =
            can_abort && (!atomic_load(&e->steps[i].submitted) ||
                          tni_device_is(e->schedule->steps[i].device, TN_DEVICE_CAN_ABORT) ||
                          tni_device_is_inline(e->schedule->steps[i].device));
    }
    if (can_abort) {
        (void)tni_execution_drain(e, tni_clock_deadline(ABORT_DRAIN_NS));
    }
    note_unreached(e, stop);
    return tni_fail(error, stop, stop == TN_ERROR_TIMEOUT ? "run.deadline" : "run.cancelled",
                    stop == TN_ERROR_TIMEOUT ? "the deadline passed before the run was done"
                                             : "the run was cancelled");
}

tn_status tni_execution_run(tni_execution *e, uint64_t deadline_ns, tn_error *error) {
    tn_status status = begin_run(e, deadline_ns, error);
    if (status != TN_OK) {
        return status;
    }
    uint64_t begin = tni_clock_ns();
    tn_status stop = TN_OK;
    tn_error first;
    tni_error_init(&first);
    for (uint32_t i = 0; i < e->schedule->step_count && stop == TN_OK; i++) {
        stop = tni_stop_reason(e);
        if (stop == TN_OK) {
            stop = tni_start_step(e, i, first.status == TN_OK ? &first : NULL);
        }
    }
    if (stop == TN_OK) {
        stop = tni_host_waits(e, e->schedule->final_waits);
    }
    if (stop == TN_OK) {
        stop = wait_for_the_rest(e);
    }
    pass_order_back(e);
    tni_trace_add(e->trace, TN_TRACE_RUN, TN_NONE, TN_NONE, e->run, begin, 0);
    if (stop != TN_OK) {
        return give_up(e, stop, error);
    }
    // Every fence is reached; what is left are the last instructions of workers and callbacks.
    (void)tni_execution_drain(e, tni_clock_deadline(ABORT_DRAIN_NS));
    count_dispatch(e, begin);
    collect_failures(e);
    for (uint32_t i = 0; i < e->schedule->step_count; i++) {
        status = atomic_load(&e->steps[i].status);
        if (status != TN_OK) {
            if (first.status == status) {
                tni_error_copy(error, &first);
                return status;
            }
            return tni_fail(error, status, "run.step", "step %u on %s failed", i,
                            e->schedule->steps[i].device->id);
        }
    }
    return TN_OK;
}
