// SPDX-License-Identifier: Apache-2.0
// Words that several concepts share: struct tags, element types, strings, shapes, opaque handles.
// Read next: plugin.h.
#ifndef TENON_ABI_TYPES_H
#define TENON_ABI_TYPES_H

#include "tenon/abi/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Values of struct_type. Frozen; new ones are appended. 1 to 999 belong to the ABI, 1000 to 1999 to
// the embedding API.
#define TN_STRUCT_ERROR 1u
#define TN_STRUCT_HOST_OFFER 2u
#define TN_STRUCT_PLUGIN_ANSWER 3u
#define TN_STRUCT_HOST_SERVICES 4u
#define TN_STRUCT_INTERFACE 5u
#define TN_STRUCT_DEVICE_INFO 6u
#define TN_STRUCT_DEVICE_OPEN_INFO 7u
#define TN_STRUCT_GRAPH_VIEW 8u
#define TN_STRUCT_VERDICTS 9u
#define TN_STRUCT_QUERY_INFO 10u
#define TN_STRUCT_COMPILE_INFO 11u
#define TN_STRUCT_PROGRAM_INFO 12u
#define TN_STRUCT_PORT_QUERY 13u
#define TN_STRUCT_PORT_INFO 14u
#define TN_STRUCT_HEAP_INFO 15u
#define TN_STRUCT_MEMORY_ALLOC_INFO 16u
#define TN_STRUCT_MEMORY_IMPORT_INFO 17u
#define TN_STRUCT_COPY_INFO 18u
#define TN_STRUCT_FENCE_CREATE_INFO 19u
#define TN_STRUCT_FENCE_CAPS 20u
#define TN_STRUCT_CONTEXT_CREATE_INFO 21u
#define TN_STRUCT_PREPARE_INFO 22u
#define TN_STRUCT_SUBMIT_INFO 23u
#define TN_STRUCT_OP_LIST 24u
#define TN_STRUCT_CLOCK_SAMPLE 25u
#define TN_STRUCT_PROFILE_RECORDS 26u
#define TN_STRUCT_BLOB_INFO 27u
#define TN_STRUCT_EXTERNAL_MEMORY_INFO 28u
#define TN_STRUCT_EXTERNAL_FENCE_INFO 29u

// Element types. The numbers are ONNX's TensorProto.DataType, so that nothing needs translating.
// 4-bit types are packed two to a byte, low nibble first; 2-bit types four to a byte, low first.
typedef uint32_t tn_dtype;
#define TN_DTYPE_UNDEFINED 0u
#define TN_DTYPE_FLOAT 1u
#define TN_DTYPE_UINT8 2u
#define TN_DTYPE_INT8 3u
#define TN_DTYPE_UINT16 4u
#define TN_DTYPE_INT16 5u
#define TN_DTYPE_INT32 6u
#define TN_DTYPE_INT64 7u
#define TN_DTYPE_STRING 8u
#define TN_DTYPE_BOOL 9u
#define TN_DTYPE_FLOAT16 10u
#define TN_DTYPE_DOUBLE 11u
#define TN_DTYPE_UINT32 12u
#define TN_DTYPE_UINT64 13u
#define TN_DTYPE_COMPLEX64 14u
#define TN_DTYPE_COMPLEX128 15u
#define TN_DTYPE_BFLOAT16 16u
#define TN_DTYPE_FLOAT8E4M3FN 17u
#define TN_DTYPE_FLOAT8E4M3FNUZ 18u
#define TN_DTYPE_FLOAT8E5M2 19u
#define TN_DTYPE_FLOAT8E5M2FNUZ 20u
#define TN_DTYPE_UINT4 21u
#define TN_DTYPE_INT4 22u
#define TN_DTYPE_FLOAT4E2M1 23u
#define TN_DTYPE_FLOAT8E8M0 24u
#define TN_DTYPE_UINT2 25u
#define TN_DTYPE_INT2 26u
#define TN_DTYPE_COUNT 27u

// The largest rank a tensor may have anywhere in Tenon.
#define TN_MAX_RANK 16u

// A borrowed run of bytes, UTF-8 unless said otherwise, not NUL-terminated. {NULL, 0} is empty.
typedef struct tn_string {
    const char *data;
    uint64_t size_bytes;
} tn_string;

// Owned by the plugin. The host never looks inside and never passes one to another plugin.
typedef struct tn_plugin tn_plugin;   // what the entry function created; lives until shutdown
typedef struct tn_device tn_device;   // one opened device
typedef struct tn_program tn_program; // one compiled island: immutable, any thread
typedef struct tn_context tn_context; // one execution of a program: one user at a time
typedef struct tn_memory tn_memory;   // memory in one heap, or an import of foreign memory
typedef struct tn_fence tn_fence;     // a 64-bit timeline

// Owned by the host: what host services take as their first argument.
typedef struct tn_host_context tn_host_context;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_TYPES_H
