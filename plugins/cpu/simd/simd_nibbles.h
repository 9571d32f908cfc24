// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about weights of 4 bits: a row at a time, which is as fast as the
// weights come from memory, and many rows over a panel of weights that became floats.
#ifndef TENON_CPU_SIMD_NIBBLES_H
#define TENON_CPU_SIMD_NIBBLES_H

#include <immintrin.h>

#define HALF (CPU_NIBBLE_COLUMNS / 2)

typedef int32_t cpu_integers __attribute__((vector_size(sizeof(float) * (size_t)CPU_SIMD_FLOATS)));

// By name, since compilers take it apart otherwise.
static inline cpu_integers load_bytes(const uint8_t *from) {
#if CPU_SIMD_FLOATS == 16
    return (cpu_integers)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)from));
#elif CPU_SIMD_FLOATS == 8
    return (cpu_integers)_mm256_cvtepu8_epi32(_mm_loadu_si64(from));
#else
    return (cpu_integers)_mm_cvtepu8_epi32(_mm_loadu_si32(from));
#endif
}

static inline cpu_register low_half(cpu_integers bytes) {
    return __builtin_convertvector(bytes & 15, cpu_register);
}

static inline cpu_register high_half(cpu_integers bytes) {
    return __builtin_convertvector(bytes >> 4, cpu_register);
}

// One group: sums of x times the 4 bits, in registers, then scaled once.
static void nibble_group(const float *x, const uint8_t *weights, const float *scales,
                         const float *offsets, int64_t size, float *sums) {
    for (int at = 0; at < HALF; at += CPU_SIMD_FLOATS) {
        cpu_register low = {0};
        cpu_register high = {0};
        float total = 0;
        for (int64_t k = 0; k < size; ++k) {
            const cpu_integers bytes = load_bytes(weights + k * HALF + at);
            low += x[k] * low_half(bytes);
            high += x[k] * high_half(bytes);
            total += x[k];
        }
        float *const first = sums + at;
        float *const second = sums + at + HALF;
        store(first, load(first) + low * load(scales + at) - total * load(offsets + at));
        store(second,
              load(second) + high * load(scales + at + HALF) - total * load(offsets + at + HALF));
    }
}

static void nibble_row_loop(const float *x, const uint8_t *weights, const float *scales,
                            const float *offsets, int64_t groups, int64_t group_size, float *sums) {
    for (int64_t g = 0; g < groups; ++g) {
        nibble_group(x + g * group_size, weights + g * group_size * HALF,
                     scales + g * CPU_NIBBLE_COLUMNS, offsets + g * CPU_NIBBLE_COLUMNS, group_size,
                     sums);
    }
}

static void nibble_panel_loop(const uint8_t *weights, const float *scales, const float *offsets,
                              int64_t group_size, int64_t begin, int64_t count, float *panel) {
    for (int64_t k = begin; k < begin + count; ++k) {
        const float *scale = scales + k / group_size * CPU_NIBBLE_COLUMNS;
        const float *offset = offsets + k / group_size * CPU_NIBBLE_COLUMNS;
        float *row = panel + (k - begin) * CPU_NIBBLE_COLUMNS;
        for (int at = 0; at < HALF; at += CPU_SIMD_FLOATS) {
            const cpu_integers bytes = load_bytes(weights + k * HALF + at);
            store(row + at, low_half(bytes) * load(scale + at) - load(offset + at));
            store(row + at + HALF,
                  high_half(bytes) * load(scale + at + HALF) - load(offset + at + HALF));
        }
    }
}

static void panel_rows_loop(const float *const *x, const float *panel, int64_t count, float *sums) {
    for (int column = 0; column < CPU_NIBBLE_COLUMNS; column += 2 * CPU_SIMD_FLOATS) {
        cpu_register left[CPU_PANEL_ROWS];
        cpu_register right[CPU_PANEL_ROWS];
        for (int r = 0; r < (int)CPU_PANEL_ROWS; ++r) {
            float *sum = sums + r * CPU_NIBBLE_COLUMNS + column;
            left[r] = load(sum);
            right[r] = load(sum + CPU_SIMD_FLOATS);
        }
        for (int64_t k = 0; k < count; ++k) {
            const float *row = panel + k * CPU_NIBBLE_COLUMNS + column;
            const cpu_register u = load(row);
            const cpu_register v = load(row + CPU_SIMD_FLOATS);
            for (int r = 0; r < (int)CPU_PANEL_ROWS; ++r) {
                left[r] += x[r][k] * u;
                right[r] += x[r][k] * v;
            }
        }
        for (int r = 0; r < (int)CPU_PANEL_ROWS; ++r) {
            float *sum = sums + r * CPU_NIBBLE_COLUMNS + column;
            store(sum, left[r]);
            store(sum + CPU_SIMD_FLOATS, right[r]);
        }
    }
}

#endif // TENON_CPU_SIMD_NIBBLES_H
