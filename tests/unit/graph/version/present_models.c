// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "present_models.h"

static const int64_t cube[3] = {2, 3, 4};
static const int64_t image[4] = {1, 2, 4, 4};

static void plain(onnx_builder *b, const char *op_type) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, op_type, "x", "y");
}

void model_relu(onnx_builder *b) {
    plain(b, "Relu");
}

void model_reshape(onnx_builder *b) {
    onnx_initializer_ints(b, "shape", 2, (const int64_t[]){6, 4});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Reshape", "x,shape", "y");
}

void model_unsqueeze_input(onnx_builder *b) {
    onnx_initializer_ints(b, "axes", 2, (const int64_t[]){0, -1});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Unsqueeze", "x,axes", "y");
}

void model_unsqueeze_attr(onnx_builder *b) {
    plain(b, "Unsqueeze");
    onnx_attr_ints(b, "axes", 2, (const int64_t[]){0, 2});
}

void model_reduce_attr(onnx_builder *b) {
    plain(b, "ReduceMean");
    onnx_attr_ints(b, "axes", 1, (const int64_t[]){1});
}

void model_reduce_noop(onnx_builder *b) {
    plain(b, "ReduceMean");
    onnx_attr_int(b, "noop_with_empty_axes", 1);
}

void model_clip_attr(onnx_builder *b) {
    plain(b, "Clip");
    onnx_attr_float(b, "min", 0.0f);
    onnx_attr_float(b, "max", 6.0f);
}

void model_clip_input(onnx_builder *b) {
    const float high = 6.0f;
    onnx_initializer(b, "high", TN_DTYPE_FLOAT, 0, NULL, &high, sizeof high);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Clip", "x,,high", "y");
}

void model_softmax(onnx_builder *b) {
    plain(b, "Softmax");
}

void model_softmax_one(onnx_builder *b) {
    plain(b, "Softmax");
    onnx_attr_int(b, "axis", 1);
}

void model_softmax_last(onnx_builder *b) {
    plain(b, "Softmax");
    onnx_attr_int(b, "axis", 2);
}

void model_add_axis(onnx_builder *b) {
    onnx_initializer_floats(b, "bias", 1, (const int64_t[]){3}, 8);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Add", "x,bias", "y");
    onnx_attr_int(b, "broadcast", 1);
    onnx_attr_int(b, "axis", 1);
}

void model_add_axis_computed(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 1, (const int64_t[]){3});
    onnx_node(b, "Add", "x,bias", "y");
    onnx_attr_int(b, "broadcast", 1);
    onnx_attr_int(b, "axis", 1);
}

void model_add_part(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_node(b, "Add", "x,bias", "y");
}

void model_add_both_ways(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Add", "x,bias", "y");
}

void model_batch_norm(onnx_builder *b) {
    static const int64_t channels[1] = {2};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer_floats(b, "s", 1, channels, 9);
    onnx_node(b, "BatchNormalization", "x,s,s,s,s", "y");
}

void model_batch_norm_old(onnx_builder *b) {
    model_batch_norm(b);
    onnx_attr_int(b, "is_test", 1);
    onnx_attr_ints(b, "consumed_inputs", 2, (const int64_t[]){0, 1});
}

void model_batch_norm_spatial(onnx_builder *b) {
    model_batch_norm(b);
    onnx_attr_int(b, "spatial", 0);
}

void model_upsample(onnx_builder *b) {
    const float scales[4] = {1.0f, 1.0f, 2.0f, 2.0f};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer(b, "scales", TN_DTYPE_FLOAT, 1, (const int64_t[]){4}, scales, sizeof scales);
    onnx_node(b, "Upsample", "x,scales", "y");
}

void model_resize_old(onnx_builder *b) {
    const float scales[4] = {1.0f, 1.0f, 2.0f, 2.0f};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer(b, "scales", TN_DTYPE_FLOAT, 1, (const int64_t[]){4}, scales, sizeof scales);
    onnx_node(b, "Resize", "x,scales", "y");
    onnx_attr_text(b, "mode", "linear");
}

void model_slice_attr(onnx_builder *b) {
    plain(b, "Slice");
    onnx_attr_ints(b, "axes", 1, (const int64_t[]){1});
    onnx_attr_ints(b, "starts", 1, (const int64_t[]){1});
    onnx_attr_ints(b, "ends", 1, (const int64_t[]){3});
}

static void slice_input(onnx_builder *b, int64_t step) {
    onnx_initializer_ints(b, "one", 1, (const int64_t[]){1});
    onnx_initializer_ints(b, "three", 1, (const int64_t[]){3});
    onnx_initializer_ints(b, "step", 1, &step);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Slice", "x,one,three,one,step", "y");
}

void model_slice_ones(onnx_builder *b) {
    slice_input(b, 1);
}

void model_slice_steps(onnx_builder *b) {
    slice_input(b, 2);
}

void model_pad_attr(onnx_builder *b) {
    plain(b, "Pad");
    onnx_attr_ints(b, "pads", 6, (const int64_t[]){0, 0, 1, 0, 0, 2});
    onnx_attr_float(b, "value", 0.5f);
}

void model_pad_axes(onnx_builder *b) {
    onnx_initializer_ints(b, "pads", 2, (const int64_t[]){1, 2});
    onnx_initializer_ints(b, "axes", 1, (const int64_t[]){-1});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Pad", "x,pads,,axes", "y");
}

void model_top_k(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "TopK", "x", "y,i");
    onnx_attr_int(b, "k", 2);
}

void model_split_attr(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 2);
    onnx_attr_ints(b, "split", 2, (const int64_t[]){1, 3});
}

void model_split_equal(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 2);
}

void model_split_uneven(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 1);
    onnx_attr_int(b, "num_outputs", 2);
}

void model_dropout(onnx_builder *b) {
    plain(b, "Dropout");
    onnx_attr_float(b, "ratio", 0.25f);
}

void model_cast_name(onnx_builder *b) {
    plain(b, "Cast");
    onnx_attr_text(b, "to", "DOUBLE");
}

void model_cast_number(onnx_builder *b) {
    plain(b, "Cast");
    onnx_attr_int(b, "to", TN_DTYPE_INT64);
}

void model_concat(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Concat", "x,x", "y");
    onnx_attr_int(b, "axis", -1);
}

void model_quantize(onnx_builder *b) {
    const float scale = 0.5f;
    onnx_initializer(b, "scale", TN_DTYPE_FLOAT, 0, NULL, &scale, sizeof scale);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "QuantizeLinear", "x,scale", "y");
    onnx_attr_int(b, "axis", 0);
}

void model_grid_sample(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_input(b, "g", TN_DTYPE_FLOAT, 4, (const int64_t[]){1, 4, 4, 2});
    onnx_node(b, "GridSample", "x,g", "y");
}

void model_slope(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer_floats(b, "slope", 1, (const int64_t[]){2}, 8);
    onnx_node(b, "PRelu", "x,slope", "y");
}

void model_upsample_first(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_node(b, "Upsample", "x", "y");
    onnx_attr_float(b, "height_scale", 2.0f);
    onnx_attr_float(b, "width_scale", 3.0f);
}

void model_pad_first(onnx_builder *b) {
    plain(b, "Pad");
    onnx_attr_ints(b, "paddings", 6, (const int64_t[]){0, 0, 1, 0, 0, 2});
}

void model_concat_first(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Concat", "x,x", "y");
}

void model_tile_first(onnx_builder *b) {
    const float two = 2.0f;
    const float one = 1.0f;
    onnx_initializer(b, "tiles", TN_DTYPE_FLOAT, 0, NULL, &two, sizeof two);
    onnx_initializer(b, "axis", TN_DTYPE_FLOAT, 0, NULL, &one, sizeof one);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Tile", "x,tiles,axis", "y");
}

void model_dropout_training(onnx_builder *b) {
    plain(b, "Dropout");
}

void model_dropout_test(onnx_builder *b) {
    plain(b, "Dropout");
    onnx_attr_int(b, "is_test", 1);
}

void model_lp_pool(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_node(b, "GlobalLpPool", "x", "y");
    onnx_attr_float(b, "p", 3.0f);
}

void model_scatter(onnx_builder *b) {
    onnx_initializer_ints(b, "i", 1, (const int64_t[]){0});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_input(b, "u", TN_DTYPE_FLOAT, 1, (const int64_t[]){1});
    onnx_node(b, "Scatter", "x,i,u", "y");
}

void model_upsample_gone(onnx_builder *b) {
    onnx_initializer_floats(b, "s", 1, (const int64_t[]){4}, 16);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_node(b, "Upsample", "x,s", "y");
}

static void group_norm(onnx_builder *b, int64_t channels, int64_t scales, int64_t groups) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, (const int64_t[]){1, channels, 2});
    onnx_input(b, "s", TN_DTYPE_FLOAT, 1, &scales);
    onnx_input(b, "b", TN_DTYPE_FLOAT, 1, &scales);
    onnx_node(b, "GroupNormalization", "x,s,b", "y");
    onnx_attr_int(b, "num_groups", groups);
}

void model_group_norm(onnx_builder *b) {
    group_norm(b, 4, 2, 2);
}

void model_group_norm_single(onnx_builder *b) {
    group_norm(b, 4, 4, 4);
}

void model_roi_align(onnx_builder *b) {
    onnx_initializer_ints(b, "i", 1, (const int64_t[]){0});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_input(b, "r", TN_DTYPE_FLOAT, 2, (const int64_t[]){1, 4});
    onnx_node(b, "RoiAlign", "x,r,i", "y");
}

void model_sum_broadcast(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "z", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_node(b, "Sum", "x,z", "y");
}

void model_selu_first(onnx_builder *b) {
    plain(b, "Selu");
}
