// SPDX-License-Identifier: Apache-2.0
// Decoding and encoding of constant elements.
#include "graph/elements.h"

#include "base/dtype.h"
#include "graph/graph.h"

#include <math.h>
#include <string.h>

bool tni_elements_decodable(tn_dtype dtype) {
    const uint32_t bits = tni_dtype_bits(dtype);
    if (tni_dtype_is_integer(dtype)) {
        return bits >= 4 && bits <= 32;
    }
    return dtype == TN_DTYPE_BOOL || tni_elements_encodable(dtype);
}

bool tni_elements_encodable(tn_dtype dtype) {
    return dtype == TN_DTYPE_FLOAT || dtype == TN_DTYPE_DOUBLE || dtype == TN_DTYPE_FLOAT16 ||
           dtype == TN_DTYPE_BFLOAT16;
}

static double decode_wide(tn_dtype dtype, const uint8_t *at) {
    uint32_t bits = 0;
    int32_t word = 0;
    float value = 0.0f;
    double wide = 0.0;
    if (dtype == TN_DTYPE_DOUBLE) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&bits, at, sizeof bits);
    if (dtype == TN_DTYPE_UINT32) {
        return bits;
    }
    if (dtype == TN_DTYPE_INT32) {
        memcpy(&word, at, sizeof word);
        return word;
    }
    memcpy(&value, at, sizeof value);
    return (double)value;
}

static double decode_half(tn_dtype dtype, const uint8_t *at) {
    uint16_t bits = 0;
    memcpy(&bits, at, sizeof bits);
    switch (dtype) {
    case TN_DTYPE_UINT16:
        return bits;
    case TN_DTYPE_INT16:
        return bits < 32768 ? bits : (double)bits - 65536.0;
    case TN_DTYPE_FLOAT16:
        return (double)tni_float_from_half(bits);
    default:
        return (double)tni_float_from_bfloat16(bits);
    }
}

static double decode_narrow(tn_dtype dtype, const uint8_t *bytes, uint64_t index) {
    if (dtype == TN_DTYPE_INT4 || dtype == TN_DTYPE_UINT4) {
        const uint32_t nibble = ((uint32_t)bytes[index / 2] >> (index % 2 * 4)) & 15u;
        return dtype == TN_DTYPE_INT4 && nibble > 7 ? (double)nibble - 16.0 : (double)nibble;
    }
    const uint8_t byte = bytes[index];
    return dtype == TN_DTYPE_INT8 && byte > 127 ? byte - 256.0 : (double)byte;
}

void tni_elements_decode(tn_dtype dtype, const uint8_t *bytes, uint64_t first, uint64_t count,
                         double *out) {
    const uint32_t bits = tni_dtype_bits(dtype);
    for (uint64_t i = 0; i < count; i++) {
        if (bits >= 32) {
            out[i] = decode_wide(dtype, bytes + (first + i) * (bits / 8));
        } else if (bits == 16) {
            out[i] = decode_half(dtype, bytes + (first + i) * 2);
        } else {
            out[i] = decode_narrow(dtype, bytes, first + i);
        }
    }
}

// Rounds to binary32 so that a later rounding to 16 bits gives what one rounding would: where the
// value is not exact, the last bit is made odd (the "round to odd" trick of double rounding).
static float to_float_odd(double value) {
    float result = (float)value;
    const double back = (double)result;
    uint32_t bits = 0;
    if (back == value || value != value || fabs((double)result) > 3.0e38) {
        return result;
    }
    memcpy(&bits, &result, sizeof bits);
    // Towards zero first, then set the lowest bit.
    if (fabs(back) > fabs(value)) {
        bits--;
    }
    bits |= 1u;
    memcpy(&result, &bits, sizeof bits);
    return result;
}

void tni_elements_encode(tn_dtype dtype, const double *values, uint64_t count, uint8_t *out) {
    for (uint64_t i = 0; i < count; i++) {
        const float narrow = (float)values[i];
        uint16_t bits = 0;
        if (dtype == TN_DTYPE_DOUBLE) {
            memcpy(out + i * 8, &values[i], 8);
        } else if (dtype == TN_DTYPE_FLOAT) {
            memcpy(out + i * 4, &narrow, 4);
        } else {
            bits = dtype == TN_DTYPE_FLOAT16 ? tni_half_from_float(to_float_odd(values[i]))
                                             : tni_bfloat16_from_float(to_float_odd(values[i]));
            memcpy(out + i * 2, &bits, 2);
        }
    }
}

tn_status tni_elements_read(const tni_model *model, uint32_t constant, uint64_t first,
                            uint64_t count, double *out, tn_error *error) {
    uint8_t raw[8192 + 8];
    const tn_dtype dtype = model->constants[constant].dtype;
    const uint64_t bits = tni_dtype_bits(dtype);
    // An even number of elements a block keeps 4-bit elements aligned to bytes after the first.
    const uint64_t block = (sizeof raw - 8) * 8 / bits & ~UINT64_C(1);
    while (count > 0) {
        const uint64_t begin = first * bits / 8;
        const uint64_t skipped = bits < 8 ? first % (8 / bits) : 0;
        const uint64_t taken = count < block ? count : block;
        const uint64_t end = ((first + taken) * bits + 7) / 8;
        const tn_status status = tni_constant_read(model, constant, begin, end - begin, raw, error);
        if (status != TN_OK) {
            return status;
        }
        tni_elements_decode(dtype, raw, skipped, taken, out);
        first += taken;
        count -= taken;
        out += taken;
    }
    return TN_OK;
}
