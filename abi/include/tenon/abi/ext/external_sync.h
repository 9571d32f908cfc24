// SPDX-License-Identifier: Apache-2.0
// Optional interface "external-sync": a device takes fences made elsewhere, and gives its own away.
// What is refused here, the host bridges with a wait of its own, and counts it.
#ifndef TENON_ABI_EXT_EXTERNAL_SYNC_H
#define TENON_ABI_EXT_EXTERNAL_SYNC_H

#include "tenon/abi/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_external_fence_kind;
#define TN_EXTERNAL_FENCE_SYNC_FILE 1u   // Linux sync_file descriptor: one signal, binary
#define TN_EXTERNAL_FENCE_TIMELINE_FD 2u // opaque descriptor of a Vulkan timeline semaphore
#define TN_EXTERNAL_FENCE_EVENTFD 3u     // readable once signalled, binary

typedef struct tn_external_fence_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_external_fence_kind kind;
    int32_t fd;     // stays the caller's: the importer duplicates it
    uint64_t value; // timelines: the value it stands at; binary kinds: reached means this value
} tn_external_fence_info;

typedef struct tn_external_sync_interface {
    tn_interface base;

    // Bit (1 << kind) for every kind that can be imported and exported. [any-thread] [no-block]
    tn_status (*external_fence_caps)(tn_device *device, uint32_t *out_import_kinds,
                                     uint32_t *out_export_kinds, tn_error *error);

    // Makes a foreign fence nameable in this device's submits. [any-thread] [may-alloc]
    // TN_ERROR_UNSUPPORTED unknown or unsupported kind: refused, never guessed ·
    // TN_ERROR_INVALID_ARGUMENT bad descriptor · TN_ERROR_OUT_OF_MEMORY. Free with fence_destroy.
    tn_status (*fence_import)(tn_device *device, const tn_external_fence_info *info,
                              tn_fence **out_fence, tn_error *error);

    // Gives a descriptor that the caller owns and closes. [any-thread] [may-alloc]
    // TN_ERROR_UNSUPPORTED kind · TN_ERROR_OUT_OF_MEMORY. out_info->fd is -1 on failure.
    tn_status (*fence_export)(tn_fence *fence, tn_external_fence_kind kind,
                              tn_external_fence_info *out_info, tn_error *error);
} tn_external_sync_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_EXT_EXTERNAL_SYNC_H
