// SPDX-License-Identifier: Apache-2.0
// Verdicts. What the table's columns say is checked here for every op, in a fixed order, so that
// the same node always gets the same reason. Operands are numbered inputs first, then outputs.
#include "ops.h"

static uint32_t known_attribute(const ref_op *op, tn_string name) {
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

static uint32_t judge_attributes(const tn_graph_view *view, const tn_graph_node *node,
                                 const ref_op *op, tn_node_verdict *out_verdict) {
    for (uint32_t i = 0; i < node->attributes.count; ++i) {
        const tn_graph_attribute *attribute = tn_view_attribute(view, node->attributes.begin + i);
        if (!known_attribute(op, tn_view_text(view, attribute->name))) {
            tn_helper_no(out_verdict, TN_REASON_ATTR_UNSUPPORTED, i, 0, 0);
            return 0;
        }
    }
    return 1;
}

static ref_dtype_mask input_types(const ref_op *op, uint32_t input) {
    uint32_t column = input < REF_MAX_TYPED_INPUTS ? input : REF_MAX_TYPED_INPUTS - 1;
    while (column > 0 && op->types[column] == 0) {
        column -= 1;
    }
    return op->types[column];
}

// Whether results may have the type: packed ones only where some operand may be packed, since other
// kernels write whole bytes. Strings have no bytes of their own.
static uint32_t producible(const ref_op *op, tn_dtype dtype) {
    const int64_t bits = tni_ref_element_bits(dtype);
    ref_dtype_mask packed = 0;
    for (uint32_t i = 0; i < REF_MAX_TYPED_INPUTS; ++i) {
        packed |= op->types[i] & REF_PACKED_TYPES;
    }
    return bits > 0 && (bits % 8 == 0 || packed != 0) ? 1u : 0u;
}

// told: the run tells the sizes, so that they need no number before.
static uint32_t judge_operand(const tn_graph_view *view, const ref_op *op, uint32_t value_index,
                              uint32_t operand, ref_dtype_mask types, uint32_t told,
                              tn_node_verdict *out_verdict) {
    const tn_graph_value *value = tn_view_value(view, value_index);
    const uint32_t type_known = value->dtype < TN_DTYPE_COUNT ? 1u : 0u;
    if (value->kind != TN_VALUE_TENSOR || !type_known || !producible(op, value->dtype) ||
        (types != 0 && (types & REF_TYPE(value->dtype)) == 0)) {
        tn_helper_no(out_verdict, TN_REASON_DTYPE, operand, 0, value->dtype);
        return 0;
    }
    if (value->dims.count == TN_RANK_UNKNOWN) {
        tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, operand, 0, -1);
        return 0;
    }
    for (uint32_t axis = 0; !told && axis < value->dims.count; ++axis) {
        const tn_graph_dim *dim = tn_view_value_dim(view, value, axis);
        if (dim->size < 0 && dim->symbol == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, operand, 0, -1);
            return 0;
        }
    }
    return 1;
}

static uint32_t judge_counts(const tn_graph_view *view, const tn_graph_node *node, const ref_op *op,
                             tn_node_verdict *out_verdict) {
    for (uint32_t i = 0; i < op->input_min; ++i) {
        if (tn_view_node_input(view, node, i) == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, i, op->input_min,
                         node->inputs.count);
            return 0;
        }
    }
    if (op->input_max != REF_VARIADIC && node->inputs.count > op->input_max) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, op->input_max, op->input_max,
                     node->inputs.count);
        return 0;
    }
    const uint32_t output_max = op->output_max == 0 ? 1 : op->output_max;
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        if (i >= output_max && output_max != REF_VARIADIC &&
            tn_view_node_output(view, node, i) != TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, node->inputs.count + i, output_max,
                         node->outputs.count);
            return 0;
        }
    }
    return 1;
}

void tni_ref_judge(const tn_graph_view *view, const tn_graph_node *node, const ref_op *op,
                   tn_node_verdict *out_verdict) {
    if (!judge_counts(view, node, op, out_verdict) ||
        !judge_attributes(view, node, op, out_verdict)) {
        return;
    }
    for (uint32_t i = 0; i < node->inputs.count; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        if (value != TN_NONE &&
            !judge_operand(view, op, value, i, input_types(op, i), 0, out_verdict)) {
            return;
        }
    }
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        const uint32_t value = tn_view_node_output(view, node, i);
        const uint32_t told = i < 8 ? op->dependent_outputs >> i & 1u : 0;
        if (value != TN_NONE &&
            !judge_operand(view, op, value, node->inputs.count + i, 0, told, out_verdict)) {
            return;
        }
    }
    if (op->check != NULL && !op->check(view, node, out_verdict)) {
        return;
    }
    tn_helper_yes(out_verdict, op->numerics);
}
