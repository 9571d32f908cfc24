// SPDX-License-Identifier: Apache-2.0
// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss (ONNX operator list): loss = -w[t] * l[t]
// at each position, where l is the input, or its logarithmic softmax over the classes (axis 1), t
// the target and w the weight of a class; then all of them, their sum, or their weighted mean.
#include "kernels.h"

#include <math.h>

typedef struct loss_job {
    const ref_tensor *scores;  // [N, C, positions...]
    const ref_tensor *targets; // [N, positions...]
    const ref_tensor *weights; // [C], may be null: ones
    int64_t classes;
    int64_t positions; // of one image
    int64_t ignored;
    uint32_t has_ignored;
    uint32_t takes_softmax;
} loss_job;

// log(sum over the classes of exp(score)) at position i, with the largest score taken out.
static double log_sum(const loss_job *job, int64_t base) {
    double largest = -(double)INFINITY;
    double sum = 0.0;
    for (int64_t c = 0; c < job->classes; ++c) {
        largest = fmax(largest, tni_ref_load(job->scores, base + c * job->positions));
    }
    for (int64_t c = 0; c < job->classes; ++c) {
        sum += exp(tni_ref_load(job->scores, base + c * job->positions) - largest);
    }
    return largest + log(sum);
}

// Where class 0 of a position lies in the scores.
static int64_t base_of(const loss_job *job, int64_t i) {
    return i / job->positions * job->classes * job->positions + i % job->positions;
}

// The weighted loss and the weight at position i. Returns 0 when the target is no class.
static uint32_t position_loss(const loss_job *job, int64_t i, double *out_loss,
                              double *out_weight) {
    int64_t target = tni_ref_load_int(job->targets, i);
    *out_loss = 0.0;
    *out_weight = 0.0;
    if (job->has_ignored && target == job->ignored) {
        return 1;
    }
    if (!tni_ref_wrap(target, job->classes, &target)) {
        return 0;
    }
    const int64_t base = base_of(job, i);
    const double score = tni_ref_load(job->scores, base + target * job->positions);
    *out_weight = job->weights == NULL ? 1.0 : tni_ref_load(job->weights, target);
    *out_loss = -*out_weight * (job->takes_softmax ? score - log_sum(job, base) : score);
    return 1;
}

static uint32_t check_shapes(const loss_job *job) {
    const ref_tensor *scores = job->scores;
    const ref_tensor *targets = job->targets;
    if (scores->rank < 2 || targets->rank != scores->rank - 1 ||
        scores->dims[0] != targets->dims[0] ||
        (job->weights != NULL &&
         (job->weights->rank != 1 || job->weights->dims[0] != scores->dims[1]))) {
        return 0;
    }
    return memcmp(&scores->dims[2], &targets->dims[1],
                  (scores->rank - 2) * sizeof scores->dims[0]) == 0
               ? 1u
               : 0u;
}

static tn_status run_loss(const ref_call *call, const loss_job *job) {
    ref_tensor *loss = call->outputs[0];
    const uint32_t none = tn_view_attr_string_is(call->view, call->node, "reduction", "none");
    const uint32_t sums = tn_view_attr_string_is(call->view, call->node, "reduction", "sum");
    if (none ? !tni_ref_same_shape(loss, job->targets) : loss->count != 1) {
        return tni_ref_invalid(call, "shape of the loss");
    }
    double sum = 0.0;
    double weights = 0.0;
    for (int64_t i = 0; i < job->targets->count; ++i) {
        double one;
        double weight;
        if (!position_loss(job, i, &one, &weight)) {
            return tni_ref_invalid(call, "a target is not a class");
        }
        sum += one;
        weights += weight;
        if (none) {
            tni_ref_store(loss, i, one);
        }
    }
    if (!none) {
        tni_ref_store(loss, 0, sums ? sum : sum / weights);
    }
    return TN_OK;
}

static void store_log_softmax(const loss_job *job, ref_tensor *output) {
    for (int64_t i = 0; i < job->targets->count; ++i) {
        const int64_t base = base_of(job, i);
        const double normal = log_sum(job, base);
        for (int64_t c = 0; c < job->classes; ++c) {
            const int64_t at = base + c * job->positions;
            tni_ref_store(output, at, tni_ref_load(job->scores, at) - normal);
        }
    }
}

tn_status tni_ref_loss(const ref_call *call) {
    loss_job job = {.scores = call->inputs[0],
                    .targets = call->inputs[1],
                    .weights = tni_ref_input(call, 2),
                    .ignored = tni_ref_int(call, "ignore_index", 0),
                    .has_ignored = tni_ref_has(call, "ignore_index"),
                    .takes_softmax = call->op->variant == REF_LOSS_CROSS_ENTROPY ? 1u : 0u};
    ref_tensor *log_softmax = tni_ref_output(call, 1);
    if (!check_shapes(&job) ||
        (log_softmax != NULL && !tni_ref_same_shape(log_softmax, job.scores))) {
        return tni_ref_invalid(call, "shapes");
    }
    job.classes = job.scores->dims[1];
    job.positions = tni_ref_product(job.scores->dims, 2, job.scores->rank);
    if (log_softmax != NULL) {
        store_log_softmax(&job, log_softmax);
    }
    return call->outputs[0] == NULL ? TN_OK : run_loss(call, &job);
}
