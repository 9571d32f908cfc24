// SPDX-License-Identifier: Apache-2.0
// Shapes of convolutions, pools and matrix products.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <assert.h>

// Attributes beyond this are nonsense, and within it no sum below can overflow.
#define MAX_ATTR ((int64_t)1 << 30)
#define MAX_SIZE ((int64_t)1 << 48)

typedef struct {
    uint32_t spatial; // dimensions behind batch and channels
    int64_t kernel[TN_MAX_RANK];
    int64_t stride[TN_MAX_RANK];
    int64_t dilation[TN_MAX_RANK];
    int64_t pads; // begin and end together, of the dimension at hand
    bool same;    // auto_pad SAME_UPPER or SAME_LOWER
    bool valid;   // auto_pad VALID
    bool ceil_mode;
} window;

// Reads a list with one entry per spatial dimension (or two, for pads) into [least, MAX_ATTR].
static tn_status read_list(tni_inference *in, const char *name, uint32_t expected, int64_t least,
                           int64_t fallback, int64_t *out) {
    uint32_t count = 0;
    const int64_t *ints = tni_node_ints(in->node, name, &count);
    if (ints != NULL && count != expected) {
        return tni_contradiction(in, 0, "shape.attribute", "%s has %u entries, expected %u", name,
                                 count, expected);
    }
    for (uint32_t i = 0; i < expected; i++) {
        out[i] = ints != NULL ? ints[i] : fallback;
        if (out[i] < least || out[i] > MAX_ATTR) {
            return tni_contradiction(in, 0, "shape.attribute", "%s has the entry %lld", name,
                                     (long long)out[i]);
        }
    }
    return TN_OK;
}

static tn_status read_window(tni_inference *in, window *w, uint32_t spatial) {
    *w = (window){.spatial = spatial};
    const tn_string auto_pad = tni_node_text(in->node, "auto_pad", "NOTSET");
    w->same = tni_string_is(auto_pad, "SAME_UPPER") || tni_string_is(auto_pad, "SAME_LOWER");
    w->valid = tni_string_is(auto_pad, "VALID");
    w->ceil_mode = tni_node_int(in->node, "ceil_mode", 0) != 0;
    tn_status status = read_list(in, "strides", spatial, 1, 1, w->stride);
    if (status == TN_OK) {
        status = read_list(in, "dilations", spatial, 1, 1, w->dilation);
    }
    return status;
}

// Kernel sizes from kernel_shape, else from the weight's spatial dims. -1: unknown.
static tn_status read_kernel(tni_inference *in, window *w, const tni_fact *weight) {
    uint32_t count = 0;
    if (tni_node_ints(in->node, "kernel_shape", &count) != NULL || weight == NULL) {
        return read_list(in, "kernel_shape", w->spatial, 1, 1, w->kernel);
    }
    for (uint32_t i = 0; i < w->spatial; i++) {
        const int64_t size = weight->dims[i + 2].size;
        w->kernel[i] = size > MAX_ATTR ? -1 : size;
    }
    return TN_OK;
}

// The size of one output dimension of a convolution or pool.
static tn_graph_dim slide(const window *w, uint32_t i, tn_graph_dim in_dim, int64_t begin,
                          int64_t end) {
    const int64_t size = in_dim.size;
    assert(w->stride[i] > 0);
    if (size < 0 || size > MAX_SIZE || w->kernel[i] < 0) {
        // A window of 1 that steps by 1 without padding keeps the dimension, known or not.
        const bool neutral =
            w->stride[i] == 1 && (w->same || (w->kernel[i] == 1 && begin == 0 && end == 0));
        return neutral ? in_dim : tni_dim_unknown();
    }
    if (w->same) {
        return tni_dim((size + w->stride[i] - 1) / w->stride[i]);
    }
    const int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
    const int64_t room = size + begin + end - reach;
    if (room < 0) {
        return tni_dim(-2);
    }
    int64_t result = room / w->stride[i] + 1;
    if (w->ceil_mode && room % w->stride[i] != 0 && result * w->stride[i] < size + begin) {
        // One more, partial window: only if it does not begin in the padding at the end.
        result++;
    }
    return tni_dim(result);
}

static tn_status slide_all(tni_inference *in, const window *w, const tni_fact *x,
                           tn_graph_dim *dims) {
    int64_t pads[2 * TN_MAX_RANK] = {0};
    if (!w->same && !w->valid) {
        const tn_status status = read_list(in, "pads", 2 * w->spatial, -MAX_ATTR, 0, pads);
        if (status != TN_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < w->spatial; i++) {
        dims[i + 2] = slide(w, i, x->dims[i + 2], pads[i], pads[i + w->spatial]);
        if (dims[i + 2].size == -2) {
            return tni_contradiction(in, 0, "shape.window",
                                     "spatial dimension %u is smaller than the window", i);
        }
    }
    return TN_OK;
}

static tn_status check_groups(tni_inference *in, uint32_t weight_index, const tni_fact *x,
                              const tni_fact *weight) {
    const int64_t group = tni_node_int(in->node, "group", 1);
    if (group < 1 || group > MAX_ATTR) {
        return tni_contradiction(in, 0, "shape.attribute", "group is %lld", (long long)group);
    }
    const int64_t channels = x->dims[1].size;
    int64_t wanted = weight->dims[1].size;
    if (wanted >= 0 && !tni_mul_i64(wanted, group, &wanted)) {
        return tni_contradiction(in, weight_index, "shape.channels", "too many channels");
    }
    if (channels >= 0 && wanted >= 0 && channels != wanted) {
        return tni_contradiction(
            in, weight_index, "shape.channels",
            "the input has %lld channels, the weight wants %lld in %lld groups",
            (long long)channels, (long long)wanted, (long long)group);
    }
    if (weight->dims[0].size >= 0 && weight->dims[0].size % group != 0) {
        return tni_contradiction(in, weight_index, "shape.channels",
                                 "%lld output channels do not divide into %lld groups",
                                 (long long)weight->dims[0].size, (long long)group);
    }
    return TN_OK;
}

static tn_status check_bias(tni_inference *in, uint32_t index, tn_graph_dim channels) {
    if (!tni_in_ranked(in, index)) {
        return TN_OK;
    }
    const tni_fact *bias = tni_in(in, index);
    if (bias->rank != 1 || tni_dim_differ(bias->dims[0], channels)) {
        return tni_contradiction(in, index, "shape.channels", "the bias is not one per channel");
    }
    return TN_OK;
}

tn_status tni_rule_conv(tni_inference *in) {
    const bool quantised = tni_node_is(in->node, "QLinearConv");
    const uint32_t weight_index = quantised ? 3 : 1;
    tn_dtype dtype = quantised ? tni_in_dtype(in, 7) : tni_in_dtype(in, 0);
    dtype = tni_node_is(in->node, "ConvInteger") ? TN_DTYPE_INT32 : dtype;
    tn_graph_dim dims[TN_MAX_RANK];
    window w;
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, weight_index)) {
        return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *x = tni_in(in, 0);
    const tni_fact *weight = tni_in(in, weight_index);
    if (x->rank < 3 || weight->rank != x->rank) {
        return tni_contradiction(in, weight_index, "shape.rank",
                                 "input of rank %u and weight of rank %u", x->rank, weight->rank);
    }
    tn_status status = read_window(in, &w, x->rank - 2);
    if (status == TN_OK) {
        status = read_kernel(in, &w, weight);
    }
    if (status == TN_OK) {
        status = check_groups(in, weight_index, x, weight);
    }
    if (status == TN_OK && tni_node_is(in->node, "Conv")) {
        status = check_bias(in, 2, weight->dims[0]);
    }
    if (status == TN_OK) {
        status = slide_all(in, &w, x, dims);
    }
    dims[0] = x->dims[0];
    dims[1] = weight->dims[0];
    return status == TN_OK ? tni_state(in, 0, dtype, x->rank, dims) : status;
}

// Spatial dims of a transposed convolution.
static tn_status spread_all(tni_inference *in, const window *w, const tni_fact *x,
                            tn_graph_dim *dims) {
    int64_t pads[2 * TN_MAX_RANK] = {0};
    int64_t extra[TN_MAX_RANK];
    uint32_t given_count = 0;
    const int64_t *given = tni_node_ints(in->node, "output_shape", &given_count);
    tn_status status = read_list(in, "output_padding", w->spatial, 0, 0, extra);
    if (status == TN_OK && !w->same && !w->valid) {
        status = read_list(in, "pads", 2 * w->spatial, -MAX_ATTR, 0, pads);
    }
    for (uint32_t i = 0; i < w->spatial && status == TN_OK; i++) {
        const int64_t size = x->dims[i + 2].size;
        if (given != NULL && given_count == w->spatial && given[i] >= 0) {
            dims[i + 2] = tni_dim(given[i]);
            continue;
        }
        if (size < 0 || size > (int64_t)1 << 30 || w->kernel[i] < 0) {
            dims[i + 2] = tni_dim_unknown();
            continue;
        }
        const int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        int64_t result =
            w->stride[i] * (size - 1) + extra[i] + reach - pads[i] - pads[i + w->spatial];
        result = w->same ? size * w->stride[i] : result;
        if (result < 0) {
            return tni_contradiction(in, 0, "shape.window", "spatial dimension %u vanishes", i);
        }
        dims[i + 2] = tni_dim(result);
    }
    return status;
}

tn_status tni_rule_conv_transpose(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    tn_graph_dim dims[TN_MAX_RANK];
    window w;
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, 1)) {
        return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *x = tni_in(in, 0);
    const tni_fact *weight = tni_in(in, 1);
    const int64_t group = tni_node_int(in->node, "group", 1);
    if (x->rank < 3 || weight->rank != x->rank || group < 1 || group > MAX_ATTR) {
        return tni_contradiction(in, 1, "shape.rank", "input of rank %u, weight of rank %u",
                                 x->rank, weight->rank);
    }
    if (tni_dim_differ(x->dims[1], weight->dims[0])) {
        return tni_contradiction(in, 1, "shape.channels", "the input has %lld channels",
                                 (long long)x->dims[1].size);
    }
    tn_status status = read_window(in, &w, x->rank - 2);
    if (status == TN_OK) {
        status = read_kernel(in, &w, weight);
    }
    if (status == TN_OK) {
        status = spread_all(in, &w, x, dims);
    }
    const int64_t per_group = weight->dims[1].size;
    dims[0] = x->dims[0];
    dims[1] =
        per_group >= 0 && per_group <= MAX_ATTR ? tni_dim(per_group * group) : tni_dim_unknown();
    return status == TN_OK ? tni_state(in, 0, dtype, x->rank, dims) : status;
}

tn_status tni_rule_pool(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    tn_graph_dim dims[TN_MAX_RANK];
    window w;
    if (!tni_in_ranked(in, 0)) {
        return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *x = tni_in(in, 0);
    if (x->rank < 3) {
        return tni_contradiction(in, 0, "shape.rank", "a pool needs rank 3 or more");
    }
    tn_status status = read_window(in, &w, x->rank - 2);
    if (status == TN_OK) {
        status = read_kernel(in, &w, NULL);
    }
    if (status == TN_OK) {
        status = slide_all(in, &w, x, dims);
    }
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    if (status == TN_OK) {
        status = tni_state(in, 0, dtype, x->rank, dims);
    }
    return status == TN_OK ? tni_state(in, 1, TN_DTYPE_INT64, x->rank, dims) : status;
}

tn_status tni_rule_global_pool(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    if (!tni_in_ranked(in, 0)) {
        return tni_state(in, 0, tni_in_dtype(in, 0), TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *x = tni_in(in, 0);
    for (uint32_t i = 0; i < x->rank; i++) {
        dims[i] = i < 2 ? x->dims[i] : tni_dim(1);
    }
    return tni_state(in, 0, x->dtype, x->rank, dims);
}

tn_status tni_rule_gemm(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, 1)) {
        const tn_graph_dim unknown[2] = {tni_dim_unknown(), tni_dim_unknown()};
        return tni_state(in, 0, dtype, 2, unknown);
    }
    const tni_fact *a = tni_in(in, 0);
    const tni_fact *b = tni_in(in, 1);
    if (a->rank != 2 || b->rank != 2) {
        return tni_contradiction(in, a->rank != 2 ? 0 : 1, "shape.rank", "Gemm needs rank 2");
    }
    const uint32_t trans_a = tni_node_int(in->node, "transA", 0) != 0 ? 1 : 0;
    const uint32_t trans_b = tni_node_int(in->node, "transB", 0) != 0 ? 1 : 0;
    if (tni_dim_differ(a->dims[1 - trans_a], b->dims[trans_b])) {
        return tni_contradiction(in, 1, "shape.inner", "%lld columns of A meet %lld rows of B",
                                 (long long)a->dims[1 - trans_a].size,
                                 (long long)b->dims[trans_b].size);
    }
    tn_graph_dim dims[TN_MAX_RANK] = {a->dims[trans_a], b->dims[1 - trans_b]};
    if (tni_in_ranked(in, 2)) {
        const tni_fact *c = tni_in(in, 2);
        const tn_graph_dim target[2] = {dims[0], dims[1]};
        uint32_t rank = 0;
        const tn_status status = tni_broadcast(in, 2, 2, target, c->rank, c->dims, &rank, dims);
        if (status != TN_OK) {
            return status;
        }
        if (rank != 2 || tni_dim_differ(dims[0], target[0]) || tni_dim_differ(dims[1], target[1])) {
            return tni_contradiction(in, 2, "shape.broadcast", "C is larger than the product");
        }
        dims[0] = target[0];
        dims[1] = target[1];
    }
    return tni_state(in, 0, dtype, 2, dims);
}

static tn_status product_shape(tni_inference *in, uint32_t b_index, const tni_fact *a,
                               const tni_fact *b, uint32_t *out_rank, tn_graph_dim *dims) {
    const tn_graph_dim inner_a = a->dims[a->rank - 1];
    const tn_graph_dim inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (tni_dim_differ(inner_a, inner_b)) {
        return tni_contradiction(in, b_index, "shape.inner",
                                 "%lld columns of A meet %lld rows of B", (long long)inner_a.size,
                                 (long long)inner_b.size);
    }
    const uint32_t batch_a = a->rank > 2 ? a->rank - 2 : 0;
    const uint32_t batch_b = b->rank > 2 ? b->rank - 2 : 0;
    const tn_status status =
        tni_broadcast(in, b_index, batch_a, a->dims, batch_b, b->dims, out_rank, dims);
    if (status != TN_OK) {
        return status;
    }
    if (a->rank > 1) {
        dims[(*out_rank)++] = a->dims[a->rank - 2];
    }
    if (b->rank > 1) {
        dims[(*out_rank)++] = b->dims[b->rank - 1];
    }
    return TN_OK;
}

tn_status tni_rule_matmul(tni_inference *in) {
    const bool quantised = tni_node_is(in->node, "QLinearMatMul");
    const uint32_t b_index = quantised ? 3 : 1;
    tn_graph_dim dims[TN_MAX_RANK + 2];
    uint32_t rank = 0;
    tn_dtype dtype = quantised ? tni_in_dtype(in, 7) : tni_in_dtype(in, 0);
    dtype = tni_node_is(in->node, "MatMulInteger") ? TN_DTYPE_INT32 : dtype;
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, b_index)) {
        return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *a = tni_in(in, 0);
    const tni_fact *b = tni_in(in, b_index);
    if (a->rank == 0 || b->rank == 0) {
        return tni_contradiction(in, a->rank == 0 ? 0 : b_index, "shape.rank", "a scalar");
    }
    const tn_status status = product_shape(in, b_index, a, b, &rank, dims);
    return status == TN_OK ? tni_state(in, 0, dtype, rank, dims) : status;
}
