// SPDX-License-Identifier: Apache-2.0
// Finding and opening plugins, and remembering how each candidate fared. Static plugins and plugins
// from files end in the same tni_plugin_start.
#ifndef TENON_LOADER_LOADER_H
#define TENON_LOADER_LOADER_H

#include "loader/plugin.h"
#include "loader/probe_record.h"

#define TNI_LOAD_TEXT_BYTES 640u
#define TNI_LOAD_PROBE_BYTES 512u

// One candidate of the load report. Texts are copied and owned here.
typedef struct tni_load_record {
    char name[TNI_PLUGIN_TEXT_BYTES];
    char *path; // owned; null for static plugins
    tn_load_source source;
    tn_load_stage stage;
    tn_status status;
    tn_reason reason;
    bool named_by_manifest; // name is what the manifest says, until the plugin says it itself
    uint64_t duration_ns;
    char text[TNI_LOAD_TEXT_BYTES];
    char probe[TNI_LOAD_PROBE_BYTES]; // whether it was probed, or by which record not
    tni_plugin *plugin;               // null unless ready
    void *library; // of dlopen, also for a plugin that failed after it and may not be closed
} tni_load_record;

// One folder that was looked into, or was to be.
typedef struct tni_load_folder {
    char *path; // owned
    tn_load_source source;
    tn_status status; // TN_OK · TN_ERROR_NOT_FOUND · TN_ERROR_IO
} tni_load_folder;

// Single owner, one thread. Records only grow, so their indices are stable.
typedef struct tni_loader {
    tni_alloc alloc;
    tni_log log;
    tni_pool *pool;
    tni_weights *weights;
    const tn_host_config *config; // borrowed while loading
    bool secure_execution;
    tni_probe_records probe_records; // open while loading
    tni_load_record **records;
    uint32_t record_count;
    uint32_t record_capacity;
    tni_load_folder *folders; // in the order of the search
    uint32_t folder_count;
    uint32_t folder_capacity;
    bool plugin_stays; // one did not end, and may use allocator, log, pool and weights for ever
} tni_loader;

// Loads everything config asks for, in order: static plugins, paths, search folders, environment,
// user, system. A candidate that fails is a record, not an error. TN_OK · TN_ERROR_OUT_OF_MEMORY
// the report itself has no room. Deinit in every case. pool and weights must outlive the loader.
TN_MUST_USE tn_status tni_loader_load(tni_loader *loader, const tni_alloc *alloc,
                                      const tni_log *log, tni_pool *pool, tni_weights *weights,
                                      const tn_host_config *config, tn_error *error);

// Shuts every plugin down, each within timeout_ns, and closes the libraries that allow it.
// TN_OK, or the first plugin's failure; all are tried. May be called twice.
tn_status tni_loader_shutdown(tni_loader *loader, uint64_t timeout_ns, tn_error *error);

// Frees the records, after a shutdown.
void tni_loader_deinit(tni_loader *loader);

// Adds an empty record. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_loader_add_record(tni_loader *loader, tn_load_source source,
                                            const char *name, const char *path,
                                            tni_load_record **out_record);

// Notes a folder of the search. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_loader_add_folder(tni_loader *loader, tn_load_source source,
                                            const char *path, tn_status status);

// Whether config's patterns let a plugin of this name in and none of this name runs yet; else fills
// the record with the reason. A candidate that failed leaves its name to the next one, so a broken
// plugin in a user's folder does not hide the installation's.
bool tni_loader_allows(const tni_loader *loader, tni_load_record *record);

// Starts a plugin through its entry function and completes the record.
void tni_loader_start(tni_loader *loader, tni_load_record *record, tn_plugin_entry_fn entry);

// Notes a failure: the stage it happened in, and error's text.
void tni_load_record_fail(tni_load_record *record, tn_load_stage stage, tn_reason reason,
                          const tn_error *error);

// Everything that comes from files: config's paths and the search (search.c). Errors as load.
TN_MUST_USE tn_status tni_loader_search(tni_loader *loader);
// Closes the library of a stopped plugin where that is safe (candidate.c).
void tni_loader_close_library(tni_load_record *record, bool unloadable);

#endif // TENON_LOADER_LOADER_H
