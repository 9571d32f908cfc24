// SPDX-License-Identifier: Apache-2.0
// Constants of a program in the layouts that its steps want: each is packed once. What is used as
// it lies in the model's file is not copied, unless it is misaligned there.
#include "program.h"

#include <string.h>

// The library's own advice for memory that its kernels read.
#define WEIGHT_ALIGNMENT 64u

tn_status tni_cpu_dnnl_fail(tn_error *error, dnnl_status_t status, uint32_t node,
                            const char *call) {
    const tn_status mapped = status == dnnl_out_of_memory   ? TN_ERROR_OUT_OF_MEMORY
                             : status == dnnl_unimplemented ? TN_ERROR_UNSUPPORTED
                                                            : TN_ERROR_INTERNAL;
    return tn_helper_fail_at(error, mapped, node, TN_NONE, "cpu.dnnl", "oneDNN: %s: status %d",
                             call, (int)status);
}

// Data is only read through the first, whatever the library's signature says.
static dnnl_status_t memory_of(dnnl_memory_t *out, const dnnl_memory_desc_t *layout,
                               dnnl_engine_t engine, const void *data) {
    void *handle = NULL;
    memcpy(&handle, &data, sizeof handle);
    return dnnl_memory_create(out, layout, engine, handle);
}

static void *buffer_alloc(const tn_helper_host *host, uint64_t bytes) {
    return host->services->alloc(host->context, bytes, WEIGHT_ALIGNMENT);
}

static void buffer_free(const tn_helper_host *host, const void *buffer, uint64_t bytes) {
    void *pointer = NULL;
    memcpy(&pointer, &buffer, sizeof pointer);
    host->services->free(host->context, pointer, bytes, WEIGHT_ALIGNMENT);
}

static void buffer_deinit(const tn_helper_host *host, cpu_buffer *buffer) {
    if (buffer->data != NULL) {
        buffer_free(host, buffer->data, buffer->size_bytes);
    }
    *buffer = (cpu_buffer){.data = NULL};
}

// Room for at least so many bytes, whose content is lost when it grows; null when there is no
// memory.
static void *buffer_room(const tn_helper_host *host, cpu_buffer *buffer, uint64_t bytes) {
    if (buffer->size_bytes < bytes) {
        const uint64_t wanted = buffer->size_bytes > bytes / 2 ? buffer->size_bytes * 2 : bytes;
        buffer_deinit(host, buffer);
        buffer->data = buffer_alloc(host, wanted);
        buffer->size_bytes = buffer->data != NULL ? wanted : 0;
    }
    return buffer->data;
}

void tni_cpu_packing_done(cpu_program *program) {
    buffer_deinit(&program->host, &program->passing);
    buffer_deinit(&program->host, &program->pack_scratch);
}

static dnnl_status_t reorder_create(dnnl_engine_t engine, const dnnl_memory_desc_t *from,
                                    const dnnl_memory_desc_t *to, dnnl_primitive_desc_t *out_desc,
                                    dnnl_primitive_t *out_primitive) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    }
    if (status == dnnl_success) {
        status = dnnl_reorder_primitive_desc_create(out_desc, from, engine, to, engine, attr);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_create(out_primitive, *out_desc);
    }
    (void)dnnl_primitive_attr_destroy(attr);
    return status;
}

dnnl_status_t tni_cpu_reorder_now(cpu_program *program, const dnnl_memory_desc_t *from,
                                  const void *data, const dnnl_memory_desc_t *to, void *out_data) {
    const dnnl_engine_t engine = program->engine;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_memory_t memory[3] = {NULL, NULL, NULL};
    const void *scratch = NULL;
    const dnnl_memory_desc_t *pad = NULL;
    dnnl_status_t status = reorder_create(engine, from, to, &desc, &primitive);
    if (status == dnnl_success) {
        pad = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD);
        const uint64_t bytes = pad != NULL ? dnnl_memory_desc_get_size(pad) : 0;
        scratch = bytes > 0 ? buffer_room(&program->host, &program->pack_scratch, bytes) : NULL;
        status = bytes > 0 && scratch == NULL ? dnnl_out_of_memory : status;
    }
    if (status == dnnl_success) {
        status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    }
    if (status == dnnl_success) {
        status = memory_of(&memory[0], from, engine, data);
    }
    if (status == dnnl_success) {
        status = memory_of(&memory[1], to, engine, out_data);
    }
    if (status == dnnl_success && scratch != NULL) {
        status = memory_of(&memory[2], pad, engine, scratch);
    }
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[3] = {
            {DNNL_ARG_FROM, memory[0]}, {DNNL_ARG_TO, memory[1]}, {DNNL_ARG_SCRATCHPAD, memory[2]}};
        status = dnnl_primitive_execute(primitive, stream, scratch != NULL ? 3 : 2, args);
    }
    if (status == dnnl_success) {
        status = dnnl_stream_wait(stream);
    }
    for (uint32_t i = 0; i < 3; ++i) {
        (void)dnnl_memory_destroy(memory[i]);
    }
    (void)dnnl_stream_destroy(stream);
    (void)dnnl_primitive_destroy(primitive);
    (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

static tn_status no_memory(tn_error *error) {
    return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory for weights");
}

// Whatever the host said, to the host the weight could not be read.
static tn_status weight_failed(tn_status status, uint32_t index, tn_error *error) {
    return tn_helper_fail(error, status == TN_ERROR_OUT_OF_MEMORY ? status : TN_ERROR_IO,
                          "cpu.weight", "constant %u: the host gave status %d", index, status);
}

// Constants that are packed are read and not mapped, so that they are not in memory twice.
#define READ_BYTES 65536u

// Passing bytes lie there until the next are read; others are the caller's.
static void *plain_room(cpu_program *program, uint64_t bytes, uint32_t passing, void **out_owned) {
    void *room = passing ? buffer_room(&program->host, &program->passing, bytes)
                         : buffer_alloc(&program->host, bytes);
    *out_owned = passing ? NULL : room;
    return room;
}

// The plain bytes of a constant: in the host's mapping, or in a buffer, which is the caller's
// (*out_owned) unless they are passing: read once and then forgotten.
static tn_status read_plain(cpu_program *program, uint32_t index, uint32_t passing,
                            const void **out_data, void **out_owned, tn_error *error) {
    const tn_helper_host *host = &program->host;
    const tn_graph_constant *constant = tn_view_constant(program->view, index);
    const uint64_t element = tn_view_dtype_bytes(constant->dtype, 1);
    *out_owned = NULL;
    if ((constant->flags & TN_CONSTANT_MAPPABLE) != 0 &&
        !(passing && constant->size_bytes >= READ_BYTES)) {
        uint64_t size_bytes = 0;
        const tn_status status =
            host->services->weight_map(host->context, constant->key, out_data, &size_bytes);
        if (status == TN_OK && size_bytes >= constant->size_bytes) {
            if ((uintptr_t)*out_data % (element > 0 ? element : 1) == 0) {
                return TN_OK;
            }
            void *room = plain_room(program, constant->size_bytes, passing, out_owned);
            if (room == NULL) {
                return no_memory(error);
            }
            memcpy(room, *out_data, constant->size_bytes);
            *out_data = room;
            return TN_OK;
        }
        if (status != TN_ERROR_UNSUPPORTED) {
            return weight_failed(status, index, error);
        }
    }
    void *room = plain_room(program, constant->size_bytes, passing, out_owned);
    if (room == NULL) {
        return no_memory(error);
    }
    *out_data = room;
    const tn_status status =
        host->services->weight_read(host->context, constant->key, 0, constant->size_bytes, room);
    if (status != TN_OK && *out_owned != NULL) {
        buffer_free(host, *out_owned, constant->size_bytes);
        *out_owned = NULL;
    }
    return status == TN_OK ? TN_OK : weight_failed(status, index, error);
}

// Packs plain bytes into room of the program's.
static tn_status pack(cpu_program *program, const dnnl_memory_desc_t *plain, const void *data,
                      const dnnl_memory_desc_t *layout, const void **out_packed, tn_error *error) {
    void *packed = tni_cpu_arena_room(&program->packed, dnnl_memory_desc_get_size(layout));
    if (packed == NULL) {
        return no_memory(error);
    }
    const dnnl_status_t status = tni_cpu_reorder_now(program, plain, data, layout, packed);
    if (status != dnnl_success) {
        return tni_cpu_dnnl_fail(error, status, TN_NONE, "packing a weight");
    }
    *out_packed = packed;
    return TN_OK;
}

tn_status tni_cpu_weight(cpu_program *program, uint32_t constant, const dnnl_memory_desc_t *plain,
                         const dnnl_memory_desc_t *layout, const void **out_data, tn_error *error) {
    *out_data = NULL;
    for (const cpu_weight *w = program->weights; w != NULL; w = w->next) {
        if (w->constant == constant && w->partner == TN_NONE &&
            dnnl_memory_desc_equal(&w->plain, plain) &&
            dnnl_memory_desc_equal(&w->layout, layout)) {
            *out_data = w->data;
            return TN_OK;
        }
    }
    cpu_weight *made = tn_helper_alloc(&program->host, sizeof *made);
    if (made == NULL) {
        return no_memory(error);
    }
    const void *data = NULL;
    void *owned = NULL;
    const uint64_t plain_bytes = tn_view_constant(program->view, constant)->size_bytes;
    const uint32_t packs = !dnnl_memory_desc_equal(plain, layout);
    tn_status status = read_plain(program, constant, packs, &data, &owned, error);
    if (status == TN_OK && packs) {
        status = pack(program, plain, data, layout, &data, error);
    }
    if (status != TN_OK) {
        tn_helper_free(&program->host, made, sizeof *made);
        return status;
    }
    *made = (cpu_weight){.next = program->weights,
                         .constant = constant,
                         .partner = TN_NONE,
                         .plain = *plain,
                         .layout = *layout,
                         .data = data,
                         .owned_bytes = owned != NULL ? plain_bytes : 0};
    program->weights = made;
    program->weight_bytes += packs ? dnnl_memory_desc_get_size(layout) : made->owned_bytes;
    *out_data = data;
    return TN_OK;
}

const void *tni_cpu_weight_mapped(cpu_program *program, uint32_t constant) {
    const tn_graph_constant *record = tn_view_constant(program->view, constant);
    const void *data = NULL;
    uint64_t size_bytes = 0;
    return (record->flags & TN_CONSTANT_MAPPABLE) != 0 &&
                   program->host.services->weight_map(program->host.context, record->key, &data,
                                                      &size_bytes) == TN_OK &&
                   size_bytes >= record->size_bytes
               ? data
               : NULL;
}

tn_status tni_cpu_weight_as(cpu_program *program, uint32_t constant, uint32_t partner,
                            uint64_t size_bytes, cpu_fill_fn fill, const void *user_data,
                            const void **out_data, tn_error *error) {
    const tn_helper_host *host = &program->host;
    dnnl_memory_desc_t layout;
    *out_data = NULL;
    const dnnl_dims_t dims = {(dnnl_dim_t)size_bytes};
    (void)dnnl_memory_desc_init_by_tag(&layout, 1, dims, dnnl_s8, dnnl_a);
    for (const cpu_weight *w = program->weights; w != NULL; w = w->next) {
        if (w->constant == constant && w->partner == partner &&
            dnnl_memory_desc_equal(&w->plain, &layout) &&
            dnnl_memory_desc_equal(&w->layout, &layout)) {
            *out_data = w->data;
            return TN_OK;
        }
    }
    const void *data = NULL;
    void *owned = NULL;
    cpu_weight *made = tn_helper_alloc(host, sizeof *made);
    void *filled = tni_cpu_arena_room(&program->packed, size_bytes);
    tn_status status = made != NULL && filled != NULL
                           ? read_plain(program, constant, 1, &data, &owned, error)
                           : no_memory(error);
    if (status != TN_OK) {
        tn_helper_free(host, made, sizeof *made);
        return status;
    }
    fill(data, filled, user_data);
    *made = (cpu_weight){.next = program->weights,
                         .constant = constant,
                         .partner = partner,
                         .plain = layout,
                         .layout = layout,
                         .data = filled};
    program->weights = made;
    program->weight_bytes += size_bytes;
    *out_data = filled;
    return TN_OK;
}

void tni_cpu_weights_free(cpu_program *program) {
    while (program->weights != NULL) {
        cpu_weight *next = program->weights->next;
        if (program->weights->owned_bytes > 0) {
            buffer_free(&program->host, program->weights->data, program->weights->owned_bytes);
        }
        tn_helper_free(&program->host, program->weights, sizeof *next);
        program->weights = next;
    }
    tni_cpu_arena_deinit(&program->packed);
    while (program->chosen != NULL) {
        cpu_chosen *next = program->chosen->next;
        tn_helper_free(&program->host, program->chosen, sizeof *next);
        program->chosen = next;
    }
}
