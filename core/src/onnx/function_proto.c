// SPDX-License-Identifier: Apache-2.0
// FunctionProto: kept as bytes, and read into the calling graph at every call. What the call was is
// recorded, for devices that know the function.
#include "onnx/importer.h"

enum {
    FIELD_NAME = 1,
    FIELD_INPUT = 4,
    FIELD_OUTPUT = 5,
    FIELD_NODE = 7,
    FIELD_OPSET = 9,
    FIELD_DOMAIN = 10,
    FIELD_ATTRIBUTE_PROTO = 11,
    FIELD_OVERLOAD = 13,
};

const tni_function *tni_import_find_function(const tni_importer *in, tn_string domain,
                                             tn_string name, tn_string overload) {
    uint32_t at = TN_NONE;
    if (!tni_map_find(&in->function_names, name, &at)) {
        return NULL;
    }
    for (; at != TN_NONE; at = in->functions[at].next) {
        const tni_function *function = &in->functions[at];
        if (tni_string_equal(function->domain, domain) &&
            tni_string_equal(function->overload, overload)) {
            return function;
        }
    }
    return NULL;
}

tn_status tni_import_function(tni_importer *in, tni_bytes message, const uint8_t *at) {
    tni_function function = {.message = message};
    tni_field field;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == FIELD_NAME) {
            tni_import_name(in, &field, &function.name);
        } else if (field.number == FIELD_DOMAIN) {
            tni_import_name(in, &field, &function.domain);
        } else if (field.number == FIELD_OVERLOAD) {
            tni_import_name(in, &field, &function.overload);
        }
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    function.domain = tni_import_domain(function.domain);
    if (function.name.size_bytes == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.function-name", at,
                             "a function has no name");
    }
    if (tni_import_find_function(in, function.domain, function.name, function.overload) != NULL) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.duplicate-function", at,
                             "function '%.*s' twice", TNI_TEXT(function.name));
    }
    if (in->function_count >= in->limits.functions) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-functions", at,
                             "more than %u functions", in->limits.functions);
    }
    function.next = TN_NONE;
    (void)tni_map_find(&in->function_names, function.name, &function.next);
    tn_status status = tni_grow(&in->model->alloc, (void **)&in->functions, &in->function_capacity,
                                (uint64_t)in->function_count + 1, sizeof *in->functions);
    if (status == TN_OK) {
        status = tni_map_set(&in->function_names, function.name, in->function_count);
    }
    if (status != TN_OK) {
        return tni_import_plain(in, status, at, "functions");
    }
    in->functions[in->function_count++] = function;
    return TN_OK;
}

uint32_t tni_import_opset(const tni_importer *in, tn_string domain) {
    for (uint32_t i = 0; in->call != NULL && i < in->call->opset_count; i++) {
        if (tni_string_equal(in->call->opsets[i].domain, domain)) {
            return in->call->opsets[i].version;
        }
    }
    // Functions of old files rely on the model's imports.
    return tni_model_opset(in->model, domain);
}

static tn_status read_opsets(tni_importer *in, const tni_function *function, tni_call *call) {
    tni_bytes message = function->message;
    tni_field field;
    while (tni_wire_next(&in->wire, &message, &field)) {
        tni_opset opset = {{NULL, 0}, 0};
        if (field.number != FIELD_OPSET || !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES) ||
            tni_import_opset_id(in, field.bytes, &opset.domain, &opset.version) != TN_OK) {
            continue;
        }
        if (call->opset_count >= TNI_IMPORT_MAX_OPSETS) {
            return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-opsets",
                                 field.at, "more than %u opset imports", TNI_IMPORT_MAX_OPSETS);
        }
        call->opsets[call->opset_count++] = opset;
    }
    return in->wire.status;
}

static tn_status define_inputs(tni_importer *in, const tni_call *call) {
    tni_bytes message = call->function->message;
    tni_field field;
    tn_string name;
    uint32_t index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != FIELD_INPUT || tni_import_name(in, &field, &name) != TN_OK) {
            continue;
        }
        const uint32_t value = index < call->input_count ? call->inputs[index] : TN_NONE;
        tni_scope_define(in, name, value, field.at);
        index++;
    }
    if (in->wire.status == TN_OK && call->input_count > index) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.function-inputs", call->at,
                             "function '%.*s' takes %u inputs, the call has %u",
                             TNI_TEXT(call->function->name), index, call->input_count);
    }
    return in->wire.status;
}

static bool has_attr(const tni_call *call, tn_string name) {
    for (uint32_t i = 0; i < call->attr_count; i++) {
        if (tni_string_equal(call->attrs[i].name, name)) {
            return true;
        }
    }
    return false;
}

// Adds the defaults of attributes that the call leaves out.
static tn_status collect_attrs(tni_importer *in, const tni_function *function, tni_call *call) {
    tni_bytes message = function->message;
    tni_field field;
    uint32_t defaults = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        defaults += field.number == FIELD_ATTRIBUTE_PROTO ? 1 : 0;
    }
    if (defaults == 0 || in->wire.status != TN_OK) {
        return in->wire.status;
    }
    tni_attr *attrs = NULL;
    const tn_status status =
        tni_arena_array(&in->model->arena, (uint64_t)call->attr_count + defaults, sizeof *attrs, 8,
                        (void **)&attrs);
    if (status != TN_OK) {
        return tni_import_plain(in, status, function->message.at, "function call");
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < call->attr_count; i++) {
        attrs[count++] = call->attrs[i];
    }
    message = function->message;
    while (tni_wire_next(&in->wire, &message, &field)) {
        bool present = false;
        if (field.number != FIELD_ATTRIBUTE_PROTO ||
            !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            continue;
        }
        if (tni_import_attribute(in, field.bytes, TN_NONE, &attrs[count], &present) == TN_OK &&
            present && !has_attr(call, attrs[count].name)) {
            count++;
        }
    }
    call->attrs = attrs;
    call->attr_count = count;
    return in->wire.status;
}

static tn_status read_nodes(tni_importer *in, const tni_function *function) {
    tni_bytes message = function->message;
    tni_field field;
    uint32_t index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != FIELD_NODE || !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            continue;
        }
        tni_wire_enter(&in->wire, "function.node", index++);
        if (tni_import_node_proto(in, field.bytes) != TN_OK) {
            return in->wire.status;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

static tn_status take_outputs(tni_importer *in, const tni_call *call) {
    const tn_string function_name = call->function->name;
    tni_bytes message = call->function->message;
    tni_field field;
    tn_string name;
    uint32_t index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        uint32_t value = TN_NONE;
        if (field.number != FIELD_OUTPUT || tni_import_name(in, &field, &name) != TN_OK) {
            continue;
        }
        if (!tni_scope_find_local(in->scope, name, &value)) {
            return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.unknown-output", field.at,
                                 "nothing in function '%.*s' computes output '%.*s'",
                                 TNI_TEXT(function_name), TNI_TEXT(name));
        }
        if (index < call->output_count) {
            call->outputs[index] = value;
        }
        index++;
    }
    if (in->wire.status == TN_OK && index < call->output_count) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.function-outputs", call->at,
                             "function '%.*s' has %u outputs, the call wants %u",
                             TNI_TEXT(function_name), index, call->output_count);
    }
    return in->wire.status;
}

// Reads the body in a scope of its own.
static tn_status read_body(tni_importer *in, tni_call *call) {
    tni_scope scope;
    tni_scope *const outer_scope = in->scope;
    tni_scope_init(&scope, in, NULL);
    in->scope = &scope;
    in->call = call;
    if (define_inputs(in, call) == TN_OK && read_nodes(in, call->function) == TN_OK) {
        take_outputs(in, call);
    }
    in->call = call->caller;
    in->scope = outer_scope;
    tni_scope_deinit(&scope);
    return in->wire.status;
}

static tn_status record_call(tni_importer *in, tni_call *call) {
    const tni_function_call record = {.domain = call->function->domain,
                                      .function = call->function->name,
                                      .name = call->name,
                                      .version = call->version,
                                      .caller = call->caller == NULL ? TN_NONE : call->caller->id,
                                      .graph = in->graph,
                                      .overloaded = call->function->overload.size_bytes > 0,
                                      .input_count = call->input_count,
                                      .output_count = call->output_count,
                                      .attr_count = call->attr_count,
                                      .inputs = call->inputs,
                                      .outputs = call->outputs,
                                      .attrs = call->attrs,
                                      .source_id = in->nodes};
    const tn_status status = tni_model_add_call(in->model, &record, &call->id);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, call->at, "function call");
}

tn_status tni_import_call(tni_importer *in, tni_call *call) {
    const tni_function *function = call->function;
    call->caller = in->call;
    if (in->call_depth >= in->limits.function_depth) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.function-depth", call->at,
                             "functions call each other deeper than %u ('%.*s')",
                             in->limits.function_depth, TNI_TEXT(function->name));
    }
    // Calls multiply: a small file can ask for the same body billions of times.
    in->function_bytes += tni_bytes_size(function->message);
    if (in->function_bytes > in->limits.function_bytes) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.function-bytes", call->at,
                             "function bodies add up to more than %llu bytes",
                             (unsigned long long)in->limits.function_bytes);
    }
    in->call_depth++;
    // Defaults of the function may not refer to the caller's attributes, so they are read first.
    if (collect_attrs(in, function, call) == TN_OK && read_opsets(in, function, call) == TN_OK &&
        record_call(in, call) == TN_OK) {
        read_body(in, call);
    }
    in->call_depth--;
    return in->wire.status;
}
