// SPDX-License-Identifier: Apache-2.0
// Optional interface "external-memory": memory shared between devices by descriptor. Host pointers
// are imported through memory.h. An import never consumes: descriptors are duplicated.
#ifndef TENON_ABI_EXT_EXTERNAL_MEMORY_H
#define TENON_ABI_EXT_EXTERNAL_MEMORY_H

#include "tenon/abi/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_external_memory_kind;
#define TN_EXTERNAL_MEMORY_MEMFD 1u
#define TN_EXTERNAL_MEMORY_DMA_BUF 2u
#define TN_EXTERNAL_MEMORY_OPAQUE_FD 3u // one driver only: physical_id must match

typedef struct tn_external_memory_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_external_memory_kind kind;
    int32_t fd; // stays the caller's
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t heap;
    tn_access access;
} tn_external_memory_info;

typedef struct tn_external_memory_interface {
    tn_interface base;

    // Bit (1 << kind) for every kind that can be imported and exported. [any-thread] [no-block]
    tn_status (*external_memory_caps)(tn_device *device, uint32_t *out_import_kinds,
                                      uint32_t *out_export_kinds, tn_error *error);

    // [any-thread] [may-block] [may-alloc] TN_ERROR_UNSUPPORTED kind or heap ·
    // TN_ERROR_INVALID_ARGUMENT descriptor or range · TN_ERROR_OUT_OF_MEMORY. Free with
    // memory_free.
    tn_status (*external_memory_import)(tn_device *device, const tn_external_memory_info *info,
                                        tn_memory **out_memory, tn_error *error);

    // Gives a descriptor that the caller owns and closes; the memory outlives memory_free while one
    // is open. [any-thread] [may-block] TN_ERROR_UNSUPPORTED · TN_ERROR_OUT_OF_MEMORY.
    tn_status (*external_memory_export)(tn_memory *memory, tn_external_memory_kind kind,
                                        tn_external_memory_info *out_info, tn_error *error);
} tn_external_memory_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_EXT_EXTERNAL_MEMORY_H
