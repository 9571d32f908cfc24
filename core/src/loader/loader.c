// SPDX-License-Identifier: Apache-2.0
// The load report, policy, and the start and end of every plugin.
#include "loader/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/string.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define SHUTDOWN_ON_REFUSAL_NS 1000000000ull

tn_status tni_loader_add_record(tni_loader *loader, tn_load_source source, const char *name,
                                const char *path, tni_load_record **out_record) {
    void *records = loader->records;
    *out_record = NULL;
    tn_status status = tni_grow(&loader->alloc, &records, &loader->record_capacity,
                                (uint64_t)loader->record_count + 1, sizeof(*loader->records));
    loader->records = records;
    if (status != TN_OK) {
        return status;
    }
    tni_load_record *record = tni_alloc_zeroed(&loader->alloc, sizeof(*record));
    if (record == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    if (path != NULL) {
        size_t size = strlen(path) + 1;
        record->path = tni_alloc_zeroed(&loader->alloc, size);
        if (record->path == NULL) {
            tni_free(&loader->alloc, record, sizeof(*record));
            return TN_ERROR_OUT_OF_MEMORY;
        }
        memcpy(record->path, path, size);
    }
    snprintf(record->name, sizeof(record->name), "%s", name);
    tni_text_sanitise(record->name);
    record->source = source;
    record->stage = TN_LOAD_FOUND;
    record->status = TN_ERROR_INTERNAL;
    record->reason = TN_REASON_NOT_REGISTERED;
    loader->records[loader->record_count++] = record;
    *out_record = record;
    return TN_OK;
}

tn_status tni_loader_add_folder(tni_loader *loader, tn_load_source source, const char *path,
                                tn_status status) {
    void *folders = loader->folders;
    tn_status grown = tni_grow(&loader->alloc, &folders, &loader->folder_capacity,
                               (uint64_t)loader->folder_count + 1, sizeof(*loader->folders));
    loader->folders = folders;
    if (grown != TN_OK) {
        return grown;
    }
    size_t size = strlen(path) + 1;
    char *copy = tni_alloc_zeroed(&loader->alloc, size);
    if (copy == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    memcpy(copy, path, size);
    loader->folders[loader->folder_count++] = (tni_load_folder){copy, source, status};
    return TN_OK;
}

void tni_load_record_fail(tni_load_record *record, tn_load_stage stage, tn_reason reason,
                          const tn_error *error) {
    record->stage = stage;
    record->reason = reason;
    record->status = error->status == TN_OK ? TN_ERROR_INTERNAL : error->status;
    snprintf(record->text, sizeof(record->text), "%s", error->text);
}

static bool matches_any(const char *name, const char *const *patterns, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (fnmatch(patterns[i], name, 0) == 0) {
            return true;
        }
    }
    return false;
}

// The plugin of this name that runs already, or null.
static const tni_load_record *find_ready(const tni_loader *loader, const tni_load_record *except) {
    for (uint32_t i = 0; i < loader->record_count; i++) {
        const tni_load_record *other = loader->records[i];
        if (other != except && other->plugin != NULL && strcmp(other->name, except->name) == 0) {
            return other;
        }
    }
    return NULL;
}

bool tni_loader_allows(const tni_loader *loader, tni_load_record *record) {
    const tn_host_config *config = loader->config;
    const tni_load_record *first = find_ready(loader, record);
    tn_reason reason = TN_REASON_USER_FORBID;
    tn_error error;
    tni_error_init(&error);
    if (matches_any(record->name, config->deny, config->deny_count)) {
        (void)tni_fail(&error, TN_ERROR_DENIED, "load.denied", "the deny list has \"%s\"",
                       record->name);
    } else if (config->allow_count > 0 &&
               !matches_any(record->name, config->allow, config->allow_count)) {
        (void)tni_fail(&error, TN_ERROR_DENIED, "load.not-allowed",
                       "the allow list does not have \"%s\"", record->name);
    } else if (first != NULL) {
        reason = TN_REASON_NOT_REGISTERED;
        (void)tni_fail(&error, TN_ERROR_DENIED, "load.duplicate",
                       "a plugin \"%s\" is loaded already, from %.300s", record->name,
                       first->path == NULL ? "the program itself" : first->path);
    }
    if (error.status != TN_OK) {
        tni_load_record_fail(record, TN_LOAD_POLICY, reason, &error);
        return false;
    }
    return true;
}

static tn_reason reason_of(tn_load_stage stage, tn_status status) {
    if (status == TN_ERROR_VERSION_MISMATCH || stage == TN_LOAD_INTERFACES) {
        return TN_REASON_ABI_REJECTED;
    }
    return TN_REASON_NOT_USABLE;
}

// Ends a plugin that started but may not stay. Its record is complete already.
static void turn_away(tni_loader *loader, tni_load_record *record) {
    tni_plugin *plugin = record->plugin;
    const bool unloadable = (plugin->flags & TN_PLUGIN_UNLOADABLE) != 0;
    record->plugin = NULL;
    const tn_status status = tni_plugin_stop(plugin, SHUTDOWN_ON_REFUSAL_NS, NULL);
    loader->plugin_stays = loader->plugin_stays || status != TN_OK;
    tni_loader_close_library(record, unloadable && status == TN_OK);
    tni_log_write(&loader->log, TN_LOG_WARN, "plugin %s: %s", record->name, record->text);
}

void tni_loader_start(tni_loader *loader, tni_load_record *record, tn_plugin_entry_fn entry) {
    char expected[TNI_PLUGIN_TEXT_BYTES];
    tn_error error;
    tn_load_stage stage = TN_LOAD_ENTRY;
    tni_error_init(&error);
    tni_plugin_start_info info = {
        .alloc = &loader->alloc,
        .log = &loader->log,
        .pool = loader->pool,
        .weights = loader->weights,
        .entry = entry,
        .path = record->path == NULL ? "" : record->path,
        .secure_execution = loader->secure_execution,
        .plugin_stays = &loader->plugin_stays,
    };
    tn_status status = tni_plugin_start(&info, &record->plugin, &stage, &error);
    if (status != TN_OK) {
        error.status = status;
        tni_load_record_fail(record, stage, reason_of(stage, status), &error);
        tni_log_write(&loader->log, TN_LOG_WARN, "plugin %s: %s", record->name, record->text);
        return;
    }
    // Only now is its name certain; what was judged before was the manifest's or the file's.
    memcpy(expected, record->name, sizeof(expected));
    snprintf(record->name, sizeof(record->name), "%s", record->plugin->name);
    if (record->named_by_manifest && strcmp(expected, record->name) != 0) {
        error.status = tni_fail(&error, TN_ERROR_INVALID_DATA, "load.name",
                                "the manifest names \"%s\", the plugin names itself \"%s\"",
                                expected, record->name);
        tni_load_record_fail(record, TN_LOAD_ENTRY, TN_REASON_ABI_REJECTED, &error);
        turn_away(loader, record);
        return;
    }
    if (!tni_loader_allows(loader, record)) {
        turn_away(loader, record);
        return;
    }
    record->stage = TN_LOAD_READY;
    record->status = TN_OK;
    record->reason = TN_REASON_NONE;
}

static tn_status load_static(tni_loader *loader) {
    for (uint32_t i = 0; i < loader->config->static_plugin_count; i++) {
        const tn_static_plugin *plugin = &loader->config->static_plugins[i];
        tni_load_record *record = NULL;
        tn_status status =
            tni_loader_add_record(loader, TN_SOURCE_STATIC, plugin->name, NULL, &record);
        if (status != TN_OK) {
            return status;
        }
        uint64_t begin = tni_clock_ns();
        if (tni_loader_allows(loader, record)) {
            tni_loader_start(loader, record, plugin->entry);
        }
        record->duration_ns = tni_clock_ns() - begin;
    }
    return TN_OK;
}

tn_status tni_loader_load(tni_loader *loader, const tni_alloc *alloc, const tni_log *log,
                          tni_pool *pool, tni_weights *weights, const tn_host_config *config,
                          tn_error *error) {
    memset(loader, 0, sizeof(*loader));
    loader->alloc = *alloc;
    loader->log = *log;
    loader->pool = pool;
    loader->weights = weights;
    loader->config = config;
    loader->secure_execution = getauxval(AT_SECURE) != 0;
    tn_status status = load_static(loader);
    if (status == TN_OK) {
        status = tni_loader_search(loader);
    }
    tni_probe_records_close(&loader->probe_records);
    loader->config = NULL;
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "the load report");
}

tn_status tni_loader_shutdown(tni_loader *loader, uint64_t timeout_ns, tn_error *error) {
    tn_status first = TN_OK;
    for (uint32_t i = 0; i < loader->record_count; i++) {
        tni_load_record *record = loader->records[i];
        if (record->plugin == NULL) {
            continue;
        }
        bool unloadable = (record->plugin->flags & TN_PLUGIN_UNLOADABLE) != 0;
        tn_status status =
            tni_plugin_stop(record->plugin, timeout_ns, first == TN_OK ? error : NULL);
        record->plugin = NULL;
        loader->plugin_stays = loader->plugin_stays || status != TN_OK;
        tni_loader_close_library(record, unloadable && status == TN_OK);
        first = first == TN_OK ? status : first;
    }
    return first;
}

void tni_loader_deinit(tni_loader *loader) {
    for (uint32_t i = 0; i < loader->record_count; i++) {
        tni_load_record *record = loader->records[i];
        if (record->path != NULL) {
            tni_free(&loader->alloc, record->path, strlen(record->path) + 1);
        }
        tni_free(&loader->alloc, record, sizeof(*record));
    }
    tni_free_array(&loader->alloc, loader->records, loader->record_capacity,
                   sizeof(*loader->records));
    for (uint32_t i = 0; i < loader->folder_count; i++) {
        tni_free(&loader->alloc, loader->folders[i].path, strlen(loader->folders[i].path) + 1);
    }
    tni_free_array(&loader->alloc, loader->folders, loader->folder_capacity,
                   sizeof(*loader->folders));
    memset(loader, 0, sizeof(*loader));
}
