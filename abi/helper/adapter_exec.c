// SPDX-License-Identifier: Apache-2.0
// Synchronous adapter: contexts and submit, which is "check, run, then signal".
#include "adapter.h"

#include <inttypes.h>
#include <string.h>

struct tn_context {
    tn_program *program;
    tn_device *device;
    void *own;             // the author's
    tn_port_info *infos;   // of the last prepare
    tn_helper_port *ports; // filled by each submit
    uint32_t port_count;
    uint32_t prepared;
    atomic_uint running;
};

static void free_ports(tn_context *context) {
    const tn_helper_host *host = tni_adapter_host(context->device);
    tn_helper_free(host, context->infos, context->port_count * sizeof *context->infos);
    tn_helper_free(host, context->ports, context->port_count * sizeof *context->ports);
    context->infos = NULL;
    context->ports = NULL;
    context->port_count = 0;
    context->prepared = 0;
}

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    *out_context = NULL;
    tn_context_create_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    if (read.program == NULL || tni_adapter_program_device(read.program) != device) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                              "the program is null or of another device");
    }
    tn_context *context = tn_helper_alloc(tni_adapter_host(device), sizeof *context);
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "context: no memory");
    }
    context->program = read.program;
    context->device = device;
    atomic_init(&context->running, 0);
    const tn_status status = tni_adapter_simple(device)->context_create(
        tni_adapter_program(read.program), &context->own, error);
    if (status != TN_OK) {
        tn_helper_free(tni_adapter_host(device), context, sizeof *context);
        return status;
    }
    *out_context = context;
    return TN_OK;
}

static tn_status make_ports(tn_context *context, const tn_port_query *query, tn_error *error) {
    const tn_helper_host *host = tni_adapter_host(context->device);
    const tn_helper_simple_plugin *simple = tni_adapter_simple(context->device);
    void *program = tni_adapter_program(context->program);
    uint32_t count = 0;
    const tn_status status = simple->ports(program, query, NULL, 0, &count, error);
    if (status != TN_OK || count == 0) {
        return status;
    }
    context->port_count = count;
    context->infos = tn_helper_alloc_array(host, count, sizeof *context->infos);
    context->ports = tn_helper_alloc_array(host, count, sizeof *context->ports);
    if (context->infos == NULL || context->ports == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "ports: no memory");
    }
    return simple->ports(program, query, context->infos, count, &count, error);
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    tn_prepare_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    if (atomic_load(&context->running) != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "a submit is in flight");
    }
    free_ports(context);
    const tn_port_query query = {.struct_size = (uint32_t)sizeof query,
                                 .struct_type = TN_STRUCT_PORT_QUERY,
                                 .symbols = read.symbols,
                                 .symbol_count = read.symbol_count};
    tn_status status = make_ports(context, &query, error);
    if (status == TN_OK) {
        status = tni_adapter_simple(context->device)->prepare(context->own, &read, error);
    }
    if (status != TN_OK) {
        free_ports(context);
        return status;
    }
    context->prepared = 1;
    return TN_OK;
}

// Checks one binding against its port and turns it into an address.
static tn_status bind_port(const tn_port_info *info, const tn_binding *binding, uint32_t index,
                           tn_helper_port *out_port, tn_error *error) {
    *out_port = (tn_helper_port){.size_bytes = binding->size_bytes,
                                 .rank = binding->rank,
                                 .dims = binding->dims,
                                 .stride_elements = binding->stride_elements,
                                 .out_shape = binding->out_shape};
    const tn_memory *memory = binding->memory;
    if (memory == NULL) {
        return info->size_bytes == 0
                   ? TN_OK
                   : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.binding",
                                    "port %u is not bound", index);
    }
    if (binding->offset_bytes > memory->size_bytes ||
        binding->size_bytes > memory->size_bytes - binding->offset_bytes ||
        binding->size_bytes < info->size_bytes) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.size",
                              "port %u needs %" PRIu64 " bytes: bound to %" PRIu64 " at %" PRIu64
                              " of a memory of %" PRIu64,
                              index, info->size_bytes, binding->size_bytes, binding->offset_bytes,
                              memory->size_bytes);
    }
    const tn_access access = info->kind == TN_PORT_INPUT ? TN_ACCESS_READ : TN_ACCESS_WRITE;
    if ((memory->access & access) == 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.access",
                              "port %u: memory was imported for access %u", index, memory->access);
    }
    if (binding->stride_elements != NULL && !info->accepts_strides) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.strides",
                              "port %u takes dense tensors only", index);
    }
    unsigned char *data = memory->data + binding->offset_bytes;
    if (info->alignment_bytes > 1 && (uintptr_t)data % info->alignment_bytes != 0) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.alignment",
                              "port %u needs alignment %" PRIu64, index, info->alignment_bytes);
    }
    out_port->data = data;
    return TN_OK;
}

static tn_status bind_ports(tn_context *context, const tn_submit_info *info, tn_error *error) {
    if (info->binding_count != context->port_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "submit.binding-count",
                              "%u bindings for %u ports", info->binding_count, context->port_count);
    }
    const uint32_t stride = info->binding_stride_bytes;
    for (uint32_t i = 0; i < context->port_count; ++i) {
        tn_binding binding;
        memset(&binding, 0, sizeof binding);
        memcpy(&binding, (const unsigned char *)(const void *)info->bindings + (uint64_t)i * stride,
               stride < sizeof binding ? stride : sizeof binding);
        const tn_status status =
            bind_port(&context->infos[i], &binding, i, &context->ports[i], error);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    tn_submit_info read;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, info);
    if (!context->prepared) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "the context is not prepared");
    }
    if (atomic_exchange(&context->running, 1) != 0) {
        return tn_helper_fail(error, TN_ERROR_BUSY, NULL, "the context is running");
    }
    tn_status status = bind_ports(context, &read, error);
    if (status == TN_OK) {
        status = tni_adapter_check_points(read.waits, read.wait_count, read.signals,
                                          read.signal_count, error);
    }
    if (status != TN_OK) {
        atomic_store(&context->running, 0);
        return status;
    }
    tn_error detail = {.struct_size = (uint32_t)sizeof detail, .struct_type = TN_STRUCT_ERROR};
    const tn_status result = tni_adapter_simple(context->device)
                                 ->run(context->own, context->ports, context->port_count, &detail);
    // The signals may let the host reuse the context at once, so it is free before they are raised.
    atomic_store(&context->running, 0);
    tni_adapter_complete(read.signals, read.signal_count, result, &detail);
    return TN_OK;
}

static tn_status cancel(tn_context *context, tn_error *error) {
    const tn_helper_simple_plugin *simple = tni_adapter_simple(context->device);
    if (simple->cancel == NULL) {
        return tn_helper_stub_cancel(context, error);
    }
    return simple->cancel(context->own, error);
}

static void context_destroy(tn_context *context) {
    if (context == NULL) {
        return;
    }
    tni_adapter_simple(context->device)->context_destroy(context->own);
    free_ports(context);
    tn_helper_free(tni_adapter_host(context->device), context, sizeof *context);
}

const tn_exec_interface tni_adapter_exec = {
    .base = TN_HELPER_BASE(tn_exec_interface, TN_DIGEST_EXEC),
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = cancel,
    .context_destroy = context_destroy,
};
