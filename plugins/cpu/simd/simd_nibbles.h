// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about weights of 4 bits: a row at a time, which is as fast as the
// weights come from memory, and many rows over a panel of weights that became floats.
#ifndef TENON_CPU_SIMD_NIBBLES_H
#define TENON_CPU_SIMD_NIBBLES_H

#include <immintrin.h>

#define HALF (CPU_NIBBLE_COLUMNS / 2)

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

static inline cpu_register offset_at(const cpu_nibbles *block, int64_t at) {
    if (block->offsets != NULL) {
        return load(block->offsets + at);
    }
    return load(block->scales + at) * block->zero;
}

// One group: sums of x times the 4 bits, in registers, then scaled once.
static void nibble_group(const float *x, const cpu_nibbles *block, int64_t group, float *sums) {
    const int64_t size = block->group_size;
    const uint8_t *weights = block->weights + group * size * HALF;
    for (int64_t at = 0; at < HALF; at += CPU_SIMD_FLOATS) {
        const int64_t column = group * CPU_NIBBLE_COLUMNS + at;
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
        store(first,
              load(first) + low * load(block->scales + column) - total * offset_at(block, column));
        store(second, load(second) + high * load(block->scales + column + HALF) -
                          total * offset_at(block, column + HALF));
    }
}

static void nibble_row_loop(const float *x, const cpu_nibbles *block, int64_t groups, float *sums) {
    for (int64_t g = 0; g < groups; ++g) {
        nibble_group(x + g * block->group_size, block, g, sums);
    }
}

// Rows from k on, all of one group.
static void panel_rows_of_group(const cpu_nibbles *block, int64_t k, int64_t count, float *panel) {
    for (int64_t at = 0; at < HALF; at += CPU_SIMD_FLOATS) {
        const int64_t column = k / block->group_size * CPU_NIBBLE_COLUMNS + at;
        const cpu_register low_scale = load(block->scales + column);
        const cpu_register low_offset = offset_at(block, column);
        const cpu_register high_scale = load(block->scales + column + HALF);
        const cpu_register high_offset = offset_at(block, column + HALF);
        for (int64_t i = 0; i < count; ++i) {
            const cpu_integers bytes = load_bytes(block->weights + (k + i) * HALF + at);
            float *row = panel + i * CPU_NIBBLE_COLUMNS + at;
            store(row, low_half(bytes) * low_scale - low_offset);
            store(row + HALF, high_half(bytes) * high_scale - high_offset);
        }
    }
}

static void nibble_panel_loop(const cpu_nibbles *block, int64_t begin, int64_t count,
                              float *panel) {
    for (int64_t k = begin; k < begin + count;) {
        const int64_t to_end = block->group_size - k % block->group_size;
        const int64_t here = to_end < begin + count - k ? to_end : begin + count - k;
        panel_rows_of_group(block, k, here, panel + (k - begin) * CPU_NIBBLE_COLUMNS);
        k += here;
    }
}

// TILE rows, two registers of columns.
INLINE void panel_tile(const float *const *x, const float *panel, int64_t count, float *sums) {
    cpu_register left[TILE];
    cpu_register right[TILE];
    for (int r = 0; r < TILE; ++r) {
        left[r] = load(sums + r * CPU_NIBBLE_COLUMNS);
        right[r] = load(sums + r * CPU_NIBBLE_COLUMNS + CPU_SIMD_FLOATS);
    }
    for (int64_t k = 0; k < count; ++k) {
        const cpu_register u = load(panel + k * CPU_NIBBLE_COLUMNS);
        const cpu_register v = load(panel + k * CPU_NIBBLE_COLUMNS + CPU_SIMD_FLOATS);
        for (int r = 0; r < TILE; ++r) {
            left[r] += x[r][k] * u;
            right[r] += x[r][k] * v;
        }
    }
    for (int r = 0; r < TILE; ++r) {
        store(sums + r * CPU_NIBBLE_COLUMNS, left[r]);
        store(sums + r * CPU_NIBBLE_COLUMNS + CPU_SIMD_FLOATS, right[r]);
    }
}

static void panel_rows_loop(const float *const *x, const float *panel, int64_t count, float *sums) {
    for (int row = 0; row < (int)CPU_PANEL_ROWS; row += TILE) {
        for (int column = 0; column < CPU_NIBBLE_COLUMNS; column += 2 * CPU_SIMD_FLOATS) {
            panel_tile(x + row, panel + column, count, sums + row * CPU_NIBBLE_COLUMNS + column);
        }
    }
}

#endif // TENON_CPU_SIMD_NIBBLES_H
