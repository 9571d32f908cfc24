// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding, LinearAttention and CausalConvWithState (ONNX operator list): what language
// models do along the sequence besides Attention.
#include "kernels.h"

#include <math.h>

typedef struct rotary_job {
    const ref_tensor *x;
    const ref_tensor *cosines;
    const ref_tensor *sines;
    const ref_tensor *positions; // may be null: the caches are per batch and position
    int64_t heads;
    int64_t length;
    int64_t size;
    int64_t rotated; // the first numbers of a head
    uint32_t interleaved;
    uint32_t packed;
} rotary_job;

// Rotates one head of one position: pairs are neighbours, or the halves of the rotated part.
static void rotate(const rotary_job *job, ref_tensor *y, int64_t at, int64_t cache_at) {
    const int64_t half = job->rotated / 2;
    for (int64_t i = 0; i < half; ++i) {
        const int64_t first = at + (job->interleaved ? 2 * i : i);
        const int64_t second = at + (job->interleaved ? 2 * i + 1 : half + i);
        const double cosine = tni_ref_load(job->cosines, cache_at + i);
        const double sine = tni_ref_load(job->sines, cache_at + i);
        const double a = tni_ref_load(job->x, first);
        const double b = tni_ref_load(job->x, second);
        tni_ref_store(y, first, cosine * a - sine * b);
        tni_ref_store(y, second, sine * a + cosine * b);
    }
    for (int64_t i = job->rotated; i < job->size; ++i) {
        tni_ref_move(y, at + i, job->x, at + i);
    }
}

static uint32_t read_rotary(const ref_call *call, rotary_job *job) {
    const ref_tensor *x = job->x;
    job->packed = x->rank == 3 ? 1u : 0u;
    if (x->rank != 3 && x->rank != 4) {
        return 0;
    }
    job->heads = job->packed ? tni_ref_int(call, "num_heads", 0) : x->dims[1];
    job->length = x->dims[job->packed ? 1 : 2];
    if (job->heads < 1 || (job->packed && x->dims[2] % job->heads != 0)) {
        return 0;
    }
    job->size = job->packed ? x->dims[2] / job->heads : x->dims[3];
    job->rotated = tni_ref_int(call, "rotary_embedding_dim", 0);
    job->rotated = job->rotated == 0 ? job->size : job->rotated;
    const ref_tensor *cache = job->cosines;
    const uint32_t cache_rank = job->positions == NULL ? 3 : 2;
    if (job->rotated < 0 || job->rotated > job->size || job->rotated % 2 != 0 ||
        !tni_ref_same_shape(cache, job->sines) || cache->rank != cache_rank ||
        cache->dims[cache_rank - 1] != job->rotated / 2) {
        return 0;
    }
    return job->positions == NULL
               ? cache->dims[0] == x->dims[0] && cache->dims[1] == job->length
               : job->positions->rank == 2 && job->positions->dims[0] == x->dims[0] &&
                     job->positions->dims[1] == job->length;
}

tn_status tni_ref_rotary(const ref_call *call) {
    rotary_job job = {.x = call->inputs[0],
                      .cosines = call->inputs[1],
                      .sines = call->inputs[2],
                      .positions = tni_ref_input(call, 3),
                      .interleaved = tni_ref_int(call, "interleaved", 0) != 0 ? 1u : 0u};
    ref_tensor *y = call->outputs[0];
    if (!tni_ref_same_shape(job.x, y) || !read_rotary(call, &job)) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t rows = job.x->dims[0] * job.heads * job.length;
    for (int64_t row = 0; row < rows; ++row) {
        // Rows are counted as [batch, position, head].
        const int64_t head = row % job.heads;
        const int64_t place = row / job.heads; // batch and position
        const int64_t b = place / job.length;
        int64_t cache_row = place;
        if (job.positions != NULL && !tni_ref_wrap(tni_ref_load_int(job.positions, place),
                                                   job.cosines->dims[0], &cache_row)) {
            return tni_ref_invalid(call, "a position lies outside the cache");
        }
        const int64_t at =
            job.packed ? row * job.size
                       : ((b * job.heads + head) * job.length + place % job.length) * job.size;
        rotate(&job, y, at, cache_row * (job.rotated / 2));
    }
    return TN_OK;
}

typedef struct linear_job {
    const ref_tensor *q;
    const ref_tensor *k;
    const ref_tensor *v;
    const ref_tensor *past;  // may be null: zero
    const ref_tensor *decay; // may be null
    const ref_tensor *beta;  // may be null
    ref_tensor *y;
    ref_tensor *present; // may be null
    int64_t batch;
    int64_t length;
    int64_t q_heads;
    int64_t kv_heads;
    int64_t key_size;
    int64_t value_size;
    double scale;
    uint32_t gated;
    uint32_t delta;
    double *state; // [key_size, value_size] of one head
    double *guess; // value_size
} linear_job;

// S = exp(g) S, then S += beta k (v - S^T k) for the delta rules, or S += k v.
static void linear_step(const linear_job *job, int64_t b, int64_t head, int64_t t) {
    const int64_t row = b * job->length + t;
    const int64_t k_at = (row * job->kv_heads + head) * job->key_size;
    const int64_t v_at = (row * job->kv_heads + head) * job->value_size;
    const int64_t width = job->value_size;
    for (int64_t i = 0; i < job->key_size && job->gated; ++i) {
        const uint32_t per_head =
            job->decay->count == job->batch * job->length * job->kv_heads ? 1u : 0u;
        const double factor =
            exp(tni_ref_load(job->decay, per_head ? row * job->kv_heads + head : k_at + i));
        for (int64_t n = 0; n < width; ++n) {
            job->state[i * width + n] *= factor;
        }
    }
    const uint32_t shared = job->delta && job->beta->count == job->batch * job->length ? 1u : 0u;
    const int64_t betas = shared ? 1 : job->kv_heads;
    const double beta =
        job->delta ? tni_ref_load(job->beta, row * betas + (betas == 1 ? 0 : head)) : 1.0;
    for (int64_t n = 0; n < width; ++n) {
        double guess = 0.0;
        for (int64_t i = 0; i < job->key_size && job->delta; ++i) {
            guess += job->state[i * width + n] * tni_ref_load(job->k, k_at + i);
        }
        job->guess[n] = beta * (tni_ref_load(job->v, v_at + n) - guess);
    }
    for (int64_t i = 0; i < job->key_size; ++i) {
        for (int64_t n = 0; n < width; ++n) {
            job->state[i * width + n] += tni_ref_load(job->k, k_at + i) * job->guess[n];
        }
    }
}

static void read_out(const linear_job *job, int64_t b, int64_t head, int64_t t) {
    const int64_t row = b * job->length + t;
    const int64_t shared = job->q_heads / job->kv_heads;
    for (int64_t h = head * shared; h < (head + 1) * shared; ++h) {
        const int64_t q_at = (row * job->q_heads + h) * job->key_size;
        for (int64_t n = 0; n < job->value_size; ++n) {
            double sum = 0.0;
            for (int64_t i = 0; i < job->key_size; ++i) {
                sum += job->state[i * job->value_size + n] * tni_ref_load(job->q, q_at + i);
            }
            tni_ref_store(job->y, (row * job->q_heads + h) * job->value_size + n, job->scale * sum);
        }
    }
}

static uint32_t check_linear(const linear_job *job) {
    const int64_t rows = job->batch * job->length;
    const int64_t state = job->batch * job->kv_heads * job->key_size * job->value_size;
    if (job->q->dims[2] != job->q_heads * job->key_size ||
        job->k->count != rows * job->kv_heads * job->key_size ||
        job->v->count != rows * job->kv_heads * job->value_size ||
        job->y->count != rows * job->q_heads * job->value_size ||
        (job->past != NULL && job->past->count != state) ||
        (job->present != NULL && job->present->count != state)) {
        return 0;
    }
    if (job->gated && (job->decay == NULL || job->decay->rank != 3 ||
                       (job->decay->count != rows * job->kv_heads &&
                        job->decay->count != rows * job->kv_heads * job->key_size))) {
        return 0;
    }
    return !job->delta || (job->beta != NULL && job->beta->rank == 3 &&
                           (job->beta->count == rows || job->beta->count == rows * job->kv_heads));
}

int64_t tni_ref_linear_attention_scratch(const ref_call *call) {
    const int64_t kv_heads = tni_ref_int(call, "kv_num_heads", 0);
    const ref_tensor *k = call->inputs[1];
    const ref_tensor *v = call->inputs[2];
    if (kv_heads < 1 || k->rank != 3 || v->rank != 3 || k->dims[2] > INT32_MAX ||
        v->dims[2] > INT32_MAX / 64) {
        return -1;
    }
    return (k->dims[2] / kv_heads + 1) * (v->dims[2] / kv_heads) * 8;
}

tn_status tni_ref_linear_attention(const ref_call *call) {
    linear_job job = {.q = call->inputs[0],
                      .k = call->inputs[1],
                      .v = call->inputs[2],
                      .past = tni_ref_input(call, 3),
                      .decay = tni_ref_input(call, 4),
                      .beta = tni_ref_input(call, 5),
                      .y = call->outputs[0],
                      .present = tni_ref_output(call, 1),
                      .q_heads = tni_ref_int(call, "q_num_heads", 0),
                      .kv_heads = tni_ref_int(call, "kv_num_heads", 0)};
    const uint32_t linear = tn_view_attr_string_is(call->view, call->node, "update_rule", "linear");
    const uint32_t gated = tn_view_attr_string_is(call->view, call->node, "update_rule", "gated");
    const uint32_t delta = tn_view_attr_string_is(call->view, call->node, "update_rule", "delta");
    job.gated = !linear && !delta ? 1u : 0u;
    job.delta = !linear && !gated ? 1u : 0u;
    if (job.q->rank != 3 || job.k->rank != 3 || job.v->rank != 3 || job.kv_heads < 1 ||
        job.q_heads % job.kv_heads != 0 || job.q_heads < 1 || job.y == NULL) {
        return tni_ref_invalid(call, "ranks or heads");
    }
    job.batch = job.q->dims[0];
    job.length = job.q->dims[1];
    job.key_size = job.k->dims[2] / job.kv_heads;
    job.value_size = job.v->dims[2] / job.kv_heads;
    job.scale = tni_ref_float(call, "scale", 0.0f);
    job.scale = job.scale == 0.0 ? 1.0 / sqrt((double)job.key_size) : job.scale;
    job.state = (double *)(void *)call->scratch;
    job.guess = job.state + job.key_size * job.value_size;
    if (!check_linear(&job)) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t state_size = job.key_size * job.value_size;
    for (int64_t item = 0; item < job.batch * job.kv_heads; ++item) {
        for (int64_t i = 0; i < state_size; ++i) {
            job.state[i] = job.past == NULL ? 0.0 : tni_ref_load(job.past, item * state_size + i);
        }
        for (int64_t t = 0; t < job.length; ++t) {
            linear_step(&job, item / job.kv_heads, item % job.kv_heads, t);
            read_out(&job, item / job.kv_heads, item % job.kv_heads, t);
        }
        for (int64_t i = 0; i < state_size && job.present != NULL; ++i) {
            tni_ref_store(job.present, item * state_size + i, job.state[i]);
        }
    }
    return TN_OK;
}

// Element t of the sequence of one row, with the past (or zeros) in front: t counts from -(k - 1).
static double history(const ref_tensor *x, const ref_tensor *past, int64_t row, int64_t t) {
    const int64_t length = x->dims[2];
    if (t >= 0) {
        return tni_ref_load(x, row * length + t);
    }
    const int64_t kept = past == NULL ? 0 : past->dims[2];
    return past == NULL ? 0.0 : tni_ref_load(past, row * kept + kept + t);
}

// y[t] = bias + sum over k of w[k] * x[t - (K - 1) + k], each channel by itself.
tn_status tni_ref_causal_conv(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *weight = call->inputs[1];
    const ref_tensor *bias = tni_ref_input(call, 2);
    const ref_tensor *past = tni_ref_input(call, 3);
    ref_tensor *y = call->outputs[0];
    ref_tensor *present = tni_ref_output(call, 1);
    const uint32_t silu = tn_view_attr_string_is(call->view, call->node, "activation", "silu") |
                          tn_view_attr_string_is(call->view, call->node, "activation", "swish");
    if (x->rank != 3 || weight->rank != 3 || y == NULL || !tni_ref_same_shape(x, y) ||
        weight->dims[0] != x->dims[1] || weight->dims[1] != 1 || weight->dims[2] < 1 ||
        (bias != NULL && bias->count != x->dims[1])) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t taps = weight->dims[2];
    const int64_t rows = x->dims[0] * x->dims[1];
    const int64_t length = x->dims[2];
    const ref_tensor *states[2] = {past, present};
    for (uint32_t i = 0; i < 2; ++i) {
        if (states[i] != NULL &&
            (states[i]->rank != 3 || states[i]->dims[0] != x->dims[0] ||
             states[i]->dims[1] != x->dims[1] || states[i]->dims[2] != taps - 1)) {
            return tni_ref_invalid(call, "shape of a state");
        }
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t channel = i / length % x->dims[1];
        double sum = bias == NULL ? 0.0 : tni_ref_load(bias, channel);
        for (int64_t k = 0; k < taps; ++k) {
            sum += tni_ref_load(weight, channel * taps + k) *
                   history(x, past, i / length, i % length - (taps - 1) + k);
        }
        tni_ref_store(y, i, silu ? sum / (1.0 + exp(-sum)) : sum);
    }
    for (int64_t i = 0; present != NULL && i < rows * (taps - 1); ++i) {
        const int64_t t = length - (taps - 1) + i % (taps - 1);
        tni_ref_store(present, i, history(x, past, i / (taps - 1), t));
    }
    return TN_OK;
}
