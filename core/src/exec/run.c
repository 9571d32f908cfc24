// SPDX-License-Identifier: Apache-2.0
// One run: walk the steps in order, block only where the schedule says the host waits, hand the
// rest to the devices, and say at the end which results hold.
#include "exec/request.h"

#include "base/clock.h"
#include "base/error.h"
#include "plan/cost.h"

#include <string.h>

// How long a wait goes without looking at cancel and the deadline.
#define WAIT_SLICE_NS 5000000ull
#define ABORT_DRAIN_NS 1000000000ull

static bool has_worker(const tni_device *device) {
    return device->worker != NULL;
}

static tn_status stop_reason(const tni_execution *e) {
    if (atomic_load(&e->cancelled)) {
        return TN_ERROR_CANCELLED;
    }
    return e->deadline_ns != UINT64_MAX && tni_clock_ns() >= e->deadline_ns ? TN_ERROR_TIMEOUT
                                                                            : TN_OK;
}

// The first failure of a step wins.
static void note_failure(tni_step_state *state, tn_status status) {
    tn_status none = TN_OK;
    atomic_compare_exchange_strong(&state->status, &none, status);
}

static tn_status wait_slices(tni_execution *e, uint32_t step) {
    const tni_device *device = e->schedule->steps[step].device;
    const tn_sync_interface *sync = &device->plugin->sync;
    for (;;) {
        tn_status stop = stop_reason(e);
        if (stop != TN_OK) {
            return stop;
        }
        uint64_t slice = WAIT_SLICE_NS;
        if (e->deadline_ns != UINT64_MAX) {
            uint64_t now = tni_clock_ns();
            uint64_t left = e->deadline_ns > now ? e->deadline_ns - now : 0;
            slice = left < slice ? left : slice;
        }
        tn_status status = sync->fence_wait(e->steps[step].fence, e->run, slice, NULL);
        if (status == TN_ERROR_TIMEOUT) {
            // Not reached yet, unless that is what the fence failed with.
            uint64_t value = 0;
            status = sync->fence_query(e->steps[step].fence, &value, NULL);
            if (status == TN_OK && value < e->run) {
                continue;
            }
        }
        if (status != TN_OK) {
            atomic_store(&e->steps[step].fence_failed, true);
            note_failure(&e->steps[step], status);
        }
        return status;
    }
}

tn_status tni_execution_wait(tni_execution *e, uint32_t step) {
    tn_status known = atomic_load(&e->steps[step].status);
    if (known != TN_OK) {
        return known;
    }
    uint64_t begin = tni_clock_ns();
    atomic_fetch_add(&e->host_waits, 1);
    tn_status status = wait_slices(e, step);
    atomic_fetch_add(&e->wait_ns, tni_clock_ns() - begin);
    tni_trace_add(e->trace, TN_TRACE_WAIT, e->schedule->steps[step].device->host_index, step,
                  e->run, begin, 0);
    return status;
}

// A stop is the run's business, not a failure of the step that was waited for.
static bool is_stop(const tni_execution *e, uint32_t step, tn_status status) {
    return status != TN_OK && atomic_load(&e->steps[step].status) == TN_OK;
}

static void bridge_reached(void *user_data, tn_status status) {
    tni_bridge_state *state = user_data;
    tni_execution *e = state->execution;
    const tni_schedule *s = e->schedule;
    const tni_device *to = s->steps[s->bridges[state->bridge].to].device;
    const tn_sync_interface *sync = &to->plugin->sync;
    tni_trace_add(e->trace, TN_TRACE_BRIDGE, to->host_index, state->bridge, state->run, 0, 0);
    if (status == TN_OK) {
        status = sync->fence_signal(state->fence, state->run, NULL);
    }
    if (status != TN_OK) {
        // Releases the waiting work; that its result is worthless follows from the step that
        // failed.
        atomic_store(&state->fence_failed, true);
        status = sync->fence_fail(state->fence, status, NULL);
    }
    atomic_fetch_sub(&e->pending_bridges, 1); // the last touch: e may be freed from now on
}

static tn_status raise_bridges(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_schedule *s = e->schedule;
    tn_range bridges = s->steps[index].bridges;
    for (uint32_t i = bridges.begin; i < bridges.begin + bridges.count; i++) {
        uint32_t from = s->bridges[i].from;
        const tn_sync_interface *sync = &s->steps[from].device->plugin->sync;
        e->bridges[i].run = e->run;
        atomic_fetch_add(&e->pending_bridges, 1);
        tn_status status = sync->fence_on_reach(e->steps[from].fence, e->run, bridge_reached,
                                                &e->bridges[i], error);
        if (status != TN_OK) {
            atomic_fetch_sub(&e->pending_bridges, 1);
            return status;
        }
        atomic_fetch_add(&e->bridged, 1);
    }
    return TN_OK;
}

static void fill_waits(tni_execution *e, uint32_t index) {
    const tni_schedule *s = e->schedule;
    const tni_step *step = &s->steps[index];
    tn_fence_point *point = e->steps[index].waits;
    for (uint32_t i = 0; i < step->device_waits.count; i++) {
        uint32_t from = s->links[step->device_waits.begin + i];
        *point++ = (tn_fence_point){e->steps[from].fence, e->run};
    }
    for (uint32_t i = 0; i < step->bridges.count; i++) {
        *point++ = (tn_fence_point){e->bridges[step->bridges.begin + i].fence, e->run};
    }
}

static tn_copy_end copy_end(const tni_execution *e, const tni_device *device, uint32_t place) {
    const tni_place *p = &e->schedule->places[place];
    if (p->space == 0) {
        return (tn_copy_end){.pointer = tni_execution_host(e, place)};
    }
    for (uint32_t i = 0; i < e->mount_count; i++) {
        if (e->mounts[i].device == device && e->mounts[i].space == p->space) {
            return (tn_copy_end){.memory = e->mounts[i].memory, .offset_bytes = p->offset_bytes};
        }
    }
    return (tn_copy_end){0};
}

static tn_status call_copy(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tn_fence_point signal = {e->steps[index].fence, e->run};
    tn_copy_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_COPY_INFO,
        .source = copy_end(e, step->device, step->from),
        .destination = copy_end(e, step->device, step->to),
        .size_bytes = tni_copy_bytes(e->schedule, step),
        .waits = e->steps[index].waits,
        .wait_count = e->steps[index].wait_count,
        .signals = &signal,
        .signal_count = 1,
        .correlation_id = e->run,
    };
    uint64_t begin = tni_clock_ns();
    // Counted before the call: on a worker, whoever waits for the fence may read the counts first.
    atomic_fetch_add(&e->transfers, 1);
    atomic_fetch_add(&e->transfer_bytes, info.size_bytes);
    tn_status status = step->device->plugin->memory.copy(step->device->handle, &info, error);
    if (status != TN_OK) {
        atomic_fetch_sub(&e->transfers, 1);
        atomic_fetch_sub(&e->transfer_bytes, info.size_bytes);
    }
    atomic_fetch_add(&e->transfer_ns, tni_clock_ns() - begin);
    tni_trace_add(e->trace, TN_TRACE_TRANSFER, step->device->host_index,
                  e->schedule->places[step->to].value, e->run, begin, info.size_bytes);
    return status;
}

static tn_status call_submit(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tni_step_state *state = &e->steps[index];
    tn_fence_point signal = {state->fence, e->run};
    tn_submit_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_SUBMIT_INFO,
        .bindings = state->bindings,
        .binding_count = step->port_count,
        .binding_stride_bytes = sizeof(tn_binding),
        .waits = state->waits,
        .wait_count = state->wait_count,
        .signals = &signal,
        .signal_count = 1,
        .deadline_ns = e->deadline_ns == UINT64_MAX ? 0 : e->deadline_ns,
        .correlation_id = e->run,
    };
    uint64_t begin = tni_clock_ns();
    atomic_fetch_add(&e->submits, 1);
    tn_status status = step->device->plugin->exec.submit(state->context, &info, error);
    if (status != TN_OK) {
        atomic_fetch_sub(&e->submits, 1);
    }
    if (tni_device_is(step->device, TN_DEVICE_SYNCHRONOUS)) {
        atomic_fetch_add(&e->kernel_ns, tni_clock_ns() - begin);
    }
    tni_trace_add(e->trace, TN_TRACE_SUBMIT, step->device->host_index, step->island, e->run, begin,
                  0);
    return status;
}

// Hands one step to its device. After a failure its fence is not going to be reached.
static tn_status call_step(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tni_step_state *state = &e->steps[index];
    tn_status status = raise_bridges(e, index, error);
    if (status == TN_OK) {
        fill_waits(e, index);
        // Before the call: the fence may be reached before it returns.
        atomic_store(&state->submitted, true);
        status =
            step->kind == TNI_STEP_COPY ? call_copy(e, index, error) : call_submit(e, index, error);
    }
    if (status != TN_OK) {
        atomic_store(&state->submitted, false);
        note_failure(state, tni_device_note(e->schedule->steps[index].device, status));
        return status;
    }
    if (!tni_device_is_inline(step->device)) {
        return TN_OK;
    }
    uint64_t value = 0;
    status = step->device->plugin->sync.fence_query(state->fence, &value, error);
    if (status == TN_OK && value < e->run) {
        status =
            tni_fail(error, TN_ERROR_INTERNAL, "run.not-signalled",
                     "%s: a synchronous submit returned before it signalled", step->device->id);
    }
    if (status != TN_OK) {
        atomic_store(&state->fence_failed, true);
        note_failure(state, status);
    }
    return status;
}

// What an earlier step that this one needs has failed with, as far as is known.
static tn_status failed_dependency(const tni_execution *e, uint32_t index) {
    const tni_schedule *s = e->schedule;
    tn_range dependencies = s->steps[index].dependencies;
    for (uint32_t i = 0; i < dependencies.count; i++) {
        tn_status status = atomic_load(&e->steps[s->links[dependencies.begin + i]].status);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Blocks where the schedule says so. Returns a stop; failures are noted in the steps.
static tn_status do_host_waits(tni_execution *e, tn_range waits) {
    for (uint32_t i = 0; i < waits.count; i++) {
        uint32_t step = e->schedule->links[waits.begin + i];
        tn_status status = tni_execution_wait(e, step);
        if (is_stop(e, step, status)) {
            return status;
        }
    }
    return TN_OK;
}

// The part of a step that belongs to a device which works on a thread of the host's.
static void run_job(void *user_data) {
    tni_step_state *state = user_data;
    tni_execution *e = state->execution;
    const tni_step *step = &e->schedule->steps[state->step];
    tn_status status = do_host_waits(e, step->host_waits);
    if (status == TN_OK) {
        status = failed_dependency(e, state->step);
    }
    if (status == TN_OK) {
        status = call_step(e, state->step, NULL);
    }
    if (status != TN_OK) {
        // Whoever waits for this step must not wait for ever.
        note_failure(state, status);
        atomic_store(&state->fence_failed, true);
        status = step->device->plugin->sync.fence_fail(state->fence, status, NULL);
    }
    atomic_store(&state->queued, false); // the last touch
}

static void pass_order(tni_execution *e, const tni_step *step) {
    bool start_near = e->last_device == NULL && tni_is_near_host(step->device);
    if (step->kind != TNI_STEP_ISLAND || step->device == e->last_device) {
        return;
    }
    if (!start_near) {
        atomic_fetch_add(&e->handovers, 1);
        tni_trace_add(e->trace, TN_TRACE_HANDOVER, step->device->host_index, step->island, e->run,
                      0, 0);
    }
    e->last_device = step->device;
}

static void pass_order_back(tni_execution *e) {
    if (!tni_is_near_host(e->last_device)) {
        atomic_fetch_add(&e->handovers, 1);
        tni_trace_add(e->trace, TN_TRACE_HANDOVER, TN_NONE, TN_NONE, e->run, 0, 0);
    }
}

// Starts one step; returns only a stop, failures are noted.
static tn_status start_step(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tni_step_state *state = &e->steps[index];
    pass_order(e, step);
    if (has_worker(step->device)) {
        state->job = (tni_job){.run = run_job, .user_data = state};
        atomic_store(&state->queued, true);
        tni_worker_post(step->device->worker, &state->job);
        return TN_OK;
    }
    tn_status stop = do_host_waits(e, step->host_waits);
    if (stop != TN_OK) {
        return stop;
    }
    tn_status failed = failed_dependency(e, index);
    if (failed != TN_OK) {
        note_failure(state, failed);
        return TN_OK;
    }
    (void)call_step(e, index, error);
    return TN_OK;
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
                note_failure(state, tni_device_note(s->steps[i].device, status));
            }
        }
        // Steps are in topological order, so one pass carries a failure to all descendants.
        tn_status inherited = failed_dependency(e, i);
        if (inherited != TN_OK) {
            note_failure(state, inherited);
        }
    }
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
    atomic_store(&e->transfer_bytes, 0);
    atomic_store(&e->wait_ns, 0);
    atomic_store(&e->transfer_ns, 0);
    atomic_store(&e->kernel_ns, 0);
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
            note_failure(&e->steps[i], stop);
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
        if (is_stop(e, i, status)) {
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
        stop = stop_reason(e);
        if (stop == TN_OK) {
            stop = start_step(e, i, first.status == TN_OK ? &first : NULL);
        }
    }
    if (stop == TN_OK) {
        stop = do_host_waits(e, e->schedule->final_waits);
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
