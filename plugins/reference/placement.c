// SPDX-License-Identifier: Apache-2.0
// Ops that move whole slices to given places (ONNX operator list): CenterCropPad, TensorScatter,
// ReverseSequence.
#include "kernels.h"

// CenterCropPad: the middle of the axes that shrink, zeros around those that grow.
tn_status tni_ref_center_crop_pad(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *shape = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    int64_t axes[TN_MAX_RANK];
    const uint32_t given = tn_view_attr_ints(call->view, call->node, "axes", axes, TN_MAX_RANK);
    const uint32_t count = given == 0 ? x->rank : given;
    if (given > TN_MAX_RANK || shape->count != (int64_t)count || y->rank != x->rank ||
        x->dtype != y->dtype) {
        return tni_ref_invalid(call, "axes, shape or type");
    }
    int64_t wanted[TN_MAX_RANK];
    memcpy(wanted, x->dims, sizeof wanted);
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t axis = 0;
        if (!tni_ref_axis(given == 0 ? (int64_t)i : axes[i], x->rank, &axis)) {
            return tni_ref_invalid(call, "axes");
        }
        wanted[axis] = tni_ref_load_int(shape, i);
    }
    if (memcmp(wanted, y->dims, y->rank * sizeof wanted[0]) != 0) {
        return tni_ref_stale(call, 1);
    }
    if (y->size_bytes != 0) {
        memset(y->data, 0, (size_t)y->size_bytes);
    }
    for (int64_t i = 0; i < y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        uint32_t inside = 1;
        tni_ref_coordinates(y, i, at);
        for (uint32_t axis = 0; axis < x->rank; ++axis) {
            const int64_t in = x->dims[axis];
            const int64_t out = y->dims[axis];
            at[axis] += in > out ? (in - out) / 2 : -((out - in) / 2);
            inside = at[axis] < 0 || at[axis] >= in ? 0 : inside;
        }
        if (inside) {
            tni_ref_move(y, i, x, tni_ref_position(x, at));
        }
    }
    return TN_OK;
}

// TensorScatter: a cache with an update written along an axis, from an index per batch on; circular
// wraps around at the end of the axis.
tn_status tni_ref_tensor_scatter(const ref_call *call) {
    const ref_tensor *past = call->inputs[0];
    const ref_tensor *update = call->inputs[1];
    const ref_tensor *indices = tni_ref_input(call, 2);
    ref_tensor *y = call->outputs[0];
    const uint32_t circular = tn_view_attr_string_is(call->view, call->node, "mode", "circular");
    uint32_t axis = 0;
    if (past->rank < 1 || !tni_ref_same_shape(past, y) || update->rank != past->rank ||
        past->dtype != y->dtype || update->dtype != y->dtype ||
        !tni_ref_axis(tni_ref_int(call, "axis", -2), past->rank, &axis) || axis == 0 ||
        (indices != NULL && indices->count != past->dims[0])) {
        return tni_ref_invalid(call, "shapes, types or axis");
    }
    for (uint32_t i = 0; i < past->rank; ++i) {
        if (i == axis ? update->dims[i] > past->dims[i] : update->dims[i] != past->dims[i]) {
            return tni_ref_invalid(call, "shape of the update");
        }
    }
    if (y->size_bytes != 0) {
        memcpy(y->data, past->data, (size_t)y->size_bytes);
    }
    for (int64_t i = 0; i < update->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(update, i, at);
        const int64_t begin = indices == NULL ? 0 : tni_ref_load_int(indices, at[0]);
        if (begin < 0 || begin > past->dims[axis]) {
            return tni_ref_invalid(call, "a write index");
        }
        at[axis] += begin;
        at[axis] = circular ? at[axis] % past->dims[axis] : at[axis];
        if (at[axis] >= past->dims[axis]) {
            return tni_ref_invalid(call, "an update reaches beyond the cache");
        }
        tni_ref_move(y, tni_ref_position(y, at), update, i);
    }
    return TN_OK;
}

// ReverseSequence: the first sequence_lens[b] steps of batch b in reverse order.
tn_status tni_ref_reverse_sequence(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *lengths = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const int64_t batch_axis = tni_ref_int(call, "batch_axis", 1);
    const int64_t time_axis = tni_ref_int(call, "time_axis", 0);
    if (x->rank < 2 || batch_axis + time_axis != 1 || batch_axis < 0 || batch_axis > 1 ||
        !tni_ref_same_shape(x, y) || x->dtype != y->dtype ||
        lengths->count != x->dims[batch_axis]) {
        return tni_ref_invalid(call, "shapes or axes");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(y, i, at);
        const int64_t length = tni_ref_load_int(lengths, at[batch_axis]);
        if (length < 0 || length > x->dims[time_axis]) {
            return tni_ref_invalid(call, "a sequence length");
        }
        at[time_axis] = at[time_axis] < length ? length - 1 - at[time_axis] : at[time_axis];
        tni_ref_move(y, i, x, tni_ref_position(x, at));
    }
    return TN_OK;
}
