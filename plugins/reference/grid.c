// SPDX-License-Identifier: Apache-2.0
// GridSample and AffineGrid (ONNX operator list): reading an image at coordinates of [-1, 1].
#include "kernels.h"

#include <math.h>

#define MAX_AXES 4u
#define CUBIC_A (-0.75)

typedef enum grid_mode {
    GRID_LINEAR,
    GRID_NEAREST,
    GRID_CUBIC,
} grid_mode;

typedef enum grid_padding {
    PADDING_ZEROS,
    PADDING_BORDER,
    PADDING_REFLECTION,
} grid_padding;

typedef struct grid_job {
    const ref_tensor *x;
    const ref_tensor *grid;
    ref_tensor *y;
    uint32_t axes;
    grid_mode mode;
    grid_padding padding;
    uint32_t corners;
} grid_job;

// Mirrors a coordinate into [low, high].
static double reflect(double x, double low, double high) {
    const double range = high - low;
    if (range <= 0.0) {
        return low;
    }
    const double beyond = x < low ? low - x : (x > high ? x - high : 0.0);
    if (beyond == 0.0) {
        return x;
    }
    const double turns = floor(beyond / range);
    const double rest = beyond - turns * range;
    const uint32_t from_low = (x < low) == (fmod(turns, 2.0) == 0.0) ? 1u : 0u;
    return from_low ? low + rest : high - rest;
}

static double pad_coordinate(const grid_job *job, double x, int64_t size) {
    const double low = job->corners ? 0.0 : -0.5;
    const double high = job->corners ? (double)size - 1.0 : (double)size - 0.5;
    if ((x >= low && x <= high) || job->padding == PADDING_ZEROS) {
        return x;
    }
    return job->padding == PADDING_BORDER ? fmax(0.0, fmin(x, (double)size - 1.0))
                                          : reflect(x, low, high);
}

// A tap's index along an axis; -1: nothing is there.
static int64_t pad_index(const grid_job *job, int64_t index, int64_t size) {
    if (index >= 0 && index < size) {
        return index;
    }
    if (job->padding == PADDING_ZEROS) {
        return -1;
    }
    if (job->padding == PADDING_BORDER) {
        return index < 0 ? 0 : size - 1;
    }
    const double low = job->corners ? 0.0 : -0.5;
    const double high = job->corners ? (double)size - 1.0 : (double)size - 0.5;
    const int64_t mirrored = (int64_t)reflect((double)index, low, high);
    return mirrored < 0 ? 0 : (mirrored >= size ? size - 1 : mirrored);
}

// The sum over the taps of the spatial axes from `axis` on.
static double sample(const grid_job *job, const double *at, uint32_t axis, int64_t begin) {
    if (axis == job->axes) {
        return tni_ref_load(job->x, begin);
    }
    const int64_t size = job->x->dims[2 + axis];
    const int64_t taps = job->mode == GRID_NEAREST ? 1 : (job->mode == GRID_LINEAR ? 2 : 4);
    const int64_t lower = (int64_t)floor(at[axis]) - (job->mode == GRID_CUBIC ? 1 : 0);
    double sum = 0.0;
    for (int64_t i = 0; i < taps; ++i) {
        const double distance = at[axis] - (double)(lower + i);
        const double weight = job->mode == GRID_NEAREST  ? 1.0
                              : job->mode == GRID_LINEAR ? fmax(0.0, 1.0 - fabs(distance))
                                                         : tni_ref_cubic(CUBIC_A, distance);
        const int64_t index = pad_index(job, lower + i, size);
        if (index >= 0 && weight != 0.0) {
            sum += weight * sample(job, at, axis + 1, begin * size + index);
        }
    }
    return sum;
}

static void sample_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const grid_job *job = user_data;
    const int64_t points = tni_ref_product(job->y->dims, 2, job->y->rank);
    const int64_t channels = job->y->dims[1];
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        const int64_t n = i / points / channels;
        double at[MAX_AXES];
        uint32_t finite = 1;
        for (uint32_t axis = 0; axis < job->axes; ++axis) {
            // The grid names the last axis first.
            const int64_t from = (n * points + i % points) * job->axes + (job->axes - 1 - axis);
            const double g = tni_ref_load(job->grid, from);
            const double size = (double)job->x->dims[2 + axis];
            double x =
                job->corners ? (g + 1.0) / 2.0 * (size - 1.0) : ((g + 1.0) * size - 1.0) / 2.0;
            x = job->mode == GRID_NEAREST ? nearbyint(x) : x;
            at[axis] = pad_coordinate(job, x, job->x->dims[2 + axis]);
            finite &= fabs(at[axis]) < 1e15 ? 1u : 0u;
        }
        const int64_t plane = n * channels + i / points % channels;
        tni_ref_store(job->y, i, finite ? sample(job, at, 0, plane) : 0.0);
    }
}

static grid_mode read_mode(const ref_call *call) {
    if (tn_view_attr_string_is(call->view, call->node, "mode", "nearest")) {
        return GRID_NEAREST;
    }
    return tn_view_attr_string_is(call->view, call->node, "mode", "bicubic") ||
                   tn_view_attr_string_is(call->view, call->node, "mode", "cubic")
               ? GRID_CUBIC
               : GRID_LINEAR;
}

tn_status tni_ref_grid_sample(const ref_call *call) {
    grid_job job = {.x = call->inputs[0],
                    .grid = call->inputs[1],
                    .y = call->outputs[0],
                    .axes = call->inputs[0]->rank - 2,
                    .mode = read_mode(call),
                    .corners = tni_ref_int(call, "align_corners", 0) != 0 ? 1u : 0u};
    if (tn_view_attr_string_is(call->view, call->node, "padding_mode", "border")) {
        job.padding = PADDING_BORDER;
    } else if (tn_view_attr_string_is(call->view, call->node, "padding_mode", "reflection")) {
        job.padding = PADDING_REFLECTION;
    }
    const uint32_t rank = job.x->rank;
    if (rank < 3 || job.axes > MAX_AXES || job.grid->rank != rank || job.y->rank != rank ||
        job.grid->dims[0] != job.x->dims[0] || job.grid->dims[rank - 1] != (int64_t)job.axes ||
        job.y->dims[0] != job.x->dims[0] || job.y->dims[1] != job.x->dims[1] ||
        memcmp(&job.y->dims[2], &job.grid->dims[1], job.axes * sizeof job.y->dims[0]) != 0) {
        return tni_ref_invalid(call, "shapes");
    }
    if (job.x->count == 0 && job.y->count != 0) {
        return tni_ref_invalid(call, "an empty image");
    }
    tni_ref_parallel(call, job.y->count, 200, sample_range, &job);
    return TN_OK;
}

// The coordinate of sample i of an axis: the corners of [-1, 1], or the middles of equal parts.
static double base_coordinate(int64_t i, int64_t size, uint32_t corners) {
    if (!corners) {
        return (2.0 * (double)i + 1.0) / (double)size - 1.0;
    }
    return size == 1 ? 0.0 : 2.0 * (double)i / ((double)size - 1.0) - 1.0;
}

// AffineGrid: y = theta * (x, y, [z,] 1) for each point of the image that size describes.
tn_status tni_ref_affine_grid(const ref_call *call) {
    const ref_tensor *theta = call->inputs[0];
    const ref_tensor *size = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const uint32_t corners = tni_ref_int(call, "align_corners", 0) != 0 ? 1u : 0u;
    const uint32_t axes = y->rank - 2;
    if (y->rank < 4 || axes > 3 || theta->rank != 3 || theta->dims[0] != y->dims[0] ||
        theta->dims[1] != (int64_t)axes || theta->dims[2] != (int64_t)axes + 1 ||
        y->dims[y->rank - 1] != (int64_t)axes) {
        return tni_ref_invalid(call, "shapes");
    }
    if (size->count != (int64_t)axes + 2 || tni_ref_load_int(size, 0) != y->dims[0]) {
        return tni_ref_stale(call, 1);
    }
    for (uint32_t i = 0; i < axes; ++i) {
        if (tni_ref_load_int(size, 2 + i) != y->dims[1 + i]) {
            return tni_ref_stale(call, 1);
        }
    }
    for (int64_t i = 0; i < y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        tni_ref_coordinates(y, i, at);
        const int64_t row = (at[0] * axes + at[y->rank - 1]) * (axes + 1);
        double sum = tni_ref_load(theta, row + axes);
        for (uint32_t k = 0; k < axes; ++k) {
            // Column k belongs to the k-th axis from the last.
            const uint32_t axis = axes - 1 - k;
            sum += tni_ref_load(theta, row + k) *
                   base_coordinate(at[1 + axis], y->dims[1 + axis], corners);
        }
        tni_ref_store(y, i, sum);
    }
    return TN_OK;
}
