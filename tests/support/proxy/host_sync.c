// SPDX-License-Identifier: Apache-2.0
// The proxy's fences: a mirror that the child's events and the host's own signals raise.
#include "host.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// Calls and forgets the waiters that are due, or all. state_mutex is held, but not around a call.
static void notify(tn_fence *fence, bool all) {
    tn_plugin *plugin = fence->device->plugin;
    fence->notifying++;
    for (uint32_t i = 0; i < fence->waiter_count;) {
        proxy_waiter waiter = fence->waiters[i];
        if (!all && fence->failed == TN_OK && waiter.value > fence->value) {
            i++;
            continue;
        }
        tn_status status = all ? TN_ERROR_CANCELLED : fence->failed;
        fence->waiters[i] = fence->waiters[--fence->waiter_count];
        pthread_mutex_unlock(&plugin->state_mutex);
        waiter.callback(waiter.user_data, status);
        pthread_mutex_lock(&plugin->state_mutex);
        i = 0;
    }
    fence->notifying--;
    pthread_cond_broadcast(&plugin->state_cond);
}

bool proxy_point_reached(const tn_fence_point *point) {
    return point->fence->failed != TN_OK || point->fence->value >= point->value;
}

// state_mutex is held.
static void raise_mirror(tn_fence *fence, uint64_t value, tn_status status) {
    if (status == TN_OK && value > fence->value) {
        fence->value = value;
    } else if (status != TN_OK && fence->failed == TN_OK) {
        fence->failed = status;
    }
    // The host's bytes first: whoever sees the fence may read them.
    proxy_finish_slots(fence);
    pthread_cond_broadcast(&fence->device->plugin->state_cond);
    notify(fence, false);
}

void proxy_mirror(tn_fence *fence, uint64_t value, tn_status status) {
    tn_plugin *plugin = fence->device->plugin;
    pthread_mutex_lock(&plugin->state_mutex);
    raise_mirror(fence, value, status);
    pthread_mutex_unlock(&plugin->state_mutex);
    proxy_start_deferred(plugin);
}

static void take_event(tn_plugin *plugin, const proxy_event *event) {
    pthread_mutex_lock(&plugin->state_mutex);
    tn_fence *fence = plugin->fences;
    while (fence != NULL && fence->id != event->fence) {
        fence = fence->next;
    }
    // Not found: destroyed since.
    if (fence != NULL) {
        raise_mirror(fence, event->value, event->status);
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    proxy_start_deferred(plugin);
}

static void lose_all(tn_plugin *plugin) {
    atomic_store(&plugin->lost, true);
    pthread_mutex_lock(&plugin->state_mutex);
    proxy_drop_deferred(plugin);
    tn_fence *fence = plugin->fences;
    while (fence != NULL) {
        // From the start again after each, because the list may have changed in a callback.
        if (fence->failed == TN_OK) {
            raise_mirror(fence, 0, TN_ERROR_DEVICE_LOST);
            fence = plugin->fences;
        } else {
            fence = fence->next;
        }
    }
    pthread_mutex_unlock(&plugin->state_mutex);
}

void *proxy_read_events(void *user_data) {
    tn_plugin *plugin = user_data;
    for (;;) {
        proxy_event event;
        ssize_t got = recv(plugin->event_socket, &event, sizeof(event), 0);
        if (got == (ssize_t)sizeof(event)) {
            take_event(plugin, &event);
        } else if (got >= 0 || errno != EINTR) {
            lose_all(plugin);
            return NULL;
        }
    }
}

static tn_status fence_caps(tn_device *device, tn_fence_caps *out_caps, tn_error *error) {
    proxy_frame *frame = proxy_begin(device->plugin, PROXY_FENCE_CAPS, device->id);
    tn_status status = proxy_send(device->plugin, error);
    if (status == TN_OK) {
        tn_helper_copy_out(out_caps, &frame->u.fence_caps, sizeof(frame->u.fence_caps));
    }
    proxy_end(device->plugin);
    return status;
}

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    tn_plugin *plugin = device->plugin;
    *out_fence = NULL;
    tn_fence *fence = tn_helper_alloc(&plugin->host, sizeof(*fence));
    if (fence == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_FENCE_CREATE, device->id);
    frame->value[0] = info->initial_value;
    tn_status status = proxy_send(plugin, error);
    fence->device = device;
    fence->id = frame->result;
    fence->value = info->initial_value;
    proxy_end(plugin);
    if (status != TN_OK) {
        tn_helper_free(&plugin->host, fence, sizeof(*fence));
        return status;
    }
    pthread_mutex_lock(&plugin->state_mutex);
    fence->next = plugin->fences;
    plugin->fences = fence;
    if (atomic_load(&plugin->lost)) {
        fence->failed = TN_ERROR_DEVICE_LOST;
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    *out_fence = fence;
    return TN_OK;
}

static void fence_destroy(tn_fence *fence) {
    if (fence == NULL) {
        return;
    }
    tn_plugin *plugin = fence->device->plugin;
    pthread_mutex_lock(&plugin->state_mutex);
    notify(fence, true);
    while (fence->notifying > 0) {
        pthread_cond_wait(&plugin->state_cond, &plugin->state_mutex);
    }
    tn_fence **link = &plugin->fences;
    while (*link != fence) {
        link = &(*link)->next;
    }
    *link = fence->next;
    pthread_mutex_unlock(&plugin->state_mutex);
    (void)proxy_call(plugin, PROXY_FENCE_DESTROY, fence->id, 0, NULL);
    tn_helper_free(&plugin->host, fence, sizeof(*fence));
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    tn_plugin *plugin = fence->device->plugin;
    pthread_mutex_lock(&plugin->state_mutex);
    *out_value = fence->value;
    tn_status status = fence->failed;
    pthread_mutex_unlock(&plugin->state_mutex);
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "proxy: fence failed");
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    tn_status status =
        proxy_call(fence->device->plugin, PROXY_FENCE_SIGNAL, fence->id, value, error);
    if (status == TN_OK) {
        proxy_mirror(fence, value, TN_OK);
    }
    return status;
}

static tn_status fence_fail(tn_fence *fence, tn_status status, tn_error *error) {
    tn_plugin *plugin = fence->device->plugin;
    if (status == TN_OK) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "proxy: not a failure");
    }
    // What is staged for this fence may still be in use when the failure is only the host's word.
    pthread_mutex_lock(&plugin->state_mutex);
    for (uint32_t i = 0; i < PROXY_SLOTS; i++) {
        proxy_slot *slot = &plugin->slots[i];
        for (uint64_t k = 0; k < slot->info.signal_count; k++) {
            if (slot->state == PROXY_SLOT_FLIGHT && slot->signals[k].fence == fence) {
                slot->state = PROXY_SLOT_LOST;
            }
        }
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    tn_status sent = proxy_call(plugin, PROXY_FENCE_FAIL, fence->id, (uint64_t)status, error);
    proxy_mirror(fence, 0, sent == TN_ERROR_DEVICE_LOST ? sent : status);
    return sent;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    tn_plugin *plugin = fence->device->plugin;
    const tn_fence_point point = {fence, value};
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + timeout_ns % 1000000000u;
    uint64_t seconds = timeout_ns / 1000000000u + nanoseconds / 1000000000u;
    until.tv_sec += (time_t)(seconds > 1000000 ? 1000000 : seconds);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);
    int timed_out = 0;
    pthread_mutex_lock(&plugin->state_mutex);
    while (!proxy_point_reached(&point) && timed_out != ETIMEDOUT) {
        timed_out = pthread_cond_timedwait(&plugin->state_cond, &plugin->state_mutex, &until);
    }
    bool reached = proxy_point_reached(&point);
    tn_status status = reached ? fence->failed : TN_ERROR_TIMEOUT;
    pthread_mutex_unlock(&plugin->state_mutex);
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "proxy: not reached");
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    tn_plugin *plugin = fence->device->plugin;
    if (!fence->device->notifies) {
        return tn_helper_fail(error, TN_ERROR_UNIMPLEMENTED, NULL, "proxy: no callbacks");
    }
    pthread_mutex_lock(&plugin->state_mutex);
    bool room = fence->waiter_count < PROXY_MAX_WAITERS;
    if (room) {
        fence->waiters[fence->waiter_count++] = (proxy_waiter){value, callback, user_data};
        notify(fence, false);
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    return room ? TN_OK : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: waiters");
}

const tn_sync_interface proxy_sync_table = {
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
