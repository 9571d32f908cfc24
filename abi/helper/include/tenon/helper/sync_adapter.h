// SPDX-License-Identifier: Apache-2.0
// The synchronous adapter: a plugin that computes in host memory, on the calling thread, writes the
// functions of tn_helper_simple_plugin and gets the five mandatory tables. The adapter supplies
// memory (host heap, import of host pointers), fences, copies, submit as "run, then signal", and
// all checks of arguments. Start from plugins/null. Read next: CONTRACT.md.
#ifndef TENON_HELPER_SYNC_ADAPTER_H
#define TENON_HELPER_SYNC_ADAPTER_H

#include "tenon/helper/negotiate.h"
#include "tenon/helper/verdicts.h"

#ifdef __cplusplus
extern "C" {
#endif

// One bound port during a run: inputs, then outputs, then workspaces, as ports() listed them.
typedef struct tn_helper_port {
    void *data; // null when size_bytes is 0 or an optional is absent; inputs must not be written
    uint64_t size_bytes;
    uint32_t rank; // actual shape, as the host gave it
    uint32_t reserved;
    const int64_t *dims;
    const int64_t *stride_elements; // null: dense row-major
    int64_t *out_shape;             // tn_binding.out_shape
} tn_helper_port;

// What the author writes. All pointers are static in the plugin; functions are mandatory unless
// marked. The void pointers program and context are the author's own; `host` gives memory, log,
// threads and weights and stays valid until shutdown. Errors are filled with tn_helper_fail; error
// may be null. Thread tags are those of the ABI functions of the same purpose.
typedef struct tn_helper_simple_plugin {
    tn_helper_plugin_desc desc; // get_interface is the adapter's: leave it null
    uint32_t device_count;
    const tn_op_record *ops; // may be the first members of longer records of the author's
    uint32_t op_count;
    uint32_t op_stride_bytes; // sizeof of those records

    // Fills name, description, vendor, driver, physical_id, resource_group, kind, memory_bytes and
    // costs of a device. *out_info arrives zeroed, and the adapter adds the flags HOST_MEMORY and
    // SYNCHRONOUS, one heap, the host clock and one context in flight where that is zero.
    tn_status (*device_info)(const tn_helper_host *host, uint32_t device_index,
                             tn_device_info *out_info, tn_error *error);

    // Judges one node whose op and version are those of record. view is valid. *out_verdict arrives
    // as a yes: write it with tn_helper_yes or tn_helper_no.
    void (*supports)(const tn_helper_host *host, uint32_t device_index, const tn_graph_view *view,
                     uint32_t node_index, const tn_op_record *record, const tn_query_info *info,
                     tn_node_verdict *out_verdict);

    // Builds a program. info->view is valid and lives for the call only: copy what is kept.
    tn_status (*compile)(const tn_helper_host *host, uint32_t device_index,
                         const tn_compile_info *info, void **out_program, tn_error *error);
    void (*program_destroy)(void *program);
    // Fills input_count, output_count, weight_bytes, code_bytes and numerics of a zeroed record.
    void (*program_info)(void *program, tn_program_info *out_info);
    // Fills at most port_capacity zeroed records and sets *out_port_count. The adapter returns
    // LIMIT_EXCEEDED where the capacity is too small, so the count alone is enough then.
    tn_status (*ports)(void *program, const tn_port_query *query, tn_port_info *ports,
                       uint32_t port_capacity, uint32_t *out_port_count, tn_error *error);

    tn_status (*context_create)(void *program, void **out_context, tn_error *error);
    // Fixes the shapes. Whatever run needs is allocated here.
    tn_status (*prepare)(void *context, const tn_prepare_info *info, tn_error *error);
    // Computes. [no-alloc] Sizes and alignments of the ports were checked against ports(). A
    // failure becomes a failure of the signals.
    tn_status (*run)(void *context, const tn_helper_port *ports, uint32_t port_count,
                     tn_error *error);
    void (*context_destroy)(void *context);
    // Optional: asks a run on another thread to end early.
    tn_status (*cancel)(void *context, tn_error *error);
    // Optional: claims groups of nodes that cost less together, with tn_helper_put_claim. The
    // verdicts of single nodes are in place (tn_helper_answer). Where the host's arrays are too
    // short the adapter returns LIMIT_EXCEEDED, and the host asks again with longer ones.
    tn_status (*claims)(const tn_helper_host *host, uint32_t device_index,
                        const tn_graph_view *view, const tn_query_info *info,
                        tn_verdicts *inout_verdicts, tn_error *error);
} tn_helper_simple_plugin;

// The whole entry function: negotiates, makes the plugin object, fills the answer. simple is
// static. [load-thread] [may-alloc] Returns what tn_helper_negotiate returns, or
// TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tn_helper_simple_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             const tn_helper_simple_plugin *simple,
                                             tn_error *error);

#ifdef __cplusplus
}
#endif

#endif // TENON_HELPER_SYNC_ADAPTER_H
