// SPDX-License-Identifier: Apache-2.0
// Pooling (ONNX operator list, "MaxPool", "AveragePool", "LpPool", "Global..."): one number from
// each window.
#include "kernels.h"
#include "window.h"

#include <math.h>

typedef struct pool_job {
    const ref_tensor *input;
    ref_tensor *output;
    ref_tensor *indices; // of MaxPool; may be null
    ref_window window;
    uint32_t kind; // REF_POOL_
    double power;  // p of LpPool
    uint32_t count_padding;
    uint32_t column_major;
} pool_job;

// The part of one window that lies in the input.
typedef struct pool_sums {
    double sum;
    double best;
    int64_t best_at; // in the plane, row-major; -1 while there is none
    int64_t inside;
    int64_t padded; // positions inside the input or its padding
} pool_sums;

static void visit(const pool_job *job, int64_t plane_at, const int64_t at[3], pool_sums *sums) {
    const ref_window *window = &job->window;
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        if (at[axis] >= window->input[axis] + window->pad_end[axis]) {
            return;
        }
    }
    sums->padded += 1;
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        if (at[axis] < 0 || at[axis] >= window->input[axis]) {
            return;
        }
    }
    sums->inside += 1;
    const int64_t offset = (at[0] * window->input[1] + at[1]) * window->input[2] + at[2];
    const double x = tni_ref_load(job->input, plane_at + offset);
    sums->sum += job->kind == REF_POOL_LP ? pow(fabs(x), job->power) : x;
    if (sums->best_at < 0 || x > sums->best || (isnan(x) && !isnan(sums->best))) {
        sums->best = x;
        sums->best_at = offset;
    }
}

static pool_sums sum_window(const pool_job *job, int64_t plane_at, const int64_t position[3]) {
    const ref_window *window = &job->window;
    const int64_t *kernel = window->kernel;
    pool_sums sums = {.best_at = -1};
    for (int64_t tap = 0; tap < kernel[0] * kernel[1] * kernel[2]; ++tap) {
        const int64_t k[3] = {tap / kernel[2] / kernel[1], tap / kernel[2] % kernel[1],
                              tap % kernel[2]};
        int64_t at[3];
        for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
            at[axis] = position[axis] * window->stride[axis] + k[axis] * window->dilation[axis] -
                       window->pad_begin[axis];
        }
        visit(job, plane_at, at, &sums);
    }
    return sums;
}

// MaxPool's Indices count in the whole tensor; column-major order reverses the spatial axes.
static int64_t flat_index(const pool_job *job, int64_t plane, int64_t offset) {
    const int64_t *in = job->window.input;
    if (job->column_major) {
        const int64_t x = offset % in[2];
        const int64_t y = offset / in[2] % in[1];
        const int64_t z = offset / in[2] / in[1];
        offset = (x * in[1] + y) * in[0] + z;
    }
    return plane * in[0] * in[1] * in[2] + offset;
}

// One item: one element of the output.
static void pool_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const pool_job *job = user_data;
    const int64_t *out = job->window.output;
    const int64_t *in = job->window.input;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        const int64_t position[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        const int64_t plane = i / out[2] / out[1] / out[0];
        const pool_sums sums = sum_window(job, plane * in[0] * in[1] * in[2], position);
        if (job->kind == REF_POOL_AVERAGE) {
            const int64_t count = job->count_padding ? sums.padded : sums.inside;
            tni_ref_store(job->output, i, count == 0 ? 0.0 : sums.sum / (double)count);
            continue;
        }
        if (job->kind == REF_POOL_LP) {
            tni_ref_store(job->output, i, pow(sums.sum, 1.0 / job->power));
            continue;
        }
        tni_ref_store(job->output, i, sums.best_at < 0 ? -(double)INFINITY : sums.best);
        if (job->indices != NULL) {
            tni_ref_store_int(job->indices, i,
                              sums.best_at < 0 ? -1 : flat_index(job, plane, sums.best_at));
        }
    }
}

static tn_status run_pool(const ref_call *call, pool_job *job) {
    if (!tni_ref_window_fits(&job->window, job->output, job->input->dims[0], job->input->dims[1]) ||
        job->output->dtype != job->input->dtype ||
        (job->indices != NULL && !tni_ref_same_shape(job->indices, job->output))) {
        return tni_ref_invalid(call, "shape or type of the output");
    }
    const int64_t *kernel = job->window.kernel;
    tni_ref_parallel(call, job->output->count, kernel[0] * kernel[1] * kernel[2] * 10 + 10,
                     pool_range, job);
    return TN_OK;
}

tn_status tni_ref_pool(const ref_call *call) {
    pool_job job = {.input = call->inputs[0],
                    .output = call->outputs[0],
                    .indices = tni_ref_output(call, 1),
                    .kind = call->op->variant,
                    .power = (double)tni_ref_int(call, "p", 2),
                    .count_padding = tni_ref_int(call, "count_include_pad", 0) != 0 ? 1u : 0u,
                    .column_major = tni_ref_int(call, "storage_order", 0) != 0 ? 1u : 0u};
    int64_t kernel[REF_SPATIAL] = {0};
    const uint32_t count =
        tn_view_attr_ints(call->view, call->node, "kernel_shape", kernel, REF_SPATIAL);
    if (count == 0 || count > REF_SPATIAL || job.input->rank != count + 2) {
        return tni_ref_invalid(call, "kernel_shape");
    }
    const tn_status status = tni_ref_window(call, job.input, kernel, &job.window);
    return status == TN_OK ? run_pool(call, &job) : status;
}

// The window is the whole plane, whatever its rank.
tn_status tni_ref_global_pool(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    if (input->rank < 2 || output->rank != input->rank || input->dims[0] != output->dims[0] ||
        input->dims[1] != output->dims[1] || output->count != input->dims[0] * input->dims[1] ||
        output->dtype != input->dtype) {
        return tni_ref_invalid(call, "shape or type of the output");
    }
    const int64_t plane = tni_ref_product(input->dims, 2, input->rank);
    const double power = (double)tni_ref_int(call, "p", 2);
    for (int64_t i = 0; i < output->count; ++i) {
        double sum = 0.0;
        double best = -(double)INFINITY;
        for (int64_t k = 0; k < plane; ++k) {
            const double x = tni_ref_load(input, i * plane + k);
            sum += call->op->variant == REF_POOL_LP ? pow(fabs(x), power) : x;
            best = isnan(x) || x > best ? x : best;
        }
        tni_ref_store(output, i,
                      call->op->variant == REF_POOL_AVERAGE ? sum / (double)plane
                      : call->op->variant == REF_POOL_LP    ? pow(sum, 1.0 / power)
                                                            : best);
    }
    return TN_OK;
}
