// SPDX-License-Identifier: Apache-2.0
// Ops whose elements are chosen by index: Gather and its kin, Tile, Pad, Trilu, DepthToSpace,
// OneHot. Each output position is turned into coordinates, and those into one input position.
#include "kernels.h"

// Gather: output[outer, indices..., inner] = data[outer, indices[...], inner].
tn_status tni_ref_gather(const ref_call *call) {
    const ref_tensor *data = call->inputs[0];
    const ref_tensor *indices = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", 0), data->rank, &axis) ||
        data->dtype != output->dtype) {
        return tni_ref_invalid(call, "axis or type");
    }
    const int64_t outer = tni_ref_product(data->dims, 0, axis);
    const int64_t inner = tni_ref_product(data->dims, axis + 1, data->rank);
    const int64_t size = data->dims[axis];
    const int64_t bytes = inner * tni_ref_element_bytes(data->dtype);
    if (output->count != outer * indices->count * inner) {
        return tni_ref_invalid(call, "shape of the output");
    }
    for (int64_t o = 0; o < outer; ++o) {
        for (int64_t i = 0; i < indices->count; ++i) {
            int64_t index = 0;
            if (!tni_ref_wrap(tni_ref_load_int(indices, i), size, &index)) {
                return tni_ref_invalid(call, "an index lies outside the axis");
            }
            if (bytes != 0) {
                memcpy(output->data + (o * indices->count + i) * bytes,
                       data->data + (o * size + index) * bytes, (size_t)bytes);
            }
        }
    }
    return TN_OK;
}

tn_status tni_ref_gather_elements(const ref_call *call) {
    const ref_tensor *data = call->inputs[0];
    const ref_tensor *indices = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", 0), data->rank, &axis) ||
        data->dtype != output->dtype || !tni_ref_same_shape(indices, output) ||
        data->rank != output->rank) {
        return tni_ref_invalid(call, "axis, type or shape");
    }
    for (uint32_t i = 0; i < data->rank; ++i) {
        if (i != axis && indices->dims[i] > data->dims[i]) {
            return tni_ref_invalid(call, "indices reach beyond the data");
        }
    }
    for (int64_t i = 0; i < output->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(output, i, at);
        if (!tni_ref_wrap(tni_ref_load_int(indices, i), data->dims[axis], &at[axis])) {
            return tni_ref_invalid(call, "an index lies outside the axis");
        }
        tni_ref_move(output, i, data, tni_ref_position(data, at));
    }
    return TN_OK;
}

// GatherND: the last axis of indices holds coordinates into data, behind batch_dims shared axes.
tn_status tni_ref_gather_nd(const ref_call *call) {
    const ref_tensor *data = call->inputs[0];
    const ref_tensor *indices = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    const int64_t batch = tni_ref_int(call, "batch_dims", 0);
    if (indices->rank < 1 || batch < 0 || batch >= (int64_t)indices->rank ||
        data->dtype != output->dtype) {
        return tni_ref_invalid(call, "rank, type or batch_dims");
    }
    const uint32_t shared = (uint32_t)batch;
    const int64_t depth = indices->dims[indices->rank - 1];
    if (depth < 1 || depth > (int64_t)data->rank - batch) {
        return tni_ref_invalid(call, "last axis of the indices");
    }
    const uint32_t inner_axis = shared + (uint32_t)depth;
    const int64_t inner = tni_ref_product(data->dims, inner_axis, data->rank);
    const int64_t tuples = tni_ref_product(indices->dims, 0, indices->rank - 1);
    const int64_t batches = tni_ref_product(data->dims, 0, shared);
    if (output->count != tuples * inner || batches != tni_ref_product(indices->dims, 0, shared)) {
        return tni_ref_invalid(call, "shapes");
    }
    const int64_t bytes = inner * tni_ref_element_bytes(data->dtype);
    for (int64_t t = 0; t < tuples && batches != 0 && bytes != 0; ++t) {
        int64_t from = t / (tuples / batches);
        for (int64_t k = 0; k < depth; ++k) {
            const int64_t size = data->dims[shared + (uint32_t)k];
            int64_t index = 0;
            if (!tni_ref_wrap(tni_ref_load_int(indices, t * depth + k), size, &index)) {
                return tni_ref_invalid(call, "an index lies outside its axis");
            }
            from = from * size + index;
        }
        memcpy(output->data + t * bytes, data->data + from * bytes, (size_t)bytes);
    }
    return TN_OK;
}

tn_status tni_ref_tile(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    if (input->rank != output->rank || input->dtype != output->dtype) {
        return tni_ref_invalid(call, "rank or type");
    }
    const ref_tensor *repeats = call->inputs[1];
    for (uint32_t axis = 0; axis < input->rank; ++axis) {
        const int64_t size = input->dims[axis];
        const int64_t out = output->dims[axis];
        // Divided, so that no product can overflow.
        const uint32_t fits = size == 0 ? out == 0 : out % size == 0;
        if (repeats->count != (int64_t)input->rank || !fits ||
            (size != 0 && out / size != tni_ref_load_int(repeats, axis))) {
            return tni_ref_stale(call, 1);
        }
    }
    for (int64_t i = 0; i < output->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(output, i, at);
        for (uint32_t axis = 0; axis < input->rank; ++axis) {
            // Not zero: then the output would have no elements.
            at[axis] %= input->dims[axis] == 0 ? 1 : input->dims[axis];
        }
        tni_ref_move(output, i, input, tni_ref_position(input, at));
    }
    return TN_OK;
}

typedef struct padding {
    int64_t begin[TN_MAX_RANK];
    uint32_t reflect;
    uint32_t edge;
    uint32_t wrap;
} padding;

// Reads pads (and, since version 18, axes) and checks them against the output.
static uint32_t read_padding(const ref_call *call, padding *out_padding) {
    const ref_tensor *input = call->inputs[0];
    const ref_tensor *output = call->outputs[0];
    int64_t pads[2 * TN_MAX_RANK];
    int64_t axes[TN_MAX_RANK];
    const int64_t pad_count = tni_ref_int_list(call, 1, "pads", pads, 2 * TN_MAX_RANK);
    const int64_t given = tni_ref_int_list(call, 3, "axes", axes, TN_MAX_RANK);
    const int64_t count = tni_ref_input(call, 3) == NULL ? (int64_t)input->rank : given;
    int64_t grown[TN_MAX_RANK] = {0};
    if (count < 0 || pad_count != 2 * count || output->rank != input->rank) {
        return 0;
    }
    for (int64_t i = 0; i < count; ++i) {
        uint32_t axis = (uint32_t)i;
        if (tni_ref_input(call, 3) != NULL && !tni_ref_axis(axes[i], input->rank, &axis)) {
            return 0;
        }
        if (pads[i] < -INT32_MAX || pads[i] > INT32_MAX || pads[count + i] < -INT32_MAX ||
            pads[count + i] > INT32_MAX) {
            return 0;
        }
        out_padding->begin[axis] = pads[i];
        grown[axis] = pads[i] + pads[count + i];
    }
    for (uint32_t axis = 0; axis < input->rank; ++axis) {
        if (output->dims[axis] != input->dims[axis] + grown[axis]) {
            return 0;
        }
    }
    return 1;
}

// Where a coordinate outside [0, size) comes from; 0 when it is padding of its own.
static uint32_t padded_source(const padding *pad, int64_t size, int64_t *inout_at) {
    int64_t at = *inout_at;
    if (at >= 0 && at < size) {
        return 1;
    }
    if (size == 0 || !(pad->reflect || pad->edge || pad->wrap)) {
        return 0;
    }
    if (pad->edge) {
        *inout_at = at < 0 ? 0 : size - 1;
    } else if (pad->wrap) {
        *inout_at = (at % size + size) % size;
    } else {
        // Mirrored without repeating the edge: a wave of length 2 * (size - 1).
        const int64_t length = size == 1 ? 1 : 2 * (size - 1);
        at = (at % length + length) % length;
        *inout_at = at < size ? at : length - at;
    }
    return 1;
}

tn_status tni_ref_pad(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const ref_tensor *value = tni_ref_input(call, 2);
    padding pad = {
        .reflect = tn_view_attr_string_is(call->view, call->node, "mode", "reflect"),
        .edge = tn_view_attr_string_is(call->view, call->node, "mode", "edge"),
        .wrap = tn_view_attr_string_is(call->view, call->node, "mode", "wrap"),
    };
    if (input->dtype != output->dtype || input->rank != output->rank ||
        (value != NULL && (value->count != 1 || value->dtype != output->dtype))) {
        return tni_ref_invalid(call, "value or type");
    }
    if (!read_padding(call, &pad)) {
        return tni_ref_stale(call, 1);
    }
    for (int64_t i = 0; i < output->count; ++i) {
        int64_t at[TN_MAX_RANK];
        uint32_t inside = 1;
        tni_ref_coordinates(output, i, at);
        for (uint32_t axis = 0; axis < input->rank; ++axis) {
            at[axis] -= pad.begin[axis];
            inside &= padded_source(&pad, input->dims[axis], &at[axis]);
        }
        if (inside) {
            tni_ref_move(output, i, input, tni_ref_position(input, at));
        } else if (value != NULL) {
            tni_ref_move(output, i, value, 0);
        } else {
            tni_ref_store(output, i, tni_ref_float(call, "value", 0.0f));
        }
    }
    return TN_OK;
}

// Trilu: keeps the upper (or lower) triangle of the last two axes, shifted by k.
tn_status tni_ref_trilu(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const ref_tensor *k = tni_ref_input(call, 1);
    const uint32_t upper = tni_ref_int(call, "upper", 1) != 0 ? 1u : 0u;
    if (input->rank < 2 || !tni_ref_is_scalar(k) || !tni_ref_same_shape(input, output) ||
        input->dtype != output->dtype) {
        return tni_ref_invalid(call, "shape or type");
    }
    const int64_t shift = k != NULL ? tni_ref_load_int(k, 0) : 0;
    const size_t bytes = (size_t)tni_ref_element_bytes(output->dtype);
    const int64_t columns = input->dims[input->rank - 1];
    const int64_t rows = input->dims[input->rank - 2];
    // Beyond the matrix every shift means the same; clamped, so that no sum below overflows.
    const int64_t limit = rows + columns;
    const int64_t s = shift < -limit ? -limit : (shift > limit ? limit : shift);
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t column = i % columns;
        const int64_t row = i / columns % rows;
        if (upper ? column - row >= s : column - row <= s) {
            tni_ref_move(output, i, input, i);
        } else {
            memset(output->data + (size_t)i * bytes, 0, bytes);
        }
    }
    return TN_OK;
}

// DepthToSpace [N, C, H, W] -> [N, C/b^2, H*b, W*b] and its inverse SpaceToDepth.
tn_status tni_ref_depth_space(const ref_call *call) {
    const uint32_t to_space = call->op->variant == REF_DEPTH_TO_SPACE ? 1u : 0u;
    // The deep side has the channels, the wide side the plane.
    const ref_tensor *deep = to_space ? call->inputs[0] : call->outputs[0];
    const ref_tensor *wide = to_space ? call->outputs[0] : call->inputs[0];
    const int64_t b = tni_ref_int(call, "blocksize", 0);
    const uint32_t crd = tn_view_attr_string_is(call->view, call->node, "mode", "CRD");
    if (deep->rank != 4 || wide->rank != 4 || b < 1 || b > INT16_MAX ||
        deep->dtype != wide->dtype || deep->dims[0] != wide->dims[0] ||
        deep->dims[1] != wide->dims[1] * b * b || wide->dims[2] != deep->dims[2] * b ||
        wide->dims[3] != deep->dims[3] * b) {
        return tni_ref_invalid(call, "shape, type or blocksize");
    }
    for (int64_t i = 0; i < wide->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(wide, i, at);
        const int64_t block = at[2] % b * b + at[3] % b;
        const int64_t channel = crd ? at[1] * b * b + block : block * wide->dims[1] + at[1];
        const int64_t from[4] = {at[0], channel, at[2] / b, at[3] / b};
        const int64_t other = tni_ref_position(deep, from);
        tni_ref_move(call->outputs[0], to_space ? i : other, call->inputs[0], to_space ? other : i);
    }
    return TN_OK;
}

// OneHot: values are [off, on]; an index outside [-depth, depth) leaves its row off.
tn_status tni_ref_one_hot(const ref_call *call) {
    const ref_tensor *indices = call->inputs[0];
    const ref_tensor *values = call->inputs[2];
    ref_tensor *output = call->outputs[0];
    uint32_t axis = 0;
    if (output->rank != indices->rank + 1 || values->count != 2 || values->dtype != output->dtype ||
        !tni_ref_axis(tni_ref_int(call, "axis", -1), output->rank, &axis)) {
        return tni_ref_invalid(call, "shape, type or axis");
    }
    const int64_t depth = output->dims[axis];
    const int64_t inner = tni_ref_product(output->dims, axis + 1, output->rank);
    if (output->count != indices->count * depth || call->inputs[1]->count != 1 ||
        tni_ref_load_int(call->inputs[1], 0) != depth) {
        return tni_ref_stale(call, 1);
    }
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t row = i / inner / depth * inner + i % inner;
        int64_t hot = 0;
        const uint32_t valid = tni_ref_wrap(tni_ref_load_int(indices, row), depth, &hot);
        tni_ref_move(output, i, values, valid && hot == i / inner % depth ? 1 : 0);
    }
    return TN_OK;
}
