// SPDX-License-Identifier: Apache-2.0
// Operands where control flow meets the rest: absent ones in nested bodies, sizes as int32, and
// state of the request that a Scan carries on.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(clip__in_a_nested_body_has_one_bound),
        FLOW_CASE(slice__takes_bounds_of_the_run_as_int32),
        FLOW_CASE(range__takes_its_limit_of_the_run_as_int32),
        FLOW_CASE(scan__carries_the_state_of_the_request_on),
    };
    return cmocka_run_group_tests_name("flow_operands", tests, NULL, NULL);
}
