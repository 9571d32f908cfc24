// SPDX-License-Identifier: Apache-2.0
// Short loops over floats that oneDNN lacks, or whose call costs more than the work. One source
// (simd_body.h) is compiled for several instruction sets; tni_cpu_simd_get picks what this
// processor has, so that no instruction runs that it lacks. Pointers need no alignment.
#ifndef TENON_CPU_SIMD_H
#define TENON_CPU_SIMD_H

#include <stdint.h>

// What is applied to single elements; a and b are parameters.
typedef uint32_t cpu_act;
#define CPU_ACT_NONE 0u
#define CPU_ACT_RELU 1u // x below 0 becomes a * x
#define CPU_ACT_CLIP 2u // to [a, b]
#define CPU_ACT_SIGMOID 3u
#define CPU_ACT_TANH 4u
#define CPU_ACT_ERF 5u
#define CPU_ACT_GELU 6u // with erf
#define CPU_ACT_GELU_TANH 7u
#define CPU_ACT_SILU 8u         // x * sigmoid(x)
#define CPU_ACT_HARD_SIGMOID 9u // a * x + b, in [0, 1]
#define CPU_ACT_HARD_SWISH 10u
#define CPU_ACT_ELU 11u // a
#define CPU_ACT_EXP 12u
#define CPU_ACT_SQRT 13u
#define CPU_ACT_NEG 14u
#define CPU_ACT_ABS 15u
#define CPU_ACT_RECIPROCAL 16u
#define CPU_ACT_SQUARE 17u
#define CPU_ACT_LINEAR 18u // a * x + b
#define CPU_ACT_LOG 19u
#define CPU_ACT_FLOOR 20u
#define CPU_ACT_CEIL 21u
#define CPU_ACT_SOFTPLUS 22u
#define CPU_ACT_COUNT 23u

typedef uint32_t cpu_binary;
#define CPU_BINARY_ADD 0u
#define CPU_BINARY_SUB 1u
#define CPU_BINARY_MUL 2u
#define CPU_BINARY_DIV 3u
#define CPU_BINARY_MAX 4u
#define CPU_BINARY_MIN 5u
#define CPU_BINARY_POW 6u
#define CPU_BINARY_COUNT 7u

#define CPU_QUERIES 32 // that attend takes at once on the widest registers
#define CPU_NIBBLE_COLUMNS 32
#define CPU_PANEL_ROWS 8u

// Scales and zero points of a sum of two tensors of uint8.
typedef struct cpu_quantized_sum {
    float x_scale;
    float y_scale;
    float out_scale;
    int32_t x_zero;
    int32_t y_zero;
    int32_t out_zero;
    float low; // before it is quantised
    float high;
} cpu_quantized_sum;

// CPU_NIBBLE_COLUMNS columns of 4-bit weights: per k CPU_NIBBLE_COLUMNS / 2 bytes, of which byte j
// has column j in its low half and column j + CPU_NIBBLE_COLUMNS / 2 in the high one. Groups of
// group_size k each have their own scales and offsets (zero point times scale), one a column.
typedef struct cpu_nibbles {
    const uint8_t *weights;
    const float *scales;
    const float *offsets; // null: all zero points are the one below
    float zero;
    int64_t group_size;
} cpu_nibbles;

// Rows of a head; steps are in floats, from row to row.
typedef struct cpu_attend {
    const float *q;
    const float *k;
    const float *v;
    const float *mask; // a number a key; null: none
    float *out;
    float *scratch; // CPU_ATTEND_SCRATCH floats
    int64_t queries;
    int64_t keys;
    int64_t size; // of a query and a key
    int64_t value_size;
    int64_t q_step;
    int64_t k_step;
    int64_t v_step;
    int64_t mask_step; // 0: the same for all queries
    int64_t out_step;
    float scale;
} cpu_attend;

// Behind the keys there is room for those that are computed in vain.
#define CPU_ATTEND_SCRATCH(keys, size, value_size)                                                 \
    (CPU_QUERIES * ((keys) + (size) + (value_size) + 80))

typedef struct cpu_simd {
    const char *name; // of the instruction set
    uint32_t floats;  // in one register

    // y may be x. [all functions: no-alloc, any thread]
    void (*act)(cpu_act kind, float a, float b, const float *x, float *y, int64_t count);
    // Steps are 0 (one value for all) or 1. out may be x or y.
    void (*binary)(cpu_binary kind, const float *x, int64_t x_step, const float *y, int64_t y_step,
                   float *out, int64_t count);
    // out = softmax(x * scale + mask), or its logarithm; mask may be null. out may be x.
    void (*softmax)(const float *x, float scale, const float *mask, uint32_t logarithm, float *out,
                    int64_t count);
    // Minus mean, over deviation, times gain, plus bias (null: none). out may be x.
    void (*layer_norm)(const float *x, const float *gain, const float *bias, float epsilon,
                       float *out, int64_t count);
    // Over the root of the mean square, times gain.
    void (*rms_norm)(const float *x, const float *gain, float epsilon, float *out, int64_t count);
    // Of count pixels, each one register of channels: x * scale + shift, below 0 perhaps 0. out may
    // be x.
    void (*affine)(const float *scale, const float *shift, uint32_t relu, const float *x,
                   float *out, int64_t count);
    // Sums of many elements; the order depends on the instruction set only.
    float (*sum)(const float *x, int64_t count);
    float (*sum_squares)(const float *x, int64_t count);
    float (*maximum)(const float *x, int64_t count); // -infinity for none
    float (*dot)(const float *x, const float *y, int64_t count);
    // y += a * x
    void (*axpy)(float a, const float *x, float *y, int64_t count);
    // y += a[0] * x + a[1] * x[step ...] + ..., four rows of x
    void (*axpy4)(const float *a, const float *x, int64_t step, float *y, int64_t count);
    // softmax(q k^T * scale + mask) v of one head.
    void (*attend)(const cpu_attend *call);
    // out = (x - zero_point) * scale
    void (*dequantize_u8)(const uint8_t *x, int32_t zero_point, float scale, float *out,
                          int64_t count);
    void (*dequantize_s8)(const int8_t *x, int32_t zero_point, float scale, float *out,
                          int64_t count);
    // x / scale, rounded half to even, plus zero_point, saturated.
    void (*quantize_u8)(const float *x, float scale, int32_t zero_point, uint8_t *out,
                        int64_t count);
    void (*quantize_s8)(const float *x, float scale, int32_t zero_point, int8_t *out,
                        int64_t count);
    // q((x - x_zero) * x_scale + (y - y_zero) * y_scale), of which what is below low becomes low.
    void (*quantized_sum_u8)(const cpu_quantized_sum *sum, const uint8_t *x, const uint8_t *y,
                             uint8_t *out, int64_t count);
    // Adds a row of x times one block of columns of 4-bit weights to sums, one a column.
    void (*nibble_row)(const float *x, const cpu_nibbles *block, int64_t groups, float *sums);
    // count rows of such a block from k = begin on, as floats.
    void (*nibble_panel)(const cpu_nibbles *block, int64_t begin, int64_t count, float *panel);
    // Adds CPU_PANEL_ROWS rows of x, count long, times a panel of count rows to as many sums.
    void (*panel_rows)(const float *const *x, const float *panel, int64_t count, float *sums);
} cpu_simd;

// The best set of this processor.
const cpu_simd *tni_cpu_simd_get(void);

// The sets that this build has, best last; for tests. tni_cpu_simd_usable says whether the
// processor runs one.
#define CPU_SIMD_COUNT 3u
const cpu_simd *tni_cpu_simd_at(uint32_t index);
uint32_t tni_cpu_simd_usable(uint32_t index);

#endif // TENON_CPU_SIMD_H
