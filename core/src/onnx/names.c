// SPDX-License-Identifier: Apache-2.0
// Names and scopes of an import, and the limits it counts against.
#include "onnx/importer.h"

tn_status tni_import_plain(tni_importer *in, tn_status status, const uint8_t *at,
                           const char *what) {
    if (status == TN_ERROR_LIMIT_EXCEEDED) {
        return tni_wire_fail(&in->wire, status, "onnx.memory-limit", at,
                             "%s: the model's own memory is above the limit of %llu bytes", what,
                             (unsigned long long)in->limits.arena_bytes);
    }
    return tni_wire_fail(&in->wire, status, "base.out-of-memory", at, "%s: %s", what,
                         tni_status_name(status));
}

tn_status tni_import_count(tni_importer *in, uint64_t *inout_count, uint64_t limit, const char *id,
                           const uint8_t *at) {
    if (*inout_count >= limit) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, id, at, "more than %llu",
                             (unsigned long long)limit);
    }
    (*inout_count)++;
    return in->wire.status;
}

tn_status tni_import_name(tni_importer *in, const tni_field *field, tn_string *out_name) {
    *out_name = (tn_string){NULL, 0};
    if (!tni_wire_expect(&in->wire, field, TNI_WIRE_BYTES)) {
        return in->wire.status;
    }
    const tn_string name = tni_field_text(field);
    if (name.size_bytes > in->limits.name_bytes) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.name-too-long", field->at,
                             "a name of %llu bytes, the limit is %u",
                             (unsigned long long)name.size_bytes, in->limits.name_bytes);
    }
    if (!tni_utf8_valid(name)) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.bad-utf8", field->at,
                             "a name is not UTF-8");
    }
    *out_name = name;
    return TN_OK;
}

tn_string tni_import_domain(tn_string domain) {
    return tni_string_is(domain, "ai.onnx") ? TNI_LITERAL("") : domain;
}

void tni_scope_init(tni_scope *scope, const tni_importer *in, tni_scope *parent) {
    scope->parent = parent;
    tni_map_init(&scope->names, &in->model->alloc);
}

void tni_scope_deinit(tni_scope *scope) {
    tni_map_deinit(&scope->names);
}

bool tni_scope_find_local(const tni_scope *scope, tn_string name, uint32_t *out_value) {
    return tni_map_find(&scope->names, name, out_value);
}

bool tni_scope_find(const tni_scope *scope, tn_string name, uint32_t *out_value) {
    for (; scope != NULL; scope = scope->parent) {
        if (tni_map_find(&scope->names, name, out_value)) {
            return true;
        }
    }
    return false;
}

tn_status tni_scope_define(tni_importer *in, tn_string name, uint32_t value, const uint8_t *at) {
    uint32_t earlier = TN_NONE;
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    if (tni_scope_find_local(in->scope, name, &earlier)) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.duplicate-name", at,
                             "'%.*s' is defined twice", TNI_TEXT(name));
    }
    const tn_status status = tni_map_set(&in->scope->names, name, value);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, at, "names");
}
