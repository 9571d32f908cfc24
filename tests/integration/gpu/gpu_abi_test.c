// SPDX-License-Identifier: Apache-2.0
// A GPU plugin through the ABI alone: copies, imports, fences and submits that wait for each other.
#include "gpu_fixture.h"

#include "support/abi_host.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define COUNT 4096u

typedef struct direct {
    abi_host host;
    abi_plugin plugin;
    tn_error error;
    uint32_t heap_count;
} direct;

// False where there is no device.
static bool direct_open(direct *d) {
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

static void direct_close(direct *d) {
    assert_int_equal(abi_plugin_close(&d->plugin), TN_OK);
    assert_int_equal(d->host.wrong_free_count, 0);
}

static tn_fence *make_fence(direct *d, uint64_t value) {
    tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, value};
    tn_fence *fence = NULL;
    assert_int_equal(d->plugin.sync->fence_create(d->plugin.device, &info, &fence, &d->error),
                     TN_OK);
    return fence;
}

static tn_memory *make_memory(direct *d, uint32_t heap, uint64_t bytes) {
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

static tn_status start_copy(direct *d, tn_copy_end from, tn_copy_end to, uint64_t bytes,
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

static void fill_random(unsigned char *data, uint32_t bytes, uint32_t seed) {
    for (uint32_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (unsigned char)(seed >> 24);
    }
}

// host -> first heap -> each other heap -> host, by fences only.
void copy__carries_bytes_through_the_device(void **state) {
    (void)state;
    static unsigned char sent[100000];
    static unsigned char received[100000];
    direct d;
    if (!direct_open(&d)) {
        skip();
    }
    for (uint32_t heap = 0; heap < d.heap_count; heap++) {
        tn_memory *a = make_memory(&d, heap, 1 << 18);
        tn_memory *b = make_memory(&d, d.heap_count - 1, 1 << 18);
        tn_fence *fence = make_fence(&d, 7);
        fill_random(sent, sizeof(sent), heap + 1);
        memset(received, 0, sizeof(received));
        const tn_fence_point points[] = {{fence, 8}, {fence, 9}, {fence, 10}};
        assert_int_equal(start_copy(&d, (tn_copy_end){.pointer = sent},
                                    (tn_copy_end){.memory = a, .offset_bytes = 256}, sizeof(sent),
                                    NULL, &points[0]),
                         TN_OK);
        assert_int_equal(start_copy(&d, (tn_copy_end){.memory = a, .offset_bytes = 256},
                                    (tn_copy_end){.memory = b, .offset_bytes = 4096}, sizeof(sent),
                                    &points[0], &points[1]),
                         TN_OK);
        assert_int_equal(start_copy(&d, (tn_copy_end){.memory = b, .offset_bytes = 4096},
                                    (tn_copy_end){.pointer = received}, sizeof(sent), &points[1],
                                    &points[2]),
                         TN_OK);
        assert_int_equal(d.plugin.sync->fence_wait(fence, 10, 10 * SECOND, &d.error), TN_OK);
        assert_memory_equal(sent, received, sizeof(sent));
        d.plugin.sync->fence_destroy(fence);
        // A range that leaves the memory, and one that overlaps nothing but leaves it too.
        assert_int_equal(start_copy(&d, (tn_copy_end){.pointer = sent},
                                    (tn_copy_end){.memory = a, .offset_bytes = 1 << 18}, 1, NULL,
                                    &points[0]),
                         TN_ERROR_INVALID_ARGUMENT);
        assert_int_equal(start_copy(&d, (tn_copy_end){.pointer = sent},
                                    (tn_copy_end){.pointer = received}, 1, NULL, &points[0]),
                         TN_ERROR_INVALID_ARGUMENT);
        d.plugin.memory->memory_free(a);
        d.plugin.memory->memory_free(b);
    }
    direct_close(&d);
}

// The last link is enqueued first: nothing may hold up the queue meanwhile.
void copy__waits_and_signals_in_any_order(void **state) {
    (void)state;
    static unsigned char sent[5000];
    static unsigned char received[5000];
    direct d;
    if (!direct_open(&d)) {
        skip();
    }
    uint32_t heap = d.heap_count - 1;
    tn_memory *a = make_memory(&d, heap, 8192);
    tn_memory *b = make_memory(&d, heap, 8192);
    tn_fence *gate = make_fence(&d, 0);
    tn_fence *done = make_fence(&d, 0);
    tn_fence *middle = make_fence(&d, 0);
    fill_random(sent, sizeof(sent), 5);
    const tn_fence_point open = {gate, 1};
    const tn_fence_point written = {middle, 1};
    const tn_fence_point moved = {middle, 2};
    const tn_fence_point read = {done, 1};
    assert_int_equal(start_copy(&d, (tn_copy_end){.memory = b}, (tn_copy_end){.pointer = received},
                                sizeof(sent), &moved, &read),
                     TN_OK);
    assert_int_equal(start_copy(&d, (tn_copy_end){.memory = a}, (tn_copy_end){.memory = b},
                                sizeof(sent), &written, &moved),
                     TN_OK);
    assert_int_equal(start_copy(&d, (tn_copy_end){.pointer = sent}, (tn_copy_end){.memory = a},
                                sizeof(sent), &open, &written),
                     TN_OK);
    assert_int_equal(d.plugin.sync->fence_wait(done, 1, SECOND / 50, &d.error), TN_ERROR_TIMEOUT);
    assert_int_equal(d.plugin.sync->fence_signal(gate, 1, &d.error), TN_OK);
    assert_int_equal(d.plugin.sync->fence_wait(done, 1, 10 * SECOND, &d.error), TN_OK);
    assert_memory_equal(sent, received, sizeof(sent));
    d.plugin.sync->fence_destroy(done);
    d.plugin.sync->fence_destroy(middle);
    d.plugin.sync->fence_destroy(gate);
    d.plugin.memory->memory_free(a);
    d.plugin.memory->memory_free(b);
    direct_close(&d);
}

static void note_release(void *user_data) {
    (*(uint32_t *)user_data)++;
}

void import__refuses_what_is_not_aligned(void **state) {
    (void)state;
    direct d;
    uint32_t released = 0;
    if (!direct_open(&d)) {
        skip();
    }
    unsigned char *page = aligned_alloc(4096, 8192);
    assert_non_null(page);
    for (uint32_t heap = 0; heap < d.heap_count; heap++) {
        tn_heap_info info = {.struct_size = sizeof(info), .struct_type = TN_STRUCT_HEAP_INFO};
        assert_int_equal(d.plugin.memory->heap_info(d.plugin.device, heap, &info, NULL), TN_OK);
        bool imports = info.import_alignment_bytes > 0;
        assert_int_equal(imports, (info.flags & TN_HEAP_HOST_MEMORY) != 0);
        const struct {
            uint64_t offset;
            uint64_t bytes;
            tn_status expected;
        } cases[] = {
            {1, 4096, TN_ERROR_UNSUPPORTED},
            {4, 4096, TN_ERROR_UNSUPPORTED},
            {0, 4097, TN_ERROR_UNSUPPORTED},
            {0, 0, TN_ERROR_INVALID_ARGUMENT},
            {0, 8192, imports ? TN_OK : TN_ERROR_UNSUPPORTED},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            tn_memory *memory = NULL;
            uint32_t before = released;
            tn_memory_import_info import = {.struct_size = sizeof(import),
                                            .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                            .heap = heap,
                                            .access = TN_ACCESS_READ | TN_ACCESS_WRITE,
                                            .pointer = page + cases[i].offset,
                                            .size_bytes = cases[i].bytes,
                                            .release = note_release,
                                            .release_user_data = &released};
            assert_int_equal(
                d.plugin.memory->memory_import(d.plugin.device, &import, &memory, &d.error),
                cases[i].expected);
            assert_int_equal(memory != NULL, cases[i].expected == TN_OK);
            d.plugin.memory->memory_free(memory);
            assert_int_equal(released, before + (cases[i].expected == TN_OK));
        }
    }
    free(page);
    direct_close(&d);
}

static void note_status(void *user_data, tn_status status) {
    atomic_int *seen = user_data;
    atomic_store(seen, status == TN_OK ? 1 : 100 + status);
}

static void *fail_soon(void *user_data) {
    direct *d = ((void **)user_data)[0];
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    (void)d->plugin.sync->fence_fail(((void **)user_data)[1], TN_ERROR_STALE, NULL);
    return NULL;
}

void fence__keeps_its_contract(void **state) {
    (void)state;
    direct d;
    uint64_t value = 0;
    atomic_int seen[3];
    pthread_t thread;
    if (!direct_open(&d)) {
        skip();
    }
    const tn_sync_interface *sync = d.plugin.sync;
    tn_fence *fence = make_fence(&d, 3);
    for (int i = 0; i < 3; i++) {
        atomic_init(&seen[i], 0);
    }
    assert_int_equal(sync->fence_query(fence, &value, &d.error), TN_OK);
    assert_int_equal(value, 3);
    assert_int_equal(sync->fence_signal(fence, 3, &d.error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_wait(fence, 3, 0, &d.error), TN_OK);
    assert_int_equal(sync->fence_wait(fence, 4, 0, &d.error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_on_reach(fence, 3, note_status, &seen[0], &d.error), TN_OK);
    assert_int_equal(atomic_load(&seen[0]), 1);
    assert_int_equal(sync->fence_on_reach(fence, 5, note_status, &seen[1], &d.error), TN_OK);
    assert_int_equal(sync->fence_signal(fence, 4, &d.error), TN_OK);
    assert_int_equal(atomic_load(&seen[1]), 0);
    assert_int_equal(sync->fence_signal(fence, 6, &d.error), TN_OK);
    assert_int_equal(atomic_load(&seen[1]), 1);
    // A failure wakes whoever waits already; the first one stays.
    void *arguments[] = {&d, fence};
    assert_int_equal(pthread_create(&thread, NULL, fail_soon, arguments), 0);
    assert_int_equal(sync->fence_wait(fence, 7, 10 * SECOND, &d.error), TN_ERROR_STALE);
    pthread_join(thread, NULL);
    assert_int_equal(sync->fence_fail(fence, TN_ERROR_INTERNAL, &d.error), TN_OK);
    assert_int_equal(sync->fence_query(fence, &value, &d.error), TN_ERROR_STALE);
    assert_int_equal(value, 6);
    assert_int_equal(sync->fence_fail(fence, TN_OK, &d.error), TN_ERROR_INVALID_ARGUMENT);
    sync->fence_destroy(fence);
    // What nobody reached is called at the latest by destroy.
    fence = make_fence(&d, 0);
    assert_int_equal(sync->fence_on_reach(fence, 1, note_status, &seen[2], &d.error), TN_OK);
    sync->fence_destroy(fence);
    assert_int_equal(atomic_load(&seen[2]), 100 + TN_ERROR_CANCELLED);
    direct_close(&d);
}

// y = x + x, prepared.
static void open_double(direct *d, view_builder **out_builder, abi_program *out_program) {
    static const int64_t dims[] = {COUNT};
    view_builder *b = view_builder_create();
    uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    const uint32_t inputs[] = {x, x};
    view_builder_input(b, x);
    view_builder_output(b, y);
    view_builder_node(b, "Add", 14, inputs, 2, &y, 1);
    assert_int_equal(abi_program_open(&d->plugin, view_builder_finish(b, 0), NULL, 0, out_program,
                                      &d->error),
                     TN_OK);
    *out_builder = b;
}

static tn_status submit_double(direct *d, abi_program *program, tn_memory *memory, uint64_t from,
                               uint64_t to, const tn_fence_point *wait,
                               const tn_fence_point *signal) {
    static const int64_t dims[] = {COUNT};
    tn_binding bindings[2] = {
        {.memory = memory, .offset_bytes = from, .size_bytes = COUNT * 4, .rank = 1, .dims = dims},
        {.memory = memory, .offset_bytes = to, .size_bytes = COUNT * 4, .rank = 1, .dims = dims}};
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

static float *map_floats(direct *d, tn_memory *memory, uint64_t offset, uint64_t bytes) {
    void *pointer = NULL;
    assert_int_equal(d->plugin.memory->memory_map(memory, offset, bytes, &pointer, &d->error),
                     TN_OK);
    return pointer;
}

void fence__calls_back_from_submitted_work(void **state) {
    (void)state;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    open_double(&d, &builder, &program);
    tn_memory *memory = make_memory(&d, d.heap_count - 1, COUNT * 8);
    for (int round = 0; round < 200; round++) {
        atomic_int seen;
        atomic_init(&seen, 0);
        tn_fence *fence = make_fence(&d, 0);
        const tn_fence_point signal = {fence, 1};
        if (round % 2 == 0) {
            assert_int_equal(d.plugin.sync->fence_on_reach(fence, 1, note_status, &seen, NULL),
                             TN_OK);
        }
        assert_int_equal(submit_double(&d, &program, memory, 0, COUNT * 4, NULL, &signal), TN_OK);
        if (round % 2 == 1) {
            assert_int_equal(d.plugin.sync->fence_on_reach(fence, 1, note_status, &seen, NULL),
                             TN_OK);
        }
        assert_int_equal(d.plugin.sync->fence_wait(fence, 1, 10 * SECOND, &d.error), TN_OK);
        // Destroying at once races with the callback on purpose: it is called in either case.
        d.plugin.sync->fence_destroy(fence);
        assert_true(atomic_load(&seen) != 0);
    }
    d.plugin.memory->memory_free(memory);
    abi_program_close(&program);
    view_builder_destroy(builder);
    direct_close(&d);
}

// Three submits of one context, each over the result of the one before.
void submit__many_in_flight_keep_their_order(void **state) {
    (void)state;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    open_double(&d, &builder, &program);
    uint64_t slice = COUNT * 4;
    tn_memory *memory = make_memory(&d, d.heap_count - 1, slice * 4);
    tn_fence *gate = make_fence(&d, 0);
    tn_fence *done = make_fence(&d, 0);
    for (uint64_t round = 0; round < 20; round++) {
        float *data = map_floats(&d, memory, 0, slice);
        for (uint32_t i = 0; i < COUNT; i++) {
            data[i] = (float)i + (float)round;
        }
        d.plugin.memory->memory_unmap(memory);
        const tn_fence_point open = {gate, round + 1};
        for (uint64_t k = 0; k < 3; k++) {
            const tn_fence_point before = {done, round * 3 + k};
            const tn_fence_point signal = {done, round * 3 + k + 1};
            assert_int_equal(submit_double(&d, &program, memory, slice * k, slice * (k + 1),
                                           k == 0 ? &open : &before, &signal),
                             TN_OK);
        }
        assert_int_equal(d.plugin.sync->fence_signal(gate, round + 1, &d.error), TN_OK);
        assert_int_equal(d.plugin.sync->fence_wait(done, round * 3 + 3, 10 * SECOND, &d.error),
                         TN_OK);
        data = map_floats(&d, memory, slice * 3, slice);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_float_equal(data[i], ((float)i + (float)round) * 8, 0);
        }
        d.plugin.memory->memory_unmap(memory);
    }
    d.plugin.sync->fence_destroy(gate);
    d.plugin.sync->fence_destroy(done);
    d.plugin.memory->memory_free(memory);
    abi_program_close(&program);
    view_builder_destroy(builder);
    direct_close(&d);
}

// What is waited for is submitted afterwards, on the same device (wait_before_signal_submitted).
void submit__waits_for_work_that_comes_later(void **state) {
    (void)state;
    direct d;
    abi_program first;
    abi_program second;
    view_builder *builders[2];
    if (!direct_open(&d)) {
        skip();
    }
    tn_fence_caps caps = {.struct_size = sizeof(caps), .struct_type = TN_STRUCT_FENCE_CAPS};
    assert_int_equal(d.plugin.sync->fence_caps(d.plugin.device, &caps, NULL), TN_OK);
    assert_int_equal(caps.wait_before_signal_submitted, 1);
    open_double(&d, &builders[0], &first);
    open_double(&d, &builders[1], &second);
    uint64_t slice = COUNT * 4;
    tn_memory *memory = make_memory(&d, d.heap_count - 1, slice * 3);
    tn_fence *fence = make_fence(&d, 0);
    const tn_fence_point one = {fence, 1};
    const tn_fence_point two = {fence, 2};
    float *data = map_floats(&d, memory, 0, slice);
    for (uint32_t i = 0; i < COUNT; i++) {
        data[i] = 1.5f;
    }
    d.plugin.memory->memory_unmap(memory);
    assert_int_equal(submit_double(&d, &second, memory, slice, slice * 2, &one, &two), TN_OK);
    assert_int_equal(submit_double(&d, &first, memory, 0, slice, NULL, &one), TN_OK);
    assert_int_equal(d.plugin.sync->fence_wait(fence, 2, 10 * SECOND, &d.error), TN_OK);
    data = map_floats(&d, memory, slice * 2, slice);
    assert_float_equal(data[COUNT - 1], 6.0f, 0);
    d.plugin.memory->memory_unmap(memory);
    d.plugin.sync->fence_destroy(fence);
    d.plugin.memory->memory_free(memory);
    abi_program_close(&first);
    abi_program_close(&second);
    view_builder_destroy(builders[0]);
    view_builder_destroy(builders[1]);
    direct_close(&d);
}
