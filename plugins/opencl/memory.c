// SPDX-License-Identifier: Apache-2.0
// Heaps. A CPU device has two: host memory, which the driver uses in place, and buffers of the
// driver's. Any other device has only the second.
#include "opencl.h"

#include <string.h>

const tn_helper_host *gpu_device_host(const tn_device *device) {
    return &device->plugin->host;
}

uint32_t gpu_device_heap_count(const tn_device *device) {
    return device->shares_host ? 2u : 1u;
}

static uint32_t is_host_heap(const tn_device *device, uint32_t heap) {
    return device->shares_host && heap == 0;
}

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    tn_heap_info info;
    memset(&info, 0, sizeof(info));
    if (heap >= gpu_device_heap_count(device)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "there is no heap %u", heap);
    }
    info.max_alloc_bytes = device->max_alloc_bytes;
    info.min_alignment_bytes = OCL_HEAP_ALIGNMENT;
    info.granularity_bytes = OCL_HEAP_ALIGNMENT;
    if (is_host_heap(device, heap)) {
        info.flags = TN_HEAP_HOST_VISIBLE | TN_HEAP_COHERENT | TN_HEAP_CACHED | TN_HEAP_HOST_MEMORY;
        info.import_alignment_bytes = OCL_HEAP_ALIGNMENT;
        info.import_granularity_bytes = OCL_HEAP_ALIGNMENT;
    } else {
        info.flags = TN_HEAP_DEVICE_LOCAL | TN_HEAP_HOST_VISIBLE;
    }
    tn_helper_copy_out(out_info, &info, sizeof(info));
    return TN_OK;
}

static void destroy(tn_memory *memory) {
    const tn_helper_host *host = &memory->device->plugin->host;
    if (memory->buffer != NULL) {
        (void)clReleaseMemObject(memory->buffer);
    }
    if (memory->host_bytes > 0) {
        host->services->free(host->context, memory->host_pointer, memory->host_bytes, 4096);
    }
    (void)pthread_mutex_destroy(&memory->mutex);
    tn_helper_free(host, memory, sizeof(*memory));
}

static tn_status make(tn_device *device, uint64_t size_bytes, tn_memory **out_memory,
                      tn_error *error) {
    tn_memory *memory = tn_helper_alloc(&device->plugin->host, sizeof(*memory));
    *out_memory = NULL;
    if (memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a buffer");
    }
    memory->device = device;
    memory->size_bytes = size_bytes;
    if (pthread_mutex_init(&memory->mutex, NULL) != 0) {
        tn_helper_free(&device->plugin->host, memory, sizeof(*memory));
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no mutex for a buffer");
    }
    *out_memory = memory;
    return TN_OK;
}

static tn_status create_buffer(tn_memory *memory, tn_error *error) {
    cl_int code = CL_SUCCESS;
    cl_mem_flags flags =
        CL_MEM_READ_WRITE | (memory->host_pointer != NULL ? CL_MEM_USE_HOST_PTR : 0);
    memory->buffer = clCreateBuffer(memory->device->context, flags, memory->size_bytes,
                                    memory->host_pointer, &code);
    return memory->buffer != NULL ? TN_OK : ocl_fail(memory->device, error, code, "clCreateBuffer");
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    const tn_helper_host *host = &device->plugin->host;
    *out_memory = NULL;
    if (info->heap >= gpu_device_heap_count(device) || info->size_bytes == 0 ||
        info->size_bytes > device->max_alloc_bytes ||
        (info->alignment_bytes & (info->alignment_bytes - 1)) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "heap %u, %llu bytes: no such heap or size", info->heap,
                              (unsigned long long)info->size_bytes);
    }
    tn_memory *memory = NULL;
    tn_status status = make(device, info->size_bytes, &memory, error);
    if (status != TN_OK) {
        return status;
    }
    if (is_host_heap(device, info->heap)) {
        memory->host_pointer = host->services->alloc(host->context, info->size_bytes, 4096);
        memory->host_bytes = memory->host_pointer != NULL ? info->size_bytes : 0;
        status = memory->host_pointer != NULL
                     ? TN_OK
                     : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no host memory");
    }
    if (status == TN_OK) {
        status = create_buffer(memory, error);
    }
    if (status != TN_OK) {
        destroy(memory);
        return status;
    }
    *out_memory = memory;
    return TN_OK;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    if (info->pointer == NULL || info->size_bytes == 0 ||
        info->heap >= gpu_device_heap_count(device)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "an import needs memory and a heap of the device");
    }
    if (!is_host_heap(device, info->heap) || (uintptr_t)info->pointer % OCL_HEAP_ALIGNMENT != 0 ||
        info->size_bytes % OCL_HEAP_ALIGNMENT != 0) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "opencl.import",
                              "heap %u imports only whole multiples of %u bytes of host memory",
                              info->heap, OCL_HEAP_ALIGNMENT);
    }
    tn_memory *memory = NULL;
    tn_status status = make(device, info->size_bytes, &memory, error);
    if (status != TN_OK) {
        return status;
    }
    memory->host_pointer = info->pointer;
    status = create_buffer(memory, error);
    if (status != TN_OK) {
        destroy(memory);
        return status;
    }
    memory->release = info->release;
    memory->release_user_data = info->release_user_data;
    *out_memory = memory;
    return TN_OK;
}

static void memory_free(tn_memory *memory) {
    if (memory == NULL) {
        return;
    }
    tn_release_fn release = memory->release;
    void *user_data = memory->release_user_data;
    destroy(memory);
    if (release != NULL) {
        release(user_data);
    }
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    tn_status status = TN_OK;
    *out_pointer = NULL;
    if (size_bytes > memory->size_bytes || offset_bytes > memory->size_bytes - size_bytes) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "the range leaves the memory");
    }
    if (memory->host_pointer != NULL) {
        *out_pointer = (unsigned char *)memory->host_pointer + offset_bytes;
        return TN_OK;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    if (memory->map_count == 0) {
        cl_int code = CL_SUCCESS;
        memory->mapped = clEnqueueMapBuffer(memory->device->queue, memory->buffer, CL_TRUE,
                                            CL_MAP_READ | CL_MAP_WRITE, 0, memory->size_bytes, 0,
                                            NULL, NULL, &code);
        status = code == CL_SUCCESS ? TN_OK
                                    : ocl_fail(memory->device, error, code, "clEnqueueMapBuffer");
    }
    if (status == TN_OK) {
        memory->map_count++;
        *out_pointer = (unsigned char *)memory->mapped + offset_bytes;
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    return status;
}

static void memory_unmap(tn_memory *memory) {
    if (memory->host_pointer != NULL) {
        return;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    if (memory->map_count > 0 && --memory->map_count == 0) {
        cl_event done = NULL;
        if (clEnqueueUnmapMemObject(memory->device->queue, memory->buffer, memory->mapped, 0, NULL,
                                    &done) == CL_SUCCESS) {
            (void)clWaitForEvents(1, &done);
            (void)clReleaseEvent(done);
        }
        memory->mapped = NULL;
    }
    (void)pthread_mutex_unlock(&memory->mutex);
}

// Mapping the whole buffer, as memory_map does, is what makes caches agree in OpenCL.
static tn_status cpu_access(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            tn_access access, tn_error *error) {
    (void)access;
    if (size_bytes > memory->size_bytes || offset_bytes > memory->size_bytes - size_bytes) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "the range leaves the memory");
    }
    return memory->host_pointer != NULL || memory->map_count > 0
               ? TN_OK
               : tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "the memory is not mapped");
}

static uint32_t end_is_valid(const tn_copy_end *end, uint64_t size_bytes) {
    return end->memory == NULL ? end->pointer != NULL
                               : size_bytes <= end->memory->size_bytes &&
                                     end->offset_bytes <= end->memory->size_bytes - size_bytes;
}

static cl_int enqueue(tn_device *device, const tn_copy_info *info, const ocl_events *waits,
                      cl_event *out_done) {
    const cl_event *list = waits->count > 0 ? waits->events : NULL;
    const tn_copy_end *from = &info->source;
    const tn_copy_end *to = &info->destination;
    if (from->memory == NULL) {
        return clEnqueueWriteBuffer(device->queue, to->memory->buffer, CL_FALSE, to->offset_bytes,
                                    info->size_bytes,
                                    (const unsigned char *)from->pointer + from->offset_bytes,
                                    waits->count, list, out_done);
    }
    if (to->memory == NULL) {
        return clEnqueueReadBuffer(
            device->queue, from->memory->buffer, CL_FALSE, from->offset_bytes, info->size_bytes,
            (unsigned char *)to->pointer + to->offset_bytes, waits->count, list, out_done);
    }
    return clEnqueueCopyBuffer(device->queue, from->memory->buffer, to->memory->buffer,
                               from->offset_bytes, to->offset_bytes, info->size_bytes, waits->count,
                               list, out_done);
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    ocl_events waits;
    cl_event done = NULL;
    if ((info->source.memory == NULL && info->destination.memory == NULL) ||
        !end_is_valid(&info->source, info->size_bytes) ||
        !end_is_valid(&info->destination, info->size_bytes)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "a copy needs memory of the device and ranges inside it");
    }
    ocl_signals signals;
    tn_status status =
        ocl_signals_make(device, info->signals, info->signal_count, 0, &signals, error);
    if (status != TN_OK) {
        return status;
    }
    status = ocl_wait_events(device, info->waits, info->wait_count, 0, &waits, error);
    if (status == TN_OK) {
        cl_int code = enqueue(device, info, &waits, &done);
        status = code == CL_SUCCESS ? TN_OK : ocl_fail(device, error, code, "copy");
    }
    if (status == TN_OK) {
        (void)clFlush(device->queue);
        ocl_signals_attach(&signals, done);
        (void)clReleaseEvent(done);
    } else {
        ocl_signals_drop(&signals);
    }
    ocl_release_events(&waits);
    return status;
}

const tn_memory_interface ocl_memory_table = {
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
