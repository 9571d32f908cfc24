// SPDX-License-Identifier: Apache-2.0
// Writes chains of one op as ONNX models. They are opset 13 at IR version 8, except for
// normalisations, which came with 17.
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

const micro_op micro_ops[] = {
    {"elementwise", "Relu", MICRO_LAYER_UNARY},
    {"elementwise", "Add", MICRO_LAYER_BINARY},
    {"elementwise", "Mul", MICRO_LAYER_BINARY},
    {"transcendental", "Sigmoid", MICRO_LAYER_UNARY},
    {"transcendental", "Tanh", MICRO_LAYER_UNARY},
    {"transcendental", "Erf", MICRO_LAYER_UNARY},
    {"transcendental", "Softmax", MICRO_LAYER_UNARY},
    {"matmul", "MatMul", MICRO_LAYER_PRODUCT},
    {"convolution", "Conv", MICRO_LAYER_CONVOLVED},
    {"reduction", "MaxPool", MICRO_LAYER_WINDOW},
    {"reduction", "AveragePool", MICRO_LAYER_WINDOW},
    {"reduction", "LayerNormalization", MICRO_LAYER_NORM},
    {"reduction", "ReduceMean", MICRO_LAYER_REDUCED},
    {"movement", "Transpose", MICRO_LAYER_TURNED},
    {"movement", "Concat", MICRO_LAYER_DOUBLED},
    {"view", "Reshape", MICRO_LAYER_RESHAPED},
    {"quantization", "QuantizeLinear", MICRO_LAYER_ROUNDED},
};
const uint32_t micro_op_count = sizeof(micro_ops) / sizeof(micro_ops[0]);

// Rows and columns; channels, height and width, window and groups.
static const int64_t square_sizes[][2] = {{8, 8}, {64, 64}, {128, 256}, {512, 512}, {2048, 1024}};
static const int64_t turned_sizes[][2] = {{8, 8}, {64, 64}, {192, 192}, {512, 512}, {1024, 1024}};
static const int64_t product_sizes[][2] = {{4, 16},   {1, 128},   {48, 48},
                                           {16, 192}, {256, 256}, {512, 1024}};
static const int64_t window_sizes[][2] = {{4, 8}, {16, 16}, {64, 28}, {64, 112}};
static const int64_t conv_sizes[][4] = {
    {4, 6, 3, 1},    {64, 3, 1, 1}, {16, 6, 3, 1},  {8, 12, 3, 1},  {32, 3, 3, 1},  {32, 14, 1, 1},
    {32, 14, 3, 32}, {8, 24, 3, 1}, {32, 14, 3, 1}, {128, 2, 3, 1}, {64, 28, 1, 1}, {64, 56, 3, 1}};
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

uint32_t micro_size_count(const micro_op *op) {
    switch (op->layer) {
    case MICRO_LAYER_PRODUCT:
        return COUNT(product_sizes);
    case MICRO_LAYER_CONVOLVED:
        return COUNT(conv_sizes);
    case MICRO_LAYER_WINDOW:
        return COUNT(window_sizes);
    case MICRO_LAYER_TURNED:
        return COUNT(turned_sizes);
    default:
        return COUNT(square_sizes);
    }
}

void micro_model_deinit(micro_model *model) {
    free(model->data);
    *model = (micro_model){0};
}

static void put(micro_model *out, const void *data, size_t size) {
    if (out->failed) {
        return;
    }
    if (size > out->capacity - out->size) {
        const size_t capacity = 2 * (out->size + size) + 64;
        uint8_t *grown = realloc(out->data, capacity);
        if (grown == NULL) {
            out->failed = true;
            return;
        }
        out->data = grown;
        out->capacity = capacity;
    }
    if (size > 0) {
        memcpy(out->data + out->size, data, size);
    }
    out->size += size;
}

static void put_varint(micro_model *out, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    put(out, bytes, size);
}

// Fields of protobuf, by their number in onnx.proto.
static void put_number(micro_model *out, uint32_t field, int64_t value) {
    put_varint(out, field << 3);
    put_varint(out, (uint64_t)value);
}

static void put_bytes(micro_model *out, uint32_t field, const void *data, size_t size) {
    put_varint(out, field << 3 | 2);
    put_varint(out, size);
    put(out, data, size);
}

static void put_text(micro_model *out, uint32_t field, const char *text) {
    put_bytes(out, field, text, strlen(text));
}

// Takes the inner message over.
static void put_message(micro_model *out, uint32_t field, micro_model *inner) {
    out->failed |= inner->failed;
    put_bytes(out, field, inner->data, inner->size);
    micro_model_deinit(inner);
}

static void put_ints(micro_model *node, const char *name, uint32_t count, const int64_t *values) {
    micro_model attribute = {0};
    put_text(&attribute, 1, name);
    for (uint32_t i = 0; i < count; i++) {
        put_number(&attribute, 8, values[i]);
    }
    put_number(&attribute, 20, 7); // INTS
    put_message(node, 5, &attribute);
}

static void put_int(micro_model *node, const char *name, int64_t value) {
    micro_model attribute = {0};
    put_text(&attribute, 1, name);
    put_number(&attribute, 3, value);
    put_number(&attribute, 20, 2); // INT
    put_message(node, 5, &attribute);
}

// field 11: an input, 12: an output of the graph.
static void put_value(micro_model *graph, uint32_t field, const char *name, uint32_t rank,
                      const int64_t *dims) {
    micro_model shape = {0};
    micro_model tensor = {0};
    micro_model type = {0};
    micro_model value = {0};
    for (uint32_t i = 0; i < rank; i++) {
        micro_model dim = {0};
        put_number(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_number(&tensor, 1, 1); // float
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, field, &value);
}

static void put_tensor(micro_model *graph, const char *name, int64_t dtype, uint32_t rank,
                       const int64_t *dims, const void *data, size_t size) {
    micro_model tensor = {0};
    for (uint32_t i = 0; i < rank; i++) {
        put_number(&tensor, 1, dims[i]);
    }
    put_number(&tensor, 2, dtype);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, data, size);
    put_message(graph, 5, &tensor);
}

static void put_int64s(micro_model *graph, const char *name, uint32_t count,
                       const int64_t *values) {
    const int64_t dims[] = {count};
    put_tensor(graph, name, 7, 1, dims, values, count * sizeof(*values));
}

// Small weights, so that long chains neither vanish nor explode.
static void put_weight(micro_model *graph, const char *name, uint32_t rank, const int64_t *dims) {
    size_t count = 1;
    size_t fan_in = 1;
    for (uint32_t i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
        fan_in *= i > 0 ? (size_t)dims[i] : 1;
    }
    float *values = malloc(count * sizeof(*values));
    for (size_t i = 0; values != NULL && i < count; i++) {
        values[i] = ((float)(i * 7 % 17) - 8.0f) / (8.0f * (float)fan_in);
    }
    put_tensor(graph, name, 1, rank, dims, values, values == NULL ? 0 : count * sizeof(*values));
    graph->failed |= values == NULL;
    free(values);
}

typedef struct layer_shape {
    uint32_t rank;
    int64_t dims[4];
    int64_t window;
    int64_t groups;
} layer_shape;

static layer_shape shape_of(const micro_op *op, uint32_t size) {
    const int64_t *two = op->layer == MICRO_LAYER_PRODUCT  ? product_sizes[size]
                         : op->layer == MICRO_LAYER_TURNED ? turned_sizes[size]
                         : op->layer == MICRO_LAYER_WINDOW ? window_sizes[size]
                                                           : NULL;
    if (op->layer == MICRO_LAYER_CONVOLVED) {
        const int64_t *four = conv_sizes[size];
        return (layer_shape){4, {1, four[0], four[1], four[1]}, four[2], four[3]};
    }
    if (op->layer == MICRO_LAYER_WINDOW) {
        return (layer_shape){4, {1, two[0], two[1], two[1]}, 3, 1};
    }
    two = two == NULL ? square_sizes[size] : two;
    return (layer_shape){2, {two[0], two[1]}, 0, 0};
}

static void put_weights(micro_model *graph, const micro_op *op, const layer_shape *s) {
    static const int64_t axes[] = {0};
    switch (op->layer) {
    case MICRO_LAYER_PRODUCT:
        put_weight(graph, "w", 2, (const int64_t[]){s->dims[1], s->dims[1]});
        break;
    case MICRO_LAYER_NORM:
        put_weight(graph, "w", 1, (const int64_t[]){s->dims[1]});
        break;
    case MICRO_LAYER_CONVOLVED:
        put_weight(graph, "w", 4,
                   (const int64_t[]){s->dims[1], s->dims[1] / s->groups, s->window, s->window});
        break;
    case MICRO_LAYER_DOUBLED:
        put_int64s(graph, "starts", 1, axes);
        put_int64s(graph, "ends", 1, &s->dims[0]);
        put_int64s(graph, "axes", 1, axes);
        break;
    case MICRO_LAYER_RESHAPED:
        put_int64s(graph, "flat", 1, (const int64_t[]){s->dims[0] * s->dims[1]});
        put_int64s(graph, "square", 2, s->dims);
        break;
    case MICRO_LAYER_ROUNDED:
        put_tensor(graph, "scale", 1, 0, NULL, &(const float){0.0625f}, sizeof(float));
        put_tensor(graph, "zero", 3, 0, NULL, &(const int8_t){0}, 1); // int8
        break;
    default:
        break;
    }
}

static void put_window(micro_model *node, const layer_shape *s, bool convolution) {
    const int64_t pad = s->window / 2;
    put_ints(node, "kernel_shape", 2, (const int64_t[]){s->window, s->window});
    put_ints(node, "pads", 4, (const int64_t[]){pad, pad, pad, pad});
    if (convolution) {
        put_int(node, "group", s->groups);
    }
}

// A node; inputs end with a null.
static void put_node(micro_model *graph, const char *op_type, const char *const *inputs,
                     const char *output, const micro_model *attributes) {
    micro_model node = {0};
    for (uint32_t i = 0; inputs[i] != NULL; i++) {
        put_text(&node, 1, inputs[i]);
    }
    put_text(&node, 2, output);
    put_text(&node, 4, op_type);
    put(&node, attributes->data, attributes->size);
    node.failed |= attributes->failed;
    put_message(graph, 1, &node);
}

static void put_layer(micro_model *graph, const micro_op *op, const layer_shape *s, uint32_t index,
                      const char *x, const char *y) {
    char between[32];
    const char *second = NULL;
    const bool rounded = op->layer == MICRO_LAYER_ROUNDED;
    micro_model attributes = {0};
    const micro_model none = {0};
    snprintf(between, sizeof(between), "b%u", index);
    if (op->layer == MICRO_LAYER_BINARY || op->layer == MICRO_LAYER_DOUBLED) {
        second = x;
    } else if (op->layer == MICRO_LAYER_RESHAPED) {
        second = index % 2 == 0 ? "flat" : "square";
    } else if (op->layer == MICRO_LAYER_PRODUCT || op->layer == MICRO_LAYER_NORM ||
               op->layer == MICRO_LAYER_CONVOLVED) {
        second = "w";
    } else if (rounded) {
        second = "scale";
    }
    if (op->layer == MICRO_LAYER_CONVOLVED || op->layer == MICRO_LAYER_WINDOW) {
        put_window(&attributes, s, op->layer == MICRO_LAYER_CONVOLVED);
    } else if (op->layer == MICRO_LAYER_REDUCED) {
        put_ints(&attributes, "axes", 1, (const int64_t[]){1});
    } else if (op->layer == MICRO_LAYER_TURNED) {
        put_ints(&attributes, "perm", 2, (const int64_t[]){1, 0});
    } else if (op->layer == MICRO_LAYER_DOUBLED) {
        put_int(&attributes, "axis", 0);
    }
    const bool more =
        op->layer == MICRO_LAYER_REDUCED || op->layer == MICRO_LAYER_DOUBLED || rounded;
    put_node(graph, op->op_type, (const char *const[]){x, second, rounded ? "zero" : NULL, NULL},
             more ? between : y, &attributes);
    if (op->layer == MICRO_LAYER_REDUCED) {
        put_node(graph, "Add", (const char *const[]){x, between, NULL}, y, &none);
    } else if (op->layer == MICRO_LAYER_DOUBLED) {
        put_node(graph, "Slice", (const char *const[]){between, "starts", "ends", "axes", NULL}, y,
                 &none);
    } else if (rounded) {
        put_node(graph, "DequantizeLinear", (const char *const[]){between, "scale", "zero", NULL},
                 y, &none);
    }
    micro_model_deinit(&attributes);
}

// Takes the graph over.
static bool finish(micro_model *graph, uint32_t opset, micro_model *out_model) {
    micro_model import = {0};
    *out_model = (micro_model){0};
    put_text(graph, 2, "micro");
    put_number(&import, 2, opset);
    put_number(out_model, 1, 8);
    put_message(out_model, 7, graph);
    put_message(out_model, 8, &import);
    return !out_model->failed;
}

bool micro_model_chain(const micro_op *op, uint32_t size, uint32_t length, micro_model *out_model) {
    const layer_shape s = shape_of(op, size);
    layer_shape end = s;
    micro_model graph = {0};
    char x[32] = "x";
    if (op->layer == MICRO_LAYER_RESHAPED && length % 2 != 0) {
        end = (layer_shape){1, {s.dims[0] * s.dims[1]}, 0, 0};
    }
    put_weights(&graph, op, &s);
    for (uint32_t i = 0; i < length; i++) {
        char y[32];
        snprintf(y, sizeof(y), i + 1 == length ? "y" : "v%u", i);
        put_layer(&graph, op, &s, i, x, y);
        snprintf(x, sizeof(x), "%s", y);
    }
    put_value(&graph, 11, "x", s.rank, s.dims);
    put_value(&graph, 12, "y", end.rank, end.dims);
    return finish(&graph, op->layer == MICRO_LAYER_NORM ? 17 : 13, out_model);
}

bool micro_model_parallel(uint32_t width, uint32_t length, int64_t elements,
                          micro_model *out_model) {
    const micro_model none = {0};
    micro_model graph = {0};
    char x[32];
    char y[32];
    for (uint32_t i = 0; i < length; i++) {
        for (uint32_t k = 0; k < width; k++) {
            snprintf(x, sizeof(x), "v%u_%u", k, i);
            snprintf(y, sizeof(y), "v%u_%u", k, i + 1);
            put_node(&graph, "Add", (const char *const[]){x, x, NULL}, y, &none);
        }
    }
    for (uint32_t k = 0; k < width; k++) {
        snprintf(x, sizeof(x), "v%u_0", k);
        snprintf(y, sizeof(y), "v%u_%u", k, length);
        put_value(&graph, 11, x, 1, &elements);
        put_value(&graph, 12, y, 1, &elements);
    }
    return finish(&graph, 13, out_model);
}
