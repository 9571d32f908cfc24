// SPDX-License-Identifier: Apache-2.0
// Which op of ai.onnx is of which class; sorted by name.
#include "plan/op_class.h"

#include <stdlib.h>
#include <string.h>

typedef struct op_row {
    const char *op_type;
    tni_op_class op_class;
} op_row;

static const op_row rows[] = {
    {"Abs", TNI_OP_ELEMENTWISE},
    {"Acos", TNI_OP_TRANSCENDENTAL},
    {"Acosh", TNI_OP_TRANSCENDENTAL},
    {"Add", TNI_OP_ELEMENTWISE},
    {"And", TNI_OP_ELEMENTWISE},
    {"ArgMax", TNI_OP_REDUCTION},
    {"ArgMin", TNI_OP_REDUCTION},
    {"Asin", TNI_OP_TRANSCENDENTAL},
    {"Asinh", TNI_OP_TRANSCENDENTAL},
    {"Atan", TNI_OP_TRANSCENDENTAL},
    {"Atanh", TNI_OP_TRANSCENDENTAL},
    {"AveragePool", TNI_OP_REDUCTION},
    {"BatchNormalization", TNI_OP_ELEMENTWISE},
    {"BitShift", TNI_OP_ELEMENTWISE},
    {"BitwiseAnd", TNI_OP_ELEMENTWISE},
    {"BitwiseNot", TNI_OP_ELEMENTWISE},
    {"BitwiseOr", TNI_OP_ELEMENTWISE},
    {"BitwiseXor", TNI_OP_ELEMENTWISE},
    {"Cast", TNI_OP_MOVEMENT},
    {"CastLike", TNI_OP_MOVEMENT},
    {"Ceil", TNI_OP_ELEMENTWISE},
    {"Celu", TNI_OP_TRANSCENDENTAL},
    {"Clip", TNI_OP_ELEMENTWISE},
    {"Compress", TNI_OP_MOVEMENT},
    {"Concat", TNI_OP_MOVEMENT},
    {"ConstantOfShape", TNI_OP_MOVEMENT},
    {"Conv", TNI_OP_CONVOLUTION},
    {"ConvInteger", TNI_OP_CONVOLUTION},
    {"ConvTranspose", TNI_OP_CONVOLUTION},
    {"Cos", TNI_OP_TRANSCENDENTAL},
    {"Cosh", TNI_OP_TRANSCENDENTAL},
    {"CumSum", TNI_OP_REDUCTION},
    {"DepthToSpace", TNI_OP_MOVEMENT},
    {"DequantizeLinear", TNI_OP_QUANTIZATION},
    {"Div", TNI_OP_ELEMENTWISE},
    {"Dropout", TNI_OP_VIEW},
    {"DynamicQuantizeLinear", TNI_OP_QUANTIZATION},
    {"Elu", TNI_OP_TRANSCENDENTAL},
    {"Equal", TNI_OP_ELEMENTWISE},
    {"Erf", TNI_OP_TRANSCENDENTAL},
    {"Exp", TNI_OP_TRANSCENDENTAL},
    {"Expand", TNI_OP_MOVEMENT},
    {"EyeLike", TNI_OP_MOVEMENT},
    {"Flatten", TNI_OP_VIEW},
    {"Floor", TNI_OP_ELEMENTWISE},
    {"GRU", TNI_OP_MATMUL},
    {"Gather", TNI_OP_MOVEMENT},
    {"GatherElements", TNI_OP_MOVEMENT},
    {"GatherND", TNI_OP_MOVEMENT},
    {"Gelu", TNI_OP_TRANSCENDENTAL},
    {"Gemm", TNI_OP_MATMUL},
    {"GlobalAveragePool", TNI_OP_REDUCTION},
    {"GlobalLpPool", TNI_OP_REDUCTION},
    {"GlobalMaxPool", TNI_OP_REDUCTION},
    {"Greater", TNI_OP_ELEMENTWISE},
    {"GreaterOrEqual", TNI_OP_ELEMENTWISE},
    {"GroupNormalization", TNI_OP_REDUCTION},
    {"HardSigmoid", TNI_OP_ELEMENTWISE},
    {"HardSwish", TNI_OP_ELEMENTWISE},
    {"Identity", TNI_OP_VIEW},
    {"InstanceNormalization", TNI_OP_REDUCTION},
    {"IsInf", TNI_OP_ELEMENTWISE},
    {"IsNaN", TNI_OP_ELEMENTWISE},
    {"LRN", TNI_OP_REDUCTION},
    {"LSTM", TNI_OP_MATMUL},
    {"LayerNormalization", TNI_OP_REDUCTION},
    {"LeakyRelu", TNI_OP_ELEMENTWISE},
    {"Less", TNI_OP_ELEMENTWISE},
    {"LessOrEqual", TNI_OP_ELEMENTWISE},
    {"Log", TNI_OP_TRANSCENDENTAL},
    {"LogSoftmax", TNI_OP_TRANSCENDENTAL},
    {"LpNormalization", TNI_OP_REDUCTION},
    {"LpPool", TNI_OP_REDUCTION},
    {"MatMul", TNI_OP_MATMUL},
    {"MatMulInteger", TNI_OP_MATMUL},
    {"Max", TNI_OP_ELEMENTWISE},
    {"MaxPool", TNI_OP_REDUCTION},
    {"Mean", TNI_OP_ELEMENTWISE},
    {"MeanVarianceNormalization", TNI_OP_REDUCTION},
    {"Min", TNI_OP_ELEMENTWISE},
    {"Mish", TNI_OP_TRANSCENDENTAL},
    {"Mod", TNI_OP_ELEMENTWISE},
    {"Mul", TNI_OP_ELEMENTWISE},
    {"Neg", TNI_OP_ELEMENTWISE},
    {"Not", TNI_OP_ELEMENTWISE},
    {"OneHot", TNI_OP_MOVEMENT},
    {"Or", TNI_OP_ELEMENTWISE},
    {"PRelu", TNI_OP_ELEMENTWISE},
    {"Pad", TNI_OP_MOVEMENT},
    {"Pow", TNI_OP_TRANSCENDENTAL},
    {"QLinearConv", TNI_OP_CONVOLUTION},
    {"QLinearMatMul", TNI_OP_MATMUL},
    {"QuantizeLinear", TNI_OP_QUANTIZATION},
    {"RMSNormalization", TNI_OP_REDUCTION},
    {"RNN", TNI_OP_MATMUL},
    {"Range", TNI_OP_MOVEMENT},
    {"Reciprocal", TNI_OP_ELEMENTWISE},
    {"ReduceL1", TNI_OP_REDUCTION},
    {"ReduceL2", TNI_OP_REDUCTION},
    {"ReduceLogSum", TNI_OP_REDUCTION},
    {"ReduceLogSumExp", TNI_OP_REDUCTION},
    {"ReduceMax", TNI_OP_REDUCTION},
    {"ReduceMean", TNI_OP_REDUCTION},
    {"ReduceMin", TNI_OP_REDUCTION},
    {"ReduceProd", TNI_OP_REDUCTION},
    {"ReduceSum", TNI_OP_REDUCTION},
    {"ReduceSumSquare", TNI_OP_REDUCTION},
    {"Relu", TNI_OP_ELEMENTWISE},
    {"Reshape", TNI_OP_VIEW},
    {"Resize", TNI_OP_MOVEMENT},
    {"ReverseSequence", TNI_OP_MOVEMENT},
    {"Round", TNI_OP_ELEMENTWISE},
    {"Scatter", TNI_OP_MOVEMENT},
    {"ScatterElements", TNI_OP_MOVEMENT},
    {"ScatterND", TNI_OP_MOVEMENT},
    {"Selu", TNI_OP_TRANSCENDENTAL},
    {"Shape", TNI_OP_VIEW},
    {"Shrink", TNI_OP_ELEMENTWISE},
    {"Sigmoid", TNI_OP_TRANSCENDENTAL},
    {"Sign", TNI_OP_ELEMENTWISE},
    {"Sin", TNI_OP_TRANSCENDENTAL},
    {"Sinh", TNI_OP_TRANSCENDENTAL},
    {"Size", TNI_OP_VIEW},
    {"Slice", TNI_OP_MOVEMENT},
    {"Softmax", TNI_OP_TRANSCENDENTAL},
    {"Softplus", TNI_OP_TRANSCENDENTAL},
    {"Softsign", TNI_OP_TRANSCENDENTAL},
    {"SpaceToDepth", TNI_OP_MOVEMENT},
    {"Split", TNI_OP_MOVEMENT},
    {"Sqrt", TNI_OP_ELEMENTWISE},
    {"Squeeze", TNI_OP_VIEW},
    {"Sub", TNI_OP_ELEMENTWISE},
    {"Sum", TNI_OP_ELEMENTWISE},
    {"Swish", TNI_OP_TRANSCENDENTAL},
    {"Tan", TNI_OP_TRANSCENDENTAL},
    {"Tanh", TNI_OP_TRANSCENDENTAL},
    {"ThresholdedRelu", TNI_OP_ELEMENTWISE},
    {"Tile", TNI_OP_MOVEMENT},
    {"Transpose", TNI_OP_MOVEMENT},
    {"Trilu", TNI_OP_MOVEMENT},
    {"Unsqueeze", TNI_OP_VIEW},
    {"Upsample", TNI_OP_MOVEMENT},
    {"Where", TNI_OP_ELEMENTWISE},
    {"Xor", TNI_OP_ELEMENTWISE},
};

static const char *const texts[TNI_OP_CLASSES] = {
    "matmul",   "convolution", "elementwise",  "transcendental", "reduction",
    "movement", "view",        "quantization", "other",
};

static int by_name(const void *key, const void *item) {
    const tn_string *name = key;
    const op_row *row = item;
    const int order = strncmp(name->data, row->op_type, name->size_bytes);
    return order != 0 ? order : row->op_type[name->size_bytes] == '\0' ? 0 : -1;
}

tni_op_class tni_op_class_of(const tni_node *node) {
    if (node->called != TN_NONE || node->op_type.size_bytes == 0 || node->domain.size_bytes > 0) {
        return TNI_OP_OTHER;
    }
    const op_row *row =
        bsearch(&node->op_type, rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0]), by_name);
    return row == NULL ? TNI_OP_OTHER : row->op_class;
}

const char *tni_op_class_text(tni_op_class op_class) {
    return op_class < TNI_OP_CLASSES ? texts[op_class] : "unknown";
}

tni_op_class tni_op_class_find(const char *text) {
    tni_op_class found = 0;
    while (found < TNI_OP_CLASSES && strcmp(texts[found], text) != 0) {
        found++;
    }
    return found;
}
