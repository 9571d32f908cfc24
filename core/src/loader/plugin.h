// SPDX-License-Identifier: Apache-2.0
// A plugin that has met the host: its tables, copied to the size this host knows, and its devices.
// Found by search, given by path or linked statically, every plugin passes through here.
#ifndef TENON_LOADER_PLUGIN_H
#define TENON_LOADER_PLUGIN_H

#include "base/worker.h"
#include "loader/services.h"

#include "tenon/abi/exec.h"
#include "tenon/abi/ext/external_sync.h"
#include "tenon/abi/plugin.h"
#include "tenon/host.h"

#include <stdatomic.h>
#include <stdbool.h>

#define TNI_MAX_HEAPS 16u
#define TNI_PLUGIN_TEXT_BYTES 128u

typedef struct tni_plugin tni_plugin;

// One device of a plugin. Opened on first use; then its description does not change.
typedef struct tni_device {
    tni_plugin *plugin;
    uint32_t index;                 // in the plugin
    uint32_t host_index;            // in the host; set by the host
    char id[TNI_PLUGIN_TEXT_BYTES]; // "plugin:device"
    tn_device_info info;
    tn_device *handle; // null until opened
    tn_fence_caps fence_caps;
    bool notifies;     // fence_on_reach works
    bool imports_host; // host memory can be bound without a copy, through import_heap
    uint32_t import_heap;
    uint32_t heap_count;
    tn_heap_info heaps[TNI_MAX_HEAPS];
    _Atomic tn_status lost; // TN_OK, or what it failed with for good
    tni_mutex open_mutex;   // with open_done: one thread opens, others wait
    tni_cond open_done;
    bool open_mutex_ready;
    bool open_done_ready;
    bool opening;
    tni_worker *worker; // of a device that needs one, from the opening on
} tni_device;

struct tni_plugin {
    tni_alloc alloc;
    tn_host_context context;
    tn_host_services services;
    char name[TNI_PLUGIN_TEXT_BYTES];
    char vendor[TNI_PLUGIN_TEXT_BYTES];
    char build[TNI_PLUGIN_TEXT_BYTES];
    tn_plugin_flags flags;
    uint32_t abi_minor;
    tn_plugin *handle;
    tn_core_interface core;
    tn_compile_interface compile;
    tn_memory_interface memory;
    tn_sync_interface sync;
    tn_exec_interface exec;
    bool has_external_sync;
    tn_external_sync_interface external_sync;
    void *library; // of dlopen; null when linked statically. The opener closes it
    uint32_t device_count;
    tni_device *devices;
};

// What a plugin is started with. Texts are borrowed for the call, except path, which must outlive
// it.
typedef struct tni_plugin_start_info {
    const tni_alloc *alloc;
    const tni_log *log;
    tni_pool *pool;
    tni_weights *weights;
    tn_plugin_entry_fn entry;
    const char *path; // absolute; "" for static plugins
    bool secure_execution;
    bool *plugin_stays; // set when a plugin that was refused did not end; may be null
} tni_plugin_start_info;

// Calls the entry function, checks the answer and every table, and looks for devices.
// *out_stage is the stage begun last (TN_LOAD_ENTRY to TN_LOAD_READY), for the load report.
// TN_OK · TN_ERROR_VERSION_MISMATCH · TN_ERROR_INVALID_DATA the plugin breaks the contract: error
// says which rule · TN_ERROR_OUT_OF_MEMORY · whatever the plugin returned. *out_plugin is null on
// failure, and the plugin was shut down again where it had started.
TN_MUST_USE tn_status tni_plugin_start(const tni_plugin_start_info *info, tni_plugin **out_plugin,
                                       tn_load_stage *out_stage, tn_error *error);

// Closes its devices and shuts it down; the memory is freed in any case. Null is ignored.
// TN_OK · TN_ERROR_TIMEOUT and others of shutdown: the library must stay mapped.
tn_status tni_plugin_stop(tni_plugin *plugin, uint64_t timeout_ns, tn_error *error);

// Whether name is [a-z][a-z0-9_-]{0,31}: names of plugins and of devices.
bool tni_plugin_name_is_valid(const char *name);

// Opens the device if nobody has yet. Any thread. TN_OK · the plugin's errors.
TN_MUST_USE tn_status tni_device_open(tni_device *device, tn_error *error);

// Closes it, if it is open, and ends its worker. Nothing of the device may be left.
void tni_device_close(tni_device *device);

// Notes TN_ERROR_DEVICE_LOST for good; other statuses pass through. Returns status.
tn_status tni_device_note(tni_device *device, tn_status status);

// The outcome of a constructor: notes a lost device, and turns "OK, but no object" into
// TN_ERROR_INVALID_DATA (ABI-28). Returns the status that counts.
tn_status tni_device_made(tni_device *device, tn_status status, const void *object,
                          const char *what, tn_error *error);

static inline bool tni_device_is(const tni_device *device, tn_device_flags flag) {
    return (device->info.flags & flag) != 0;
}

// Whether its programs run on whatever host thread submits them, like a function call.
static inline bool tni_device_is_inline(const tni_device *device) {
    return tni_device_is(device, TN_DEVICE_INLINE) &&
           tni_device_is(device, TN_DEVICE_SYNCHRONOUS) &&
           tni_device_is(device, TN_DEVICE_HOST_MEMORY) &&
           !tni_device_is(device, TN_DEVICE_OWN_THREADS);
}

// Whether a thread of the host's serves it: it works inside submit and takes its time, or all its
// calls must come from one thread (ABI-33).
static inline bool tni_device_needs_worker(const tni_device *device) {
    return tni_device_is(device, TN_DEVICE_OWN_THREADS) ||
           (tni_device_is(device, TN_DEVICE_SYNCHRONOUS) && !tni_device_is_inline(device));
}

#endif // TENON_LOADER_PLUGIN_H
