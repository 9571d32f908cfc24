// SPDX-License-Identifier: Apache-2.0
// Reductions, ArgMax/ArgMin, CumSum and CumProd. Axes come from an input or, in older versions,
// from the attribute; floating-point sums are double, integer sums wrap around.
#include "kernels.h"

#include <math.h>

typedef struct reduce_job {
    const ref_tensor *input;
    ref_tensor *output;
    uint32_t variant;
    uint32_t axis_count; // reduced axes: sizes and distances, then the kept ones
    int64_t size[TN_MAX_RANK];
    int64_t step[TN_MAX_RANK];
    uint32_t kept_count;
    int64_t kept_size[TN_MAX_RANK];
    int64_t kept_step[TN_MAX_RANK];
    int64_t reduced; // product of size
} reduce_job;

static double reduce_number(const reduce_job *job, int64_t base) {
    double sum = job->variant == REF_REDUCE_PROD ? 1.0 : 0.0;
    double extreme = job->variant == REF_REDUCE_MIN ? (double)INFINITY : -(double)INFINITY;
    for (int64_t i = 0; i < job->reduced; ++i) {
        const double x = tni_ref_load(
            job->input, base + tni_ref_strided(i, job->axis_count, job->size, job->step));
        if (job->variant == REF_REDUCE_MIN ? x < extreme : x > extreme || isnan(x)) {
            extreme = x;
        }
        if (job->variant == REF_REDUCE_MIN && isnan(x)) {
            extreme = x;
        }
        switch (job->variant) {
        case REF_REDUCE_PROD:
            sum *= x;
            break;
        case REF_REDUCE_L1:
            sum += fabs(x);
            break;
        case REF_REDUCE_L2:
        case REF_REDUCE_SUM_SQUARE:
            sum += x * x;
            break;
        default:
            sum += x;
            break;
        }
    }
    switch (job->variant) {
    case REF_REDUCE_MAX:
    case REF_REDUCE_MIN:
        return extreme;
    case REF_REDUCE_MEAN:
        return sum / (double)job->reduced;
    case REF_REDUCE_L2:
        return sqrt(sum);
    case REF_REDUCE_LOG_SUM:
        return log(sum);
    case REF_REDUCE_LOG_SUM_EXP:
        break;
    default:
        return sum;
    }
    // log(sum(exp(x))), with the largest element taken out so that exp cannot overflow.
    if (!isfinite(extreme)) {
        return extreme;
    }
    sum = 0.0;
    for (int64_t i = 0; i < job->reduced; ++i) {
        sum += exp(tni_ref_load(job->input,
                                base + tni_ref_strided(i, job->axis_count, job->size, job->step)) -
                   extreme);
    }
    return extreme + log(sum);
}

static int64_t reduce_integer(const reduce_job *job, int64_t base) {
    const uint32_t u = tni_ref_is_unsigned(job->input->dtype);
    uint64_t sum = job->variant == REF_REDUCE_PROD ? 1 : 0;
    for (int64_t i = 0; i < job->reduced; ++i) {
        const int64_t from = base + tni_ref_strided(i, job->axis_count, job->size, job->step);
        const uint64_t x = (uint64_t)tni_ref_load_int(job->input, from);
        const uint32_t less = u ? x < sum : (int64_t)x < (int64_t)sum;
        switch (job->variant) {
        case REF_REDUCE_PROD:
            sum *= x;
            break;
        case REF_REDUCE_MAX:
            sum = i == 0 || (!less && x != sum) ? x : sum;
            break;
        case REF_REDUCE_MIN:
            sum = i == 0 || less ? x : sum;
            break;
        case REF_REDUCE_L1:
            sum += !u && (int64_t)x < 0 ? 0 - x : x;
            break;
        case REF_REDUCE_SUM_SQUARE:
            sum += x * x;
            break;
        default:
            sum += x;
            break;
        }
    }
    if (job->variant == REF_REDUCE_MEAN && job->reduced != 0) {
        return u ? (int64_t)(sum / (uint64_t)job->reduced) : (int64_t)sum / job->reduced;
    }
    return (int64_t)sum;
}

static void reduce_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const reduce_job *job = user_data;
    const uint32_t integers =
        !tni_ref_is_float(job->input->dtype) && job->variant != REF_REDUCE_L2 &&
                job->variant != REF_REDUCE_LOG_SUM && job->variant != REF_REDUCE_LOG_SUM_EXP
            ? 1u
            : 0u;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        const int64_t base = tni_ref_strided(i, job->kept_count, job->kept_size, job->kept_step);
        if (integers) {
            tni_ref_store_int(job->output, i, reduce_integer(job, base));
        } else {
            tni_ref_store(job->output, i, reduce_number(job, base));
        }
    }
}

// Splits the axes into reduced ones (bits of mask) and kept ones.
static void split_axes(reduce_job *job, uint32_t mask) {
    int64_t step = job->input->count;
    job->reduced = 1;
    for (uint32_t axis = 0; axis < job->input->rank; ++axis) {
        const int64_t size = job->input->dims[axis];
        step = size == 0 ? 0 : step / size;
        if ((mask >> axis & 1u) != 0) {
            job->size[job->axis_count] = size;
            job->step[job->axis_count++] = step;
            job->reduced *= size;
        } else {
            job->kept_size[job->kept_count] = size;
            job->kept_step[job->kept_count++] = step;
        }
    }
}

// Whether the output's sizes are the kept ones, with or without ones in between.
static uint32_t kept_fits(const reduce_job *job, uint32_t mask) {
    const ref_tensor *output = job->output;
    const uint32_t keeps = output->rank == job->input->rank ? 1u : 0u;
    if (!keeps && output->rank != job->kept_count) {
        return 0;
    }
    uint32_t at = 0;
    for (uint32_t axis = 0; axis < job->input->rank; ++axis) {
        const uint32_t is_reduced = mask >> axis & 1u;
        if (is_reduced && !keeps) {
            continue;
        }
        if (output->dims[at++] != (is_reduced ? 1 : job->input->dims[axis])) {
            return 0;
        }
    }
    return 1;
}

tn_status tni_ref_reduce(const ref_call *call) {
    reduce_job job = {
        .input = call->inputs[0], .output = call->outputs[0], .variant = call->op->variant};
    int64_t axes[TN_MAX_RANK];
    const int64_t count = tni_ref_int_list(call, 1, "axes", axes, TN_MAX_RANK);
    uint32_t mask = 0;
    for (int64_t i = 0; i < count; ++i) {
        uint32_t axis = 0;
        if (!tni_ref_axis(axes[i], job.input->rank, &axis)) {
            return tni_ref_invalid(call, "axes");
        }
        mask |= 1u << axis;
    }
    if (count <= 0 && tni_ref_int(call, "noop_with_empty_axes", 0) == 0) {
        mask = (1u << job.input->rank) - 1u;
    }
    split_axes(&job, mask);
    if (count < 0 || job.output->dtype != job.input->dtype) {
        return tni_ref_invalid(call, "axes or type");
    }
    if (!kept_fits(&job, mask)) {
        return tni_ref_stale(call, 1);
    }
    tni_ref_parallel(call, job.output->count, job.reduced * 15 + 15, reduce_range, &job);
    return TN_OK;
}

// Whether x goes before y in ArgMax (or ArgMin): NaN before all numbers, as in ReduceMax and numpy.
static uint32_t is_ahead(double x, double y, uint32_t smallest) {
    if (isnan(x) || isnan(y)) {
        return isnan(x) && !isnan(y) ? 1u : 0u;
    }
    return (smallest ? x < y : x > y) ? 1u : 0u;
}

// ArgMax and ArgMin: the first of equals, or the last with select_last_index.
tn_status tni_ref_arg(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const uint32_t last = tni_ref_int(call, "select_last_index", 0) != 0 ? 1u : 0u;
    const uint32_t smallest = call->op->variant == REF_REDUCE_MIN ? 1u : 0u;
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", 0), input->rank, &axis) ||
        output->dtype != TN_DTYPE_INT64) {
        return tni_ref_invalid(call, "axis or type");
    }
    const int64_t size = input->dims[axis];
    const int64_t inner = tni_ref_product(input->dims, axis + 1, input->rank);
    if (output->count != tni_ref_product(input->dims, 0, axis) * inner ||
        (size == 0 && output->count != 0)) {
        return tni_ref_invalid(call, "shape of the output");
    }
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t base = i / inner * size * inner + i % inner;
        int64_t best = 0;
        for (int64_t k = 1; k < size; ++k) {
            double x = tni_ref_load(input, base + k * inner);
            double y = tni_ref_load(input, base + best * inner);
            // Where doubles cannot tell 64-bit integers apart, the difference does.
            if (x == y && !tni_ref_is_float(input->dtype)) {
                x = (double)(int64_t)((uint64_t)tni_ref_load_int(input, base + k * inner) -
                                      (uint64_t)tni_ref_load_int(input, base + best * inner));
                y = 0.0;
            }
            if (is_ahead(x, y, smallest) || (last && !is_ahead(y, x, smallest))) {
                best = k;
            }
        }
        tni_ref_store_int(output, i, best);
    }
    return TN_OK;
}

// CumSum and CumProd along one axis; exclusive leaves out the element itself, reverse goes from the
// end.
tn_status tni_ref_cumsum(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const uint32_t exclusive = tni_ref_int(call, "exclusive", 0) != 0 ? 1u : 0u;
    const uint32_t reverse = tni_ref_int(call, "reverse", 0) != 0 ? 1u : 0u;
    const uint32_t product = call->op->variant == REF_CUMULATE_PROD ? 1u : 0u;
    uint32_t axis = 0;
    if (call->inputs[1]->count != 1 || !tni_ref_same_shape(input, output) ||
        !tni_ref_axis(tni_ref_load_int(call->inputs[1], 0), input->rank, &axis)) {
        return tni_ref_invalid(call, "axis or shape");
    }
    const int64_t size = input->dims[axis];
    const int64_t inner = tni_ref_product(input->dims, axis + 1, input->rank);
    for (int64_t run = 0; size != 0 && run < input->count / size; ++run) {
        const int64_t base = run / inner * size * inner + run % inner;
        double sum = product ? 1.0 : 0.0;
        uint64_t integers = product ? 1 : 0;
        for (int64_t k = 0; k < size; ++k) {
            const int64_t at = base + (reverse ? size - 1 - k : k) * inner;
            const double x = tni_ref_load(input, at);
            const uint64_t y = (uint64_t)tni_ref_load_int(input, at);
            if (!exclusive) {
                sum = product ? sum * x : sum + x;
                integers = product ? integers * y : integers + y;
            }
            if (tni_ref_is_float(input->dtype)) {
                tni_ref_store(output, at, sum);
            } else {
                tni_ref_store_int(output, at, (int64_t)integers);
            }
            if (exclusive) {
                sum = product ? sum * x : sum + x;
                integers = product ? integers * y : integers + y;
            }
        }
    }
    return TN_OK;
}
