// SPDX-License-Identifier: Apache-2.0
// Opening a device: its queue, the pipelines of both kernels, and the watcher's thread.
#include "vlk.h"

static const uint32_t add_code[] =
#include <add.comp.inc>
    ;
static const uint32_t relu_code[] =
#include <relu.comp.inc>
    ;

static const VkShaderModuleCreateInfo shaders[GPU_OP_COUNT] = {
    [GPU_ADD] = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                 .codeSize = sizeof(add_code),
                 .pCode = add_code},
    [GPU_RELU] = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                  .codeSize = sizeof(relu_code),
                  .pCode = relu_code},
};

static void stop_watcher(tn_device *device) {
    if (!device->has_watcher) {
        return;
    }
    (void)pthread_mutex_lock(&device->mutex);
    device->stopping = 1;
    (void)pthread_cond_signal(&device->work);
    (void)pthread_mutex_unlock(&device->mutex);
    (void)pthread_join(device->watcher, NULL);
}

void vlk_device_close(tn_device *device) {
    if (device == NULL) {
        return;
    }
    const tn_helper_host host = device->plugin->host;
    stop_watcher(device);
    if (device->handle != VK_NULL_HANDLE) {
        (void)vkDeviceWaitIdle(device->handle);
        for (uint32_t i = 0; i < GPU_OP_COUNT; i++) {
            vkDestroyPipeline(device->handle, device->pipelines[i], NULL);
        }
        vkDestroyPipelineLayout(device->handle, device->layout, NULL);
        vkDestroyDescriptorSetLayout(device->handle, device->set_layout, NULL);
        vkDestroySemaphore(device->handle, device->progress, NULL);
        vkDestroyDevice(device->handle, NULL);
    }
    if (device->has_locks) {
        (void)pthread_cond_destroy(&device->changed);
        (void)pthread_cond_destroy(&device->work);
        (void)pthread_mutex_destroy(&device->mutex);
    }
    tn_helper_free(&host, device, sizeof(*device));
}

static tn_status open_handle(tn_device *device, tn_error *error) {
    const float priority = 1.0f;
    const char *const extension = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = device->traits.queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkPhysicalDeviceVulkan12Features features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = VK_TRUE};
    uint32_t shares = vlk_shares_host(&device->traits);
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = shares,
        .ppEnabledExtensionNames = &extension,
    };
    VkResult result = vkCreateDevice(device->traits.physical, &info, NULL, &device->handle);
    if (result != VK_SUCCESS) {
        device->handle = VK_NULL_HANDLE;
        return vlk_fail(device, error, result, "vkCreateDevice");
    }
    vkGetDeviceQueue(device->handle, device->traits.queue_family, 0, &device->queue);
    if (shares) {
        device->get_pointer_properties =
            (PFN_vkGetMemoryHostPointerPropertiesEXT)vkGetDeviceProcAddr(
                device->handle, "vkGetMemoryHostPointerPropertiesEXT");
        if (device->get_pointer_properties == NULL) {
            return vlk_fail(device, error, VK_ERROR_EXTENSION_NOT_PRESENT,
                            "vkGetMemoryHostPointerPropertiesEXT");
        }
    }
    return TN_OK;
}

static tn_status make_layouts(tn_device *device, tn_error *error) {
    VkDescriptorSetLayoutBinding bindings[VLK_BINDINGS];
    for (uint32_t i = 0; i < VLK_BINDINGS; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    }
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = VLK_BINDINGS,
        .pBindings = bindings,
    };
    VkResult result = vkCreateDescriptorSetLayout(device->handle, &set, NULL, &device->set_layout);
    if (result != VK_SUCCESS) {
        return vlk_fail(device, error, result, "vkCreateDescriptorSetLayout");
    }
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                       (VLK_BINDINGS + 1) * sizeof(uint32_t)};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &device->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    result = vkCreatePipelineLayout(device->handle, &layout, NULL, &device->layout);
    return result == VK_SUCCESS ? TN_OK : vlk_fail(device, error, result, "vkCreatePipelineLayout");
}

static tn_status make_pipeline(tn_device *device, gpu_op op, tn_error *error) {
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = vkCreateShaderModule(device->handle, &shaders[op], NULL, &module);
    if (result != VK_SUCCESS) {
        return vlk_fail(device, error, result, "vkCreateShaderModule");
    }
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
        .layout = device->layout,
    };
    result = vkCreateComputePipelines(device->handle, VK_NULL_HANDLE, 1, &info, NULL,
                                      &device->pipelines[op]);
    vkDestroyShaderModule(device->handle, module, NULL);
    return result == VK_SUCCESS ? TN_OK
                                : vlk_fail(device, error, result, "vkCreateComputePipelines");
}

static tn_status start_watcher(tn_device *device, tn_error *error) {
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                        .pNext = &type};
    VkResult result = vkCreateSemaphore(device->handle, &info, NULL, &device->progress);
    if (result != VK_SUCCESS) {
        return vlk_fail(device, error, result, "vkCreateSemaphore");
    }
    if (pthread_create(&device->watcher, NULL, vlk_watch, device) != 0) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no thread for a device");
    }
    device->has_watcher = 1;
    return TN_OK;
}

static tn_status make_locks(tn_device *device, tn_error *error) {
    int made = 0;
    if (pthread_mutex_init(&device->mutex, NULL) == 0) {
        made = 1;
        if (pthread_cond_init(&device->work, NULL) == 0) {
            made = 2;
            if (pthread_cond_init(&device->changed, NULL) == 0) {
                device->has_locks = 1;
                return TN_OK;
            }
        }
    }
    if (made == 2) {
        (void)pthread_cond_destroy(&device->work);
    }
    if (made > 0) {
        (void)pthread_mutex_destroy(&device->mutex);
    }
    return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no locks for a device");
}

tn_status vlk_device_open(tn_plugin *plugin, const tn_device_open_info *info,
                          tn_device **out_device, tn_error *error) {
    *out_device = NULL;
    if (info->device_index >= plugin->device_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no Vulkan device %u",
                              info->device_index);
    }
    if (info->option_count > 0) {
        return tn_helper_fail(error, TN_ERROR_NOT_FOUND, "vulkan.option", "no option %.*s",
                              (int)info->option_keys[0].size_bytes, info->option_keys[0].data);
    }
    tn_device *device = tn_helper_alloc(&plugin->host, sizeof(*device));
    if (device == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a device");
    }
    device->plugin = plugin;
    device->traits = plugin->devices[info->device_index];
    device->memory_cap_bytes = info->memory_cap_bytes;
    atomic_init(&device->memory_used_bytes, 0);
    atomic_init(&device->last_memory_id, 0);
    atomic_init(&device->lost, 0u);
    tn_status status = make_locks(device, error);
    if (status == TN_OK) {
        status = open_handle(device, error);
    }
    if (status == TN_OK) {
        status = make_layouts(device, error);
    }
    for (gpu_op op = 0; op < GPU_OP_COUNT && status == TN_OK; op++) {
        status = make_pipeline(device, op, error);
    }
    if (status == TN_OK) {
        status = start_watcher(device, error);
    }
    if (status != TN_OK) {
        vlk_device_close(device);
        return status;
    }
    *out_device = device;
    return TN_OK;
}
