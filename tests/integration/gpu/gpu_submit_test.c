// SPDX-License-Identifier: Apache-2.0
// Submits of a GPU plugin through the ABI alone: order, waits for what comes later, failures, size.
#include "gpu_direct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void fence__calls_back_from_submitted_work(void **state) {
    (void)state;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    direct_double(&d, COUNT, &builder, &program);
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, COUNT * 8);
    for (int round = 0; round < 200; round++) {
        atomic_int seen;
        atomic_init(&seen, 0);
        tn_fence *fence = direct_fence(&d, 0);
        const tn_fence_point signal = {fence, 1};
        if (round % 2 == 0) {
            assert_int_equal(d.plugin.sync->fence_on_reach(fence, 1, direct_note, &seen, NULL),
                             TN_OK);
        }
        assert_int_equal(direct_submit(&d, &program, memory, 0, COUNT * 4, NULL, &signal), TN_OK);
        if (round % 2 == 1) {
            assert_int_equal(d.plugin.sync->fence_on_reach(fence, 1, direct_note, &seen, NULL),
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
    direct_double(&d, COUNT, &builder, &program);
    uint64_t slice = COUNT * 4;
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, slice * 4);
    tn_fence *gate = direct_fence(&d, 0);
    tn_fence *done = direct_fence(&d, 0);
    for (uint64_t round = 0; round < 20; round++) {
        float *data = direct_map(&d, memory, 0, slice);
        for (uint32_t i = 0; i < COUNT; i++) {
            data[i] = (float)i + (float)round;
        }
        d.plugin.memory->memory_unmap(memory);
        const tn_fence_point open = {gate, round + 1};
        for (uint64_t k = 0; k < 3; k++) {
            const tn_fence_point before = {done, round * 3 + k};
            const tn_fence_point signal = {done, round * 3 + k + 1};
            assert_int_equal(direct_submit(&d, &program, memory, slice * k, slice * (k + 1),
                                           k == 0 ? &open : &before, &signal),
                             TN_OK);
        }
        assert_int_equal(d.plugin.sync->fence_signal(gate, round + 1, &d.error), TN_OK);
        assert_int_equal(d.plugin.sync->fence_wait(done, round * 3 + 3, 10 * SECOND, &d.error),
                         TN_OK);
        data = direct_map(&d, memory, slice * 3, slice);
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
    direct_double(&d, COUNT, &builders[0], &first);
    direct_double(&d, COUNT, &builders[1], &second);
    uint64_t slice = COUNT * 4;
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, slice * 3);
    tn_fence *fence = direct_fence(&d, 0);
    const tn_fence_point one = {fence, 1};
    const tn_fence_point two = {fence, 2};
    float *data = direct_map(&d, memory, 0, slice);
    for (uint32_t i = 0; i < COUNT; i++) {
        data[i] = 1.5f;
    }
    d.plugin.memory->memory_unmap(memory);
    assert_int_equal(direct_submit(&d, &second, memory, slice, slice * 2, &one, &two), TN_OK);
    assert_int_equal(direct_submit(&d, &first, memory, 0, slice, NULL, &one), TN_OK);
    assert_int_equal(d.plugin.sync->fence_wait(fence, 2, 10 * SECOND, &d.error), TN_OK);
    data = direct_map(&d, memory, slice * 2, slice);
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

// A failed fence releases the work that waits for it, and the work's own fence is reached.
void submit__is_released_by_a_failed_fence(void **state) {
    (void)state;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    const tn_sync_interface *sync = d.plugin.sync;
    direct_double(&d, COUNT, &builder, &program);
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, COUNT * 8);
    for (int round = 0; round < 50; round++) {
        tn_fence *gate = direct_fence(&d, 0);
        tn_fence *done = direct_fence(&d, 0);
        const tn_fence_point open = {gate, 1};
        const tn_fence_point signal = {done, 1};
        uint64_t value = 0;
        assert_int_equal(direct_submit(&d, &program, memory, 0, COUNT * 4, &open, &signal), TN_OK);
        assert_int_equal(sync->fence_wait(done, 1, 0, &d.error), TN_ERROR_TIMEOUT);
        assert_int_equal(sync->fence_fail(gate, TN_ERROR_STALE, &d.error), TN_OK);
        assert_int_equal(sync->fence_wait(done, 1, 10 * SECOND, &d.error), TN_OK);
        assert_int_equal(sync->fence_query(done, &value, &d.error), TN_OK);
        assert_int_equal(value, 1);
        sync->fence_destroy(gate);
        sync->fence_destroy(done);
    }
    d.plugin.memory->memory_free(memory);
    abi_program_close(&program);
    view_builder_destroy(builder);
    direct_close(&d);
}

// A fence that is failed while the work that raises it is under way stays failed.
void submit__cannot_mend_a_failed_fence(void **state) {
    (void)state;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    const tn_sync_interface *sync = d.plugin.sync;
    direct_double(&d, COUNT, &builder, &program);
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, COUNT * 8);
    for (int round = 0; round < 50; round++) {
        tn_fence *gate = direct_fence(&d, 0);
        tn_fence *done = direct_fence(&d, 0);
        tn_fence *after = direct_fence(&d, 0);
        const tn_fence_point points[] = {{gate, 1}, {done, 1}, {done, 2}, {after, 1}};
        uint64_t value = 0;
        assert_int_equal(direct_submit(&d, &program, memory, 0, COUNT * 4,
                                       round % 2 == 0 ? &points[0] : NULL, &points[1]),
                         TN_OK);
        // Waits for a value that nobody is going to raise the fence to, but for the failure.
        assert_int_equal(direct_submit(&d, &program, memory, 0, COUNT * 4, &points[2], &points[3]),
                         TN_OK);
        assert_int_equal(sync->fence_fail(done, TN_ERROR_STALE, &d.error), TN_OK);
        assert_int_equal(sync->fence_wait(done, 2, 10 * SECOND, &d.error), TN_ERROR_STALE);
        assert_int_equal(sync->fence_signal(gate, 1, &d.error), TN_OK);
        assert_int_equal(sync->fence_wait(after, 1, 10 * SECOND, &d.error), TN_OK);
        assert_int_equal(sync->fence_query(done, &value, &d.error), TN_ERROR_STALE);
        sync->fence_destroy(after);
        sync->fence_destroy(done);
        sync->fence_destroy(gate);
    }
    d.plugin.memory->memory_free(memory);
    abi_program_close(&program);
    view_builder_destroy(builder);
    direct_close(&d);
}

// More elements than one binding or one grid of small devices reaches, and not a round number.
void submit__covers_every_element_of_a_large_tensor(void **state) {
    (void)state;
    const int64_t count = 33600007;
    direct d;
    abi_program program;
    view_builder *builder;
    if (!direct_open(&d)) {
        skip();
    }
    direct_double(&d, count, &builder, &program);
    uint64_t bytes = (uint64_t)count * sizeof(float);
    uint64_t slice = (bytes + 255) / 256 * 256;
    tn_memory *memory = direct_memory(&d, d.heap_count - 1, slice * 2);
    tn_fence *done = direct_fence(&d, 0);
    const tn_fence_point signal = {done, 1};
    float *data = direct_map(&d, memory, 0, bytes);
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)(i % 1000003);
    }
    d.plugin.memory->memory_unmap(memory);
    assert_int_equal(direct_submit(&d, &program, memory, 0, slice, NULL, &signal), TN_OK);
    assert_int_equal(d.plugin.sync->fence_wait(done, 1, 60 * SECOND, &d.error), TN_OK);
    data = direct_map(&d, memory, slice, bytes);
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; i++) {
        wrong += data[i] < (float)(i % 1000003) * 2 || data[i] > (float)(i % 1000003) * 2;
    }
    assert_int_equal(wrong, 0);
    d.plugin.memory->memory_unmap(memory);
    d.plugin.sync->fence_destroy(done);
    d.plugin.memory->memory_free(memory);
    abi_program_close(&program);
    view_builder_destroy(builder);
    direct_close(&d);
}
