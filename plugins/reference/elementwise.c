// SPDX-License-Identifier: Apache-2.0
// Ops that compute each output element from one element of each input: the function is a column of
// the table, the loop is here. Floating point is computed in double and rounded once; integers wrap
// around in their own width.
#include "kernels.h"

typedef struct unary_job {
    const ref_call *call;
    const ref_tensor *input;
    ref_tensor *output;
    double a;
    double b;
} unary_job;

static void unary_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const unary_job *job = user_data;
    const ref_op *op = job->call->op;
    const uint32_t integers = op->integer != NULL && !tni_ref_is_float(job->input->dtype) ? 1u : 0u;
    const uint32_t is_unsigned = tni_ref_is_unsigned(job->input->dtype);
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        if (integers) {
            const uint64_t x = (uint64_t)tni_ref_load_int(job->input, i);
            tni_ref_store_int(job->output, i, (int64_t)op->integer(x, 0, is_unsigned));
        } else {
            const double x = tni_ref_load(job->input, i);
            tni_ref_store(job->output, i, op->unary(x, job->a, job->b));
        }
    }
}

tn_status tni_ref_unary(const ref_call *call) {
    unary_job job = {.call = call, .input = call->inputs[0], .output = call->outputs[0]};
    if (!tni_ref_same_shape(job.input, job.output)) {
        return tni_ref_invalid(call, "input and output differ in shape");
    }
    const ref_parameter *parameters = call->op->parameters;
    if (parameters[0].name != NULL) {
        job.a = tni_ref_float(call, parameters[0].name, parameters[0].otherwise);
    }
    if (parameters[1].name != NULL) {
        job.b = tni_ref_float(call, parameters[1].name, parameters[1].otherwise);
    }
    tni_ref_parallel(call, job.output->count, 10, unary_range, &job);
    return TN_OK;
}

typedef struct binary_job {
    const ref_call *call;
    const ref_tensor *left;
    const ref_tensor *right;
    ref_tensor *output;
    uint32_t broadcasts;
} binary_job;

static void binary_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const binary_job *job = user_data;
    const ref_op *op = job->call->op;
    ref_tensor *output = job->output;
    const uint32_t floats = tni_ref_is_float(job->left->dtype);
    const uint32_t is_unsigned = tni_ref_is_unsigned(job->left->dtype);
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        int64_t l = i;
        int64_t r = i;
        if (job->broadcasts) {
            l = tni_ref_broadcast(job->left, output->dims, output->rank, i);
            r = tni_ref_broadcast(job->right, output->dims, output->rank, i);
        }
        if (floats) {
            const double x = tni_ref_load(job->left, l);
            tni_ref_store(output, i, op->binary(x, tni_ref_load(job->right, r)));
        } else {
            const uint64_t x = (uint64_t)tni_ref_load_int(job->left, l);
            const uint64_t y = (uint64_t)tni_ref_load_int(job->right, r);
            tni_ref_store_int(output, i, (int64_t)op->integer(x, y, is_unsigned));
        }
    }
}

tn_status tni_ref_binary(const ref_call *call) {
    binary_job job = {.call = call,
                      .left = call->inputs[0],
                      .right = call->inputs[1],
                      .output = call->outputs[0]};
    if (job.left->dtype != job.right->dtype ||
        (tni_ref_is_float(job.left->dtype) ? call->op->binary == NULL
                                           : call->op->integer == NULL)) {
        return tni_ref_invalid(call, "operand types");
    }
    if (!tni_ref_broadcasts_to(job.left, job.output->dims, job.output->rank) ||
        !tni_ref_broadcasts_to(job.right, job.output->dims, job.output->rank)) {
        return tni_ref_invalid(call, "inputs do not broadcast to the output");
    }
    job.broadcasts =
        tni_ref_same_shape(job.left, job.output) && tni_ref_same_shape(job.right, job.output) ? 0u
                                                                                              : 1u;
    tni_ref_parallel(call, job.output->count, 25, binary_range, &job);
    return TN_OK;
}
