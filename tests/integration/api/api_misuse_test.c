// SPDX-License-Identifier: Apache-2.0
// The embedding API used wrongly or at its edges: null handles, odd graphs, runs that end half way,
// calls from the wrong moment. Every answer must be a status, and no memory may be touched.
#include "../exec/exec_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const int64_t dims[] = {EXEC_WIDTH};

static void pause_ms(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void set_hold(uint32_t device, uint32_t hold) {
    fake_lock();
    fake_device(device)->hold = hold;
    fake_unlock();
}

static void begin(onnx_builder *b) {
    onnx_begin(b, 17);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, dims);
}

static void end(onnx_builder *b, exec_fixture *f) {
    onnx_end(b, &f->bytes);
    exec_load(f);
}

// Both outputs by different devices, the second from the first.
static void build_chain(exec_fixture *f) {
    onnx_builder b;
    begin(&b);
    onnx_node(&b, "Relu", "x", "first");
    onnx_node(&b, "Neg", "first", "second");
    onnx_output(&b, "first", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "second", TN_DTYPE_FLOAT, 1, dims);
    end(&b, f);
}

static void split_ops(uint32_t relu_device, uint32_t neg_device) {
    fake_device(relu_device)->ops = FAKE_RELU;
    fake_device(neg_device)->ops = FAKE_NEG;
}

static void host__null_handles_are_answers(void **state) {
    (void)state;
    tn_error error;
    uint64_t dropped = 7;
    tn_error_init(&error);
    tn_load_entry entry = {.struct_size = sizeof(entry), .struct_type = TN_STRUCT_LOAD_ENTRY};
    tn_device_desc device = {.struct_size = sizeof(device), .struct_type = TN_STRUCT_DEVICE_DESC};
    tn_memory_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_MEMORY_STATS};
    tn_trace_event event = {.struct_size = sizeof(event), .struct_type = TN_STRUCT_TRACE_EVENT};
    tn_host_retain(NULL);
    tn_host_release(NULL);
    tn_host_trace_stop(NULL);
    assert_int_equal(tn_host_load_count(NULL), 0);
    assert_int_equal(tn_host_device_count(NULL), 0);
    assert_int_equal(tn_host_device_find(NULL, "fake"), TN_NONE);
    assert_int_equal(tn_host_trace_count(NULL, &dropped), 0);
    assert_int_equal(dropped, 0);
    assert_int_equal(tn_host_load_get(NULL, 0, &entry), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_device_get(NULL, 0, &device), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_memory_stats(NULL, &stats), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_shutdown(NULL, 0, &error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_trace_start(NULL, 4, &error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_trace_get(NULL, 0, &event), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_host_trace_write(NULL, NULL, NULL, &error), TN_ERROR_INVALID_ARGUMENT);
}

static void model__null_handles_are_answers(void **state) {
    (void)state;
    tn_tensor_desc tensor = {.struct_size = sizeof(tensor), .struct_type = TN_STRUCT_TENSOR_DESC};
    tn_node_desc node = {.struct_size = sizeof(node), .struct_type = TN_STRUCT_NODE_DESC};
    tn_model_summary summary = {.struct_size = sizeof(summary),
                                .struct_type = TN_STRUCT_MODEL_SUMMARY};
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_island_desc island = {.struct_size = sizeof(island), .struct_type = TN_STRUCT_ISLAND_DESC};
    tn_placement place = {.struct_size = sizeof(place), .struct_type = TN_STRUCT_PLACEMENT};
    tn_model_retain(NULL);
    tn_model_release(NULL);
    tn_compiled_retain(NULL);
    tn_compiled_release(NULL);
    tn_request_destroy(NULL);
    tn_request_cancel(NULL);
    assert_int_equal(tn_model_input_count(NULL), 0);
    assert_int_equal(tn_model_output_count(NULL), 0);
    assert_int_equal(tn_model_node_count(NULL), 0);
    assert_int_equal(tn_model_input_get(NULL, 0, &tensor), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_model_output_get(NULL, 0, &tensor), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_model_value_get(NULL, 0, &tensor), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_model_node_get(NULL, 0, &node), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_model_summary_get(NULL, &summary), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_compiled_plan_get(NULL, &plan), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_compiled_island_get(NULL, 0, &island), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_compiled_placement_get(NULL, 0, 0, &place), TN_ERROR_INVALID_ARGUMENT);
}

static void compile__a_null_device_id_is_refused(void **state) {
    (void)state;
    exec_fixture f;
    const char *devices[] = {NULL};
    exec_open(&f);
    build_chain(&f);
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 1;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_null(f.compiled);
    exec_close(&f);
}

// A port may ask for more room than its tensor; copies move the tensor and nothing beyond its end.
static void run__copies_stay_inside_both_ends(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->port_extra_bytes = 1 << 20;
    build_chain(&f);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, 2.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(exec_output(&f, 1)[3], -5.0f, 0);
    assert_true(exec_counts_agree(&f, 1));
    exec_close(&f);
}

static void run__what_was_given_up_does_not_count_as_good(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    split_ops(FAKE_SHARED, FAKE_BETA);
    build_chain(&f);
    assert_int_equal(exec_compile(&f, "fake:shared,fake:beta"), TN_OK);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, 1.0f);
    set_hold(FAKE_BETA, 1);
    assert_int_equal(tn_request_run(f.request, 100000000, &f.error), TN_ERROR_TIMEOUT);
    assert_int_equal(tn_request_output_status(f.request, 0), TN_OK);
    assert_int_equal(tn_request_output_status(f.request, 1), TN_ERROR_TIMEOUT);
    set_hold(FAKE_BETA, 0);
    tn_status status = TN_ERROR_BUSY;
    for (int i = 0; i < 2000 && status == TN_ERROR_BUSY; i++) {
        status = tn_request_run(f.request, 0, &f.error);
        pause_ms(1);
    }
    assert_int_equal(status, TN_OK);
    assert_int_equal(tn_request_output_status(f.request, 1), TN_OK);
    exec_close(&f);
}

static void *release_soon(void *unused) {
    pause_ms(1500);
    set_hold(FAKE_SHARED, 0);
    return unused;
}

// The first output is good, though late: the run does not end before it is there.
static void run__a_failure_does_not_leave_good_outputs_unfinished(void **state) {
    (void)state;
    exec_fixture f;
    pthread_t thread;
    exec_open(&f);
    split_ops(FAKE_SHARED, FAKE_BETA);
    build_chain(&f);
    assert_int_equal(exec_compile(&f, "fake:shared,fake:beta"), TN_OK);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, 1.0f);
    fake_device(FAKE_BETA)->submit_status = TN_ERROR_OUT_OF_MEMORY;
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(pthread_create(&thread, NULL, release_soon, NULL), 0);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_OUT_OF_MEMORY);
    assert_int_equal(tn_request_output_status(f.request, 0), TN_OK);
    assert_float_equal(exec_output(&f, 0)[2], 3.0f, 0);
    pthread_join(thread, NULL);
    exec_close(&f);
}

// The run that could not begin leaves the request as the last one left it.
static void run__a_truncated_model_file_is_an_error_and_no_more(void **state) {
    (void)state;
    static const uint32_t devices[] = {FAKE_ALPHA, FAKE_SHARED, FAKE_WORKER, FAKE_INLINE};
    static const char *const names[] = {"fake:alpha", "fake:shared", "fake:worker", "fake:inline"};
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        exec_fixture f;
        onnx_builder b;
        char path[] = "/tmp/tenon-api-XXXXXX";
        exec_open(&f);
        begin(&b);
        onnx_node(&b, "Relu", "x", "y");
        onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
        onnx_end(&b, &f.bytes);
        int file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(write(file, f.bytes.data, f.bytes.size), (ssize_t)f.bytes.size);
        assert_int_equal(tn_model_load_file(f.host, path, NULL, &f.model, &f.error), TN_OK);
        assert_int_equal(exec_compile(&f, names[i]), TN_OK);
        exec_prepare(&f, 0);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        assert_int_equal(ftruncate(file, 1), 0);
        for (int run = 0; run < 3; run++) {
            assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_IO);
        }
        close(file);
        unlink(path);
        tn_request_destroy(f.request);
        f.request = NULL;
        tn_compiled_release(f.compiled);
        f.compiled = NULL;
        assert_int_equal(tn_host_shutdown(f.host, 100000000, &f.error), TN_OK);
        exec_close(&f);
    }
}

typedef struct canceller {
    tn_request *request;
    atomic_bool stop;
} canceller;

static void *cancel_always(void *user_data) {
    canceller *c = user_data;
    while (!atomic_load(&c->stop)) {
        tn_request_cancel(c->request);
    }
    return NULL;
}

// cancel may come from any thread at any time: also while prepare replaces what it would end.
static void cancel__may_race_with_prepare(void **state) {
    (void)state;
    exec_fixture f;
    pthread_t thread;
    exec_open(&f);
    build_chain(&f);
    assert_int_equal(exec_compile(&f, "fake:inline"), TN_OK);
    exec_prepare(&f, 0);
    canceller c = {.request = f.request};
    atomic_init(&c.stop, false);
    assert_int_equal(pthread_create(&thread, NULL, cancel_always, &c), 0);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(tn_request_prepare(f.request, NULL, 0, &f.error), TN_OK);
    }
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    exec_close(&f);
}

// An output may be an input, a constant, or named twice; a graph may have no nodes.
static void run__outputs_that_nothing_computes(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        exec_fixture f;
        onnx_builder b;
        exec_open(&f);
        begin(&b);
        onnx_initializer_floats(&b, "w", 1, dims, 3);
        if (kind == 2) {
            onnx_node(&b, "Relu", "x", "y");
        }
        onnx_output(&b,
                    kind == 0   ? "x"
                    : kind == 1 ? "w"
                    : kind == 2 ? "y"
                                : "x",
                    TN_DTYPE_FLOAT, 1, dims);
        if (kind >= 2) {
            onnx_output(&b, kind == 2 ? "y" : "w", TN_DTYPE_FLOAT, 1, dims);
        }
        onnx_end(&b, &f.bytes);
        exec_load(&f);
        // The import writes such an output as an Identity, which this device does not take.
        assert_int_equal(exec_compile(&f, "fake:inline"), TN_ERROR_DENIED);
        assert_null(f.compiled);
        exec_close(&f);
    }
}

static void prepare__hostile_shapes_are_refused(void **state) {
    (void)state;
    exec_fixture f;
    onnx_builder b;
    const int64_t any[] = {-2, -3};
    const int64_t huge[] = {(int64_t)1 << 62, (int64_t)1 << 62};
    const int64_t large[] = {(int64_t)1 << 59, 1};
    const int64_t negative[] = {-1, 4};
    const int64_t small[] = {1, 1};
    int64_t many[17] = {1};
    exec_open(&f);
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 2, any);
    onnx_node(&b, "Relu", "x", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 2, any);
    end(&b, &f);
    assert_int_equal(exec_compile(&f, "fake:shared"), TN_OK);
    assert_int_equal(tn_request_create(f.compiled, NULL, &f.request, &f.error), TN_OK);
    const tn_input_shape wrong[] = {{0, 2, huge},  {0, 2, large},         {0, 2, negative},
                                    {0, 17, many}, {0, UINT32_MAX, many}, {1, 2, huge},
                                    {0, 1, huge},  {0, 2, NULL}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_not_equal(tn_request_prepare(f.request, &wrong[i], 1, &f.error), TN_OK);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INVALID_STATE);
        assert_int_equal(tn_request_output_status(f.request, 0), TN_ERROR_INVALID_STATE);
    }
    const tn_input_shape one = {0, 2, small};
    assert_int_equal(tn_request_prepare(f.request, &one, 1, &f.error), TN_OK);
    assert_int_equal(tn_request_write(f.request, 0, &f, 4, &f.error), TN_OK);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_int_equal(tn_request_wait(f.request, 0, &f.error), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_submit(f.request, 0, NULL, NULL, &f.error), TN_ERROR_UNSUPPORTED);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host__null_handles_are_answers),
        cmocka_unit_test(model__null_handles_are_answers),
        cmocka_unit_test(compile__a_null_device_id_is_refused),
        cmocka_unit_test(run__copies_stay_inside_both_ends),
        cmocka_unit_test(run__what_was_given_up_does_not_count_as_good),
        cmocka_unit_test(run__a_failure_does_not_leave_good_outputs_unfinished),
        cmocka_unit_test(run__a_truncated_model_file_is_an_error_and_no_more),
        cmocka_unit_test(cancel__may_race_with_prepare),
        cmocka_unit_test(run__outputs_that_nothing_computes),
        cmocka_unit_test(prepare__hostile_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
