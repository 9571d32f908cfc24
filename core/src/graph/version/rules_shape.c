// SPDX-License-Identifier: Apache-2.0
// Versions that disagree about shapes: which axes Softmax works on, and how operands broadcast.
#include "graph/version/draft.h"

static const tni_value *value_of(const tni_draft *d, uint32_t input) {
    const uint32_t value = tni_draft_input(d, input);
    return value == TN_NONE ? NULL : &d->model->values[value];
}

static bool ranked(const tni_value *value) {
    return value != NULL && value->rank != TN_RANK_UNKNOWN;
}

static bool same_dim(tn_graph_dim a, tn_graph_dim b) {
    return a.size >= 0 || b.size >= 0 ? a.size == b.size
                                      : a.symbol == b.symbol && a.symbol != TN_NONE;
}

// Whether b's dims are those of a from axis on.
static bool is_part(const tni_value *a, const tni_value *b, uint32_t axis) {
    if (axis > a->rank || b->rank > a->rank - axis) {
        return false;
    }
    for (uint32_t i = 0; i < b->rank; i++) {
        if (!same_dim(a->dims[axis + i], b->dims[i])) {
            return false;
        }
    }
    return true;
}

// Gives input 1 trailing dimensions of size 1.
static void append_axes(tni_draft *d, uint32_t rank, uint32_t count) {
    int64_t axes[TN_MAX_RANK];
    int64_t dims[TN_MAX_RANK];
    const tni_value *value = value_of(d, 1);
    tni_builder *b = tni_draft_builder(d);
    for (uint32_t i = 0; i < count; i++) {
        axes[i] = rank + i;
    }
    if (value->constant == TN_NONE) {
        tni_draft_set_input(d, 1,
                            tni_build_unsqueeze(b, tni_draft_input(d, 1), axes, count, TN_NONE));
        return;
    }
    for (uint32_t i = 0; i < rank + count; i++) {
        dims[i] = i < rank ? value->dims[i].size : 1;
    }
    tni_draft_set_input(d, 1, tni_build_reshaped(b, value->constant, dims, rank + count));
}

// Whether appending axes costs a node of its own, and that is not wanted.
static bool too_much(const tni_draft *d) {
    return !d->helpers && value_of(d, 1)->constant == TN_NONE;
}

// Before 7, broadcast=1 lays operand B along `axis` of A, by default along the last ones; later
// forms align from the right and let either operand be the smaller one.
bool tni_step_broadcast_drop(tni_draft *d) {
    const tni_value *a = value_of(d, 0);
    const tni_value *b = value_of(d, 1);
    const bool aligned = tni_draft_attr(d, "axis") == NULL;
    int64_t axis = tni_draft_int(d, "axis", 0);
    if (tni_draft_int(d, "broadcast", 0) != 0 && !aligned) {
        if (!ranked(a) || !ranked(b) || b->rank > a->rank) {
            return false;
        }
        axis = axis < 0 ? axis + a->rank : axis;
        const int64_t missing = (int64_t)a->rank - axis - b->rank;
        if (missing < 0 || axis < 0 || (missing > 0 && b->rank > 0 && too_much(d))) {
            return false;
        }
        if (missing > 0 && b->rank > 0) {
            append_axes(d, b->rank, (uint32_t)missing);
        }
    }
    tni_draft_drop_attr(d, "broadcast");
    tni_draft_drop_attr(d, "axis");
    return true;
}

bool tni_step_broadcast_set(tni_draft *d) {
    const tni_value *a = value_of(d, 0);
    const tni_value *b = value_of(d, 1);
    if (!ranked(a) || !ranked(b) || b->rank > a->rank || !is_part(a, b, a->rank - b->rank)) {
        return false;
    }
    if (b->rank < a->rank) {
        tni_draft_set_int(d, "broadcast", 1);
    }
    return true;
}

// Operands of older forms do not broadcast.
bool tni_step_same_shapes(tni_draft *d) {
    const tni_value *first = value_of(d, 0);
    for (uint32_t i = 1; i < d->input_count; i++) {
        const tni_value *other = value_of(d, i);
        if (!ranked(first) || !ranked(other) || first->rank != other->rank ||
            !is_part(first, other, 0)) {
            return false;
        }
    }
    return true;
}

// PRelu takes one slope a channel before 7, and a slope that broadcasts from then on.
bool tni_step_slope_per_channel(tni_draft *d) {
    const tni_value *x = value_of(d, 0);
    const tni_value *slope = value_of(d, 1);
    if (!ranked(x) || !ranked(slope) || slope->rank > 1) {
        return false;
    }
    if (slope->rank == 0 || slope->dims[0].size == 1 || x->rank < 3) {
        return true;
    }
    if (too_much(d)) {
        return false;
    }
    append_axes(d, 1, x->rank - 2);
    return true;
}

// Puts the draft's node in the middle of helpers: it reads x and writes to a value that it returns.
static uint32_t place_on(tni_draft *d, uint32_t x) {
    const uint32_t between = tni_build_value(tni_draft_builder(d));
    tni_draft_set_input(d, 0, x);
    tni_draft_set_output(d, 0, between);
    return tni_draft_place(d) ? between : TN_NONE;
}

// Before 13 all axes from `axis` on are one; later it is one axis.
bool tni_step_softmax_last_axis(tni_draft *d) {
    const tni_value *x = value_of(d, 0);
    int64_t axis = tni_draft_int(d, "axis", 1);
    const uint32_t output = d->outputs[0];
    if (!ranked(x)) {
        return false;
    }
    axis = axis < 0 ? axis + x->rank : axis;
    tni_draft_set_int(d, "axis", -1);
    if (axis + 1 == x->rank) {
        return true;
    }
    if (!d->helpers || axis < 0 || axis > x->rank) {
        return false;
    }
    const uint32_t operand = tni_draft_input(d, 0);
    tni_builder *b = tni_draft_builder(d);
    const tni_attr attr = tni_attr_int("axis", &axis);
    const uint32_t matrix = tni_build_node(b, "Flatten", 1, &operand, TN_NONE, &attr, 1);
    const uint32_t result = place_on(d, matrix);
    if (result == TN_NONE) {
        return false;
    }
    const uint32_t shape = tni_build_unary(b, "Shape", operand, TN_NONE);
    (void)tni_build_binary(b, "Reshape", result, shape, output);
    return true;
}

bool tni_step_softmax_as_matrix(tni_draft *d) {
    const tni_value *x = value_of(d, 0);
    int64_t perm[TN_MAX_RANK];
    int64_t axis = tni_draft_int(d, "axis", -1);
    const uint32_t output = d->outputs[0];
    if (!ranked(x) || x->rank == 0) {
        return false;
    }
    const int64_t last = (int64_t)x->rank - 1;
    const uint32_t rank = x->rank;
    axis = axis < 0 ? axis + rank : axis;
    tni_draft_set_int(d, "axis", last);
    if (axis == last) {
        return true;
    }
    if (!d->helpers || axis < 0 || axis > last) {
        return false;
    }
    for (uint32_t i = 0; i < rank; i++) {
        perm[i] = i == axis ? last : i == last ? axis : i;
    }
    const uint32_t operand = tni_draft_input(d, 0);
    tni_builder *b = tni_draft_builder(d);
    const tni_attr attr = tni_attr_ints("perm", perm, rank);
    const uint32_t result =
        place_on(d, tni_build_node(b, "Transpose", 1, &operand, TN_NONE, &attr, 1));
    if (result == TN_NONE) {
        return false;
    }
    (void)tni_build_node(b, "Transpose", 1, &result, output, &attr, 1);
    return true;
}

// Whether every channel is a group of its own, so that both forms of GroupNormalization agree.
static bool groups_are_channels(const tni_draft *d) {
    const tni_value *x = value_of(d, 0);
    return ranked(x) && x->rank > 1 && x->dims[1].size > 0 &&
           x->dims[1].size == tni_draft_int(d, "num_groups", 0);
}

// Scale and bias have an element a group before 21, and one a channel from then on.
bool tni_step_group_norm_per_channel(tni_draft *d) {
    const tni_value *x = value_of(d, 0);
    const int64_t groups = tni_draft_int(d, "num_groups", 0);
    if (groups_are_channels(d)) {
        return true;
    }
    if (!d->helpers || !ranked(x) || x->rank < 2 || groups < 1 || x->dims[1].size < groups ||
        x->dims[1].size % groups != 0) {
        return false;
    }
    const int64_t channels = x->dims[1].size;
    const int64_t column[2] = {groups, 1};
    const int64_t table[2] = {groups, channels / groups};
    tni_builder *b = tni_draft_builder(d);
    for (uint32_t i = 1; i < 3; i++) {
        uint32_t operand = tni_build_reshape(b, tni_draft_input(d, i), column, 2, TN_NONE);
        operand = tni_build_expand(b, operand, table, 2, TN_NONE);
        tni_draft_set_input(d, i, tni_build_reshape(b, operand, &channels, 1, TN_NONE));
    }
    return true;
}

bool tni_step_group_norm_per_group(tni_draft *d) {
    return groups_are_channels(d);
}
