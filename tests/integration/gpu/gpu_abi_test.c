// SPDX-License-Identifier: Apache-2.0
// A GPU plugin through the ABI alone: copies, imports, fences and submits that wait for each other.
#include "gpu_direct.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

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
        tn_memory *a = direct_memory(&d, heap, 1 << 18);
        tn_memory *b = direct_memory(&d, d.heap_count - 1, 1 << 18);
        tn_fence *fence = direct_fence(&d, 7);
        fill_random(sent, sizeof(sent), heap + 1);
        memset(received, 0, sizeof(received));
        const tn_fence_point points[] = {{fence, 8}, {fence, 9}, {fence, 10}};
        assert_int_equal(direct_copy(&d, (tn_copy_end){.pointer = sent},
                                     (tn_copy_end){.memory = a, .offset_bytes = 256}, sizeof(sent),
                                     NULL, &points[0]),
                         TN_OK);
        assert_int_equal(direct_copy(&d, (tn_copy_end){.memory = a, .offset_bytes = 256},
                                     (tn_copy_end){.memory = b, .offset_bytes = 4096}, sizeof(sent),
                                     &points[0], &points[1]),
                         TN_OK);
        assert_int_equal(direct_copy(&d, (tn_copy_end){.memory = b, .offset_bytes = 4096},
                                     (tn_copy_end){.pointer = received}, sizeof(sent), &points[1],
                                     &points[2]),
                         TN_OK);
        assert_int_equal(d.plugin.sync->fence_wait(fence, 10, 10 * SECOND, &d.error), TN_OK);
        assert_memory_equal(sent, received, sizeof(sent));
        d.plugin.sync->fence_destroy(fence);
        // A range that leaves the memory, and one that overlaps nothing but leaves it too.
        assert_int_equal(direct_copy(&d, (tn_copy_end){.pointer = sent},
                                     (tn_copy_end){.memory = a, .offset_bytes = 1 << 18}, 1, NULL,
                                     &points[0]),
                         TN_ERROR_INVALID_ARGUMENT);
        assert_int_equal(direct_copy(&d, (tn_copy_end){.pointer = sent},
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
    tn_memory *a = direct_memory(&d, heap, 8192);
    tn_memory *b = direct_memory(&d, heap, 8192);
    tn_fence *gate = direct_fence(&d, 0);
    tn_fence *done = direct_fence(&d, 0);
    tn_fence *middle = direct_fence(&d, 0);
    fill_random(sent, sizeof(sent), 5);
    const tn_fence_point open = {gate, 1};
    const tn_fence_point written = {middle, 1};
    const tn_fence_point moved = {middle, 2};
    const tn_fence_point read = {done, 1};
    assert_int_equal(direct_copy(&d, (tn_copy_end){.memory = b}, (tn_copy_end){.pointer = received},
                                 sizeof(sent), &moved, &read),
                     TN_OK);
    assert_int_equal(direct_copy(&d, (tn_copy_end){.memory = a}, (tn_copy_end){.memory = b},
                                 sizeof(sent), &written, &moved),
                     TN_OK);
    assert_int_equal(direct_copy(&d, (tn_copy_end){.pointer = sent}, (tn_copy_end){.memory = a},
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
    tn_fence *fence = direct_fence(&d, 3);
    for (int i = 0; i < 3; i++) {
        atomic_init(&seen[i], 0);
    }
    assert_int_equal(sync->fence_query(fence, &value, &d.error), TN_OK);
    assert_int_equal(value, 3);
    assert_int_equal(sync->fence_signal(fence, 3, &d.error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_wait(fence, 3, 0, &d.error), TN_OK);
    assert_int_equal(sync->fence_wait(fence, 4, 0, &d.error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_on_reach(fence, 3, direct_note, &seen[0], &d.error), TN_OK);
    assert_int_equal(atomic_load(&seen[0]), 1);
    assert_int_equal(sync->fence_on_reach(fence, 5, direct_note, &seen[1], &d.error), TN_OK);
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
    fence = direct_fence(&d, 0);
    assert_int_equal(sync->fence_on_reach(fence, 1, direct_note, &seen[2], &d.error), TN_OK);
    sync->fence_destroy(fence);
    assert_int_equal(atomic_load(&seen[2]), 100 + TN_ERROR_CANCELLED);
    direct_close(&d);
}

// Opens, allocates, makes a fence and closes; returns the first failure.
static tn_status open_and_close(direct *d) {
    tn_memory_alloc_info alloc = {.struct_size = sizeof(alloc),
                                  .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                  .size_bytes = 4096,
                                  .alignment_bytes = 64};
    tn_fence_create_info create = {sizeof(create), TN_STRUCT_FENCE_CREATE_INFO, 0};
    tn_memory *memory = NULL;
    tn_fence *fence = NULL;
    tn_status status = abi_plugin_open(&d->host, gpu_entry(), &d->plugin, &d->error);
    if (status != TN_OK) {
        return status;
    }
    status = d->plugin.memory->memory_alloc(d->plugin.device, &alloc, &memory, &d->error);
    assert_int_equal(memory != NULL, status == TN_OK);
    if (status == TN_OK) {
        status = d->plugin.sync->fence_create(d->plugin.device, &create, &fence, &d->error);
        assert_int_equal(fence != NULL, status == TN_OK);
    }
    d->plugin.sync->fence_destroy(fence);
    d->plugin.memory->memory_free(memory);
    assert_int_equal(abi_plugin_close(&d->plugin), TN_OK);
    return status;
}

void open__survives_every_failed_allocation(void **state) {
    (void)state;
    direct d;
    if (!direct_open(&d)) {
        skip();
    }
    direct_close(&d);
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    for (uint64_t n = 1; n < 100 && status != TN_OK; n++) {
        memset(&d, 0, sizeof(d));
        tn_error_init(&d.error);
        abi_host_init(&d.host, NULL);
        d.host.fail_at = n;
        status = open_and_close(&d);
        assert_true(status == TN_OK || status == TN_ERROR_OUT_OF_MEMORY);
        assert_int_equal(d.host.live_blocks, 0);
        assert_int_equal(d.host.wrong_free_count, 0);
    }
    assert_int_equal(status, TN_OK);
}
