// SPDX-License-Identifier: Apache-2.0
// GraphProto. Its fields may come in any order, so it is read in passes: initializers, inputs,
// nodes, declared types, outputs.
#include "onnx/importer.h"

enum {
    FIELD_NODE = 1,
    FIELD_NAME = 2,
    FIELD_INITIALIZER = 5,
    FIELD_INPUT = 11,
    FIELD_OUTPUT = 12,
    FIELD_VALUE_INFO = 13,
    FIELD_SPARSE_INITIALIZER = 15,
};

typedef tn_status (*read_fn)(tni_importer *in, const tni_field *field);

// Calls read for every field of this number, with the path set.
static tn_status each(tni_importer *in, tni_bytes message, uint32_t number, const char *name,
                      read_fn read) {
    tni_field field;
    uint32_t index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != number || !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            continue;
        }
        tni_wire_enter(&in->wire, name, index++);
        if (read(in, &field) != TN_OK) {
            return in->wire.status;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

static tn_status check_value_count(tni_importer *in, const uint8_t *at) {
    if (in->model->value_count >= in->limits.values) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-values", at,
                             "more than %u values", in->limits.values);
    }
    return TN_OK;
}

static tn_status read_initializer(tni_importer *in, const tni_field *field) {
    tn_string name = {NULL, 0};
    uint32_t constant = TN_NONE;
    uint32_t value = TN_NONE;
    if (tni_import_count(in, &in->initializers, in->limits.initializers,
                         "onnx.too-many-initializers", field->at) != TN_OK ||
        check_value_count(in, field->at) != TN_OK ||
        tni_import_tensor(in, field->bytes, &name, &constant) != TN_OK) {
        return in->wire.status;
    }
    if (name.size_bytes == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.initializer-name", field->at,
                             "an initializer has no name");
    }
    const tn_status status =
        tni_model_add_constant_value(in->model, in->graph, name, constant, &value);
    if (status != TN_OK) {
        return tni_import_plain(in, status, field->at, "initializer");
    }
    return tni_scope_define(in, name, value, field->at);
}

static tn_status read_sparse(tni_importer *in, const tni_field *field) {
    return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.sparse-initializer", field->at,
                         "sparse initializers are not supported");
}

// Name and type of a ValueInfoProto; out_type is empty when there is none.
static tn_status read_value_info(tni_importer *in, const tni_field *field, tn_string *out_name,
                                 tni_bytes *out_type) {
    tni_bytes message = field->bytes;
    tni_field inner;
    *out_name = (tn_string){NULL, 0};
    *out_type = (tni_bytes){message.at, message.at};
    while (tni_wire_next(&in->wire, &message, &inner)) {
        if (inner.number == 1) {
            tni_import_name(in, &inner, out_name);
        } else if (inner.number == 2 && tni_wire_expect(&in->wire, &inner, TNI_WIRE_BYTES)) {
            *out_type = inner.bytes;
        }
    }
    if (in->wire.status == TN_OK && out_name->size_bytes == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.value-name", field->at,
                             "an input, output or declared value has no name");
    }
    return in->wire.status;
}

static tn_status read_input(tni_importer *in, const tni_field *field) {
    tn_string name;
    tni_bytes type;
    uint32_t value = TN_NONE;
    if (read_value_info(in, field, &name, &type) != TN_OK ||
        check_value_count(in, field->at) != TN_OK) {
        return in->wire.status;
    }
    if (tni_scope_find_local(in->scope, name, &value) &&
        in->model->values[value].constant != TN_NONE) {
        // Old files list every initializer as an input as well.
        return TN_OK;
    }
    tn_status status = tni_model_add_value(in->model, in->graph, name, &value);
    if (status == TN_OK) {
        status = tni_graph_add_input(in->model, in->graph, value);
    }
    if (status != TN_OK) {
        return tni_import_plain(in, status, field->at, "input");
    }
    if (tni_scope_define(in, name, value, field->at) != TN_OK) {
        return in->wire.status;
    }
    return tni_import_type(in, type, value);
}

static tn_status read_declared(tni_importer *in, const tni_field *field) {
    tn_string name;
    tni_bytes type;
    uint32_t value = TN_NONE;
    if (read_value_info(in, field, &name, &type) != TN_OK ||
        !tni_scope_find_local(in->scope, name, &value) || value == TN_NONE) {
        // Declarations of values that no longer exist are common and harmless.
        return in->wire.status;
    }
    return tni_import_type(in, type, value);
}

static tn_status read_output(tni_importer *in, const tni_field *field) {
    tn_string name;
    tni_bytes type;
    uint32_t value = TN_NONE;
    if (read_value_info(in, field, &name, &type) != TN_OK) {
        return in->wire.status;
    }
    if (!tni_scope_find(in->scope, name, &value) || value == TN_NONE) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.unknown-output", field->at,
                             "nothing computes output '%.*s'", TNI_TEXT(name));
    }
    const tn_status status = tni_graph_add_output(in->model, in->graph, value);
    if (status != TN_OK) {
        return tni_import_plain(in, status, field->at, "output");
    }
    // Types of values that were declared before, constants included, are kept.
    return in->model->values[value].constant == TN_NONE ? tni_import_type(in, type, value) : TN_OK;
}

static tn_status read_node(tni_importer *in, const tni_field *field) {
    return tni_import_node_proto(in, field->bytes);
}

static tn_status read_name(tni_importer *in, tni_bytes message, uint32_t graph) {
    tni_field field;
    tn_string name = {NULL, 0};
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == FIELD_NAME) {
            tni_import_name(in, &field, &name);
        }
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    tn_string copy;
    const tn_status status = tni_arena_text(&in->model->arena, name, &copy);
    if (status != TN_OK) {
        return tni_import_plain(in, status, message.at, "graph name");
    }
    in->model->graphs[graph].name = copy;
    return TN_OK;
}

tn_status tni_import_graph_proto(tni_importer *in, tni_bytes message, uint32_t graph) {
    static const struct {
        uint32_t number;
        const char *name;
        read_fn read;
    } passes[] = {
        {FIELD_SPARSE_INITIALIZER, "sparse_initializer", read_sparse},
        {FIELD_INITIALIZER, "initializer", read_initializer},
        {FIELD_INPUT, "input", read_input},
        {FIELD_NODE, "node", read_node},
        {FIELD_VALUE_INFO, "value_info", read_declared},
        {FIELD_OUTPUT, "output", read_output},
    };
    if (read_name(in, message, graph) != TN_OK) {
        return in->wire.status;
    }
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        if (each(in, message, passes[i].number, passes[i].name, passes[i].read) != TN_OK) {
            return in->wire.status;
        }
    }
    return TN_OK;
}
