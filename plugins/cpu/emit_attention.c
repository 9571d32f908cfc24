// SPDX-License-Identifier: Apache-2.0
// Attention: softmax(q k^T * scale + mask) v, head by head, without the scores ever leaving the
// cache. Nothing in it depends on how long the sequences are, so that a sequence that grows by a
// word needs no new code from the library. Several heads of queries may share one of keys and
// values.
#include "build.h"

typedef struct attention {
    int64_t batch;
    int64_t heads;
    int64_t shared; // heads of queries to one of keys
    int64_t queries;
    int64_t keys;
    int64_t size;       // of a query and a key
    int64_t value_size; // of a value
    float scale;
    int64_t q[3]; // steps of batch, head and row
    int64_t k[3];
    int64_t v[3];
    int64_t out[3];
    int64_t mask[3];
    int64_t padded;  // keys in whole blocks
    int64_t scratch; // floats of one thread
} attention;

static void one_head(const cpu_call *call, const attention *a, int64_t b, int64_t h,
                     float *scratch) {
    const int64_t kv = h / a->shared;
    const int64_t *k_steps = call->strides[2] != NULL ? call->strides[2] : a->k;
    const int64_t *v_steps = call->strides[3] != NULL ? call->strides[3] : a->v;
    const float *q = (const float *)call->data[1] + b * a->q[0] + h * a->q[1];
    const float *k = (const float *)call->data[2] + b * k_steps[0] + kv * k_steps[1];
    const float *v = (const float *)call->data[3] + b * v_steps[0] + kv * v_steps[1];
    const float *mask = call->data[4];
    float *out = (float *)call->data[0] + b * a->out[0] + h * a->out[1];
    float *packed = scratch;
    float *scores = scratch + a->padded * a->size;
    const uint32_t few = a->queries < (int64_t)CPU_QUERY_ROWS;
    if (mask != NULL) {
        mask += b * a->mask[0] + h * a->mask[1];
    }
    if (!few) {
        call->simd->pack_keys(k, k_steps[2], a->keys, a->size, packed);
    }
    for (int64_t row = 0; row < a->queries; row += CPU_QUERY_ROWS) {
        const int64_t left = a->queries - row;
        const uint32_t rows = left < (int64_t)CPU_QUERY_ROWS ? (uint32_t)left : CPU_QUERY_ROWS;
        if (few) {
            // Packing would read every key for the sake of so few products.
            for (int64_t i = 0; i < (int64_t)rows * a->keys; ++i) {
                scores[i / a->keys * a->padded + i % a->keys] = call->simd->dot(
                    q + (row + i / a->keys) * a->q[2], k + i % a->keys * k_steps[2], a->size);
            }
        } else {
            call->simd->scores(q + row * a->q[2], a->q[2], rows, packed, a->padded, a->size, scores,
                               a->padded);
        }
        for (uint32_t r = 0; r < rows; ++r) {
            float *line = scores + r * a->padded;
            call->simd->softmax(line, a->scale, mask == NULL ? NULL : mask + (row + r) * a->mask[2],
                                0, line, a->keys);
        }
        call->simd->weighted_sums(scores, a->padded, rows, v, v_steps[2], a->keys, a->value_size,
                                  out + row * a->out[2], a->out[2]);
    }
}

static void heads_range(const cpu_call *call, int64_t begin, int64_t end) {
    const attention *a = call->params;
    float *scratch = (float *)call->data[5] + tni_cpu_thread() * a->scratch;
    for (int64_t i = begin; i < end; ++i) {
        one_head(call, a, i / a->heads, i % a->heads, scratch);
    }
}

static tn_status attention_run(const cpu_call *call) {
    const attention *a = call->params;
    tni_cpu_parallel(call, a->batch * a->heads, 100 + a->queries * a->keys * a->size / 16,
                     heads_range);
    return TN_OK;
}

uint32_t tni_cpu_with_rows(cpu_build *build, uint32_t value, int64_t *out_steps) {
    uint32_t in = tni_cpu_as_floats(build, value);
    if (in == TN_NONE) {
        return TN_NONE;
    }
    const dnnl_blocking_desc_t *b = &tni_cpu_value(build, in)->layout.format_desc.blocking;
    if (b->inner_nblks > 0 || b->strides[3] != 1) {
        in = tni_cpu_as_plain(build, value);
        b = in == TN_NONE ? b : &tni_cpu_value(build, in)->layout.format_desc.blocking;
    }
    for (uint32_t i = 0; i < 3; ++i) {
        out_steps[i] = b->strides[i];
    }
    return in;
}

// A mask is broadcast along axes where it has one element.
static void mask_steps(const cpu_value *mask, attention *a) {
    const uint32_t missing = 4 - mask->rank;
    int64_t step = 1;
    for (uint32_t axis = 4; axis-- > 0;) {
        const int64_t size = axis >= missing ? mask->dims[axis - missing] : 1;
        if (axis < 3) {
            a->mask[axis] = size == 1 ? 0 : step;
        }
        step *= size;
    }
}

void tni_cpu_emit_attention(cpu_build *build, const cpu_node *node) {
    attention *a = tni_cpu_arena_alloc(build->arena, sizeof *a);
    if (a == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    const cpu_value q = *tni_cpu_value(build, node->inputs[0]);
    const cpu_value k = *tni_cpu_value(build, node->inputs[1]);
    const cpu_value v = *tni_cpu_value(build, node->inputs[2]);
    *a = (attention){.batch = q.dims[0],
                     .heads = q.dims[1],
                     .shared = k.dims[1] > 0 ? q.dims[1] / k.dims[1] : 1,
                     .queries = q.dims[2],
                     .keys = k.dims[2],
                     .size = q.dims[3],
                     .value_size = v.dims[3],
                     .scale = node->a != 0.0f ? node->a : 1.0f,
                     .padded = (k.dims[2] + CPU_KEY_BLOCK - 1) / CPU_KEY_BLOCK * CPU_KEY_BLOCK};
    a->scratch = (a->padded * (a->size + (int64_t)CPU_QUERY_ROWS) + 15) / 16 * 16;
    uint32_t operands[6] = {node->outputs[0],
                            tni_cpu_with_rows(build, node->inputs[0], a->q),
                            tni_cpu_with_rows(build, node->inputs[1], a->k),
                            tni_cpu_with_rows(build, node->inputs[2], a->v),
                            tni_cpu_as_plain(build, node->mask),
                            TN_NONE};
    operands[5] =
        tni_cpu_scratch(build, a->scratch * build->program->threads * (int64_t)sizeof(float));
    if (build->status != TN_OK) {
        return;
    }
    if (operands[4] != TN_NONE) {
        mask_steps(tni_cpu_value(build, operands[4]), a);
    }
    const dnnl_memory_desc_t layout = tni_cpu_wanted(build, node->outputs[0]);
    for (uint32_t i = 0; i < 3; ++i) {
        a->out[i] = layout.format_desc.blocking.strides[i];
    }
    tni_cpu_define(build, node->outputs[0], &layout);
    tni_cpu_step(build, attention_run, a, 6, operands);
}
