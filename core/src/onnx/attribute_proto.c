// SPDX-License-Identifier: Apache-2.0
// AttributeProto to tni_attr: one pass counts, a second one fills exactly that much.
#include "onnx/importer.h"

#include <string.h>

enum {
    FIELD_NAME = 1,
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
    FIELD_TYPE_PROTOS = 15,
    FIELD_TYPE = 20,
    FIELD_REF = 21,
    FIELD_SPARSE = 22,
    FIELD_SPARSES = 23,
};

// What one pass over the message finds.
typedef struct {
    const uint8_t *at;
    tn_string name;
    tn_string reference;
    uint64_t type;  // as written, 0: not given
    uint32_t field; // the value field that is present, 0: none
    uint64_t count; // its items
} survey;

// The value field of a kind.
static uint32_t field_of_kind(tn_attr_kind kind) {
    static const uint32_t fields[] = {
        0,          FIELD_F,       FIELD_I,       FIELD_S,     FIELD_T, FIELD_G, FIELD_FLOATS,
        FIELD_INTS, FIELD_STRINGS, FIELD_TENSORS, FIELD_GRAPHS};
    if (kind == TNI_ATTR_TYPE) {
        return FIELD_TYPE_PROTO;
    }
    return kind <= TN_ATTR_GRAPHS ? fields[kind] : 0;
}

static tn_attr_kind kind_of_field(uint32_t field) {
    for (tn_attr_kind kind = TN_ATTR_FLOAT; kind <= TN_ATTR_GRAPHS; kind++) {
        if (field_of_kind(kind) == field) {
            return kind;
        }
    }
    return field == FIELD_TYPE_PROTO ? TNI_ATTR_TYPE : 0;
}

static const char *name_of_field(uint32_t field) {
    switch (field) {
    case FIELD_T:
        return "t";
    case FIELD_G:
        return "g";
    case FIELD_TENSORS:
        return "tensors";
    case FIELD_TYPE_PROTO:
        return "tp";
    default:
        return "graphs";
    }
}

static uint64_t count_items(tni_importer *in, const tni_field *field) {
    tni_bytes packed = field->bytes;
    uint64_t value = 0;
    uint64_t count = 0;
    switch (field->number) {
    case FIELD_F:
        return tni_wire_expect(&in->wire, field, TNI_WIRE_FIXED32) ? 1 : 0;
    case FIELD_I:
        return tni_wire_expect(&in->wire, field, TNI_WIRE_VARINT) ? 1 : 0;
    case FIELD_FLOATS:
        if (!tni_wire_expect_numbers(&in->wire, field, TNI_WIRE_FIXED32)) {
            return 0;
        }
        if (tni_bytes_size(packed) % 4 != 0) {
            tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.packed-size", field->at,
                          "packed floats are no whole number of elements");
        }
        return tni_bytes_size(packed) / 4;
    case FIELD_INTS:
        if (!tni_wire_expect_numbers(&in->wire, field, TNI_WIRE_VARINT)) {
            return 0;
        }
        while (tni_wire_varint(&in->wire, &packed, &value)) {
            count++;
        }
        return count;
    default:
        return tni_wire_expect(&in->wire, field, TNI_WIRE_BYTES) ? 1 : 0;
    }
}

static tn_status survey_value(tni_importer *in, survey *out, const tni_field *field) {
    if (out->field != 0 && out->field != field->number) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-values", field->at,
                             "values in field %u and in field %u", out->field, field->number);
    }
    out->field = field->number;
    out->count += count_items(in, field);
    const bool scalar = field->number <= FIELD_G || field->number == FIELD_TYPE_PROTO;
    if (scalar && out->count > 1) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-values", field->at,
                             "a single value is given twice");
    }
    return in->wire.status;
}

static tn_status survey_field(tni_importer *in, survey *out, const tni_field *field) {
    switch (field->number) {
    case FIELD_NAME:
        return tni_import_name(in, field, &out->name);
    case FIELD_REF:
        return tni_import_name(in, field, &out->reference);
    case FIELD_TYPE:
        if (tni_wire_expect(&in->wire, field, TNI_WIRE_VARINT)) {
            out->type = field->value;
        }
        return in->wire.status;
    case FIELD_F:
    case FIELD_I:
    case FIELD_S:
    case FIELD_T:
    case FIELD_G:
    case FIELD_FLOATS:
    case FIELD_INTS:
    case FIELD_STRINGS:
    case FIELD_TENSORS:
    case FIELD_GRAPHS:
    case FIELD_TYPE_PROTO:
        return survey_value(in, out, field);
    case FIELD_TYPE_PROTOS:
    case FIELD_SPARSE:
    case FIELD_SPARSES:
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.attribute-kind", field->at,
                             "sparse tensors and lists of types are not supported as "
                             "attributes");
    default:
        return in->wire.status;
    }
}

static tn_status check_kind(tni_importer *in, const survey *found, tni_attr *attr) {
    attr->kind = found->type != 0 ? (tn_attr_kind)found->type : kind_of_field(found->field);
    if (attr->kind == 0 || field_of_kind(attr->kind) == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-type", found->at,
                             "attribute '%.*s' has type %llu and no value of a known type",
                             TNI_TEXT(found->name), (unsigned long long)found->type);
    }
    // A scalar that was left out has its default, zero; so has an empty list.
    const bool is_message = attr->kind == TN_ATTR_TENSOR || attr->kind == TN_ATTR_GRAPH ||
                            attr->kind == TNI_ATTR_TYPE;
    const bool missing = found->field == 0 && is_message;
    if (missing || (found->field != 0 && found->field != field_of_kind(attr->kind))) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-type", found->at,
                             "attribute '%.*s' of type %u has its value in field %u",
                             TNI_TEXT(found->name), attr->kind, found->field);
    }
    if (found->count > in->limits.attribute_values) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.attribute-size", found->at,
                             "attribute '%.*s' has more than %u values", TNI_TEXT(found->name),
                             in->limits.attribute_values);
    }
    const bool list = attr->kind > TN_ATTR_GRAPH && attr->kind <= TN_ATTR_GRAPHS;
    attr->count = list ? (uint32_t)found->count : 1;
    return TN_OK;
}

static tn_status allocate(tni_importer *in, const survey *found, tni_attr *attr) {
    tni_arena *arena = &in->model->arena;
    const uint64_t count = attr->count;
    tn_status status = tni_arena_text(arena, found->name, &attr->name);
    if (status != TN_OK) {
        return tni_import_plain(in, status, found->at, "attribute");
    }
    switch (attr->kind) {
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        status = tni_arena_array(arena, count, sizeof *attr->floats, 8, (void **)&attr->floats);
        break;
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        status = tni_arena_array(arena, count, sizeof *attr->ints, 8, (void **)&attr->ints);
        break;
    case TN_ATTR_STRING:
    case TN_ATTR_STRINGS:
        status = tni_arena_array(arena, count, sizeof *attr->texts, 8, (void **)&attr->texts);
        break;
    default:
        status = tni_arena_array(arena, count, sizeof *attr->indices, 8, (void **)&attr->indices);
        break;
    }
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, found->at, "attribute");
}

static tn_status read_body(tni_importer *in, const tni_field *field, uint32_t node,
                           uint32_t *out_graph) {
    if (node == TN_NONE) {
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.attribute-graph", field->at,
                             "a constant or a function call cannot have a graph as attribute");
    }
    if (in->graph_depth >= in->limits.graph_depth) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.graph-depth", field->at,
                             "graphs nest deeper than %u", in->limits.graph_depth);
    }
    tni_scope scope;
    tni_scope *const outer_scope = in->scope;
    const uint32_t outer_graph = in->graph;
    const tn_status status = tni_model_add_graph(in->model, node, TNI_LITERAL(""), out_graph);
    if (status != TN_OK) {
        return tni_import_plain(in, status, field->at, "graph");
    }
    tni_scope_init(&scope, in, outer_scope);
    in->scope = &scope;
    in->graph = *out_graph;
    in->graph_depth++;
    tni_import_graph_proto(in, field->bytes, *out_graph);
    in->graph_depth--;
    in->graph = outer_graph;
    in->scope = outer_scope;
    tni_scope_deinit(&scope);
    return in->wire.status;
}

// A type is kept as a value that nothing computes and nothing reads.
static tn_status read_type(tni_importer *in, const tni_field *field, uint32_t *out_value) {
    if (in->model->value_count >= in->limits.values) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-values", field->at,
                             "more than %u values", in->limits.values);
    }
    const tn_status status =
        tni_model_add_value(in->model, in->graph, TNI_LITERAL(""), out_value);
    return status == TN_OK ? tni_import_type(in, field->bytes, *out_value)
                           : tni_import_plain(in, status, field->at, "type");
}

static void fill_numbers(tni_importer *in, const tni_field *field, tni_attr *attr,
                         uint32_t *index) {
    tni_bytes packed = field->bytes;
    uint64_t value = 0;
    if (attr->floats != NULL) {
        const uint64_t size_bytes = tni_bytes_size(packed);
        if (size_bytes > 0) {
            memcpy(attr->floats + *index, packed.at, (size_t)size_bytes);
        }
        *index += (uint32_t)(size_bytes / 4);
        return;
    }
    while (tni_wire_varint(&in->wire, &packed, &value)) {
        attr->ints[(*index)++] = (int64_t)value;
    }
}

// Stores the next value, or run of values, of the attribute.
static tn_status fill_value(tni_importer *in, const tni_field *field, uint32_t node, tni_attr *attr,
                            uint32_t *index) {
    if (attr->floats != NULL || attr->ints != NULL) {
        fill_numbers(in, field, attr, index);
        return in->wire.status;
    }
    const bool list = attr->kind > TN_ATTR_GRAPH && attr->kind <= TN_ATTR_GRAPHS;
    const uint32_t at = (*index)++;
    if (attr->texts != NULL) {
        const tn_status status =
            tni_arena_text(&in->model->arena, tni_field_text(field), &attr->texts[at]);
        return status == TN_OK ? TN_OK : tni_import_plain(in, status, field->at, "attribute");
    }
    tni_wire_enter(&in->wire, name_of_field(field->number), list ? at : TN_NONE);
    if (field->number == FIELD_T || field->number == FIELD_TENSORS) {
        tni_import_tensor(in, field->bytes, NULL, &attr->indices[at]);
    } else if (field->number == FIELD_TYPE_PROTO) {
        read_type(in, field, &attr->indices[at]);
    } else {
        read_body(in, field, node, &attr->indices[at]);
    }
    if (in->wire.status == TN_OK) {
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

// Copies what the call that is being inlined has, or what its function defaults to.
static tn_status follow_reference(tni_importer *in, const survey *found, tni_attr *out_attr,
                                  bool *out_present) {
    if (in->call == NULL) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-reference",
                             found->at, "'%.*s' refers to an attribute outside of a function",
                             TNI_TEXT(found->name));
    }
    *out_present = false;
    for (uint32_t i = 0; i < in->call->attr_count; i++) {
        if (tni_string_equal(in->call->attrs[i].name, found->reference)) {
            *out_attr = in->call->attrs[i];
            *out_present = true;
            const tn_status status =
                tni_arena_text(&in->model->arena, found->name, &out_attr->name);
            return status == TN_OK ? TN_OK : tni_import_plain(in, status, found->at, "attribute");
        }
    }
    return TN_OK;
}

tn_status tni_import_attribute(tni_importer *in, tni_bytes message, uint32_t node,
                               tni_attr *out_attr, bool *out_present) {
    survey found = {.at = message.at};
    tni_bytes rest = message;
    tni_field field;
    uint32_t index = 0;
    *out_attr = (tni_attr){.kind = 0};
    *out_present = true;
    while (tni_wire_next(&in->wire, &rest, &field)) {
        survey_field(in, &found, &field);
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    if (found.name.size_bytes == 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.attribute-name", found.at,
                             "an attribute has no name");
    }
    if (found.reference.size_bytes > 0) {
        return follow_reference(in, &found, out_attr, out_present);
    }
    if (check_kind(in, &found, out_attr) != TN_OK || allocate(in, &found, out_attr) != TN_OK) {
        return in->wire.status;
    }
    rest = message;
    while (tni_wire_next(&in->wire, &rest, &field)) {
        if (found.field != 0 && field.number == found.field) {
            fill_value(in, &field, node, out_attr, &index);
        }
    }
    return in->wire.status;
}

static uint32_t count_fields(tni_importer *in, tni_bytes message, uint32_t number) {
    tni_field field;
    uint32_t count = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        count += field.number == number ? 1 : 0;
    }
    return count;
}

static bool has_name(const tni_attr *attrs, uint32_t count, tn_string name) {
    for (uint32_t i = 0; i < count; i++) {
        if (tni_string_equal(attrs[i].name, name)) {
            return true;
        }
    }
    return false;
}

tn_status tni_import_attributes(tni_importer *in, tni_bytes node_message, uint32_t node,
                                tni_attr **out_attrs, uint32_t *out_count) {
    const uint32_t capacity = count_fields(in, node_message, 5);
    tni_field field;
    uint32_t index = 0;
    *out_attrs = NULL;
    *out_count = 0;
    // A few per op exist; the bound keeps the search for duplicates from going quadratic.
    if (capacity > 1024) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.node-attributes",
                             node_message.at, "%u attributes on one node", capacity);
    }
    const tn_status status =
        tni_arena_array(&in->model->arena, capacity, sizeof **out_attrs, 8, (void **)out_attrs);
    if (status != TN_OK) {
        return tni_import_plain(in, status, node_message.at, "attributes");
    }
    while (tni_wire_next(&in->wire, &node_message, &field)) {
        tni_attr attr;
        bool present = false;
        if (field.number != 5 || !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES) ||
            tni_import_count(in, &in->attributes, in->limits.attributes, "onnx.too-many-attributes",
                             field.at) != TN_OK) {
            continue;
        }
        tni_wire_enter(&in->wire, "attribute", index++);
        if (tni_import_attribute(in, field.bytes, node, &attr, &present) != TN_OK) {
            return in->wire.status;
        }
        if (present && has_name(*out_attrs, *out_count, attr.name)) {
            return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.duplicate-attribute",
                                 field.at, "attribute '%.*s' twice", TNI_TEXT(attr.name));
        }
        if (present) {
            (*out_attrs)[(*out_count)++] = attr;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}
