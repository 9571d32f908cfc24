// SPDX-License-Identifier: Apache-2.0
// The layer's "compile" table: verdicts through longer strides and asked twice, programs, ports.
#include "layer.h"

#include <stdlib.h>
#include <string.h>

// Records the plugin sees are this much longer than its own.
#define EXTRA_STRIDE 24u

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    layer_call call;
    layer_guard guard;
    layer_check_struct(out_ops, TN_STRUCT_OP_LIST, "op_list");
    if (!layer_check(&device->handle, "device", "op_list")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_op_list *list = layer_guard_open(&guard, out_ops, "op_list");
    layer_enter(&call, "op_list", NULL, true);
    tn_status status = device->plugin->compile->op_list(device->inner, list, error);
    (void)layer_leave(&call, status, error, NULL);
    layer_guard_close(&guard, "op_list");
    return status;
}

static void check_verdicts(const tn_node_verdict *nodes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].answer == TN_ANSWER_NO && nodes[i].reason == TN_REASON_NONE) {
            layer_violation("ABI-46: node %u is refused without a reason", i);
        }
        if (nodes[i].confidence_permille > 1000 || nodes[i].reserved != 0) {
            layer_violation("ABI-12: the verdict of node %u has bad fields", i);
        }
    }
}

// Asks with node records further apart, and copies the answer back.
static tn_status ask(tn_device *device, const tn_graph_view *view, const tn_query_info *info,
                     const tn_verdicts *given, tn_verdicts *out, tn_node_verdict *nodes,
                     tn_error *error) {
    layer_call call;
    layer_guard guard;
    uint32_t stride = (uint32_t)sizeof(tn_node_verdict) + EXTRA_STRIDE;
    unsigned char *wide = calloc((size_t)given->node_capacity + 1, stride);
    *out = *given;
    out->nodes = (tn_node_verdict *)(void *)wide;
    out->node_stride_bytes = stride;
    tn_verdicts *inner = layer_guard_open(&guard, out, "query_support");
    layer_enter(&call, "query_support", NULL, false);
    tn_status status =
        device->plugin->compile->query_support(device->inner, view, info, inner, error);
    (void)layer_leave(&call, status, error, NULL);
    layer_guard_close(&guard, "query_support");
    for (uint32_t i = 0; i < given->node_capacity; i++) {
        memcpy(&nodes[i], wide + (size_t)i * stride, sizeof(nodes[i]));
        for (uint32_t k = sizeof(nodes[i]); k < stride; k++) {
            if (wide[(size_t)i * stride + k] != 0) {
                layer_violation("ABI-41: query_support wrote beyond the record of node %u", i);
                break;
            }
        }
    }
    free(wide);
    return status;
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    layer_check_struct(inout_verdicts, TN_STRUCT_VERDICTS, "query_support");
    layer_check_struct(info, TN_STRUCT_QUERY_INFO, "query_support");
    layer_check_struct(view, TN_STRUCT_GRAPH_VIEW, "query_support");
    if (!layer_check(&device->handle, "device", "query_support")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (view->nodes.count > inout_verdicts->node_capacity) {
        layer_violation("query_support: room for %u verdicts of %u nodes",
                        inout_verdicts->node_capacity, view->nodes.count);
    }
    size_t count = (size_t)inout_verdicts->node_capacity + 1;
    tn_node_verdict *second = calloc(count, sizeof(*second));
    tn_verdicts answer;
    tn_verdicts again;
    tn_status status =
        ask(device, view, info, inout_verdicts, &answer, inout_verdicts->nodes, error);
    if (status == TN_OK) {
        check_verdicts(inout_verdicts->nodes, view->nodes.count);
        tn_status repeated = ask(device, view, info, inout_verdicts, &again, second, NULL);
        if (repeated == TN_OK &&
            memcmp(second, inout_verdicts->nodes, view->nodes.count * sizeof(*second)) != 0) {
            layer_violation("ABI-45: query_support answers differently when asked again");
        }
    }
    inout_verdicts->claim_count = answer.claim_count;
    inout_verdicts->claim_node_count = answer.claim_node_count;
    inout_verdicts->bound_count = answer.bound_count;
    free(second);
    return status;
}

static tn_status compile(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error) {
    layer_call call;
    tn_program *inner = NULL;
    layer_check_struct(info, TN_STRUCT_COMPILE_INFO, "compile");
    *out_program = NULL;
    if (!layer_check(&device->handle, "device", "compile")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    // A plugin that keeps a pointer into the view meets garbage afterwards (ABI-25).
    uint64_t bytes = info->view->total_bytes;
    unsigned char *lent = malloc(bytes);
    memcpy(lent, info->view, bytes);
    tn_compile_info own = *info;
    own.view = (const tn_graph_view *)(const void *)lent;
    layer_enter(&call, "compile", NULL, false);
    tn_status status = device->plugin->compile->compile(device->inner, &own, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    if (memcmp(lent, info->view, bytes) != 0) {
        layer_violation("ABI-42: compile wrote into the view");
    }
    memset(lent, 0xdb, bytes);
    free(lent);
    if (status == TN_OK) {
        *out_program = layer_new(sizeof(**out_program), "program", &device->handle);
        (*out_program)->inner = inner;
        (*out_program)->device = device;
    }
    return status;
}

static tn_status program_info(tn_program *program, tn_program_info *out_info, tn_error *error) {
    layer_call call;
    layer_guard guard;
    layer_check_struct(out_info, TN_STRUCT_PROGRAM_INFO, "program_info");
    if (!layer_check(&program->handle, "program", "program_info")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_program_info *info = layer_guard_open(&guard, out_info, "program_info");
    layer_enter(&call, "program_info", NULL, true);
    tn_status status = program->device->plugin->compile->program_info(program->inner, info, error);
    (void)layer_leave(&call, status, error, NULL);
    layer_guard_close(&guard, "program_info");
    return status;
}

static tn_status port_query(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    layer_call call;
    layer_check_struct(query, TN_STRUCT_PORT_QUERY, "port_query");
    if (!layer_check(&program->handle, "program", "port_query")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    uint32_t stride = (uint32_t)sizeof(tn_port_info) + EXTRA_STRIDE;
    unsigned char *wide = calloc((size_t)port_capacity + 1, stride);
    for (uint32_t i = 0; i < port_capacity; i++) {
        const tn_struct_header header = {stride, TN_STRUCT_PORT_INFO};
        memcpy(wide + (size_t)i * stride, &header, sizeof(header));
    }
    layer_enter(&call, "port_query", NULL, false);
    tn_status status = program->device->plugin->compile->port_query(
        program->inner, query, (tn_port_info *)(void *)wide, port_capacity, out_port_count, error);
    (void)layer_leave(&call, status, error, NULL);
    for (uint32_t i = 0; i < port_capacity; i++) {
        uint32_t size = ports[i].struct_size;
        memcpy(&ports[i], wide + (size_t)i * stride, sizeof(ports[i]));
        if (ports[i].struct_size != stride || ports[i].struct_type != TN_STRUCT_PORT_INFO) {
            layer_violation("ABI-11: port_query changed the header of port %u", i);
        }
        ports[i].struct_size = size;
        for (uint32_t k = sizeof(ports[i]); k < stride; k++) {
            if (wide[(size_t)i * stride + k] != 0) {
                layer_violation("ABI-41: port_query wrote beyond the record of port %u", i);
                break;
            }
        }
        if (status == TN_OK && i < *out_port_count && ports[i].alignment_bytes == 0) {
            layer_violation("port_query: port %u has no alignment", i);
        }
    }
    free(wide);
    return status;
}

static void program_destroy(tn_program *program) {
    if (program != NULL && layer_end(&program->handle, "program_destroy")) {
        program->device->plugin->compile->program_destroy(program->inner);
    }
}

const tn_compile_interface layer_compile = {
    .base = {sizeof(tn_compile_interface), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0, 0},
    .op_list = op_list,
    .query_support = query_support,
    .compile = compile,
    .program_info = program_info,
    .port_query = port_query,
    .program_destroy = program_destroy,
};
