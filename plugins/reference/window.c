// SPDX-License-Identifier: Apache-2.0
// Geometry of sliding windows, after the sections Conv and MaxPool of the ONNX operator list.
#include "window.h"

// Sizes and steps beyond this are refused, so that no product below can overflow.
#define MAX_SIZE (1ll << 31)

// Copies an attribute of rank ints to the last rank of the three axes; absent: all are otherwise.
static uint32_t read_list(const ref_call *call, const char *name, uint32_t rank, int64_t otherwise,
                          int64_t *out_values) {
    int64_t values[REF_SPATIAL] = {0};
    const uint32_t count = tn_view_attr_ints(call->view, call->node, name, values, REF_SPATIAL);
    if (count != 0 && count != rank) {
        return 0;
    }
    for (uint32_t i = 0; i < REF_SPATIAL; ++i) {
        const uint32_t lead = REF_SPATIAL - rank;
        out_values[i] = i < lead ? 1 : (count == 0 ? otherwise : values[i - lead]);
        if (out_values[i] < 1 || out_values[i] > MAX_SIZE) {
            return 0;
        }
    }
    return 1;
}

static uint32_t read_pads(const ref_call *call, ref_window *window) {
    int64_t values[2 * REF_SPATIAL] = {0};
    const uint32_t rank = window->rank;
    const uint32_t count = tn_view_attr_ints(call->view, call->node, "pads", values, 2 * rank);
    if (count != 0 && count != 2 * rank) {
        return 0;
    }
    for (uint32_t i = 0; i < rank; ++i) {
        const uint32_t axis = REF_SPATIAL - rank + i;
        window->pad_begin[axis] = values[i];
        window->pad_end[axis] = values[rank + i];
        if (values[i] < 0 || values[rank + i] < 0 || values[i] > MAX_SIZE ||
            values[rank + i] > MAX_SIZE) {
            return 0;
        }
    }
    return 1;
}

// SAME: the output has ceil(input / stride) positions and the padding follows; an odd element goes
// to the end for UPPER and to the beginning for LOWER.
static void pad_same(ref_window *window, uint32_t axis, uint32_t upper) {
    const int64_t extent = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
    const int64_t positions =
        (window->input[axis] + window->stride[axis] - 1) / window->stride[axis];
    int64_t total = (positions - 1) * window->stride[axis] + extent - window->input[axis];
    if (total < 0) {
        total = 0;
    }
    window->pad_begin[axis] = upper ? total / 2 : total - total / 2;
    window->pad_end[axis] = total - window->pad_begin[axis];
}

static void count_positions(ref_window *window, uint32_t axis, uint32_t ceil_mode) {
    const int64_t extent = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
    const int64_t stride = window->stride[axis];
    const int64_t room =
        window->input[axis] + window->pad_begin[axis] + window->pad_end[axis] - extent;
    if (room < 0) {
        window->output[axis] = 0;
        return;
    }
    int64_t positions = room / stride + 1;
    // A window that begins in the padding at the end does not count.
    if (ceil_mode && room % stride != 0 &&
        positions * stride < window->input[axis] + window->pad_begin[axis]) {
        positions += 1;
    }
    window->output[axis] = positions;
}

tn_status tni_ref_window(const ref_call *call, const ref_tensor *input, const int64_t *kernel,
                         ref_window *out_window) {
    if (input->rank < 3 || input->rank > 2 + REF_SPATIAL) {
        return tni_ref_invalid(call, "rank of the input");
    }
    const uint32_t rank = input->rank - 2;
    *out_window = (ref_window){.rank = rank};
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        const uint32_t lead = REF_SPATIAL - rank;
        out_window->input[axis] = axis < lead ? 1 : input->dims[2 + axis - lead];
        out_window->kernel[axis] = axis < lead ? 1 : kernel[axis - lead];
        if (out_window->kernel[axis] < 1 || out_window->kernel[axis] > MAX_SIZE ||
            out_window->input[axis] > MAX_SIZE) {
            return tni_ref_invalid(call, "size of the window or the input");
        }
    }
    if (!read_list(call, "strides", rank, 1, out_window->stride) ||
        !read_list(call, "dilations", rank, 1, out_window->dilation) ||
        !read_pads(call, out_window)) {
        return tni_ref_invalid(call, "strides, dilations or pads");
    }
    const tn_string auto_pad = tn_view_attr_string(call->view, call->node, "auto_pad");
    const uint32_t lower = tn_view_attr_string_is(call->view, call->node, "auto_pad", "SAME_LOWER");
    const uint32_t upper = tn_view_attr_string_is(call->view, call->node, "auto_pad", "SAME_UPPER");
    const uint32_t given =
        auto_pad.size_bytes == 0 ||
                tn_view_attr_string_is(call->view, call->node, "auto_pad", "NOTSET")
            ? 1u
            : 0u;
    const uint32_t ceil_mode = tni_ref_int(call, "ceil_mode", 0) != 0 ? 1u : 0u;
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        if (lower || upper) {
            pad_same(out_window, axis, upper);
        } else if (!given) {
            out_window->pad_begin[axis] = 0; // VALID
            out_window->pad_end[axis] = 0;
        }
        count_positions(out_window, axis, ceil_mode);
    }
    return TN_OK;
}

uint32_t tni_ref_window_fits(const ref_window *window, const ref_tensor *output, int64_t batch,
                             int64_t channels) {
    if (output->rank != window->rank + 2 || output->dims[0] != batch ||
        output->dims[1] != channels) {
        return 0;
    }
    for (uint32_t i = 0; i < window->rank; ++i) {
        if (output->dims[2 + i] != window->output[REF_SPATIAL - window->rank + i]) {
            return 0;
        }
    }
    return 1;
}

void tni_ref_window_range(const ref_window *window, uint32_t axis, int64_t k, int64_t *out_begin,
                          int64_t *out_end) {
    const int64_t stride = window->stride[axis];
    // Input position of output position 0; the input has [0, input[axis]).
    const int64_t first = k * window->dilation[axis] - window->pad_begin[axis];
    int64_t begin = first >= 0 ? 0 : -first;
    int64_t end = window->input[axis] - first;
    end = end < 0 ? 0 : end;
    // Division is slow next to a short row, and most windows step by one.
    if (stride != 1) {
        begin = (begin + stride - 1) / stride;
        end = (end + stride - 1) / stride;
    }
    if (end > window->output[axis]) {
        end = window->output[axis];
    }
    *out_begin = begin;
    *out_end = end < begin ? begin : end;
}
