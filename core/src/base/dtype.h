// SPDX-License-Identifier: Apache-2.0
// Names, sizes and classes of element types (TN_DTYPE_), and conversion of narrow floats.
#ifndef TENON_BASE_DTYPE_H
#define TENON_BASE_DTYPE_H

#include "tenon/abi/types.h"

#include <stdbool.h>
#include <stdint.h>

// Bits of one element; 0 for string, undefined and unknown numbers.
uint32_t tni_dtype_bits(tn_dtype dtype);

// Lower-case name ("float", "int4"); "unknown" for numbers this build does not know. Static.
const char *tni_dtype_name(tn_dtype dtype);

// The numbers between undefined and TN_DTYPE_COUNT, strings included.
bool tni_dtype_known(tn_dtype dtype);
// float16, bfloat16, float, double and the narrow floats.
bool tni_dtype_is_float(tn_dtype dtype);
// Signed and unsigned integers of any width; not bool.
bool tni_dtype_is_integer(tn_dtype dtype);

// IEEE binary16 and bfloat16 to and from binary32, round to nearest even; NaN stays NaN.
float tni_float_from_half(uint16_t half);
uint16_t tni_half_from_float(float value);
float tni_float_from_bfloat16(uint16_t bits);
uint16_t tni_bfloat16_from_float(float value);

#endif // TENON_BASE_DTYPE_H
