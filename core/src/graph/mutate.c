// SPDX-License-Identifier: Apache-2.0
// Changing a model: noted replacements and removals, and the sweep that applies them.
#include "graph/graph.h"

#include "graph/schema/schema.h"

#include <assert.h>

uint32_t tni_model_resolve(const tni_model *model, uint32_t value) {
    while (value != TN_NONE && model->values[value].replaced_by != TN_NONE) {
        value = model->values[value].replaced_by;
    }
    return value;
}

void tni_model_replace_uses(tni_model *model, uint32_t from, uint32_t to) {
    const uint32_t target = tni_model_resolve(model, to);
    assert(model->values[from].replaced_by == TN_NONE);
    // Replacing by the resolved value keeps chains short when nodes are visited in order.
    if (from != target) {
        model->values[from].replaced_by = target;
    }
}

static void remove_graph(tni_model *model, uint32_t graph);

void tni_model_remove_node(tni_model *model, uint32_t node) {
    tni_node *record = &model->nodes[node];
    if (record->removed) {
        return;
    }
    record->removed = true;
    if (record->expansion != TN_NONE) {
        remove_graph(model, record->expansion);
    }
    for (uint32_t i = 0; i < record->attr_count; i++) {
        const tni_attr *attr = &record->attrs[i];
        const bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count; k++) {
            remove_graph(model, attr->indices[k]);
        }
    }
}

// Bodies nest no deeper than the import's limit, so recursion is bounded.
static void remove_graph(tni_model *model, uint32_t graph) {
    tni_graph *record = &model->graphs[graph];
    record->removed = true;
    for (uint32_t i = 0; i < record->node_count; i++) {
        tni_model_remove_node(model, record->nodes[i]);
    }
}

void tni_model_cross_calls(tni_model *model, uint32_t from, uint32_t to) {
    // Callers come first: of two different calls, the later one cannot hold the other.
    while (from != to) {
        uint32_t *inner = from == TN_NONE || (to != TN_NONE && to > from) ? &to : &from;
        model->calls[*inner].changed = true;
        *inner = model->calls[*inner].caller;
    }
}

static void resolve_all(tni_model *model, uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = tni_model_resolve(model, ids[i]);
    }
}

static bool node_is_used(const tni_node *node, const uint8_t *used) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != TN_NONE && used[node->outputs[i]] != 0) {
            return true;
        }
    }
    return false;
}

static void mark(uint8_t *used, const uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] != TN_NONE) {
            used[ids[i]] = 1;
        }
    }
}

static void mark_graph(tni_model *model, uint32_t graph, uint8_t *used);

// Marks what a live node reads: its operands, and whatever its bodies capture.
static void mark_node(tni_model *model, const tni_node *node, uint8_t *used) {
    mark(used, node->inputs, node->input_count);
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        const bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count; k++) {
            mark_graph(model, attr->indices[k], used);
        }
    }
    if (node->expansion != TN_NONE) {
        mark_graph(model, node->expansion, used);
    }
}

// From the last node to the first, so that a chain of dead nodes dies in one sweep.
static void mark_graph(tni_model *model, uint32_t graph, uint8_t *used) {
    tni_graph *record = &model->graphs[graph];
    mark(used, record->outputs, record->output_count);
    for (uint32_t i = record->node_count; i-- > 0;) {
        const uint32_t id = record->nodes[i];
        tni_node *node = &model->nodes[id];
        if (node->removed) {
            continue;
        }
        if (node_is_used(node, used)) {
            mark_node(model, node, used);
        } else {
            tni_model_remove_node(model, id);
        }
    }
}

static void drop_removed(tni_model *model, tni_graph *graph) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!model->nodes[graph->nodes[i]].removed) {
            graph->nodes[kept++] = graph->nodes[i];
        }
    }
    graph->node_count = kept;
}

void tni_model_compact(tni_model *model) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        resolve_all(model, model->nodes[i].inputs, model->nodes[i].input_count);
    }
    for (uint32_t i = 0; i < model->graph_count; i++) {
        resolve_all(model, model->graphs[i].outputs, model->graphs[i].output_count);
    }
    // Dead nodes are a matter of tidiness: without memory for the marks they stay.
    uint8_t *used = tni_alloc_array(&model->alloc, model->value_count, 1);
    if (used != NULL) {
        mark_graph(model, 0, used);
    }
    tni_free_array(&model->alloc, used, model->value_count, 1);
    for (uint32_t i = 0; i < model->graph_count; i++) {
        drop_removed(model, &model->graphs[i]);
    }
}

static tn_status add_identity(tni_model *model, uint32_t output_index, tn_string name) {
    const uint32_t from = model->graphs[0].outputs[output_index];
    const uint32_t opset = tni_model_opset(model, TNI_LITERAL(""));
    uint32_t to = TN_NONE;
    uint32_t node = TN_NONE;
    tn_status status = tni_model_add_value(model, 0, name, &to);
    if (status != TN_OK) {
        return status;
    }
    const tni_value *source = &model->values[from];
    model->values[to].kind = source->kind;
    model->values[to].dtype = source->dtype;
    model->values[to].rank = source->rank;
    model->values[to].dims = source->dims;
    const tni_node_info info = {
        .op_type = TNI_LITERAL("Identity"),
        .name = name,
        .since_version = tni_schema_since_version(TNI_LITERAL(""), TNI_LITERAL("Identity"), opset),
        .input_count = 1,
        .output_count = 1,
        .inputs = &from,
        .outputs = &to,
        .source_id = UINT64_MAX - output_index,
    };
    status = tni_model_add_node(model, &info, &node);
    if (status == TN_OK) {
        model->graphs[0].outputs[output_index] = to;
    }
    return status;
}

tn_status tni_model_normalise_outputs(tni_model *model) {
    tni_map seen;
    tn_status status = TN_OK;
    tni_map_init(&seen, &model->alloc);
    for (uint32_t i = 0; i < model->graphs[0].output_count && status == TN_OK; i++) {
        const uint32_t value = model->graphs[0].outputs[i];
        const tn_string name = model->graphs[0].output_names[i];
        uint32_t earlier = 0;
        if (model->values[value].producer == TN_NONE || tni_map_find_u64(&seen, value, &earlier)) {
            status = add_identity(model, i, name);
        } else {
            model->values[value].name = name;
            status = tni_map_set_u64(&seen, value, i);
        }
    }
    tni_map_deinit(&seen);
    return status;
}
