// SPDX-License-Identifier: Apache-2.0
// Elements of constants as numbers: decoding packed bytes to double and back. Every type listed by
// tni_elements_decodable is exact in double.
#ifndef TENON_GRAPH_ELEMENTS_H
#define TENON_GRAPH_ELEMENTS_H

#include "graph/constant.h"

// Types whose every value a double holds exactly: all floats of 16 bits and more, integers up to 32
// bits, bool.
bool tni_elements_decodable(tn_dtype dtype);
// float, double, float16, bfloat16.
bool tni_elements_encodable(tn_dtype dtype);

// Decodes count elements from index first of packed bytes (bytes points at element 0's byte).
void tni_elements_decode(tn_dtype dtype, const uint8_t *bytes, uint64_t first, uint64_t count,
                         double *out);
// Encodes count elements, each rounded once to nearest even.
void tni_elements_encode(tn_dtype dtype, const double *values, uint64_t count, uint8_t *out);

// Reads elements [first, first + count) of a constant as doubles, through scratch on the stack.
// Errors as tni_constant_read.
TN_MUST_USE tn_status tni_elements_read(const struct tni_model *model, uint32_t constant,
                                        uint64_t first, uint64_t count, double *out,
                                        tn_error *error);

#endif // TENON_GRAPH_ELEMENTS_H
