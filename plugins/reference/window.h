// SPDX-License-Identifier: Apache-2.0
// Sliding windows: the geometry that convolution and pooling share, as three spatial axes of which
// the first ones may be of size 1.
#ifndef TENON_REFERENCE_WINDOW_H
#define TENON_REFERENCE_WINDOW_H

#include "ops.h"

#define REF_SPATIAL 3u

typedef struct ref_window {
    uint32_t rank; // spatial axes the tensors really have
    int64_t input[REF_SPATIAL];
    int64_t kernel[REF_SPATIAL];
    int64_t output[REF_SPATIAL];
    int64_t stride[REF_SPATIAL];
    int64_t dilation[REF_SPATIAL];
    int64_t pad_begin[REF_SPATIAL];
    int64_t pad_end[REF_SPATIAL];
} ref_window;

// Reads strides, dilations, pads, auto_pad and ceil_mode of the node and works out the geometry and
// the output sizes. input: [N, C, spatial...]. kernel: spatial sizes, input->rank - 2 of them.
// TN_ERROR_INVALID_DATA sizes or lists break the rules.
tn_status tni_ref_window(const ref_call *call, const ref_tensor *input, const int64_t *kernel,
                         ref_window *out_window);
// Whether the output's shape is [N, channels, window->output...].
uint32_t tni_ref_window_fits(const ref_window *window, const ref_tensor *output, int64_t batch,
                             int64_t channels);

// The sub-range of output positions along one axis for which window element k lies inside the
// input.
void tni_ref_window_range(const ref_window *window, uint32_t axis, int64_t k, int64_t *out_begin,
                          int64_t *out_end);

#endif // TENON_REFERENCE_WINDOW_H
