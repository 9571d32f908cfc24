// SPDX-License-Identifier: Apache-2.0
// Putting the nodes of an expansion in the place of their function op, or of the node that stood
// for a call. See rewrite.h.
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

bool tni_expansion_fits_in_place(const tni_model *model, uint32_t node) {
    const tni_node *record = &model->nodes[node];
    if (record->expansion == TN_NONE || record->removed) {
        return false;
    }
    if (record->called != TN_NONE) {
        return true; // its nodes came from there
    }
    const tni_graph *expansion = &model->graphs[record->expansion];
    for (uint32_t i = 0; i < expansion->node_count; i++) {
        // Bodies may capture formal values, which are about to go.
        if (tni_node_has_bodies(&model->nodes[expansion->nodes[i]])) {
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

// What stands in the outer graph for the formal values of an expansion.
static tn_status map_formals(const tni_model *model, const tni_node *node, tni_map *actual_of) {
    const tni_graph *expansion = &model->graphs[node->expansion];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < expansion->input_count && status == TN_OK; i++) {
        if (expansion->inputs[i] != TN_NONE) {
            status = tni_map_set_u64(actual_of, expansion->inputs[i], tni_node_input(node, i));
        }
    }
    for (uint32_t i = 0; i < expansion->output_count && status == TN_OK; i++) {
        const uint32_t actual = tni_node_output(node, i);
        if (expansion->outputs[i] != TN_NONE && actual != TN_NONE) {
            status = tni_map_set_u64(actual_of, expansion->outputs[i], actual);
        }
    }
    return status;
}

static void move_operands(tni_model *model, const tni_node *node, const tni_map *actual_of,
                          uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t actual = ids[i];
        ids[i] = tni_map_find_u64(actual_of, ids[i], &actual) ? actual : ids[i];
        if (ids[i] != TN_NONE && model->values[ids[i]].graph == node->expansion) {
            model->values[ids[i]].graph = node->graph;
        }
    }
}

static void move_node(tni_model *model, uint32_t origin, const tni_map *actual_of, uint32_t id) {
    const tni_node *node = &model->nodes[origin];
    tni_node *moved = &model->nodes[id];
    move_operands(model, node, actual_of, moved->inputs, moved->input_count);
    move_operands(model, node, actual_of, moved->outputs, moved->output_count);
    for (uint32_t i = 0; i < moved->output_count; i++) {
        if (moved->outputs[i] != TN_NONE) {
            model->values[moved->outputs[i]].producer = id;
        }
    }
    moved->graph = node->graph;
    moved->form = TN_NONE; // forms refer to the formal values; they are made again
    if (node->called == TN_NONE) {
        moved->expanded_from = origin;
        moved->call = node->call;
    }
}

// The node's list entry is replaced by splice, when all are done.
static tn_status give_place(tni_model *model, uint32_t id) {
    tni_node *node = &model->nodes[id];
    const tni_graph *expansion = &model->graphs[node->expansion];
    tni_map actual_of;
    tni_map_init(&actual_of, &model->alloc);
    const tn_status status = map_formals(model, node, &actual_of);
    for (uint32_t i = 0; i < expansion->node_count && status == TN_OK; i++) {
        move_node(model, id, &actual_of, expansion->nodes[i]);
    }
    node->removed = true;
    tni_map_deinit(&actual_of);
    return status;
}

// The nodes of the graph's list, with those of the expansions that took a place in it. A null list
// counts them.
static uint32_t list_nodes(const tni_model *model, const tni_graph *graph, uint32_t *out_list) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const tni_node *node = &model->nodes[graph->nodes[i]];
        const tni_graph *expansion = node->removed ? &model->graphs[node->expansion] : NULL;
        const uint32_t added = expansion != NULL ? expansion->node_count : 1;
        if (out_list != NULL) {
            memcpy(out_list + count, expansion != NULL ? expansion->nodes : &graph->nodes[i],
                   added * sizeof *out_list);
        }
        count += added;
    }
    return count;
}

static tn_status splice(tni_model *model, tni_graph *graph) {
    const uint32_t count = list_nodes(model, graph, NULL);
    uint32_t *list = tni_alloc_array(&model->alloc, (uint64_t)count + 1, sizeof *list);
    if (list == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    (void)list_nodes(model, graph, list);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        tni_node *node = &model->nodes[graph->nodes[i]];
        if (node->removed) {
            model->graphs[node->expansion].removed = true;
            model->graphs[node->expansion].node_count = 0;
            node->expansion = TN_NONE;
        }
    }
    tni_free_array(&model->alloc, graph->nodes, graph->node_capacity, sizeof *graph->nodes);
    graph->nodes = list;
    graph->node_count = count;
    graph->node_capacity = count + 1;
    return TN_OK;
}

static bool lists_removed(const tni_model *model, const tni_graph *graph) {
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (model->nodes[graph->nodes[i]].removed) {
            return true;
        }
    }
    return false;
}

tn_status tni_model_expand_refused(tni_model *model, bool *out_changed, tn_error *error) {
    tn_status status = TN_OK;
    *out_changed = false;
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        if (model->nodes[i].refused && tni_expansion_fits_in_place(model, i)) {
            status = give_place(model, i);
            *out_changed = true;
        }
        model->nodes[i].refused = false;
    }
    for (uint32_t g = 0; g < model->graph_count && *out_changed && status == TN_OK; g++) {
        if (!model->graphs[g].removed && lists_removed(model, &model->graphs[g])) {
            status = splice(model, &model->graphs[g]);
        }
    }
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "expansion in place");
    }
    if (*out_changed) {
        bool more = false;
        status = tni_rewrite_expand(model, &more, error);
    }
    return status == TN_OK && *out_changed ? tni_shapes_infer(model, error) : status;
}
