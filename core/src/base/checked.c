// SPDX-License-Identifier: Apache-2.0
// Overflow-checked signed arithmetic, element sizes and dimension products.
#include "base/checked.h"

#include "base/dtype.h"

bool tni_add_i64(int64_t a, int64_t b, int64_t *out) {
    *out = (int64_t)((uint64_t)a + (uint64_t)b);
    return b >= 0 ? a <= INT64_MAX - b : a >= INT64_MIN - b;
}

bool tni_sub_i64(int64_t a, int64_t b, int64_t *out) {
    *out = (int64_t)((uint64_t)a - (uint64_t)b);
    return b >= 0 ? a >= INT64_MIN + b : a <= INT64_MAX + b;
}

bool tni_mul_i64(int64_t a, int64_t b, int64_t *out) {
    const uint64_t size_a = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    const uint64_t size_b = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    const bool negative = (a < 0) != (b < 0);
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t size = 0;
    *out = 0;
    if (!tni_mul_u64(size_a, size_b, &size) || size > limit) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - size : size);
    return true;
}

bool tni_align_u64(uint64_t size, uint64_t alignment, uint64_t *out) {
    if (!tni_add_u64(size, alignment - 1, out)) {
        return false;
    }
    *out &= ~(alignment - 1);
    return true;
}

bool tni_size_of_elements(tn_dtype dtype, uint64_t count, uint64_t *out_bytes) {
    const uint32_t bits = tni_dtype_bits(dtype);
    *out_bytes = 0;
    if (bits == 0) {
        return false;
    }
    if (bits >= 8) {
        return tni_mul_u64(count, bits / 8, out_bytes);
    }
    const uint64_t per_byte = 8 / bits;
    *out_bytes = count / per_byte + (count % per_byte != 0 ? 1 : 0);
    return true;
}

bool tni_count_of_dims(const int64_t *dims, uint32_t rank, uint64_t *out_count) {
    uint64_t count = 1;
    bool empty = false;
    *out_count = 0;
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return false;
        }
        empty = empty || dims[i] == 0;
    }
    for (uint32_t i = 0; i < rank && !empty; i++) {
        if (!tni_mul_u64(count, (uint64_t)dims[i], &count) || count > (uint64_t)INT64_MAX) {
            return false;
        }
    }
    *out_count = empty ? 0 : count;
    return true;
}
