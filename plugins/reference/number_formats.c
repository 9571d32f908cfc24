// SPDX-License-Identifier: Apache-2.0
// Narrow floating-point types: one table of field widths and special codes, two conversions.
#include "number_formats.h"

#include <math.h>

typedef struct number_format {
    tn_dtype dtype;
    int exponent_bits;
    int fraction_bits;
    int bias;
    uint32_t sign_bit;
    uint32_t largest;  // code of the largest finite number
    uint32_t overflow; // code of what is larger: infinity, NaN, or the largest number
    uint32_t nan;
    uint32_t has_negative_zero;
    uint32_t may_saturate;
} number_format;

static const number_format formats[] = {
    {TN_DTYPE_FLOAT16, 5, 10, 15, 0x8000, 0x7bff, 0x7c00, 0x7e00, 1, 0},
    {TN_DTYPE_BFLOAT16, 8, 7, 127, 0x8000, 0x7f7f, 0x7f80, 0x7fc0, 1, 0},
    {TN_DTYPE_FLOAT8E4M3FN, 4, 3, 7, 0x80, 0x7e, 0x7f, 0x7f, 1, 1},
    {TN_DTYPE_FLOAT8E4M3FNUZ, 4, 3, 8, 0x80, 0x7f, 0x80, 0x80, 0, 1},
    {TN_DTYPE_FLOAT8E5M2, 5, 2, 15, 0x80, 0x7b, 0x7c, 0x7e, 1, 1},
    {TN_DTYPE_FLOAT8E5M2FNUZ, 5, 2, 16, 0x80, 0x7f, 0x80, 0x80, 0, 1},
    // Has no code for NaN; negative zero stands for it, as in ONNX's own tests.
    {TN_DTYPE_FLOAT4E2M1, 2, 1, 1, 0x8, 0x7, 0x7, 0x8, 1, 1},
};

#define FORMAT_COUNT (sizeof formats / sizeof formats[0])
#define POWER_BIAS 127
#define POWER_NAN 0xffu

static const number_format *find(tn_dtype dtype) {
    for (uint32_t i = 0; i < FORMAT_COUNT; ++i) {
        if (formats[i].dtype == dtype) {
            return &formats[i];
        }
    }
    return NULL;
}

uint32_t tni_ref_is_small_float(tn_dtype dtype) {
    return dtype == TN_DTYPE_FLOAT8E8M0 || find(dtype) != NULL ? 1u : 0u;
}

double tni_ref_widen(tn_dtype dtype, uint32_t code) {
    if (dtype == TN_DTYPE_FLOAT8E8M0) {
        return code == POWER_NAN ? (double)NAN : ldexp(1.0, (int)code - POWER_BIAS);
    }
    const number_format *format = find(dtype);
    if (format == NULL) {
        return 0.0;
    }
    const uint32_t magnitude_code = code & (format->sign_bit - 1);
    const uint32_t negative = (code & format->sign_bit) != 0 ? 1u : 0u;
    if (!format->has_negative_zero && code == format->nan) {
        return (double)NAN;
    }
    if (magnitude_code > format->largest) {
        const uint32_t infinite =
            magnitude_code == format->overflow && format->overflow != format->nan ? 1u : 0u;
        const double special = infinite ? (double)INFINITY : (double)NAN;
        return negative ? -special : special;
    }
    const int exponent = (int)(magnitude_code >> format->fraction_bits);
    const int fraction = (int)(magnitude_code & ((1u << format->fraction_bits) - 1));
    const double magnitude = exponent == 0
                                 ? ldexp(fraction, 1 - format->bias - format->fraction_bits)
                                 : ldexp(fraction + (1 << format->fraction_bits),
                                         exponent - format->bias - format->fraction_bits);
    return negative ? -magnitude : magnitude;
}

// float8e8m0 holds powers of two alone: no sign, no zero.
static uint32_t narrow_power(double value, uint32_t saturate, ref_rounding rounding) {
    if (isnan(value) || value < 0.0 || (isinf(value) && !saturate)) {
        return POWER_NAN;
    }
    if (isinf(value)) {
        return POWER_NAN - 1;
    }
    if (value < ldexp(1.0, -POWER_BIAS)) {
        return 0;
    }
    int exponent = 0;
    const double half = frexp(value, &exponent); // in [0.5, 1)
    exponent -= 1;
    const uint32_t between = half > 0.5 ? 1u : 0u;
    if (between && (rounding == REF_ROUND_UP || (rounding == REF_ROUND_NEAREST && half >= 0.75))) {
        exponent += 1;
    }
    if (exponent + POWER_BIAS > 254) {
        return saturate ? POWER_NAN - 1 : POWER_NAN;
    }
    return (uint32_t)(exponent + POWER_BIAS);
}

// The code of a magnitude that may lie beyond the largest finite number.
static uint32_t magnitude_code(const number_format *format, double magnitude) {
    if (magnitude == 0.0) {
        return 0;
    }
    int exponent = ilogb(magnitude);
    if (exponent < 1 - format->bias) {
        exponent = 1 - format->bias;
    }
    if (exponent > format->bias + 1) {
        return format->largest + 1;
    }
    // Units in the last place: exact, because the scale is a power of two. A carry into the next
    // power of two is also one into the code's exponent.
    const int units = (int)nearbyint(ldexp(magnitude, format->fraction_bits - exponent));
    return (uint32_t)(((exponent + format->bias - 1) << format->fraction_bits) + units);
}

uint32_t tni_ref_narrow(tn_dtype dtype, double value, uint32_t saturate, ref_rounding rounding) {
    if (dtype == TN_DTYPE_FLOAT8E8M0) {
        return narrow_power(value, saturate, rounding);
    }
    const number_format *format = find(dtype);
    if (format == NULL) {
        return 0;
    }
    const uint32_t sign = signbit(value) ? format->sign_bit : 0;
    if (isnan(value)) {
        return format->has_negative_zero ? sign | format->nan : format->nan;
    }
    uint32_t code = isinf(value) ? format->largest + 1 : magnitude_code(format, fabs(value));
    if (code > format->largest) {
        code = saturate && format->may_saturate ? format->largest : format->overflow;
    }
    if (!format->has_negative_zero && (code == 0 || code == format->nan)) {
        return code;
    }
    return sign | code;
}
