// SPDX-License-Identifier: Apache-2.0
// Expansions compute what their ops are defined to: a tiny interpreter runs them over a [2, 3]
// tensor.
#include "graph/rewrite/rewrite.h"
#include "unit/graph/model_fixture.h"

#include <math.h>
#include <string.h>

#define ROWS 2u
#define COLUMNS 3u

static const int64_t x_dims[2] = {ROWS, COLUMNS};
static const int64_t columns[1] = {COLUMNS};
static const double x_values[ROWS][COLUMNS] = {{-1.5, 0.25, 3.0}, {0.5, 0.75, -2.0}};

// Every value is kept as a full [2, 3] array, broadcast where it is smaller.
typedef struct {
    double at[ROWS][COLUMNS];
} tensor;

static tensor load_constant(model_fixture *f, uint32_t value) {
    tensor result;
    float numbers[COLUMNS] = {0.0f};
    const uint32_t id = f->model->values[value].constant;
    const tni_constant *constant = &f->model->constants[id];
    assert_int_equal(constant->dtype, TN_DTYPE_FLOAT);
    assert_true(constant->size_bytes <= sizeof numbers);
    must(f, tni_constant_read(f->model, id, 0, constant->size_bytes, numbers, &f->error));
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t c = 0; c < COLUMNS; c++) {
            result.at[r][c] = (double)numbers[constant->element_count == 1 ? 0 : c];
        }
    }
    return result;
}

static double compute(const tni_node *node, double a, double b) {
    static const struct {
        const char *op_type;
        double (*unary)(double);
    } unary[] = {{"Sqrt", sqrt}, {"Erf", erf}, {"Tanh", tanh}};
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++) {
        if (tni_node_is(node, unary[i].op_type)) {
            return unary[i].unary(a);
        }
    }
    if (tni_node_is(node, "Reciprocal")) {
        return 1.0 / a;
    }
    if (tni_node_is(node, "Add")) {
        return a + b;
    }
    if (tni_node_is(node, "Sub")) {
        return a - b;
    }
    if (tni_node_is(node, "Mul")) {
        return a * b;
    }
    assert_true(tni_node_is(node, "Div"));
    return a / b;
}

static tensor run_node(const tni_node *node, const tensor *values) {
    tensor result;
    const tensor *a = &values[node->inputs[0]];
    const tensor *b = node->input_count > 1 ? &values[node->inputs[1]] : a;
    for (uint32_t r = 0; r < ROWS; r++) {
        const double mean = (a->at[r][0] + a->at[r][1] + a->at[r][2]) / (double)COLUMNS;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            result.at[r][c] =
                tni_node_is(node, "ReduceMean") ? mean : compute(node, a->at[r][c], b->at[r][c]);
        }
    }
    return result;
}

// Runs the expansion of node 0 and returns its output i.
static tensor run_expansion(model_fixture *f, uint32_t output) {
    const tni_node *whole = node_at(f->model, 0);
    const tni_graph *graph = &f->model->graphs[whole->expansion];
    tensor *values = calloc(f->model->value_count, sizeof *values);
    assert_non_null(values);
    for (uint32_t i = 0; i < f->model->value_count; i++) {
        if (f->model->values[i].constant != TN_NONE &&
            f->model->values[i].dtype == TN_DTYPE_FLOAT) {
            values[i] = load_constant(f, i);
        }
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        values[graph->inputs[i]] = values[whole->inputs[i]];
    }
    memcpy(values[graph->inputs[0]].at, x_values, sizeof x_values);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const tni_node *node = &f->model->nodes[graph->nodes[i]];
        values[node->outputs[0]] = run_node(node, values);
    }
    const tensor result = values[graph->outputs[output]];
    free(values);
    return result;
}

static void make_layer_norm(model_fixture *f, uint32_t opset) {
    onnx_begin(&f->b, opset);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_initializer_floats(&f->b, "scale", 1, columns, 9);
    onnx_initializer_floats(&f->b, "bias", 1, columns, 4);
    onnx_node(&f->b, "LayerNormalization", "x,scale,bias", "y,mean,inverse");
    onnx_attr_float(&f->b, "epsilon", 0.125f);
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "mean");
    onnx_output_untyped(&f->b, "inverse");
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static void layer_norm__is_the_definition(model_fixture *f, uint32_t opset) {
    make_layer_norm(f, opset);
    const tensor y = run_expansion(f, 0);
    const tensor mean_out = run_expansion(f, 1);
    const tensor inverse_out = run_expansion(f, 2);
    for (uint32_t r = 0; r < ROWS; r++) {
        const double *x = x_values[r];
        const double mean = (x[0] + x[1] + x[2]) / 3.0;
        double variance = 0.0;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            variance += (x[c] - mean) * (x[c] - mean) / 3.0;
        }
        const double inverse = 1.0 / sqrt(variance + 0.125);
        for (uint32_t c = 0; c < COLUMNS; c++) {
            const double scale = (9 + c) / 8.0 - 1.0;
            const double bias = (4 + c) / 8.0 - 1.0;
            const double expected = (x[c] - mean) * inverse * scale + bias;
            assert_true(fabs(y.at[r][c] - expected) < 1e-12);
            assert_true(fabs(mean_out.at[r][c] - mean) < 1e-12);
            assert_true(fabs(inverse_out.at[r][c] - inverse) < 1e-12);
        }
    }
}

static void layer_norm__before_axes_were_operands(void **state) {
    layer_norm__is_the_definition(*state, 17);
}

static void layer_norm__with_axes_as_operand(void **state) {
    layer_norm__is_the_definition(*state, 20);
}

static void run_gelu(model_fixture *f, const char *approximate) {
    onnx_begin(&f->b, 20);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_node(&f->b, "Gelu", "x", "y");
    onnx_attr_text(&f->b, "approximate", approximate);
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    const tensor y = run_expansion(f, 0);
    const bool is_tanh = strcmp(approximate, "tanh") == 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t c = 0; c < COLUMNS; c++) {
            const double x = x_values[r][c];
            const double inner = is_tanh ? tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x))
                                         : erf(x / sqrt(2.0));
            // The constants are binary32.
            assert_true(fabs(y.at[r][c] - 0.5 * x * (1.0 + inner)) < 1e-6);
        }
    }
}

static void gelu__is_the_definition(void **state) {
    run_gelu(*state, "none");
}

static void gelu__approximates_with_tanh(void **state) {
    run_gelu(*state, "tanh");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(layer_norm__before_axes_were_operands),
        MODEL_CASE(layer_norm__with_axes_as_operand),
        MODEL_CASE(gelu__is_the_definition),
        MODEL_CASE(gelu__approximates_with_tanh),
    };
    return cmocka_run_group_tests_name("graph_expand", tests, NULL, NULL);
}
