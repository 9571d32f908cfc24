// SPDX-License-Identifier: Apache-2.0
// Look-up in the sorted table of op forms.
#include "graph/schema/schema.h"

#include "base/string.h"
#include "graph/schema/schema_table.h"

#include <string.h>

static tn_string canonical(tn_string domain) {
    return tni_string_is(domain, "ai.onnx") ? TNI_LITERAL("") : domain;
}

static int compare(const tni_schema *row, tn_string domain, tn_string op_type) {
    const int order = tni_string_compare(tni_string_of(row->domain), domain);
    return order != 0 ? order : tni_string_compare(tni_string_of(row->op_type), op_type);
}

// The first row not below (domain, op_type).
static uint32_t lower_bound(tn_string domain, tn_string op_type) {
    uint32_t begin = 0;
    uint32_t end = tni_schema_row_count;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (compare(&tni_schema_rows[middle], domain, op_type) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

const tni_schema *tni_schema_find(tn_string domain, tn_string op_type, uint32_t opset_version) {
    const tni_schema *found = NULL;
    domain = canonical(domain);
    for (uint32_t i = lower_bound(domain, op_type); i < tni_schema_row_count; i++) {
        const tni_schema *row = &tni_schema_rows[i];
        if (row->since_version > opset_version || compare(row, domain, op_type) != 0) {
            break;
        }
        found = row;
    }
    return found;
}

uint32_t tni_schema_since_version(tn_string domain, tn_string op_type, uint32_t opset_version) {
    const tni_schema *schema = tni_schema_find(domain, op_type, opset_version);
    return schema != NULL ? schema->since_version : 0;
}

static bool same_op(const tni_schema *a, const tni_schema *b) {
    return strcmp(a->domain, b->domain) == 0 && strcmp(a->op_type, b->op_type) == 0;
}

const tni_schema *tni_schema_newer(const tni_schema *row) {
    const tni_schema *next = row + 1;
    return next < tni_schema_rows + tni_schema_row_count && same_op(row, next) ? next : NULL;
}

const tni_schema *tni_schema_older(const tni_schema *row) {
    return row > tni_schema_rows && same_op(row, row - 1) ? row - 1 : NULL;
}

const tni_schema_attr *tni_schema_find_attr(const tni_schema *row, tn_string name) {
    for (uint32_t i = 0; i < row->attr_count; i++) {
        if (tni_string_is(name, row->attrs[i].name)) {
            return &row->attrs[i];
        }
    }
    return NULL;
}

static uint32_t types_at(const tni_schema *row, uint32_t first, uint32_t count, uint32_t index) {
    return count == 0 ? 0 : row->types[first + (index < count ? index : count - 1)];
}

uint32_t tni_schema_input_types(const tni_schema *row, uint32_t index) {
    return types_at(row, 0, row->formal_inputs, index);
}

uint32_t tni_schema_output_types(const tni_schema *row, uint32_t index) {
    return types_at(row, row->formal_inputs, row->formal_outputs, index);
}

bool tni_schema_op_known(tn_string domain, tn_string op_type) {
    domain = canonical(domain);
    const uint32_t at = lower_bound(domain, op_type);
    return at < tni_schema_row_count && compare(&tni_schema_rows[at], domain, op_type) == 0;
}

bool tni_schema_domain_known(tn_string domain) {
    domain = canonical(domain);
    const uint32_t at = lower_bound(domain, TNI_LITERAL(""));
    return at < tni_schema_row_count &&
           tni_string_equal(tni_string_of(tni_schema_rows[at].domain), domain);
}

uint32_t tni_schema_newest_opset(void) {
    return tni_schema_newest;
}
