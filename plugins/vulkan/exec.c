// SPDX-License-Identifier: Apache-2.0
// Contexts and submit. A context has several slots, each a command buffer with descriptors of its
// own, so that submits may overlap; a slot whose bindings are unchanged is used as it is.
#include "context.h"

#define MAX_CALL_ELEMENTS (1u << 30)

static uint64_t sizes_count(const tn_context *context) {
    return (uint64_t)context->program->island->value_count + 1;
}

static void free_prepared(tn_context *context) {
    tn_device *device = context->program->device;
    const tn_helper_host *host = &device->plugin->host;
    vkDestroyDescriptorPool(device->handle, context->descriptor_pool, NULL);
    context->descriptor_pool = VK_NULL_HANDLE;
    tn_helper_free(host, context->calls, (context->call_count + 1) * sizeof(*context->calls));
    tn_helper_free(host, context->sets,
                   (context->call_count + 1) * VLK_SLOTS * sizeof(*context->sets));
    context->calls = NULL;
    context->sets = NULL;
    context->call_count = 0;
    context->prepared = 0;
}

static void context_destroy(tn_context *context) {
    if (context == NULL) {
        return;
    }
    tn_device *device = context->program->device;
    const tn_helper_host *host = &device->plugin->host;
    for (uint32_t i = 0; i < VLK_SLOTS; i++) {
        // Its fences are reached, but the watcher may not have noticed yet.
        vlk_item_wait(device, &context->slots[i].item);
    }
    free_prepared(context);
    vkDestroyCommandPool(device->handle, context->command_pool, NULL);
    tn_helper_free(host, context->sizes, sizes_count(context) * sizeof(*context->sizes));
    tn_helper_free(host, context->bound,
                   (uint64_t)vlk_port_count(context) * VLK_SLOTS * sizeof(*context->bound));
    tn_helper_free(host, context, sizeof(*context));
}

static tn_status make_commands(tn_context *context, tn_error *error) {
    tn_device *device = context->program->device;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = device->traits.queue_family,
    };
    VkResult result = vkCreateCommandPool(device->handle, &pool, NULL, &context->command_pool);
    if (result != VK_SUCCESS) {
        context->command_pool = VK_NULL_HANDLE;
        return vlk_fail(device, error, result, "vkCreateCommandPool");
    }
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = context->command_pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = VLK_SLOTS,
    };
    VkCommandBuffer commands[VLK_SLOTS];
    result = vkAllocateCommandBuffers(device->handle, &allocate, commands);
    if (result != VK_SUCCESS) {
        return vlk_fail(device, error, result, "vkAllocateCommandBuffers");
    }
    for (uint32_t i = 0; i < VLK_SLOTS; i++) {
        context->slots[i].commands = commands[i];
        context->slots[i].bound = context->bound + (uint64_t)i * vlk_port_count(context);
    }
    return TN_OK;
}

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    const tn_helper_host *host = &device->plugin->host;
    *out_context = NULL;
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    tn_context *context = tn_helper_alloc(host, sizeof(*context));
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a context");
    }
    context->program = info->program;
    context->sizes = tn_helper_alloc_array(host, sizes_count(context), sizeof(*context->sizes));
    context->bound = tn_helper_alloc_array(host, (uint64_t)vlk_port_count(context) * VLK_SLOTS,
                                           sizeof(*context->bound));
    tn_status status =
        context->sizes != NULL && context->bound != NULL
            ? make_commands(context, error)
            : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a context");
    if (status != TN_OK) {
        context_destroy(context);
        return status;
    }
    *out_context = context;
    return TN_OK;
}

// As many elements as one binding of a buffer reaches, less what an offset is rounded down by.
static uint32_t elements_of_call(const tn_device *device) {
    uint32_t range = device->traits.properties.limits.maxStorageBufferRange;
    uint32_t elements =
        (range - VLK_ALIGN_BYTES) / (uint32_t)sizeof(float) / VLK_WORKGROUP * VLK_WORKGROUP;
    return elements < MAX_CALL_ELEMENTS ? elements : MAX_CALL_ELEMENTS;
}

static uint64_t calls_of_step(const tn_context *context, uint32_t step) {
    uint32_t room = elements_of_call(context->program->device);
    uint64_t count = context->sizes[context->program->island->steps[step].out].element_count;
    return count / room + (count % room > 0);
}

static void fill_calls(tn_context *context) {
    uint32_t room = elements_of_call(context->program->device);
    vlk_call *call = context->calls;
    for (uint32_t i = 0; i < context->program->island->step_count; i++) {
        uint64_t count = context->sizes[context->program->island->steps[i].out].element_count;
        for (uint64_t first = 0; first < count; first += room) {
            uint64_t left = count - first;
            *call++ = (vlk_call){i, left < room ? (uint32_t)left : room, first};
        }
    }
}

static tn_status make_sets(tn_context *context, tn_error *error) {
    tn_device *device = context->program->device;
    uint32_t set_count = (uint32_t)context->call_count * VLK_SLOTS;
    if (set_count == 0) {
        return TN_OK;
    }
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, set_count * VLK_BINDINGS};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = set_count,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    VkResult result =
        vkCreateDescriptorPool(device->handle, &pool, NULL, &context->descriptor_pool);
    if (result != VK_SUCCESS) {
        context->descriptor_pool = VK_NULL_HANDLE;
        return vlk_fail(device, error, result, "vkCreateDescriptorPool");
    }
    const VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = context->descriptor_pool,
        .descriptorSetCount = 1,
        .pSetLayouts = &device->set_layout,
    };
    for (uint32_t i = 0; i < set_count; i++) {
        result = vkAllocateDescriptorSets(device->handle, &allocate, &context->sets[i]);
        if (result != VK_SUCCESS) {
            return vlk_fail(device, error, result, "vkAllocateDescriptorSets");
        }
    }
    return TN_OK;
}

static tn_status make_calls(tn_context *context, tn_error *error) {
    const tn_helper_host *host = &context->program->device->plugin->host;
    uint64_t count = 0;
    for (uint32_t i = 0; i < context->program->island->step_count; i++) {
        count += calls_of_step(context, i);
    }
    if (count > UINT32_MAX / VLK_SLOTS / VLK_BINDINGS) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, "vulkan.calls",
                              "%llu kernel calls in one island", (unsigned long long)count);
    }
    context->call_count = count;
    context->calls = tn_helper_alloc_array(host, count + 1, sizeof(*context->calls));
    context->sets = tn_helper_alloc_array(host, (count + 1) * VLK_SLOTS, sizeof(*context->sets));
    if (context->calls == NULL || context->sets == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a context");
    }
    fill_calls(context);
    for (uint32_t i = 0; i < VLK_SLOTS; i++) {
        context->slots[i].sets = context->sets + i * count;
        context->slots[i].recorded = 0;
    }
    return make_sets(context, error);
}

static uint32_t is_busy(tn_context *context, const vlk_slot *slot) {
    tn_device *device = context->program->device;
    (void)pthread_mutex_lock(&device->mutex);
    uint32_t busy = slot->item.busy;
    (void)pthread_mutex_unlock(&device->mutex);
    return busy;
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    vlk_settle(context->program->device);
    if (atomic_load(&context->program->device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    for (uint32_t i = 0; i < VLK_SLOTS; i++) {
        if (is_busy(context, &context->slots[i])) {
            return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "a submit is in flight");
        }
    }
    free_prepared(context);
    tn_status status = gpu_island_sizes(context->program->island, info->symbols, info->symbol_count,
                                        context->sizes, &context->workspace_bytes, error);
    if (status == TN_OK) {
        status = make_calls(context, error);
    }
    if (status != TN_OK) {
        free_prepared(context);
    }
    context->prepared = status == TN_OK;
    return status;
}

static tn_status check_bindings(const tn_context *context, const tn_submit_info *info,
                                tn_error *error) {
    uint32_t ports = vlk_port_count(context) - (context->workspace_bytes == 0);
    if (info->binding_count < ports) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "vulkan.binding",
                              "%u bindings for %u ports", info->binding_count, ports);
    }
    for (uint32_t i = 0; i < ports; i++) {
        const tn_binding *binding = vlk_binding(info, i);
        uint64_t needed = vlk_port_bytes(context, i);
        if (needed > 0 &&
            (binding->memory == NULL || binding->size_bytes < needed ||
             binding->offset_bytes % sizeof(float) != 0 ||
             binding->size_bytes > binding->memory->size_bytes ||
             binding->offset_bytes > binding->memory->size_bytes - binding->size_bytes)) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "vulkan.binding",
                                  "port %u is not bound, too small or misaligned", i);
        }
    }
    return TN_OK;
}

// A slot that is free, rather one recorded for these bindings; null when all are in flight.
static vlk_slot *choose_slot(tn_context *context, const tn_submit_info *info) {
    vlk_slot *found = NULL;
    for (uint32_t i = 0; i < VLK_SLOTS; i++) {
        vlk_slot *slot = &context->slots[i];
        if (is_busy(context, slot)) {
            continue;
        }
        if (vlk_is_as_recorded(context, slot, info)) {
            return slot;
        }
        found = found == NULL || (found->recorded && !slot->recorded) ? slot : found;
    }
    return found;
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    tn_device *device = context->program->device;
    if (!context->prepared) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "the context is not prepared");
    }
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    tn_status status = check_bindings(context, info, error);
    if (status != TN_OK) {
        return status;
    }
    vlk_slot *slot = choose_slot(context, info);
    if (slot == NULL) {
        // What has ended may not have been noticed yet.
        vlk_settle(device);
        slot = choose_slot(context, info);
    }
    if (slot == NULL) {
        return tn_helper_fail(error, TN_ERROR_BUSY, "vulkan.slots",
                              "%u submits of one context are in flight", VLK_SLOTS);
    }
    if (!vlk_is_as_recorded(context, slot, info)) {
        VkResult result = vlk_record(context, slot, info);
        if (result != VK_SUCCESS) {
            return vlk_fail(device, error, result, "recording a command buffer");
        }
    }
    slot->item.order = context;
    slot->item.commands = slot->commands;
    status = vlk_item_points(&slot->item, info->waits, info->wait_count, info->signals,
                             info->signal_count, error);
    return status == TN_OK ? vlk_enqueue(device, &slot->item, error) : status;
}

const tn_exec_interface vlk_exec_table = {
    .base = TN_HELPER_BASE(tn_exec_interface, TN_DIGEST_EXEC),
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = tn_helper_stub_cancel,
    .context_destroy = context_destroy,
};
