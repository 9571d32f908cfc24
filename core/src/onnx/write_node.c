// SPDX-License-Identifier: Apache-2.0
// NodeProto and AttributeProto.
#include "graph/schema/schema.h"
#include "onnx/writer.h"

enum {
    FIELD_INPUT = 1,
    FIELD_OUTPUT = 2,
    FIELD_NODE_NAME = 3,
    FIELD_OP_TYPE = 4,
    FIELD_ATTRIBUTE = 5,
    FIELD_DOMAIN = 7,
};

enum {
    FIELD_ATTR_NAME = 1,
    FIELD_F = 2,
    FIELD_I = 3,
    FIELD_S = 4,
    FIELD_T = 5,
    FIELD_G = 6,
    FIELD_FLOATS = 7,
    FIELD_INTS = 8,
    FIELD_STRINGS = 9,
    FIELD_TENSORS = 10,
    FIELD_GRAPHS = 11,
    FIELD_TYPE_PROTO = 14,
    FIELD_ATTR_TYPE = 20,
};

// The value field of each kind.
static const uint32_t fields[] = {
    [TN_ATTR_FLOAT] = FIELD_F,          [TN_ATTR_INT] = FIELD_I,
    [TN_ATTR_STRING] = FIELD_S,         [TN_ATTR_TENSOR] = FIELD_T,
    [TN_ATTR_GRAPH] = FIELD_G,          [TN_ATTR_FLOATS] = FIELD_FLOATS,
    [TN_ATTR_INTS] = FIELD_INTS,        [TN_ATTR_STRINGS] = FIELD_STRINGS,
    [TN_ATTR_TENSORS] = FIELD_TENSORS,  [TN_ATTR_GRAPHS] = FIELD_GRAPHS,
    [TNI_ATTR_TYPE] = FIELD_TYPE_PROTO,
};

static void put_value(tni_writer *w, const tni_attr *attr, uint32_t index) {
    const uint32_t field = fields[attr->kind];
    switch (attr->kind) {
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        tni_put_float(w, field, attr->floats[index]);
        break;
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        tni_put_varint(w, field, (uint64_t)attr->ints[index]);
        break;
    case TN_ATTR_STRING:
    case TN_ATTR_STRINGS:
        tni_put_text(w, field, attr->texts[index]);
        break;
    case TN_ATTR_TENSOR:
    case TN_ATTR_TENSORS:
        tni_put_message(w, field, tni_write_tensor, &attr->indices[index]);
        break;
    case TN_ATTR_GRAPH:
    case TN_ATTR_GRAPHS:
        tni_put_message(w, field, tni_write_graph, &attr->indices[index]);
        break;
    default:
        tni_put_message(w, field, tni_write_type, &w->model->values[attr->indices[index]]);
        break;
    }
}

static void write_attribute(tni_writer *w, const void *item) {
    const tni_attr *attr = item;
    tni_put_text(w, FIELD_ATTR_NAME, attr->name);
    for (uint32_t i = 0; i < attr->count; i++) {
        put_value(w, attr, i);
    }
    tni_put_varint(w, FIELD_ATTR_TYPE, attr->kind);
}

// An absent optional is an empty name.
static void put_operand(tni_writer *w, uint32_t field, uint32_t value) {
    tni_put_text(w, field, value == TN_NONE ? TNI_LITERAL("") : w->names[value]);
}

// Absent ones at the end are listed as far as the op demands (Loop without a condition).
static void put_operands(tni_writer *w, uint32_t field, const uint32_t *values, uint32_t count,
                         uint32_t least) {
    for (uint32_t i = 0; i < count || i < least; i++) {
        put_operand(w, field, i < count ? values[i] : TN_NONE);
    }
}

void tni_write_node(tni_writer *w, const void *node) {
    const tni_node *record = &w->model->nodes[*(const uint32_t *)node];
    const tni_schema *schema =
        tni_schema_find(record->domain, record->op_type, record->since_version);
    put_operands(w, FIELD_INPUT, record->inputs, record->input_count,
                 schema != NULL ? schema->min_inputs : 0);
    put_operands(w, FIELD_OUTPUT, record->outputs, record->output_count,
                 schema != NULL ? schema->min_outputs : 0);
    tni_put_name(w, FIELD_NODE_NAME, record->name);
    tni_put_text(w, FIELD_OP_TYPE, record->op_type);
    for (uint32_t i = 0; i < record->attr_count; i++) {
        tni_put_message(w, FIELD_ATTRIBUTE, write_attribute, &record->attrs[i]);
    }
    tni_put_name(w, FIELD_DOMAIN, record->domain);
}
