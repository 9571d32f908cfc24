// SPDX-License-Identifier: Apache-2.0
// Fences: timeline semaphores of the driver, which device and host raise and the host waits for;
// the device waits by the order of its queue (queue.c). Failure, the callbacks, and who still names
// a fence are kept here.
#include "vlk.h"

#include <string.h>

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

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
                                            .initialValue = info->initial_value};
    const VkSemaphoreCreateInfo create = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                          .pNext = &type};
    *out_fence = NULL;
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    tn_fence *fence = tn_helper_alloc(&device->plugin->host, sizeof(*fence));
    if (fence == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a fence");
    }
    VkResult result = vkCreateSemaphore(device->handle, &create, NULL, &fence->semaphore);
    if (result != VK_SUCCESS) {
        tn_helper_free(&device->plugin->host, fence, sizeof(*fence));
        return vlk_fail(device, error, result, "vkCreateSemaphore");
    }
    fence->device = device;
    fence->value = info->initial_value;
    *out_fence = fence;
    return TN_OK;
}

uint64_t vlk_fence_reached(tn_fence *fence) {
    uint64_t value = 0;
    if (fence->failed == TN_OK && !atomic_load(&fence->device->lost)) {
        VkResult result =
            vkGetSemaphoreCounterValue(fence->device->handle, fence->semaphore, &value);
        if (result == VK_SUCCESS) {
            fence->value = value;
        } else {
            (void)vlk_fail(fence->device, NULL, result, "vkGetSemaphoreCounterValue");
        }
    }
    return fence->value;
}

static void take_due(tn_fence *fence, uint32_t all, vlk_due *due) {
    vlk_reach **link = &fence->reaches;
    if (fence->reaches == NULL) {
        return;
    }
    uint64_t reached = vlk_fence_reached(fence);
    while (*link != NULL) {
        vlk_reach *one = *link;
        if (all || fence->failed != TN_OK || one->value <= reached) {
            *link = one->next;
            one->status = all ? TN_ERROR_CANCELLED : fence->failed;
            one->next = due->reaches;
            due->reaches = one;
            fence->calling++;
        } else {
            link = &one->next;
        }
    }
}

// Nothing pending may raise it to less than this afterwards, and nobody may wait for more.
static void force(tn_fence *fence) {
    uint64_t room = UINT64_MAX - fence->value;
    uint64_t step = room < TN_FENCE_MAX_DISTANCE ? room : TN_FENCE_MAX_DISTANCE;
    const VkSemaphoreSignalInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
                                        .semaphore = fence->semaphore,
                                        .value = fence->value + step};
    if (!atomic_load(&fence->device->lost)) {
        (void)vkSignalSemaphore(fence->device->handle, &info);
    }
}

void vlk_fence_raise(tn_fence *fence, uint64_t value, vlk_due *due) {
    const VkSemaphoreSignalInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
                                        .semaphore = fence->semaphore,
                                        .value = value};
    if (fence->failed != TN_OK) {
        return;
    }
    VkResult result = vkSignalSemaphore(fence->device->handle, &info);
    if (result != VK_SUCCESS) {
        vlk_fence_break(fence, vlk_fail(fence->device, NULL, result, "vkSignalSemaphore"), due);
        return;
    }
    take_due(fence, 0, due);
}

void vlk_fence_break(tn_fence *fence, tn_status status, vlk_due *due) {
    if (fence->failed != TN_OK) {
        return;
    }
    (void)vlk_fence_reached(fence);
    fence->failed = status;
    // While a batch is going to raise it, the driver wakes the waiters soon enough.
    if (fence->pending == 0) {
        force(fence);
    }
    take_due(fence, 0, due);
}

void vlk_fence_retire(tn_fence *fence, vlk_due *due) {
    fence->pending--;
    if (fence->pending == 0 && fence->failed != TN_OK) {
        fence->value = fence->value > fence->promised ? fence->value : fence->promised;
        force(fence);
    }
    take_due(fence, 0, due);
}

static void fence_destroy(tn_fence *fence) {
    vlk_due due = {NULL, NULL};
    if (fence == NULL) {
        return;
    }
    tn_device *device = fence->device;
    const tn_helper_host *host = &device->plugin->host;
    (void)pthread_mutex_lock(&device->mutex);
    take_due(fence, 1, &due);
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
    (void)pthread_mutex_lock(&device->mutex);
    // The work that named it has ended, but the watcher may not have got that far.
    while (fence->calling > 0 || fence->users > 0) {
        (void)pthread_cond_wait(&device->changed, &device->mutex);
    }
    (void)pthread_mutex_unlock(&device->mutex);
    vkDestroySemaphore(device->handle, fence->semaphore, NULL);
    tn_helper_free(host, fence, sizeof(*fence));
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    (void)pthread_mutex_lock(&fence->device->mutex);
    *out_value = vlk_fence_reached(fence);
    tn_status status = fence->failed;
    (void)pthread_mutex_unlock(&fence->device->mutex);
    if (status == TN_OK && atomic_load(&fence->device->lost)) {
        status = TN_ERROR_DEVICE_LOST;
    }
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "the fence failed");
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    vlk_due due = {NULL, NULL};
    tn_device *device = fence->device;
    (void)pthread_mutex_lock(&device->mutex);
    uint64_t reached = vlk_fence_reached(fence);
    uint64_t floor = fence->promised > reached ? fence->promised : reached;
    uint32_t lost = atomic_load(&device->lost);
    if (value > floor && !lost) {
        vlk_fence_raise(fence, value, &due);
        vlk_settle_locked(device, &due);
    }
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
    if (lost) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    return value > floor ? TN_OK
                         : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                                          "signal of %llu, but %llu is reached or under way",
                                          (unsigned long long)value, (unsigned long long)floor);
}

static tn_status fence_fail(tn_fence *fence, tn_status status, tn_error *error) {
    vlk_due due = {NULL, NULL};
    tn_device *device = fence->device;
    if (status == TN_OK) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "a fence fails with TN_OK");
    }
    (void)pthread_mutex_lock(&device->mutex);
    vlk_fence_break(fence, status, &due);
    vlk_settle_locked(device, &due);
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
    return TN_OK;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &fence->semaphore,
                                      .pValues = &value};
    tn_device *device = fence->device;
    (void)pthread_mutex_lock(&device->mutex);
    tn_status status = fence->failed;
    (void)pthread_mutex_unlock(&device->mutex);
    if (status == TN_OK && atomic_load(&device->lost)) {
        status = TN_ERROR_DEVICE_LOST;
    }
    if (status == TN_OK) {
        VkResult result = vkWaitSemaphores(device->handle, &info, timeout_ns);
        // A failure raises the semaphore too.
        (void)pthread_mutex_lock(&device->mutex);
        status = fence->failed;
        (void)pthread_mutex_unlock(&device->mutex);
        if (status == TN_OK && result == VK_TIMEOUT) {
            status = TN_ERROR_TIMEOUT;
        } else if (status == TN_OK && result != VK_SUCCESS) {
            return vlk_fail(device, error, result, "vkWaitSemaphores");
        }
    }
    return status == TN_OK ? TN_OK
                           : tn_helper_fail(error, status, NULL, "the wait did not end well");
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    vlk_due due = {NULL, NULL};
    tn_device *device = fence->device;
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    vlk_reach *one = tn_helper_alloc(&device->plugin->host, sizeof(*one));
    if (one == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a callback");
    }
    *one =
        (vlk_reach){.fence = fence, .value = value, .callback = callback, .user_data = user_data};
    (void)pthread_mutex_lock(&device->mutex);
    one->next = fence->reaches;
    fence->reaches = one;
    take_due(fence, 0, &due);
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
    return TN_OK;
}

const tn_sync_interface vlk_sync_table = {
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
