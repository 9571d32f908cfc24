// SPDX-License-Identifier: Apache-2.0
// Devices that bring their own thread pool (ABI-33): whatever the host does on however many
// threads, the fake plugin sees one thread a device. exec_close asserts it.
#include "exec_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 6
#define RUNS 20

static const char *const device_names[FAKE_DEVICE_COUNT] = {
    "fake:alpha", "fake:beta", "fake:shared", "fake:worker", "fake:inline", "fake:mute"};

static void run_and_check(exec_fixture *f, float first, int length) {
    exec_fill(f, 0, first);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_OK);
    const float *y = exec_output(f, 0);
    for (int i = 0; i < EXEC_WIDTH; i++) {
        assert_float_equal(y[i], exec_alternate(first + (float)i, length), 0);
    }
}

static void own_threads__every_kind_of_device(void **state) {
    (void)state;
    for (uint32_t device = 0; device < FAKE_DEVICE_COUNT; device++) {
        exec_fixture f;
        exec_open_with(&f, TN_DEVICE_OWN_THREADS);
        exec_build_alternating(&f, 5);
        assert_int_equal(exec_compile(&f, device_names[device]), TN_OK);
        exec_prepare(&f, 0);
        for (uint32_t run = 1; run <= 3; run++) {
            run_and_check(&f, -3.0f - (float)run, 5);
            assert_true(exec_counts_agree(&f, run));
        }
        exec_close(&f);
    }
}

static void own_threads__every_pair_of_devices(void **state) {
    (void)state;
    for (uint32_t a = 0; a < FAKE_DEVICE_COUNT; a++) {
        for (uint32_t b = 0; b < FAKE_DEVICE_COUNT; b++) {
            exec_fixture f;
            char devices[64];
            if (a == b) {
                continue;
            }
            exec_open_with(&f, TN_DEVICE_OWN_THREADS);
            fake_device(a)->ops = FAKE_RELU;
            fake_device(b)->ops = FAKE_NEG;
            exec_build_alternating(&f, 6);
            snprintf(devices, sizeof(devices), "%s,%s", device_names[a], device_names[b]);
            assert_int_equal(exec_compile(&f, devices), TN_OK);
            exec_prepare(&f, 0);
            for (uint32_t run = 1; run <= 3; run++) {
                run_and_check(&f, -2.0f + (float)run, 6);
                assert_true(exec_counts_agree(&f, run));
            }
            exec_close(&f);
        }
    }
}

// A wrong host is noticed: the same calls without the flag come from many threads.
static void own_threads__the_fake_notices_foreign_calls(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    exec_build_alternating(&f, 1);
    assert_int_equal(exec_compile(&f, "fake:worker"), TN_OK);
    fake_device(FAKE_WORKER)->flags = TN_DEVICE_OWN_THREADS;
    exec_prepare(&f, 0);
    run_and_check(&f, 1.0f, 1);
    assert_true(fake_device(FAKE_WORKER)->foreign_calls > 0);
    fake_device(FAKE_WORKER)->flags = 0;
    fake_device(FAKE_WORKER)->foreign_calls = 0;
    exec_close(&f);
}

typedef struct runner {
    pthread_t thread;
    tn_model *model;
    const char *device;
    float seed;
    uint32_t good;
} runner;

static bool run_once(tn_request *request, float first, int length) {
    tn_tensor_view in = {.struct_size = sizeof(in), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_tensor_view out = in;
    if (tn_request_input(request, 0, &in) != TN_OK) {
        return false;
    }
    for (int i = 0; i < EXEC_WIDTH; i++) {
        ((float *)in.data)[i] = first + (float)i;
    }
    if (tn_request_run(request, 0, NULL) != TN_OK || tn_request_output(request, 0, &out) != TN_OK) {
        return false;
    }
    bool right = true;
    for (int i = 0; i < EXEC_WIDTH; i++) {
        right = right && ((const float *)out.data)[i] == exec_alternate(first + (float)i, length);
    }
    return right;
}

// Compiles, prepares, runs and gives everything back on its own thread.
static void *run_many(void *user_data) {
    runner *r = user_data;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = &r->device;
    config.device_count = 1;
    if (tn_compile(r->model, &config, &compiled, NULL) == TN_OK &&
        tn_request_create(compiled, NULL, &request, NULL) == TN_OK &&
        tn_request_prepare(request, NULL, 0, NULL) == TN_OK) {
        for (int i = 0; i < RUNS; i++) {
            r->good += run_once(request, r->seed - (float)i, 4) ? 1 : 0;
        }
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    return NULL;
}

static void own_threads__many_threads_compile_and_run(void **state) {
    (void)state;
    for (uint32_t device = 0; device < FAKE_DEVICE_COUNT; device++) {
        exec_fixture f;
        runner runners[THREADS];
        exec_open_with(&f, TN_DEVICE_OWN_THREADS);
        exec_build_alternating(&f, 4);
        for (uint32_t i = 0; i < THREADS; i++) {
            runners[i] =
                (runner){.model = f.model, .device = device_names[device], .seed = (float)(3 * i)};
            assert_int_equal(pthread_create(&runners[i].thread, NULL, run_many, &runners[i]), 0);
        }
        for (uint32_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(runners[i].thread, NULL), 0);
            assert_int_equal(runners[i].good, RUNS);
        }
        exec_close(&f);
    }
}

static void own_threads__failures_and_deadlines_end(void **state) {
    (void)state;
    exec_fixture f;
    exec_open_with(&f, TN_DEVICE_OWN_THREADS);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    fake_device(FAKE_WORKER)->ops = FAKE_NEG;
    exec_build_alternating(&f, 4);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:worker"), TN_OK);
    exec_prepare(&f, 0);
    fake_lock();
    fake_device(FAKE_ALPHA)->submit_status = TN_ERROR_BUSY;
    fake_unlock();
    exec_fill(&f, 0, 1.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_BUSY);
    fake_lock();
    fake_device(FAKE_ALPHA)->submit_status = TN_OK;
    fake_device(FAKE_ALPHA)->hold = 1;
    fake_unlock();
    assert_int_equal(tn_request_run(f.request, 20000000, &f.error), TN_ERROR_TIMEOUT);
    fake_lock();
    fake_device(FAKE_ALPHA)->hold = 0;
    fake_unlock();
    tn_request_destroy(f.request);
    f.request = NULL;
    exec_prepare(&f, 0);
    run_and_check(&f, -1.0f, 4);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_threads__every_kind_of_device),
        cmocka_unit_test(own_threads__every_pair_of_devices),
        cmocka_unit_test(own_threads__the_fake_notices_foreign_calls),
        cmocka_unit_test(own_threads__many_threads_compile_and_run),
        cmocka_unit_test(own_threads__failures_and_deadlines_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
