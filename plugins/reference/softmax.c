// SPDX-License-Identifier: Apache-2.0
// Softmax, LogSoftmax, Hardmax. Since version 13 over one axis; before, over everything from axis
// on (the tensor is taken as a matrix). The largest element is subtracted first, so exp cannot
// overflow.
#include "kernels.h"

#include <math.h>

typedef struct softmax_job {
    const ref_tensor *input;
    ref_tensor *output;
    int64_t size; // elements of one run
    int64_t step; // distance of its elements
    uint32_t variant;
} softmax_job;

static void one_run(const softmax_job *job, int64_t begin) {
    double largest = -(double)INFINITY;
    int64_t largest_at = 0;
    for (int64_t i = 0; i < job->size; ++i) {
        const double x = tni_ref_load(job->input, begin + i * job->step);
        if (x > largest || (isnan(x) && !isnan(largest))) {
            largest = x;
            largest_at = i;
        }
    }
    double sum = 0.0;
    for (int64_t i = 0; i < job->size; ++i) {
        sum += exp(tni_ref_load(job->input, begin + i * job->step) - largest);
    }
    for (int64_t i = 0; i < job->size; ++i) {
        const int64_t at = begin + i * job->step;
        const double shifted = tni_ref_load(job->input, at) - largest;
        double y = exp(shifted) / sum;
        if (job->variant == REF_SOFTMAX_LOG) {
            y = shifted - log(sum);
        } else if (job->variant == REF_SOFTMAX_HARD) {
            y = i == largest_at ? 1.0 : 0.0;
        }
        tni_ref_store(job->output, at, y);
    }
}

static void softmax_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const softmax_job *job = user_data;
    for (int64_t run = (int64_t)begin; run < (int64_t)end; ++run) {
        one_run(job, run / job->step * job->step * job->size + run % job->step);
    }
}

tn_status tni_ref_softmax(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    const uint32_t as_matrix = call->node->since_version < 13 ? 1u : 0u;
    const int64_t given = tni_ref_int(call, "axis", as_matrix ? 1 : -1);
    uint32_t axis = 0;
    // A matrix may be split behind the last axis, so axis == rank is allowed there.
    const uint32_t behind = as_matrix && given == (int64_t)input->rank ? 1u : 0u;
    if (!tni_ref_same_shape(input, call->outputs[0]) ||
        (!behind && !tni_ref_axis(given, input->rank, &axis))) {
        return tni_ref_invalid(call, "axis or shapes");
    }
    axis = behind ? input->rank : axis;
    softmax_job job = {.input = input, .output = call->outputs[0], .variant = call->op->variant};
    job.size = as_matrix ? tni_ref_product(input->dims, axis, input->rank) : input->dims[axis];
    job.step = as_matrix ? 1 : tni_ref_product(input->dims, axis + 1, input->rank);
    if (input->count != 0) {
        tni_ref_parallel(call, input->count / job.size, job.size * 60, softmax_range, &job);
    }
    return TN_OK;
}
