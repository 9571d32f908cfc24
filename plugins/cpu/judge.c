// SPDX-License-Identifier: Apache-2.0
// Verdicts. What the table's columns say is checked here for every op, in a fixed order, so that
// the same node always gets the same reason. Operands are numbered inputs first, then outputs.
#include "build.h"

#include <string.h>

static uint32_t known_attribute(const cpu_op *op, tn_string name) {
    const char *list = op->attributes == NULL ? "" : op->attributes;
    while (*list != '\0') {
        const size_t size = strcspn(list, " ");
        if (size == name.size_bytes && memcmp(list, name.data, size) == 0) {
            return 1;
        }
        list += size;
        list += strspn(list, " ");
    }
    return 0;
}

static uint32_t judge_counts(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                             tn_node_verdict *out_verdict) {
    for (uint32_t i = 0; i < op->input_min; ++i) {
        if (tn_view_node_input(view, node, i) == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, i, op->input_min,
                         node->inputs.count);
            return 0;
        }
    }
    for (uint32_t i = op->input_min; op->input_max == CPU_VARIADIC && i < node->inputs.count; ++i) {
        if (tn_view_node_input(view, node, i) == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, i, node->inputs.count, i);
            return 0;
        }
    }
    if (op->input_max != CPU_VARIADIC && node->inputs.count > op->input_max) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, op->input_max, op->input_max,
                     node->inputs.count);
        return 0;
    }
    const uint32_t output_max = op->output_max == 0 ? 1 : op->output_max;
    if (node->outputs.count == 0 ||
        (output_max == 1 && tn_view_node_output(view, node, 0) == TN_NONE)) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, node->inputs.count, 1, 0);
        return 0;
    }
    for (uint32_t i = output_max; i < node->outputs.count; ++i) {
        if (tn_view_node_output(view, node, i) != TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, node->inputs.count + i, output_max,
                         node->outputs.count);
            return 0;
        }
    }
    return 1;
}

static uint32_t judge_attributes(const tn_graph_view *view, const tn_graph_node *node,
                                 const cpu_op *op, tn_node_verdict *out_verdict) {
    for (uint32_t i = 0; i < node->attributes.count; ++i) {
        const tn_graph_attribute *attribute = tn_view_attribute(view, node->attributes.begin + i);
        if (!known_attribute(op, tn_view_text(view, attribute->name))) {
            tn_helper_no(out_verdict, TN_REASON_ATTR_UNSUPPORTED, i, 0, 0);
            return 0;
        }
    }
    return 1;
}

static cpu_types types_of(const cpu_op *op, uint32_t input) {
    uint32_t column = input < CPU_TYPED_INPUTS ? input : CPU_TYPED_INPUTS - 1;
    while (column > 0 && op->types[column] == 0) {
        column -= 1;
    }
    return op->types[column];
}

static uint32_t judge_operand(const tn_graph_view *view, uint32_t value_index, uint32_t operand,
                              cpu_types types, tn_node_verdict *out_verdict) {
    const tn_graph_value *value = tn_view_value(view, value_index);
    if (value->kind != TN_VALUE_TENSOR || value->dtype >= TN_DTYPE_COUNT ||
        (types & CPU_TYPE(value->dtype)) == 0) {
        tn_helper_no(out_verdict, TN_REASON_DTYPE, operand, 0, value->dtype);
        return 0;
    }
    if (value->dims.count == TN_RANK_UNKNOWN) {
        tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, operand, 0, -1);
        return 0;
    }
    if (value->dims.count > CPU_MAX_RANK) {
        tn_helper_no(out_verdict, TN_REASON_RANK_LIMIT, operand, CPU_MAX_RANK, value->dims.count);
        return 0;
    }
    for (uint32_t axis = 0; axis < value->dims.count; ++axis) {
        const tn_graph_dim *dim = tn_view_value_dim(view, value, axis);
        if (dim->size < 0 && dim->symbol == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, operand, 0, -1);
            return 0;
        }
    }
    return 1;
}

static uint32_t judge_inputs(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                             tn_node_verdict *out_verdict) {
    for (uint32_t i = 0; i < node->inputs.count; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        if (value == TN_NONE) {
            continue;
        }
        if (!judge_operand(view, value, i, types_of(op, i), out_verdict)) {
            return 0;
        }
        const uint32_t constant = i < 8 && (op->constants >> i & 1u) != 0;
        const tn_graph_constant *known = tn_view_value_constant(view, tn_view_value(view, value));
        if (constant && (known == NULL || (known->flags & TN_CONSTANT_REPLACEABLE) != 0)) {
            tn_helper_no(out_verdict, TN_REASON_NEEDS_CONSTANT, i, 0, 0);
            return 0;
        }
    }
    return 1;
}

const cpu_op *tni_cpu_find_op(const tn_graph_view *view, const tn_graph_node *node) {
    const tn_op_record *record = NULL;
    tn_node_verdict verdict;
    (void)tn_helper_find_op(view, node, &tni_cpu_ops[0].record, CPU_OP_COUNT, sizeof(cpu_op),
                            &record, &verdict);
    // The record is the first member of this plugin's row.
    return (const cpu_op *)(const void *)record;
}

void tni_cpu_judge(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                   tn_node_verdict *out_verdict) {
    if (!judge_counts(view, node, op, out_verdict) ||
        !judge_attributes(view, node, op, out_verdict) ||
        !judge_inputs(view, node, op, out_verdict)) {
        return;
    }
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        const uint32_t value = tn_view_node_output(view, node, i);
        if (value != TN_NONE &&
            !judge_operand(view, value, node->inputs.count + i,
                           op->output_types != 0 ? op->output_types : op->types[0], out_verdict)) {
            return;
        }
    }
    if (op->check != NULL && !op->check(view, node, out_verdict)) {
        return;
    }
    tn_helper_yes(out_verdict, op->numerics);
}
