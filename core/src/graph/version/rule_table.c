// SPDX-License-Identifier: Apache-2.0
// The steps between op versions that are more than a new number, sorted by op and version. What is
// not here only widens types, adds an attribute whose default is the old behaviour, or takes one
// away that said nothing; step.c sees to that from the schemas. "up" leads to the named version,
// "down" away from it; null: the step cannot be made.
#include "graph/version/draft.h"

#include <string.h>

#define BROADCASTS tni_step_broadcast_drop, tni_step_broadcast_set
#define REDUCES tni_step_axes_to_input, tni_step_reduce_to_attr
#define SOFTMAX tni_step_softmax_last_axis, tni_step_softmax_as_matrix
#define VARIADIC tni_step_as_it_is, tni_step_same_shapes

static const tni_step_rule rules[] = {
    {"Add", 7, BROADCASTS},
    {"And", 7, BROADCASTS},
    {"BatchNormalization", 7, tni_step_test_mode_drop, tni_step_test_mode_set},
    {"BatchNormalization", 14, tni_step_first_output, tni_step_first_output},
    {"Cast", 6, tni_step_cast_to_number, tni_step_cast_to_name},
    {"Clip", 11, tni_step_clip_to_inputs, tni_step_clip_to_attrs},
    {"Concat", 4, tni_step_concat_axis, tni_step_as_it_is},
    {"DFT", 20, tni_step_dft_to_input, tni_step_dft_to_attr},
    {"DequantizeLinear", 13, tni_step_as_it_is, tni_step_scale_without_axis},
    {"Div", 7, BROADCASTS},
    {"Dropout", 7, tni_step_test_mode_drop, tni_step_test_mode_set},
    {"Dropout", 12, tni_step_dropout_to_inputs, tni_step_dropout_to_attrs},
    {"Equal", 7, BROADCASTS},
    {"Gemm", 7, tni_step_gemm_broadcast_drop, tni_step_gemm_broadcast_set},
    {"GlobalLpPool", 2, tni_step_power_to_int, tni_step_power_to_float},
    {"Greater", 7, BROADCASTS},
    {"GridSample", 20, tni_step_grid_modes_new, tni_step_grid_modes_old},
    {"GroupNormalization", 21, tni_step_group_norm_per_channel, tni_step_group_norm_per_group},
    {"Hardmax", 13, SOFTMAX},
    {"Less", 7, BROADCASTS},
    {"LogSoftmax", 13, SOFTMAX},
    {"LpPool", 2, tni_step_power_to_int, tni_step_power_to_float},
    {"Max", 8, VARIADIC},
    {"Mean", 8, VARIADIC},
    {"Min", 8, VARIADIC},
    {"Mul", 7, BROADCASTS},
    {"Or", 7, BROADCASTS},
    {"PRelu", 7, tni_step_slope_per_channel, NULL},
    {"Pad", 2, tni_step_paddings_to_pads, tni_step_pads_to_paddings},
    {"Pad", 11, tni_step_pad_to_inputs, tni_step_pad_to_attrs},
    {"Pad", 18, tni_step_as_it_is, tni_step_pad_without_axes},
    {"Pad", 19, tni_step_as_it_is, tni_step_pad_mode_old},
    {"Pow", 7, BROADCASTS},
    {"QuantizeLinear", 13, tni_step_as_it_is, tni_step_scale_without_axis},
    {"ReduceL1", 18, REDUCES},
    {"ReduceL2", 18, REDUCES},
    {"ReduceLogSum", 18, REDUCES},
    {"ReduceLogSumExp", 18, REDUCES},
    {"ReduceMax", 18, REDUCES},
    {"ReduceMean", 18, REDUCES},
    {"ReduceMin", 18, REDUCES},
    {"ReduceProd", 18, REDUCES},
    {"ReduceSum", 13, REDUCES},
    {"ReduceSumSquare", 18, REDUCES},
    {"Reshape", 5, tni_step_reshape_to_input, tni_step_reshape_to_attr},
    {"Resize", 11, tni_step_resize_modes, tni_step_resize_plain},
    {"Resize", 13, tni_step_resize_optional, tni_step_resize_required},
    {"Resize", 19, tni_step_as_it_is, tni_step_resize_mode_old},
    {"RoiAlign", 16, tni_step_roi_half_pixel, tni_step_roi_plain},
    {"Scan", 9, NULL, NULL},
    {"Scatter", 11, tni_step_scatter_to_elements, NULL},
    {"ScatterElements", 18, tni_step_as_it_is, tni_step_reduction_old},
    {"ScatterND", 18, tni_step_as_it_is, tni_step_reduction_old},
    {"Slice", 10, tni_step_slice_to_inputs, tni_step_slice_to_attrs},
    {"Softmax", 13, SOFTMAX},
    {"Split", 13, tni_step_split_to_input, tni_step_split_to_attr},
    {"Split", 18, tni_step_split_counts, tni_step_split_uncounts},
    {"Squeeze", 13, tni_step_axes_to_input, tni_step_axes_to_attr},
    {"Sub", 7, BROADCASTS},
    {"Sum", 8, VARIADIC},
    {"Tile", 6, tni_step_tile_to_repeats, NULL},
    {"TopK", 10, tni_step_top_k_to_input, tni_step_top_k_to_attr},
    {"Unsqueeze", 13, tni_step_axes_to_input, tni_step_axes_to_attr},
    {"Upsample", 7, tni_step_upsample_scales, NULL},
    {"Upsample", 9, tni_step_upsample_to_input, tni_step_upsample_to_attr},
    {"Upsample", 10, tni_step_upsample_to_resize, NULL},
    {"Xor", 7, BROADCASTS},
};

const tni_step_rule *tni_step_rule_find(const char *op_type, uint32_t boundary) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].boundary == boundary && strcmp(rules[i].op_type, op_type) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}
