// SPDX-License-Identifier: Apache-2.0
// Inside of present.h: a node on its way from one version of its op to the next older or newer one.
// A rule edits the draft; whatever all ops share (attributes that only one version has, defaults
// that differ, operand counts and types) is done for it when the draft is placed.
#ifndef TENON_GRAPH_DRAFT_H
#define TENON_GRAPH_DRAFT_H

#include "graph/builder.h"
#include "graph/schema/schema.h"

typedef struct tni_draft {
    tni_model *model;
    tn_error *error;
    tn_status status; // of the first failure; not that the node cannot be expressed
    uint32_t node;
    const tni_schema *from;
    const tni_schema *to;
    tn_string op_type;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t attr_count;
    uint32_t *inputs; // the node's own until the first edit
    uint32_t *outputs;
    tni_attr *attrs;
    bool helpers; // more nodes than one are allowed
    bool edited;
    tni_builder builder; // through tni_draft_builder
    bool open;           // builder has a graph
    bool placed;
    uint32_t main_node;
} tni_draft;

// Rewrites a draft for d->to. Returns false when the node cannot be expressed there.
typedef bool (*tni_version_rule)(tni_draft *d);

// A step between two versions that is more than a new number. boundary is the newer version.
typedef struct tni_step_rule {
    const char *op_type;
    uint32_t boundary;
    tni_version_rule up;   // null: cannot be crossed
    tni_version_rule down; // null: cannot be crossed
} tni_step_rule;

// The rule of a step of ai.onnx, or null: then only what all ops share is to be done.
const tni_step_rule *tni_step_rule_find(const char *op_type, uint32_t boundary);

typedef enum tni_step_result {
    TNI_STEP_IMPOSSIBLE,
    TNI_STEP_SAME, // the same node under another number
    TNI_STEP_FORM, // *out_form is a graph
} tni_step_result;

// Takes a node, now in the version `from`, to the neighbouring version `to`. with_helpers allows
// more nodes than one. TN_OK · errors of tni_presentation_init.
TN_MUST_USE tn_status tni_version_step(tni_model *model, uint32_t node, const tni_schema *from,
                                       const tni_schema *to, bool with_helpers,
                                       tni_step_result *out_result, uint32_t *out_form,
                                       tn_error *error);

// Reading. Absent inputs are TN_NONE; ranks and types come from shape inference.
uint32_t tni_draft_input(const tni_draft *d, uint32_t index);
const tni_attr *tni_draft_attr(const tni_draft *d, const char *name);
int64_t tni_draft_int(const tni_draft *d, const char *name, int64_t fallback);
float tni_draft_float(const tni_draft *d, const char *name, float fallback);
tn_string tni_draft_text(const tni_draft *d, const char *name, const char *fallback);
// The rank of a value, or TN_RANK_UNKNOWN; the size of an axis, or -1.
uint32_t tni_draft_rank(const tni_draft *d, uint32_t value);
int64_t tni_draft_size(const tni_draft *d, uint32_t value, uint32_t axis);
tn_dtype tni_draft_dtype(const tni_draft *d, uint32_t value);
// Whether the input is a constant of at most TN_MAX_RANK * 2 integers, or one number; reads it.
#define TNI_DRAFT_MAX_INTS ((uint64_t)2 * TN_MAX_RANK)
bool tni_draft_read_ints(tni_draft *d, uint32_t input, int64_t *out_values, uint32_t *out_count);
bool tni_draft_read_number(tni_draft *d, uint32_t input, double *out_number);
bool tni_draft_read_floats(tni_draft *d, uint32_t input, float out_values[TN_MAX_RANK],
                           uint32_t *out_count);
// Whether the input is absent, or a constant without elements.
bool tni_draft_is_empty(const tni_draft *d, uint32_t input);

// Editing. Values are copied.
void tni_draft_set_input(tni_draft *d, uint32_t index, uint32_t value);
void tni_draft_set_output(tni_draft *d, uint32_t index, uint32_t value);
void tni_draft_cut_inputs(tni_draft *d, uint32_t count); // keeps the first count
void tni_draft_drop_attr(tni_draft *d, const char *name);
void tni_draft_set_int(tni_draft *d, const char *name, int64_t value);
void tni_draft_set_ints(tni_draft *d, const char *name, const int64_t *values, uint32_t count);
void tni_draft_set_float(tni_draft *d, const char *name, float value);
void tni_draft_set_floats(tni_draft *d, const char *name, const float *values, uint32_t count);
void tni_draft_touch(tni_draft *d); // nothing but the op changes
void tni_draft_set_text(tni_draft *d, const char *name, const char *value);

// For constants and helper nodes, which are written for d->to. New nodes come before the draft's
// until it is placed, after it from then on.
tni_builder *tni_draft_builder(tni_draft *d);
// Adds the draft's node where it stands. Returns false when it does not fit d->to.
bool tni_draft_place(tni_draft *d);

// The rules, by file: rules_axes.c, rules_operands.c, rules_attrs.c, rules_shape.c.
bool tni_step_axes_to_input(tni_draft *d);
bool tni_step_axes_to_attr(tni_draft *d);
bool tni_step_reduce_to_attr(tni_draft *d);
bool tni_step_split_to_input(tni_draft *d);
bool tni_step_split_to_attr(tni_draft *d);
bool tni_step_split_counts(tni_draft *d);
bool tni_step_split_uncounts(tni_draft *d);
bool tni_step_slice_to_inputs(tni_draft *d);
bool tni_step_slice_to_attrs(tni_draft *d);
bool tni_step_clip_to_inputs(tni_draft *d);
bool tni_step_clip_to_attrs(tni_draft *d);
bool tni_step_dropout_to_inputs(tni_draft *d);
bool tni_step_dropout_to_attrs(tni_draft *d);
bool tni_step_pad_to_inputs(tni_draft *d);
bool tni_step_pad_to_attrs(tni_draft *d);
bool tni_step_pad_without_axes(tni_draft *d);
bool tni_step_top_k_to_input(tni_draft *d);
bool tni_step_top_k_to_attr(tni_draft *d);
bool tni_step_reshape_to_input(tni_draft *d);
bool tni_step_reshape_to_attr(tni_draft *d);
bool tni_step_tile_to_repeats(tni_draft *d);
bool tni_step_dft_to_input(tni_draft *d);
bool tni_step_dft_to_attr(tni_draft *d);
bool tni_step_upsample_scales(tni_draft *d);
bool tni_step_upsample_to_input(tni_draft *d);
bool tni_step_upsample_to_attr(tni_draft *d);
bool tni_step_upsample_to_resize(tni_draft *d);
bool tni_step_scatter_to_elements(tni_draft *d);
bool tni_step_resize_modes(tni_draft *d);
bool tni_step_resize_plain(tni_draft *d);
bool tni_step_resize_optional(tni_draft *d);
bool tni_step_resize_required(tni_draft *d);
bool tni_step_as_it_is(tni_draft *d);
bool tni_step_test_mode_drop(tni_draft *d);
bool tni_step_test_mode_set(tni_draft *d);
bool tni_step_first_output(tni_draft *d);
bool tni_step_cast_to_number(tni_draft *d);
bool tni_step_cast_to_name(tni_draft *d);
bool tni_step_paddings_to_pads(tni_draft *d);
bool tni_step_pads_to_paddings(tni_draft *d);
bool tni_step_concat_axis(tni_draft *d);
bool tni_step_grid_modes_new(tni_draft *d);
bool tni_step_grid_modes_old(tni_draft *d);
bool tni_step_roi_half_pixel(tni_draft *d);
bool tni_step_roi_plain(tni_draft *d);
bool tni_step_scale_without_axis(tni_draft *d);
bool tni_step_power_to_int(tni_draft *d);
bool tni_step_power_to_float(tni_draft *d);
bool tni_step_gemm_broadcast_drop(tni_draft *d);
bool tni_step_gemm_broadcast_set(tni_draft *d);
bool tni_step_reduction_old(tni_draft *d);
bool tni_step_pad_mode_old(tni_draft *d);
bool tni_step_resize_mode_old(tni_draft *d);
bool tni_step_softmax_last_axis(tni_draft *d);
bool tni_step_softmax_as_matrix(tni_draft *d);
bool tni_step_broadcast_drop(tni_draft *d);
bool tni_step_broadcast_set(tni_draft *d);
bool tni_step_same_shapes(tni_draft *d);
bool tni_step_slope_per_channel(tni_draft *d);
bool tni_step_group_norm_per_channel(tni_draft *d);
bool tni_step_group_norm_per_group(tni_draft *d);

#endif // TENON_GRAPH_DRAFT_H
