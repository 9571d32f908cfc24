// SPDX-License-Identifier: Apache-2.0
// Tables of ops by what their output sizes hang on. Source: the operators' shape inference in the
// ONNX standard (docs/Operators.md). Rows are sorted by name.
#include "flow/size_operands.h"

#include <stdlib.h>
#include <string.h>

#define OPERAND(index) (1u << (index))

typedef struct row {
    const char *op_type;
    uint32_t operands;
} row;

static const row size_rows[] = {
    {"AffineGrid", OPERAND(1)},
    {"BlackmanWindow", OPERAND(0)},
    {"CenterCropPad", OPERAND(1)},
    {"Col2Im", OPERAND(1) | OPERAND(2)},
    {"ConstantOfShape", OPERAND(0)},
    {"DFT", OPERAND(1) | OPERAND(2)},
    {"Expand", OPERAND(1)},
    {"HammingWindow", OPERAND(0)},
    {"HannWindow", OPERAND(0)},
    {"MaxUnpool", OPERAND(2)},
    {"MelWeightMatrix", OPERAND(0) | OPERAND(1)},
    {"OneHot", OPERAND(1)},
    {"Pad", OPERAND(1) | OPERAND(3)},
    {"Range", OPERAND(0) | OPERAND(1) | OPERAND(2)},
    {"ReduceL1", OPERAND(1)},
    {"ReduceL2", OPERAND(1)},
    {"ReduceLogSum", OPERAND(1)},
    {"ReduceLogSumExp", OPERAND(1)},
    {"ReduceMax", OPERAND(1)},
    {"ReduceMean", OPERAND(1)},
    {"ReduceMin", OPERAND(1)},
    {"ReduceProd", OPERAND(1)},
    {"ReduceSum", OPERAND(1)},
    {"ReduceSumSquare", OPERAND(1)},
    {"Reshape", OPERAND(1)},
    {"Resize", OPERAND(1) | OPERAND(2) | OPERAND(3)},
    {"STFT", OPERAND(1) | OPERAND(3)},
    {"Slice", OPERAND(1) | OPERAND(2) | OPERAND(3) | OPERAND(4)},
    {"Split", OPERAND(1)},
    {"Squeeze", OPERAND(1)},
    {"Tile", OPERAND(1) | OPERAND(2)},
    {"TopK", OPERAND(1)},
    {"Unsqueeze", OPERAND(1)},
    {"Upsample", OPERAND(1)},
};

static const row data_rows[] = {
    {"Compress", 0},    {"NonMaxSuppression", 0}, {"NonZero", 0},
    {"StringSplit", 0}, {"TfIdfVectorizer", 0},   {"Unique", 0},
};

static const row followed_rows[] = {
    {"Add", 0},     {"Cast", 0},       {"Concat", 0},    {"ConstantOfShape", 0},
    {"Div", 0},     {"Flatten", 0},    {"Gather", 0},    {"Identity", 0},
    {"Max", 0},     {"Min", 0},        {"Mod", 0},       {"Mul", 0},
    {"Range", 0},   {"ReduceProd", 0}, {"Reshape", 0},   {"Slice", 0},
    {"Squeeze", 0}, {"Sub", 0},        {"Unsqueeze", 0}, {"Where", 0},
};

static const row host_rows[] = {
    {"ConcatFromSequence", 0},
    {"If", 0},
    {"Loop", 0},
    {"Optional", 0},
    {"OptionalGetElement", 0},
    {"OptionalHasElement", 0},
    {"Scan", 0},
    {"SequenceAt", 0},
    {"SequenceConstruct", 0},
    {"SequenceEmpty", 0},
    {"SequenceErase", 0},
    {"SequenceInsert", 0},
    {"SequenceLength", 0},
    {"SequenceMap", 0},
    {"SplitToSequence", 0},
};

static int compare(const void *key, const void *element) {
    const tn_string *op_type = key;
    const row *candidate = element;
    return tni_string_compare(*op_type, tni_string_of(candidate->op_type));
}

static const row *find(const tni_node *node, const row *rows, size_t count) {
    return node->domain.size_bytes > 0
               ? NULL
               : bsearch(&node->op_type, rows, count, sizeof(*rows), compare);
}

#define FIND(node, rows) find(node, rows, sizeof(rows) / sizeof((rows)[0]))

uint32_t tni_size_operands(const tni_node *node) {
    const row *found = FIND(node, size_rows);
    return found != NULL ? found->operands : 0;
}

bool tni_sizes_need_data(const tni_node *node) {
    return FIND(node, data_rows) != NULL;
}

bool tni_elements_followed(const tni_node *node) {
    return FIND(node, followed_rows) != NULL;
}

bool tni_elements_from_shape(const tni_node *node) {
    return tni_node_is(node, "Shape") || tni_node_is(node, "Size");
}

// Containers, and tensors of strings.
static bool holds_what_no_device_has(const tni_model *model, const uint32_t *values,
                                     uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != TN_NONE && (model->values[values[i]].kind != TN_VALUE_TENSOR ||
                                     model->values[values[i]].dtype == TN_DTYPE_STRING)) {
            return true;
        }
    }
    return false;
}

bool tni_node_is_for_host(const tni_model *model, const tni_node *node) {
    return FIND(node, host_rows) != NULL ||
           holds_what_no_device_has(model, node->inputs, node->input_count) ||
           holds_what_no_device_has(model, node->outputs, node->output_count);
}
