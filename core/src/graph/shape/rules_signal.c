// SPDX-License-Identifier: Apache-2.0
// Shapes of transforms and windows, of random numbers, and of losses, selections and other ops
// whose result is typed by an attribute.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <string.h>

static tn_status state_unknown(tni_inference *in, tn_dtype dtype) {
    return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
}

// A type that an attribute names; fallback when it is absent.
static tn_dtype attribute_dtype(const tni_inference *in, const char *name, tn_dtype fallback) {
    const int64_t dtype = tni_node_int(in->node, name, 0);
    return dtype > 0 && dtype < (int64_t)TN_DTYPE_COUNT ? (tn_dtype)dtype : fallback;
}

// A scalar input by value.
static tn_status read_scalar(tni_inference *in, uint32_t input, tni_element *out_element) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    const tn_status status = tni_in_elements(in, input, &elements, &count);
    *out_element =
        status == TN_OK && elements != NULL && count == 1 ? elements[0] : tni_element_unknown();
    return status;
}

static tn_graph_dim one_sided(tn_graph_dim length) {
    return length.size >= 0 ? tni_dim(length.size / 2 + 1) : tni_dim_unknown();
}

static tn_status dft_axis(tni_inference *in, const tni_fact *x, uint32_t *out_axis,
                          bool *out_known) {
    tni_element axis = tni_element_of(-2);
    tn_status status = TN_OK;
    if (in->node->since_version < 20) {
        axis = tni_element_of(tni_node_int(in->node, "axis", 1));
    } else if (tni_in(in, 2) != NULL) {
        status = read_scalar(in, 2, &axis);
    }
    *out_known = axis.known;
    return status == TN_OK && axis.known ? tni_axis(in, axis.value, x->rank, out_axis) : status;
}

tn_status tni_rule_dft(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axis = 0;
    bool known = false;
    tni_element given = tni_element_unknown();
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (!tni_in_ranked(in, 0) || tni_in(in, 0)->rank < 2) {
        return state_unknown(in, dtype);
    }
    const tni_fact *x = tni_in(in, 0);
    const bool inverse = tni_node_int(in->node, "inverse", 0) != 0;
    const bool half = tni_node_int(in->node, "onesided", 0) != 0;
    tn_status status = dft_axis(in, x, &axis, &known);
    if (status == TN_OK) {
        status = read_scalar(in, 1, &given);
    }
    if (status != TN_OK) {
        return status;
    }
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    for (uint32_t i = 0; i + 1 < x->rank && !known; i++) {
        dims[i] = tni_dim_unknown();
    }
    if (known) {
        tn_graph_dim length = dims[axis];
        if (inverse && half) {
            length = length.size > 0 ? tni_dim(2 * (length.size - 1)) : tni_dim_unknown();
        }
        length = tni_in(in, 1) != NULL ? tni_dim_of_element(given) : length;
        dims[axis] = half && !inverse ? one_sided(length) : length;
    }
    dims[x->rank - 1] = tni_dim(half && inverse ? 1 : 2);
    return tni_state(in, 0, dtype, x->rank, dims);
}

tn_status tni_rule_stft(tni_inference *in) {
    tni_element step = tni_element_unknown();
    tni_element given = tni_element_unknown();
    tn_graph_dim dims[4] = {tni_dim_unknown(), tni_dim_unknown(), tni_dim_unknown(), tni_dim(2)};
    const bool half = tni_node_int(in->node, "onesided", 1) != 0;
    tn_status status = read_scalar(in, 1, &step);
    if (status == TN_OK) {
        status = read_scalar(in, 3, &given);
    }
    if (status == TN_OK && tni_in_ranked(in, 0) && tni_in(in, 0)->rank >= 2) {
        const tni_fact *x = tni_in(in, 0);
        const tni_fact *window = tni_in(in, 2);
        tn_graph_dim length = x->dims[1];
        if (tni_in(in, 3) != NULL) {
            length = tni_dim_of_element(given);
        } else if (window != NULL) {
            length =
                tni_in_ranked(in, 2) && window->rank == 1 ? window->dims[0] : tni_dim_unknown();
        }
        dims[0] = x->dims[0];
        dims[2] = half ? one_sided(length) : length;
        if (step.known && step.value > 0 && length.size >= 0 && x->dims[1].size >= length.size) {
            dims[1] = tni_dim((x->dims[1].size - length.size) / step.value + 1);
        }
    }
    return status == TN_OK ? tni_state(in, 0, tni_in_dtype(in, 0), 4, dims) : status;
}

tn_status tni_rule_window(tni_inference *in) {
    tni_element size;
    const tn_status status = read_scalar(in, 0, &size);
    const tn_graph_dim dim = tni_dim_of_element(size);
    const tn_dtype dtype = attribute_dtype(in, "output_datatype", TN_DTYPE_FLOAT);
    return status == TN_OK ? tni_state(in, 0, dtype, 1, &dim) : status;
}

// [dft_length / 2 + 1, mel bins].
tn_status tni_rule_mel(tni_inference *in) {
    tni_element bins = tni_element_unknown();
    tni_element length = tni_element_unknown();
    tn_status status = read_scalar(in, 0, &bins);
    if (status == TN_OK) {
        status = read_scalar(in, 1, &length);
    }
    const tn_graph_dim dims[2] = {one_sided(tni_dim_of_element(length)), tni_dim_of_element(bins)};
    const tn_dtype dtype = attribute_dtype(in, "output_datatype", TN_DTYPE_FLOAT);
    return status == TN_OK ? tni_state(in, 0, dtype, 2, dims) : status;
}

tn_status tni_rule_random(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t count = 0;
    const int64_t *shape = tni_node_ints(in->node, "shape", &count);
    const tn_dtype dtype = attribute_dtype(in, "dtype", TN_DTYPE_FLOAT);
    if (count > TN_MAX_RANK) {
        return tni_contradiction(in, 0, "shape.rank", "rank %u", count);
    }
    for (uint32_t i = 0; i < count && shape != NULL; i++) {
        dims[i] = shape[i] >= 0 ? tni_dim(shape[i]) : tni_dim_unknown();
    }
    return tni_state(in, 0, dtype, shape != NULL ? count : TN_RANK_UNKNOWN, dims);
}

// The shape of the input, with the type of an attribute: RandomUniformLike, EyeLike, Bernoulli,
// BitCast.
tn_status tni_rule_typed_like(tni_inference *in) {
    const char *name = tni_node_is(in->node, "BitCast") ? "to" : "dtype";
    return tni_state_like(in, 0, 0, attribute_dtype(in, name, tni_in_dtype(in, 0)));
}

tn_status tni_rule_multinomial(tni_inference *in) {
    const bool ranked = tni_in_ranked(in, 0) && tni_in(in, 0)->rank == 2;
    const int64_t samples = tni_node_int(in->node, "sample_size", 1);
    const tn_graph_dim dims[2] = {ranked ? tni_in(in, 0)->dims[0] : tni_dim_unknown(),
                                  samples >= 0 ? tni_dim(samples) : tni_dim_unknown()};
    return tni_state(in, 0, attribute_dtype(in, "dtype", TN_DTYPE_INT32), 2, dims);
}

// The shape of the targets, or a scalar; the second result is like the scores.
tn_status tni_rule_loss(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    const bool none = tni_string_is(tni_node_text(in->node, "reduction", "mean"), "none");
    const tn_status status =
        none ? tni_state_like(in, 0, 1, dtype) : tni_state(in, 0, dtype, 0, NULL);
    return status == TN_OK ? tni_state_like(in, 1, 0, dtype) : status;
}

// A number for each matrix.
tn_status tni_rule_det(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in, dtype);
    }
    const tni_fact *x = tni_in(in, 0);
    return x->rank < 2 ? tni_contradiction(in, 0, "shape.rank", "no matrix")
                       : tni_state(in, 0, dtype, x->rank - 2, x->dims);
}

// Columns up to the largest index.
tn_status tni_rule_tfidf(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t count = 0;
    int64_t columns = 0;
    const int64_t *indexes = tni_node_ints(in->node, "ngram_indexes", &count);
    if (!tni_in_ranked(in, 0) || tni_in(in, 0)->rank < 1) {
        return state_unknown(in, TN_DTYPE_FLOAT);
    }
    const tni_fact *x = tni_in(in, 0);
    for (uint32_t i = 0; i < count && indexes != NULL; i++) {
        columns = indexes[i] >= columns && indexes[i] < INT32_MAX ? indexes[i] + 1 : columns;
    }
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    dims[x->rank - 1] = tni_dim(columns);
    return tni_state(in, 0, TN_DTYPE_FLOAT, x->rank, dims);
}

// The input with one size unknown, or a vector of unknown size without an axis.
static tn_status state_selected(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK] = {tni_dim_unknown()};
    uint32_t axis = 0;
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (tni_node_attr(in->node, "axis") == NULL) {
        return tni_state(in, 0, dtype, 1, dims);
    }
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in, dtype);
    }
    const tni_fact *x = tni_in(in, 0);
    const tn_status status = tni_axis(in, tni_node_int(in->node, "axis", 0), x->rank, &axis);
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    dims[axis] = tni_dim_unknown();
    return status == TN_OK ? tni_state(in, 0, dtype, x->rank, dims) : status;
}

tn_status tni_rule_compress(tni_inference *in) {
    return state_selected(in);
}

// inverse_indices has one entry per slice of the input; the others are as long as the result.
tn_status tni_rule_unique(tni_inference *in) {
    const tn_graph_dim unknown = tni_dim_unknown();
    tn_graph_dim slices = tni_dim_unknown();
    tn_status status = state_selected(in);
    if (status == TN_OK && tni_in_ranked(in, 0)) {
        const tni_fact *x = tni_in(in, 0);
        uint32_t axis = 0;
        if (tni_node_attr(in->node, "axis") != NULL) {
            status = tni_axis(in, tni_node_int(in->node, "axis", 0), x->rank, &axis);
            slices = status == TN_OK ? x->dims[axis] : unknown;
        } else {
            int64_t count = 1;
            bool known = true;
            for (uint32_t i = 0; i < x->rank; i++) {
                known =
                    known && x->dims[i].size >= 0 && tni_mul_i64(count, x->dims[i].size, &count);
            }
            slices = known ? tni_dim(count) : (x->rank == 1 ? x->dims[0] : unknown);
        }
    }
    for (uint32_t i = 1; i < 4 && status == TN_OK; i++) {
        status = tni_state(in, i, TN_DTYPE_INT64, 1, i == 2 ? &slices : &unknown);
    }
    return status;
}
