// SPDX-License-Identifier: Apache-2.0
// The models of present_cases_table.c: each adds one node that makes y, and what it reads: x, and
// constants.
#ifndef TENON_TESTS_PRESENT_MODELS_H
#define TENON_TESTS_PRESENT_MODELS_H

#include "support/onnx_builder.h"

void model_add_axis(onnx_builder *b);
void model_add_axis_computed(onnx_builder *b);
void model_add_both_ways(onnx_builder *b);
void model_add_part(onnx_builder *b);
void model_batch_norm(onnx_builder *b);
void model_batch_norm_old(onnx_builder *b);
void model_batch_norm_spatial(onnx_builder *b);
void model_cast_name(onnx_builder *b);
void model_cast_number(onnx_builder *b);
void model_clip_attr(onnx_builder *b);
void model_clip_input(onnx_builder *b);
void model_concat(onnx_builder *b);
void model_concat_first(onnx_builder *b);
void model_dropout(onnx_builder *b);
void model_dropout_test(onnx_builder *b);
void model_dropout_training(onnx_builder *b);
void model_grid_sample(onnx_builder *b);
void model_group_norm(onnx_builder *b);
void model_group_norm_single(onnx_builder *b);
void model_lp_pool(onnx_builder *b);
void model_pad_attr(onnx_builder *b);
void model_pad_axes(onnx_builder *b);
void model_pad_first(onnx_builder *b);
void model_quantize(onnx_builder *b);
void model_reduce_attr(onnx_builder *b);
void model_reduce_noop(onnx_builder *b);
void model_relu(onnx_builder *b);
void model_reshape(onnx_builder *b);
void model_resize_old(onnx_builder *b);
void model_roi_align(onnx_builder *b);
void model_scatter(onnx_builder *b);
void model_selu_first(onnx_builder *b);
void model_slice_attr(onnx_builder *b);
void model_slice_ones(onnx_builder *b);
void model_slice_steps(onnx_builder *b);
void model_slope(onnx_builder *b);
void model_softmax(onnx_builder *b);
void model_softmax_last(onnx_builder *b);
void model_softmax_one(onnx_builder *b);
void model_split_attr(onnx_builder *b);
void model_split_equal(onnx_builder *b);
void model_split_uneven(onnx_builder *b);
void model_sum_broadcast(onnx_builder *b);
void model_tile_first(onnx_builder *b);
void model_top_k(onnx_builder *b);
void model_unsqueeze_attr(onnx_builder *b);
void model_unsqueeze_input(onnx_builder *b);
void model_upsample(onnx_builder *b);
void model_upsample_first(onnx_builder *b);
void model_upsample_gone(onnx_builder *b);

#endif // TENON_TESTS_PRESENT_MODELS_H
