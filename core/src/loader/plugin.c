// SPDX-License-Identifier: Apache-2.0
// Starting and stopping a plugin: the entry call, the tables, the list of devices.
#include "loader/plugin.h"

#include "base/error.h"
#include "base/string.h"

#include "tenon/abi/digest.h"

#include <stdio.h>
#include <string.h>

#define SHUTDOWN_ON_ERROR_NS 1000000000ull
#define MAX_DEVICES 64u

#if defined(__SANITIZE_ADDRESS__)
#define HOST_SANITIZERS TN_SANITIZER_ADDRESS
#elif defined(__SANITIZE_THREAD__)
#define HOST_SANITIZERS TN_SANITIZER_THREAD
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOST_SANITIZERS TN_SANITIZER_ADDRESS
#elif __has_feature(thread_sanitizer)
#define HOST_SANITIZERS TN_SANITIZER_THREAD
#else
#define HOST_SANITIZERS TN_SANITIZER_NONE
#endif
#else
#define HOST_SANITIZERS TN_SANITIZER_NONE
#endif

static const tn_interface_digest host_digests[] = {
    {TN_INTERFACE_CORE, TN_DIGEST_CORE, TN_ABI_VERSION_MINOR, 0},
    {TN_INTERFACE_COMPILE, TN_DIGEST_COMPILE, TN_ABI_VERSION_MINOR, 0},
    {TN_INTERFACE_MEMORY, TN_DIGEST_MEMORY, TN_ABI_VERSION_MINOR, 0},
    {TN_INTERFACE_SYNC, TN_DIGEST_SYNC, TN_ABI_VERSION_MINOR, 0},
    {TN_INTERFACE_EXEC, TN_DIGEST_EXEC, TN_ABI_VERSION_MINOR, 0},
    {TN_INTERFACE_EXTERNAL_SYNC, TN_DIGEST_EXTERNAL_SYNC, TN_ABI_VERSION_MINOR, 0},
};

// One table: where it goes, and which slots must be there. Slots are pointers behind tn_interface.
typedef struct table_spec {
    const char *name;
    size_t offset;     // in tni_plugin
    size_t size_bytes; // as this host knows it
    uint64_t digest;
    bool mandatory;
    const char *const *slots; // names, in order
} table_spec;

static const char *const core_slots[] = {"probe", "device_info", "device_open", "device_close",
                                         "shutdown"};
static const char *const compile_slots[] = {"op_list",      "query_support", "compile",
                                            "program_info", "port_query",    "program_destroy"};
static const char *const memory_slots[] = {"heap_info",   "memory_alloc", "memory_import",
                                           "memory_free", "memory_map",   "memory_unmap",
                                           "cpu_begin",   "cpu_end",      "copy"};
static const char *const sync_slots[] = {"fence_caps",  "fence_create",  "fence_destroy",
                                         "fence_query", "fence_signal",  "fence_fail",
                                         "fence_wait",  "fence_on_reach"};
static const char *const exec_slots[] = {"context_create", "context_prepare", "submit", "cancel",
                                         "context_destroy"};
static const char *const external_sync_slots[] = {"external_fence_caps", "fence_import",
                                                  "fence_export"};

static const table_spec tables[] = {
    {TN_INTERFACE_CORE, offsetof(tni_plugin, core), sizeof(tn_core_interface), TN_DIGEST_CORE, true,
     core_slots},
    {TN_INTERFACE_COMPILE, offsetof(tni_plugin, compile), sizeof(tn_compile_interface),
     TN_DIGEST_COMPILE, true, compile_slots},
    {TN_INTERFACE_MEMORY, offsetof(tni_plugin, memory), sizeof(tn_memory_interface),
     TN_DIGEST_MEMORY, true, memory_slots},
    {TN_INTERFACE_SYNC, offsetof(tni_plugin, sync), sizeof(tn_sync_interface), TN_DIGEST_SYNC, true,
     sync_slots},
    {TN_INTERFACE_EXEC, offsetof(tni_plugin, exec), sizeof(tn_exec_interface), TN_DIGEST_EXEC, true,
     exec_slots},
    {TN_INTERFACE_EXTERNAL_SYNC, offsetof(tni_plugin, external_sync),
     sizeof(tn_external_sync_interface), TN_DIGEST_EXTERNAL_SYNC, false, external_sync_slots},
};

// Stand in for the slots a plugin may leave out of mandatory tables (ABI-20).
static tn_status no_cancel(tn_context *context, tn_error *error) {
    (void)context;
    return tni_fail(error, TN_ERROR_UNIMPLEMENTED, "plugin.no-cancel", "the plugin cannot cancel");
}

static tn_status no_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                             void *user_data, tn_error *error) {
    (void)fence;
    (void)value;
    (void)callback;
    (void)user_data;
    return tni_fail(error, TN_ERROR_UNIMPLEMENTED, "plugin.no-on-reach",
                    "the plugin makes no callbacks");
}

static void fill_optional_slots(tni_plugin *plugin) {
    if (plugin->exec.cancel == NULL) {
        plugin->exec.cancel = no_cancel;
    }
    if (plugin->sync.fence_on_reach == NULL) {
        plugin->sync.fence_on_reach = no_on_reach;
    }
}

// A null slot in a mandatory table, or null when every slot is filled.
static const char *first_null_slot(const table_spec *spec, const void *table) {
    size_t count = (spec->size_bytes - sizeof(tn_interface)) / sizeof(void (*)(void));
    const unsigned char *slots = (const unsigned char *)table + sizeof(tn_interface);
    static const unsigned char zero[sizeof(void (*)(void))];
    for (size_t i = 0; i < count; i++) {
        if (memcmp(slots + i * sizeof(zero), zero, sizeof(zero)) == 0) {
            return spec->slots[i];
        }
    }
    return NULL;
}

static tn_status copy_table(tni_plugin *plugin, const tn_plugin_answer *answer,
                            const table_spec *spec, tn_error *error) {
    const tn_interface *table = answer->get_interface(plugin->handle, spec->name);
    if (table == NULL) {
        return !spec->mandatory ? TN_OK
                                : tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.no-interface",
                                           "the plugin has no interface \"%s\"", spec->name);
    }
    if (table->struct_type != TN_STRUCT_INTERFACE || table->struct_size < sizeof(tn_interface) ||
        table->struct_size > 65536 || table->struct_size % 8 != 0) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.bad-table",
                        "interface \"%s\" has struct_type %u and struct_size %u", spec->name,
                        table->struct_type, table->struct_size);
    }
    if (table->version_minor == TN_ABI_VERSION_MINOR && table->layout_digest != 0 &&
        spec->digest != 0 && table->layout_digest != spec->digest) {
        return tni_fail(error, TN_ERROR_VERSION_MISMATCH, "plugin.digest",
                        "interface \"%s\" minor %u: plugin layout %016llx, host layout %016llx",
                        spec->name, table->version_minor, (unsigned long long)table->layout_digest,
                        (unsigned long long)spec->digest);
    }
    unsigned char *own = (unsigned char *)plugin + spec->offset;
    size_t bytes = table->struct_size < spec->size_bytes ? table->struct_size : spec->size_bytes;
    memcpy(own, table, bytes);
    fill_optional_slots(plugin);
    const char *missing = first_null_slot(spec, own);
    if (missing != NULL) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.null-slot",
                        "slot \"%s\" of interface \"%s\" is null", missing, spec->name);
    }
    if (!spec->mandatory) {
        plugin->has_external_sync = true;
    }
    return TN_OK;
}

static bool copy_text(char destination[TNI_PLUGIN_TEXT_BYTES], const char *text) {
    if (text == NULL) {
        destination[0] = '\0';
        return true;
    }
    size_t size = strnlen(text, TNI_PLUGIN_TEXT_BYTES);
    bool fits = size < TNI_PLUGIN_TEXT_BYTES;
    size = fits ? size : TNI_PLUGIN_TEXT_BYTES - 1;
    memcpy(destination, text, size);
    destination[size] = '\0';
    tni_text_sanitise(destination);
    return fits;
}

bool tni_plugin_name_is_valid(const char *name) {
    size_t size = strnlen(name, 33);
    if (size == 0 || size > 32 || name[0] < 'a' || name[0] > 'z') {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

static tn_status check_answer(tni_plugin *plugin, const tn_plugin_answer *answer, tn_error *error) {
    if (answer->plugin == NULL || answer->get_interface == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.empty-answer",
                        "the entry function returned OK without a plugin or get_interface");
    }
    if (answer->abi_minor > TN_ABI_VERSION_MINOR) {
        return tni_fail(error, TN_ERROR_VERSION_MISMATCH, "plugin.minor",
                        "the plugin chose ABI minor %u, the host offered at most %u",
                        answer->abi_minor, (unsigned)TN_ABI_VERSION_MINOR);
    }
    if (answer->sanitizers != HOST_SANITIZERS) {
        return tni_fail(error, TN_ERROR_VERSION_MISMATCH, "plugin.sanitizers",
                        "built with sanitizers 0x%x, the host with 0x%x", answer->sanitizers,
                        (unsigned)HOST_SANITIZERS);
    }
    if (!copy_text(plugin->name, answer->name) || !tni_plugin_name_is_valid(plugin->name)) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.name",
                        "the plugin's name \"%s\" is not [a-z][a-z0-9_-]{0,31}", plugin->name);
    }
    copy_text(plugin->vendor, answer->vendor);
    copy_text(plugin->build, answer->build);
    plugin->flags = answer->flags;
    plugin->abi_minor = answer->abi_minor;
    return TN_OK;
}

static tn_status call_entry(tni_plugin *plugin, const tni_plugin_start_info *info,
                            tn_plugin_answer *out_answer, tn_error *error) {
    tn_host_offer offer = {
        .struct_size = sizeof(offer),
        .struct_type = TN_STRUCT_HOST_OFFER,
        .abi_minor_min = 0,
        .abi_minor_max = TN_ABI_VERSION_MINOR,
        .sanitizers = HOST_SANITIZERS,
        .secure_execution = info->secure_execution ? 1u : 0u,
        .digests = host_digests,
        .digest_count = sizeof(host_digests) / sizeof(host_digests[0]),
        .services = &plugin->services,
        .host = &plugin->context,
        .host_build = "tenon " TN_VERSION_TEXT,
        .plugin_path = info->path == NULL ? "" : info->path,
    };
    memset(out_answer, 0, sizeof(*out_answer));
    out_answer->struct_size = sizeof(*out_answer);
    out_answer->struct_type = TN_STRUCT_PLUGIN_ANSWER;
    tn_status status = info->entry(&offer, out_answer, error);
    if (status == TN_OK) {
        plugin->handle = out_answer->plugin;
    }
    return status;
}

static tn_status describe_device(tni_plugin *plugin, uint32_t index, tn_error *error) {
    tni_device *device = &plugin->devices[index];
    device->plugin = plugin;
    device->index = index;
    atomic_init(&device->lost, TN_OK);
    device->info.struct_size = sizeof(device->info);
    device->info.struct_type = TN_STRUCT_DEVICE_INFO;
    tn_status status = plugin->core.device_info(plugin->handle, index, &device->info, error);
    if (status != TN_OK) {
        return status;
    }
    char *texts[] = {device->info.name,   device->info.description, device->info.vendor,
                     device->info.driver, device->info.physical_id, device->info.resource_group};
    const size_t sizes[] = {sizeof(device->info.name),        sizeof(device->info.description),
                            sizeof(device->info.vendor),      sizeof(device->info.driver),
                            sizeof(device->info.physical_id), sizeof(device->info.resource_group)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        texts[i][sizes[i] - 1] = '\0';
        tni_text_sanitise(texts[i]);
    }
    if (!tni_plugin_name_is_valid(device->info.name) || device->info.heap_count > TNI_MAX_HEAPS) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.device",
                        "device %u: name \"%s\", %u heaps (at most %u)", index, device->info.name,
                        device->info.heap_count, TNI_MAX_HEAPS);
    }
    snprintf(device->id, sizeof(device->id), "%.32s:%.32s", plugin->name, device->info.name);
    status = tni_mutex_init(&device->open_mutex);
    device->open_mutex_ready = status == TN_OK;
    if (status == TN_OK) {
        status = tni_cond_init(&device->open_done);
        device->open_done_ready = status == TN_OK;
    }
    return status;
}

static tn_status find_devices(tni_plugin *plugin, tn_error *error) {
    uint32_t count = 0;
    tn_status status = plugin->core.probe(plugin->handle, &count, error);
    if (status != TN_OK || count == 0) {
        return status;
    }
    if (count > MAX_DEVICES) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "plugin.device-count",
                        "the plugin reports %u devices, at most %u are possible", count,
                        MAX_DEVICES);
    }
    plugin->devices = tni_alloc_array(&plugin->alloc, count, sizeof(*plugin->devices));
    if (plugin->devices == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the list of devices");
    }
    plugin->device_count = count;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        status = describe_device(plugin, i, error);
    }
    return status;
}

static tn_status start(tni_plugin *plugin, const tni_plugin_start_info *info,
                       tn_load_stage *out_stage, tn_error *error) {
    tn_plugin_answer answer;
    *out_stage = TN_LOAD_ENTRY;
    tn_status status = call_entry(plugin, info, &answer, error);
    if (status == TN_OK) {
        status = check_answer(plugin, &answer, error);
    }
    if (status != TN_OK) {
        return status;
    }
    *out_stage = TN_LOAD_INTERFACES;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        status = copy_table(plugin, &answer, &tables[i], error);
        if (status != TN_OK) {
            return status;
        }
    }
    *out_stage = TN_LOAD_DEVICES;
    return find_devices(plugin, error);
}

// What a plugin returned and wrote, made fit for a report: a known status, a text, one line.
static tn_status tidy(tn_status status, tn_error *error) {
    if (error == NULL) {
        return status > TN_OK && status < TN_STATUS_COUNT ? status : TN_ERROR_INTERNAL;
    }
    if (status < TN_OK || status >= TN_STATUS_COUNT) {
        return tni_fail(error, TN_ERROR_INTERNAL, "plugin.status",
                        "the plugin returned %d, which is no status", status);
    }
    error->id[sizeof(error->id) - 1] = '\0';
    error->text[sizeof(error->text) - 1] = '\0';
    tni_text_sanitise(error->id);
    tni_text_sanitise(error->text);
    if (error->text[0] == '\0') {
        return tni_fail(error, status, "plugin.silent", "the plugin returned %s and no text",
                        tni_status_name(status));
    }
    return status;
}

tn_status tni_plugin_start(const tni_plugin_start_info *info, tni_plugin **out_plugin,
                           tn_load_stage *out_stage, tn_error *error) {
    *out_plugin = NULL;
    *out_stage = TN_LOAD_ENTRY;
    tni_plugin *plugin = tni_alloc_zeroed(info->alloc, sizeof(*plugin));
    if (plugin == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a plugin");
    }
    plugin->alloc = *info->alloc;
    plugin->context.alloc = *info->alloc;
    plugin->context.log = *info->log;
    plugin->context.pool = info->pool;
    plugin->context.weights = info->weights;
    atomic_init(&plugin->context.live_bytes, 0);
    atomic_init(&plugin->context.allocation_count, 0);
    tni_services_fill(&plugin->services);
    tn_status status = start(plugin, info, out_stage, error);
    if (status != TN_OK) {
        // The reason for refusing is the answer; how the end went would hide it.
        if (tni_plugin_stop(plugin, SHUTDOWN_ON_ERROR_NS, NULL) != TN_OK &&
            info->plugin_stays != NULL) {
            *info->plugin_stays = true;
        }
        return tidy(status, error);
    }
    *out_stage = TN_LOAD_READY;
    *out_plugin = plugin;
    return TN_OK;
}

tn_status tni_plugin_stop(tni_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    tn_status status = TN_OK;
    if (plugin == NULL) {
        return TN_OK;
    }
    for (uint32_t i = 0; i < plugin->device_count; i++) {
        tni_device_close(&plugin->devices[i]);
        if (plugin->devices[i].open_done_ready) {
            tni_cond_deinit(&plugin->devices[i].open_done);
        }
        if (plugin->devices[i].open_mutex_ready) {
            tni_mutex_deinit(&plugin->devices[i].open_mutex);
        }
    }
    if (plugin->handle != NULL && plugin->core.shutdown != NULL) {
        status = plugin->core.shutdown(plugin->handle, timeout_ns, error);
    }
    tni_free_array(&plugin->alloc, plugin->devices, plugin->device_count, sizeof(*plugin->devices));
    tni_alloc alloc = plugin->alloc;
    // A plugin that did not end may still call its host context: that must stay.
    if (status == TN_OK) {
        tni_free(&alloc, plugin, sizeof(*plugin));
    }
    return status;
}
