// SPDX-License-Identifier: Apache-2.0
// ConvInteger and QLinearConv (ONNX operator list): the convolution of (x - x_zero) with
// (w - w_zero), summed in 32 bits that wrap around; QLinearConv adds the bias, multiplies with
// x_scale * w_scale / y_scale in double, rounds half to even, adds y_zero and saturates. Padding is
// x_zero, so that it adds nothing.
#include "kernels.h"
#include "window.h"

#include <math.h>

typedef struct integer_conv {
    const ref_tensor *input;
    const ref_tensor *weight;
    const ref_tensor *input_zero;  // may be null: zero
    const ref_tensor *weight_zero; // may be null: zero; one, or one per map
    const ref_tensor *bias;        // may be null, as what follows: QLinearConv alone
    const ref_tensor *input_scale;
    const ref_tensor *weight_scale; // one, or one per map
    const ref_tensor *output_scale;
    const ref_tensor *output_zero;
    ref_tensor *output;
    ref_window window;
    int64_t maps;
    int64_t group_maps;
    int64_t group_channels;
} integer_conv;

static int64_t of_map(const ref_tensor *tensor, int64_t map) {
    return tensor == NULL ? 0 : tni_ref_load_int(tensor, tensor->count == 1 ? 0 : map);
}

// The sum over one input channel.
static uint64_t sum_channel(const integer_conv *job, const int64_t position[3], int64_t plane,
                            int64_t weights, uint64_t weight_zero) {
    const ref_window *window = &job->window;
    const int64_t *kernel = window->kernel;
    const uint64_t input_zero = (uint64_t)of_map(job->input_zero, 0);
    uint64_t sum = 0;
    for (int64_t tap = 0; tap < kernel[0] * kernel[1] * kernel[2]; ++tap) {
        const int64_t k[3] = {tap / kernel[2] / kernel[1], tap / kernel[2] % kernel[1],
                              tap % kernel[2]};
        int64_t at = plane;
        uint32_t inside = 1;
        for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
            const int64_t x = position[axis] * window->stride[axis] +
                              k[axis] * window->dilation[axis] - window->pad_begin[axis];
            inside = x < 0 || x >= window->input[axis] ? 0 : inside;
            at = at * window->input[axis] + x;
        }
        if (inside) {
            const uint64_t x = (uint64_t)tni_ref_load_int(job->input, at) - input_zero;
            const uint64_t w = (uint64_t)tni_ref_load_int(job->weight, weights + tap) - weight_zero;
            sum += x * w;
        }
    }
    return sum;
}

static void finish(const integer_conv *job, int64_t i, int64_t map, int32_t sum) {
    if (job->output_scale == NULL) {
        tni_ref_store_int(job->output, i, sum);
        return;
    }
    const int64_t scale_at = job->weight_scale->count == 1 ? 0 : map;
    const double multiplier = tni_ref_load(job->input_scale, 0) *
                              tni_ref_load(job->weight_scale, scale_at) /
                              tni_ref_load(job->output_scale, 0);
    const double zero = (double)of_map(job->output_zero, 0);
    tni_ref_store(job->output, i, nearbyint((double)sum * multiplier) + zero);
}

static void conv_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const integer_conv *job = user_data;
    const int64_t *out = job->window.output;
    const int64_t *kernel = job->window.kernel;
    const int64_t taps = kernel[0] * kernel[1] * kernel[2];
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        const int64_t position[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        const int64_t map = i / out[2] / out[1] / out[0] % job->maps;
        const int64_t n = i / out[2] / out[1] / out[0] / job->maps;
        const int64_t channel =
            n * job->input->dims[1] + map / job->group_maps * job->group_channels;
        const uint64_t weight_zero = (uint64_t)of_map(job->weight_zero, map);
        uint64_t sum = (uint64_t)(job->bias == NULL ? 0 : tni_ref_load_int(job->bias, map));
        for (int64_t c = 0; c < job->group_channels; ++c) {
            sum += sum_channel(job, position, channel + c, (map * job->group_channels + c) * taps,
                               weight_zero);
        }
        finish(job, i, map, (int32_t)(uint32_t)sum);
    }
}

static uint32_t per_map(const ref_tensor *tensor, int64_t maps) {
    return tni_ref_is_scalar(tensor) || (tensor->rank == 1 && tensor->count == maps) ? 1u : 0u;
}

static tn_status run_conv(const ref_call *call, integer_conv *job) {
    const int64_t groups = tni_ref_int(call, "group", 1);
    if (job->input->rank != job->weight->rank || job->input->rank < 3 || groups < 1) {
        return tni_ref_invalid(call, "rank of the input or the weights");
    }
    job->maps = job->weight->dims[0];
    job->group_channels = job->weight->dims[1];
    job->group_maps = job->maps / groups;
    if (job->maps % groups != 0 || job->maps == 0 ||
        job->input->dims[1] != job->group_channels * groups ||
        !tni_ref_is_scalar(job->input_zero) || !per_map(job->weight_zero, job->maps) ||
        !per_map(job->weight_scale, job->maps) || !tni_ref_is_scalar(job->input_scale) ||
        !tni_ref_is_scalar(job->output_scale) || !tni_ref_is_scalar(job->output_zero) ||
        (job->bias != NULL && (job->bias->rank != 1 || job->bias->dims[0] != job->maps))) {
        return tni_ref_invalid(call, "channels, groups, scales, zero points or bias");
    }
    const tn_status status = tni_ref_window(call, job->input, &job->weight->dims[2], &job->window);
    if (status != TN_OK) {
        return status;
    }
    if (!tni_ref_window_fits(&job->window, job->output, job->input->dims[0], job->maps)) {
        return tni_ref_invalid(call, "shape of the output");
    }
    const int64_t *kernel = job->window.kernel;
    tni_ref_parallel(call, job->output->count,
                     job->group_channels * kernel[0] * kernel[1] * kernel[2] * 10 + 10, conv_range,
                     job);
    return TN_OK;
}

tn_status tni_ref_conv_integer(const ref_call *call) {
    integer_conv job = {.input = call->inputs[0],
                        .weight = call->inputs[1],
                        .input_zero = tni_ref_input(call, 2),
                        .weight_zero = tni_ref_input(call, 3),
                        .output = call->outputs[0]};
    if (job.output->dtype != TN_DTYPE_INT32) {
        return tni_ref_invalid(call, "type of the output");
    }
    return run_conv(call, &job);
}

tn_status tni_ref_qlinear_conv(const ref_call *call) {
    integer_conv job = {.input = call->inputs[0],
                        .input_scale = call->inputs[1],
                        .input_zero = call->inputs[2],
                        .weight = call->inputs[3],
                        .weight_scale = call->inputs[4],
                        .weight_zero = call->inputs[5],
                        .output_scale = call->inputs[6],
                        .output_zero = call->inputs[7],
                        .bias = tni_ref_input(call, 8),
                        .output = call->outputs[0]};
    if (job.output->dtype != job.output_zero->dtype ||
        (job.bias != NULL && job.bias->dtype != TN_DTYPE_INT32)) {
        return tni_ref_invalid(call, "type of the output or the bias");
    }
    return run_conv(call, &job);
}
