// SPDX-License-Identifier: Apache-2.0
// The fake plugin's memory: blocks the host cannot map, imports for devices in host memory, and
// copies through the device's queue.
#include "fake.h"

#include <string.h>

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    (void)heap;
    (void)error;
    fake_enter(device);
    bool host = fake_uses_host_memory(device);
    out_info->flags =
        host ? TN_HEAP_HOST_VISIBLE | TN_HEAP_COHERENT | TN_HEAP_HOST_MEMORY : TN_HEAP_DEVICE_LOCAL;
    out_info->size_bytes = fake_device(device->index)->heap_bytes;
    out_info->max_alloc_bytes = 1u << 30;
    out_info->min_alignment_bytes = 16;
    out_info->granularity_bytes = 1;
    out_info->import_alignment_bytes = host ? 1 : 0;
    out_info->import_granularity_bytes = host ? 1 : 0;
    return TN_OK;
}

static tn_status make(tn_device *device, void *data, uint64_t size_bytes, bool imported,
                      tn_memory **out_memory, tn_error *error) {
    const tn_helper_host *host = &device->plugin->host;
    *out_memory = NULL;
    fake_enter(device);
    tn_memory *memory = tn_helper_alloc(host, sizeof(*memory));
    if (memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    *memory = (tn_memory){device, data, size_bytes, imported};
    if (!imported) {
        memory->data = tn_helper_alloc(host, size_bytes);
        if (memory->data == NULL) {
            tn_helper_free(host, memory, sizeof(*memory));
            return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
        }
        // What is not written first is not zero on a real device either.
        memset(memory->data, 0xa5, size_bytes);
    }
    fake_lock();
    fake_device(device->index)->memory_count++;
    fake_unlock();
    *out_memory = memory;
    return TN_OK;
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    return make(device, NULL, info->size_bytes, false, out_memory, error);
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    if (!fake_uses_host_memory(device)) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "fake: no import");
    }
    return make(device, info->pointer, info->size_bytes, true, out_memory, error);
}

static void memory_free(tn_memory *memory) {
    if (memory == NULL) {
        return;
    }
    const tn_helper_host *host = &memory->device->plugin->host;
    fake_enter(memory->device);
    fake_lock();
    fake_device(memory->device->index)->memory_count--;
    fake_unlock();
    if (!memory->imported) {
        tn_helper_free(host, memory->data, memory->size_bytes);
    }
    tn_helper_free(host, memory, sizeof(*memory));
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    (void)size_bytes;
    *out_pointer = NULL;
    if (!fake_uses_host_memory(memory->device)) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "fake: not host-visible");
    }
    *out_pointer = memory->data + offset_bytes;
    return TN_OK;
}

static void memory_unmap(tn_memory *memory) {
    (void)memory;
}

static tn_status cpu_access(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            tn_access access, tn_error *error) {
    (void)memory;
    (void)offset_bytes;
    (void)size_bytes;
    (void)access;
    (void)error;
    return TN_OK;
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    fake_enter(device);
    fake_lock();
    fake_job *job = fake_queue_copy_job(device);
    if (job == NULL ||
        !fake_set_points(job, info->waits, info->wait_count, info->signals, info->signal_count)) {
        fake_unlock();
        return tn_helper_fail(error, TN_ERROR_BUSY, NULL, "fake: too many copies");
    }
    job->context = NULL;
    job->copy = *info;
    fake_device(device->index)->copy_count++;
    fake_device(device->index)->copy_bytes += info->size_bytes;
    fake_queue_push(device, job);
    fake_unlock();
    return TN_OK;
}

const tn_memory_interface fake_memory_table = {
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
