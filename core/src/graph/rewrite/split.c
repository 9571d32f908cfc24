// SPDX-License-Identifier: Apache-2.0
// Copies of a DequantizeLinear that several nodes read, so that each can be in a group (quantised
// operands, an op, a quantised result) of its own. See rewrite.h.
#include "graph/rewrite/rewrite_internal.h"

#include "base/error.h"

// The graph's list as it becomes: a copy lies before the node that reads it.
typedef struct {
    tni_model *model;
    const tni_map *wanted;
    uint32_t *uses; // per value that there was: reads that are left to the original
    uint32_t use_count;
    uint32_t *list;
    uint32_t count, capacity;
} splitting;

static tn_status push(splitting *s, uint32_t node) {
    void *list = s->list;
    const tn_status status =
        tni_grow(&s->model->alloc, &list, &s->capacity, (uint64_t)s->count + 1, sizeof *s->list);
    s->list = list;
    if (status == TN_OK) {
        s->list[s->count++] = node;
    }
    return status;
}

static uint32_t reads_of(const tni_node *node, uint32_t value) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        count += node->inputs[i] == value;
    }
    return count;
}

// Whether the reader is to have a copy of what makes the value, which somebody else reads too. In
// a function's call, both have to be inside, so that the call stays in one piece.
static bool wants_copy(const splitting *s, uint32_t reader, uint32_t value) {
    const tni_model *model = s->model;
    const tni_node *node = &model->nodes[reader];
    if (value == TN_NONE || value >= s->use_count || model->values[value].producer == TN_NONE) {
        return false;
    }
    const uint32_t maker = model->values[value].producer;
    uint32_t found = 0;
    return tni_node_is(&model->nodes[maker], "DequantizeLinear") &&
           model->nodes[maker].graph == node->graph && model->nodes[maker].call == node->call &&
           s->uses[value] > reads_of(node, value) &&
           (s->wanted == NULL ||
            tni_map_find_u64(s->wanted, tni_reader_key(maker, reader), &found));
}

static tn_status copy_maker(splitting *s, uint32_t value, uint32_t *out_copy) {
    tni_model *model = s->model;
    const uint32_t maker = model->values[value].producer;
    const tni_node node = model->nodes[maker];
    tn_status status = tni_model_add_value(model, node.graph, model->values[value].name, out_copy);
    if (status != TN_OK) {
        return status;
    }
    tni_value *copy = &model->values[*out_copy];
    copy->kind = model->values[value].kind;
    copy->dtype = model->values[value].dtype;
    copy->rank = model->values[value].rank;
    copy->dims = model->values[value].dims;
    const tni_node_info info = {.graph = node.graph,
                                .domain = node.domain,
                                .op_type = node.op_type,
                                .name = node.name,
                                .since_version = node.since_version,
                                .flags = node.flags,
                                .input_count = node.input_count,
                                .output_count = 1,
                                .inputs = node.inputs,
                                .outputs = out_copy,
                                .attrs = node.attrs,
                                .attr_count = node.attr_count,
                                .source_id = node.source_id};
    uint32_t id = TN_NONE;
    status = tni_model_add_node(model, &info, &id);
    if (status == TN_OK) {
        model->nodes[id].call = node.call;
        model->nodes[id].expanded_from = maker; // reports and pins speak of the one in the file
        status = push(s, id);
    }
    return status;
}

static tn_status split_for(splitting *s, uint32_t reader, bool *inout_changed) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->model->nodes[reader].input_count && status == TN_OK; i++) {
        const uint32_t value = s->model->nodes[reader].inputs[i];
        uint32_t copy = TN_NONE;
        if (!wants_copy(s, reader, value)) {
            continue;
        }
        status = copy_maker(s, value, &copy);
        tni_node *node = &s->model->nodes[reader];
        s->uses[value] -= reads_of(node, value);
        for (uint32_t k = i; k < node->input_count && status == TN_OK; k++) {
            node->inputs[k] = node->inputs[k] == value ? copy : node->inputs[k];
        }
        *inout_changed = true;
    }
    return status;
}

static tn_status split_graph(splitting *s, uint32_t g, bool *inout_changed) {
    const uint32_t count = s->model->graphs[g].node_count;
    tn_status status = TN_OK;
    s->list = NULL;
    s->count = s->capacity = 0;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        const uint32_t reader = s->model->graphs[g].nodes[i];
        status = split_for(s, reader, inout_changed);
        status = status == TN_OK ? push(s, reader) : status;
    }
    tni_graph *graph = &s->model->graphs[g];
    if (status == TN_OK && s->count > count) {
        tni_free_array(&s->model->alloc, graph->nodes, graph->node_capacity, sizeof *graph->nodes);
        graph->nodes = s->list;
        graph->node_count = s->count;
        graph->node_capacity = s->capacity;
    } else {
        tni_free_array(&s->model->alloc, s->list, s->capacity, sizeof *s->list);
    }
    return status;
}

tn_status tni_rewrite_split(tni_model *model, const tni_map *wanted, bool *inout_changed,
                            tn_error *error) {
    splitting s = {.model = model, .wanted = wanted};
    tn_status status = tni_count_uses(model, &s.uses, &s.use_count, error);
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t g = 0; g < model->graph_count && status == TN_OK; g++) {
        const tni_graph *graph = &model->graphs[g];
        if (!graph->removed && !graph->is_expansion && !graph->is_form) {
            status = split_graph(&s, g, inout_changed);
        }
    }
    tni_free_array(&model->alloc, s.uses, (uint64_t)s.use_count + 1, sizeof *s.uses);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "copies of DequantizeLinear");
}
