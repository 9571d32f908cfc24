// SPDX-License-Identifier: Apache-2.0
// RoiAlign and MaxRoiPool (ONNX operator list): a fixed number of bins out of each region.
#include "kernels.h"

#include <math.h>

typedef struct roi_align {
    const ref_tensor *x;
    ref_tensor *y;
    double scale;
    double shift; // half a pixel since version 16
    int64_t ratio;
    uint32_t takes_max;
    double least; // size of a region
} roi_align;

// Where a sample lies, and the four neighbours it is made of. Returns 0 outside of the image.
typedef struct bilinear {
    int64_t at[4];
    double weight[4];
} bilinear;

static uint32_t neighbours(double y, double x, int64_t height, int64_t width, bilinear *out) {
    if (y < -1.0 || y > (double)height || x < -1.0 || x > (double)width) {
        return 0;
    }
    y = fmax(y, 0.0);
    x = fmax(x, 0.0);
    const int64_t y0 = y >= (double)height - 1.0 ? height - 1 : (int64_t)y;
    const int64_t x0 = x >= (double)width - 1.0 ? width - 1 : (int64_t)x;
    const int64_t y1 = y0 + 1 < height ? y0 + 1 : y0;
    const int64_t x1 = x0 + 1 < width ? x0 + 1 : x0;
    const double ly = y0 == height - 1 ? 0.0 : y - (double)y0;
    const double lx = x0 == width - 1 ? 0.0 : x - (double)x0;
    *out = (bilinear){{y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1},
                      {(1.0 - ly) * (1.0 - lx), (1.0 - ly) * lx, ly * (1.0 - lx), ly * lx}};
    return 1;
}

// One bin: the mean of its samples, or the largest of their weighted neighbours.
static double align_bin(const roi_align *job, int64_t plane, const double *begin,
                        const double *bin) {
    const int64_t height = job->x->dims[2];
    const int64_t width = job->x->dims[3];
    const int64_t rows = job->ratio > 0 ? job->ratio : (int64_t)ceil(bin[0]);
    const int64_t columns = job->ratio > 0 ? job->ratio : (int64_t)ceil(bin[1]);
    double sum = 0.0;
    double largest = 0.0;
    uint32_t any = 0;
    for (int64_t i = 0; i < rows * columns; ++i) {
        const double y = begin[0] + ((double)(i / columns) + 0.5) * bin[0] / (double)rows;
        const double x = begin[1] + ((double)(i % columns) + 0.5) * bin[1] / (double)columns;
        bilinear near;
        if (!neighbours(y, x, height, width, &near)) {
            largest = any ? fmax(largest, 0.0) : 0.0;
            any = 1;
            continue;
        }
        for (uint32_t k = 0; k < 4; ++k) {
            const double part =
                near.weight[k] * tni_ref_load(job->x, plane * height * width + near.at[k]);
            sum += part;
            largest = any ? fmax(largest, part) : part;
            any = 1;
        }
    }
    const int64_t count = rows * columns;
    return job->takes_max ? largest : sum / (double)(count < 1 ? 1 : count);
}

static void align_region(const roi_align *job, const ref_tensor *rois, int64_t region,
                         int64_t image) {
    const int64_t channels = job->y->dims[1];
    const int64_t bins[2] = {job->y->dims[2], job->y->dims[3]};
    double corner[4]; // x0, y0, x1, y1
    for (uint32_t i = 0; i < 4; ++i) {
        corner[i] = tni_ref_load(rois, region * 4 + i) * job->scale - job->shift;
    }
    const double size[2] = {fmax(corner[3] - corner[1], job->least),
                            fmax(corner[2] - corner[0], job->least)};
    const double bin[2] = {size[0] / (double)bins[0], size[1] / (double)bins[1]};
    for (int64_t i = 0; i < channels * bins[0] * bins[1]; ++i) {
        const double begin[2] = {corner[1] + (double)(i / bins[1] % bins[0]) * bin[0],
                                 corner[0] + (double)(i % bins[1]) * bin[1]};
        const int64_t plane = image * channels + i / bins[1] / bins[0];
        tni_ref_store(job->y, region * channels * bins[0] * bins[1] + i,
                      align_bin(job, plane, begin, bin));
    }
}

tn_status tni_ref_roi_align(const ref_call *call) {
    const ref_tensor *rois = call->inputs[1];
    const ref_tensor *images = call->inputs[2];
    const uint32_t half =
        call->node->since_version >= 16 &&
        !tn_view_attr_string_is(call->view, call->node, "coordinate_transformation_mode",
                                "output_half_pixel");
    roi_align job = {.x = call->inputs[0],
                     .y = call->outputs[0],
                     .scale = tni_ref_float(call, "spatial_scale", 1.0f),
                     .shift = half ? 0.5 : 0.0,
                     .ratio = tni_ref_int(call, "sampling_ratio", 0),
                     .takes_max = tn_view_attr_string_is(call->view, call->node, "mode", "max"),
                     .least = half ? -(double)INFINITY : 1.0};
    if (job.x->rank != 4 || job.y->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 ||
        images->count != rois->dims[0] || job.y->dims[0] != rois->dims[0] ||
        job.y->dims[1] != job.x->dims[1] || job.ratio > INT16_MAX ||
        job.y->dims[2] != tni_ref_int(call, "output_height", 1) ||
        job.y->dims[3] != tni_ref_int(call, "output_width", 1)) {
        return tni_ref_invalid(call, "shapes or sizes");
    }
    for (int64_t region = 0; region < rois->dims[0]; ++region) {
        const int64_t image = tni_ref_load_int(images, region);
        uint32_t finite = 1;
        for (int64_t i = 0; i < 4; ++i) {
            finite &= fabs(tni_ref_load(rois, region * 4 + i) * job.scale) < 1e6 ? 1u : 0u;
        }
        if (image < 0 || image >= job.x->dims[0] || !finite || job.x->count == 0) {
            return tni_ref_invalid(call, "a region or its image");
        }
        align_region(&job, rois, region, image);
    }
    return TN_OK;
}

// Bin i of `bins` over [begin, begin + size), clipped to the image.
static void pool_bin(int64_t begin, int64_t size, int64_t bins, int64_t i, int64_t limit,
                     int64_t *out_begin, int64_t *out_end) {
    const double bin = (double)size / (double)bins;
    const int64_t first = (int64_t)floor((double)i * bin) + begin;
    const int64_t last = (int64_t)ceil((double)(i + 1) * bin) + begin;
    *out_begin = first < 0 ? 0 : (first > limit ? limit : first);
    *out_end = last < 0 ? 0 : (last > limit ? limit : last);
}

// MaxRoiPool: regions are {image, x0, y0, x1, y1}, rounded to whole pixels; an empty bin is 0.
tn_status tni_ref_max_roi_pool(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *rois = call->inputs[1];
    ref_tensor *y = call->outputs[0];
    const double scale = tni_ref_float(call, "spatial_scale", 1.0f);
    if (x->rank != 4 || y->rank != 4 || rois->rank != 2 || rois->dims[1] != 5 ||
        y->dims[0] != rois->dims[0] || y->dims[1] != x->dims[1]) {
        return tni_ref_invalid(call, "shapes");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        int64_t at[TN_MAX_RANK];
        double corner[4];
        tni_ref_coordinates(y, i, at);
        const int64_t image = tni_ref_load_int(rois, at[0] * 5);
        for (uint32_t k = 0; k < 4; ++k) {
            corner[k] = round(tni_ref_load(rois, at[0] * 5 + 1 + k) * scale);
            if (!(fabs(corner[k]) < 1e9)) {
                return tni_ref_invalid(call, "a region");
            }
        }
        if (image < 0 || image >= x->dims[0]) {
            return tni_ref_invalid(call, "the image of a region");
        }
        const int64_t width = (int64_t)fmax(corner[2] - corner[0] + 1.0, 1.0);
        const int64_t height = (int64_t)fmax(corner[3] - corner[1] + 1.0, 1.0);
        int64_t rows[2];
        int64_t columns[2];
        pool_bin((int64_t)corner[1], height, y->dims[2], at[2], x->dims[2], &rows[0], &rows[1]);
        pool_bin((int64_t)corner[0], width, y->dims[3], at[3], x->dims[3], &columns[0],
                 &columns[1]);
        double largest = rows[0] < rows[1] && columns[0] < columns[1] ? -(double)INFINITY : 0.0;
        for (int64_t row = rows[0]; row < rows[1]; ++row) {
            for (int64_t column = columns[0]; column < columns[1]; ++column) {
                const int64_t plane = image * x->dims[1] + at[1];
                largest = fmax(largest,
                               tni_ref_load(x, (plane * x->dims[2] + row) * x->dims[3] + column));
            }
        }
        tni_ref_store(y, i, largest);
    }
    return TN_OK;
}
