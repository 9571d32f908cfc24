// SPDX-License-Identifier: Apache-2.0
// Synchronous adapter: verdicts, programs, ports.
#include "adapter.h"

#include <string.h>

struct tn_program {
    tn_device *device;
    void *own; // the author's
};

void *tni_adapter_program(const tn_program *program) {
    return program->own;
}

tn_device *tni_adapter_program_device(const tn_program *program) {
    return program->device;
}

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    (void)error;
    const tn_helper_simple_plugin *simple = tni_adapter_simple(device);
    const tn_op_list list = {.ops = simple->ops,
                             .op_count = simple->op_count,
                             .op_stride_bytes = simple->op_stride_bytes};
    tn_helper_copy_out(out_ops, &list, (uint32_t)sizeof list);
    return TN_OK;
}

// Groups of nodes; the verdicts of single ones are there.
static tn_status query_claims(const tn_device *device, const tn_graph_view *view,
                              const tn_query_info *query, tn_verdicts *inout_verdicts,
                              tn_error *error) {
    const tn_helper_simple_plugin *simple = tni_adapter_simple(device);
    inout_verdicts->claim_count = 0;
    inout_verdicts->claim_node_count = 0;
    inout_verdicts->bound_count = 0;
    if (simple->claims == NULL) {
        return TN_OK;
    }
    const tn_status status =
        simple->claims(tni_adapter_host(device), device->index, view, query, inout_verdicts, error);
    if (status == TN_OK &&
        (inout_verdicts->claim_count > inout_verdicts->claim_capacity ||
         inout_verdicts->claim_node_count > inout_verdicts->claim_node_capacity)) {
        return tn_helper_fail(error, TN_ERROR_LIMIT_EXCEEDED, NULL,
                              "%u claims over %u nodes, room for %u over %u",
                              inout_verdicts->claim_count, inout_verdicts->claim_node_count,
                              inout_verdicts->claim_capacity, inout_verdicts->claim_node_capacity);
    }
    return status;
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    const tn_status status = tn_view_validate(view, error);
    if (status != TN_OK) {
        return status;
    }
    if (!tn_helper_struct_reaches(inout_verdicts, TNI_END_OF(tn_verdicts, bound_count)) ||
        inout_verdicts->node_capacity < view->nodes.count ||
        (inout_verdicts->nodes == NULL && view->nodes.count != 0)) {
        return tn_helper_fail(error, TN_ERROR_LIMIT_EXCEEDED, NULL,
                              "verdicts hold fewer records than the view has nodes (%u)",
                              view->nodes.count);
    }
    tn_query_info query;
    tn_helper_copy_in(&query, (uint32_t)sizeof query, info);
    const tn_helper_simple_plugin *simple = tni_adapter_simple(device);
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        const tn_op_record *record = NULL;
        tn_node_verdict verdict;
        if (tn_helper_find_op(view, tn_view_node(view, i), simple->ops, simple->op_count,
                              simple->op_stride_bytes, &record, &verdict)) {
            tn_helper_yes(&verdict, TN_NUMERICS_EXACT);
            simple->supports(tni_adapter_host(device), device->index, view, i, record, &query,
                             &verdict);
        }
        tn_helper_put_verdict(inout_verdicts, i, &verdict);
    }
    return query_claims(device, view, &query, inout_verdicts, error);
}

static tn_status compile(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error) {
    *out_program = NULL;
    tn_compile_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    tn_status status = tn_view_validate(read.view, error);
    if (status != TN_OK) {
        return status;
    }
    tn_program *program = tn_helper_alloc(tni_adapter_host(device), sizeof *program);
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "program: no memory");
    }
    program->device = device;
    status = tni_adapter_simple(device)->compile(tni_adapter_host(device), device->index, &read,
                                                 &program->own, error);
    if (status != TN_OK) {
        tn_helper_free(tni_adapter_host(device), program, sizeof *program);
        return status;
    }
    *out_program = program;
    return TN_OK;
}

static tn_status program_info(tn_program *program, tn_program_info *out_info, tn_error *error) {
    (void)error;
    tn_program_info info = {0};
    tni_adapter_simple(program->device)->program_info(program->own, &info);
    tn_helper_copy_out(out_info, &info, (uint32_t)sizeof info);
    return TN_OK;
}

// The author fills whole records of this build; the host's may be shorter or longer.
static tn_status port_query(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    const tn_helper_simple_plugin *simple = tni_adapter_simple(program->device);
    const tn_helper_host *host = tni_adapter_host(program->device);
    tn_port_query read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, query);
    *out_port_count = 0;
    uint32_t count = 0;
    tn_status status = simple->ports(program->own, &read, NULL, 0, &count, error);
    if (status != TN_OK) {
        return status;
    }
    *out_port_count = count;
    if (count > port_capacity) {
        return tn_helper_fail(error, TN_ERROR_LIMIT_EXCEEDED, NULL, "%u ports, room for %u", count,
                              port_capacity);
    }
    if (count == 0) {
        return TN_OK;
    }
    // The records' distance is the host's struct_size, which all of them share.
    const uint32_t stride = ports[0].struct_size;
    tn_port_info *filled = tn_helper_alloc_array(host, count, sizeof *filled);
    if (filled == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "ports: no memory");
    }
    status = simple->ports(program->own, &read, filled, count, &count, error);
    for (uint32_t i = 0; status == TN_OK && i < count; ++i) {
        tn_helper_copy_out((unsigned char *)(void *)ports + (uint64_t)i * stride, &filled[i],
                           (uint32_t)sizeof filled[i]);
    }
    tn_helper_free(host, filled, count * sizeof *filled);
    return status;
}

static void program_destroy(tn_program *program) {
    if (program == NULL) {
        return;
    }
    tni_adapter_simple(program->device)->program_destroy(program->own);
    tn_helper_free(tni_adapter_host(program->device), program, sizeof *program);
}

const tn_compile_interface tni_adapter_compile = {
    .base = TN_HELPER_BASE(tn_compile_interface, TN_DIGEST_COMPILE),
    .op_list = op_list,
    .query_support = query_support,
    .compile = compile,
    .program_info = program_info,
    .port_query = port_query,
    .program_destroy = program_destroy,
};
