// SPDX-License-Identifier: Apache-2.0
// Running an instance: every operand is pointed at its bytes once, and again only where the host
// binds other memory; then a run is a loop over steps. Nothing is allocated after prepare.
#include "program.h"
#include "waiting.h"

#include <stdatomic.h>
#include <string.h>

typedef struct cpu_context {
    cpu_program *program;
    cpu_instance *instance;
    cpu_arena arena;
    dnnl_stream_t stream;
    const void **bases;      // one a storage
    const int64_t **strides; // one an operand; see cpu_call
    void **data;             // one an operand
    dnnl_exec_arg_t *args;   // one an operand; of primitives' operands
    uint32_t bound;          // 1: data and args are as bases say
    cpu_waiting waiting;
    atomic_uint cancelled;
} cpu_context;

tn_status tni_cpu_context_create(void *program, void **out_context, tn_error *error) {
    *out_context = NULL;
    cpu_program *own = program;
    cpu_context *context = tn_helper_alloc(&own->host, sizeof *context);
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "context: no memory");
    }
    context->program = own;
    context->arena = (cpu_arena){.host = own->host};
    atomic_init(&context->cancelled, 0);
    const dnnl_status_t status =
        dnnl_stream_create(&context->stream, own->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        tn_helper_free(&own->host, context, sizeof *context);
        return tni_cpu_dnnl_fail(error, status, TN_NONE, "stream_create");
    }
    *out_context = context;
    return TN_OK;
}

static void unprepare(cpu_context *context) {
    for (uint32_t i = 0; context->args != NULL && i < context->instance->operand_count; ++i) {
        (void)dnnl_memory_destroy(context->args[i].memory);
    }
    tni_cpu_arena_deinit(&context->arena);
    tni_cpu_instance_release(context->program, context->instance);
    context->instance = NULL;
    context->bases = NULL;
    context->data = NULL;
    context->args = NULL;
    context->strides = NULL;
    context->bound = 0;
}

void tni_cpu_context_destroy(void *context) {
    cpu_context *own = context;
    if (own == NULL) {
        return;
    }
    unprepare(own);
    (void)dnnl_stream_destroy(own->stream);
    tn_helper_free(&own->program->host, own, sizeof *own);
}

static tn_status make_memories(cpu_context *context, tn_error *error) {
    const cpu_instance *instance = context->instance;
    for (uint32_t i = 0; i < instance->operand_count; ++i) {
        const cpu_operand *operand = &instance->operands[i];
        if (operand->layout == NULL) {
            continue;
        }
        context->args[i].arg = operand->dnnl_arg;
        const dnnl_status_t status = dnnl_memory_create(&context->args[i].memory, operand->layout,
                                                        context->program->engine, DNNL_MEMORY_NONE);
        if (status != dnnl_success) {
            context->args[i].memory = NULL;
            return tni_cpu_dnnl_fail(error, status, TN_NONE, "memory_create");
        }
    }
    return TN_OK;
}

tn_status tni_cpu_prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    cpu_context *own = context;
    unprepare(own);
    tn_status status = tni_cpu_instance_acquire(own->program, info->symbols, info->symbol_count,
                                                &own->instance, error);
    if (status != TN_OK) {
        return status;
    }
    const cpu_instance *instance = own->instance;
    own->bases = tni_cpu_arena_array(&own->arena, instance->storage_count, sizeof *own->bases);
    own->data = tni_cpu_arena_array(&own->arena, instance->operand_count, sizeof *own->data);
    own->strides = tni_cpu_arena_array(&own->arena, instance->operand_count, sizeof *own->strides);
    own->args = tni_cpu_arena_array(&own->arena, instance->operand_count, sizeof *own->args);
    status = own->bases != NULL && own->data != NULL && own->args != NULL && own->strides != NULL
                 ? make_memories(own, error)
                 : tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "prepare: no memory");
    if (status != TN_OK) {
        unprepare(own);
    }
    return status;
}

// Where a storage lies in this run.
static const void *base_of(const cpu_instance *instance, const cpu_storage *storage,
                           const tn_helper_port *ports) {
    switch (storage->home) {
    case CPU_HOME_PORT:
        return ports[storage->index].data;
    case CPU_HOME_CONSTANT:
        return storage->data;
    default:
        return (const unsigned char *)ports[instance->port_count - 1].data + storage->offset_bytes;
    }
}

static uint32_t find_bases(cpu_context *context, const tn_helper_port *ports) {
    const cpu_instance *instance = context->instance;
    uint32_t moved = context->bound ? 0 : 1;
    for (uint32_t i = 0; i < instance->storage_count; ++i) {
        const void *base = base_of(instance, &instance->storages[i], ports);
        moved |= context->bases[i] != base;
        context->bases[i] = base;
    }
    return moved;
}

// The library pads memory with zeros when it learns its address, which is harmless: nothing is in
// use between runs.
static tn_status point_operands(cpu_context *context, tn_error *error) {
    const cpu_instance *instance = context->instance;
    for (uint32_t i = 0; i < instance->operand_count; ++i) {
        const cpu_operand *operand = &instance->operands[i];
        void *data = NULL;
        if (operand->storage != TN_NONE && context->bases[operand->storage] != NULL) {
            const unsigned char *at =
                (const unsigned char *)context->bases[operand->storage] + operand->offset_bytes;
            memcpy(&data, &at, sizeof data);
        }
        if (context->bound && data == context->data[i]) {
            continue;
        }
        context->data[i] = data;
        if (operand->layout != NULL) {
            const dnnl_status_t status = dnnl_memory_set_data_handle(context->args[i].memory, data);
            if (status != dnnl_success) {
                return tni_cpu_dnnl_fail(error, status, TN_NONE, "memory_set_data_handle");
            }
        }
    }
    context->bound = 1;
    return TN_OK;
}

// Steps of ports whose rows lie apart; they may differ from run to run.
static void find_strides(cpu_context *context, const tn_helper_port *ports) {
    const cpu_instance *instance = context->instance;
    for (uint32_t i = 0; i < instance->operand_count; ++i) {
        const uint32_t index = instance->operands[i].storage;
        const cpu_storage *storage = index == TN_NONE ? NULL : &instance->storages[index];
        context->strides[i] = storage != NULL && storage->home == CPU_HOME_PORT
                                  ? ports[storage->index].stride_elements
                                  : NULL;
    }
}

static tn_status run_steps(cpu_context *context, tn_error *error) {
    const cpu_program *program = context->program;
    const cpu_instance *instance = context->instance;
    cpu_call call = {
        .host = &program->host, .simd = program->simd, .threads = program->threads, .error = error};
    tni_cpu_waiting_begin(&context->waiting, program->threads);
    for (uint32_t i = 0; i < instance->step_count; ++i) {
        const cpu_step *step = &instance->steps[i];
        if (atomic_load_explicit(&context->cancelled, memory_order_relaxed) != 0) {
            return tn_helper_fail(error, TN_ERROR_CANCELLED, NULL, "cancelled before step %u", i);
        }
        if (step->run != NULL) {
            call.data = context->data + step->operand_begin;
            call.strides = context->strides + step->operand_begin;
            call.params = step->params;
            call.node = step->node;
            const tn_status status = step->run(&call);
            if (status != TN_OK) {
                return status;
            }
            tni_cpu_waiting_step(&context->waiting);
            continue;
        }
        const dnnl_status_t status =
            dnnl_primitive_execute(step->primitive, context->stream, (int)step->operand_count,
                                   context->args + step->operand_begin);
        if (status != dnnl_success) {
            return tni_cpu_dnnl_fail(error, status, step->node, "primitive_execute");
        }
        tni_cpu_waiting_step(&context->waiting);
    }
    return TN_OK;
}

tn_status tni_cpu_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                      tn_error *error) {
    (void)port_count;
    cpu_context *own = context;
    atomic_store(&own->cancelled, 0);
    const int before = tni_cpu_threads_set((int)own->program->threads);
    if (own->instance->has_states) {
        find_strides(own, ports);
    }
    tn_status status = find_bases(own, ports) ? point_operands(own, error) : TN_OK;
    if (status == TN_OK) {
        status = run_steps(own, error);
    }
    (void)tni_cpu_threads_set(before);
    return status;
}

tn_status tni_cpu_cancel(void *context, tn_error *error) {
    (void)error;
    cpu_context *own = context;
    atomic_store(&own->cancelled, 1);
    return TN_OK;
}
