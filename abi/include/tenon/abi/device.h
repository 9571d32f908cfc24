// SPDX-License-Identifier: Apache-2.0
// Interface "core": what devices there are, opening and closing them, and the end of the plugin.
// Read next: graph.h and compile.h.
#ifndef TENON_ABI_DEVICE_H
#define TENON_ABI_DEVICE_H

#include "tenon/abi/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_device_kind;
#define TN_DEVICE_KIND_OTHER 0u
#define TN_DEVICE_KIND_CPU 1u
#define TN_DEVICE_KIND_GPU 2u
#define TN_DEVICE_KIND_NPU 3u
#define TN_DEVICE_KIND_DSP 4u

typedef uint64_t tn_device_flags;
// Programs read and write ordinary host memory. The device must accept memory_import of host
// pointers of any alignment that its ports allow (ABI-60).
#define TN_DEVICE_HOST_MEMORY 1ull
// submit does the work before it returns and waits for nothing: the host calls it once every wait
// is reached, on a worker thread of this device (or directly, with TN_DEVICE_INLINE).
#define TN_DEVICE_SYNCHRONOUS 2ull
// With SYNCHRONOUS and HOST_MEMORY: a call costs about as much as a function call, so the host
// calls it on whatever thread reached the waits.
#define TN_DEVICE_INLINE 4ull
// Not hardware: its numbers are labelled emulated wherever they are shown.
#define TN_DEVICE_EMULATED 8ull
// cancel stops work that has begun, so borrowed memory comes back in bounded time.
#define TN_DEVICE_CAN_ABORT 16ull
// Brings its own thread pool: every call for this device that can do work comes from one thread,
// which waits between calls. Fences and cancel may come from any (ABI-33).
#define TN_DEVICE_OWN_THREADS 32ull
// Islands must be connected subgraphs; the host splits them.
#define TN_DEVICE_CONNECTED_ISLANDS 64ull

typedef uint32_t tn_clock_domain;
#define TN_CLOCK_HOST 0u    // tn_host_services.clock_ns
#define TN_CLOCK_DEVICE 1u  // the device's counter, related by sample pairs
#define TN_CLOCK_VIRTUAL 2u // simulated; never added to wall time

// Describes one device. The host zeroes it and sets struct_size and struct_type; texts are
// NUL-terminated UTF-8. Zero in a rate or cost means unknown.
typedef struct tn_device_info {
    uint32_t struct_size;
    uint32_t struct_type;
    char name[32]; // unique in the plugin, [a-z][a-z0-9_-]*: users type PLUGIN:NAME or PLUGIN
    char description[96];
    char vendor[64];
    char driver[64];
    // The same text for two devices means the same silicon (PCI address, "cpu").
    char physical_id[64];
    // Devices of one group share execution units and memory: no overlap is assumed between them.
    char resource_group[64];
    tn_device_kind kind;
    tn_clock_domain clock_domain;
    tn_device_flags flags;
    uint64_t memory_bytes;
    uint32_t max_contexts_in_flight; // submitted and unfinished at once; at least 1
    uint32_t heap_count;
    // Declared costs, in nanoseconds and units per second; the host may measure and override them.
    uint64_t dispatch_ns;
    uint64_t flops_per_second;
    uint64_t bytes_per_second;
} tn_device_info;

typedef struct tn_device_open_info {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t device_index;
    uint32_t reserved;            // zero
    uint64_t memory_cap_bytes;    // 0: none. memory_alloc beyond it returns TN_ERROR_OUT_OF_MEMORY
    const tn_string *option_keys; // option_count pairs, borrowed for the call
    const tn_string *option_values;
    uint64_t option_count;
} tn_device_open_info;

typedef struct tn_core_interface {
    tn_interface base;

    // Looks for devices: no context, no lasting threads, a bounded time. [load-thread] [may-block]
    // TN_OK with *out_device_count, possibly 0 · TN_ERROR_UNSUPPORTED the driver is missing; error
    // says which · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_INTERNAL. The count is 0 on failure.
    tn_status (*probe)(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error);

    // Describes device_index as of the last probe. [load-thread] [no-block]
    // TN_ERROR_INVALID_ARGUMENT index out of range · TN_ERROR_INVALID_STATE probe did not succeed.
    tn_status (*device_info)(tn_plugin *plugin, uint32_t device_index, tn_device_info *out_info,
                             tn_error *error);

    // Opens a device for use. [load-thread] [may-block] [may-alloc] Give it back with device_close.
    // TN_ERROR_INVALID_ARGUMENT index · TN_ERROR_NOT_FOUND unknown option key, named in error ·
    // TN_ERROR_BUSY exclusive use elsewhere · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST.
    // *out_device is null on failure.
    tn_status (*device_open)(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error);

    // Closes a device whose programs, contexts, memory and fences are all gone. Null is ignored.
    // [load-thread] [may-block] Works on a lost device.
    void (*device_close)(tn_device *device);

    // Ends the plugin: threads joined, everything freed. [load-thread] [may-block] Waits at most
    // timeout_ns. TN_ERROR_INVALID_STATE a device is still open: nothing happened ·
    // TN_ERROR_TIMEOUT a thread did not end: the library stays mapped, and no call may follow.
    tn_status (*shutdown)(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error);
} tn_core_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_DEVICE_H
