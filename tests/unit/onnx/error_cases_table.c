// SPDX-License-Identifier: Apache-2.0
// The broken models. Each differs from a good one in the one thing its name says.
#include "unit/onnx/error_cases.h"

#include <string.h>

static const int64_t two[1] = {2};
static const float floats[2] = {1.0f, 2.0f};

// Appends a graph given as bytes to a model of IR version 8 and opset 17.
static void wrap_graph(pb *model, pb *graph) {
    pb opset = {NULL, 0, 0};
    pb_varint(model, 1, 8);
    pb_text(&opset, 1, "");
    pb_varint(&opset, 2, 17);
    pb_message(model, 8, &opset);
    pb_message(model, 7, graph);
}

// A model whose graph has one initializer, given as bytes.
static void wrap_tensor(pb *model, pb *tensor) {
    pb graph = {NULL, 0, 0};
    pb_message(&graph, 5, tensor);
    wrap_graph(model, &graph);
}

static void wrap_node(pb *model, pb *node) {
    pb graph = {NULL, 0, 0};
    pb_message(&graph, 1, node);
    wrap_graph(model, &graph);
}

// A model with a node of a custom domain that has one attribute, given as bytes.
static void wrap_attribute(pb *model, pb *attribute) {
    pb node = {NULL, 0, 0};
    pb_text(&node, 2, "y");
    pb_text(&node, 4, "Thing");
    pb_text(&node, 7, "my.domain");
    pb_message(&node, 5, attribute);
    wrap_node(model, &node);
}

static void wrap_type(pb *model, pb *type) {
    pb info = {NULL, 0, 0};
    pb graph = {NULL, 0, 0};
    pb_text(&info, 1, "x");
    pb_message(&info, 2, type);
    pb_message(&graph, 11, &info);
    wrap_graph(model, &graph);
}

// Name "w", float, two elements; no data.
static pb bare_tensor(void) {
    pb tensor = {NULL, 0, 0};
    pb_varint(&tensor, 1, 2);
    pb_varint(&tensor, 2, TN_DTYPE_FLOAT);
    pb_text(&tensor, 8, "w");
    return tensor;
}

static void add_function(pb *model, const char *name, const char *calls, int domain) {
    pb function = {NULL, 0, 0};
    pb node = {NULL, 0, 0};
    if (name[0] != '\0') {
        pb_text(&function, 1, name);
    }
    pb_text(&function, 4, "a");
    pb_text(&function, 5, "b");
    pb_text(&function, 10, "f");
    pb_text(&node, 1, "a");
    pb_text(&node, 2, "b");
    pb_text(&node, 4, calls);
    if (domain != 0) {
        pb_text(&node, 7, "f");
    }
    pb_message(&function, 7, &node);
    pb_message(model, 25, &function);
}

// A model that calls function f.F with these operands.
static void call_function(onnx_builder *b, const char *inputs, const char *outputs) {
    onnx_begin(b, 17);
    onnx_opset(b, "f", 1);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(b, "F", inputs, outputs);
    onnx_node_domain(b, "f");
}

static void begin_relu(onnx_builder *b) {
    onnx_begin(b, 17);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(b, "Relu", "x", "y");
}

static void make_empty(pb *model, tni_import_limits *limits) {
    (void)model;
    (void)limits;
}

static void make_varint_truncated(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x08\x80", 2);
}

static void make_varint_missing(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x08", 1);
}

static void make_length_missing(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x12", 1);
}

static void make_varint_too_long(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11);
}

static void make_field_number(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x00\x01", 2);
}

static void make_fixed_truncated(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x09\x01\x02", 3);
}

static void make_length_past_end(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x12\x7f\x01", 3);
}

static void make_group(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_append(model, "\x0b\x0c", 2);
}

static void make_wire_type(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_text(model, 1, "eight");
}

static void make_wire_type_graph(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_varint(model, 1, 8);
    pb_varint(model, 7, 1);
}

static void make_no_ir_version(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_text(model, 2, "somebody");
}

static void make_ir_too_new(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_varint(model, 1, 1000);
}

static void make_no_graph(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_varint(model, 1, 8);
}

static void make_two_graphs(pb *model, tni_import_limits *limits) {
    (void)limits;
    pb_varint(model, 1, 8);
    pb_text(model, 7, "");
    pb_text(model, 7, "");
}

static void make_opset(pb *model, const char *domain, uint64_t version) {
    pb opset = {NULL, 0, 0};
    pb_text(&opset, 1, domain);
    pb_varint(&opset, 2, version);
    pb_message(model, 8, &opset);
}

static void make_opset_version(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_opset(model, "", 0);
}

static void make_opset_negative(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_opset(model, "", UINT64_MAX);
}

static void make_opset_too_new(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_opset(model, "ai.onnx", 10000);
}

static void make_duplicate_opset(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_opset(model, "", 17);
    make_opset(model, "ai.onnx", 16);
}

static void make_many_opsets(pb *model, tni_import_limits *limits) {
    (void)limits;
    for (int i = 0; i < 65; i++) {
        const char domain[3] = {(char)('a' + i % 26), (char)('a' + i / 26), '\0'};
        make_opset(model, domain, 1);
    }
}

static void make_memory_limit(pb *model, tni_import_limits *limits) {
    onnx_model_chain(model, 400, 4);
    limits->arena_bytes = 8192;
}

static void make_name_too_long(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "a_name_that_is_long", TN_DTYPE_FLOAT, 1, two);
    onnx_end(&b, model);
    limits->name_bytes = 16;
}

static void make_bad_utf8(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "\xc3\x28", TN_DTYPE_FLOAT, 1, two);
    onnx_end(&b, model);
}

static void make_value_name(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_output_untyped(&b, "");
    onnx_end(&b, model);
}

static void make_value_dim(pb *model, tni_import_limits *limits) {
    pb dim = {NULL, 0, 0};
    pb shape = {NULL, 0, 0};
    pb tensor = {NULL, 0, 0};
    pb type = {NULL, 0, 0};
    (void)limits;
    pb_varint(&dim, 1, (uint64_t)-5);
    pb_message(&shape, 1, &dim);
    pb_message(&tensor, 2, &shape);
    pb_message(&type, 1, &tensor);
    wrap_type(model, &type);
}

static void make_value_dtype(pb *model, tni_import_limits *limits) {
    pb tensor = {NULL, 0, 0};
    pb type = {NULL, 0, 0};
    (void)limits;
    pb_varint(&tensor, 1, 999);
    pb_message(&type, 1, &tensor);
    wrap_type(model, &type);
}

static void make_value_map(pb *model, tni_import_limits *limits) {
    pb type = {NULL, 0, 0};
    (void)limits;
    pb_text(&type, 5, "");
    wrap_type(model, &type);
}

static void make_value_nested(pb *model, tni_import_limits *limits) {
    pb type = {NULL, 0, 0};
    (void)limits;
    pb_text(&type, 1, "");
    for (int i = 0; i < 300; i++) {
        pb element = {NULL, 0, 0};
        pb outer = {NULL, 0, 0};
        pb_message(&element, 1, &type);
        pb_message(&outer, 4, &element);
        type = outer;
    }
    wrap_type(model, &type);
}

static void make_value_sequences(pb *model, tni_import_limits *limits) {
    pb type = {NULL, 0, 0};
    (void)limits;
    pb_text(&type, 1, "");
    for (int i = 0; i < 2; i++) {
        pb element = {NULL, 0, 0};
        pb outer = {NULL, 0, 0};
        pb_message(&element, 1, &type);
        pb_message(&outer, 4, &element);
        type = outer;
    }
    wrap_type(model, &type);
}

static void make_value_rank(pb *model, tni_import_limits *limits) {
    const int64_t dims[3] = {1, 2, 3};
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_end(&b, model);
    limits->rank = 2;
}

static void make_duplicate_input(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_end(&b, model);
}

static void make_duplicate_output(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    begin_relu(&b);
    onnx_node(&b, "Relu", "x", "y");
    onnx_end(&b, model);
}

static void make_unknown_input(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "Relu", "nothing", "y");
    onnx_end(&b, model);
}

static void make_unsorted(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Relu", "t", "y");
    onnx_node(&b, "Relu", "x", "t");
    onnx_end(&b, model);
}

static void make_cycle(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "Relu", "y", "y");
    onnx_end(&b, model);
}

static void make_unknown_output(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    begin_relu(&b);
    onnx_output_untyped(&b, "z");
    onnx_end(&b, model);
}

static void make_initializer_name(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_initializer(&b, "", TN_DTYPE_FLOAT, 1, two, floats, sizeof floats);
    onnx_end(&b, model);
}

static void make_sparse(pb *model, tni_import_limits *limits) {
    pb graph = {NULL, 0, 0};
    (void)limits;
    pb_text(&graph, 15, "");
    wrap_graph(model, &graph);
}

static void make_many_nodes(pb *model, tni_import_limits *limits) {
    onnx_model_chain(model, 20, 2);
    limits->nodes = 10;
}

static void make_many_values(pb *model, tni_import_limits *limits) {
    onnx_model_chain(model, 20, 2);
    limits->values = 15;
}

static void make_many_inputs(pb *model, tni_import_limits *limits) {
    onnx_model_chain(model, 20, 2);
    limits->values = 10;
}

static void make_many_initializers(pb *model, tni_import_limits *limits) {
    onnx_model_chain(model, 20, 2);
    limits->initializers = 3;
}

static void make_many_attributes(pb *model, tni_import_limits *limits) {
    onnx_model_classifier(model, 1, 8);
    limits->attributes = 2;
}

static void make_graph_depth(pb *model, tni_import_limits *limits) {
    pb inner = {NULL, 0, 0};
    onnx_builder b;
    (void)limits;
    for (int i = 0; i < 40; i++) {
        pb graph;
        onnx_begin_graph(&b);
        onnx_node(&b, "Thing", "", "y");
        onnx_node_domain(&b, "my.domain");
        if (i > 0) {
            onnx_attr_graph(&b, "body", &inner);
        }
        onnx_end_graph(&b, &graph);
        inner = graph;
    }
    wrap_graph(model, &inner);
}

static void make_no_op_type(pb *model, tni_import_limits *limits) {
    pb node = {NULL, 0, 0};
    (void)limits;
    pb_text(&node, 2, "y");
    wrap_node(model, &node);
}

static void make_no_opset(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 0);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Relu", "x", "y");
    onnx_end(&b, model);
}

static void make_unknown_op(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "NoSuchOp", "", "y");
    onnx_end(&b, model);
}

static void make_op_too_new(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Gelu", "x", "y");
    onnx_end(&b, model);
}

static void make_input_count(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Add", "x", "y");
    onnx_end(&b, model);
}

static void make_output_count(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, two);
    onnx_node(&b, "Relu", "x", "y,z");
    onnx_end(&b, model);
}

static void make_constant_without_value(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "Constant", "", "y");
    onnx_end(&b, model);
}

static void make_constant_of_text(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "Constant", "", "y");
    onnx_attr_text(&b, "value_string", "hello");
    onnx_end(&b, model);
}

static void make_attribute_name(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_varint(&attribute, 3, 1);
    pb_varint(&attribute, 20, 2);
    wrap_attribute(model, &attribute);
}

static void make_attribute_type(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "axis");
    pb_varint(&attribute, 3, 1);
    pb_varint(&attribute, 20, 1);
    wrap_attribute(model, &attribute);
}

static void make_attribute_no_type(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "axis");
    wrap_attribute(model, &attribute);
}

static void make_attribute_values(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "axis");
    pb_varint(&attribute, 3, 1);
    pb_float(&attribute, 2, 1.0f);
    wrap_attribute(model, &attribute);
}

static void make_attribute_twice(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "axis");
    pb_varint(&attribute, 3, 1);
    pb_varint(&attribute, 3, 2);
    wrap_attribute(model, &attribute);
}

static void make_attribute_kind(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "types");
    pb_text(&attribute, 15, "");
    wrap_attribute(model, &attribute);
}

static void make_attribute_size(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    pb_text(&attribute, 1, "axes");
    pb_bytes(&attribute, 8, "\x01\x02\x03\x04\x05", 5);
    wrap_attribute(model, &attribute);
    limits->attribute_values = 4;
}

static void make_packed_floats(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "scales");
    pb_bytes(&attribute, 7, "\x01\x02\x03", 3);
    wrap_attribute(model, &attribute);
}

static void make_attribute_graph(pb *model, tni_import_limits *limits) {
    pb graph = {NULL, 0, 0};
    onnx_builder b;
    (void)limits;
    onnx_begin(&b, 17);
    onnx_node(&b, "Constant", "", "y");
    onnx_attr_graph(&b, "value", &graph);
    onnx_end(&b, model);
}

static void make_attribute_reference(pb *model, tni_import_limits *limits) {
    pb attribute = {NULL, 0, 0};
    (void)limits;
    pb_text(&attribute, 1, "axis");
    pb_text(&attribute, 21, "outer_axis");
    wrap_attribute(model, &attribute);
}

static void make_duplicate_attribute(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    begin_relu(&b);
    onnx_attr_int(&b, "axis", 1);
    onnx_attr_int(&b, "axis", 2);
    onnx_end(&b, model);
}

static void make_node_attributes(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    begin_relu(&b);
    for (int i = 0; i < 1025; i++) {
        onnx_attr_int(&b, "axis", 1);
    }
    onnx_end(&b, model);
}

static void make_tensor_dtype(pb *model, tni_import_limits *limits) {
    pb tensor = {NULL, 0, 0};
    (void)limits;
    pb_text(&tensor, 8, "w");
    pb_varint(&tensor, 2, 77);
    wrap_tensor(model, &tensor);
}

static void make_tensor_dim(pb *model, tni_import_limits *limits) {
    pb tensor = {NULL, 0, 0};
    (void)limits;
    pb_varint(&tensor, 1, (uint64_t)-1);
    wrap_tensor(model, &tensor);
}

static void make_tensor_rank(pb *model, tni_import_limits *limits) {
    pb tensor = {NULL, 0, 0};
    (void)limits;
    pb_bytes(&tensor, 1, "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", 17);
    wrap_tensor(model, &tensor);
}

static void make_tensor_overflow(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_varint(&tensor, 1, INT64_MAX);
    wrap_tensor(model, &tensor);
}

static void make_tensor_size(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    pb_bytes(&tensor, 9, floats, sizeof floats);
    wrap_tensor(model, &tensor);
    limits->tensor_bytes = 4;
}

static void make_tensor_segment(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_text(&tensor, 3, "");
    wrap_tensor(model, &tensor);
}

static void make_raw_size(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_bytes(&tensor, 9, floats, 7);
    wrap_tensor(model, &tensor);
}

static void make_data_count(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_float(&tensor, 4, 1.0f);
    wrap_tensor(model, &tensor);
}

static void make_data_missing(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_varint(&tensor, 1, 1000000000);
    wrap_tensor(model, &tensor);
}

static void make_data_field(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_bytes(&tensor, 5, "\x01\x02", 2);
    wrap_tensor(model, &tensor);
}

static void make_data_twice(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_bytes(&tensor, 9, floats, sizeof floats);
    pb_bytes(&tensor, 4, floats, sizeof floats);
    wrap_tensor(model, &tensor);
}

static void make_raw_twice(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_bytes(&tensor, 9, floats, 4);
    pb_bytes(&tensor, 9, floats, 4);
    wrap_tensor(model, &tensor);
}

static void make_packed_size(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_bytes(&tensor, 4, floats, 7);
    wrap_tensor(model, &tensor);
}

static void add_entry(pb *tensor, const char *key, const char *value) {
    pb entry = {NULL, 0, 0};
    pb_text(&entry, 1, key);
    pb_text(&entry, 2, value);
    pb_message(tensor, 13, &entry);
}

static void make_external(pb *model, const char *location, const char *offset, const char *length) {
    pb tensor = bare_tensor();
    pb_varint(&tensor, 14, 1);
    add_entry(&tensor, "location", location);
    add_entry(&tensor, "offset", offset);
    add_entry(&tensor, "length", length);
    wrap_tensor(model, &tensor);
}

static void make_external_absolute(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "/etc/passwd", "0", "8");
}

static void make_external_parent(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "sub/../../secret", "0", "8");
}

static void make_external_no_location(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "", "0", "8");
}

static void make_external_link(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "leak.bin", "0", "8");
}

static void make_external_missing(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "missing.bin", "0", "8");
}

static void make_external_offset(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "data.bin", "60", "8");
}

static void make_external_length(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "data.bin", "0", "9");
}

static void make_external_number(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "data.bin", "-1", "8");
}

static void make_external_folder(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "data.bin", "0", "8");
}

static void make_external_directory(pb *model, tni_import_limits *limits) {
    (void)limits;
    make_external(model, "sub", "0", "8");
}

static void make_external_data(pb *model, tni_import_limits *limits) {
    pb tensor = bare_tensor();
    (void)limits;
    pb_varint(&tensor, 14, 1);
    add_entry(&tensor, "location", "data.bin");
    pb_bytes(&tensor, 9, floats, sizeof floats);
    wrap_tensor(model, &tensor);
}

static void make_external_files(pb *model, tni_import_limits *limits) {
    pb graph = {NULL, 0, 0};
    static const char *const names[2] = {"data.bin", "./data.bin"};
    for (int i = 0; i < 2; i++) {
        pb tensor = {NULL, 0, 0};
        pb_varint(&tensor, 1, 2);
        pb_varint(&tensor, 2, TN_DTYPE_FLOAT);
        pb_text(&tensor, 8, i == 0 ? "v" : "w");
        pb_varint(&tensor, 14, 1);
        add_entry(&tensor, "location", names[i]);
        pb_message(&graph, 5, &tensor);
    }
    wrap_graph(model, &graph);
    limits->external_files = 1;
}

static void make_function_name(pb *model, tni_import_limits *limits) {
    (void)limits;
    add_function(model, "", "Relu", 0);
}

static void make_duplicate_function(pb *model, tni_import_limits *limits) {
    (void)limits;
    add_function(model, "F", "Relu", 0);
    add_function(model, "F", "Relu", 0);
}

static void make_many_functions(pb *model, tni_import_limits *limits) {
    add_function(model, "F", "Relu", 0);
    add_function(model, "G", "Relu", 0);
    limits->functions = 1;
}

static void make_function_depth(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    call_function(&b, "x", "y");
    onnx_end(&b, model);
    add_function(model, "F", "F", 1);
}

static void make_function_bytes(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    call_function(&b, "x", "y");
    onnx_end(&b, model);
    add_function(model, "F", "Relu", 0);
    limits->function_bytes = 4;
}

static void make_function_inputs(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    call_function(&b, "x,x", "y");
    onnx_end(&b, model);
    add_function(model, "F", "Relu", 0);
}

static void make_function_outputs(pb *model, tni_import_limits *limits) {
    onnx_builder b;
    (void)limits;
    call_function(&b, "x", "y,z");
    onnx_end(&b, model);
    add_function(model, "F", "Relu", 0);
}

static void make_function_opsets(pb *model, tni_import_limits *limits) {
    pb function = {NULL, 0, 0};
    onnx_builder b;
    (void)limits;
    call_function(&b, "x", "y");
    onnx_end(&b, model);
    pb_text(&function, 1, "F");
    pb_text(&function, 10, "f");
    for (int i = 0; i < 65; i++) {
        pb opset = {NULL, 0, 0};
        pb_text(&opset, 1, "d");
        pb_varint(&opset, 2, 1);
        pb_message(&function, 9, &opset);
    }
    pb_message(model, 25, &function);
}

static void make_function_no_output(pb *model, tni_import_limits *limits) {
    pb function = {NULL, 0, 0};
    onnx_builder b;
    (void)limits;
    call_function(&b, "", "y");
    onnx_end(&b, model);
    pb_text(&function, 1, "F");
    pb_text(&function, 5, "nothing");
    pb_text(&function, 10, "f");
    pb_message(model, 25, &function);
}

#define DATA TN_ERROR_INVALID_DATA
#define LIMIT TN_ERROR_LIMIT_EXCEEDED
#define NOT_SUPPORTED TN_ERROR_UNSUPPORTED

const error_case error_cases[] = {
    {"onnx.empty", NULL, make_empty, DATA, 0},
    {"onnx.varint-truncated", NULL, make_varint_truncated, DATA, 0},
    {"onnx.varint-truncated", NULL, make_varint_missing, DATA, 0},
    {"onnx.varint-truncated", NULL, make_length_missing, DATA, 0},
    {"onnx.varint-too-long", NULL, make_varint_too_long, DATA, 0},
    {"onnx.field-number", NULL, make_field_number, DATA, 0},
    {"onnx.fixed-truncated", NULL, make_fixed_truncated, DATA, 0},
    {"onnx.length-past-end", NULL, make_length_past_end, DATA, 0},
    {"onnx.wire-type-unknown", NULL, make_group, DATA, 0},
    {"onnx.wire-type", NULL, make_wire_type, DATA, 0},
    {"onnx.wire-type", NULL, make_wire_type_graph, DATA, 0},
    {"onnx.ir-version", NULL, make_no_ir_version, DATA, 0},
    {"onnx.ir-too-new", NULL, make_ir_too_new, NOT_SUPPORTED, 0},
    {"onnx.no-graph", NULL, make_no_graph, DATA, 0},
    {"onnx.duplicate-graph", NULL, make_two_graphs, DATA, 0},
    {"onnx.opset-version", "opset_import[0]: ", make_opset_version, DATA, 0},
    {"onnx.opset-version", "opset_import[0]: ", make_opset_negative, DATA, 0},
    {"onnx.opset-too-new", "opset_import[0]: ", make_opset_too_new, NOT_SUPPORTED, 0},
    {"onnx.duplicate-opset", "opset_import[1]: ", make_duplicate_opset, DATA, 0},
    {"onnx.too-many-opsets", "opset_import[64]: ", make_many_opsets, LIMIT, 0},
    {"onnx.memory-limit", "graph.", make_memory_limit, LIMIT, 0},
    {"onnx.name-too-long", "graph.input[0]: ", make_name_too_long, LIMIT, 0},
    {"onnx.bad-utf8", "graph.input[0]: ", make_bad_utf8, DATA, 0},
    {"onnx.value-name", "graph.output[0]: ", make_value_name, DATA, 0},
    {"onnx.value-dim", "graph.input[0].type.shape.dim[0]: ", make_value_dim, DATA, 0},
    {"onnx.value-dtype", "graph.input[0].type: ", make_value_dtype, NOT_SUPPORTED, 0},
    {"onnx.value-kind", "graph.input[0]: ", make_value_map, NOT_SUPPORTED, 0},
    {"onnx.value-kind", "graph.input[0].type.elem_type.", make_value_nested, NOT_SUPPORTED, 0},
    {"onnx.value-kind", "graph.input[0].type: ", make_value_sequences, NOT_SUPPORTED, 0},
    {"onnx.value-rank", "graph.input[0].type.shape: ", make_value_rank, LIMIT, 0},
    {"onnx.duplicate-name", "graph.input[1]: ", make_duplicate_input, DATA, 0},
    {"onnx.duplicate-name", "graph.node[1].output[0]: ", make_duplicate_output, DATA, 0},
    {"onnx.unknown-input", "graph.node[0].input[0]: ", make_unknown_input, DATA, 0},
    {"onnx.unknown-input", "graph.node[0].input[0]: ", make_unsorted, DATA, 0},
    {"onnx.unknown-input", "graph.node[0].input[0]: ", make_cycle, DATA, 0},
    {"onnx.unknown-output", "graph.output[0]: ", make_unknown_output, DATA, 0},
    {"onnx.unknown-output", "graph.node[0]: ", make_function_no_output, DATA, 0},
    {"onnx.initializer-name", "graph.initializer[0]: ", make_initializer_name, DATA, 0},
    {"onnx.sparse-initializer", "graph.sparse_initializer[0]: ", make_sparse, NOT_SUPPORTED, 0},
    {"onnx.too-many-nodes", "graph.node[10]: ", make_many_nodes, LIMIT, 0},
    {"onnx.too-many-values", "graph.node[4]: ", make_many_values, LIMIT, 0},
    {"onnx.too-many-values", "graph.input[0]: ", make_many_inputs, LIMIT, 0},
    {"onnx.too-many-initializers", "graph.initializer[3]: ", make_many_initializers, LIMIT, 0},
    {"onnx.too-many-attributes", "graph.node[3]: ", make_many_attributes, LIMIT, 0},
    {"onnx.graph-depth", "graph.node[0].attribute[0].g.", make_graph_depth, LIMIT, 0},
    {"onnx.no-op-type", "graph.node[0]: ", make_no_op_type, DATA, 0},
    {"onnx.no-opset", "graph.node[0]: ", make_no_opset, DATA, 0},
    {"onnx.unknown-op", "graph.node[0]: ", make_unknown_op, NOT_SUPPORTED, 0},
    {"onnx.op-version", "graph.node[0]: ", make_op_too_new, NOT_SUPPORTED, 0},
    {"onnx.input-count", "graph.node[0]: ", make_input_count, DATA, 0},
    {"onnx.output-count", "graph.node[0]: ", make_output_count, DATA, 0},
    {"onnx.constant-value", "graph.node[0]: ", make_constant_without_value, DATA, 0},
    {"onnx.constant-value", "graph.node[0]: ", make_constant_of_text, NOT_SUPPORTED, 0},
    {"onnx.attribute-name", "graph.node[0].attribute[0]: ", make_attribute_name, DATA, 0},
    {"onnx.attribute-type", "graph.node[0].attribute[0]: ", make_attribute_type, DATA, 0},
    {"onnx.attribute-type", "graph.node[0].attribute[0]: ", make_attribute_no_type, DATA, 0},
    {"onnx.attribute-values", "graph.node[0].attribute[0]: ", make_attribute_values, DATA, 0},
    {"onnx.attribute-values", "graph.node[0].attribute[0]: ", make_attribute_twice, DATA, 0},
    {"onnx.attribute-kind", "graph.node[0].attribute[0]: ", make_attribute_kind, NOT_SUPPORTED, 0},
    {"onnx.attribute-size", "graph.node[0].attribute[0]: ", make_attribute_size, LIMIT, 0},
    {"onnx.packed-size", "graph.node[0].attribute[0]: ", make_packed_floats, DATA, 0},
    {"onnx.attribute-graph", "graph.node[0].attribute[0].g: ", make_attribute_graph, NOT_SUPPORTED,
     0},
    {"onnx.attribute-reference", "graph.node[0].attribute[0]: ", make_attribute_reference, DATA, 0},
    {"onnx.duplicate-attribute", "graph.node[0].attribute[1]: ", make_duplicate_attribute, DATA, 0},
    {"onnx.node-attributes", "graph.node[0]: ", make_node_attributes, LIMIT, 0},
    {"onnx.tensor-dtype", "graph.initializer[0]: ", make_tensor_dtype, NOT_SUPPORTED, 0},
    {"onnx.tensor-dim", "graph.initializer[0]: ", make_tensor_dim, DATA, 0},
    {"onnx.tensor-rank", "graph.initializer[0].dims: ", make_tensor_rank, LIMIT, 0},
    {"onnx.tensor-overflow", "graph.initializer[0]: ", make_tensor_overflow, DATA, 0},
    {"onnx.tensor-size", "graph.initializer[0]: ", make_tensor_size, LIMIT, 0},
    {"onnx.tensor-segment", "graph.initializer[0]: ", make_tensor_segment, NOT_SUPPORTED, 0},
    {"onnx.raw-size", "graph.initializer[0]: ", make_raw_size, DATA, 0},
    {"onnx.data-count", "graph.initializer[0]: ", make_data_count, DATA, 0},
    {"onnx.data-count", "graph.initializer[0]: ", make_data_missing, DATA, 0},
    {"onnx.data-field", "graph.initializer[0]: ", make_data_field, DATA, 0},
    {"onnx.data-twice", "graph.initializer[0]: ", make_data_twice, DATA, 0},
    {"onnx.data-twice", "graph.initializer[0]: ", make_raw_twice, DATA, 0},
    {"onnx.packed-size", "graph.initializer[0]: ", make_packed_size, DATA, 0},
    {"onnx.external-location", "graph.initializer[0]: ", make_external_absolute, TN_ERROR_DENIED,
     1},
    {"onnx.external-location", "graph.initializer[0]: ", make_external_parent, TN_ERROR_DENIED, 1},
    {"onnx.external-location", "graph.initializer[0]: ", make_external_no_location, TN_ERROR_DENIED,
     1},
    {"onnx.external-outside", "graph.initializer[0]: ", make_external_link, TN_ERROR_DENIED, 1},
    {"onnx.external-open", "graph.initializer[0]: ", make_external_missing, TN_ERROR_NOT_FOUND, 1},
    {"onnx.external-range", "graph.initializer[0]: ", make_external_offset, DATA, 1},
    {"onnx.external-range", "graph.initializer[0]: ", make_external_length, DATA, 1},
    {"onnx.external-number", "graph.initializer[0]: ", make_external_number, DATA, 1},
    {"onnx.external-folder", "graph.initializer[0]: ", make_external_folder, TN_ERROR_DENIED, 0},
    {"model.file-kind", "graph.initializer[0]: ", make_external_directory, DATA, 1},
    {"onnx.external-data", "graph.initializer[0]: ", make_external_data, DATA, 1},
    {"onnx.external-files", "graph.initializer[1]: ", make_external_files, LIMIT, 1},
    {"onnx.function-name", "functions[0]: ", make_function_name, DATA, 0},
    {"onnx.duplicate-function", "functions[1]: ", make_duplicate_function, DATA, 0},
    {"onnx.too-many-functions", "functions[1]: ", make_many_functions, LIMIT, 0},
    {"onnx.function-depth", "graph.node[0].function.node[0].", make_function_depth, LIMIT, 0},
    {"onnx.function-bytes", "graph.node[0]: ", make_function_bytes, LIMIT, 0},
    {"onnx.function-inputs", "graph.node[0]: ", make_function_inputs, DATA, 0},
    {"onnx.function-outputs", "graph.node[0]: ", make_function_outputs, DATA, 0},
    {"onnx.too-many-opsets", "graph.node[0]: ", make_function_opsets, LIMIT, 0},
};

const size_t error_case_count = sizeof error_cases / sizeof error_cases[0];
