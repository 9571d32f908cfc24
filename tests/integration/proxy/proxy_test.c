// SPDX-License-Identifier: Apache-2.0
// The ABI through another process: right answers, equal counts on both sides, exact poisoning,
// abandonment, and a child that dies in the middle of a run.
#include "support/onnx_builder.h"
#include "support/proxy/proxy.h"
#include "support/test_alloc.h"
#include "support/validate/validate.h"

#include "tenon/tenon.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define WIDTH 8

static const int64_t dims[] = {WIDTH};
static const char *const names[PROXY_DEVICE_COUNT] = {"proxy:alpha", "proxy:beta", "proxy:mute"};

typedef struct fixture {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    pb bytes;
    tn_compiled *compiled;
    tn_request *request;
    tn_error error;
} fixture;

static void pause_ms(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

// The host meets the proxy through the validate layer in every test.
static void open_host(fixture *f) {
    static const tn_static_plugin plugin = {"proxy", validate_entry};
    memset(f, 0, sizeof(*f));
    validate_wrap(proxy_entry);
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
    assert_int_equal(tn_host_device_count(f->host), PROXY_DEVICE_COUNT);
}

static void close_host(fixture *f, bool killed) {
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    if (validate_violation_count() > 0) {
        print_message("first violation: %s\n", validate_first_violation());
    }
    assert_int_equal(validate_violation_count(), 0);
    assert_int_equal(validate_live_handles(), 0);
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
    pb_free(&f->bytes);
    // Reaped, and unless it was killed the child found nothing left behind on its side either.
    int status = proxy_child_status();
    assert_true(killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                       : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static fake_control control_of(uint32_t device) {
    fake_control control;
    assert_int_equal(proxy_get(device, &control), TN_OK);
    return control;
}

static void set_ops(uint32_t device, uint32_t ops) {
    fake_control control = control_of(device);
    control.ops = ops;
    assert_int_equal(proxy_set(device, &control), TN_OK);
}

static void set_hold(uint32_t device, uint32_t hold) {
    fake_control control = control_of(device);
    control.hold = hold;
    assert_int_equal(proxy_set(device, &control), TN_OK);
}

static void set_run_status(uint32_t device, tn_status status) {
    fake_control control = control_of(device);
    control.run_status = status;
    assert_int_equal(proxy_set(device, &control), TN_OK);
}

static void load(fixture *f, onnx_builder *b) {
    onnx_end(b, &f->bytes);
    assert_int_equal(
        tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error),
        TN_OK);
}

// y = Neg(Relu(Neg(Relu(x)))) and so on: length nodes, Relu first.
static void build_alternating(fixture *f, int length) {
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
    load(f, &b);
}

static void prepare(fixture *f, const char *one, const char *other) {
    const char *const devices[] = {one, other};
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = other == NULL ? 1 : 2;
    config.policy = TN_COMPILE_NO_FALLBACK;
    assert_int_equal(tn_compile(f->model, &config, &f->compiled, &f->error), TN_OK);
    assert_int_equal(tn_request_create(f->compiled, NULL, &f->request, &f->error), TN_OK);
    assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_OK);
}

static void fill(fixture *f, float value) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_input(f->request, 0, &view), TN_OK);
    float *data = view.data;
    for (int i = 0; i < WIDTH; i++) {
        data[i] = value + (float)i;
    }
}

static const float *output(fixture *f, uint32_t index) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, index, &view), TN_OK);
    return view.data;
}

static void assert_alternated(fixture *f, float first, int length) {
    const float *y = output(f, 0);
    for (int i = 0; i < WIDTH; i++) {
        float x = first + (float)i;
        for (int k = 0; k < length; k++) {
            x = k % 2 == 0 ? (x > 0 ? x : 0) : -x;
        }
        assert_float_equal(y[i], x, 0);
    }
}

// Plan, host and the child counted the same, over runs equal runs.
static void assert_counts(fixture *f, uint32_t runs) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    uint32_t submits = 0;
    uint32_t copies = 0;
    uint64_t bytes = 0;
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    for (uint32_t i = 0; i < PROXY_DEVICE_COUNT; i++) {
        fake_control control = control_of(i);
        submits += control.submit_count;
        copies += control.copy_count;
        bytes += control.copy_bytes;
    }
    assert_int_equal(stats.handovers, stats.planned_handovers);
    assert_int_equal(stats.host_waits, stats.planned_host_waits);
    assert_int_equal(stats.transfers, stats.planned_transfers);
    assert_int_equal(stats.transfer_bytes, stats.planned_transfer_bytes);
    assert_true(stats.transfers > 0 && stats.submits > 0);
    assert_int_equal(submits, stats.submits * runs);
    assert_int_equal(copies, stats.transfers * runs);
    assert_int_equal(bytes, stats.transfer_bytes * runs);
}

static void run__every_device_and_every_pair(void **state) {
    (void)state;
    for (uint32_t a = 0; a < PROXY_DEVICE_COUNT; a++) {
        for (uint32_t b = 0; b < PROXY_DEVICE_COUNT; b++) {
            fixture f;
            open_host(&f);
            if (a != b) {
                set_ops(a, FAKE_RELU | FAKE_ADD);
                set_ops(b, FAKE_NEG);
            }
            build_alternating(&f, 6);
            prepare(&f, names[a], a != b ? names[b] : NULL);
            for (uint32_t run = 1; run <= 5; run++) {
                fill(&f, -4.0f + (float)run);
                assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
                assert_alternated(&f, -4.0f + (float)run, 6);
                assert_counts(&f, run);
            }
            close_host(&f, false);
        }
    }
}

static void run__a_failure_poisons_exactly_its_descendants(void **state) {
    (void)state;
    fixture f;
    onnx_builder b;
    open_host(&f);
    set_ops(PROXY_ALPHA, FAKE_RELU);
    set_ops(PROXY_BETA, FAKE_NEG);
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "good");
    onnx_node(&b, "Neg", "good", "bad");
    onnx_node(&b, "Relu", "bad", "heir");
    onnx_output(&b, "good", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "bad", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "heir", TN_DTYPE_FLOAT, 1, dims);
    load(&f, &b);
    prepare(&f, names[PROXY_ALPHA], names[PROXY_BETA]);
    fill(&f, -3.0f);
    set_run_status(PROXY_BETA, TN_ERROR_INTERNAL);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INTERNAL);
    assert_int_equal(tn_request_output_status(f.request, 0), TN_OK);
    assert_int_equal(tn_request_output_status(f.request, 1), TN_ERROR_INTERNAL);
    assert_int_equal(tn_request_output_status(f.request, 2), TN_ERROR_INTERNAL);
    assert_float_equal(output(&f, 0)[5], 2.0f, 0);
    set_run_status(PROXY_BETA, TN_OK);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(output(&f, 1)[5], -2.0f, 0);
    assert_float_equal(output(&f, 2)[5], 0.0f, 0);
    close_host(&f, false);
}

static void run__a_deadline_abandons_then_drains(void **state) {
    (void)state;
    fixture f;
    open_host(&f);
    set_ops(PROXY_ALPHA, FAKE_RELU);
    set_ops(PROXY_BETA, FAKE_NEG);
    build_alternating(&f, 4);
    prepare(&f, names[PROXY_ALPHA], names[PROXY_BETA]);
    set_hold(PROXY_BETA, 1);
    assert_int_equal(tn_request_run(f.request, 20000000, &f.error), TN_ERROR_TIMEOUT);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_BUSY);
    set_hold(PROXY_BETA, 0);
    fill(&f, -2.0f);
    tn_status status = TN_ERROR_BUSY;
    for (int i = 0; i < 5000 && status == TN_ERROR_BUSY; i++) {
        status = tn_request_run(f.request, 0, &f.error);
        pause_ms(1);
    }
    assert_int_equal(status, TN_OK);
    assert_alternated(&f, -2.0f, 4);
    close_host(&f, false);
}

static void *kill_once_submitted(void *user_data) {
    fake_control control = {0};
    for (int i = 0; i < 5000 && control.submit_count == 0; i++) {
        pause_ms(1);
        (void)proxy_get(PROXY_ALPHA, &control);
    }
    *(uint32_t *)user_data = control.submit_count;
    proxy_kill();
    return NULL;
}

static void run__a_child_killed_in_the_middle_is_a_lost_device(void **state) {
    (void)state;
    for (uint32_t chained = 0; chained < 2; chained++) {
        fixture f;
        pthread_t thread;
        uint32_t submitted = 0;
        open_host(&f);
        if (chained) {
            set_ops(PROXY_ALPHA, FAKE_RELU);
            set_ops(PROXY_BETA, FAKE_NEG);
        }
        build_alternating(&f, 4);
        prepare(&f, names[PROXY_ALPHA], chained ? names[PROXY_BETA] : NULL);
        fill(&f, 1.0f);
        set_hold(PROXY_ALPHA, 1);
        assert_int_equal(pthread_create(&thread, NULL, kill_once_submitted, &submitted), 0);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_DEVICE_LOST);
        pthread_join(thread, NULL);
        assert_true(submitted > 0);
        // Sticky, and the host lives on.
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_DEVICE_LOST);
        fake_control control;
        assert_int_equal(proxy_get(PROXY_ALPHA, &control), TN_ERROR_DEVICE_LOST);
        tn_device_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_DEVICE_DESC};
        assert_int_equal(tn_host_device_get(f.host, PROXY_ALPHA, &desc), TN_OK);
        assert_int_equal(desc.lost, TN_ERROR_DEVICE_LOST);
        close_host(&f, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__every_device_and_every_pair),
        cmocka_unit_test(run__a_failure_poisons_exactly_its_descendants),
        cmocka_unit_test(run__a_deadline_abandons_then_drains),
        cmocka_unit_test(run__a_child_killed_in_the_middle_is_a_lost_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
