// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about integers: quantising, sums of quantised tensors. It belongs
// to that file and uses its functions.
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

#define SUM_PIECE 256

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

// Both tensors become floats in memory: were products and sum one expression, the compiler would
// fuse them, and what is not rounded in between ends in another integer once in a million.
static void quantized_sum_u8_loop(const cpu_quantized_sum *sum, const uint8_t *x, const uint8_t *y,
                                  uint8_t *out, int64_t count) {
    const cpu_quantized_sum q = *sum; // bytes may lie anywhere, for all that the compiler knows
    const float least = (float)(0 - q.out_zero);
    const float most = (float)(255 - q.out_zero);
    const float inverse = 1.0f / q.out_scale;
    // Clipping to the limits of the sum and then to those of a quotient is clipping to the
    // narrower.
    const float low = clip_one(q.low, (least - 1.0f) * q.out_scale, (most + 1.0f) * q.out_scale);
    const float high = clip_one(q.high, (least - 1.0f) * q.out_scale, (most + 1.0f) * q.out_scale);
    float u[SUM_PIECE];
    float v[SUM_PIECE];
    for (int64_t begin = 0; begin < count; begin += SUM_PIECE) {
        const int64_t here = count - begin < SUM_PIECE ? count - begin : SUM_PIECE;
        dequantize_u8_loop(x + begin, q.x_zero, q.x_scale, u, here);
        dequantize_u8_loop(y + begin, q.y_zero, q.y_scale, v, here);
        if (!can_be_divided(q.out_scale)) {
            for (int64_t i = 0; i < here; ++i) {
                u[i] = clip_one(u[i] + v[i], q.low, q.high);
            }
            quantize_u8_loop(u, q.out_scale, q.out_zero, out + begin, here);
            continue;
        }
        for (int64_t i = 0; i < here; ++i) {
            const float quotient = divided(clip_one(u[i] + v[i], low, high), q.out_scale, inverse);
            out[begin + i] = (uint8_t)quantized(quotient, least, most, q.out_zero);
        }
    }
}

#endif // TENON_CPU_SIMD_INTEGERS_H
