// SPDX-License-Identifier: Apache-2.0
// The canonical graph: what goes, what folds, what is expanded, and that the numbers stay the same.
#include "graph/rewrite/rewrite.h"
#include "unit/graph/model_fixture.h"

#include <math.h>
#include <string.h>

static const int64_t two[1] = {2};
static const int64_t x_dims[2] = {2, 3};

static void begin(model_fixture *f) {
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
}

static void canonicalise(model_fixture *f) {
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    must(f, tni_model_validate(f->model, &f->error));
}

static uint32_t node_count(const model_fixture *f) {
    return f->model->graphs[0].node_count;
}

// Reads all of the constant behind an input of a node.
static void read_operand(model_fixture *f, const tni_node *node, uint32_t input, void *out,
                         uint64_t size_bytes) {
    const tni_constant *constant = tni_node_constant(f->model, node, input);
    assert_non_null(constant);
    assert_int_equal(constant->size_bytes, size_bytes);
    must(f, tni_constant_read(f->model, (uint32_t)(constant - f->model->constants), 0, size_bytes,
                              out, &f->error));
}

static void noops__go(void **state) {
    static const int64_t identity[2] = {0, 1};
    static const int64_t keep[2] = {0, -1};
    model_fixture *f = *state;
    begin(f);
    onnx_initializer_ints(&f->b, "keep", 2, keep);
    onnx_node(&f->b, "Identity", "x", "a");
    onnx_node(&f->b, "Dropout", "a", "b");
    onnx_node(&f->b, "Cast", "b", "c");
    onnx_attr_int(&f->b, "to", TN_DTYPE_FLOAT);
    onnx_node(&f->b, "Relu", "c", "d");
    onnx_node(&f->b, "Reshape", "d,keep", "e");
    onnx_node(&f->b, "Transpose", "e", "g");
    onnx_attr_ints(&f->b, "perm", 2, identity);
    onnx_node(&f->b, "Concat", "g", "y");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 2, x_dims);
    canonicalise(f);
    assert_int_equal(node_count(f), 1);
    const tni_node *relu = node_at(f->model, 0);
    assert_true(tni_node_is(relu, "Relu"));
    assert_int_equal(relu->inputs[0], f->model->graphs[0].inputs[0]);
    // The output keeps its name although its node went.
    assert_int_equal(f->model->graphs[0].outputs[0], relu->outputs[0]);
    assert_true(tni_string_is(f->model->values[relu->outputs[0]].name, "y"));
}

static void noops__that_change_something_stay(void **state) {
    static const int64_t swap[2] = {1, 0};
    static const int64_t flat[1] = {-1};
    model_fixture *f = *state;
    begin(f);
    onnx_initializer_ints(&f->b, "flat", 1, flat);
    onnx_initializer(&f->b, "train", TN_DTYPE_BOOL, 0, NULL, "\x01", 1);
    onnx_node(&f->b, "Transpose", "x", "a");
    onnx_attr_ints(&f->b, "perm", 2, swap);
    onnx_node(&f->b, "Dropout", "a,,train", "b");
    onnx_node(&f->b, "Cast", "b", "c");
    onnx_attr_int(&f->b, "to", TN_DTYPE_DOUBLE);
    onnx_node(&f->b, "Reshape", "c,flat", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 4);
}

static void dead_nodes__go(void **state) {
    model_fixture *f = *state;
    begin(f);
    onnx_node(&f->b, "Exp", "x", "unused");
    onnx_node(&f->b, "Neg", "unused", "unused_too");
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 1);
}

static void outputs__are_always_made_by_a_node(void **state) {
    model_fixture *f = *state;
    begin(f);
    onnx_initializer_floats(&f->b, "w", 1, two, 0);
    onnx_node(&f->b, "Identity", "x", "same");
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_node(&f->b, "Identity", "y", "z");
    onnx_output_untyped(&f->b, "same");
    onnx_output_untyped(&f->b, "w");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "z");
    canonicalise(f);
    static const char *const names[4] = {"same", "w", "y", "z"};
    const tni_graph *graph = &f->model->graphs[0];
    for (uint32_t i = 0; i < 4; i++) {
        const tni_value *value = &f->model->values[graph->outputs[i]];
        assert_true(tni_string_is(value->name, names[i]));
        assert_int_not_equal(value->producer, TN_NONE);
        for (uint32_t k = 0; k < i; k++) {
            assert_int_not_equal(graph->outputs[i], graph->outputs[k]);
        }
    }
    assert_int_equal(node_count(f), 4);
}

static void fold__follows_shape_arithmetic(void **state) {
    static const int64_t dims[3] = {-2, 6, 4};
    static const int64_t zero[1] = {0};
    static const int64_t rest[1] = {-1};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_initializer_ints(&f->b, "zero", 1, zero);
    onnx_initializer_ints(&f->b, "rest", 1, rest);
    onnx_node(&f->b, "Shape", "x", "s");
    onnx_node(&f->b, "Gather", "s,zero", "n");
    onnx_node(&f->b, "Concat", "n,rest", "target");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_node(&f->b, "Reshape", "x,target", "y");
    onnx_node(&f->b, "Shape", "y", "t");
    onnx_node(&f->b, "Gather", "t,rest", "last");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "last");
    canonicalise(f);
    const tni_value *y = &f->model->values[f->model->graphs[0].outputs[0]];
    assert_int_equal(y->rank, 2);
    // Symbol A went through Shape, Gather, Concat and Reshape; the rest is 6 * 4.
    assert_true(tni_string_is(f->model->symbols[y->dims[0].symbol].name, "A"));
    assert_int_equal(y->dims[1].size, 24);
    // The last dimension is a number, although the first one is not known: a folded constant,
    // behind the Identity that every output has.
    int64_t last = 0;
    const tni_node *identity =
        &f->model->nodes[f->model->values[f->model->graphs[0].outputs[1]].producer];
    assert_true(tni_node_is(identity, "Identity"));
    read_operand(f, identity, 0, &last, sizeof last);
    assert_int_equal(last, 24);
}

static void fold__computes_small_arithmetic(void **state) {
    const float a[2] = {3.0f, 16.0f};
    const int64_t column[2] = {2, 1};
    model_fixture *f = *state;
    begin(f);
    onnx_initializer(&f->b, "a", TN_DTYPE_FLOAT, 2, column, a, sizeof a);
    onnx_initializer_floats(&f->b, "b", 2, x_dims, 9); // 0.125 0.25 ... 0.75
    onnx_node(&f->b, "Sqrt", "a", "r");
    onnx_node(&f->b, "Div", "b,r", "q");
    onnx_node(&f->b, "Add", "x,q", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 1);
    float actual[6];
    read_operand(f, node_at(f->model, 0), 1, actual, sizeof actual);
    for (int i = 0; i < 6; i++) {
        const float b = (float)(9 + i) / 8.0f - 1.0f;
        assert_true(actual[i] == b / sqrtf(a[i / 3]));
    }
}

static void fold__keeps_large_weights_as_recipes(void **state) {
    static const int64_t dims[2] = {300, 200};
    static const int64_t perm[2] = {1, 0};
    const int64_t x[2] = {1, 200};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x);
    onnx_initializer_floats(&f->b, "w", 2, dims, 0);
    onnx_node(&f->b, "Transpose", "w", "t");
    onnx_attr_ints(&f->b, "perm", 2, perm);
    onnx_node(&f->b, "MatMul", "x,t", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 1);
    const tni_constant *t = tni_node_constant(f->model, node_at(f->model, 0), 1);
    assert_int_equal(t->kind, TNI_CONSTANT_RECIPE);
    float element = 0.0f;
    must(f,
         tni_constant_read(f->model, (uint32_t)(t - f->model->constants),
                           (7 * 300 + 11) * sizeof element, sizeof element, &element, &f->error));
    assert_true(element == (float)((11 * 200 + 7) % 17) / 8.0f - 1.0f);
}

static void fold__leaves_dequantize_unless_asked(void **state) {
    const float scale = 0.5f;
    model_fixture *f = *state;
    begin(f);
    onnx_initializer(&f->b, "q", TN_DTYPE_INT8, 2, x_dims, "\x01\x02\x03\xff\xfe\xfd", 6);
    onnx_initializer(&f->b, "scale", TN_DTYPE_FLOAT, 0, NULL, &scale, sizeof scale);
    onnx_node(&f->b, "DequantizeLinear", "q,scale", "w");
    onnx_node(&f->b, "Add", "x,w", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 2);
    const tni_rewrite_info info = {.fold_dequantize = true};
    float actual[6];
    const float expected[6] = {0.5f, 1.0f, 1.5f, -0.5f, -1.0f, -1.5f};
    must(f, tni_model_canonicalise(f->model, &info, &f->error));
    assert_int_equal(node_count(f), 1);
    read_operand(f, node_at(f->model, 0), 1, actual, sizeof actual);
    assert_memory_equal(actual, expected, sizeof expected);
}

static void fold__dequantizes_by_blocks(void **state) {
    // Two rows of three in blocks of two: the third column has scales of its own.
    static const int64_t scale_dims[2] = {2, 2};
    static const float scales[4] = {0.5f, 2.0f, 1.0f, 4.0f};
    static const float expected[6] = {0.0f, 0.5f, 4.0f, -2.0f, -3.0f, -16.0f};
    model_fixture *f = *state;
    onnx_begin(&f->b, 21);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_initializer(&f->b, "q", TN_DTYPE_INT8, 2, x_dims, "\x01\x02\x03\xff\xfe\xfd", 6);
    onnx_initializer(&f->b, "scale", TN_DTYPE_FLOAT, 2, scale_dims, scales, sizeof scales);
    onnx_initializer(&f->b, "zero", TN_DTYPE_INT8, 2, scale_dims, "\x01\x01\x01\x01", 4);
    onnx_node(&f->b, "DequantizeLinear", "q,scale,zero", "w");
    onnx_attr_int(&f->b, "axis", 1);
    onnx_attr_int(&f->b, "block_size", 2);
    onnx_node(&f->b, "Add", "x,w", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    const tni_rewrite_info info = {.fold_dequantize = true};
    float actual[6];
    must(f, tni_model_canonicalise(f->model, &info, &f->error));
    assert_int_equal(node_count(f), 1);
    read_operand(f, node_at(f->model, 0), 1, actual, sizeof actual);
    assert_memory_equal(actual, expected, sizeof expected);
}

static void fold__casts_to_integers_that_fit(void **state) {
    static const float numbers[6] = {1.9f, -1.9f, 0.0f, 127.0f, -128.0f, 5.0f};
    static const int8_t expected[6] = {1, -1, 0, 127, -128, 5};
    static const float beyond[6] = {1, 2, 3, 4, 5, 128.0f};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_INT8, 2, x_dims);
    onnx_initializer(&f->b, "a", TN_DTYPE_FLOAT, 2, x_dims, numbers, sizeof numbers);
    onnx_initializer(&f->b, "b", TN_DTYPE_FLOAT, 2, x_dims, beyond, sizeof beyond);
    onnx_node(&f->b, "Cast", "a", "ai");
    onnx_attr_int(&f->b, "to", TN_DTYPE_INT8);
    onnx_node(&f->b, "Cast", "b", "bi");
    onnx_attr_int(&f->b, "to", TN_DTYPE_INT8);
    onnx_node(&f->b, "Add", "x,ai", "s");
    onnx_node(&f->b, "Add", "s,bi", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    // What does not fit stays a Cast, and so the plugin's to say.
    assert_int_equal(node_count(f), 3);
    int8_t actual[6] = {0};
    for (uint32_t i = 0; i < f->model->graphs[0].node_count; i++) {
        const tni_node *node = &f->model->nodes[f->model->graphs[0].nodes[i]];
        if (!node->removed && tni_node_is(node, "Add") &&
            tni_node_constant(f->model, node, 1) != NULL) {
            read_operand(f, node, 1, actual, sizeof actual);
        }
    }
    assert_memory_equal(actual, expected, sizeof expected);
}

static void batch_norm__folds_into_the_convolution(void **state) {
    model_fixture *f = *state;
    onnx_model_classifier(&f->bytes, 1, 8);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    must(f, tni_model_validate(f->model, &f->error));
    assert_int_equal(node_count(f), 8);
    const tni_node *conv = node_at(f->model, 0);
    assert_true(tni_node_is(conv, "Conv"));
    assert_int_equal(conv->input_count, 3);
    assert_true(tni_node_is(node_at(f->model, 1), "Relu"));
    assert_int_equal(node_at(f->model, 1)->inputs[0], conv->outputs[0]);
    static const float variance[8] = {0.5f, 1.0f, 1.5f, 2.0f, 0.25f, 0.75f, 1.25f, 3.0f};
    float weight[8 * 27];
    float bias[8];
    read_operand(f, conv, 1, weight, sizeof weight);
    read_operand(f, conv, 2, bias, sizeof bias);
    for (size_t c = 0; c < 8; c++) {
        const double gamma = (double)((3 + c) % 17) / 8.0 - 1.0;
        const double beta = (double)((4 + c) % 17) / 8.0 - 1.0;
        const double mean = (double)((5 + c) % 17) / 8.0 - 1.0;
        const double factor = gamma / sqrt((double)variance[c] + (double)1e-5f);
        assert_true(bias[c] == (float)(beta - mean * factor));
        for (size_t i = 0; i < 27; i++) {
            const double w = (double)((1 + c * 27 + i) % 17) / 8.0 - 1.0;
            assert_true(weight[c * 27 + i] == (float)(w * factor));
        }
    }
}

static void batch_norm__stays_when_the_convolution_is_shared(void **state) {
    static const int64_t dims[4] = {1, 2, 4, 4};
    static const int64_t w_dims[4] = {2, 2, 1, 1};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 4, dims);
    onnx_initializer_floats(&f->b, "w", 4, w_dims, 0);
    onnx_initializer_floats(&f->b, "p", 1, two, 9);
    onnx_node(&f->b, "Conv", "x,w", "c");
    onnx_node(&f->b, "BatchNormalization", "c,p,p,p,p", "n");
    onnx_node(&f->b, "Add", "c,n", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 3);
}

static void batch_norm__chains_fold_only_where_alone(void **state) {
    static const int64_t dims[4] = {1, 2, 4, 4};
    static const int64_t w_dims[4] = {2, 2, 1, 1};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 4, dims);
    onnx_initializer_floats(&f->b, "w", 4, w_dims, 0);
    onnx_initializer_floats(&f->b, "p", 1, two, 9);
    onnx_node(&f->b, "Conv", "x,w", "c");
    onnx_node(&f->b, "BatchNormalization", "c,p,p,p,p", "n");
    // The first normalisation has two readers: it folds, the second one must not.
    onnx_node(&f->b, "BatchNormalization", "n,p,p,p,p", "m");
    onnx_node(&f->b, "Add", "n,m", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    assert_int_equal(node_count(f), 3);
    assert_true(tni_node_is(node_at(f->model, 1), "BatchNormalization"));
}

static void expand__gives_function_ops_a_graph(void **state) {
    static const int64_t three[1] = {3};
    model_fixture *f = *state;
    onnx_begin(&f->b, 20);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_initializer_floats(&f->b, "scale", 1, three, 9);
    onnx_node(&f->b, "LayerNormalization", "x,scale", "n");
    onnx_node(&f->b, "Gelu", "n", "y");
    onnx_output_untyped(&f->b, "y");
    canonicalise(f);
    const tni_node *norm = node_at(f->model, 0);
    const tni_node *gelu = node_at(f->model, 1);
    assert_int_not_equal(norm->expansion, TN_NONE);
    assert_int_not_equal(gelu->expansion, TN_NONE);
    const tni_graph *graph = &f->model->graphs[norm->expansion];
    assert_true(graph->is_expansion);
    assert_int_equal(graph->input_count, 2);
    assert_int_equal(graph->output_count, 1);
    assert_int_equal(graph->node_count, 8);
    // Opset 20 takes the axes of ReduceMean as an operand.
    assert_int_equal(f->model->nodes[graph->nodes[0]].since_version, 18);
    assert_int_equal(f->model->nodes[graph->nodes[0]].input_count, 2);
    const tni_value *inner = &f->model->values[graph->outputs[0]];
    assert_int_equal(inner->rank, 2);
    assert_int_equal(inner->dims[1].size, 3);
    assert_int_equal(inner->dtype, TN_DTYPE_FLOAT);
}

static void expand__leaves_absent_outputs_out(void **state) {
    static const int64_t three[1] = {3};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT16, 2, x_dims);
    onnx_initializer(&f->b, "scale", TN_DTYPE_FLOAT16, 1, three, "\0\x3c\0\x3c\0\x3c", 6);
    onnx_node(&f->b, "LayerNormalization", "x,scale,scale", "y,,deviation");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "deviation");
    canonicalise(f);
    const tni_node *norm = node_at(f->model, 0);
    const tni_graph *graph = &f->model->graphs[norm->expansion];
    assert_int_equal(graph->output_count, 3);
    assert_int_equal(graph->outputs[1], TN_NONE);
    // The statistics are binary32, the result is what the input was.
    assert_int_equal(f->model->values[graph->outputs[0]].dtype, TN_DTYPE_FLOAT16);
    assert_int_equal(f->model->values[graph->outputs[2]].dtype, TN_DTYPE_FLOAT);
    assert_int_equal(f->model->values[norm->outputs[2]].dtype, TN_DTYPE_FLOAT);
    assert_int_equal(f->model->values[norm->outputs[2]].dims[1].size, 1);
}

static void canonicalise__reports_contradictions(void **state) {
    static const int64_t four[1] = {4};
    model_fixture *f = *state;
    begin(f);
    onnx_initializer_floats(&f->b, "w", 1, four, 0);
    onnx_node(&f->b, "Add", "x,w", "y");
    onnx_node_name(&f->b, "broken");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    assert_int_equal(tni_model_canonicalise(f->model, NULL, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "shape.broadcast");
    assert_int_equal(f->error.node_index, 0);
    assert_int_equal(f->error.value_index, value_named(f->model, "w"));
    assert_non_null(strstr(f->error.text, "'broken'"));
    assert_non_null(strstr(f->error.text, "'w' [4]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(noops__go),
        MODEL_CASE(noops__that_change_something_stay),
        MODEL_CASE(dead_nodes__go),
        MODEL_CASE(outputs__are_always_made_by_a_node),
        MODEL_CASE(fold__follows_shape_arithmetic),
        MODEL_CASE(fold__computes_small_arithmetic),
        MODEL_CASE(fold__keeps_large_weights_as_recipes),
        MODEL_CASE(fold__leaves_dequantize_unless_asked),
        MODEL_CASE(fold__dequantizes_by_blocks),
        MODEL_CASE(fold__casts_to_integers_that_fit),
        MODEL_CASE(batch_norm__folds_into_the_convolution),
        MODEL_CASE(batch_norm__stays_when_the_convolution_is_shared),
        MODEL_CASE(batch_norm__chains_fold_only_where_alone),
        MODEL_CASE(expand__gives_function_ops_a_graph),
        MODEL_CASE(expand__leaves_absent_outputs_out),
        MODEL_CASE(canonicalise__reports_contradictions),
    };
    return cmocka_run_group_tests_name("graph_rewrite", tests, NULL, NULL);
}
