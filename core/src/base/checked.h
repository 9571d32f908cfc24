// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that come from input: every operation says whether the result fits.
#ifndef TENON_BASE_CHECKED_H
#define TENON_BASE_CHECKED_H

#include "tenon/abi/types.h"

#include <stdbool.h>
#include <stdint.h>

// Each returns false when the exact result does not fit; *out is then undefined.
static inline bool tni_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    *out = a + b;
    return *out >= a;
}

static inline bool tni_sub_u64(uint64_t a, uint64_t b, uint64_t *out) {
    *out = a - b;
    return a >= b;
}

static inline bool tni_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    *out = a * b;
    return a == 0 || *out / a == b;
}

bool tni_add_i64(int64_t a, int64_t b, int64_t *out);
bool tni_sub_i64(int64_t a, int64_t b, int64_t *out);
bool tni_mul_i64(int64_t a, int64_t b, int64_t *out);

// Rounds up to a multiple of alignment (a power of two).
bool tni_align_u64(uint64_t size, uint64_t alignment, uint64_t *out);

// Bytes that count elements take, 2- and 4-bit elements packed; false for string, undefined and
// unknown types, and on overflow.
bool tni_size_of_elements(tn_dtype dtype, uint64_t count, uint64_t *out_bytes);

// Product of dims; false when a dim is negative or the product exceeds INT64_MAX. Rank 0 gives 1.
bool tni_count_of_dims(const int64_t *dims, uint32_t rank, uint64_t *out_count);

#endif // TENON_BASE_CHECKED_H
