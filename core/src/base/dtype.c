// SPDX-License-Identifier: Apache-2.0
// The table of element types, and binary16 / bfloat16 conversion in integer arithmetic.
#include "base/dtype.h"

#include <string.h>

typedef enum { CLASS_NONE, CLASS_FLOAT, CLASS_INTEGER, CLASS_OTHER } type_class;

typedef struct {
    const char *name;
    uint32_t bits;
    type_class kind;
} type_row;

static const type_row rows[TN_DTYPE_COUNT] = {
    [TN_DTYPE_UNDEFINED] = {"undefined", 0, CLASS_NONE},
    [TN_DTYPE_FLOAT] = {"float", 32, CLASS_FLOAT},
    [TN_DTYPE_UINT8] = {"uint8", 8, CLASS_INTEGER},
    [TN_DTYPE_INT8] = {"int8", 8, CLASS_INTEGER},
    [TN_DTYPE_UINT16] = {"uint16", 16, CLASS_INTEGER},
    [TN_DTYPE_INT16] = {"int16", 16, CLASS_INTEGER},
    [TN_DTYPE_INT32] = {"int32", 32, CLASS_INTEGER},
    [TN_DTYPE_INT64] = {"int64", 64, CLASS_INTEGER},
    [TN_DTYPE_STRING] = {"string", 0, CLASS_OTHER},
    [TN_DTYPE_BOOL] = {"bool", 8, CLASS_OTHER},
    [TN_DTYPE_FLOAT16] = {"float16", 16, CLASS_FLOAT},
    [TN_DTYPE_DOUBLE] = {"double", 64, CLASS_FLOAT},
    [TN_DTYPE_UINT32] = {"uint32", 32, CLASS_INTEGER},
    [TN_DTYPE_UINT64] = {"uint64", 64, CLASS_INTEGER},
    [TN_DTYPE_COMPLEX64] = {"complex64", 64, CLASS_OTHER},
    [TN_DTYPE_COMPLEX128] = {"complex128", 128, CLASS_OTHER},
    [TN_DTYPE_BFLOAT16] = {"bfloat16", 16, CLASS_FLOAT},
    [TN_DTYPE_FLOAT8E4M3FN] = {"float8e4m3fn", 8, CLASS_FLOAT},
    [TN_DTYPE_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8, CLASS_FLOAT},
    [TN_DTYPE_FLOAT8E5M2] = {"float8e5m2", 8, CLASS_FLOAT},
    [TN_DTYPE_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8, CLASS_FLOAT},
    [TN_DTYPE_UINT4] = {"uint4", 4, CLASS_INTEGER},
    [TN_DTYPE_INT4] = {"int4", 4, CLASS_INTEGER},
    [TN_DTYPE_FLOAT4E2M1] = {"float4e2m1", 4, CLASS_FLOAT},
    [TN_DTYPE_FLOAT8E8M0] = {"float8e8m0", 8, CLASS_FLOAT},
    [TN_DTYPE_UINT2] = {"uint2", 2, CLASS_INTEGER},
    [TN_DTYPE_INT2] = {"int2", 2, CLASS_INTEGER},
};

bool tni_dtype_known(tn_dtype dtype) {
    return dtype != TN_DTYPE_UNDEFINED && dtype < TN_DTYPE_COUNT;
}

uint32_t tni_dtype_bits(tn_dtype dtype) {
    return dtype < TN_DTYPE_COUNT ? rows[dtype].bits : 0;
}

const char *tni_dtype_name(tn_dtype dtype) {
    return dtype < TN_DTYPE_COUNT ? rows[dtype].name : "unknown";
}

bool tni_dtype_is_float(tn_dtype dtype) {
    return dtype < TN_DTYPE_COUNT && rows[dtype].kind == CLASS_FLOAT;
}

bool tni_dtype_is_integer(tn_dtype dtype) {
    return dtype < TN_DTYPE_COUNT && rows[dtype].kind == CLASS_INTEGER;
}

static uint32_t bits_of(float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value = 0.0f;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float tni_float_from_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 0x1f) {
        return float_of(sign | 0x7f800000u | (fraction << 13));
    }
    if (exponent == 0) {
        // A subnormal is fraction * 2^-24, which binary32 holds exactly.
        const float size = (float)fraction * 0x1p-24f;
        return sign != 0 ? -size : size;
    }
    return float_of(sign | ((exponent + 112) << 23) | (fraction << 13));
}

// Shifts right by shift (1 to 31), rounding to nearest even.
static uint32_t round_shift(uint32_t value, uint32_t shift) {
    const uint32_t half = 1u << (shift - 1);
    const uint32_t rest = value & ((half << 1) - 1);
    uint32_t result = value >> shift;
    if (rest > half || (rest == half && (result & 1u) != 0)) {
        result++;
    }
    return result;
}

uint16_t tni_half_from_float(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (size >= 0x47800000u) {
        return (uint16_t)(sign | 0x7c00u);
    }
    if (size >= 0x38800000u) {
        // Rounding may carry into the exponent, up to infinity, which is the right result.
        return (uint16_t)(sign | round_shift(size - 0x38000000u, 13));
    }
    if (size < 0x33000000u) {
        return (uint16_t)sign;
    }
    const uint32_t shift = 126u - (size >> 23);
    const uint32_t fraction = (size & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | round_shift(fraction, shift));
}

float tni_float_from_bfloat16(uint16_t bits) {
    return float_of((uint32_t)bits << 16);
}

uint16_t tni_bfloat16_from_float(float value) {
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((bits >> 16) | 0x40u);
    }
    return (uint16_t)(round_shift(bits & 0x7fffffffu, 16) | ((bits >> 16) & 0x8000u));
}
