// SPDX-License-Identifier: Apache-2.0
// The host: plugins, devices and policy of one embedder. No globals: a process may have several.
// Read next: model.h.
#ifndef TENON_HOST_H
#define TENON_HOST_H

#include "tenon/abi/device.h"
#include "tenon/api.h"

#ifdef __cplusplus
extern "C" {
#endif

// Shared: models and compiled models hold references. Any thread may use it.
typedef struct tn_host tn_host;

// Memory for everything the host and its plugins allocate on their own behalf; only the parser of
// manifests, and libraries below plugins, use the C library's. alloc returns null when out of
// memory; alignment is a power of two. free gets the size and alignment of the alloc. Both may be
// called from any thread at any time until the host is gone.
typedef struct tn_allocator {
    void *(*alloc)(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes);
    void (*free)(void *user_data, void *pointer, uint64_t size_bytes, uint64_t alignment_bytes);
    void *user_data;
} tn_allocator;

// One line, without a newline, borrowed for the call. Called on any thread; must not call back in.
typedef void (*tn_log_fn)(void *user_data, tn_log_level level, const char *text,
                          uint64_t size_bytes);

// Where plugins are looked for besides the paths given.
typedef uint32_t tn_search_flags;
#define TN_SEARCH_ENVIRONMENT 1u // TENON_PLUGIN_PATH, ignored in secure execution
#define TN_SEARCH_USER 2u        // $XDG_DATA_HOME/tenon/plugins, ignored in secure execution
#define TN_SEARCH_SYSTEM 4u      // the installation's plugin folder
#define TN_SEARCH_ALL 7u
#define TN_SEARCH_NONE 0u

// A plugin linked into the program.
typedef struct tn_static_plugin {
    const char *name; // for the load report; NUL-terminated, outlives the host
    tn_plugin_entry_fn entry;
} tn_static_plugin;

// All arrays and texts are borrowed for tn_host_create.
typedef struct tn_host_config {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_allocator allocator; // all null: the C library's
    tn_log_fn log;          // null: nothing is logged
    void *log_user_data;
    tn_log_level log_level; // default TN_LOG_WARN
    tn_search_flags search; // default TN_SEARCH_ALL
    // Plugin libraries or manifests to open, by path; no probe is made for these.
    const char *const *plugin_paths;
    // Folders searched first; plugins found there are probed like any other found one.
    const char *const *search_dirs;
    const tn_static_plugin *static_plugins;
    // Shell patterns over plugin names; deny wins. No allow patterns: all are allowed.
    const char *const *allow;
    const char *const *deny;
    uint32_t plugin_path_count;
    uint32_t search_dir_count;
    uint32_t static_plugin_count;
    uint32_t allow_count;
    uint32_t deny_count;
    // Threads for parallel_for, the caller's included; 0 and 1: none are started.
    uint32_t worker_count;
    // Helper executable that opens a found plugin first, in a process of its own; null: the one
    // that belongs to this libtenon (libexec/tenon/tenon-probe), else the configured
    // installation's.
    const char *probe_path;
    uint64_t probe_timeout_ns; // default 10 s
    // 1: open plugins that were found without a probe. For tests and sealed systems.
    uint32_t skip_probe;
    // 1: good verdicts of probes are neither recorded nor used, so that every start probes. So it
    // is in secure execution, always.
    uint32_t no_probe_cache;
    // Folder for them; null: tenon in $XDG_CACHE_HOME or ~/.cache. Made when absent. A verdict
    // holds for one state of library and manifest and one version of Tenon. Nothing is used from a
    // folder or a file that another user owns or may write.
    const char *probe_cache_dir;
    // What `tenon calibrate` measured on this machine, for the planner; null: calibration.json in
    // the folder above. Like the records, it must belong to this user and be writable by nobody
    // else. One that is bad or stale is not used, and is no error: tn_host_calibration_get.
    const char *calibration_path;
    // 1: costs are estimated without it. So it is in secure execution, always.
    uint32_t no_calibration;
    // 1: plans that took a search are neither kept in that folder nor taken from it. So it is in
    // secure execution, always, and for models that are marked sensitive.
    uint32_t no_plan_store;
    // 1: blocks of 2 MiB and more ask the system for large pages: weights and tensors may then be
    // read faster in every run, and may take longer to get ready before the first. To be measured
    // where it is used. Without effect where the system grants none, or with an allocator.
    uint32_t large_pages;
    uint32_t reserved;
} tn_host_config;

TN_API void tn_host_config_init(tn_host_config *config);

// Creates a host and loads its plugins. A plugin that cannot be loaded is not an error: the load
// report says why. [any-thread] [may-block]
// TN_ERROR_INVALID_ARGUMENT null pointer, wrong struct_type, null array with a count ·
// TN_ERROR_OUT_OF_MEMORY. *out_host is null on failure; else give it back with tn_host_release.
TN_API TN_MUST_USE tn_status tn_host_create(const tn_host_config *config, tn_host **out_host,
                                            tn_error *error);

TN_API void tn_host_retain(tn_host *host);

// Drops one reference; null is ignored. The last one closes all devices and ends all plugins.
TN_API void tn_host_release(tn_host *host);

// Ends all plugins now. TN_ERROR_BUSY compiled models still exist: nothing happened ·
// TN_ERROR_TIMEOUT a plugin did not end within timeout_ns and stays mapped.
TN_API TN_MUST_USE tn_status tn_host_shutdown(tn_host *host, uint64_t timeout_ns, tn_error *error);

// How far a candidate came; the stage named is the last one begun.
typedef uint32_t tn_load_stage;
#define TN_LOAD_FOUND 0u
#define TN_LOAD_MANIFEST 1u
#define TN_LOAD_POLICY 2u // allow, deny, secure execution
#define TN_LOAD_TARGET 3u // operating system, architecture, ABI range, required paths
#define TN_LOAD_CPU 4u    // CPU features
#define TN_LOAD_DIGEST 5u
#define TN_LOAD_ELF 6u
#define TN_LOAD_PROBE 7u
#define TN_LOAD_OPEN 8u
#define TN_LOAD_ENTRY 9u
#define TN_LOAD_INTERFACES 10u
#define TN_LOAD_DEVICES 11u
#define TN_LOAD_READY 12u

typedef uint32_t tn_load_source;
#define TN_SOURCE_STATIC 0u
#define TN_SOURCE_PATH 1u
#define TN_SOURCE_DIR 2u
#define TN_SOURCE_ENVIRONMENT 3u
#define TN_SOURCE_USER 4u
#define TN_SOURCE_SYSTEM 5u

// One candidate. Texts are NUL-terminated and live as long as the host; vendor and build at most
// until tn_host_shutdown.
typedef struct tn_load_entry {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *name;
    const char *path; // "" for static plugins
    tn_load_source source;
    tn_load_stage stage;
    tn_status status; // TN_OK: ready
    uint32_t reason;  // TN_REASON_ (abi/verdict.h), TN_REASON_NONE when ready
    uint32_t device_count;
    uint32_t reserved;
    uint64_t duration_ns;
    const char *text; // the real reason: dlerror text, missing library, both digests; "" when ready
    const char *vendor;
    const char *build;
    // "" when no probe was due, else "probed" or "recorded verdict of 2026-01-31T12:00:00Z", and
    // why a record was not used or not written.
    const char *probe;
} tn_load_entry;

TN_API uint32_t tn_host_load_count(const tn_host *host);
// TN_ERROR_INVALID_ARGUMENT index out of range or bad struct.
TN_API TN_MUST_USE tn_status tn_host_load_get(const tn_host *host, uint32_t index,
                                              tn_load_entry *out_entry);
// One folder of the search, in its order. path lives as long as the host.
typedef struct tn_folder_entry {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *path;
    tn_load_source source;
    tn_status status; // TN_OK looked into · TN_ERROR_NOT_FOUND absent · TN_ERROR_IO unreadable
} tn_folder_entry;

TN_API uint32_t tn_host_folder_count(const tn_host *host);
// TN_ERROR_INVALID_ARGUMENT index out of range or bad struct.
TN_API TN_MUST_USE tn_status tn_host_folder_get(const tn_host *host, uint32_t index,
                                                tn_folder_entry *out_entry);

// "digest", "probe", ...; static.
TN_API const char *tn_load_stage_text(tn_load_stage stage);

// Measured costs that the planner uses. Texts live as long as the host.
typedef struct tn_calibration_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    // TN_OK in use · TN_ERROR_NOT_FOUND there is none · TN_ERROR_DENIED turned off, or others may
    // write to it · TN_ERROR_STALE measured on another machine · TN_ERROR_INVALID_DATA,
    // TN_ERROR_UNSUPPORTED, TN_ERROR_LIMIT_EXCEEDED, TN_ERROR_IO it cannot be used as it is.
    tn_status status;
    uint32_t device_count; // whose costs are used
    uint32_t stale_count;  // devices with another driver or build than was measured
    uint32_t pair_count;   // of devices whose handovers and copies are known
    const char *path;      // where it is, or would be; "" when turned off
    const char *machine;   // this one, as measurements are bound to it
    const char *date;      // of the last measurement; "" without one
    const char *id;        // of the error, "" when there is none
    const char *text;      // why it is not in use
} tn_calibration_desc;

// TN_ERROR_INVALID_ARGUMENT null host or bad struct.
TN_API TN_MUST_USE tn_status tn_host_calibration_get(const tn_host *host,
                                                     tn_calibration_desc *out_desc);

// One device of a loaded plugin. Texts live as long as the host, or until tn_host_shutdown.
typedef struct tn_device_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *id; // "plugin:device"; a plugin's name alone names its first device
    const char *plugin;
    const char *description;
    const char *vendor;
    const char *driver;
    const char *physical_id;
    const char *resource_group;
    uint32_t kind;  // TN_DEVICE_KIND_
    tn_status lost; // TN_OK, or what it failed with for good
    uint64_t flags; // TN_DEVICE_
    uint64_t memory_bytes;
} tn_device_desc;

TN_API uint32_t tn_host_device_count(const tn_host *host);
TN_API TN_MUST_USE tn_status tn_host_device_get(const tn_host *host, uint32_t index,
                                                tn_device_desc *out_desc);
// Index of a device by id or plugin name, or TN_NONE.
TN_API uint32_t tn_host_device_find(const tn_host *host, const char *id);

// Bytes the host and its plugins hold through the host's allocator, now and at most so far.
typedef struct tn_memory_stats {
    uint32_t struct_size;
    uint32_t struct_type;
    uint64_t live_bytes;
    uint64_t peak_bytes;
    uint64_t allocation_count;
    uint64_t plugin_allocation_count;
} tn_memory_stats;

TN_API TN_MUST_USE tn_status tn_host_memory_stats(const tn_host *host, tn_memory_stats *out_stats);

// Static texts: "OUT_OF_MEMORY"; "DTYPE"; "float". Unknown numbers give "UNKNOWN".
TN_API const char *tn_status_text(tn_status status);
TN_API const char *tn_reason_text(uint32_t reason);
TN_API const char *tn_dtype_text(tn_dtype dtype);
// "0.1.0"
TN_API const char *tn_version_text(void);
// Fills struct_size, struct_type and "nothing to say".
TN_API void tn_error_init(tn_error *error);

#ifdef __cplusplus
}
#endif

#endif // TENON_HOST_H
