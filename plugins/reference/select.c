// SPDX-License-Identifier: Apache-2.0
// Ops whose result's size depends on the data: NonZero, Compress, Unique (ONNX operator list). Each
// has a bound, the largest shape for the shapes of its inputs, and sets the actual one when it
// runs.
#include "kernels.h"

#include <math.h>

uint32_t tni_ref_non_zero_bound(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const int64_t dims[2] = {x->rank, x->count};
    int64_t count = 0;
    if (!tni_ref_count(dims, 2, &count)) {
        return 0;
    }
    tni_ref_set_dims(call->outputs[0], 2, dims);
    return 1;
}

static uint32_t is_non_zero(const ref_tensor *x, int64_t i) {
    return tni_ref_is_float(x->dtype) ? tni_ref_load(x, i) != 0.0 : tni_ref_load_int(x, i) != 0;
}

// NonZero: the coordinates of the elements that are not zero, one column each, in row-major order.
tn_status tni_ref_non_zero(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    int64_t found = 0;
    for (int64_t i = 0; i < x->count; ++i) {
        found += is_non_zero(x, i);
    }
    int64_t column = 0;
    for (int64_t i = 0; i < x->count; ++i) {
        int64_t at[TN_MAX_RANK];
        if (!is_non_zero(x, i)) {
            continue;
        }
        tni_ref_coordinates(x, i, at);
        for (uint32_t axis = 0; axis < x->rank; ++axis) {
            tni_ref_store_int(y, axis * found + column, at[axis]);
        }
        column += 1;
    }
    const int64_t dims[2] = {x->rank, found};
    tni_ref_set_dims(y, 2, dims);
    return TN_OK;
}

// The axis that slices are taken from; without one, the input is flat.
static uint32_t slice_axis(const ref_call *call, uint32_t *out_has_axis, uint32_t *out_axis) {
    *out_has_axis = tni_ref_has(call, "axis");
    *out_axis = 0;
    return !*out_has_axis ||
           tni_ref_axis(tni_ref_int(call, "axis", 0), call->inputs[0]->rank, out_axis);
}

// Gives an output the input's shape with another size along the axis, or one axis of that size.
static void set_slices(const ref_call *call, ref_tensor *output, uint32_t has_axis, uint32_t axis,
                       int64_t count) {
    int64_t dims[TN_MAX_RANK];
    memcpy(dims, call->inputs[0]->dims, sizeof dims);
    dims[has_axis ? axis : 0] = count;
    tni_ref_set_dims(output, has_axis ? call->inputs[0]->rank : 1, dims);
}

uint32_t tni_ref_compress_bound(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    uint32_t has_axis = 0;
    uint32_t axis = 0;
    if (!slice_axis(call, &has_axis, &axis)) {
        return 0;
    }
    const int64_t size = has_axis ? x->dims[axis] : x->count;
    const int64_t flags = call->inputs[1]->count;
    set_slices(call, call->outputs[0], has_axis, axis, flags < size ? flags : size);
    return 1;
}

// Compress: the slices whose condition holds; a short condition leaves out the rest.
tn_status tni_ref_compress(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *condition = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    uint32_t has_axis = 0;
    uint32_t axis = 0;
    if (!slice_axis(call, &has_axis, &axis) || condition->rank != 1 || x->dtype != y->dtype) {
        return tni_ref_invalid(call, "axis, type or condition");
    }
    const int64_t size = has_axis ? x->dims[axis] : x->count;
    const int64_t inner = has_axis ? tni_ref_product(x->dims, axis + 1, x->rank) : 1;
    const int64_t outer = has_axis ? tni_ref_product(x->dims, 0, axis) : 1;
    const int64_t flags = condition->count < size ? condition->count : size;
    int64_t used = 0;
    int64_t kept = 0;
    for (int64_t k = 0; k < flags; ++k) {
        kept += tni_ref_load_int(condition, k);
    }
    for (int64_t o = 0; o < outer; ++o) {
        for (int64_t k = 0; k < flags; ++k) {
            for (int64_t i = 0; i < inner && tni_ref_load_int(condition, k) != 0; ++i) {
                tni_ref_move(y, used++, x, (o * size + k) * inner + i);
            }
        }
    }
    set_slices(call, y, has_axis, axis, kept);
    return TN_OK;
}

// Unique works on slices along an axis, or on single elements of the flat input.
typedef struct unique_job {
    const ref_tensor *x;
    int64_t size;
    int64_t inner;
    int64_t outer;
    int64_t *order; // slices, sorted
    int64_t *other; // for sorting; then, per slice, the group it belongs to
    int64_t *first; // per group: its first slice
} unique_job;

static uint32_t read_unique(const ref_call *call, unique_job *job, uint32_t *out_has_axis,
                            uint32_t *out_axis) {
    *job = (unique_job){.x = call->inputs[0]};
    if (!slice_axis(call, out_has_axis, out_axis)) {
        return 0;
    }
    const ref_tensor *x = job->x;
    job->size = *out_has_axis ? x->dims[*out_axis] : x->count;
    job->inner = *out_has_axis ? tni_ref_product(x->dims, *out_axis + 1, x->rank) : 1;
    job->outer = *out_has_axis ? tni_ref_product(x->dims, 0, *out_axis) : 1;
    return 1;
}

uint32_t tni_ref_unique_bound(const ref_call *call) {
    unique_job job;
    uint32_t has_axis = 0;
    uint32_t axis = 0;
    if (!read_unique(call, &job, &has_axis, &axis)) {
        return 0;
    }
    set_slices(call, call->outputs[0], has_axis, axis, job.size);
    for (uint32_t i = 1; i < 4; i += 2) {
        if (tni_ref_output(call, i) != NULL) {
            tni_ref_set_dims(call->outputs[i], 1, &job.size);
        }
    }
    return 1;
}

int64_t tni_ref_unique_scratch(const ref_call *call) {
    unique_job job;
    uint32_t has_axis = 0;
    uint32_t axis = 0;
    return read_unique(call, &job, &has_axis, &axis) && job.size < INT64_MAX / 64 ? job.size * 24
                                                                                  : -1;
}

static int compare_elements(const ref_tensor *x, int64_t a, int64_t b) {
    if (tni_ref_is_float(x->dtype)) {
        const double p = tni_ref_load(x, a);
        const double q = tni_ref_load(x, b);
        // NaN comes last, and every NaN stands alone.
        return isnan(p) || isnan(q) ? (isnan(p) ? 1 : -1) : (p > q) - (p < q);
    }
    const int64_t p = tni_ref_load_int(x, a);
    const int64_t q = tni_ref_load_int(x, b);
    return tni_ref_is_unsigned(x->dtype) ? ((uint64_t)p > (uint64_t)q) - ((uint64_t)p < (uint64_t)q)
                                         : (p > q) - (p < q);
}

static int compare_slices(const unique_job *job, int64_t a, int64_t b) {
    for (int64_t o = 0; o < job->outer && a != b; ++o) {
        for (int64_t i = 0; i < job->inner; ++i) {
            const int64_t base = o * job->size * job->inner + i;
            const int order =
                compare_elements(job->x, base + a * job->inner, base + b * job->inner);
            if (order != 0) {
                return order;
            }
        }
    }
    return 0;
}

static uint32_t slice_before(const void *user_data, int64_t a, int64_t b) {
    return compare_slices(user_data, a, b) <= 0 ? 1u : 0u;
}

// Equal slices stay in the order of the input.
static void sort_slices(unique_job *job) {
    for (int64_t i = 0; i < job->size; ++i) {
        job->order[i] = i;
    }
    if (tni_ref_sort(job->order, job->other, job->size, slice_before, job) == job->other) {
        int64_t *sorted = job->other;
        job->other = job->order;
        job->order = sorted;
    }
}

// Numbers the groups of equal slices in sorted order; returns how many there are.
static int64_t group_slices(unique_job *job) {
    int64_t groups = 0;
    for (int64_t i = 0; i < job->size; ++i) {
        if (i == 0 || compare_slices(job, job->order[i - 1], job->order[i]) != 0) {
            job->first[groups++] = job->order[i];
        }
        job->other[job->order[i]] = groups - 1;
    }
    return groups;
}

// Renumbers the groups by where they first occur. order, no longer needed, maps old to new.
static void group_by_occurrence(unique_job *job) {
    int64_t next = 0;
    for (int64_t i = 0; i < job->size; ++i) {
        const int64_t group = job->other[i];
        if (job->first[group] == i) {
            job->order[group] = next++;
        }
    }
    for (int64_t i = 0; i < job->size; ++i) {
        job->other[i] = job->order[job->other[i]];
    }
    for (int64_t i = job->size; i-- > 0;) {
        job->first[job->other[i]] = i;
    }
}

static void store_unique(const ref_call *call, const unique_job *job, int64_t groups) {
    ref_tensor *y = call->outputs[0];
    ref_tensor *inverse = tni_ref_output(call, 2);
    ref_tensor *counts = tni_ref_output(call, 3);
    for (int64_t o = 0; o < job->outer; ++o) {
        for (int64_t g = 0; g < groups; ++g) {
            for (int64_t i = 0; i < job->inner; ++i) {
                tni_ref_move(y, (o * groups + g) * job->inner + i, job->x,
                             (o * job->size + job->first[g]) * job->inner + i);
            }
        }
    }
    for (int64_t g = 0; g < groups; ++g) {
        if (tni_ref_output(call, 1) != NULL) {
            tni_ref_store_int(call->outputs[1], g, job->first[g]);
        }
        if (counts != NULL) {
            tni_ref_store_int(counts, g, 0);
        }
    }
    for (int64_t i = 0; i < job->size; ++i) {
        const int64_t group = job->other[i];
        if (inverse != NULL) {
            tni_ref_store_int(inverse, i, group);
        }
        if (counts != NULL) {
            tni_ref_store_int(counts, group, tni_ref_load_int(counts, group) + 1);
        }
    }
}

// Unique: the distinct slices, sorted or in the order they occur; where each first occurs; which of
// them every slice is; how often each occurs.
tn_status tni_ref_unique(const ref_call *call) {
    unique_job job;
    uint32_t has_axis = 0;
    uint32_t axis = 0;
    const ref_tensor *inverse = tni_ref_output(call, 2);
    if (!read_unique(call, &job, &has_axis, &axis) || call->outputs[0]->dtype != job.x->dtype ||
        (inverse != NULL && inverse->count != job.size)) {
        return tni_ref_invalid(call, "axis, type or shape");
    }
    job.order = (int64_t *)(void *)call->scratch;
    job.other = job.order + job.size;
    job.first = job.other + job.size;
    sort_slices(&job);
    const int64_t groups = group_slices(&job);
    if (tni_ref_int(call, "sorted", 1) == 0) {
        group_by_occurrence(&job);
    }
    store_unique(call, &job, groups);
    set_slices(call, call->outputs[0], has_axis, axis, groups);
    for (uint32_t i = 1; i < 4; i += 2) {
        if (tni_ref_output(call, i) != NULL) {
            tni_ref_set_dims(call->outputs[i], 1, &groups);
        }
    }
    return TN_OK;
}
