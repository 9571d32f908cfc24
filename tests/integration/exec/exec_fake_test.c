// SPDX-License-Identifier: Apache-2.0
// Execution over fake devices: fences instead of waits, exact poisoning, cancel, deadline,
// abandonment, refusals, memory caps, and counts that plan, host and plugin agree on.
#include "exec_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const int64_t dims[] = {EXEC_WIDTH};

static void pause_ms(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

// Gives Relu to one device and Neg to the other, so that islands alternate.
static void split_ops(uint32_t relu_device, uint32_t neg_device) {
    fake_device(relu_device)->ops = FAKE_RELU | FAKE_ADD;
    fake_device(neg_device)->ops = FAKE_NEG;
}

static void assert_output(exec_fixture *f, float first, int length) {
    const float *y = exec_output(f, 0);
    for (int i = 0; i < EXEC_WIDTH; i++) {
        assert_float_equal(y[i], exec_alternate(first + (float)i, length), 0);
    }
}

static const char *const device_names[FAKE_DEVICE_COUNT] = {
    "fake:alpha", "fake:beta", "fake:shared", "fake:worker", "fake:inline", "fake:mute"};

static void run__every_device_alone(void **state) {
    (void)state;
    for (uint32_t device = 0; device < FAKE_DEVICE_COUNT; device++) {
        exec_fixture f;
        exec_open(&f);
        exec_build_alternating(&f, 5);
        assert_int_equal(exec_compile(&f, device_names[device]), TN_OK);
        exec_prepare(&f, 0);
        for (uint32_t run = 1; run <= 3; run++) {
            exec_fill(&f, 0, -3.0f - (float)run);
            assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
            assert_output(&f, -3.0f - (float)run, 5);
            assert_true(exec_counts_agree(&f, run));
        }
        tn_run_stats stats = exec_stats(&f);
        bool own_memory = device == FAKE_ALPHA || device == FAKE_BETA || device == FAKE_MUTE;
        assert_int_equal(stats.handovers, device == FAKE_INLINE ? 0 : 2);
        assert_int_equal(stats.host_waits, device == FAKE_INLINE ? 0 : 1);
        assert_int_equal(stats.transfers, own_memory ? 2 : 0);
        exec_close(&f);
    }
}

static void run__every_pair_of_devices(void **state) {
    (void)state;
    for (uint32_t a = 0; a < FAKE_DEVICE_COUNT; a++) {
        for (uint32_t b = 0; b < FAKE_DEVICE_COUNT; b++) {
            if (a == b) {
                continue;
            }
            exec_fixture f;
            char devices[64];
            exec_open(&f);
            split_ops(a, b);
            exec_build_alternating(&f, 6);
            snprintf(devices, sizeof(devices), "%s,%s", device_names[a], device_names[b]);
            assert_int_equal(exec_compile(&f, devices), TN_OK);
            exec_prepare(&f, 0);
            for (uint32_t run = 1; run <= 5; run++) {
                exec_fill(&f, 0, -2.0f + (float)run);
                assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
                assert_output(&f, -2.0f + (float)run, 6);
                assert_true(exec_counts_agree(&f, run));
            }
            exec_close(&f);
        }
    }
}

static void run__an_extra_copy_is_noticed(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 2);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
    exec_prepare(&f, 0);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_true(exec_counts_agree(&f, 1));
    fake_device(FAKE_ALPHA)->copy_count++;
    assert_false(exec_counts_agree(&f, 1));
    exec_close(&f);
}

static uint32_t submits_of(uint32_t device) {
    fake_lock();
    uint32_t count = fake_device(device)->submit_count;
    fake_unlock();
    return count;
}

static void wait_for_submits(uint32_t device, uint32_t count) {
    for (int i = 0; i < 5000 && submits_of(device) < count; i++) {
        pause_ms(1);
    }
    assert_true(submits_of(device) >= count);
}

static void set_hold(uint32_t device, uint32_t hold) {
    fake_lock();
    fake_device(device)->hold = hold;
    fake_unlock();
}

// All submits return while the first device is held: nothing but fences connects them.
static void run__two_devices_chain_by_fences(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    split_ops(FAKE_ALPHA, FAKE_BETA);
    exec_build_alternating(&f, 4);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    exec_prepare(&f, 1);
    exec_fill(&f, 0, -1.0f);
    set_hold(FAKE_ALPHA, 1);
    assert_int_equal(tn_request_submit(f.request, 0, NULL, NULL, &f.error), TN_OK);
    wait_for_submits(FAKE_ALPHA, 2);
    wait_for_submits(FAKE_BETA, 2);
    assert_int_equal(fake_device(FAKE_ALPHA)->run_count, 0);
    set_hold(FAKE_ALPHA, 0);
    assert_int_equal(tn_request_wait(f.request, UINT64_MAX, &f.error), TN_OK);
    assert_output(&f, -1.0f, 4);
    tn_run_stats stats = exec_stats(&f);
    assert_int_equal(stats.host_waits, 1);
    assert_true(stats.bridged_fences >= 3);
    assert_true(exec_counts_agree(&f, 1));
    exec_close(&f);
}

// Three outputs in a chain: the first is right, the second fails, the third depends on it.
static void build_branches(exec_fixture *f) {
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "good");
    onnx_node(&b, "Neg", "good", "bad");
    onnx_node(&b, "Relu", "bad", "heir");
    onnx_output(&b, "good", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "bad", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "heir", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

// ABI-73.
static void run__a_failure_poisons_exactly_its_descendants(void **state) {
    (void)state;
    static const char *const pairs[] = {"fake:alpha,fake:beta", "fake:shared,fake:beta",
                                        "fake:inline,fake:worker", "fake:mute,fake:shared"};
    static const uint32_t devices[][2] = {{FAKE_ALPHA, FAKE_BETA},
                                          {FAKE_SHARED, FAKE_BETA},
                                          {FAKE_INLINE, FAKE_WORKER},
                                          {FAKE_MUTE, FAKE_SHARED}};
    for (size_t i = 0; i < 4; i++) {
        exec_fixture f;
        exec_open(&f);
        split_ops(devices[i][0], devices[i][1]);
        build_branches(&f);
        assert_int_equal(exec_compile(&f, pairs[i]), TN_OK);
        exec_prepare(&f, 0);
        exec_fill(&f, 0, -3.0f);
        fake_device(devices[i][1])->run_status = TN_ERROR_INTERNAL;
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INTERNAL);
        assert_int_equal(tn_request_output_status(f.request, 0), TN_OK);
        assert_int_equal(tn_request_output_status(f.request, 1), TN_ERROR_INTERNAL);
        assert_int_equal(tn_request_output_status(f.request, 2), TN_ERROR_INTERNAL);
        assert_float_equal(exec_output(&f, 0)[5], 2.0f, 0);
        // The same request works again once the device does.
        fake_lock();
        fake_device(devices[i][1])->run_status = TN_OK;
        fake_unlock();
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        assert_float_equal(exec_output(&f, 1)[5], -2.0f, 0);
        assert_float_equal(exec_output(&f, 2)[5], 0.0f, 0);
        exec_close(&f);
    }
}

static void run__a_refused_submit_fails_the_run_and_no_more(void **state) {
    (void)state;
    for (uint32_t device = 0; device < FAKE_DEVICE_COUNT; device++) {
        exec_fixture f;
        exec_open(&f);
        exec_build_alternating(&f, 3);
        assert_int_equal(exec_compile(&f, device_names[device]), TN_OK);
        exec_prepare(&f, 0);
        fake_device(device)->submit_status = TN_ERROR_OUT_OF_MEMORY;
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_OUT_OF_MEMORY);
        fake_device(device)->submit_status = TN_OK;
        exec_fill(&f, 0, 1.0f);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        assert_output(&f, 1.0f, 3);
        exec_close(&f);
    }
}

// ABI-40.
static void run__a_lost_device_stays_lost(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 3);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
    exec_prepare(&f, 0);
    fake_device(FAKE_ALPHA)->submit_status = TN_ERROR_DEVICE_LOST;
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_DEVICE_LOST);
    tn_device_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_DEVICE_DESC};
    assert_int_equal(tn_host_device_get(f.host, FAKE_ALPHA, &desc), TN_OK);
    assert_int_equal(desc.lost, TN_ERROR_DEVICE_LOST);
    tn_request_destroy(f.request);
    tn_compiled_release(f.compiled);
    f.request = NULL;
    f.compiled = NULL;
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_ERROR_DEVICE_LOST);
    exec_close(&f);
}

// ABI-64.
static void run__a_deadline_abandons_and_nothing_is_freed_early(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 3);
    assert_int_equal(exec_compile(&f, "fake:shared"), TN_OK);
    exec_prepare(&f, 0);
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(tn_request_run(f.request, 20000000, &f.error), TN_ERROR_TIMEOUT);
    assert_string_equal(f.error.id, "run.deadline");
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_BUSY);
    // The request goes while its work is still queued in host memory: the memory stays.
    tn_request_destroy(f.request);
    f.request = NULL;
    assert_true(fake_device(FAKE_SHARED)->memory_count > 0);
    set_hold(FAKE_SHARED, 0);
    exec_close(&f);
}

static void run__an_abandoned_request_can_be_used_again(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    split_ops(FAKE_ALPHA, FAKE_BETA);
    exec_build_alternating(&f, 4);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    exec_prepare(&f, 0);
    set_hold(FAKE_BETA, 1);
    assert_int_equal(tn_request_run(f.request, 20000000, &f.error), TN_ERROR_TIMEOUT);
    set_hold(FAKE_BETA, 0);
    exec_fill(&f, 0, -2.0f);
    tn_status status = TN_ERROR_BUSY;
    for (int i = 0; i < 2000 && status == TN_ERROR_BUSY; i++) {
        status = tn_request_run(f.request, 0, &f.error);
        pause_ms(1);
    }
    assert_int_equal(status, TN_OK);
    assert_output(&f, -2.0f, 4);
    exec_close(&f);
}

static void *cancel_soon(void *request) {
    pause_ms(20);
    tn_request_cancel(request);
    return NULL;
}

// ABI-86.
static void run__cancel_ends_a_run_that_a_device_holds(void **state) {
    (void)state;
    for (uint32_t can_abort = 0; can_abort < 2; can_abort++) {
        exec_fixture f;
        pthread_t thread;
        exec_open(&f);
        fake_device(FAKE_ALPHA)->can_abort = can_abort;
        exec_build_alternating(&f, 3);
        assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
        exec_prepare(&f, 0);
        set_hold(FAKE_ALPHA, 1);
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f.request), 0);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_CANCELLED);
        pthread_join(thread, NULL);
        set_hold(FAKE_ALPHA, 0);
        exec_close(&f);
    }
}

static void count_done(void *user_data, tn_status status) {
    uint32_t *counts = user_data;
    counts[status == TN_OK ? 0 : 1]++;
}

static void submit__reports_once_and_needs_background(void **state) {
    (void)state;
    exec_fixture f;
    uint32_t counts[2] = {0, 0};
    exec_open(&f);
    exec_build_alternating(&f, 3);
    assert_int_equal(exec_compile(&f, "fake:inline"), TN_OK);
    exec_prepare(&f, 0);
    assert_int_equal(tn_request_submit(f.request, 0, count_done, counts, &f.error),
                     TN_ERROR_UNSUPPORTED);
    assert_int_equal(tn_request_wait(f.request, 0, &f.error), TN_ERROR_INVALID_STATE);
    tn_request_destroy(f.request);
    exec_prepare(&f, 1);
    exec_fill(&f, 0, 4.0f);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(tn_request_submit(f.request, 0, count_done, counts, &f.error), TN_OK);
        assert_int_equal(tn_request_wait(f.request, UINT64_MAX, &f.error), TN_OK);
        assert_int_equal(counts[0], i);
        assert_output(&f, 4.0f, 3);
    }
    assert_int_equal(counts[1], 0);
    exec_close(&f);
}

static void compile__a_refusal_becomes_a_constraint(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->cost_ns = 1;
    fake_device(FAKE_BETA)->cost_ns = 100000;
    fake_device(FAKE_ALPHA)->compile_status = TN_ERROR_UNSUPPORTED;
    exec_build_alternating(&f, 3);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
    assert_int_equal(plan.refused_programs, 1);
    assert_int_equal(plan.replans, 1);
    for (uint32_t node = 0; node < 3; node++) {
        tn_placement placement = {.struct_size = sizeof(placement),
                                  .struct_type = TN_STRUCT_PLACEMENT};
        assert_int_equal(tn_compiled_placement_get(f.compiled, node, FAKE_ALPHA, &placement),
                         TN_OK);
        assert_int_equal(placement.device, FAKE_BETA);
        assert_int_equal(placement.reason, TN_REASON_COMPILE_FAILED);
    }
    exec_prepare(&f, 0);
    exec_fill(&f, 0, 1.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_output(&f, 1.0f, 3);
    exec_close(&f);
}

// Each of its many islands is refused, one after another; beta takes all of it.
static void compile__refusals_without_end_leave_the_device_out(void **state) {
    enum { LENGTH = 40 };
    (void)state;
    exec_fixture f;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    fake_device(FAKE_ALPHA)->cost_ns = 1;
    fake_device(FAKE_BETA)->cost_ns = 100000000;
    fake_device(FAKE_ALPHA)->compile_status = TN_ERROR_UNSUPPORTED;
    exec_build_alternating(&f, LENGTH);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
    assert_true(plan.replans > 1 && plan.replans < LENGTH / 2);
    assert_int_equal(plan.replans, plan.refused_programs);
    assert_int_equal(plan.island_count, 1);
    tn_placement last = {.struct_size = sizeof(last), .struct_type = TN_STRUCT_PLACEMENT};
    assert_int_equal(tn_compiled_placement_get(f.compiled, LENGTH - 2, FAKE_ALPHA, &last), TN_OK);
    assert_int_equal(last.device, FAKE_BETA);
    assert_int_equal(last.reason, TN_REASON_COMPILE_FAILED);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, 1.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_output(&f, 1.0f, LENGTH);
    exec_close(&f);
}

// Two chains side by side: one island, or one a chain for a device that refuses pieces.
static void compile__connected_islands_where_asked(void **state) {
    static const tn_device_flags flags[] = {0, TN_DEVICE_CONNECTED_ISLANDS};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        exec_fixture f;
        onnx_builder b;
        exec_open_with(&f, flags[i]);
        onnx_begin(&b, 17);
        onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
        onnx_node(&b, "Relu", "x", "a");
        onnx_node(&b, "Neg", "x", "b");
        onnx_node(&b, "Neg", "a", "y");
        onnx_node(&b, "Relu", "b", "z");
        onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
        onnx_output(&b, "z", TN_DTYPE_FLOAT, 1, dims);
        onnx_end(&b, &f.bytes);
        exec_load(&f);
        assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
        tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
        assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
        assert_int_equal(plan.island_count, i + 1);
        assert_int_equal(plan.refused_programs, 0);
        assert_int_equal(fake_device(FAKE_ALPHA)->disconnected, 0);
        exec_prepare(&f, 0);
        exec_fill(&f, 0, -3.0f);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        for (int k = 0; k < EXEC_WIDTH; k++) {
            float x = -3.0f + (float)k;
            assert_float_equal(exec_output(&f, 0)[k], x > 0 ? -x : 0, 0);
            assert_float_equal(exec_output(&f, 1)[k], x < 0 ? -x : 0, 0);
        }
        assert_true(exec_counts_agree(&f, 1));
        exec_close(&f);
    }
}

static void compile__no_device_says_why(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    exec_build_alternating(&f, 2);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_ERROR_DENIED);
    assert_non_null(strstr(f.error.text, "OP_UNSUPPORTED"));
    assert_non_null(strstr(f.error.text, "fake:alpha"));
    assert_int_equal(f.error.node_index != TN_NONE, 1);
    assert_null(f.compiled);
    assert_int_equal(exec_compile(&f, "fake:nowhere"), TN_ERROR_NOT_FOUND);
    exec_close(&f);
}

// Two devices of one resource group: without a list one speaks for both, with a list both are used.
static void compile__automatic_uses_one_device_of_a_group(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        fake_device(i)->ops = 0;
    }
    fake_device(FAKE_SHARED)->ops = FAKE_RELU;
    fake_device(FAKE_SHARED)->cost_ns = 1;
    fake_device(FAKE_INLINE)->ops = FAKE_ALL;
    fake_device(FAKE_INLINE)->cost_ns = 10000000;
    exec_build_alternating(&f, 4);
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compile(f.model, NULL, &f.compiled, &f.error), TN_OK);
    assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
    assert_int_equal(plan.island_count, 1);
    assert_int_equal(plan.fallback_count, 0);
    tn_compiled_release(f.compiled);
    assert_int_equal(exec_compile(&f, "fake:shared,fake:inline"), TN_OK);
    assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
    assert_int_equal(plan.island_count, 4);
    exec_close(&f);
}

// Devices that the host computes on itself stand for each other: both are used.
static void compile__automatic_uses_all_of_the_hosts_own(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        fake_device(i)->ops = 0;
    }
    fake_device(FAKE_WORKER)->ops = FAKE_RELU;
    fake_device(FAKE_WORKER)->cost_ns = 1;
    fake_device(FAKE_INLINE)->ops = FAKE_ALL;
    fake_device(FAKE_INLINE)->cost_ns = 10000000;
    exec_build_alternating(&f, 4);
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compile(f.model, NULL, &f.compiled, &f.error), TN_OK);
    assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
    assert_int_equal(plan.island_count, 4);
    exec_close(&f);
}

static void prepare__the_memory_cap_names_the_largest(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 3);
    const char *device = "fake:inline";
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = &device;
    config.device_count = 1;
    config.memory_cap_bytes = 1000;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_int_equal(tn_request_create(f.compiled, NULL, &f.request, &f.error), TN_OK);
    assert_int_equal(tn_request_prepare(f.request, NULL, 0, &f.error), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f.error.id, "memory.cap");
    assert_non_null(strstr(f.error.text, "largest tensors"));
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INVALID_STATE);
    exec_close(&f);
}

static void shutdown__is_refused_while_in_use(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 1);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
    assert_int_equal(tn_host_shutdown(f.host, 1000000000, &f.error), TN_ERROR_BUSY);
    tn_compiled_release(f.compiled);
    f.compiled = NULL;
    assert_int_equal(tn_host_shutdown(f.host, 1000000000, &f.error), TN_OK);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_ERROR_INVALID_STATE);
    exec_close(&f);
}

// The walking thread is in one place at a time: what it is said to have done fits into the run.
static void stats__split_the_time_of_the_run(void **state) {
    (void)state;
    for (uint32_t device = 0; device < FAKE_DEVICE_COUNT; device++) {
        exec_fixture f;
        exec_open(&f);
        exec_build_alternating(&f, 5);
        assert_int_equal(exec_compile(&f, device_names[device]), TN_OK);
        exec_prepare(&f, 0);
        exec_fill(&f, 0, -3.0f);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        tn_run_stats s = exec_stats(&f);
        uint64_t all = s.transfer_ns + s.wait_ns + s.kernel_ns;
        uint64_t workers = s.worker_transfer_ns + s.worker_wait_ns + s.worker_kernel_ns;
        assert_true(workers <= all);
        assert_true(s.dispatch_ns > 0);
        assert_true(all - workers + s.submit_ns + s.dispatch_ns + s.host_copy_ns <= s.run_ns);
        bool synchronous = device == FAKE_INLINE || device == FAKE_WORKER;
        assert_int_equal(s.kernel_ns > 0, synchronous);
        assert_int_equal(s.submit_ns > 0, !synchronous);
        assert_int_equal(s.worker_kernel_ns, device == FAKE_WORKER ? s.kernel_ns : 0);
        exec_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__every_device_alone),
        cmocka_unit_test(run__every_pair_of_devices),
        cmocka_unit_test(run__an_extra_copy_is_noticed),
        cmocka_unit_test(run__two_devices_chain_by_fences),
        cmocka_unit_test(run__a_failure_poisons_exactly_its_descendants),
        cmocka_unit_test(run__a_refused_submit_fails_the_run_and_no_more),
        cmocka_unit_test(run__a_lost_device_stays_lost),
        cmocka_unit_test(run__a_deadline_abandons_and_nothing_is_freed_early),
        cmocka_unit_test(run__an_abandoned_request_can_be_used_again),
        cmocka_unit_test(run__cancel_ends_a_run_that_a_device_holds),
        cmocka_unit_test(submit__reports_once_and_needs_background),
        cmocka_unit_test(compile__a_refusal_becomes_a_constraint),
        cmocka_unit_test(compile__refusals_without_end_leave_the_device_out),
        cmocka_unit_test(compile__connected_islands_where_asked),
        cmocka_unit_test(compile__no_device_says_why),
        cmocka_unit_test(compile__automatic_uses_one_device_of_a_group),
        cmocka_unit_test(compile__automatic_uses_all_of_the_hosts_own),
        cmocka_unit_test(prepare__the_memory_cap_names_the_largest),
        cmocka_unit_test(shutdown__is_refused_while_in_use),
        cmocka_unit_test(stats__split_the_time_of_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
