// SPDX-License-Identifier: Apache-2.0
// See the header. What computes with windows, rows and scales is here; what only moves elements is
// in fit_movement.c.
#include "fit.h"

#include "window.h"

// Null where it is absent.
static const cpu_value *in(const cpu_build *build, const cpu_node *node, uint32_t index) {
    const uint32_t value = tni_cpu_input(node, index);
    return value == TN_NONE ? NULL : tni_cpu_value(build, value);
}

static const cpu_value *out(const cpu_build *build, const cpu_node *node, uint32_t index) {
    const uint32_t value = index < node->output_count ? node->outputs[index] : TN_NONE;
    return value == TN_NONE ? NULL : tni_cpu_value(build, value);
}

static uint32_t has_dims(const cpu_value *value, uint32_t rank, const int64_t *dims) {
    uint32_t same = value->rank == rank;
    for (uint32_t axis = 0; same && axis < rank; ++axis) {
        same = value->dims[axis] == dims[axis];
    }
    return same;
}

// What is absent has whatever shape it should.
static uint32_t optional_has(const cpu_value *value, uint32_t rank, const int64_t *dims) {
    return value == NULL || has_dims(value, rank, dims);
}

uint32_t tni_cpu_fit_same(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    return has_dims(out(build, node, 0), x->rank, x->dims);
}

// Whether y is what the given inputs broadcast to, as far as the axes before the last `kept`.
static uint32_t broadcasts(const cpu_value *const *inputs, uint32_t count, const cpu_value *y,
                           uint32_t kept) {
    uint32_t rank = 0;
    for (uint32_t i = 0; i < count; ++i) {
        rank = inputs[i]->rank > rank ? inputs[i]->rank : rank;
    }
    if (y->rank != rank) {
        return 0;
    }
    for (uint32_t axis = 0; axis + kept < rank; ++axis) {
        int64_t size = 1;
        for (uint32_t i = 0; i < count; ++i) {
            const uint32_t missing = rank - inputs[i]->rank;
            const int64_t own = axis < missing ? 1 : inputs[i]->dims[axis - missing];
            if (own != 1 && size != 1 && own != size) {
                return 0;
            }
            size = own != 1 ? own : size;
        }
        if (y->dims[axis] != size) {
            return 0;
        }
    }
    return 1;
}

// Of three and more, each is as large as the result: the verdict saw to it where sizes were known.
uint32_t tni_cpu_fit_binary(const cpu_build *build, const cpu_node *node) {
    const cpu_value *y = out(build, node, 0);
    if (node->input_count == 2) {
        const cpu_value *const both[2] = {in(build, node, 0), in(build, node, 1)};
        return broadcasts(both, 2, y, 0);
    }
    for (uint32_t i = 0; i < node->input_count; ++i) {
        if (!has_dims(in(build, node, i), y->rank, y->dims)) {
            return 0;
        }
    }
    return 1;
}

// A convolution of x with w. The library's own checks are left what depends on its limits.
static uint32_t conv_fits(const cpu_build *build, const cpu_node *node, const cpu_value *x,
                          const cpu_value *w, const cpu_value *bias) {
    const cpu_value *y = out(build, node, 0);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    cpu_window window;
    return x->rank >= 3 && w->rank == x->rank && y->rank == x->rank && group >= 1 &&
           group <= w->dims[0] && w->dims[0] % group == 0 && x->dims[1] % group == 0 &&
           w->dims[1] == x->dims[1] / group && y->dims[0] == x->dims[0] &&
           y->dims[1] == w->dims[0] && optional_has(bias, 1, &w->dims[0]) &&
           tni_cpu_window(build, node, x, y, w->dims + 2, &window) &&
           tni_cpu_window_makes(&window, x, y, 0);
}

uint32_t tni_cpu_fit_conv(const cpu_build *build, const cpu_node *node) {
    return conv_fits(build, node, in(build, node, 0), in(build, node, 1), in(build, node, 2));
}

// It is the convolution from y to x, backwards, and y is as large as some padding makes it.
uint32_t tni_cpu_fit_conv_transpose(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *w = in(build, node, 1);
    const cpu_value *y = out(build, node, 0);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    cpu_window window;
    if (x->rank < 3 || w->rank != x->rank || y->rank != x->rank || group < 1 ||
        w->dims[0] != x->dims[1] || group > x->dims[1] || x->dims[1] % group != 0 ||
        y->dims[1] % group != 0 || w->dims[1] != y->dims[1] / group || y->dims[0] != x->dims[0] ||
        !optional_has(in(build, node, 2), 1, &y->dims[1]) ||
        !tni_cpu_window(build, node, y, x, w->dims + 2, &window)) {
        return 0;
    }
    for (uint32_t i = 0; i < window.axes; ++i) {
        const int64_t full =
            (x->dims[i + 2] - 1) * window.strides[i] + tni_cpu_window_reach(&window, i);
        const int64_t step =
            window.strides[i] > window.dilates[i] + 1 ? window.strides[i] : window.dilates[i] + 1;
        const int64_t after = full - window.before[i] - y->dims[i + 2];
        if (y->dims[i + 2] < 1 || after <= -step) {
            return 0;
        }
    }
    return 1;
}

uint32_t tni_cpu_fit_pool(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *y = out(build, node, 0);
    cpu_window window;
    if (x->rank < 3 || y->rank != x->rank || y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1]) {
        return 0;
    }
    for (uint32_t axis = 2; node->variant == CPU_POOL_GLOBAL && axis < x->rank; ++axis) {
        if (y->dims[axis] != 1) {
            return 0;
        }
    }
    return node->variant == CPU_POOL_GLOBAL ||
           (tni_cpu_window(build, node, x, y, NULL, &window) &&
            tni_cpu_window_makes(&window, x, y, tni_cpu_int(build, node, "ceil_mode", 0) != 0));
}

// The verdict compared all sizes, where y has as many.
uint32_t tni_cpu_fit_resize(const cpu_build *build, const cpu_node *node) {
    return in(build, node, 0)->rank == out(build, node, 0)->rank;
}

static uint32_t product_fits(const cpu_value *x, const cpu_value *w, const cpu_value *y) {
    const cpu_value *const both[2] = {x, w};
    return x->rank >= 2 && w->rank >= 2 && x->dims[x->rank - 1] == w->dims[w->rank - 2] &&
           broadcasts(both, 2, y, 2) && y->dims[y->rank - 2] == x->dims[x->rank - 2] &&
           y->dims[y->rank - 1] == w->dims[w->rank - 1];
}

uint32_t tni_cpu_fit_matmul(const cpu_build *build, const cpu_node *node) {
    return product_fits(in(build, node, 0), in(build, node, 1), out(build, node, 0));
}

uint32_t tni_cpu_fit_gemm(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *w = in(build, node, 1);
    const cpu_value *y = out(build, node, 0);
    const uint32_t transposed = tni_cpu_int(build, node, "transB", 0) != 0;
    return x->rank == 2 && w->rank == 2 && y->rank == 2 && y->dims[0] == x->dims[0] &&
           x->dims[1] == w->dims[transposed ? 1 : 0] && y->dims[1] == w->dims[transposed ? 0 : 1] &&
           optional_has(in(build, node, 2), 1, &y->dims[1]);
}

uint32_t tni_cpu_fit_batch_norm(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    uint32_t fits = x->rank >= 2 && tni_cpu_fit_same(build, node);
    for (uint32_t i = 1; fits && i < 5; ++i) {
        fits = has_dims(in(build, node, i), 1, &x->dims[1]);
    }
    return fits;
}

uint32_t tni_cpu_fit_layer_norm(const cpu_build *build, const cpu_node *node) {
    const uint32_t rank = in(build, node, 0)->rank;
    return tni_cpu_axis(tni_cpu_int(build, node, "axis", -1), rank) < rank &&
           tni_cpu_fit_same(build, node);
}

uint32_t tni_cpu_fit_reduce(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const uint32_t kept = tni_cpu_int(build, node, "keepdims", 1) != 0;
    int64_t axes[CPU_MAX_RANK];
    int64_t dims[CPU_MAX_RANK];
    uint32_t rank = 0;
    uint32_t seen = 0;
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), "axes", axes, CPU_MAX_RANK);
    if (count > x->rank) {
        return 0;
    }
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t axis = tni_cpu_axis(axes[i], x->rank);
        if (axis == x->rank || (seen >> axis & 1u) != 0) {
            return 0;
        }
        seen |= 1u << axis;
    }
    for (uint32_t axis = 0; axis < x->rank; ++axis) {
        const uint32_t reduced = seen >> axis & 1u;
        if (!reduced || kept) {
            dims[rank++] = reduced ? 1 : x->dims[axis];
        }
    }
    return has_dims(out(build, node, 0), rank, dims);
}

uint32_t tni_cpu_fit_lstm(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *w = in(build, node, 1);
    const cpu_value *r = in(build, node, 2);
    if (x->rank != 3 || w->rank != 3 || r->rank != 3) {
        return 0;
    }
    const uint32_t both = tn_view_attr_string_is(build->view, tni_cpu_view_node(build, node),
                                                 "direction", "bidirectional");
    const int64_t directions = both ? 2 : 1;
    const int64_t hidden = r->dims[2];
    const int64_t w_dims[3] = {directions, 4 * hidden, x->dims[2]};
    const int64_t r_dims[3] = {directions, 4 * hidden, hidden};
    const int64_t bias_dims[2] = {directions, 8 * hidden};
    const int64_t state_dims[3] = {directions, x->dims[1], hidden};
    const int64_t y_dims[4] = {x->dims[0], directions, x->dims[1], hidden};
    return has_dims(w, 3, w_dims) && has_dims(r, 3, r_dims) &&
           optional_has(in(build, node, 3), 2, bias_dims) &&
           optional_has(in(build, node, 4), 1, &x->dims[1]) &&
           optional_has(in(build, node, 5), 3, state_dims) &&
           optional_has(in(build, node, 6), 3, state_dims) &&
           optional_has(out(build, node, 0), 4, y_dims) &&
           optional_has(out(build, node, 1), 3, state_dims) &&
           optional_has(out(build, node, 2), 3, state_dims);
}

// One scale, and a zero point of the integers' type where there is one.
static uint32_t pair_fits(const cpu_value *integers, const cpu_value *scale,
                          const cpu_value *zero) {
    return scale->count == 1 &&
           (zero == NULL || (zero->count == 1 && zero->dtype == integers->dtype));
}

uint32_t tni_cpu_fit_quantize(const cpu_build *build, const cpu_node *node) {
    return tni_cpu_fit_same(build, node) &&
           pair_fits(out(build, node, 0), in(build, node, 1), in(build, node, 2));
}

// As many scales and zero points as an axis has indices, or blocks of them for all other indices.
static uint32_t scales_fit(const cpu_value *x, uint32_t axis, int64_t block,
                           const cpu_value *scales, const cpu_value *zeros) {
    if (scales->count == 1) {
        return pair_fits(x, scales, zeros);
    }
    if (axis >= x->rank || block < 0 ||
        (zeros != NULL && (zeros->dtype != x->dtype || zeros->count != scales->count))) {
        return 0;
    }
    if (block == 0) {
        return scales->rank == 1 && scales->dims[0] == x->dims[axis];
    }
    int64_t dims[CPU_MAX_RANK];
    for (uint32_t i = 0; i < x->rank; ++i) {
        dims[i] = i != axis ? x->dims[i] : x->dims[i] / block + (x->dims[i] % block != 0);
    }
    return has_dims(scales, x->rank, dims);
}

uint32_t tni_cpu_fit_dequantize(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const uint32_t axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 1), x->rank);
    const int64_t block = tni_cpu_int(build, node, "block_size", 0);
    const cpu_value *y = out(build, node, 0);
    return has_dims(y, x->rank, x->dims) &&
           scales_fit(x, axis, block, in(build, node, 1), in(build, node, 2));
}

// Scales and zero points of what goes in, of the weights along an axis, and of the result.
static uint32_t qlinear_fits(const cpu_build *build, const cpu_node *node, uint32_t axis) {
    return pair_fits(in(build, node, 0), in(build, node, 1), in(build, node, 2)) &&
           scales_fit(in(build, node, 3), axis, 0, in(build, node, 4), in(build, node, 5)) &&
           pair_fits(out(build, node, 0), in(build, node, 6), in(build, node, 7));
}

uint32_t tni_cpu_fit_qlinear_conv(const cpu_build *build, const cpu_node *node) {
    return conv_fits(build, node, in(build, node, 0), in(build, node, 3), in(build, node, 8)) &&
           qlinear_fits(build, node, 0);
}

uint32_t tni_cpu_fit_qlinear_matmul(const cpu_build *build, const cpu_node *node) {
    const cpu_value *w = in(build, node, 3);
    return product_fits(in(build, node, 0), w, out(build, node, 0)) &&
           qlinear_fits(build, node, w->rank - 1);
}
