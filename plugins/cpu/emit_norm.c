// SPDX-License-Identifier: Apache-2.0
// Rows: softmax, layer and RMS normalisation, and reductions over the last axes.
#include "build.h"

#include <math.h>
#include <string.h>

typedef struct rows {
    int64_t count;
    int64_t size;
    float epsilon; // or the factor before a softmax
    uint32_t logarithm;
    uint32_t variant;
    // Of a softmax's mask: rows of x for each of its rows are found by these steps.
    uint32_t mask_axes;
    int64_t mask_sizes[CPU_MAX_RANK];
    int64_t mask_steps[CPU_MAX_RANK];
} rows;

static int64_t mask_offset(const rows *r, int64_t row) {
    int64_t offset = 0;
    for (uint32_t axis = r->mask_axes; axis-- > 0;) {
        offset += row % r->mask_sizes[axis] * r->mask_steps[axis];
        row /= r->mask_sizes[axis];
    }
    return offset;
}

static void softmax_range(const cpu_call *call, int64_t begin, int64_t end) {
    const rows *r = call->params;
    float *out = call->data[0];
    const float *x = call->data[1];
    const float *mask = call->data[2];
    for (int64_t i = begin; i < end; ++i) {
        call->simd->softmax(x + i * r->size, r->epsilon,
                            mask == NULL ? NULL : mask + mask_offset(r, i), r->logarithm,
                            out + i * r->size, r->size);
    }
}

static tn_status softmax_run(const cpu_call *call) {
    const rows *r = call->params;
    tni_cpu_parallel(call, r->count, 20 + r->size, softmax_range);
    return TN_OK;
}

static void norm_range(const cpu_call *call, int64_t begin, int64_t end) {
    const rows *r = call->params;
    float *out = call->data[0];
    const float *x = call->data[1];
    for (int64_t i = begin; i < end; ++i) {
        call->simd->layer_norm(x + i * r->size, call->data[2], call->data[3], r->epsilon,
                               out + i * r->size, r->size);
    }
}

static tn_status norm_run(const cpu_call *call) {
    const rows *r = call->params;
    tni_cpu_parallel(call, r->count, 20 + r->size, norm_range);
    return TN_OK;
}

static void rms_range(const cpu_call *call, int64_t begin, int64_t end) {
    const rows *r = call->params;
    float *out = call->data[0];
    const float *x = call->data[1];
    for (int64_t i = begin; i < end; ++i) {
        call->simd->rms_norm(x + i * r->size, call->data[2], r->epsilon, out + i * r->size,
                             r->size);
    }
}

static tn_status rms_run(const cpu_call *call) {
    const rows *r = call->params;
    tni_cpu_parallel(call, r->count, 20 + r->size, rms_range);
    return TN_OK;
}

static void reduce_range(const cpu_call *call, int64_t begin, int64_t end) {
    const rows *r = call->params;
    float *out = call->data[0];
    const float *x = call->data[1];
    for (int64_t i = begin; i < end; ++i) {
        const float *row = x + i * r->size;
        out[i] = r->variant == CPU_REDUCE_MAX ? call->simd->maximum(row, r->size)
                                              : call->simd->sum(row, r->size);
        out[i] = r->variant == CPU_REDUCE_MEAN ? out[i] / (float)r->size : out[i];
    }
}

static tn_status reduce_run(const cpu_call *call) {
    const rows *r = call->params;
    tni_cpu_parallel(call, r->count, 10 + r->size / 8, reduce_range);
    return TN_OK;
}

// Rows over the axes from the given one on.
static rows *rows_of(cpu_build *build, uint32_t value, uint32_t axis) {
    rows *r = build->status == TN_OK ? tni_cpu_arena_alloc(build->arena, sizeof *r) : NULL;
    if (r == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    const cpu_value *v = tni_cpu_value(build, value);
    r->size = 1;
    for (uint32_t i = axis; i < v->rank; ++i) {
        r->size *= v->dims[i];
    }
    r->count = v->count / (r->size > 0 ? r->size : 1);
    return r;
}

static void define_rows(cpu_build *build, uint32_t out, uint32_t in) {
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(tni_cpu_value(build, out));
    if (!tni_cpu_define_over(build, out, in, &plain)) {
        tni_cpu_define(build, out, &plain);
    }
}

// How a mask, which is as wide as a row, is repeated over the rows.
static uint32_t fit_mask(const cpu_value *x, const cpu_value *mask, rows *r) {
    const uint32_t missing = x->rank - mask->rank;
    int64_t step = 1;
    if (mask->rank == 0 || mask->rank > x->rank || mask->dims[mask->rank - 1] != r->size) {
        return 0;
    }
    r->mask_axes = x->rank - 1;
    for (uint32_t axis = x->rank; axis-- > 0;) {
        const int64_t size = axis >= missing ? mask->dims[axis - missing] : 1;
        if (axis + 1 < x->rank) {
            r->mask_sizes[axis] = x->dims[axis];
            r->mask_steps[axis] = size == 1 ? 0 : step;
        }
        step *= size;
    }
    return 1;
}

void tni_cpu_emit_softmax(cpu_build *build, const cpu_node *node) {
    const uint32_t in = tni_cpu_as_plain(build, node->inputs[0]);
    const uint32_t mask = tni_cpu_as_plain(build, node->mask);
    if (build->status != TN_OK) {
        return;
    }
    const cpu_value *x = tni_cpu_value(build, in);
    rows *r = rows_of(build, in, x->rank - 1);
    if (r == NULL) {
        return;
    }
    x = tni_cpu_value(build, in);
    r->epsilon = node->kind == CPU_KIND_SOFTMAX && node->a != 0.0f ? node->a : 1.0f;
    r->logarithm = node->variant;
    if (mask != TN_NONE && !fit_mask(x, tni_cpu_value(build, mask), r)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the mask does not fit");
        return;
    }
    define_rows(build, node->outputs[0], in);
    tni_cpu_step(build, softmax_run, r, 3, (const uint32_t[]){node->outputs[0], in, mask});
}

void tni_cpu_emit_layer_norm(cpu_build *build, const cpu_node *node) {
    const uint32_t in = tni_cpu_as_plain(build, node->inputs[0]);
    const uint32_t gain = tni_cpu_as_plain(build, node->inputs[1]);
    const uint32_t bias = tni_cpu_as_plain(build, tni_cpu_input(node, 2));
    if (build->status != TN_OK) {
        return;
    }
    const uint32_t rank = tni_cpu_value(build, in)->rank;
    rows *r = rows_of(build, in, tni_cpu_axis(tni_cpu_int(build, node, "axis", -1), rank));
    if (r == NULL) {
        return;
    }
    if (tni_cpu_value(build, gain)->count != r->size ||
        (bias != TN_NONE && tni_cpu_value(build, bias)->count != r->size)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "scale or bias is broadcast");
        return;
    }
    r->epsilon = tni_cpu_float(build, node, "epsilon", 1e-5f);
    define_rows(build, node->outputs[0], in);
    tni_cpu_step(build, norm_run, r, 4, (const uint32_t[]){node->outputs[0], in, gain, bias});
}

void tni_cpu_emit_rms_norm(cpu_build *build, const cpu_node *node) {
    const uint32_t in = tni_cpu_as_plain(build, node->inputs[0]);
    const uint32_t gain = tni_cpu_as_plain(build, node->inputs[1]);
    if (build->status != TN_OK) {
        return;
    }
    rows *r = rows_of(build, in, tni_cpu_value(build, in)->rank - 1);
    if (r == NULL) {
        return;
    }
    r->epsilon = node->a;
    define_rows(build, node->outputs[0], in);
    tni_cpu_step(build, rms_run, r, 3, (const uint32_t[]){node->outputs[0], in, gain});
}

// The mean over all spatial axes is pooling, which the library does in any layout.
static uint32_t over_space(const cpu_value *x, const int64_t *axes, int64_t count,
                           uint32_t variant) {
    uint32_t seen = 0;
    if (x->rank != 4 || count != 2 || variant != CPU_REDUCE_MEAN) {
        return 0;
    }
    for (int64_t i = 0; i < count; ++i) {
        seen |= 1u << tni_cpu_axis(axes[i], x->rank);
    }
    return seen == 12u;
}

void tni_cpu_emit_reduce(cpu_build *build, const cpu_node *node) {
    int64_t axes[CPU_MAX_RANK];
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const int64_t count = tni_cpu_ints(build, node, 1, "axes", axes, CPU_MAX_RANK);
    if (over_space(x, axes, count, node->variant)) {
        tni_cpu_emit_global_mean(build, node);
        return;
    }
    const uint32_t in = tni_cpu_as_plain(build, node->inputs[0]);
    if (in == TN_NONE) {
        return;
    }
    // The verdict saw to it that the axes are the last ones; count 0 means all.
    const uint32_t rank = tni_cpu_value(build, in)->rank;
    rows *r = rows_of(build, in, count <= 0 ? 0 : rank - (uint32_t)count);
    if (r == NULL) {
        return;
    }
    r->variant = node->variant;
    tni_cpu_define_plain(build, node->outputs[0]);
    tni_cpu_step(build, reduce_run, r, 2, (const uint32_t[]){node->outputs[0], in});
}
