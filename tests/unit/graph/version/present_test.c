// SPDX-License-Identifier: Apache-2.0
// One node a case: what a device that knows one range of versions of its op is shown. Nodes are
// written as "Op-version(inputs){attributes}", constants by their elements.
#include "graph/shape/shape.h"
#include "graph/version/present.h"
#include "unit/graph/model_fixture.h"

#include "graph/elements.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*build)(onnx_builder *b); // the node, and what it reads beside x
    uint32_t opset;
    uint32_t limit; // expected
    tn_op_record known;
    const char *expected;
} version_case;

static void append(char *text, const char *format, ...) TNI_PRINTF(2, 3);
static void append(char *text, const char *format, ...) {
    va_list args;
    const size_t used = strlen(text);
    va_start(args, format);
    (void)vsnprintf(text + used, 1024 - used, format, args);
    va_end(args);
}

static void describe_value(model_fixture *f, uint32_t value, char *text) {
    if (value == TN_NONE) {
        append(text, "_");
        return;
    }
    const tni_value *record = &f->model->values[value];
    if (record->constant == TN_NONE) {
        append(text, "%s", record->name.size_bytes > 0 ? record->name.data : "?");
        return;
    }
    const tni_constant *constant = &f->model->constants[record->constant];
    append(text, constant->rank == 0 ? "" : "[");
    for (uint32_t i = 0; i < constant->element_count; i++) {
        double number = 0.0;
        int64_t whole[64];
        uint32_t count = 0;
        if (constant->dtype == TN_DTYPE_INT64) {
            must(f, tni_constant_ints(f->model, record->constant, whole, 64, &count, &f->error));
            number = (double)whole[i];
        } else {
            must(f, tni_elements_read(f->model, record->constant, i, 1, &number, &f->error));
        }
        append(text, i == 0 ? "%g" : " %g", number);
    }
    append(text, constant->rank == 0 ? "" : "]");
}

static void describe_attr(const tni_attr *attr, char *text) {
    append(text, "%.*s=", TNI_TEXT(attr->name));
    for (uint32_t i = 0; i < attr->count; i++) {
        append(text, i == 0 ? "" : " ");
        if (attr->ints != NULL) {
            append(text, "%lld", (long long)attr->ints[i]);
        } else if (attr->floats != NULL) {
            append(text, "%g", (double)attr->floats[i]);
        } else {
            append(text, "%.*s", TNI_TEXT(attr->texts[i]));
        }
    }
}

static void describe_node(model_fixture *f, const tni_presentation *p, uint32_t id, char *text) {
    const tni_node *node = &f->model->nodes[id];
    if (p->forms[id].graph != TN_NONE) {
        const tni_graph *graph = &f->model->graphs[p->forms[id].graph];
        for (uint32_t i = 0; i < graph->node_count; i++) {
            describe_node(f, p, graph->nodes[i], text);
        }
        return;
    }
    append(text, text[0] == '\0' ? "" : " ");
    append(text, "%.*s-%u(", TNI_TEXT(node->op_type), p->forms[id].since_version);
    for (uint32_t i = 0; i < node->input_count; i++) {
        append(text, i == 0 ? "" : ",");
        describe_value(f, node->inputs[i], text);
    }
    append(text, ")");
    for (uint32_t i = 0; i < node->attr_count; i++) {
        append(text, i == 0 ? "{" : ",");
        describe_attr(&node->attrs[i], text);
    }
    append(text, node->attr_count > 0 ? "}" : "");
}

static const int64_t cube[3] = {2, 3, 4};
static const int64_t image[4] = {1, 2, 4, 4};

static void plain(onnx_builder *b, const char *op_type) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, op_type, "x", "y");
}

static void build_relu(onnx_builder *b) {
    plain(b, "Relu");
}

static void build_reshape(onnx_builder *b) {
    onnx_initializer_ints(b, "shape", 2, (const int64_t[]){6, 4});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Reshape", "x,shape", "y");
}

static void build_unsqueeze_input(onnx_builder *b) {
    onnx_initializer_ints(b, "axes", 2, (const int64_t[]){0, -1});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Unsqueeze", "x,axes", "y");
}

static void build_unsqueeze_attr(onnx_builder *b) {
    plain(b, "Unsqueeze");
    onnx_attr_ints(b, "axes", 2, (const int64_t[]){0, 2});
}

static void build_reduce_attr(onnx_builder *b) {
    plain(b, "ReduceMean");
    onnx_attr_ints(b, "axes", 1, (const int64_t[]){1});
}

static void build_reduce_noop(onnx_builder *b) {
    plain(b, "ReduceMean");
    onnx_attr_int(b, "noop_with_empty_axes", 1);
}

static void build_clip_attr(onnx_builder *b) {
    plain(b, "Clip");
    onnx_attr_float(b, "min", 0.0f);
    onnx_attr_float(b, "max", 6.0f);
}

static void build_clip_input(onnx_builder *b) {
    const float high = 6.0f;
    onnx_initializer(b, "high", TN_DTYPE_FLOAT, 0, NULL, &high, sizeof high);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Clip", "x,,high", "y");
}

static void build_softmax(onnx_builder *b) {
    plain(b, "Softmax");
}

static void build_softmax_one(onnx_builder *b) {
    plain(b, "Softmax");
    onnx_attr_int(b, "axis", 1);
}

static void build_softmax_last(onnx_builder *b) {
    plain(b, "Softmax");
    onnx_attr_int(b, "axis", 2);
}

static void build_add_axis(onnx_builder *b) {
    onnx_initializer_floats(b, "bias", 1, (const int64_t[]){3}, 8);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Add", "x,bias", "y");
    onnx_attr_int(b, "broadcast", 1);
    onnx_attr_int(b, "axis", 1);
}

static void build_add_axis_computed(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 1, (const int64_t[]){3});
    onnx_node(b, "Add", "x,bias", "y");
    onnx_attr_int(b, "broadcast", 1);
    onnx_attr_int(b, "axis", 1);
}

static void build_add_part(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_node(b, "Add", "x,bias", "y");
}

static void build_add_both_ways(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_input(b, "bias", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Add", "x,bias", "y");
}

static void build_batch_norm(onnx_builder *b) {
    static const int64_t channels[1] = {2};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer_floats(b, "s", 1, channels, 9);
    onnx_node(b, "BatchNormalization", "x,s,s,s,s", "y");
}

static void build_batch_norm_old(onnx_builder *b) {
    build_batch_norm(b);
    onnx_attr_int(b, "is_test", 1);
    onnx_attr_ints(b, "consumed_inputs", 2, (const int64_t[]){0, 1});
}

static void build_batch_norm_spatial(onnx_builder *b) {
    build_batch_norm(b);
    onnx_attr_int(b, "spatial", 0);
}

static void build_upsample(onnx_builder *b) {
    const float scales[4] = {1.0f, 1.0f, 2.0f, 2.0f};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer(b, "scales", TN_DTYPE_FLOAT, 1, (const int64_t[]){4}, scales, sizeof scales);
    onnx_node(b, "Upsample", "x,scales", "y");
}

static void build_resize_old(onnx_builder *b) {
    const float scales[4] = {1.0f, 1.0f, 2.0f, 2.0f};
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer(b, "scales", TN_DTYPE_FLOAT, 1, (const int64_t[]){4}, scales, sizeof scales);
    onnx_node(b, "Resize", "x,scales", "y");
    onnx_attr_text(b, "mode", "linear");
}

static void build_slice_attr(onnx_builder *b) {
    plain(b, "Slice");
    onnx_attr_ints(b, "axes", 1, (const int64_t[]){1});
    onnx_attr_ints(b, "starts", 1, (const int64_t[]){1});
    onnx_attr_ints(b, "ends", 1, (const int64_t[]){3});
}

static void build_slice_input(onnx_builder *b, int64_t step) {
    onnx_initializer_ints(b, "one", 1, (const int64_t[]){1});
    onnx_initializer_ints(b, "three", 1, (const int64_t[]){3});
    onnx_initializer_ints(b, "step", 1, &step);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Slice", "x,one,three,one,step", "y");
}

static void build_slice_ones(onnx_builder *b) {
    build_slice_input(b, 1);
}

static void build_slice_steps(onnx_builder *b) {
    build_slice_input(b, 2);
}

static void build_pad_attr(onnx_builder *b) {
    plain(b, "Pad");
    onnx_attr_ints(b, "pads", 6, (const int64_t[]){0, 0, 1, 0, 0, 2});
    onnx_attr_float(b, "value", 0.5f);
}

static void build_pad_axes(onnx_builder *b) {
    onnx_initializer_ints(b, "pads", 2, (const int64_t[]){1, 2});
    onnx_initializer_ints(b, "axes", 1, (const int64_t[]){-1});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Pad", "x,pads,,axes", "y");
}

static void build_top_k(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "TopK", "x", "y,i");
    onnx_attr_int(b, "k", 2);
}

static void build_split_attr(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 2);
    onnx_attr_ints(b, "split", 2, (const int64_t[]){1, 3});
}

static void build_split_equal(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 2);
}

static void build_split_uneven(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Split", "x", "y,z");
    onnx_attr_int(b, "axis", 1);
    onnx_attr_int(b, "num_outputs", 2);
}

static void build_dropout(onnx_builder *b) {
    plain(b, "Dropout");
    onnx_attr_float(b, "ratio", 0.25f);
}

static void build_cast_name(onnx_builder *b) {
    plain(b, "Cast");
    onnx_attr_text(b, "to", "DOUBLE");
}

static void build_cast_number(onnx_builder *b) {
    plain(b, "Cast");
    onnx_attr_int(b, "to", TN_DTYPE_INT64);
}

static void build_concat(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Concat", "x,x", "y");
    onnx_attr_int(b, "axis", -1);
}

static void build_quantize(onnx_builder *b) {
    const float scale = 0.5f;
    onnx_initializer(b, "scale", TN_DTYPE_FLOAT, 0, NULL, &scale, sizeof scale);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "QuantizeLinear", "x,scale", "y");
    onnx_attr_int(b, "axis", 0);
}

static void build_grid_sample(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_input(b, "g", TN_DTYPE_FLOAT, 4, (const int64_t[]){1, 4, 4, 2});
    onnx_node(b, "GridSample", "x,g", "y");
}

static void build_slope(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer_floats(b, "slope", 1, (const int64_t[]){2}, 8);
    onnx_node(b, "PRelu", "x,slope", "y");
}

static void build_upsample_first(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_node(b, "Upsample", "x", "y");
    onnx_attr_float(b, "height_scale", 2.0f);
    onnx_attr_float(b, "width_scale", 3.0f);
}

static void build_pad_first(onnx_builder *b) {
    plain(b, "Pad");
    onnx_attr_ints(b, "paddings", 6, (const int64_t[]){0, 0, 1, 0, 0, 2});
}

static void build_concat_first(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Concat", "x,x", "y");
}

static void build_tile_first(onnx_builder *b) {
    const float two = 2.0f;
    const float one = 1.0f;
    onnx_initializer(b, "tiles", TN_DTYPE_FLOAT, 0, NULL, &two, sizeof two);
    onnx_initializer(b, "axis", TN_DTYPE_FLOAT, 0, NULL, &one, sizeof one);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_node(b, "Tile", "x,tiles,axis", "y");
}

static void build_dropout_training(onnx_builder *b) {
    plain(b, "Dropout");
}

static void build_dropout_test(onnx_builder *b) {
    plain(b, "Dropout");
    onnx_attr_int(b, "is_test", 1);
}

static void build_lp_pool(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_node(b, "GlobalLpPool", "x", "y");
    onnx_attr_float(b, "p", 3.0f);
}

static void build_scatter(onnx_builder *b) {
    onnx_initializer_ints(b, "i", 1, (const int64_t[]){0});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_input(b, "u", TN_DTYPE_FLOAT, 1, (const int64_t[]){1});
    onnx_node(b, "Scatter", "x,i,u", "y");
}

static void build_upsample_gone(onnx_builder *b) {
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

static void build_group_norm(onnx_builder *b) {
    group_norm(b, 4, 2, 2);
}

static void build_group_norm_single(onnx_builder *b) {
    group_norm(b, 4, 4, 4);
}

static void build_roi_align(onnx_builder *b) {
    onnx_initializer_ints(b, "i", 1, (const int64_t[]){0});
    onnx_input(b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_input(b, "r", TN_DTYPE_FLOAT, 2, (const int64_t[]){1, 4});
    onnx_node(b, "RoiAlign", "x,r,i", "y");
}

static void build_sum_broadcast(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, cube);
    onnx_input(b, "z", TN_DTYPE_FLOAT, 1, (const int64_t[]){4});
    onnx_node(b, "Sum", "x,z", "y");
}

static void build_selu_first(onnx_builder *b) {
    plain(b, "Selu");
}

static const version_case cases[] = {
    {"two scales", build_upsample_first, 1, 0, {"", "Upsample", 9, 9}, "Upsample-9(x,[1 1 2 3])"},
    {"paddings", build_pad_first, 1, 0, {"", "Pad", 2, 2}, "Pad-2(x){pads=0 0 1 0 0 2}"},
    {"an axis by default",
     build_concat_first,
     1,
     0,
     {"", "Concat", 13, 4},
     "Concat-13(x,x){axis=1}"},
    {"one axis to repeat", build_tile_first, 1, 0, {"", "Tile", 13, 6}, "Tile-13(x,[1 2 1])"},
    {"dropout in training", build_dropout_training, 6, 7, {"", "Dropout", 13, 7}, "Dropout-6(x)"},
    {"dropout in inference", build_dropout_test, 6, 0, {"", "Dropout", 13, 7}, "Dropout-13(x)"},
    {"a power by number",
     build_lp_pool,
     1,
     0,
     {"", "GlobalLpPool", 2, 2},
     "GlobalLpPool-2(x){p=3}"},
    {"scatter by its new name",
     build_scatter,
     10,
     0,
     {"", "ScatterElements", 18, 16},
     "ScatterElements-18(x,[0],u)"},
    {"a gone op where its successor is unknown",
     build_upsample_gone,
     13,
     0,
     {"", "Upsample", 9, 7},
     "Upsample-9(x,[1 -1 -0.875 -0.75])"},
    {"a scale a group for a device that wants one a channel",
     build_group_norm,
     18,
     0,
     {"", "GroupNormalization", 21, 21},
     "Reshape-21(s,[2 1]) Expand-13(?,[2 2]) Reshape-21(?,[4]) Reshape-21(b,[2 1]) "
     "Expand-13(?,[2 2]) Reshape-21(?,[4]) GroupNormalization-21(x,?,?){num_groups=2}"},
    {"a scale a group for a device that knows it",
     build_group_norm,
     18,
     0,
     {"", "GroupNormalization", 21, 18},
     "GroupNormalization-18(x,s,b){num_groups=2}"},
    {"a scale a channel that is a group",
     build_group_norm_single,
     18,
     0,
     {"", "GroupNormalization", 21, 21},
     "GroupNormalization-21(x,s,b){num_groups=4}"},
    {"regions without a shift",
     build_roi_align,
     10,
     0,
     {"", "RoiAlign", 16, 16},
     "RoiAlign-16(x,r,[0]){coordinate_transformation_mode=output_half_pixel}"},
    {"operands that broadcast", build_sum_broadcast, 8, 6, {"", "Sum", 6, 1}, "Sum-8(x,z)"},
    {"a default that changed",
     build_selu_first,
     1,
     0,
     {"", "Selu", 6, 6},
     "Selu-6(x){alpha=1.6732,gamma=1.0507}"},

    {"only a number, up", build_relu, 6, 0, {"", "Relu", 14, 13}, "Relu-14(x)"},
    {"only a number, down", build_relu, 14, 0, {"", "Relu", 13, 6}, "Relu-13(x)"},
    {"not past what it knows", build_reshape, 13, 0, {"", "Reshape", 5, 5}, "Reshape-5(x,[6 4])"},
    {"a newer form than all", build_reshape, 13, 0, {"", "Reshape", 99, 5}, "Reshape-25(x,[6 4])"},
    {"the op is not listed", build_relu, 13, 0, {"", "Elu", 6, 6}, "Relu-13(x)"},
    {"all too new", build_relu, 13, 99, {"", "Relu", 99, 99}, "Relu-14(x)"},
    {"reshape to attribute",
     build_reshape,
     13,
     0,
     {"", "Reshape", 1, 1},
     "Reshape-1(x){shape=6 4}"},
    {"axes to attribute, from the front",
     build_unsqueeze_input,
     13,
     0,
     {"", "Unsqueeze", 1, 1},
     "Unsqueeze-1(x){axes=0 4}"},
    {"axes to attribute",
     build_unsqueeze_input,
     13,
     0,
     {"", "Unsqueeze", 11, 11},
     "Unsqueeze-11(x){axes=0 -1}"},
    {"axes to operand",
     build_unsqueeze_attr,
     9,
     0,
     {"", "Unsqueeze", 13, 13},
     "Unsqueeze-13(x,[0 2])"},
    {"reduced axes to operand",
     build_reduce_attr,
     13,
     0,
     {"", "ReduceMean", 18, 18},
     "ReduceMean-18(x,[1])"},
    {"nothing to reduce",
     build_reduce_noop,
     18,
     13,
     {"", "ReduceMean", 13, 1},
     "ReduceMean-18(x){noop_with_empty_axes=1}"},
    {"bounds to operands", build_clip_attr, 6, 0, {"", "Clip", 13, 12}, "Clip-13(x,0,6)"},
    {"bounds to attributes", build_clip_input, 13, 0, {"", "Clip", 6, 6}, "Clip-6(x){max=6}"},
    {"softmax of the last axis",
     build_softmax_last,
     11,
     0,
     {"", "Softmax", 13, 13},
     "Softmax-13(x){axis=-1}"},
    {"softmax of all from axis 1",
     build_softmax,
     11,
     0,
     {"", "Softmax", 13, 13},
     "Flatten-13(x){axis=1} Softmax-13(?){axis=-1} Shape-13(x) Reshape-13(?,?)"},
    {"softmax keeps its form where it can",
     build_softmax,
     11,
     0,
     {"", "Softmax", 13, 1},
     "Softmax-11(x)"},
    {"softmax of one axis",
     build_softmax_one,
     13,
     0,
     {"", "Softmax", 11, 1},
     "Transpose-1(x){perm=0 2 1} Softmax-11(?){axis=2} Transpose-1(?){perm=0 2 1}"},
    {"softmax of the last axis by default",
     build_softmax,
     13,
     0,
     {"", "Softmax", 11, 1},
     "Softmax-11(x){axis=2}"},
    {"a bias along an axis", build_add_axis, 6, 0, {"", "Add", 14, 7}, "Add-14(x,[0 0.125 0.25])"},
    {"a computed bias along an axis",
     build_add_axis_computed,
     6,
     0,
     {"", "Add", 14, 7},
     "Unsqueeze-1(bias){axes=1} Add-14(x,?)"},
    {"trailing dimensions", build_add_part, 7, 0, {"", "Add", 6, 1}, "Add-6(x,bias){broadcast=1}"},
    {"a larger second operand", build_add_both_ways, 7, 6, {"", "Add", 6, 1}, "Add-7(x,bias)"},
    {"inference by name",
     build_batch_norm_old,
     1,
     0,
     {"", "BatchNormalization", 15, 15},
     "BatchNormalization-15(x,[0.125 0.25],[0.125 0.25],[0.125 0.25],[0.125 0.25])"},
    {"training",
     build_batch_norm,
     6,
     15,
     {"", "BatchNormalization", 15, 15},
     "BatchNormalization-6(x,[0.125 0.25],[0.125 0.25],[0.125 0.25],[0.125 0.25])"},
    {"an attribute that says something",
     build_batch_norm_spatial,
     7,
     9,
     {"", "BatchNormalization", 15, 9},
     "BatchNormalization-7(x,[0.125 0.25],[0.125 0.25],[0.125 0.25],[0.125 0.25]){spatial=0}"},
    {"another name", build_upsample, 9, 0, {"", "Resize", 10, 10}, "Resize-10(x,[1 1 2 2])"},
    {"another name, and on",
     build_upsample,
     9,
     0,
     {"", "Resize", 19, 13},
     "Resize-19(x,[],[1 1 2 2])"
     "{nearest_mode=floor,coordinate_transformation_mode=asymmetric}"},
    {"scales to attribute",
     build_upsample,
     9,
     0,
     {"", "Upsample", 7, 7},
     "Upsample-7(x){scales=1 1 2 2}"},
    {"how coordinates map",
     build_resize_old,
     10,
     0,
     {"", "Resize", 11, 11},
     "Resize-11(x,[],[1 1 2 2]){mode=linear,coordinate_transformation_mode=asymmetric}"},
    {"slice to operands", build_slice_attr, 9, 0, {"", "Slice", 13, 10}, "Slice-13(x,[1],[3],[1])"},
    {"slice to attributes",
     build_slice_ones,
     10,
     0,
     {"", "Slice", 1, 1},
     "Slice-1(x){starts=1,ends=3,axes=1}"},
    {"slice with steps",
     build_slice_steps,
     10,
     1,
     {"", "Slice", 1, 1},
     "Slice-10(x,[1],[3],[1],[2])"},
    {"pads to operand", build_pad_attr, 2, 0, {"", "Pad", 13, 11}, "Pad-13(x,[0 0 1 0 0 2],0.5)"},
    {"pads of all axes", build_pad_axes, 18, 0, {"", "Pad", 13, 11}, "Pad-13(x,[0 0 1 0 0 2])"},
    {"k to operand", build_top_k, 1, 0, {"", "TopK", 11, 10}, "TopK-11(x,[2])"},
    {"sizes to operand",
     build_split_attr,
     11,
     0,
     {"", "Split", 13, 13},
     "Split-13(x,[1 3]){axis=2}"},
    {"equal parts",
     build_split_equal,
     11,
     0,
     {"", "Split", 18, 18},
     "Split-18(x){axis=2,num_outputs=2}"},
    {"uneven parts",
     build_split_uneven,
     18,
     0,
     {"", "Split", 11, 2},
     "Split-11(x){axis=1,split=2 1}"},
    {"ratio to operand", build_dropout, 10, 0, {"", "Dropout", 13, 12}, "Dropout-13(x,0.25)"},
    {"type by name", build_cast_number, 13, 0, {"", "Cast", 1, 1}, "Cast-1(x){to=INT64}"},
    {"type by number", build_cast_name, 1, 0, {"", "Cast", 13, 13}, "Cast-13(x){to=11}"},
    {"axis from the front", build_concat, 11, 0, {"", "Concat", 4, 4}, "Concat-4(x,x){axis=2}"},
    {"one scale",
     build_quantize,
     13,
     0,
     {"", "QuantizeLinear", 10, 10},
     "QuantizeLinear-10(x,0.5)"},
    {"modes by other names",
     build_grid_sample,
     16,
     0,
     {"", "GridSample", 22, 20},
     "GridSample-22(x,g){mode=linear}"},
    {"a slope per channel", build_slope, 6, 0, {"", "PRelu", 16, 9}, "PRelu-16(x,[0 0.125])"},
};

static void presentation_init__case(void **state) {
    model_fixture *f = *state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const version_case *c = &cases[i];
        const tn_op_list ops = {
            .ops = &c->known, .op_count = 1, .op_stride_bytes = sizeof c->known};
        tni_presentation shown;
        bool changed = false;
        char text[1024] = "";
        onnx_begin(&f->b, c->opset);
        c->build(&f->b);
        onnx_output_untyped(&f->b, "y");
        import_built(f);
        must(f, tni_shapes_infer(f->model, &f->error));
        const uint32_t id = f->model->graphs[0].nodes[0];
        must(f, tni_presentation_init(f->model, &ops, &shown, &changed, &f->error));
        describe_node(f, &shown, id, text);
        if (strcmp(text, c->expected) != 0 || shown.forms[id].limit != c->limit) {
            print_message("%s:\n  %s, limit %u\n  expected %s, limit %u\n", c->name, text,
                          shown.forms[id].limit, c->expected, c->limit);
        }
        wrong += strcmp(text, c->expected) != 0 || shown.forms[id].limit != c->limit;
        // What is shown can be seen as a whole, and the model is still in order.
        must(f, tni_shapes_infer(f->model, &f->error));
        must(f, tni_model_validate(f->model, &f->error));
        tni_view *view = NULL;
        const tni_view_spec spec = {.forms = shown.forms};
        must(f, tni_view_build(&f->allocator.alloc, f->model, &spec, &view, &f->error));
        tni_view_destroy(view);
        tni_presentation_deinit(&shown);
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
    assert_int_equal(wrong, 0);
}

// Whichever allocation fails, the model stays in order and can be presented afterwards.
static void presentation_init__survives_failing_allocations(void **state) {
    model_fixture *f = *state;
    static const tn_op_record known = {"", "Softmax", 13, 13};
    static const tn_op_list ops = {.ops = &known, .op_count = 1, .op_stride_bytes = sizeof known};
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    uint64_t failing = 0;
    for (; status != TN_OK && failing < 1000; failing++) {
        tni_presentation shown;
        bool changed = false;
        char text[1024] = "";
        onnx_begin(&f->b, 11);
        build_softmax(&f->b);
        onnx_output_untyped(&f->b, "y");
        import_built(f);
        must(f, tni_shapes_infer(f->model, &f->error));
        test_alloc_reset(&f->allocator, TEST_ALLOC_FAIL_ONE, failing);
        status = tni_presentation_init(f->model, &ops, &shown, &changed, &f->error);
        test_alloc_reset(&f->allocator, TEST_ALLOC_NORMAL, 0);
        assert_true(status == TN_OK || status == TN_ERROR_OUT_OF_MEMORY);
        tni_presentation_deinit(&shown);
        must(f, tni_model_validate(f->model, &f->error));
        must(f, tni_presentation_init(f->model, &ops, &shown, &changed, &f->error));
        describe_node(f, &shown, f->model->graphs[0].nodes[0], text);
        assert_string_equal(text, "Flatten-13(x){axis=1} Softmax-13(?){axis=-1} Shape-13(x) "
                                  "Reshape-13(?,?)");
        tni_presentation_deinit(&shown);
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
    assert_int_equal(status, TN_OK);
    assert_true(failing > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(presentation_init__case),
        MODEL_CASE(presentation_init__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("graph_present", tests, NULL, NULL);
}
