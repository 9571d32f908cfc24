// SPDX-License-Identifier: Apache-2.0
// What the host gives a plugin: memory, log, clock, threads, weights. One table, fixed at load, so
// that a plugin needs neither its own pool nor its own files. Read next: device.h.
#ifndef TENON_ABI_HOST_H
#define TENON_ABI_HOST_H

#include "tenon/abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_log_level;
#define TN_LOG_ERROR 1u // something asked for did not happen
#define TN_LOG_WARN 2u  // it happened, but not as asked (a fallback)
#define TN_LOG_INFO 3u  // at most once per load, compile or prepare
#define TN_LOG_DEBUG 4u // at most once per run
#define TN_LOG_TRACE 5u // any frequency

// One index range of parallel_for. Must not block on other work of the host's pool.
typedef void (*tn_parallel_fn)(void *user_data, uint64_t begin, uint64_t end, uint32_t worker);

typedef struct tn_host_services {
    uint32_t struct_size;
    uint32_t struct_type;

    // Allocates size_bytes at alignment_bytes (a power of two, at most 4096; 0 means 16).
    // [any-thread] [may-block] Returns null when memory or the host's cap is exhausted, or when the
    // size is zero or the alignment invalid. The plugin frees it with the same size and alignment.
    void *(*alloc)(tn_host_context *host, uint64_t size_bytes, uint64_t alignment_bytes);
    // Frees what alloc gave; a null pointer is ignored. [any-thread] [no-block]
    void (*free)(tn_host_context *host, void *pointer, uint64_t size_bytes,
                 uint64_t alignment_bytes);

    // Whether a message of this level would be kept; ask before formatting. [any-thread] [no-block]
    uint32_t (*log_enabled)(tn_host_context *host, tn_log_level level);
    // Hands over one line without a newline. Never tensor values. [any-thread] [may-block]
    // text is borrowed for the call.
    void (*log)(tn_host_context *host, tn_log_level level, tn_string text);

    // Monotonic host time in nanoseconds. [any-thread] [no-block] [no-alloc]
    uint64_t (*clock_ns)(tn_host_context *host);

    // Number of workers parallel_for uses, the caller's thread included; at least 1, constant.
    // [any-thread] [no-block] [no-alloc]
    uint32_t (*worker_count)(tn_host_context *host);
    // Runs body over [0, count) in chunks of at least grain and returns when all are done. The
    // chunk borders depend only on count and grain, never on timing, so sums stay reproducible.
    // [context-serial] [may-block] [no-alloc] Nested calls run on the caller's thread.
    void (*parallel_for)(tn_host_context *host, uint64_t count, uint64_t grain, tn_parallel_fn body,
                         void *user_data);

    // Points into the host's mapping of a constant (graph.h, tn_graph_constant.key), without a
    // copy. [compile-thread] [may-block] Alignment is 1: weights lie where the file has them.
    // *out_data stays valid until the program that is being compiled is destroyed, or until the
    // call returned when made from query_support. TN_ERROR_NOT_FOUND no such key ·
    // TN_ERROR_UNSUPPORTED the constant is derived: use weight_read · TN_ERROR_IO the file shrank
    // or could not be read. *out_data is null on failure.
    tn_status (*weight_map)(tn_host_context *host, uint64_t key, const void **out_data,
                            uint64_t *out_size_bytes);
    // Copies size_bytes at offset_bytes of a constant into destination, computing it first where it
    // is derived. [compile-thread] or inside context_prepare; [may-block] [may-alloc]. Keys of a
    // program's view stay good until program_destroy.
    // TN_ERROR_NOT_FOUND · TN_ERROR_INVALID_ARGUMENT the range leaves the constant · TN_ERROR_IO ·
    // TN_ERROR_OUT_OF_MEMORY. destination is undefined on failure.
    tn_status (*weight_read)(tn_host_context *host, uint64_t key, uint64_t offset_bytes,
                             uint64_t size_bytes, void *destination);
} tn_host_services;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_HOST_H
