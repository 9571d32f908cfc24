// SPDX-License-Identifier: Apache-2.0
// The fake plugin's fences, and the thread that is an asynchronous device: it takes any queued job
// whose waits are reached, in no promised order.
#include "fake.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static tn_status fence_caps(tn_device *device, tn_fence_caps *out_caps, tn_error *error) {
    (void)error;
    out_caps->native = TN_FENCE_DEVICE_WAIT | TN_FENCE_DEVICE_SIGNAL | TN_FENCE_HOST_WAIT |
                       (device->index == FAKE_MUTE ? 0 : TN_FENCE_HOST_SIGNAL);
    out_caps->wait_before_signal_submitted = 1;
    return TN_OK;
}

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    *out_fence = tn_helper_alloc(&device->plugin->host, sizeof(**out_fence));
    if (*out_fence == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    (*out_fence)->device = device;
    (*out_fence)->value = info->initial_value;
    fake_lock();
    fake_device(device->index)->fence_count++;
    fake_unlock();
    return TN_OK;
}

// Calls and forgets the waiters that are due. The lock is released around each call.
static void notify(tn_fence *fence, bool all, tn_status status) {
    fence->notifying++;
    for (uint32_t i = 0; i < fence->waiter_count;) {
        fake_waiter waiter = fence->waiters[i];
        if (!all && fence->failed == TN_OK && waiter.value > fence->value) {
            i++;
            continue;
        }
        fence->waiters[i] = fence->waiters[--fence->waiter_count];
        fake_device(fence->device->index)->callback_count++;
        pthread_mutex_unlock(&fake_mutex);
        waiter.callback(waiter.user_data, all ? status : fence->failed);
        pthread_mutex_lock(&fake_mutex);
        i = 0;
    }
    fence->notifying--;
    pthread_cond_broadcast(&fake_cond);
}

void fake_fence_raise(tn_fence *fence, uint64_t value) {
    if (value > fence->value) {
        fence->value = value;
    }
    pthread_cond_broadcast(&fake_cond);
    notify(fence, false, TN_OK);
}

void fake_fence_break(tn_fence *fence, tn_status status) {
    if (fence->failed == TN_OK) {
        fence->failed = status;
    }
    pthread_cond_broadcast(&fake_cond);
    notify(fence, false, status);
}

static void fence_destroy(tn_fence *fence) {
    if (fence == NULL) {
        return;
    }
    const tn_helper_host *host = &fence->device->plugin->host;
    fake_lock();
    notify(fence, true, TN_ERROR_CANCELLED);
    while (fence->notifying > 0) {
        pthread_cond_wait(&fake_cond, &fake_mutex);
    }
    fake_device(fence->device->index)->fence_count--;
    fake_unlock();
    tn_helper_free(host, fence, sizeof(*fence));
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    (void)error;
    fake_lock();
    *out_value = fence->value;
    tn_status status = fence->failed;
    fake_unlock();
    return status;
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    if (fence->device->index == FAKE_MUTE) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "fake: no host signal");
    }
    fake_lock();
    bool above = value > fence->value;
    if (above) {
        fake_fence_raise(fence, value);
    }
    fake_unlock();
    return above ? TN_OK : TN_ERROR_INVALID_ARGUMENT;
}

static tn_status fence_fail(tn_fence *fence, tn_status status, tn_error *error) {
    (void)error;
    fake_lock();
    fake_fence_break(fence, status);
    fake_unlock();
    return TN_OK;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    (void)error;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
    uint64_t seconds = timeout_ns / 1000000000u + nanoseconds / 1000000000u;
    until.tv_sec += (time_t)(seconds > 1000000 ? 1000000 : seconds);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);
    pthread_mutex_lock(&fake_mutex);
    fake_device(fence->device->index)->wait_count++;
    int timed_out = 0;
    while (fence->value < value && fence->failed == TN_OK && timed_out != ETIMEDOUT) {
        timed_out = pthread_cond_timedwait(&fake_cond, &fake_mutex, &until);
    }
    tn_status status = fence->failed != TN_OK  ? fence->failed
                       : fence->value >= value ? TN_OK
                                               : TN_ERROR_TIMEOUT;
    pthread_mutex_unlock(&fake_mutex);
    return status;
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    if (fence->device->index == FAKE_MUTE) {
        return tn_helper_fail(error, TN_ERROR_UNIMPLEMENTED, NULL, "fake: no callbacks");
    }
    fake_lock();
    bool room = fence->waiter_count < FAKE_MAX_WAITERS;
    if (room) {
        fence->waiters[fence->waiter_count++] = (fake_waiter){value, callback, user_data};
        notify(fence, false, TN_OK);
    }
    fake_unlock();
    return room ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

bool fake_point_reached(const tn_fence_point *point) {
    return point->fence->failed != TN_OK || point->fence->value >= point->value;
}

bool fake_set_points(fake_job *job, const tn_fence_point *waits, uint64_t wait_count,
                     const tn_fence_point *signals, uint64_t signal_count) {
    if (wait_count > FAKE_MAX_POINTS || signal_count > FAKE_MAX_POINTS) {
        return false;
    }
    if (wait_count > 0) {
        memcpy(job->waits, waits, wait_count * sizeof(*waits));
    }
    if (signal_count > 0) {
        memcpy(job->signals, signals, signal_count * sizeof(*signals));
    }
    job->wait_count = (uint32_t)wait_count;
    job->signal_count = (uint32_t)signal_count;
    return true;
}

fake_job *fake_queue_copy_job(tn_device *device) {
    for (uint32_t i = 0; i < FAKE_COPY_JOBS; i++) {
        if (!device->copies[i].active) {
            return &device->copies[i];
        }
    }
    return NULL;
}

static unsigned char *end_of_copy(const tn_copy_end *end) {
    return end->memory != NULL ? end->memory->data + end->offset_bytes
                               : (unsigned char *)end->pointer + end->offset_bytes;
}

// Runs a job with the lock held on entry and return.
static void run_job(tn_device *device, fake_job *job) {
    fake_control *control = fake_device(device->index);
    tn_status status = job->cancelled ? TN_ERROR_CANCELLED : TN_OK;
    if (job->context != NULL && status == TN_OK) {
        control->run_count++;
        bool fails =
            control->run_status != TN_OK &&
            (control->fail_run_number == 0 || control->fail_run_number == control->run_count);
        status = fails ? control->run_status : TN_OK;
    }
    pthread_mutex_unlock(&fake_mutex);
    if (status == TN_OK && job->context != NULL) {
        fake_compute(job->context, job->bindings);
    } else if (status == TN_OK) {
        memmove(end_of_copy(&job->copy.destination), end_of_copy(&job->copy.source),
                job->copy.size_bytes);
    }
    pthread_mutex_lock(&fake_mutex);
    tn_fence_point signals[FAKE_MAX_POINTS];
    uint32_t count = job->signal_count;
    memcpy(signals, job->signals, sizeof(signals));
    // From the first signal on, the owner may free the job.
    job->active = false;
    for (uint32_t i = 0; i < count; i++) {
        if (status == TN_OK) {
            fake_fence_raise(signals[i].fence, signals[i].value);
        } else {
            fake_fence_break(signals[i].fence, status);
        }
    }
}

static fake_job *take_ready(tn_device *device) {
    if (fake_device(device->index)->hold) {
        for (fake_job **link = &device->queue; *link != NULL; link = &(*link)->next) {
            if ((*link)->cancelled) {
                fake_job *job = *link;
                *link = job->next;
                return job;
            }
        }
        return NULL;
    }
    for (fake_job **link = &device->queue; *link != NULL; link = &(*link)->next) {
        fake_job *job = *link;
        bool ready = true;
        for (uint32_t i = 0; i < job->wait_count && ready; i++) {
            ready = fake_point_reached(&job->waits[i]);
        }
        if (ready || job->cancelled) {
            *link = job->next;
            return job;
        }
    }
    return NULL;
}

static void *serve(void *user_data) {
    tn_device *device = user_data;
    pthread_mutex_lock(&fake_mutex);
    while (!device->stopping) {
        fake_job *job = take_ready(device);
        if (job == NULL) {
            pthread_cond_wait(&fake_cond, &fake_mutex);
        } else {
            run_job(device, job);
        }
    }
    pthread_mutex_unlock(&fake_mutex);
    return NULL;
}

int fake_queue_start(tn_device *device) {
    int failed = pthread_create(&device->thread, NULL, serve, device);
    device->has_thread = failed == 0;
    return failed;
}

void fake_queue_stop(tn_device *device) {
    if (device->has_thread) {
        fake_lock();
        device->stopping = true;
        fake_unlock();
        pthread_join(device->thread, NULL);
    }
}

void fake_queue_push(tn_device *device, fake_job *job) {
    job->active = true;
    job->cancelled = false;
    job->next = NULL;
    if (fake_is_synchronous(device)) {
        run_job(device, job);
        return;
    }
    fake_job **link = &device->queue;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = job;
    pthread_cond_broadcast(&fake_cond);
}

const tn_sync_interface fake_sync_table = {
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
