// SPDX-License-Identifier: Apache-2.0
// Plans for devices that work at the same time, on a GPU plugin's driver and the reference plugin:
// right answers, calls in the order that was planned, and what was counted.
#include "support/onnx_builder.h"

#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WIDTH 50000
#define LENGTH 6 // of each branch
#define RUNS 4u
#define EVENTS 4096u

typedef struct fixture {
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    pb bytes;
    tn_error error;
    uint32_t gpu;
    uint32_t cpu;
} fixture;

static void expect_ok(const fixture *f, tn_status status, const char *what) {
    if (status != TN_OK) {
        print_message("%s: %s\n", what, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

// False when the plugin finds no device here.
static bool open_host(fixture *f) {
    static const char *const paths[] = {TN_TEST_PLUGIN_DIR "/" GPU_PLUGIN ".so",
                                        TN_TEST_PLUGIN_DIR "/reference.so"};
    tn_host_config config;
    memset(f, 0, sizeof(*f));
    tn_error_init(&f->error);
    tn_host_config_init(&config);
    config.search = TN_SEARCH_NONE;
    config.no_calibration = 1;
    config.no_plan_store = 1;
    config.plugin_paths = paths;
    config.plugin_path_count = 2;
    expect_ok(f, tn_host_create(&config, &f->host, &f->error), "host");
    f->gpu = tn_host_device_find(f->host, GPU_PLUGIN);
    f->cpu = tn_host_device_find(f->host, "reference");
    assert_true(f->cpu != TN_NONE);
    return f->gpu != TN_NONE;
}

// A branch of Add and Relu from an input; out_last is its end.
static void put_branch(onnx_builder *b, const char *input, char letter, char out_last[16]) {
    char from[16];
    (void)snprintf(from, sizeof(from), "%s", input);
    for (int i = 0; i < LENGTH; i++) {
        char inputs[40];
        (void)snprintf(out_last, 16, "%c%d", letter, i);
        (void)snprintf(inputs, sizeof(inputs), i % 2 == 0 ? "%s,%s" : "%s", from, input);
        onnx_node(b, i % 2 == 0 ? "Add" : "Relu", inputs, out_last);
        (void)snprintf(from, sizeof(from), "%s", out_last);
    }
}

// Two branches that only their end brings together: y = g(x) + c(z).
static void load_branches(fixture *f) {
    static const int64_t dims[] = {WIDTH};
    onnx_builder b;
    char ends[2][16];
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&b, "z", TN_DTYPE_FLOAT, 1, dims);
    put_branch(&b, "x", 'g', ends[0]);
    put_branch(&b, "z", 'c', ends[1]);
    char last[40];
    (void)snprintf(last, sizeof(last), "%s,%s", ends[0], ends[1]);
    onnx_node(&b, "Add", last, "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    expect_ok(
        f, tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error),
        "load");
}

static float branch_of(float x) {
    float value = x;
    for (int i = 0; i < LENGTH; i++) {
        value = i % 2 == 0 ? value + x : value > 0 ? value : 0;
    }
    return value;
}

// The branch of x on the GPU, the other on the reference plugin.
static void compile(fixture *f) {
    static const char *const devices[] = {GPU_PLUGIN, "reference"};
    tn_compile_config config;
    tn_pin pins[2 * LENGTH];
    for (uint32_t i = 0; i < 2 * LENGTH; i++) {
        pins[i] = (tn_pin){i < LENGTH ? GPU_PLUGIN : "reference", i, TN_PIN_TO};
    }
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 2;
    config.policy = TN_COMPILE_NO_FALLBACK | TN_COMPILE_CONCURRENT;
    config.pins = pins;
    config.pin_count = 2 * LENGTH;
    expect_ok(f, tn_compile(f->model, &config, &f->compiled, &f->error), "compile");
    expect_ok(f, tn_request_create(f->compiled, NULL, &f->request, &f->error), "request");
    expect_ok(f, tn_request_prepare(f->request, NULL, 0, &f->error), "prepare");
}

static void fill(fixture *f, uint32_t input, float value) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_input(f->request, input, &view), TN_OK);
    float *data = view.data;
    for (uint64_t i = 0; i < WIDTH; i++) {
        data[i] = value + (float)(i % 101);
    }
}

static void check_run(fixture *f, float x, float z) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    fill(f, 0, x);
    fill(f, 1, z);
    expect_ok(f, tn_request_run(f->request, 0, &f->error), "run");
    assert_int_equal(tn_request_output(f->request, 0, &view), TN_OK);
    const float *y = view.data;
    for (uint64_t i = 0; i < WIDTH; i++) {
        const float more = (float)(i % 101);
        assert_float_equal(y[i], branch_of(x + more) + branch_of(z + more), 0);
    }
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    assert_int_equal(stats.handovers, stats.planned_handovers);
    assert_int_equal(stats.host_waits, stats.planned_host_waits);
    assert_int_equal(stats.transfers, stats.planned_transfers);
    assert_int_equal(stats.transfer_bytes, stats.planned_transfer_bytes);
}

static tn_plan_summary summary_of(const fixture *f) {
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &plan), TN_OK);
    return plan;
}

static uint32_t device_of_island(const fixture *f, uint32_t island) {
    tn_island_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_ISLAND_DESC};
    assert_int_equal(tn_compiled_island_get(f->compiled, island, &desc), TN_OK);
    return desc.device;
}

// Every run of the trace submits the plan's islands, one after the other.
static void check_order(const fixture *f) {
    const uint32_t islands = summary_of(f).island_count;
    uint64_t dropped = 1;
    const uint32_t count = tn_host_trace_count(f->host, &dropped);
    uint32_t submits = 0;
    assert_int_equal(dropped, 0);
    for (uint32_t i = 0; i < count; i++) {
        tn_trace_event event = {.struct_size = sizeof(event), .struct_type = TN_STRUCT_TRACE_EVENT};
        assert_int_equal(tn_host_trace_get(f->host, i, &event), TN_OK);
        if (event.kind == TN_TRACE_SUBMIT) {
            assert_int_equal(event.index, submits % islands);
            assert_int_equal(event.device, device_of_island(f, event.index));
            submits++;
        }
    }
    assert_int_equal(submits, RUNS * islands);
}

static void concurrent__a_gpu_and_the_host_share_a_model(void **state) {
    (void)state;
    fixture f;
    if (open_host(&f)) {
        load_branches(&f);
        compile(&f);
        const tn_plan_summary plan = summary_of(&f);
        // The GPU's branch goes first, so that the host's is computed meanwhile.
        assert_int_equal(device_of_island(&f, 0), f.gpu);
        assert_int_equal(device_of_island(&f, 1), f.cpu);
        assert_true(plan.makespan_ns > 0 && plan.makespan_ns < plan.cost_ns);
        assert_true(plan.makespan_bound_ns <= plan.makespan_ns);
        assert_int_equal(tn_host_trace_start(f.host, EVENTS, &f.error), TN_OK);
        for (uint32_t run = 0; run < RUNS; run++) {
            check_run(&f, -70.0f + (float)run, 3.0f - 20.0f * (float)run);
        }
        check_order(&f);
        tn_host_trace_stop(f.host);
    } else {
        print_message(GPU_PLUGIN ": no device here\n");
    }
    const bool absent = f.model == NULL;
    tn_request_destroy(f.request);
    tn_compiled_release(f.compiled);
    tn_model_release(f.model);
    tn_host_release(f.host);
    pb_free(&f.bytes);
    if (absent) {
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concurrent__a_gpu_and_the_host_share_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
