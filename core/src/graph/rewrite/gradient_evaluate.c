// SPDX-License-Identifier: Apache-2.0
// Gradient at other values than those its attributes name: y is written once more, from the values
// that the node is given. See gradient_path.h.
#include "base/error.h"
#include "graph/builder.h"
#include "graph/rewrite/gradient_path.h"

#include <string.h>

typedef struct {
    tni_builder b;
    uint32_t value_count; // before
    uint32_t *twins;      // per value: what stands for it, or TN_NONE
    tn_error *error;
} evaluation;

static uint32_t twin_of(const evaluation *e, uint32_t value) {
    return value < e->value_count && e->twins[value] != TN_NONE ? e->twins[value] : value;
}

// A node once more, over the twins of its operands.
static void copy_node(evaluation *e, uint32_t id) {
    tni_builder *b = &e->b;
    const tni_node node = b->model->nodes[id];
    uint32_t *ids = NULL;
    uint32_t copy = TN_NONE;
    if (tni_node_has_bodies(&node)) {
        b->status = tni_fail_node(e->error, TN_ERROR_UNSUPPORTED, "gradient.no-rule", id, TN_NONE,
                                  "Gradient through node '%.*s' (%.*s): it has bodies",
                                  TNI_TEXT(node.name), TNI_TEXT(node.op_type));
        return;
    }
    b->status = tni_arena_array(&b->model->arena, (uint64_t)node.input_count + node.output_count,
                                sizeof *ids, sizeof *ids, (void **)&ids);
    for (uint32_t i = 0; i < node.input_count && b->status == TN_OK; i++) {
        ids[i] = twin_of(e, node.inputs[i]);
    }
    for (uint32_t i = 0; i < node.output_count && b->status == TN_OK; i++) {
        const uint32_t value = node.outputs[i];
        ids[node.input_count + i] = value == TN_NONE ? TN_NONE : tni_build_value(b);
        if (value != TN_NONE) {
            e->twins[value] = ids[node.input_count + i];
        }
    }
    const tni_node_info info = {.graph = b->graph,
                                .domain = node.domain,
                                .op_type = node.op_type,
                                .name = node.name,
                                .since_version = node.since_version,
                                .flags = node.flags,
                                .input_count = node.input_count,
                                .output_count = node.output_count,
                                .inputs = ids,
                                .outputs = ids + node.input_count,
                                .attrs = node.attrs,
                                .attr_count = node.attr_count,
                                .source_id = b->model->nodes[b->node].source_id};
    if (b->status == TN_OK) {
        b->status = tni_model_add_node(b->model, &info, &copy);
    }
}

// Values of their own for the given ones: one that is given twice still has two derivatives.
static void copy_path(evaluation *e, const tni_path *path) {
    const uint32_t id = e->b.node;
    const uint32_t named = (e->b.model->nodes[id].input_count - 1) / 2;
    uint32_t *operands = e->b.model->nodes[id].inputs;
    for (uint32_t i = 0; i < named; i++) {
        const uint32_t value = tni_build_unary(&e->b, "Identity", operands[i], TN_NONE);
        e->twins[operands[named + i]] = value;
    }
    for (uint32_t i = path->node_count; i-- > 0 && e->b.status == TN_OK;) {
        tni_model_cross_calls(e->b.model, e->b.model->nodes[path->nodes[i]].call,
                              e->b.model->nodes[id].call);
        copy_node(e, path->nodes[i]);
    }
    for (uint32_t i = named; i < 2 * named + 1 && e->b.status == TN_OK; i++) {
        operands[i] = twin_of(e, operands[i]);
    }
}

static bool differs(const tni_node *node) {
    for (uint32_t i = 0; i < (node->input_count - 1) / 2; i++) {
        if (node->inputs[i] != tni_gradient_bound(node, i)) {
            return true;
        }
    }
    return false;
}

tn_status tni_gradient_evaluate(tni_model *model, uint32_t gradient, bool *out_changed,
                                tn_error *error) {
    const uint32_t graph = model->nodes[gradient].graph;
    const uint32_t first = model->graphs[graph].node_count;
    evaluation e = {.b = {.model = model,
                          .node = gradient,
                          .graph = graph,
                          .scope = graph,
                          .opset = tni_model_opset(model, TNI_LITERAL(""))},
                    .value_count = model->value_count,
                    .error = error};
    tni_path path;
    *out_changed = differs(&model->nodes[gradient]);
    if (!*out_changed) {
        return TN_OK;
    }
    tn_status status = tni_path_find(model, gradient, TNI_PATH_OF_ALL, &path, error);
    e.twins = tni_alloc_array(&model->alloc, e.value_count, sizeof *e.twins);
    if (status == TN_OK && e.twins == NULL) {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "Gradient");
    }
    if (status == TN_OK) {
        memset(e.twins, 0xff, e.value_count * sizeof *e.twins); // TN_NONE
        copy_path(&e, &path);
        status = e.b.status;
        if (status == TN_OK) {
            tni_gradient_move_in_front(model, gradient, first);
        } else if (status != TN_ERROR_UNSUPPORTED) {
            status = tni_fail_plain(error, status, "Gradient");
        }
    }
    tni_free_array(&model->alloc, e.twins, e.value_count, sizeof *e.twins);
    tni_path_deinit(&path);
    return status;
}

static void reverse(uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count / 2; i++) {
        const uint32_t id = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = id;
    }
}

void tni_gradient_move_in_front(tni_model *model, uint32_t gradient, uint32_t first) {
    tni_graph *graph = &model->graphs[model->nodes[gradient].graph];
    uint32_t at = 0;
    for (uint32_t i = first; i < graph->node_count; i++) {
        model->nodes[graph->nodes[i]].call = model->nodes[gradient].call;
    }
    while (graph->nodes[at] != gradient) {
        at++;
    }
    // Both parts are turned over, then the whole: the later part is first, and each in order.
    reverse(graph->nodes + at, first - at);
    reverse(graph->nodes + first, graph->node_count - first);
    reverse(graph->nodes + at, graph->node_count - at);
}
