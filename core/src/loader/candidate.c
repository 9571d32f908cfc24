// SPDX-License-Identifier: Apache-2.0
// The stages of a candidate, in order, and dlopen. Nothing else in the tree opens libraries.
#include "loader/candidate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/string.h"
#include "loader/elf_check.h"
#include "loader/probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    tni_loader *loader;
    tni_load_record *record;
    bool has_manifest;
    tni_manifest manifest;
    tni_file library; // what was checked
    tni_elf_report elf;
    char path[PATH_MAX];
    bool probed;      // it went well
    bool on_record;   // not probed now, because it went well before
    tn_reason reason; // of the failure under way
    tn_error error;
} candidate;

static bool is_manifest(const char *path) {
    const size_t length = strlen(path);
    const size_t suffix = sizeof(TNI_MANIFEST_SUFFIX) - 1;
    return length >= suffix && strcmp(path + length - suffix, TNI_MANIFEST_SUFFIX) == 0;
}

static tn_status real_path(candidate *own, const char *path, char resolved[PATH_MAX]) {
    if (realpath(path, resolved) != NULL) {
        return TN_OK;
    }
    const int reason = errno;
    const tn_status status = tni_fail_errno(&own->error, reason, "load.path", "%.300s", path);
    return reason == ENOENT || reason == ENOTDIR ? TN_ERROR_NOT_FOUND : status;
}

// The record's path becomes the library's: plugins are told where they lie, and it outlives them.
static tn_status keep_path(candidate *own) {
    const tni_alloc *alloc = &own->loader->alloc;
    const size_t size = strlen(own->path) + 1;
    char *copy = tni_alloc_bytes(alloc, size, TNI_ALIGNMENT);
    if (copy == NULL) {
        return tni_fail_plain(&own->error, TN_ERROR_OUT_OF_MEMORY, "the path of a plugin");
    }
    memcpy(copy, own->path, size);
    tni_free(alloc, own->record->path, strlen(own->record->path) + 1);
    own->record->path = copy;
    return TN_OK;
}

static tn_status stage_found(candidate *own) {
    tn_status status = real_path(own, own->record->path, own->path);
    own->has_manifest = status == TN_OK && is_manifest(own->path);
    return status == TN_OK ? keep_path(own) : status;
}

static tn_status stage_manifest(candidate *own) {
    if (!own->has_manifest) {
        return TN_OK;
    }
    tn_status status =
        tni_manifest_read(&own->loader->alloc, own->path, &own->manifest, &own->error);
    if (status == TN_OK) {
        snprintf(own->record->name, sizeof(own->record->name), "%s", own->manifest.name);
        own->record->named_by_manifest = true;
    }
    return status;
}

// tni_loader_allows completes the record itself.
static tn_status stage_policy(candidate *own) {
    return tni_loader_allows(own->loader, own->record) ? TN_OK : TN_ERROR_DENIED;
}

static tn_status stage_target(candidate *own) {
    return own->has_manifest ? tni_target_check(&own->manifest, &own->reason, &own->error) : TN_OK;
}

static tn_status stage_cpu(candidate *own) {
    own->reason = TN_REASON_ISA_REJECTED;
    return own->has_manifest ? tni_cpu_check(&own->manifest.requires_cpu, &own->error) : TN_OK;
}

// Replaces the manifest's path by the library's. Links are followed: where they end must lie in or
// below the manifest's own folder.
static tn_status find_library(candidate *own) {
    char folder[PATH_MAX];
    char joined[PATH_MAX];
    const char *slash = strrchr(own->path, '/');
    const size_t folder_bytes = (size_t)(slash - own->path) + 1;
    memcpy(folder, own->path, folder_bytes);
    folder[folder_bytes] = '\0';
    const int length = snprintf(joined, sizeof(joined), "%s%s", folder, own->manifest.library);
    if (length < 0 || (size_t)length >= sizeof(joined)) {
        return tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.path-too-long",
                        "the path of the library has %d bytes", length);
    }
    tn_status status = real_path(own, joined, own->path);
    if (status == TN_OK && strncmp(own->path, folder, folder_bytes) != 0) {
        status =
            tni_fail(&own->error, TN_ERROR_DENIED, "load.outside",
                     "the library is a link to %.300s, outside the manifest's folder", own->path);
    }
    return status == TN_OK ? keep_path(own) : status;
}

static tn_status stage_digest(candidate *own) {
    tn_status status = own->has_manifest ? find_library(own) : TN_OK;
    if (status == TN_OK) {
        status = tni_file_open(own->path, "load.library", &own->library, &own->error);
    }
    if (status == TN_OK && own->has_manifest) {
        status =
            tni_digest_check(&own->loader->alloc, &own->library, own->manifest.sha256, &own->error);
    }
    return status;
}

static bool read_library(const void *user_data, uint64_t offset, void *destination,
                         uint64_t size_bytes) {
    return tni_file_read(user_data, offset, destination, size_bytes);
}

static tn_status stage_elf(candidate *own) {
    const tni_elf_source source = {own->library.size_bytes, read_library, &own->library};
    tn_status status = tni_elf_check(&own->loader->alloc, &source, &own->elf, &own->error);
    own->reason = own->elf.reason;
    return status;
}

static tni_probe_subject subject_of(const candidate *own) {
    return (tni_probe_subject){own->path, &own->library, &own->manifest};
}

// Whether a probe of this very plugin went well before. Else *out_reason is for the report.
static bool is_on_record(candidate *own, char out_reason[TNI_STATE_REASON_BYTES]) {
    const tn_host_config *config = own->loader->config;
    tni_probe_records *records = &own->loader->probe_records;
    const tni_probe_subject subject = subject_of(own);
    char date[TNI_RECORD_DATE_BYTES];
    out_reason[0] = '\0';
    if (!own->has_manifest) {
        return false;
    }
    tni_probe_records_open(records, config->probe_cache_dir,
                           config->no_probe_cache != 0 || own->loader->secure_execution);
    own->on_record = tni_probe_record_take(records, &subject, date, out_reason);
    if (own->on_record) {
        snprintf(own->record->probe, sizeof(own->record->probe), "recorded verdict of %s", date);
    }
    return own->on_record;
}

static void keep_verdict(candidate *own) {
    const tni_probe_records *records = &own->loader->probe_records;
    const tni_probe_subject subject = subject_of(own);
    char reason[TNI_STATE_REASON_BYTES];
    char *text = own->record->probe;
    const size_t used = strlen(text);
    if (own->on_record) {
        tni_probe_record_restore(records, &subject);
    } else if (own->probed && !tni_probe_record_write(records, &subject, reason) &&
               reason[0] != '\0') {
        snprintf(text + used, sizeof(own->record->probe) - used, "; not recorded: %s", reason);
    }
}

// Whoever gives a path or says so has decided that the plugin may run in this process.
static tn_status stage_probe(candidate *own) {
    const tn_host_config *config = own->loader->config;
    const bool secure = own->loader->secure_execution;
    char helper[PATH_MAX];
    char ignored[TNI_STATE_REASON_BYTES];
    if (own->record->source == TN_SOURCE_PATH || config->skip_probe != 0 ||
        is_on_record(own, ignored)) {
        return TN_OK;
    }
    tn_status status = tni_probe_find(config->probe_path, secure, helper, &own->error);
    if (status != TN_OK) {
        return status;
    }
    snprintf(own->record->probe, sizeof(own->record->probe), "probed%s%s",
             ignored[0] == '\0' ? "" : "; no recorded verdict: ", ignored);
    status = tni_probe_run(&own->loader->alloc, helper, own->path, config->probe_timeout_ns, secure,
                           &own->reason, &own->error);
    own->probed = status == TN_OK;
    return status;
}

// dlopen takes a path, not the file that was checked. So it is looked at before, to keep accidents
// away, and after, so that nothing of a file that was swapped in between is called.
static tn_status check_same(candidate *own) {
    return tni_file_is_at(&own->library, own->path)
               ? TN_OK
               : tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.changed",
                          "%.300s changed while it was being loaded", own->path);
}

static tn_status stage_open(candidate *own) {
    tn_status status = check_same(own);
    if (status != TN_OK) {
        return status;
    }
    own->record->library = dlopen(own->path, RTLD_NOW | RTLD_LOCAL);
    if (own->record->library == NULL) {
        const char *text = dlerror();
        text = text == NULL ? "no reason given" : text;
        own->reason = strstr(text, "cannot open shared object file") != NULL ? TN_REASON_DEP_MISSING
                                                                             : TN_REASON_NOT_USABLE;
        return tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.dlopen", "%.300s (needs %s)",
                        text, own->elf.needed[0] == '\0' ? "nothing" : own->elf.needed);
    }
    return check_same(own);
}

// ISO C has no conversion from an object pointer to a function pointer; POSIX promises the bytes.
static tn_plugin_entry_fn find_entry(void *library) {
    void *symbol = dlsym(library, TN_PLUGIN_ENTRY_NAME);
    tn_plugin_entry_fn entry = NULL;
    memcpy(&entry, &symbol, sizeof(entry));
    return entry;
}

static void start(candidate *own) {
    tn_plugin_entry_fn entry = find_entry(own->record->library);
    if (entry == NULL) {
        (void)tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.no-entry",
                       "the library does not export " TN_PLUGIN_ENTRY_NAME);
        tni_load_record_fail(own->record, TN_LOAD_ENTRY, TN_REASON_ABI_REJECTED, &own->error);
        return;
    }
    tni_loader_start(own->loader, own->record, entry);
    if (own->record->plugin != NULL) {
        own->record->plugin->library = own->record->library;
    }
    // Only now, when the plugin has kept what the probe promised: one that fails here all the same
    // is probed at every start.
    if (own->record->plugin != NULL && own->has_manifest) {
        keep_verdict(own);
    }
}

typedef struct stage {
    tn_load_stage number;
    tn_status (*run)(candidate *own);
} stage;

static const stage stages[] = {
    {TN_LOAD_FOUND, stage_found},   {TN_LOAD_MANIFEST, stage_manifest},
    {TN_LOAD_POLICY, stage_policy}, {TN_LOAD_TARGET, stage_target},
    {TN_LOAD_CPU, stage_cpu},       {TN_LOAD_DIGEST, stage_digest},
    {TN_LOAD_ELF, stage_elf},       {TN_LOAD_PROBE, stage_probe},
    {TN_LOAD_OPEN, stage_open},
};

// A plugin that is not meant for this machine or this host is no reason for a warning.
static void log_refusal(const candidate *own) {
    const tn_load_stage stage_number = own->record->stage;
    const bool expected = stage_number == TN_LOAD_POLICY || stage_number == TN_LOAD_TARGET ||
                          stage_number == TN_LOAD_CPU;
    tni_log_write(&own->loader->log, expected ? TN_LOG_INFO : TN_LOG_WARN, "plugin %s: %s",
                  own->record->name, own->record->text);
}

static void run_stages(candidate *own) {
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        own->reason = TN_REASON_NOT_USABLE;
        const tn_status status = stages[i].run(own);
        if (status == TN_OK) {
            continue;
        }
        if (stages[i].number != TN_LOAD_POLICY) {
            own->error.status = status;
            tni_load_record_fail(own->record, stages[i].number, own->reason, &own->error);
        }
        log_refusal(own);
        return;
    }
    start(own);
}

tn_status tni_candidate_load(tni_loader *loader, tn_load_source source, const char *name,
                             const char *path) {
    const uint64_t begin = tni_clock_ns();
    tni_load_record *record = NULL;
    tn_status status = tni_loader_add_record(loader, source, name, path, &record);
    if (status != TN_OK) {
        return status;
    }
    candidate *own = tni_alloc_zeroed(&loader->alloc, sizeof(*own));
    if (own == NULL) {
        tn_error error;
        tni_error_init(&error);
        (void)tni_fail_plain(&error, TN_ERROR_OUT_OF_MEMORY, "a candidate");
        tni_load_record_fail(record, TN_LOAD_FOUND, TN_REASON_NOT_USABLE, &error);
        return TN_OK;
    }
    own->loader = loader;
    own->record = record;
    own->library.descriptor = -1;
    tni_error_init(&own->error);
    run_stages(own);
    record->duration_ns = tni_clock_ns() - begin;
    tni_file_close(&own->library);
    tni_manifest_deinit(&own->manifest);
    tni_free(&loader->alloc, own, sizeof(*own));
    return TN_OK;
}

// Under AddressSanitizer a leak is reported at the end of the process, and without the library its
// stack could not be named.
#if defined(__SANITIZE_ADDRESS__)
#define KEEP_MAPPED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_MAPPED 1
#endif
#endif
#ifndef KEEP_MAPPED
#define KEEP_MAPPED 0
#endif

void tni_loader_close_library(tni_load_record *record, bool unloadable) {
    if (record->library != NULL && unloadable && !KEEP_MAPPED) {
        (void)dlclose(record->library);
    }
    record->library = NULL;
}
