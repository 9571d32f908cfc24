// SPDX-License-Identifier: Apache-2.0
// Opening a device and finding out, by trying, what its memory and fences can do.
#include "loader/device_call.h"

#include "base/error.h"

#include <string.h>

static tn_status read_heaps(tni_device *device, tn_device *handle, tn_error *error) {
    device->heap_count = device->info.heap_count;
    for (uint32_t heap = 0; heap < device->heap_count; heap++) {
        tn_heap_info *info = &device->heaps[heap];
        memset(info, 0, sizeof(*info));
        info->struct_size = sizeof(*info);
        info->struct_type = TN_STRUCT_HEAP_INFO;
        tn_status status = device->plugin->memory.heap_info(handle, heap, info, error);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Whether memory in whole pages satisfies a heap's import rule; 0 means that it imports nothing.
static bool page_fits(uint64_t multiple_bytes) {
    return multiple_bytes != 0 && TNI_MAX_ALIGNMENT % multiple_bytes == 0;
}

// Imports a page of host memory into each heap that says it can, so that a driver that refuses is
// found out here and not in the middle of a run.
static tn_status try_import(tni_device *device, tn_device *handle, tn_error *error) {
    const tn_memory_interface *memory = &device->plugin->memory;
    tn_status status = TN_OK;
    void *page = tni_alloc_bytes(&device->plugin->alloc, TNI_MAX_ALIGNMENT, TNI_MAX_ALIGNMENT);
    if (page == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a page to try an import with");
    }
    device->imports_host = false;
    for (uint32_t heap = 0; heap < device->heap_count && !device->imports_host; heap++) {
        const tn_heap_info *info = &device->heaps[heap];
        if (!page_fits(info->import_alignment_bytes) ||
            !page_fits(info->import_granularity_bytes)) {
            continue;
        }
        tn_memory_import_info import = {
            .struct_size = sizeof(import),
            .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
            .heap = heap,
            .access = TN_ACCESS_READ | TN_ACCESS_WRITE,
            .pointer = page,
            .size_bytes = TNI_MAX_ALIGNMENT,
        };
        tn_memory *imported = NULL;
        status = memory->memory_import(handle, &import, &imported, error);
        status = tni_device_made(device, status, imported, "memory_import", error);
        if (status == TN_OK) {
            memory->memory_free(imported);
            device->imports_host = true;
            device->import_heap = heap;
        } else if (status != TN_ERROR_UNSUPPORTED) {
            break;
        }
        status = TN_OK;
    }
    tni_free_aligned(&device->plugin->alloc, page, TNI_MAX_ALIGNMENT, TNI_MAX_ALIGNMENT);
    return status;
}

static void note_reached(void *user_data, tn_status status) {
    *(tn_status *)user_data = status;
}

static tn_status try_fences(tni_device *device, tn_device *handle, tn_error *error) {
    const tn_sync_interface *sync = &device->plugin->sync;
    device->fence_caps.struct_size = sizeof(device->fence_caps);
    device->fence_caps.struct_type = TN_STRUCT_FENCE_CAPS;
    tn_status status = sync->fence_caps(handle, &device->fence_caps, error);
    if (status != TN_OK) {
        return status;
    }
    tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, 1};
    tn_fence *fence = NULL;
    status = sync->fence_create(handle, &info, &fence, error);
    status = tni_device_made(device, status, fence, "fence_create", error);
    if (status != TN_OK) {
        return status;
    }
    // Asked for a value that is reached already; "called exactly once, at the latest by destroy".
    tn_status seen = TN_OK;
    tn_status asked = sync->fence_on_reach(fence, 1, note_reached, &seen, NULL);
    device->notifies = asked == TN_OK;
    sync->fence_destroy(fence);
    return asked == TN_OK || asked == TN_ERROR_UNIMPLEMENTED
               ? TN_OK
               : tni_fail(error, asked, "device.fence", "%s: fence_on_reach failed with %s",
                          device->id, tni_status_name(asked));
}

static tn_status open_and_try(tni_device *device, tn_error *error) {
    tn_device_open_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
        .device_index = device->index,
    };
    tn_device *handle = NULL;
    tn_status status =
        device->plugin->core.device_open(device->plugin->handle, &info, &handle, error);
    status = tni_device_made(device, status, handle, "device_open", error);
    if (status != TN_OK) {
        return status;
    }
    status = read_heaps(device, handle, error);
    if (status == TN_OK) {
        status = try_import(device, handle, error);
    }
    if (status == TN_OK) {
        status = try_fences(device, handle, error);
    }
    if (status == TN_OK && tni_device_is(device, TN_DEVICE_HOST_MEMORY) && !device->imports_host) {
        status = tni_fail(error, TN_ERROR_INVALID_DATA, "device.host-memory",
                          "%s computes in host memory but cannot import it (ABI-60)", device->id);
    }
    if (status != TN_OK) {
        device->plugin->core.device_close(handle);
        return status;
    }
    device->handle = handle;
    return TN_OK;
}

typedef struct opening {
    tni_device *device;
    tn_error *error;
    tn_status status;
} opening;

static void run_opening(void *user_data) {
    opening *o = user_data;
    o->status = open_and_try(o->device, o->error);
}

static tn_status open_with_worker(tni_device *device, tn_error *error) {
    if (tni_device_needs_worker(device)) {
        tn_status status =
            tni_worker_create(&device->plugin->alloc, device->info.name, &device->worker);
        if (status != TN_OK) {
            return tni_fail_plain(error, status, "a device's thread");
        }
    }
    opening o = {.device = device, .error = error};
    tni_device_call(device, run_opening, &o);
    if (o.status != TN_OK) {
        tni_worker_destroy(device->worker);
        device->worker = NULL;
    }
    return o.status;
}

tn_status tni_device_open(tni_device *device, tn_error *error) {
    tn_status lost = atomic_load(&device->lost);
    if (lost != TN_OK) {
        return tni_fail(error, lost, "device.lost", "%s is lost", device->id);
    }
    // No plugin is called under a lock of ours: one thread opens, the others wait for it.
    tn_status status = TN_OK;
    tni_mutex_lock(&device->open_mutex);
    while (device->opening) {
        tni_cond_wait(&device->open_done, &device->open_mutex);
    }
    if (device->handle == NULL) {
        device->opening = true;
        tni_mutex_unlock(&device->open_mutex);
        status = open_with_worker(device, error);
        tni_mutex_lock(&device->open_mutex);
        device->opening = false;
        tni_cond_broadcast(&device->open_done);
    }
    tni_mutex_unlock(&device->open_mutex);
    return tni_device_note(device, status);
}

static void run_close(void *user_data) {
    const tni_device *device = user_data;
    device->plugin->core.device_close(device->handle);
}

void tni_device_close(tni_device *device) {
    if (device->handle != NULL && device->worker != NULL) {
        tni_worker_call(device->worker, run_close, device); // behind whatever it still does
    } else if (device->handle != NULL) {
        run_close(device);
    }
    device->handle = NULL;
    tni_worker_destroy(device->worker);
    device->worker = NULL;
}

tn_status tni_device_note(tni_device *device, tn_status status) {
    if (status == TN_ERROR_DEVICE_LOST) {
        atomic_store(&device->lost, TN_ERROR_DEVICE_LOST);
    }
    return status;
}

tn_status tni_device_made(tni_device *device, tn_status status, const void *object,
                          const char *what, tn_error *error) {
    if (status == TN_OK && object == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "device.null",
                        "%s: %s returned OK and no object (ABI-28)", device->id, what);
    }
    return tni_device_note(device, status);
}
