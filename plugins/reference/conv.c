// SPDX-License-Identifier: Apache-2.0
// Conv (ONNX operator list, "Conv"): Y[n,m,o] = B[m] + sum over c,k of
// W[m,c,k] * X[n, g*C/G + c, o*stride - pad + k*dilation], where m is in group g. Sums are double.
#include "kernels.h"
#include "window.h"

// Output elements of one row that are summed at a time, on the stack.
#define TILE 256

typedef struct conv_job {
    const ref_tensor *input;
    const ref_tensor *weight;
    const ref_tensor *bias; // may be null
    ref_tensor *output;
    ref_window window;
    int64_t maps;           // output channels
    int64_t group_maps;     // output channels of a group
    int64_t group_channels; // input channels of a group
} conv_job;

// Adds what one input row contributes to tile positions [begin, end) of an output row.
static void add_row(const conv_job *job, double *sums, int64_t begin, int64_t end,
                    int64_t weight_at, int64_t row_at) {
    const ref_window *window = &job->window;
    for (int64_t k = 0; k < window->kernel[2]; ++k) {
        int64_t low;
        int64_t high;
        tni_ref_window_range(window, 2, k, &low, &high);
        low = low < begin ? begin : low;
        high = high > end ? end : high;
        if (low < high) {
            const int64_t first =
                low * window->stride[2] + k * window->dilation[2] - window->pad_begin[2];
            tni_ref_add_scaled(&sums[low - begin], high - low,
                               tni_ref_load(job->weight, weight_at + k), job->input, row_at + first,
                               window->stride[2]);
        }
    }
}

// Adds what one input channel contributes: all rows of its window.
static void add_channel(const conv_job *job, double *sums, const int64_t position[2],
                        const int64_t tile[2], int64_t plane, int64_t kernel) {
    const ref_window *window = &job->window;
    for (int64_t kz = 0; kz < window->kernel[0]; ++kz) {
        const int64_t z =
            position[0] * window->stride[0] + kz * window->dilation[0] - window->pad_begin[0];
        for (int64_t ky = 0; ky < window->kernel[1]; ++ky) {
            const int64_t y =
                position[1] * window->stride[1] + ky * window->dilation[1] - window->pad_begin[1];
            if (z >= 0 && z < window->input[0] && y >= 0 && y < window->input[1]) {
                const int64_t weights = (kernel * window->kernel[0] + kz) * window->kernel[1] + ky;
                const int64_t row = (plane * window->input[0] + z) * window->input[1] + y;
                add_row(job, sums, tile[0], tile[1], weights * window->kernel[2],
                        row * window->input[2]);
            }
        }
    }
}

// Computes elements [tile[0], tile[1]) of one output row.
static void run_tile(const conv_job *job, int64_t row, const int64_t tile[2]) {
    const int64_t *out = job->window.output;
    const int64_t position[2] = {row / out[1] % out[0], row % out[1]};
    const int64_t map = row / out[1] / out[0] % job->maps;
    const int64_t n = row / out[1] / out[0] / job->maps;
    const int64_t channel = map / job->group_maps * job->group_channels;
    double sums[TILE];
    for (int64_t i = 0; i < tile[1] - tile[0]; ++i) {
        sums[i] = job->bias == NULL ? 0.0 : tni_ref_load(job->bias, map);
    }
    for (int64_t c = 0; c < job->group_channels; ++c) {
        add_channel(job, sums, position, tile, n * job->input->dims[1] + channel + c,
                    map * job->group_channels + c);
    }
    for (int64_t i = tile[0]; i < tile[1]; ++i) {
        tni_ref_store(job->output, row * out[2] + i, sums[i - tile[0]]);
    }
}

// One item: one row of one output channel of one image.
static void conv_rows(void *user_data, uint64_t first, uint64_t last, uint32_t worker) {
    (void)worker;
    const conv_job *job = user_data;
    const int64_t width = job->window.output[2];
    for (int64_t row = (int64_t)first; row < (int64_t)last; ++row) {
        for (int64_t begin = 0; begin < width; begin += TILE) {
            const int64_t tile[2] = {begin, begin + TILE < width ? begin + TILE : width};
            run_tile(job, row, tile);
        }
    }
}

// A 1x1 window that steps by one sees each position alone, so the spatial axes are one long row.
static void flatten_pointwise(ref_window *window) {
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        if (window->kernel[axis] != 1 || window->stride[axis] != 1 ||
            window->pad_begin[axis] != 0 || window->pad_end[axis] != 0) {
            return;
        }
    }
    window->input[2] *= window->input[0] * window->input[1];
    window->output[2] = window->input[2];
    window->input[0] = window->input[1] = 1;
    window->output[0] = window->output[1] = 1;
}

tn_status tni_ref_conv(const ref_call *call) {
    conv_job job = {.input = call->inputs[0],
                    .weight = call->inputs[1],
                    .bias = tni_ref_input(call, 2),
                    .output = call->outputs[0]};
    const int64_t groups = tni_ref_int(call, "group", 1);
    if (job.input->rank != job.weight->rank || job.input->rank < 3 || groups < 1) {
        return tni_ref_invalid(call, "rank of the input or the weights");
    }
    job.maps = job.weight->dims[0];
    job.group_channels = job.weight->dims[1];
    job.group_maps = job.maps / groups;
    if (job.maps % groups != 0 || job.maps == 0 ||
        job.input->dims[1] != job.group_channels * groups ||
        (job.bias != NULL && (job.bias->rank != 1 || job.bias->dims[0] != job.maps))) {
        return tni_ref_invalid(call, "channels, groups or bias");
    }
    const tn_status status = tni_ref_window(call, job.input, &job.weight->dims[2], &job.window);
    if (status != TN_OK) {
        return status;
    }
    if (!tni_ref_window_fits(&job.window, job.output, job.input->dims[0], job.maps)) {
        return tni_ref_invalid(call, "shape of the output");
    }
    flatten_pointwise(&job.window);
    const ref_window *window = &job.window;
    const int64_t rows = job.input->dims[0] * job.maps * window->output[0] * window->output[1];
    const int64_t products = job.group_channels * window->kernel[0] * window->kernel[1] *
                             window->kernel[2] * window->output[2];
    if (job.output->count != 0) {
        tni_ref_parallel(call, rows, products, conv_rows, &job);
    }
    return TN_OK;
}

uint32_t tni_ref_check_conv(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    const tn_graph_value *input = tn_view_value(view, tn_view_node_input(view, node, 0));
    if (input->dims.count < 3 || input->dims.count > 2 + REF_SPATIAL) {
        tn_helper_no(out_verdict, TN_REASON_RANK_LIMIT, 0, 2 + REF_SPATIAL, input->dims.count);
        return 0;
    }
    return 1;
}
