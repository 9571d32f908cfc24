// SPDX-License-Identifier: Apache-2.0
// The loops of simd.h, included once by each simd_*.c, which sets CPU_SIMD_NAME, CPU_SIMD_SYMBOL
// and CPU_SIMD_FLOATS and is compiled for its instruction set. Loops are plain and left to the
// compiler's vectoriser; sums keep CPU_LANES partial sums, so that their order is fixed.
#ifndef TENON_CPU_SIMD_BODY_H
#define TENON_CPU_SIMD_BODY_H

#include "simd.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define CPU_LANES 32
#define INLINE static inline __attribute__((always_inline))

// The vectoriser does not keep many sums in registers by itself, so where that matters they have a
// type: one register, that may lie anywhere.
typedef float cpu_register
    __attribute__((vector_size(sizeof(float) * (size_t)CPU_SIMD_FLOATS), aligned(4), may_alias));
typedef int32_t cpu_integers __attribute__((vector_size(sizeof(float) * (size_t)CPU_SIMD_FLOATS)));

// Sums in registers: so many rows of one or two registers each.
#if CPU_SIMD_FLOATS >= 16
#define TILE 8
#else
#define TILE 4
#endif

static inline cpu_register load(const float *from) {
    return *(const cpu_register *)from;
}

static inline void store(float *to, cpu_register value) {
    *(cpu_register *)to = value;
}

static inline float bits_to_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t float_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float select_float(int condition, float yes, float no) {
    return condition ? yes : no;
}

// To the nearest integer, halves to even, for |x| below 2^22: the sum with 1.5 * 2^23 has no room
// for a fraction.
static inline float round_small(float x) {
    return (x + 12582912.0f) - 12582912.0f;
}

// e^x for what is neither large nor small: x = n ln 2 + r, a polynomial in r (Cody and Waite's
// split of ln 2), n into the exponent: it is in the last bits of the sum that rounds it. NaN stays.
static inline float exp_limited(float x) {
    const float sum = x * 1.44269504f + 12582912.0f;
    const float n = sum - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.98756915e-4f;
    p = p * r + 1.39819995e-3f;
    p = p * r + 8.33345191e-3f;
    p = p * r + 4.16657959e-2f;
    p = p * r + 1.66666655e-1f;
    p = p * r + 5.00000012e-1f;
    p = p * r * r + r + 1.0f;
    return p * bits_to_float((float_to_bits(sum) << 23) + 0x3f800000u);
}

// Of what is not above 0. Below about -87.3 it is 0.
static inline float exp_below(float x) {
    const float result = exp_limited(-87.33f > x ? -87.33f : x);
    return x < -87.33f ? 0.0f : result;
}

// Below about -87.3 it is 0, above 88.72 infinity. Near that n would be 128, which is no exponent:
// from 88 on it is e times what it is one below.
static inline float exp_one(float x) {
    const float limited = 89.0f < x ? 89.0f : x;
    const int large = limited > 88.0f;
    return exp_below(limited - select_float(large, 1.0f, 0.0f)) *
           select_float(large, 2.71828183f, 1.0f);
}

static inline float sigmoid_one(float x) {
    return 1.0f / (1.0f + exp_one(-x));
}

// (1 - e) / (1 + e) with e = exp(-2 |x|), which loses digits near 0: there the Taylor series.
static inline float tanh_one(float x) {
    const float e = exp_one(-2.0f * fabsf(x));
    const float far = copysignf((1.0f - e) / (1.0f + e), x);
    const float s = x * x;
    const float near =
        x * (1.0f + s * (-1.0f / 3 + s * (2.0f / 15 + s * (-17.0f / 315 + s * (62.0f / 2835)))));
    return select_float(s < 0.09f, near, far);
}

// x P(x^2) / Q(x^2), fitted to the relative error: 3.3e-7 at most. 1 from 3.92 on.
static inline float erf_one(float x) {
    const float c = x > 3.92f ? 3.92f : (x < -3.92f ? -3.92f : x);
    const float t = c * c;
    float p = 1.9923604e-8f;
    p = p * t - 1.95778875e-6f;
    p = p * t + 1.41847442e-4f;
    p = p * t + 3.70153948e-3f;
    p = p * t + 5.05731069e-2f;
    p = p * t + 1.99923277e-1f;
    p = p * t + 1.12837911f;
    float q = 9.56018222e-4f;
    q = q * t + 1.43530658e-2f;
    q = q * t + 1.14997849e-1f;
    q = q * t + 5.10509074e-1f;
    q = q * t + 1.0f;
    return c * p / q;
}

static inline float gelu_tanh_one(float x) {
    return 0.5f * x * (1.0f + tanh_one(0.797884561f * (x + 0.044715f * x * x * x)));
}

static inline float clip_one(float x, float low, float high) {
    const float above = x < low ? low : x;
    return above > high ? high : above;
}

#define ACT_LOOP(expression)                                                                       \
    for (int64_t i = 0; i < count; ++i) {                                                          \
        const float v = x[i];                                                                      \
        y[i] = (expression);                                                                       \
    }                                                                                              \
    break

static void act_loop(cpu_act kind, float a, float b, const float *x, float *y, int64_t count) {
    switch (kind) {
    case CPU_ACT_RELU:
        ACT_LOOP(v < 0.0f ? a * v : v);
    case CPU_ACT_CLIP:
        ACT_LOOP(clip_one(v, a, b));
    case CPU_ACT_SIGMOID:
        ACT_LOOP(sigmoid_one(v));
    case CPU_ACT_TANH:
        ACT_LOOP(tanh_one(v));
    case CPU_ACT_ERF:
        ACT_LOOP(erf_one(v));
    case CPU_ACT_GELU:
        ACT_LOOP(0.5f * v * (1.0f + erf_one(v * 0.707106781f)));
    case CPU_ACT_GELU_TANH:
        ACT_LOOP(gelu_tanh_one(v));
    case CPU_ACT_SILU:
        ACT_LOOP(v * sigmoid_one(v));
    case CPU_ACT_HARD_SIGMOID:
        ACT_LOOP(clip_one(a * v + b, 0.0f, 1.0f));
    case CPU_ACT_HARD_SWISH:
        ACT_LOOP(v * clip_one(v * (1.0f / 6) + 0.5f, 0.0f, 1.0f));
    case CPU_ACT_ELU:
        ACT_LOOP(v < 0.0f ? a * (exp_one(v) - 1.0f) : v);
    case CPU_ACT_EXP:
        ACT_LOOP(exp_one(v));
    case CPU_ACT_SQRT:
        ACT_LOOP(sqrtf(v));
    case CPU_ACT_NEG:
        ACT_LOOP(-v);
    case CPU_ACT_ABS:
        ACT_LOOP(fabsf(v));
    case CPU_ACT_RECIPROCAL:
        ACT_LOOP(1.0f / v);
    case CPU_ACT_SQUARE:
        ACT_LOOP(v * v);
    case CPU_ACT_LINEAR:
        ACT_LOOP(a * v + b);
    case CPU_ACT_LOG:
        ACT_LOOP(logf(v));
    case CPU_ACT_FLOOR:
        ACT_LOOP(floorf(v));
    case CPU_ACT_CEIL:
        ACT_LOOP(ceilf(v));
    case CPU_ACT_SOFTPLUS:
        ACT_LOOP((v > 0.0f ? v : 0.0f) + log1pf(exp_one(-fabsf(v))));
    default:
        ACT_LOOP(v);
    }
}

#define BINARY_LOOPS(expression)                                                                   \
    if (x_step != 0 && y_step != 0) {                                                              \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            const float u = x[i];                                                                  \
            const float v = y[i];                                                                  \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    } else if (x_step != 0) {                                                                      \
        const float v = y[0];                                                                      \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            const float u = x[i];                                                                  \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    } else {                                                                                       \
        const float u = x[0];                                                                      \
        for (int64_t i = 0; i < count; ++i) {                                                      \
            const float v = y[i * y_step];                                                         \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }                                                                                              \
    break

static void binary_loop(cpu_binary kind, const float *x, int64_t x_step, const float *y,
                        int64_t y_step, float *out, int64_t count) {
    switch (kind) {
    case CPU_BINARY_ADD:
        BINARY_LOOPS(u + v);
    case CPU_BINARY_SUB:
        BINARY_LOOPS(u - v);
    case CPU_BINARY_MUL:
        BINARY_LOOPS(u * v);
    case CPU_BINARY_DIV:
        BINARY_LOOPS(u / v);
    // NaN wins, as ONNX has it.
    case CPU_BINARY_MAX:
        BINARY_LOOPS(u > v || u != u ? u : v);
    case CPU_BINARY_MIN:
        BINARY_LOOPS(u < v || u != u ? u : v);
    default:
        BINARY_LOOPS(powf(u, v));
    }
}

// Folds count elements into CPU_LANES partial results, and those into one.
#define FOLD(first, update, join)                                                                  \
    float lane[CPU_LANES];                                                                         \
    for (int k = 0; k < CPU_LANES; ++k) {                                                          \
        lane[k] = (first);                                                                         \
    }                                                                                              \
    int64_t begin = 0;                                                                             \
    for (; begin + CPU_LANES <= count; begin += CPU_LANES) {                                       \
        for (int k = 0; k < CPU_LANES; ++k) {                                                      \
            const int64_t i = begin + k;                                                           \
            lane[k] = (update);                                                                    \
        }                                                                                          \
    }                                                                                              \
    for (int k = 0; begin + k < count; ++k) {                                                      \
        const int64_t i = begin + k;                                                               \
        lane[k] = (update);                                                                        \
    }                                                                                              \
    for (int width = CPU_LANES / 2; width > 0; width /= 2) {                                       \
        for (int k = 0; k < width; ++k) {                                                          \
            const float u = lane[k];                                                               \
            const float v = lane[k + width];                                                       \
            lane[k] = (join);                                                                      \
        }                                                                                          \
    }                                                                                              \
    return lane[0]

static float sum_loop(const float *x, int64_t count) {
    FOLD(0.0f, lane[k] + x[i], u + v);
}

static float sum_squares_loop(const float *x, int64_t count) {
    FOLD(0.0f, lane[k] + x[i] * x[i], u + v);
}

static float dot_loop(const float *x, const float *y, int64_t count) {
    FOLD(0.0f, lane[k] + x[i] * y[i], u + v);
}

// NaN stays: a comparison with it is false both times.
static float maximum_loop(const float *x, int64_t count) {
    FOLD(-INFINITY, (x[i] <= lane[k] ? lane[k] : x[i]), (u <= v ? v : u));
}

static void axpy_loop(float a, const float *x, float *y, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        y[i] += a * x[i];
    }
}

static void axpy4_loop(const float *a, const float *x, int64_t step, float *y, int64_t count) {
    const float *u = x + step;
    const float *v = u + step;
    const float *w = v + step;
    for (int64_t i = 0; i < count; ++i) {
        y[i] += (a[0] * x[i] + a[1] * u[i]) + (a[2] * v[i] + a[3] * w[i]);
    }
}

static float variance_sum(const float *x, float mean, int64_t count) {
    FOLD(0.0f, lane[k] + (x[i] - mean) * (x[i] - mean), u + v);
}

static float exp_sum(const float *x, float maximum, float *out, int64_t count) {
    FOLD(0.0f, lane[k] + (out[i] = exp_below(x[i] - maximum)), u + v);
}

static void softmax_loop(const float *x, float scale, const float *mask, uint32_t logarithm,
                         float *out, int64_t count) {
    if (mask != NULL) {
        for (int64_t i = 0; i < count; ++i) {
            out[i] = x[i] * scale + mask[i];
        }
        x = out;
    } else if (scale != 1.0f) {
        for (int64_t i = 0; i < count; ++i) {
            out[i] = x[i] * scale;
        }
        x = out;
    }
    const float maximum = maximum_loop(x, count);
    if (logarithm) {
        float total = 0.0f;
        for (int64_t i = 0; i < count; ++i) {
            total += exp_one(x[i] - maximum);
        }
        const float shift = maximum + logf(total);
        for (int64_t i = 0; i < count; ++i) {
            out[i] = x[i] - shift;
        }
        return;
    }
    const float factor = 1.0f / exp_sum(x, maximum, out, count);
    for (int64_t i = 0; i < count; ++i) {
        out[i] *= factor;
    }
}

static void layer_norm_loop(const float *x, const float *gain, const float *bias, float epsilon,
                            float *out, int64_t count) {
    const float mean = sum_loop(x, count) / (float)count;
    const float variance = variance_sum(x, mean, count) / (float)count;
    const float factor = 1.0f / sqrtf(variance + epsilon);
    if (bias == NULL) {
        for (int64_t i = 0; i < count; ++i) {
            out[i] = (x[i] - mean) * factor * gain[i];
        }
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        out[i] = (x[i] - mean) * factor * gain[i] + bias[i];
    }
}

static void rms_norm_loop(const float *x, const float *gain, float epsilon, float *out,
                          int64_t count) {
    const float factor = 1.0f / sqrtf(sum_squares_loop(x, count) / (float)count + epsilon);
    for (int64_t i = 0; i < count; ++i) {
        out[i] = x[i] * factor * gain[i];
    }
}

static void affine_loop(const float *scale, const float *shift, uint32_t relu, const float *x,
                        float *out, int64_t count) {
    const cpu_register by = load(scale);
    const cpu_register plus = load(shift);
    const cpu_register zero = {0};
    for (int64_t i = 0; i < count; ++i) {
        const cpu_register y = load(x + i * CPU_SIMD_FLOATS) * by + plus;
        const cpu_integers kept = ~((cpu_integers)(y < zero) & -(int32_t)relu);
        store(out + i * CPU_SIMD_FLOATS, (cpu_register)((cpu_integers)y & kept));
    }
}

#include "simd_attention.h"
#include "simd_integers.h"
#include "simd_nibbles.h"

extern const cpu_simd CPU_SIMD_SYMBOL;
const cpu_simd CPU_SIMD_SYMBOL = {
    .name = CPU_SIMD_NAME,
    .floats = CPU_SIMD_FLOATS,
    .act = act_loop,
    .binary = binary_loop,
    .softmax = softmax_loop,
    .layer_norm = layer_norm_loop,
    .rms_norm = rms_norm_loop,
    .affine = affine_loop,
    .sum = sum_loop,
    .sum_squares = sum_squares_loop,
    .maximum = maximum_loop,
    .dot = dot_loop,
    .axpy = axpy_loop,
    .axpy4 = axpy4_loop,
    .attend = attend_loop,
    .dequantize_u8 = dequantize_u8_loop,
    .dequantize_s8 = dequantize_s8_loop,
    .quantize_u8 = quantize_u8_loop,
    .quantize_s8 = quantize_s8_loop,
    .quantized_sum_u8 = quantized_sum_u8_loop,
    .nibble_row = nibble_row_loop,
    .nibble_panel = nibble_panel_loop,
    .panel_rows = panel_rows_loop,
};

#endif // TENON_CPU_SIMD_BODY_H
