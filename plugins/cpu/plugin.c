// SPDX-License-Identifier: Apache-2.0
// The CPU plugin: oneDNN where it is fast, kernels of ours where it is not or its call costs more
// than the work. Start reading at op_table.c (what there is), then build.h (how an island becomes
// steps) and context.c (how it runs).
#include "ops.h"
#include "program.h"

#include <stdio.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

static tn_status device_info(const tn_helper_host *host, uint32_t device_index,
                             tn_device_info *out_info, tn_error *error) {
    (void)device_index;
    (void)error;
    const uint32_t workers = host->services->worker_count(host->context);
    const cpu_simd *simd = tni_cpu_simd_get();
    const dnnl_version_t *version = dnnl_version();
    (void)snprintf(out_info->name, sizeof out_info->name, "cpu");
    (void)snprintf(out_info->description, sizeof out_info->description,
                   "CPU through oneDNN, %s, %u threads", simd->name, workers);
    (void)snprintf(out_info->vendor, sizeof out_info->vendor, "Tenon");
    (void)snprintf(out_info->driver, sizeof out_info->driver, "oneDNN %d.%d.%d", version->major,
                   version->minor, version->patch);
    (void)snprintf(out_info->physical_id, sizeof out_info->physical_id, "cpu");
    (void)snprintf(out_info->resource_group, sizeof out_info->resource_group, "cpu");
    out_info->kind = TN_DEVICE_KIND_CPU;
    // The library's threads belong to the thread that calls it: with one there are none, and any
    // thread may call.
    out_info->flags = workers > 1 ? TN_DEVICE_OWN_THREADS : TN_DEVICE_INLINE;
    out_info->max_contexts_in_flight = 1024;
    out_info->dispatch_ns = workers > 1 ? 10000 : 500;
    out_info->flops_per_second = tni_cpu_flops_per_ns(workers) * 1000000000u;
    out_info->bytes_per_second = CPU_BYTES_PER_NS * 1000000000ull;
    return TN_OK;
}

static void supports(const tn_helper_host *host, uint32_t device_index, const tn_graph_view *view,
                     uint32_t node_index, const tn_op_record *record, const tn_query_info *info,
                     tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)info;
    // The record is the first member of this plugin's row.
    const cpu_op *op = (const cpu_op *)(const void *)record;
    tni_cpu_judge(view, tn_view_node(view, node_index), op, out_verdict);
    tni_cpu_price(view, tn_view_node(view, node_index), op, out_verdict);
}

static tn_status claims(const tn_helper_host *host, uint32_t device_index,
                        const tn_graph_view *view, const tn_query_info *info,
                        tn_verdicts *inout_verdicts, tn_error *error) {
    (void)device_index;
    (void)info;
    return tni_cpu_claims(host, view, inout_verdicts, error);
}

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    // Filled in by the one call below: a plugin keeps no global state. (How long OpenMP's threads
    // wait is a state of the process, and waiting.c counts who uses it.)
    static const tn_helper_simple_plugin template_plugin = {
        .desc = {.name = "cpu",
                 .vendor = "Tenon",
                 .build = "cpu 0.1.0",
                 .flags = TN_PLUGIN_REMOTE_SAFE,
                 .sanitizers = TN_HELPER_SANITIZERS,
                 .abi_minor_min = 0,
                 .abi_minor_max = TN_ABI_VERSION_MINOR},
        .device_count = 1,
        .ops = &tni_cpu_ops[0].record,
        .op_count = CPU_OP_COUNT,
        .op_stride_bytes = sizeof(cpu_op),
        .device_info = device_info,
        .supports = supports,
        .compile = tni_cpu_compile,
        .program_destroy = tni_cpu_program_destroy,
        .program_info = tni_cpu_program_info,
        .ports = tni_cpu_ports,
        .context_create = tni_cpu_context_create,
        .prepare = tni_cpu_prepare,
        .run = tni_cpu_run,
        .context_destroy = tni_cpu_context_destroy,
        .cancel = tni_cpu_cancel,
        .claims = claims,
    };
    return tn_helper_simple_entry(offer, answer, &template_plugin, error);
}
