// SPDX-License-Identifier: Apache-2.0
// Shape inference: a table of ops with their results, contradictions, symbols, and evaluation with
// actual sizes.
#include "graph/rewrite/rewrite.h"
#include "graph/shape/shape.h"
#include "unit/graph/model_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A shape; -2, -3 are the symbols A, B; UNKNOWN is any other unknown size.
#define UNKNOWN (-9)
#define ABSENT 0xffu
typedef struct {
    uint8_t rank; // ABSENT: no such operand
    int64_t dims[5];
} shape;

typedef struct {
    const char *name; // null ends the list
    uint32_t count;   // 0: a single integer in values[0]; TEXT: the text
    int64_t values[8];
    const char *text;
} attribute;

typedef struct {
    const char *name;
    const char *op;
    uint32_t opset;
    shape inputs[4];   // floats; the first with rank ABSENT ends the list
    attribute ints[4]; // then int64 initializers: count and values
    attribute attrs[4];
    shape expected;     // of output 0
    const char *broken; // expected error id instead
} shape_case;

#define NO_MORE                                                                                    \
    {                                                                                              \
        ABSENT, {                                                                                  \
            0                                                                                      \
        }                                                                                          \
    }

// clang-format off
static const shape_case cases[] = {
    {"relu keeps", "Relu", 17, {{2, {-2, 3}}, NO_MORE}, {{0}}, {{0}}, {2, {-2, 3}}, NULL},
    {"range of no step", "Range", 17, {NO_MORE}, {{"a", 1, {0}, NULL}, {"b", 1, {5}, NULL},
      {"c", 1, {0}, NULL}}, {{0}}, {0}, "shape.step"},
    {"one hot of negative depth", "OneHot", 17, {{1, {2}}, NO_MORE},
     {{"depth", 1, {-3}, NULL}, {"values", 2, {0, 1}, NULL}}, {{0}}, {0}, "shape.depth"},
    {"add broadcasts", "Add", 17, {{3, {2, 1, 4}}, {2, {3, 1}}, NO_MORE}, {{0}}, {{0}},
     {3, {2, 3, 4}}, NULL},
    {"add keeps a shared symbol", "Add", 17, {{2, {-2, 4}}, {2, {-2, 1}}, NO_MORE}, {{0}}, {{0}},
     {2, {-2, 4}}, NULL},
    {"add of two symbols", "Add", 17, {{1, {-2}}, {1, {-3}}, NO_MORE}, {{0}}, {{0}},
     {1, {UNKNOWN}}, NULL},
    {"add refuses", "Add", 17, {{1, {3}}, {1, {4}}, NO_MORE}, {{0}}, {{0}}, {0},
     "shape.broadcast"},
    {"add of old", "Add", 6, {{2, {2, 3}}, {1, {2}}, NO_MORE}, {{0}},
     {{"broadcast", 0, {1}, NULL}, {"axis", 0, {0}, NULL}}, {2, {2, 3}}, NULL},
    {"sum of three", "Sum", 13, {{2, {2, 1}}, {1, {5}}, {2, {1, 1}}, NO_MORE}, {{0}}, {{0}},
     {2, {2, 5}}, NULL},
    {"conv pads", "Conv", 17, {{4, {-2, 3, 8, 9}}, {4, {16, 3, 3, 3}}, NO_MORE}, {{0}},
     {{"pads", 4, {1, 1, 1, 1}, NULL}}, {4, {-2, 16, 8, 9}}, NULL},
    {"conv strides and dilations", "Conv", 17, {{4, {1, 4, 10, 10}}, {4, {6, 2, 3, 3}}, NO_MORE},
     {{0}}, {{"strides", 2, {2, 1}, NULL}, {"dilations", 2, {1, 2}, NULL}, {"group", 0, {2}, NULL}},
     {4, {1, 6, 4, 6}}, NULL},
    {"conv same", "Conv", 17, {{3, {1, 1, 7}}, {3, {1, 1, 3}}, NO_MORE}, {{0}},
     {{"auto_pad", 99, {0}, "SAME_UPPER"}, {"strides", 1, {2}, NULL}}, {3, {1, 1, 4}}, NULL},
    {"conv channels", "Conv", 17, {{4, {1, 4, 8, 8}}, {4, {8, 3, 3, 3}}, NO_MORE}, {{0}}, {{0}},
     {0}, "shape.channels"},
    {"conv rank", "Conv", 17, {{4, {1, 4, 8, 8}}, {3, {8, 4, 3}}, NO_MORE}, {{0}}, {{0}}, {0},
     "shape.rank"},
    {"conv window", "Conv", 17, {{3, {1, 1, 2}}, {3, {1, 1, 3}}, NO_MORE}, {{0}}, {{0}}, {0},
     "shape.window"},
    {"conv stride zero", "Conv", 17, {{3, {1, 1, 8}}, {3, {1, 1, 3}}, NO_MORE}, {{0}},
     {{"strides", 1, {0}, NULL}}, {0}, "shape.attribute"},
    {"conv group zero", "Conv", 17, {{3, {1, 1, 8}}, {3, {1, 1, 3}}, NO_MORE}, {{0}},
     {{"group", 0, {0}, NULL}}, {0}, "shape.attribute"},
    {"conv bias", "Conv", 17, {{3, {1, 1, 8}}, {3, {2, 1, 3}}, {1, {3}}, NO_MORE}, {{0}}, {{0}},
     {0}, "shape.channels"},
    {"conv transpose", "ConvTranspose", 17, {{4, {1, 3, 5, 5}}, {4, {3, 2, 3, 3}}, NO_MORE}, {{0}},
     {{"strides", 2, {2, 2}, NULL}, {"output_padding", 2, {1, 1}, NULL},
      {"pads", 4, {1, 1, 1, 1}, NULL}}, {4, {1, 2, 10, 10}}, NULL},
    {"max pool", "MaxPool", 17, {{4, {1, 3, 7, 7}}, NO_MORE}, {{0}},
     {{"kernel_shape", 2, {2, 2}, NULL}, {"strides", 2, {2, 2}, NULL}}, {4, {1, 3, 3, 3}}, NULL},
    {"max pool ceil", "MaxPool", 17, {{4, {1, 3, 7, 7}}, NO_MORE}, {{0}},
     {{"kernel_shape", 2, {2, 2}, NULL}, {"strides", 2, {2, 2}, NULL}, {"ceil_mode", 0, {1}, NULL}},
     {4, {1, 3, 4, 4}}, NULL},
    {"ceil does not begin in padding", "AveragePool", 19, {{3, {1, 1, 2}}, NO_MORE}, {{0}},
     {{"kernel_shape", 1, {1}, NULL}, {"strides", 1, {2}, NULL}, {"ceil_mode", 0, {1}, NULL},
      {"pads", 2, {0, 1}, NULL}}, {3, {1, 1, 2}}, NULL},
    {"global pool", "GlobalAveragePool", 17, {{4, {-2, 3, -3, 7}}, NO_MORE}, {{0}}, {{0}},
     {4, {-2, 3, 1, 1}}, NULL},
    {"gemm", "Gemm", 17, {{2, {3, -2}}, {2, {5, 3}}, {1, {5}}, NO_MORE}, {{0}},
     {{"transA", 0, {1}, NULL}, {"transB", 0, {1}, NULL}}, {2, {-2, 5}}, NULL},
    {"gemm inner", "Gemm", 17, {{2, {2, 3}}, {2, {4, 5}}, NO_MORE}, {{0}}, {{0}}, {0},
     "shape.inner"},
    {"matmul batches", "MatMul", 17, {{4, {-2, 1, 3, 4}}, {3, {7, 4, 5}}, NO_MORE}, {{0}}, {{0}},
     {4, {-2, 7, 3, 5}}, NULL},
    {"matmul vectors", "MatMul", 17, {{1, {4}}, {1, {4}}, NO_MORE}, {{0}}, {{0}}, {0, {0}}, NULL},
    {"matmul inner", "MatMul", 17, {{2, {2, 3}}, {2, {2, 3}}, NO_MORE}, {{0}}, {{0}}, {0},
     "shape.inner"},
    {"reshape infers", "Reshape", 17, {{3, {2, 3, 4}}, NO_MORE}, {{"", 2, {0, -1}, NULL}}, {{0}},
     {2, {2, 12}}, NULL},
    {"reshape cancels symbols", "Reshape", 17, {{3, {-2, -3, 12}}, NO_MORE},
     {{"", 4, {0, 0, -1, 4}, NULL}}, {{0}}, {4, {-2, -3, 3, 4}}, NULL},
    {"reshape carries a symbol", "Reshape", 17, {{3, {3, -2, 4}}, NO_MORE},
     {{"", 3, {4, 3, -1}, NULL}}, {{0}}, {3, {4, 3, -2}}, NULL},
    {"reshape does not fit", "Reshape", 17, {{2, {2, 3}}, NO_MORE}, {{"", 2, {4, -1}, NULL}},
     {{0}}, {0}, "shape.reshape"},
    {"reshape whole does not fit", "Reshape", 17, {{2, {2, 3}}, NO_MORE}, {{"", 2, {4, 2}, NULL}},
     {{0}}, {0}, "shape.reshape"},
    {"reshape two unknowns", "Reshape", 17, {{2, {2, 3}}, NO_MORE}, {{"", 2, {-1, -1}, NULL}},
     {{0}}, {0}, "shape.reshape"},
    {"flatten", "Flatten", 17, {{4, {-2, 3, 4, 5}}, NO_MORE}, {{0}}, {{0}}, {2, {-2, 60}}, NULL},
    {"transpose", "Transpose", 17, {{3, {-2, 3, 4}}, NO_MORE}, {{0}},
     {{"perm", 3, {2, 0, 1}, NULL}}, {3, {4, -2, 3}}, NULL},
    {"transpose reverses", "Transpose", 17, {{3, {2, 3, 4}}, NO_MORE}, {{0}}, {{0}},
     {3, {4, 3, 2}}, NULL},
    {"transpose twice the same", "Transpose", 17, {{2, {2, 3}}, NO_MORE}, {{0}},
     {{"perm", 2, {0, 0}, NULL}}, {0}, "shape.attribute"},
    {"concat", "Concat", 17, {{2, {2, 3}}, {2, {2, 5}}, NO_MORE}, {{0}}, {{"axis", 0, {-1}, NULL}},
     {2, {2, 8}}, NULL},
    {"concat refuses", "Concat", 17, {{2, {2, 3}}, {2, {4, 5}}, NO_MORE}, {{0}},
     {{"axis", 0, {1}, NULL}}, {0}, "shape.concat"},
    {"concat axis", "Concat", 17, {{2, {2, 3}}, NO_MORE}, {{0}}, {{"axis", 0, {2}, NULL}}, {0},
     "shape.axis"},
    {"split by list", "Split", 17, {{2, {2, 9}}, NO_MORE}, {{"", 1, {9}, NULL}},
     {{"axis", 0, {1}, NULL}}, {2, {2, 9}}, NULL},
    {"split refuses", "Split", 17, {{2, {2, 9}}, NO_MORE}, {{"", 1, {8}, NULL}},
     {{"axis", 0, {1}, NULL}}, {0}, "shape.split"},
    {"slice", "Slice", 17, {{2, {10, 8}}, NO_MORE},
     {{"", 2, {1, -2}, NULL}, {"", 2, {9, -100}, NULL}, {"", 2, {0, 1}, NULL},
      {"", 2, {3, -2}, NULL}}, {{0}}, {2, {3, 4}}, NULL},
    {"slice back from before the start", "Slice", 17, {{2, {10, 0}}, NO_MORE},
     {{"", 2, {-100, -100}, NULL}, {"", 2, {-100, -100}, NULL}, {"", 2, {0, 1}, NULL},
      {"", 2, {-2, -1}, NULL}}, {{0}}, {2, {1, 0}}, NULL},
    {"slice old", "Slice", 9, {{2, {10, -2}}, NO_MORE}, {{0}},
     {{"starts", 1, {2}, NULL}, {"ends", 1, {9223372036854775807}, NULL}}, {2, {8, -2}}, NULL},
    {"gather", "Gather", 17, {{2, {10, 8}}, NO_MORE}, {{"", 3, {0, 1, 2}, NULL}},
     {{"axis", 0, {1}, NULL}}, {2, {10, 3}}, NULL},
    {"unsqueeze", "Unsqueeze", 17, {{2, {-2, 8}}, NO_MORE}, {{"", 2, {0, -1}, NULL}}, {{0}},
     {4, {1, -2, 8, 1}}, NULL},
    {"unsqueeze old", "Unsqueeze", 11, {{1, {8}}, NO_MORE}, {{0}}, {{"axes", 1, {1}, NULL}},
     {2, {8, 1}}, NULL},
    {"squeeze", "Squeeze", 17, {{3, {1, -2, 1}}, NO_MORE}, {{"", 1, {2}, NULL}}, {{0}},
     {2, {1, -2}}, NULL},
    {"squeeze all", "Squeeze", 17, {{3, {1, 5, 1}}, NO_MORE}, {{0}}, {{0}}, {1, {5}}, NULL},
    {"squeeze refuses", "Squeeze", 17, {{1, {2}}, NO_MORE}, {{"", 1, {0}, NULL}}, {{0}}, {0},
     "shape.squeeze"},
    {"expand", "Expand", 17, {{2, {3, 1}}, NO_MORE}, {{"", 3, {2, 1, 6}, NULL}}, {{0}},
     {3, {2, 3, 6}}, NULL},
    {"tile", "Tile", 17, {{2, {-2, 4}}, NO_MORE}, {{"", 2, {1, 3}, NULL}}, {{0}}, {2, {-2, 12}},
     NULL},
    {"pad", "Pad", 17, {{2, {-2, 4}}, NO_MORE}, {{"", 4, {0, 1, 0, 2}, NULL}}, {{0}},
     {2, {-2, 7}}, NULL},
    {"pad below zero", "Pad", 17, {{1, {2}}, NO_MORE}, {{"", 2, {-2, -1}, NULL}}, {{0}}, {0},
     "shape.pad"},
    {"reduce mean", "ReduceMean", 17, {{3, {-2, 3, 4}}, NO_MORE}, {{0}},
     {{"axes", 1, {-1}, NULL}}, {3, {-2, 3, 1}}, NULL},
    {"reduce without keeping", "ReduceSum", 17, {{3, {-2, 3, 4}}, NO_MORE},
     {{"", 2, {1, 2}, NULL}}, {{"keepdims", 0, {0}, NULL}}, {1, {-2}}, NULL},
    {"reduce everything", "ReduceMax", 17, {{2, {3, 4}}, NO_MORE}, {{0}},
     {{"keepdims", 0, {0}, NULL}}, {0, {0}}, NULL},
    {"reduce axis twice", "ReduceSum", 17, {{2, {3, 4}}, NO_MORE}, {{"", 2, {0, -2}, NULL}}, {{0}},
     {0}, "shape.axis"},
    {"arg max", "ArgMax", 17, {{2, {-2, 10}}, NO_MORE}, {{0}},
     {{"axis", 0, {1}, NULL}, {"keepdims", 0, {0}, NULL}}, {1, {-2}}, NULL},
    {"softmax", "Softmax", 17, {{2, {-2, 10}}, NO_MORE}, {{0}}, {{0}}, {2, {-2, 10}}, NULL},
    {"layer norm", "LayerNormalization", 17, {{3, {-2, -3, 8}}, {1, {8}}, NO_MORE}, {{0}}, {{0}},
     {3, {-2, -3, 8}}, NULL},
    {"depth to space", "DepthToSpace", 13, {{4, {1, 8, 2, 3}}, NO_MORE}, {{0}},
     {{"blocksize", 0, {2}, NULL}}, {4, {1, 2, 4, 6}}, NULL},
    {"depth does not divide", "DepthToSpace", 13, {{4, {1, 6, 2, 3}}, NO_MORE}, {{0}},
     {{"blocksize", 0, {2}, NULL}}, {0}, "shape.block"},
    {"top k", "TopK", 17, {{2, {-2, 10}}, NO_MORE}, {{"", 1, {5}, NULL}}, {{0}}, {2, {-2, 5}},
     NULL},
    {"shape", "Shape", 17, {{3, {-2, 3, 4}}, NO_MORE}, {{0}}, {{"start", 0, {1}, NULL}}, {1, {2}},
     NULL},
    {"size", "Size", 17, {{3, {-2, 3, 4}}, NO_MORE}, {{0}}, {{0}}, {0, {0}}, NULL},
    {"constant of shape", "ConstantOfShape", 17, {NO_MORE}, {{"", 2, {4, 5}, NULL}}, {{0}},
     {2, {4, 5}}, NULL},
    {"constant of negative shape", "ConstantOfShape", 17, {NO_MORE}, {{"", 1, {-4}, NULL}}, {{0}},
     {0}, "shape.value"},
    {"resize sizes", "Resize", 17, {{4, {1, 2, 3, 4}}, {1, {0}}, {1, {0}}, NO_MORE},
     {{"", 4, {1, 2, 6, 9}, NULL}}, {{0}}, {4, {1, 2, 6, 9}}, NULL},
    {"resize keeps the ratio", "Resize", 19, {{4, {1, 2, 3, 4}}, {1, {0}}, {1, {0}}, NO_MORE},
     {{"", 2, {6, 9}, NULL}}, {{"axes", 2, {2, 3}, NULL},
      {"keep_aspect_ratio_policy", 99, {0}, "not_larger"}}, {4, {1, 2, 6, 8}}, NULL},
    {"rnn", "RNN", 14, {{3, {7, -2, 4}}, {3, {1, 5, 4}}, {3, {1, 5, 5}}, NO_MORE}, {{0}}, {{0}},
     {4, {7, 1, -2, 5}}, NULL},
    {"lstm both ways, batch first", "LSTM", 14,
     {{3, {-2, 7, 4}}, {3, {2, 20, 4}}, {3, {2, 20, 5}}, NO_MORE}, {{0}},
     {{"direction", 99, {0}, "bidirectional"}, {"layout", 0, {1}, NULL}},
     {4, {-2, 7, 2, 5}}, NULL},
    {"gru of another size", "GRU", 14,
     {{3, {7, 2, 4}}, {3, {1, 15, 4}}, {3, {1, 15, 5}}, NO_MORE}, {{0}},
     {{"hidden_size", 0, {6}, NULL}}, {0}, "shape.hidden"},
    {"einsum", "Einsum", 17, {{3, {-2, 3, 4}}, {3, {-2, 4, 5}}, NO_MORE}, {{0}},
     {{"equation", 99, {0}, "bij,bjk->bik"}}, {3, {-2, 3, 5}}, NULL},
    {"einsum, implicit, with an ellipsis", "Einsum", 17, {{3, {-2, 3, 4}}, {2, {4, 5}}, NO_MORE},
     {{0}}, {{"equation", 99, {0}, "...ij, jk"}}, {3, {-2, 3, 5}}, NULL},
    {"einsum of a diagonal", "Einsum", 17, {{3, {2, 4, 4}}, NO_MORE}, {{0}},
     {{"equation", 99, {0}, "bii->bi"}}, {2, {2, 4}}, NULL},
    {"einsum refuses", "Einsum", 17, {{2, {2, 3}}, {2, {4, 5}}, NO_MORE}, {{0}},
     {{"equation", 99, {0}, "ij,jk->ik"}}, {0}, "shape.einsum"},
    {"attention side by side", "Attention", 23, {{3, {-2, 4, 24}}, {3, {-2, 6, 12}},
     {3, {-2, 6, 20}}, NO_MORE}, {{0}},
     {{"q_num_heads", 0, {4}, NULL}, {"kv_num_heads", 0, {2}, NULL}}, {3, {-2, 4, 40}}, NULL},
    {"roi align", "RoiAlign", 16, {{4, {1, 3, 9, 9}}, {2, {-2, 4}}, {1, {-2}}, NO_MORE}, {{0}},
     {{"output_height", 0, {2}, NULL}, {"output_width", 0, {5}, NULL}}, {4, {-2, 3, 2, 5}}, NULL},
    {"grid sample", "GridSample", 20, {{4, {-2, 3, 9, 9}}, {4, {-2, 4, 5, 2}}, NO_MORE}, {{0}},
     {{0}}, {4, {-2, 3, 4, 5}}, NULL},
    {"affine grid", "AffineGrid", 20, {{3, {2, 2, 3}}, NO_MORE}, {{"", 4, {2, 1, 5, 6}, NULL}},
     {{0}}, {4, {2, 5, 6, 2}}, NULL},
    {"col2im", "Col2Im", 18, {{3, {-2, 10, 5}}, NO_MORE},
     {{"", 2, {5, 5}, NULL}, {"", 2, {1, 5}, NULL}}, {{0}}, {4, {-2, 2, 5, 5}}, NULL},
    {"max unpool", "MaxUnpool", 11, {{4, {1, 1, 2, 2}}, {4, {1, 1, 2, 2}}, NO_MORE}, {{0}},
     {{"kernel_shape", 2, {2, 2}, NULL}, {"strides", 2, {2, 2}, NULL}}, {4, {1, 1, 4, 4}}, NULL},
    {"crop and pad", "CenterCropPad", 18, {{3, {-2, 8, 3}}, NO_MORE}, {{"", 2, {4, 9}, NULL}},
     {{"axes", 2, {1, 2}, NULL}}, {3, {-2, 4, 9}}, NULL},
    {"dft, one side", "DFT", 17, {{3, {-2, 10, 1}}, NO_MORE}, {{0}},
     {{"axis", 0, {1}, NULL}, {"onesided", 0, {1}, NULL}}, {3, {-2, 6, 2}}, NULL},
    {"hann window", "HannWindow", 17, {NO_MORE}, {{"", 1, {12}, NULL}}, {{0}}, {1, {12}}, NULL},
    {"det", "Det", 17, {{4, {-2, 3, 5, 5}}, NO_MORE}, {{0}}, {{0}}, {2, {-2, 3}}, NULL},
    {"random", "RandomNormal", 17, {NO_MORE}, {{0}}, {{"shape", 2, {3, 4}, NULL}}, {2, {3, 4}},
     NULL},
    {"loss without reduction", "NegativeLogLikelihoodLoss", 13, {{3, {-2, 5, 6}}, {2, {-2, 6}},
     NO_MORE}, {{0}}, {{"reduction", 99, {0}, "none"}}, {2, {-2, 6}}, NULL},
    {"compress along an axis", "Compress", 11, {{2, {3, 4}}, {1, {3}}, NO_MORE}, {{0}},
     {{"axis", 0, {0}, NULL}}, {2, {UNKNOWN, 4}}, NULL},
    {"non max suppression", "NonMaxSuppression", 11, {{3, {1, 6, 4}}, {3, {1, 2, 6}}, NO_MORE},
     {{0}}, {{0}}, {2, {UNKNOWN, 3}}, NULL},
    {"expand to a known rank", "Unsqueeze", 17, {{2, {3, 4}}, {1, {2}}, NO_MORE}, {{0}}, {{0}},
     {4, {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN}}, NULL},
    {"non zero", "NonZero", 17, {{2, {3, 4}}, NO_MORE}, {{0}}, {{0}},
     {2, {2, UNKNOWN}}, NULL},
};
// clang-format on

static void add_attribute(onnx_builder *b, const attribute *a) {
    if (a->text != NULL) {
        onnx_attr_text(b, a->name, a->text);
    } else if (a->count == 0) {
        onnx_attr_int(b, a->name, a->values[0]);
    } else {
        onnx_attr_ints(b, a->name, a->count, a->values);
    }
}

static void build_case(model_fixture *f, const shape_case *test) {
    char operands[64] = "";
    onnx_begin(&f->b, test->opset);
    for (uint32_t i = 0; i < 4 && test->inputs[i].rank != ABSENT; i++) {
        const char name[3] = {'x', (char)('0' + i), '\0'};
        onnx_input(&f->b, name, TN_DTYPE_FLOAT, test->inputs[i].rank, test->inputs[i].dims);
        snprintf(operands + strlen(operands), sizeof operands - strlen(operands), "%s%s",
                 operands[0] != '\0' ? "," : "", name);
    }
    for (uint32_t i = 0; i < 4 && test->ints[i].name != NULL; i++) {
        const char name[3] = {'i', (char)('0' + i), '\0'};
        onnx_initializer_ints(&f->b, name, test->ints[i].count, test->ints[i].values);
        snprintf(operands + strlen(operands), sizeof operands - strlen(operands), "%s%s",
                 operands[0] != '\0' ? "," : "", name);
    }
    onnx_node(&f->b, test->op, operands, strcmp(test->op, "TopK") == 0 ? "y," : "y");
    for (uint32_t i = 0; i < 4 && test->attrs[i].name != NULL; i++) {
        add_attribute(&f->b, &test->attrs[i]);
    }
    onnx_output_untyped(&f->b, "y");
    import_built(f);
}

static void expect_shape(const tni_model *model, const tni_value *value, const shape *expected) {
    assert_int_equal(value->rank, expected->rank);
    for (uint32_t i = 0; i < expected->rank; i++) {
        const tn_graph_dim dim = value->dims[i];
        if (expected->dims[i] >= 0) {
            assert_int_equal(dim.size, expected->dims[i]);
            continue;
        }
        assert_int_equal(dim.size, -1);
        const tn_string name = model->symbols[dim.symbol].name;
        const char wanted[2] = {(char)('A' - 2 - expected->dims[i]), '\0'};
        assert_true(expected->dims[i] == UNKNOWN ? name.size_bytes == 0
                                                 : tni_string_is(name, wanted));
    }
}

static void infer__follows_the_op(void **state) {
    const shape_case *test = *state;
    void *fixture = NULL;
    if (model_set_up(&fixture) != 0 || fixture == NULL) {
        fail_msg("no memory");
        return;
    }
    model_fixture *f = fixture;
    build_case(f, test);
    const tn_status status = tni_shapes_infer(f->model, &f->error);
    if (test->broken != NULL) {
        assert_int_equal(status, TN_ERROR_INVALID_DATA);
        assert_string_equal(f->error.id, test->broken);
        assert_int_equal(f->error.node_index, 0);
        assert_non_null(strstr(f->error.text, test->op));
    } else {
        must(f, status);
        expect_shape(f->model, &f->model->values[value_named(f->model, "y")], &test->expected);
    }
    assert_int_equal(model_tear_down(&fixture), 0);
}

// Parameters x, z, x, their gradients, and one or two states of each.
static void infer__knows_steps_of_training(void **state) {
    static const struct {
        const char *op, *inputs, *outputs;
    } steps[] = {
        {"Momentum", "r,t,x,z,x,g,h,g,x,z,x", "p0,p1,p2,p3,p4,p5"},
        {"Adagrad", "r,t,x,z,x,g,h,g,x,z,x", "p0,p1,p2,p3,p4,p5"},
        {"Adam", "r,t,x,z,x,g,h,g,x,z,x,x,z,x", "p0,p1,p2,p3,p4,p5,p6,p7,p8"},
    };
    static const char *const results[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};
    static const shape expected[] = {{2, {-2, 3}}, {1, {4}}};
    model_fixture *f = *state;
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        onnx_begin(&f->b, 17);
        onnx_opset(&f->b, "ai.onnx.preview.training", 1);
        onnx_input(&f->b, "r", TN_DTYPE_FLOAT, 0, NULL);
        onnx_input(&f->b, "t", TN_DTYPE_INT64, 0, NULL);
        onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, expected[0].dims);
        onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, expected[1].dims);
        onnx_input(&f->b, "g", TN_DTYPE_FLOAT, 2, expected[0].dims);
        onnx_input(&f->b, "h", TN_DTYPE_FLOAT, 1, expected[1].dims);
        onnx_node(&f->b, steps[s].op, steps[s].inputs, steps[s].outputs);
        onnx_node_domain(&f->b, "ai.onnx.preview.training");
        onnx_output_untyped(&f->b, "p0");
        onnx_end(&f->b, &f->bytes);
        import_bytes(f);
        must(f, tni_shapes_infer(f->model, &f->error));
        for (uint32_t i = 0; i < (s < 2 ? 6 : 9); i++) {
            const tni_value *value = &f->model->values[value_named(f->model, results[i])];
            expect_shape(f->model, value, &expected[i % 3 == 1 ? 1 : 0]);
            assert_int_equal(value->dtype, TN_DTYPE_FLOAT);
        }
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
}

static void evaluate__fills_every_value(void **state) {
    static const int64_t dims[4] = {5, 3, 8, 8};
    model_fixture *f = *state;
    tni_shape_table *table = NULL;
    onnx_model_classifier(&f->bytes, -2, 8);
    import_bytes(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    const tni_shape_input input = {.value = f->model->graphs[0].inputs[0], .rank = 4, .dims = dims};
    must(f, tni_shapes_evaluate(f->model, &f->allocator.alloc, &input, 1, &table, &f->error));
    const tni_shape *y = tni_shape_of(table, value_named(f->model, "y"));
    assert_true(y->known);
    assert_int_equal(y->dims[0], 5);
    assert_int_equal(y->dims[1], 10);
    assert_int_equal(y->size_bytes, 200);
    assert_int_equal(y->dtype, TN_DTYPE_FLOAT);
    assert_int_equal(table->symbol_sizes[0], 5);
    const tni_shape *pooled = tni_shape_of(table, value_named(f->model, "p1"));
    assert_int_equal(pooled->dims[2], 4);
    tni_shape_table_destroy(table);
}

static void evaluate__refuses_wrong_inputs(void **state) {
    static const struct {
        const char *id;
        uint32_t rank;
        int64_t dims[2][4];
        uint32_t count;
        int swap;
    } wrong[] = {
        {"shape.input-rank", 3, {{5, 3, 8, 0}, {5, 0, 0, 0}}, 2, 0},
        {"shape.input-dim", 2, {{5, 7, 0, 0}, {5, 3, 0, 0}}, 2, 0},
        {"shape.input-dim", 2, {{-1, 3, 0, 0}, {5, 3, 0, 0}}, 2, 0},
        {"shape.symbol-conflict", 2, {{5, 3, 0, 0}, {6, 3, 0, 0}}, 2, 0},
        {"shape.input-missing", 2, {{5, 3, 0, 0}, {5, 3, 0, 0}}, 1, 0},
        {"shape.input-twice", 2, {{5, 3, 0, 0}, {5, 3, 0, 0}}, 2, 1},
        {"shape.no-input", 2, {{5, 3, 0, 0}, {5, 3, 0, 0}}, 2, 2},
    };
    static const int64_t dims[2] = {-2, 3};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "a", TN_DTYPE_FLOAT, 2, dims);
    onnx_input(&f->b, "b", TN_DTYPE_FLOAT, 2, dims);
    onnx_node(&f->b, "Add", "a,b", "y");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    const tni_graph *graph = &f->model->graphs[0];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const uint32_t second = wrong[i].swap == 1   ? graph->inputs[0]
                                : wrong[i].swap == 2 ? graph->outputs[0]
                                                     : graph->inputs[1];
        const tni_shape_input inputs[2] = {
            {.value = graph->inputs[0], .rank = wrong[i].rank, .dims = wrong[i].dims[0]},
            {.value = second, .rank = 2, .dims = wrong[i].dims[1]},
        };
        tni_shape_table *table = NULL;
        assert_int_equal(tni_shapes_evaluate(f->model, &f->allocator.alloc, inputs, wrong[i].count,
                                             &table, &f->error),
                         TN_ERROR_INVALID_ARGUMENT);
        assert_string_equal(f->error.id, wrong[i].id);
        assert_null(table);
    }
}

static void evaluate__refuses_absurd_sizes(void **state) {
    static const int64_t dims[2] = {-2, -3};
    const int64_t huge[2] = {(int64_t)1 << 31, (int64_t)1 << 31};
    model_fixture *f = *state;
    tni_shape_table *table = NULL;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, dims);
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    const tni_shape_input input = {.value = f->model->graphs[0].inputs[0], .rank = 2, .dims = huge};
    assert_int_equal(
        tni_shapes_evaluate(f->model, &f->allocator.alloc, &input, 1, &table, &f->error),
        TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "shape.too-large");
}

static void infer__warns_about_false_declarations(void **state) {
    static const int64_t dims[1] = {4};
    static const int64_t wrong[1] = {5};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, wrong);
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    assert_int_equal(f->model->values[value_named(f->model, "y")].dims[0].size, 4);
    assert_true(recording_sink_has(&f->sink, TN_LOG_WARN, "'y'"));
}

static void infer__twice_adds_nothing(void **state) {
    static const int64_t dims[2] = {-1, 4};
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, dims);
    onnx_node(&f->b, "NonZero", "x", "n");
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output_untyped(&f->b, "n");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_shapes_infer(f->model, &f->error));
    const uint32_t symbols = f->model->symbol_count;
    assert_int_equal(symbols, 2);
    must(f, tni_shapes_infer(f->model, &f->error));
    assert_int_equal(f->model->symbol_count, symbols);
    // The unnamed input dim is one symbol wherever it goes.
    assert_int_equal(f->model->values[value_named(f->model, "y")].dims[0].symbol,
                     f->model->values[value_named(f->model, "x")].dims[0].symbol);
}

// Imports one installed model and infers; returns whether it could be imported.
static bool check_installed(const char *path, recording_sink *sink) {
    tni_model *model = NULL;
    tn_error error;
    const tni_import_info info = {.path = path, .log = &sink->log};
    tni_error_init(&error);
    if (tni_onnx_import(&info, &model, &error) != TN_OK) {
        return false;
    }
    const tn_status status = tni_model_canonicalise(model, NULL, &error);
    if (status != TN_OK || sink->count > 0) {
        print_message("%s: %s %s\n", path, error.text, sink->lines[0]);
    }
    assert_int_equal(status, TN_OK);
    // A warning here is a declared shape that differs from the computed one.
    assert_int_equal(sink->count, 0);
    tni_model_destroy(model);
    return true;
}

static void installed_models__have_the_shapes_they_declare(void **state) {
    static const char folder[] = "/usr/share/libonnx-testdata/data/node";
    struct dirent **entries = NULL;
    recording_sink *sink = malloc(sizeof *sink);
    int imported = 0;
    (void)state;
    assert_non_null(sink);
    recording_sink_init(sink, TN_LOG_WARN);
    const int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s/model.onnx", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && access(path, R_OK) == 0) {
            imported += check_installed(path, sink) ? 1 : 0;
        }
        free(entries[i]);
    }
    free(entries);
    recording_sink_deinit(sink);
    free(sink);
    if (count < 0) {
        skip();
    }
    assert_true(imported > 900);
}

int main(void) {
    static struct CMUnitTest tests[128];
    size_t count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tests[count++] = (struct CMUnitTest){.name = cases[i].name,
                                             .test_func = infer__follows_the_op,
                                             .initial_state = (void *)(uintptr_t)&cases[i]};
    }
    const struct CMUnitTest others[] = {
        MODEL_CASE(infer__knows_steps_of_training),
        MODEL_CASE(evaluate__fills_every_value),
        MODEL_CASE(evaluate__refuses_wrong_inputs),
        MODEL_CASE(evaluate__refuses_absurd_sizes),
        MODEL_CASE(infer__warns_about_false_declarations),
        MODEL_CASE(infer__twice_adds_nothing),
        cmocka_unit_test(installed_models__have_the_shapes_they_declare),
    };
    memcpy(tests + count, others, sizeof others);
    count += sizeof others / sizeof others[0];
    return _cmocka_run_group_tests("graph_shape", tests, count, NULL, NULL);
}
