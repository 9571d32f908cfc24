// SPDX-License-Identifier: Apache-2.0
// Synchronous adapter: timelines that only the host and submit raise. A mutex and a condition
// variable each; callbacks run after the lock is released, because they may do anything that does
// not call back into the plugin.
#include "adapter.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct reach_node {
    struct reach_node *next;
    uint64_t value;
    tn_fence_reached_fn callback;
    void *user_data;
} reach_node;

struct tn_fence {
    tn_device *device;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t value;
    tn_status failure; // TN_OK while the fence is good
    tn_error detail;   // of the failure
    reach_node *nodes; // registered and not yet called
};

static tn_status fence_caps(tn_device *device, tn_fence_caps *out_caps, tn_error *error) {
    (void)device;
    (void)error;
    const tn_fence_caps caps = {.native = TN_FENCE_HOST_WAIT | TN_FENCE_HOST_SIGNAL |
                                          TN_FENCE_DEVICE_SIGNAL};
    tn_helper_copy_out(out_caps, &caps, (uint32_t)sizeof caps);
    return TN_OK;
}

static tn_status init_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    // Time-outs must not move when somebody sets the clock.
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0) {
        result = pthread_cond_init(condition, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    return result == 0 ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    *out_fence = NULL;
    tn_fence_create_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    tn_fence *fence = tn_helper_alloc(tni_adapter_host(device), sizeof *fence);
    if (fence == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fence: no memory");
    }
    fence->device = device;
    fence->value = read.initial_value;
    if (pthread_mutex_init(&fence->mutex, NULL) != 0) {
        tn_helper_free(tni_adapter_host(device), fence, sizeof *fence);
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fence: no mutex");
    }
    if (init_condition(&fence->changed) != TN_OK) {
        (void)pthread_mutex_destroy(&fence->mutex);
        tn_helper_free(tni_adapter_host(device), fence, sizeof *fence);
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fence: no condition variable");
    }
    *out_fence = fence;
    return TN_OK;
}

// Unlinks the nodes that are due; the caller holds the lock, and calls them after releasing it.
static reach_node *take_due(tn_fence *fence) {
    reach_node *due = NULL;
    reach_node **tail = &due;
    reach_node **link = &fence->nodes;
    while (*link != NULL) {
        reach_node *node = *link;
        if (fence->failure != TN_OK || node->value <= fence->value) {
            *link = node->next;
            node->next = NULL;
            *tail = node;
            tail = &node->next;
        } else {
            link = &node->next;
        }
    }
    return due;
}

// The fence may be gone by now: a callback can let another thread destroy it.
static void call_all(const tn_helper_host *host, reach_node *node, tn_status status) {
    while (node != NULL) {
        reach_node *next = node->next;
        node->callback(node->user_data, status);
        tn_helper_free(host, node, sizeof *node);
        node = next;
    }
}

static void fence_destroy(tn_fence *fence) {
    if (fence == NULL) {
        return;
    }
    const tn_helper_host *host = tni_adapter_host(fence->device);
    call_all(host, fence->nodes, TN_ERROR_CANCELLED);
    (void)pthread_cond_destroy(&fence->changed);
    (void)pthread_mutex_destroy(&fence->mutex);
    tn_helper_free(host, fence, sizeof *fence);
}

static tn_status report_failure(const tn_fence *fence, tn_error *error) {
    if (error != NULL && fence->failure != TN_OK) {
        tn_helper_copy_out(error, &fence->detail, (uint32_t)sizeof fence->detail);
    }
    return fence->failure;
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    (void)pthread_mutex_lock(&fence->mutex);
    *out_value = fence->value;
    const tn_status status = report_failure(fence, error);
    (void)pthread_mutex_unlock(&fence->mutex);
    return status;
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    const tn_helper_host *host = tni_adapter_host(fence->device);
    (void)pthread_mutex_lock(&fence->mutex);
    if (value <= fence->value) {
        const uint64_t reached = fence->value;
        (void)pthread_mutex_unlock(&fence->mutex);
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "fence.backwards",
                              "signal of %" PRIu64 ", but %" PRIu64 " is reached", value, reached);
    }
    fence->value = value;
    const tn_status failure = fence->failure;
    reach_node *due = take_due(fence);
    (void)pthread_cond_broadcast(&fence->changed);
    (void)pthread_mutex_unlock(&fence->mutex);
    call_all(host, due, failure);
    return TN_OK;
}

static void fail_with(tn_fence *fence, tn_status status, const tn_error *detail) {
    const tn_helper_host *host = tni_adapter_host(fence->device);
    (void)pthread_mutex_lock(&fence->mutex);
    if (fence->failure == TN_OK) {
        fence->failure = status;
        fence->detail = *detail;
    }
    const tn_status failure = fence->failure;
    reach_node *due = take_due(fence);
    (void)pthread_cond_broadcast(&fence->changed);
    (void)pthread_mutex_unlock(&fence->mutex);
    call_all(host, due, failure);
}

static tn_status fence_fail(tn_fence *fence, tn_status status, tn_error *error) {
    if (status == TN_OK) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "a fence fails with TN_OK");
    }
    tn_error detail = {.struct_size = (uint32_t)sizeof detail, .struct_type = TN_STRUCT_ERROR};
    (void)tn_helper_fail(&detail, status, "fence.failed", "the fence was failed by the host");
    fail_with(fence, status, &detail);
    return TN_OK;
}

// Now plus timeout_ns on the monotonic clock, or the far future where that overflows.
static struct timespec deadline_after(uint64_t timeout_ns) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    const uint64_t seconds = timeout_ns / 1000000000u;
    const uint64_t nanoseconds = timeout_ns % 1000000000u + (uint64_t)deadline.tv_nsec;
    deadline.tv_sec += (time_t)(seconds + nanoseconds / 1000000000u);
    deadline.tv_nsec = (long)(nanoseconds % 1000000000u);
    return deadline;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    const uint32_t for_ever = timeout_ns == UINT64_MAX ? 1u : 0u;
    const struct timespec deadline = deadline_after(for_ever ? 0 : timeout_ns);
    (void)pthread_mutex_lock(&fence->mutex);
    int result = timeout_ns == 0 ? 1 : 0;
    while (fence->value < value && fence->failure == TN_OK && result == 0) {
        result = for_ever ? pthread_cond_wait(&fence->changed, &fence->mutex)
                          : pthread_cond_timedwait(&fence->changed, &fence->mutex, &deadline);
    }
    tn_status status = report_failure(fence, error);
    const uint64_t reached = fence->value;
    (void)pthread_mutex_unlock(&fence->mutex);
    if (status == TN_OK && reached < value) {
        status = tn_helper_fail(error, TN_ERROR_TIMEOUT, NULL,
                                "waited for %" PRIu64 ", reached %" PRIu64, value, reached);
    }
    return status;
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    const tn_helper_host *host = tni_adapter_host(fence->device);
    reach_node *node = tn_helper_alloc(host, sizeof *node);
    if (node == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fence callback: no memory");
    }
    *node = (reach_node){.value = value, .callback = callback, .user_data = user_data};
    (void)pthread_mutex_lock(&fence->mutex);
    reach_node **tail = &fence->nodes;
    while (*tail != NULL) {
        tail = &(*tail)->next;
    }
    *tail = node;
    const tn_status failure = fence->failure;
    reach_node *due = take_due(fence);
    (void)pthread_mutex_unlock(&fence->mutex);
    call_all(host, due, failure);
    return TN_OK;
}

tn_status tni_adapter_check_points(const tn_fence_point *waits, uint64_t wait_count,
                                   const tn_fence_point *signals, uint64_t signal_count,
                                   tn_error *error) {
    for (uint64_t i = 0; i < wait_count; ++i) {
        uint64_t reached = 0;
        if (waits[i].fence == NULL) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "wait without a fence");
        }
        // A failed fence releases its waiters as if every value were reached.
        if (fence_query(waits[i].fence, &reached, NULL) == TN_OK && reached < waits[i].value) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "fence.wait-not-reached",
                                  "a synchronous device was given a wait for %" PRIu64
                                  " while %" PRIu64 " is reached",
                                  waits[i].value, reached);
        }
    }
    for (uint64_t i = 0; i < signal_count; ++i) {
        uint64_t reached = 0;
        if (signals[i].fence == NULL) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "signal without a fence");
        }
        (void)fence_query(signals[i].fence, &reached, NULL);
        if (signals[i].value <= reached || signals[i].value - reached > TN_FENCE_MAX_DISTANCE) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "fence.signal-value",
                                  "signal of %" PRIu64 " while %" PRIu64 " is reached",
                                  signals[i].value, reached);
        }
    }
    return TN_OK;
}

void tni_adapter_complete(const tn_fence_point *signals, uint64_t signal_count, tn_status status,
                          const tn_error *detail) {
    for (uint64_t i = 0; i < signal_count; ++i) {
        if (status == TN_OK) {
            (void)fence_signal(signals[i].fence, signals[i].value, NULL);
        } else {
            fail_with(signals[i].fence, status, detail);
        }
    }
}

const tn_sync_interface tni_adapter_sync = {
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
