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

// Dividing costs a processor sixteen times what multiplying does. With fused multiply-adds the
// quotient can be had from the rounded inverse: a first guess is off by at most two units in the
// last place, each step takes the rounding of its remainder away, and the second one gives the very
// quotient that dividing would (Markstein, "Computation of elementary functions on the IBM RISC
// System/6000 processor", 1990, theorem 8.1). That needs remainders that do not underflow and
// quotients that are finite: scales in here, and x that was limited to few times 256 scales.
#ifdef __FMA__
#define CPU_HAS_DIVIDED 1
static inline float divided(float x, float scale, float inverse) {
    const float guess = x * inverse;
    const float near = fmaf(fmaf(-guess, scale, x), inverse, guess);
    return fmaf(fmaf(-near, scale, x), inverse, near);
}
#else
#define CPU_HAS_DIVIDED 0
static inline float divided(float x, float scale, float inverse) {
    (void)inverse;
    return x / scale;
}
#endif

static inline int can_be_divided(float scale) {
    return CPU_HAS_DIVIDED && scale > 0x1p-60f && scale < 0x1p60f;
}

// Limits come first, so that what is rounded is small; NaN ends at the lower one.
static inline int32_t quantized(float quotient, float least, float most, int32_t zero_point) {
    const float raised = quotient > least ? quotient : least;
    const float limited = raised < most ? raised : most;
    return (int32_t)round_small(limited) + zero_point;
}

#define QUANTIZE(name, type, low, high)                                                            \
    static void name(const float *x, float scale, int32_t zero_point, type *out, int64_t count) {  \
        const float least = (float)((low)-zero_point);                                             \
        const float most = (float)((high)-zero_point);                                             \
        if (!can_be_divided(scale)) {                                                              \
            for (int64_t i = 0; i < count; ++i) {                                                  \
                out[i] = (type)quantized(x[i] / scale, least, most, zero_point);                   \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        const float inverse = 1.0f / scale;                                                        \
        const float bottom = (least - 1.0f) * scale;                                               \
        const float top = (most + 1.0f) * scale;                                                   \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            const float raised = x[i] > bottom ? x[i] : bottom;                                    \
            const float v = raised < top ? raised : top;                                           \
            out[i] = (type)quantized(divided(v, scale, inverse), least, most, zero_point);         \
        }                                                                                          \
    }

QUANTIZE(quantize_u8_loop, uint8_t, 0, 255)
QUANTIZE(quantize_s8_loop, int8_t, -128, 127)

static void quantized_sum_u8_loop(const cpu_quantized_sum *sum, const uint8_t *x, const uint8_t *y,
                                  uint8_t *out, int64_t count) {
    const cpu_quantized_sum q = *sum;
    const float least = (float)(0 - q.out_zero);
    const float most = (float)(255 - q.out_zero);
    const int quickly = can_be_divided(q.out_scale);
    const float bottom = quickly ? (least - 1.0f) * q.out_scale : -INFINITY;
    const float top = quickly ? (most + 1.0f) * q.out_scale : INFINITY;
    // Clipping to the limits of the sum and then to these is clipping to the narrower ones.
    const float low = clip_one(q.low, bottom, top);
    const float high = clip_one(q.high, bottom, top);
    if (!quickly) {
        for (int64_t i = 0; i < count; ++i) {
            const float u = (float)((int32_t)x[i] - q.x_zero) * q.x_scale;
            const float v = (float)((int32_t)y[i] - q.y_zero) * q.y_scale;
            const float quotient = clip_one(u + v, low, high) / q.out_scale;
            out[i] = (uint8_t)quantized(quotient, least, most, q.out_zero);
        }
        return;
    }
    const float inverse = 1.0f / q.out_scale;
    for (int64_t i = 0; i < count; ++i) {
        const float u = (float)((int32_t)x[i] - q.x_zero) * q.x_scale;
        const float v = (float)((int32_t)y[i] - q.y_zero) * q.y_scale;
        const float quotient = divided(clip_one(u + v, low, high), q.out_scale, inverse);
        out[i] = (uint8_t)quantized(quotient, least, most, q.out_zero);
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
