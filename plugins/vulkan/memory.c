// SPDX-License-Identifier: Apache-2.0
// Heaps: on CPU devices that import it, host memory; then the driver's own, which is always mapped.
// Copies with a host pointer are made by the watcher, the others by the queue.
#include "vlk.h"

#include <string.h>

const tn_helper_host *gpu_device_host(const tn_device *device) {
    return &device->plugin->host;
}

uint32_t gpu_device_heap_count(const tn_device *device) {
    return 1u + vlk_shares_host(&device->traits);
}

static uint32_t is_host_heap(const tn_device *device, uint32_t heap) {
    return vlk_shares_host(&device->traits) && heap == 0;
}

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    const vlk_traits *traits = &device->traits;
    tn_heap_info info;
    memset(&info, 0, sizeof(info));
    if (heap >= gpu_device_heap_count(device)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "there is no heap %u", heap);
    }
    info.flags = TN_HEAP_HOST_VISIBLE | TN_HEAP_COHERENT;
    info.max_alloc_bytes = traits->memory_bytes;
    info.min_alignment_bytes = 64;
    info.granularity_bytes = 64;
    if (is_host_heap(device, heap)) {
        info.flags |= TN_HEAP_CACHED | TN_HEAP_HOST_MEMORY;
        info.import_alignment_bytes = traits->import_alignment;
        info.import_granularity_bytes = traits->import_alignment;
    } else {
        info.size_bytes = traits->memory_bytes;
        info.flags |= (traits->memory_flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0
                          ? TN_HEAP_DEVICE_LOCAL
                          : 0u;
        info.flags |=
            (traits->memory_flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0 ? TN_HEAP_CACHED : 0u;
    }
    tn_helper_copy_out(out_info, &info, sizeof(info));
    return TN_OK;
}

static void destroy(tn_memory *memory) {
    tn_device *device = memory->device;
    const tn_helper_host *host = &device->plugin->host;
    vkDestroyBuffer(device->handle, memory->buffer, NULL);
    vkFreeMemory(device->handle, memory->memory, NULL); // unmaps as well
    if (memory->host_pointer != NULL) {
        host->services->free(host->context, memory->host_pointer, memory->host_bytes,
                             VLK_HOST_ALIGNMENT);
    }
    atomic_fetch_sub(&device->memory_used_bytes, memory->counted_bytes);
    tn_helper_free(host, memory, sizeof(*memory));
}

static tn_status make(tn_device *device, uint64_t size_bytes, uint64_t counted_bytes,
                      tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    tn_memory *memory = tn_helper_alloc(&device->plugin->host, sizeof(*memory));
    if (memory == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a buffer");
    }
    memory->device = device;
    memory->size_bytes = size_bytes;
    memory->id = atomic_fetch_add(&device->last_memory_id, 1) + 1;
    memory->counted_bytes = counted_bytes;
    uint64_t used = atomic_fetch_add(&device->memory_used_bytes, counted_bytes);
    uint64_t cap = device->memory_cap_bytes;
    if (counted_bytes > 0 && cap > 0 && (used > cap || counted_bytes > cap - used)) {
        destroy(memory);
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, "vulkan.cap",
                              "%llu bytes are beyond the cap of %llu",
                              (unsigned long long)counted_bytes, (unsigned long long)cap);
    }
    *out_memory = memory;
    return TN_OK;
}

static tn_status make_buffer(tn_memory *memory, uint32_t imported, tn_error *error) {
    const VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
        .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
    };
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .pNext = imported ? &external : NULL,
        .size = memory->size_bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = vkCreateBuffer(memory->device->handle, &info, NULL, &memory->buffer);
    if (result != VK_SUCCESS) {
        memory->buffer = VK_NULL_HANDLE;
        return vlk_fail(memory->device, error, result, "vkCreateBuffer");
    }
    return TN_OK;
}

static tn_status bind(tn_memory *memory, const VkMemoryAllocateInfo *info, tn_error *error) {
    VkDevice handle = memory->device->handle;
    VkResult result = vkAllocateMemory(handle, info, NULL, &memory->memory);
    if (result != VK_SUCCESS) {
        memory->memory = VK_NULL_HANDLE;
        return vlk_fail(memory->device, error, result, "vkAllocateMemory");
    }
    result = vkBindBufferMemory(handle, memory->buffer, memory->memory, 0);
    return result == VK_SUCCESS ? TN_OK
                                : vlk_fail(memory->device, error, result, "vkBindBufferMemory");
}

static tn_status fill_own(tn_memory *memory, tn_error *error) {
    tn_device *device = memory->device;
    VkMemoryRequirements needs;
    void *pointer = NULL;
    tn_status status = make_buffer(memory, 0, error);
    if (status != TN_OK) {
        return status;
    }
    vkGetBufferMemoryRequirements(device->handle, memory->buffer, &needs);
    if ((needs.memoryTypeBits >> device->traits.memory_type & 1u) == 0) {
        return tn_helper_fail(error, TN_ERROR_INTERNAL, "vulkan.memory-type",
                              "no buffer fits into memory type %u", device->traits.memory_type);
    }
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .allocationSize = needs.size,
                                       .memoryTypeIndex = device->traits.memory_type};
    status = bind(memory, &info, error);
    if (status != TN_OK) {
        return status;
    }
    VkResult result = vkMapMemory(device->handle, memory->memory, 0, VK_WHOLE_SIZE, 0, &pointer);
    memory->pointer = pointer;
    return result == VK_SUCCESS ? TN_OK : vlk_fail(device, error, result, "vkMapMemory");
}

// Makes a buffer of host memory that has the alignment and size of the driver's rule.
static tn_status fill_imported(tn_memory *memory, void *pointer, tn_error *error) {
    tn_device *device = memory->device;
    VkMemoryHostPointerPropertiesEXT properties = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkMemoryRequirements needs;
    tn_status status = make_buffer(memory, 1, error);
    if (status != TN_OK) {
        return status;
    }
    vkGetBufferMemoryRequirements(device->handle, memory->buffer, &needs);
    VkResult result = device->get_pointer_properties(
        device->handle, VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, pointer,
        &properties);
    uint32_t types = properties.memoryTypeBits & needs.memoryTypeBits;
    if (result == VK_ERROR_INVALID_EXTERNAL_HANDLE || needs.size > memory->size_bytes ||
        (result == VK_SUCCESS && types == 0)) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "vulkan.import",
                              "the driver cannot use this memory in place");
    }
    if (result != VK_SUCCESS) {
        return vlk_fail(device, error, result, "vkGetMemoryHostPointerPropertiesEXT");
    }
    uint32_t type = 0;
    while ((types >> type & 1u) == 0) {
        type++;
    }
    const VkImportMemoryHostPointerInfoEXT import = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
        .pHostPointer = pointer,
    };
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .pNext = &import,
                                       .allocationSize = memory->size_bytes,
                                       .memoryTypeIndex = type};
    status = bind(memory, &info, error);
    memory->pointer = pointer;
    return status;
}

// Host memory of our own, in whole units of what can be imported.
static tn_status fill_host(tn_memory *memory, tn_error *error) {
    const tn_helper_host *host = &memory->device->plugin->host;
    uint64_t unit = memory->device->traits.import_alignment;
    memory->size_bytes = (memory->size_bytes + unit - 1) / unit * unit;
    memory->host_pointer =
        host->services->alloc(host->context, memory->size_bytes, VLK_HOST_ALIGNMENT);
    memory->host_bytes = memory->size_bytes;
    return memory->host_pointer != NULL
               ? fill_imported(memory, memory->host_pointer, error)
               : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no host memory");
}

static tn_status memory_alloc(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error) {
    *out_memory = NULL;
    if (info->heap >= gpu_device_heap_count(device) || info->size_bytes == 0 ||
        info->size_bytes > device->traits.memory_bytes ||
        (info->alignment_bytes & (info->alignment_bytes - 1)) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "heap %u, %llu bytes: no such heap or size", info->heap,
                              (unsigned long long)info->size_bytes);
    }
    tn_memory *memory = NULL;
    tn_status status = make(device, info->size_bytes, info->size_bytes, &memory, error);
    if (status != TN_OK) {
        return status;
    }
    status = is_host_heap(device, info->heap) ? fill_host(memory, error) : fill_own(memory, error);
    if (status != TN_OK) {
        destroy(memory);
        // Only an import that the caller asked for is a thing to be refused.
        return status == TN_ERROR_UNSUPPORTED ? TN_ERROR_INTERNAL : status;
    }
    *out_memory = memory;
    return TN_OK;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    uint64_t unit = device->traits.import_alignment;
    *out_memory = NULL;
    if (info->pointer == NULL || info->size_bytes == 0 ||
        info->heap >= gpu_device_heap_count(device)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "an import needs memory and a heap of the device");
    }
    if (!is_host_heap(device, info->heap) || (uintptr_t)info->pointer % unit != 0 ||
        info->size_bytes % unit != 0) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "vulkan.import",
                              "heap %u imports only whole multiples of %llu bytes of host memory",
                              info->heap, (unsigned long long)unit);
    }
    tn_memory *memory = NULL;
    tn_status status = make(device, info->size_bytes, 0, &memory, error);
    if (status != TN_OK) {
        return status;
    }
    status = fill_imported(memory, info->pointer, error);
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

static uint32_t range_fits(const tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes) {
    return size_bytes <= memory->size_bytes && offset_bytes <= memory->size_bytes - size_bytes;
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    *out_pointer = NULL;
    if (!range_fits(memory, offset_bytes, size_bytes)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "the range leaves the memory");
    }
    *out_pointer = memory->pointer + offset_bytes;
    return TN_OK;
}

static void memory_unmap(tn_memory *memory) {
    (void)memory; // mapped for as long as it lives
}

// All memory is coherent.
static tn_status cpu_access(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            tn_access access, tn_error *error) {
    (void)access;
    return range_fits(memory, offset_bytes, size_bytes)
               ? TN_OK
               : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                                "the range leaves the memory");
}

static uint32_t end_is_valid(const tn_copy_end *end, uint64_t size_bytes) {
    return end->memory == NULL ? end->pointer != NULL
                               : range_fits(end->memory, end->offset_bytes, size_bytes);
}

static uint32_t overlaps(const tn_copy_info *info) {
    const tn_copy_end *from = &info->source;
    const tn_copy_end *to = &info->destination;
    return from->memory != NULL && from->memory == to->memory &&
           from->offset_bytes < to->offset_bytes + info->size_bytes &&
           to->offset_bytes < from->offset_bytes + info->size_bytes;
}

static unsigned char *address_of(const tn_copy_end *end) {
    unsigned char *base = end->memory != NULL ? end->memory->pointer : end->pointer;
    return base + end->offset_bytes;
}

static VkResult record_copy(tn_device *device, vlk_item *item, const tn_copy_info *info) {
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                          .queueFamilyIndex = device->traits.queue_family};
    VkResult result = vkCreateCommandPool(device->handle, &pool, NULL, &item->pool);
    if (result != VK_SUCCESS) {
        item->pool = VK_NULL_HANDLE;
        return result;
    }
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = item->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkBufferCopy region = {info->source.offset_bytes, info->destination.offset_bytes,
                                 info->size_bytes};
    result = vkAllocateCommandBuffers(device->handle, &allocate, &item->commands);
    if (result == VK_SUCCESS) {
        result = vkBeginCommandBuffer(item->commands, &begin);
    }
    if (result != VK_SUCCESS) {
        return result;
    }
    vlk_barrier(item->commands);
    if (info->size_bytes > 0) {
        vkCmdCopyBuffer(item->commands, info->source.memory->buffer,
                        info->destination.memory->buffer, 1, &region);
    }
    vlk_barrier(item->commands);
    return vkEndCommandBuffer(item->commands);
}

static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    const tn_helper_host *host = &device->plugin->host;
    if ((info->source.memory == NULL && info->destination.memory == NULL) ||
        !end_is_valid(&info->source, info->size_bytes) ||
        !end_is_valid(&info->destination, info->size_bytes) || overlaps(info)) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "a copy needs memory of the device and ranges inside it");
    }
    vlk_item *item = tn_helper_alloc(host, sizeof(*item));
    if (item == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a copy");
    }
    item->owned = 1;
    tn_status status = vlk_item_points(item, info->waits, info->wait_count, info->signals,
                                       info->signal_count, error);
    if (status == TN_OK && info->source.memory != NULL && info->destination.memory != NULL) {
        VkResult result = record_copy(device, item, info);
        status = result == VK_SUCCESS ? TN_OK : vlk_fail(device, error, result, "recording a copy");
    } else if (status == TN_OK) {
        item->from = address_of(&info->source);
        item->to = address_of(&info->destination);
        item->size_bytes = info->size_bytes;
    }
    if (status == TN_OK) {
        status = vlk_enqueue(device, item, error);
    }
    if (status != TN_OK) {
        vkDestroyCommandPool(device->handle, item->pool, NULL);
        tn_helper_free(host, item, sizeof(*item));
    }
    return status;
}

const tn_memory_interface vlk_memory_table = {
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
