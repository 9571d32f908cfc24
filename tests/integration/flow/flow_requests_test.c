// SPDX-License-Identifier: Apache-2.0
// Requests used in every order that the API allows, and some that it does not: devices that are
// still at work, states, memory caps, elements of other types.
#include "flow_fixture.h"

#include "api/request_object.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MS 1000000u

static const int64_t four[] = {4};
static const float numbers[] = {-1.0f, 2.0f, -3.0f, 4.0f};
static const uint8_t yes = 1;

static void set_hold(uint32_t device, uint32_t hold) {
    fake_lock();
    fake_device(device)->hold = hold;
    fake_unlock();
}

// y = c ? Relu(x) : Neg(x): a condition, then a region of one node.
static void build_if(flow_fixture *f) {
    pb graphs[2];
    static const char *const ops[] = {"Relu", "Neg"};
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        onnx_node(&body, ops[i], "x", "r");
        onnx_output(&body, "r", TN_DTYPE_FLOAT, 1, four);
        onnx_end_graph(&body, &graphs[i]);
    }
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
}

// Runs until the device that was held has finished what was given up.
static void run_when_free(flow_fixture *f) {
    const struct timespec pause = {.tv_nsec = MS};
    tn_status status = TN_ERROR_BUSY;
    for (int i = 0; i < 5000 && status == TN_ERROR_BUSY; i++) {
        status = tn_request_run(f->request, 0, &f->error);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(status, TN_OK);
}

static void staged__is_busy_while_a_device_works_on_what_was_given_up(void **state) {
    flow_fixture *f = *state;
    static const float others[4] = {9.0f, 9.0f, 9.0f, 9.0f};
    build_if(f);
    flow_open_on(f, "fake:shared");
    flow_put(f, 0, numbers, sizeof(numbers));
    flow_put(f, 1, &yes, 1);
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(tn_request_run(f->request, 20 * MS, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(tn_request_output_status(f->request, 0), TN_ERROR_TIMEOUT);
    set_hold(FAKE_SHARED, 0); // it reads its inputs now, while others are put
    flow_put(f, 0, others, sizeof(others));
    run_when_free(f);
    assert_memory_equal(flow_output(f, 0).data, others, sizeof(others));
}

static void staged__is_destroyed_while_a_device_is_held(void **state) {
    flow_fixture *f = *state;
    build_if(f);
    flow_open_on(f, "fake:shared");
    flow_put(f, 0, numbers, sizeof(numbers));
    flow_put(f, 1, &yes, 1);
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(tn_request_run(f->request, 20 * MS, &f->error), TN_ERROR_TIMEOUT);
    tn_request_destroy(f->request);
    f->request = NULL;
    tn_compiled_release(f->compiled);
    f->compiled = NULL;
    tn_model_release(f->model);
    f->model = NULL;
    set_hold(FAKE_SHARED, 0);
}

static void staged__in_the_background_takes_every_order_of_calls(void **state) {
    flow_fixture *f = *state;
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    uint64_t length = 0;
    f->config.background = 1;
    build_if(f);
    flow_open_on(f, "fake:shared");
    assert_int_equal(tn_request_wait(f->request, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_output(f->request, 0, &view), TN_ERROR_INVALID_STATE);
    flow_put(f, 0, numbers, sizeof(numbers));
    flow_put(f, 1, &yes, 1);
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(tn_request_submit(f->request, 0, NULL, NULL, &f->error), TN_OK);
    assert_int_equal(tn_request_submit(f->request, 0, NULL, NULL, &f->error),
                     TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_write(f->request, 0, numbers, sizeof(numbers), &f->error),
                     TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_output(f->request, 0, &view), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_output_length(f->request, 0, &length), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_output_status(f->request, 0), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_stats(f->request, &stats), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_wait(f->request, 5 * MS, &f->error), TN_ERROR_TIMEOUT);
    tn_request_cancel(f->request);
    assert_int_equal(tn_request_wait(f->request, UINT64_MAX, &f->error), TN_ERROR_CANCELLED);
    set_hold(FAKE_SHARED, 0);
    run_when_free(f);
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    // Destroyed with a run under way, which the device holds.
    set_hold(FAKE_SHARED, 1);
    assert_int_equal(tn_request_submit(f->request, 0, NULL, NULL, &f->error), TN_OK);
    tn_request_destroy(f->request);
    f->request = NULL;
    set_hold(FAKE_SHARED, 0);
}

// What was given up goes when the device lets go of it, however long the request lives.
static void runs_given_up__leave_nothing_behind(void **state) {
    flow_fixture *f = *state;
    uint64_t blocks = 0;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Neg", "x", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
    flow_open_on(f, "fake:shared");
    for (int i = 0; i < 20; i++) {
        set_hold(FAKE_SHARED, 1);
        assert_int_equal(tn_request_run(f->request, MS, &f->error), TN_ERROR_TIMEOUT);
        assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_OK);
        set_hold(FAKE_SHARED, 0);
        flow_run(f); // behind what was given up
        assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_OK);
        if (i == 2) {
            blocks = f->memory.live_blocks;
        }
    }
    assert_true(f->memory.live_blocks <= blocks + 100);
}

// y = Reshape(Neg(Reshape(x, s)), [-1]), in stages because of s.
static void build_reshape(flow_fixture *f) {
    static const int64_t any[] = {-2};
    static const int64_t two[] = {2};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, any);
    onnx_input(&f->b, "s", TN_DTYPE_INT64, 1, two);
    onnx_node(&f->b, "Reshape", "x,s", "r");
    onnx_node(&f->b, "Neg", "r", "y");
    onnx_output_untyped(&f->b, "y");
}

static tn_status run_reshape(flow_fixture *f, int64_t rows, int64_t columns) {
    const int64_t count = rows * columns;
    const int64_t shape[] = {rows, columns};
    const tn_input_shape input = {0, 1, &count};
    tn_status status = tn_request_prepare(f->request, &input, 1, &f->error);
    if (status == TN_OK) {
        status = tn_request_write(f->request, 1, shape, sizeof(shape), &f->error);
    }
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

static void memory_cap__makes_kept_shapes_give_way(void **state) {
    flow_fixture *f = *state;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.memory_cap_bytes = 1 << 20;
    build_reshape(f);
    onnx_end(&f->b, &f->bytes);
    (void)flow_open(f, "reference:cpu", &limits); // the size of x is not known
    assert_non_null(f->request);
    // Each takes five times its data, input, output and the arena: most of the cap.
    const uint64_t before = f->memory.live_bytes;
    for (int64_t i = 0; i < 4; i++) {
        tn_status status = run_reshape(f, 8 + i, 4096);
        if (status != TN_OK) {
            print_message("%d: %s\n", (int)i, f->error.text);
        }
        assert_int_equal(status, TN_OK);
    }
    // Never more than the cap at a time, and what keeps the books.
    assert_true(f->memory.peak_bytes - before < limits.memory_cap_bytes + 65536);
    assert_int_equal(run_reshape(f, 64, 4096), TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(run_reshape(f, 8, 4096), TN_OK);
}

// present = Concat(past, x), rows of 4; y = Neg(x).
static void build_cache(flow_fixture *f) {
    static const int64_t rows[] = {-2, 4};
    static const int64_t fresh[] = {1, 4};
    onnx_input(&f->b, "past", TN_DTYPE_FLOAT, 2, rows);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, fresh);
    onnx_node(&f->b, "Concat", "past,x", "present");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_node(&f->b, "Neg", "x", "y");
    onnx_output_untyped(&f->b, "present");
    onnx_output_untyped(&f->b, "y");
}

static void keep_cache(flow_fixture *f, tn_state_config *pair) {
    tn_state_config_init(pair);
    pair->axis = 0;
    pair->capacity = 16;
    f->config.states = pair;
    f->config.state_count = 1;
}

static void state__takes_its_shape_from_a_prepare_that_succeeds(void **state) {
    flow_fixture *f = *state;
    tn_state_config pair;
    static const int64_t wrong[] = {0, 5};
    static const int64_t right[] = {2, 4};
    int64_t length = -1;
    keep_cache(f, &pair);
    build_cache(f);
    flow_open_on(f, "reference:cpu");
    tn_request_destroy(f->request);
    assert_int_equal(tn_request_create(f->compiled, &f->config, &f->request, &f->error), TN_OK);
    tn_input_shape shape = {0, 2, wrong};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    shape.dims = right;
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
    assert_int_equal(tn_request_state_length(f->request, 0, &length), TN_OK);
    assert_int_equal(length, 2);
}

static void state__axis_has_to_be_one_of_the_tensor(void **state) {
    flow_fixture *f = *state;
    tn_state_config pair;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    keep_cache(f, &pair);
    pair.axis = 2;
    build_cache(f);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_INVALID_ARGUMENT);
    const tn_input_shape shape = {0, 2, (const int64_t[]){2, 4}};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f->error.id, "state.axis");
}

static void state__counts_against_the_memory_cap(void **state) {
    flow_fixture *f = *state;
    tn_state_config pair;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.memory_cap_bytes = 1 << 20;
    keep_cache(f, &pair);
    pair.capacity = 1 << 17; // 2 MiB
    build_cache(f);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_LIMIT_EXCEEDED);
}

// What a device still works on holds the states; here the test does.
static void state__waits_for_what_was_given_up(void **state) {
    flow_fixture *f = *state;
    tn_state_config pair;
    keep_cache(f, &pair);
    build_cache(f);
    flow_open_on(f, "reference:cpu");
    tni_state_set *set = f->request->states;
    tni_states_retain(set);
    assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_ERROR_BUSY);
    tni_states_release(set);
    assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_OK);
    flow_put(f, 1, numbers, sizeof(numbers));
    flow_run(f);
}

#define THREADS 8
#define TOKENS 12

typedef struct decoder {
    tn_compiled *compiled;
    const tn_request_config *config;
    float start;
    bool good;
} decoder;

static void *decode(void *user_data) {
    decoder *d = user_data;
    tn_request *request = NULL;
    float cache[TOKENS][4];
    d->good = tn_request_create(d->compiled, d->config, &request, NULL) == TN_OK;
    for (int i = 0; i < TOKENS && d->good; i++) {
        const float x[] = {d->start + (float)i, 1.0f, 2.0f, 3.0f};
        d->good = tn_request_prepare(request, NULL, 0, NULL) == TN_OK &&
                  tn_request_write(request, 1, x, sizeof(x), NULL) == TN_OK &&
                  tn_request_run(request, 0, NULL) == TN_OK;
    }
    d->good = d->good && tn_request_state_read(request, 0, cache, sizeof(cache)) == TN_OK;
    for (int i = 0; i < TOKENS && d->good; i++) {
        d->good = cache[i][0] == d->start + (float)i && cache[i][3] == 3.0f;
    }
    tn_request_destroy(request);
    return NULL;
}

static void state__of_eight_requests_stays_apart(void **state) {
    flow_fixture *f = *state;
    pthread_t threads[THREADS];
    decoder decoders[THREADS];
    tn_state_config pair;
    keep_cache(f, &pair);
    build_cache(f);
    flow_open_on(f, "reference:cpu");
    for (int i = 0; i < THREADS; i++) {
        decoders[i] = (decoder){f->compiled, &f->config, 100.0f * (float)i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, decode, &decoders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(decoders[i].good);
    }
}

// A rank that only a run tells: every new shape takes a plan of its own.
static void *plan_late(void *user_data) {
    decoder *d = user_data;
    tn_request *request = NULL;
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    d->good = tn_request_create(d->compiled, NULL, &request, NULL) == TN_OK;
    for (int64_t rank = 1; rank <= 6 && d->good; rank++) {
        int64_t shape[6] = {1, 1, 1, 1, 1, 1};
        shape[rank - 1] = 4;
        const tn_input_shape input = {1, 1, &rank};
        d->good =
            tn_request_prepare(request, &input, 1, NULL) == TN_OK &&
            tn_request_write(request, 0, numbers, sizeof(numbers), NULL) == TN_OK &&
            tn_request_write(request, 1, shape, (uint64_t)rank * sizeof(*shape), NULL) == TN_OK &&
            tn_request_run(request, 0, NULL) == TN_OK &&
            tn_request_output(request, 0, &view) == TN_OK && view.rank == (uint32_t)rank &&
            ((const float *)view.data)[3] == -4.0f;
    }
    tn_request_destroy(request);
    return NULL;
}

static void late_plans__are_made_in_eight_threads(void **state) {
    flow_fixture *f = *state;
    pthread_t threads[THREADS];
    decoder planners[THREADS];
    static const int64_t any[] = {-2};
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "s", TN_DTYPE_INT64, 1, any);
    onnx_node(&f->b, "Reshape", "x,s", "r");
    onnx_node(&f->b, "Neg", "r", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_INVALID_ARGUMENT);
    assert_non_null(f->request);
    for (int i = 0; i < THREADS; i++) {
        planners[i] = (decoder){.compiled = f->compiled};
        assert_int_equal(pthread_create(&threads[i], NULL, plan_late, &planners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(planners[i].good);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(staged__is_busy_while_a_device_works_on_what_was_given_up),
        FLOW_CASE(staged__is_destroyed_while_a_device_is_held),
        FLOW_CASE(staged__in_the_background_takes_every_order_of_calls),
        FLOW_CASE(runs_given_up__leave_nothing_behind),
        FLOW_CASE(memory_cap__makes_kept_shapes_give_way),
        FLOW_CASE(state__takes_its_shape_from_a_prepare_that_succeeds),
        FLOW_CASE(state__axis_has_to_be_one_of_the_tensor),
        FLOW_CASE(state__counts_against_the_memory_cap),
        FLOW_CASE(state__waits_for_what_was_given_up),
        FLOW_CASE(state__of_eight_requests_stays_apart),
        FLOW_CASE(late_plans__are_made_in_eight_threads),
    };
    return cmocka_run_group_tests_name("flow requests", tests, NULL, NULL);
}
