// SPDX-License-Identifier: Apache-2.0
// Walks both models at once and notes which value of one stands for which of the other.
#include "support/model_compare.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct comparison {
    const tni_model *a;
    const tni_model *b;
    uint32_t *partner; // per value of a: the value of b, or TN_NONE
    char *text;
    size_t capacity;
} comparison;

static bool differ(const comparison *c, const char *format, ...) TNI_PRINTF(2, 3);
static bool differ(const comparison *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, c->capacity, format, args);
    va_end(args);
    return false;
}

static bool same_text(const comparison *c, const char *what, tn_string a, tn_string b) {
    return tni_string_equal(a, b) ||
           differ(c, "%s '%.*s' and '%.*s'", what, TNI_TEXT(a), TNI_TEXT(b));
}

static bool same_number(const comparison *c, const char *what, int64_t a, int64_t b) {
    return a == b || differ(c, "%s %lld and %lld", what, (long long)a, (long long)b);
}

static bool same_bytes(const comparison *c, uint32_t a, uint32_t b, uint64_t size_bytes) {
    static uint8_t left[4096];
    static uint8_t right[4096];
    for (uint64_t at = 0; at < size_bytes; at += sizeof left) {
        const uint64_t rest = size_bytes - at;
        const uint64_t piece = rest < sizeof left ? rest : sizeof left;
        if (tni_constant_read(c->a, a, at, piece, left, NULL) != TN_OK ||
            tni_constant_read(c->b, b, at, piece, right, NULL) != TN_OK ||
            memcmp(left, right, (size_t)piece) != 0) {
            return differ(c, "bytes of constant %u at %llu", a, (unsigned long long)at);
        }
    }
    return true;
}

static bool same_constant(const comparison *c, uint32_t a, uint32_t b) {
    const tni_constant *left = &c->a->constants[a];
    const tni_constant *right = &c->b->constants[b];
    if (!same_number(c, "type of constant", left->dtype, right->dtype) ||
        !same_number(c, "rank of constant", left->rank, right->rank) ||
        !same_number(c, "size of constant", (int64_t)left->size_bytes,
                     (int64_t)right->size_bytes)) {
        return false;
    }
    for (uint32_t i = 0; i < left->rank; i++) {
        if (!same_number(c, "dim of constant", left->dims[i], right->dims[i])) {
            return false;
        }
    }
    return same_bytes(c, a, b, left->size_bytes);
}

static bool same_dim(const comparison *c, tn_graph_dim a, tn_graph_dim b) {
    static const tn_string none = {"", 0};
    const tn_string left = a.symbol == TN_NONE ? none : c->a->symbols[a.symbol].name;
    const tn_string right = b.symbol == TN_NONE ? none : c->b->symbols[b.symbol].name;
    return same_number(c, "dim", a.size, b.size) && same_text(c, "symbol", left, right);
}

static bool same_type(const comparison *c, const tni_value *a, const tni_value *b) {
    if (!same_number(c, "kind", a->kind, b->kind) || !same_number(c, "type", a->dtype, b->dtype)) {
        return false;
    }
    if (a->dtype == TN_DTYPE_UNDEFINED) {
        return true;
    }
    if (!same_number(c, "rank", a->rank, b->rank)) {
        return false;
    }
    for (uint32_t i = 0; a->rank != TN_RANK_UNKNOWN && i < a->rank; i++) {
        if (!same_dim(c, a->dims[i], b->dims[i])) {
            return false;
        }
    }
    return true;
}

// A use: both are absent, both are the same constant, or they were made at the same place.
static bool same_use(const comparison *c, uint32_t a, uint32_t b) {
    if (a == TN_NONE || b == TN_NONE) {
        return a == b || differ(c, "an absent operand");
    }
    const uint32_t left = c->a->values[a].constant;
    const uint32_t right = c->b->values[b].constant;
    if ((left == TN_NONE) != (right == TN_NONE)) {
        return differ(c, "value %u is a constant on one side", a);
    }
    if (left != TN_NONE) {
        return same_constant(c, left, right);
    }
    return c->partner[a] == b || differ(c, "value %u stands for %u, not %u", a, c->partner[a], b);
}

static bool pair_up(const comparison *c, uint32_t a, uint32_t b) {
    if (a == TN_NONE || b == TN_NONE) {
        return a == b || differ(c, "an absent output");
    }
    c->partner[a] = b;
    return same_type(c, &c->a->values[a], &c->b->values[b]) ||
           differ(c, "'%.*s': its type", TNI_TEXT(c->a->values[a].name));
}

static bool same_graph(const comparison *c, uint32_t a, uint32_t b);

static bool same_item(const comparison *c, const tni_attr *a, const tni_attr *b, uint32_t i) {
    switch (a->kind) {
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        return memcmp(&a->floats[i], &b->floats[i], sizeof a->floats[i]) == 0 ||
               differ(c, "a float");
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        return same_number(c, "an integer", a->ints[i], b->ints[i]);
    case TN_ATTR_STRING:
    case TN_ATTR_STRINGS:
        return same_text(c, "a text", a->texts[i], b->texts[i]);
    case TN_ATTR_TENSOR:
    case TN_ATTR_TENSORS:
        return same_constant(c, a->indices[i], b->indices[i]);
    case TN_ATTR_GRAPH:
    case TN_ATTR_GRAPHS:
        return same_graph(c, a->indices[i], b->indices[i]);
    default:
        return same_type(c, &c->a->values[a->indices[i]], &c->b->values[b->indices[i]]);
    }
}

static bool same_attr(const comparison *c, const tni_attr *a, const tni_attr *b) {
    if (!same_text(c, "attribute", a->name, b->name) ||
        !same_number(c, "kind of attribute", a->kind, b->kind) ||
        !same_number(c, "items of attribute", a->count, b->count)) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!same_item(c, a, b, i)) {
            return false;
        }
    }
    return true;
}

static bool same_node(const comparison *c, const tni_node *a, const tni_node *b) {
    bool same = same_text(c, "op", a->op_type, b->op_type) &&
                same_text(c, "domain", a->domain, b->domain) &&
                same_text(c, "name", a->name, b->name) &&
                same_number(c, "version", a->since_version, b->since_version) &&
                same_number(c, "flags", a->flags, b->flags) &&
                same_number(c, "inputs", a->input_count, b->input_count) &&
                same_number(c, "outputs", a->output_count, b->output_count) &&
                same_number(c, "attributes", a->attr_count, b->attr_count);
    for (uint32_t i = 0; same && i < a->input_count; i++) {
        same = same_use(c, a->inputs[i], b->inputs[i]);
    }
    for (uint32_t i = 0; same && i < a->attr_count; i++) {
        same = same_attr(c, &a->attrs[i], &b->attrs[i]);
    }
    for (uint32_t i = 0; same && i < a->output_count; i++) {
        same = pair_up(c, a->outputs[i], b->outputs[i]);
    }
    return same;
}

static bool same_graph(const comparison *c, uint32_t a, uint32_t b) {
    const tni_graph *left = &c->a->graphs[a];
    const tni_graph *right = &c->b->graphs[b];
    bool same = same_text(c, "graph", left->name, right->name) &&
                same_number(c, "graph inputs", left->input_count, right->input_count) &&
                same_number(c, "graph outputs", left->output_count, right->output_count) &&
                same_number(c, "graph nodes", left->node_count, right->node_count);
    for (uint32_t i = 0; same && i < left->input_count; i++) {
        const tni_value *x = &c->a->values[left->inputs[i]];
        const tni_value *y = &c->b->values[right->inputs[i]];
        same = pair_up(c, left->inputs[i], right->inputs[i]) &&
               (a != 0 || same_text(c, "input", x->name, y->name));
    }
    for (uint32_t i = 0; same && i < left->node_count; i++) {
        same = same_node(c, &c->a->nodes[left->nodes[i]], &c->b->nodes[right->nodes[i]]);
    }
    for (uint32_t i = 0; same && i < left->output_count; i++) {
        same = same_use(c, left->outputs[i], right->outputs[i]) &&
               (a != 0 || same_text(c, "output", left->output_names[i], right->output_names[i]));
    }
    return same;
}

static bool same_header(const comparison *c) {
    bool same = same_text(c, "producer", c->a->producer_name, c->b->producer_name) &&
                same_number(c, "model version", c->a->model_version, c->b->model_version) &&
                same_number(c, "metadata", c->a->metadata_count, c->b->metadata_count);
    for (uint32_t i = 0; same && i < c->a->metadata_count; i++) {
        same = same_text(c, "key", c->a->metadata[i].key, c->b->metadata[i].key) &&
               same_text(c, "value", c->a->metadata[i].value, c->b->metadata[i].value);
    }
    return same;
}

bool models_equal(const tni_model *a, const tni_model *b, char *text, size_t capacity) {
    comparison c = {.a = a, .b = b, .text = text, .capacity = capacity};
    text[0] = '\0';
    c.partner = calloc((size_t)a->value_count + 1, sizeof *c.partner);
    if (c.partner == NULL) {
        return differ(&c, "no memory");
    }
    memset(c.partner, 0xff, a->value_count * sizeof *c.partner);
    const bool same = same_header(&c) && same_graph(&c, 0, 0);
    free(c.partner);
    return same;
}
