// SPDX-License-Identifier: Apache-2.0
// The proxy's memory. Host pointers do not cross: imports and maps are refused, and copies stage
// their host end in a slot of the shared mapping.
#include "host.h"

#include <string.h>

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    proxy_frame *frame = proxy_begin(device->plugin, PROXY_HEAP_INFO, device->id);
    frame->value[0] = heap;
    tn_status status = proxy_send(device->plugin, error);
    if (status == TN_OK) {
        tn_helper_copy_out(out_info, &frame->u.heap_info, sizeof(frame->u.heap_info));
    }
    proxy_end(device->plugin);
    return status;
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    tn_plugin *plugin = device->plugin;
    *out_memory = NULL;
    tn_memory *memory = tn_helper_alloc(&plugin->host, sizeof(*memory));
    if (memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_MEMORY_ALLOC, device->id);
    frame->u.memory_alloc = *info;
    tn_status status = proxy_send(plugin, error);
    *memory = (tn_memory){plugin, frame->result};
    proxy_end(plugin);
    if (status != TN_OK) {
        tn_helper_free(&plugin->host, memory, sizeof(*memory));
        return status;
    }
    *out_memory = memory;
    return TN_OK;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    if (info->pointer == NULL || info->size_bytes == 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "proxy: nothing to import");
    }
    if (atomic_load(&device->plugin->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone");
    }
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "proxy: pointers do not cross");
}

static void memory_free(tn_memory *memory) {
    if (memory != NULL) {
        tn_plugin *plugin = memory->plugin;
        (void)proxy_call(plugin, PROXY_MEMORY_FREE, memory->id, 0, NULL);
        tn_helper_free(&plugin->host, memory, sizeof(*memory));
    }
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    (void)offset_bytes;
    (void)size_bytes;
    *out_pointer = NULL;
    return atomic_load(&memory->plugin->lost)
               ? tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone")
               : tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "proxy: not host-visible");
}

static void memory_unmap(tn_memory *memory) {
    (void)memory; // nothing was ever mapped
}

static tn_status cpu_access(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            tn_access access, tn_error *error) {
    (void)offset_bytes;
    (void)size_bytes;
    (void)access;
    return atomic_load(&memory->plugin->lost)
               ? tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone")
               : tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "proxy: not mapped");
}

static void put_end(proxy_copy_end *out_end, const tn_copy_end *end, uint64_t slot_offset) {
    *out_end = end->memory != NULL ? (proxy_copy_end){end->memory->id, 0, end->offset_bytes}
                                   : (proxy_copy_end){0, 0, slot_offset};
}

static tn_status call_copy(tn_device *device, const tn_copy_info *info, uint64_t slot_offset,
                           tn_error *error) {
    proxy_frame *frame = proxy_begin(device->plugin, PROXY_COPY, device->id);
    put_end(&frame->source, &info->source, slot_offset);
    put_end(&frame->destination, &info->destination, slot_offset);
    frame->value[0] = info->size_bytes;
    frame->value[1] = info->correlation_id;
    bool fits =
        proxy_put_points(frame->waits, &frame->wait_count, info->waits, info->wait_count) &&
        proxy_put_points(frame->signals, &frame->signal_count, info->signals, info->signal_count);
    tn_status status = fits ? proxy_send(device->plugin, error)
                            : tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "proxy: points");
    proxy_end(device->plugin);
    return status;
}

// Runs without locks on a slot in flight.
static tn_status start_slot(tn_plugin *plugin, const proxy_slot *slot, uint32_t index,
                            tn_error *error) {
    unsigned char *staged = plugin->shared->slots[index];
    if (slot->upload) {
        memcpy(staged,
               (const unsigned char *)slot->info.source.pointer + slot->info.source.offset_bytes,
               slot->info.size_bytes);
    }
    uint64_t offset = (uint64_t)(staged - (unsigned char *)plugin->shared);
    return call_copy(slot->device, &slot->info, offset, error);
}

static void free_slot(tn_plugin *plugin, uint32_t index) {
    pthread_mutex_lock(&plugin->state_mutex);
    plugin->slots[index].state = PROXY_SLOT_FREE;
    pthread_mutex_unlock(&plugin->state_mutex);
}

static bool all_reached(const tn_copy_info *info) {
    for (uint64_t i = 0; i < info->wait_count; i++) {
        if (!proxy_point_reached(&info->waits[i])) {
            return false;
        }
    }
    return true;
}

// Fences of a copy that another thread is starting are not freed meanwhile: destroy waits.
// state_mutex is held.
static void pin_fences(const tn_copy_info *info, bool pin) {
    for (uint64_t i = 0; i < info->wait_count; i++) {
        info->waits[i].fence->notifying += pin ? 1 : UINT32_MAX;
    }
    for (uint64_t i = 0; i < info->signal_count; i++) {
        info->signals[i].fence->notifying += pin ? 1 : UINT32_MAX;
    }
}

// Takes a copy of a deferred slot that may start and is in flight from now on, its fences pinned.
// Its index, or PROXY_SLOTS.
static uint32_t take_deferred(tn_plugin *plugin, proxy_slot *out_slot) {
    uint32_t index = 0;
    pthread_mutex_lock(&plugin->state_mutex);
    while (index < PROXY_SLOTS && (plugin->slots[index].state != PROXY_SLOT_DEFERRED ||
                                   !all_reached(&plugin->slots[index].info))) {
        index++;
    }
    if (index < PROXY_SLOTS) {
        plugin->slots[index].state = PROXY_SLOT_FLIGHT;
        *out_slot = plugin->slots[index];
        out_slot->info.waits = out_slot->waits;
        out_slot->info.signals = out_slot->signals;
        pin_fences(&out_slot->info, true);
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    return index;
}

void proxy_start_deferred(tn_plugin *plugin) {
    proxy_slot slot;
    for (uint32_t i = take_deferred(plugin, &slot); i < PROXY_SLOTS;
         i = take_deferred(plugin, &slot)) {
        tn_status status = start_slot(plugin, &slot, i, NULL);
        if (status != TN_OK) {
            free_slot(plugin, i);
        }
        // copy returned TN_OK long ago: a failure is told by the signals.
        for (uint64_t k = 0; k < slot.info.signal_count && status != TN_OK; k++) {
            (void)proxy_sync_table.fence_fail(slot.signals[k].fence, status, NULL);
        }
        pthread_mutex_lock(&plugin->state_mutex);
        pin_fences(&slot.info, false);
        pthread_cond_broadcast(&plugin->state_cond);
        pthread_mutex_unlock(&plugin->state_mutex);
    }
}

void proxy_drop_deferred(tn_plugin *plugin) {
    for (uint32_t i = 0; i < PROXY_SLOTS; i++) {
        if (plugin->slots[i].state == PROXY_SLOT_DEFERRED) {
            plugin->slots[i].state = PROXY_SLOT_FREE;
        }
    }
}

void proxy_finish_slots(tn_fence *fence) {
    tn_plugin *plugin = fence->device->plugin;
    for (uint32_t i = 0; i < PROXY_SLOTS; i++) {
        proxy_slot *slot = &plugin->slots[i];
        for (uint64_t k = 0; k < slot->info.signal_count; k++) {
            const tn_fence_point *signal = &slot->signals[k];
            if (slot->state != PROXY_SLOT_FLIGHT || signal->fence != fence ||
                !proxy_point_reached(signal)) {
                continue;
            }
            if (!slot->upload && fence->failed == TN_OK) {
                memcpy((unsigned char *)slot->info.destination.pointer +
                           slot->info.destination.offset_bytes,
                       plugin->shared->slots[i], slot->info.size_bytes);
            }
            slot->state = PROXY_SLOT_FREE;
        }
    }
}

static uint32_t take_slot(tn_device *device, const tn_copy_info *info, bool *out_deferred) {
    tn_plugin *plugin = device->plugin;
    uint32_t index = 0;
    pthread_mutex_lock(&plugin->state_mutex);
    // Looked at under the lock: nothing may be deferred once the deferred were dropped.
    if (atomic_load(&plugin->lost)) {
        index = PROXY_SLOTS;
    }
    while (index < PROXY_SLOTS && plugin->slots[index].state != PROXY_SLOT_FREE) {
        index++;
    }
    if (index < PROXY_SLOTS) {
        proxy_slot *slot = &plugin->slots[index];
        slot->device = device;
        slot->upload = info->source.memory == NULL;
        slot->info = *info;
        for (uint64_t i = 0; i < info->wait_count; i++) {
            slot->waits[i] = info->waits[i];
        }
        for (uint64_t i = 0; i < info->signal_count; i++) {
            slot->signals[i] = info->signals[i];
        }
        slot->info.waits = slot->waits;
        slot->info.signals = slot->signals;
        // The source may change until the waits are reached. A device must allow waits for what is
        // not submitted yet; those of the fake do.
        *out_deferred = slot->upload && !all_reached(info);
        slot->state = *out_deferred ? PROXY_SLOT_DEFERRED : PROXY_SLOT_FLIGHT;
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    return index;
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    if (info->source.memory != NULL && info->destination.memory != NULL) {
        return call_copy(device, info, 0, error);
    }
    if (info->source.memory == NULL && info->destination.memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "proxy: two host pointers");
    }
    if (atomic_load(&device->plugin->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone");
    }
    if (info->size_bytes > PROXY_SLOT_BYTES || info->wait_count > PROXY_MAX_POINTS ||
        info->signal_count > PROXY_MAX_POINTS || info->signal_count == 0) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "proxy: does not fit a slot");
    }
    bool deferred = false;
    uint32_t index = take_slot(device, info, &deferred);
    if (index == PROXY_SLOTS && atomic_load(&device->plugin->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone");
    }
    if (index == PROXY_SLOTS) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no slot is free");
    }
    if (deferred) {
        return TN_OK;
    }
    // Not the slot itself: once the copy is under way that may be another's.
    const proxy_slot started = {
        .upload = info->source.memory == NULL, .device = device, .info = *info};
    tn_status status = start_slot(device->plugin, &started, index, error);
    if (status != TN_OK) {
        free_slot(device->plugin, index);
    }
    return status;
}

const tn_memory_interface proxy_memory_table = {
    .base = TN_HELPER_BASE(tn_memory_interface, TN_DIGEST_MEMORY),
    .heap_info = heap_info,
    .memory_alloc = memory_alloc,
    .memory_import = memory_import,
    .memory_free = memory_free,
    .memory_map = memory_map,
    .memory_unmap = memory_unmap,
    .cpu_begin = cpu_access,
    .cpu_end = cpu_access,
    .copy = copy,
};
