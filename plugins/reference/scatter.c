// SPDX-License-Identifier: Apache-2.0
// Ops that write or pick by index: ScatterElements, ScatterND, TopK, EyeLike.
#include "kernels.h"

#include <math.h>

typedef enum reduction {
    REDUCTION_NONE,
    REDUCTION_ADD,
    REDUCTION_MUL,
    REDUCTION_MIN,
    REDUCTION_MAX,
} reduction;

static uint32_t read_reduction(const ref_call *call, reduction *out_reduction) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    *out_reduction = REDUCTION_NONE;
    if (!tni_ref_has(call, "reduction")) {
        return 1;
    }
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        if (tn_view_attr_string_is(call->view, call->node, "reduction", names[i])) {
            *out_reduction = (reduction)i;
            return 1;
        }
    }
    return 0;
}

static double combine(reduction how, double old, double update) {
    switch (how) {
    case REDUCTION_ADD:
        return old + update;
    case REDUCTION_MUL:
        return old * update;
    case REDUCTION_MIN:
        return update < old ? update : old;
    case REDUCTION_MAX:
        return update > old ? update : old;
    case REDUCTION_NONE:
        break;
    }
    return update;
}

static int64_t combine_integers(reduction how, int64_t old, int64_t update, uint32_t is_unsigned) {
    const uint32_t less = is_unsigned ? (uint64_t)update < (uint64_t)old : (uint32_t)(update < old);
    switch (how) {
    case REDUCTION_ADD:
        return (int64_t)((uint64_t)old + (uint64_t)update);
    case REDUCTION_MUL:
        return (int64_t)((uint64_t)old * (uint64_t)update);
    case REDUCTION_MIN:
        return less ? update : old;
    case REDUCTION_MAX:
        return less ? old : update;
    case REDUCTION_NONE:
        break;
    }
    return update;
}

static void update_element(ref_tensor *output, int64_t at, const ref_tensor *updates, int64_t from,
                           reduction how) {
    const size_t bytes = (size_t)tni_ref_element_bytes(output->dtype);
    if (how == REDUCTION_NONE) {
        memcpy(output->data + (size_t)at * bytes, updates->data + (size_t)from * bytes, bytes);
    } else if (tni_ref_is_float(output->dtype)) {
        tni_ref_store(output, at,
                      combine(how, tni_ref_load(output, at), tni_ref_load(updates, from)));
    } else {
        tni_ref_store_int(output, at,
                          combine_integers(how, tni_ref_load_int(output, at),
                                           tni_ref_load_int(updates, from),
                                           tni_ref_is_unsigned(output->dtype)));
    }
}

// Starts the output as a copy of the data, and checks what both kinds of Scatter need.
static uint32_t begin_scatter(const ref_call *call, reduction *out_reduction) {
    const ref_tensor *data = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    if (!tni_ref_same_shape(data, output) || data->dtype != output->dtype ||
        call->inputs[2]->dtype != output->dtype || !read_reduction(call, out_reduction)) {
        return 0;
    }
    if (output->size_bytes != 0) {
        memcpy(output->data, data->data, (size_t)output->size_bytes);
    }
    return 1;
}

tn_status tni_ref_scatter_elements(const ref_call *call) {
    const ref_tensor *indices = call->inputs[1];
    const ref_tensor *updates = call->inputs[2];
    ref_tensor *output = call->outputs[0];
    reduction how = REDUCTION_NONE;
    uint32_t axis = 0;
    if (!begin_scatter(call, &how) || !tni_ref_same_shape(indices, updates) ||
        indices->rank != output->rank ||
        !tni_ref_axis(tni_ref_int(call, "axis", 0), output->rank, &axis)) {
        return tni_ref_invalid(call, "shapes, types, axis or reduction");
    }
    for (uint32_t i = 0; i < output->rank; ++i) {
        if (i != axis && indices->dims[i] > output->dims[i]) {
            return tni_ref_invalid(call, "indices reach beyond the data");
        }
    }
    for (int64_t i = 0; i < indices->count; ++i) {
        int64_t rest = i;
        int64_t step = 1;
        int64_t at = 0;
        for (uint32_t d = output->rank; d-- > 0;) {
            int64_t position = rest % indices->dims[d];
            rest /= indices->dims[d];
            if (d == axis &&
                !tni_ref_wrap(tni_ref_load_int(indices, i), output->dims[d], &position)) {
                return tni_ref_invalid(call, "an index lies outside the axis");
            }
            at += position * step;
            step *= output->dims[d];
        }
        update_element(output, at, updates, i, how);
    }
    return TN_OK;
}

// ScatterND: each row of indices names a slice of the output, each slice of updates goes there.
tn_status tni_ref_scatter_nd(const ref_call *call) {
    const ref_tensor *indices = call->inputs[1];
    const ref_tensor *updates = call->inputs[2];
    ref_tensor *output = call->outputs[0];
    reduction how = REDUCTION_NONE;
    if (!begin_scatter(call, &how) || indices->rank < 1) {
        return tni_ref_invalid(call, "shapes, types or reduction");
    }
    const int64_t depth = indices->dims[indices->rank - 1];
    if (depth < 0 || depth > (int64_t)output->rank) {
        return tni_ref_invalid(call, "last axis of the indices");
    }
    const int64_t tuples = tni_ref_product(indices->dims, 0, indices->rank - 1);
    const int64_t slice = tni_ref_product(output->dims, (uint32_t)depth, output->rank);
    if (updates->count != tuples * slice) {
        return tni_ref_invalid(call, "shape of the updates");
    }
    for (int64_t t = 0; t < tuples; ++t) {
        int64_t at = 0;
        for (int64_t k = 0; k < depth; ++k) {
            const int64_t size = output->dims[k];
            int64_t index = 0;
            if (!tni_ref_wrap(tni_ref_load_int(indices, t * depth + k), size, &index)) {
                return tni_ref_invalid(call, "an index lies outside its axis");
            }
            at = at * size + index;
        }
        for (int64_t i = 0; i < slice; ++i) {
            update_element(output, at * slice + i, updates, t * slice + i, how);
        }
    }
    return TN_OK;
}

// Whether element a comes before b in TopK's order: by value, equal ones by index. NaN, which ONNX
// does not place, counts as larger than every number.
static uint32_t comes_first(const ref_tensor *input, int64_t base, int64_t step, int64_t a,
                            int64_t b, uint32_t largest) {
    const double x = tni_ref_load(input, base + a * step);
    const double y = tni_ref_load(input, base + b * step);
    if (isnan(x) != isnan(y)) {
        return (largest ? isnan(x) : isnan(y)) ? 1u : 0u;
    }
    if (!isnan(x) && x != y) {
        return (largest ? x > y : x < y) ? 1u : 0u;
    }
    return a < b ? 1u : 0u;
}

// The element that follows last in the order; with last -1, the first of all. There is one.
static int64_t next_best(const ref_tensor *input, int64_t base, int64_t step, int64_t last,
                         int64_t size, uint32_t largest) {
    int64_t best = -1;
    for (int64_t i = 0; i < size; ++i) {
        const uint32_t follows =
            last < 0 || (i != last && comes_first(input, base, step, last, i, largest)) ? 1u : 0u;
        if (follows && (best < 0 || comes_first(input, base, step, i, best, largest))) {
            best = i;
        }
    }
    return best;
}

static void put_best(ref_tensor *values, ref_tensor *indices, int64_t at, const ref_tensor *input,
                     int64_t from, int64_t index) {
    if (values != NULL) {
        const size_t bytes = (size_t)tni_ref_element_bytes(values->dtype);
        memcpy(values->data + (size_t)at * bytes, input->data + (size_t)from * bytes, bytes);
    }
    if (indices != NULL) {
        tni_ref_store_int(indices, at, index);
    }
}

// TopK: the k largest (or smallest) along an axis, in order. Sorted or not is the caller's wish;
// sorted is always right.
tn_status tni_ref_top_k(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *values = tni_ref_output(call, 0);
    ref_tensor *indices = tni_ref_output(call, 1);
    const uint32_t largest = tni_ref_int(call, "largest", 1) != 0 ? 1u : 0u;
    const ref_tensor *shape = values != NULL ? values : indices;
    uint32_t axis = 0;
    if (shape == NULL || shape->rank != input->rank ||
        !tni_ref_axis(tni_ref_int(call, "axis", -1), input->rank, &axis) ||
        (values != NULL && values->dtype != input->dtype) ||
        (indices != NULL &&
         (indices->dtype != TN_DTYPE_INT64 || !tni_ref_same_shape(indices, shape)))) {
        return tni_ref_invalid(call, "axis, type or shape of an output");
    }
    const int64_t size = input->dims[axis];
    const int64_t k = shape->dims[axis];
    const int64_t inner = tni_ref_product(input->dims, axis + 1, input->rank);
    const int64_t outer = tni_ref_product(input->dims, 0, axis);
    const ref_tensor *given = tni_ref_input(call, 1);
    if (given != NULL && (given->count != 1 || tni_ref_load_int(given, 0) != k)) {
        return tni_ref_stale(call, 1);
    }
    if (k > size || shape->count != outer * k * inner) {
        return tni_ref_invalid(call, "k");
    }
    for (int64_t run = 0; run < outer * inner; ++run) {
        const int64_t base = run / inner * size * inner + run % inner;
        int64_t last = -1;
        for (int64_t rank = 0; rank < k; ++rank) {
            last = next_best(input, base, inner, last, size, largest);
            const int64_t at = (run / inner * k + rank) * inner + run % inner;
            put_best(values, indices, at, input, base + last * inner, last);
        }
    }
    return TN_OK;
}

// EyeLike: ones on the k-th diagonal.
tn_status tni_ref_eye_like(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    const int64_t k = tni_ref_int(call, "k", 0);
    if (output->rank != 2 || !tni_ref_same_shape(call->inputs[0], output)) {
        return tni_ref_invalid(call, "shape");
    }
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t row = i / output->dims[1];
        const int64_t column = i % output->dims[1];
        tni_ref_store_int(output, i, column - row == k ? 1 : 0);
    }
    return TN_OK;
}
