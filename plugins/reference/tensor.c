// SPDX-License-Identifier: Apache-2.0
// Elements of every ONNX type of numbers, as double and as 64-bit integers.
#include "tensor.h"

#include "tenon/helper/graph_reader.h"

#include <math.h>

int64_t tni_ref_element_bits(tn_dtype dtype) {
    switch (dtype) {
    case TN_DTYPE_UINT2:
    case TN_DTYPE_INT2:
        return 2;
    case TN_DTYPE_UINT4:
    case TN_DTYPE_INT4:
    case TN_DTYPE_FLOAT4E2M1:
        return 4;
    default:
        return (int64_t)tn_view_dtype_bytes(dtype, 1) * 8;
    }
}

int64_t tni_ref_element_bytes(tn_dtype dtype) {
    return tni_ref_element_bits(dtype) / 8;
}

int64_t tni_ref_bytes_of(tn_dtype dtype, int64_t count) {
    const int64_t bits = tni_ref_element_bits(dtype);
    return bits % 8 == 0 ? count * (bits / 8) : (count * bits + 7) / 8;
}

uint32_t tni_ref_is_float(tn_dtype dtype) {
    return dtype == TN_DTYPE_FLOAT || dtype == TN_DTYPE_DOUBLE || tni_ref_is_small_float(dtype)
               ? 1u
               : 0u;
}

uint32_t tni_ref_is_unsigned(tn_dtype dtype) {
    return dtype == TN_DTYPE_UINT8 || dtype == TN_DTYPE_UINT16 || dtype == TN_DTYPE_UINT32 ||
                   dtype == TN_DTYPE_UINT64 || dtype == TN_DTYPE_BOOL || dtype == TN_DTYPE_UINT4 ||
                   dtype == TN_DTYPE_UINT2
               ? 1u
               : 0u;
}

// The bits of an element that is not more than 16 wide. Packed types: the first element lies in the
// lowest bits.
static uint32_t load_code(const ref_tensor *tensor, int64_t index) {
    const int64_t bits = tni_ref_element_bits(tensor->dtype);
    if (bits == 16) {
        uint16_t code;
        memcpy(&code, tensor->data + index * 2, sizeof code);
        return code;
    }
    const int64_t per_byte = 8 / bits;
    const uint32_t byte = tensor->data[index / per_byte];
    return (byte >> (index % per_byte * bits)) & ((1u << bits) - 1);
}

static void store_code(ref_tensor *tensor, int64_t index, uint32_t code) {
    const int64_t bits = tni_ref_element_bits(tensor->dtype);
    if (bits == 16) {
        const uint16_t narrow = (uint16_t)code;
        memcpy(tensor->data + index * 2, &narrow, sizeof narrow);
        return;
    }
    const int64_t per_byte = 8 / bits;
    const int64_t shift = index % per_byte * bits;
    const uint32_t mask = ((1u << bits) - 1) << shift;
    unsigned char *byte = tensor->data + index / per_byte;
    *byte = (unsigned char)((*byte & ~mask) | ((code << shift) & mask));
}

#define LOAD_AS(type, result_type)                                                                 \
    do {                                                                                           \
        type element;                                                                              \
        memcpy(&element, at, sizeof element);                                                      \
        return (result_type)element;                                                               \
    } while (0)

static int64_t load_int_at(const ref_tensor *tensor, int64_t index);

// For both: the element that lies index elements after data.
static double load_at(const ref_tensor *tensor, int64_t index) {
    const unsigned char *at = tensor->data + index * tni_ref_element_bytes(tensor->dtype);
    switch (tensor->dtype) {
    case TN_DTYPE_FLOAT:
        LOAD_AS(float, double);
    case TN_DTYPE_DOUBLE:
        LOAD_AS(double, double);
    case TN_DTYPE_UINT64:
        LOAD_AS(uint64_t, double);
    default:
        return tni_ref_is_small_float(tensor->dtype)
                   ? tni_ref_widen(tensor->dtype, load_code(tensor, index))
                   : (double)load_int_at(tensor, index);
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

static int64_t load_int_at(const ref_tensor *tensor, int64_t index) {
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
    case TN_DTYPE_UINT2:
    case TN_DTYPE_UINT4:
        return load_code(tensor, index);
    case TN_DTYPE_INT2:
    case TN_DTYPE_INT4: {
        const int64_t half = tensor->dtype == TN_DTYPE_INT2 ? 2 : 8;
        const int64_t code = load_code(tensor, index);
        return code < half ? code : code - 2 * half;
    }
    default:
        return tni_ref_is_float(tensor->dtype)
                   ? saturate_to_int(load_at(tensor, index), -9223372036854775808.0,
                                     9223372036854775808.0)
                   : 0;
    }
}

double tni_ref_load(const ref_tensor *tensor, int64_t index) {
    return load_at(tensor, tni_ref_place(tensor, index));
}

int64_t tni_ref_load_int(const ref_tensor *tensor, int64_t index) {
    return load_int_at(tensor, tni_ref_place(tensor, index));
}

void tni_ref_store_rounded(ref_tensor *tensor, int64_t index, double value, uint32_t saturate,
                           ref_rounding rounding) {
    if (tni_ref_is_small_float(tensor->dtype)) {
        store_code(tensor, index, tni_ref_narrow(tensor->dtype, value, saturate, rounding));
    } else {
        tni_ref_store(tensor, index, value);
    }
}

void tni_ref_move(ref_tensor *to, int64_t to_index, const ref_tensor *from, int64_t from_index) {
    const int64_t bits = tni_ref_element_bits(to->dtype);
    if (bits % 8 != 0) {
        store_code(to, to_index, load_code(from, from_index));
        return;
    }
    memcpy(to->data + to_index * (bits / 8),
           from->data + tni_ref_place(from, from_index) * (bits / 8), (size_t)(bits / 8));
}

#define STORE_AS(type, number)                                                                     \
    do {                                                                                           \
        const type element = (type)(number);                                                       \
        memcpy(at, &element, sizeof element);                                                      \
        return;                                                                                    \
    } while (0)

// The range of an integer type, as doubles.
static void integer_range(tn_dtype dtype, double *out_low, double *out_high) {
    const int bits = (int)tni_ref_element_bits(dtype);
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
    if (tni_ref_is_small_float(tensor->dtype)) {
        store_code(tensor, index, tni_ref_narrow(tensor->dtype, value, 1, REF_ROUND_UP));
        return;
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
    case TN_DTYPE_UINT2:
    case TN_DTYPE_INT2:
    case TN_DTYPE_UINT4:
    case TN_DTYPE_INT4:
        store_code(tensor, index, (uint32_t)((uint64_t)value & 15u));
        return;
    default:
        if (tni_ref_is_float(tensor->dtype)) {
            tni_ref_store(tensor, index, (double)value);
        }
        return;
    }
}

void tni_ref_set_dims(ref_tensor *tensor, uint32_t rank, const int64_t *dims) {
    tensor->rank = rank;
    tensor->count = 1;
    for (uint32_t i = 0; i < rank; ++i) {
        tensor->dims[i] = dims[i];
        tensor->count *= dims[i];
    }
    tensor->size_bytes = tni_ref_bytes_of(tensor->dtype, tensor->count);
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

void tni_ref_coordinates(const ref_tensor *tensor, int64_t index, int64_t *out_at) {
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        out_at[axis] = index % tensor->dims[axis];
        index /= tensor->dims[axis];
    }
}

int64_t tni_ref_position(const ref_tensor *tensor, const int64_t *at) {
    int64_t index = 0;
    for (uint32_t axis = 0; axis < tensor->rank; ++axis) {
        index = index * tensor->dims[axis] + at[axis];
    }
    return index;
}

int64_t tni_ref_strided(int64_t index, uint32_t count, const int64_t *sizes, const int64_t *steps) {
    int64_t offset = 0;
    for (uint32_t i = count; i-- > 0;) {
        offset += index % sizes[i] * steps[i];
        index /= sizes[i];
    }
    return offset;
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

uint32_t tni_ref_is_scalar(const ref_tensor *tensor) {
    return tensor == NULL || tensor->count == 1 ? 1u : 0u;
}

void tni_ref_add_scaled(double *restrict sums, int64_t count, double weight,
                        const ref_tensor *source, int64_t begin, int64_t stride) {
    if (source->dtype != TN_DTYPE_FLOAT || source->row != 0) {
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
