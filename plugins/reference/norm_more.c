// SPDX-License-Identifier: Apache-2.0
// LpNormalization and MeanVarianceNormalization (ONNX operator list), and Det, which needs a matrix
// of its own.
#include "kernels.h"

#include <math.h>

// LpNormalization: x divided by its norm along an axis; a row of zeros stays.
tn_status tni_ref_lp_norm(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const int64_t p = tni_ref_int(call, "p", 2);
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", -1), x->rank, &axis) || !tni_ref_same_shape(x, y) ||
        p < 1 || p > 2) {
        return tni_ref_invalid(call, "axis, shape or p");
    }
    const int64_t size = x->dims[axis];
    const int64_t inner = tni_ref_product(x->dims, axis + 1, x->rank);
    for (int64_t run = 0; size != 0 && run < x->count / size; ++run) {
        const int64_t base = run / inner * size * inner + run % inner;
        double sum = 0.0;
        for (int64_t k = 0; k < size; ++k) {
            const double v = tni_ref_load(x, base + k * inner);
            sum += p == 1 ? fabs(v) : v * v;
        }
        const double norm = p == 1 ? sum : sqrt(sum);
        for (int64_t k = 0; k < size; ++k) {
            const double v = tni_ref_load(x, base + k * inner);
            tni_ref_store(y, base + k * inner, norm == 0.0 ? 0.0 : v / norm);
        }
    }
    return TN_OK;
}

// The axes over which the mean goes: sizes and distances, then those of the others.
typedef struct split_axes {
    uint32_t mean_count;
    int64_t mean_size[TN_MAX_RANK];
    int64_t mean_step[TN_MAX_RANK];
    uint32_t kept_count;
    int64_t kept_size[TN_MAX_RANK];
    int64_t kept_step[TN_MAX_RANK];
} split_axes;

static uint32_t read_axes(const ref_call *call, split_axes *out) {
    const ref_tensor *x = call->inputs[0];
    int64_t axes[TN_MAX_RANK] = {0, 2, 3};
    const uint32_t given = tn_view_attr_ints(call->view, call->node, "axes", axes, TN_MAX_RANK);
    const uint32_t count = tni_ref_has(call, "axes") ? given : 3;
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count && count <= TN_MAX_RANK; ++i) {
        uint32_t axis = 0;
        if (!tni_ref_axis(axes[i], x->rank, &axis)) {
            return 0;
        }
        chosen |= 1u << axis;
    }
    int64_t step = x->count == 0 ? 0 : x->count;
    for (uint32_t axis = 0; axis < x->rank && x->count != 0; ++axis) {
        step /= x->dims[axis];
        if ((chosen >> axis & 1u) != 0) {
            out->mean_size[out->mean_count] = x->dims[axis];
            out->mean_step[out->mean_count++] = step;
        } else {
            out->kept_size[out->kept_count] = x->dims[axis];
            out->kept_step[out->kept_count++] = step;
        }
    }
    return count <= TN_MAX_RANK ? 1u : 0u;
}

// MeanVarianceNormalization: (x - mean) / (standard deviation + 1e-9) over the axes.
tn_status tni_ref_mean_variance(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    split_axes axes = {.mean_count = 0};
    if (!tni_ref_same_shape(x, y) || !read_axes(call, &axes)) {
        return tni_ref_invalid(call, "shape or axes");
    }
    const int64_t size = tni_ref_product(axes.mean_size, 0, axes.mean_count);
    for (int64_t run = 0; x->count != 0 && run < x->count / size; ++run) {
        const int64_t base = tni_ref_strided(run, axes.kept_count, axes.kept_size, axes.kept_step);
        double mean = 0.0;
        double variance = 0.0;
        for (int64_t i = 0; i < size; ++i) {
            mean += tni_ref_load(
                x, base + tni_ref_strided(i, axes.mean_count, axes.mean_size, axes.mean_step));
        }
        mean /= (double)size;
        for (int64_t i = 0; i < size; ++i) {
            const double centred =
                tni_ref_load(
                    x, base + tni_ref_strided(i, axes.mean_count, axes.mean_size, axes.mean_step)) -
                mean;
            variance += centred * centred;
        }
        const double deviation = sqrt(variance / (double)size) + 1e-9;
        for (int64_t i = 0; i < size; ++i) {
            const int64_t at =
                base + tni_ref_strided(i, axes.mean_count, axes.mean_size, axes.mean_step);
            tni_ref_store(y, at, (tni_ref_load(x, at) - mean) / deviation);
        }
    }
    return TN_OK;
}

int64_t tni_ref_det_scratch(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const int64_t n = x->rank < 2 ? 0 : x->dims[x->rank - 1];
    return n > INT16_MAX ? -1 : n * n * 8;
}

// The product of the pivots of Gauss' elimination, with row exchanges.
static double determinant(double *m, int64_t n) {
    double product = 1.0;
    for (int64_t k = 0; k < n; ++k) {
        int64_t pivot = k;
        for (int64_t row = k + 1; row < n; ++row) {
            pivot = fabs(m[row * n + k]) > fabs(m[pivot * n + k]) ? row : pivot;
        }
        if (m[pivot * n + k] == 0.0) {
            return 0.0;
        }
        for (int64_t column = 0; column < n && pivot != k; ++column) {
            const double swap = m[k * n + column];
            m[k * n + column] = m[pivot * n + column];
            m[pivot * n + column] = swap;
        }
        product *= pivot == k ? m[k * n + k] : -m[k * n + k];
        for (int64_t row = k + 1; row < n; ++row) {
            const double factor = m[row * n + k] / m[k * n + k];
            for (int64_t column = k; column < n; ++column) {
                m[row * n + column] -= factor * m[k * n + column];
            }
        }
    }
    return product;
}

tn_status tni_ref_det(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    double *matrix = (double *)(void *)call->scratch;
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2] ||
        y->count != tni_ref_product(x->dims, 0, x->rank - 2)) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t n = x->dims[x->rank - 1];
    for (int64_t i = 0; i < y->count; ++i) {
        for (int64_t k = 0; k < n * n; ++k) {
            matrix[k] = tni_ref_load(x, i * n * n + k);
        }
        tni_ref_store(y, i, determinant(matrix, n));
    }
    return TN_OK;
}
