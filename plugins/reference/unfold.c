// SPDX-License-Identifier: Apache-2.0
// Ops that put windows back or bend them (ONNX operator list): Col2Im, MaxUnpool, DeformConv.
#include "kernels.h"

#include <math.h>

#define MAX_AXES 8u

// Reads a list of rank ints; absent: all are otherwise. Entries lie in [least, 2^31].
static uint32_t read_ints(const ref_call *call, const char *name, uint32_t rank, int64_t otherwise,
                          int64_t least, int64_t *out_values) {
    const uint32_t count = tn_view_attr_ints(call->view, call->node, name, out_values, rank);
    if (count != 0 && count != rank) {
        return 0;
    }
    for (uint32_t i = 0; i < rank; ++i) {
        out_values[i] = count == 0 ? otherwise : out_values[i];
        if (out_values[i] < least || out_values[i] > INT32_MAX) {
            return 0;
        }
    }
    return 1;
}

typedef struct fold_job {
    uint32_t axes;
    int64_t image[MAX_AXES];
    int64_t block[MAX_AXES];
    int64_t blocks[MAX_AXES]; // positions of the window
    int64_t stride[MAX_AXES];
    int64_t dilation[MAX_AXES];
    int64_t pads[2 * MAX_AXES];
    int64_t block_count; // product of block
    int64_t blocks_count;
} fold_job;

static uint32_t read_fold(const ref_call *call, fold_job *job) {
    const ref_tensor *y = call->outputs[0];
    job->axes = y->rank - 2;
    job->block_count = 1;
    job->blocks_count = 1;
    if (y->rank < 3 || job->axes > MAX_AXES || call->inputs[2]->count != (int64_t)job->axes ||
        !read_ints(call, "strides", job->axes, 1, 1, job->stride) ||
        !read_ints(call, "dilations", job->axes, 1, 1, job->dilation) ||
        !read_ints(call, "pads", 2 * job->axes, 0, 0, job->pads)) {
        return 0;
    }
    for (uint32_t i = 0; i < job->axes; ++i) {
        job->image[i] = y->dims[2 + i];
        job->block[i] = tni_ref_load_int(call->inputs[2], i);
        if (job->block[i] < 1 || job->block[i] > INT16_MAX) {
            return 0;
        }
        const int64_t reach = job->dilation[i] * (job->block[i] - 1) + 1;
        const int64_t room = job->image[i] + job->pads[i] + job->pads[job->axes + i] - reach;
        job->blocks[i] = room < 0 ? 0 : room / job->stride[i] + 1;
        if (job->block_count > INT32_MAX || job->blocks_count > INT32_MAX) {
            return 0;
        }
        job->block_count *= job->block[i];
        job->blocks_count *= job->blocks[i];
    }
    return 1;
}

// Col2Im: each image element is the sum of the column entries that were taken from it.
tn_status tni_ref_col2im(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    fold_job job;
    memset(&job, 0, sizeof job);
    if (call->inputs[1]->count != (int64_t)y->rank - 2) {
        return tni_ref_invalid(call, "image_shape");
    }
    for (uint32_t i = 2; i < y->rank; ++i) {
        if (tni_ref_load_int(call->inputs[1], i - 2) != y->dims[i]) {
            return tni_ref_stale(call, 1);
        }
    }
    if (!read_fold(call, &job) || x->rank != 3 || x->dims[0] != y->dims[0] ||
        x->dims[1] != y->dims[1] * job.block_count || x->dims[2] != job.blocks_count) {
        return tni_ref_invalid(call, "shapes or attributes");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        double sum = 0.0;
        tni_ref_coordinates(y, i, at);
        for (int64_t tap = 0; tap < job.block_count; ++tap) {
            int64_t rest = tap;
            int64_t column = 0;
            int64_t scale = 1;
            uint32_t hit = 1;
            for (uint32_t axis = job.axes; axis-- > 0 && hit;) {
                const int64_t offset = rest % job.block[axis];
                const int64_t from = at[2 + axis] + job.pads[axis] - offset * job.dilation[axis];
                rest /= job.block[axis];
                hit = from >= 0 && from % job.stride[axis] == 0 &&
                              from / job.stride[axis] < job.blocks[axis]
                          ? 1u
                          : 0u;
                column += from / job.stride[axis] * scale;
                scale *= job.blocks[axis];
            }
            const int64_t plane = (at[0] * y->dims[1] + at[1]) * job.block_count + tap;
            sum += hit ? tni_ref_load(x, plane * job.blocks_count + column) : 0.0;
        }
        tni_ref_store(y, i, sum);
    }
    return TN_OK;
}

// MaxUnpool: values go back to where MaxPool's Indices say, which count in the shape that follows
// from the window; output_shape may be larger.
tn_status tni_ref_max_unpool(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *indices = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const uint32_t axes = x->rank < 2 ? 0 : x->rank - 2;
    int64_t kernel[MAX_AXES];
    int64_t stride[MAX_AXES];
    int64_t pads[2 * MAX_AXES];
    ref_tensor pooled = {.rank = x->rank};
    if (axes == 0 || axes > MAX_AXES || y->rank != x->rank || !tni_ref_same_shape(x, indices) ||
        x->dtype != y->dtype || !read_ints(call, "kernel_shape", axes, 0, 1, kernel) ||
        !read_ints(call, "strides", axes, 1, 1, stride) ||
        !read_ints(call, "pads", 2 * axes, 0, 0, pads)) {
        return tni_ref_invalid(call, "shapes or attributes");
    }
    for (uint32_t i = 0; i < x->rank; ++i) {
        if (x->dims[i] > INT32_MAX) {
            return tni_ref_invalid(call, "the input is too large");
        }
        pooled.dims[i] = i < 2 ? x->dims[i]
                               : (x->dims[i] - 1) * stride[i - 2] + kernel[i - 2] - pads[i - 2] -
                                     pads[axes + i - 2];
        const uint32_t free = tni_ref_input(call, 2) != NULL && i >= 2 ? 1u : 0u;
        if (pooled.dims[i] < 0 ||
            (free ? y->dims[i] < pooled.dims[i] : y->dims[i] != pooled.dims[i])) {
            return tni_ref_invalid(call, "shape of the output");
        }
    }
    if (y->size_bytes != 0) {
        memset(y->data, 0, (size_t)y->size_bytes);
    }
    const int64_t count = tni_ref_product(pooled.dims, 0, pooled.rank);
    for (int64_t i = 0; i < x->count; ++i) {
        int64_t at[TN_MAX_RANK];
        const int64_t index = tni_ref_load_int(indices, i);
        if (index < 0 || index >= count) {
            return tni_ref_invalid(call, "an index lies outside the output");
        }
        tni_ref_coordinates(&pooled, index, at);
        tni_ref_move(y, tni_ref_position(y, at), x, i);
    }
    return TN_OK;
}

typedef struct deform_job {
    const ref_tensor *x;
    const ref_tensor *weight;
    const ref_tensor *offset;
    const ref_tensor *bias; // may be null
    const ref_tensor *mask; // may be null
    ref_tensor *y;
    int64_t groups;
    int64_t offset_groups;
    int64_t stride[2];
    int64_t dilation[2];
    int64_t pads[4];
} deform_job;

// Bilinear, with zeros around the plane.
static double read_between(const ref_tensor *x, int64_t plane, double row, double column) {
    const int64_t height = x->dims[2];
    const int64_t width = x->dims[3];
    if (!(row > -1.0 && row < (double)height && column > -1.0 && column < (double)width)) {
        return 0.0;
    }
    double sum = 0.0;
    for (int64_t i = 0; i < 4; ++i) {
        const int64_t r = (int64_t)floor(row) + i / 2;
        const int64_t c = (int64_t)floor(column) + i % 2;
        if (r >= 0 && r < height && c >= 0 && c < width) {
            sum += (1.0 - fabs(row - (double)r)) * (1.0 - fabs(column - (double)c)) *
                   tni_ref_load(x, (plane * height + r) * width + c);
        }
    }
    return sum;
}

static double deform_element(const deform_job *job, const int64_t *at) {
    const int64_t kernel[2] = {job->weight->dims[2], job->weight->dims[3]};
    const int64_t taps = kernel[0] * kernel[1];
    const int64_t group_maps = job->y->dims[1] / job->groups;
    const int64_t group_channels = job->weight->dims[1];
    const int64_t plane = job->y->dims[2] * job->y->dims[3];
    const int64_t point = at[2] * job->y->dims[3] + at[3];
    double sum = job->bias == NULL ? 0.0 : tni_ref_load(job->bias, at[1]);
    for (int64_t c = 0; c < group_channels; ++c) {
        const int64_t channel = at[1] / group_maps * group_channels + c;
        const int64_t offset_group = channel / (job->x->dims[1] / job->offset_groups);
        for (int64_t tap = 0; tap < taps; ++tap) {
            const int64_t set = (at[0] * job->offset_groups + offset_group) * taps + tap;
            const double row = (double)(at[2] * job->stride[0] - job->pads[0] +
                                        tap / kernel[1] * job->dilation[0]) +
                               tni_ref_load(job->offset, 2 * set * plane + point);
            const double column = (double)(at[3] * job->stride[1] - job->pads[1] +
                                           tap % kernel[1] * job->dilation[1]) +
                                  tni_ref_load(job->offset, (2 * set + 1) * plane + point);
            const double factor =
                job->mask == NULL ? 1.0 : tni_ref_load(job->mask, set * plane + point);
            sum += factor * tni_ref_load(job->weight, (at[1] * group_channels + c) * taps + tap) *
                   read_between(job->x, at[0] * job->x->dims[1] + channel, row, column);
        }
    }
    return sum;
}

static uint32_t check_deform(const ref_call *call, const deform_job *job) {
    const ref_tensor *x = job->x;
    const ref_tensor *w = job->weight;
    const ref_tensor *y = job->y;
    int64_t kernel[2];
    if (x->rank != 4 || w->rank != 4 || y->rank != 4 || job->groups < 1 || job->offset_groups < 1 ||
        x->dims[1] != w->dims[1] * job->groups || w->dims[0] % job->groups != 0 ||
        x->dims[1] % job->offset_groups != 0 || y->dims[0] != x->dims[0] ||
        y->dims[1] != w->dims[0] || !read_ints(call, "kernel_shape", 2, 0, 0, kernel)) {
        return 0;
    }
    for (uint32_t i = 0; i < 2; ++i) {
        const int64_t reach = job->dilation[i] * (w->dims[2 + i] - 1) + 1;
        const int64_t room = x->dims[2 + i] + job->pads[i] + job->pads[2 + i] - reach;
        if (room < 0 || y->dims[2 + i] != room / job->stride[i] + 1 ||
            (kernel[i] != 0 && kernel[i] != w->dims[2 + i])) {
            return 0;
        }
    }
    const int64_t sets = y->dims[0] * job->offset_groups * w->dims[2] * w->dims[3];
    const int64_t plane = y->dims[2] * y->dims[3];
    return job->offset->count == 2 * sets * plane &&
                   (job->mask == NULL || job->mask->count == sets * plane) &&
                   (job->bias == NULL || job->bias->count == w->dims[0])
               ? 1u
               : 0u;
}

// DeformConv in two dimensions: a convolution whose taps are moved by offsets and weighed by a
// mask.
tn_status tni_ref_deform_conv(const ref_call *call) {
    deform_job job = {.x = call->inputs[0],
                      .weight = call->inputs[1],
                      .offset = call->inputs[2],
                      .bias = tni_ref_input(call, 3),
                      .mask = tni_ref_input(call, 4),
                      .y = call->outputs[0],
                      .groups = tni_ref_int(call, "group", 1),
                      .offset_groups = tni_ref_int(call, "offset_group", 1)};
    if (!read_ints(call, "strides", 2, 1, 1, job.stride) ||
        !read_ints(call, "dilations", 2, 1, 1, job.dilation) ||
        !read_ints(call, "pads", 4, 0, 0, job.pads) || !check_deform(call, &job)) {
        return tni_ref_invalid(call, "shapes or attributes");
    }
    for (int64_t i = 0; i < job.y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(job.y, i, at);
        tni_ref_store(job.y, i, deform_element(&job, at));
    }
    return TN_OK;
}
