// SPDX-License-Identifier: Apache-2.0
// The shape of Einsum: every letter of the equation is a size.
#include "graph/shape/infer.h"

#include <string.h>

// Letters of both cases, then the dimensions of an ellipsis, counted from the last.
#define LETTERS 52u
#define MAX_LABELS (LETTERS + TN_MAX_RANK)

typedef struct {
    tn_graph_dim sizes[MAX_LABELS];
    uint32_t seen[MAX_LABELS];
    uint32_t ellipsis_rank;
} equation;

typedef struct {
    uint32_t count;
    uint32_t labels[TN_MAX_RANK];
    uint32_t ellipsis_at; // TN_NONE: none
} term;

static bool letter(char c, uint32_t *out_label) {
    const bool upper = c >= 'A' && c <= 'Z';
    *out_label = (uint32_t)(upper ? c - 'A' : c - 'a' + 26);
    return upper || (c >= 'a' && c <= 'z');
}

// Reads a term and moves *inout_at to the comma, the arrow or the end behind it.
static bool read_term(tn_string text, uint64_t *inout_at, term *out) {
    *out = (term){.ellipsis_at = TN_NONE};
    uint64_t at = *inout_at;
    for (; at < text.size_bytes && text.data[at] != ',' && text.data[at] != '-'; at++) {
        uint32_t label = 0;
        if (text.data[at] == ' ') {
            continue;
        }
        if (text.data[at] == '.') {
            if (out->ellipsis_at != TN_NONE || at + 2 >= text.size_bytes ||
                text.data[at + 1] != '.' || text.data[at + 2] != '.') {
                return false;
            }
            out->ellipsis_at = out->count;
            at += 2;
            continue;
        }
        if (!letter(text.data[at], &label) || out->count == TN_MAX_RANK) {
            return false;
        }
        out->labels[out->count++] = label;
    }
    *inout_at = at;
    return true;
}

// What two operands say about the size of one label; a size of 1 is repeated.
static tn_status meet(tni_inference *in, uint32_t operand, equation *e, uint32_t label,
                      tn_graph_dim dim) {
    tn_graph_dim *size = &e->sizes[label];
    if (e->seen[label]++ == 0 || size->size == 1) {
        *size = dim;
    } else if (dim.size != 1 && tni_dim_differ(*size, dim)) {
        return tni_contradiction(in, operand, "shape.einsum", "sizes %lld and %lld have one letter",
                                 (long long)size->size, (long long)dim.size);
    } else if (size->size < 0 && dim.size > 1) {
        *size = dim;
    }
    return TN_OK;
}

static tn_status read_operand(tni_inference *in, uint32_t operand, const term *t, equation *e) {
    const tni_fact *fact = tni_in(in, operand);
    const bool has_ellipsis = t->ellipsis_at != TN_NONE;
    if (t->count > fact->rank || (!has_ellipsis && t->count != fact->rank)) {
        return tni_contradiction(in, operand, "shape.einsum", "%u letters for rank %u", t->count,
                                 fact->rank);
    }
    const uint32_t hidden = fact->rank - t->count;
    tn_status status = TN_OK;
    e->ellipsis_rank = hidden > e->ellipsis_rank ? hidden : e->ellipsis_rank;
    for (uint32_t axis = 0; axis < fact->rank && status == TN_OK; axis++) {
        uint32_t label;
        if (has_ellipsis && axis >= t->ellipsis_at && axis < t->ellipsis_at + hidden) {
            label = LETTERS + (t->ellipsis_at + hidden - 1 - axis);
        } else {
            label = t->labels[has_ellipsis && axis >= t->ellipsis_at ? axis - hidden : axis];
        }
        status = meet(in, operand, e, label, fact->dims[axis]);
    }
    return status;
}

// The labels of a result without an arrow: the ellipsis, then letters that occur once, in order.
static void implicit_term(const equation *e, term *out) {
    *out = (term){.ellipsis_at = 0};
    for (uint32_t label = 0; label < LETTERS; label++) {
        if (e->seen[label] == 1 && out->count < TN_MAX_RANK) {
            out->labels[out->count++] = label;
        }
    }
}

static tn_status state_result(tni_inference *in, const equation *e, const term *t) {
    tn_graph_dim dims[2 * TN_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = 0; i <= t->count; i++) {
        for (uint32_t k = e->ellipsis_rank; k-- > 0 && t->ellipsis_at == i;) {
            dims[rank++] = e->sizes[LETTERS + k];
        }
        if (i < t->count) {
            dims[rank++] = e->sizes[t->labels[i]];
        }
    }
    return tni_state(in, 0, tni_in_dtype(in, 0), rank, dims);
}

tn_status tni_rule_einsum(tni_inference *in) {
    const tn_string text = tni_node_text(in->node, "equation", "");
    equation e;
    term t;
    uint64_t at = 0;
    memset(&e, 0, sizeof e);
    for (uint32_t i = 0; i < in->node->input_count; i++) {
        if (!tni_in_ranked(in, i)) {
            return tni_state(in, 0, tni_in_dtype(in, 0), TN_RANK_UNKNOWN, NULL);
        }
    }
    for (uint32_t i = 0; i < in->node->input_count; i++) {
        const bool separated = i == 0 || (at < text.size_bytes && text.data[at] == ',');
        at += i == 0 ? 0 : 1;
        if (!separated || !read_term(text, &at, &t)) {
            return tni_contradiction(in, i, "shape.attribute", "the equation has no such operand");
        }
        const tn_status status = read_operand(in, i, &t, &e);
        if (status != TN_OK) {
            return status;
        }
    }
    if (at == text.size_bytes) {
        implicit_term(&e, &t);
        return state_result(in, &e, &t);
    }
    at += 2; // the arrow
    if (at > text.size_bytes || text.data[at - 2] != '-' || text.data[at - 1] != '>' ||
        !read_term(text, &at, &t) || at != text.size_bytes) {
        return tni_contradiction(in, 0, "shape.attribute", "the equation's result");
    }
    for (uint32_t i = 0; i < t.count; i++) {
        if (e.seen[t.labels[i]] == 0) {
            return tni_contradiction(in, 0, "shape.attribute", "a letter no operand has");
        }
    }
    return state_result(in, &e, &t);
}
