// SPDX-License-Identifier: Apache-2.0
// Putting the nodes of an expansion in the place of their function op. See rewrite.h.
#include "graph/rewrite/rewrite_internal.h"

#include "base/error.h"
#include "graph/shape/shape.h"

#include <string.h>

static uint32_t find_id(const uint32_t *ids, uint32_t count, uint32_t id) {
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return i;
        }
    }
    return TN_NONE;
}

static bool has_bodies(const tni_node *node) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tn_attr_kind kind = node->attrs[i].kind;
        if (kind == TN_ATTR_GRAPH || kind == TN_ATTR_GRAPHS) {
            return true;
        }
    }
    return false;
}

bool tni_expansion_fits_in_place(const tni_model *model, uint32_t node) {
    const tni_node *record = &model->nodes[node];
    if (record->expansion == TN_NONE || record->removed) {
        return false;
    }
    const tni_graph *expansion = &model->graphs[record->expansion];
    for (uint32_t i = 0; i < expansion->node_count; i++) {
        // Bodies may capture formal values, which are about to go.
        if (has_bodies(&model->nodes[expansion->nodes[i]])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < expansion->output_count; i++) {
        const uint32_t value = expansion->outputs[i];
        if (value != TN_NONE && (model->values[value].producer == TN_NONE ||
                                 find_id(expansion->outputs, i, value) != TN_NONE)) {
            return false;
        }
    }
    return expansion->node_count > 0;
}

// What stands in the outer graph for a value of the expansion.
static uint32_t actual_of(const tni_model *model, const tni_node *node, uint32_t value) {
    const tni_graph *expansion = &model->graphs[node->expansion];
    uint32_t at = find_id(expansion->inputs, expansion->input_count, value);
    if (value != TN_NONE && at != TN_NONE) {
        return tni_node_input(node, at);
    }
    at = find_id(expansion->outputs, expansion->output_count, value);
    const uint32_t output = at == TN_NONE ? TN_NONE : tni_node_output(node, at);
    return value != TN_NONE && output != TN_NONE ? output : value;
}

static void move_operands(tni_model *model, const tni_node *node, uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = actual_of(model, node, ids[i]);
        if (ids[i] != TN_NONE && model->values[ids[i]].graph == node->expansion) {
            model->values[ids[i]].graph = node->graph;
        }
    }
}

static void move_node(tni_model *model, const tni_node *node, uint32_t origin, uint32_t id) {
    tni_node *moved = &model->nodes[id];
    move_operands(model, node, moved->inputs, moved->input_count);
    move_operands(model, node, moved->outputs, moved->output_count);
    for (uint32_t i = 0; i < moved->output_count; i++) {
        if (moved->outputs[i] != TN_NONE) {
            model->values[moved->outputs[i]].producer = id;
        }
    }
    moved->graph = node->graph;
    moved->expanded_from = origin;
    moved->form = TN_NONE; // forms refer to the formal values; they are made again
}

tn_status tni_rewrite_inline(tni_model *model, uint32_t node, tn_error *error) {
    const tni_node record = model->nodes[node];
    tni_graph *outer = &model->graphs[record.graph];
    tni_graph *expansion = &model->graphs[record.expansion];
    const uint32_t added = expansion->node_count - 1;
    const uint32_t at = find_id(outer->nodes, outer->node_count, node);
    const tn_status status = tni_grow(&model->alloc, (void **)&outer->nodes, &outer->node_capacity,
                                      (uint64_t)outer->node_count + added, sizeof *outer->nodes);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "expansion in place");
    }
    memmove(outer->nodes + at + 1 + added, outer->nodes + at + 1,
            (outer->node_count - at - 1) * sizeof *outer->nodes);
    memcpy(outer->nodes + at, expansion->nodes, expansion->node_count * sizeof *outer->nodes);
    outer->node_count += added;
    for (uint32_t i = 0; i < expansion->node_count; i++) {
        move_node(model, &record, node, expansion->nodes[i]);
    }
    expansion->removed = true;
    expansion->node_count = 0;
    model->nodes[node].expansion = TN_NONE;
    model->nodes[node].removed = true;
    return TN_OK;
}

tn_status tni_model_expand_refused(tni_model *model, bool *out_changed, tn_error *error) {
    tn_status status = TN_OK;
    *out_changed = false;
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        if (model->nodes[i].refused && tni_expansion_fits_in_place(model, i)) {
            status = tni_rewrite_inline(model, i, error);
            *out_changed = true;
        }
        model->nodes[i].refused = false;
    }
    if (status == TN_OK && *out_changed) {
        bool more = false;
        status = tni_rewrite_expand(model, &more, error);
    }
    return status == TN_OK && *out_changed ? tni_shapes_infer(model, error) : status;
}
