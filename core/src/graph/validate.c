// SPDX-License-Identifier: Apache-2.0
// Checks the invariants of a model. Import and every rewrite must leave them true.
#include "base/error.h"
#include "graph/graph.h"

typedef struct {
    const tni_model *model;
    uint8_t *ready;   // per value: computed before this point, in this graph or an enclosing one
    uint8_t *visited; // per node
    tn_error *error;
} checking;

static tn_status bad(const checking *c, const char *id, uint32_t node, uint32_t value,
                     const char *what) {
    return tni_fail_node(c->error, TN_ERROR_INVALID_DATA, id, node, value, "node %d, value %d: %s",
                         (int)node, (int)value, what);
}

static tn_status check_graph(checking *c, uint32_t graph);

static tn_status check_bodies(checking *c, const tni_node *node, uint32_t id) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        if (attr->kind != TN_ATTR_GRAPH && attr->kind != TN_ATTR_GRAPHS) {
            continue;
        }
        for (uint32_t k = 0; k < attr->count; k++) {
            const uint32_t graph = attr->indices[k];
            if (graph == 0 || graph >= c->model->graph_count ||
                c->model->graphs[graph].parent_node != id) {
                return bad(c, "model.bad-body", id, TN_NONE, "its body is not a graph of its own");
            }
            const tn_status status = check_graph(c, graph);
            if (status != TN_OK) {
                return status;
            }
        }
    }
    return node->expansion == TN_NONE ? TN_OK : check_graph(c, node->expansion);
}

static tn_status check_read(const checking *c, uint32_t node, uint32_t value) {
    if (value == TN_NONE) {
        return TN_OK;
    }
    if (value >= c->model->value_count) {
        return bad(c, "model.bad-value", node, value, "no such value");
    }
    if (c->model->values[value].constant == TN_NONE && c->ready[value] == 0) {
        return bad(c, "model.not-sorted", node, value, "read before it is computed");
    }
    return TN_OK;
}

static tn_status check_node(checking *c, uint32_t graph, uint32_t id) {
    const tni_node *node = &c->model->nodes[id];
    if (node->removed || node->graph != graph || c->visited[id]++ != 0) {
        return bad(c, "model.bad-node", id, TN_NONE, "removed, listed twice, or of another graph");
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        const tn_status status = check_read(c, id, node->inputs[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    const tn_status status = check_bodies(c, node, id);
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        const uint32_t value = node->outputs[i];
        if (value == TN_NONE) {
            continue;
        }
        if (value >= c->model->value_count || c->ready[value]++ != 0 ||
            c->model->values[value].producer != id) {
            return bad(c, "model.bad-output", id, value, "unknown, or produced twice");
        }
    }
    return status;
}

static tn_status check_graph(checking *c, uint32_t graph) {
    const tni_graph *record = &c->model->graphs[graph];
    for (uint32_t i = 0; i < record->input_count; i++) {
        const uint32_t value = record->inputs[i];
        if (value == TN_NONE && record->is_expansion) {
            continue;
        }
        if (value >= c->model->value_count || c->ready[value]++ != 0 ||
            c->model->values[value].producer != TN_NONE) {
            return bad(c, "model.bad-input", record->parent_node, value, "not a free graph input");
        }
    }
    for (uint32_t i = 0; i < record->node_count; i++) {
        if (record->nodes[i] >= c->model->node_count) {
            return bad(c, "model.bad-node", record->nodes[i], TN_NONE, "no such node");
        }
        const tn_status status = check_node(c, graph, record->nodes[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    for (uint32_t i = 0; i < record->output_count; i++) {
        const tn_status status = check_read(c, record->parent_node, record->outputs[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

tn_status tni_model_validate(const tni_model *model, tn_error *error) {
    checking c = {.model = model, .error = error};
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    const uint64_t value_count = (uint64_t)model->value_count + 1;
    const uint64_t node_count = (uint64_t)model->node_count + 1;
    c.ready = tni_alloc_array(&model->alloc, value_count, 1);
    c.visited = tni_alloc_array(&model->alloc, node_count, 1);
    if (c.ready == NULL || c.visited == NULL) {
        status = tni_fail_plain(error, status, "model check");
    } else {
        status = check_graph(&c, 0);
    }
    tni_free_array(&model->alloc, c.visited, node_count, 1);
    tni_free_array(&model->alloc, c.ready, value_count, 1);
    return status;
}
