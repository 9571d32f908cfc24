// SPDX-License-Identifier: Apache-2.0
// tenon/host.h: making a host, its devices and reports, and its end.
#include "api/objects.h"

#include "base/clock.h"
#include "base/error.h"

#include <stddef.h>
#include <string.h>

#define RELEASE_TIMEOUT_NS 5000000000ull
#define DEFAULT_PROBE_TIMEOUT_NS 10000000000ull

void tni_struct_out(void *destination, const void *source, uint32_t source_bytes) {
    const tn_struct_header *header = destination;
    uint32_t bytes = header->struct_size < source_bytes ? header->struct_size : source_bytes;
    memcpy((char *)destination + sizeof(*header), (const char *)source + sizeof(*header),
           bytes - sizeof(*header));
}

void tn_host_config_init(tn_host_config *config) {
    *config = (tn_host_config){
        .struct_size = sizeof(*config),
        .struct_type = TN_STRUCT_HOST_CONFIG,
        .log_level = TN_LOG_WARN,
        .search = TN_SEARCH_ALL,
        .probe_timeout_ns = DEFAULT_PROBE_TIMEOUT_NS,
    };
}

static void *counting_alloc(void *user, uint64_t size_bytes, uint64_t alignment_bytes) {
    tn_host *host = user;
    void *pointer =
        host->allocator.alloc != NULL
            ? host->allocator.alloc(host->allocator.user_data, size_bytes, alignment_bytes)
            : host->own->alloc(NULL, size_bytes, alignment_bytes);
    if (pointer == NULL) {
        return NULL;
    }
    uint64_t live = atomic_fetch_add(&host->live_bytes, size_bytes) + size_bytes;
    uint64_t peak = atomic_load(&host->peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&host->peak_bytes, &peak, live)) {
    }
    atomic_fetch_add(&host->allocation_count, 1);
    return pointer;
}

static void counting_free(void *user, void *pointer, uint64_t size_bytes,
                          uint64_t alignment_bytes) {
    tn_host *host = user;
    atomic_fetch_sub(&host->live_bytes, size_bytes);
    if (host->allocator.free != NULL) {
        host->allocator.free(host->allocator.user_data, pointer, size_bytes, alignment_bytes);
    } else {
        host->own->free(NULL, pointer, size_bytes, alignment_bytes);
    }
}

static void pass_log(void *user_data, tn_log_level level, tn_string text) {
    tn_host *host = user_data;
    host->log_fn(host->log_user_data, level, text.data, text.size_bytes);
}

static tn_status check_config(const tn_host_config *config, tn_error *error) {
    if (!tni_struct_ok(config, TN_STRUCT_HOST_CONFIG, sizeof(*config))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.config",
                        "the configuration was not made by tn_host_config_init");
    }
    if ((config->allocator.alloc == NULL) != (config->allocator.free == NULL)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.allocator",
                        "an allocator needs both alloc and free");
    }
    const struct {
        const void *array;
        uint32_t count;
        const char *name;
    } arrays[] = {
        {config->plugin_paths, config->plugin_path_count, "plugin_paths"},
        {config->search_dirs, config->search_dir_count, "search_dirs"},
        {config->static_plugins, config->static_plugin_count, "static_plugins"},
        {config->allow, config->allow_count, "allow"},
        {config->deny, config->deny_count, "deny"},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (arrays[i].array == NULL && arrays[i].count > 0) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.array",
                            "%s is null and its count is %u", arrays[i].name, arrays[i].count);
        }
    }
    return TN_OK;
}

static tn_status list_devices(tn_host *host) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->loader.record_count; i++) {
        const tni_plugin *plugin = host->loader.records[i]->plugin;
        count += plugin != NULL ? plugin->device_count : 0;
    }
    if (count == 0) {
        return TN_OK;
    }
    host->devices = tni_alloc_array(&host->alloc, count, sizeof(*host->devices));
    if (host->devices == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < host->loader.record_count; i++) {
        tni_plugin *plugin = host->loader.records[i]->plugin;
        for (uint32_t k = 0; plugin != NULL && k < plugin->device_count; k++) {
            plugin->devices[k].host_index = host->device_count;
            host->devices[host->device_count++] = &plugin->devices[k];
        }
    }
    return TN_OK;
}

// Where plans are kept; nowhere when there is no such folder.
static void find_plans(tn_host *host, const tn_host_config *config) {
    char unused[TNI_STATE_REASON_BYTES];
    host->plans.log = &host->log;
    if (config->no_plan_store != 0 || host->loader.secure_execution ||
        !tni_state_folder_path(config->probe_cache_dir, host->plans.folder, unused)) {
        host->plans.folder[0] = '\0';
    }
}

static tn_status start(tn_host *host, const tn_host_config *config, tn_error *error) {
    tn_status status = tni_mutex_init(&host->mutex);
    host->mutex_ready = status == TN_OK;
    if (status == TN_OK) {
        status = tni_weights_init(&host->weights, &host->alloc);
        host->weights_ready = status == TN_OK;
    }
    if (status == TN_OK) {
        status = tni_pool_create(&host->alloc, config->worker_count, &host->pool);
    }
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "a host");
    }
    host->loader_ready = true;
    status = tni_loader_load(&host->loader, &host->alloc, &host->log, host->pool, &host->weights,
                             config, error);
    if (status == TN_OK) {
        status = list_devices(host);
    }
    if (status == TN_OK) {
        tni_host_read_calibration(host, config);
        find_plans(host, config);
    }
    return status;
}

// Everything but the host itself, which the allocator counts in.
static tn_status finish(tn_host *host, uint64_t timeout_ns, tn_error *error) {
    tn_status status =
        host->loader_ready ? tni_loader_shutdown(&host->loader, timeout_ns, error) : TN_OK;
    tni_free_array(&host->alloc, host->devices, host->device_count, sizeof(*host->devices));
    host->devices = NULL;
    host->device_count = 0;
    return status;
}

static void destroy(tn_host *host) {
    tn_status status = finish(host, RELEASE_TIMEOUT_NS, NULL);
    if (status != TN_OK) {
        tni_log_write(&host->log, TN_LOG_ERROR, "a plugin did not shut down: %s",
                      tni_status_name(status));
    }
    const bool plugin_stays = host->loader.plugin_stays;
    if (host->loader_ready) {
        tni_loader_deinit(&host->loader);
    }
    tni_trace_stop(&host->trace);
    tni_cost_table_deinit(&host->calibration.table);
    if (plugin_stays) {
        return; // what it may still call, the allocator's counts included, is left to it
    }
    tni_pool_destroy(host->pool);
    if (host->weights_ready) {
        tni_weights_deinit(&host->weights);
    }
    if (host->mutex_ready) {
        tni_mutex_deinit(&host->mutex);
    }
    tn_allocator allocator = host->allocator;
    if (allocator.free != NULL) {
        allocator.free(allocator.user_data, host, sizeof(*host), TNI_ALIGNMENT);
    } else {
        tni_alloc_default()->free(NULL, host, sizeof(*host), TNI_ALIGNMENT);
    }
}

tn_status tn_host_create(const tn_host_config *config, tn_host **out_host, tn_error *error) {
    if (out_host == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.null", "out_host is null");
    }
    *out_host = NULL;
    tn_status status = check_config(config, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_allocator *given = &config->allocator;
    tn_host *host = given->alloc != NULL
                        ? given->alloc(given->user_data, sizeof(*host), TNI_ALIGNMENT)
                        : tni_alloc_default()->alloc(NULL, sizeof(*host), TNI_ALIGNMENT);
    if (host == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a host");
    }
    memset(host, 0, sizeof(*host));
    atomic_init(&host->references, 1);
    atomic_init(&host->live_bytes, 0);
    atomic_init(&host->peak_bytes, 0);
    atomic_init(&host->allocation_count, 0);
    host->allocator = *given;
    host->own = config->large_pages != 0 ? tni_alloc_large_pages() : tni_alloc_default();
    host->alloc = (tni_alloc){counting_alloc, counting_free, host};
    host->log_fn = config->log;
    host->log_user_data = config->log_user_data;
    host->log = (tni_log){config->log != NULL ? pass_log : NULL, host, config->log_level};
    tni_trace_init(&host->trace, &host->alloc);
    status = start(host, config, error);
    if (status != TN_OK) {
        destroy(host);
        return status;
    }
    *out_host = host;
    return TN_OK;
}

void tn_host_retain(tn_host *host) {
    if (host != NULL) {
        atomic_fetch_add(&host->references, 1);
    }
}

void tni_host_drop(tn_host *host) {
    if (atomic_fetch_sub(&host->references, 1) == 1) {
        destroy(host);
    }
}

void tn_host_release(tn_host *host) {
    if (host == NULL) {
        return;
    }
    // Runs that were given up hold the host; whoever lets go of it waits for them a moment.
    if (!tni_host_reap(host, tni_clock_deadline(RELEASE_TIMEOUT_NS))) {
        tni_log_write(&host->log, TN_LOG_ERROR,
                      "a device has not finished a run that was given up; its memory is kept");
    }
    tni_host_drop(host);
}

tn_status tn_host_shutdown(tn_host *host, uint64_t timeout_ns, tn_error *error) {
    if (host == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.null", "host is null");
    }
    if (!tni_host_reap(host, tni_clock_deadline(timeout_ns))) {
        return tni_fail(error, TN_ERROR_TIMEOUT, "host.undrained",
                        "a device is still at work on a run that was given up");
    }
    tni_mutex_lock(&host->mutex);
    bool busy = host->compiled_count > 0;
    host->shut_down = host->shut_down || !busy;
    tni_mutex_unlock(&host->mutex);
    if (busy) {
        return tni_fail(error, TN_ERROR_BUSY, "host.in-use", "compiled models still exist");
    }
    return finish(host, timeout_ns, error);
}

uint32_t tn_host_load_count(const tn_host *host) {
    return host == NULL ? 0 : host->loader.record_count;
}

tn_status tn_host_load_get(const tn_host *host, uint32_t index, tn_load_entry *out_entry) {
    if (host == NULL || !tni_struct_ok(out_entry, TN_STRUCT_LOAD_ENTRY, sizeof(tn_struct_header)) ||
        index >= host->loader.record_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_load_record *record = host->loader.records[index];
    tn_load_entry entry = {
        .name = record->name,
        .path = record->path == NULL ? "" : record->path,
        .source = record->source,
        .stage = record->stage,
        .status = record->status,
        .reason = record->reason,
        .device_count = record->plugin == NULL ? 0 : record->plugin->device_count,
        .duration_ns = record->duration_ns,
        .text = record->text,
        .vendor = record->plugin == NULL ? "" : record->plugin->vendor,
        .build = record->plugin == NULL ? "" : record->plugin->build,
        .probe = record->probe,
    };
    tni_struct_out(out_entry, &entry, sizeof(entry));
    return TN_OK;
}

uint32_t tn_host_folder_count(const tn_host *host) {
    return host == NULL ? 0 : host->loader.folder_count;
}

tn_status tn_host_folder_get(const tn_host *host, uint32_t index, tn_folder_entry *out_entry) {
    if (host == NULL ||
        !tni_struct_ok(out_entry, TN_STRUCT_FOLDER_ENTRY, sizeof(tn_struct_header)) ||
        index >= host->loader.folder_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_load_folder *folder = &host->loader.folders[index];
    const tn_folder_entry entry = {
        .path = folder->path, .source = folder->source, .status = folder->status};
    tni_struct_out(out_entry, &entry, sizeof(entry));
    return TN_OK;
}

uint32_t tn_host_device_count(const tn_host *host) {
    return host == NULL ? 0 : host->device_count;
}

tn_status tn_host_device_get(const tn_host *host, uint32_t index, tn_device_desc *out_desc) {
    if (host == NULL || !tni_struct_ok(out_desc, TN_STRUCT_DEVICE_DESC, sizeof(tn_struct_header)) ||
        index >= host->device_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_device *device = host->devices[index];
    tn_device_desc desc = {
        .id = device->id,
        .plugin = device->plugin->name,
        .description = device->info.description,
        .vendor = device->info.vendor,
        .driver = device->info.driver,
        .physical_id = device->info.physical_id,
        .resource_group = device->info.resource_group,
        .kind = device->info.kind,
        .lost = atomic_load(&device->lost),
        .flags = device->info.flags,
        .memory_bytes = device->info.memory_bytes,
    };
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}

uint32_t tn_host_device_find(const tn_host *host, const char *id) {
    for (uint32_t i = 0; host != NULL && id != NULL && i < host->device_count; i++) {
        if (strcmp(host->devices[i]->id, id) == 0 ||
            strcmp(host->devices[i]->plugin->name, id) == 0) {
            return i;
        }
    }
    return TN_NONE;
}

tn_status tn_host_memory_stats(const tn_host *host, tn_memory_stats *out_stats) {
    if (host == NULL ||
        !tni_struct_ok(out_stats, TN_STRUCT_MEMORY_STATS, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_memory_stats stats = {
        .live_bytes = atomic_load(&host->live_bytes),
        .peak_bytes = atomic_load(&host->peak_bytes),
        .allocation_count = atomic_load(&host->allocation_count),
    };
    for (uint32_t i = 0; i < host->loader.record_count; i++) {
        const tni_plugin *plugin = host->loader.records[i]->plugin;
        if (plugin != NULL) {
            stats.plugin_allocation_count += atomic_load(&plugin->context.allocation_count);
        }
    }
    tni_struct_out(out_stats, &stats, sizeof(stats));
    return TN_OK;
}

static const char *trace_name(const void *user_data, uint32_t device) {
    const tn_host *host = user_data;
    return device < host->device_count ? host->devices[device]->id : NULL;
}

tn_status tn_host_trace_start(tn_host *host, uint32_t capacity, tn_error *error) {
    if (host == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.null", "host is null");
    }
    return tni_trace_start(&host->trace, capacity, error);
}

void tn_host_trace_stop(tn_host *host) {
    if (host != NULL) {
        tni_trace_stop(&host->trace);
    }
}

uint32_t tn_host_trace_count(const tn_host *host, uint64_t *out_dropped) {
    if (out_dropped != NULL) {
        *out_dropped = 0;
    }
    return host == NULL ? 0 : tni_trace_count(&host->trace, out_dropped);
}

tn_status tn_host_trace_get(const tn_host *host, uint32_t index, tn_trace_event *out_event) {
    if (host == NULL ||
        !tni_struct_ok(out_event, TN_STRUCT_TRACE_EVENT, sizeof(tn_struct_header)) ||
        index >= tni_trace_count(&host->trace, NULL)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tni_struct_out(out_event, &host->trace.events[index], sizeof(*out_event));
    return TN_OK;
}

tn_status tn_host_trace_write(const tn_host *host, tn_write_fn write, void *user_data,
                              tn_error *error) {
    if (host == NULL || write == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "host.null", "host or write is null");
    }
    return tni_trace_write(&host->trace, trace_name, host, write, user_data, error);
}

bool tni_host_reap(tn_host *host, uint64_t deadline_ns) {
    tni_mutex_lock(&host->mutex);
    tni_execution *list = host->undrained;
    host->undrained = NULL;
    tni_mutex_unlock(&host->mutex);
    bool none_left = true;
    while (list != NULL) {
        tni_execution *execution = list;
        list = execution->next;
        if (tni_execution_drain(execution, deadline_ns)) {
            tni_execution_destroy(execution);
            continue;
        }
        none_left = false;
        tni_host_retire(host, execution);
    }
    return none_left;
}

void tni_host_retire(tn_host *host, tni_execution *execution) {
    if (execution == NULL || tni_execution_drained(execution)) {
        tni_execution_destroy(execution);
        return;
    }
    tni_mutex_lock(&host->mutex);
    execution->next = host->undrained;
    host->undrained = execution;
    tni_mutex_unlock(&host->mutex);
}
