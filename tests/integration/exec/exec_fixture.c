// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void exec_open(exec_fixture *f) {
    exec_open_with(f, 0);
}

void exec_open_with(exec_fixture *f, tn_device_flags flags) {
    static const tn_static_plugin plugin = {"fake", fake_plugin_entry};
    memset(f, 0, sizeof(*f));
    fake_reset();
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        fake_device(i)->flags = flags;
    }
    test_alloc_init(&f->memory);
    tn_error_init(&f->error);
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator =
        (tn_allocator){f->memory.alloc.alloc, f->memory.alloc.free, f->memory.alloc.user};
    config.search = TN_SEARCH_NONE;
    config.static_plugins = &plugin;
    config.static_plugin_count = 1;
    assert_int_equal(tn_host_create(&config, &f->host, &f->error), TN_OK);
    assert_int_equal(tn_host_device_count(f->host), FAKE_DEVICE_COUNT);
}

void exec_load(exec_fixture *f) {
    tn_status status =
        tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error);
    if (status != TN_OK) {
        print_message("load: %s\n", f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

void exec_build_alternating(exec_fixture *f, int length) {
    static const int64_t dims[] = {EXEC_WIDTH};
    onnx_builder b;
    char from[16] = "x";
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    for (int i = 0; i < length; i++) {
        char to[16];
        snprintf(to, sizeof(to), i + 1 == length ? "y" : "v%d", i);
        onnx_node(&b, i % 2 == 0 ? "Relu" : "Neg", from, to);
        snprintf(from, sizeof(from), "%s", to);
    }
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

float exec_alternate(float x, int length) {
    for (int i = 0; i < length; i++) {
        x = i % 2 == 0 ? (x > 0 ? x : 0) : -x;
    }
    return x;
}

tn_status exec_compile(exec_fixture *f, const char *devices) {
    char list[256];
    const char *names[FAKE_DEVICE_COUNT];
    uint32_t count = 0;
    char *rest = NULL;
    assert_true(strlen(devices) < sizeof(list));
    memcpy(list, devices, strlen(devices) + 1);
    for (char *one = strtok_r(list, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        names[count++] = one;
    }
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = names;
    config.device_count = count;
    config.policy = TN_COMPILE_NO_FALLBACK;
    tn_status status = tn_compile(f->model, &config, &f->compiled, &f->error);
    if (status != TN_OK) {
        print_message("compile: %s\n", f->error.text);
    }
    return status;
}

void exec_prepare(exec_fixture *f, uint32_t background) {
    tn_request_config config;
    tn_request_config_init(&config);
    config.background = background;
    assert_int_equal(tn_request_create(f->compiled, &config, &f->request, &f->error), TN_OK);
    tn_status status = tn_request_prepare(f->request, NULL, 0, &f->error);
    if (status != TN_OK) {
        print_message("prepare: %s\n", f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

void exec_fill(exec_fixture *f, uint32_t input, float value) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_input(f->request, input, &view), TN_OK);
    float *data = view.data;
    for (uint64_t i = 0; i < view.size_bytes / sizeof(float); i++) {
        data[i] = value + (float)i;
    }
}

const float *exec_output(exec_fixture *f, uint32_t output) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, output, &view), TN_OK);
    return view.data;
}

tn_run_stats exec_stats(const exec_fixture *f) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    return stats;
}

// As many as are planned, in the order of the run, and each for something that went before.
static bool waits_are_told(const exec_fixture *f, uint32_t count) {
    tn_planned_wait wait = {.struct_size = sizeof(wait), .struct_type = TN_STRUCT_PLANNED_WAIT};
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (tn_request_planned_wait_get(f->request, i, &wait) != TN_OK ||
            wait.before_island < before ||
            (wait.on_island != TN_NONE && wait.on_island >= wait.before_island)) {
            return false;
        }
        before = wait.before_island;
    }
    return tn_request_planned_wait_get(f->request, count, &wait) == TN_ERROR_INVALID_ARGUMENT;
}

bool exec_counts_agree(const exec_fixture *f, uint32_t runs_total) {
    tn_run_stats stats = exec_stats(f);
    uint32_t submits = 0;
    uint32_t copies = 0;
    uint64_t bytes = 0;
    fake_lock();
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        submits += fake_device(i)->submit_count;
        copies += fake_device(i)->copy_count;
        bytes += fake_device(i)->copy_bytes;
    }
    fake_unlock();
    bool agree = stats.handovers == stats.planned_handovers &&
                 stats.host_waits == stats.planned_host_waits &&
                 stats.transfers == stats.planned_transfers &&
                 stats.transfer_bytes == stats.planned_transfer_bytes &&
                 submits == stats.submits * runs_total && copies == stats.transfers * runs_total &&
                 bytes == stats.transfer_bytes * runs_total &&
                 (stats.replanned_regions > 0 || waits_are_told(f, stats.planned_host_waits));
    if (!agree) {
        print_message("handovers %u planned %u, waits %u planned %u, transfers %u planned %u; "
                      "run %u: submits %u of %u, copies %u\n",
                      stats.handovers, stats.planned_handovers, stats.host_waits,
                      stats.planned_host_waits, stats.transfers, stats.planned_transfers,
                      runs_total, submits, stats.submits, copies);
    }
    return agree;
}

void exec_close(exec_fixture *f) {
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        assert_int_equal(fake_device(i)->memory_count, 0);
        assert_int_equal(fake_device(i)->fence_count, 0);
        assert_int_equal(fake_device(i)->foreign_calls, 0);
    }
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
    pb_free(&f->bytes);
}
