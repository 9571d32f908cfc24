// SPDX-License-Identifier: Apache-2.0
// Contexts and submit: the island's kernels in a chain of events, the first waiting for the fences
// named, the last raising those to be signalled.
#include "opencl.h"

struct tn_context {
    tn_program *program;
    cl_kernel kernels[GPU_OP_COUNT]; // own ones: arguments belong to the kernel object
    gpu_size *sizes;                 // value_count
    uint32_t prepared;
    uint32_t record_count; // reserved
};

static const char *const kernel_names[GPU_OP_COUNT] = {[GPU_ADD] = "add", [GPU_RELU] = "relu"};

static uint64_t sizes_bytes(const tn_context *context) {
    return ((uint64_t)context->program->island->value_count + 1) * sizeof(gpu_size);
}

static void context_destroy(tn_context *context) {
    if (context == NULL) {
        return;
    }
    const tn_helper_host *host = &context->program->device->plugin->host;
    for (uint32_t i = 0; i < GPU_OP_COUNT; i++) {
        if (context->kernels[i] != NULL) {
            (void)clReleaseKernel(context->kernels[i]);
        }
    }
    ocl_records_release(context->program->device, context->record_count);
    tn_helper_free(host, context->sizes, sizes_bytes(context));
    tn_helper_free(host, context, sizeof(*context));
}

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    const tn_helper_host *host = &device->plugin->host;
    *out_context = NULL;
    tn_context *context = tn_helper_alloc(host, sizeof(*context));
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a context");
    }
    context->program = info->program;
    context->sizes = tn_helper_alloc(host, sizes_bytes(context));
    tn_status status = context->sizes != NULL ? TN_OK
                                              : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL,
                                                               "no memory for a context");
    if (status == TN_OK) {
        status = ocl_records_reserve(device, OCL_MAX_WAITS + OCL_MAX_SIGNALS, error);
        context->record_count = status == TN_OK ? OCL_MAX_WAITS + OCL_MAX_SIGNALS : 0;
    }
    for (uint32_t i = 0; i < GPU_OP_COUNT && status == TN_OK; i++) {
        cl_int code = CL_SUCCESS;
        context->kernels[i] = clCreateKernel(device->program, kernel_names[i], &code);
        status =
            context->kernels[i] != NULL ? TN_OK : ocl_fail(device, error, code, "clCreateKernel");
    }
    if (status != TN_OK) {
        context_destroy(context);
        return status;
    }
    *out_context = context;
    return TN_OK;
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    uint64_t workspace = 0;
    tn_status status = gpu_island_sizes(context->program->island, info->symbols, info->symbol_count,
                                        context->sizes, &workspace, error);
    context->prepared = status == TN_OK;
    return status;
}

static const tn_binding *binding_at(const tn_submit_info *info, uint32_t index) {
    const unsigned char *bytes = (const unsigned char *)info->bindings;
    return (const tn_binding *)(const void *)(bytes + (uint64_t)index * info->binding_stride_bytes);
}

// The buffer of a value and where it starts in it, in elements.
static cl_mem place_of(const tn_context *context, const tn_submit_info *info, uint32_t value,
                       cl_ulong *out_at) {
    const gpu_island *island = context->program->island;
    uint32_t port = island->values[value].port;
    uint64_t offset = 0;
    if (port == TN_NONE) {
        port = island->input_count + island->output_count;
        offset = context->sizes[value].workspace_offset_bytes;
    }
    const tn_binding *binding = binding_at(info, port);
    *out_at = (binding->offset_bytes + offset) / sizeof(cl_float);
    return binding->memory->buffer;
}

static tn_status check_bindings(const tn_context *context, const tn_submit_info *info,
                                tn_error *error) {
    const gpu_island *island = context->program->island;
    uint32_t ports = island->input_count + island->output_count;
    for (uint32_t i = 0; i < info->binding_count; i++) {
        const tn_binding *binding = binding_at(info, i);
        uint64_t needed =
            i < ports ? context->sizes[island->ports[i]].element_count * sizeof(cl_float) : 0;
        if (binding->memory == NULL || binding->size_bytes < needed ||
            binding->offset_bytes % sizeof(cl_float) != 0 ||
            binding->size_bytes > binding->memory->size_bytes ||
            binding->offset_bytes > binding->memory->size_bytes - binding->size_bytes) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "opencl.binding",
                                  "port %u is not bound, too small or misaligned", i);
        }
    }
    return info->binding_count >= ports
               ? TN_OK
               : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "opencl.binding",
                                "%u bindings for %u ports", info->binding_count, ports);
}

static cl_int set_buffer(cl_kernel kernel, cl_uint *inout_index, cl_mem buffer, cl_ulong at) {
    cl_int code = clSetKernelArg(kernel, (*inout_index)++, sizeof(buffer), &buffer);
    return code != CL_SUCCESS ? code : clSetKernelArg(kernel, (*inout_index)++, sizeof(at), &at);
}

static cl_int enqueue_step(tn_context *context, const tn_submit_info *info, const gpu_step *step,
                           const ocl_events *waits, cl_event *out_done) {
    cl_kernel kernel = context->kernels[step->op];
    cl_uint index = 0;
    cl_ulong at = 0;
    cl_mem buffer = place_of(context, info, step->a, &at);
    cl_int code = set_buffer(kernel, &index, buffer, at);
    if (code == CL_SUCCESS && step->op == GPU_ADD) {
        buffer = place_of(context, info, step->b, &at);
        code = set_buffer(kernel, &index, buffer, at);
    }
    if (code == CL_SUCCESS) {
        buffer = place_of(context, info, step->out, &at);
        code = set_buffer(kernel, &index, buffer, at);
    }
    size_t count = context->sizes[step->out].element_count;
    const cl_event *list = waits->count > 0 ? waits->events : NULL;
    if (code != CL_SUCCESS) {
        return code;
    }
    cl_command_queue queue = context->program->device->queue;
    return count > 0 ? clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, NULL, waits->count,
                                              list, out_done)
                     : clEnqueueMarkerWithWaitList(queue, waits->count, list, out_done);
}

// Every step waits for the one before; events takes each step's event in turn.
static tn_status enqueue_all(tn_context *context, const tn_submit_info *info, ocl_events *events,
                             tn_error *error) {
    const gpu_island *island = context->program->island;
    for (uint32_t i = 0; i < island->step_count; i++) {
        cl_event done = NULL;
        cl_int code = enqueue_step(context, info, &island->steps[i], events, &done);
        if (code != CL_SUCCESS) {
            // Steps already under way end by themselves; they touch only memory bound here.
            if (i > 0 && events->count > 0) {
                (void)clWaitForEvents(events->count, events->events);
            }
            return ocl_fail(context->program->device, error, code, "clEnqueueNDRangeKernel");
        }
        ocl_release_events(events);
        events->events[0] = done;
        events->count = 1;
    }
    return TN_OK;
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    tn_device *device = context->program->device;
    ocl_events events;
    ocl_signals signals;
    if (!context->prepared) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "the context is not prepared");
    }
    if (atomic_load(&device->lost)) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, NULL, "the device is lost");
    }
    tn_status status = check_bindings(context, info, error);
    if (status == TN_OK) {
        status = ocl_signals_make(device, info->signals, info->signal_count, 1, &signals, error);
    }
    if (status != TN_OK) {
        return status;
    }
    status = ocl_wait_events(device, info->waits, info->wait_count, 1, &events, error);
    if (status == TN_OK) {
        status = enqueue_all(context, info, &events, error);
    }
    if (status == TN_OK && events.count > 0) {
        (void)clFlush(device->queue);
        ocl_signals_attach(&signals, events.events[0]);
    } else {
        ocl_signals_drop(&signals);
    }
    ocl_release_events(&events);
    return status;
}

const tn_exec_interface ocl_exec_table = {
    .base = TN_HELPER_BASE(tn_exec_interface, TN_DIGEST_EXEC),
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = tn_helper_stub_cancel,
    .context_destroy = context_destroy,
};
