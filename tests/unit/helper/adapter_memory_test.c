// SPDX-License-Identifier: Apache-2.0
// The adapter: memory and copies.
#include "adapter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void note_release(void *user_data) {
    *(uint32_t *)user_data += 1;
}

// ABI-63.
static void memory__checks_arguments_and_releases_imports_once(void **state) {
    adapter_fixture *f = *state;
    const tn_memory_interface *table = f->plugin.memory;
    tn_memory *memory = NULL;
    static const struct {
        uint64_t size, alignment;
        uint32_t heap;
        tn_status expected;
    } rows[] = {
        {100, 64, 0, TN_OK},
        {100, 0, 0, TN_OK},
        {100, 64, 1, TN_ERROR_INVALID_ARGUMENT},
        {0, 64, 0, TN_ERROR_INVALID_ARGUMENT},
        {100, 3, 0, TN_ERROR_INVALID_ARGUMENT},
        {UINT64_MAX, 64, 0, TN_ERROR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        const tn_memory_alloc_info info = {.struct_size = (uint32_t)sizeof info,
                                           .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                           .heap = rows[i].heap,
                                           .size_bytes = rows[i].size,
                                           .alignment_bytes = rows[i].alignment};
        assert_int_equal(table->memory_alloc(f->plugin.device, &info, &memory, &f->error),
                         rows[i].expected);
        assert_true((memory != NULL) == (rows[i].expected == TN_OK));
        void *pointer = NULL;
        if (memory != NULL) {
            assert_int_equal(table->memory_map(memory, 99, 2, &pointer, &f->error),
                             TN_ERROR_INVALID_ARGUMENT);
            assert_null(pointer);
            assert_int_equal(table->memory_map(memory, 0, 100, &pointer, &f->error), TN_OK);
            table->memory_unmap(memory);
        }
        table->memory_free(memory);
    }
    uint32_t released = 0;
    float data[4];
    const tn_memory_import_info info = {.struct_size = (uint32_t)sizeof info,
                                        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                        .access = TN_ACCESS_READ,
                                        .pointer = data,
                                        .size_bytes = sizeof data,
                                        .release = note_release,
                                        .release_user_data = &released};
    assert_int_equal(table->memory_import(f->plugin.device, &info, &memory, &f->error), TN_OK);
    assert_int_equal(released, 0);
    table->memory_free(memory);
    assert_int_equal(released, 1);
    assert_int_equal(adapter_import(f, NULL, 16, TN_ACCESS_READ, &memory),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(adapter_import(f, data, 16, 0, &memory), TN_ERROR_INVALID_ARGUMENT);
}

// ABI-65.
static void memory__keeps_to_the_cap(void **state) {
    adapter_fixture *f = *state;
    const tn_device_open_info open = {.struct_size = (uint32_t)sizeof open,
                                      .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
                                      .memory_cap_bytes = 1000};
    tn_device *device = NULL;
    assert_int_equal(
        f->plugin.core->device_open(f->plugin.answer.plugin, &open, &device, &f->error), TN_OK);
    tn_memory_alloc_info info = {.struct_size = (uint32_t)sizeof info,
                                 .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                 .size_bytes = 600};
    tn_memory *first = NULL;
    tn_memory *second = NULL;
    const tn_memory_interface *table = f->plugin.memory;
    assert_int_equal(table->memory_alloc(device, &info, &first, &f->error), TN_OK);
    assert_int_equal(table->memory_alloc(device, &info, &second, &f->error),
                     TN_ERROR_OUT_OF_MEMORY);
    table->memory_free(first);
    assert_int_equal(table->memory_alloc(device, &info, &second, &f->error), TN_OK);
    table->memory_free(second);
    f->plugin.core->device_close(device);
}

static void copy__checks_ends_and_signals(void **state) {
    adapter_fixture *f = *state;
    float from[4] = {1, 2, 3, 4};
    float to[4] = {0};
    tn_memory *memory = NULL;
    tn_fence *fence = adapter_fence(f, 5);
    const tn_fence_point signal = {fence, 6};
    assert_int_equal(adapter_import(f, from, sizeof from, TN_ACCESS_READ, &memory), TN_OK);
    tn_copy_info info = {.struct_size = (uint32_t)sizeof info,
                         .struct_type = TN_STRUCT_COPY_INFO,
                         .source = {memory, NULL, 4},
                         .destination = {NULL, to, 0},
                         .size_bytes = 12,
                         .signals = &signal,
                         .signal_count = 1};
    const tn_memory_interface *table = f->plugin.memory;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_OK);
    assert_true(to[0] == 2.0f && to[2] == 4.0f && to[3] == 0.0f);
    assert_int_equal(f->plugin.sync->fence_wait(fence, 6, 0, &f->error), TN_OK);
    // The value is used up, the range too long, the source read-only, the ends overlap.
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.signal_count = 0;
    info.size_bytes = 13;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.size_bytes = 8;
    info.destination.pointer = from;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.source = (tn_copy_end){NULL, to, 0};
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.destination = (tn_copy_end){memory, NULL, 0};
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    table->memory_free(memory);
    f->plugin.sync->fence_destroy(fence);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ADAPTER_CASE(memory__checks_arguments_and_releases_imports_once),
        ADAPTER_CASE(memory__keeps_to_the_cap),
        ADAPTER_CASE(copy__checks_ends_and_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
