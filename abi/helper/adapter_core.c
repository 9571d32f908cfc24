// SPDX-License-Identifier: Apache-2.0
// Synchronous adapter: entry, table look-up, devices.
#include "adapter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const void *get_interface(tn_plugin *plugin, const char *name) {
    (void)plugin;
    static const struct {
        const char *name;
        const void *table;
    } tables[] = {
        {TN_INTERFACE_CORE, &tni_adapter_core},     {TN_INTERFACE_COMPILE, &tni_adapter_compile},
        {TN_INTERFACE_MEMORY, &tni_adapter_memory}, {TN_INTERFACE_SYNC, &tni_adapter_sync},
        {TN_INTERFACE_EXEC, &tni_adapter_exec},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; ++i) {
        if (strcmp(name, tables[i].name) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

tn_status tn_helper_simple_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                                 const tn_helper_simple_plugin *simple, tn_error *error) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    tn_helper_plugin_desc desc = simple->desc;
    desc.get_interface = get_interface;
    if (desc.digests == NULL) {
        desc.digests = digests;
        desc.digest_count = sizeof digests / sizeof digests[0];
    }
    const tn_status status = tn_helper_negotiate(offer, answer, &desc, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_helper_host host = {offer->services, offer->host};
    tn_plugin *plugin = tn_helper_alloc(&host, sizeof *plugin);
    if (plugin == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "plugin %s: no memory",
                              desc.name);
    }
    plugin->host = host;
    plugin->simple = simple;
    atomic_init(&plugin->open_device_count, 0);
    answer->plugin = plugin;
    return TN_OK;
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    (void)error;
    plugin->probed = 1;
    *out_device_count = plugin->simple->device_count;
    return TN_OK;
}

static tn_status check_index(const tn_plugin *plugin, uint32_t device_index, tn_error *error) {
    if (device_index >= plugin->simple->device_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "device %u does not exist: the plugin has %u", device_index,
                              plugin->simple->device_count);
    }
    return TN_OK;
}

static tn_status device_info(tn_plugin *plugin, uint32_t device_index, tn_device_info *out_info,
                             tn_error *error) {
    if (!plugin->probed) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "probe was not called");
    }
    tn_status status = check_index(plugin, device_index, error);
    if (status != TN_OK) {
        return status;
    }
    tn_device_info info = {0};
    status = plugin->simple->device_info(&plugin->host, device_index, &info, error);
    if (status != TN_OK) {
        return status;
    }
    info.flags |= TN_DEVICE_HOST_MEMORY | TN_DEVICE_SYNCHRONOUS;
    info.clock_domain = TN_CLOCK_HOST;
    info.heap_count = 1;
    if (info.max_contexts_in_flight == 0) {
        info.max_contexts_in_flight = 1;
    }
    tn_helper_copy_out(out_info, &info, (uint32_t)sizeof info);
    return TN_OK;
}

static tn_status device_open(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error) {
    *out_device = NULL;
    tn_device_open_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    const tn_status status = check_index(plugin, read.device_index, error);
    if (status != TN_OK) {
        return status;
    }
    if (read.option_count != 0) {
        const tn_string key = read.option_keys[0];
        const int size = key.size_bytes < 64 ? (int)key.size_bytes : 64;
        return tn_helper_fail(error, TN_ERROR_NOT_FOUND, "device.option",
                              "the device has no option \"%.*s\"", size, key.data);
    }
    tn_device *device = tn_helper_alloc(&plugin->host, sizeof *device);
    if (device == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "device: no memory");
    }
    device->plugin = plugin;
    device->index = read.device_index;
    device->memory_cap_bytes = read.memory_cap_bytes;
    atomic_init(&device->allocated_bytes, 0);
    (void)atomic_fetch_add(&plugin->open_device_count, 1);
    *out_device = device;
    return TN_OK;
}

static void device_close(tn_device *device) {
    if (device == NULL) {
        return;
    }
    tn_plugin *plugin = device->plugin;
    tn_helper_free(&plugin->host, device, sizeof *device);
    (void)atomic_fetch_sub(&plugin->open_device_count, 1);
}

static tn_status shutdown_plugin(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    (void)timeout_ns;
    const unsigned open = atomic_load(&plugin->open_device_count);
    if (open != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "%u devices are still open",
                              open);
    }
    const tn_helper_host host = plugin->host;
    tn_helper_free(&host, plugin, sizeof *plugin);
    return TN_OK;
}

const tn_core_interface tni_adapter_core = {
    .base = TN_HELPER_BASE(tn_core_interface, TN_DIGEST_CORE),
    .probe = probe,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .shutdown = shutdown_plugin,
};
