// SPDX-License-Identifier: Apache-2.0
// The floating-point types narrower than 32 bits: their bits as double and back. ONNX, "Float
// stored in 8 bits", "Float stored in 4 bits"; float16 is IEEE 754 binary16, bfloat16 the upper
// half of binary32.
#ifndef TENON_REFERENCE_NUMBER_FORMATS_H
#define TENON_REFERENCE_NUMBER_FORMATS_H

#include "tenon/abi/types.h"

// How a value that lies between two powers of two becomes a float8e8m0 (Cast, round_mode).
typedef enum ref_rounding {
    REF_ROUND_UP,
    REF_ROUND_DOWN,
    REF_ROUND_NEAREST,
} ref_rounding;

// All functions: [any-thread] [no-block] [no-alloc].

// Whether the type is one of those described here.
uint32_t tni_ref_is_small_float(tn_dtype dtype);
// The value of a code. Every code of every format is a double.
double tni_ref_widen(tn_dtype dtype, uint32_t code);
// The code nearest to a value, ties to even, rounded once. What is too large becomes the largest
// finite number where saturate is not 0, else infinity, or NaN in formats without one; float16 and
// bfloat16 never saturate, float4e2m1 always does. rounding is for float8e8m0 alone.
uint32_t tni_ref_narrow(tn_dtype dtype, double value, uint32_t saturate, ref_rounding rounding);

#endif // TENON_REFERENCE_NUMBER_FORMATS_H
