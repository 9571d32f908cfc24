// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: x = (q - zero_point) * scale, per tensor
// or per index of one axis. Quotients are rounded half to even, then saturated.
#include "kernels.h"

#include <math.h>

// Scale and zero point belong to a tensor as a whole or to one axis of it.
typedef struct scales {
    const ref_tensor *scale;
    const ref_tensor *zero; // may be null: zero
    int64_t size;           // 1, or the size of the axis
    int64_t inner;          // elements behind the axis
} scales;

static uint32_t read_scales(const ref_call *call, const ref_tensor *tensor, scales *out_scales) {
    *out_scales = (scales){.scale = call->inputs[1], .zero = tni_ref_input(call, 2)};
    const ref_tensor *zero = out_scales->zero;
    out_scales->size = out_scales->scale->count;
    out_scales->inner = 1;
    if (tni_ref_int(call, "block_size", 0) != 0 ||
        (zero != NULL && zero->count != out_scales->size)) {
        return 0;
    }
    if (out_scales->size == 1 && out_scales->scale->rank <= 1) {
        return 1;
    }
    uint32_t axis = 0;
    if (out_scales->scale->rank != 1 ||
        !tni_ref_axis(tni_ref_int(call, "axis", 1), tensor->rank, &axis) ||
        tensor->dims[axis] != out_scales->size) {
        return 0;
    }
    out_scales->inner = tni_ref_product(tensor->dims, axis + 1, tensor->rank);
    return 1;
}

static int64_t scale_index(const scales *s, int64_t index) {
    return s->size == 1 ? 0 : index / s->inner % s->size;
}

tn_status tni_ref_quantize(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    scales s;
    if (!tni_ref_same_shape(x, y) || !read_scales(call, x, &s) ||
        (s.zero != NULL && s.zero->dtype != y->dtype) || tni_ref_is_float(y->dtype)) {
        return tni_ref_invalid(call, "shape, type, scale, axis or block_size");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t at = scale_index(&s, i);
        const int64_t zero = s.zero == NULL ? 0 : tni_ref_load_int(s.zero, at);
        const double scale = tni_ref_load(s.scale, at);
        double quotient;
        // The quotient is defined in the type of the input, so that ties fall the same everywhere.
        if (x->dtype == TN_DTYPE_FLOAT) {
            quotient = (double)((float)tni_ref_load(x, i) / (float)scale);
        } else {
            quotient = tni_ref_load(x, i) / scale;
        }
        tni_ref_store(y, i, nearbyint(quotient) + (double)zero);
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
        const int64_t zero = s.zero == NULL ? 0 : tni_ref_load_int(s.zero, at);
        const double centred = (double)(tni_ref_load_int(x, i) - zero);
        tni_ref_store(y, i, centred * tni_ref_load(s.scale, at));
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
