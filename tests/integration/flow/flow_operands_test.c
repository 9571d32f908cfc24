// SPDX-License-Identifier: Apache-2.0
// Operands where control flow meets the rest: absent ones in nested bodies, sizes as int32, some
// that contradict each other, and state of the request that a Scan carries on.
#include "flow_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const int64_t four[] = {4};
static const float numbers[] = {-3.0f, -1.0f, 2.0f, 5.0f};

static void scalar(onnx_builder *b, const char *name, float value) {
    onnx_initializer(b, name, TN_DTYPE_FLOAT, 0, NULL, &value, sizeof(value));
}

// Clips to one side inside of a Loop without a condition, inside of a branch.
static void build_branch(pb *out, const char *operands, float bound) {
    static const int64_t twice = 2;
    onnx_builder loop;
    onnx_builder branch;
    pb body;
    onnx_begin_graph(&loop);
    onnx_input(&loop, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&loop, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&loop, "a", TN_DTYPE_FLOAT, 1, four);
    scalar(&loop, "bound", bound);
    onnx_node(&loop, "Clip", operands, "b");
    onnx_node(&loop, "Add", "b,b", "c");
    onnx_output(&loop, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&loop, "c", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&loop, &body);
    onnx_begin_graph(&branch);
    onnx_initializer(&branch, "twice", TN_DTYPE_INT64, 0, NULL, &twice, sizeof(twice));
    onnx_node(&branch, "Loop", "twice,,x", "r");
    onnx_attr_graph(&branch, "body", &body);
    onnx_output_untyped(&branch, "r");
    onnx_end_graph(&branch, out);
}

static float clipped(float x, bool above, float bound) {
    return above ? (x > bound ? bound : x) : (x < bound ? bound : x);
}

static void clip__in_a_nested_body_has_one_bound(void **state) {
    flow_fixture *f = *state;
    pb graphs[2];
    build_branch(&graphs[0], "a,,bound", 3.0f);
    build_branch(&graphs[1], "a,bound", -2.0f);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, numbers, sizeof(numbers));
    for (uint8_t above = 0; above < 2; above++) {
        const float bound = above != 0 ? 3.0f : -2.0f;
        flow_put(f, 1, &above, sizeof(above));
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        for (int i = 0; i < 4; i++) {
            const float once = 2.0f * clipped(numbers[i], above != 0, bound);
            assert_true(((const float *)y.data)[i] == 2.0f * clipped(once, above != 0, bound));
        }
    }
}

// Bounds that only the run tells, as int32, decide the shape of what follows.
static void slice__takes_bounds_of_the_run_as_int32(void **state) {
    flow_fixture *f = *state;
    static const int64_t one[] = {1};
    static const int32_t bounds[][2] = {{0, 4}, {1, 3}, {-1, 4}, {2, 2}, {-3, INT32_MAX}};
    static const int64_t first[] = {0, 1, 3, 2, 1};
    static const int64_t count[] = {4, 2, 1, 0, 3};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "begin", TN_DTYPE_INT32, 1, one);
    onnx_input(&f->b, "end", TN_DTYPE_INT32, 1, one);
    onnx_node(&f->b, "Slice", "x,begin,end", "s");
    onnx_node(&f->b, "Neg", "s", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, numbers, sizeof(numbers));
    for (size_t i = 0; i < sizeof(count) / sizeof(count[0]); i++) {
        flow_put(f, 1, &bounds[i][0], sizeof(int32_t));
        flow_put(f, 2, &bounds[i][1], sizeof(int32_t));
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        assert_int_equal(y.rank, 1);
        assert_int_equal(y.dims[0], count[i]);
        for (int64_t k = 0; k < count[i]; k++) {
            assert_true(((const float *)y.data)[k] == -numbers[first[i] + k]);
        }
    }
}

// The length of a range, as int32.
static void range__takes_its_limit_of_the_run_as_int32(void **state) {
    flow_fixture *f = *state;
    static const int32_t zero = 0;
    static const int32_t two = 2;
    onnx_input(&f->b, "limit", TN_DTYPE_INT32, 0, NULL);
    onnx_initializer(&f->b, "zero", TN_DTYPE_INT32, 0, NULL, &zero, sizeof(zero));
    onnx_initializer(&f->b, "two", TN_DTYPE_INT32, 0, NULL, &two, sizeof(two));
    onnx_node(&f->b, "Range", "zero,limit,two", "r");
    onnx_node(&f->b, "Add", "r,r", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    for (int32_t limit = -1; limit < 8; limit++) {
        flow_put(f, 0, &limit, sizeof(limit));
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        assert_int_equal(y.dims[0], limit < 0 ? 0 : (limit + 1) / 2);
        for (int64_t k = 0; k < y.dims[0]; k++) {
            assert_int_equal(((const int32_t *)y.data)[k], 4 * k);
        }
    }
}

// h' = h + x[0] + x[1] + ..., with every partial sum, over runs of several lengths.
static void scan__carries_the_state_of_the_request_on(void **state) {
    flow_fixture *f = *state;
    static const int64_t rows[] = {-2, 4};
    static const int64_t lengths[] = {2, 1, 3};
    onnx_builder body;
    pb graph;
    float sums[4] = {0.0f};
    float kept[4];
    onnx_begin_graph(&body);
    onnx_input(&body, "before", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&body, "row", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&body, "Add", "before,row", "after");
    onnx_node(&body, "Identity", "after", "seen");
    onnx_output(&body, "after", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&body, "seen", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, rows);
    onnx_input(&f->b, "h", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Scan", "h,x", "next,all");
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output(&f->b, "next", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&f->b, "all", TN_DTYPE_FLOAT, 2, rows);
    flow_compile_on(f, "reference:cpu");
    tn_state_config pair;
    tn_state_config_init(&pair);
    pair.input = 1;
    pair.output = 0;
    f->config.states = &pair;
    f->config.state_count = 1;
    flow_must(f, tn_request_create(f->compiled, &f->config, &f->request, &f->error));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        float x[12];
        const int64_t dims[] = {lengths[i], 4};
        const tn_input_shape shape = {0, 2, dims};
        for (int64_t k = 0; k < 4 * lengths[i]; k++) {
            x[k] = (float)(k * 5 % 7);
        }
        flow_must(f, tn_request_prepare(f->request, &shape, 1, &f->error));
        flow_put(f, 0, x, (uint64_t)(4 * lengths[i]) * sizeof(float));
        flow_run(f);
        const float *all = flow_output(f, 1).data;
        for (int64_t k = 0; k < 4 * lengths[i]; k++) {
            sums[k % 4] += x[k];
            assert_true(all[k] == sums[k % 4]);
        }
        flow_must(f, tn_request_state_read(f->request, 0, kept, sizeof(kept)));
        assert_memory_equal(kept, sums, sizeof(sums));
    }
}

// Scan of opset 8, whose operands have a batch in front: sums the rows of every sequence, backwards
// where asked to. The sequence input has three rows of two.
static void build_batches(flow_fixture *f, int64_t backwards) {
    static const int64_t row[] = {2};
    static const int64_t state[] = {3, 2};
    static const int64_t rows[] = {3, 3, 2};
    static const int64_t three[] = {3};
    onnx_builder body;
    pb graph;
    onnx_abandon(&f->b);
    onnx_begin(&f->b, 8);
    onnx_begin_graph(&body);
    onnx_input(&body, "before", TN_DTYPE_FLOAT, 1, row);
    onnx_input(&body, "x", TN_DTYPE_FLOAT, 1, row);
    onnx_node(&body, "Add", "before,x", "after");
    onnx_node(&body, "Identity", "after", "seen");
    onnx_output(&body, "after", TN_DTYPE_FLOAT, 1, row);
    onnx_output(&body, "seen", TN_DTYPE_FLOAT, 1, row);
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "lengths", TN_DTYPE_INT64, 1, three);
    onnx_input(&f->b, "h", TN_DTYPE_FLOAT, 2, state);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, rows);
    onnx_node(&f->b, "Scan", "lengths,h,x", "last,all");
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_attr_ints(&f->b, "directions", 1, &backwards);
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "last");
    onnx_output_untyped(&f->b, "all");
}

static void scan__stops_where_each_sequence_ends(void **state) {
    flow_fixture *f = *state;
    static const int64_t lengths[] = {2, 0, 3};
    static const float h[] = {100.0f, 200.0f, 300.0f, 400.0f, 500.0f, 600.0f};
    float x[3][3][2];
    for (int i = 0; i < 18; i++) {
        x[i / 6][i / 2 % 3][i % 2] = (float)(i + 1);
    }
    for (int backwards = 0; backwards < 2; backwards++) {
        build_batches(f, backwards);
        flow_open_on(f, "reference:cpu");
        flow_put(f, 0, lengths, sizeof(lengths));
        flow_put(f, 1, h, sizeof(h));
        flow_put(f, 2, x, sizeof(x));
        flow_run(f);
        const float *last = flow_output(f, 0).data;
        const tn_tensor_view all = flow_output(f, 1);
        assert_int_equal(all.size_bytes, sizeof(x)); // as long as the input, zero behind the end
        for (int i = 0; i < 6; i++) {
            const int64_t length = lengths[i / 2];
            float sum = h[i];
            for (int64_t k = 0; k < 3; k++) {
                sum += k < length ? x[i / 2][backwards != 0 ? length - 1 - k : k][i % 2] : 0.0f;
                assert_true(((const float *)all.data)[i / 2 * 6 + k * 2 + i % 2] ==
                            (k < length ? sum : 0.0f));
            }
            assert_true(last[i] == sum);
        }
        flow_close(f);
        pb_free(&f->bytes);
    }
}

static void scan__refuses_lengths_that_cannot_be(void **state) {
    flow_fixture *f = *state;
    static const int64_t lengths[][3] = {{2, -1, 3}, {1, 4, 1}};
    static const float zeros[18] = {0.0f};
    build_batches(f, 0);
    flow_open_on(f, "reference:cpu");
    flow_put(f, 1, zeros, 6 * sizeof(float));
    flow_put(f, 2, zeros, sizeof(zeros));
    for (int i = 0; i < 2; i++) {
        flow_put(f, 0, lengths[i], sizeof(lengths[i]));
        assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
        assert_string_equal(f->error.id, "flow.scan");
    }
}

// The depth of OneHot may be of any type of number.
static void one_hot__takes_a_depth_of_the_run_as_float(void **state) {
    flow_fixture *f = *state;
    static const int64_t at[] = {1, -1, 0, 2};
    static const float off_on[] = {0.0f, 1.0f};
    static const float depths[] = {3.0f, 2.5f, 0.0f, 5.0f};
    onnx_input(&f->b, "at", TN_DTYPE_INT64, 1, four);
    onnx_input(&f->b, "depth", TN_DTYPE_FLOAT, 0, NULL);
    onnx_initializer(&f->b, "values", TN_DTYPE_FLOAT, 1, (const int64_t[]){2}, off_on,
                     sizeof(off_on));
    onnx_node(&f->b, "OneHot", "at,depth,values", "h");
    onnx_node(&f->b, "Neg", "h", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, at, sizeof(at));
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        const int64_t depth = (int64_t)depths[i];
        flow_put(f, 1, &depths[i], sizeof(depths[i]));
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        assert_int_equal(y.dims[0], 4);
        assert_int_equal(y.dims[1], depth);
        for (int64_t k = 0; k < 4 * depth; k++) {
            const int64_t hot = at[k / depth] < 0 ? at[k / depth] + depth : at[k / depth];
            assert_true(((const float *)y.data)[k] == (k % depth == hot ? -1.0f : 0.0f));
        }
    }
}

// The refusal of a run whose first input is this number.
static void expect_refusal(flow_fixture *f, float number, const char *id) {
    flow_put(f, 0, &number, sizeof(number));
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, id);
}

static void one_hot__refuses_a_depth_below_zero(void **state) {
    flow_fixture *f = *state;
    static const float off_on[] = {0.0f, 1.0f};
    static const int64_t at[] = {1, -1, 0, 2};
    onnx_input(&f->b, "depth", TN_DTYPE_FLOAT, 0, NULL);
    onnx_initializer(&f->b, "at", TN_DTYPE_INT64, 1, four, at, sizeof(at));
    onnx_initializer(&f->b, "values", TN_DTYPE_FLOAT, 1, (const int64_t[]){2}, off_on,
                     sizeof(off_on));
    onnx_node(&f->b, "OneHot", "at,depth,values", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    expect_refusal(f, -3.0f, "shape.depth");
    expect_refusal(f, (float)NAN, "shape.depth");
}

static void range__refuses_a_step_of_zero(void **state) {
    flow_fixture *f = *state;
    onnx_input(&f->b, "step", TN_DTYPE_FLOAT, 0, NULL);
    scalar(&f->b, "begin", 0.0f);
    scalar(&f->b, "end", 9.0f);
    onnx_node(&f->b, "Range", "begin,end,step", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    expect_refusal(f, 0.0f, "shape.step");
}

// Texts "ab", "", "c" as end offsets and characters.
typedef struct texts {
    uint64_t ends[4];
    char characters[3];
} texts;

static void sequence__of_strings_is_an_input(void **state) {
    flow_fixture *f = *state;
    static const texts abc = {{0, 2, 2, 3}, {'a', 'b', 'c'}};
    static const texts broken = {{0, 2, 1, 3}, {'a', 'b', 'c'}};
    static const int64_t three[] = {3};
    const uint64_t bytes = sizeof(abc.ends) + sizeof(abc.characters);
    tn_tensor_view views[2];
    onnx_input_sequence(&f->b, "s", TN_DTYPE_STRING);
    onnx_input(&f->b, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_node(&f->b, "SequenceAt", "s,i", "y");
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    for (int i = 0; i < 2; i++) {
        views[i] = (tn_tensor_view){.struct_size = sizeof(views[i]),
                                    .struct_type = TN_STRUCT_TENSOR_VIEW,
                                    .dtype = TN_DTYPE_STRING,
                                    .rank = 1,
                                    .dims = three};
    }
    uint64_t none[4] = {0};
    views[0].data = none;
    views[0].size_bytes = sizeof(none);
    texts copy = broken;
    views[1].data = &copy;
    views[1].size_bytes = bytes;
    assert_int_equal(tn_request_write_elements(f->request, 0, views, 2, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f->error.id, "request.element");
    copy = abc;
    flow_must(f, tn_request_write_elements(f->request, 0, views, 2, &f->error));
    copy = broken; // what was written is the request's own
    for (int64_t i = 0; i < 2; i++) {
        flow_put(f, 1, &i, sizeof(i));
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        assert_int_equal(y.dtype, TN_DTYPE_STRING);
        assert_int_equal(y.size_bytes, i == 0 ? sizeof(none) : bytes);
        assert_memory_equal(y.data, i == 0 ? (const void *)none : (const void *)&abc, y.size_bytes);
    }
}

// The refusal of a run over 5 elements, cut as split says.
static void expect_bad_split(flow_fixture *f, const int64_t split[2], const char *text) {
    static const float x[5] = {1, 2, 3, 4, 5};
    flow_put(f, 0, x, sizeof(x));
    flow_put(f, 1, split, 2 * sizeof(*split));
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "flow.split");
    assert_non_null(strstr(f->error.text, text));
}

static void split_to_sequence__says_which_sizes_cannot_be(void **state) {
    flow_fixture *f = *state;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){5});
    onnx_input(&f->b, "split", TN_DTYPE_INT64, 1, (const int64_t[]){2});
    onnx_node(&f->b, "SplitToSequence", "x,split", "s");
    onnx_node(&f->b, "ConcatFromSequence", "s", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    expect_bad_split(f, (const int64_t[]){2, 2}, "all pieces together take 4 of 5");
    expect_bad_split(f, (const int64_t[]){2, 4}, "a piece takes 4 of 3");
    expect_bad_split(f, (const int64_t[]){6, -1}, "a piece takes 6 of 5");
    expect_bad_split(f, (const int64_t[]){-1, 6}, "a piece takes -1 of 5");
}

static void concat_from_sequence__says_which_tensor_does_not_fit(void **state) {
    flow_fixture *f = *state;
    static const float x[5] = {1, 2, 3, 4, 5};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){5});
    onnx_input(&f->b, "split", TN_DTYPE_INT64, 1, (const int64_t[]){2});
    onnx_node(&f->b, "SplitToSequence", "x,split", "s");
    onnx_node(&f->b, "ConcatFromSequence", "s", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_attr_int(&f->b, "new_axis", 1);
    onnx_output_untyped(&f->b, "y");
    flow_open_on(f, "reference:cpu");
    flow_put(f, 0, x, sizeof(x));
    flow_put(f, 1, (const int64_t[]){2, 3}, 2 * sizeof(int64_t));
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "flow.join");
    assert_non_null(strstr(f->error.text, "no tensor like the first is 1 of 2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(clip__in_a_nested_body_has_one_bound),
        FLOW_CASE(slice__takes_bounds_of_the_run_as_int32),
        FLOW_CASE(range__takes_its_limit_of_the_run_as_int32),
        FLOW_CASE(one_hot__takes_a_depth_of_the_run_as_float),
        FLOW_CASE(one_hot__refuses_a_depth_below_zero),
        FLOW_CASE(range__refuses_a_step_of_zero),
        FLOW_CASE(scan__carries_the_state_of_the_request_on),
        FLOW_CASE(scan__stops_where_each_sequence_ends),
        FLOW_CASE(scan__refuses_lengths_that_cannot_be),
        FLOW_CASE(sequence__of_strings_is_an_input),
        FLOW_CASE(split_to_sequence__says_which_sizes_cannot_be),
        FLOW_CASE(concat_from_sequence__says_which_tensor_does_not_fit),
    };
    return cmocka_run_group_tests_name("flow_operands", tests, NULL, NULL);
}
