// SPDX-License-Identifier: Apache-2.0
// What the importer makes of good models: values, constants in place, bodies, functions, opsets,
// files.
#include "base/error.h"
#include "onnx/import.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t two[1] = {2};

typedef struct {
    test_alloc allocator;
    pb bytes;
    tni_model *model;
    tn_error error;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    test_alloc_init(&f->allocator);
    tni_error_init(&f->error);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tni_model_destroy(f->model);
    const bool clean = test_alloc_clean(&f->allocator);
    test_alloc_deinit(&f->allocator);
    pb_free(&f->bytes);
    free(f);
    return clean ? 0 : -1;
}

static tn_status import(fixture *f) {
    const tni_import_info info = {.alloc = &f->allocator.alloc,
                                  .data = f->bytes.data,
                                  .size_bytes = f->bytes.size,
                                  .key_base = 1000};
    return tni_onnx_import(&info, &f->model, &f->error);
}

static void must_import(fixture *f) {
    const tn_status status = import(f);
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

static uint32_t find_value(const tni_model *model, const char *name) {
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (tni_string_is(model->values[i].name, name)) {
            return i;
        }
    }
    return TN_NONE;
}

static const tni_constant *constant_named(const fixture *f, const char *name) {
    const uint32_t value = find_value(f->model, name);
    assert_int_not_equal(value, TN_NONE);
    assert_int_not_equal(f->model->values[value].constant, TN_NONE);
    return &f->model->constants[f->model->values[value].constant];
}

static void import__reads_graph_inputs_and_nodes(void **state) {
    fixture *f = *state;
    onnx_model_classifier(&f->bytes, -2, 8);
    must_import(f);
    const tni_graph *graph = &f->model->graphs[0];
    assert_int_equal(graph->node_count, 9);
    assert_int_equal(graph->input_count, 1);
    const tni_value *x = &f->model->values[graph->inputs[0]];
    assert_true(tni_string_is(x->name, "x"));
    assert_int_equal(x->rank, 4);
    assert_int_equal(x->dims[0].size, -1);
    assert_true(tni_string_is(f->model->symbols[x->dims[0].symbol].name, "A"));
    assert_int_equal(x->dims[1].size, 3);
    const tni_node *conv = &f->model->nodes[graph->nodes[0]];
    assert_true(tni_node_is(conv, "Conv"));
    assert_int_equal(conv->since_version, 11);
    uint32_t count = 0;
    assert_int_equal(tni_node_ints(conv, "pads", &count)[3], 1);
    assert_int_equal(count, 4);
    assert_int_equal(conv->source_id, 1);
    assert_true(tni_string_is(f->model->producer_name, "tenon-tests"));
    assert_int_equal(f->model->ir_version, 8);
    assert_int_equal(tni_model_opset(f->model, tni_string_of("ai.onnx")), 17);
}

static void import__leaves_raw_weights_in_place(void **state) {
    fixture *f = *state;
    onnx_model_classifier(&f->bytes, 1, 8);
    must_import(f);
    for (uint32_t i = 0; i < f->model->constant_count; i++) {
        const void *data = NULL;
        uint64_t size_bytes = 0;
        assert_int_equal(tni_constant_map(f->model, i, &data, &size_bytes, &f->error), TN_OK);
        assert_true((const uint8_t *)data >= f->bytes.data);
        assert_true((const uint8_t *)data + size_bytes <= f->bytes.data + f->bytes.size);
    }
    assert_int_equal(constant_named(f, "w1")->key,
                     1000 + f->model->values[find_value(f->model, "w1")].constant);
}

// A model with one tensor whose data is in typed fields.
static void typed_tensor(fixture *f, uint32_t dtype, int64_t count, uint32_t field,
                         const void *packed, size_t size) {
    pb tensor = {NULL, 0, 0};
    onnx_builder b;
    onnx_begin(&b, 17);
    pb_varint(&tensor, 1, (uint64_t)count);
    pb_varint(&tensor, 2, dtype);
    pb_bytes(&tensor, field, packed, size);
    pb_text(&tensor, 8, "t");
    pb_message(&b.graph, 5, &tensor);
    onnx_end(&b, &f->bytes);
    must_import(f);
}

static void expect_bytes(fixture *f, const char *name, const void *expected, size_t size) {
    uint8_t actual[128] = {0};
    const tni_constant *constant = constant_named(f, name);
    assert_int_equal(constant->size_bytes, size);
    assert_int_equal(tni_constant_read(f->model, (uint32_t)(constant - f->model->constants), 0,
                                       size, actual, &f->error),
                     TN_OK);
    assert_memory_equal(actual, expected, size);
}

static void tensor__decodes_narrow_integers(void **state) {
    static const int8_t expected[3] = {-1, 2, 127};
    fixture *f = *state;
    typed_tensor(f, TN_DTYPE_INT8, 3, 5, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x7f", 12);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void tensor__decodes_wide_integers(void **state) {
    static const int64_t expected[2] = {300, 5};
    fixture *f = *state;
    typed_tensor(f, TN_DTYPE_INT64, 2, 7, "\xac\x02\x05", 3);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void tensor__decodes_packed_nibbles(void **state) {
    fixture *f = *state;
    typed_tensor(f, TN_DTYPE_UINT4, 3, 5, "\xa1\x01\x03", 3);
    expect_bytes(f, "t", "\xa1\x03", 2);
}

static void tensor__decodes_half_floats(void **state) {
    static const uint16_t expected[2] = {0x3c00, 0xc000};
    fixture *f = *state;
    typed_tensor(f, TN_DTYPE_FLOAT16, 2, 5, "\x80\x78\x80\x80\x03", 5);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void tensor__leaves_packed_floats_in_place(void **state) {
    static const float expected[2] = {1.5f, -2.0f};
    fixture *f = *state;
    typed_tensor(f, TN_DTYPE_FLOAT, 2, 4, expected, sizeof expected);
    assert_int_equal(constant_named(f, "t")->kind, TNI_CONSTANT_RAW);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void tensor__decodes_unpacked_elements(void **state) {
    static const float expected[2] = {1.5f, -2.0f};
    static const double doubles[1] = {0.25};
    fixture *f = *state;
    pb tensor = {NULL, 0, 0};
    onnx_builder b;
    onnx_begin(&b, 17);
    pb_varint(&tensor, 1, 2);
    pb_varint(&tensor, 2, TN_DTYPE_FLOAT);
    pb_float(&tensor, 4, 1.5f);
    pb_float(&tensor, 4, -2.0f);
    pb_text(&tensor, 8, "t");
    pb_message(&b.graph, 5, &tensor);
    pb_varint(&tensor, 2, TN_DTYPE_DOUBLE);
    pb_fixed64(&tensor, 10, 0x3fd0000000000000u);
    pb_text(&tensor, 8, "d");
    pb_message(&b.graph, 5, &tensor);
    onnx_end(&b, &f->bytes);
    must_import(f);
    expect_bytes(f, "t", expected, sizeof expected);
    expect_bytes(f, "d", doubles, sizeof doubles);
}

static void tensor__keeps_strings_with_their_ends(void **state) {
    static const uint64_t ends[3] = {0, 2, 5};
    static const char characters[5] = {'a', 'b', 'c', 'd', 'e'};
    fixture *f = *state;
    uint8_t expected[29];
    pb tensor = {NULL, 0, 0};
    onnx_builder b;
    onnx_begin(&b, 17);
    pb_varint(&tensor, 1, 2);
    pb_varint(&tensor, 2, TN_DTYPE_STRING);
    pb_text(&tensor, 6, "ab");
    pb_text(&tensor, 6, "cde");
    pb_text(&tensor, 8, "t");
    pb_message(&b.graph, 5, &tensor);
    onnx_end(&b, &f->bytes);
    must_import(f);
    memcpy(expected, ends, sizeof ends);
    memcpy(expected + sizeof ends, characters, sizeof characters);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void constant_nodes__become_constants(void **state) {
    static const float one_half = 0.5f;
    static const int64_t ints[2] = {7, 8};
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_node(&b, "Constant", "", "a");
    onnx_attr_float(&b, "value_float", 0.5f);
    onnx_node(&b, "Constant", "", "b");
    onnx_attr_ints(&b, "value_ints", 2, ints);
    onnx_node(&b, "Constant", "", "c");
    onnx_attr_tensor(&b, "value", TN_DTYPE_INT64, 1, two, ints, sizeof ints);
    onnx_node(&b, "Constant", "", "d");
    onnx_attr_int(&b, "value_int", 7);
    onnx_end(&b, &f->bytes);
    must_import(f);
    assert_int_equal(f->model->graphs[0].node_count, 0);
    expect_bytes(f, "a", &one_half, sizeof one_half);
    expect_bytes(f, "b", ints, sizeof ints);
    expect_bytes(f, "c", ints, sizeof ints);
    assert_int_equal(constant_named(f, "d")->rank, 0);
    assert_int_equal(constant_named(f, "a")->rank, 0);
}

static void initializers__that_are_inputs_are_constants(void **state) {
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "w", TN_DTYPE_FLOAT, 1, two);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_initializer_floats(&b, "w", 1, two, 0);
    onnx_node(&b, "Add", "x,w", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, two);
    onnx_end(&b, &f->bytes);
    must_import(f);
    assert_int_equal(f->model->graphs[0].input_count, 1);
    assert_int_equal(constant_named(f, "w")->element_count, 2);
}

static void optional_inputs__are_absent(void **state) {
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_input(&b, "high", TN_DTYPE_FLOAT, 0, NULL);
    onnx_node(&b, "Clip", "x,,high", "y");
    onnx_node(&b, "Clip", "x,,", "z");
    onnx_end(&b, &f->bytes);
    must_import(f);
    const tni_node *first = &f->model->nodes[0];
    assert_int_equal(first->input_count, 3);
    assert_int_equal(first->inputs[1], TN_NONE);
    assert_int_equal(f->model->nodes[1].input_count, 1);
}

static void unknown_domains__are_custom_ops(void **state) {
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_opset(&b, "com.example", 3);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Frobnicate", "x", "y");
    onnx_node_domain(&b, "com.example");
    onnx_node_name(&b, "frob");
    onnx_end(&b, &f->bytes);
    must_import(f);
    const tni_node *node = &f->model->nodes[0];
    assert_int_equal(node->flags, TN_NODE_CUSTOM);
    assert_int_equal(node->since_version, 3);
    assert_true(tni_string_is(node->name, "frob"));
}

static void bodies__see_values_around_them(void **state) {
    fixture *f = *state;
    pb bodies[2];
    onnx_builder b;
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        onnx_node(&b, "Add", "x,x", "sum");
        onnx_output_untyped(&b, "sum");
        onnx_end_graph(&b, &bodies[i]);
    }
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_input(&b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&b, "If", "c", "y");
    onnx_attr_graph(&b, "then_branch", &bodies[0]);
    onnx_attr_graph(&b, "else_branch", &bodies[1]);
    onnx_output_untyped(&b, "y");
    onnx_end(&b, &f->bytes);
    must_import(f);
    assert_int_equal(f->model->graph_count, 3);
    const tni_graph *body = &f->model->graphs[1];
    assert_int_equal(body->parent_node, 0);
    assert_int_equal(body->node_count, 1);
    assert_int_equal(f->model->nodes[body->nodes[0]].inputs[0], f->model->graphs[0].inputs[0]);
}

// Function f.Twice(a; k) = Add(Mul(a, a), Concat(axis = k)), with a default for k.
static void functions__are_inlined_with_attributes(void **state) {
    fixture *f = *state;
    pb function = {NULL, 0, 0};
    pb opset = {NULL, 0, 0};
    pb node = {NULL, 0, 0};
    pb attribute = {NULL, 0, 0};
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_opset(&b, "f", 1);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Twice", "x", "y");
    onnx_node_domain(&b, "f");
    onnx_attr_int(&b, "k", 5);
    onnx_node(&b, "Twice", "y", "z");
    onnx_node_domain(&b, "f");
    onnx_output_untyped(&b, "z");
    onnx_end(&b, &f->bytes);
    pb_text(&function, 1, "Twice");
    pb_text(&function, 4, "a");
    pb_text(&function, 5, "r");
    pb_text(&function, 6, "k");
    pb_text(&function, 10, "f");
    pb_text(&opset, 1, "");
    pb_varint(&opset, 2, 12);
    pb_message(&function, 9, &opset);
    pb_text(&attribute, 1, "axis");
    pb_text(&attribute, 21, "k");
    pb_varint(&attribute, 20, 2);
    pb_text(&node, 1, "a");
    pb_text(&node, 2, "r");
    pb_text(&node, 4, "Concat");
    pb_message(&node, 5, &attribute);
    pb_message(&function, 7, &node);
    pb_text(&attribute, 1, "k");
    pb_varint(&attribute, 3, 9);
    pb_varint(&attribute, 20, 2);
    pb_message(&function, 11, &attribute);
    pb_message(&f->bytes, 25, &function);
    must_import(f);
    assert_int_equal(f->model->graphs[0].node_count, 2);
    assert_true(tni_node_is(&f->model->nodes[0], "Concat"));
    // The function's own opset 12 is in force inside, not the model's 17.
    assert_int_equal(f->model->nodes[0].since_version, 11);
    assert_int_equal(tni_node_int(&f->model->nodes[0], "axis", -1), 5);
    assert_int_equal(tni_node_int(&f->model->nodes[1], "axis", -1), 9);
    assert_int_equal(f->model->nodes[1].inputs[0], f->model->nodes[0].outputs[0]);
    assert_true(tni_string_is(f->model->values[f->model->nodes[0].outputs[0]].name, "y"));
}

static void old_files__are_opset_1(void **state) {
    fixture *f = *state;
    pb graph = {NULL, 0, 0};
    pb node = {NULL, 0, 0};
    onnx_builder b;
    onnx_begin_graph(&b);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Relu", "x", "y");
    onnx_end_graph(&b, &graph);
    pb_varint(&f->bytes, 1, 2);
    pb_message(&f->bytes, 7, &graph);
    pb_free(&node);
    must_import(f);
    assert_int_equal(f->model->nodes[0].since_version, 1);
}

static void metadata__is_kept(void **state) {
    fixture *f = *state;
    pb entry = {NULL, 0, 0};
    onnx_model_chain(&f->bytes, 2, 2);
    pb_text(&entry, 1, "author");
    pb_text(&entry, 2, "somebody");
    pb_message(&f->bytes, 14, &entry);
    pb_varint(&f->bytes, 5, 42);
    must_import(f);
    assert_int_equal(f->model->metadata_count, 1);
    assert_true(tni_string_is(f->model->metadata[0].value, "somebody"));
    assert_int_equal(f->model->model_version, 42);
}

static void types__hold_containers(void **state) {
    static const struct {
        uint32_t outer[2]; // TypeProto fields around the tensor, inside out
        uint32_t tensor_field;
        tn_value_kind kind;
    } cases[] = {
        {{4, 0}, 1, TN_VALUE_SEQUENCE},
        {{9, 0}, 1, TN_VALUE_OPTIONAL_TENSOR},
        {{4, 9}, 1, TN_VALUE_OPTIONAL_SEQUENCE},
        {{0, 0}, 8, TN_VALUE_SPARSE_TENSOR},
    };
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char name[2] = {(char)('a' + i), '\0'};
        pb type = {NULL, 0, 0};
        pb tensor = {NULL, 0, 0};
        pb info = {NULL, 0, 0};
        pb_varint(&tensor, 1, TN_DTYPE_INT32);
        pb_message(&type, cases[i].tensor_field, &tensor);
        for (int k = 0; k < 2 && cases[i].outer[k] != 0; k++) {
            pb element = {NULL, 0, 0};
            pb outer = {NULL, 0, 0};
            pb_message(&element, 1, &type);
            pb_message(&outer, cases[i].outer[k], &element);
            type = outer;
        }
        pb_text(&info, 1, name);
        pb_message(&info, 2, &type);
        pb_message(&b.graph, 11, &info);
    }
    onnx_end(&b, &f->bytes);
    must_import(f);
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const tni_value *value = &f->model->values[f->model->graphs[0].inputs[i]];
        assert_int_equal(value->kind, cases[i].kind);
        assert_int_equal(value->dtype, TN_DTYPE_INT32);
    }
}

static char folder[64];

static void write_model_with_external(fixture *f, char *path, size_t capacity) {
    pb tensor = {NULL, 0, 0};
    pb data = {NULL, 0, 0};
    onnx_builder b;
    const float values[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    const char *const entries[3][2] = {
        {"location", "w/weights.bin"}, {"offset", "8"}, {"length", "8"}};
    snprintf(folder, sizeof folder, "/tmp/tenon-import-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, capacity, "%s/w", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, capacity, "%s/w/weights.bin", folder);
    pb_append(&data, values, sizeof values);
    pb_write_file(&data, path);
    pb_free(&data);
    onnx_begin(&b, 17);
    pb_varint(&tensor, 1, 2);
    pb_varint(&tensor, 2, TN_DTYPE_FLOAT);
    pb_text(&tensor, 8, "t");
    pb_varint(&tensor, 14, 1);
    for (int i = 0; i < 3; i++) {
        pb entry = {NULL, 0, 0};
        pb_text(&entry, 1, entries[i][0]);
        pb_text(&entry, 2, entries[i][1]);
        pb_message(&tensor, 13, &entry);
    }
    pb_message(&b.graph, 5, &tensor);
    onnx_end(&b, &f->bytes);
    snprintf(path, capacity, "%s/model.onnx", folder);
    pb_write_file(&f->bytes, path);
}

static void remove_model_with_external(void) {
    char path[128];
    static const char *const names[] = {"/w/weights.bin", "/model.onnx", "/w", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void external_data__is_mapped_from_the_models_folder(void **state) {
    static const float expected[2] = {3.0f, 4.0f};
    static const uint32_t modes[2] = {0, TNI_IMPORT_COPY};
    fixture *f = *state;
    char path[128];
    write_model_with_external(f, path, sizeof path);
    for (int i = 0; i < 2; i++) {
        const tni_import_info info = {
            .alloc = &f->allocator.alloc, .path = path, .flags = modes[i]};
        assert_int_equal(tni_onnx_import(&info, &f->model, &f->error), TN_OK);
        assert_int_equal(f->model->source_count, 2);
        assert_int_equal(f->model->sources[1].kind, i == 0 ? TNI_SOURCE_MAPPED : TNI_SOURCE_COPIED);
        expect_bytes(f, "t", expected, sizeof expected);
        tni_model_destroy(f->model);
        f->model = NULL;
    }
    remove_model_with_external();
}

static void buffer__is_copied_when_asked(void **state) {
    static const float expected[2] = {3.0f, 4.0f};
    fixture *f = *state;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_initializer(&b, "t", TN_DTYPE_FLOAT, 1, two, expected, sizeof expected);
    onnx_node(&b, "Relu", "t", "y");
    onnx_output_untyped(&b, "y");
    onnx_end(&b, &f->bytes);
    const tni_import_info info = {.alloc = &f->allocator.alloc,
                                  .data = f->bytes.data,
                                  .size_bytes = f->bytes.size,
                                  .flags = TNI_IMPORT_COPY};
    assert_int_equal(tni_onnx_import(&info, &f->model, &f->error), TN_OK);
    pb_free(&f->bytes); // nothing of it is needed any more
    assert_int_equal(f->model->sources[0].kind, TNI_SOURCE_COPIED);
    expect_bytes(f, "t", expected, sizeof expected);
}

static void installed_models__import(void **state) {
    static const char *const names[] = {"test_gelu_default_1", "test_resize_upsample_scales_cubic",
                                        "test_loop11", "test_maxpool_2d_ceil"};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "/usr/share/libonnx-testdata/data/node/%s/model.onnx",
                 names[i]);
        const tni_import_info info = {.alloc = &f->allocator.alloc, .path = path};
        if (access(path, R_OK) == 0) {
            assert_int_equal(tni_onnx_import(&info, &f->model, &f->error), TN_OK);
            tni_model_destroy(f->model);
            f->model = NULL;
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(import__reads_graph_inputs_and_nodes),
        CASE(import__leaves_raw_weights_in_place),
        CASE(tensor__decodes_narrow_integers),
        CASE(tensor__decodes_wide_integers),
        CASE(tensor__decodes_packed_nibbles),
        CASE(tensor__decodes_half_floats),
        CASE(tensor__leaves_packed_floats_in_place),
        CASE(tensor__decodes_unpacked_elements),
        CASE(tensor__keeps_strings_with_their_ends),
        CASE(constant_nodes__become_constants),
        CASE(initializers__that_are_inputs_are_constants),
        CASE(optional_inputs__are_absent),
        CASE(unknown_domains__are_custom_ops),
        CASE(buffer__is_copied_when_asked),
        CASE(bodies__see_values_around_them),
        CASE(functions__are_inlined_with_attributes),
        CASE(old_files__are_opset_1),
        CASE(metadata__is_kept),
        CASE(types__hold_containers),
        CASE(external_data__is_mapped_from_the_models_folder),
        CASE(installed_models__import),
    };
    return cmocka_run_group_tests_name("onnx_import", tests, NULL, NULL);
}
