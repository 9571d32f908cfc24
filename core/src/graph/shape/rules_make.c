// SPDX-License-Identifier: Apache-2.0
// Shapes of reductions, and of ops that make tensors from shapes or numbers.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <math.h>
#include <string.h>

// The shape with some axes gone, or 1.
static tn_status reduce_axes(tni_inference *in, tn_dtype dtype, const bool *reduced, bool keep) {
    const tni_fact *x = tni_in(in, 0);
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < x->rank; i++) {
        if (!reduced[i]) {
            dims[rank++] = x->dims[i];
        } else if (keep) {
            dims[rank++] = tni_dim(1);
        }
    }
    return tni_state(in, 0, dtype, rank, dims);
}

static tn_status product_element(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    tni_element result = tni_element_of(1);
    const tn_status status = tni_in_elements(in, 0, &elements, &count);
    if (status != TN_OK || elements == NULL) {
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        const bool one = result.known && result.value == 1;
        int64_t value = 0;
        if (elements[i].known && elements[i].value == 1) {
            continue;
        }
        const bool both = result.known && elements[i].known &&
                          tni_mul_i64(result.value, elements[i].value, &value);
        result = one ? elements[i] : both ? tni_element_of(value) : tni_element_unknown();
        if (!result.known && result.symbol == TN_NONE) {
            break;
        }
    }
    return tni_state_elements(in, 0, &result, 1);
}

tn_status tni_rule_reduce(tni_inference *in) {
    uint32_t axes[TN_MAX_RANK];
    uint32_t count = 0;
    bool present = false;
    bool known = false;
    bool reduced[TN_MAX_RANK] = {false};
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (!tni_in_ranked(in, 0)) {
        return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *x = tni_in(in, 0);
    const bool keep = tni_node_int(in->node, "keepdims", 1) != 0;
    tn_status status = tni_axes(in, 1, x->rank, axes, &count, &present, &known);
    if (status != TN_OK) {
        return status;
    }
    if (!known) {
        tn_graph_dim dims[TN_MAX_RANK];
        for (uint32_t i = 0; i < x->rank; i++) {
            dims[i] = tni_dim_unknown();
        }
        // Which axes go is not known, but perhaps how many.
        const tni_fact *given = tni_in(in, 1);
        const bool counted = given != NULL && given->rank == 1 && given->dims[0].size > 0 &&
                             given->dims[0].size <= (int64_t)x->rank;
        const uint32_t left = counted ? x->rank - (uint32_t)given->dims[0].size : TN_RANK_UNKNOWN;
        return tni_state(in, 0, dtype, keep ? x->rank : left, dims);
    }
    if (count == 0 && tni_node_int(in->node, "noop_with_empty_axes", 0) != 0) {
        return tni_state_like(in, 0, 0, dtype);
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        reduced[i] = count == 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        reduced[axes[i]] = true;
    }
    status = reduce_axes(in, dtype, reduced, keep);
    const bool follow = status == TN_OK && x->rank == 1 && tni_node_is(in->node, "ReduceProd");
    return follow ? product_element(in) : status;
}

tn_status tni_rule_arg(tni_inference *in) {
    bool reduced[TN_MAX_RANK] = {false};
    uint32_t axis = 0;
    if (!tni_in_ranked(in, 0)) {
        return tni_state(in, 0, TN_DTYPE_INT64, TN_RANK_UNKNOWN, NULL);
    }
    const tn_status status =
        tni_axis(in, tni_node_int(in->node, "axis", 0), tni_in(in, 0)->rank, &axis);
    if (status != TN_OK) {
        return status;
    }
    reduced[axis] = true;
    return reduce_axes(in, TN_DTYPE_INT64, reduced, tni_node_int(in->node, "keepdims", 1) != 0);
}

tn_status tni_rule_top_k(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    const tni_element *elements = NULL;
    uint32_t count = 0;
    uint32_t axis = 0;
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (!tni_in_ranked(in, 0)) {
        const tn_status first = tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
        return first == TN_OK ? tni_state(in, 1, TN_DTYPE_INT64, TN_RANK_UNKNOWN, NULL) : first;
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", -1), x->rank, &axis);
    if (status == TN_OK) {
        status = tni_in_elements(in, 1, &elements, &count);
    }
    if (status != TN_OK) {
        return status;
    }
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    dims[axis] = tni_dim_unknown();
    if (in->node->since_version < 10) {
        const int64_t k = tni_node_int(in->node, "k", -1);
        dims[axis] = k >= 0 ? tni_dim(k) : tni_dim_unknown();
    } else if (elements != NULL && count == 1) {
        dims[axis] = tni_dim_of_element(elements[0]);
    }
    status = tni_state(in, 0, dtype, x->rank, dims);
    return status == TN_OK ? tni_state(in, 1, TN_DTYPE_INT64, x->rank, dims) : status;
}

tn_status tni_rule_shape(tni_inference *in) {
    tni_element elements[TN_MAX_RANK];
    if (!tni_in_ranked(in, 0)) {
        const tn_graph_dim unknown = tni_dim_unknown();
        return tni_state(in, 0, TN_DTYPE_INT64, 1, &unknown);
    }
    const tni_fact *x = tni_in(in, 0);
    const int64_t rank = x->rank;
    int64_t start = tni_node_int(in->node, "start", 0);
    int64_t end = tni_node_int(in->node, "end", rank);
    start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
    end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
    const uint32_t count = end > start ? (uint32_t)(end - start) : 0;
    for (uint32_t i = 0; i < count; i++) {
        elements[i] = tni_element_of_dim(x->dims[(uint32_t)start + i]);
    }
    const tn_graph_dim dim = tni_dim(count);
    const tn_status status = tni_state(in, 0, TN_DTYPE_INT64, 1, &dim);
    return status == TN_OK ? tni_state_elements(in, 0, elements, count) : status;
}

tn_status tni_rule_size(tni_inference *in) {
    tni_element result = tni_element_of(1);
    const tn_status status = tni_state(in, 0, TN_DTYPE_INT64, 0, NULL);
    if (status != TN_OK || !tni_in_ranked(in, 0)) {
        return status;
    }
    const tni_fact *x = tni_in(in, 0);
    for (uint32_t i = 0; i < x->rank; i++) {
        int64_t value = 0;
        if (x->dims[i].size == 1) {
            continue;
        }
        const bool both = result.known && x->dims[i].size >= 0 &&
                          tni_mul_i64(result.value, x->dims[i].size, &value);
        const bool first = result.known && result.value == 1;
        result = first  ? tni_element_of_dim(x->dims[i])
                 : both ? tni_element_of(value)
                        : tni_element_unknown();
        if (!result.known && result.symbol == TN_NONE) {
            return TN_OK;
        }
    }
    return tni_state_elements(in, 0, &result, 1);
}

// The fill of ConstantOfShape when it is an integer, else nothing.
static tn_status fill_elements(tni_inference *in, const tni_attr *value) {
    tni_element elements[TNI_MAX_ELEMENTS];
    int64_t fill = 0;
    uint32_t count = 0;
    const tni_fact *out = tni_out(in, 0);
    if (value == NULL || out->rank > 1 ||
        (out->rank == 1 && (out->dims[0].size < 0 || out->dims[0].size > TNI_MAX_ELEMENTS))) {
        return TN_OK;
    }
    const tn_status status =
        tni_constant_ints(in->model, value->indices[0], &fill, 1, &count, in->error);
    if (status != TN_OK || count != 1) {
        return status == TN_ERROR_UNSUPPORTED ? TN_OK : status;
    }
    const uint32_t total = out->rank == 1 ? (uint32_t)out->dims[0].size : 1;
    for (uint32_t i = 0; i < total; i++) {
        elements[i] = tni_element_of(fill);
    }
    return tni_state_elements(in, 0, elements, total);
}

tn_status tni_rule_constant_of_shape(tni_inference *in) {
    const tni_attr *value = tni_node_attr(in->node, "value");
    tni_element elements[TNI_MAX_ELEMENTS];
    uint32_t count = 0;
    bool known = false;
    tn_graph_dim dims[TN_MAX_RANK];
    const bool tensor = value != NULL && value->kind == TN_ATTR_TENSOR;
    const tn_dtype dtype = tensor ? in->model->constants[value->indices[0]].dtype : TN_DTYPE_FLOAT;
    tn_status status = tni_in_vector(in, 0, elements, &count, &known);
    if (status != TN_OK || !known || count > TN_MAX_RANK) {
        return status == TN_OK ? tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL) : status;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (elements[i].known && elements[i].value < 0) {
            return tni_contradiction(in, 0, "shape.value", "dimension %u is negative", i);
        }
        dims[i] = tni_dim_of_element(elements[i]);
    }
    status = tni_state(in, 0, dtype, count, dims);
    return status == TN_OK ? fill_elements(in, tensor ? value : NULL) : status;
}

// A scalar by value: followed, or a constant of a floating-point type that is a whole number.
static tn_status read_scalar(tni_inference *in, uint32_t input, tni_element *out_element) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    *out_element = tni_element_unknown();
    tn_status status = tni_in_elements(in, input, &elements, &count);
    if (status != TN_OK || (elements != NULL && count == 1)) {
        *out_element = status == TN_OK ? elements[0] : *out_element;
        return status;
    }
    double number = 0.0;
    status = tni_in_numbers(in, input, &number, 1, &count);
    // Every whole number of this size is exact in all types.
    if (status == TN_OK && count == 1 && fabs(number) < 1e6 && floor(number) == number) {
        *out_element = tni_element_of((int64_t)number);
    }
    return status;
}

// ceil((limit - start) / delta) elements, as the standard defines Range; unknown without all three.
static tn_status length_of_floats(tni_inference *in, tn_graph_dim *out_dim) {
    double ends[3] = {0.0, 0.0, 0.0};
    uint32_t known = 0;
    *out_dim = tni_dim_unknown();
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t count = 0;
        const tn_status status = tni_in_numbers(in, i, &ends[i], 1, &count);
        if (status != TN_OK) {
            return status;
        }
        known += count;
    }
    const double length =
        known == 3 && ends[2] != 0.0 ? ceil((ends[1] - ends[0]) / ends[2]) : (double)NAN;
    if (length < 9.0e15) {
        *out_dim = tni_dim(length > 0.0 ? (int64_t)length : 0);
    }
    return TN_OK;
}

tn_status tni_rule_range(tni_inference *in) {
    tn_graph_dim dim = tni_dim_unknown();
    int64_t ends[3] = {0, 0, 0};
    bool known = true;
    tni_element elements[TNI_MAX_ELEMENTS];
    tni_element limit = tni_element_unknown();
    for (uint32_t i = 0; i < 3; i++) {
        tni_element read;
        const tn_status status = read_scalar(in, i, &read);
        if (status != TN_OK) {
            return status;
        }
        if (i == 2 && read.known && read.value == 0) {
            return tni_contradiction(in, i, "shape.step", "steps of 0 lead nowhere");
        }
        known = known && read.known;
        ends[i] = read.known ? read.value : 0;
        limit = i == 1 ? read : limit;
    }
    int64_t span = 0;
    if (known && ends[2] != INT64_MIN && tni_sub_i64(ends[1], ends[0], &span) &&
        span != INT64_MIN) {
        const int64_t step = ends[2] < 0 ? -ends[2] : ends[2];
        span = ends[2] < 0 ? -span : span;
        dim = tni_dim(span <= 0 ? 0 : (span - 1) / step + 1);
    } else if (!known && ends[0] == 0 && ends[2] == 1 && limit.symbol != TN_NONE) {
        // Range(0, n, 1) has n elements.
        dim.symbol = limit.symbol;
    } else if (!known) {
        const tn_status status = length_of_floats(in, &dim);
        if (status != TN_OK) {
            return status;
        }
    }
    const tn_status status = tni_state(in, 0, tni_in_dtype(in, 0), 1, &dim);
    if (status != TN_OK || !known || dim.size < 0 || dim.size > TNI_MAX_ELEMENTS) {
        return status;
    }
    for (int64_t i = 0; i < dim.size; i++) {
        elements[i] = tni_element_of(ends[0] + i * ends[2]);
    }
    return tni_state_elements(in, 0, elements, (uint32_t)dim.size);
}

tn_status tni_rule_non_zero(tni_inference *in) {
    const tn_graph_dim dims[2] = {
        tni_in_ranked(in, 0) ? tni_dim(tni_in(in, 0)->rank) : tni_dim_unknown(), tni_dim_unknown()};
    return tni_state(in, 0, TN_DTYPE_INT64, 2, dims);
}
