// SPDX-License-Identifier: Apache-2.0
// Objects of the synchronous adapter, shared by its sources. Children point to their device; the
// contract says that they are gone before it closes.
#ifndef TENON_HELPER_ADAPTER_H
#define TENON_HELPER_ADAPTER_H

#include "tenon/helper/sync_adapter.h"

#include <stdatomic.h>
#include <stddef.h>

// Offset of the first byte behind a member: what struct_size must reach for it to be there.
#define TNI_END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

struct tn_plugin {
    tn_helper_host host;
    const tn_helper_simple_plugin *simple;
    atomic_uint open_device_count;
    uint32_t probed;
};

struct tn_device {
    tn_plugin *plugin;
    uint32_t index;
    uint64_t memory_cap_bytes; // 0: none
    _Atomic uint64_t allocated_bytes;
};

struct tn_memory {
    tn_device *device;
    unsigned char *data;
    uint64_t size_bytes;
    uint64_t alignment_bytes; // of the allocation; 0 for an import
    tn_access access;
    tn_release_fn release; // imports only, may be null
    void *release_user_data;
};

extern const tn_core_interface tni_adapter_core;
extern const tn_compile_interface tni_adapter_compile;
extern const tn_memory_interface tni_adapter_memory;
extern const tn_sync_interface tni_adapter_sync;
extern const tn_exec_interface tni_adapter_exec;

static inline const tn_helper_host *tni_adapter_host(const tn_device *device) {
    return &device->plugin->host;
}

static inline const tn_helper_simple_plugin *tni_adapter_simple(const tn_device *device) {
    return device->plugin->simple;
}

// The author's program behind a handle, and its device.
void *tni_adapter_program(const tn_program *program);
tn_device *tni_adapter_program_device(const tn_program *program);

// Whether every wait is reached and every signal is above its fence's value.
// TN_OK · TN_ERROR_INVALID_ARGUMENT a fence is null, or a point breaks that rule.
tn_status tni_adapter_check_points(const tn_fence_point *waits, uint64_t wait_count,
                                   const tn_fence_point *signals, uint64_t signal_count,
                                   tn_error *error);
// Raises all signals, or fails them with status and detail when status is not TN_OK.
void tni_adapter_complete(const tn_fence_point *signals, uint64_t signal_count, tn_status status,
                          const tn_error *detail);

#endif // TENON_HELPER_ADAPTER_H
