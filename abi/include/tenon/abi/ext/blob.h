// SPDX-License-Identifier: Apache-2.0
// Optional interface "blob": programs saved to bytes and loaded again. The envelope, its digests
// and the file belong to the host; the plugin sees only its own payload, after the envelope was
// verified.
#ifndef TENON_ABI_EXT_BLOB_H
#define TENON_ABI_EXT_BLOB_H

#include "tenon/abi/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_blob_state;
#define TN_BLOB_GOOD 0u
#define TN_BLOB_SLOWER 1u // works, but compiling again would give a faster program
#define TN_BLOB_STALE 2u  // stale_part says why
#define TN_BLOB_FOREIGN 3u
#define TN_BLOB_CORRUPT 4u

#define TN_BLOB_TEXT_BYTES 128

// Everything a program's validity depends on besides the graph and its weights; NUL-terminated.
typedef struct tn_blob_info {
    uint32_t struct_size;
    uint32_t struct_type;
    char plugin_build[TN_BLOB_TEXT_BYTES];
    char compiler[TN_BLOB_TEXT_BYTES];
    char driver[TN_BLOB_TEXT_BYTES];
    char firmware[TN_BLOB_TEXT_BYTES];
    char device_model[TN_BLOB_TEXT_BYTES];
    char options[TN_BLOB_TEXT_BYTES];
} tn_blob_info;

typedef struct tn_blob_interface {
    tn_interface base;

    // What a program compiled now would depend on. [any-thread] [no-block]
    tn_status (*blob_fingerprint)(tn_device *device, tn_blob_info *out_info, tn_error *error);

    // Judges a stored fingerprint without opening a device. [any-thread] [no-block]
    tn_status (*blob_check)(tn_plugin *plugin, uint32_t device_index, const tn_blob_info *stored,
                            tn_blob_state *out_state, tn_error *error);

    // Writes the program to capacity_bytes at buffer; *out_size_bytes is the size needed, also on
    // LIMIT_EXCEEDED. Weights are left out: they come from the host again. [any-thread] [may-block]
    tn_status (*blob_save)(tn_program *program, void *buffer, uint64_t capacity_bytes,
                           uint64_t *out_size_bytes, tn_error *error);

    // Makes a program of saved bytes and the view it was compiled from. [compile-thread]
    // [may-block] TN_ERROR_STALE · TN_ERROR_INVALID_DATA · and compile's errors. *out_program null
    // on failure.
    tn_status (*blob_load)(tn_device *device, const tn_compile_info *info, const void *data,
                           uint64_t size_bytes, tn_program **out_program, tn_error *error);
} tn_blob_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_EXT_BLOB_H
