// SPDX-License-Identifier: Apache-2.0
// The layer's entry, host services and devices.
#include "layer.h"

#include <string.h>

static tn_plugin_entry_fn inner_entry;
static tn_plugin *only; // the services need to find the real ones

void validate_wrap(tn_plugin_entry_fn inner) {
    inner_entry = inner;
    only = NULL;
    layer_forget();
}

static void *service_alloc(tn_host_context *host, uint64_t size_bytes, uint64_t alignment_bytes) {
    if (layer_allocation_is_forbidden()) {
        layer_violation("ABI-81: an allocation of %llu bytes inside a [no-alloc] call",
                        (unsigned long long)size_bytes);
    }
    return only->host_services->alloc(host, size_bytes, alignment_bytes);
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    layer_call call;
    layer_enter(&call, "probe", &plugin->handle, false);
    tn_status status = plugin->core->probe(plugin->inner, out_device_count, error);
    (void)layer_leave(&call, status, error, NULL);
    if (status != TN_OK && *out_device_count != 0) {
        layer_violation("ABI-28: probe failed and counts %u devices", *out_device_count);
    }
    return status;
}

static tn_status device_info(tn_plugin *plugin, uint32_t device_index, tn_device_info *out_info,
                             tn_error *error) {
    layer_call call;
    layer_guard guard;
    layer_check_struct(out_info, TN_STRUCT_DEVICE_INFO, "device_info");
    tn_device_info *info = layer_guard_open(&guard, out_info, "device_info");
    layer_enter(&call, "device_info", &plugin->handle, false);
    tn_status status = plugin->core->device_info(plugin->inner, device_index, info, error);
    (void)layer_leave(&call, status, error, NULL);
    layer_guard_close(&guard, "device_info");
    if (status == TN_OK && memchr(out_info->name, '\0', sizeof(out_info->name)) == NULL) {
        layer_violation("device_info: the name of device %u does not end", device_index);
    }
    return status;
}

static tn_status device_open(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error) {
    layer_call call;
    tn_device *inner = NULL;
    layer_check_struct(info, TN_STRUCT_DEVICE_OPEN_INFO, "device_open");
    layer_enter(&call, "device_open", NULL, false);
    tn_status status = plugin->core->device_open(plugin->inner, info, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    *out_device = NULL;
    if (status == TN_OK) {
        tn_device_info about = {.struct_size = sizeof(about), .struct_type = TN_STRUCT_DEVICE_INFO};
        *out_device = layer_new(sizeof(**out_device), "device", &plugin->handle);
        (*out_device)->inner = inner;
        (*out_device)->plugin = plugin;
        if (device_info(plugin, info->device_index, &about, NULL) == TN_OK) {
            (*out_device)->flags = about.flags;
        }
    }
    return status;
}

static void device_close(tn_device *device) {
    if (device != NULL && layer_end(&device->handle, "device_close")) {
        device->plugin->core->device_close(device->inner);
    }
}

static tn_status shut_down(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    tn_status status = plugin->core->shutdown(plugin->inner, timeout_ns, error);
    if (status == TN_OK) {
        (void)layer_end(&plugin->handle, "shutdown");
    }
    return status;
}

const tn_core_interface layer_core = {
    .base = {sizeof(tn_core_interface), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0, 0},
    .probe = probe,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .shutdown = shut_down,
};

static const void *get_interface(tn_plugin *plugin, const char *name) {
    const struct {
        const char *name;
        const void *table;
    } tables[] = {
        {TN_INTERFACE_CORE, &layer_core},     {TN_INTERFACE_COMPILE, &layer_compile},
        {TN_INTERFACE_MEMORY, &layer_memory}, {TN_INTERFACE_SYNC, &layer_sync},
        {TN_INTERFACE_EXEC, &layer_exec},
    };
    (void)plugin;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(name, tables[i].name) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

static bool find_tables(tn_plugin *plugin) {
    plugin->core = plugin->get_interface(plugin->inner, TN_INTERFACE_CORE);
    plugin->compile = plugin->get_interface(plugin->inner, TN_INTERFACE_COMPILE);
    plugin->memory = plugin->get_interface(plugin->inner, TN_INTERFACE_MEMORY);
    plugin->sync = plugin->get_interface(plugin->inner, TN_INTERFACE_SYNC);
    plugin->exec = plugin->get_interface(plugin->inner, TN_INTERFACE_EXEC);
    return plugin->core != NULL && plugin->compile != NULL && plugin->memory != NULL &&
           plugin->sync != NULL && plugin->exec != NULL;
}

tn_status validate_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    layer_guard guard;
    layer_check_struct(offer, TN_STRUCT_HOST_OFFER, "entry");
    tn_plugin *plugin = layer_new(sizeof(*plugin), "plugin", NULL);
    only = plugin;
    plugin->host_services = offer->services;
    plugin->host_context = offer->host;
    plugin->services = *offer->services;
    plugin->services.alloc = service_alloc;
    tn_host_offer own = *offer;
    own.services = &plugin->services;
    tn_plugin_answer *inner = layer_guard_open(&guard, answer, "entry");
    tn_status status = inner_entry(&own, inner, error);
    layer_guard_close(&guard, "entry");
    if (status != TN_OK) {
        if (answer->plugin != NULL) {
            layer_violation("ABI-28: the entry failed with status %d and left a plugin", status);
        }
        (void)layer_end(&plugin->handle, "entry");
        return status;
    }
    plugin->inner = answer->plugin;
    plugin->get_interface = answer->get_interface;
    if (plugin->inner == NULL || plugin->get_interface == NULL || !find_tables(plugin)) {
        layer_violation("ABI-20: the plugin lacks itself or a mandatory table");
        (void)layer_end(&plugin->handle, "entry");
        return TN_ERROR_INVALID_DATA;
    }
    answer->plugin = plugin;
    answer->get_interface = get_interface;
    answer->get_experimental = NULL;
    return TN_OK;
}
