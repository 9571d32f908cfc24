// SPDX-License-Identifier: Apache-2.0
// Every allocation of load fails once in turn, and then stays failed: import, shapes, rewrites,
// view and evaluation of a small model each end in OUT_OF_MEMORY with nothing lost.
#include "graph/rewrite/rewrite.h"
#include "graph/shape/shape.h"
#include "graph/view.h"
#include "unit/graph/model_fixture.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

// The phases, so that the counts can be told apart.
typedef struct {
    uint64_t import;
    uint64_t canonicalise;
    uint64_t view;
    uint64_t evaluate;
} counts;

static tn_status evaluate(const tni_model *model, const tni_alloc *alloc, tn_error *error) {
    const int64_t dims[4] = {2, 3, 8, 8};
    const tni_shape_input input = {.value = model->graphs[0].inputs[0], .rank = 4, .dims = dims};
    tni_shape_table *table = NULL;
    const tn_status status = tni_shapes_evaluate(model, alloc, &input, 1, &table, error);
    tni_shape_table_destroy(table);
    return status;
}

static tn_status load(const tni_import_info *how, test_alloc *allocator, counts *out,
                      tn_error *error) {
    tni_import_info info = *how;
    info.alloc = &allocator->alloc;
    const tni_view_spec spec = {.with_hashes = true};
    tni_model *model = NULL;
    tni_view *view = NULL;
    tni_error_init(error);
    tn_status status = tni_onnx_import(&info, &model, error);
    out->import = allocator->count;
    if (status == TN_OK) {
        status = tni_model_canonicalise(model, NULL, error);
        out->canonicalise = allocator->count - out->import;
    }
    if (status == TN_OK) {
        status = tni_view_build(&allocator->alloc, model, &spec, &view, error);
        out->view = allocator->count - out->import - out->canonicalise;
    }
    if (status == TN_OK) {
        status = evaluate(model, &allocator->alloc, error);
        out->evaluate = allocator->count - out->import - out->canonicalise - out->view;
    }
    tni_view_destroy(view);
    tni_model_destroy(model);
    return status;
}

static void sweep(const tni_import_info *how, test_alloc_mode mode, uint64_t total) {
    for (uint64_t i = 0; i < total; i++) {
        test_alloc allocator;
        tn_error error;
        counts ignored = {0};
        test_alloc_init(&allocator);
        test_alloc_reset(&allocator, mode, i);
        const tn_status status = load(how, &allocator, &ignored, &error);
        // The marks for dead nodes are the one allocation that load can do without.
        if (status != TN_OK) {
            assert_int_equal(status, TN_ERROR_OUT_OF_MEMORY);
            assert_int_equal(error.status, TN_ERROR_OUT_OF_MEMORY);
            assert_string_equal(error.id, "base.out-of-memory");
        }
        assert_true(mode == TEST_ALLOC_FAIL_ONE || status != TN_OK);
        assert_true(allocator.failed > 0);
        assert_true(test_alloc_clean(&allocator));
        test_alloc_deinit(&allocator);
    }
}

static void sweep_import(const tni_import_info *how) {
    test_alloc allocator;
    tn_error error;
    counts found = {0};
    test_alloc_init(&allocator);
    assert_int_equal(load(how, &allocator, &found, &error), TN_OK);
    const uint64_t total = allocator.count;
    assert_true(test_alloc_clean(&allocator));
    test_alloc_deinit(&allocator);
    print_message("allocations: import %llu, canonicalise %llu, view %llu, evaluate %llu\n",
                  (unsigned long long)found.import, (unsigned long long)found.canonicalise,
                  (unsigned long long)found.view, (unsigned long long)found.evaluate);
    assert_true(found.import > 0 && found.canonicalise > 0 && found.view > 0 && found.evaluate > 0);
    sweep(how, TEST_ALLOC_FAIL_ONE, total);
    sweep(how, TEST_ALLOC_FAIL_FROM, total);
}

static void sweep_model(const pb *bytes) {
    const tni_import_info how = {.data = bytes->data, .size_bytes = bytes->size};
    sweep_import(&how);
}

static int count_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static void load__survives_them_from_a_file_without_losing_descriptors(void **state) {
    static const uint32_t modes[2] = {0, TNI_IMPORT_COPY};
    char path[] = "/tmp/tenon-sweep-XXXXXX";
    pb bytes;
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    onnx_model_classifier(&bytes, -2, 8);
    pb_write_file(&bytes, path);
    pb_free(&bytes);
    const int before = count_descriptors();
    for (int i = 0; i < 2; i++) {
        const tni_import_info how = {.path = path, .flags = modes[i]};
        sweep_import(&how);
    }
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(unlink(path), 0);
}

static void load__survives_every_failed_allocation(void **state) {
    pb bytes;
    (void)state;
    onnx_model_classifier(&bytes, -2, 8);
    sweep_model(&bytes);
    pb_free(&bytes);
}

static void load__survives_them_with_bodies_and_expansions(void **state) {
    static const int64_t x_dims[4] = {-2, 3, 8, 8};
    static const int64_t eight[1] = {8};
    static const int64_t target[2] = {0, -1};
    pb bodies[2];
    pb bytes;
    onnx_builder b;
    (void)state;
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        onnx_node(&b, i == 0 ? "Relu" : "Neg", "g", "z");
        onnx_output_untyped(&b, "z");
        onnx_end_graph(&b, &bodies[i]);
    }
    onnx_begin(&b, 20);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 4, x_dims);
    onnx_initializer_floats(&b, "scale", 1, eight, 1);
    onnx_initializer(&b, "c", TN_DTYPE_BOOL, 0, NULL, "\x01", 1);
    onnx_initializer_ints(&b, "target", 2, target);
    onnx_node(&b, "Transpose", "scale", "scale_t");
    onnx_node(&b, "Add", "scale_t,scale", "sum");
    onnx_node(&b, "LayerNormalization", "x,sum", "n");
    onnx_node(&b, "Gelu", "n", "g");
    onnx_node(&b, "If", "c", "i");
    onnx_attr_graph(&b, "then_branch", &bodies[0]);
    onnx_attr_graph(&b, "else_branch", &bodies[1]);
    onnx_node(&b, "Identity", "i", "j");
    onnx_node(&b, "Reshape", "j,target", "y");
    onnx_output_untyped(&b, "y");
    onnx_end(&b, &bytes);
    sweep_model(&bytes);
    pb_free(&bytes);
}

// At other values than the named ones, so that the path to z is written twice.
static void load__survives_them_with_derivatives(void **state) {
    static const int64_t dims[4] = {-2, 3, 8, 8};
    static const char *const xs[] = {"x"};
    pb bytes;
    onnx_builder b;
    (void)state;
    onnx_begin(&b, 20);
    onnx_opset(&b, "ai.onnx.preview.training", 1);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 4, dims);
    onnx_node(&b, "Tanh", "x", "t");
    onnx_node(&b, "Mul", "t,x", "z");
    onnx_node(&b, "Gradient", "t", "y");
    onnx_node_domain(&b, "ai.onnx.preview.training");
    onnx_attr_texts(&b, "xs", 1, xs);
    onnx_attr_text(&b, "y", "z");
    onnx_output_untyped(&b, "y");
    onnx_end(&b, &bytes);
    sweep_model(&bytes);
    pb_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__survives_every_failed_allocation),
        cmocka_unit_test(load__survives_them_with_bodies_and_expansions),
        cmocka_unit_test(load__survives_them_with_derivatives),
        cmocka_unit_test(load__survives_them_from_a_file_without_losing_descriptors),
    };
    return cmocka_run_group_tests_name("graph_load_sweep", tests, NULL, NULL);
}
