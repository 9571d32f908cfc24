// SPDX-License-Identifier: Apache-2.0
// Products with weights of 4 bits, which stay 4 bits in memory: reading them is what takes the time
// while a network speaks word by word. Columns are packed in blocks of a few registers (simd.h).
#include "build.h"

#include <string.h>

typedef struct nibbles {
    int64_t rows;
    int64_t k;
    int64_t n;
    int64_t groups;
    int64_t group_size;
    int64_t blocks; // of columns
    float zero;     // the zero point of all, where there are no others
    uint32_t zeros; // 1: there are
} nibbles;

uint32_t tni_cpu_is_nibble_product(const cpu_build *build, const cpu_node *node) {
    if (node->kind != CPU_KIND_MATMUL || tni_cpu_value(build, node->inputs[1])->rank != 2) {
        return 0;
    }
    const cpu_quant *w = &tni_cpu_value(build, node->inputs[1])->quant;
    if (w->value == TN_NONE || w->axis != 0 || w->block <= 0) {
        return 0;
    }
    const cpu_value *weights = tni_cpu_value(build, w->value);
    return (weights->dtype == TN_DTYPE_INT4 || weights->dtype == TN_DTYPE_UINT4) &&
                   weights->constant != TN_NONE && weights->dims[0] % w->block == 0 &&
                   tni_cpu_value(build, w->scales)->constant != TN_NONE &&
                   (w->zeros == TN_NONE || tni_cpu_value(build, w->zeros)->constant != TN_NONE)
               ? 1u
               : 0u;
}

typedef struct pack_info {
    const nibbles *shape;
    tn_dtype dtype;
    const void *zeros; // null: none
    tn_dtype zero_type;
} pack_info;

// Signed weights are stored 8 higher, so that all are unsigned: the same as their sign turned over.
static uint32_t raised(tn_dtype dtype, const uint8_t *data, int64_t index) {
    const uint32_t half = (uint32_t)data[index / 2] >> (index % 2 * 4) & 15u;
    return dtype == TN_DTYPE_INT4 ? half ^ 8u : half;
}

static void pack_weights(const void *plain, void *out_data, const void *user_data) {
    const pack_info *info = user_data;
    const nibbles *s = info->shape;
    const int64_t half = CPU_NIBBLE_COLUMNS / 2;
    uint8_t *out = out_data;
    for (int64_t b = 0; b < s->blocks; ++b) {
        for (int64_t k = 0; k < s->k; ++k) {
            for (int64_t j = 0; j < half; ++j) {
                const int64_t low = b * CPU_NIBBLE_COLUMNS + j;
                const int64_t high = low + half;
                const uint32_t u = low < s->n ? raised(info->dtype, plain, k * s->n + low) : 0;
                const uint32_t v = high < s->n ? raised(info->dtype, plain, k * s->n + high) : 0;
                *out++ = (uint8_t)(u | v << 4);
            }
        }
    }
}

static float zero_at(const pack_info *info, int64_t index) {
    const int32_t raise = info->dtype == TN_DTYPE_INT4 ? 8 : 0;
    return (float)(raise + (info->zeros == NULL
                                ? 0
                                : tni_cpu_integer_at(info->zero_type, info->zeros, index)));
}

// For every block its groups: all scales and then, where zero points differ, all offsets are in an
// array of their own: scale times the zero point that packing shifted.
static void pack_scales(const void *plain, void *out_data, const void *user_data) {
    const pack_info *info = user_data;
    const nibbles *s = info->shape;
    const float *scales = plain;
    float *out = out_data;
    float *offsets = out + s->blocks * s->groups * CPU_NIBBLE_COLUMNS;
    for (int64_t i = 0; i < s->blocks * s->groups * CPU_NIBBLE_COLUMNS; ++i) {
        const int64_t group = i / CPU_NIBBLE_COLUMNS % s->groups;
        const int64_t column =
            i / CPU_NIBBLE_COLUMNS / s->groups * CPU_NIBBLE_COLUMNS + i % CPU_NIBBLE_COLUMNS;
        const int64_t at = group * s->n + column;
        out[i] = column < s->n ? scales[at] : 0.0f;
        if (s->zeros) {
            offsets[i] = column < s->n ? out[i] * zero_at(info, at) : 0.0f;
        }
    }
}

// One block of columns.
typedef struct block {
    const nibbles *shape;
    const float *x;
    cpu_nibbles weights;
    float *out; // its first column
    size_t row_bytes;
} block;

static void few_rows(const cpu_simd *simd, const block *b) {
    const nibbles *s = b->shape;
    for (int64_t row = 0; row < s->rows; ++row) {
        float sums[CPU_NIBBLE_COLUMNS] = {0};
        simd->nibble_row(b->x + row * s->k, &b->weights, s->groups, sums);
        memcpy(b->out + row * s->n, sums, b->row_bytes);
    }
}

// Rows of x from k on, times a panel. What there is no row for repeats the last one.
static void panel_product(const cpu_simd *simd, const block *b, const float *panel, int64_t k,
                          int64_t count) {
    const nibbles *s = b->shape;
    for (int64_t row = 0; row < s->rows; row += CPU_PANEL_ROWS) {
        const float *x[CPU_PANEL_ROWS];
        float sums[CPU_PANEL_ROWS * CPU_NIBBLE_COLUMNS] = {0};
        const int64_t left = s->rows - row;
        const int64_t rows = left < (int64_t)CPU_PANEL_ROWS ? left : (int64_t)CPU_PANEL_ROWS;
        for (int64_t r = 0; r < (int64_t)CPU_PANEL_ROWS; ++r) {
            x[r] = b->x + (row + (r < rows ? r : rows - 1)) * s->k + k;
        }
        for (int64_t r = 0; r < rows && k > 0; ++r) {
            memcpy(sums + r * CPU_NIBBLE_COLUMNS, b->out + (row + r) * s->n, b->row_bytes);
        }
        simd->panel_rows(x, panel, count, sums);
        for (int64_t r = 0; r < rows; ++r) {
            memcpy(b->out + (row + r) * s->n, sums + r * CPU_NIBBLE_COLUMNS, b->row_bytes);
        }
    }
}

// A panel lies in the first-level cache while all rows pass.
#define PANEL_DEPTH 256
static void many_rows(const cpu_simd *simd, const block *b) {
    const nibbles *s = b->shape;
    float panel[PANEL_DEPTH * CPU_NIBBLE_COLUMNS];
    for (int64_t k = 0; k < s->k; k += PANEL_DEPTH) {
        const int64_t count = s->k - k < PANEL_DEPTH ? s->k - k : PANEL_DEPTH;
        simd->nibble_panel(&b->weights, k, count, panel);
        panel_product(simd, b, panel, k, count);
    }
}

// From so many rows on, a panel is worth making.
#define MANY_ROWS 4
static void product_range(const cpu_call *call, int64_t begin, int64_t end) {
    const nibbles *s = call->params;
    const int64_t per_block = s->groups * CPU_NIBBLE_COLUMNS;
    const uint8_t *packed = call->data[2];
    const float *scales = call->data[3];
    for (int64_t i = begin; i < end; ++i) {
        const int64_t column = i * CPU_NIBBLE_COLUMNS;
        const int64_t left = s->n - column;
        const block b = {
            .shape = s,
            .x = call->data[1],
            .weights = {.weights = packed + i * s->k * (CPU_NIBBLE_COLUMNS / 2),
                        .scales = scales + i * per_block,
                        .offsets = s->zeros ? scales + (s->blocks + i) * per_block : NULL,
                        .zero = s->zero,
                        .group_size = s->group_size},
            .out = (float *)call->data[0] + column,
            .row_bytes =
                (size_t)(left < CPU_NIBBLE_COLUMNS ? left : CPU_NIBBLE_COLUMNS) * sizeof(float),
        };
        if (s->rows < MANY_ROWS) {
            few_rows(call->simd, &b);
        } else {
            many_rows(call->simd, &b);
        }
    }
}

static tn_status product_run(const cpu_call *call) {
    const nibbles *s = call->params;
    tni_cpu_parallel(call, s->blocks, s->rows * s->k * 2, product_range);
    return TN_OK;
}

void tni_cpu_emit_nibble_product(cpu_build *build, const cpu_node *node) {
    const cpu_quant w = tni_cpu_value(build, node->inputs[1])->quant;
    const cpu_value weights = *tni_cpu_value(build, w.value);
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const uint32_t x = tni_cpu_as_plain(build, node->inputs[0]);
    const void *zeros = w.zeros == TN_NONE ? NULL : tni_cpu_known(build, w.zeros);
    const uint32_t bias = node->bias;
    nibbles *s = x == TN_NONE ? NULL : tni_cpu_arena_alloc(build->arena, sizeof *s);
    if (s == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    *s = (nibbles){.rows = y.count / weights.dims[1],
                   .k = weights.dims[0],
                   .n = weights.dims[1],
                   .groups = weights.dims[0] / w.block,
                   .group_size = w.block,
                   .blocks = (weights.dims[1] + CPU_NIBBLE_COLUMNS - 1) / CPU_NIBBLE_COLUMNS,
                   .zero = weights.dtype == TN_DTYPE_INT4 ? 8.0f : 0.0f,
                   .zeros = zeros != NULL};
    if (tni_cpu_value(build, x)->count != s->rows * s->k ||
        tni_cpu_value(build, w.scales)->count != s->groups * s->n) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
        return;
    }
    const pack_info info = {.shape = s,
                            .dtype = weights.dtype,
                            .zeros = zeros,
                            .zero_type = zeros == NULL ? weights.dtype
                                                       : tni_cpu_value(build, w.zeros)->dtype};
    const uint64_t weight_bytes = (uint64_t)(s->blocks * s->k * (CPU_NIBBLE_COLUMNS / 2));
    const uint64_t scale_bytes =
        (uint64_t)(s->blocks * s->groups * CPU_NIBBLE_COLUMNS * (1 + s->zeros)) * sizeof(float);
    const void *packed = NULL;
    const void *scales = NULL;
    tn_status status = tni_cpu_weight_as(build->program, weights.constant, TN_NONE, weight_bytes,
                                         pack_weights, &info, &packed, build->error);
    if (status == TN_OK) {
        status = tni_cpu_weight_as(build->program, tni_cpu_value(build, w.scales)->constant,
                                   s->zeros ? tni_cpu_value(build, w.zeros)->constant : TN_NONE,
                                   scale_bytes, pack_scales, &info, &scales, build->error);
    }
    if (status != TN_OK) {
        build->status = status;
        return;
    }
    const uint32_t steps = node->post_count > 0 || bias != TN_NONE;
    const uint32_t out =
        steps ? tni_cpu_value_new(build, y.dtype, y.rank, y.dims) : node->outputs[0];
    const uint32_t operands[4] = {out, x, tni_cpu_value_at(build, packed, (int64_t)weight_bytes),
                                  tni_cpu_value_at(build, scales, (int64_t)scale_bytes)};
    if (build->status != TN_OK) {
        return;
    }
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(&y);
    tni_cpu_define(build, out, &plain);
    tni_cpu_step(build, product_run, s, 4, operands);
    uint32_t sum = out;
    if (bias != TN_NONE) {
        sum = node->post_count > 0 ? tni_cpu_value_new(build, y.dtype, y.rank, y.dims)
                                   : node->outputs[0];
        tni_cpu_binary_steps(build, CPU_BINARY_ADD, out, bias, sum);
    }
    if (node->post_count > 0) {
        tni_cpu_emit_posts(build, node, sum);
    }
}
