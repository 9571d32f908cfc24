// SPDX-License-Identifier: Apache-2.0
// Lists of integers that were attributes and became operands: axes, split, starts and ends, pads,
// shape, k. The operator list names the version of each move.
#include "graph/version/draft.h"

// Moves an attribute that may be absent into an operand.
static void to_input(tni_draft *d, const char *name, uint32_t index) {
    const tni_attr *attr = tni_draft_attr(d, name);
    if (attr == NULL) {
        return;
    }
    const uint32_t value = tni_build_ints(tni_draft_builder(d), attr->ints, attr->count);
    tni_draft_drop_attr(d, name);
    tni_draft_set_input(d, index, value);
}

// Moves an operand that is absent or a constant into an attribute.
static bool to_attr(tni_draft *d, uint32_t index, const char *name) {
    int64_t values[TNI_DRAFT_MAX_INTS];
    uint32_t count = 0;
    if (tni_draft_input(d, index) == TN_NONE) {
        return true;
    }
    if (!tni_draft_read_ints(d, index, values, &count)) {
        return false;
    }
    tni_draft_set_input(d, index, TN_NONE);
    tni_draft_set_ints(d, name, values, count);
    return true;
}

bool tni_step_axes_to_input(tni_draft *d) {
    to_input(d, "axes", 1);
    return true;
}

bool tni_step_axes_to_attr(tni_draft *d) {
    const bool done = to_attr(d, 1, "axes");
    tni_draft_cut_inputs(d, 1);
    return done;
}

// Without axes everything is reduced, unless the newer form was told to do nothing then.
bool tni_step_reduce_to_attr(tni_draft *d) {
    const bool empty = tni_draft_is_empty(d, 1);
    if (empty && tni_draft_int(d, "noop_with_empty_axes", 0) != 0) {
        return false;
    }
    tni_draft_drop_attr(d, "noop_with_empty_axes");
    if (empty) {
        tni_draft_cut_inputs(d, 1);
        return true;
    }
    return tni_step_axes_to_attr(d);
}

bool tni_step_split_to_input(tni_draft *d) {
    to_input(d, "split", 1);
    return true;
}

bool tni_step_split_to_attr(tni_draft *d) {
    const bool done = to_attr(d, 1, "split");
    tni_draft_cut_inputs(d, 1);
    return done;
}

// Equal parts: said by the number of outputs alone before, by num_outputs from 18 on.
bool tni_step_split_counts(tni_draft *d) {
    if (tni_draft_input(d, 1) == TN_NONE) {
        tni_draft_set_int(d, "num_outputs", d->output_count);
    }
    return true;
}

// num_outputs lets the last part be smaller; before, that takes sizes.
bool tni_step_split_uncounts(tni_draft *d) {
    int64_t sizes[TN_MAX_RANK];
    const int64_t count = tni_draft_int(d, "num_outputs", 0);
    const uint32_t rank = tni_draft_rank(d, tni_draft_input(d, 0));
    int64_t axis = tni_draft_int(d, "axis", 0);
    if (count == 0) {
        return true;
    }
    if (rank == TN_RANK_UNKNOWN || count > TN_MAX_RANK || count < 0) {
        return false;
    }
    axis = axis < 0 ? axis + rank : axis;
    const int64_t size = tni_draft_size(d, tni_draft_input(d, 0), (uint32_t)axis);
    if (size < 0) {
        return false;
    }
    const int64_t part = (size + count - 1) / count;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = i + 1 < count ? part : size - part * (count - 1);
    }
    tni_draft_drop_attr(d, "num_outputs");
    if (size % count != 0) {
        const uint32_t split = tni_build_ints(tni_draft_builder(d), sizes, (uint32_t)count);
        tni_draft_set_input(d, 1, split);
    }
    return sizes[count - 1] >= 0;
}

bool tni_step_slice_to_inputs(tni_draft *d) {
    to_input(d, "starts", 1);
    to_input(d, "ends", 2);
    to_input(d, "axes", 3);
    return true;
}

bool tni_step_slice_to_attrs(tni_draft *d) {
    int64_t steps[TNI_DRAFT_MAX_INTS];
    uint32_t count = 0;
    if (tni_draft_input(d, 4) != TN_NONE && !tni_draft_read_ints(d, 4, steps, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (steps[i] != 1) {
            return false;
        }
    }
    const bool done = to_attr(d, 1, "starts") && to_attr(d, 2, "ends") && to_attr(d, 3, "axes");
    tni_draft_cut_inputs(d, 1);
    return done;
}

bool tni_step_reshape_to_input(tni_draft *d) {
    to_input(d, "shape", 1);
    return true;
}

bool tni_step_reshape_to_attr(tni_draft *d) {
    const bool done = to_attr(d, 1, "shape");
    tni_draft_cut_inputs(d, 1);
    return done;
}

bool tni_step_top_k_to_input(tni_draft *d) {
    to_input(d, "k", 1);
    return true;
}

bool tni_step_top_k_to_attr(tni_draft *d) {
    int64_t k[TNI_DRAFT_MAX_INTS];
    uint32_t count = 0;
    if (!tni_draft_read_ints(d, 1, k, &count) || count != 1) {
        return false;
    }
    tni_draft_cut_inputs(d, 1);
    tni_draft_set_int(d, "k", k[0]);
    return true;
}

// One axis and one count before, both of the data's type; one count per axis from 6 on.
bool tni_step_tile_to_repeats(tni_draft *d) {
    int64_t repeats[TN_MAX_RANK];
    double tiles = 0.0;
    double axis = 0.0;
    const uint32_t rank = tni_draft_rank(d, tni_draft_input(d, 0));
    if (!tni_draft_read_number(d, 1, &tiles) || !tni_draft_read_number(d, 2, &axis) ||
        rank == TN_RANK_UNKNOWN || !(axis >= 0.0 && axis < rank) ||
        !(tiles >= 0.0 && tiles < 0x1p31)) {
        return false;
    }
    for (uint32_t i = 0; i < rank; i++) {
        repeats[i] = i == (uint32_t)axis ? (int64_t)tiles : 1;
    }
    tni_draft_set_input(d, 1, tni_build_ints(tni_draft_builder(d), repeats, rank));
    tni_draft_cut_inputs(d, 2);
    return true;
}

bool tni_step_dft_to_input(tni_draft *d) {
    const int64_t axis = tni_draft_int(d, "axis", 1);
    tni_draft_drop_attr(d, "axis");
    tni_draft_set_input(d, 2, tni_build_int(tni_draft_builder(d), axis));
    return true;
}

bool tni_step_dft_to_attr(tni_draft *d) {
    int64_t axis[TNI_DRAFT_MAX_INTS] = {-2};
    uint32_t count = 0;
    if (tni_draft_input(d, 2) != TN_NONE &&
        (!tni_draft_read_ints(d, 2, axis, &count) || count != 1)) {
        return false;
    }
    tni_draft_cut_inputs(d, tni_draft_input(d, 1) == TN_NONE ? 1 : 2);
    tni_draft_set_int(d, "axis", axis[0]);
    return true;
}

// Pads of some axes become pads of all.
bool tni_step_pad_without_axes(tni_draft *d) {
    int64_t axes[TNI_DRAFT_MAX_INTS];
    int64_t some[TNI_DRAFT_MAX_INTS];
    int64_t all[TNI_DRAFT_MAX_INTS] = {0};
    uint32_t axis_count = 0;
    uint32_t count = 0;
    const uint32_t rank = tni_draft_rank(d, tni_draft_input(d, 0));
    if (tni_draft_input(d, 3) == TN_NONE) {
        return true;
    }
    if (rank == TN_RANK_UNKNOWN || !tni_draft_read_ints(d, 3, axes, &axis_count) ||
        !tni_draft_read_ints(d, 1, some, &count) || count != 2 * axis_count) {
        return false;
    }
    for (uint32_t i = 0; i < axis_count; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank) {
            return false;
        }
        all[axis] = some[i];
        all[axis + rank] = some[i + axis_count];
    }
    tni_draft_set_input(d, 1, tni_build_ints(tni_draft_builder(d), all, 2 * rank));
    tni_draft_cut_inputs(d, 3);
    return true;
}
