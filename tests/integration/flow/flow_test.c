// SPDX-License-Identifier: Apache-2.0
// Control flow, sequences and sizes that only a run tells, through the embedding API: answers,
// limits, cancel, allocation failures, and many threads on one compiled model.
#include "flow_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t four[] = {4};
static const int64_t one[] = {1};

// y = c ? Relu(x) : Neg(x), the branches reading x from around them.
static void build_if(flow_fixture *f) {
    pb graphs[2];
    static const char *const ops[] = {"Relu", "Neg"};
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        onnx_node(&body, ops[i], "x", i == 0 ? "t" : "e");
        onnx_output(&body, i == 0 ? "t" : "e", TN_DTYPE_FLOAT, 1, four);
        onnx_end_graph(&body, &graphs[i]);
    }
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
}

static void if__runs_the_branch_that_the_condition_names(void **state) {
    flow_fixture *f = *state;
    static const float x[] = {-1.0f, 2.0f, -3.0f, 4.0f};
    static const float relu[] = {0.0f, 2.0f, 0.0f, 4.0f};
    static const float neg[] = {1.0f, -2.0f, 3.0f, -4.0f};
    build_if(f);
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, x, sizeof(x));
    for (int round = 0; round < 4; round++) {
        const uint8_t condition = round % 2 == 0;
        flow_put(f, 1, &condition, 1);
        flow_run(f);
        assert_memory_equal(flow_output(f, 0).data, condition ? relu : neg, sizeof(x));
    }
    // Both branches are prepared by now.
    assert_int_equal(flow_stats(f).prepared_regions, 0);
}

static void if__on_asynchronous_devices_counts_as_planned(void **state) {
    flow_fixture *f = *state;
    static const float x[] = {-1.0f, 2.0f, -3.0f, 4.0f};
    const uint8_t condition = 1;
    build_if(f);
    flow_open_on(f, "fake:alpha");
    flow_put(f, 0, x, sizeof(x));
    flow_put(f, 1, &condition, 1);
    flow_run(f);
    tn_run_stats stats = flow_stats(f);
    assert_int_equal(stats.host_waits, stats.planned_host_waits);
    assert_int_equal(stats.transfers, stats.planned_transfers);
    assert_int_equal(stats.handovers, stats.planned_handovers);
    assert_int_equal(stats.host_waits, 1);
    assert_int_equal(stats.submits, 1);
    assert_true(stats.host_copy_ns > 0);
    assert_true(stats.dispatch_ns > 0);
    assert_true(stats.region_prepare_ns > 0); // of the branch, in this first run
    assert_true(stats.transfer_ns + stats.wait_ns + stats.submit_ns + stats.dispatch_ns +
                    stats.host_copy_ns + stats.region_prepare_ns <=
                stats.run_ns);
}

// Loop(limit, , x): v = v + v, collecting v, while the sum is below `stop`.
static void build_loop(flow_fixture *f, float stop) {
    onnx_builder body;
    pb graph;
    onnx_begin_graph(&body);
    onnx_input(&body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&body, "v", TN_DTYPE_FLOAT, 1, one);
    onnx_initializer(&body, "stop", TN_DTYPE_FLOAT, 1, one, &stop, sizeof(stop));
    onnx_node(&body, "Add", "v,v", "w");
    onnx_node(&body, "Less", "w,stop", "below");
    onnx_node(&body, "Squeeze", "below", "more");
    onnx_node(&body, "Identity", "w", "seen");
    onnx_output(&body, "more", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&body, "w", TN_DTYPE_FLOAT, 1, one);
    onnx_output(&body, "seen", TN_DTYPE_FLOAT, 1, one);
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "limit", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, one);
    onnx_node(&f->b, "Loop", "limit,,x", "last,all");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "last");
    onnx_output_untyped(&f->b, "all");
}

static void put_loop(flow_fixture *f, int64_t limit, float x) {
    flow_put(f, 0, &limit, sizeof(limit));
    flow_put(f, 1, &x, sizeof(x));
}

static void loop__ends_by_count_or_condition(void **state) {
    flow_fixture *f = *state;
    static const float doubled[] = {2.0f, 4.0f, 8.0f, 16.0f};
    build_loop(f, 10.0f);
    flow_open_on(f, "reference:cpu");
    put_loop(f, 3, 1.0f);
    flow_run(f);
    assert_int_equal(flow_output(f, 1).dims[0], 3);
    assert_memory_equal(flow_output(f, 1).data, doubled, 3 * sizeof(float));
    put_loop(f, 100, 1.0f);
    flow_run(f);
    // 16 is the first that is not below 10.
    assert_int_equal(flow_output(f, 1).dims[0], 4);
    assert_memory_equal(flow_output(f, 1).data, doubled, sizeof(doubled));
    assert_memory_equal(flow_output(f, 0).data, &doubled[3], sizeof(float));
    put_loop(f, 0, 5.0f);
    flow_run(f);
    static const float five = 5.0f;
    assert_int_equal(flow_output(f, 1).dims[0], 0);
    assert_memory_equal(flow_output(f, 0).data, &five, sizeof(five));
}

static void loop__that_never_ends_meets_the_limit(void **state) {
    flow_fixture *f = *state;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.max_iterations = 1000;
    build_loop(f, 10.0f);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_OK);
    put_loop(f, (int64_t)1 << 62, 0.0f);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "flow.iterations");
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, 0, &view), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_output_status(f->request, 0), TN_ERROR_LIMIT_EXCEEDED);
    // The request is as good as before.
    put_loop(f, 2, 1.0f);
    flow_run(f);
    assert_int_equal(flow_output(f, 1).dims[0], 2);
}

static void loop__that_never_ends_meets_the_deadline(void **state) {
    flow_fixture *f = *state;
    build_loop(f, 10.0f);
    flow_open_on(f, "reference:cpu");
    put_loop(f, (int64_t)1 << 62, 0.0f);
    assert_int_equal(tn_request_run(f->request, 20000000, &f->error), TN_ERROR_TIMEOUT);
    assert_string_equal(f->error.id, "run.deadline");
}

static void loop__that_collects_too_much_meets_the_cap(void **state) {
    flow_fixture *f = *state;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.memory_cap_bytes = 64 << 10;
    build_loop(f, 10.0f);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_OK);
    put_loop(f, (int64_t)1 << 62, 0.0f);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "flow.memory-cap");
}

static void *cancel_soon(void *user_data) {
    tn_request *request = user_data;
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    tn_request_cancel(request);
    return NULL;
}

static void loop__can_be_cancelled(void **state) {
    flow_fixture *f = *state;
    pthread_t thread;
    build_loop(f, 10.0f);
    flow_open_on(f, "reference:cpu");
    put_loop(f, (int64_t)1 << 62, 0.0f);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f->request), 0);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    // The cancel is over with the run it ended.
    put_loop(f, 1, 1.0f);
    flow_run(f);
}

// The elements of x that are not zero, doubled.
static void build_non_zero(flow_fixture *f) {
    static const int64_t flat[] = {-1};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_initializer_ints(&f->b, "flat", 1, flat);
    onnx_node(&f->b, "NonZero", "x", "places");
    onnx_node(&f->b, "Reshape", "places,flat", "index");
    onnx_node(&f->b, "Gather", "x,index", "found");
    onnx_node(&f->b, "Add", "found,found", "y");
    onnx_output_untyped(&f->b, "y");
}

static void non_zero__tells_its_size_when_it_has_run(void **state) {
    flow_fixture *f = *state;
    static const float x[] = {0.0f, 2.0f, 0.0f, 4.0f};
    static const float none[4] = {0.0f};
    static const float expected[] = {4.0f, 8.0f};
    build_non_zero(f);
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, x, sizeof(x));
    flow_run(f);
    assert_int_equal(flow_output(f, 0).rank, 1);
    assert_int_equal(flow_output(f, 0).dims[0], 2);
    assert_memory_equal(flow_output(f, 0).data, expected, sizeof(expected));
    flow_put(f, 0, none, sizeof(none));
    flow_run(f);
    assert_int_equal(flow_output(f, 0).dims[0], 0);
    assert_int_equal(flow_output(f, 0).size_bytes, 0);
}

// The branches give different ranks, so that NonZero is planned when the run tells which.
static void non_zero__of_a_rank_that_only_the_run_tells(void **state) {
    flow_fixture *f = *state;
    static const float x[] = {0.0f, 2.0f, 0.0f, 4.0f};
    static const int64_t square[] = {2, 2};
    static const int64_t flat_places[] = {1, 3};
    static const int64_t square_places[] = {0, 1, 1, 1};
    pb graphs[2];
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        onnx_initializer_ints(&body, "square", 2, square);
        onnx_node(&body, i == 0 ? "Relu" : "Reshape", i == 0 ? "x" : "x,square",
                  i == 0 ? "t" : "e");
        onnx_output_untyped(&body, i == 0 ? "t" : "e");
        onnx_end_graph(&body, &graphs[i]);
    }
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "NonZero", "y", "places");
    onnx_output_untyped(&f->b, "places");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, x, sizeof(x));
    for (int round = 0; round < 4; round++) {
        const uint8_t flat = round % 2 == 0;
        flow_put(f, 1, &flat, 1);
        flow_run(f);
        assert_int_equal(flow_output(f, 0).dims[0], flat ? 1 : 2);
        assert_int_equal(flow_output(f, 0).dims[1], 2);
        assert_memory_equal(flow_output(f, 0).data, flat ? flat_places : square_places,
                            flat ? sizeof(flat_places) : sizeof(square_places));
    }
    assert_int_equal(flow_stats(f).prepared_regions, 0);
}

static void reshape__follows_a_shape_given_at_run_time(void **state) {
    flow_fixture *f = *state;
    static const int64_t two[] = {2};
    static const float x[] = {1.0f, 2.0f, 3.0f, 4.0f};
    static const int64_t shapes[][2] = {{2, 2}, {1, 4}, {2, 2}, {4, -1}, {1, 4}};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "shape", TN_DTYPE_INT64, 1, two);
    onnx_node(&f->b, "Reshape", "x,shape", "r");
    onnx_node(&f->b, "Neg", "r", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, x, sizeof(x));
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        flow_put(f, 1, shapes[i], sizeof(shapes[i]));
        flow_run(f);
        assert_int_equal(flow_output(f, 0).rank, 2);
        assert_int_equal(flow_output(f, 0).dims[0], shapes[i][0]);
        // The third and the last shape were met before.
        assert_int_equal(flow_stats(f).prepared_regions, i == 2 || i == 4 ? 0 : 1);
    }
    static const int64_t wrong[] = {3, 3};
    flow_put(f, 1, wrong, sizeof(wrong));
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
}

static void sequence__goes_in_and_comes_out(void **state) {
    flow_fixture *f = *state;
    static const float first[] = {1.0f, 2.0f};
    static const float second[] = {3.0f};
    static const int64_t sizes[][1] = {{2}, {1}};
    onnx_input(&f->b, "a", TN_DTYPE_FLOAT, 1, sizes[0]);
    onnx_input(&f->b, "b", TN_DTYPE_FLOAT, 1, sizes[1]);
    onnx_node(&f->b, "SequenceConstruct", "a,b", "s");
    onnx_node(&f->b, "SequenceInsert", "s,a", "t");
    onnx_node(&f->b, "ConcatFromSequence", "t", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "t");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, first, sizeof(first));
    flow_put(f, 1, second, sizeof(second));
    flow_run(f);
    static const float joined[] = {1.0f, 2.0f, 3.0f, 1.0f, 2.0f};
    assert_memory_equal(flow_output(f, 0).data, joined, sizeof(joined));
    uint64_t length = 0;
    assert_int_equal(tn_request_output_length(f->request, 1, &length), TN_OK);
    assert_int_equal(length, 3);
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output_element(f->request, 1, 1, &view), TN_OK);
    assert_memory_equal(view.data, second, sizeof(second));
    assert_int_equal(tn_request_output_element(f->request, 1, 3, &view), TN_ERROR_INVALID_ARGUMENT);
}

// "ab", "" and "c" as the embedding API has strings.
typedef struct three_texts {
    uint64_t ends[4];
    char characters[3];
} three_texts;

static void strings__go_in_and_come_out(void **state) {
    flow_fixture *f = *state;
    static const int64_t three[] = {3};
    static const three_texts texts = {{0, 2, 2, 3}, {'a', 'b', 'c'}};
    const uint64_t bytes = sizeof(texts.ends) + sizeof(texts.characters);
    onnx_input(&f->b, "x", TN_DTYPE_STRING, 1, three);
    onnx_node(&f->b, "StringNormalizer", "x", "y");
    onnx_attr_text(&f->b, "case_change_action", "UPPER");
    onnx_node(&f->b, "Equal", "x,y", "same");
    onnx_node(&f->b, "Cast", "same", "count");
    onnx_attr_int(&f->b, "to", TN_DTYPE_FLOAT);
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "count");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, &texts, bytes);
    flow_run(f);
    assert_int_equal(flow_output(f, 0).dtype, TN_DTYPE_STRING);
    assert_int_equal(flow_output(f, 0).size_bytes, bytes);
    assert_memory_equal(flow_output(f, 0).data, texts.ends, sizeof(texts.ends));
    assert_memory_equal((const char *)flow_output(f, 0).data + sizeof(texts.ends), "ABC", 3);
    static const float same[] = {0.0f, 1.0f, 0.0f};
    assert_memory_equal(flow_output(f, 1).data, same, sizeof(same));
    // Ends that go back, that leave characters over, or that are too many.
    static const three_texts back = {{0, 2, 1, 3}, {'a', 'b', 'c'}};
    static const three_texts over = {{0, 1, 1, 2}, {'a', 'b', 'c'}};
    assert_int_equal(tn_request_write(f->request, 0, &back, bytes, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f->error.id, "request.strings");
    assert_int_equal(tn_request_write(f->request, 0, &over, bytes, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_request_write(f->request, 0, &texts, 24, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
}

static void strings__that_nobody_handles_are_refused_at_compile(void **state) {
    flow_fixture *f = *state;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_abandon(&f->b);
    onnx_begin(&f->b, 20);
    onnx_input(&f->b, "x", TN_DTYPE_STRING, 1, four);
    onnx_node(&f->b, "RegexFullMatch", "x", "y");
    onnx_attr_text(&f->b, "pattern", "a*");
    onnx_output_untyped(&f->b, "y");
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_UNSUPPORTED);
    assert_string_equal(f->error.id, "flow.op");
}

// A whole life, as far as it goes; returns what it ended with.
static tn_status live(flow_fixture *f) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const int64_t limit = 3;
    const float x = 1.0f;
    tn_status status = flow_open(f, "reference:cpu", &limits);
    if (status == TN_OK) {
        status = tn_request_write(f->request, 0, &limit, sizeof(limit), &f->error);
    }
    if (status == TN_OK) {
        status = tn_request_write(f->request, 1, &x, sizeof(x), &f->error);
    }
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

static void every_allocation__may_fail(void **state) {
    flow_fixture *f = *state;
    build_loop(f, 10.0f);
    onnx_end(&f->b, &f->bytes);
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    assert_int_equal(live(f), TN_OK);
    uint64_t total = f->memory.count;
    flow_close(f);
    assert_true(total > 100);
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            tn_status status = live(f);
            // A plugin that found no memory is left out, and then nobody takes the node.
            assert_true(status == TN_ERROR_OUT_OF_MEMORY || status == TN_ERROR_NOT_FOUND ||
                        (status == TN_OK && mode == TEST_ALLOC_FAIL_ONE));
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

#define THREADS 8

typedef struct walker {
    tn_compiled *compiled;
    int64_t limit;
    bool good;
} walker;

static void *walk(void *user_data) {
    walker *w = user_data;
    tn_request *request = NULL;
    const float x = 1.0f;
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    w->good = tn_request_create(w->compiled, NULL, &request, NULL) == TN_OK &&
              tn_request_prepare(request, NULL, 0, NULL) == TN_OK &&
              tn_request_write(request, 0, &w->limit, sizeof(w->limit), NULL) == TN_OK &&
              tn_request_write(request, 1, &x, sizeof(x), NULL) == TN_OK;
    for (int i = 0; i < 5 && w->good; i++) {
        w->good = tn_request_run(request, 0, NULL) == TN_OK &&
                  tn_request_output(request, 1, &view) == TN_OK && view.dims[0] == w->limit;
    }
    tn_request_destroy(request);
    return NULL;
}

static void threads__share_a_compiled_model(void **state) {
    flow_fixture *f = *state;
    pthread_t threads[THREADS];
    walker walkers[THREADS];
    build_loop(f, 1e9f);
    flow_open_on(f, "reference:cpu");
    for (int i = 0; i < THREADS; i++) {
        walkers[i] = (walker){f->compiled, i + 1, false};
        assert_int_equal(pthread_create(&threads[i], NULL, walk, &walkers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(walkers[i].good);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(if__runs_the_branch_that_the_condition_names),
        FLOW_CASE(if__on_asynchronous_devices_counts_as_planned),
        FLOW_CASE(loop__ends_by_count_or_condition),
        FLOW_CASE(loop__that_never_ends_meets_the_limit),
        FLOW_CASE(loop__that_never_ends_meets_the_deadline),
        FLOW_CASE(loop__that_collects_too_much_meets_the_cap),
        FLOW_CASE(loop__can_be_cancelled),
        FLOW_CASE(non_zero__tells_its_size_when_it_has_run),
        FLOW_CASE(non_zero__of_a_rank_that_only_the_run_tells),
        FLOW_CASE(reshape__follows_a_shape_given_at_run_time),
        FLOW_CASE(sequence__goes_in_and_comes_out),
        FLOW_CASE(strings__go_in_and_come_out),
        FLOW_CASE(strings__that_nobody_handles_are_refused_at_compile),
        FLOW_CASE(every_allocation__may_fail),
        FLOW_CASE(threads__share_a_compiled_model),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
