// SPDX-License-Identifier: Apache-2.0
// Batch normalisation that did not fold into a convolution: a loop of our own over blocks of
// channels, the library's in other layouts.
#include "build.h"

#include <math.h>
#include <string.h>

// Pixels of a piece of work, of all channels. Threads take pieces that follow each other, as the
// convolution behind does, so that each reads what it wrote.
#define PIECE 32

typedef struct norm {
    int64_t batch;
    int64_t blocks; // of channels
    int64_t pixels;
    int64_t pieces; // of pixels
    uint32_t relu;
    const float *scale; // one a channel
    const float *shift;
} norm;

static void norm_range(const cpu_call *call, int64_t begin, int64_t end) {
    const norm *n = call->params;
    const int64_t block = call->simd->floats;
    for (int64_t image = begin / n->pieces; image * n->pieces < end; ++image) {
        // This range's pixels of the image.
        const int64_t first = image * n->pieces;
        const int64_t from = begin > first ? (begin - first) * PIECE : 0;
        const int64_t last = end < first + n->pieces ? (end - first) * PIECE : n->pixels;
        const int64_t to = last < n->pixels ? last : n->pixels;
        for (int64_t c = 0; c < n->blocks; ++c) {
            const int64_t at = ((image * n->blocks + c) * n->pixels + from) * block;
            call->simd->affine(n->scale + c * block, n->shift + c * block, n->relu,
                               (const float *)call->data[1] + at, (float *)call->data[0] + at,
                               to - from);
        }
    }
}

static tn_status norm_run(const cpu_call *call) {
    const norm *n = call->params;
    tni_cpu_parallel(call, n->batch * n->pieces, n->blocks * PIECE * 4, norm_range);
    return TN_OK;
}

// Blocks of channels as wide as a register, floats, no gaps.
static uint32_t is_ours(const cpu_build *build, const dnnl_memory_desc_t *layout) {
    const dnnl_format_tag_t tag = build->program->simd->floats == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_memory_desc_t blocked;
    return build->program->simd->floats >= 8 && layout->ndims == 4 &&
                   layout->data_type == dnnl_f32 &&
                   dnnl_memory_desc_init_by_tag(&blocked, 4, layout->dims, dnnl_f32, tag) ==
                       dnnl_success &&
                   tni_cpu_same_layout(&blocked, layout)
               ? 1u
               : 0u;
}

// What is known of a node while building.
typedef struct norm_constants {
    const float *scale;
    const float *shift;
    const float *mean;
    const float *variance;
    int64_t channels;
    float epsilon;
} norm_constants;

static uint32_t find_constants(cpu_build *build, const cpu_node *node, norm_constants *out) {
    const float *all[4];
    out->channels = tni_cpu_value(build, node->inputs[0])->dims[1];
    out->epsilon = tni_cpu_float(build, node, "epsilon", 1e-5f);
    for (uint32_t i = 0; i < 4; ++i) {
        all[i] = tni_cpu_known(build, node->inputs[i + 1]);
        if (build->status == TN_OK &&
            (all[i] == NULL || tni_cpu_value(build, node->inputs[i + 1])->count != out->channels)) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "scale is not known");
        }
    }
    out->scale = all[0];
    out->shift = all[1];
    out->mean = all[2];
    out->variance = all[3];
    return build->status == TN_OK ? 1u : 0u;
}

static void define(cpu_build *build, uint32_t out, uint32_t in) {
    const dnnl_memory_desc_t layout = tni_cpu_value(build, in)->layout;
    if (!tni_cpu_define_over(build, out, in, &layout)) {
        tni_cpu_define(build, out, &layout);
    }
}

static void emit_ours(cpu_build *build, const norm_constants *k, uint32_t in, uint32_t out,
                      uint32_t relu) {
    const cpu_value x = *tni_cpu_value(build, in);
    const int64_t block = build->program->simd->floats;
    const int64_t padded = (k->channels + block - 1) / block * block;
    norm *n = tni_cpu_arena_alloc(build->arena, sizeof *n);
    float *scale = tni_cpu_arena_array(build->arena, (uint64_t)padded * 2, sizeof *scale);
    if (n == NULL || scale == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    // Where there is no channel, zeros stay zeros.
    memset(scale, 0, (size_t)padded * 2 * sizeof *scale);
    for (int64_t c = 0; c < k->channels; ++c) {
        scale[c] = k->scale[c] / sqrtf(k->variance[c] + k->epsilon);
        scale[padded + c] = k->shift[c] - k->mean[c] * scale[c];
    }
    *n = (norm){.batch = x.dims[0],
                .blocks = padded / block,
                .pixels = x.dims[2] * x.dims[3],
                .pieces = (x.dims[2] * x.dims[3] + PIECE - 1) / PIECE,
                .relu = relu,
                .scale = scale,
                .shift = scale + padded};
    define(build, out, in);
    tni_cpu_step(build, norm_run, n, 2, (const uint32_t[]){out, in});
}

// The library takes scale and shift as one [2, channels].
static void emit_library(cpu_build *build, const norm_constants *k, const cpu_node *node,
                         uint32_t in, uint32_t out, uint32_t relu) {
    const dnnl_memory_desc_t layout = tni_cpu_value(build, in)->layout;
    const uint64_t channels = (uint64_t)k->channels;
    float *both = tni_cpu_arena_array(build->arena, channels * 2, sizeof *both);
    if (both == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    memcpy(both, k->scale, channels * sizeof *both);
    memcpy(both + channels, k->shift, channels * sizeof *both);
    const uint32_t pair =
        tni_cpu_value_known(build, TN_DTYPE_FLOAT, 2, (const int64_t[]){2, k->channels}, both);
    const cpu_arg args[5] = {{DNNL_ARG_SRC, in, NULL},
                             {DNNL_ARG_DST, out, &layout},
                             {DNNL_ARG_SCALE_SHIFT, tni_cpu_as_plain(build, pair), NULL},
                             {DNNL_ARG_MEAN, tni_cpu_as_plain(build, node->inputs[3]), NULL},
                             {DNNL_ARG_VARIANCE, tni_cpu_as_plain(build, node->inputs[4]), NULL}};
    dnnl_batch_normalization_desc_t wanted;
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    const dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(
        &wanted, dnnl_forward_inference, &layout, k->epsilon,
        dnnl_use_global_stats | dnnl_use_scaleshift | (relu ? dnnl_fuse_norm_relu : 0u));
    dnnl_primitive_desc_t desc = tni_cpu_desc(build, status, &wanted, attr, "batch_normalization");
    if (build->status == TN_OK) {
        define(build, out, in);
        tni_cpu_step_primitive(build, desc, 5, args);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

void tni_cpu_emit_batch_norm(cpu_build *build, const cpu_node *node) {
    norm_constants k;
    const uint32_t in = tni_cpu_as_run(build, node->inputs[0]);
    const uint32_t relu =
        node->post_count == 1 && node->posts[0].act == CPU_ACT_RELU && node->posts[0].a == 0.0f;
    const uint32_t out = relu ? node->outputs[0] : tni_cpu_before_posts(build, node);
    if (build->status != TN_OK || !find_constants(build, node, &k)) {
        return;
    }
    if (is_ours(build, &tni_cpu_value(build, in)->layout)) {
        emit_ours(build, &k, in, out, relu);
    } else {
        emit_library(build, &k, node, in, out, relu);
    }
    if (out != node->outputs[0]) {
        tni_cpu_emit_posts(build, node, out);
    }
}
