// SPDX-License-Identifier: Apache-2.0
// The reference plugin: one CPU device that computes every op it knows in the plainest way. Start
// reading at op_table.c (what there is), then program.c and context.c (how an island runs).
#include "program.h"

#include <stdio.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

static tn_status device_info(const tn_helper_host *host, uint32_t device_index,
                             tn_device_info *out_info, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)error;
    (void)snprintf(out_info->name, sizeof out_info->name, "cpu");
    (void)snprintf(out_info->description, sizeof out_info->description,
                   "Reference CPU: plain C, obviously right");
    (void)snprintf(out_info->vendor, sizeof out_info->vendor, "Tenon");
    (void)snprintf(out_info->driver, sizeof out_info->driver, "none");
    (void)snprintf(out_info->physical_id, sizeof out_info->physical_id, "cpu");
    (void)snprintf(out_info->resource_group, sizeof out_info->resource_group, "cpu");
    out_info->kind = TN_DEVICE_KIND_CPU;
    out_info->flags = TN_DEVICE_INLINE;
    // Contexts share nothing but constants, so their number is not limited here.
    out_info->max_contexts_in_flight = 1024;
    out_info->dispatch_ns = 500;
    out_info->flops_per_second = 2000000000u;
    out_info->bytes_per_second = 1000000000u;
    return TN_OK;
}

static void supports(const tn_helper_host *host, uint32_t device_index, const tn_graph_view *view,
                     uint32_t node_index, const tn_op_record *record, const tn_query_info *info,
                     tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)info;
    // The record is the first member of this plugin's row.
    const ref_op *op = (const ref_op *)(const void *)record;
    tni_ref_judge(view, tn_view_node(view, node_index), op, out_verdict);
}

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    // Filled in by the one call below: a plugin keeps no global state.
    static const tn_helper_simple_plugin template_plugin = {
        .desc = {.name = "reference",
                 .vendor = "Tenon",
                 .build = "reference 0.1.0",
                 .flags = TN_PLUGIN_UNLOADABLE | TN_PLUGIN_REMOTE_SAFE,
                 .sanitizers = TN_HELPER_SANITIZERS,
                 .abi_minor_min = 0,
                 .abi_minor_max = TN_ABI_VERSION_MINOR},
        .device_count = 1,
        .ops = &tni_ref_ops[0].record,
        .op_count = REF_OP_COUNT,
        .op_stride_bytes = sizeof(ref_op),
        .device_info = device_info,
        .supports = supports,
        .compile = tni_ref_compile,
        .program_destroy = tni_ref_program_destroy,
        .program_info = tni_ref_program_info,
        .ports = tni_ref_ports,
        .context_create = tni_ref_context_create,
        .prepare = tni_ref_prepare,
        .run = tni_ref_run,
        .context_destroy = tni_ref_context_destroy,
        .cancel = tni_ref_cancel,
    };
    return tn_helper_simple_entry(offer, answer, &template_plugin, error);
}
