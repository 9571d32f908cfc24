// SPDX-License-Identifier: Apache-2.0
// Writing models: what the graph holds comes back, names become unique, bodies get what ONNX asks
// of their outputs, files are replaced whole, and every failure leaves them as they were.
#include "graph/rewrite/rewrite.h"
#include "onnx/write.h"
#include "support/model_compare.h"
#include "unit/graph/model_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct write_fixture {
    model_fixture *model;
    tni_model *again;
    char folder[64];
    char path[128];
    char external[128];
} write_fixture;

static int write_set_up(void **state) {
    write_fixture *w = calloc(1, sizeof *w);
    void *inner = NULL;
    if (w == NULL || model_set_up(&inner) != 0) {
        return -1;
    }
    w->model = inner;
    snprintf(w->folder, sizeof w->folder, "/tmp/tenon-write-XXXXXX");
    if (mkdtemp(w->folder) == NULL) {
        return -1;
    }
    snprintf(w->path, sizeof w->path, "%s/model.onnx", w->folder);
    snprintf(w->external, sizeof w->external, "%s/weights.bin", w->folder);
    *state = w;
    return 0;
}

// Nothing temporary may be left in the folder.
static int write_tear_down(void **state) {
    write_fixture *w = *state;
    void *inner = w->model;
    tni_model_destroy(w->again);
    (void)unlink(w->path);
    (void)unlink(w->external);
    const int empty = rmdir(w->folder);
    const int clean = model_tear_down(&inner);
    free(w);
    return empty == 0 && clean == 0 ? 0 : -1;
}

static tn_status write_model(write_fixture *w, const tni_write_info *given) {
    tni_write_info info = given != NULL ? *given : (tni_write_info){.path = NULL};
    info.path = w->path;
    return tni_onnx_write(w->model->model, &info, &w->model->error);
}

static void read_again(write_fixture *w) {
    const tni_import_info info = {.alloc = &w->model->allocator.alloc, .path = w->path};
    must(w->model, tni_onnx_import(&info, &w->again, &w->model->error));
}

static void comes_back(write_fixture *w, const tni_write_info *info) {
    char text[512];
    must(w->model, write_model(w, info));
    read_again(w);
    if (!models_equal(w->model->model, w->again, text, sizeof text)) {
        fail_msg("%s", text);
    }
}

static void make_body(pb *out, const char *op_type, const char *result) {
    onnx_builder b;
    onnx_begin_graph(&b);
    onnx_initializer_floats(&b, "k", 0, NULL, 3);
    onnx_node(&b, op_type, "x,k", result);
    onnx_output_untyped(&b, result);
    onnx_end_graph(&b, out);
}

// Every kind of attribute, value, constant and dim.
static void build_everything(onnx_builder *b) {
    static const int64_t dims[3] = {-2, -1, 4};
    static const int64_t two[1] = {2};
    static const uint8_t nibbles[1] = {0x7f};
    static const float pair[2] = {1.5f, -2.0f};
    pb bodies[2];
    make_body(&bodies[0], "Add", "r");
    make_body(&bodies[1], "Mul", "r");
    onnx_begin(b, 21);
    onnx_opset(b, "com.example", 3);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_input(b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(b, "unranked", TN_DTYPE_INT8, TN_RANK_UNKNOWN, NULL);
    onnx_initializer_floats(b, "w", 1, dims + 2, 1);
    onnx_initializer(b, "n", TN_DTYPE_UINT4, 1, two, nibbles, 1);
    onnx_node(b, "If", "c", "i");
    onnx_node_name(b, "branch");
    onnx_attr_graph(b, "then_branch", &bodies[0]);
    onnx_attr_graph(b, "else_branch", &bodies[1]);
    onnx_node(b, "Widget", "i,,w,n,unranked", "p,,q");
    onnx_node_domain(b, "com.example");
    onnx_attr_int(b, "int", -5);
    onnx_attr_float(b, "float", 0.25f);
    onnx_attr_text(b, "text", "a\xff b");
    onnx_attr_ints(b, "ints", 3, dims);
    onnx_attr_tensor(b, "tensor", TN_DTYPE_FLOAT, 1, two, pair, sizeof pair);
    onnx_attr_type(b, "type", TN_VALUE_SEQUENCE, TN_DTYPE_FLOAT);
    onnx_node(b, "SequenceConstruct", "x,i", "s");
    onnx_node(b, "Optional", "s", "o");
    onnx_output_untyped(b, "p");
    onnx_output_untyped(b, "q");
    onnx_output_untyped(b, "o");
    onnx_output(b, "i", TN_DTYPE_FLOAT, 3, dims);
}

static void import_everything(write_fixture *w) {
    build_everything(&w->model->b);
    import_built(w->model);
    must(w->model,
         tni_model_add_metadata(w->model->model, TNI_LITERAL("key"), TNI_LITERAL("a value")));
    w->model->model->producer_name = TNI_LITERAL("maker");
    w->model->model->model_version = 7;
}

static void write__gives_back_all_that_a_model_holds(void **state) {
    write_fixture *w = *state;
    import_everything(w);
    comes_back(w, NULL);
    assert_int_equal(w->again->opset_count, 2);
    assert_int_equal(tni_model_opset(w->again, TNI_LITERAL("com.example")), 3);
    assert_int_equal(w->again->ir_version, 8);
}

static void write__keeps_types_that_inference_found(void **state) {
    write_fixture *w = *state;
    import_everything(w);
    must(w->model, tni_model_canonicalise(w->model->model, NULL, &w->model->error));
    must(w->model, write_model(w, NULL));
    read_again(w);
    const tni_value *s = &w->again->values[value_named(w->again, "s")];
    assert_int_equal(s->kind, TN_VALUE_SEQUENCE);
    assert_int_equal(s->dtype, TN_DTYPE_FLOAT);
    const tni_value *x = &w->again->values[value_named(w->again, "x")];
    assert_true(tni_string_is(w->again->symbols[x->dims[0].symbol].name, "A"));
}

// What the comparison is worth: it sees every change that a writer could make.
static void compare__sees_differences(void **state) {
    write_fixture *w = *state;
    char text[512];
    import_everything(w);
    must(w->model, write_model(w, NULL));
    read_again(w);
    tni_model *m = w->again;
    assert_true(models_equal(w->model->model, m, text, sizeof text));
#define CHANGED(place, value)                                                                      \
    do {                                                                                           \
        const __typeof__(place) kept = place;                                                      \
        place = value;                                                                             \
        assert_false(models_equal(w->model->model, m, text, sizeof text));                         \
        place = kept;                                                                              \
    } while (0)
    CHANGED(node_at(m, 1)->attrs[0].ints[0], 5);
    CHANGED(node_at(m, 1)->since_version, 4);
    CHANGED(node_at(m, 1)->inputs[0], m->graphs[0].inputs[0]);
    CHANGED(m->values[m->graphs[0].inputs[0]].dims[2].size, 5);
    CHANGED(m->values[m->graphs[0].inputs[2]].dtype, TN_DTYPE_UINT8);
    CHANGED(m->graphs[1].node_count, 0);
    CHANGED(m->graphs[0].output_count, 3);
    CHANGED(m->metadata[0].value, TNI_LITERAL("another"));
    assert_true(models_equal(w->model->model, m, text, sizeof text));
}

// Inlining a function twice leaves the same names twice.
static void write__makes_names_unique(void **state) {
    write_fixture *w = *state;
    static const int64_t dims[1] = {2};
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&w->model->b, "Relu", "x", "a");
    onnx_node(&w->model->b, "Neg", "a", "b");
    onnx_node(&w->model->b, "Abs", "b", "y");
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
    tni_model *m = w->model->model;
    m->values[value_named(m, "a")].name = TNI_LITERAL("y");
    m->values[value_named(m, "b")].name = TNI_LITERAL("");
    comes_back(w, NULL);
    assert_true(tni_string_is(w->again->graphs[0].output_names[0], "y"));
}

// A body whose output is a value from outside needs a node of its own for it.
static void write__puts_an_identity_where_a_body_gives_out_a_capture(void **state) {
    write_fixture *w = *state;
    static const int64_t dims[1] = {2};
    pb bodies[2];
    for (int i = 0; i < 2; i++) {
        onnx_builder b;
        onnx_begin_graph(&b);
        onnx_node(&b, "Identity", "x", "z");
        onnx_output_untyped(&b, "z");
        onnx_end_graph(&b, &bodies[i]);
    }
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&w->model->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&w->model->b, "If", "c", "y");
    onnx_attr_graph(&w->model->b, "then_branch", &bodies[0]);
    onnx_attr_graph(&w->model->b, "else_branch", &bodies[1]);
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
    tni_model *m = w->model->model;
    const uint32_t body = node_at(m, 0)->attrs[0].indices[0];
    m->graphs[body].outputs[0] = value_named(m, "x");
    tni_model_compact(m);
    assert_int_equal(m->graphs[body].node_count, 0);
    must(w->model, write_model(w, NULL));
    read_again(w);
    const uint32_t written = node_at(w->again, 0)->attrs[0].indices[0];
    assert_int_equal(w->again->graphs[written].node_count, 1);
    must(w->model, tni_model_validate(w->again, &w->model->error));
}

static void build_old_and_new(write_fixture *w) {
    static const int64_t dims[1] = {2};
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&w->model->b, "Relu", "x", "a");
    onnx_node(&w->model->b, "Softmax", "a", "y");
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
}

static void write__finds_an_opset_version_for_all_nodes(void **state) {
    write_fixture *w = *state;
    build_old_and_new(w);
    node_at(w->model->model, 1)->since_version = 11;
    node_at(w->model->model, 0)->since_version = 6;
    comes_back(w, NULL);
    assert_int_equal(tni_model_opset(w->again, TNI_LITERAL("")), 11);
}

static void write__refuses_nodes_that_no_opset_version_has_together(void **state) {
    write_fixture *w = *state;
    build_old_and_new(w);
    node_at(w->model->model, 0)->since_version = 14;
    node_at(w->model->model, 1)->since_version = 1;
    assert_int_equal(write_model(w, NULL), TN_ERROR_UNSUPPORTED);
    assert_string_equal(w->model->error.id, "save.op-versions");
    assert_int_equal(w->model->error.node_index, w->model->model->graphs[0].nodes[1]);
    assert_int_not_equal(access(w->path, F_OK), 0);
}

// Absent operands at the end are left out of the graph, and yet the op demands that they be listed.
static void write__lists_absent_operands_that_an_op_demands(void **state) {
    write_fixture *w = *state;
    pb graph;
    onnx_builder body;
    onnx_begin_graph(&body);
    onnx_input(&body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&body, "Identity", "go", "more");
    onnx_node(&body, "Neg", "i", "seen");
    onnx_output_untyped(&body, "more");
    onnx_output_untyped(&body, "seen");
    onnx_end_graph(&body, &graph);
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "count", TN_DTYPE_INT64, 0, NULL);
    onnx_node(&w->model->b, "Loop", "count,", "y");
    onnx_attr_graph(&w->model->b, "body", &graph);
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
    assert_int_equal(node_at(w->model->model, 0)->input_count, 1);
    comes_back(w, NULL);
}

// Large: more than one block of the stream.
static void build_large(write_fixture *w) {
    static const int64_t dims[2] = {700, 900};
    static const int64_t few[1] = {900};
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "x", TN_DTYPE_FLOAT, 2, (const int64_t[]){1, 700});
    onnx_initializer_floats(&w->model->b, "w", 2, dims, 5);
    onnx_initializer_floats(&w->model->b, "b", 1, few, 6);
    onnx_initializer_floats(&w->model->b, "s", 0, NULL, 7);
    onnx_node(&w->model->b, "MatMul", "x,w", "p");
    onnx_node(&w->model->b, "Add", "p,b", "q");
    onnx_node(&w->model->b, "Mul", "q,s", "y");
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
}

static uint64_t size_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (uint64_t)info.st_size;
}

static void write__puts_large_weights_into_a_file_of_their_own(void **state) {
    write_fixture *w = *state;
    const tni_write_info info = {.external_name = "weights.bin"};
    build_large(w);
    comes_back(w, &info);
    assert_true(size_of(w->path) < 1024);
    // 2520000 bytes, then the next at a page.
    assert_int_equal(size_of(w->external), 2523136 + 3600);
    assert_int_equal(w->again->source_count, 2);
}

static void write__streams_weights_without_a_copy(void **state) {
    write_fixture *w = *state;
    build_large(w);
    const uint64_t before = w->model->allocator.live_bytes;
    test_alloc_reset(&w->model->allocator, TEST_ALLOC_NORMAL, 0);
    w->model->allocator.peak_bytes = 0;
    comes_back(w, NULL);
    tni_model_destroy(w->again);
    w->again = NULL;
    // One block and small change, while the weights have 2.5 MB.
    assert_true(w->model->allocator.peak_bytes < before + ((uint64_t)3 << 19));
}

static void write__refuses_external_names_that_leave_the_folder(void **state) {
    write_fixture *w = *state;
    static const char *const names[] = {"", ".", "..", "a/b", "../b", "/b", "model.onnx", "\xff"};
    build_large(w);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const tni_write_info info = {.external_name = names[i]};
        assert_int_equal(write_model(w, &info), TN_ERROR_INVALID_ARGUMENT);
        assert_string_equal(w->model->error.id, "save.external-name");
    }
}

static void write__names_the_folder_that_is_missing(void **state) {
    write_fixture *w = *state;
    build_old_and_new(w);
    const tni_write_info info = {.path = "/nowhere/at/all/model.onnx"};
    assert_int_equal(tni_onnx_write(w->model->model, &info, &w->model->error), TN_ERROR_NOT_FOUND);
    assert_string_equal(w->model->error.id, "save.folder");
}

// A folder stands where the file should be.
static void write__reports_what_the_system_says(void **state) {
    write_fixture *w = *state;
    build_old_and_new(w);
    const tni_write_info info = {.path = w->folder};
    assert_int_equal(tni_onnx_write(w->model->model, &info, &w->model->error), TN_ERROR_IO);
    assert_string_equal(w->model->error.id, "save.file-rename");
    // The temporary file stood beside the folder, and is gone.
    char beside[160];
    snprintf(beside, sizeof beside, "%s.", w->folder);
    DIR *parent = opendir("/tmp");
    assert_non_null(parent);
    for (struct dirent *entry = readdir(parent); entry != NULL; entry = readdir(parent)) {
        assert_int_not_equal(strncmp(entry->d_name, beside + 5, strlen(beside) - 5), 0);
    }
    closedir(parent);
}

static void build_recipe(write_fixture *w) {
    static const int64_t dims[2] = {300, 500};
    uint16_t *halves = calloc(150000, sizeof *halves);
    assert_non_null(halves);
    for (uint32_t i = 0; i < 150000; i++) {
        halves[i] = (uint16_t)(0x3c00u + i % 512);
    }
    onnx_begin(&w->model->b, 17);
    onnx_input(&w->model->b, "x", TN_DTYPE_FLOAT, 2, (const int64_t[]){1, 500});
    onnx_initializer(&w->model->b, "h", TN_DTYPE_FLOAT16, 2, dims, halves, 300000);
    onnx_node(&w->model->b, "Cast", "h", "f");
    onnx_attr_int(&w->model->b, "to", TN_DTYPE_FLOAT);
    onnx_node(&w->model->b, "Transpose", "f", "t");
    onnx_node(&w->model->b, "MatMul", "x,t", "y");
    onnx_output_untyped(&w->model->b, "y");
    import_built(w->model);
    free(halves);
}

static void write__computes_derived_weights(void **state) {
    write_fixture *w = *state;
    char text[512];
    build_recipe(w);
    must(w->model, tni_model_canonicalise(w->model->model, NULL, &w->model->error));
    const tni_constant *folded = tni_node_constant(w->model->model, node_at(w->model->model, 0), 1);
    assert_non_null(folded);
    assert_int_equal(folded->kind, TNI_CONSTANT_RECIPE);
    must(w->model, write_model(w, NULL));
    read_again(w);
    assert_true(models_equal(w->model->model, w->again, text, sizeof text));
    const tni_constant *stored = tni_node_constant(w->again, node_at(w->again, 0), 1);
    assert_int_equal(stored->kind, TNI_CONSTANT_RAW);
}

// A model that was read from a file can be written over it.
static void write__may_replace_the_file_it_came_from(void **state) {
    write_fixture *w = *state;
    char text[512];
    build_large(w);
    must(w->model, write_model(w, NULL));
    read_again(w);
    const tni_write_info info = {.path = w->path, .external_name = "weights.bin"};
    must(w->model, tni_onnx_write(w->again, &info, &w->model->error));
    assert_true(models_equal(w->model->model, w->again, text, sizeof text));
    assert_true(size_of(w->path) < 1024);
}

static void sweep(write_fixture *w, test_alloc_mode mode) {
    const tni_write_info info = {.external_name = "weights.bin", .external_min_bytes = 1};
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    uint64_t i = 0;
    for (; status != TN_OK && i < 10000; i++) {
        test_alloc_reset(&w->model->allocator, mode, i);
        status = write_model(w, &info);
        test_alloc_reset(&w->model->allocator, TEST_ALLOC_NORMAL, 0);
        assert_true(status == TN_OK || status == TN_ERROR_OUT_OF_MEMORY);
        if (status != TN_OK) {
            assert_int_not_equal(access(w->path, F_OK), 0);
            assert_int_not_equal(access(w->external, F_OK), 0);
        }
    }
    assert_int_equal(status, TN_OK);
    assert_true(i > 10);
    (void)unlink(w->path);
    (void)unlink(w->external);
}

static void write__survives_failing_allocations(void **state) {
    write_fixture *w = *state;
    import_everything(w);
    must(w->model, tni_model_canonicalise(w->model->model, NULL, &w->model->error));
    sweep(w, TEST_ALLOC_FAIL_ONE);
    sweep(w, TEST_ALLOC_FAIL_FROM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, write_set_up, write_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(write__gives_back_all_that_a_model_holds),
        CASE(write__keeps_types_that_inference_found),
        CASE(compare__sees_differences),
        CASE(write__makes_names_unique),
        CASE(write__puts_an_identity_where_a_body_gives_out_a_capture),
        CASE(write__finds_an_opset_version_for_all_nodes),
        CASE(write__refuses_nodes_that_no_opset_version_has_together),
        CASE(write__lists_absent_operands_that_an_op_demands),
        CASE(write__puts_large_weights_into_a_file_of_their_own),
        CASE(write__streams_weights_without_a_copy),
        CASE(write__refuses_external_names_that_leave_the_folder),
        CASE(write__names_the_folder_that_is_missing),
        CASE(write__reports_what_the_system_says),
        CASE(write__computes_derived_weights),
        CASE(write__may_replace_the_file_it_came_from),
        CASE(write__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
