// SPDX-License-Identifier: Apache-2.0
// The part of simd_body.h that is about attention. Queries lie across registers, one a lane, and
// keys come one after the other: so neither keys nor values are packed, the maxima and sums of a
// softmax need no step across lanes, and what is read again lies in the first-level cache.
#ifndef TENON_CPU_SIMD_ATTENTION_H
#define TENON_CPU_SIMD_ATTENTION_H

#include <xmmintrin.h>

// Queries at a time, and keys: those keys' weights and values and the queries' sums fit into 32 KiB
// with heads of 64.
#define LANES (2 * CPU_SIMD_FLOATS)
#define CHUNK (8 * TILE)

// Of one block of queries, in scratch.
typedef struct attend_block {
    const cpu_attend *call;
    int64_t begin; // of the queries
    int64_t count;
    float *queries; // [size, LANES]
    float *sums;    // [LANES, value_size]
    float *mask;    // [CHUNK, LANES]
    float *largest; // [LANES]
    float *totals;  // [LANES]
    float *scores;  // [keys, LANES]
} attend_block;

// out[c * LANES + r] = x[r * step + c], zeros from row rows on.
static void transpose_rows(const float *x, int64_t step, int64_t rows, int64_t columns,
                           float *out) {
    for (int64_t r = 0; r < LANES; r += 4) {
        int64_t c = 0;
        for (; r + 4 <= rows && c + 4 <= columns; c += 4) {
            const float *from = x + r * step + c;
            float *to = out + c * LANES + r;
            __m128 t = _mm_loadu_ps(from);
            __m128 u = _mm_loadu_ps(from + step);
            __m128 v = _mm_loadu_ps(from + 2 * step);
            __m128 w = _mm_loadu_ps(from + 3 * step);
            _MM_TRANSPOSE4_PS(t, u, v, w);
            _mm_storeu_ps(to, t);
            _mm_storeu_ps(to + LANES, u);
            _mm_storeu_ps(to + 2 * LANES, v);
            _mm_storeu_ps(to + 3 * LANES, w);
        }
        for (; c < columns; ++c) {
            for (int64_t i = r; i < r + 4; ++i) {
                out[c * LANES + i] = i < rows ? x[i * step + c] : 0.0f;
            }
        }
    }
}

// Products of TILE keys with one register of queries, or two. What there is no key for repeats the
// last one.
INLINE void scores_tile(const float *keys, int64_t step, int64_t last, const float *queries,
                        int64_t size, int two, float *out) {
    const float *key[TILE];
    cpu_register left[TILE];
    cpu_register right[TILE];
    for (int r = 0; r < TILE; ++r) {
        key[r] = keys + (r < last ? r : last) * step;
        left[r] = right[r] = (cpu_register){0};
    }
    for (int64_t d = 0; d < size; ++d) {
        const cpu_register u = load(queries + d * LANES);
        const cpu_register v = load(queries + d * LANES + (two ? CPU_SIMD_FLOATS : 0));
        for (int r = 0; r < TILE; ++r) {
            left[r] += key[r][d] * u;
            if (two) {
                right[r] += key[r][d] * v;
            }
        }
    }
    for (int r = 0; r < TILE; ++r) {
        store(out + r * LANES, left[r]);
        if (two) {
            store(out + r * LANES + CPU_SIMD_FLOATS, right[r]);
        }
    }
}

// Adds to the sums of TILE queries, in one register of columns or two, weights times values.
INLINE void values_tile(const float *weights, const float *values, int64_t step, int64_t keys,
                        int two, float *sums, int64_t sums_step) {
    const int64_t other = two ? CPU_SIMD_FLOATS : 0;
    cpu_register left[TILE];
    cpu_register right[TILE];
    for (int r = 0; r < TILE; ++r) {
        left[r] = load(sums + r * sums_step);
        right[r] = load(sums + r * sums_step + other);
    }
    for (int64_t key = 0; key < keys; ++key) {
        const cpu_register u = load(values + key * step);
        const cpu_register v = load(values + key * step + other);
        for (int r = 0; r < TILE; ++r) {
            left[r] += weights[key * LANES + r] * u;
            if (two) {
                right[r] += weights[key * LANES + r] * v;
            }
        }
    }
    for (int r = 0; r < TILE; ++r) {
        store(sums + r * sums_step, left[r]);
        if (two) {
            store(sums + r * sums_step + CPU_SIMD_FLOATS, right[r]);
        }
    }
}

// Scales scores and adds the mask. With NaN among them the total becomes NaN, whatever is largest.
INLINE void finish_scores(const attend_block *b, int64_t begin, int64_t count, int two) {
    const cpu_attend *a = b->call;
    const int width = two ? LANES : CPU_SIMD_FLOATS;
    for (int64_t key = 0; key < count; ++key) {
        float *row = b->scores + (begin + key) * LANES;
        const float *mask = b->mask + key * LANES;
        const float same = a->mask == NULL ? 0.0f : a->mask[begin + key];
        if (a->mask_step == 0) {
            for (int j = 0; j < width; ++j) {
                row[j] = row[j] * a->scale + same;
            }
        } else {
            for (int j = 0; j < width; ++j) {
                row[j] = row[j] * a->scale + mask[j];
            }
        }
    }
}

INLINE float larger(float x, float y) {
    return x > y ? x : y;
}

INLINE void find_largest(const float *scores, int64_t count, int two, float *largest) {
    const int width = two ? LANES : CPU_SIMD_FLOATS;
    int64_t key = 0;
    // Four keys at a time, since what is kept goes through memory.
    for (; key + 4 <= count; key += 4) {
        const float *u = scores + key * LANES;
        for (int j = 0; j < width; ++j) {
            const float v =
                larger(larger(u[j], u[j + LANES]), larger(u[j + 2 * LANES], u[j + 3 * LANES]));
            largest[j] = larger(largest[j], v);
        }
    }
    for (; key < count; ++key) {
        for (int j = 0; j < width; ++j) {
            largest[j] = larger(largest[j], scores[key * LANES + j]);
        }
    }
}

INLINE void score(const attend_block *b, int two) {
    const cpu_attend *a = b->call;
    for (int64_t begin = 0; begin < a->keys; begin += CHUNK) {
        const int64_t count = a->keys - begin < CHUNK ? a->keys - begin : CHUNK;
        for (int64_t key = begin; key < begin + count; key += TILE) {
            scores_tile(a->k + key * a->k_step, a->k_step, a->keys - 1 - key, b->queries, a->size,
                        two, b->scores + key * LANES);
        }
        if (a->mask != NULL && a->mask_step != 0) {
            transpose_rows(a->mask + b->begin * a->mask_step + begin, a->mask_step, b->count, count,
                           b->mask);
        }
        finish_scores(b, begin, count, two);
        find_largest(b->scores + begin * LANES, count, two, b->largest);
    }
}

INLINE void weigh(float *scores, int64_t count, int two, const float *largest, float *totals) {
    const int width = two ? LANES : CPU_SIMD_FLOATS;
    int64_t key = 0;
    for (; key + 4 <= count; key += 4) {
        float *u = scores + key * LANES;
        for (int j = 0; j < width; ++j) {
            u[j] = exp_below(u[j] - largest[j]);
            u[j + LANES] = exp_below(u[j + LANES] - largest[j]);
            u[j + 2 * LANES] = exp_below(u[j + 2 * LANES] - largest[j]);
            u[j + 3 * LANES] = exp_below(u[j + 3 * LANES] - largest[j]);
            totals[j] += (u[j] + u[j + LANES]) + (u[j + 2 * LANES] + u[j + 3 * LANES]);
        }
    }
    for (; key < count; ++key) {
        float *u = scores + key * LANES;
        for (int j = 0; j < width; ++j) {
            u[j] = exp_below(u[j] - largest[j]);
            totals[j] += u[j];
        }
    }
}

static void sum_values(const attend_block *b, const float *weights, int64_t begin, int64_t count) {
    const cpu_attend *a = b->call;
    const float *values = a->v + begin * a->v_step;
    for (int64_t row = 0; row < b->count; row += TILE) {
        float *sums = b->sums + row * a->value_size;
        int64_t column = 0;
        for (; column + LANES <= a->value_size; column += LANES) {
            values_tile(weights + row, values + column, a->v_step, count, 1, sums + column,
                        a->value_size);
        }
        for (; column + CPU_SIMD_FLOATS <= a->value_size; column += CPU_SIMD_FLOATS) {
            values_tile(weights + row, values + column, a->v_step, count, 0, sums + column,
                        a->value_size);
        }
        for (int64_t key = 0; key < count && column < a->value_size; ++key) {
            for (int64_t r = 0; r < TILE; ++r) {
                axpy_loop(weights[key * LANES + row + r], values + key * a->v_step + column,
                          sums + r * a->value_size + column, a->value_size - column);
            }
        }
    }
}

INLINE void attend_block_run(attend_block *b, int two) {
    const cpu_attend *a = b->call;
    transpose_rows(a->q + b->begin * a->q_step, a->q_step, b->count, a->size, b->queries);
    for (int j = 0; j < LANES; ++j) {
        b->largest[j] = -INFINITY;
        b->totals[j] = 0.0f;
    }
    memset(b->sums, 0, (size_t)(LANES * a->value_size) * sizeof(float));
    score(b, two);
    for (int64_t begin = 0; begin < a->keys; begin += CHUNK) {
        const int64_t count = a->keys - begin < CHUNK ? a->keys - begin : CHUNK;
        weigh(b->scores + begin * LANES, count, two, b->largest, b->totals);
        sum_values(b, b->scores + begin * LANES, begin, count);
    }
    for (int64_t r = 0; r < b->count; ++r) {
        const float factor = 1.0f / b->totals[r];
        float *out = a->out + (b->begin + r) * a->out_step;
        for (int64_t c = 0; c < a->value_size; ++c) {
            out[c] = b->sums[r * a->value_size + c] * factor;
        }
    }
}

static void attend_loop(const cpu_attend *a) {
    attend_block b = {.call = a};
    b.queries = a->scratch;
    b.sums = b.queries + a->size * LANES;
    b.mask = b.sums + a->value_size * LANES;
    b.largest = b.mask + (int64_t)CHUNK * LANES;
    b.totals = b.largest + LANES;
    b.scores = b.totals + LANES;
    for (b.begin = 0; b.begin < a->queries; b.begin += LANES) {
        b.count = a->queries - b.begin < LANES ? a->queries - b.begin : LANES;
        if (b.count > CPU_SIMD_FLOATS) {
            attend_block_run(&b, 1);
        } else {
            attend_block_run(&b, 0);
        }
    }
}

#endif // TENON_CPU_SIMD_ATTENTION_H
