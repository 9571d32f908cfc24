// SPDX-License-Identifier: Apache-2.0
// Gradient against numeric differentiation: every rule alone, random graphs, derivatives of
// derivatives, values other than the named ones, and what is refused.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h needs the three above.
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAINING "ai.onnx.preview.training"
#define MAX_ELEMENTS 64u
#define STEP 1e-5

// y as a function of a and b. text: nodes "OP INPUTS OUTPUT", then attributes, separated by "; ".
typedef struct {
    const char *text;
    uint32_t ranks[2];
    int64_t dims[2][4];
    double low, high; // of the elements; both 0: -1.5 and 1.5
} function;

static const function functions[] = {
    {"Add a,b y", {2, 1}, {{2, 3}, {3}}, 0, 0},
    {"Sub a,b y", {2, 2}, {{2, 1}, {2, 3}}, 0, 0},
    {"Mul a,b y", {0, 3}, {{0}, {2, 1, 2}}, 0, 0},
    {"Mul a,b y", {2, 2}, {{3, 1}, {1, 2}}, 0, 0},
    {"Mul a,b y", {2, 1}, {{1, 1}, {1}}, 0, 0},
    {"Div a,b y", {2, 1}, {{2, 3}, {3}}, 0.5, 2},
    {"Sum a,b,a y", {2, 1}, {{2, 3}, {3}}, 0, 0},
    {"Pow a,three p; Mul p,b y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Relu a z; Pow z,none p; Mul p,b y", {1, 1}, {{1}, {1}}, -2, -1},
    {"Neg a n; Exp n e; Mul e,b y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Log a l; Sqrt b s; Mul l,s y", {1, 1}, {{4}, {4}}, 0.5, 2},
    {"Reciprocal a r; Sub b,a d; Abs d m; Mul r,m y", {1, 1}, {{4}, {4}}, 0.5, 2},
    {"Sin a s; Cos b c; Mul s,c y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Erf a s; Tanh b c; Mul s,c y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Sigmoid a s; Relu b c; Mul s,c y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Greater a,b g; Mul a,a q; Where g,q,b y", {2, 1}, {{2, 2}, {2}}, 0, 0},
    {"Softmax a s; Mul s,b y", {2, 2}, {{2, 3}, {2, 3}}, 0, 0},
    {"Softmax a s axis=0; Mul s,b y", {2, 2}, {{2, 3}, {2, 3}}, 0, 0},
    {"LogSoftmax a s; Mul s,b y", {2, 2}, {{2, 3}, {2, 3}}, 0, 0},
    {"MatMul a,b m; Mul m,m y", {2, 2}, {{2, 3}, {3, 4}}, 0, 0},
    {"MatMul a,b m; Mul m,m y", {3, 4}, {{2, 2, 3}, {2, 1, 3, 2}}, 0, 0},
    {"MatMul a,b m; Mul m,m y", {1, 3}, {{3}, {2, 3, 4}}, 0, 0},
    {"MatMul a,b m; Mul m,m y", {3, 1}, {{2, 4, 3}, {3}}, 0, 0},
    {"MatMul a,b m; Mul m,m y", {1, 1}, {{3}, {3}}, 0, 0},
    {"ReduceSum b,zero c keepdims=0; Gemm a,b,c m; Mul m,m y", {2, 2}, {{2, 3}, {3, 4}}, 0, 0},
    {"Gemm a,b m transA=1; Mul m,m y", {2, 2}, {{3, 2}, {3, 4}}, 0, 0},
    {"Gemm a,b m transB=1; Mul m,m y", {2, 2}, {{2, 3}, {4, 3}}, 0, 0},
    {"Gemm a,b m transA=1 transB=1; Mul m,m y", {2, 2}, {{3, 2}, {4, 3}}, 0, 0},
    {"ReduceSum a,one r keepdims=0; Mul r,b m; ReduceSum m y", {3, 2}, {{2, 3, 2}, {2, 2}}, 0, 0},
    {"ReduceMean a r axes=[-2]; Mul r,b m; ReduceMean m y keepdims=0",
     {3, 3},
     {{2, 3, 2}, {2, 1, 2}},
     0,
     0},
    {"Reshape a,shape r; Flatten r f axis=2; Mul f,f q; Transpose b t; MatMul t,q y",
     {2, 2},
     {{2, 6}, {4, 3}},
     0,
     0},
    {"Transpose a t perm=[1,2,0]; Squeeze t,one s; Unsqueeze s,zero u; Expand b,shape e; MatMul "
     "e,u y",
     {3, 1},
     {{2, 3, 1}, {3}},
     0,
     0},
    {"Cast a c to=11; Identity b i; Mul c,i y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Mul a,a y", {1, 1}, {{4}, {4}}, 0, 0},
    {"Cast b i to=7; Cast i c to=11; Mul a,c y", {1, 1}, {{4}, {4}}, 0.2, 0.8},
};

static uint64_t seed;

static double random_in(double low, double high) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(seed >> 40) / (double)(1u << 24);
}

static uint32_t count_of(uint32_t rank, const int64_t *dims) {
    uint32_t count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        count *= (uint32_t)dims[i];
    }
    return count;
}

static void constant(onnx_builder *b, const char *name, double number) {
    onnx_initializer(b, name, TN_DTYPE_DOUBLE, 0, NULL, &number, sizeof number);
}

static void add_gradient(onnx_builder *b, const char *inputs, const char *outputs, const char *y) {
    static const char *const xs[] = {"a", "b"};
    onnx_node(b, "Gradient", inputs, outputs);
    onnx_node_domain(b, TRAINING);
    onnx_node_name(b, "the_gradient");
    onnx_attr_texts(b, "xs", 2, xs);
    onnx_attr_text(b, "y", y);
}

static void begin(flow_fixture *f, const uint32_t *ranks, const int64_t (*dims)[4]) {
    static const int64_t zero[] = {0};
    static const int64_t one[] = {1};
    static const int64_t shape[] = {2, 2, 3};
    onnx_opset(&f->b, TRAINING, 1);
    onnx_input(&f->b, "a", TN_DTYPE_DOUBLE, ranks[0], dims[0]);
    onnx_input(&f->b, "b", TN_DTYPE_DOUBLE, ranks[1], dims[1]);
    constant(&f->b, "three", 3.0);
    constant(&f->b, "none", 0.0);
    onnx_initializer_ints(&f->b, "zero", 1, zero);
    onnx_initializer_ints(&f->b, "one", 1, one);
    onnx_initializer_ints(&f->b, "shape", 3, shape);
}

// "name=7" or "name=[1,2]".
static void add_attribute(onnx_builder *b, char *text) {
    int64_t values[4] = {0};
    uint32_t count = 0;
    char *at = strchr(text, '=');
    assert_non_null(at);
    *at++ = '\0';
    const bool list = *at == '[';
    for (char *end = at + list; *end != '\0' && *end != ']'; end += *end == ',') {
        values[count++] = strtoll(end, &end, 10);
    }
    if (list) {
        onnx_attr_ints(b, text, count, values);
    } else {
        onnx_attr_int(b, text, values[0]);
    }
}

static void add_nodes(onnx_builder *b, const char *text) {
    char copy[256];
    char *rest = copy;
    assert_true((size_t)snprintf(copy, sizeof copy, "%s", text) < sizeof copy);
    for (char *node = NULL; (node = strtok_r(rest, ";", &rest)) != NULL;) {
        const char *op_type = strtok_r(node, " ", &node);
        const char *inputs = strtok_r(node, " ", &node);
        onnx_node(b, op_type, inputs, strtok_r(node, " ", &node));
        for (char *word = NULL; (word = strtok_r(node, " ", &node)) != NULL;) {
            add_attribute(b, word);
        }
    }
}

static void add_outputs(onnx_builder *b) {
    onnx_output_untyped(b, "y");
    onnx_output_untyped(b, "da");
    onnx_output_untyped(b, "db");
}

static void read_output(flow_fixture *f, uint32_t index, uint32_t count, double *out) {
    const tn_tensor_view view = flow_output(f, index);
    assert_int_equal(view.dtype, TN_DTYPE_DOUBLE);
    assert_int_equal(view.size_bytes, count * sizeof(double));
    memcpy(out, view.data, count * sizeof(double));
}

static double sum_of_y(flow_fixture *f) {
    const tn_tensor_view view = flow_output(f, 0);
    double sum = 0.0;
    for (uint64_t i = 0; i < view.size_bytes / sizeof(double); i++) {
        sum += ((const double *)view.data)[i];
    }
    return sum;
}

// Compares outputs 1 and 2 with differences of output 0 around values.
static void check_numerically(flow_fixture *f, const char *name, const uint32_t *counts,
                              double (*values)[MAX_ELEMENTS]) {
    double exact[2][MAX_ELEMENTS];
    for (uint32_t i = 0; i < 2; i++) {
        flow_put(f, i, values[i], counts[i] * sizeof(double));
    }
    flow_run(f);
    for (uint32_t i = 0; i < 2; i++) {
        read_output(f, 1 + i, counts[i], exact[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < counts[i]; k++) {
            const double at = values[i][k];
            double sums[2];
            for (int side = 0; side < 2; side++) {
                values[i][k] = side == 0 ? at - STEP : at + STEP;
                flow_put(f, i, values[i], counts[i] * sizeof(double));
                flow_run(f);
                sums[side] = sum_of_y(f);
            }
            values[i][k] = at;
            const double numeric = (sums[1] - sums[0]) / (2.0 * STEP);
            if (!(fabs(numeric - exact[i][k]) <= 1e-6 * (1.0 + fabs(numeric)))) {
                fail_msg("%s: derivative by element %u of %c: %.9g, numerically %.9g", name, k,
                         i == 0 ? 'a' : 'b', exact[i][k], numeric);
            }
        }
        flow_put(f, i, values[i], counts[i] * sizeof(double));
    }
}

static void fill(double (*values)[MAX_ELEMENTS], double low, double high) {
    for (uint32_t i = 0; i < 2 * MAX_ELEMENTS; i++) {
        values[i / MAX_ELEMENTS][i % MAX_ELEMENTS] = random_in(low, high);
    }
}

static void next_model(flow_fixture *f) {
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
}

static void gradient__of_every_rule_is_the_derivative(void **state) {
    flow_fixture *f = *state;
    seed = 1;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const function *c = &functions[i];
        double values[2][MAX_ELEMENTS];
        const uint32_t counts[2] = {count_of(c->ranks[0], c->dims[0]),
                                    count_of(c->ranks[1], c->dims[1])};
        begin(f, c->ranks, c->dims);
        add_nodes(&f->b, c->text);
        add_gradient(&f->b, "a,b", "da,db", "y");
        add_outputs(&f->b);
        flow_open_on(f, "reference");
        fill(values, c->low == c->high ? -1.5 : c->low, c->low == c->high ? 1.5 : c->high);
        check_numerically(f, c->text, counts, values);
        next_model(f);
    }
}

// Twelve nodes, each over random earlier values; all shapes broadcast to [2, 3].
static void build_random(onnx_builder *b) {
    static const char *const unary[] = {"Tanh", "Sigmoid", "Sin", "Cos", "Erf", "Neg", "Softmax"};
    static const char *const binary[] = {"Add", "Sub", "Mul"};
    char inputs[32];
    char output[16];
    for (uint32_t i = 0; i < 12; i++) {
        const uint32_t known = i + 2;
        uint32_t picks[2];
        char names[2][12];
        for (uint32_t k = 0; k < 2; k++) {
            picks[k] = (uint32_t)random_in(0.0, (double)known);
            snprintf(names[k], sizeof names[k], "v%u", picks[k] - 2);
            if (picks[k] < 2) {
                snprintf(names[k], sizeof names[k], "%c", 'a' + (char)picks[k]);
            }
        }
        const bool one = random_in(0.0, 1.0) < 0.5;
        snprintf(inputs, sizeof inputs, one ? "%s" : "%s,%s", names[0], names[1]);
        snprintf(output, sizeof output, i == 11 ? "last" : "v%u", i);
        onnx_node(
            b, one ? unary[(uint32_t)random_in(0.0, 7.0)] : binary[(uint32_t)random_in(0.0, 3.0)],
            inputs, output);
    }
    onnx_node(b, "Mul", "last,a", "y"); // so that y depends on something
}

static void gradient__of_random_graphs_is_the_derivative(void **state) {
    static const uint32_t ranks[2] = {2, 1};
    static const int64_t dims[2][4] = {{2, 3}, {3}};
    static const uint32_t counts[2] = {6, 3};
    flow_fixture *f = *state;
    for (uint32_t i = 0; i < 40; i++) {
        double values[2][MAX_ELEMENTS];
        char name[32];
        seed = 1000 + i;
        begin(f, ranks, dims);
        build_random(&f->b);
        add_gradient(&f->b, "a,b", "da,db", "y");
        add_outputs(&f->b);
        flow_open_on(f, "reference");
        fill(values, -1.5, 1.5);
        snprintf(name, sizeof name, "graph %u", i);
        check_numerically(f, name, counts, values);
        next_model(f);
    }
}

// y is itself made of derivatives: numeric differentiation of it tests the second ones.
static void gradient__of_a_gradient_is_the_second_derivative(void **state) {
    static const uint32_t ranks[2] = {1, 1};
    static const int64_t dims[2][4] = {{3}, {3}};
    static const uint32_t counts[2] = {3, 3};
    flow_fixture *f = *state;
    double values[2][MAX_ELEMENTS];
    seed = 7;
    begin(f, ranks, dims);
    onnx_node(&f->b, "Mul", "a,b", "m");
    onnx_node(&f->b, "Sigmoid", "m", "s");
    onnx_node(&f->b, "Mul", "s,a", "loss");
    add_gradient(&f->b, "a,b", "ga,gb", "loss");
    onnx_node(&f->b, "Mul", "ga,gb", "y");
    add_gradient(&f->b, "a,b", "da,db", "y");
    add_outputs(&f->b);
    flow_open_on(f, "reference");
    fill(values, -1.5, 1.5);
    check_numerically(f, "second", counts, values);
}

static void gradient__goes_through_calls_of_functions(void **state) {
    static const uint32_t ranks[2] = {1, 1};
    static const int64_t dims[2][4] = {{3}, {3}};
    static const uint32_t counts[2] = {3, 3};
    flow_fixture *f = *state;
    onnx_builder body;
    tn_compile_config limits;
    double values[2][MAX_ELEMENTS];
    seed = 3;
    tn_compile_config_init(&limits);
    begin(f, ranks, dims);
    onnx_opset(&f->b, "mine", 1);
    onnx_node(&f->b, "Wave", "a,b", "w");
    onnx_node_domain(&f->b, "mine");
    onnx_node(&f->b, "Mul", "w,b", "y");
    add_gradient(&f->b, "a,b", "da,db", "y");
    add_outputs(&f->b);
    onnx_end(&f->b, &f->bytes);
    onnx_begin_function(&body, "mine", "Wave", "p,q", "r");
    onnx_node(&body, "Sin", "p", "s");
    onnx_node(&body, "Mul", "s,q", "r");
    onnx_end_function(&body, &f->bytes);
    flow_must(f, flow_open(f, "reference", &limits));
    fill(values, -1.5, 1.5);
    check_numerically(f, "through a call", counts, values);
}

// y = a * a * b at a = p, b = p: 2 p^2 and p^2, although both are the same value.
static void gradient__is_taken_at_the_values_given(void **state) {
    static const double a[2] = {1.0, 2.0};
    static const double b[2] = {3.0, 5.0};
    static const uint32_t ranks[2] = {1, 1};
    static const int64_t dims[2][4] = {{2}, {2}};
    flow_fixture *f = *state;
    double by_a[2];
    double by_b[2];
    begin(f, ranks, dims);
    onnx_node(&f->b, "Mul", "a,a", "square");
    onnx_node(&f->b, "Mul", "square,b", "y");
    onnx_node(&f->b, "Add", "a,b", "p");
    add_gradient(&f->b, "p,p", "da,db", "y");
    add_outputs(&f->b);
    flow_open_on(f, "reference");
    flow_put(f, 0, a, sizeof a);
    flow_put(f, 1, b, sizeof b);
    flow_run(f);
    read_output(f, 1, 2, by_a);
    read_output(f, 2, 2, by_b);
    for (uint32_t i = 0; i < 2; i++) {
        const double p = a[i] + b[i];
        assert_true(by_a[i] == 2.0 * p * p);
        assert_true(by_b[i] == p * p);
    }
    assert_true(sum_of_y(f) == 1.0 * 3.0 + 4.0 * 5.0); // y itself is as it was
}

static void expect_refusal(flow_fixture *f, tn_status status, const char *id, const char *word) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(flow_open(f, "reference", &config), status);
    assert_string_equal(f->error.id, id);
    assert_non_null(strstr(f->error.text, word));
    next_model(f);
}

static void gradient__that_cannot_be_taken_says_why(void **state) {
    static const uint32_t ranks[2] = {1, 1};
    static const int64_t dims[2][4] = {{4}, {4}};
    static const int64_t free_dims[2][4] = {{-2}, {4}};
    static const struct {
        const char *op_type, *inputs, *y, *operands, *id, *word;
        tn_status status;
    } cases[] = {
        {"CumSum", "a,axis", "y", "a,b", "gradient.no-rule", "CumSum", TN_ERROR_UNSUPPORTED},
        {"Pow", "b,a", "y", "a,b", "gradient.exponent", "Pow", TN_ERROR_UNSUPPORTED},
        {"Mul", "a,b", "z", "a,b", "gradient.name", "'z'", TN_ERROR_INVALID_DATA},
        {"Mul", "a,b", "y", "a", "gradient.operands", "2 names", TN_ERROR_INVALID_DATA},
        {"Mul", "a,b", "axis", "a,b", "gradient.type", "axis", TN_ERROR_UNSUPPORTED},
    };
    flow_fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const int64_t axis = 0;
        begin(f, ranks, dims);
        onnx_initializer(&f->b, "axis", TN_DTYPE_INT64, 0, NULL, &axis, sizeof axis);
        onnx_node(&f->b, cases[i].op_type, cases[i].inputs, "y");
        add_gradient(&f->b, cases[i].operands, "da,db", cases[i].y);
        add_outputs(&f->b);
        expect_refusal(f, cases[i].status, cases[i].id, cases[i].word);
    }
    // A size that only a run tells may be 1, and then it is broadcast.
    begin(f, ranks, free_dims);
    onnx_node(&f->b, "Mul", "a,b", "y");
    add_gradient(&f->b, "a,b", "da,db", "y");
    add_outputs(&f->b);
    expect_refusal(f, TN_ERROR_UNSUPPORTED, "gradient.shape", "'a'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(gradient__of_every_rule_is_the_derivative),
        FLOW_CASE(gradient__of_random_graphs_is_the_derivative),
        FLOW_CASE(gradient__of_a_gradient_is_the_second_derivative),
        FLOW_CASE(gradient__goes_through_calls_of_functions),
        FLOW_CASE(gradient__is_taken_at_the_values_given),
        FLOW_CASE(gradient__that_cannot_be_taken_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
