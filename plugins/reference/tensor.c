// SPDX-License-Identifier: Apache-2.0
// Elements of every byte-sized ONNX type, as double and as 64-bit integers.
#include "tensor.h"

#include <math.h>

int64_t tni_ref_element_bytes(tn_dtype dtype) {
    switch (dtype) {
    case TN_DTYPE_UINT8:
    case TN_DTYPE_INT8:
    case TN_DTYPE_BOOL:
    case TN_DTYPE_FLOAT8E4M3FN:
    case TN_DTYPE_FLOAT8E4M3FNUZ:
    case TN_DTYPE_FLOAT8E5M2:
    case TN_DTYPE_FLOAT8E5M2FNUZ:
    case TN_DTYPE_FLOAT8E8M0:
        return 1;
    case TN_DTYPE_UINT16:
    case TN_DTYPE_INT16:
    case TN_DTYPE_FLOAT16:
    case TN_DTYPE_BFLOAT16:
        return 2;
    case TN_DTYPE_FLOAT:
    case TN_DTYPE_INT32:
    case TN_DTYPE_UINT32:
        return 4;
    case TN_DTYPE_DOUBLE:
    case TN_DTYPE_INT64:
    case TN_DTYPE_UINT64:
    case TN_DTYPE_COMPLEX64:
        return 8;
    case TN_DTYPE_COMPLEX128:
        return 16;
    default:
        return 0;
    }
}

uint32_t tni_ref_is_float(tn_dtype dtype) {
    return dtype == TN_DTYPE_FLOAT || dtype == TN_DTYPE_DOUBLE || dtype == TN_DTYPE_FLOAT16 ||
                   dtype == TN_DTYPE_BFLOAT16
               ? 1u
               : 0u;
}

uint32_t tni_ref_is_unsigned(tn_dtype dtype) {
    return dtype == TN_DTYPE_UINT8 || dtype == TN_DTYPE_UINT16 || dtype == TN_DTYPE_UINT32 ||
                   dtype == TN_DTYPE_UINT64 || dtype == TN_DTYPE_BOOL
               ? 1u
               : 0u;
}

// A 16-bit float of the given field widths: sign, exponent, fraction.
typedef struct small_format {
    int exponent_bits;
    int fraction_bits;
} small_format;

static const small_format half_format = {5, 10};
static const small_format brain_format = {8, 7};

static double widen(uint16_t bits, small_format format) {
    const int bias = (1 << (format.exponent_bits - 1)) - 1;
    const int exponent = (bits >> format.fraction_bits) & ((1 << format.exponent_bits) - 1);
    const int fraction = bits & ((1 << format.fraction_bits) - 1);
    double magnitude;
    if (exponent == (1 << format.exponent_bits) - 1) {
        magnitude = fraction != 0 ? (double)NAN : (double)INFINITY;
    } else if (exponent == 0) {
        magnitude = ldexp(fraction, 1 - bias - format.fraction_bits);
    } else {
        magnitude =
            ldexp(fraction + (1 << format.fraction_bits), exponent - bias - format.fraction_bits);
    }
    return (bits >> 15) != 0 ? -magnitude : magnitude;
}

// Rounds once, from double, to nearest even.
static uint16_t narrow(double value, small_format format) {
    const int bias = (1 << (format.exponent_bits - 1)) - 1;
    const int infinity = ((1 << format.exponent_bits) - 1) << format.fraction_bits;
    const int sign = signbit(value) ? 1 << 15 : 0;
    if (isnan(value)) {
        return (uint16_t)(sign | infinity | (1 << (format.fraction_bits - 1)));
    }
    const double magnitude = fabs(value);
    if (magnitude == 0.0 || isinf(magnitude)) {
        return (uint16_t)(sign | (magnitude == 0.0 ? 0 : infinity));
    }
    int exponent = ilogb(magnitude);
    if (exponent < 1 - bias) {
        exponent = 1 - bias;
    }
    // Units in the last place: exact, because the scale is a power of two.
    double units = nearbyint(ldexp(magnitude, format.fraction_bits - exponent));
    if (units >= ldexp(1.0, format.fraction_bits + 1)) {
        units /= 2;
        exponent += 1;
    }
    if (exponent > bias) {
        return (uint16_t)(sign | infinity);
    }
    const int integer = (int)units;
    if (integer < (1 << format.fraction_bits)) {
        return (uint16_t)(sign | integer);
    }
    return (uint16_t)(sign | ((exponent + bias) << format.fraction_bits) |
                      (integer - (1 << format.fraction_bits)));
}

#define LOAD_AS(type, result_type)                                                                 \
    do {                                                                                           \
        type element;                                                                              \
        memcpy(&element, at, sizeof element);                                                      \
        return (result_type)element;                                                               \
    } while (0)

double tni_ref_load(const ref_tensor *tensor, int64_t index) {
    const unsigned char *at = tensor->data + index * tni_ref_element_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case TN_DTYPE_FLOAT:
        LOAD_AS(float, double);
    case TN_DTYPE_DOUBLE:
        LOAD_AS(double, double);
    case TN_DTYPE_FLOAT16:
    case TN_DTYPE_BFLOAT16: {
        uint16_t bits;
        memcpy(&bits, at, sizeof bits);
        return widen(bits, tensor->dtype == TN_DTYPE_FLOAT16 ? half_format : brain_format);
    }
    case TN_DTYPE_UINT64:
        LOAD_AS(uint64_t, double);
    default:
        return (double)tni_ref_load_int(tensor, index);
    }
}

static int64_t saturate_to_int(double value, double low, double high) {
    if (isnan(value)) {
        return 0;
    }
    // The bounds of 64-bit types are not doubles; 2^63 is the first that does not fit.
    if (value >= high) {
        return high >= 9223372036854775807.0 ? INT64_MAX : (int64_t)high;
    }
    return value <= low ? (int64_t)low : (int64_t)value;
}

int64_t tni_ref_load_int(const ref_tensor *tensor, int64_t index) {
    const unsigned char *at = tensor->data + index * tni_ref_element_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case TN_DTYPE_UINT8:
        LOAD_AS(uint8_t, int64_t);
    case TN_DTYPE_INT8:
        LOAD_AS(int8_t, int64_t);
    case TN_DTYPE_UINT16:
        LOAD_AS(uint16_t, int64_t);
    case TN_DTYPE_INT16:
        LOAD_AS(int16_t, int64_t);
    case TN_DTYPE_INT32:
        LOAD_AS(int32_t, int64_t);
    case TN_DTYPE_UINT32:
        LOAD_AS(uint32_t, int64_t);
    case TN_DTYPE_INT64:
        LOAD_AS(int64_t, int64_t);
    case TN_DTYPE_UINT64:
        LOAD_AS(uint64_t, int64_t);
    case TN_DTYPE_BOOL:
        return at[0] != 0 ? 1 : 0;
    case TN_DTYPE_FLOAT:
    case TN_DTYPE_DOUBLE:
    case TN_DTYPE_FLOAT16:
    case TN_DTYPE_BFLOAT16:
        return saturate_to_int(tni_ref_load(tensor, index), -9223372036854775808.0,
                               9223372036854775808.0);
    default:
        return 0;
    }
}

#define STORE_AS(type, number)                                                                     \
    do {                                                                                           \
        const type element = (type)(number);                                                       \
        memcpy(at, &element, sizeof element);                                                      \
        return;                                                                                    \
    } while (0)

// The range of an integer type, as doubles.
static void integer_range(tn_dtype dtype, double *out_low, double *out_high) {
    const int bits = 8 * (int)tni_ref_element_bytes(dtype);
    const int magnitude_bits = tni_ref_is_unsigned(dtype) ? bits : bits - 1;
    *out_low = tni_ref_is_unsigned(dtype) ? 0.0 : -ldexp(1.0, magnitude_bits);
    *out_high = ldexp(1.0, magnitude_bits) - (bits == 64 ? 0.0 : 1.0);
}

void tni_ref_store(ref_tensor *tensor, int64_t index, double value) {
    unsigned char *at = tensor->data + index * tni_ref_element_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case TN_DTYPE_FLOAT:
        STORE_AS(float, value);
    case TN_DTYPE_DOUBLE:
        STORE_AS(double, value);
    case TN_DTYPE_FLOAT16:
        STORE_AS(uint16_t, narrow(value, half_format));
    case TN_DTYPE_BFLOAT16:
        STORE_AS(uint16_t, narrow(value, brain_format));
    case TN_DTYPE_BOOL:
        at[0] = value != 0.0 ? 1 : 0;
        return;
    case TN_DTYPE_UINT64:
        if (value >= 18446744073709551616.0) {
            STORE_AS(uint64_t, UINT64_MAX);
        }
        if (value >= 9223372036854775808.0) {
            STORE_AS(uint64_t, value);
        }
        break;
    default:
        break;
    }
    double low;
    double high;
    integer_range(tensor->dtype, &low, &high);
    tni_ref_store_int(tensor, index, saturate_to_int(value, low, high));
}

void tni_ref_store_int(ref_tensor *tensor, int64_t index, int64_t value) {
    unsigned char *at = tensor->data + index * tni_ref_element_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case TN_DTYPE_UINT8:
    case TN_DTYPE_INT8:
        STORE_AS(uint8_t, (uint64_t)value & UINT8_MAX);
    case TN_DTYPE_UINT16:
    case TN_DTYPE_INT16:
        STORE_AS(uint16_t, (uint64_t)value & UINT16_MAX);
    case TN_DTYPE_INT32:
    case TN_DTYPE_UINT32:
        STORE_AS(uint32_t, (uint64_t)value & UINT32_MAX);
    case TN_DTYPE_INT64:
    case TN_DTYPE_UINT64:
        STORE_AS(int64_t, value);
    case TN_DTYPE_BOOL:
        at[0] = value != 0 ? 1 : 0;
        return;
    case TN_DTYPE_FLOAT:
        STORE_AS(float, value);
    case TN_DTYPE_DOUBLE:
    case TN_DTYPE_FLOAT16:
    case TN_DTYPE_BFLOAT16:
        tni_ref_store(tensor, index, (double)value);
        return;
    default:
        return;
    }
}

uint32_t tni_ref_count(const int64_t *dims, uint32_t rank, int64_t *out_count) {
    int64_t all = 1;
    *out_count = 1;
    for (uint32_t i = 0; i < rank; ++i) {
        if (dims[i] < 0 || (dims[i] != 0 && all > INT64_MAX / 64 / dims[i])) {
            return 0;
        }
        all *= dims[i] == 0 ? 1 : dims[i];
        *out_count *= dims[i];
    }
    return 1;
}

int64_t tni_ref_product(const int64_t *dims, uint32_t begin, uint32_t end) {
    int64_t product = 1;
    for (uint32_t i = begin; i < end; ++i) {
        product *= dims[i];
    }
    return product;
}

// ONNX, "Broadcasting": shapes are aligned at their last axis; an axis of size 1 repeats.
int64_t tni_ref_broadcast(const ref_tensor *source, const int64_t *dims, uint32_t rank,
                          int64_t index) {
    const uint32_t missing = rank - source->rank;
    int64_t offset = 0;
    int64_t stride = 1;
    for (uint32_t axis = rank; axis-- > missing;) {
        const int64_t position = index % dims[axis];
        const int64_t size = source->dims[axis - missing];
        index /= dims[axis];
        if (size != 1) {
            offset += position * stride;
        }
        stride *= size;
    }
    return offset;
}

uint32_t tni_ref_broadcasts_to(const ref_tensor *source, const int64_t *dims, uint32_t rank) {
    if (source->rank > rank) {
        return 0;
    }
    for (uint32_t i = 0; i < source->rank; ++i) {
        const int64_t size = source->dims[i];
        if (size != 1 && size != dims[rank - source->rank + i]) {
            return 0;
        }
    }
    return 1;
}

uint32_t tni_ref_same_shape(const ref_tensor *a, const ref_tensor *b) {
    if (a->rank != b->rank) {
        return 0;
    }
    for (uint32_t i = 0; i < a->rank; ++i) {
        if (a->dims[i] != b->dims[i]) {
            return 0;
        }
    }
    return 1;
}

void tni_ref_add_scaled(double *restrict sums, int64_t count, double weight,
                        const ref_tensor *source, int64_t begin, int64_t stride) {
    if (source->dtype != TN_DTYPE_FLOAT) {
        for (int64_t i = 0; i < count; ++i) {
            sums[i] += weight * tni_ref_load(source, begin + i * stride);
        }
        return;
    }
    const unsigned char *restrict data = source->data + begin * 4;
    if (stride == 1) {
        for (int64_t i = 0; i < count; ++i) {
            sums[i] += weight * (double)tni_ref_float_at(data, i);
        }
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        sums[i] += weight * (double)tni_ref_float_at(data, i * stride);
    }
}
