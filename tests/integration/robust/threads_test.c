// SPDX-License-Identifier: Apache-2.0
// Eight threads run one compiled model with a request each; eight threads load, run and unload.
// Meant for ThreadSanitizer, and right without it.
#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"

#include "tenon/tenon.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8
#define RUNS 20

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

// Asserting belongs to the main thread: threads report.
typedef struct worker {
    pthread_t thread;
    tn_compiled *compiled;
    const pb *model;
    float seed;
    uint32_t good;
} worker;

static tn_host *open_host(void) {
    static const tn_static_plugin plugins[] = {{"reference", tn_plugin_entry_1_reference},
                                               {"fake", fake_plugin_entry}};
    tn_host *host = NULL;
    tn_host_config config;
    tn_host_config_init(&config);
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = 2;
    config.worker_count = 2;
    return tn_host_create(&config, &host, NULL) == TN_OK ? host : NULL;
}

static tn_compiled *compile(tn_model *model) {
    // Relu on the reference, Add and Neg on fake devices: inline, worker and asynchronous at once.
    static const char *const devices[] = {"reference", "fake:alpha", "fake:worker"};
    tn_compiled *compiled = NULL;
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 3;
    return tn_compile(model, &config, &compiled, NULL) == TN_OK ? compiled : NULL;
}

static bool run_once(tn_request *request, float value) {
    tn_tensor_view in = {.struct_size = sizeof(in), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_tensor_view out = in;
    if (tn_request_input(request, 0, &in) != TN_OK) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        ((float *)in.data)[i] = value + (float)i;
    }
    if (tn_request_run(request, 0, NULL) != TN_OK || tn_request_output(request, 0, &out) != TN_OK) {
        return false;
    }
    bool right = true;
    for (int i = 0; i < 4; i++) {
        float x = value + (float)i;
        float relu = x > 0 ? x : 0;
        right = right && ((const float *)out.data)[i] == -(relu + x);
    }
    return right;
}

static void build(pb *model) {
    static const int64_t dims[] = {4};
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "a");
    onnx_node(&b, "Add", "a,x", "b");
    onnx_node(&b, "Neg", "b", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, model);
}

static void force_split(void) {
    fake_reset();
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD;
    fake_device(FAKE_ALPHA)->cost_ns = 1;
    fake_device(FAKE_WORKER)->ops = FAKE_NEG;
    fake_device(FAKE_WORKER)->cost_ns = 1;
}

static void *run_many(void *user_data) {
    worker *w = user_data;
    tn_request *request = NULL;
    if (tn_request_create(w->compiled, NULL, &request, NULL) == TN_OK &&
        tn_request_prepare(request, NULL, 0, NULL) == TN_OK) {
        for (int i = 0; i < RUNS; i++) {
            w->good += (uint32_t)run_once(request, w->seed - (float)i);
        }
    }
    tn_request_destroy(request);
    return NULL;
}

static void *load_and_unload(void *user_data) {
    worker *w = user_data;
    for (int i = 0; i < 5; i++) {
        tn_host *host = open_host();
        tn_model *model = NULL;
        tn_compiled *compiled = NULL;
        tn_request *request = NULL;
        if (host != NULL &&
            tn_model_load_memory(host, w->model->data, w->model->size, NULL, &model, NULL) ==
                TN_OK &&
            (compiled = compile(model)) != NULL &&
            tn_request_create(compiled, NULL, &request, NULL) == TN_OK &&
            tn_request_prepare(request, NULL, 0, NULL) == TN_OK) {
            w->good += (uint32_t)run_once(request, w->seed);
        }
        tn_request_destroy(request);
        tn_compiled_release(compiled);
        tn_model_release(model);
        tn_host_release(host);
    }
    return NULL;
}

static void start(worker *workers, void *(*body)(void *), tn_compiled *compiled, const pb *model) {
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.compiled = compiled, .model = model, .seed = (float)i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
}

// Every thread has a context of its own over the same programs (ABI-29).
static void run__eight_threads_share_one_compiled_model(void **state) {
    (void)state;
    worker workers[THREADS];
    pb bytes = {0};
    force_split();
    build(&bytes);
    tn_host *host = open_host();
    tn_model *model = NULL;
    assert_non_null(host);
    assert_int_equal(tn_model_load_memory(host, bytes.data, bytes.size, NULL, &model, NULL), TN_OK);
    tn_compiled *compiled = compile(model);
    assert_non_null(compiled);
    start(workers, run_many, compiled, &bytes);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].good, RUNS);
    }
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    pb_free(&bytes);
}

static void host__eight_threads_load_and_unload(void **state) {
    (void)state;
    worker workers[THREADS];
    pb bytes = {0};
    force_split();
    build(&bytes);
    start(workers, load_and_unload, NULL, &bytes);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].good, 5);
    }
    pb_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__eight_threads_share_one_compiled_model),
        cmocka_unit_test(host__eight_threads_load_and_unload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
