// SPDX-License-Identifier: Apache-2.0
// Interface "exec": running programs. A context is one reusable execution of a program; submit
// names what to wait for and what to signal, and never blocks. Read next: CONTRACT.md, "Execution".
#ifndef TENON_ABI_EXEC_H
#define TENON_ABI_EXEC_H

#include "tenon/abi/compile.h"
#include "tenon/abi/memory.h"
#include "tenon/abi/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tn_context_create_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_program *program;
} tn_context_create_info;

typedef struct tn_prepare_info {
    uint32_t struct_size;
    uint32_t struct_type;
    const tn_symbol_value *symbols; // borrowed for the call; every symbol of the view once
    uint64_t symbol_count;
} tn_prepare_info;

// What one port is bound to for one submit, at the port's index (inputs, outputs, workspaces).
typedef struct tn_binding {
    tn_memory *memory; // of this device; null for an unbounded output or an absent optional
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t rank;
    uint32_t reserved;   // zero
    const int64_t *dims; // rank sizes: the actual shape; valid until the signals are reached
    const int64_t *stride_elements; // null: dense row-major
    // For data-dependent outputs: TN_MAX_RANK + 1 slots of host memory that the plugin fills with
    // the rank and the sizes before it signals; null otherwise.
    int64_t *out_shape;
} tn_binding;

// Allocates an unbounded output once its size is known. Called at most once per such port and
// submit, on the plugin's thread, before the signals. Null: out of memory; the submit then fails.
typedef tn_memory *(*tn_allocate_output_fn)(void *user_data, uint32_t port, uint64_t size_bytes,
                                            uint32_t rank, const int64_t *dims);

typedef struct tn_submit_info {
    uint32_t struct_size;
    uint32_t struct_type;
    const tn_binding *bindings; // borrowed for the call
    uint32_t binding_count;
    uint32_t binding_stride_bytes;
    const tn_fence_point *waits; // fences of this device, created by it or imported into it
    uint64_t wait_count;
    const tn_fence_point *signals;
    uint64_t signal_count;
    uint64_t deadline_ns; // host clock; 0: none. A hint: the host enforces it
    uint64_t correlation_id;
    int32_t priority;                      // 0 is normal, higher sooner
    uint32_t reserved;                     // zero
    tn_allocate_output_fn allocate_output; // null when no port is unbounded
    void *allocate_user_data;
} tn_submit_info;

typedef struct tn_exec_interface {
    tn_interface base;

    // [any-thread] [may-block] [may-alloc] TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST.
    // *out_context is null on failure. Free it with context_destroy.
    tn_status (*context_create)(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error);

    // Fixes the shapes and does everything that is left before the first submit. After it, submit
    // allocates nothing. [context-serial] [may-block] [may-alloc] May be repeated between submits.
    // TN_ERROR_INVALID_ARGUMENT symbols · TN_ERROR_UNSUPPORTED outside the verdict's bounds ·
    // TN_ERROR_INVALID_STATE a submit is in flight · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST.
    tn_status (*context_prepare)(tn_context *context, const tn_prepare_info *info, tn_error *error);

    // Enqueues one execution: once all waits are reached it runs, then raises all signals, in
    // submission order per context. [context-serial] [no-block] [no-alloc]
    // On a TN_DEVICE_SYNCHRONOUS device the waits are reached before the call and the work is done
    // when it returns. A failure while running is told by failing the signals (sync.h).
    // TN_ERROR_INVALID_STATE not prepared · TN_ERROR_INVALID_ARGUMENT a binding is missing, too
    // small or misaligned · TN_ERROR_BUSY more than max_contexts_in_flight · TN_ERROR_DEVICE_LOST.
    // On failure nothing was enqueued and no fence will be signalled by it.
    tn_status (*submit)(tn_context *context, const tn_submit_info *info, tn_error *error);

    // Asks the context's submitted work to end early; its signals still come, failed with
    // TN_ERROR_CANCELLED where it had not finished. [any-thread] [no-block]
    // TN_OK also when nothing is in flight · TN_ERROR_UNIMPLEMENTED it cannot: the work runs on.
    tn_status (*cancel)(tn_context *context, tn_error *error);

    // Frees a context without work in flight. Null is ignored. [any-thread] [may-block]
    void (*context_destroy)(tn_context *context);
} tn_exec_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_EXEC_H
