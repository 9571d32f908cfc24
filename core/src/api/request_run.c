// SPDX-License-Identifier: Apache-2.0
// tenon/request.h: running now or in the background, cancelling, and the counts of a run.
#include "api/request_object.h"

#include "base/clock.h"
#include "base/error.h"

// Forgets a cancel that came when nothing ran.
static void allow(tn_request *request) {
    if (request->prepared != NULL) {
        atomic_store(&request->prepared->execution->cancelled, false);
    } else {
        atomic_store(&request->stages->cancelled, false);
    }
}

static tn_status go(tn_request *request, uint64_t deadline_ns, tn_error *error) {
    uint64_t begin = tni_clock_ns();
    tn_status status = tni_request_states_bring(request, error);
    request->state_ns = request->states != NULL ? tni_clock_ns() - begin : 0;
    if (status == TN_OK) {
        status = request->prepared != NULL
                     ? tni_execution_run(request->prepared->execution, deadline_ns, error)
                     : tni_flow_run_go(request->stages, deadline_ns, error);
    }
    uint64_t ran = tni_clock_ns();
    if (status == TN_OK) {
        status = tni_request_states_commit(request, error);
    }
    request->run_ns = tni_clock_ns() - begin;
    request->state_ns += request->states != NULL ? begin + request->run_ns - ran : 0;
    request->last = status;
    return status;
}

// Before anything writes to inputs that a device may still be reading.
static tn_status check_drained(const tn_request *request, tn_error *error) {
    if (request->prepared != NULL && !tni_execution_drained(request->prepared->execution)) {
        return tni_fail(error, TN_ERROR_BUSY, "run.busy",
                        "devices are still at work on a run that was given up");
    }
    return TN_OK;
}

tn_status tn_request_run(tn_request *request, uint64_t deadline_ns, tn_error *error) {
    tn_status status = tni_request_check(request, error);
    if (status == TN_OK) {
        status = check_drained(request, error);
    }
    if (status != TN_OK) {
        return status;
    }
    allow(request);
    return go(request, deadline_ns, error);
}

static void run_in_background(void *user_data) {
    tn_request *request = user_data;
    tn_status status = go(request, request->deadline_ns, &request->result_error);
    tn_request_done_fn done = request->done;
    void *done_user_data = request->done_user_data;
    // The callback comes first: after the signal the owner may destroy the request.
    if (done != NULL) {
        done(done_user_data, status);
    }
    tni_mutex_lock(&request->mutex);
    request->result = status;
    request->finished = true;
    tni_cond_broadcast(&request->finished_cond);
    tni_mutex_unlock(&request->mutex);
}

tn_status tn_request_submit(tn_request *request, uint64_t deadline_ns, tn_request_done_fn done,
                            void *user_data, tn_error *error) {
    tn_status status = tni_request_check(request, error);
    if (status != TN_OK) {
        return status;
    }
    if (request->worker == NULL) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "request.background",
                        "submit needs a request made with config.background");
    }
    status = check_drained(request, error);
    if (status != TN_OK) {
        return status;
    }
    request->state = TNI_REQUEST_RUNNING;
    request->finished = false;
    request->deadline_ns = deadline_ns;
    request->done = done;
    request->done_user_data = user_data;
    tni_error_init(&request->result_error);
    allow(request);
    request->job = (tni_job){.run = run_in_background, .user_data = request};
    tni_worker_post(request->worker, &request->job);
    return TN_OK;
}

tn_status tn_request_wait(tn_request *request, uint64_t timeout_ns, tn_error *error) {
    if (request == NULL || request->state != TNI_REQUEST_RUNNING) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.idle", "nothing was submitted");
    }
    uint64_t deadline = tni_clock_deadline(timeout_ns);
    tni_mutex_lock(&request->mutex);
    bool in_time = true;
    while (!request->finished && in_time) {
        in_time = tni_cond_wait_until(&request->finished_cond, &request->mutex, deadline);
    }
    bool finished = request->finished;
    tn_status result = request->result;
    tni_mutex_unlock(&request->mutex);
    if (!finished) {
        return tni_fail(error, TN_ERROR_TIMEOUT, "request.wait", "the run is still going on");
    }
    request->state = TNI_REQUEST_IDLE;
    if (result != TN_OK) {
        tni_error_copy(error, &request->result_error);
    }
    return result;
}

void tn_request_cancel(tn_request *request) {
    if (request == NULL || !request->mutex_ready) {
        return;
    }
    tni_mutex_lock(&request->mutex);
    if (request->prepared != NULL) {
        atomic_store(&request->prepared->execution->cancelled, true);
    }
    if (request->stages != NULL) {
        tni_flow_run_cancel(request->stages);
    }
    tni_mutex_unlock(&request->mutex);
}

static tn_run_stats stats_of_region(const tn_request *request) {
    tni_execution *e = request->prepared->execution;
    const tni_schedule *s = e->schedule;
    tn_run_stats stats = {
        .handovers = atomic_load(&e->handovers),
        .host_waits = atomic_load(&e->host_waits),
        .transfers = atomic_load(&e->transfers),
        .submits = atomic_load(&e->submits),
        .transfer_bytes = atomic_load(&e->transfer_bytes),
        .planned_handovers = s->counts.handovers,
        .planned_host_waits = s->counts.host_waits,
        .planned_transfers = s->counts.transfers,
        .bridged_fences = atomic_load(&e->bridged),
        .planned_transfer_bytes = s->counts.transfer_bytes,
        .transfer_ns = atomic_load(&e->transfer_ns),
        .wait_ns = atomic_load(&e->wait_ns),
        .kernel_ns = atomic_load(&e->kernel_ns),
        .host_arena_bytes = s->spaces[0].arena_bytes,
        .replanned_regions = request->prepared->plan != NULL,
        .submit_ns = e->submit_ns,
        .dispatch_ns = e->dispatch_ns,
        .worker_transfer_ns = atomic_load(&e->worker_transfer_ns),
        .worker_wait_ns = atomic_load(&e->worker_wait_ns),
        .worker_kernel_ns = atomic_load(&e->worker_kernel_ns),
    };
    for (uint32_t i = 1; i < s->space_count; i++) {
        stats.device_arena_bytes += s->spaces[i].arena_bytes;
    }
    return stats;
}

static tn_run_stats stats_of_stages(const tn_request *request) {
    const tni_flow_counts *c = &request->stages->counts;
    return (tn_run_stats){
        .handovers = c->counted.handovers,
        .host_waits = c->counted.host_waits,
        .transfers = c->counted.transfers,
        .submits = c->submits,
        .transfer_bytes = c->counted.transfer_bytes,
        .planned_handovers = c->planned.handovers,
        .planned_host_waits = c->planned.host_waits,
        .planned_transfers = c->planned.transfers,
        .bridged_fences = c->bridged,
        .planned_transfer_bytes = c->planned.transfer_bytes,
        .transfer_ns = c->transfer_ns,
        .wait_ns = c->wait_ns,
        .kernel_ns = c->kernel_ns,
        .host_arena_bytes = request->stages->store.live_bytes,
        .prepared_regions = c->prepared,
        .replanned_regions = c->replanned,
        .submit_ns = c->submit_ns,
        .dispatch_ns = c->dispatch_ns,
        .host_copy_ns = c->copy_ns,
        .region_prepare_ns = c->prepare_ns,
        .worker_transfer_ns = c->worker_transfer_ns,
        .worker_wait_ns = c->worker_wait_ns,
        .worker_kernel_ns = c->worker_kernel_ns,
    };
}

static uint64_t count_in_place(const tn_request *request) {
    const tni_state_set *kept = request->prepared != NULL ? request->prepared->states : NULL;
    return kept != NULL ? kept->external_count / 2 : 0;
}

tn_status tn_request_planned_wait_get(const tn_request *request, uint32_t index,
                                      tn_planned_wait *out_wait) {
    if (request == NULL || !tni_request_is_prepared(request) ||
        request->state != TNI_REQUEST_IDLE) {
        return TN_ERROR_INVALID_STATE;
    }
    if (!tni_struct_ok(out_wait, TN_STRUCT_PLANNED_WAIT, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (request->prepared == NULL || request->prepared->plan != NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    tni_host_wait one;
    if (!tni_schedule_wait_get(request->prepared->execution->schedule, index, &one)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tn_planned_wait wait = {
        .before_island = one.before_island,
        .on_island = one.on_island,
        .on_copy = one.on_copy,
    };
    tni_struct_out(out_wait, &wait, sizeof(wait));
    return TN_OK;
}

tn_status tn_request_stats(const tn_request *request, tn_run_stats *out_stats) {
    if (request == NULL || !tni_request_is_prepared(request) ||
        request->state != TNI_REQUEST_IDLE) {
        return TN_ERROR_INVALID_STATE;
    }
    if (!tni_struct_ok(out_stats, TN_STRUCT_RUN_STATS, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_run_stats stats =
        request->prepared != NULL ? stats_of_region(request) : stats_of_stages(request);
    stats.run_ns = request->run_ns;
    stats.prepare_ns = request->prepare_ns;
    stats.host_copy_ns += request->state_ns;
    stats.state_bytes = request->state_bytes;
    stats.states_in_place = count_in_place(request);
    tni_struct_out(out_stats, &stats, sizeof(stats));
    return TN_OK;
}
