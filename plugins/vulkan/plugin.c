// SPDX-License-Identifier: Apache-2.0
// The Vulkan plugin's entry, and the devices it finds: those with Vulkan 1.2, a compute queue and
// timeline semaphores. The instance is made when they are first looked for.
#include "vlk.h"

#include <stdio.h>
#include <string.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

#define MAX_QUEUE_FAMILIES 32u

tn_status vlk_fail(tn_device *device, tn_error *error, VkResult result, const char *what) {
    tn_status status = TN_ERROR_INTERNAL;
    if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
        result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_FRAGMENTED_POOL ||
        result == VK_ERROR_TOO_MANY_OBJECTS) {
        status = TN_ERROR_OUT_OF_MEMORY;
    } else if (result == VK_ERROR_DEVICE_LOST) {
        status = TN_ERROR_DEVICE_LOST;
    }
    if (status == TN_ERROR_DEVICE_LOST && device != NULL) {
        atomic_store(&device->lost, 1u);
    }
    (void)tn_helper_fail(error, status, "vulkan.call", "%s: Vulkan result %d", what, (int)result);
    // Afterwards: it clears what it does not fill.
    if (error != NULL && tn_helper_struct_reaches(error, sizeof(*error))) {
        error->domain = TN_DOMAIN_VULKAN;
        error->native_code = result;
    }
    return status;
}

static uint32_t find_queue_family(VkPhysicalDevice physical, uint32_t *out_family) {
    VkQueueFamilyProperties families[MAX_QUEUE_FAMILIES];
    uint32_t count = MAX_QUEUE_FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0 && families[i].queueCount > 0) {
            *out_family = i;
            return 1;
        }
    }
    return 0;
}

// The driver's own memory has to be coherent for the host: every copy is made through a mapping.
// Such memory always exists; where it is also local to the device, that is better.
static uint32_t find_memory_type(VkPhysicalDevice physical, vlk_traits *traits) {
    const VkMemoryPropertyFlags mapped =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t found = 0;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
        uint32_t local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
        uint32_t was_local = (traits->memory_flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
        if ((flags & mapped) == mapped && (!found || (local && !was_local))) {
            traits->memory_type = i;
            traits->memory_flags = flags;
            traits->memory_bytes = memory.memoryHeaps[memory.memoryTypes[i].heapIndex].size;
            found = 1;
        }
    }
    return found;
}

static tn_status find_import(const tn_helper_host *host, VkPhysicalDevice physical,
                             uint32_t *out_found, tn_error *error) {
    uint32_t count = 0;
    *out_found = 0;
    VkResult result = vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
    if (result != VK_SUCCESS || count == 0) {
        return result == VK_SUCCESS ? TN_OK : vlk_fail(NULL, error, result, "device extensions");
    }
    uint32_t room = count;
    VkExtensionProperties *list = tn_helper_alloc_array(host, room, sizeof(*list));
    if (list == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for extensions");
    }
    result = vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list);
    for (uint32_t i = 0; i < count && result >= VK_SUCCESS; i++) {
        *out_found |=
            strcmp(list[i].extensionName, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) == 0;
    }
    tn_helper_free(host, list, (uint64_t)room * sizeof(*list));
    return result >= VK_SUCCESS ? TN_OK : vlk_fail(NULL, error, result, "device extensions");
}

static tn_status read_traits(const tn_helper_host *host, VkPhysicalDevice physical,
                             vlk_traits *out_traits, tn_error *error) {
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT import = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &import};
    VkPhysicalDeviceVulkan12Features features12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &features12};
    uint32_t imports = 0;
    memset(out_traits, 0, sizeof(*out_traits));
    out_traits->physical = physical;
    vkGetPhysicalDeviceProperties(physical, &out_traits->properties);
    if (out_traits->properties.apiVersion < VK_API_VERSION_1_2) {
        return TN_OK;
    }
    vkGetPhysicalDeviceFeatures2(physical, &features);
    out_traits->is_cpu = out_traits->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    out_traits->usable = features12.timelineSemaphore &&
                         find_queue_family(physical, &out_traits->queue_family) &&
                         find_memory_type(physical, out_traits);
    tn_status status = find_import(host, physical, &imports, error);
    if (status == TN_OK && imports) {
        vkGetPhysicalDeviceProperties2(physical, &properties);
        if (import.minImportedHostPointerAlignment <= VLK_HOST_ALIGNMENT) {
            out_traits->import_alignment = import.minImportedHostPointerAlignment;
        }
    }
    return status;
}

uint32_t vlk_shares_host(const vlk_traits *traits) {
    return traits->is_cpu && traits->import_alignment > 0;
}

static VkResult make_instance(tn_plugin *plugin) {
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pApplicationName = "tenon",
                                           .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    if (plugin->instance != VK_NULL_HANDLE) {
        return VK_SUCCESS;
    }
    VkResult result = vkCreateInstance(&info, NULL, &plugin->instance);
    if (result != VK_SUCCESS) {
        plugin->instance = VK_NULL_HANDLE;
    }
    return result;
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    VkPhysicalDevice found[VLK_MAX_DEVICES];
    uint32_t count = VLK_MAX_DEVICES;
    *out_device_count = 0;
    plugin->device_count = 0;
    VkResult result = make_instance(plugin);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "vulkan.no-driver",
                              "the Vulkan loader finds no driver; install one or "
                              "mesa-vulkan-drivers");
    }
    if (result == VK_SUCCESS) {
        result = vkEnumeratePhysicalDevices(plugin->instance, &count, found);
    }
    // More devices than there is room for is not a failure.
    if (result < VK_SUCCESS) {
        return vlk_fail(NULL, error, result, "looking for devices");
    }
    for (uint32_t i = 0; i < count; i++) {
        vlk_traits *traits = &plugin->devices[plugin->device_count];
        tn_status status = read_traits(&plugin->host, found[i], traits, error);
        if (status != TN_OK) {
            plugin->device_count = 0;
            return status;
        }
        plugin->device_count += traits->usable;
    }
    *out_device_count = plugin->device_count;
    return TN_OK;
}

// The driver's own name and version, where it says them.
static void describe_driver(VkPhysicalDevice physical, tn_device_info *info) {
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver};
    vkGetPhysicalDeviceProperties2(physical, &properties);
    (void)snprintf(info->vendor, sizeof(info->vendor), "%.*s", (int)sizeof(info->vendor) - 1,
                   driver.driverName);
    (void)snprintf(info->driver, sizeof(info->driver), "%.*s", (int)sizeof(info->driver) - 1,
                   driver.driverInfo);
}

static tn_status device_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                             tn_error *error) {
    if (index >= plugin->device_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no Vulkan device %u", index);
    }
    const vlk_traits *traits = &plugin->devices[index];
    tn_device_info info;
    memset(&info, 0, sizeof(info));
    (void)snprintf(info.name, sizeof(info.name), "%s%u", traits->is_cpu ? "cpu" : "gpu", index);
    (void)snprintf(info.description, sizeof(info.description), "%.*s",
                   (int)sizeof(info.description) - 1, traits->properties.deviceName);
    describe_driver(traits->physical, &info);
    if (traits->is_cpu) {
        (void)snprintf(info.physical_id, sizeof(info.physical_id), "cpu");
    } else {
        (void)snprintf(info.physical_id, sizeof(info.physical_id), "vulkan-%u", index);
    }
    memcpy(info.resource_group, info.physical_id, sizeof(info.resource_group));
    info.kind = traits->is_cpu ? TN_DEVICE_KIND_CPU : TN_DEVICE_KIND_GPU;
    info.memory_bytes = traits->memory_bytes;
    info.max_contexts_in_flight = 1024;
    info.heap_count = 1u + vlk_shares_host(traits);
    tn_helper_copy_out(out_info, &info, sizeof(info));
    return TN_OK;
}

static tn_status shut_down(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    (void)timeout_ns;
    (void)error;
    const tn_helper_host host = plugin->host;
    if (plugin->instance != VK_NULL_HANDLE) {
        vkDestroyInstance(plugin->instance, NULL);
    }
    tn_helper_free(&host, plugin, sizeof(*plugin));
    return TN_OK;
}

static const tn_core_interface core_table = {
    .base = TN_HELPER_BASE(tn_core_interface, TN_DIGEST_CORE),
    .probe = probe,
    .device_info = device_info,
    .device_open = vlk_device_open,
    .device_close = vlk_device_close,
    .shutdown = shut_down,
};

static const void *get_interface(tn_plugin *plugin, const char *name) {
    static const gpu_table tables[] = {
        {TN_INTERFACE_CORE, &core_table},         {TN_INTERFACE_COMPILE, &gpu_compile_table},
        {TN_INTERFACE_MEMORY, &vlk_memory_table}, {TN_INTERFACE_SYNC, &vlk_sync_table},
        {TN_INTERFACE_EXEC, &vlk_exec_table},
    };
    (void)plugin;
    return gpu_find_table(tables, sizeof(tables) / sizeof(tables[0]), name);
}

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    return gpu_enter(offer, answer, "vulkan", "vulkan 0.1.0", get_interface, sizeof(tn_plugin),
                     error);
}
