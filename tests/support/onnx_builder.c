// SPDX-License-Identifier: Apache-2.0
// The protobuf writer and the model builder for tests.
#include "support/onnx_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pb_free(pb *out) {
    free(out->data);
    *out = (pb){NULL, 0, 0};
}

void pb_append(pb *out, const void *data, size_t size) {
    if (size == 0) {
        return;
    }
    if (size > out->capacity - out->size) {
        out->capacity = (out->size + size) * 2 + 64;
        out->data = realloc(out->data, out->capacity);
        if (out->data == NULL) {
            abort();
        }
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

void pb_raw_varint(pb *out, uint64_t value) {
    do {
        const uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        pb_append(out, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

void pb_tag(pb *out, uint32_t field, uint32_t wire_type) {
    pb_raw_varint(out, ((uint64_t)field << 3) | wire_type);
}

void pb_varint(pb *out, uint32_t field, uint64_t value) {
    pb_tag(out, field, 0);
    pb_raw_varint(out, value);
}

void pb_fixed32(pb *out, uint32_t field, uint32_t bits) {
    pb_tag(out, field, 5);
    pb_append(out, &bits, sizeof bits);
}

void pb_fixed64(pb *out, uint32_t field, uint64_t bits) {
    pb_tag(out, field, 1);
    pb_append(out, &bits, sizeof bits);
}

void pb_float(pb *out, uint32_t field, float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    pb_fixed32(out, field, bits);
}

void pb_bytes(pb *out, uint32_t field, const void *data, size_t size) {
    pb_tag(out, field, 2);
    pb_raw_varint(out, size);
    pb_append(out, data, size);
}

void pb_text(pb *out, uint32_t field, const char *text) {
    pb_bytes(out, field, text, strlen(text));
}

void pb_message(pb *out, uint32_t field, pb *inner) {
    pb_bytes(out, field, inner->data, inner->size);
    pb_free(inner);
}

void onnx_begin_graph(onnx_builder *b) {
    memset(b, 0, sizeof *b);
    b->node_field = 1;
    pb_text(&b->graph, 2, "g");
}

void onnx_begin(onnx_builder *b, uint32_t opset) {
    onnx_begin_graph(b);
    pb_varint(&b->model, 1, 8);
    pb_text(&b->model, 2, "tenon-tests");
    if (opset != 0) {
        onnx_opset(b, "", opset);
    }
}

void onnx_opset(onnx_builder *b, const char *domain, uint32_t version) {
    pb opset = {NULL, 0, 0};
    pb_text(&opset, 1, domain);
    pb_varint(&opset, 2, version);
    pb_message(&b->model, 8, &opset);
}

void onnx_function_opset(onnx_builder *b, const char *domain, uint32_t version) {
    pb opset = {NULL, 0, 0};
    pb_text(&opset, 1, domain);
    pb_varint(&opset, 2, version);
    pb_message(&b->graph, 9, &opset);
}

void onnx_function_overload(onnx_builder *b, const char *overload) {
    pb_text(&b->graph, 13, overload);
}

static void write_value_info(pb *out, uint32_t field, const char *name, uint32_t dtype,
                             uint32_t rank, const int64_t *dims) {
    pb shape = {NULL, 0, 0};
    pb tensor = {NULL, 0, 0};
    pb type = {NULL, 0, 0};
    pb info = {NULL, 0, 0};
    for (uint32_t i = 0; rank != TN_RANK_UNKNOWN && i < rank; i++) {
        pb dim = {NULL, 0, 0};
        if (dims[i] >= 0) {
            pb_varint(&dim, 1, (uint64_t)dims[i]);
        } else if (dims[i] < -1) {
            const char symbol[2] = {(char)('A' - 2 - dims[i]), '\0'};
            pb_text(&dim, 2, symbol);
        }
        pb_message(&shape, 1, &dim);
    }
    pb_varint(&tensor, 1, dtype);
    if (rank != TN_RANK_UNKNOWN) {
        pb_message(&tensor, 2, &shape);
    }
    pb_message(&type, 1, &tensor);
    pb_text(&info, 1, name);
    pb_message(&info, 2, &type);
    pb_message(out, field, &info);
}

void onnx_input(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                const int64_t *dims) {
    write_value_info(&b->graph, 11, name, dtype, rank, dims);
}

void onnx_output(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                 const int64_t *dims) {
    write_value_info(&b->graph, 12, name, dtype, rank, dims);
}

void onnx_output_untyped(onnx_builder *b, const char *name) {
    pb info = {NULL, 0, 0};
    pb_text(&info, 1, name);
    pb_message(&b->graph, 12, &info);
}

void onnx_tensor(pb *out, uint32_t field, const char *name, uint32_t dtype, uint32_t rank,
                 const int64_t *dims, const void *data, size_t size) {
    pb tensor = {NULL, 0, 0};
    for (uint32_t i = 0; i < rank; i++) {
        pb_varint(&tensor, 1, (uint64_t)dims[i]);
    }
    pb_varint(&tensor, 2, dtype);
    if (name != NULL) {
        pb_text(&tensor, 8, name);
    }
    pb_bytes(&tensor, 9, data, size);
    pb_message(out, field, &tensor);
}

void onnx_initializer(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                      const int64_t *dims, const void *data, size_t size) {
    onnx_tensor(&b->graph, 5, name, dtype, rank, dims, data, size);
}

void onnx_initializer_ints(onnx_builder *b, const char *name, uint32_t count,
                           const int64_t *values) {
    const int64_t dim = count;
    onnx_initializer(b, name, TN_DTYPE_INT64, 1, &dim, values, count * sizeof *values);
}

void onnx_initializer_floats(onnx_builder *b, const char *name, uint32_t rank, const int64_t *dims,
                             uint32_t seed) {
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    float *values = malloc((count + 1) * sizeof *values);
    if (values == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((seed + i) % 17) / 8.0f - 1.0f;
    }
    onnx_initializer(b, name, TN_DTYPE_FLOAT, rank, dims, values, count * sizeof *values);
    free(values);
}

static void close_node(onnx_builder *b) {
    if (b->node_open != 0) {
        pb_message(&b->graph, b->node_field, &b->node);
        b->node_open = 0;
    }
}

// Writes each comma-separated name as one field.
static void write_names(pb *out, uint32_t field, const char *names) {
    if (*names == '\0') {
        return;
    }
    for (;;) {
        const size_t size = strcspn(names, ",");
        pb_bytes(out, field, names, size);
        if (names[size] == '\0') {
            return;
        }
        names += size + 1;
    }
}

void onnx_begin_function(onnx_builder *b, const char *domain, const char *name, const char *inputs,
                         const char *outputs) {
    memset(b, 0, sizeof *b);
    b->node_field = 7;
    pb_text(&b->graph, 1, name);
    pb_text(&b->graph, 10, domain);
    write_names(&b->graph, 4, inputs);
    write_names(&b->graph, 5, outputs);
    onnx_function_opset(b, "", 17);
}

void onnx_end_function(onnx_builder *b, pb *inout_model) {
    close_node(b);
    pb_message(inout_model, 25, &b->graph);
    onnx_abandon(b);
}

void onnx_node(onnx_builder *b, const char *op_type, const char *inputs, const char *outputs) {
    close_node(b);
    b->node_open = 1;
    write_names(&b->node, 1, inputs);
    write_names(&b->node, 2, outputs);
    pb_text(&b->node, 4, op_type);
}

void onnx_node_domain(onnx_builder *b, const char *domain) {
    pb_text(&b->node, 7, domain);
}

void onnx_node_name(onnx_builder *b, const char *name) {
    pb_text(&b->node, 3, name);
}

void onnx_attr_int(onnx_builder *b, const char *name, int64_t value) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    pb_varint(&attr, 3, (uint64_t)value);
    pb_varint(&attr, 20, 2);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_int_reference(onnx_builder *b, const char *name, const char *reference) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    pb_text(&attr, 21, reference);
    pb_varint(&attr, 20, 2);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_ints(onnx_builder *b, const char *name, uint32_t count, const int64_t *values) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    for (uint32_t i = 0; i < count; i++) {
        pb_varint(&attr, 8, (uint64_t)values[i]);
    }
    pb_varint(&attr, 20, 7);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_float(onnx_builder *b, const char *name, float value) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    pb_float(&attr, 2, value);
    pb_varint(&attr, 20, 1);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_text(onnx_builder *b, const char *name, const char *value) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    pb_text(&attr, 4, value);
    pb_varint(&attr, 20, 3);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_texts(onnx_builder *b, const char *name, uint32_t count, const char *const *values) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    for (uint32_t i = 0; i < count; i++) {
        pb_text(&attr, 9, values[i]);
    }
    pb_varint(&attr, 20, 8);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_tensor(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                      const int64_t *dims, const void *data, size_t size) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    onnx_tensor(&attr, 5, NULL, dtype, rank, dims, data, size);
    pb_varint(&attr, 20, 4);
    pb_message(&b->node, 5, &attr);
}

// A TypeProto without a shape.
static void write_type(pb *type, uint32_t kind, uint32_t dtype) {
    pb tensor = {NULL, 0, 0};
    pb_varint(&tensor, 1, dtype);
    if (kind != TN_VALUE_SEQUENCE) {
        pb_message(type, 1, &tensor);
        return;
    }
    pb element = {NULL, 0, 0};
    pb sequence = {NULL, 0, 0};
    pb_message(&element, 1, &tensor);
    pb_message(&sequence, 1, &element);
    pb_message(type, 4, &sequence);
}

void onnx_input_sequence(onnx_builder *b, const char *name, uint32_t dtype) {
    pb type = {NULL, 0, 0};
    pb info = {NULL, 0, 0};
    write_type(&type, TN_VALUE_SEQUENCE, dtype);
    pb_text(&info, 1, name);
    pb_message(&info, 2, &type);
    pb_message(&b->graph, 11, &info);
}

void onnx_attr_type(onnx_builder *b, const char *name, uint32_t kind, uint32_t dtype) {
    pb type = {NULL, 0, 0};
    pb attr = {NULL, 0, 0};
    write_type(&type, kind, dtype);
    pb_text(&attr, 1, name);
    pb_message(&attr, 14, &type);
    pb_varint(&attr, 20, 13);
    pb_message(&b->node, 5, &attr);
}

void onnx_attr_graph(onnx_builder *b, const char *name, pb *graph) {
    pb attr = {NULL, 0, 0};
    pb_text(&attr, 1, name);
    pb_message(&attr, 6, graph);
    pb_varint(&attr, 20, 5);
    pb_message(&b->node, 5, &attr);
}

void onnx_end_graph(onnx_builder *b, pb *out_graph) {
    close_node(b);
    *out_graph = b->graph;
    b->graph = (pb){NULL, 0, 0};
    onnx_abandon(b);
}

void onnx_end(onnx_builder *b, pb *out_model) {
    close_node(b);
    pb_message(&b->model, 7, &b->graph);
    *out_model = b->model;
    b->model = (pb){NULL, 0, 0};
    onnx_abandon(b);
}

void onnx_abandon(onnx_builder *b) {
    pb_free(&b->model);
    pb_free(&b->graph);
    pb_free(&b->node);
    b->node_open = 0;
}

void onnx_model_chain(pb *out_model, uint32_t length, int64_t width) {
    const int64_t dims[2] = {1, width};
    char from[32] = "x";
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 2, dims);
    for (uint32_t i = 0; i < length; i++) {
        char to[32];
        char inputs[80];
        snprintf(to, sizeof to, i + 1 == length ? "y" : "t%u", i);
        if (i % 2 == 0) {
            char weight[32];
            snprintf(weight, sizeof weight, "w%u", i);
            onnx_initializer_floats(&b, weight, 2, dims, i);
            snprintf(inputs, sizeof inputs, "%s,%s", from, weight);
            onnx_node(&b, "Add", inputs, to);
        } else {
            onnx_node(&b, "Relu", from, to);
        }
        memcpy(from, to, sizeof from);
    }
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 2, dims);
    onnx_end(&b, out_model);
}

// The parameters of a BatchNormalization over 8 channels; the variance is positive.
static void add_batch_norm(onnx_builder *b) {
    const int64_t channels = 8;
    const float variance[8] = {0.5f, 1.0f, 1.5f, 2.0f, 0.25f, 0.75f, 1.25f, 3.0f};
    onnx_initializer_floats(b, "gamma", 1, &channels, 3);
    onnx_initializer_floats(b, "beta", 1, &channels, 4);
    onnx_initializer_floats(b, "mean", 1, &channels, 5);
    onnx_initializer(b, "variance", TN_DTYPE_FLOAT, 1, &channels, variance, sizeof variance);
}

void onnx_model_classifier(pb *out_model, int64_t batch, int64_t size) {
    static const int64_t pads[4] = {1, 1, 1, 1};
    static const int64_t twos[2] = {2, 2};
    const int64_t x_dims[4] = {batch, 3, size, size};
    const int64_t y_dims[2] = {batch, 10};
    const int64_t w1_dims[4] = {8, 3, 3, 3};
    const int64_t w2_dims[4] = {16, 8, 3, 3};
    const int64_t fc_dims[2] = {10, 16};
    const int64_t fc_bias = 10;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 4, x_dims);
    onnx_initializer_floats(&b, "w1", 4, w1_dims, 1);
    onnx_initializer_floats(&b, "w2", 4, w2_dims, 2);
    onnx_initializer_floats(&b, "fc", 2, fc_dims, 6);
    onnx_initializer_floats(&b, "fc_bias", 1, &fc_bias, 7);
    add_batch_norm(&b);
    onnx_node(&b, "Conv", "x,w1", "c1");
    onnx_attr_ints(&b, "pads", 4, pads);
    onnx_node(&b, "BatchNormalization", "c1,gamma,beta,mean,variance", "b1");
    onnx_node(&b, "Relu", "b1", "r1");
    onnx_node(&b, "MaxPool", "r1", "p1");
    onnx_attr_ints(&b, "kernel_shape", 2, twos);
    onnx_attr_ints(&b, "strides", 2, twos);
    onnx_node(&b, "Conv", "p1,w2", "c2");
    onnx_attr_ints(&b, "pads", 4, pads);
    onnx_node(&b, "GlobalAveragePool", "c2", "g2");
    onnx_node(&b, "Flatten", "g2", "f2");
    onnx_node(&b, "Gemm", "f2,fc,fc_bias", "logits");
    onnx_attr_int(&b, "transB", 1);
    onnx_node(&b, "Softmax", "logits", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 2, y_dims);
    onnx_end(&b, out_model);
}

void pb_write_file(const pb *data, const char *path) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data->data, 1, data->size, file) != data->size ||
        fclose(file) != 0) {
        abort();
    }
}
