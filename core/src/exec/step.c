// SPDX-License-Identifier: Apache-2.0
// One step: wait for what it needs where the host must, pass fences on where it need not, and hand
// it to its device, on this thread or on the device's.
#include "exec/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "plan/cost.h"

// How long a wait goes without looking at cancel and the deadline.
#define WAIT_SLICE_NS 5000000ull

static bool has_worker(const tni_device *device) {
    return device->worker != NULL;
}

tn_status tni_stop_reason(const tni_execution *e) {
    if (atomic_load(&e->cancelled)) {
        return TN_ERROR_CANCELLED;
    }
    return e->deadline_ns != UINT64_MAX && tni_clock_ns() >= e->deadline_ns ? TN_ERROR_TIMEOUT
                                                                            : TN_OK;
}

void tni_note_failure(tni_step_state *state, tn_status status) {
    tn_status none = TN_OK;
    atomic_compare_exchange_strong(&state->status, &none, status);
}

static tn_status wait_slices(tni_execution *e, uint32_t step) {
    const tni_device *device = e->schedule->steps[step].device;
    const tn_sync_interface *sync = &device->plugin->sync;
    for (;;) {
        tn_status stop = tni_stop_reason(e);
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
            tni_note_failure(&e->steps[step], status);
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

bool tni_is_stop(const tni_execution *e, uint32_t step, tn_status status) {
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
    uint64_t spent = tni_clock_ns() - begin;
    atomic_fetch_add(&e->transfer_ns, spent);
    if (has_worker(step->device)) {
        atomic_fetch_add(&e->worker_transfer_ns, spent);
    }
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
    uint64_t spent = tni_clock_ns() - begin;
    if (tni_device_is(step->device, TN_DEVICE_SYNCHRONOUS)) {
        atomic_fetch_add(&e->kernel_ns, spent);
        if (has_worker(step->device)) {
            atomic_fetch_add(&e->worker_kernel_ns, spent);
        }
    } else if (!has_worker(step->device)) {
        e->submit_ns += spent;
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
        tni_note_failure(state, tni_device_note(e->schedule->steps[index].device, status));
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
        tni_note_failure(state, status);
    }
    return status;
}

tn_status tni_failed_dependency(const tni_execution *e, uint32_t index) {
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

tn_status tni_host_waits(tni_execution *e, tn_range waits) {
    for (uint32_t i = 0; i < waits.count; i++) {
        uint32_t step = e->schedule->links[waits.begin + i];
        tn_status status = tni_execution_wait(e, step);
        if (tni_is_stop(e, step, status)) {
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
    uint64_t begin = step->host_waits.count > 0 ? tni_clock_ns() : 0;
    tn_status status = tni_host_waits(e, step->host_waits);
    if (step->host_waits.count > 0) {
        atomic_fetch_add(&e->worker_wait_ns, tni_clock_ns() - begin);
    }
    if (status == TN_OK) {
        status = tni_failed_dependency(e, state->step);
    }
    if (status == TN_OK) {
        status = call_step(e, state->step, NULL);
    }
    if (status != TN_OK) {
        // Whoever waits for this step must not wait for ever.
        tni_note_failure(state, status);
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

tn_status tni_start_step(tni_execution *e, uint32_t index, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tni_step_state *state = &e->steps[index];
    pass_order(e, step);
    if (has_worker(step->device)) {
        state->job = (tni_job){.run = run_job, .user_data = state};
        atomic_store(&state->queued, true);
        tni_worker_post(step->device->worker, &state->job);
        return TN_OK;
    }
    tn_status stop = tni_host_waits(e, step->host_waits);
    if (stop != TN_OK) {
        return stop;
    }
    tn_status failed = tni_failed_dependency(e, index);
    if (failed != TN_OK) {
        tni_note_failure(state, failed);
        return TN_OK;
    }
    (void)call_step(e, index, error);
    return TN_OK;
}
