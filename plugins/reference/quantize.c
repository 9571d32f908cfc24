// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: x = (q - zero_point) * scale, per
// tensor, per index of one axis, or per block of one axis. Quotients are rounded half to even, then
// saturated.
#include "kernels.h"

#include <math.h>

// Scale and zero point belong to a tensor as a whole, to an index of an axis, or to a block of it.
typedef struct scales {
    const ref_tensor *scale;
    const ref_tensor *zero; // may be null: zero
    const ref_tensor *tensor;
    uint32_t axis;
    int64_t block; // 0: none
    int64_t inner; // elements behind the axis
} scales;

static uint32_t fits_blocks(const scales *s) {
    if (s->scale->rank != s->tensor->rank) {
        return 0;
    }
    for (uint32_t i = 0; i < s->tensor->rank; ++i) {
        const int64_t size = s->tensor->dims[i];
        const int64_t blocks = i == s->axis ? (size + s->block - 1) / s->block : size;
        if (s->scale->dims[i] != blocks) {
            return 0;
        }
    }
    return 1;
}

static uint32_t read_scales(const ref_call *call, const ref_tensor *tensor, scales *out_scales) {
    *out_scales = (scales){.scale = call->inputs[1],
                           .zero = tni_ref_input(call, 2),
                           .tensor = tensor,
                           .block = tni_ref_int(call, "block_size", 0),
                           .inner = 1};
    scales *s = out_scales;
    if (s->block < 0 || s->block > INT32_MAX ||
        (s->zero != NULL && s->zero->count != s->scale->count)) {
        return 0;
    }
    if (s->block == 0 && s->scale->count == 1 && s->scale->rank <= 1) {
        return 1;
    }
    if (!tni_ref_axis(tni_ref_int(call, "axis", 1), tensor->rank, &s->axis)) {
        return 0;
    }
    s->inner = tni_ref_product(tensor->dims, s->axis + 1, tensor->rank);
    return s->block != 0 ? fits_blocks(s)
                         : s->scale->rank == 1 && s->scale->count == tensor->dims[s->axis];
}

static int64_t scale_index(const scales *s, int64_t index) {
    if (s->scale->count == 1) {
        return 0;
    }
    const int64_t size = s->tensor->dims[s->axis];
    const int64_t at = index / s->inner % size;
    if (s->block == 0) {
        return at;
    }
    const int64_t outer = index / s->inner / size;
    return (outer * s->scale->dims[s->axis] + at / s->block) * s->inner + index % s->inner;
}

// The quotient is defined in a type, so that ties fall the same everywhere: the attribute
// precision, or else the type of the scale.
static double divide(double x, double scale, tn_dtype precision) {
    if (precision == TN_DTYPE_FLOAT) {
        return (double)((float)x / (float)scale);
    }
    if (tni_ref_is_small_float(precision)) {
        const uint32_t code = tni_ref_narrow(precision, x / scale, 0, REF_ROUND_UP);
        return tni_ref_widen(precision, code);
    }
    return x / scale;
}

tn_status tni_ref_quantize(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const uint32_t saturate = tni_ref_int(call, "saturate", 1) != 0 ? 1u : 0u;
    scales s;
    if (!tni_ref_same_shape(x, y) || !read_scales(call, x, &s) ||
        (s.zero != NULL && s.zero->dtype != y->dtype)) {
        return tni_ref_invalid(call, "shape, type, scale, axis or block_size");
    }
    const int64_t asked = tni_ref_int(call, "precision", 0);
    const tn_dtype precision =
        asked > 0 && asked < TN_DTYPE_COUNT ? (tn_dtype)asked : s.scale->dtype;
    const uint32_t floats = tni_ref_is_float(y->dtype);
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t at = scale_index(&s, i);
        const double zero = s.zero == NULL ? 0.0 : tni_ref_load(s.zero, at);
        const double quotient = divide(tni_ref_load(x, i), tni_ref_load(s.scale, at), precision);
        if (floats) {
            tni_ref_store_rounded(y, i, quotient + zero, saturate, REF_ROUND_UP);
        } else {
            tni_ref_store(y, i, nearbyint(quotient) + zero);
        }
    }
    return TN_OK;
}

tn_status tni_ref_dequantize(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    scales s;
    if (!tni_ref_same_shape(x, y) || !read_scales(call, x, &s) ||
        (s.zero != NULL && s.zero->dtype != x->dtype)) {
        return tni_ref_invalid(call, "shape, type, scale, axis or block_size");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t at = scale_index(&s, i);
        const double zero = s.zero == NULL ? 0.0 : tni_ref_load(s.zero, at);
        tni_ref_store(y, i, (tni_ref_load(x, i) - zero) * tni_ref_load(s.scale, at));
    }
    return TN_OK;
}

// DynamicQuantizeLinear: the range, widened to hold 0, becomes [0, 255].
tn_status tni_ref_dynamic_quantize(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = tni_ref_output(call, 0);
    ref_tensor *out_scale = tni_ref_output(call, 1);
    ref_tensor *out_zero = tni_ref_output(call, 2);
    if (y == NULL || out_scale == NULL || out_zero == NULL || !tni_ref_same_shape(x, y) ||
        out_scale->count != 1 || out_zero->count != 1) {
        return tni_ref_invalid(call, "shapes");
    }
    float low = 0.0f;
    float high = 0.0f;
    for (int64_t i = 0; i < x->count; ++i) {
        low = fminf(low, tni_ref_float_at(x->data, i));
        high = fmaxf(high, tni_ref_float_at(x->data, i));
    }
    const float scale = (high - low) / 255.0f;
    const float zero = scale == 0.0f ? 0.0f : nearbyintf(fmaxf(0.0f, fminf(255.0f, -low / scale)));
    tni_ref_store(out_scale, 0, (double)scale);
    tni_ref_store(out_zero, 0, (double)zero);
    for (int64_t i = 0; i < y->count; ++i) {
        const float quotient =
            scale == 0.0f ? 0.0f : nearbyintf(tni_ref_float_at(x->data, i) / scale);
        tni_ref_store(y, i, (double)(quotient + zero));
    }
    return TN_OK;
}
