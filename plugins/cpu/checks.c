// SPDX-License-Identifier: Apache-2.0
// Limits of single ops. Each refusal names the operand or attribute that is at fault.
#include "checks.h"

static uint32_t rank_of(const tn_graph_view *view, const tn_graph_node *node, uint32_t input) {
    return tn_view_value(view, tn_view_node_input(view, node, input))->dims.count;
}

// -1 where it is open, and of an axis that there is not.
static int64_t size_of(const tn_graph_view *view, uint32_t value, uint32_t axis) {
    const tn_graph_value *v = tn_view_value(view, value);
    return axis < v->dims.count ? tn_view_value_dim(view, v, axis)->size : -1;
}

static uint32_t no(tn_node_verdict *out_verdict, tn_reason reason, uint32_t subject, int64_t limit,
                   int64_t actual) {
    tn_helper_no(out_verdict, reason, subject, limit, actual);
    return 0;
}

static uint32_t no_attribute(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                             int64_t limit, int64_t actual, tn_node_verdict *out_verdict) {
    uint32_t index = TN_NONE;
    (void)tn_view_find_attr(view, node, name, &index);
    return no(out_verdict, TN_REASON_ATTR_UNSUPPORTED, index, limit, actual);
}

static uint32_t check_rank(const tn_graph_view *view, const tn_graph_node *node, uint32_t least,
                           uint32_t most, tn_node_verdict *out_verdict) {
    const uint32_t rank = rank_of(view, node, 0);
    return rank < least || rank > most
               ? no(out_verdict, TN_REASON_RANK_LIMIT, 0, rank < least ? least : most, rank)
               : 1;
}

uint32_t tni_cpu_check_conv(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    return check_rank(view, node, 3, 5, out_verdict);
}

uint32_t tni_cpu_check_pool(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    int64_t dilations[8];
    const uint32_t count = tn_view_attr_ints(view, node, "dilations", dilations, 8);
    for (uint32_t i = 0; i < count && i < 8; ++i) {
        if (dilations[i] != 1) {
            return no_attribute(view, node, "dilations", 1, dilations[i], out_verdict);
        }
    }
    if (tn_view_attr_int(view, node, "ceil_mode", 0) != 0 &&
        tn_view_attr_int(view, node, "count_include_pad", 0) != 0) {
        return no_attribute(view, node, "ceil_mode", 0, 1, out_verdict);
    }
    return check_rank(view, node, 3, 5, out_verdict);
}

uint32_t tni_cpu_check_matmul(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict) {
    const uint32_t left = rank_of(view, node, 0);
    const uint32_t right = rank_of(view, node, 1);
    if (left < 2 || right < 2) {
        return no(out_verdict, TN_REASON_RANK_LIMIT, left < 2 ? 0 : 1, 2, left < 2 ? left : right);
    }
    return 1;
}

uint32_t tni_cpu_check_gemm(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    const uint32_t bias = tn_view_node_input(view, node, 2);
    if (tn_view_attr_float(view, node, "alpha", 1.0f) != 1.0f) {
        return no_attribute(view, node, "alpha", 1, 0, out_verdict);
    }
    if (tn_view_attr_int(view, node, "transA", 0) != 0) {
        return no_attribute(view, node, "transA", 0, 1, out_verdict);
    }
    if (bias == TN_NONE) {
        return 1;
    }
    if (tn_view_attr_float(view, node, "beta", 1.0f) != 1.0f) {
        return no_attribute(view, node, "beta", 1, 0, out_verdict);
    }
    const uint32_t rank = rank_of(view, node, 2);
    const uint32_t out = tn_view_node_output(view, node, 0);
    return rank != 1 || size_of(view, bias, 0) != size_of(view, out, 1)
               ? no(out_verdict, TN_REASON_RANK_LIMIT, 2, 1, rank)
               : 1;
}

uint32_t tni_cpu_check_batch_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict) {
    if (tn_view_attr_int(view, node, "training_mode", 0) != 0) {
        return no_attribute(view, node, "training_mode", 0, 1, out_verdict);
    }
    return check_rank(view, node, 2, 5, out_verdict);
}

uint32_t tni_cpu_check_softmax(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict) {
    const int64_t rank = rank_of(view, node, 0);
    const int64_t axis = tn_view_attr_int(view, node, "axis", -1);
    if (rank == 0) {
        return no(out_verdict, TN_REASON_RANK_LIMIT, 0, 1, 0);
    }
    return axis != -1 && axis != rank - 1
               ? no_attribute(view, node, "axis", rank - 1, axis, out_verdict)
               : 1;
}

uint32_t tni_cpu_check_layer_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict) {
    const int64_t rank = rank_of(view, node, 0);
    const int64_t axis = tn_view_attr_int(view, node, "axis", -1);
    const int64_t from = axis < 0 ? axis + rank : axis;
    if (rank == 0) {
        return no(out_verdict, TN_REASON_RANK_LIMIT, 0, 1, 0);
    }
    if (from < 0 || from >= rank) {
        return no_attribute(view, node, "axis", rank, axis, out_verdict);
    }
    for (uint32_t input = 1; input < node->inputs.count; ++input) {
        if (tn_view_node_input(view, node, input) != TN_NONE &&
            (int64_t)rank_of(view, node, input) != rank - from) {
            return no(out_verdict, TN_REASON_RANK_LIMIT, input, rank - from,
                      rank_of(view, node, input));
        }
    }
    return 1;
}

// The integers of a constant input, where the host can give them; a judgement reads few and small
// ones only, so it looks at the shape alone: axes must be a known number of the last ones.
uint32_t tni_cpu_check_reduce(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict) {
    int64_t axes[8];
    const int64_t rank = rank_of(view, node, 0);
    const uint32_t count = tn_view_attr_ints(view, node, "axes", axes, 8);
    uint32_t seen = 0;
    if (rank == 0) {
        return no(out_verdict, TN_REASON_RANK_LIMIT, 0, 1, 0);
    }
    if (count == 0 || count > 8) {
        return no(out_verdict, TN_REASON_ATTR_UNSUPPORTED, TN_NONE, 0, 0);
    }
    for (uint32_t i = 0; i < count; ++i) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        seen |= axis >= 0 && axis < rank ? 1u << axis : 0u;
    }
    const uint32_t last = (1u << rank) - (1u << (rank - count > 0 ? rank - count : 0));
    const uint32_t spatial = rank == 4 && count == 2 && seen == 12u;
    return seen != last && !spatial ? no_attribute(view, node, "axes", 0, axes[0], out_verdict) : 1;
}

// Whether nearest samples of an integer enlargement are the same in both definitions.
static uint32_t enlarges(const tn_graph_view *view, const tn_graph_node *node) {
    const uint32_t in = tn_view_node_input(view, node, 0);
    const uint32_t out = tn_view_node_output(view, node, 0);
    for (uint32_t axis = 2; axis < rank_of(view, node, 0); ++axis) {
        const int64_t from = size_of(view, in, axis);
        const int64_t to = size_of(view, out, axis);
        if (from < 1 || to < from || to % from != 0) {
            return 0;
        }
    }
    return size_of(view, in, 0) == size_of(view, out, 0) &&
           size_of(view, in, 1) == size_of(view, out, 1);
}

uint32_t tni_cpu_check_resize(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict) {
    const char *transform = "coordinate_transformation_mode";
    const tn_string mode = tn_view_attr_string(view, node, "mode");
    const tn_string written = tn_view_attr_string(view, node, transform);
    const uint32_t half =
        written.data == NULL || tn_view_attr_string_is(view, node, transform, "half_pixel");
    if (!check_rank(view, node, 3, 5, out_verdict)) {
        return 0;
    }
    if (tn_view_attr_int(view, node, "antialias", 0) != 0) {
        return no_attribute(view, node, "antialias", 0, 1, out_verdict);
    }
    if (!enlarges(view, node)) {
        return no(out_verdict, TN_REASON_DYNAMIC_SHAPE, node->inputs.count, 0, 0);
    }
    if (mode.data != NULL && tn_view_attr_string_is(view, node, "mode", "linear")) {
        return half ? 1 : no_attribute(view, node, transform, 0, 0, out_verdict);
    }
    if (mode.data != NULL && !tn_view_attr_string_is(view, node, "mode", "nearest")) {
        return no_attribute(view, node, "mode", 0, 0, out_verdict);
    }
    const tn_string nearest = tn_view_attr_string(view, node, "nearest_mode");
    const uint32_t floors =
        nearest.data == NULL ||
        tn_view_attr_string_is(view, node, "nearest_mode", "round_prefer_floor");
    const uint32_t asymmetric = tn_view_attr_string_is(view, node, transform, "asymmetric") &&
                                tn_view_attr_string_is(view, node, "nearest_mode", "floor");
    return (half && floors) || asymmetric ? 1
                                          : no_attribute(view, node, transform, 0, 0, out_verdict);
}

// A third input says whether to train.
uint32_t tni_cpu_check_dropout(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict) {
    return tn_view_node_input(view, node, 2) != TN_NONE
               ? no(out_verdict, TN_REASON_OPTIONAL_INPUT, 2, 0, 1)
               : 1;
}

// The table's type columns have no "indices too": what is gathered may not be an index.
uint32_t tni_cpu_check_gather(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict) {
    const uint32_t rank = rank_of(view, node, 0);
    return rank == 0 ? no(out_verdict, TN_REASON_RANK_LIMIT, 0, 1, rank) : 1;
}

static uint32_t is_scalar(const tn_graph_view *view, uint32_t value) {
    const tn_graph_value *v = tn_view_value(view, value);
    for (uint32_t axis = 0; axis < v->dims.count; ++axis) {
        if (tn_view_value_dim(view, v, axis)->size != 1) {
            return 0;
        }
    }
    return 1;
}

uint32_t tni_cpu_check_quantize(const tn_graph_view *view, const tn_graph_node *node,
                                tn_node_verdict *out_verdict) {
    return is_scalar(view, tn_view_node_input(view, node, 1))
               ? 1
               : no(out_verdict, TN_REASON_QUANT_SCHEME, 1, 0, 1);
}

// Of the operands that the table's columns cannot tell apart: weights and bias integers, scales
// floats. Input and result have one scale each, and a bias is known.
uint32_t tni_cpu_check_qlinear(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict) {
    const tn_dtype none = TN_DTYPE_UNDEFINED;
    const tn_dtype wanted[9] = {none, none,           none, none,          TN_DTYPE_FLOAT,
                                none, TN_DTYPE_FLOAT, none, TN_DTYPE_INT32};
    for (uint32_t i = 3; i < node->inputs.count && i < 9; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        const tn_dtype dtype = value == TN_NONE ? none : tn_view_value(view, value)->dtype;
        const uint32_t is_byte = dtype == TN_DTYPE_INT8 || dtype == TN_DTYPE_UINT8;
        if (value != TN_NONE && (wanted[i] == none ? !is_byte : dtype != wanted[i])) {
            return no(out_verdict, TN_REASON_DTYPE, i, 0, dtype);
        }
    }
    const uint32_t bias = tn_view_node_input(view, node, 8);
    if (bias != TN_NONE && tn_view_value_constant(view, tn_view_value(view, bias)) == NULL) {
        return no(out_verdict, TN_REASON_NEEDS_CONSTANT, 8, 0, 0);
    }
    for (uint32_t i = 1; i < 7; i += 5) {
        if (!is_scalar(view, tn_view_node_input(view, node, i))) {
            return no(out_verdict, TN_REASON_QUANT_SCHEME, i, 0, 1);
        }
    }
    return rank_of(view, node, 0) < 2 ? no(out_verdict, TN_REASON_RANK_LIMIT, 0, 2, 1) : 1;
}

// Scales by axis, and other types than bytes, are those of weights and biases.
uint32_t tni_cpu_check_dequantize(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict) {
    const tn_graph_value *x = tn_view_value(view, tn_view_node_input(view, node, 0));
    const tn_graph_constant *known = tn_view_value_constant(view, x);
    if (known != NULL && (known->flags & TN_CONSTANT_REPLACEABLE) == 0) {
        return 1;
    }
    if (x->dtype != TN_DTYPE_INT8 && x->dtype != TN_DTYPE_UINT8) {
        return no(out_verdict, TN_REASON_NEEDS_CONSTANT, 0, 0, 0);
    }
    return tni_cpu_check_quantize(view, node, out_verdict);
}

// The table's columns cannot tell lengths, which are int32, from states, which are not.
uint32_t tni_cpu_check_lstm(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    if (tn_view_attr_int(view, node, "layout", 0) != 0) {
        return no_attribute(view, node, "layout", 0, 1, out_verdict);
    }
    for (uint32_t i = 3; i < node->inputs.count; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        const tn_dtype wanted = i == 4 ? TN_DTYPE_INT32 : TN_DTYPE_FLOAT;
        if (value != TN_NONE && tn_view_value(view, value)->dtype != wanted) {
            return no(out_verdict, TN_REASON_DTYPE, i, 0, tn_view_value(view, value)->dtype);
        }
    }
    return check_rank(view, node, 3, 3, out_verdict);
}

// Of three and more, each must be as large as the result, since partial results are not.
uint32_t tni_cpu_check_variadic(const tn_graph_view *view, const tn_graph_node *node,
                                tn_node_verdict *out_verdict) {
    const uint32_t out = tn_view_node_output(view, node, 0);
    const uint32_t rank = tn_view_value(view, out)->dims.count;
    for (uint32_t i = 0; node->inputs.count > 2 && i < node->inputs.count; ++i) {
        const uint32_t in = tn_view_node_input(view, node, i);
        if (rank_of(view, node, i) != rank) {
            return no(out_verdict, TN_REASON_RANK_LIMIT, i, rank, rank_of(view, node, i));
        }
        for (uint32_t axis = 0; axis < rank; ++axis) {
            if (size_of(view, in, axis) != size_of(view, out, axis) ||
                size_of(view, in, axis) < 0) {
                return no(out_verdict, TN_REASON_DIM_LIMIT, i, size_of(view, out, axis),
                          size_of(view, in, axis));
            }
        }
    }
    return 1;
}
