// SPDX-License-Identifier: Apache-2.0
// One function a call: frame in, plugin, frame out. Views are read where the parent put them.
#include "child.h"

#include <stdlib.h>
#include <string.h>

typedef tn_status (*child_call_fn)(proxy_frame *frame);

static tn_device *device_of(const proxy_frame *f) {
    return child_get(CHILD_DEVICE, f->object);
}

// The result of a constructor: a handle for what it made.
static tn_status give(proxy_frame *f, child_kind kind, void *object, tn_status status) {
    if (status == TN_OK) {
        f->result = child_put(kind, object);
        if (f->result == 0) {
            abort(); // more objects than tests make
        }
    }
    return status;
}

static tn_status probe(proxy_frame *f) {
    return child.core->probe(child.plugin, &f->result, &f->error);
}

static tn_status device_info(proxy_frame *f) {
    f->u.device_info = (tn_device_info){sizeof(tn_device_info), TN_STRUCT_DEVICE_INFO, .name = ""};
    return child.core->device_info(child.plugin, (uint32_t)f->value[0], &f->u.device_info,
                                   &f->error);
}

static void ignore(void *user_data, tn_status status) {
    (void)user_data;
    (void)status;
}

static tn_status device_open(proxy_frame *f) {
    tn_device *device = NULL;
    tn_status status = child.core->device_open(child.plugin, &f->u.device_open, &device, &f->error);
    if (status != TN_OK) {
        return status;
    }
    // Whether callbacks work is asked of a fence that has reached its value already.
    const tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, 1};
    tn_fence *fence = NULL;
    status = child.sync->fence_create(device, &info, &fence, &f->error);
    if (status != TN_OK) {
        child.core->device_close(device);
        return status;
    }
    f->value[0] = child.sync->fence_on_reach(fence, 1, ignore, NULL, NULL) == TN_OK;
    child.sync->fence_destroy(fence);
    return give(f, CHILD_DEVICE, device, status);
}

static tn_status device_close(proxy_frame *f) {
    child.core->device_close(child_take(CHILD_DEVICE, f->object));
    return TN_OK;
}

static tn_status shut_down(proxy_frame *f) {
    tn_status status = child.core->shutdown(child.plugin, f->value[0], &f->error);
    if (status == TN_OK) {
        child.plugin = NULL;
    }
    return status;
}

static tn_status op_list(proxy_frame *f) {
    tn_op_list list = {.struct_size = sizeof(list), .struct_type = TN_STRUCT_OP_LIST};
    tn_status status = child.compile->op_list(device_of(f), &list, &f->error);
    proxy_op_text *texts = (void *)f->bytes;
    memset(texts, 0, PROXY_MAX_OPS * sizeof(*texts));
    f->result = list.op_count < PROXY_MAX_OPS ? list.op_count : PROXY_MAX_OPS;
    for (uint32_t i = 0; i < f->result; i++) {
        const tn_op_record *op =
            (const void *)((const unsigned char *)list.ops + (size_t)i * list.op_stride_bytes);
        strncpy(texts[i].domain, op->domain, sizeof(texts[i].domain) - 1);
        strncpy(texts[i].op_type, op->op_type, sizeof(texts[i].op_type) - 1);
        texts[i].newest_version = op->newest_version;
        texts[i].oldest_version = op->oldest_version;
    }
    return status;
}

static tn_status query_support(proxy_frame *f) {
    const tn_graph_view *view = (const void *)f->bytes;
    tn_verdicts *v = &f->u.verdicts;
    const proxy_verdict_layout l = proxy_layout_verdicts(view->total_bytes, v);
    v->nodes = (void *)(f->bytes + l.nodes);
    v->claims = (void *)(f->bytes + l.claims);
    v->claim_nodes = (void *)(f->bytes + l.claim_nodes);
    v->bounds = (void *)(f->bytes + l.bounds);
    v->node_stride_bytes = sizeof(tn_node_verdict);
    v->claim_stride_bytes = sizeof(tn_claim);
    v->bound_stride_bytes = sizeof(tn_verdict_bound);
    return child.compile->query_support(device_of(f), view, &f->query, v, &f->error);
}

static tn_status compile(proxy_frame *f) {
    tn_program *program = NULL;
    f->u.compile.view = (const void *)f->bytes;
    f->u.compile.progress = NULL; // a function of the parent's
    f->u.compile.progress_user_data = NULL;
    tn_status status = child.compile->compile(device_of(f), &f->u.compile, &program, &f->error);
    return give(f, CHILD_PROGRAM, program, status);
}

static tn_status program_info(proxy_frame *f) {
    f->u.program_info = (tn_program_info){.struct_size = sizeof(tn_program_info),
                                          .struct_type = TN_STRUCT_PROGRAM_INFO};
    return child.compile->program_info(child_get(CHILD_PROGRAM, f->object), &f->u.program_info,
                                       &f->error);
}

static tn_status port_query(proxy_frame *f) {
    const tn_port_query query = {sizeof(query), TN_STRUCT_PORT_QUERY, (const void *)f->bytes,
                                 f->value[0]};
    tn_port_info *ports = (void *)(f->bytes + proxy_align(f->value[0] * sizeof(tn_symbol_value)));
    for (uint64_t i = 0; i < f->value[1]; i++) {
        ports[i] =
            (tn_port_info){.struct_size = sizeof(ports[i]), .struct_type = TN_STRUCT_PORT_INFO};
    }
    return child.compile->port_query(child_get(CHILD_PROGRAM, f->object), &query, ports,
                                     (uint32_t)f->value[1], &f->result, &f->error);
}

static tn_status program_destroy(proxy_frame *f) {
    child.compile->program_destroy(child_take(CHILD_PROGRAM, f->object));
    return TN_OK;
}

static tn_status heap_info(proxy_frame *f) {
    f->u.heap_info =
        (tn_heap_info){.struct_size = sizeof(tn_heap_info), .struct_type = TN_STRUCT_HEAP_INFO};
    return child.memory->heap_info(device_of(f), (uint32_t)f->value[0], &f->u.heap_info, &f->error);
}

static tn_status memory_alloc(proxy_frame *f) {
    tn_memory *memory = NULL;
    tn_status status =
        child.memory->memory_alloc(device_of(f), &f->u.memory_alloc, &memory, &f->error);
    return give(f, CHILD_MEMORY, memory, status);
}

static tn_status memory_free(proxy_frame *f) {
    child.memory->memory_free(child_take(CHILD_MEMORY, f->object));
    return TN_OK;
}

static void take_points(tn_fence_point *out, const proxy_point *points, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (tn_fence_point){child_get(CHILD_FENCE, points[i].fence), points[i].value};
    }
}

static void watch_signals(const proxy_frame *f, tn_status status) {
    for (uint32_t i = 0; i < f->signal_count && status == TN_OK; i++) {
        child_watch(f->signals[i].fence, f->signals[i].value);
    }
}

static tn_copy_end take_end(const proxy_copy_end *end) {
    if (end->memory != 0) {
        return (tn_copy_end){child_get(CHILD_MEMORY, end->memory), NULL, end->offset_bytes};
    }
    return (tn_copy_end){NULL, (unsigned char *)child.shared + end->offset_bytes, 0};
}

static tn_status copy(proxy_frame *f) {
    tn_fence_point waits[PROXY_MAX_POINTS];
    tn_fence_point signals[PROXY_MAX_POINTS];
    take_points(waits, f->waits, f->wait_count);
    take_points(signals, f->signals, f->signal_count);
    const tn_copy_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_COPY_INFO,
        .source = take_end(&f->source),
        .destination = take_end(&f->destination),
        .size_bytes = f->value[0],
        .waits = waits,
        .wait_count = f->wait_count,
        .signals = signals,
        .signal_count = f->signal_count,
        .correlation_id = f->value[1],
    };
    tn_status status = child.memory->copy(device_of(f), &info, &f->error);
    watch_signals(f, status);
    return status;
}

static tn_status fence_caps(proxy_frame *f) {
    f->u.fence_caps =
        (tn_fence_caps){.struct_size = sizeof(tn_fence_caps), .struct_type = TN_STRUCT_FENCE_CAPS};
    return child.sync->fence_caps(device_of(f), &f->u.fence_caps, &f->error);
}

static tn_status fence_create(proxy_frame *f) {
    const tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, f->value[0]};
    tn_fence *fence = NULL;
    tn_status status = child.sync->fence_create(device_of(f), &info, &fence, &f->error);
    return give(f, CHILD_FENCE, fence, status);
}

static tn_status fence_destroy(proxy_frame *f) {
    child_unwatch(f->object);
    child.sync->fence_destroy(child_take(CHILD_FENCE, f->object));
    return TN_OK;
}

static tn_status fence_signal(proxy_frame *f) {
    return child.sync->fence_signal(child_get(CHILD_FENCE, f->object), f->value[0], &f->error);
}

static tn_status fence_fail(proxy_frame *f) {
    return child.sync->fence_fail(child_get(CHILD_FENCE, f->object), (tn_status)f->value[0],
                                  &f->error);
}

static tn_status context_create(proxy_frame *f) {
    const tn_context_create_info info = {sizeof(info), TN_STRUCT_CONTEXT_CREATE_INFO,
                                         child_get(CHILD_PROGRAM, (uint32_t)f->value[0])};
    child_context *context = calloc(1, sizeof(*context));
    if (context == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    tn_status status =
        child.exec->context_create(device_of(f), &info, &context->context, &f->error);
    if (status != TN_OK) {
        free(context);
        return status;
    }
    return give(f, CHILD_CONTEXT, context, status);
}

static tn_status context_prepare(proxy_frame *f) {
    const child_context *context = child_get(CHILD_CONTEXT, f->object);
    const tn_prepare_info info = {sizeof(info), TN_STRUCT_PREPARE_INFO, (const void *)f->bytes,
                                  f->value[0]};
    return child.exec->context_prepare(context->context, &info, &f->error);
}

static void take_bindings(child_context *context, const proxy_binding *from, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        memcpy(context->dims[i], from[i].dims, sizeof(from[i].dims));
        memcpy(context->strides[i], from[i].strides, sizeof(from[i].strides));
        context->bindings[i] = (tn_binding){
            .memory = child_get(CHILD_MEMORY, from[i].memory),
            .offset_bytes = from[i].offset_bytes,
            .size_bytes = from[i].size_bytes,
            .rank = from[i].rank,
            .dims = context->dims[i],
            .stride_elements = from[i].has_strides ? context->strides[i] : NULL,
        };
    }
}

static tn_status submit(proxy_frame *f) {
    child_context *context = child_get(CHILD_CONTEXT, f->object);
    tn_fence_point waits[PROXY_MAX_POINTS];
    tn_fence_point signals[PROXY_MAX_POINTS];
    take_points(waits, f->waits, f->wait_count);
    take_points(signals, f->signals, f->signal_count);
    take_bindings(context, (const void *)f->bytes, f->u.submit.binding_count);
    f->u.submit.bindings = context->bindings;
    f->u.submit.binding_stride_bytes = sizeof(tn_binding);
    f->u.submit.waits = waits;
    f->u.submit.signals = signals;
    tn_status status = child.exec->submit(context->context, &f->u.submit, &f->error);
    watch_signals(f, status);
    return status;
}

static tn_status cancel(proxy_frame *f) {
    const child_context *context = child_get(CHILD_CONTEXT, f->object);
    return child.exec->cancel(context->context, &f->error);
}

static tn_status context_destroy(proxy_frame *f) {
    child_context *context = child_take(CHILD_CONTEXT, f->object);
    child.exec->context_destroy(context->context);
    free(context);
    return TN_OK;
}

static tn_status get_control(proxy_frame *f) {
    fake_lock();
    f->u.control = *fake_device((uint32_t)f->value[0]);
    fake_unlock();
    return TN_OK;
}

static tn_status set_control(proxy_frame *f) {
    fake_lock();
    memcpy(fake_device((uint32_t)f->value[0]), &f->u.control, offsetof(fake_control, run_count));
    fake_unlock();
    return TN_OK;
}

static const child_call_fn calls[PROXY_OP_COUNT] = {
    [PROXY_PROBE] = probe,
    [PROXY_DEVICE_INFO] = device_info,
    [PROXY_DEVICE_OPEN] = device_open,
    [PROXY_DEVICE_CLOSE] = device_close,
    [PROXY_SHUTDOWN] = shut_down,
    [PROXY_OP_LIST] = op_list,
    [PROXY_QUERY_SUPPORT] = query_support,
    [PROXY_COMPILE] = compile,
    [PROXY_PROGRAM_INFO] = program_info,
    [PROXY_PORT_QUERY] = port_query,
    [PROXY_PROGRAM_DESTROY] = program_destroy,
    [PROXY_HEAP_INFO] = heap_info,
    [PROXY_MEMORY_ALLOC] = memory_alloc,
    [PROXY_MEMORY_FREE] = memory_free,
    [PROXY_COPY] = copy,
    [PROXY_FENCE_CAPS] = fence_caps,
    [PROXY_FENCE_CREATE] = fence_create,
    [PROXY_FENCE_DESTROY] = fence_destroy,
    [PROXY_FENCE_SIGNAL] = fence_signal,
    [PROXY_FENCE_FAIL] = fence_fail,
    [PROXY_CONTEXT_CREATE] = context_create,
    [PROXY_CONTEXT_PREPARE] = context_prepare,
    [PROXY_SUBMIT] = submit,
    [PROXY_CANCEL] = cancel,
    [PROXY_CONTEXT_DESTROY] = context_destroy,
    [PROXY_GET_CONTROL] = get_control,
    [PROXY_SET_CONTROL] = set_control,
};

void child_answer(proxy_frame *frame) {
    frame->error = (tn_error){.struct_size = sizeof(frame->error),
                              .struct_type = TN_STRUCT_ERROR,
                              .node_index = TN_NONE,
                              .value_index = TN_NONE,
                              .byte_offset = TN_NO_OFFSET};
    frame->status = frame->op < PROXY_OP_COUNT ? calls[frame->op](frame) : TN_ERROR_INTERNAL;
}
