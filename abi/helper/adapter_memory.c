// SPDX-License-Identifier: Apache-2.0
// Synchronous adapter: one heap of ordinary host memory, imports of any host pointer, copies.
#include "adapter.h"

#include <inttypes.h>
#include <string.h>

// The host's allocator takes alignments up to this.
#define MAX_ALIGNMENT_BYTES 4096u
#define DEFAULT_ALIGNMENT_BYTES 64u

static tn_status check_heap(uint32_t heap, tn_error *error) {
    return heap == 0 ? TN_OK
                     : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                                      "heap %u does not exist: the device has one", heap);
}

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    const tn_status status = check_heap(heap, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_heap_info info = {
        .flags = TN_HEAP_HOST_VISIBLE | TN_HEAP_COHERENT | TN_HEAP_CACHED | TN_HEAP_HOST_MEMORY,
        .size_bytes = device->memory_cap_bytes,
        .max_alloc_bytes = INT64_MAX,
        .min_alignment_bytes = 1,
        .granularity_bytes = 1,
        .import_alignment_bytes = 1,
        .import_granularity_bytes = 1,
    };
    tn_helper_copy_out(out_info, &info, (uint32_t)sizeof info);
    return TN_OK;
}

// Takes bytes out of the device's cap. Returns 0 when they do not fit.
static uint32_t reserve(tn_device *device, uint64_t size_bytes) {
    const uint64_t before = atomic_fetch_add(&device->allocated_bytes, size_bytes);
    const uint64_t cap = device->memory_cap_bytes;
    if (cap != 0 && (before > cap || size_bytes > cap - before)) {
        (void)atomic_fetch_sub(&device->allocated_bytes, size_bytes);
        return 0;
    }
    return 1;
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    tn_memory_alloc_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    const tn_status status = check_heap(read.heap, error);
    if (status != TN_OK) {
        return status;
    }
    const uint64_t alignment =
        read.alignment_bytes == 0 ? DEFAULT_ALIGNMENT_BYTES : read.alignment_bytes;
    if (read.size_bytes == 0 || read.size_bytes > INT64_MAX || alignment > MAX_ALIGNMENT_BYTES ||
        (alignment & (alignment - 1)) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "%" PRIu64 " bytes at alignment %" PRIu64, read.size_bytes,
                              alignment);
    }
    if (!reserve(device, read.size_bytes)) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, "memory.cap",
                              "%" PRIu64 " bytes exceed the device's cap of %" PRIu64,
                              read.size_bytes, device->memory_cap_bytes);
    }
    const tn_helper_host *host = tni_adapter_host(device);
    tn_memory *memory = tn_helper_alloc(host, sizeof *memory);
    void *data =
        memory == NULL ? NULL : host->services->alloc(host->context, read.size_bytes, alignment);
    if (data == NULL) {
        tn_helper_free(host, memory, sizeof *memory);
        (void)atomic_fetch_sub(&device->allocated_bytes, read.size_bytes);
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "%" PRIu64 " bytes: no memory",
                              read.size_bytes);
    }
    *memory = (tn_memory){.device = device,
                          .data = data,
                          .size_bytes = read.size_bytes,
                          .alignment_bytes = alignment,
                          .access = TN_ACCESS_READ | TN_ACCESS_WRITE};
    *out_memory = memory;
    return TN_OK;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    tn_memory_import_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    const tn_status status = check_heap(read.heap, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_access all = TN_ACCESS_READ | TN_ACCESS_WRITE;
    if (read.pointer == NULL || read.size_bytes == 0 || read.size_bytes > INT64_MAX ||
        (read.access & all) == 0 || (read.access & ~all) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "import of a null pointer, of %" PRIu64 " bytes or of access %u",
                              read.size_bytes, read.access);
    }
    tn_memory *memory = tn_helper_alloc(tni_adapter_host(device), sizeof *memory);
    if (memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "import: no memory");
    }
    *memory = (tn_memory){.device = device,
                          .data = read.pointer,
                          .size_bytes = read.size_bytes,
                          .access = read.access,
                          .release = read.release,
                          .release_user_data = read.release_user_data};
    *out_memory = memory;
    return TN_OK;
}

static void memory_free(tn_memory *memory) {
    if (memory == NULL) {
        return;
    }
    const tn_helper_host *host = tni_adapter_host(memory->device);
    if (memory->alignment_bytes != 0) {
        host->services->free(host->context, memory->data, memory->size_bytes,
                             memory->alignment_bytes);
        (void)atomic_fetch_sub(&memory->device->allocated_bytes, memory->size_bytes);
    } else if (memory->release != NULL) {
        // All work is done before submit returns, so nothing can touch the memory any more
        // (ABI-63).
        memory->release(memory->release_user_data);
    }
    tn_helper_free(host, memory, sizeof *memory);
}

static tn_status check_range(const tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                             tn_error *error) {
    if (offset_bytes > memory->size_bytes || size_bytes > memory->size_bytes - offset_bytes) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "memory.range",
                              "%" PRIu64 " bytes at %" PRIu64 " leave a memory of %" PRIu64
                              " bytes",
                              size_bytes, offset_bytes, memory->size_bytes);
    }
    return TN_OK;
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    *out_pointer = NULL;
    const tn_status status = check_range(memory, offset_bytes, size_bytes, error);
    if (status == TN_OK) {
        *out_pointer = memory->data + offset_bytes;
    }
    return status;
}

static void memory_unmap(tn_memory *memory) {
    (void)memory;
}

// The heap is coherent: a bracket only checks its arguments.
static tn_status cpu_bracket(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                             tn_access access, tn_error *error) {
    if (access == 0 || (access & ~(TN_ACCESS_READ | TN_ACCESS_WRITE)) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "access %u", access);
    }
    return check_range(memory, offset_bytes, size_bytes, error);
}

// The address of one end of a copy, checked; null on failure.
static unsigned char *copy_address(const tn_copy_end *end, uint64_t size_bytes, tn_access access,
                                   tn_error *error) {
    if (end->memory == NULL) {
        if (end->pointer == NULL) {
            (void)tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "copy without an end");
            return NULL;
        }
        return (unsigned char *)end->pointer + end->offset_bytes;
    }
    if ((end->memory->access & access) == 0) {
        (void)tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                             "copy against the access the memory was imported for");
        return NULL;
    }
    if (check_range(end->memory, end->offset_bytes, size_bytes, error) != TN_OK) {
        return NULL;
    }
    return end->memory->data + end->offset_bytes;
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    (void)device;
    tn_copy_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    if (read.source.memory == NULL && read.destination.memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "both ends of the copy are host pointers");
    }
    const unsigned char *from = copy_address(&read.source, read.size_bytes, TN_ACCESS_READ, error);
    unsigned char *to =
        from == NULL ? NULL
                     : copy_address(&read.destination, read.size_bytes, TN_ACCESS_WRITE, error);
    if (to == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const uintptr_t from_address = (uintptr_t)from;
    const uintptr_t to_address = (uintptr_t)to;
    if (from_address < to_address + read.size_bytes &&
        to_address < from_address + read.size_bytes) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "the ranges overlap");
    }
    const tn_status status = tni_adapter_check_points(read.waits, read.wait_count, read.signals,
                                                      read.signal_count, error);
    if (status != TN_OK) {
        return status;
    }
    if (read.size_bytes != 0) {
        memcpy(to, from, read.size_bytes);
    }
    tni_adapter_complete(read.signals, read.signal_count, TN_OK, NULL);
    return TN_OK;
}

const tn_memory_interface tni_adapter_memory = {
    .base = TN_HELPER_BASE(tn_memory_interface, TN_DIGEST_MEMORY),
    .heap_info = heap_info,
    .memory_alloc = memory_alloc,
    .memory_import = memory_import,
    .memory_free = memory_free,
    .memory_map = memory_map,
    .memory_unmap = memory_unmap,
    .cpu_begin = cpu_bracket,
    .cpu_end = cpu_bracket,
    .copy = copy,
};
