// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "adapter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tn_status sample_device_info(const tn_helper_host *host, uint32_t device_index,
                                    tn_device_info *out_info, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)error;
    (void)snprintf(out_info->name, sizeof out_info->name, "sample");
    return TN_OK;
}

static void sample_supports(const tn_helper_host *host, uint32_t device_index,
                            const tn_graph_view *view, uint32_t node_index, const tn_op_record *op,
                            const tn_query_info *info, tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)view;
    (void)node_index;
    (void)op;
    (void)info;
    (void)out_verdict;
}

// Every two nodes that follow each other, the earlier claims for less.
static tn_status sample_claims(const tn_helper_host *host, uint32_t device_index,
                               const tn_graph_view *view, const tn_query_info *info,
                               tn_verdicts *inout_verdicts, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)info;
    (void)error;
    for (uint32_t i = 0; i + 1 < view->nodes.count; ++i) {
        const uint32_t nodes[2] = {i, i + 1};
        const tn_claim claim = {
            .kind = TN_CLAIM_BONUS, .cost_ns = 100 + i, .origin = TN_COST_DECLARED};
        if (tn_helper_answer(inout_verdicts, i) == TN_ANSWER_YES &&
            tn_helper_answer(inout_verdicts, i + 1) == TN_ANSWER_YES) {
            tn_helper_put_claim(inout_verdicts, &claim, nodes, 2);
        }
    }
    return TN_OK;
}

static tn_status sample_compile(const tn_helper_host *host, uint32_t device_index,
                                const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    (void)info;
    (void)error;
    sample_program *program = tn_helper_alloc(host, sizeof *program);
    *out_program = program;
    if (program == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    program->host = *host;
    return TN_OK;
}

static void sample_program_destroy(void *program) {
    sample_program *own = program;
    const tn_helper_host host = own->host;
    tn_helper_free(&host, own, sizeof *own);
}

static void sample_program_info(void *program, tn_program_info *out_info) {
    (void)program;
    out_info->input_count = 1;
    out_info->output_count = 1;
}

static tn_status sample_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                              uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    (void)program;
    (void)query;
    (void)error;
    *out_port_count = 2;
    for (uint32_t i = 0; i < 2 && port_capacity >= 2; ++i) {
        ports[i].kind = i == 0 ? TN_PORT_INPUT : TN_PORT_OUTPUT;
        ports[i].dtype = TN_DTYPE_FLOAT;
        ports[i].rank = 1;
        ports[i].dims[0] = 4;
        ports[i].size_bytes = 16;
        ports[i].alignment_bytes = 4;
        ports[i].alias_of = TN_NONE;
    }
    return TN_OK;
}

static tn_status sample_context_create(void *program, void **out_context, tn_error *error) {
    (void)error;
    *out_context = program;
    return TN_OK;
}

static tn_status sample_prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    (void)context;
    (void)info;
    (void)error;
    return TN_OK;
}

static tn_status sample_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                            tn_error *error) {
    sample_program *own = context;
    assert_int_equal(port_count, 2);
    own->runs += 1;
    float first;
    memcpy(&first, ports[0].data, sizeof first);
    if (first == 13.0f) {
        return tn_helper_fail(error, TN_ERROR_INVALID_DATA, "sample.unlucky", "thirteen");
    }
    memcpy(ports[1].data, ports[0].data, 16);
    return TN_OK;
}

static void sample_context_destroy(void *context) {
    (void)context;
}

static const tn_op_record sample_ops[] = {{"", "Copy", 3, 2}};

static const tn_helper_simple_plugin sample_plugin = {
    .desc = {.name = "sample", .vendor = "v", .build = "b", .sanitizers = TN_HELPER_SANITIZERS},
    .device_count = 1,
    .ops = sample_ops,
    .op_count = 1,
    .op_stride_bytes = sizeof sample_ops[0],
    .device_info = sample_device_info,
    .supports = sample_supports,
    .compile = sample_compile,
    .program_destroy = sample_program_destroy,
    .program_info = sample_program_info,
    .ports = sample_ports,
    .context_create = sample_context_create,
    .prepare = sample_prepare,
    .run = sample_run,
    .context_destroy = sample_context_destroy,
    .claims = sample_claims,
};

static tn_status sample_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                              tn_error *error) {
    return tn_helper_simple_entry(offer, answer, &sample_plugin, error);
}

int adapter_setup(void **state) {
    static adapter_fixture f;
    memset(&f, 0, sizeof f);
    f.error.struct_size = (uint32_t)sizeof f.error;
    f.error.struct_type = TN_STRUCT_ERROR;
    f.builder = view_builder_create();
    const int64_t dims[] = {4};
    const uint32_t x = view_builder_value(f.builder, TN_DTYPE_FLOAT, 1, dims);
    const uint32_t y = view_builder_value(f.builder, TN_DTYPE_FLOAT, 1, dims);
    view_builder_node(f.builder, "Copy", 3, &x, 1, &y, 1);
    view_builder_input(f.builder, x);
    view_builder_output(f.builder, y);
    const tn_graph_view *view = view_builder_finish(f.builder, 0);
    abi_host_init(&f.host, f.builder);
    *state = &f;
    return abi_plugin_open(&f.host, sample_entry, &f.plugin, &f.error) != TN_OK ||
           abi_program_open(&f.plugin, view, NULL, 0, &f.program, &f.error) != TN_OK;
}

int adapter_teardown(void **state) {
    adapter_fixture *f = *state;
    abi_program_close(&f->program);
    const tn_status status = abi_plugin_close(&f->plugin);
    view_builder_destroy(f->builder);
    return status != TN_OK || f->host.live_blocks != 0 || f->host.wrong_free_count != 0;
}

tn_fence *adapter_fence(adapter_fixture *f, uint64_t value) {
    tn_fence *fence = NULL;
    const tn_fence_create_info info = {.struct_size = (uint32_t)sizeof info,
                                       .struct_type = TN_STRUCT_FENCE_CREATE_INFO,
                                       .initial_value = value};
    assert_int_equal(f->plugin.sync->fence_create(f->plugin.device, &info, &fence, &f->error),
                     TN_OK);
    return fence;
}

tn_status adapter_import(adapter_fixture *f, void *pointer, uint64_t size_bytes, tn_access access,
                         tn_memory **out_memory) {
    const tn_memory_import_info info = {.struct_size = (uint32_t)sizeof info,
                                        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                        .access = access,
                                        .pointer = pointer,
                                        .size_bytes = size_bytes};
    return f->plugin.memory->memory_import(f->plugin.device, &info, out_memory, &f->error);
}
