// SPDX-License-Identifier: Apache-2.0
// Gradient in models that contradict themselves: each ends in the error that says so. What
// derivatives are is tested in tests/integration/flow/gradient_test.c.
#include "graph/rewrite/rewrite.h"
#include "unit/graph/model_fixture.h"

#define TRAINING "ai.onnx.preview.training"

static const int64_t cube[3] = {2, 3, 4};
static const int64_t three[1] = {3};

static void begin(model_fixture *f, uint32_t rank) {
    onnx_begin(&f->b, 17);
    onnx_opset(&f->b, TRAINING, 1);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, rank, cube);
    onnx_input(&f->b, "free", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
}

static void gradient(model_fixture *f, const char *inputs, const char *y) {
    static const char *const xs[] = {"x"};
    onnx_node(&f->b, "Gradient", inputs, "dx");
    onnx_node_domain(&f->b, TRAINING);
    onnx_attr_texts(&f->b, "xs", 1, xs);
    onnx_attr_text(&f->b, "y", y);
}

static void expect(model_fixture *f, tn_status status, const char *id) {
    onnx_output_untyped(&f->b, "dx");
    import_built(f);
    assert_int_equal(tni_model_canonicalise(f->model, NULL, &f->error), status);
    assert_string_equal(f->error.id, id);
}

static void canonicalise__refuses_a_perm_that_is_none(void **state) {
    static const int64_t perms[][3] = {{0, 1, 9}, {0, -1, 1}, {0, 1, 1}};
    model_fixture *f = *state;
    for (size_t i = 0; i < sizeof perms / sizeof perms[0]; i++) {
        begin(f, TN_RANK_UNKNOWN);
        onnx_node(&f->b, "Transpose", "x", "y");
        onnx_attr_ints(&f->b, "perm", 3, perms[i]);
        gradient(f, "x", "y");
        expect(f, TN_ERROR_UNSUPPORTED, "gradient.axes");
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
}

static void canonicalise__refuses_axes_outside_of_the_rank(void **state) {
    static const int64_t far[1] = {1000};
    model_fixture *f = *state;
    begin(f, 3);
    onnx_node(&f->b, "ReduceSum", "x", "y");
    onnx_attr_ints(&f->b, "axes", 1, far);
    gradient(f, "x", "y");
    expect(f, TN_ERROR_INVALID_DATA, "shape.axis");
}

// The result's declared rank is all that is known of it, and it is lower than the operand's.
static void canonicalise__refuses_a_result_of_lower_rank(void **state) {
    model_fixture *f = *state;
    begin(f, 3);
    onnx_node(&f->b, "Add", "x,free", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, three);
    gradient(f, "x", "y");
    expect(f, TN_ERROR_UNSUPPORTED, "gradient.shape");
}

static void canonicalise__refuses_an_absent_operand(void **state) {
    model_fixture *f = *state;
    begin(f, 3);
    onnx_node(&f->b, "Mul", "x,", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 3, cube);
    gradient(f, "x", "y");
    onnx_output_untyped(&f->b, "dx");
    onnx_end(&f->b, &f->bytes);
    const tni_import_info info = {
        .alloc = &f->allocator.alloc, .data = f->bytes.data, .size_bytes = f->bytes.size};
    tn_status status = tni_onnx_import(&info, &f->model, &f->error);
    status = status == TN_OK ? tni_model_canonicalise(f->model, NULL, &f->error) : status;
    assert_int_not_equal(status, TN_OK);
}

// y has to be made before the node that names it, and not only somewhere.
static void canonicalise__refuses_a_name_that_comes_later(void **state) {
    model_fixture *f = *state;
    begin(f, 3);
    gradient(f, "x", "y");
    onnx_node(&f->b, "Neg", "x", "y");
    onnx_output_untyped(&f->b, "y");
    expect(f, TN_ERROR_INVALID_DATA, "gradient.name");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(canonicalise__refuses_a_perm_that_is_none),
        MODEL_CASE(canonicalise__refuses_axes_outside_of_the_rank),
        MODEL_CASE(canonicalise__refuses_a_result_of_lower_rank),
        MODEL_CASE(canonicalise__refuses_an_absent_operand),
        MODEL_CASE(canonicalise__refuses_a_name_that_comes_later),
    };
    return cmocka_run_group_tests_name("graph_gradient", tests, NULL, NULL);
}
