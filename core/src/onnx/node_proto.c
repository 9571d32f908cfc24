// SPDX-License-Identifier: Apache-2.0
// NodeProto: a node, a constant (op Constant), or the call of a model-local function, whose nodes
// are read in its place.
#include "graph/schema/schema.h"
#include "onnx/importer.h"

#include <string.h>

typedef struct {
    tni_bytes message;
    const uint8_t *at;
    tn_string name;
    tn_string op_type;
    tn_string domain;
    tn_string overload;
    uint32_t first_id;       // inputs, on the importer's stack
    uint32_t input_count;    // trailing absent ones not counted
    uint32_t listed_inputs;  // those counted too
    uint32_t output_count;   // trailing absent ones not counted
    uint32_t listed_outputs; // those counted too
    uint32_t opset;
    uint32_t first_value; // values from here on were made for this node
} node_parts;

static tn_status push_id(tni_importer *in, uint32_t id, const uint8_t *at) {
    const tn_status status = tni_grow(&in->model->alloc, (void **)&in->ids, &in->id_capacity,
                                      (uint64_t)in->id_count + 1, sizeof *in->ids);
    if (status != TN_OK) {
        return tni_import_plain(in, status, at, "operands");
    }
    in->ids[in->id_count++] = id;
    return TN_OK;
}

static tn_status unknown_input(tni_importer *in, tn_string name, const uint8_t *at) {
    return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.unknown-input", at,
                         "'%.*s' is not defined before this node: it is missing, or the nodes are "
                         "unsorted or form a cycle",
                         TNI_TEXT(name));
}

static tn_status read_input(tni_importer *in, node_parts *node, const tni_field *field) {
    tn_string name;
    uint32_t value = TN_NONE;
    tni_wire_enter(&in->wire, "input", node->input_count);
    if (tni_import_name(in, field, &name) != TN_OK) {
        return in->wire.status;
    }
    if (name.size_bytes > 0 && !tni_scope_find(in->scope, name, &value)) {
        return unknown_input(in, name, field->at);
    }
    node->input_count++;
    tni_wire_leave(&in->wire);
    return push_id(in, value, field->at);
}

static tn_status read_field(tni_importer *in, node_parts *node, const tni_field *field) {
    tn_string name;
    switch (field->number) {
    case 1:
        return read_input(in, node, field);
    case 2:
        node->listed_outputs++;
        if (tni_import_name(in, field, &name) == TN_OK && name.size_bytes > 0) {
            node->output_count = node->listed_outputs;
        }
        return in->wire.status;
    case 3:
        return tni_import_name(in, field, &node->name);
    case 4:
        return tni_import_name(in, field, &node->op_type);
    case 7:
        return tni_import_name(in, field, &node->domain);
    case 8:
        return tni_import_name(in, field, &node->overload);
    default:
        return in->wire.status;
    }
}

static tn_status read_parts(tni_importer *in, node_parts *node) {
    tni_bytes rest = node->message;
    tni_field field;
    while (tni_wire_next(&in->wire, &rest, &field)) {
        read_field(in, node, &field);
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    node->domain = tni_import_domain(node->domain);
    node->listed_inputs = node->input_count;
    // An absent optional at the end is the same as none.
    while (node->input_count > 0 && in->ids[node->first_id + node->input_count - 1] == TN_NONE) {
        node->input_count--;
        in->id_count--;
    }
    if (node->op_type.size_bytes == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.no-op-type", node->at,
                             "a node has no op type");
    }
    return TN_OK;
}

static tn_status check_arity(tni_importer *in, const node_parts *node, const tni_schema *schema) {
    if (node->listed_inputs < schema->min_inputs || node->input_count > schema->max_inputs) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.input-count", node->at,
                             "%s has %u inputs, version %u takes %u to %d", schema->op_type,
                             node->listed_inputs, schema->since_version, schema->min_inputs,
                             (int)schema->max_inputs);
    }
    if (node->listed_outputs < schema->min_outputs || node->output_count > schema->max_outputs) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.output-count", node->at,
                             "%s has %u outputs, version %u gives %u to %d", schema->op_type,
                             node->listed_outputs, schema->since_version, schema->min_outputs,
                             (int)schema->max_outputs);
    }
    return TN_OK;
}

// Finds the version of the op in force; custom domains keep their opset's number.
static tn_status resolve_version(tni_importer *in, const node_parts *node, uint32_t *out_version,
                                 tn_node_flags *out_flags) {
    *out_version = node->opset;
    *out_flags = TN_NODE_CUSTOM;
    if (!tni_schema_domain_known(node->domain)) {
        return TN_OK;
    }
    *out_flags = 0;
    if (node->opset == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.no-opset", node->at,
                             "no opset is imported for domain '%.*s' of %.*s",
                             TNI_TEXT(node->domain), TNI_TEXT(node->op_type));
    }
    const tni_schema *schema = tni_schema_find(node->domain, node->op_type, node->opset);
    if (schema == NULL) {
        const bool known = tni_schema_op_known(node->domain, node->op_type);
        return tni_wire_fail(
            &in->wire, TN_ERROR_UNSUPPORTED, known ? "onnx.op-version" : "onnx.unknown-op",
            node->at, "op %.*s %s opset %u of domain '%.*s'", TNI_TEXT(node->op_type),
            known ? "is not in" : "is unknown to", node->opset, TNI_TEXT(node->domain));
    }
    *out_version = schema->since_version;
    return check_arity(in, node, schema);
}

// What a call or a constant made for its output carries the output's name.
static tn_status rename_value(tni_importer *in, const node_parts *node, uint32_t value,
                              tn_string name) {
    if (value == TN_NONE || value < node->first_value) {
        return TN_OK;
    }
    return tni_arena_text(&in->model->arena, name, &in->model->values[value].name);
}

// Adds the outputs' values and their names, unless the values are given. values has output_count
// ids.
static tn_status define_outputs(tni_importer *in, const node_parts *node, uint32_t *values,
                                bool given) {
    tni_bytes rest = node->message;
    tni_field field;
    uint32_t index = 0;
    while (tni_wire_next(&in->wire, &rest, &field) && index < node->output_count) {
        tn_status status = TN_OK;
        if (field.number != 2) {
            continue;
        }
        const tn_string name = tni_field_text(&field);
        const uint32_t at = index++;
        if (name.size_bytes == 0) {
            values[at] = TN_NONE;
            continue;
        }
        if (given) {
            status = rename_value(in, node, values[at], name);
        } else {
            if (in->model->value_count >= in->limits.values) {
                return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-values",
                                     field.at, "more than %u values", in->limits.values);
            }
            status = tni_model_add_value(in->model, in->graph, name, &values[at]);
        }
        tni_wire_enter(&in->wire, "output", at);
        if (status != TN_OK) {
            return tni_import_plain(in, status, field.at, "value");
        }
        if (tni_scope_define(in, name, values[at], field.at) != TN_OK) {
            return in->wire.status;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

static tn_status add_node(tni_importer *in, const node_parts *node) {
    tni_node_info info = {.graph = in->graph,
                          .domain = node->domain,
                          .op_type = node->op_type,
                          .name = node->name,
                          .input_count = node->input_count,
                          .inputs = in->ids == NULL ? NULL : in->ids + node->first_id,
                          .source_id = in->nodes};
    tni_attr *attrs = NULL;
    uint32_t *outputs = NULL;
    uint32_t attr_count = 0;
    uint32_t id = TN_NONE;
    if (resolve_version(in, node, &info.since_version, &info.flags) != TN_OK) {
        return in->wire.status;
    }
    tn_status status = tni_model_add_node(in->model, &info, &id);
    if (status == TN_OK) {
        status = tni_arena_array(&in->model->arena, node->output_count, sizeof *outputs,
                                 sizeof *outputs, (void **)&outputs);
    }
    if (status != TN_OK) {
        return tni_import_plain(in, status, node->at, "node");
    }
    // Bodies come before the outputs: a body does not see the results of its own node.
    if (tni_import_attributes(in, node->message, id, &attrs, &attr_count) != TN_OK ||
        define_outputs(in, node, outputs, false) != TN_OK) {
        return in->wire.status;
    }
    tni_node *record = &in->model->nodes[id];
    record->call = in->call == NULL ? TN_NONE : in->call->id;
    record->attrs = attrs;
    record->attr_count = attr_count;
    record->outputs = outputs;
    record->output_count = node->output_count;
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (outputs[i] != TN_NONE) {
            in->model->values[outputs[i]].producer = id;
        }
    }
    return TN_OK;
}

// The constant of a scalar or list attribute of op Constant.
static tn_status add_literal(tni_importer *in, const tni_attr *attr, const uint8_t *at,
                             uint32_t *out_constant) {
    const int64_t dim = attr->count;
    tni_constant_info info = {.kind = TNI_CONSTANT_OWNED, .dims = &dim};
    if (attr->kind == TN_ATTR_INT || attr->kind == TN_ATTR_INTS) {
        info.dtype = TN_DTYPE_INT64;
        info.bytes = attr->ints;
        info.size_bytes = attr->count * sizeof *attr->ints;
        info.rank = attr->kind == TN_ATTR_INTS ? 1 : 0;
    } else if (attr->kind == TN_ATTR_FLOAT || attr->kind == TN_ATTR_FLOATS) {
        info.dtype = TN_DTYPE_FLOAT;
        info.bytes = attr->floats;
        info.size_bytes = attr->count * sizeof *attr->floats;
        info.rank = attr->kind == TN_ATTR_FLOATS ? 1 : 0;
    } else {
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.constant-value", at,
                             "constants of attribute '%.*s' are not supported",
                             TNI_TEXT(attr->name));
    }
    const tn_status status = tni_model_add_constant(in->model, &info, out_constant);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, at, "constant");
}

static tn_status add_constant_node(tni_importer *in, const node_parts *node) {
    tni_attr *attrs = NULL;
    uint32_t attr_count = 0;
    uint32_t constant = TN_NONE;
    uint32_t value = TN_NONE;
    uint32_t version = 0;
    tn_node_flags flags = 0;
    if (resolve_version(in, node, &version, &flags) != TN_OK ||
        tni_import_attributes(in, node->message, TN_NONE, &attrs, &attr_count) != TN_OK) {
        return in->wire.status;
    }
    if (attr_count != 1) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.constant-value", node->at,
                             "a constant has %u values", attr_count);
    }
    if (attrs[0].kind == TN_ATTR_TENSOR) {
        constant = attrs[0].indices[0];
    } else if (add_literal(in, &attrs[0], node->at, &constant) != TN_OK) {
        return in->wire.status;
    }
    const tn_status status =
        tni_model_add_constant_value(in->model, in->graph, node->name, constant, &value);
    if (status != TN_OK) {
        return tni_import_plain(in, status, node->at, "constant");
    }
    return define_outputs(in, node, &value, true);
}

static tn_status add_call(tni_importer *in, const node_parts *node, const tni_function *function) {
    tni_attr *attrs = NULL;
    uint32_t *outputs = NULL;
    uint32_t attr_count = 0;
    if (tni_import_attributes(in, node->message, TN_NONE, &attrs, &attr_count) != TN_OK) {
        return in->wire.status;
    }
    const tn_status status =
        tni_arena_array(&in->model->arena, (uint64_t)node->output_count + node->input_count,
                        sizeof *outputs, sizeof *outputs, (void **)&outputs);
    if (status != TN_OK) {
        return tni_import_plain(in, status, node->at, "function call");
    }
    // The stack of ids may move while the body is read.
    uint32_t *inputs = outputs + node->output_count;
    if (node->input_count > 0) {
        memcpy(inputs, in->ids + node->first_id, node->input_count * sizeof *inputs);
    }
    tni_call call = {.function = function,
                     .at = node->at,
                     .name = node->name,
                     .version = node->opset,
                     .inputs = inputs,
                     .input_count = node->input_count,
                     .output_count = node->output_count,
                     .outputs = outputs,
                     .attrs = attrs,
                     .attr_count = attr_count};
    if (tni_import_call(in, &call) != TN_OK) {
        return in->wire.status;
    }
    return define_outputs(in, node, outputs, true);
}

tn_status tni_import_node_proto(tni_importer *in, tni_bytes message) {
    node_parts node = {.message = message,
                       .at = message.at,
                       .first_id = in->id_count,
                       .first_value = in->model->value_count};
    if (tni_import_count(in, &in->nodes, in->limits.nodes, "onnx.too-many-nodes", message.at) !=
            TN_OK ||
        read_parts(in, &node) != TN_OK) {
        return in->wire.status;
    }
    node.opset = tni_import_opset(in, node.domain);
    const tni_function *function =
        tni_import_find_function(in, node.domain, node.op_type, node.overload);
    if (function != NULL) {
        add_call(in, &node, function);
    } else if (node.domain.size_bytes == 0 && tni_string_is(node.op_type, "Constant")) {
        add_constant_node(in, &node);
    } else {
        add_node(in, &node);
    }
    in->id_count = node.first_id;
    return in->wire.status;
}
