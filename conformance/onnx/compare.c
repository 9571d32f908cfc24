// SPDX-License-Identifier: Apache-2.0
// Elements as doubles, errors in units of the last place, and the two judgements.
#include "onnx/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ONNX's backend tests (onnx/backend/test/runner): numpy.testing.assert_allclose with these.
#define ONNX_RTOL 1e-3
#define ONNX_ATOL 1e-7

// In types this coarse, that tolerance is less than two units in the last place: those are no wrong
// answer, since the expected value was rounded too.
#define COARSE_FRACTION 10
#define COARSE_ULP 2.0

// Limits in units of the last place, of the element itself or of the largest one.
#define ULP_LIMIT 16.0
#define REDUCTION_LIMIT 16.0
#define DOT_LIMIT 64.0

static const char *const dot_ops[] = {
    "Attention",
    "Conv",
    "ConvTranspose",
    "DFT",
    "DeformConv",
    "Einsum",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "RNN",
    "STFT",
    "Scan",
    "Loop",
    "BlackmanWindow",
    "Det",
    "HannWindow",
    "HammingWindow",
    "MelWeightMatrix",
    "LinearAttention",
};

static const char *const reduction_ops[] = {
    "AveragePool",
    "BatchNormalization",
    "CumSum",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GridSample",
    "GroupNormalization",
    "Hardmax",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "Mean",
    "MeanVarianceNormalization",
    "NegativeLogLikelihoodLoss",
    "RMSNormalization",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Resize",
    "RoiAlign",
    "RotaryEmbedding",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Sum",
    "Upsample",
    "Adagrad",
    "Adam",
    "Momentum",
    "AffineGrid",
};

static const char *const exact_ops[] = {
    "Abs",
    "And",
    "ArgMax",
    "ArgMin",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Col2Im",
    "Compress",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "DepthToSpace",
    "Dropout",
    "Equal",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "If",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Max",
    "MaxPool",
    "MaxUnpool",
    "Min",
    "Neg",
    "NonMaxSuppression",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "Pad",
    "Range",
    "ReduceMax",
    "ReduceMin",
    "Relu",
    "Reshape",
    "ReverseSequence",
    "Round",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "Shrink",
    "Sign",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unique",
    "Unsqueeze",
    "Where",
    "Xor",
};

static bool listed(const char *op_type, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], op_type) == 0) {
            return true;
        }
    }
    return false;
}

#define LISTED(op_type, names) listed(op_type, names, sizeof(names) / sizeof((names)[0]))

static const char *const random_ops[] = {
    "Bernoulli",        "Multinomial",   "RandomNormal",
    "RandomNormalLike", "RandomUniform", "RandomUniformLike",
};

suite_class suite_class_of_op(const char *op_type) {
    return LISTED(op_type, random_ops)      ? SUITE_RANDOM
           : LISTED(op_type, exact_ops)     ? SUITE_EXACT
           : LISTED(op_type, reduction_ops) ? SUITE_REDUCTION
           : LISTED(op_type, dot_ops)       ? SUITE_DOT
                                            : SUITE_ULP;
}

const char *suite_class_name(suite_class kind) {
    static const char *const names[] = {"exact", "ulp", "reduction", "dot", "random"};
    return names[kind];
}

static double narrow_float(uint32_t bits, int exponent_bits, int fraction_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const int fraction = (int)bits & ((1 << fraction_bits) - 1);
    double value = exponent == 0
                       ? ldexp(fraction, 1 - bias - fraction_bits)
                       : ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
    if (exponent == (1 << exponent_bits) - 1) {
        value = fraction != 0 ? (double)NAN : (double)INFINITY;
    }
    return (bits >> (exponent_bits + fraction_bits)) != 0 ? -value : value;
}

// Bits of the fraction and the exponent of the smallest normal number; false for other types.
static bool float_format(tn_dtype dtype, int *out_fraction, int *out_min_exponent) {
    *out_fraction = dtype == TN_DTYPE_FLOAT      ? 23
                    : dtype == TN_DTYPE_DOUBLE   ? 52
                    : dtype == TN_DTYPE_FLOAT16  ? 10
                    : dtype == TN_DTYPE_BFLOAT16 ? 7
                                                 : 0;
    *out_min_exponent = dtype == TN_DTYPE_DOUBLE ? -1022 : dtype == TN_DTYPE_FLOAT16 ? -14 : -126;
    return *out_fraction > 0;
}

static double element(tn_dtype dtype, const uint8_t *data, uint64_t index) {
    if (dtype == TN_DTYPE_FLOAT) {
        float value;
        memcpy(&value, data + index * 4, sizeof(value));
        return (double)value;
    }
    if (dtype == TN_DTYPE_DOUBLE) {
        double value;
        memcpy(&value, data + index * 8, sizeof(value));
        return value;
    }
    uint16_t bits;
    memcpy(&bits, data + index * 2, sizeof(bits));
    return dtype == TN_DTYPE_FLOAT16 ? narrow_float(bits, 5, 10) : narrow_float(bits, 8, 7);
}

// The distance between neighbours at a magnitude.
static double unit(double magnitude, int fraction, int min_exponent) {
    int exponent = min_exponent;
    if (magnitude > 0.0) {
        (void)frexp(magnitude, &exponent);
        exponent--;
    }
    return ldexp(1.0, (exponent < min_exponent ? min_exponent : exponent) - fraction);
}

// What is finite in a tensor.
typedef struct spread {
    double lowest;
    double highest;
    double largest; // magnitude
} spread;

static spread find_spread(const proto_tensor *t) {
    spread s = {.lowest = (double)INFINITY, .highest = -(double)INFINITY};
    for (uint64_t i = 0; i < t->count; i++) {
        double value = element(t->dtype, t->data, i);
        if (isfinite(value)) {
            s.lowest = fmin(s.lowest, value);
            s.highest = fmax(s.highest, value);
        }
    }
    s.largest = s.lowest <= s.highest ? fmax(fabs(s.lowest), fabs(s.highest)) : 0.0;
    return s;
}

static double range_error(const spread *s, double error) {
    double range = s->highest > s->lowest ? s->highest - s->lowest : s->largest;
    return range > 0.0 ? error / range : (double)INFINITY;
}

static void compare_floats(const proto_tensor *expected, const uint8_t *got, suite_class kind,
                           int fraction, int min_exponent, suite_result *result) {
    spread values = find_spread(expected);
    double scale = kind >= SUITE_REDUCTION ? values.largest : 0.0;
    double limit = kind == SUITE_EXACT       ? 0.0
                   : kind == SUITE_ULP       ? ULP_LIMIT
                   : kind == SUITE_REDUCTION ? REDUCTION_LIMIT
                                             : DOT_LIMIT;
    for (uint64_t i = 0; i < expected->count; i++) {
        double want = element(expected->dtype, expected->data, i);
        double have = element(expected->dtype, got, i);
        if ((isnan(want) && isnan(have)) || want == have) {
            continue;
        }
        if (!isfinite(want) || !isfinite(have)) {
            result->strict = false;
            result->tolerant = false;
            result->max_range_error = (double)INFINITY;
            continue;
        }
        double error = fabs(have - want);
        double own = error / unit(fabs(want), fraction, min_exponent);
        double judged =
            error / unit(fabs(want) > scale ? fabs(want) : scale, fraction, min_exponent);
        result->max_error = error > result->max_error ? error : result->max_error;
        result->max_ulp = own > result->max_ulp ? own : result->max_ulp;
        result->max_range_error = fmax(result->max_range_error, range_error(&values, error));
        result->strict = result->strict && judged <= limit;
        result->tolerant = result->tolerant && (error <= ONNX_ATOL + ONNX_RTOL * fabs(want) ||
                                                (fraction <= COARSE_FRACTION && own <= COARSE_ULP));
    }
}

// Packed elements beyond the last are not part of the tensor.
static bool same_bytes(const proto_tensor *expected, const uint8_t *got) {
    uint64_t bits = expected->count * proto_dtype_bits(expected->dtype);
    uint64_t whole = bits / 8;
    uint8_t mask = (uint8_t)((1u << (bits % 8)) - 1u);
    return memcmp(expected->data, got, whole) == 0 &&
           (mask == 0 || ((expected->data[whole] ^ got[whole]) & mask) == 0);
}

// Integers: ONNX compares them with the same tolerance, relative to the value.
static bool integers_close(const proto_tensor *expected, const uint8_t *got) {
    uint32_t bytes = proto_dtype_bits(expected->dtype) / 8;
    bool is_signed = expected->dtype == TN_DTYPE_INT8 || expected->dtype == TN_DTYPE_INT16 ||
                     expected->dtype == TN_DTYPE_INT32 || expected->dtype == TN_DTYPE_INT64;
    for (uint64_t i = 0; i < expected->count && bytes > 0 && bytes <= 8; i++) {
        uint64_t want = 0;
        uint64_t have = 0;
        memcpy(&want, expected->data + i * bytes, bytes);
        memcpy(&have, got + i * bytes, bytes);
        unsigned shift = 64 - 8 * bytes;
        double a = is_signed ? (double)((int64_t)(want << shift) >> shift) : (double)want;
        double b = is_signed ? (double)((int64_t)(have << shift) >> shift) : (double)have;
        if (fabs(a - b) > ONNX_ATOL + ONNX_RTOL * fabs(a)) {
            return false;
        }
    }
    return bytes > 0 && bytes <= 8;
}

static bool same_shape(const proto_tensor *expected, const tn_tensor_view *got,
                       char text[SUITE_TEXT]) {
    bool same = expected->rank == got->rank;
    for (uint32_t i = 0; same && i < got->rank; i++) {
        same = expected->dims[i] == got->dims[i];
    }
    if (expected->dtype != got->dtype) {
        snprintf(text, SUITE_TEXT, "type %s instead of %s", tn_dtype_text(got->dtype),
                 tn_dtype_text(expected->dtype));
        return false;
    }
    if (!same) {
        snprintf(text, SUITE_TEXT, "rank %u instead of %u, or another size", got->rank,
                 expected->rank);
    }
    return same;
}

// A complex number is two of half its width: its bits say nothing as one number.
static proto_tensor parts_of(const proto_tensor *tensor) {
    proto_tensor parts = *tensor;
    if (tensor->dtype == TN_DTYPE_COMPLEX64 || tensor->dtype == TN_DTYPE_COMPLEX128) {
        parts.dtype = tensor->dtype == TN_DTYPE_COMPLEX64 ? TN_DTYPE_FLOAT : TN_DTYPE_DOUBLE;
        parts.count *= 2;
    }
    return parts;
}

bool suite_compare(const proto_tensor *expected, const tn_tensor_view *got, suite_class kind,
                   suite_result *inout_result, char text[SUITE_TEXT]) {
    int fraction = 0;
    int min_exponent = 0;
    if (!same_shape(expected, got, text)) {
        inout_result->strict = false;
        inout_result->tolerant = false;
        return false;
    }
    if (kind == SUITE_RANDOM) {
        return true;
    }
    inout_result->elements += expected->count;
    const proto_tensor parts = parts_of(expected);
    if (expected->dtype == TN_DTYPE_STRING) {
        bool same = expected->size_bytes == got->size_bytes &&
                    memcmp(expected->data, got->data, got->size_bytes) == 0;
        inout_result->strict = inout_result->strict && same;
        inout_result->tolerant = inout_result->tolerant && same;
        inout_result->max_range_error = same ? inout_result->max_range_error : (double)INFINITY;
    } else if (float_format(parts.dtype, &fraction, &min_exponent)) {
        compare_floats(&parts, got->data, kind, fraction, min_exponent, inout_result);
    } else if (expected->count > 0 && !same_bytes(expected, got->data)) {
        inout_result->strict = false;
        inout_result->max_range_error = (double)INFINITY;
        inout_result->tolerant = inout_result->tolerant && integers_close(expected, got->data);
    }
    return true;
}
