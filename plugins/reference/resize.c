// SPDX-License-Identifier: Apache-2.0
// Resize and Upsample (ONNX operator list, "Resize"): interpolation is separable, so every resized
// axis gets a table of taps, one row an output coordinate, and an output element is the sum over
// the product of its axes' taps. Coordinates, weights and sums are double.
#include "kernels.h"

#include <math.h>

typedef enum resize_mode {
    MODE_NEAREST,
    MODE_LINEAR,
    MODE_CUBIC,
} resize_mode;

// The taps of one axis: row o has `taps` weights, for the input coordinates from first[o] on, which
// are clamped to the axis. A first of OUTSIDE marks a coordinate that is extrapolated.
typedef struct resize_axis {
    int64_t in;
    int64_t out;
    double scale;
    uint32_t by_size; // the scale is out / in, and dividing by it is exact where that is possible
    double roi_begin;
    double roi_end;
    int64_t taps;
    double *weights;
    int64_t *first;
} resize_axis;

#define OUTSIDE INT64_MIN
// Taps of one axis beyond this are refused: a downscale by that much is a mistake.
#define MAX_TAPS (1 << 20)

typedef struct resize_job {
    const ref_call *call;
    const ref_tensor *input;
    ref_tensor *output;
    resize_mode mode;
    uint32_t antialias;
    uint32_t exclude_outside;
    uint32_t simple_nearest; // before version 11: up takes the lower neighbour, down the upper one
    double cubic_a;
    double extrapolation;
    resize_axis axes[TN_MAX_RANK];
} resize_job;

static uint32_t mode_is(const ref_call *call, const char *name, const char *value) {
    return tn_view_attr_string_is(call->view, call->node, name, value);
}

// Where scales and sizes are: they moved with the versions. UINT32_MAX: none.
static uint32_t scales_input(const ref_call *call) {
    const uint32_t upsample = strcmp(call->op->record.op_type, "Upsample") == 0 ? 1u : 0u;
    if (upsample) {
        return call->node->since_version >= 9 ? 1 : UINT32_MAX;
    }
    return call->node->since_version >= 11 ? 2 : 1;
}

static uint32_t has_elements(const ref_tensor *tensor) {
    return tensor != NULL && tensor->count > 0 ? 1u : 0u;
}

// The axes that scales, sizes and roi speak of; returns their count, or 0 when the list is broken.
static uint32_t read_axes(const ref_call *call, uint32_t *out_axes) {
    int64_t given[TN_MAX_RANK];
    const uint32_t rank = call->inputs[0]->rank;
    uint32_t count = tn_view_attr_ints(call->view, call->node, "axes", given, TN_MAX_RANK);
    if (count > rank) {
        return 0;
    }
    for (uint32_t i = 0; i < (count == 0 ? rank : count); ++i) {
        if (!tni_ref_axis(count == 0 ? (int64_t)i : given[i], rank, &out_axes[i])) {
            return 0;
        }
    }
    return count == 0 ? rank : count;
}

// The attributes of Upsample before version 9; those of version 1 speak of the last two axes.
static double attribute_scale(const ref_call *call, uint32_t axis) {
    float scales[TN_MAX_RANK];
    const uint32_t rank = call->inputs[0]->rank;
    const uint32_t count =
        tn_view_attr_floats(call->view, call->node, "scales", scales, TN_MAX_RANK);
    if (count == rank) {
        return (double)scales[axis];
    }
    if (axis + 1 == rank) {
        return tni_ref_float(call, "width_scale", 1.0f);
    }
    return axis + 2 == rank ? tni_ref_float(call, "height_scale", 1.0f) : 1.0;
}

// With keep_aspect_ratio_policy one ratio serves all axes: the smallest or the largest of them.
static double shared_ratio(const ref_call *call, const ref_tensor *sizes, const uint32_t *axes,
                           uint32_t count, uint32_t smallest) {
    double ratio = 0.0;
    for (uint32_t i = 0; i < count; ++i) {
        const double own = tni_ref_load(sizes, i) / (double)call->inputs[0]->dims[axes[i]];
        ratio = i == 0 || (smallest ? own < ratio : own > ratio) ? own : ratio;
    }
    return ratio;
}

// Scale and sizes of every axis; checks that they give the output's shape.
static tn_status read_scales(const ref_call *call, resize_job *job) {
    const ref_tensor *scales = tni_ref_input(call, scales_input(call));
    const ref_tensor *sizes = call->node->since_version >= 11 ? tni_ref_input(call, 3) : NULL;
    uint32_t axes[TN_MAX_RANK];
    const uint32_t count = read_axes(call, axes);
    const uint32_t not_larger = mode_is(call, "keep_aspect_ratio_policy", "not_larger");
    const uint32_t not_smaller = mode_is(call, "keep_aspect_ratio_policy", "not_smaller");
    const uint32_t by_size = has_elements(sizes);
    const ref_tensor *list = by_size ? sizes : (has_elements(scales) ? scales : NULL);
    if (count == 0 || (list != NULL && list->count != (int64_t)count)) {
        return tni_ref_invalid(call, "axes, scales or sizes");
    }
    const double ratio = by_size && (not_larger || not_smaller)
                             ? shared_ratio(call, sizes, axes, count, not_larger)
                             : 0.0;
    for (uint32_t i = 0; i < count; ++i) {
        resize_axis *axis = &job->axes[axes[i]];
        const double in = (double)axis->in;
        double wanted;
        if (by_size) {
            wanted = ratio > 0.0 ? floor(ratio * in + 0.5) : tni_ref_load(sizes, i);
            axis->scale = ratio > 0.0 ? ratio : wanted / in;
            axis->by_size = ratio > 0.0 ? 0 : 1;
        } else {
            axis->scale = list != NULL ? tni_ref_load(list, i) : attribute_scale(call, axes[i]);
            wanted = floor(in * axis->scale);
        }
        if (wanted != (double)axis->out) {
            return tni_ref_stale(call, by_size ? 3 : scales_input(call));
        }
        if (!(axis->scale > 0.0) && axis->out != 0) {
            return tni_ref_invalid(call, "a scale is not positive");
        }
    }
    return TN_OK;
}

static uint32_t read_roi(const ref_call *call, resize_job *job) {
    const ref_tensor *roi = call->node->since_version >= 11 ? tni_ref_input(call, 1) : NULL;
    uint32_t axes[TN_MAX_RANK];
    const uint32_t count = read_axes(call, axes);
    if (roi == NULL || roi->count != 2 * (int64_t)count) {
        return 0;
    }
    for (uint32_t i = 0; i < count; ++i) {
        job->axes[axes[i]].roi_begin = tni_ref_load(roi, i);
        job->axes[axes[i]].roi_end = tni_ref_load(roi, count + i);
    }
    return 1;
}

static double unscale(const resize_axis *axis, double x) {
    return axis->by_size ? x * (double)axis->in / (double)axis->out : x / axis->scale;
}

// The coordinate in the input that an output coordinate comes from.
static double source_coordinate(const ref_call *call, const resize_axis *axis, int64_t at) {
    static const char name[] = "coordinate_transformation_mode";
    const double x = (double)at;
    const double resized = axis->scale * (double)axis->in;
    const double last = (double)axis->in - 1.0;
    if (call->node->since_version < 11 || mode_is(call, name, "asymmetric")) {
        return unscale(axis, x);
    }
    if (mode_is(call, name, "align_corners")) {
        return resized == 1.0 ? 0.0 : x * last / (resized - 1.0);
    }
    if (mode_is(call, name, "tf_crop_and_resize")) {
        const double span = (axis->roi_end - axis->roi_begin) * last;
        return axis->roi_begin * last + (resized == 1.0 ? span / 2 : x * span / (resized - 1.0));
    }
    if (mode_is(call, name, "tf_half_pixel_for_nn")) {
        return unscale(axis, x + 0.5);
    }
    if (mode_is(call, name, "pytorch_half_pixel") && axis->out == 1) {
        return 0.0;
    }
    const double plain = unscale(axis, x + 0.5) - 0.5;
    if (mode_is(call, name, "half_pixel_symmetric")) {
        return (double)axis->in / 2 * (1.0 - (double)axis->out / resized) + plain;
    }
    return plain;
}

// Taps reach this far to each side of a coordinate; antialiasing widens them as the axis shrinks.
static int64_t reach_of(const resize_job *job, const resize_axis *axis) {
    const double reach = job->mode == MODE_CUBIC ? 2.0 : 1.0;
    if (!job->antialias || axis->scale >= 1.0) {
        return (int64_t)reach;
    }
    const double wide = -floor(-reach / axis->scale);
    return wide > MAX_TAPS ? MAX_TAPS : (int64_t)wide;
}

// The neighbour that nearest_mode picks: base is the lower one, ratio in (0, 1] the way to the
// upper.
static int64_t nearest(const resize_job *job, const resize_axis *axis, double base, double ratio) {
    const ref_call *call = job->call;
    const int64_t lower = (int64_t)base;
    if (ratio == 1.0) {
        return lower + 1;
    }
    if (job->simple_nearest) {
        return axis->scale < 1.0 ? lower + 1 : lower;
    }
    if (mode_is(call, "nearest_mode", "floor")) {
        return lower;
    }
    if (mode_is(call, "nearest_mode", "ceil")) {
        return lower + 1;
    }
    if (mode_is(call, "nearest_mode", "round_prefer_ceil")) {
        return ratio < 0.5 ? lower : lower + 1;
    }
    return ratio <= 0.5 ? lower : lower + 1;
}

// Fills row `at` of an axis.
static void fill_taps(const resize_job *job, const resize_axis *axis, int64_t at) {
    const double x = source_coordinate(job->call, axis, at);
    double *weights = &axis->weights[at * axis->taps];
    const uint32_t crops =
        mode_is(job->call, "coordinate_transformation_mode", "tf_crop_and_resize");
    if (!isfinite(x) || fabs(x) > 1e15 || (crops && (x < 0.0 || x > (double)axis->in - 1.0))) {
        axis->first[at] = OUTSIDE;
        return;
    }
    const double base = ceil(x) - 1.0;
    const double ratio = x - base;
    if (job->mode == MODE_NEAREST) {
        axis->first[at] = nearest(job, axis, base, ratio);
        weights[0] = 1.0;
        return;
    }
    const double squeeze = job->antialias && axis->scale < 1.0 ? axis->scale : 1.0;
    const int64_t start = 1 - axis->taps / 2;
    axis->first[at] = (int64_t)base + start;
    double sum = 0.0;
    for (int64_t i = 0; i < axis->taps; ++i) {
        const double distance = ((double)(start + i) - ratio) * squeeze;
        const int64_t from = axis->first[at] + i;
        const uint32_t outside = from < 0 || from >= axis->in ? 1u : 0u;
        weights[i] = job->mode == MODE_CUBIC ? tni_ref_cubic(job->cubic_a, distance)
                                             : fmax(0.0, 1.0 - fabs(distance));
        weights[i] = outside && job->exclude_outside ? 0.0 : weights[i];
        sum += weights[i];
    }
    for (int64_t i = 0; i < axis->taps && (job->antialias || job->exclude_outside); ++i) {
        weights[i] /= sum;
    }
}

// The sum over the taps of the axes from `axis` on; begin is the input position so far.
static double sum_taps(const resize_job *job, const int64_t *at, uint32_t axis_index,
                       int64_t begin) {
    if (axis_index == job->input->rank) {
        return tni_ref_load(job->input, begin);
    }
    const resize_axis *axis = &job->axes[axis_index];
    const double *weights = &axis->weights[at[axis_index] * axis->taps];
    double sum = 0.0;
    for (int64_t i = 0; i < axis->taps; ++i) {
        int64_t from = axis->first[at[axis_index]] + i;
        from = from < 0 ? 0 : (from >= axis->in ? axis->in - 1 : from);
        if (axis->taps == 1) {
            return sum_taps(job, at, axis_index + 1, begin * axis->in + from);
        }
        if (weights[i] != 0.0) {
            sum += weights[i] * sum_taps(job, at, axis_index + 1, begin * axis->in + from);
        }
    }
    return sum;
}

static void resize_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const resize_job *job = user_data;
    const uint32_t integers =
        job->mode == MODE_NEAREST && !tni_ref_is_float(job->input->dtype) ? 1u : 0u;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        int64_t at[TN_MAX_RANK];
        uint32_t outside = 0;
        int64_t from = 0;
        tni_ref_coordinates(job->output, i, at);
        for (uint32_t axis = 0; axis < job->output->rank; ++axis) {
            const resize_axis *a = &job->axes[axis];
            int64_t first = a->first[at[axis]];
            outside |= first == OUTSIDE ? 1u : 0u;
            first = first < 0 ? 0 : (first >= a->in ? a->in - 1 : first);
            from = from * a->in + first;
        }
        if (outside) {
            tni_ref_store(job->output, i, job->extrapolation);
        } else if (integers) {
            tni_ref_move(job->output, i, job->input, from);
        } else {
            tni_ref_store(job->output, i, sum_taps(job, at, 0, 0));
        }
    }
}

// Modes and sizes; scales come later, because at prepare their values may not be known.
static void begin_job(const ref_call *call, resize_job *job) {
    *job = (resize_job){.call = call, .input = call->inputs[0], .output = call->outputs[0]};
    job->mode = mode_is(call, "mode", "cubic")    ? MODE_CUBIC
                : mode_is(call, "mode", "linear") ? MODE_LINEAR
                                                  : MODE_NEAREST;
    job->mode = mode_is(call, "mode", "bilinear") ? MODE_LINEAR : job->mode;
    job->antialias = tni_ref_int(call, "antialias", 0) != 0 && job->mode != MODE_NEAREST ? 1u : 0u;
    job->exclude_outside = tni_ref_int(call, "exclude_outside", 0) != 0 ? 1u : 0u;
    job->simple_nearest = call->node->since_version < 11 ? 1u : 0u;
    job->cubic_a = tni_ref_float(call, "cubic_coeff_a", -0.75f);
    job->extrapolation = tni_ref_float(call, "extrapolation_value", 0.0f);
    for (uint32_t i = 0; i < job->input->rank && job->output->rank == job->input->rank; ++i) {
        job->axes[i] = (resize_axis){
            .in = job->input->dims[i], .out = job->output->dims[i], .scale = 1.0, .roi_end = 1.0};
    }
}

// Upper limits of the taps where only shapes are known: an antialiased axis that shrinks may have a
// scale a little below out / in.
static int64_t most_taps(const resize_job *job, const resize_axis *axis) {
    resize_axis shrunk = *axis;
    if (job->mode == MODE_NEAREST) {
        return 1;
    }
    shrunk.scale = axis->in == 0 ? 1.0 : (double)axis->out / ((double)axis->in + 1.0);
    shrunk.scale = axis->out == 0 ? 1.0 : shrunk.scale;
    return 2 * (reach_of(job, &shrunk) + 1);
}

int64_t tni_ref_resize_scratch(const ref_call *call) {
    resize_job job;
    int64_t bytes = 0;
    begin_job(call, &job);
    for (uint32_t i = 0; i < job.input->rank; ++i) {
        const int64_t row = most_taps(&job, &job.axes[i]) * 8 + 8;
        if (job.axes[i].out > INT64_MAX / 64 / row - bytes / row) {
            return -1;
        }
        bytes += job.axes[i].out * row;
    }
    return bytes;
}

tn_status tni_ref_resize(const ref_call *call) {
    resize_job job;
    begin_job(call, &job);
    if (job.input->rank != job.output->rank || job.input->dtype != job.output->dtype) {
        return tni_ref_invalid(call, "rank or type of the output");
    }
    const tn_status status = read_scales(call, &job);
    if (status != TN_OK || job.output->count == 0) {
        return status;
    }
    if (job.input->count == 0) {
        return tni_ref_invalid(call, "an empty input has no elements to take");
    }
    if (mode_is(call, "coordinate_transformation_mode", "tf_crop_and_resize") &&
        !read_roi(call, &job)) {
        return tni_ref_invalid(call, "roi");
    }
    unsigned char *scratch = call->scratch;
    for (uint32_t i = 0; i < job.input->rank; ++i) {
        resize_axis *axis = &job.axes[i];
        // An axis that stays as it is has one tap, whatever the mode.
        const uint32_t same = axis->scale == 1.0 && axis->in == axis->out &&
                              axis->roi_begin == 0.0 && axis->roi_end == 1.0;
        axis->taps = job.mode == MODE_NEAREST || same ? 1 : 2 * reach_of(&job, axis);
        if (axis->taps > most_taps(&job, axis)) {
            return tni_ref_invalid(call, "scales and sizes do not belong together");
        }
        axis->weights = (double *)(void *)scratch;
        axis->first = (int64_t *)(void *)(scratch + axis->out * axis->taps * 8);
        scratch += axis->out * (axis->taps + 1) * 8;
        for (int64_t at = 0; at < axis->out; ++at) {
            if (same) {
                axis->first[at] = at;
                axis->weights[at] = 1.0;
            } else {
                fill_taps(&job, axis, at);
            }
        }
    }
    tni_ref_parallel(call, job.output->count, 100, resize_range, &job);
    return TN_OK;
}
