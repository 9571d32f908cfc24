// SPDX-License-Identifier: Apache-2.0
// Attention (ONNX operator list): softmax(cap(Q K^T * scale) + bias) V per head, where the bias is
// the mask, the causal frontier, the window and the padding together. Several query heads may share
// a key head. One row of scores at a time, in double; what enters the second product is rounded to
// the tensor's type as the function body of the standard does.
#include "kernels.h"

#include <math.h>

// [batch, heads, length, size] whatever the operand's own layout.
typedef struct heads {
    const ref_tensor *tensor; // may be null: length 0
    int64_t batch_step;
    int64_t head_step;
    int64_t row_step;
    int64_t heads;
    int64_t length;
    int64_t size;
} heads;

typedef struct attention_job {
    heads q;
    heads k;
    heads v;
    heads past_k;
    heads past_v;
    const ref_tensor *mask;    // may be null
    const ref_tensor *lengths; // valid keys per batch; may be null
    ref_tensor *y;
    ref_tensor *scores; // may be null
    int64_t batch;
    int64_t keys; // past and present
    double scale;
    double cap;
    uint32_t causal;
    int64_t left_window;
    int64_t right_window;
    int64_t scores_mode;
    uint32_t packed; // rank 3: heads lie side by side in the last axis
    tn_dtype rounding;
    double *row; // keys numbers
} attention_job;

static uint32_t read_heads(const ref_tensor *tensor, int64_t head_count, heads *out_heads) {
    *out_heads = (heads){.tensor = tensor};
    if (tensor == NULL) {
        return 1;
    }
    if (tensor->rank == 4) {
        *out_heads = (heads){.tensor = tensor,
                             .heads = tensor->dims[1],
                             .length = tensor->dims[2],
                             .size = tensor->dims[3],
                             .batch_step = tensor->dims[1] * tensor->dims[2] * tensor->dims[3],
                             .head_step = tensor->dims[2] * tensor->dims[3],
                             .row_step = tensor->dims[3]};
        return 1;
    }
    if (tensor->rank != 3 || head_count < 1 || tensor->dims[2] % head_count != 0) {
        return 0;
    }
    out_heads->heads = head_count;
    out_heads->length = tensor->dims[1];
    out_heads->size = tensor->dims[2] / head_count;
    out_heads->batch_step = tensor->dims[1] * tensor->dims[2];
    out_heads->head_step = out_heads->size;
    out_heads->row_step = tensor->dims[2];
    return 1;
}

// First element of a row: of the past while there is one, then of the present.
static const heads *row_of(const heads *past, const heads *present, int64_t b, int64_t head,
                           int64_t row, int64_t *out_at) {
    const heads *from = row < past->length ? past : present;
    const int64_t index = row < past->length ? row : row - past->length;
    *out_at = b * from->batch_step + head * from->head_step + index * from->row_step;
    return from;
}

// Distance by which query rows are shifted against keys.
static int64_t offset_of(const attention_job *job, int64_t b) {
    if (job->past_k.tensor != NULL) {
        return job->past_k.length;
    }
    return job->lengths == NULL ? 0 : tni_ref_load_int(job->lengths, b) - job->q.length;
}

// What is added to the score of query i and key j; -infinity: they do not meet.
static double bias_of(const attention_job *job, int64_t b, int64_t head, int64_t i, int64_t j) {
    const int64_t position = i + offset_of(job, b);
    if ((job->causal && j > position) ||
        (job->left_window >= 0 && position - j > job->left_window) ||
        (job->right_window >= 0 && j - position > job->right_window) ||
        (job->lengths != NULL && j >= tni_ref_load_int(job->lengths, b))) {
        return -(double)INFINITY;
    }
    const ref_tensor *mask = job->mask;
    if (mask == NULL) {
        return 0.0;
    }
    // A mask that is too short forbids the keys behind it.
    const int64_t columns = mask->dims[mask->rank - 1];
    if (j >= columns && columns != 1) {
        return -(double)INFINITY;
    }
    const int64_t dims[4] = {job->batch, job->q.heads, job->q.length, columns};
    const int64_t at = ((b * dims[1] + head) * dims[2] + i) * columns + (columns == 1 ? 0 : j);
    const double value = tni_ref_load(mask, tni_ref_broadcast(mask, dims, 4, at));
    if (mask->dtype == TN_DTYPE_BOOL) {
        return value != 0.0 ? 0.0 : -(double)INFINITY;
    }
    return value;
}

static double dot(const attention_job *job, int64_t b, int64_t head, int64_t i, int64_t j) {
    const int64_t key_head = head / (job->q.heads / job->k.heads);
    const int64_t q_at = b * job->q.batch_step + head * job->q.head_step + i * job->q.row_step;
    int64_t k_at = 0;
    const heads *k = row_of(&job->past_k, &job->k, b, key_head, j, &k_at);
    double sum = 0.0;
    for (int64_t n = 0; n < job->q.size; ++n) {
        sum += tni_ref_load(job->q.tensor, q_at + n) * tni_ref_load(k->tensor, k_at + n);
    }
    return sum * job->scale;
}

static double round_to(tn_dtype dtype, double x) {
    if (dtype == TN_DTYPE_FLOAT) {
        return (double)(float)x;
    }
    return tni_ref_is_small_float(dtype)
               ? tni_ref_widen(dtype, tni_ref_narrow(dtype, x, 0, REF_ROUND_UP))
               : x;
}

// Turns a row of scores into probabilities; a row without any key becomes zeros.
static void softmax_row(const attention_job *job, uint32_t masked) {
    double largest = -(double)INFINITY;
    double sum = 0.0;
    for (int64_t j = 0; j < job->keys; ++j) {
        largest = fmax(largest, job->row[j]);
    }
    if (masked || isinf(largest)) {
        memset(job->row, 0, (size_t)job->keys * sizeof *job->row);
        return;
    }
    for (int64_t j = 0; j < job->keys; ++j) {
        job->row[j] = exp(job->row[j] - largest);
        sum += job->row[j];
    }
    for (int64_t j = 0; j < job->keys; ++j) {
        job->row[j] = round_to(job->rounding, job->row[j] / sum);
    }
}

static void store_scores(const attention_job *job, int64_t row_at) {
    for (int64_t j = 0; job->scores != NULL && j < job->keys; ++j) {
        tni_ref_store(job->scores, row_at + j, job->row[j]);
    }
}

static void run_row(const attention_job *job, int64_t b, int64_t head, int64_t i) {
    const int64_t scores_at = ((b * job->q.heads + head) * job->q.length + i) * job->keys;
    uint32_t masked = 1;
    for (int64_t j = 0; j < job->keys; ++j) {
        job->row[j] = dot(job, b, head, i, j);
    }
    if (job->scores_mode == 0) {
        store_scores(job, scores_at);
    }
    for (int64_t j = 0; j < job->keys && job->cap > 0.0; ++j) {
        job->row[j] = job->cap * tanh(job->row[j] / job->cap);
    }
    if (job->scores_mode == 1) {
        store_scores(job, scores_at);
    }
    for (int64_t j = 0; j < job->keys; ++j) {
        const double bias = bias_of(job, b, head, i, j);
        masked = isinf(bias) && bias < 0.0 ? masked : 0;
        job->row[j] += bias;
    }
    if (job->scores_mode == 2) {
        store_scores(job, scores_at);
    }
    softmax_row(job, masked);
    if (job->scores_mode == 3) {
        store_scores(job, scores_at);
    }
    const int64_t value_head = head / (job->q.heads / job->v.heads);
    const int64_t size = job->v.size;
    const int64_t y_at = job->packed ? ((b * job->q.length + i) * job->q.heads + head) * size
                                     : ((b * job->q.heads + head) * job->q.length + i) * size;
    for (int64_t n = 0; n < size; ++n) {
        double sum = 0.0;
        for (int64_t j = 0; j < job->keys; ++j) {
            int64_t at = 0;
            const heads *v = row_of(&job->past_v, &job->v, b, value_head, j, &at);
            sum += job->row[j] == 0.0 ? 0.0 : job->row[j] * tni_ref_load(v->tensor, at + n);
        }
        tni_ref_store(job->y, y_at + n, sum);
    }
}

// present = past and current rows behind each other, [batch, heads, keys, size].
static uint32_t store_present(const attention_job *job, const heads *past, const heads *now,
                              ref_tensor *present) {
    if (present == NULL) {
        return 1;
    }
    const int64_t total = past->length + now->length;
    if (present->rank != 4 || present->dims[0] != job->batch || present->dims[1] != now->heads ||
        present->dims[2] != total || present->dims[3] != now->size ||
        present->dtype != now->tensor->dtype) {
        return 0;
    }
    for (int64_t row = 0; row < job->batch * now->heads * total; ++row) {
        int64_t at = 0;
        const heads *from =
            row_of(past, now, row / total / now->heads, row / total % now->heads, row % total, &at);
        for (int64_t n = 0; n < now->size; ++n) {
            tni_ref_move(present, row * now->size + n, from->tensor, at + n);
        }
    }
    return 1;
}

static uint32_t check_heads(const attention_job *job) {
    const heads *q = &job->q;
    const heads *k = &job->k;
    const heads *v = &job->v;
    if (k->tensor->dims[0] != job->batch || v->tensor->dims[0] != job->batch ||
        q->size != k->size || k->heads < 1 || v->heads < 1 || q->heads % k->heads != 0 ||
        q->heads % v->heads != 0 || k->length != v->length) {
        return 0;
    }
    const heads *past[2] = {&job->past_k, &job->past_v};
    const heads *now[2] = {k, v};
    for (uint32_t i = 0; i < 2; ++i) {
        if (past[i]->tensor != NULL &&
            (past[i]->tensor->rank != 4 || past[i]->tensor->dims[0] != job->batch ||
             past[i]->heads != now[i]->heads || past[i]->size != now[i]->size)) {
            return 0;
        }
    }
    return job->past_k.length == job->past_v.length &&
                   job->y->count == job->batch * q->heads * q->length * v->size &&
                   (job->lengths == NULL || job->lengths->count == job->batch) &&
                   (job->scores == NULL ||
                    job->scores->count == job->batch * q->heads * q->length * job->keys)
               ? 1u
               : 0u;
}

// The mask broadcasts to [batch, heads, queries, keys], or is shorter in the last axis.
static uint32_t check_mask(const attention_job *job) {
    const ref_tensor *mask = job->mask;
    if (mask == NULL) {
        return 1;
    }
    if (mask->rank < 1 || mask->rank > 4 || mask->dims[mask->rank - 1] > job->keys) {
        return 0;
    }
    const int64_t dims[4] = {job->batch, job->q.heads, job->q.length, mask->dims[mask->rank - 1]};
    return tni_ref_broadcasts_to(mask, dims, 4);
}

int64_t tni_ref_attention_scratch(const ref_call *call) {
    const ref_tensor *k = call->inputs[1];
    const ref_tensor *past = tni_ref_input(call, 4);
    const int64_t now = k->rank == 4 ? k->dims[2] : (k->rank == 3 ? k->dims[1] : 0);
    const int64_t before = past != NULL && past->rank == 4 ? past->dims[2] : 0;
    return now > INT32_MAX || before > INT32_MAX ? -1 : (now + before) * 8 + 8;
}

tn_status tni_ref_attention(const ref_call *call) {
    const int64_t q_heads = tni_ref_int(call, "q_num_heads", 0);
    const int64_t kv_heads = tni_ref_int(call, "kv_num_heads", 0);
    attention_job job = {.mask = tni_ref_input(call, 3),
                         .lengths = tni_ref_input(call, 6),
                         .y = call->outputs[0],
                         .scores = tni_ref_output(call, 3),
                         .cap = tni_ref_float(call, "softcap", 0.0f),
                         .causal = tni_ref_int(call, "is_causal", 0) != 0 ? 1u : 0u,
                         .left_window = tni_ref_int(call, "left_window_size", -1),
                         .right_window = tni_ref_int(call, "right_window_size", -1),
                         .scores_mode = tni_ref_int(call, "qk_matmul_output_mode", 0),
                         .row = (double *)(void *)call->scratch};
    if (job.y == NULL || !read_heads(call->inputs[0], q_heads, &job.q) ||
        !read_heads(call->inputs[1], kv_heads, &job.k) ||
        !read_heads(call->inputs[2], kv_heads, &job.v) ||
        !read_heads(tni_ref_input(call, 4), kv_heads, &job.past_k) ||
        !read_heads(tni_ref_input(call, 5), kv_heads, &job.past_v)) {
        return tni_ref_invalid(call, "ranks or heads");
    }
    job.batch = job.q.tensor->dims[0];
    job.keys = job.past_k.length + job.k.length;
    job.packed = job.q.tensor->rank == 3 ? 1u : 0u;
    job.rounding = job.q.tensor->dtype;
    job.scale = tni_ref_float(call, "scale", 0.0f);
    if (!tni_ref_has(call, "scale")) {
        job.scale = 1.0 / sqrt((double)job.q.size);
    }
    if (!check_heads(&job) || !check_mask(&job) ||
        !store_present(&job, &job.past_k, &job.k, tni_ref_output(call, 1)) ||
        !store_present(&job, &job.past_v, &job.v, tni_ref_output(call, 2))) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t rows = job.batch * job.q.heads * job.q.length;
    for (int64_t row = 0; row < rows; ++row) {
        run_row(&job, row / job.q.length / job.q.heads, row / job.q.length % job.q.heads,
                row % job.q.length);
    }
    return TN_OK;
}
