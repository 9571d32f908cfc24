// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about integers: quantising, sums of quantised tensors, weights of
// 4 bits. It belongs to that file and uses its functions.
#ifndef TENON_CPU_SIMD_INTEGERS_H
#define TENON_CPU_SIMD_INTEGERS_H

#define DEQUANTIZE(name, type)                                                                     \
    static void name(const type *x, int32_t zero_point, float scale, float *out, int64_t count) {  \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            out[i] = (float)((int32_t)x[i] - zero_point) * scale;                                  \
        }                                                                                          \
    }

DEQUANTIZE(dequantize_u8_loop, uint8_t)
DEQUANTIZE(dequantize_s8_loop, int8_t)

// Limits come first, so that what is rounded is small; NaN ends at the lower one.
#define QUANTIZE(name, type, low, high)                                                            \
    static void name(const float *x, float scale, int32_t zero_point, type *out, int64_t count) {  \
        const float least = (float)((low)-zero_point);                                             \
        const float most = (float)((high)-zero_point);                                             \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            const float v = x[i] / scale;                                                          \
            const float raised = v > least ? v : least;                                            \
            const float limited = raised < most ? raised : most;                                   \
            out[i] = (type)((int32_t)round_small(limited) + zero_point);                           \
        }                                                                                          \
    }

QUANTIZE(quantize_u8_loop, uint8_t, 0, 255)
QUANTIZE(quantize_s8_loop, int8_t, -128, 127)

static void quantized_sum_u8_loop(const cpu_quantized_sum *sum, const uint8_t *x, const uint8_t *y,
                                  uint8_t *out, int64_t count) {
    const cpu_quantized_sum q = *sum;
    const float least = (float)(0 - q.out_zero);
    const float most = (float)(255 - q.out_zero);
    for (int64_t i = 0; i < count; ++i) {
        const float u = (float)((int32_t)x[i] - q.x_zero) * q.x_scale;
        const float v = (float)((int32_t)y[i] - q.y_zero) * q.y_scale;
        const float kept = clip_one(u + v, q.low, q.high) / q.out_scale;
        out[i] = (uint8_t)((int32_t)round_small(clip_one(kept, least, most)) + q.out_zero);
    }
}

#define HALF (CPU_NIBBLE_COLUMNS / 2)

// One group: sums of x times the 4 bits, in registers, then scaled once.
#define NIBBLE_GROUP(count)                                                                        \
    static void nibble_group_##count(const float *x, int64_t x_step, const uint8_t *weights,       \
                                     const float *scales, const float *offsets, int64_t size,      \
                                     float *sums) {                                                \
        float low[count][HALF] = {{0}};                                                            \
        float high[count][HALF] = {{0}};                                                           \
        float total[count] = {0};                                                                  \
        for (int64_t k = 0; k < size; ++k) {                                                       \
            float u[HALF];                                                                         \
            float v[HALF];                                                                         \
            for (int j = 0; j < HALF; ++j) {                                                       \
                const int32_t byte = weights[k * HALF + j];                                        \
                u[j] = (float)(byte & 15);                                                         \
                v[j] = (float)(byte >> 4);                                                         \
            }                                                                                      \
            for (int r = 0; r < (count); ++r) {                                                    \
                const float a = x[r * x_step + k];                                                 \
                total[r] += a;                                                                     \
                for (int j = 0; j < HALF; ++j) {                                                   \
                    low[r][j] += a * u[j];                                                         \
                    high[r][j] += a * v[j];                                                        \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < (count); ++r) {                                                        \
            float *sum = sums + r * CPU_NIBBLE_COLUMNS;                                            \
            for (int j = 0; j < HALF; ++j) {                                                       \
                sum[j] += low[r][j] * scales[j] - total[r] * offsets[j];                           \
                sum[j + HALF] += high[r][j] * scales[j + HALF] - total[r] * offsets[j + HALF];     \
            }                                                                                      \
        }                                                                                          \
    }

NIBBLE_GROUP(1)
NIBBLE_GROUP(4)

static void nibble_rows_loop(const float *x, int64_t x_step, uint32_t rows, const uint8_t *weights,
                             const float *scales, const float *offsets, int64_t groups,
                             int64_t group_size, float *sums) {
    for (int64_t g = 0; g < groups; ++g) {
        const float *from = x + g * group_size;
        const uint8_t *bits = weights + g * group_size * HALF;
        const float *scale = scales + g * CPU_NIBBLE_COLUMNS;
        const float *offset = offsets + g * CPU_NIBBLE_COLUMNS;
        if (rows == CPU_NIBBLE_ROWS) {
            nibble_group_4(from, x_step, bits, scale, offset, group_size, sums);
            continue;
        }
        for (uint32_t r = 0; r < rows; ++r) {
            nibble_group_1(from + r * x_step, x_step, bits, scale, offset, group_size,
                           sums + r * CPU_NIBBLE_COLUMNS);
        }
    }
}

#endif // TENON_CPU_SIMD_INTEGERS_H
