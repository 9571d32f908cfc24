// SPDX-License-Identifier: Apache-2.0
// Shapes of ops that pick elements: splitting, slicing, gathering, padding, resizing.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <math.h>
#include <string.h>

static tn_status state_unknown(tni_inference *in) {
    return tni_state(in, 0, tni_in_dtype(in, 0), TN_RANK_UNKNOWN, NULL);
}

// Entry i of attribute `name`, or else of the input; unknown when neither is known.
static tn_status list_entry(tni_inference *in, const char *name, uint32_t input, uint32_t i,
                            tni_element *out_element, uint32_t *out_count) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    const int64_t *ints = tni_node_ints(in->node, name, &count);
    *out_element = tni_element_unknown();
    *out_count = count;
    if (ints != NULL) {
        *out_element = i < count ? tni_element_of(ints[i]) : tni_element_unknown();
        return TN_OK;
    }
    const tn_status status = tni_in_elements(in, input, &elements, &count);
    if (status == TN_OK && elements != NULL) {
        *out_count = count;
        *out_element = i < count ? elements[i] : tni_element_unknown();
    }
    return status;
}

// The size of part i when the axis is split evenly: the last part may be smaller.
static tn_graph_dim even_part(tn_graph_dim whole, uint32_t parts, uint32_t i) {
    if (whole.size < 0 || whole.size > INT64_MAX / 2) {
        return parts == 1 ? whole : tni_dim_unknown();
    }
    const int64_t chunk = (whole.size + parts - 1) / parts;
    const int64_t left = whole.size - chunk * i;
    return tni_dim(left < 0 ? 0 : left < chunk ? left : chunk);
}

tn_status tni_rule_split(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axis = 0;
    int64_t sum = 0;
    bool all_known = true;
    const uint32_t parts = in->node->output_count;
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", 0), x->rank, &axis);
    if (status != TN_OK) {
        return status;
    }
    uint32_t listed = 0;
    const bool given = tni_node_ints(in->node, "split", &listed) != NULL || tni_in(in, 1) != NULL;
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    for (uint32_t i = 0; i < parts && status == TN_OK; i++) {
        tni_element element;
        dims[axis] = even_part(x->dims[axis], parts, i);
        if (given) {
            status = list_entry(in, "split", 1, i, &element, &listed);
            dims[axis] = tni_dim_of_element(element);
            all_known = all_known && dims[axis].size >= 0 &&
                        tni_add_i64(sum, dims[axis].size, &sum) && listed == parts;
        }
        if (status == TN_OK) {
            status = tni_state(in, i, x->dtype, x->rank, dims);
        }
    }
    if (status == TN_OK && given && all_known && tni_dim_differ(tni_dim(sum), x->dims[axis])) {
        return tni_contradiction(in, 0, "shape.split", "the parts of axis %u add up to %lld", axis,
                                 (long long)sum);
    }
    return status;
}

typedef struct {
    tni_element start;
    tni_element end;
    tni_element step;
} slice_entry;

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

// Elements left of a dimension of known size. A start in front of the first element is the first
// one, also for steps back; only an end may lie there.
static int64_t slice_size(int64_t size, int64_t start, int64_t end, int64_t step) {
    start = start < 0 ? (start < -size ? -1 : start + size) : start;
    end = end < 0 ? (end < -size ? -1 : end + size) : end;
    if (step > 0) {
        start = clamp(start, 0, size);
        end = clamp(end, 0, size);
        return end <= start ? 0 : (end - start - 1) / step + 1;
    }
    if (size == 0) {
        return 0;
    }
    start = clamp(start, 0, size - 1);
    end = clamp(end, -1, size - 1);
    // -INT64_MIN does not exist, but a step that large takes one element.
    const int64_t back = step == INT64_MIN ? INT64_MAX : -step;
    return start <= end ? 0 : (start - end - 1) / back + 1;
}

static tn_graph_dim slice_dim(tn_graph_dim dim, const slice_entry *entry) {
    const bool known = entry->start.known && entry->end.known && entry->step.known;
    if (!known || entry->step.value == 0) {
        return tni_dim_unknown();
    }
    if (dim.size >= 0) {
        return tni_dim(
            slice_size(dim.size, entry->start.value, entry->end.value, entry->step.value));
    }
    // Everything from the start to "the end": the dimension stays.
    const bool whole =
        entry->start.value == 0 && entry->end.value >= INT32_MAX && entry->step.value == 1;
    return whole ? dim : tni_dim_unknown();
}

static tn_status read_slice(tni_inference *in, uint32_t i, slice_entry *entry) {
    uint32_t count = 0;
    tn_status status = list_entry(in, "starts", 1, i, &entry->start, &count);
    if (status == TN_OK) {
        status = list_entry(in, "ends", 2, i, &entry->end, &count);
    }
    entry->step = tni_element_of(1);
    if (status == TN_OK && tni_in(in, 4) != NULL) {
        status = list_entry(in, "", 4, i, &entry->step, &count);
    }
    return status;
}

static tn_status slice_elements(tni_inference *in, const slice_entry *entry) {
    tni_element picked[TNI_MAX_ELEMENTS];
    const tni_element *elements = NULL;
    uint32_t count = 0;
    const tn_status status = tni_in_elements(in, 0, &elements, &count);
    const bool known = entry->start.known && entry->end.known && entry->step.known;
    if (status != TN_OK || elements == NULL || !known || entry->step.value == 0) {
        return status;
    }
    const int64_t kept = slice_size(count, entry->start.value, entry->end.value, entry->step.value);
    int64_t at = entry->start.value < 0 ? entry->start.value + count : entry->start.value;
    at = clamp(at, 0, entry->step.value > 0 ? count : (int64_t)count - 1);
    for (int64_t i = 0; i < kept; i++) {
        picked[i] = elements[at + i * entry->step.value];
    }
    return tni_state_elements(in, 0, picked, (uint32_t)kept);
}

tn_status tni_rule_slice(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    slice_entry entry = {tni_element_unknown(), tni_element_unknown(), tni_element_unknown()};
    tni_element first;
    uint32_t count = 0;
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = list_entry(in, "starts", 1, 0, &first, &count);
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    const tni_fact *starts = tni_in(in, 1);
    if (status == TN_OK && count == 0 && starts != NULL && starts->rank == 1 &&
        starts->dims[0].size != 0) {
        // Which axes shrink is not known: all may.
        for (uint32_t i = 0; i < x->rank; i++) {
            dims[i] = tni_dim_unknown();
        }
    }
    const bool has_axes = tni_node_attr(in->node, "axes") != NULL || tni_in(in, 3) != NULL;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        tni_element axis_element = tni_element_of(i);
        uint32_t axis_count = 0;
        uint32_t axis = 0;
        if (has_axes) {
            status = list_entry(in, "axes", 3, i, &axis_element, &axis_count);
        }
        if (status == TN_OK && !axis_element.known) {
            return state_unknown(in);
        }
        if (status == TN_OK) {
            status = tni_axis(in, axis_element.value, x->rank, &axis);
        }
        if (status == TN_OK) {
            status = read_slice(in, i, &entry);
        }
        dims[axis] = status == TN_OK ? slice_dim(x->dims[axis], &entry) : dims[axis];
    }
    if (status == TN_OK) {
        status = tni_state(in, 0, x->dtype, x->rank, dims);
    }
    return status == TN_OK && x->rank == 1 && count == 1 ? slice_elements(in, &entry) : status;
}

static tn_status gather_elements_by_value(tni_inference *in) {
    const tni_element *elements = NULL;
    const tni_element *indices = NULL;
    uint32_t count = 0;
    uint32_t picked = 0;
    tni_element result[TNI_MAX_ELEMENTS];
    tn_status status = tni_in_elements(in, 0, &elements, &count);
    if (status == TN_OK) {
        status = tni_in_elements(in, 1, &indices, &picked);
    }
    if (status != TN_OK || elements == NULL || indices == NULL) {
        return status;
    }
    for (uint32_t i = 0; i < picked; i++) {
        const int64_t at = indices[i].value < 0 ? indices[i].value + count : indices[i].value;
        result[i] = tni_element_unknown();
        if (indices[i].known && (at < 0 || at >= count)) {
            return tni_contradiction(in, 1, "shape.gather", "index %lld of %u elements",
                                     (long long)indices[i].value, count);
        }
        if (indices[i].known) {
            result[i] = elements[at];
        }
    }
    return tni_state_elements(in, 0, result, picked);
}

tn_status tni_rule_gather(tni_inference *in) {
    tn_graph_dim dims[2 * TN_MAX_RANK];
    uint32_t axis = 0;
    uint32_t rank = 0;
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, 1)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tni_fact *indices = tni_in(in, 1);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", 0), x->rank, &axis);
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t i = 0; i < axis; i++) {
        dims[rank++] = x->dims[i];
    }
    for (uint32_t i = 0; i < indices->rank; i++) {
        dims[rank++] = indices->dims[i];
    }
    for (uint32_t i = axis + 1; i < x->rank; i++) {
        dims[rank++] = x->dims[i];
    }
    status = tni_state(in, 0, x->dtype, rank, dims);
    return status == TN_OK && x->rank == 1 && indices->rank <= 1 ? gather_elements_by_value(in)
                                                                 : status;
}

tn_status tni_rule_gather_elements(tni_inference *in) {
    return tni_state_like(in, 0, 1, tni_in_dtype(in, 0));
}

tn_status tni_rule_gather_nd(tni_inference *in) {
    tn_graph_dim dims[2 * TN_MAX_RANK];
    uint32_t rank = 0;
    if (!tni_in_ranked(in, 0) || !tni_in_ranked(in, 1)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tni_fact *indices = tni_in(in, 1);
    const int64_t batch = tni_node_int(in->node, "batch_dims", 0);
    const int64_t depth = indices->rank > 0 ? indices->dims[indices->rank - 1].size : 0;
    if (indices->rank == 0 || x->rank == 0 || batch < 0 || batch > x->rank) {
        return tni_contradiction(in, 1, "shape.rank", "GatherND needs ranks of 1 or more");
    }
    if (depth < 0) {
        return state_unknown(in);
    }
    if (depth > x->rank - batch) {
        return tni_contradiction(in, 1, "shape.gather", "its last dimension is above the rank");
    }
    for (uint32_t i = 0; i + 1 < indices->rank; i++) {
        dims[rank++] = indices->dims[i];
    }
    for (uint32_t i = (uint32_t)(batch + depth); i < x->rank; i++) {
        dims[rank++] = x->dims[i];
    }
    return tni_state(in, 0, x->dtype, rank, dims);
}

tn_status tni_rule_pad(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axes[TN_MAX_RANK];
    uint32_t axis_count = 0;
    bool present = false;
    bool known = false;
    const char *name = in->node->since_version < 2 ? "paddings" : "pads";
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = tni_axes(in, 3, x->rank, axes, &axis_count, &present, &known);
    if (status != TN_OK || !known) {
        return status == TN_OK ? state_unknown(in) : status;
    }
    // With axes, entries follow their order in the file, which tni_axes has sorted away; only an
    // ascending list is followed.
    const tni_element *listed = NULL;
    uint32_t listed_count = 0;
    status = present ? tni_in_elements(in, 3, &listed, &listed_count) : TN_OK;
    for (uint32_t i = 1; status == TN_OK && listed != NULL && i < listed_count; i++) {
        if (listed[i].value < listed[i - 1].value) {
            return state_unknown(in);
        }
    }
    const uint32_t padded = present ? axis_count : x->rank;
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    for (uint32_t i = 0; i < padded && status == TN_OK; i++) {
        const uint32_t axis = present ? axes[i] : i;
        tni_element begin = tni_element_unknown();
        tni_element end = tni_element_unknown();
        uint32_t count = 0;
        int64_t size = x->dims[axis].size;
        status = list_entry(in, name, 1, i, &begin, &count);
        if (status == TN_OK) {
            status = list_entry(in, name, 1, i + padded, &end, &count);
        }
        const bool neutral = begin.known && end.known && begin.value == 0 && end.value == 0;
        const bool sum = size >= 0 && begin.known && end.known &&
                         tni_add_i64(size, begin.value, &size) &&
                         tni_add_i64(size, end.value, &size);
        dims[axis] = neutral ? x->dims[axis] : sum && size >= 0 ? tni_dim(size) : tni_dim_unknown();
        if (status == TN_OK && sum && size < 0) {
            return tni_contradiction(in, 0, "shape.pad", "dimension %u would be negative", axis);
        }
    }
    return status == TN_OK ? tni_state(in, 0, x->dtype, x->rank, dims) : status;
}

// The scales, from the attribute of old versions or the input; *out_count 0 when unknown.
static tn_status read_scales(tni_inference *in, uint32_t input, double *out, uint32_t *out_count) {
    const tni_attr *attr = tni_node_attr(in->node, "scales");
    if (attr != NULL && attr->kind == TN_ATTR_FLOATS && attr->count <= TN_MAX_RANK) {
        for (uint32_t i = 0; i < attr->count; i++) {
            out[i] = (double)attr->floats[i];
        }
        *out_count = attr->count;
        return TN_OK;
    }
    return tni_in_numbers(in, input, out, TN_MAX_RANK, out_count);
}

// The size of one resized dimension: from sizes, else from scales.
static tn_graph_dim resized(tn_graph_dim dim, const tni_element *size, const double *scale) {
    if (size != NULL) {
        return tni_dim_of_element(*size);
    }
    if (scale != NULL && *scale == 1.0) {
        return dim;
    }
    const double scaled = scale != NULL && dim.size >= 0 ? floor((double)dim.size * *scale) : -1.0;
    return scaled >= 0.0 && scaled < 9.0e15 ? tni_dim((int64_t)scaled) : tni_dim_unknown();
}

// One ratio for all axes (keep_aspect_ratio_policy): the smallest, or the largest. 0: unknown.
static double shared_ratio(const tni_fact *x, const uint32_t *axes, uint32_t count,
                           const tni_element *sizes, bool smallest) {
    double ratio = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t size = x->dims[axes[i]].size;
        if (!sizes[i].known || size < 1) {
            return 0.0;
        }
        const double own = (double)sizes[i].value / (double)size;
        ratio = i == 0 || (smallest ? own < ratio : own > ratio) ? own : ratio;
    }
    return ratio;
}

// The axes that sizes and scales speak of, in their order.
static tn_status resized_axes(tni_inference *in, uint32_t rank, uint32_t *axes,
                              uint32_t *out_count) {
    uint32_t count = 0;
    const int64_t *given = tni_node_ints(in->node, "axes", &count);
    tn_status status = TN_OK;
    *out_count = given != NULL ? count : rank;
    if (*out_count > TN_MAX_RANK) {
        return tni_contradiction(in, 0, "shape.axis", "%u axes", count);
    }
    for (uint32_t i = 0; i < *out_count && status == TN_OK; i++) {
        axes[i] = i;
        status = given != NULL ? tni_axis(in, given[i], rank, &axes[i]) : TN_OK;
    }
    return status;
}

tn_status tni_rule_resize(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axes[TN_MAX_RANK];
    double scales[TN_MAX_RANK];
    uint32_t axis_count = 0;
    uint32_t scale_count = 0;
    uint32_t size_count = 0;
    const tni_element *sizes = NULL;
    const bool modern = tni_node_is(in->node, "Resize") && in->node->since_version >= 11;
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    tn_status status = read_scales(in, modern ? 2 : 1, scales, &scale_count);
    if (status == TN_OK && modern) {
        status = tni_in_elements(in, 3, &sizes, &size_count);
    }
    if (status == TN_OK) {
        status = resized_axes(in, x->rank, axes, &axis_count);
    }
    if (status != TN_OK) {
        return status;
    }
    const tn_string policy = tni_node_text(in->node, "keep_aspect_ratio_policy", "stretch");
    const bool by_size = sizes != NULL && size_count == axis_count && size_count > 0;
    const bool by_ratio = modern && !tni_string_is(policy, "stretch") && tni_in(in, 3) != NULL;
    const double ratio = by_size && by_ratio ? shared_ratio(x, axes, axis_count, sizes,
                                                            tni_string_is(policy, "not_larger"))
                                             : 0.0;
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    for (uint32_t i = 0; i < axis_count; i++) {
        const tn_graph_dim dim = x->dims[axes[i]];
        const bool by_scale = scale_count == axis_count && !by_size;
        dims[axes[i]] = resized(dim, by_size ? &sizes[i] : NULL, by_scale ? &scales[i] : NULL);
        if (by_ratio) {
            const double size = floor(ratio * (double)dim.size + 0.5);
            dims[axes[i]] =
                ratio > 0.0 && size < 9.0e15 ? tni_dim((int64_t)size) : tni_dim_unknown();
        }
    }
    return tni_state(in, 0, x->dtype, x->rank, dims);
}

tn_status tni_rule_depth_space(tni_inference *in) {
    const int64_t block = tni_node_int(in->node, "blocksize", 0);
    const bool to_depth = tni_node_is(in->node, "SpaceToDepth");
    tn_graph_dim dims[4];
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    if (x->rank != 4 || block < 1 || block > 1 << 20) {
        return tni_contradiction(in, 0, "shape.rank", "rank 4 and a block size are needed");
    }
    const int64_t square = block * block;
    for (uint32_t i = 0; i < 4; i++) {
        const int64_t size = x->dims[i].size;
        const int64_t factor = i == 0 ? 1 : i == 1 ? square : block;
        const bool grows = (i == 1) == to_depth;
        int64_t result = -1;
        if (i == 0) {
            dims[i] = x->dims[0];
            continue;
        }
        if (size >= 0 && !grows && size % factor != 0) {
            return tni_contradiction(in, 0, "shape.block", "dimension %u does not divide by %lld",
                                     i, (long long)factor);
        }
        if (size >= 0 && grows && !tni_mul_i64(size, factor, &result)) {
            result = -1;
        }
        dims[i] = size < 0 ? tni_dim_unknown() : tni_dim(grows ? result : size / factor);
    }
    return tni_state(in, 0, x->dtype, 4, dims);
}

// The depth may be of any type of number; a fraction is cut off, as Cast does.
static tn_status one_hot_depth(tni_inference *in, tn_graph_dim *out_dim) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    double number = 0.0;
    *out_dim = tni_dim_unknown();
    tn_status status = tni_in_elements(in, 1, &elements, &count);
    if (status == TN_OK && elements != NULL && count == 1) {
        *out_dim = tni_dim_of_element(elements[0]);
        number = elements[0].known ? (double)elements[0].value : 0.0;
    } else if (status == TN_OK) {
        status = tni_in_numbers(in, 1, &number, 1, &count);
        if (status == TN_OK && count == 1 && number >= 0.0) {
            *out_dim = tni_dim(number < 9.0e15 ? (int64_t)number : INT64_MAX);
        }
    }
    return status != TN_OK || number >= 0.0
               ? status
               : tni_contradiction(in, 1, "shape.depth", "there is no depth %g", number);
}

tn_status tni_rule_one_hot(tni_inference *in) {
    tn_graph_dim depth = tni_dim_unknown();
    tn_graph_dim dims[TN_MAX_RANK + 1];
    uint32_t axis = 0;
    if (!tni_in_ranked(in, 0)) {
        return tni_state(in, 0, tni_in_dtype(in, 2), TN_RANK_UNKNOWN, NULL);
    }
    const tni_fact *indices = tni_in(in, 0);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", -1), indices->rank + 1, &axis);
    if (status == TN_OK) {
        status = one_hot_depth(in, &depth);
    }
    for (uint32_t i = 0, from = 0; i < indices->rank + 1; i++) {
        dims[i] = i == axis ? depth : indices->dims[from++];
    }
    return status == TN_OK ? tni_state(in, 0, tni_in_dtype(in, 2), indices->rank + 1, dims)
                           : status;
}
