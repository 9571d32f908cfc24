// SPDX-License-Identifier: Apache-2.0
// Programs are islands of elementwise steps; what runs them was made when the device was opened.
#include "gpu/program.h"

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    (void)device;
    (void)error;
    const tn_op_list list = {
        .ops = gpu_ops, .op_count = GPU_OP_COUNT, .op_stride_bytes = sizeof(gpu_ops[0])};
    tn_helper_copy_out(out_ops, &list, sizeof(list));
    return TN_OK;
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    (void)device;
    (void)info;
    tn_status status = tn_view_validate(view, error);
    if (status == TN_OK) {
        gpu_judge_all(view, inout_verdicts);
    }
    return status;
}

static tn_status compile(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error) {
    const tn_helper_host *host = gpu_device_host(device);
    *out_program = NULL;
    tn_status status = tn_view_validate(info->view, error);
    if (status != TN_OK) {
        return status;
    }
    tn_program *program = tn_helper_alloc(host, sizeof(*program));
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a program");
    }
    program->device = device;
    status = gpu_island_create(host, info->view, &program->island, error);
    if (status != TN_OK) {
        tn_helper_free(host, program, sizeof(*program));
        return status;
    }
    *out_program = program;
    return TN_OK;
}

static tn_status program_info(tn_program *program, tn_program_info *out_info, tn_error *error) {
    (void)error;
    const tn_program_info info = {.input_count = program->island->input_count,
                                  .output_count = program->island->output_count};
    tn_helper_copy_out(out_info, &info, sizeof(info));
    return TN_OK;
}

static tn_status port_query(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    return gpu_island_ports(program->island, query, gpu_device_heap_count(program->device), ports,
                            port_capacity, out_port_count, error);
}

static void program_destroy(tn_program *program) {
    if (program != NULL) {
        const tn_helper_host *host = gpu_device_host(program->device);
        gpu_island_destroy(program->island);
        tn_helper_free(host, program, sizeof(*program));
    }
}

const tn_compile_interface gpu_compile_table = {
    .base = TN_HELPER_BASE(tn_compile_interface, TN_DIGEST_COMPILE),
    .op_list = op_list,
    .query_support = query_support,
    .compile = compile,
    .program_info = program_info,
    .port_query = port_query,
    .program_destroy = program_destroy,
};
