// SPDX-License-Identifier: Apache-2.0
// Every allocation of sequences, Scan, SequenceMap, late plans, states and shape profiles fails
// once in turn, and from then on: the right status, nothing left.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t four[] = {4};
static const int64_t any[] = {-2};
static const float numbers[] = {-1.0f, 2.0f, -3.0f, 4.0f};

// One life of a request: prepared for every shape in turn, inputs written, run.
typedef tn_status (*life)(flow_fixture *f);

static tn_status run_once(flow_fixture *f) {
    tn_status status = tn_request_write(f->request, 0, numbers, sizeof(numbers), &f->error);
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

static tn_status live(flow_fixture *f, life then) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    tn_status status = flow_open(f, "reference:cpu", &limits);
    return status == TN_OK ? then(f) : status;
}

static void sweep(flow_fixture *f, life then, uint64_t at_least) {
    onnx_end(&f->b, &f->bytes);
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    tn_status status = live(f, then);
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
    const uint64_t total = f->memory.count;
    flow_close(f);
    assert_true(total > at_least);
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            status = live(f, then);
            // A plugin that found no memory is left out, and then nobody takes the node.
            if (status != TN_ERROR_OUT_OF_MEMORY && status != TN_ERROR_NOT_FOUND &&
                (status != TN_OK || mode == TEST_ALLOC_FAIL_FROM)) {
                fail_msg("allocation %u: status %d, %s", (unsigned)at, (int)status, f->error.text);
            }
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

static void sequences__lose_nothing(void **state) {
    flow_fixture *f = *state;
    const int64_t zero = 0;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_initializer(&f->b, "first", TN_DTYPE_INT64, 0, NULL, &zero, sizeof(zero));
    onnx_node(&f->b, "SplitToSequence", "x", "s");
    onnx_node(&f->b, "SequenceInsert", "s,x,first", "t");
    onnx_node(&f->b, "SequenceErase", "t,first", "u");
    onnx_node(&f->b, "SequenceAt", "t,first", "e");
    onnx_node(&f->b, "SequenceLength", "u", "n");
    onnx_node(&f->b, "SequenceConstruct", "x,e", "v");
    onnx_node(&f->b, "ConcatFromSequence", "v", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_attr_int(&f->b, "new_axis", 1);
    onnx_output_untyped(&f->b, "u");
    onnx_output_untyped(&f->b, "n");
    onnx_output_untyped(&f->b, "v");
    onnx_output_untyped(&f->b, "y");
    sweep(f, run_once, 100);
}

static void sequence_map__loses_nothing(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    pb graph;
    onnx_begin_graph(&body);
    onnx_input(&body, "e", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    onnx_node(&body, "Neg", "e", "r");
    onnx_output_untyped(&body, "r");
    onnx_output_untyped(&body, "e");
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "SequenceConstruct", "x,x", "s");
    onnx_node(&f->b, "SequenceMap", "s", "t,u");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "t");
    onnx_output_untyped(&f->b, "u");
    sweep(f, run_once, 100);
}

static void scan__loses_nothing(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    pb graph;
    onnx_begin_graph(&body);
    onnx_input(&body, "sum", TN_DTYPE_FLOAT, 0, NULL);
    onnx_input(&body, "e", TN_DTYPE_FLOAT, 0, NULL);
    onnx_node(&body, "Add", "sum,e", "next");
    onnx_output(&body, "next", TN_DTYPE_FLOAT, 0, NULL);
    onnx_output(&body, "next", TN_DTYPE_FLOAT, 0, NULL);
    onnx_end_graph(&body, &graph);
    const float zero = 0.0f;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_initializer(&f->b, "zero", TN_DTYPE_FLOAT, 0, NULL, &zero, sizeof(zero));
    onnx_node(&f->b, "Scan", "zero,x", "last,all");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_output_untyped(&f->b, "last");
    onnx_output_untyped(&f->b, "all");
    sweep(f, run_once, 100);
}

// The rank of what an If hands out is known when it has run: what follows is planned then.
static void late_plans__lose_nothing(void **state) {
    flow_fixture *f = *state;
    static const int64_t square[] = {2, 2};
    pb graphs[2];
    static const char *const inputs[] = {"x,square", "x"};
    static const char *const ops[] = {"Reshape", "Neg"};
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        onnx_node(&body, ops[i], inputs[i], "r");
        onnx_output_untyped(&body, "r");
        onnx_end_graph(&body, &graphs[i]);
    }
    const uint8_t yes = 1;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_initializer(&f->b, "c", TN_DTYPE_BOOL, 0, NULL, &yes, 1);
    onnx_initializer_ints(&f->b, "square", 2, square);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "Softplus", "y", "z");
    onnx_output_untyped(&f->b, "z");
    sweep(f, run_once, 100);
}

static tn_status run_shapes(flow_fixture *f) {
    tn_status status = TN_OK;
    static const int64_t sizes[] = {1, 2, 3, 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && status == TN_OK; i++) {
        const tn_input_shape shape = {0, 1, &sizes[i]};
        status = tn_request_prepare(f->request, &shape, 1, &f->error);
        if (status == TN_OK) {
            status = tn_request_write(f->request, 0, numbers, (uint64_t)sizes[i] * sizeof(float),
                                      &f->error);
        }
        if (status == TN_OK) {
            status = tn_request_run(f->request, 0, &f->error);
        }
    }
    return status;
}

static void shape_profiles__lose_nothing(void **state) {
    flow_fixture *f = *state;
    f->config.shape_profiles = 2;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, any);
    onnx_input(&f->b, "k", TN_DTYPE_FLOAT, 0, NULL);
    onnx_node(&f->b, "Add", "x,k", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_end(&f->b, &f->bytes);
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.memory_cap_bytes = 1 << 20;
    uint64_t total = 1;
    for (int mode = TEST_ALLOC_NORMAL; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            tn_status status = flow_open(f, "reference:cpu", &limits); // x is not known
            status = status == TN_ERROR_INVALID_ARGUMENT ? run_shapes(f) : status;
            if (mode == TEST_ALLOC_NORMAL) {
                total = f->memory.count;
                assert_int_equal(status, TN_OK);
                at = total;
            }
            assert_true(status == TN_ERROR_OUT_OF_MEMORY || status == TN_ERROR_NOT_FOUND ||
                        (status == TN_OK && mode != TEST_ALLOC_FAIL_FROM));
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

static tn_status run_tokens(flow_fixture *f) {
    tn_status status = TN_OK;
    for (int i = 0; i < 3 && status == TN_OK; i++) {
        status = tn_request_prepare(f->request, NULL, 0, &f->error);
        if (status == TN_OK) {
            status = tn_request_write(f->request, 1, numbers, sizeof(numbers), &f->error);
        }
        if (status == TN_OK) {
            status = tn_request_run(f->request, 0, &f->error);
        }
    }
    int64_t length = 0;
    float rows[12];
    if (status == TN_OK) {
        assert_int_equal(tn_request_state_length(f->request, 0, &length), TN_OK);
        assert_int_equal(length, 3);
        assert_int_equal(tn_request_state_read(f->request, 0, rows, sizeof(rows)), TN_OK);
        assert_memory_equal(rows + 8, numbers, sizeof(numbers));
    }
    return status;
}

static void states__lose_nothing(void **state) {
    flow_fixture *f = *state;
    static const int64_t rows[] = {-2, 4};
    static const int64_t fresh[] = {1, 4};
    tn_state_config pair;
    tn_state_config_init(&pair);
    pair.axis = 0;
    pair.capacity = 8;
    f->config.states = &pair;
    f->config.state_count = 1;
    onnx_input(&f->b, "past", TN_DTYPE_FLOAT, 2, rows);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, fresh);
    onnx_node(&f->b, "Concat", "past,x", "present");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output_untyped(&f->b, "present");
    sweep(f, run_tokens, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(sequences__lose_nothing),      FLOW_CASE(sequence_map__loses_nothing),
        FLOW_CASE(scan__loses_nothing),          FLOW_CASE(late_plans__lose_nothing),
        FLOW_CASE(shape_profiles__lose_nothing), FLOW_CASE(states__lose_nothing),
    };
    return cmocka_run_group_tests_name("flow sweep", tests, NULL, NULL);
}
