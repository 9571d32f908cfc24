// SPDX-License-Identifier: Apache-2.0
// Timelines over OpenCL events. Submitted work raises a fence from its completion callback; work
// that waits for a value gets the event that will raise it, or, where nobody has submitted that
// yet, a user event that the fence completes when it gets there.
#include "opencl.h"

#include <string.h>
#include <time.h>

struct tn_fence {
    tn_device *device;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t value;
    tn_status failed;
    uint32_t calling; // threads that are making callbacks, and work under way that will raise it
    ocl_record *reaches;
};

static tn_status fence_caps(tn_device *device, tn_fence_caps *out_caps, tn_error *error) {
    tn_fence_caps caps;
    (void)device;
    (void)error;
    memset(&caps, 0, sizeof(caps));
    caps.native =
        TN_FENCE_DEVICE_WAIT | TN_FENCE_DEVICE_SIGNAL | TN_FENCE_HOST_WAIT | TN_FENCE_HOST_SIGNAL;
    caps.wait_before_signal_submitted = 1;
    tn_helper_copy_out(out_caps, &caps, sizeof(caps));
    return TN_OK;
}

static tn_status init_locks(tn_fence *fence) {
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&fence->mutex, NULL) != 0) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    int failed = pthread_condattr_init(&attributes);
    if (failed == 0) {
        failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
                 pthread_cond_init(&fence->changed, &attributes) != 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (failed) {
        (void)pthread_mutex_destroy(&fence->mutex);
    }
    return failed ? TN_ERROR_OUT_OF_MEMORY : TN_OK;
}

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    *out_fence = NULL;
    tn_fence *fence = tn_helper_alloc(&device->plugin->host, sizeof(*fence));
    if (fence == NULL || init_locks(fence) != TN_OK) {
        tn_helper_free(&device->plugin->host, fence, sizeof(*fence));
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a fence");
    }
    fence->device = device;
    fence->value = info->initial_value;
    *out_fence = fence;
    return TN_OK;
}

// With the lock held: unlinks what is due.
static ocl_record *take_due(tn_fence *fence, uint32_t all) {
    ocl_record *due = NULL;
    ocl_record **link = &fence->reaches;
    while (*link != NULL) {
        ocl_record *one = *link;
        if (all || fence->failed != TN_OK || one->value <= fence->value) {
            *link = one->next;
            one->next = due;
            due = one;
        } else {
            link = &one->next;
        }
    }
    fence->calling += due != NULL;
    return due;
}

// A fence that is held is not freed: destroy waits.
static void hold(tn_fence *fence) {
    (void)pthread_mutex_lock(&fence->mutex);
    fence->calling++;
    (void)pthread_mutex_unlock(&fence->mutex);
}

static void let_go(tn_fence *fence) {
    (void)pthread_mutex_lock(&fence->mutex);
    fence->calling--;
    (void)pthread_cond_broadcast(&fence->changed);
    (void)pthread_mutex_unlock(&fence->mutex);
}

// Without the lock. A failed fence still releases device work: its result is the host's to discard.
static void call_due(tn_fence *fence, ocl_record *due, tn_status status) {
    if (due == NULL) {
        return;
    }
    while (due != NULL) {
        ocl_record *next = due->next;
        if (due->callback != NULL) {
            due->callback(due->user_data, status);
        } else {
            (void)clSetUserEventStatus(due->user_event, CL_COMPLETE);
            (void)clReleaseEvent(due->user_event);
        }
        ocl_record_give(fence->device, due);
        due = next;
    }
    let_go(fence);
}

// Raises a held fence to value, or fails it when status says so.
static void advance(tn_fence *fence, uint64_t value, tn_status status) {
    (void)pthread_mutex_lock(&fence->mutex);
    if (status == TN_OK && value > fence->value) {
        fence->value = value;
    }
    if (status != TN_OK && fence->failed == TN_OK) {
        fence->failed = status;
    }
    tn_status failed = fence->failed;
    ocl_record *due = take_due(fence, 0);
    (void)pthread_cond_broadcast(&fence->changed);
    (void)pthread_mutex_unlock(&fence->mutex);
    call_due(fence, due, failed);
}

static void fence_destroy(tn_fence *fence) {
    if (fence == NULL) {
        return;
    }
    const tn_helper_host *host = &fence->device->plugin->host;
    (void)pthread_mutex_lock(&fence->mutex);
    ocl_record *due = take_due(fence, 1);
    (void)pthread_mutex_unlock(&fence->mutex);
    call_due(fence, due, TN_ERROR_CANCELLED);
    (void)pthread_mutex_lock(&fence->mutex);
    while (fence->calling > 0) {
        (void)pthread_cond_wait(&fence->changed, &fence->mutex);
    }
    (void)pthread_mutex_unlock(&fence->mutex);
    (void)pthread_cond_destroy(&fence->changed);
    (void)pthread_mutex_destroy(&fence->mutex);
    tn_helper_free(host, fence, sizeof(*fence));
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    (void)pthread_mutex_lock(&fence->mutex);
    *out_value = fence->value;
    tn_status status = fence->failed;
    (void)pthread_mutex_unlock(&fence->mutex);
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "the fence failed");
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    (void)pthread_mutex_lock(&fence->mutex);
    uint64_t reached = fence->value;
    (void)pthread_mutex_unlock(&fence->mutex);
    if (value <= reached) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "signal of %llu, but %llu is reached", (unsigned long long)value,
                              (unsigned long long)reached);
    }
    hold(fence);
    advance(fence, value, TN_OK);
    let_go(fence);
    return TN_OK;
}

static tn_status fence_fail(tn_fence *fence, tn_status status, tn_error *error) {
    if (status == TN_OK) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "a fence fails with TN_OK");
    }
    hold(fence);
    advance(fence, 0, status);
    let_go(fence);
    return TN_OK;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
    until.tv_sec += (time_t)(timeout_ns / 1000000000u + nanoseconds / 1000000000u);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);
    (void)pthread_mutex_lock(&fence->mutex);
    int late = 0;
    while (fence->value < value && fence->failed == TN_OK && !late) {
        late = timeout_ns == UINT64_MAX
                   ? pthread_cond_wait(&fence->changed, &fence->mutex)
                   : pthread_cond_timedwait(&fence->changed, &fence->mutex, &until);
    }
    tn_status status = fence->failed != TN_OK  ? fence->failed
                       : fence->value >= value ? TN_OK
                                               : TN_ERROR_TIMEOUT;
    (void)pthread_mutex_unlock(&fence->mutex);
    return status == TN_OK ? TN_OK
                           : tn_helper_fail(error, status, NULL, "the wait did not end well");
}

// Links a wait, or makes its call at once when it is due already. The record goes back with the
// call.
static void add_reach(tn_fence *fence, ocl_record *one) {
    (void)pthread_mutex_lock(&fence->mutex);
    one->next = fence->reaches;
    fence->reaches = one;
    ocl_record *due = take_due(fence, 0);
    tn_status failed = fence->failed;
    (void)pthread_mutex_unlock(&fence->mutex);
    call_due(fence, due, failed);
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    ocl_record *one = ocl_record_take(fence->device, 0);
    if (one == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a callback");
    }
    one->value = value;
    one->callback = callback;
    one->user_data = user_data;
    add_reach(fence, one);
    return TN_OK;
}

static uint32_t is_reached(tn_fence *fence, uint64_t value) {
    (void)pthread_mutex_lock(&fence->mutex);
    uint32_t reached = fence->failed != TN_OK || fence->value >= value;
    (void)pthread_mutex_unlock(&fence->mutex);
    return reached;
}

tn_status ocl_wait_events(tn_device *device, const tn_fence_point *waits, uint64_t wait_count,
                          uint32_t reserved, ocl_events *out_events, tn_error *error) {
    out_events->count = 0;
    for (uint64_t i = 0; i < wait_count; i++) {
        cl_int code = CL_SUCCESS;
        if (is_reached(waits[i].fence, waits[i].value)) {
            continue;
        }
        if (out_events->count == OCL_MAX_WAITS) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "more than %u waits",
                                  OCL_MAX_WAITS);
        }
        ocl_record *one = ocl_record_take(device, reserved);
        if (one == NULL) {
            return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a wait");
        }
        cl_event event = clCreateUserEvent(device->context, &code);
        if (event == NULL) {
            ocl_record_give(device, one);
            return ocl_fail(device, error, code, "clCreateUserEvent");
        }
        out_events->events[out_events->count++] = event;
        (void)clRetainEvent(event); // for the record
        one->value = waits[i].value;
        one->user_event = event;
        add_reach(waits[i].fence, one);
    }
    return TN_OK;
}

void ocl_release_events(ocl_events *events) {
    for (cl_uint i = 0; i < events->count; i++) {
        (void)clReleaseEvent(events->events[i]);
    }
    events->count = 0;
}

static void CL_CALLBACK completed(cl_event event, cl_int code, void *user_data) {
    ocl_record *done = user_data;
    (void)event;
    while (done != NULL) {
        ocl_record *next = done->next;
        tn_fence *fence = done->fence;
        uint64_t value = done->value;
        tn_status status = code < 0 ? ocl_fail(done->device, NULL, code, "execution") : TN_OK;
        ocl_record_give(done->device, done);
        advance(fence, value, status);
        let_go(fence);
        done = next;
    }
}

tn_status ocl_signals_make(tn_device *device, const tn_fence_point *signals, uint64_t signal_count,
                           uint32_t reserved, ocl_signals *out_signals, tn_error *error) {
    out_signals->first = NULL;
    if (signal_count > OCL_MAX_SIGNALS) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "more than %u signals",
                              OCL_MAX_SIGNALS);
    }
    for (uint64_t i = 0; i < signal_count; i++) {
        ocl_record *done = ocl_record_take(device, reserved);
        if (done == NULL) {
            ocl_signals_drop(out_signals);
            return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a signal");
        }
        done->next = out_signals->first;
        done->device = device;
        done->fence = signals[i].fence;
        done->value = signals[i].value;
        hold(done->fence);
        out_signals->first = done;
    }
    return TN_OK;
}

void ocl_signals_attach(ocl_signals *signals, cl_event event) {
    if (signals->first == NULL) {
        return;
    }
    cl_int code = clSetEventCallback(event, CL_COMPLETE, completed, signals->first);
    if (code != CL_SUCCESS) {
        // The work is under way and cannot be taken back: its end is waited for here.
        code = clWaitForEvents(1, &event);
        completed(event, code, signals->first);
    }
    signals->first = NULL;
}

void ocl_signals_drop(ocl_signals *signals) {
    while (signals->first != NULL) {
        ocl_record *next = signals->first->next;
        let_go(signals->first->fence);
        ocl_record_give(signals->first->device, signals->first);
        signals->first = next;
    }
}

const tn_sync_interface ocl_sync_table = {
    .base = TN_HELPER_BASE(tn_sync_interface, TN_DIGEST_SYNC),
    .fence_caps = fence_caps,
    .fence_create = fence_create,
    .fence_destroy = fence_destroy,
    .fence_query = fence_query,
    .fence_signal = fence_signal,
    .fence_fail = fence_fail,
    .fence_wait = fence_wait,
    .fence_on_reach = fence_on_reach,
};
