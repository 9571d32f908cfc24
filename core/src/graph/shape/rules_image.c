// SPDX-License-Identifier: Apache-2.0
// Shapes of ops on images and regions: RoiAlign, GridSample, Col2Im, NonMaxSuppression and their
// kin.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <string.h>

static tn_status state_unknown(tni_inference *in) {
    return tni_state(in, 0, tni_in_dtype(in, 0), TN_RANK_UNKNOWN, NULL);
}

static tn_graph_dim attribute_dim(const tni_inference *in, const char *name, int64_t fallback) {
    const int64_t size = tni_node_int(in->node, name, fallback);
    return size >= 0 ? tni_dim(size) : tni_dim_unknown();
}

static bool has_rank(tni_inference *in, uint32_t input, uint32_t rank) {
    return tni_in_ranked(in, input) && tni_in(in, input)->rank == rank;
}

// [regions, channels, height, width].
tn_status tni_rule_roi(tni_inference *in) {
    uint32_t count = 0;
    const int64_t *pooled = tni_node_ints(in->node, "pooled_shape", &count);
    tn_graph_dim dims[4] = {tni_dim_unknown(), tni_dim_unknown(),
                            attribute_dim(in, "output_height", 1),
                            attribute_dim(in, "output_width", 1)};
    dims[0] = has_rank(in, 1, 2) ? tni_in(in, 1)->dims[0] : dims[0];
    dims[1] = has_rank(in, 0, 4) ? tni_in(in, 0)->dims[1] : dims[1];
    if (pooled != NULL && count == 2 && pooled[0] >= 0 && pooled[1] >= 0) {
        dims[2] = tni_dim(pooled[0]);
        dims[3] = tni_dim(pooled[1]);
    }
    return tni_state(in, 0, tni_in_dtype(in, 0), 4, dims);
}

// Batch and channels of the image, the middle dimensions of the grid.
tn_status tni_rule_grid_sample(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, 1)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tni_fact *grid = tni_in(in, 1);
    if (x->rank < 3 || grid->rank != x->rank) {
        return tni_contradiction(in, 1, "shape.rank", "an image of rank %u", x->rank);
    }
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (uint32_t i = 2; i < x->rank; i++) {
        dims[i] = grid->dims[i - 1];
    }
    return tni_state(in, 0, x->dtype, x->rank, dims);
}

// size is [N, C, D..., ]; the grid is [N, D..., axes].
tn_status tni_rule_affine_grid(tni_inference *in) {
    tni_element size[TNI_MAX_ELEMENTS];
    uint32_t count = 0;
    bool known = false;
    tn_graph_dim dims[TN_MAX_RANK];
    const tn_status status = tni_in_vector(in, 1, size, &count, &known);
    if (status != TN_OK || !known || count < 3 || count > TN_MAX_RANK) {
        return status == TN_OK ? state_unknown(in) : status;
    }
    dims[0] = tni_dim_of_element(size[0]);
    for (uint32_t i = 2; i < count; i++) {
        dims[i - 1] = tni_dim_of_element(size[i]);
    }
    dims[count - 1] = tni_dim(count - 2);
    return tni_state(in, 0, tni_in_dtype(in, 0), count, dims);
}

// [N, channels, image...]: the columns hold channels times the elements of a block.
tn_status tni_rule_col2im(tni_inference *in) {
    tni_element image[TNI_MAX_ELEMENTS];
    const tni_element *block = NULL;
    uint32_t axes = 0;
    uint32_t block_count = 0;
    bool known = false;
    int64_t area = 1;
    tn_graph_dim dims[TN_MAX_RANK];
    tn_status status = tni_in_vector(in, 1, image, &axes, &known);
    if (status == TN_OK) {
        status = tni_in_elements(in, 2, &block, &block_count);
    }
    if (status != TN_OK || !known || axes + 2 > TN_MAX_RANK) {
        return status == TN_OK ? state_unknown(in) : status;
    }
    bool whole = block != NULL;
    for (uint32_t i = 0; i < block_count; i++) {
        whole = whole && block[i].known && block[i].value > 0 &&
                tni_mul_i64(area, block[i].value, &area);
    }
    const bool ranked = has_rank(in, 0, 3);
    const tn_graph_dim columns = ranked ? tni_in(in, 0)->dims[1] : tni_dim_unknown();
    dims[0] = ranked ? tni_in(in, 0)->dims[0] : tni_dim_unknown();
    dims[1] = whole && columns.size >= 0 ? tni_dim(columns.size / area) : tni_dim_unknown();
    for (uint32_t i = 0; i < axes; i++) {
        dims[2 + i] = tni_dim_of_element(image[i]);
    }
    return tni_state(in, 0, tni_in_dtype(in, 0), axes + 2, dims);
}

// One entry of an attribute list, within what a size may be.
static int64_t entry(const int64_t *list, uint32_t count, uint32_t i, int64_t fallback) {
    const int64_t value = list != NULL && i < count ? list[i] : fallback;
    return value < 0 || value > INT32_MAX ? fallback : value;
}

tn_status tni_rule_max_unpool(tni_inference *in) {
    tni_element given[TNI_MAX_ELEMENTS];
    uint32_t given_count = 0;
    bool known = false;
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t counts[3] = {0};
    const int64_t *kernel = tni_node_ints(in->node, "kernel_shape", &counts[0]);
    const int64_t *strides = tni_node_ints(in->node, "strides", &counts[1]);
    const int64_t *pads = tni_node_ints(in->node, "pads", &counts[2]);
    if (!tni_in_ranked(in, 0) || tni_in(in, 0)->rank < 3) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tn_status status = tni_in_vector(in, 2, given, &given_count, &known);
    for (uint32_t i = 0; i < x->rank; i++) {
        const uint32_t k = i < 2 ? 0 : i - 2;
        dims[i] = x->dims[i];
        if (known && given_count == x->rank) {
            dims[i] = tni_dim_of_element(given[i]);
        } else if (i >= 2 && x->dims[i].size >= 1 && x->dims[i].size <= INT32_MAX) {
            const int64_t size = (x->dims[i].size - 1) * entry(strides, counts[1], k, 1) +
                                 entry(kernel, counts[0], k, 1) - entry(pads, counts[2], k, 0) -
                                 entry(pads, counts[2], k + x->rank - 2, 0);
            dims[i] = size >= 0 ? tni_dim(size) : tni_dim_unknown();
        } else if (i >= 2) {
            dims[i] = tni_dim_unknown();
        }
    }
    return status == TN_OK ? tni_state(in, 0, x->dtype, x->rank, dims) : status;
}

// The offsets have the spatial dimensions of the result.
tn_status tni_rule_deform_conv(tni_inference *in) {
    if (!has_rank(in, 0, 4) || !has_rank(in, 1, 4) || !has_rank(in, 2, 4)) {
        return state_unknown(in);
    }
    const tn_graph_dim dims[4] = {tni_in(in, 0)->dims[0], tni_in(in, 1)->dims[0],
                                  tni_in(in, 2)->dims[2], tni_in(in, 2)->dims[3]};
    return tni_state(in, 0, tni_in_dtype(in, 0), 4, dims);
}

tn_status tni_rule_center_crop_pad(tni_inference *in) {
    tni_element shape[TNI_MAX_ELEMENTS];
    uint32_t count = 0;
    bool known = false;
    uint32_t axis_count = 0;
    tn_graph_dim dims[TN_MAX_RANK];
    const int64_t *axes = tni_node_ints(in->node, "axes", &axis_count);
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = tni_in_vector(in, 1, shape, &count, &known);
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    const uint32_t changed = axes != NULL ? axis_count : x->rank;
    for (uint32_t i = 0; i < changed && status == TN_OK; i++) {
        uint32_t axis = i;
        status = axes != NULL ? tni_axis(in, axes[i], x->rank, &axis) : TN_OK;
        if (status == TN_OK) {
            dims[axis] = known && i < count ? tni_dim_of_element(shape[i]) : tni_dim_unknown();
        }
    }
    return status == TN_OK ? tni_state(in, 0, x->dtype, x->rank, dims) : status;
}

// As many rows as boxes are selected: only the run can tell.
tn_status tni_rule_non_max_suppression(tni_inference *in) {
    const tn_graph_dim dims[2] = {tni_dim_unknown(), tni_dim(3)};
    return tni_state(in, 0, TN_DTYPE_INT64, 2, dims);
}
