// SPDX-License-Identifier: Apache-2.0
// The proxy's compile and exec tables: views and arrays go into the frame, objects as handles.
#include "host.h"

#include <string.h>

static tn_status too_large(tn_error *error) {
    return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: does not fit the frame");
}

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    if (atomic_load(&device->plugin->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "proxy: the child is gone");
    }
    out_ops->ops = device->ops;
    out_ops->op_count = device->op_count;
    out_ops->op_stride_bytes = sizeof(device->ops[0]);
    return TN_OK;
}

static void copy_records(void *to, uint32_t to_stride, const void *from, size_t from_bytes,
                         uint32_t count) {
    size_t bytes = to_stride < from_bytes ? to_stride : from_bytes;
    for (uint32_t i = 0; i < count; i++) {
        memcpy((unsigned char *)to + (size_t)i * to_stride,
               (const unsigned char *)from + i * from_bytes, bytes);
    }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static void take_verdicts(tn_verdicts *v, const proxy_frame *frame, const proxy_verdict_layout *l) {
    const tn_verdicts *from = &frame->u.verdicts;
    v->claim_count = from->claim_count;
    v->claim_node_count = from->claim_node_count;
    v->bound_count = from->bound_count;
    copy_records(v->nodes, v->node_stride_bytes, frame->bytes + l->nodes, sizeof(tn_node_verdict),
                 v->node_capacity);
    copy_records(v->claims, v->claim_stride_bytes, frame->bytes + l->claims, sizeof(tn_claim),
                 smaller(v->claim_count, v->claim_capacity));
    copy_records(v->claim_nodes, sizeof(uint32_t), frame->bytes + l->claim_nodes, sizeof(uint32_t),
                 smaller(v->claim_node_count, v->claim_node_capacity));
    copy_records(v->bounds, v->bound_stride_bytes, frame->bytes + l->bounds,
                 sizeof(tn_verdict_bound), smaller(v->bound_count, v->bound_capacity));
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    const proxy_verdict_layout l = proxy_layout_verdicts(view->total_bytes, inout_verdicts);
    if (view->total_bytes > PROXY_ARGUMENT_BYTES || l.end > PROXY_ARGUMENT_BYTES) {
        return too_large(error);
    }
    proxy_frame *frame = proxy_begin(device->plugin, PROXY_QUERY_SUPPORT, device->id);
    memcpy(frame->bytes, view, view->total_bytes);
    memset(frame->bytes + view->total_bytes, 0, l.end - view->total_bytes);
    frame->query = *info;
    frame->u.verdicts = *inout_verdicts; // the child replaces the pointers and the strides
    tn_status status = proxy_send(device->plugin, error);
    if (status == TN_OK || status == TN_ERROR_LIMIT_EXCEEDED) {
        take_verdicts(inout_verdicts, frame, &l);
    }
    proxy_end(device->plugin);
    return status;
}

static tn_status compile(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error) {
    tn_plugin *plugin = device->plugin;
    *out_program = NULL;
    if (info->view->total_bytes > PROXY_ARGUMENT_BYTES) {
        return too_large(error);
    }
    tn_program *program = tn_helper_alloc(&plugin->host, sizeof(*program));
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_COMPILE, device->id);
    memcpy(frame->bytes, info->view, info->view->total_bytes);
    frame->u.compile = *info;
    tn_status status = proxy_send(plugin, error);
    *program = (tn_program){plugin, frame->result};
    proxy_end(plugin);
    if (status != TN_OK) {
        tn_helper_free(&plugin->host, program, sizeof(*program));
        return status;
    }
    *out_program = program;
    return TN_OK;
}

static tn_status program_info(tn_program *program, tn_program_info *out_info, tn_error *error) {
    proxy_frame *frame = proxy_begin(program->plugin, PROXY_PROGRAM_INFO, program->id);
    tn_status status = proxy_send(program->plugin, error);
    if (status == TN_OK) {
        tn_helper_copy_out(out_info, &frame->u.program_info, sizeof(frame->u.program_info));
    }
    proxy_end(program->plugin);
    return status;
}

static tn_status port_query(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    uint64_t symbol_bytes = query->symbol_count * sizeof(tn_symbol_value);
    uint32_t capacity = smaller(port_capacity, PROXY_MAX_PORTS);
    if (query->symbol_count > PROXY_MAX_PORTS) {
        return too_large(error);
    }
    proxy_frame *frame = proxy_begin(program->plugin, PROXY_PORT_QUERY, program->id);
    if (symbol_bytes > 0) {
        memcpy(frame->bytes, query->symbols, symbol_bytes);
    }
    frame->value[0] = query->symbol_count;
    frame->value[1] = capacity;
    tn_status status = proxy_send(program->plugin, error);
    if (status == TN_OK || status == TN_ERROR_LIMIT_EXCEEDED) {
        *out_port_count = frame->result;
    }
    const tn_port_info *from = (const void *)(frame->bytes + proxy_align(symbol_bytes));
    for (uint32_t i = 0; status == TN_OK && i < frame->result; i++) {
        unsigned char *place = (unsigned char *)ports + (size_t)i * ports->struct_size;
        tn_helper_copy_out(place, &from[i], sizeof(from[i]));
    }
    proxy_end(program->plugin);
    return status;
}

static void program_destroy(tn_program *program) {
    if (program != NULL) {
        tn_plugin *plugin = program->plugin;
        (void)proxy_call(plugin, PROXY_PROGRAM_DESTROY, program->id, 0, NULL);
        tn_helper_free(&plugin->host, program, sizeof(*program));
    }
}

const tn_compile_interface proxy_compile_table = {
    .base = TN_HELPER_BASE(tn_compile_interface, TN_DIGEST_COMPILE),
    .op_list = op_list,
    .query_support = query_support,
    .compile = compile,
    .program_info = program_info,
    .port_query = port_query,
    .program_destroy = program_destroy,
};

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    tn_plugin *plugin = device->plugin;
    *out_context = NULL;
    tn_context *context = tn_helper_alloc(&plugin->host, sizeof(*context));
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_CONTEXT_CREATE, device->id);
    frame->value[0] = info->program->id;
    tn_status status = proxy_send(plugin, error);
    *context = (tn_context){plugin, frame->result};
    proxy_end(plugin);
    if (status != TN_OK) {
        tn_helper_free(&plugin->host, context, sizeof(*context));
        return status;
    }
    *out_context = context;
    return TN_OK;
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    if (info->symbol_count > PROXY_MAX_PORTS) {
        return too_large(error);
    }
    proxy_frame *frame = proxy_begin(context->plugin, PROXY_CONTEXT_PREPARE, context->id);
    if (info->symbol_count > 0) {
        memcpy(frame->bytes, info->symbols, info->symbol_count * sizeof(tn_symbol_value));
    }
    frame->value[0] = info->symbol_count;
    tn_status status = proxy_send(context->plugin, error);
    proxy_end(context->plugin);
    return status;
}

bool proxy_put_points(proxy_point *out_points, uint32_t *out_count, const tn_fence_point *points,
                      uint64_t count) {
    for (uint64_t i = 0; i < count && count <= PROXY_MAX_POINTS; i++) {
        out_points[i] = (proxy_point){points[i].fence->id, 0, points[i].value};
    }
    *out_count = (uint32_t)count;
    return count <= PROXY_MAX_POINTS;
}

// False when the binding needs what does not cross: a place for a shape in host memory.
static bool put_binding(proxy_binding *out, const tn_binding *binding) {
    if (binding->rank > TN_MAX_RANK || binding->out_shape != NULL) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    out->memory = binding->memory != NULL ? binding->memory->id : 0;
    out->offset_bytes = binding->offset_bytes;
    out->size_bytes = binding->size_bytes;
    out->rank = binding->rank;
    out->has_strides = binding->stride_elements != NULL;
    for (uint32_t i = 0; i < binding->rank; i++) {
        out->dims[i] = binding->dims[i];
        out->strides[i] = out->has_strides ? binding->stride_elements[i] : 0;
    }
    return true;
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    proxy_frame *frame = proxy_begin(context->plugin, PROXY_SUBMIT, context->id);
    bool fits =
        info->binding_count <= PROXY_MAX_PORTS && info->allocate_output == NULL &&
        proxy_put_points(frame->waits, &frame->wait_count, info->waits, info->wait_count) &&
        proxy_put_points(frame->signals, &frame->signal_count, info->signals, info->signal_count);
    proxy_binding *bindings = (void *)frame->bytes;
    for (uint32_t i = 0; fits && i < info->binding_count; i++) {
        tn_binding one = {0};
        memcpy(&one, (const unsigned char *)info->bindings + (size_t)i * info->binding_stride_bytes,
               smaller(info->binding_stride_bytes, sizeof(one)));
        fits = put_binding(&bindings[i], &one);
    }
    frame->u.submit = *info;
    tn_status status = fits ? proxy_send(context->plugin, error)
                            : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL,
                                             "proxy: too many points or ports, or unbounded ones");
    proxy_end(context->plugin);
    return status;
}

static tn_status cancel(tn_context *context, tn_error *error) {
    return proxy_call(context->plugin, PROXY_CANCEL, context->id, 0, error);
}

static void context_destroy(tn_context *context) {
    if (context != NULL) {
        tn_plugin *plugin = context->plugin;
        (void)proxy_call(plugin, PROXY_CONTEXT_DESTROY, context->id, 0, NULL);
        tn_helper_free(&plugin->host, context, sizeof(*context));
    }
}

const tn_exec_interface proxy_exec_table = {
    .base = TN_HELPER_BASE(tn_exec_interface, TN_DIGEST_EXEC),
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = cancel,
    .context_destroy = context_destroy,
};
