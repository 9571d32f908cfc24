// SPDX-License-Identifier: Apache-2.0
// ConvTranspose (ONNX operator list, "ConvTranspose"): the gradient of Conv with respect to its
// input. Each output element gathers what reaches it: Y[n,m,o] = B[m] + sum over c,k of X[n,c,i] *
// W[c,m,k] where i * stride + k * dilation - pad = o.
#include "kernels.h"
#include "window.h"

typedef struct transpose_job {
    const ref_tensor *input;
    const ref_tensor *weight; // [C, M/G, k...]
    const ref_tensor *bias;   // may be null
    ref_tensor *output;
    int64_t in[REF_SPATIAL];
    int64_t out[REF_SPATIAL];
    int64_t kernel[REF_SPATIAL];
    int64_t stride[REF_SPATIAL];
    int64_t dilation[REF_SPATIAL];
    int64_t pad[REF_SPATIAL]; // at the beginning
    int64_t channels;
    int64_t maps;
    int64_t group_maps;
    int64_t group_channels;
} transpose_job;

// The input position that kernel element k carries to output position o, or -1.
static int64_t source(const transpose_job *job, uint32_t axis, int64_t o, int64_t k) {
    const int64_t shifted = o + job->pad[axis] - k * job->dilation[axis];
    if (shifted < 0 || shifted % job->stride[axis] != 0) {
        return -1;
    }
    const int64_t at = shifted / job->stride[axis];
    return at < job->in[axis] ? at : -1;
}

// The sum over the channels of one group, for one input position and one kernel element.
static double sum_channels(const transpose_job *job, int64_t n, int64_t map, const int64_t at[3],
                           const int64_t k[3]) {
    const int64_t first = map / job->group_maps * job->group_channels;
    double sum = 0.0;
    for (int64_t c = first; c < first + job->group_channels; ++c) {
        const int64_t plane = (n * job->channels + c) * job->in[0] + at[0];
        const int64_t kernel =
            (c * job->group_maps + map % job->group_maps) * job->kernel[0] + k[0];
        sum += tni_ref_load(job->input, (plane * job->in[1] + at[1]) * job->in[2] + at[2]) *
               tni_ref_load(job->weight, (kernel * job->kernel[1] + k[1]) * job->kernel[2] + k[2]);
    }
    return sum;
}

static double gather(const transpose_job *job, int64_t n, int64_t map, const int64_t o[3]) {
    double sum = job->bias == NULL ? 0.0 : tni_ref_load(job->bias, map);
    const int64_t taps = job->kernel[0] * job->kernel[1] * job->kernel[2];
    for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t k[3] = {tap / job->kernel[2] / job->kernel[1],
                              tap / job->kernel[2] % job->kernel[1], tap % job->kernel[2]};
        const int64_t at[3] = {source(job, 0, o[0], k[0]), source(job, 1, o[1], k[1]),
                               source(job, 2, o[2], k[2])};
        if (at[0] >= 0 && at[1] >= 0 && at[2] >= 0) {
            sum += sum_channels(job, n, map, at, k);
        }
    }
    return sum;
}

static void transpose_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const transpose_job *job = user_data;
    const int64_t *out = job->out;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        const int64_t o[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        const int64_t plane = i / out[2] / out[1] / out[0];
        tni_ref_store(job->output, i, gather(job, plane / job->maps, plane % job->maps, o));
    }
}

// Padding follows from the output's size where the node asks for it (output_shape, auto_pad); the
// size the host gives decides, and has to agree with explicit pads. With output_shape the odd
// element of the padding goes to the end only for SAME_UPPER.
static uint32_t fit_axis(const ref_call *call, transpose_job *job, uint32_t axis, uint32_t given,
                         int64_t pad_end, int64_t output_padding) {
    const int64_t full = (job->in[axis] - 1) * job->stride[axis] + output_padding +
                         (job->kernel[axis] - 1) * job->dilation[axis] + 1;
    if (given) {
        return job->out[axis] == full - job->pad[axis] - pad_end ? 1u : 0u;
    }
    const int64_t total = full - job->out[axis];
    const uint32_t upper = tn_view_attr_string_is(call->view, call->node, "auto_pad", "SAME_UPPER");
    if (total < 0) {
        job->pad[axis] = 0;
        return 1;
    }
    job->pad[axis] = upper ? total / 2 : total - total / 2;
    return 1;
}

static uint32_t fit_axes(const ref_call *call, transpose_job *job, uint32_t rank) {
    int64_t pads[2 * REF_SPATIAL] = {0};
    int64_t extra[REF_SPATIAL] = {0};
    int64_t lists[2][REF_SPATIAL] = {{1, 1, 1}, {1, 1, 1}};
    static const char *const names[2] = {"strides", "dilations"};
    for (uint32_t i = 0; i < 2; ++i) {
        const uint32_t count = tn_view_attr_ints(call->view, call->node, names[i], lists[i], rank);
        if (count != 0 && count != rank) {
            return 0;
        }
    }
    const uint32_t pad_count = tn_view_attr_ints(call->view, call->node, "pads", pads, 2 * rank);
    const uint32_t extra_count =
        tn_view_attr_ints(call->view, call->node, "output_padding", extra, rank);
    if ((pad_count != 0 && pad_count != 2 * rank) || (extra_count != 0 && extra_count != rank)) {
        return 0;
    }
    const tn_string auto_pad = tn_view_attr_string(call->view, call->node, "auto_pad");
    const uint32_t is_set =
        auto_pad.size_bytes != 0 &&
                !tn_view_attr_string_is(call->view, call->node, "auto_pad", "NOTSET") &&
                !tn_view_attr_string_is(call->view, call->node, "auto_pad", "VALID")
            ? 1u
            : 0u;
    const uint32_t given = !is_set && !tni_ref_has(call, "output_shape") ? 1u : 0u;
    for (uint32_t i = 0; i < rank; ++i) {
        const uint32_t axis = REF_SPATIAL - rank + i;
        job->stride[axis] = lists[0][i];
        job->dilation[axis] = lists[1][i];
        job->pad[axis] = pads[i];
        if (job->in[axis] > INT32_MAX || job->kernel[axis] > INT32_MAX || lists[0][i] < 1 ||
            lists[1][i] < 1 || lists[0][i] > INT16_MAX || lists[1][i] > INT16_MAX || pads[i] < 0 ||
            pads[i] > INT32_MAX || pads[rank + i] < 0 || pads[rank + i] > INT32_MAX ||
            extra[i] < 0 || extra[i] > INT32_MAX ||
            !fit_axis(call, job, axis, given, pads[rank + i], extra[i])) {
            return 0;
        }
    }
    return 1;
}

tn_status tni_ref_conv_transpose(const ref_call *call) {
    transpose_job job = {.input = call->inputs[0],
                         .weight = call->inputs[1],
                         .bias = tni_ref_input(call, 2),
                         .output = call->outputs[0]};
    const uint32_t tensor_rank = job.input->rank;
    const int64_t groups = tni_ref_int(call, "group", 1);
    if (tensor_rank < 3 || tensor_rank > 2 + REF_SPATIAL || job.weight->rank != tensor_rank ||
        job.output->rank != tensor_rank || groups < 1 || job.input->dims[1] % groups != 0 ||
        job.weight->dims[0] != job.input->dims[1] || job.output->dims[0] != job.input->dims[0] ||
        job.output->dims[1] != job.weight->dims[1] * groups) {
        return tni_ref_invalid(call, "shapes or groups");
    }
    const uint32_t rank = tensor_rank - 2;
    for (uint32_t axis = 0; axis < REF_SPATIAL; ++axis) {
        const uint32_t lead = REF_SPATIAL - rank;
        const uint32_t from = axis < lead ? 0 : 2 + axis - lead;
        job.in[axis] = axis < lead ? 1 : job.input->dims[from];
        job.out[axis] = axis < lead ? 1 : job.output->dims[from];
        job.kernel[axis] = axis < lead ? 1 : job.weight->dims[from];
        job.stride[axis] = 1;
        job.dilation[axis] = 1;
    }
    job.channels = job.input->dims[1];
    job.maps = job.output->dims[1];
    job.group_maps = job.weight->dims[1];
    job.group_channels = job.channels / groups;
    if (!fit_axes(call, &job, rank) ||
        (job.bias != NULL && (job.bias->rank != 1 || job.bias->dims[0] != job.maps))) {
        return tni_ref_invalid(call, "pads, strides, dilations, bias or shape of the output");
    }
    const int64_t products =
        job.group_channels * job.kernel[0] * job.kernel[1] * job.kernel[2] * 5 + 10;
    tni_ref_parallel(call, job.output->count, products, transpose_range, &job);
    return TN_OK;
}
