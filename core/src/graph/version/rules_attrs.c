// SPDX-License-Identifier: Apache-2.0
// Attributes that were renamed, got other values, or mean something only in some versions.
#include "graph/version/draft.h"

#include "base/dtype.h"

#include <math.h>

// For steps that only one direction can make without further ado.
bool tni_step_as_it_is(tni_draft *d) {
    return d->status == TN_OK;
}

// Before 7, is_test tells inference from training; later forms infer.
bool tni_step_test_mode_drop(tni_draft *d) {
    const bool inference = tni_draft_int(d, "is_test", 0) != 0;
    tni_draft_drop_attr(d, "is_test");
    return inference;
}

bool tni_step_test_mode_set(tni_draft *d) {
    tni_draft_set_int(d, "is_test", 1);
    return true;
}

// The statistics that BatchNormalization gives beside Y are others from 14 on.
bool tni_step_first_output(tni_draft *d) {
    for (uint32_t i = 1; i < d->output_count; i++) {
        if (d->outputs[i] != TN_NONE) {
            return false;
        }
    }
    d->output_count = d->output_count > 1 ? 1 : d->output_count;
    return tni_draft_int(d, "training_mode", 0) == 0;
}

#define TYPE_NAME_BYTES 16u

// Copies the name of an element type, with letters from `first` on as those from `target` on; 0
// when it is too long.
static uint64_t change_case(tn_string name, char first, char target, char out[TYPE_NAME_BYTES]) {
    if (name.size_bytes >= TYPE_NAME_BYTES) {
        return 0;
    }
    for (uint64_t i = 0; i < name.size_bytes; i++) {
        const char c = name.data[i];
        out[i] = (char)(c >= first && c < first + 26 ? target + (c - first) : c);
    }
    out[name.size_bytes] = '\0';
    return name.size_bytes;
}

// Cast-1 names the type in capitals.
bool tni_step_cast_to_number(tni_draft *d) {
    char lower[TYPE_NAME_BYTES];
    if (change_case(tni_draft_text(d, "to", ""), 'A', 'a', lower) == 0) {
        return false;
    }
    for (tn_dtype dtype = 1; dtype < TN_DTYPE_COUNT; dtype++) {
        if (tni_string_is(tni_string_of(tni_dtype_name(dtype)), lower)) {
            tni_draft_set_int(d, "to", dtype);
            return true;
        }
    }
    return false;
}

bool tni_step_cast_to_name(tni_draft *d) {
    char upper[TYPE_NAME_BYTES];
    const int64_t to = tni_draft_int(d, "to", 0);
    if (to <= 0 || to >= TN_DTYPE_COUNT) {
        return false;
    }
    const tn_string name = tni_string_of(tni_dtype_name((tn_dtype)to));
    if (change_case(name, 'a', 'A', upper) == 0) {
        return false;
    }
    tni_draft_set_text(d, "to", upper);
    return true;
}

static bool rename_ints(tni_draft *d, const char *from, const char *to) {
    const tni_attr *attr = tni_draft_attr(d, from);
    if (attr == NULL) {
        return false;
    }
    tni_draft_set_ints(d, to, attr->ints, attr->count);
    tni_draft_drop_attr(d, from);
    return true;
}

bool tni_step_paddings_to_pads(tni_draft *d) {
    return rename_ints(d, "paddings", "pads");
}

bool tni_step_pads_to_paddings(tni_draft *d) {
    return rename_ints(d, "pads", "paddings");
}

// Concat-1 joins along axis 1 when it does not say.
bool tni_step_concat_axis(tni_draft *d) {
    if (tni_draft_attr(d, "axis") == NULL) {
        tni_draft_set_int(d, "axis", 1);
    }
    return true;
}

static const char *const grid_modes[][2] = {
    {"bilinear", "linear"}, {"bicubic", "cubic"}, {"nearest", "nearest"}};

static bool rename_grid_mode(tni_draft *d, size_t from, size_t to) {
    const tn_string mode = tni_draft_text(d, "mode", grid_modes[0][from]);
    for (size_t i = 0; i < 3; i++) {
        if (tni_string_is(mode, grid_modes[i][from])) {
            tni_draft_set_text(d, "mode", grid_modes[i][to]);
            return true;
        }
    }
    return false;
}

bool tni_step_grid_modes_new(tni_draft *d) {
    return rename_grid_mode(d, 0, 1);
}

// Before 20 there are images only.
bool tni_step_grid_modes_old(tni_draft *d) {
    return tni_draft_rank(d, tni_draft_input(d, 0)) == 4 && rename_grid_mode(d, 1, 0);
}

// RoiAlign-10 does not shift by half a pixel.
bool tni_step_roi_half_pixel(tni_draft *d) {
    tni_draft_set_text(d, "coordinate_transformation_mode", "output_half_pixel");
    return true;
}

bool tni_step_roi_plain(tni_draft *d) {
    const tn_string mode = tni_draft_text(d, "coordinate_transformation_mode", "half_pixel");
    tni_draft_drop_attr(d, "coordinate_transformation_mode");
    return tni_string_is(mode, "output_half_pixel");
}

// With one scale for the whole tensor, the axis says nothing.
bool tni_step_scale_without_axis(tni_draft *d) {
    const uint32_t scale = tni_draft_input(d, 1);
    const uint32_t rank = tni_draft_rank(d, scale);
    if (rank != 0 && (rank != 1 || tni_draft_size(d, scale, 0) != 1)) {
        return false;
    }
    tni_draft_drop_attr(d, "axis");
    return true;
}

bool tni_step_power_to_int(tni_draft *d) {
    const float p = tni_draft_float(d, "p", 2.0f);
    if (!(fabsf(p) < 1024.0f) || floorf(p) < p || floorf(p) > p) {
        return false;
    }
    tni_draft_set_int(d, "p", (int64_t)p);
    return true;
}

bool tni_step_power_to_float(tni_draft *d) {
    tni_draft_set_float(d, "p", (float)tni_draft_int(d, "p", 2));
    return true;
}

bool tni_step_gemm_broadcast_drop(tni_draft *d) {
    tni_draft_drop_attr(d, "broadcast");
    return true;
}

bool tni_step_gemm_broadcast_set(tni_draft *d) {
    tni_draft_set_int(d, "broadcast", 1);
    return true;
}

// Values of an attribute that came with the newer version.
static bool text_is_none_of(const tni_draft *d, const char *name, const char *const *newer) {
    const tn_string value = tni_draft_text(d, name, "");
    for (; *newer != NULL; newer++) {
        if (tni_string_is(value, *newer)) {
            return false;
        }
    }
    return true;
}

bool tni_step_reduction_old(tni_draft *d) {
    static const char *const newer[] = {"max", "min", NULL};
    return text_is_none_of(d, "reduction", newer);
}

bool tni_step_pad_mode_old(tni_draft *d) {
    static const char *const newer[] = {"wrap", NULL};
    return text_is_none_of(d, "mode", newer);
}

bool tni_step_resize_mode_old(tni_draft *d) {
    static const char *const newer[] = {"half_pixel_symmetric", NULL};
    return text_is_none_of(d, "coordinate_transformation_mode", newer);
}
