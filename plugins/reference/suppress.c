// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression (ONNX operator list): per image and class, boxes in falling order of score are
// taken unless they overlap a taken one too much. Equal scores: the lower index first.
#include "kernels.h"

#include <math.h>

typedef struct box {
    double y0;
    double x0;
    double y1;
    double x1;
    double area;
} box;

typedef struct suppress_job {
    const ref_tensor *boxes;  // [batches, boxes, 4]
    const ref_tensor *scores; // [batches, classes, boxes]
    const float *floats;      // of scores, when they are such: there are many, and few count
    uint32_t by_center;       // x, y, width, height instead of two corners y, x
    double overlap;
    double least_score;
    uint32_t has_least;
    int64_t most;
    int64_t count;
    int64_t scores_at; // where the scores of the class at hand begin
    box *corners;      // of all boxes of the batch at hand
    int64_t *order;
    int64_t *other;
} suppress_job;

static box with_area(double y0, double x0, double y1, double x1) {
    return (box){y0, x0, y1, x1, (y1 - y0) * (x1 - x0)};
}

static box read_box(const suppress_job *job, int64_t batch, int64_t index) {
    double v[4];
    for (uint32_t i = 0; i < 4; ++i) {
        v[i] = tni_ref_load(job->boxes, (batch * job->count + index) * 4 + i);
    }
    if (job->by_center) {
        return with_area(v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2);
    }
    return with_area(fmin(v[0], v[2]), fmin(v[1], v[3]), fmax(v[0], v[2]), fmax(v[1], v[3]));
}

// Intersection over union; 0 when a box has no area.
static double overlap_of(const box *a, const box *b) {
    const double height = fmax(0.0, fmin(a->y1, b->y1) - fmax(a->y0, b->y0));
    const double width = fmax(0.0, fmin(a->x1, b->x1) - fmax(a->x0, b->x0));
    const double both = height * width;
    return a->area <= 0.0 || b->area <= 0.0 ? 0.0 : both / (a->area + b->area - both);
}

static double score_at(const suppress_job *job, int64_t index) {
    return job->floats != NULL ? (double)job->floats[job->scores_at + index]
                               : tni_ref_load(job->scores, job->scores_at + index);
}

static uint32_t score_before(const void *user_data, int64_t a, int64_t b) {
    const suppress_job *job = user_data;
    return score_at(job, a) >= score_at(job, b) ? 1u : 0u;
}

// Candidates of one class in falling order of score; returns their count.
static int64_t sort_candidates(suppress_job *job) {
    int64_t count = 0;
    // Written in any case, and kept by counting: of most classes there is nothing to keep.
    for (int64_t i = 0; i < job->count; ++i) {
        job->order[count] = i;
        count += !job->has_least || score_at(job, i) > job->least_score;
    }
    if (tni_ref_sort(job->order, job->other, count, score_before, job) == job->other) {
        int64_t *sorted = job->other;
        job->other = job->order;
        job->order = sorted;
    }
    return count;
}

// Writes the taken boxes of one class; other holds them meanwhile.
static int64_t take(suppress_job *job, ref_tensor *y, int64_t row, int64_t batch, int64_t class_id,
                    int64_t candidates) {
    int64_t taken = 0;
    for (int64_t i = 0; i < candidates && taken < job->most; ++i) {
        const box *own = &job->corners[job->order[i]];
        uint32_t clear = 1;
        for (int64_t k = 0; k < taken && clear; ++k) {
            clear = overlap_of(own, &job->corners[job->other[k]]) > job->overlap ? 0 : 1;
        }
        if (clear) {
            job->other[taken] = job->order[i];
            tni_ref_store_int(y, (row + taken) * 3, batch);
            tni_ref_store_int(y, (row + taken) * 3 + 1, class_id);
            tni_ref_store_int(y, (row + taken) * 3 + 2, job->order[i]);
            taken += 1;
        }
    }
    return taken;
}

static uint32_t check_shapes(const ref_call *call) {
    const ref_tensor *boxes = call->inputs[0];
    const ref_tensor *scores = call->inputs[1];
    return boxes->rank == 3 && scores->rank == 3 && boxes->dims[2] == 4 &&
                   boxes->dims[0] == scores->dims[0] && boxes->dims[1] == scores->dims[2] &&
                   tni_ref_is_scalar(tni_ref_input(call, 2)) &&
                   tni_ref_is_scalar(tni_ref_input(call, 3)) &&
                   tni_ref_is_scalar(tni_ref_input(call, 4))
               ? 1u
               : 0u;
}

// The most boxes per class, as far as it is known; absent means none at all.
static int64_t most_boxes(const ref_call *call) {
    const ref_tensor *limit = tni_ref_input(call, 2);
    const int64_t all = call->inputs[0]->dims[1];
    if (limit == NULL || limit->data == NULL) {
        return limit == NULL ? 0 : all;
    }
    const int64_t most = tni_ref_load_int(limit, 0);
    return most < 0 ? 0 : (most < all ? most : all);
}

uint32_t tni_ref_suppress_bound(const ref_call *call) {
    if (!check_shapes(call)) {
        return 0;
    }
    const ref_tensor *scores = call->inputs[1];
    const int64_t factors[4] = {scores->dims[0], scores->dims[1], most_boxes(call), 3};
    int64_t count = 0;
    if (!tni_ref_count(factors, 4, &count)) {
        return 0;
    }
    const int64_t dims[2] = {count / 3, 3};
    tni_ref_set_dims(call->outputs[0], 2, dims);
    return 1;
}

int64_t tni_ref_suppress_scratch(const ref_call *call) {
    const int64_t bytes_of_one = (int64_t)(sizeof(box) + 2 * sizeof(int64_t));
    int64_t bytes = 0;
    if (!check_shapes(call)) {
        return -1;
    }
    const int64_t factors[2] = {call->inputs[0]->dims[1], bytes_of_one};
    return tni_ref_count(factors, 2, &bytes) ? bytes : -1;
}

static double optional_number(const ref_call *call, uint32_t input, double otherwise) {
    const ref_tensor *tensor = tni_ref_input(call, input);
    return tensor != NULL ? tni_ref_load(tensor, 0) : otherwise;
}

tn_status tni_ref_suppress(const ref_call *call) {
    if (!check_shapes(call)) {
        return tni_ref_invalid(call, "shapes");
    }
    suppress_job job = {.boxes = call->inputs[0],
                        .scores = call->inputs[1],
                        .by_center = tni_ref_int(call, "center_point_box", 0) != 0 ? 1u : 0u,
                        .overlap = optional_number(call, 3, 0.0),
                        .least_score = optional_number(call, 4, 0.0),
                        .has_least = tni_ref_input(call, 4) != NULL ? 1u : 0u,
                        .corners = (box *)(void *)call->scratch};
    ref_tensor *y = call->outputs[0];
    if (job.scores->dtype == TN_DTYPE_FLOAT && job.scores->row == 0) {
        job.floats = (const float *)(const void *)job.scores->data;
    }
    job.count = job.boxes->dims[1];
    job.order = (int64_t *)(void *)(job.corners + job.count);
    job.other = job.order + job.count;
    job.most = most_boxes(call);
    int64_t row = 0;
    for (int64_t batch = 0; batch < job.scores->dims[0]; ++batch) {
        for (int64_t i = 0; i < job.count; ++i) {
            job.corners[i] = read_box(&job, batch, i);
        }
        for (int64_t class_id = 0; class_id < job.scores->dims[1]; ++class_id) {
            job.scores_at = (batch * job.scores->dims[1] + class_id) * job.count;
            const int64_t candidates = job.most == 0 ? 0 : sort_candidates(&job);
            row += take(&job, y, row, batch, class_id, candidates);
        }
    }
    const int64_t dims[2] = {row, 3};
    tni_ref_set_dims(y, 2, dims);
    return TN_OK;
}
