// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "gpu_direct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

bool direct_open(direct *d) {
    memset(d, 0, sizeof(*d));
    tn_error_init(&d->error);
    abi_host_init(&d->host, NULL);
    if (abi_plugin_open(&d->host, gpu_entry(), &d->plugin, &d->error) != TN_OK) {
        print_message(GPU_PLUGIN ": no device here: %s\n", d->error.text);
        return false;
    }
    tn_heap_info info = {.struct_size = sizeof(info), .struct_type = TN_STRUCT_HEAP_INFO};
    while (d->heap_count < 8 &&
           d->plugin.memory->heap_info(d->plugin.device, d->heap_count, &info, NULL) == TN_OK) {
        d->heap_count++;
    }
    return true;
}

void direct_close(direct *d) {
    assert_int_equal(abi_plugin_close(&d->plugin), TN_OK);
    assert_int_equal(d->host.wrong_free_count, 0);
}

tn_fence *direct_fence(direct *d, uint64_t value) {
    tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, value};
    tn_fence *fence = NULL;
    assert_int_equal(d->plugin.sync->fence_create(d->plugin.device, &info, &fence, &d->error),
                     TN_OK);
    return fence;
}

tn_memory *direct_memory(direct *d, uint32_t heap, uint64_t bytes) {
    tn_memory_alloc_info info = {.struct_size = sizeof(info),
                                 .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                 .heap = heap,
                                 .size_bytes = bytes,
                                 .alignment_bytes = 64};
    tn_memory *memory = NULL;
    assert_int_equal(d->plugin.memory->memory_alloc(d->plugin.device, &info, &memory, &d->error),
                     TN_OK);
    return memory;
}

tn_status direct_copy(direct *d, tn_copy_end from, tn_copy_end to, uint64_t bytes,
                      const tn_fence_point *wait, const tn_fence_point *signal) {
    tn_copy_info info = {.struct_size = sizeof(info),
                         .struct_type = TN_STRUCT_COPY_INFO,
                         .source = from,
                         .destination = to,
                         .size_bytes = bytes,
                         .waits = wait,
                         .wait_count = wait != NULL,
                         .signals = signal,
                         .signal_count = 1};
    return d->plugin.memory->copy(d->plugin.device, &info, &d->error);
}

void direct_note(void *user_data, tn_status status) {
    atomic_int *seen = user_data;
    atomic_store(seen, status == TN_OK ? 1 : 100 + status);
}

void direct_double(direct *d, int64_t count, view_builder **out_builder, abi_program *out_program) {
    const int64_t dims[] = {count};
    d->count = count;
    view_builder *b = view_builder_create();
    uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    const uint32_t inputs[] = {x, x};
    view_builder_input(b, x);
    view_builder_output(b, y);
    view_builder_node(b, "Add", 14, inputs, 2, &y, 1);
    assert_int_equal(
        abi_program_open(&d->plugin, view_builder_finish(b, 0), NULL, 0, out_program, &d->error),
        TN_OK);
    *out_builder = b;
}

tn_status direct_submit(direct *d, abi_program *program, tn_memory *memory, uint64_t from,
                        uint64_t to, const tn_fence_point *wait, const tn_fence_point *signal) {
    uint64_t bytes = (uint64_t)d->count * sizeof(float);
    tn_binding bindings[2];
    memset(bindings, 0, sizeof(bindings));
    for (int i = 0; i < 2; i++) {
        bindings[i].memory = memory;
        bindings[i].offset_bytes = i == 0 ? from : to;
        bindings[i].size_bytes = bytes;
        bindings[i].rank = 1;
        bindings[i].dims = &d->count;
    }
    tn_submit_info info = {.struct_size = sizeof(info),
                           .struct_type = TN_STRUCT_SUBMIT_INFO,
                           .bindings = bindings,
                           .binding_count = 2,
                           .binding_stride_bytes = sizeof(tn_binding),
                           .waits = wait,
                           .wait_count = wait != NULL,
                           .signals = signal,
                           .signal_count = 1};
    return d->plugin.exec->submit(program->context, &info, &d->error);
}

float *direct_map(direct *d, tn_memory *memory, uint64_t offset, uint64_t bytes) {
    void *pointer = NULL;
    assert_int_equal(d->plugin.memory->memory_map(memory, offset, bytes, &pointer, &d->error),
                     TN_OK);
    return pointer;
}
