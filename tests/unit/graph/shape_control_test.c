// SPDX-License-Identifier: Apache-2.0
// Shapes through the bodies of If, Loop and Scan, and the kinds of sequences and optionals.
#include "graph/shape/shape.h"
#include "unit/graph/model_fixture.h"

static const tni_value *value_of(const model_fixture *f, const char *name) {
    return &f->model->values[value_named(f->model, name)];
}

// Adds the inputs of a Loop's body: iteration, condition and one carried value without a shape.
static void begin_loop_body(onnx_builder *body) {
    onnx_begin_graph(body);
    onnx_input(body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(body, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(body, "v", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    onnx_node(body, "Identity", "c", "c1");
    onnx_output(body, "c1", TN_DTYPE_BOOL, 0, NULL);
}

// A model with x: [A, 4] and a Loop over the body: y is carried, z is collected.
static void finish_loop(model_fixture *f, onnx_builder *body) {
    static const int64_t dims[2] = {-2, 4};
    static const int64_t trips[1] = {3};
    pb graph;
    onnx_end_graph(body, &graph);
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, dims);
    onnx_initializer_ints(&f->b, "m", 1, trips);
    onnx_node(&f->b, "Loop", "m,,x", "y,z");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "z");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
}

static void loop__keeps_the_shape_that_its_body_keeps(void **state) {
    model_fixture *f = *state;
    onnx_builder body;
    begin_loop_body(&body);
    onnx_node(&body, "Relu", "v", "v1");
    onnx_node(&body, "ReduceSum", "v1", "s");
    onnx_attr_int(&body, "keepdims", 0);
    onnx_output_untyped(&body, "v1");
    onnx_output_untyped(&body, "s");
    finish_loop(f, &body);
    const tni_value *y = value_of(f, "y");
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dtype, TN_DTYPE_FLOAT);
    assert_int_equal(y->dims[1].size, 4);
    assert_int_equal(y->dims[0].symbol, value_of(f, "x")->dims[0].symbol);
    // Collected scalars: one axis, as long as there are iterations.
    assert_int_equal(value_of(f, "z")->rank, 1);
    assert_int_equal(value_of(f, "z")->dims[0].size, -1);
}

static void loop__forgets_the_size_that_its_body_changes(void **state) {
    model_fixture *f = *state;
    onnx_builder body;
    begin_loop_body(&body);
    onnx_node(&body, "Concat", "v,v", "v1");
    onnx_attr_int(&body, "axis", 1);
    onnx_node(&body, "Identity", "v1", "s");
    onnx_output_untyped(&body, "v1");
    onnx_output_untyped(&body, "s");
    finish_loop(f, &body);
    const tni_value *y = value_of(f, "y");
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dims[1].size, -1);
    assert_int_equal(y->dims[0].symbol, value_of(f, "x")->dims[0].symbol);
    assert_int_equal(value_of(f, "z")->rank, 3);
}

static void loop__forgets_the_rank_that_its_body_changes(void **state) {
    static const int64_t axes[1] = {0};
    model_fixture *f = *state;
    onnx_builder body;
    begin_loop_body(&body);
    onnx_initializer_ints(&body, "axes", 1, axes);
    onnx_node(&body, "Unsqueeze", "v,axes", "v1");
    onnx_node(&body, "Identity", "v1", "s");
    onnx_output_untyped(&body, "v1");
    onnx_output_untyped(&body, "s");
    finish_loop(f, &body);
    assert_int_equal(value_of(f, "y")->rank, TN_RANK_UNKNOWN);
    assert_int_equal(value_of(f, "y")->dtype, TN_DTYPE_FLOAT);
}

static void scan__takes_an_axis_away_and_adds_it_again(void **state) {
    static const int64_t state_dims[1] = {4};
    static const int64_t dims[3] = {-2, 7, 4};
    static const int64_t second[1] = {1};
    model_fixture *f = *state;
    onnx_builder body;
    pb graph;
    onnx_begin_graph(&body);
    onnx_input(&body, "h", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    onnx_input(&body, "t", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    onnx_node(&body, "Identity", "h", "h1");
    onnx_node(&body, "Add", "h,t", "o");
    onnx_output_untyped(&body, "h1");
    onnx_output_untyped(&body, "o");
    onnx_end_graph(&body, &graph);
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "s", TN_DTYPE_FLOAT, 1, state_dims);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_node(&f->b, "Scan", "s,x", "y,z");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_attr_ints(&f->b, "scan_input_axes", 1, second);
    onnx_attr_ints(&f->b, "scan_output_axes", 1, second);
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "z");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    assert_int_equal(value_of(f, "y")->rank, 1);
    assert_int_equal(value_of(f, "y")->dims[0].size, 4);
    const tni_value *z = value_of(f, "z");
    assert_int_equal(z->rank, 3);
    assert_int_equal(z->dims[0].symbol, value_of(f, "x")->dims[0].symbol);
    assert_int_equal(z->dims[1].size, 7);
    assert_int_equal(z->dims[2].size, 4);
}

static void sequences__keep_the_type_of_their_elements(void **state) {
    static const int64_t dims[1] = {4};
    static const int64_t zero[1] = {0};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT16, 1, dims);
    onnx_initializer_ints(&f->b, "at", 1, zero);
    onnx_node(&f->b, "SequenceConstruct", "x,x", "s");
    onnx_node(&f->b, "SequenceAt", "s,at", "e");
    onnx_node(&f->b, "SequenceLength", "s", "n");
    onnx_node(&f->b, "Optional", "s", "o");
    onnx_node(&f->b, "OptionalGetElement", "o", "g");
    onnx_output_untyped(&f->b, "e");
    onnx_output_untyped(&f->b, "n");
    onnx_output_untyped(&f->b, "g");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    assert_int_equal(value_of(f, "s")->kind, TN_VALUE_SEQUENCE);
    assert_int_equal(value_of(f, "s")->dtype, TN_DTYPE_FLOAT16);
    assert_int_equal(value_of(f, "e")->kind, TN_VALUE_TENSOR);
    assert_int_equal(value_of(f, "e")->dtype, TN_DTYPE_FLOAT16);
    assert_int_equal(value_of(f, "n")->dtype, TN_DTYPE_INT64);
    assert_int_equal(value_of(f, "n")->rank, 0);
    assert_int_equal(value_of(f, "o")->kind, TN_VALUE_OPTIONAL_SEQUENCE);
    assert_int_equal(value_of(f, "g")->kind, TN_VALUE_SEQUENCE);
}

// An optional that is made empty has the type that its attribute says.
static void optional__takes_its_type_from_the_attribute(void **state) {
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_node(&f->b, "Optional", "", "o");
    onnx_attr_type(&f->b, "type", TN_VALUE_SEQUENCE, TN_DTYPE_FLOAT16);
    onnx_node(&f->b, "Optional", "", "p");
    onnx_attr_type(&f->b, "type", TN_VALUE_TENSOR, TN_DTYPE_INT8);
    onnx_output_untyped(&f->b, "o");
    onnx_output_untyped(&f->b, "p");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    assert_int_equal(value_of(f, "o")->kind, TN_VALUE_OPTIONAL_SEQUENCE);
    assert_int_equal(value_of(f, "o")->dtype, TN_DTYPE_FLOAT16);
    assert_int_equal(value_of(f, "p")->kind, TN_VALUE_OPTIONAL_TENSOR);
    assert_int_equal(value_of(f, "p")->dtype, TN_DTYPE_INT8);
    must(f, tni_model_validate(f->model, &f->error));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, model_set_up, model_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(loop__keeps_the_shape_that_its_body_keeps),
        CASE(loop__forgets_the_size_that_its_body_changes),
        CASE(loop__forgets_the_rank_that_its_body_changes),
        CASE(scan__takes_an_axis_away_and_adds_it_again),
        CASE(sequences__keep_the_type_of_their_elements),
        CASE(optional__takes_its_type_from_the_attribute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
