// SPDX-License-Identifier: Apache-2.0
// Models at the edges of what control flow and sequences allow: bodies that hand out what is not
// theirs, values that change shape or kind on the way, sizes nobody expects.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t four[] = {4};
static const int64_t pair[] = {2, 2};
static const float numbers[] = {-1.0f, 2.0f, -3.0f, 4.0f};
static const uint8_t yes = 1;
static const uint8_t no = 0;

// A branch whose only node is op, from outside to out.
static void branch(pb *graph, const char *op, const char *inputs, const char *out) {
    onnx_builder body;
    onnx_begin_graph(&body);
    onnx_node(&body, op, inputs, out);
    onnx_output_untyped(&body, out);
    onnx_end_graph(&body, graph);
}

static void begin_loop_body(onnx_builder *body) {
    onnx_begin_graph(body);
    onnx_input(body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(body, "go", TN_DTYPE_BOOL, 0, NULL);
}

static void if__with_branches_of_different_rank_feeds_later_nodes(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    branch(&graphs[0], "Neg", "x", "r");
    branch(&graphs[1], "Reshape", "x,square", "r"); // names repeat in other graphs
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_initializer_ints(&f->b, "square", 2, pair);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "Neg", "y", "z");
    onnx_output_untyped(&f->b, "z");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, numbers, sizeof(numbers));
    for (int round = 0; round < 6; round++) {
        flow_put(f, 1, round % 2 == 0 ? &yes : &no, 1);
        flow_run(f);
        assert_int_equal(flow_output(f, 0).rank, round % 2 == 0 ? 1 : 2);
        const float *z = flow_output(f, 0).data;
        assert_true(z[3] == (round % 2 == 0 ? 4.0f : -4.0f));
    }
    assert_int_equal(flow_stats(f).prepared_regions, 0);
}

static void if__with_branches_of_different_type_feeds_later_nodes(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    onnx_builder body;
    branch(&graphs[0], "Neg", "x", "r");
    onnx_begin_graph(&body);
    onnx_node(&body, "Cast", "x", "r");
    onnx_attr_int(&body, "to", TN_DTYPE_DOUBLE);
    onnx_output_untyped(&body, "r");
    onnx_end_graph(&body, &graphs[1]);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "Neg", "y", "z");
    onnx_output_untyped(&f->b, "z");
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    // The standard wants one type; each branch runs with its own, and what follows is planned anew.
    flow_must(f, flow_open(f, "reference:cpu", &limits));
    flow_put(f, 0, numbers, sizeof(numbers));
    for (int round = 0; round < 4; round++) {
        const bool then = round % 2 == 0;
        flow_put(f, 1, then ? &yes : &no, 1);
        flow_run(f);
        const tn_tensor_view z = flow_output(f, 0);
        assert_int_equal(z.dtype, then ? TN_DTYPE_FLOAT : TN_DTYPE_DOUBLE);
        for (int i = 0; i < 4; i++) {
            assert_true(then ? ((const float *)z.data)[i] == numbers[i]
                             : ((const double *)z.data)[i] == -(double)numbers[i]);
        }
    }
}

static void if__may_hand_out_what_it_was_given(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    onnx_builder body;
    // Both outputs of the first are x; those of the second are a constant of its own and x.
    onnx_begin_graph(&body);
    onnx_output_untyped(&body, "x");
    onnx_output_untyped(&body, "x");
    onnx_end_graph(&body, &graphs[0]);
    onnx_begin_graph(&body);
    onnx_initializer_floats(&body, "k", 1, four, 3);
    onnx_output_untyped(&body, "k");
    onnx_output_untyped(&body, "x");
    onnx_end_graph(&body, &graphs[1]);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y,z");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "Neg", "x", "w");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "z");
    onnx_output_untyped(&f->b, "w");
    onnx_output(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, numbers, sizeof(numbers));
    for (int round = 0; round < 4; round++) {
        flow_put(f, 1, round % 2 == 0 ? &yes : &no, 1);
        flow_run(f);
        const float *y = flow_output(f, 0).data;
        assert_true(y[0] == (round % 2 == 0 ? -1.0f : 3.0f / 8 - 1));
        assert_memory_equal(flow_output(f, 1).data, numbers, sizeof(numbers));
        assert_memory_equal(flow_output(f, 3).data, numbers, sizeof(numbers));
        assert_true(((const float *)flow_output(f, 2).data)[0] == 1.0f);
    }
    // An output stays what it is until the next run, whatever is written for that one.
    static const float others[4] = {9.0f, 9.0f, 9.0f, 9.0f};
    flow_put(f, 0, others, sizeof(others));
    assert_memory_equal(flow_output(f, 1).data, numbers, sizeof(numbers));
    assert_memory_equal(flow_output(f, 3).data, numbers, sizeof(numbers));
}

static void sequence__of_inputs_outlives_the_next_write(void **state) {
    flow_fixture *f = *state;
    static const float others[4] = {9.0f, 9.0f, 9.0f, 9.0f};
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "SequenceConstruct", "x,x", "s");
    onnx_output_untyped(&f->b, "s");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, numbers, sizeof(numbers));
    flow_run(f);
    flow_put(f, 0, others, sizeof(others));
    assert_int_equal(tn_request_output_element(f->request, 0, 1, &view), TN_OK);
    assert_memory_equal(view.data, numbers, sizeof(numbers));
}

static void strings__are_handed_out_as_they_came_in(void **state) {
    flow_fixture *f = *state;
    static const int64_t two[] = {2};
    uint8_t texts[3 * sizeof(uint64_t) + 3];
    static const uint64_t ends[] = {0, 1, 3};
    memcpy(texts, ends, sizeof(ends));
    memcpy(texts + sizeof(ends), "abc", 3);
    onnx_input(&f->b, "s", TN_DTYPE_STRING, 1, two);
    onnx_node(&f->b, "SequenceConstruct", "s,s", "q");
    onnx_output(&f->b, "s", TN_DTYPE_STRING, 1, two);
    onnx_output_untyped(&f->b, "q");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, texts, sizeof(texts));
    flow_run(f);
    assert_int_equal(flow_output(f, 0).size_bytes, sizeof(texts));
    assert_memory_equal(flow_output(f, 0).data, texts, sizeof(texts));
    assert_memory_equal(flow_output(f, 1).data, texts, sizeof(texts));
}

// Loop of n steps that carries s, which changes what it is with every step.
static void build_growing(flow_fixture *f, const char *grow, uint32_t kind) {
    onnx_builder body;
    pb graph;
    begin_loop_body(&body);
    if (kind == TN_VALUE_TENSOR) {
        static const int64_t named[] = {-2};
        onnx_input(&body, "v", TN_DTYPE_FLOAT, 1, named);
    } else {
        onnx_input(&body, "v", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    }
    onnx_node(&body, grow, kind == TN_VALUE_TENSOR ? "v,x" : "v,v", "w");
    if (strcmp(grow, "Concat") == 0) {
        onnx_attr_int(&body, "axis", 0);
    }
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output_untyped(&body, "w");
    onnx_end_graph(&body, &graph);
    static const int64_t named[] = {-2};
    onnx_input(&f->b, "n", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, named);
    onnx_node(&f->b, "Loop", "n,,x", "y");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_node(&f->b, "Neg", "y", "z");
    onnx_output_untyped(&f->b, "z");
}

// One name, two sizes: v and x are both [A], and v grows.
static void loop__carries_a_value_whose_symbol_changes(void **state) {
    flow_fixture *f = *state;
    build_growing(f, "Concat", TN_VALUE_TENSOR);
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_INVALID_ARGUMENT);
    for (int64_t size = 1; size < 5; size++) {
        const tn_input_shape shape = {1, 1, &size};
        assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
        for (int64_t n = 0; n < 9; n++) {
            flow_put(f, 0, &n, sizeof(n));
            flow_put(f, 1, numbers, (uint64_t)size * sizeof(float));
            flow_run(f);
            const float *z = flow_output(f, 0).data;
            assert_int_equal(flow_output(f, 0).dims[0], size * (n + 1));
            for (int64_t i = 0; i < size * (n + 1); i++) {
                assert_true(z[i] == -numbers[i % size]);
            }
        }
    }
}

static void loop__carries_a_sequence(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    pb graph;
    begin_loop_body(&body);
    onnx_input_sequence(&body, "s", TN_DTYPE_FLOAT);
    onnx_node(&body, "SequenceInsert", "s,x", "t");
    onnx_node(&body, "Neg", "x", "seen");
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output_untyped(&body, "t");
    onnx_output_untyped(&body, "seen");
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "n", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "SequenceEmpty", "", "none");
    onnx_node(&f->b, "Loop", "n,,none", "y,");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    for (int64_t n = 0; n < 5; n++) {
        uint64_t length = 0;
        flow_put(f, 0, &n, sizeof(n));
        flow_put(f, 1, numbers, sizeof(numbers));
        flow_run(f);
        assert_int_equal(tn_request_output_length(f->request, 0, &length), TN_OK);
        assert_int_equal(length, n);
    }
}

static void loop__of_no_nodes_goes_round(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    pb graph;
    begin_loop_body(&body);
    onnx_input(&body, "a", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&body, "b", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&body, "b", TN_DTYPE_FLOAT, 1, four); // swapped
    onnx_output(&body, "a", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&body, "x", TN_DTYPE_FLOAT, 1, four); // collected: what is around it
    onnx_output(&body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "n", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_initializer_floats(&f->b, "k", 1, four, 8);
    onnx_node(&f->b, "Loop", "n,,x,k", "p,q,,counts");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "p");
    onnx_output_untyped(&f->b, "counts");
    flow_open_on(f, "reference:cpu");
    for (int64_t n = 0; n < 4; n++) {
        flow_put(f, 0, &n, sizeof(n));
        flow_put(f, 1, numbers, sizeof(numbers));
        flow_run(f);
        const float *p = flow_output(f, 0).data;
        assert_true(p[0] == (n % 2 == 0 ? -1.0f : 0.0f));
        assert_int_equal(flow_output(f, 1).dims[0], n);
        if (n > 0) {
            assert_int_equal(((const int64_t *)flow_output(f, 1).data)[n - 1], n - 1);
        }
    }
}

// If in Loop in Scan; the innermost graph reads x of the outermost.
static void values__are_captured_three_graphs_deep(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    pb loop;
    pb scan;
    onnx_builder body;
    branch(&graphs[0], "Add", "v,x", "r");
    branch(&graphs[1], "Identity", "x", "r");
    begin_loop_body(&body);
    onnx_input(&body, "v", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&body, "If", "c", "w");
    onnx_attr_graph(&body, "then_branch", &graphs[0]);
    onnx_attr_graph(&body, "else_branch", &graphs[1]);
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&body, "w", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&body, &loop);
    onnx_begin_graph(&body);
    onnx_input(&body, "state", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&body, "n", TN_DTYPE_INT64, 0, NULL);
    onnx_node(&body, "Loop", "n,,state", "next");
    onnx_attr_graph(&body, "body", &loop);
    onnx_output(&body, "next", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&body, "next", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&body, &scan);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&f->b, "trips", TN_DTYPE_INT64, 1, four);
    onnx_node(&f->b, "Scan", "x,trips", "last,all");
    onnx_attr_graph(&f->b, "body", &scan);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_output_untyped(&f->b, "last");
    onnx_output_untyped(&f->b, "all");
    flow_open_on(f, "reference:cpu");
    static const int64_t trips[] = {2, 0, 1, 3};
    static const float sums[] = {3.0f, 3.0f, 4.0f, 7.0f};
    flow_put(f, 0, numbers, sizeof(numbers));
    flow_put(f, 1, &yes, 1);
    flow_put(f, 2, trips, sizeof(trips));
    flow_run(f);
    const float *all = flow_output(f, 1).data;
    assert_int_equal(flow_output(f, 1).rank, 2);
    for (int step = 0; step < 4; step++) {
        assert_true(all[4 * step + 1] == sums[step] * numbers[1]);
    }
    flow_put(f, 1, &no, 1);
    flow_run(f);
    assert_memory_equal(flow_output(f, 0).data, numbers, sizeof(numbers));
}

static void non_zero__feeds_two_regions_and_an_output(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    branch(&graphs[0], "Neg", "places", "r");
    branch(&graphs[1], "Abs", "places", "r");
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "NonZero", "x", "places");
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_node(&f->b, "Add", "y,places", "z");
    onnx_output_untyped(&f->b, "places");
    onnx_output_untyped(&f->b, "z");
    flow_open_on(f, "reference:cpu");
    for (int count = 0; count <= 4; count++) {
        float x[4] = {0};
        for (int i = 0; i < count; i++) {
            x[3 - i] = 1.0f;
        }
        flow_put(f, 0, x, sizeof(x));
        flow_put(f, 1, &yes, 1);
        flow_run(f);
        assert_int_equal(flow_output(f, 0).dims[1], count);
        assert_int_equal(flow_output(f, 1).dims[1], count);
        for (int i = 0; i < count; i++) {
            assert_int_equal(((const int64_t *)flow_output(f, 0).data)[i], 4 - count + i);
            assert_int_equal(((const int64_t *)flow_output(f, 1).data)[i], 0);
        }
    }
}

// The operand is what is reshaped, too; computed in the same graph, of type int64.
static void reshape__takes_its_data_as_its_shape(void **state) {
    flow_fixture *f = *state;
    static const int64_t two[] = {2};
    static const int64_t shape[] = {1, 2};
    onnx_input(&f->b, "x", TN_DTYPE_INT64, 1, two);
    onnx_node(&f->b, "Reshape", "x,x", "y");
    onnx_node(&f->b, "Abs", "y", "z");
    onnx_output_untyped(&f->b, "z");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, shape, sizeof(shape));
    flow_run(f);
    assert_int_equal(flow_output(f, 0).rank, 2);
    assert_int_equal(flow_output(f, 0).dims[1], 2);
}

static void split_to_sequence__wants_a_list_of_sizes(void **state) {
    flow_fixture *f = *state;
    static const int64_t hollow[] = {1 << 20, 0};
    static const int64_t unknown[] = {-1, -1};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "split", TN_DTYPE_INT64, TN_RANK_UNKNOWN, unknown);
    onnx_node(&f->b, "SplitToSequence", "x,split", "s");
    onnx_output_untyped(&f->b, "s");
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    (void)flow_open(f, "reference:cpu", &limits);
    assert_non_null(f->request);
    const tn_input_shape shape = {1, 2, hollow};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
}

static void split_to_sequence__has_a_limit_of_pieces(void **state) {
    flow_fixture *f = *state;
    static const int64_t hollow[] = {INT32_MAX, 0};
    static const int64_t unknown[] = {-1, -1};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, unknown);
    onnx_node(&f->b, "SplitToSequence", "x", "s");
    onnx_output_untyped(&f->b, "s");
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.max_iterations = 1000;
    onnx_end(&f->b, &f->bytes);
    (void)flow_open(f, "reference:cpu", &limits);
    assert_non_null(f->request);
    const tn_input_shape shape = {0, 2, hollow};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_LIMIT_EXCEEDED);
}

static void concat_from_sequence__checks_the_joined_size(void **state) {
    flow_fixture *f = *state;
    static const int64_t hollow[] = {INT64_MAX / 2 + 1, 0};
    static const int64_t unknown[] = {-1, -1};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, unknown);
    onnx_node(&f->b, "SequenceConstruct", "x,x,x", "s");
    onnx_node(&f->b, "ConcatFromSequence", "s", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output_untyped(&f->b, "y");
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    (void)flow_open(f, "reference:cpu", &limits);
    assert_non_null(f->request);
    const tn_input_shape shape = {0, 2, hollow};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
}

// Declares an input that is a sequence or an optional of float tensors.
static void container_input(onnx_builder *b, const char *name, uint32_t field) {
    pb tensor = {0};
    pb type = {0};
    pb container = {0};
    pb whole = {0};
    pb info = {0};
    pb_varint(&tensor, 1, TN_DTYPE_FLOAT);
    pb_message(&type, 1, &tensor);
    pb_message(&container, 1, &type);
    pb_message(&whole, field, &container);
    pb_text(&info, 1, name);
    pb_message(&info, 2, &whole);
    pb_message(&b->graph, 11, &info);
}

static void write_elements__takes_the_declared_type_alone(void **state) {
    flow_fixture *f = *state;
    static const int64_t zero = 0;
    double wide[] = {1.0, 2.0, 3.0, 4.0};
    float narrow[] = {1.0f, 2.0f, 3.0f, 4.0f};
    tn_tensor_view view = {.struct_size = sizeof(view),
                           .struct_type = TN_STRUCT_TENSOR_VIEW,
                           .data = wide,
                           .size_bytes = sizeof(wide),
                           .dtype = TN_DTYPE_DOUBLE,
                           .rank = 1,
                           .dims = four};
    container_input(&f->b, "s", 4);
    container_input(&f->b, "o", 9);
    onnx_initializer(&f->b, "zero", TN_DTYPE_INT64, 0, NULL, &zero, sizeof(zero));
    onnx_node(&f->b, "SequenceAt", "s,zero", "e");
    onnx_node(&f->b, "OptionalGetElement", "o", "g");
    onnx_node(&f->b, "Add", "e,g", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(tn_request_write_elements(f->request, i, &view, 1, &f->error),
                         TN_ERROR_INVALID_ARGUMENT);
    }
    view.data = narrow;
    view.size_bytes = sizeof(narrow);
    view.dtype = TN_DTYPE_FLOAT;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(tn_request_write_elements(f->request, i, &view, 1, &f->error), TN_OK);
    }
    flow_run(f);
    assert_true(((const float *)flow_output(f, 0).data)[3] == 8.0f);
}

static void output_status__has_nothing_to_say_before_a_run(void **state) {
    flow_fixture *f = *state;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "SequenceConstruct", "x,x", "s");
    onnx_node(&f->b, "ConcatFromSequence", "s", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    assert_int_equal(tn_request_output_status(f->request, 0), TN_ERROR_INVALID_STATE);
    flow_run(f);
    assert_int_equal(tn_request_output_status(f->request, 0), TN_OK);
    assert_int_equal(tn_request_prepare(f->request, NULL, 0, &f->error), TN_OK);
    assert_int_equal(tn_request_output_status(f->request, 0), TN_ERROR_INVALID_STATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(if__with_branches_of_different_rank_feeds_later_nodes),
        FLOW_CASE(if__with_branches_of_different_type_feeds_later_nodes),
        FLOW_CASE(if__may_hand_out_what_it_was_given),
        FLOW_CASE(sequence__of_inputs_outlives_the_next_write),
        FLOW_CASE(strings__are_handed_out_as_they_came_in),
        FLOW_CASE(loop__carries_a_value_whose_symbol_changes),
        FLOW_CASE(loop__carries_a_sequence),
        FLOW_CASE(loop__of_no_nodes_goes_round),
        FLOW_CASE(values__are_captured_three_graphs_deep),
        FLOW_CASE(non_zero__feeds_two_regions_and_an_output),
        FLOW_CASE(reshape__takes_its_data_as_its_shape),
        FLOW_CASE(split_to_sequence__wants_a_list_of_sizes),
        FLOW_CASE(split_to_sequence__has_a_limit_of_pieces),
        FLOW_CASE(concat_from_sequence__checks_the_joined_size),
        FLOW_CASE(write_elements__takes_the_declared_type_alone),
        FLOW_CASE(output_status__has_nothing_to_say_before_a_run),
    };
    return cmocka_run_group_tests_name("flow edges", tests, NULL, NULL);
}
