// SPDX-License-Identifier: Apache-2.0
// Copies of a shared DequantizeLinear: who gets one, what stays, and what a copy is like.
#include "graph/rewrite/rewrite.h"
#include "unit/graph/model_fixture.h"

static const int64_t dims[1] = {4};
static const float scale = 0.5f;
static const int8_t zero = 0;

static void begin(model_fixture *f) {
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "q", TN_DTYPE_INT8, 1, dims);
    onnx_initializer(&f->b, "s", TN_DTYPE_FLOAT, 0, NULL, &scale, sizeof scale);
    onnx_initializer(&f->b, "z", TN_DTYPE_INT8, 0, NULL, &zero, sizeof zero);
}

static void finish(model_fixture *f) {
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static bool split(model_fixture *f, const tni_map *wanted) {
    bool changed = false;
    must(f, tni_rewrite_split(f->model, wanted, &changed, &f->error));
    must(f, tni_model_validate(f->model, &f->error));
    return changed;
}

static uint32_t producer_of_input(const model_fixture *f, const char *output, uint32_t input) {
    const uint32_t node = f->model->values[value_named(f->model, output)].producer;
    return f->model->values[f->model->nodes[node].inputs[input]].producer;
}

// d = DequantizeLinear(q) is read by Relu, twice by Mul, and by Neg.
static void three_readers(model_fixture *f) {
    begin(f);
    onnx_node(&f->b, "DequantizeLinear", "q,s,z", "d");
    onnx_node_name(&f->b, "the one");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_node(&f->b, "Relu", "d", "a");
    onnx_node(&f->b, "Mul", "d,d", "b");
    onnx_node(&f->b, "Neg", "d", "c");
    onnx_output_untyped(&f->b, "a");
    onnx_output_untyped(&f->b, "b");
    onnx_output_untyped(&f->b, "c");
    finish(f);
}

static void split__gives_every_reader_its_own(void **state) {
    model_fixture *f = *state;
    three_readers(f);
    const uint32_t original = f->model->graphs[0].nodes[0];
    assert_true(split(f, NULL));
    assert_int_equal(f->model->graphs[0].node_count, 6);
    assert_int_equal(producer_of_input(f, "b", 0), producer_of_input(f, "b", 1));
    const uint32_t copies[2] = {producer_of_input(f, "a", 0), producer_of_input(f, "b", 0)};
    assert_int_not_equal(copies[0], copies[1]);
    assert_int_equal(producer_of_input(f, "c", 0), original);
    for (int i = 0; i < 2; i++) {
        const tni_node *copy = &f->model->nodes[copies[i]];
        const tni_value *value = &f->model->values[copy->outputs[0]];
        assert_int_equal(copy->expanded_from, original);
        assert_true(tni_string_is(copy->name, "the one"));
        assert_int_equal(tni_node_int(copy, "axis", 7), 0);
        assert_int_equal(copy->inputs[0], f->model->nodes[original].inputs[0]);
        assert_int_equal(value->dtype, TN_DTYPE_FLOAT);
        assert_int_equal(value->rank, 1);
        assert_int_equal(value->dims[0].size, 4);
    }
    assert_false(split(f, NULL));
}

static void split__copies_what_is_wanted(void **state) {
    model_fixture *f = *state;
    tni_map wanted;
    three_readers(f);
    const uint32_t original = f->model->graphs[0].nodes[0];
    const uint32_t mul = f->model->graphs[0].nodes[2];
    tni_map_init(&wanted, &f->allocator.alloc);
    assert_false(split(f, &wanted));
    must(f, tni_map_set_u64(&wanted, tni_reader_key(original, mul), 1));
    assert_true(split(f, &wanted));
    tni_map_deinit(&wanted);
    assert_int_equal(f->model->graphs[0].node_count, 5);
    assert_int_equal(producer_of_input(f, "a", 0), original);
    assert_int_equal(producer_of_input(f, "c", 0), original);
    assert_int_not_equal(producer_of_input(f, "b", 0), original);
}

// What a body reads from around it, and what is an output, is the original's.
static void split__leaves_bodies_and_outputs(void **state) {
    model_fixture *f = *state;
    onnx_builder body;
    pb graphs[2];
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&body);
        onnx_node(&body, i == 0 ? "Neg" : "Abs", "d", "r");
        onnx_output_untyped(&body, "r");
        onnx_end_graph(&body, &graphs[i]);
    }
    begin(f);
    onnx_input(&f->b, "which", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "DequantizeLinear", "q,s,z", "d");
    onnx_node(&f->b, "Relu", "d", "a");
    onnx_node(&f->b, "If", "which", "y");
    onnx_attr_graph(&f->b, "then_branch", &graphs[0]);
    onnx_attr_graph(&f->b, "else_branch", &graphs[1]);
    onnx_output_untyped(&f->b, "a");
    onnx_output_untyped(&f->b, "y");
    finish(f);
    const uint32_t original = f->model->graphs[0].nodes[0];
    assert_true(split(f, NULL));
    assert_int_equal(f->model->graphs[0].node_count, 4);
    assert_int_not_equal(producer_of_input(f, "a", 0), original);
}

// A copy inside of a call for a reader outside would keep the call from being one node.
static void split__stays_inside_of_calls(void **state) {
    model_fixture *f = *state;
    onnx_builder b;
    pb functions = {NULL, 0, 0};
    begin(f);
    onnx_opset(&f->b, "test.own", 1);
    onnx_node(&f->b, "Two", "q,s,z", "a,b,d");
    onnx_node_domain(&f->b, "test.own");
    onnx_node(&f->b, "Neg", "d", "c");
    onnx_output_untyped(&f->b, "a");
    onnx_output_untyped(&f->b, "b");
    onnx_output_untyped(&f->b, "c");
    onnx_begin_function(&b, "test.own", "Two", "q,s,z", "a,b,d");
    onnx_node(&b, "DequantizeLinear", "q,s,z", "d");
    onnx_node(&b, "Relu", "d", "a");
    onnx_node(&b, "Abs", "d", "b");
    onnx_end_function(&b, &functions);
    onnx_end(&f->b, &f->bytes);
    pb_append(&f->bytes, functions.data, functions.size);
    pb_free(&functions);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    const uint32_t original = f->model->graphs[0].nodes[0];
    assert_true(split(f, NULL));
    assert_int_equal(f->model->graphs[0].node_count, 6);
    assert_int_equal(producer_of_input(f, "c", 0), original);
    const uint32_t copy = producer_of_input(f, "a", 0);
    assert_int_not_equal(copy, original);
    assert_int_equal(f->model->nodes[copy].call, f->model->nodes[original].call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(split__gives_every_reader_its_own),
        MODEL_CASE(split__copies_what_is_wanted),
        MODEL_CASE(split__leaves_bodies_and_outputs),
        MODEL_CASE(split__stays_inside_of_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
