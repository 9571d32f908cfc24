// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "cpu_subjects.h"

#include <string.h>

#define DIMS(...)                                                                                  \
    (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {      \
        __VA_ARGS__                                                                                \
    }
#define IN(...)                                                                                    \
    (uint32_t)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)), (const uint32_t[]) {   \
        __VA_ARGS__                                                                                \
    }
#define MOST_BYTES 16384

static uint32_t fed_as(view_builder *b, tn_dtype dtype, uint32_t rank, const int64_t *dims) {
    const uint32_t value = view_builder_value(b, dtype, rank, dims);
    view_builder_input(b, value);
    return value;
}

static uint32_t fed(view_builder *b, uint32_t rank, const int64_t *dims) {
    return fed_as(b, TN_DTYPE_FLOAT, rank, dims);
}

static uint64_t count_of(uint32_t rank, const int64_t *dims) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < rank; ++i) {
        count *= (uint64_t)dims[i];
    }
    return count;
}

// Floats around `middle`.
static uint32_t known_near(view_builder *b, float middle, uint32_t rank, const int64_t *dims) {
    float data[MOST_BYTES / sizeof(float)];
    const uint64_t count = count_of(rank, dims);
    for (uint64_t i = 0; i < count; ++i) {
        data[i] = middle + 0.01f * (float)(i * 7 % 13) - 0.06f * (middle == 0.0f);
    }
    return view_builder_constant_value(b, TN_DTYPE_FLOAT, rank, dims, data, count * sizeof *data,
                                       TN_CONSTANT_MAPPABLE);
}

static uint32_t known(view_builder *b, uint32_t rank, const int64_t *dims) {
    return known_near(b, 0.0f, rank, dims);
}

static uint32_t scalar(view_builder *b, float value) {
    return view_builder_constant_value(b, TN_DTYPE_FLOAT, 0, NULL, &value, sizeof value,
                                       TN_CONSTANT_MAPPABLE);
}

// Bytes, or narrower integers two to a byte, or wider ones of four bytes each.
static uint32_t integers(view_builder *b, tn_dtype dtype, uint32_t rank, const int64_t *dims) {
    unsigned char data[MOST_BYTES] = {0};
    const uint64_t count = count_of(rank, dims);
    const uint64_t bytes = dtype == TN_DTYPE_INT32  ? 4 * count
                           : dtype == TN_DTYPE_INT4 ? (count + 1) / 2
                                                    : count;
    for (uint64_t i = 0; i < bytes; ++i) {
        data[i] = (unsigned char)(dtype == TN_DTYPE_INT32 && i % 4 > 0 ? 0 : i * 37 % 101);
    }
    return view_builder_constant_value(b, dtype, rank, dims, data, bytes, TN_CONSTANT_MAPPABLE);
}

static uint32_t zero_point(view_builder *b, tn_dtype dtype, unsigned char value) {
    return view_builder_constant_value(b, dtype, 0, NULL, &value, 1, TN_CONSTANT_MAPPABLE);
}

static uint32_t list(view_builder *b, uint32_t count, const int64_t *values) {
    const int64_t dims[1] = {count};
    return view_builder_constant_value(b, TN_DTYPE_INT64, 1, dims, values, count * sizeof *values,
                                       0);
}

// A node with one output of the given shape, which is returned.
static uint32_t node_as(view_builder *b, const char *type, uint32_t version, tn_dtype dtype,
                        uint32_t rank, const int64_t *dims, uint32_t input_count,
                        const uint32_t *inputs) {
    const uint32_t out = view_builder_value(b, dtype, rank, dims);
    view_builder_node(b, type, version, inputs, input_count, &out, 1);
    return out;
}

static uint32_t node(view_builder *b, const char *type, uint32_t version, uint32_t rank,
                     const int64_t *dims, uint32_t input_count, const uint32_t *inputs) {
    return node_as(b, type, version, TN_DTYPE_FLOAT, rank, dims, input_count, inputs);
}

static void window(view_builder *b, int64_t stride, int64_t pad, int64_t dilation) {
    view_builder_ints(b, "strides", (const int64_t[]){stride, stride}, 2);
    view_builder_ints(b, "pads", (const int64_t[]){pad, pad, pad, pad}, 4);
    view_builder_ints(b, "dilations", (const int64_t[]){dilation, dilation}, 2);
}

// A residual block: bias, activations and a sum behind convolutions, then what ends a classifier.
static void convolutions(view_builder *b) {
    const uint32_t x = fed(b, DIMS(1, 16, 7, 7));
    const uint32_t w = known(b, DIMS(16, 16, 3, 3));
    const uint32_t c = node(b, "Conv", 22, DIMS(1, 16, 7, 7), IN(x, w, known(b, DIMS(16))));
    window(b, 1, 1, 1);
    const uint32_t r = node(b, "Relu", 14, DIMS(1, 16, 7, 7), IN(c));
    const uint32_t d = node(b, "Conv", 11, DIMS(1, 16, 7, 7), IN(r, known(b, DIMS(16, 16, 1, 1))));
    const uint32_t s = node(b, "Add", 14, DIMS(1, 16, 7, 7), IN(d, x));
    const uint32_t q = node(b, "Clip", 10, DIMS(1, 16, 7, 7), IN(s));
    view_builder_float(b, "min", 0.0f);
    view_builder_float(b, "max", 6.0f);
    const uint32_t g = node(b, "GlobalAveragePool", 22, DIMS(1, 16, 1, 1), IN(q));
    const uint32_t f = node(b, "Flatten", 13, DIMS(1, 16), IN(g));
    view_builder_int(b, "axis", 1);
    const uint32_t y =
        node(b, "Gemm", 13, DIMS(1, 10), IN(f, known(b, DIMS(10, 16)), known(b, DIMS(10))));
    view_builder_int(b, "transB", 1);
    view_builder_output(b, node(b, "Softmax", 13, DIMS(1, 10), IN(y)));
}

static void windows(view_builder *b) {
    const uint32_t x = fed(b, DIMS(2, 8, 9, 9));
    const uint32_t w = known(b, DIMS(8, 2, 3, 3));
    const uint32_t c = node(b, "Conv", 22, DIMS(2, 8, 4, 4), IN(x, w));
    view_builder_int(b, "group", 4);
    window(b, 2, 1, 2);
    const uint32_t m = node(b, "MaxPool", 22, DIMS(2, 8, 2, 2), IN(c));
    view_builder_ints(b, "kernel_shape", (const int64_t[]){3, 3}, 2);
    view_builder_ints(b, "strides", (const int64_t[]){2, 2}, 2);
    view_builder_int(b, "ceil_mode", 1);
    const uint32_t same = node(b, "AveragePool", 22, DIMS(2, 8, 2, 2), IN(m));
    view_builder_ints(b, "kernel_shape", (const int64_t[]){2, 2}, 2);
    view_builder_text(b, "auto_pad", "SAME_UPPER");
    const uint32_t a = node(b, "AveragePool", 22, DIMS(2, 8, 3, 3), IN(same));
    view_builder_ints(b, "kernel_shape", (const int64_t[]){2, 2}, 2);
    view_builder_ints(b, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
    view_builder_int(b, "count_include_pad", 1);
    view_builder_output(b, a);
}

static void enlargements(view_builder *b) {
    const uint32_t x = fed(b, DIMS(1, 4, 3, 3));
    const uint32_t bias = known(b, DIMS(6));
    const uint32_t t =
        node(b, "ConvTranspose", 22, DIMS(1, 6, 6, 6), IN(x, known(b, DIMS(4, 3, 2, 2)), bias));
    view_builder_int(b, "group", 2);
    window(b, 2, 0, 1);
    const uint32_t scale = known_near(b, 1.0f, DIMS(6));
    const uint32_t n = node(b, "BatchNormalization", 15, DIMS(1, 6, 6, 6),
                            IN(t, scale, bias, bias, known_near(b, 1.0f, DIMS(6))));
    view_builder_float(b, "epsilon", 1e-3f);
    const uint32_t r = node(b, "LeakyRelu", 16, DIMS(1, 6, 6, 6), IN(n));
    view_builder_float(b, "alpha", 0.2f);
    const float factors[4] = {1, 1, 2, 2};
    const uint32_t scales = view_builder_constant_value(b, TN_DTYPE_FLOAT, DIMS(4), factors,
                                                        sizeof factors, TN_CONSTANT_MAPPABLE);
    const uint32_t l = node(b, "Resize", 19, DIMS(1, 6, 12, 12), IN(r, TN_NONE, scales));
    view_builder_text(b, "mode", "linear");
    const uint32_t y = node(b, "Resize", 19, DIMS(1, 6, 24, 24), IN(l, TN_NONE, scales));
    view_builder_text(b, "mode", "nearest");
    view_builder_output(b, y);
}

// Masked attention whose keys are shared by two heads, as decoders write it.
static void attention(view_builder *b) {
    const uint32_t x = fed(b, DIMS(1, 6, 16));
    const uint32_t mask = fed(b, DIMS(1, 1, 6, 6));
    const uint32_t w = known(b, DIMS(16, 16));
    const uint32_t p = node(b, "MatMul", 13, DIMS(1, 6, 16), IN(x, w));
    const uint32_t a = node(b, "Add", 14, DIMS(1, 6, 16), IN(p, known(b, DIMS(16))));
    const uint32_t h = node(b, "Reshape", 14, DIMS(1, 6, 2, 8), IN(a, list(b, DIMS(1, 6, 2, 8))));
    const uint32_t q = node(b, "Transpose", 13, DIMS(1, 2, 6, 8), IN(h));
    view_builder_ints(b, "perm", (const int64_t[]){0, 2, 1, 3}, 4);
    const uint32_t k = fed(b, DIMS(1, 1, 6, 8));
    const uint32_t thin = node(b, "Unsqueeze", 11, DIMS(1, 1, 1, 6, 8), IN(k));
    view_builder_ints(b, "axes", (const int64_t[]){2}, 1);
    const uint32_t wide =
        node(b, "Expand", 13, DIMS(1, 1, 2, 6, 8), IN(thin, list(b, DIMS(1, 1, 2, 6, 8))));
    const uint32_t keys =
        node(b, "Reshape", 14, DIMS(1, 2, 6, 8), IN(wide, list(b, DIMS(1, 2, 6, 8))));
    const uint32_t swapped = node(b, "Transpose", 13, DIMS(1, 2, 8, 6), IN(keys));
    view_builder_ints(b, "perm", (const int64_t[]){0, 1, 3, 2}, 4);
    const uint32_t s = node(b, "MatMul", 13, DIMS(1, 2, 6, 6), IN(q, swapped));
    const uint32_t scaled = node(b, "Mul", 14, DIMS(1, 2, 6, 6), IN(s, scalar(b, 0.35f)));
    const uint32_t masked = node(b, "Add", 14, DIMS(1, 2, 6, 6), IN(scaled, mask));
    const uint32_t soft = node(b, "Softmax", 13, DIMS(1, 2, 6, 6), IN(masked));
    view_builder_int(b, "axis", -1);
    const uint32_t y = node(b, "MatMul", 13, DIMS(1, 2, 6, 8), IN(soft, keys));
    const uint32_t back = node(b, "Transpose", 13, DIMS(1, 6, 2, 8), IN(y));
    view_builder_ints(b, "perm", (const int64_t[]){0, 2, 1, 3}, 4);
    view_builder_output(b,
                        node(b, "Reshape", 14, DIMS(1, 6, 16), IN(back, list(b, DIMS(1, 6, 16)))));
}

// Keys and values that grow by what comes in: sizes are open.
static void growing(view_builder *b) {
    const int64_t past = VIEW_SYMBOL(view_builder_symbol(b, "past", 0, 64));
    const int64_t total = VIEW_SYMBOL(view_builder_symbol(b, "total", 1, 65));
    const uint32_t q = fed(b, DIMS(1, 2, 1, 8));
    const uint32_t added = fed(b, DIMS(1, 2, 1, 8));
    const uint32_t old = fed(b, DIMS(1, 2, past, 8));
    const uint32_t old_values = fed(b, DIMS(1, 2, past, 8));
    const uint32_t k = node(b, "Concat", 13, DIMS(1, 2, total, 8), IN(old, added));
    view_builder_int(b, "axis", 2);
    const uint32_t v = node(b, "Concat", 13, DIMS(1, 2, total, 8), IN(old_values, added));
    view_builder_int(b, "axis", 2);
    const uint32_t swapped = node(b, "Transpose", 13, DIMS(1, 2, 8, total), IN(k));
    view_builder_ints(b, "perm", (const int64_t[]){0, 1, 3, 2}, 4);
    const uint32_t s = node(b, "MatMul", 13, DIMS(1, 2, 1, total), IN(q, swapped));
    const uint32_t soft = node(b, "Softmax", 13, DIMS(1, 2, 1, total), IN(s));
    view_builder_output(b, node(b, "MatMul", 13, DIMS(1, 2, 1, 8), IN(soft, v)));
    view_builder_output(b, k);
    view_builder_output(b, v);
}

static void normalisations(view_builder *b) {
    const uint32_t x = fed(b, DIMS(3, 4, 20));
    const uint32_t n = node(b, "LayerNormalization", 17, DIMS(3, 4, 20),
                            IN(x, known_near(b, 1.0f, DIMS(20)), known(b, DIMS(20))));
    view_builder_int(b, "axis", -1);
    const uint32_t two = scalar(b, 2.0f);
    const uint32_t square = node(b, "Pow", 15, DIMS(3, 4, 20), IN(n, two));
    const uint32_t mean = node(b, "ReduceMean", 13, DIMS(3, 4, 1), IN(square));
    view_builder_ints(b, "axes", (const int64_t[]){-1}, 1);
    const uint32_t plus = node(b, "Add", 14, DIMS(3, 4, 1), IN(mean, scalar(b, 1e-5f)));
    const uint32_t root = node(b, "Sqrt", 13, DIMS(3, 4, 1), IN(plus));
    const uint32_t div = node(b, "Div", 14, DIMS(3, 4, 20), IN(n, root));
    const uint32_t rms = node(b, "Mul", 14, DIMS(3, 4, 20), IN(div, known_near(b, 1.0f, DIMS(20))));
    const uint32_t soft = node(b, "LogSoftmax", 13, DIMS(3, 4, 20), IN(rms));
    const uint32_t most = node(b, "ReduceMax", 13, DIMS(3), IN(soft));
    view_builder_ints(b, "axes", (const int64_t[]){1, 2}, 2);
    view_builder_int(b, "keepdims", 0);
    const uint32_t image = fed(b, DIMS(1, 4, 3, 3));
    const uint32_t space = node(b, "ReduceMean", 13, DIMS(1, 4), IN(image));
    view_builder_ints(b, "axes", (const int64_t[]){2, 3}, 2);
    view_builder_int(b, "keepdims", 0);
    view_builder_output(b, most);
    view_builder_output(b, node(b, "ReduceSum", 11, DIMS(1, 1), IN(space)));
    view_builder_ints(b, "axes", (const int64_t[]){1}, 1);
}

static void movements(view_builder *b) {
    const uint32_t x = fed(b, DIMS(2, 6, 4));
    const uint32_t t = node(b, "Transpose", 13, DIMS(2, 4, 6), IN(x));
    view_builder_ints(b, "perm", (const int64_t[]){0, 2, 1}, 3);
    const uint32_t cut = node(b, "Slice", 9, DIMS(2, 4, 3), IN(t));
    view_builder_ints(b, "starts", (const int64_t[]){-5}, 1);
    view_builder_ints(b, "ends", (const int64_t[]){4}, 1);
    view_builder_ints(b, "axes", (const int64_t[]){2}, 1);
    const uint32_t parts[2] = {view_builder_value(b, TN_DTYPE_FLOAT, DIMS(2, 1, 3)),
                               view_builder_value(b, TN_DTYPE_FLOAT, DIMS(2, 3, 3))};
    view_builder_node(b, "Split", 11, &cut, 1, parts, 2);
    view_builder_ints(b, "split", (const int64_t[]){1, 3}, 2);
    view_builder_int(b, "axis", 1);
    const uint32_t r = node(b, "Relu", 14, DIMS(2, 1, 3), IN(parts[0]));
    const uint32_t joined = node(b, "Concat", 13, DIMS(2, 4, 3), IN(parts[1], r));
    view_builder_int(b, "axis", 1);
    const uint32_t picks = fed_as(b, TN_DTYPE_INT64, DIMS(2, 2));
    const uint32_t g = node(b, "Gather", 13, DIMS(2, 2, 2, 3), IN(joined, picks));
    view_builder_int(b, "axis", 1);
    const uint32_t one = node(b, "Unsqueeze", 11, DIMS(1, 2, 2, 2, 3), IN(g));
    view_builder_ints(b, "axes", (const int64_t[]){0}, 1);
    const uint32_t all =
        node(b, "Expand", 13, DIMS(4, 2, 2, 2, 3), IN(one, list(b, DIMS(4, 2, 2, 2, 3))));
    const uint32_t flat = node(b, "Flatten", 13, DIMS(4, 24), IN(all));
    const uint32_t table = known(b, DIMS(9, 5));
    const uint32_t rows = node(b, "Gather", 13, DIMS(2, 2, 5), IN(table, picks));
    view_builder_output(b, node(b, "Identity", 16, DIMS(4, 24), IN(flat)));
    view_builder_output(b, rows);
}

static void functions(view_builder *b) {
    static const struct {
        const char *type;
        uint32_t version;
    } unary[] = {{"Abs", 13},       {"Ceil", 13},       {"Elu", 22},      {"Erf", 13},
                 {"Exp", 13},       {"Floor", 13},      {"Gelu", 20},     {"HardSigmoid", 22},
                 {"HardSwish", 22}, {"Neg", 13},        {"Softplus", 22}, {"Sigmoid", 13},
                 {"Tanh", 13},      {"Reciprocal", 13}, {"Log", 13},      {"Sqrt", 13}};
    uint32_t x = fed(b, DIMS(3, 5, 7));
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; ++i) {
        x = node(b, unary[i].type, unary[i].version, DIMS(3, 5, 7), IN(x));
    }
    const uint32_t row = fed(b, DIMS(5, 1));
    const uint32_t s = node(b, "Sub", 14, DIMS(3, 5, 7), IN(x, row));
    const uint32_t m = node(b, "Max", 13, DIMS(3, 5, 7), IN(s, x, s));
    const uint32_t d = node(b, "Div", 14, DIMS(3, 5, 7), IN(m, row));
    const uint32_t g = node(b, "Sigmoid", 13, DIMS(3, 5, 7), IN(d));
    const uint32_t silu = node(b, "Mul", 14, DIMS(3, 5, 7), IN(d, g));
    const uint32_t least = node(b, "Min", 13, DIMS(3, 5, 7), IN(silu, known(b, DIMS(7))));
    const uint32_t p = node(b, "Pow", 15, DIMS(3, 5, 7), IN(least, x));
    view_builder_output(b, node(b, "Sum", 13, DIMS(3, 5, 7), IN(p, m)));
}

// A step of an integer network: scales by channel, a bias, limits, a sum, the largest.
static void quantised(view_builder *b) {
    const uint32_t scale = scalar(b, 0.02f);
    const uint32_t zero = zero_point(b, TN_DTYPE_UINT8, 120);
    const uint32_t x = fed(b, DIMS(1, 8, 6, 6));
    const uint32_t q =
        node_as(b, "QuantizeLinear", 19, TN_DTYPE_UINT8, DIMS(1, 8, 6, 6), IN(x, scale, zero));
    const uint32_t f = node(b, "DequantizeLinear", 19, DIMS(1, 8, 6, 6), IN(q, scale, zero));
    const uint32_t scales = known_near(b, 0.01f, DIMS(8));
    const uint32_t zeros = view_builder_constant_value(
        b, TN_DTYPE_INT8, DIMS(8), (const int8_t[8]){0}, 8, TN_CONSTANT_MAPPABLE);
    const uint32_t w = node(b, "DequantizeLinear", 19, DIMS(8, 8, 3, 3),
                            IN(integers(b, TN_DTYPE_INT8, DIMS(8, 8, 3, 3)), scales, zeros));
    view_builder_int(b, "axis", 0);
    const uint32_t bias =
        node(b, "DequantizeLinear", 19, DIMS(8), IN(integers(b, TN_DTYPE_INT32, DIMS(8)), scales));
    view_builder_int(b, "axis", 0);
    const uint32_t c = node(b, "Conv", 11, DIMS(1, 8, 6, 6), IN(f, w, bias));
    window(b, 1, 1, 1);
    const uint32_t r = node(b, "Relu", 14, DIMS(1, 8, 6, 6), IN(c));
    const uint32_t q2 =
        node_as(b, "QuantizeLinear", 19, TN_DTYPE_UINT8, DIMS(1, 8, 6, 6), IN(r, scale, zero));
    const uint32_t f2 = node(b, "DequantizeLinear", 19, DIMS(1, 8, 6, 6), IN(q2, scale, zero));
    const uint32_t s = node(b, "Add", 14, DIMS(1, 8, 6, 6), IN(f2, f));
    const uint32_t q3 =
        node_as(b, "QuantizeLinear", 19, TN_DTYPE_UINT8, DIMS(1, 8, 6, 6), IN(s, scale, zero));
    const uint32_t f3 = node(b, "DequantizeLinear", 19, DIMS(1, 8, 6, 6), IN(q3, scale, zero));
    const uint32_t m = node(b, "MaxPool", 12, DIMS(1, 8, 3, 3), IN(f3));
    view_builder_ints(b, "kernel_shape", (const int64_t[]){2, 2}, 2);
    view_builder_ints(b, "strides", (const int64_t[]){2, 2}, 2);
    const uint32_t flat = node(b, "Flatten", 13, DIMS(1, 72), IN(m));
    const uint32_t w2 = node(b, "DequantizeLinear", 19, DIMS(72, 5),
                             IN(integers(b, TN_DTYPE_INT8, DIMS(72, 5)), scale));
    view_builder_output(b, node(b, "MatMul", 13, DIMS(1, 5), IN(flat, w2)));
    view_builder_output(b, q3);
}

static void qlinear(view_builder *b) {
    const uint32_t scale = scalar(b, 0.02f);
    const uint32_t zero = zero_point(b, TN_DTYPE_UINT8, 100);
    const uint32_t x = fed_as(b, TN_DTYPE_UINT8, DIMS(1, 4, 5, 5));
    const uint32_t w = integers(b, TN_DTYPE_INT8, DIMS(6, 4, 3, 3));
    const uint32_t scales = known_near(b, 0.01f, DIMS(6));
    const uint32_t zeros = view_builder_constant_value(
        b, TN_DTYPE_INT8, DIMS(6), (const int8_t[6]){0}, 6, TN_CONSTANT_MAPPABLE);
    const uint32_t c = node_as(
        b, "QLinearConv", 10, TN_DTYPE_UINT8, DIMS(1, 6, 5, 5),
        IN(x, scale, zero, w, scales, zeros, scale, zero, integers(b, TN_DTYPE_INT32, DIMS(6))));
    window(b, 1, 1, 1);
    const uint32_t rows =
        node_as(b, "Reshape", 14, TN_DTYPE_UINT8, DIMS(6, 25), IN(c, list(b, DIMS(6, 25))));
    const uint32_t y = node_as(b, "QLinearMatMul", 10, TN_DTYPE_UINT8, DIMS(6, 7),
                               IN(rows, scale, zero, integers(b, TN_DTYPE_INT8, DIMS(25, 7)), scale,
                                  zero_point(b, TN_DTYPE_INT8, 3), scale, zero));
    view_builder_output(b, y);
}

// Weights of 4 bits in groups of 8 rows.
static void nibbles(view_builder *b) {
    const uint32_t x = fed(b, DIMS(5, 32));
    const uint32_t w =
        node(b, "DequantizeLinear", 21, DIMS(32, 20),
             IN(integers(b, TN_DTYPE_INT4, DIMS(32, 20)), known_near(b, 0.01f, DIMS(4, 20)),
                integers(b, TN_DTYPE_INT4, DIMS(4, 20))));
    view_builder_int(b, "axis", 0);
    view_builder_int(b, "block_size", 8);
    const uint32_t p = node(b, "MatMul", 13, DIMS(5, 20), IN(x, w));
    const uint32_t a = node(b, "Add", 14, DIMS(5, 20), IN(p, known(b, DIMS(20))));
    view_builder_output(b, node(b, "Relu", 14, DIMS(5, 20), IN(a)));
}

static void lstm(view_builder *b) {
    const uint32_t x = fed(b, DIMS(4, 3, 5));
    const uint32_t lengths = fed_as(b, TN_DTYPE_INT32, DIMS(3));
    const uint32_t state = fed(b, DIMS(2, 3, 6));
    const uint32_t outs[3] = {view_builder_value(b, TN_DTYPE_FLOAT, DIMS(4, 2, 3, 6)),
                              view_builder_value(b, TN_DTYPE_FLOAT, DIMS(2, 3, 6)),
                              view_builder_value(b, TN_DTYPE_FLOAT, DIMS(2, 3, 6))};
    const uint32_t ins[7] = {x,
                             known(b, DIMS(2, 24, 5)),
                             known(b, DIMS(2, 24, 6)),
                             known(b, DIMS(2, 48)),
                             lengths,
                             state,
                             state};
    view_builder_node(b, "LSTM", 14, ins, 7, outs, 3);
    view_builder_text(b, "direction", "bidirectional");
    view_builder_int(b, "hidden_size", 6);
    for (uint32_t i = 0; i < 3; ++i) {
        view_builder_output(b, outs[i]);
    }
}

// Products whose both factors come in, with open sizes.
static void products(view_builder *b) {
    const int64_t batch = VIEW_SYMBOL(view_builder_symbol(b, "batch", 1, 16));
    const uint32_t x = fed(b, DIMS(batch, 4, 6));
    const uint32_t y = fed(b, DIMS(6, 8));
    const uint32_t p = node(b, "MatMul", 13, DIMS(batch, 4, 8), IN(x, y));
    const uint32_t t = node(b, "Transpose", 13, DIMS(batch, 8, 4), IN(p));
    view_builder_ints(b, "perm", (const int64_t[]){0, 2, 1}, 3);
    const uint32_t s = node(b, "MatMul", 13, DIMS(batch, 8, 6), IN(t, x));
    const uint32_t g = node(b, "Gelu", 20, DIMS(batch, 8, 6), IN(s));
    view_builder_text(b, "approximate", "tanh");
    view_builder_output(b, node(b, "Dropout", 13, DIMS(batch, 8, 6), IN(g)));
}

const cpu_subject cpu_subjects[] = {
    {"convolutions", convolutions, {0}}, {"windows", windows, {0}},
    {"enlargements", enlargements, {0}}, {"attention", attention, {0}},
    {"growing", growing, {4, 5}},        {"normalisations", normalisations, {0}},
    {"movements", movements, {0}},       {"functions", functions, {0}},
    {"quantised", quantised, {0}},       {"qlinear", qlinear, {0}},
    {"nibbles", nibbles, {0}},           {"lstm", lstm, {0}},
    {"products", products, {3}},         {NULL, NULL, {0}},
};
