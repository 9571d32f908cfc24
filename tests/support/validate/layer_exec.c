// SPDX-License-Identifier: Apache-2.0
// The layer's "sync" and "exec" tables.
#include "layer.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BINDINGS 256u

static tn_status fence_caps(tn_device *device, tn_fence_caps *out_caps, tn_error *error) {
    layer_guard guard;
    layer_check_struct(out_caps, TN_STRUCT_FENCE_CAPS, "fence_caps");
    tn_fence_caps *caps = layer_guard_open(&guard, out_caps, "fence_caps");
    tn_status status = device->plugin->sync->fence_caps(device->inner, caps, error);
    layer_guard_close(&guard, "fence_caps");
    return status;
}

static tn_status fence_create(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error) {
    layer_call call;
    tn_fence *inner = NULL;
    layer_check_struct(info, TN_STRUCT_FENCE_CREATE_INFO, "fence_create");
    layer_enter(&call, "fence_create", NULL, false);
    tn_status status = device->plugin->sync->fence_create(device->inner, info, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    *out_fence = NULL;
    if (status == TN_OK) {
        *out_fence = layer_new(sizeof(**out_fence), "fence", &device->handle);
        (*out_fence)->inner = inner;
        (*out_fence)->device = device;
        atomic_init(&(*out_fence)->promised, info->initial_value);
    }
    return status;
}

static void fence_destroy(tn_fence *fence) {
    if (fence != NULL && layer_end(&fence->handle, "fence_destroy")) {
        fence->device->plugin->sync->fence_destroy(fence->inner);
    }
}

static tn_status fence_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    layer_call call;
    if (!layer_check(&fence->handle, "fence", "fence_query")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    layer_enter(&call, "fence_query", NULL, false);
    tn_status status = fence->device->plugin->sync->fence_query(fence->inner, out_value, error);
    (void)layer_leave(&call, status, error, NULL);
    if (status == TN_OK && *out_value > atomic_load(&fence->promised)) {
        layer_violation("ABI-70: a fence stands at %llu, nobody was to raise it above %llu",
                        (unsigned long long)*out_value,
                        (unsigned long long)atomic_load(&fence->promised));
    }
    return status;
}

static tn_status fence_signal(tn_fence *fence, uint64_t value, tn_error *error) {
    layer_call call;
    if (!layer_check(&fence->handle, "fence", "fence_signal")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (value <= atomic_load(&fence->promised)) {
        layer_violation("ABI-70: fence_signal of %llu after %llu", (unsigned long long)value,
                        (unsigned long long)atomic_load(&fence->promised));
    }
    atomic_store(&fence->promised, value);
    layer_enter(&call, "fence_signal", NULL, true);
    tn_status status = fence->device->plugin->sync->fence_signal(fence->inner, value, error);
    (void)layer_leave(&call, status, error, NULL);
    return status;
}

static tn_status fence_fail(tn_fence *fence, tn_status with, tn_error *error) {
    layer_call call;
    if (!layer_check(&fence->handle, "fence", "fence_fail")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    layer_enter(&call, "fence_fail", NULL, true);
    tn_status status = fence->device->plugin->sync->fence_fail(fence->inner, with, error);
    (void)layer_leave(&call, status, error, NULL);
    return status;
}

static tn_status fence_wait(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error) {
    layer_call call;
    if (!layer_check(&fence->handle, "fence", "fence_wait")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    layer_enter(&call, "fence_wait", NULL, false);
    tn_status status =
        fence->device->plugin->sync->fence_wait(fence->inner, value, timeout_ns, error);
    (void)layer_leave(&call, status, error, NULL);
    return status;
}

// One registration: called exactly once, or the layer says so.
typedef struct reach {
    tn_fence_reached_fn callback;
    void *user_data;
    atomic_uint calls;
} reach;

static void reached(void *user_data, tn_status status) {
    reach *r = user_data;
    if (atomic_fetch_add(&r->calls, 1) != 0) {
        layer_violation("ABI-75: a fence callback was called twice");
        return;
    }
    r->callback(r->user_data, status);
}

static tn_status fence_on_reach(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error) {
    layer_call call;
    if (!layer_check(&fence->handle, "fence", "fence_on_reach")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    // Kept with the fence's memory until the layer forgets, so that a late second call is seen.
    struct {
        layer_handle handle;
        reach r;
    } *kept = layer_new(sizeof(*kept), "reach", NULL);
    atomic_store(&kept->handle.live, 0);
    kept->r.callback = callback;
    kept->r.user_data = user_data;
    atomic_init(&kept->r.calls, 0);
    layer_enter(&call, "fence_on_reach", NULL, false);
    tn_status status =
        fence->device->plugin->sync->fence_on_reach(fence->inner, value, reached, &kept->r, error);
    (void)layer_leave(&call, status, error, NULL);
    if (status != TN_OK && atomic_load(&kept->r.calls) != 0) {
        layer_violation("ABI-75: a callback was made for a registration that failed");
    }
    return status;
}

const tn_sync_interface layer_sync = {
    .base = {sizeof(tn_sync_interface), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0, 0},
    .fence_caps = fence_caps,
    .fence_create = fence_create,
    .fence_destroy = fence_destroy,
    .fence_query = fence_query,
    .fence_signal = fence_signal,
    .fence_fail = fence_fail,
    .fence_wait = fence_wait,
    .fence_on_reach = fence_on_reach,
};

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    layer_call call;
    tn_context *inner = NULL;
    layer_check_struct(info, TN_STRUCT_CONTEXT_CREATE_INFO, "context_create");
    *out_context = NULL;
    if (!layer_check(&info->program->handle, "program", "context_create")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_context_create_info own = *info;
    own.program = info->program->inner;
    layer_enter(&call, "context_create", NULL, false);
    tn_status status = device->plugin->exec->context_create(device->inner, &own, &inner, error);
    status = layer_leave(&call, status, error, (void *const *)&inner);
    if (status == TN_OK) {
        *out_context = layer_new(sizeof(**out_context), "context", &info->program->handle);
        (*out_context)->inner = inner;
        (*out_context)->device = device;
    }
    return status;
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    layer_call call;
    layer_check_struct(info, TN_STRUCT_PREPARE_INFO, "context_prepare");
    if (!layer_check(&context->handle, "context", "context_prepare")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    layer_enter(&call, "context_prepare", &context->handle, false);
    tn_status status = context->device->plugin->exec->context_prepare(context->inner, info, error);
    (void)layer_leave(&call, status, error, NULL);
    context->prepared = status == TN_OK;
    return status;
}

static bool translate_bindings(const tn_context *context, const tn_submit_info *info,
                               tn_binding *out_bindings) {
    if (info->binding_count > MAX_BINDINGS) {
        layer_violation("submit: %u bindings", info->binding_count);
        return false;
    }
    for (uint32_t i = 0; i < info->binding_count; i++) {
        memcpy(&out_bindings[i],
               (const unsigned char *)info->bindings + (size_t)i * info->binding_stride_bytes,
               sizeof(out_bindings[i]));
        tn_memory *memory = out_bindings[i].memory;
        if (memory == NULL) {
            continue;
        }
        if (!layer_check(&memory->handle, "memory", "submit")) {
            return false;
        }
        if (memory->device != context->device || out_bindings[i].size_bytes > memory->size_bytes ||
            out_bindings[i].offset_bytes > memory->size_bytes - out_bindings[i].size_bytes) {
            layer_violation("ABI-62: port %u is bound outside its memory", i);
            return false;
        }
        out_bindings[i].memory = memory->inner;
    }
    return true;
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    layer_call call;
    tn_binding bindings[MAX_BINDINGS];
    tn_fence_point waits[LAYER_MAX_POINTS];
    tn_fence_point signals[LAYER_MAX_POINTS];
    layer_check_struct(info, TN_STRUCT_SUBMIT_INFO, "submit");
    if (!layer_check(&context->handle, "context", "submit")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (!context->prepared) {
        layer_violation("submit of a context that is not prepared");
    }
    if (!translate_bindings(context, info, bindings) ||
        !layer_points(info->waits, info->wait_count, false, context->device, waits, "submit") ||
        !layer_points(info->signals, info->signal_count, true, context->device, signals,
                      "submit")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tn_submit_info own = *info;
    own.bindings = bindings;
    own.binding_stride_bytes = sizeof(tn_binding);
    own.waits = waits;
    own.signals = signals;
    layer_enter(&call, "submit", &context->handle, true);
    tn_status status = context->device->plugin->exec->submit(context->inner, &own, error);
    (void)layer_leave(&call, status, error, NULL);
    return status;
}

static tn_status cancel(tn_context *context, tn_error *error) {
    if (!layer_check(&context->handle, "context", "cancel")) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    return context->device->plugin->exec->cancel(context->inner, error);
}

static void context_destroy(tn_context *context) {
    if (context != NULL && layer_end(&context->handle, "context_destroy")) {
        context->device->plugin->exec->context_destroy(context->inner);
    }
}

const tn_exec_interface layer_exec = {
    .base = {sizeof(tn_exec_interface), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0, 0},
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = cancel,
    .context_destroy = context_destroy,
};
