// SPDX-License-Identifier: Apache-2.0
// Numbers that were attributes and became operands (Clip, Dropout, Pad, Upsample), and ops that got
// another name.
#include "graph/version/draft.h"

#include "graph/elements.h"

#include <float.h>
#include <math.h>

// A scalar operand of the same type as input 0.
static uint32_t scalar_like_data(tni_draft *d, double number) {
    tni_builder *b = tni_draft_builder(d);
    b->dtype = tni_draft_dtype(d, tni_draft_input(d, 0));
    return tni_build_scalar(b, number);
}

static bool is_float(tni_draft *d) {
    return tni_elements_encodable(tni_draft_dtype(d, tni_draft_input(d, 0)));
}

bool tni_step_clip_to_inputs(tni_draft *d) {
    static const char *const names[] = {"min", "max"};
    if (!is_float(d)) {
        return false;
    }
    for (uint32_t i = 0; i < 2; i++) {
        const tni_attr *bound = tni_draft_attr(d, names[i]);
        if (bound != NULL) {
            tni_draft_set_input(d, i + 1, scalar_like_data(d, (double)bound->floats[0]));
            tni_draft_drop_attr(d, names[i]);
        }
    }
    return true;
}

bool tni_step_clip_to_attrs(tni_draft *d) {
    static const char *const names[] = {"min", "max"};
    for (uint32_t i = 0; i < 2; i++) {
        double bound = 0.0;
        if (tni_draft_input(d, i + 1) == TN_NONE) {
            continue;
        }
        // A bound that binary32 cannot hold would clip elsewhere.
        if (!tni_draft_read_number(d, i + 1, &bound) ||
            (isfinite(bound) && fabs(bound) > (double)FLT_MAX)) {
            return false;
        }
        const float narrow = (float)bound;
        if ((double)narrow < bound || (double)narrow > bound) {
            return false;
        }
        tni_draft_set_float(d, names[i], narrow);
    }
    tni_draft_cut_inputs(d, 1);
    return true;
}

bool tni_step_dropout_to_inputs(tni_draft *d) {
    const tni_attr *ratio = tni_draft_attr(d, "ratio");
    if (ratio != NULL) {
        tni_builder *b = tni_draft_builder(d);
        b->dtype = TN_DTYPE_FLOAT;
        tni_draft_set_input(d, 1, tni_build_scalar(b, (double)ratio->floats[0]));
    }
    tni_draft_drop_attr(d, "ratio");
    return true;
}

bool tni_step_dropout_to_attrs(tni_draft *d) {
    double ratio = 0.5;
    double training = 0.0;
    if ((tni_draft_input(d, 1) != TN_NONE && !tni_draft_read_number(d, 1, &ratio)) ||
        (tni_draft_input(d, 2) != TN_NONE && !tni_draft_read_number(d, 2, &training)) ||
        training != 0.0) {
        return false;
    }
    tni_draft_drop_attr(d, "seed");
    tni_draft_cut_inputs(d, 1);
    tni_draft_set_float(d, "ratio", (float)ratio);
    return true;
}

bool tni_step_pad_to_inputs(tni_draft *d) {
    const tni_attr *pads = tni_draft_attr(d, "pads");
    const float value = tni_draft_float(d, "value", 0.0f);
    if (pads == NULL || !is_float(d)) {
        return false;
    }
    const uint32_t operand = tni_build_ints(tni_draft_builder(d), pads->ints, pads->count);
    tni_draft_set_input(d, 1, operand);
    if (value < 0.0f || value > 0.0f) {
        tni_draft_set_input(d, 2, scalar_like_data(d, (double)value));
    }
    tni_draft_drop_attr(d, "pads");
    tni_draft_drop_attr(d, "value");
    return true;
}

bool tni_step_pad_to_attrs(tni_draft *d) {
    int64_t pads[TNI_DRAFT_MAX_INTS];
    uint32_t count = 0;
    double value = 0.0;
    if (!tni_draft_read_ints(d, 1, pads, &count) ||
        (tni_draft_input(d, 2) != TN_NONE && !tni_draft_read_number(d, 2, &value))) {
        return false;
    }
    tni_draft_cut_inputs(d, 1);
    tni_draft_set_ints(d, "pads", pads, count);
    tni_draft_set_float(d, "value", (float)value);
    return true;
}

// Two scales before, one per axis from 7 on.
bool tni_step_upsample_scales(tni_draft *d) {
    const float scales[4] = {1.0f, 1.0f, tni_draft_float(d, "height_scale", 0.0f),
                             tni_draft_float(d, "width_scale", 0.0f)};
    tni_draft_drop_attr(d, "height_scale");
    tni_draft_drop_attr(d, "width_scale");
    tni_draft_set_floats(d, "scales", scales, 4);
    return scales[2] > 0.0f && scales[3] > 0.0f;
}

bool tni_step_upsample_to_input(tni_draft *d) {
    const tni_attr *scales = tni_draft_attr(d, "scales");
    if (scales == NULL) {
        return false;
    }
    const uint32_t operand = tni_build_floats(tni_draft_builder(d), scales->floats, scales->count);
    tni_draft_set_input(d, 1, operand);
    tni_draft_drop_attr(d, "scales");
    return true;
}

bool tni_step_upsample_to_attr(tni_draft *d) {
    float scales[TN_MAX_RANK];
    uint32_t count = 0;
    if (!tni_draft_read_floats(d, 1, scales, &count)) {
        return false;
    }
    tni_draft_cut_inputs(d, 1);
    tni_draft_set_floats(d, "scales", scales, count);
    return true;
}

static bool rename_to(tni_draft *d, const char *op_type) {
    d->op_type = tni_string_of(op_type);
    d->to = tni_schema_find(TNI_LITERAL(""), d->op_type, d->to->since_version);
    // Even where nothing else changes, this is another node.
    tni_draft_touch(d);
    return d->to != NULL;
}

bool tni_step_upsample_to_resize(tni_draft *d) {
    return rename_to(d, "Resize");
}

bool tni_step_scatter_to_elements(tni_draft *d) {
    return rename_to(d, "ScatterElements");
}

// Resize-10 has one way to map coordinates, and rounds down where it enlarges.
bool tni_step_resize_modes(tni_draft *d) {
    float scales[TN_MAX_RANK];
    uint32_t count = 0;
    if (tni_string_is(tni_draft_text(d, "mode", "nearest"), "nearest")) {
        if (!tni_draft_read_floats(d, 1, scales, &count)) {
            return false;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (scales[i] < 1.0f) {
                return false;
            }
        }
        tni_draft_set_text(d, "nearest_mode", "floor");
    }
    tni_draft_set_text(d, "coordinate_transformation_mode", "asymmetric");
    const uint32_t scale_operand = tni_draft_input(d, 1);
    tni_draft_set_input(d, 1, tni_build_floats(tni_draft_builder(d), NULL, 0));
    tni_draft_set_input(d, 2, scale_operand);
    return true;
}

bool tni_step_resize_plain(tni_draft *d) {
    const tn_string mode = tni_draft_text(d, "mode", "nearest");
    const bool nearest = tni_string_is(mode, "nearest");
    const tn_string rounding = tni_draft_text(d, "nearest_mode", "round_prefer_floor");
    const tn_string mapping = tni_draft_text(d, "coordinate_transformation_mode", "half_pixel");
    if (!tni_draft_is_empty(d, 3) || tni_draft_is_empty(d, 2) ||
        !tni_string_is(mapping, "asymmetric") || (nearest && !tni_string_is(rounding, "floor")) ||
        tni_string_is(mode, "cubic")) {
        return false;
    }
    tni_draft_drop_attr(d, "coordinate_transformation_mode");
    tni_draft_drop_attr(d, "nearest_mode");
    tni_draft_drop_attr(d, "cubic_coeff_a");
    tni_draft_drop_attr(d, "extrapolation_value");
    tni_draft_set_input(d, 1, tni_draft_input(d, 2));
    tni_draft_cut_inputs(d, 2);
    return true;
}

// What had to be there, empty, may be absent from 13 on.
bool tni_step_resize_optional(tni_draft *d) {
    const tn_string mapping = tni_draft_text(d, "coordinate_transformation_mode", "half_pixel");
    if (tni_draft_input(d, 3) != TN_NONE && tni_draft_is_empty(d, 2)) {
        tni_draft_set_input(d, 2, TN_NONE);
    }
    return !tni_string_is(mapping, "tf_half_pixel_for_nn");
}

bool tni_step_resize_required(tni_draft *d) {
    for (uint32_t i = 1; i < 3; i++) {
        if (tni_draft_input(d, i) == TN_NONE) {
            tni_draft_set_input(d, i, tni_build_floats(tni_draft_builder(d), NULL, 0));
        }
    }
    return true;
}
