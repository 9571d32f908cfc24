// SPDX-License-Identifier: Apache-2.0
// The layer's "memory" table.
#include "layer.h"

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    layer_call call;
    layer_guard guard;
    layer_check_struct(out_info, TN_STRUCT_HEAP_INFO, "heap_info");
    tn_heap_info *info = layer_guard_open(&guard, out_info, "heap_info");
    layer_enter(&call, "heap_info", NULL, true);
    tn_status status = device->plugin->memory->heap_info(device->inner, heap, info, error);
    (void)layer_leave(&call, status, error, NULL);
    layer_guard_close(&guard, "heap_info");
    return status;
}

static tn_memory *wrap(tn_device *device, tn_memory *inner, uint64_t size_bytes) {
    tn_memory *memory = layer_new(sizeof(*memory), "memory", &device->handle);
    memory->inner = inner;
    memory->device = device;
    memory->size_bytes = size_bytes;
    return memory;
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    layer_call call;
    tn_memory *inner = NULL;
    layer_check_struct(info, TN_STRUCT_MEMORY_ALLOC_INFO, "memory_alloc");
    layer_enter(&call, "memory_alloc", NULL, false);
    tn_status status = device->plugin->memory->memory_alloc(device->inner, info, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    *out_memory = status == TN_OK ? wrap(device, inner, info->size_bytes) : NULL;
    return status;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    layer_call call;
    tn_memory *inner = NULL;
    layer_check_struct(info, TN_STRUCT_MEMORY_IMPORT_INFO, "memory_import");
    layer_enter(&call, "memory_import", NULL, false);
    tn_status status = device->plugin->memory->memory_import(device->inner, info, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    if (status == TN_ERROR_UNSUPPORTED && (device->flags & TN_DEVICE_HOST_MEMORY) != 0) {
        layer_violation("ABI-60: a device in host memory refuses to import it");
    }
    *out_memory = status == TN_OK ? wrap(device, inner, info->size_bytes) : NULL;
    return status;
}

static void memory_free(tn_memory *memory) {
    if (memory != NULL && layer_end(&memory->handle, "memory_free")) {
        if (memory->maps != 0) {
            layer_violation("memory_free: %u maps have not ended", memory->maps);
        }
        memory->device->plugin->memory->memory_free(memory->inner);
    }
}

static bool in_range(const tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes) {
    return size_bytes <= memory->size_bytes && offset_bytes <= memory->size_bytes - size_bytes;
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    layer_call call;
    if (!layer_check(&memory->handle, "memory", "memory_map")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    layer_enter(&call, "memory_map", NULL, false);
    tn_status status = memory->device->plugin->memory->memory_map(memory->inner, offset_bytes,
                                                                  size_bytes, out_pointer, error);
    status = layer_leave(&call, status, error, (void *const *)out_pointer);
    if (status == TN_OK && !in_range(memory, offset_bytes, size_bytes)) {
        layer_violation("memory_map gave a range outside the memory");
    }
    memory->maps += status == TN_OK;
    return status;
}

static void memory_unmap(tn_memory *memory) {
    if (layer_check(&memory->handle, "memory", "memory_unmap")) {
        if (memory->maps == 0) {
            layer_violation("memory_unmap without a map");
        } else {
            memory->maps--;
        }
        memory->device->plugin->memory->memory_unmap(memory->inner);
    }
}

static tn_status cpu_begin(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                           tn_access access, tn_error *error) {
    return memory->device->plugin->memory->cpu_begin(memory->inner, offset_bytes, size_bytes,
                                                     access, error);
}

static tn_status cpu_end(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                         tn_access access, tn_error *error) {
    return memory->device->plugin->memory->cpu_end(memory->inner, offset_bytes, size_bytes, access,
                                                   error);
}

static bool translate(tn_copy_end *end, tn_device *device, uint64_t size_bytes) {
    if (end->memory == NULL) {
        return true;
    }
    if (!layer_check(&end->memory->handle, "memory", "copy")) {
        return false;
    }
    if (end->memory->device != device || !in_range(end->memory, end->offset_bytes, size_bytes)) {
        layer_violation("copy: memory of another device, or a range outside it");
        return false;
    }
    end->memory = end->memory->inner;
    return true;
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    layer_call call;
    tn_fence_point waits[LAYER_MAX_POINTS];
    tn_fence_point signals[LAYER_MAX_POINTS];
    layer_check_struct(info, TN_STRUCT_COPY_INFO, "copy");
    tn_copy_info own = *info;
    if (!translate(&own.source, device, info->size_bytes) ||
        !translate(&own.destination, device, info->size_bytes) ||
        !layer_points(info->waits, info->wait_count, false, device, waits, "copy") ||
        !layer_points(info->signals, info->signal_count, true, device, signals, "copy")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    own.waits = waits;
    own.signals = signals;
    layer_enter(&call, "copy", NULL, false);
    tn_status status = device->plugin->memory->copy(device->inner, &own, error);
    (void)layer_leave(&call, status, error, NULL);
    return status;
}

const tn_memory_interface layer_memory = {
    .base = {sizeof(tn_memory_interface), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0, 0},
    .heap_info = heap_info,
    .memory_alloc = memory_alloc,
    .memory_import = memory_import,
    .memory_free = memory_free,
    .memory_map = memory_map,
    .memory_unmap = memory_unmap,
    .cpu_begin = cpu_begin,
    .cpu_end = cpu_end,
    .copy = copy,
};
