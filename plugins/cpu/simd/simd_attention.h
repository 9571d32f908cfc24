// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about attention: tiles of a few queries by a block of keys, and
// of a few rows by a block of the values' columns, whose sums stay in registers. It belongs to that
// file.
#ifndef TENON_CPU_SIMD_ATTENTION_H
#define TENON_CPU_SIMD_ATTENTION_H

static void pack_keys_loop(const float *keys, int64_t step, int64_t count, int64_t size,
                           float *out) {
    for (int64_t begin = 0; begin < count; begin += CPU_KEY_BLOCK) {
        const int64_t there = count - begin < CPU_KEY_BLOCK ? count - begin : CPU_KEY_BLOCK;
        for (int64_t j = 0; j < CPU_KEY_BLOCK; ++j) {
            const float *key = keys + (begin + j) * step;
            for (int64_t d = 0; d < size; ++d) {
                out[begin * size + d * CPU_KEY_BLOCK + j] = j < there ? key[d] : 0.0f;
            }
        }
    }
}

#define SCORES_TILE(rows)                                                                          \
    static void scores_##rows(const float *queries, int64_t step, const float *packed,             \
                              int64_t size, float *out, int64_t out_step) {                        \
        float sum[rows][CPU_KEY_BLOCK] = {{0}};                                                    \
        for (int64_t d = 0; d < size; ++d) {                                                       \
            for (int r = 0; r < (rows); ++r) {                                                     \
                const float q = queries[r * step + d];                                             \
                for (int j = 0; j < CPU_KEY_BLOCK; ++j) {                                          \
                    sum[r][j] += q * packed[d * CPU_KEY_BLOCK + j];                                \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < (rows); ++r) {                                                         \
            for (int j = 0; j < CPU_KEY_BLOCK; ++j) {                                              \
                out[r * out_step + j] = sum[r][j];                                                 \
            }                                                                                      \
        }                                                                                          \
    }

// As many rows as there are registers for two sums each.
#if CPU_SIMD_FLOATS >= 16
#define WIDE 8
#define wide_scores scores_8
#define wide_sums sums_8
#else
#define WIDE 2
#define wide_scores scores_2
#define wide_sums sums_2
#endif

SCORES_TILE(1)
#if CPU_SIMD_FLOATS >= 16
SCORES_TILE(8)
#else
SCORES_TILE(2)
#endif

static void scores_loop(const float *queries, int64_t step, uint32_t rows, const float *packed,
                        int64_t count, int64_t size, float *out, int64_t out_step) {
    for (int64_t begin = 0; begin < count; begin += CPU_KEY_BLOCK) {
        uint32_t r = 0;
        for (; r + WIDE <= rows; r += WIDE) {
            wide_scores(queries + r * step, step, packed + begin * size, size,
                        out + r * out_step + begin, out_step);
        }
        for (; r < rows; ++r) {
            scores_1(queries + r * step, step, packed + begin * size, size,
                     out + r * out_step + begin, out_step);
        }
    }
}

#define COLUMNS 32

#define SUMS_TILE(rows)                                                                            \
    static void sums_##rows(const float *weights, int64_t weight_step, const float *values,        \
                            int64_t step, int64_t count, float *out, int64_t out_step) {           \
        float sum[rows][COLUMNS] = {{0}};                                                          \
        for (int64_t s = 0; s < count; ++s) {                                                      \
            for (int r = 0; r < (rows); ++r) {                                                     \
                const float w = weights[r * weight_step + s];                                      \
                for (int j = 0; j < COLUMNS; ++j) {                                                \
                    sum[r][j] += w * values[s * step + j];                                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < (rows); ++r) {                                                         \
            for (int j = 0; j < COLUMNS; ++j) {                                                    \
                out[r * out_step + j] = sum[r][j];                                                 \
            }                                                                                      \
        }                                                                                          \
    }

SUMS_TILE(1)
#if CPU_SIMD_FLOATS >= 16
SUMS_TILE(8)
#else
SUMS_TILE(2)
#endif

static void weighted_sums_loop(const float *weights, int64_t weight_step, uint32_t rows,
                               const float *values, int64_t step, int64_t count, int64_t size,
                               float *out, int64_t out_step) {
    int64_t column = 0;
    for (; column + COLUMNS <= size; column += COLUMNS) {
        uint32_t r = 0;
        for (; r + WIDE <= rows; r += WIDE) {
            wide_sums(weights + r * weight_step, weight_step, values + column, step, count,
                      out + r * out_step + column, out_step);
        }
        for (; r < rows; ++r) {
            sums_1(weights + r * weight_step, weight_step, values + column, step, count,
                   out + r * out_step + column, out_step);
        }
    }
    for (uint32_t r = 0; r < rows && column < size; ++r) {
        float *rest = out + r * out_step + column;
        for (int64_t j = 0; j < size - column; ++j) {
            rest[j] = 0.0f;
        }
        for (int64_t s = 0; s < count; ++s) {
            axpy_loop(weights[r * weight_step + s], values + s * step + column, rest,
                      size - column);
        }
    }
}

#endif // TENON_CPU_SIMD_ATTENTION_H
