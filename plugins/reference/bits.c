// SPDX-License-Identifier: Apache-2.0
// BitShift, BitCast (ONNX operator list), and SwiGLU, which like them is elementwise with a twist.
#include "kernels.h"

#include <math.h>

// Shifts by the width or more leave no bit; a signed number shifts its sign in from the left.
static uint64_t shift(int64_t value, uint64_t by, int64_t bits, uint32_t left,
                      uint32_t is_unsigned) {
    if (by >= (uint64_t)bits) {
        return !left && !is_unsigned && value < 0 ? UINT64_MAX : 0;
    }
    if (left) {
        return (uint64_t)value << by;
    }
    const uint64_t sign = is_unsigned || value >= 0 ? 0 : ~(UINT64_MAX >> by);
    return ((uint64_t)value >> by) | sign;
}

tn_status tni_ref_bit_shift(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *by = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const uint32_t left = tn_view_attr_string_is(call->view, call->node, "direction", "LEFT");
    if (x->dtype != y->dtype || by->dtype != y->dtype ||
        !tni_ref_broadcasts_to(x, y->dims, y->rank) ||
        !tni_ref_broadcasts_to(by, y->dims, y->rank)) {
        return tni_ref_invalid(call, "shapes or types");
    }
    const int64_t bits = tni_ref_element_bits(y->dtype);
    const uint32_t is_unsigned = tni_ref_is_unsigned(y->dtype);
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t value = tni_ref_load_int(x, tni_ref_broadcast(x, y->dims, y->rank, i));
        const int64_t amount = tni_ref_load_int(by, tni_ref_broadcast(by, y->dims, y->rank, i));
        tni_ref_store_int(y, i, (int64_t)shift(value, (uint64_t)amount, bits, left, is_unsigned));
    }
    return TN_OK;
}

// BitCast: the same bits under another type of the same width.
tn_status tni_ref_bit_cast(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    if (!tni_ref_same_shape(x, y) || x->size_bytes != y->size_bytes ||
        tni_ref_element_bits(x->dtype) != tni_ref_element_bits(y->dtype)) {
        return tni_ref_invalid(call, "shape, or width of the types");
    }
    if (y->size_bytes != 0) {
        memcpy(y->data, x->data, (size_t)y->size_bytes);
    }
    return TN_OK;
}

// SwiGLU: a * sigmoid(alpha * a) * b.
tn_status tni_ref_swiglu(const ref_call *call) {
    const ref_tensor *a = call->inputs[0];
    const ref_tensor *b = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const double alpha = tni_ref_float(call, "alpha", 1.0f);
    if (!tni_ref_same_shape(a, b) || !tni_ref_same_shape(a, y) || a->dtype != b->dtype) {
        return tni_ref_invalid(call, "shapes or types");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const double x = tni_ref_load(a, i);
        tni_ref_store(y, i, x / (1.0 + exp(-alpha * x)) * tni_ref_load(b, i));
    }
    return TN_OK;
}
