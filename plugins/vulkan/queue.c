// SPDX-License-Identifier: Apache-2.0
// What waits and what runs. Items go to the driver's queue when nothing in it could then wait for
// the host; the watcher, one thread a device, retires batches in order and makes the host's copies.
// It waits for one semaphore only, because drivers may wait for any of several by polling.
#include "vlk.h"

#include <string.h>

tn_status vlk_item_points(vlk_item *item, const tn_fence_point *waits, uint64_t wait_count,
                          const tn_fence_point *signals, uint64_t signal_count, tn_error *error) {
    if (wait_count > VLK_MAX_POINTS || signal_count > VLK_MAX_POINTS) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "vulkan.points",
                              "more than %u waits or signals", VLK_MAX_POINTS);
    }
    for (uint64_t i = 0; i < wait_count; i++) {
        item->waits[i] = waits[i];
    }
    for (uint64_t i = 0; i < signal_count; i++) {
        item->signals[i] = signals[i];
    }
    item->wait_count = (uint32_t)wait_count;
    item->signal_count = (uint32_t)signal_count;
    return TN_OK;
}

static void name_fences(vlk_item *item, uint32_t add) {
    for (uint32_t i = 0; i < item->wait_count; i++) {
        item->waits[i].fence->users += add;
    }
    for (uint32_t i = 0; i < item->signal_count; i++) {
        item->signals[i].fence->users += add;
    }
}

static void link_item(tn_device *device, vlk_item *item) {
    vlk_item **link = &device->items;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    item->next = NULL;
    item->busy = 1;
    *link = item;
    name_fences(item, 1);
}

static void unlink_item(tn_device *device, vlk_item *item) {
    vlk_item **link = &device->items;
    while (*link != item) {
        link = &(*link)->next;
    }
    *link = item->next;
    item->busy = 0;
    name_fences(item, UINT32_MAX); // minus one
    (void)pthread_cond_broadcast(&device->changed);
}

// Takes an item that has ended off the list; whoever waits for it may free it from now on.
static void end_item(tn_device *device, vlk_item *item, vlk_due *due) {
    unlink_item(device, item);
    if (item->owned) {
        item->next = due->items;
        due->items = item;
    }
}

static void fail_item(tn_device *device, vlk_item *item, tn_status status, vlk_due *due) {
    for (uint32_t i = 0; i < item->signal_count; i++) {
        vlk_fence_break(item->signals[i].fence, status, due);
    }
    end_item(device, item, due);
}

static uint32_t is_started(const vlk_item *item) {
    return item->batch > 0 || item->copying;
}

// Whether an item of the same order has to start first.
static uint32_t is_behind(const tn_device *device, const vlk_item *item) {
    for (const vlk_item *one = device->items; one != item; one = one->next) {
        if (item->order != NULL && one->order == item->order && !is_started(one)) {
            return 1;
        }
    }
    return 0;
}

// Whether an item may start. Values that a batch in the queue will reach count as reached for what
// goes to the queue as well: it runs in order, and every command buffer begins with a barrier to
// all that came before. A semaphore to wait for would add nothing; lavapipe also touches those
// after the batch has ended, when they may be gone already.
static uint32_t is_ready(const tn_device *device, const vlk_item *item) {
    if (is_started(item) || is_behind(device, item)) {
        return 0;
    }
    for (uint32_t i = 0; i < item->wait_count; i++) {
        tn_fence *fence = item->waits[i].fence;
        uint64_t value = item->waits[i].value;
        uint32_t in_queue = item->commands != VK_NULL_HANDLE && fence->promised >= value;
        if (fence->failed == TN_OK && !in_queue && vlk_fence_reached(fence) < value) {
            return 0;
        }
    }
    return 1;
}

typedef struct batch {
    VkSemaphore signals[VLK_MAX_POINTS + 1];
    uint64_t values[VLK_MAX_POINTS + 1];
    uint32_t count;
    uint64_t mask; // of the item's signals
} batch;

static void fill_batch(const tn_device *device, const vlk_item *item, batch *b) {
    b->count = 0;
    b->mask = 0;
    for (uint32_t i = 0; i < item->signal_count; i++) {
        // A failed fence was raised beyond any value already.
        if (item->signals[i].fence->failed == TN_OK) {
            b->signals[b->count] = item->signals[i].fence->semaphore;
            b->values[b->count++] = item->signals[i].value;
            b->mask |= 1ull << i;
        }
    }
    // The last one: once it is raised, the driver is done with the others.
    b->signals[b->count] = device->progress;
    b->values[b->count++] = device->submitted + 1;
}

static VkResult submit_item(tn_device *device, vlk_item *item) {
    batch b;
    fill_batch(device, item, &b);
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = b.count,
        .pSignalSemaphoreValues = b.values,
    };
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .commandBufferCount = 1,
        .pCommandBuffers = &item->commands,
        .signalSemaphoreCount = b.count,
        .pSignalSemaphores = b.signals,
    };
    VkResult result = vkQueueSubmit(device->queue, 1, &info, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) {
        return result;
    }
    item->batch = ++device->submitted;
    item->signal_mask = b.mask;
    for (uint32_t i = 0; i < item->signal_count; i++) {
        tn_fence *fence = item->signals[i].fence;
        if ((b.mask >> i & 1u) != 0) {
            fence->pending++;
            fence->promised = item->signals[i].value;
        }
    }
    (void)pthread_cond_signal(&device->work);
    return VK_SUCCESS;
}

static void retire(tn_device *device, vlk_due *due) {
    uint64_t reached = 0;
    if (device->retired == device->submitted || atomic_load(&device->lost)) {
        return;
    }
    VkResult result = vkGetSemaphoreCounterValue(device->handle, device->progress, &reached);
    if (result != VK_SUCCESS) {
        (void)vlk_fail(device, NULL, result, "vkGetSemaphoreCounterValue");
        return;
    }
    device->retired = reached > device->retired ? reached : device->retired;
    vlk_item *next = NULL;
    for (vlk_item *item = device->items; item != NULL; item = next) {
        next = item->next;
        if (item->batch == 0 || item->batch > device->retired) {
            continue;
        }
        for (uint32_t i = 0; i < item->signal_count; i++) {
            if ((item->signal_mask >> i & 1u) != 0) {
                vlk_fence_retire(item->signals[i].fence, due);
            }
        }
        end_item(device, item, due);
    }
}

// After the device was lost nothing comes back: everything under way fails (ABI-74).
static void drop_all(tn_device *device, vlk_due *due) {
    vlk_item *next = NULL;
    for (vlk_item *item = device->items; item != NULL; item = next) {
        next = item->next;
        if (!item->copying) {
            fail_item(device, item, TN_ERROR_DEVICE_LOST, due);
        }
    }
    device->retired = device->submitted;
}

// Starts what can start, in order. True when anything changed that may let more start.
static uint32_t start_ready(tn_device *device, vlk_due *due) {
    uint32_t changed = 0;
    vlk_item *next = NULL;
    for (vlk_item *item = device->items; item != NULL; item = next) {
        next = item->next;
        if (!is_ready(device, item)) {
            continue;
        }
        if (item->commands == VK_NULL_HANDLE) {
            (void)pthread_cond_signal(&device->work);
            continue;
        }
        VkResult result = submit_item(device, item);
        if (result != VK_SUCCESS) {
            fail_item(device, item, vlk_fail(device, NULL, result, "vkQueueSubmit"), due);
        }
        changed = 1;
    }
    return changed;
}

void vlk_settle_locked(tn_device *device, vlk_due *due) {
    uint32_t changed = 1;
    while (changed) {
        retire(device, due);
        if (atomic_load(&device->lost)) {
            drop_all(device, due);
            return;
        }
        changed = start_ready(device, due);
    }
}

void vlk_deliver(tn_device *device, vlk_due *due) {
    const tn_helper_host *host = &device->plugin->host;
    while (due->reaches != NULL) {
        vlk_reach *one = due->reaches;
        due->reaches = one->next;
        one->callback(one->user_data, one->status);
        (void)pthread_mutex_lock(&device->mutex);
        one->fence->calling--;
        (void)pthread_cond_broadcast(&device->changed);
        (void)pthread_mutex_unlock(&device->mutex);
        tn_helper_free(host, one, sizeof(*one));
    }
    while (due->items != NULL) {
        vlk_item *one = due->items;
        due->items = one->next;
        vkDestroyCommandPool(device->handle, one->pool, NULL);
        tn_helper_free(host, one, sizeof(*one));
    }
}

void vlk_settle(tn_device *device) {
    vlk_due due = {NULL, NULL};
    (void)pthread_mutex_lock(&device->mutex);
    vlk_settle_locked(device, &due);
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
}

tn_status vlk_enqueue(tn_device *device, vlk_item *item, tn_error *error) {
    vlk_due due = {NULL, NULL};
    tn_status status = TN_OK;
    item->batch = 0;
    item->copying = 0;
    (void)pthread_mutex_lock(&device->mutex);
    if (atomic_load(&device->lost)) {
        status = tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    } else {
        link_item(device, item);
        if (is_ready(device, item)) {
            VkResult result = VK_SUCCESS;
            if (item->commands == VK_NULL_HANDLE) {
                (void)pthread_cond_signal(&device->work);
            } else {
                result = submit_item(device, item);
            }
            if (result != VK_SUCCESS) {
                unlink_item(device, item);
                status = vlk_fail(device, error, result, "vkQueueSubmit");
            } else {
                // What waits already may wait for this.
                while (start_ready(device, &due)) {
                }
            }
        }
    }
    (void)pthread_mutex_unlock(&device->mutex);
    vlk_deliver(device, &due);
    return status;
}

void vlk_item_wait(tn_device *device, const vlk_item *item) {
    (void)pthread_mutex_lock(&device->mutex);
    while (item->busy) {
        (void)pthread_cond_wait(&device->changed, &device->mutex);
    }
    (void)pthread_mutex_unlock(&device->mutex);
}

static vlk_item *find_copy(const tn_device *device) {
    for (vlk_item *item = device->items; item != NULL; item = item->next) {
        if (item->commands == VK_NULL_HANDLE && is_ready(device, item)) {
            return item;
        }
    }
    return NULL;
}

// With the lock held on entry and return, released meanwhile.
static void make_copy(tn_device *device, vlk_item *item, vlk_due *due) {
    item->copying = 1;
    (void)pthread_mutex_unlock(&device->mutex);
    if (item->size_bytes > 0) {
        memcpy(item->to, item->from, item->size_bytes);
    }
    (void)pthread_mutex_lock(&device->mutex);
    for (uint32_t i = 0; i < item->signal_count; i++) {
        vlk_fence_raise(item->signals[i].fence, item->signals[i].value, due);
    }
    end_item(device, item, due);
}

// With the lock held on entry and return, released meanwhile. Batches wait for nothing but batches
// before them, so this wait ends.
static void wait_for_batch(tn_device *device) {
    uint64_t value = device->retired + 1;
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &device->progress,
                                      .pValues = &value};
    (void)pthread_mutex_unlock(&device->mutex);
    VkResult result = vkWaitSemaphores(device->handle, &info, UINT64_MAX);
    if (result != VK_SUCCESS && result != VK_TIMEOUT) {
        // Whatever it is, the end of this batch will never be known.
        (void)vlk_fail(device, NULL, VK_ERROR_DEVICE_LOST, "vkWaitSemaphores");
    }
    (void)pthread_mutex_lock(&device->mutex);
}

void *vlk_watch(void *user_data) {
    tn_device *device = user_data;
    (void)pthread_mutex_lock(&device->mutex);
    for (;;) {
        vlk_due due = {NULL, NULL};
        vlk_settle_locked(device, &due);
        vlk_item *copy = atomic_load(&device->lost) ? NULL : find_copy(device);
        if (copy != NULL) {
            make_copy(device, copy, &due);
        }
        if (due.reaches != NULL || due.items != NULL || copy != NULL) {
            (void)pthread_mutex_unlock(&device->mutex);
            vlk_deliver(device, &due);
            (void)pthread_mutex_lock(&device->mutex);
        } else if (device->retired < device->submitted) {
            wait_for_batch(device);
        } else if (device->stopping) {
            break;
        } else {
            (void)pthread_cond_wait(&device->work, &device->mutex);
        }
    }
    (void)pthread_mutex_unlock(&device->mutex);
    return NULL;
}
