// SPDX-License-Identifier: Apache-2.0
// Attention: softmax(q k^T * scale + mask) v, head by head, without the scores ever leaving the
// cache. Nothing in it depends on how long the sequences are, so that a sequence that grows by a
// word needs no new code from the library. Several heads of queries may share one of keys and
// values.
#include "build.h"

#include <string.h>

// From so many queries on, registers hold one query a lane.
#define MANY_QUERIES 8
// Rows of a head that lie apart are copied where so many blocks of queries read them, and so many
// keys are more than the first-level cache and its address translation hold.
#define GATHER_BLOCKS 4
#define GATHER_KEYS 256

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
    int64_t blocks;   // of queries
    uint32_t gathers; // a head's keys and values are copied next to each other
    int64_t scratch;  // floats of one thread
} attention;

// One query by dot products: several at a time would read as many keys for fewer products.
static void one_query(const cpu_simd *simd, const cpu_attend *call, int64_t row) {
    const float *query = call->q + row * call->q_step;
    float *out = call->out + row * call->out_step;
    float *weights = call->scratch;
    for (int64_t key = 0; key < call->keys; ++key) {
        weights[key] = simd->dot(query, call->k + key * call->k_step, call->size);
    }
    simd->softmax(weights, call->scale,
                  call->mask == NULL ? NULL : call->mask + row * call->mask_step, 0, weights,
                  call->keys);
    memset(out, 0, (size_t)call->value_size * sizeof(float));
    int64_t key = 0;
    for (; key + 4 <= call->keys; key += 4) {
        simd->axpy4(weights + key, call->v + key * call->v_step, call->v_step, out,
                    call->value_size);
    }
    for (; key < call->keys; ++key) {
        simd->axpy(weights[key], call->v + key * call->v_step, out, call->value_size);
    }
}

static void gather_rows(const float **inout_rows, int64_t *inout_step, int64_t rows, int64_t size,
                        float *copy) {
    for (int64_t row = 0; row < rows; ++row) {
        memcpy(copy + row * size, *inout_rows + row * *inout_step, (size_t)size * sizeof(float));
    }
    *inout_rows = copy;
    *inout_step = size;
}

// Keys and values of one head of one batch.
static void find_head(const cpu_call *call, const attention *a, int64_t head, cpu_attend *out) {
    const int64_t *k_steps = call->strides[2] != NULL ? call->strides[2] : a->k;
    const int64_t *v_steps = call->strides[3] != NULL ? call->strides[3] : a->v;
    const int64_t b = head / a->heads;
    const int64_t kv = head % a->heads / a->shared;
    out->k = (const float *)call->data[2] + b * k_steps[0] + kv * k_steps[1];
    out->v = (const float *)call->data[3] + b * v_steps[0] + kv * v_steps[1];
    out->k_step = k_steps[2];
    out->v_step = v_steps[2];
    if (a->gathers) {
        float *copy = out->scratch + CPU_ATTEND_SCRATCH(a->keys, a->size, a->value_size);
        gather_rows(&out->k, &out->k_step, a->keys, a->size, copy);
        gather_rows(&out->v, &out->v_step, a->keys, a->value_size, copy + a->keys * a->size);
    }
}

// Blocks of CPU_QUERIES queries of all heads of all batches, numbered.
static void blocks_range(const cpu_call *call, int64_t begin, int64_t end) {
    const attention *a = call->params;
    cpu_attend one = {.keys = a->keys,
                      .size = a->size,
                      .value_size = a->value_size,
                      .q_step = a->q[2],
                      .mask_step = a->mask[2],
                      .out_step = a->out[2],
                      .scale = a->scale,
                      .scratch = (float *)call->data[5] + tni_cpu_thread() * a->scratch};
    for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i % a->blocks * CPU_QUERIES;
        const int64_t head = i / a->blocks;
        const int64_t h = head % a->heads;
        const int64_t b = head / a->heads;
        const int64_t left = a->queries - row;
        if (row == 0 || i == begin) {
            find_head(call, a, head, &one);
        }
        one.queries = left < CPU_QUERIES ? left : CPU_QUERIES;
        one.q = (const float *)call->data[1] + b * a->q[0] + h * a->q[1] + row * a->q[2];
        one.out = (float *)call->data[0] + b * a->out[0] + h * a->out[1] + row * a->out[2];
        if (call->data[4] != NULL) {
            one.mask =
                (const float *)call->data[4] + b * a->mask[0] + h * a->mask[1] + row * a->mask[2];
        }
        if (a->queries >= MANY_QUERIES) {
            call->simd->attend(&one);
            continue;
        }
        for (int64_t query = 0; query < one.queries; ++query) {
            one_query(call->simd, &one, query);
        }
    }
}

static tn_status attention_run(const cpu_call *call) {
    const attention *a = call->params;
    const int64_t rows = a->queries < CPU_QUERIES ? a->queries : CPU_QUERIES;
    tni_cpu_parallel(call, a->batch * a->heads * a->blocks, 100 + rows * a->keys * a->size / 16,
                     blocks_range);
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
                     .blocks = (q.dims[2] + CPU_QUERIES - 1) / CPU_QUERIES,
                     .scratch = CPU_ATTEND_SCRATCH(k.dims[2], q.dims[3], v.dims[3])};
    a->gathers = a->blocks >= GATHER_BLOCKS && a->keys >= GATHER_KEYS;
    a->scratch += a->gathers ? a->keys * (a->size + a->value_size) : 0;
    if (a->scratch > INT64_MAX / 4 / (int64_t)sizeof(float) / build->program->threads) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a tensor is too large");
        return;
    }
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
