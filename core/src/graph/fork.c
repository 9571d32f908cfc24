// SPDX-License-Identifier: Apache-2.0
// Forking a model: a compile writes nodes in other op versions and expands function ops, and other
// compiles of the same model must not see that. See graph.h.
#include "graph/graph.h"

#include <string.h>

// Copies count items of an array whose capacity the copy keeps track of; null stays null.
static tn_status copy_array(const tni_alloc *alloc, const void *items, uint32_t count,
                            uint64_t item_bytes, void **out, uint32_t *out_capacity) {
    *out = NULL;
    *out_capacity = 0;
    const tn_status status = tni_grow(alloc, out, out_capacity, count, item_bytes);
    if (status == TN_OK && count > 0) {
        memcpy(*out, items, (size_t)(count * item_bytes));
    }
    return status;
}

#define COPY_ARRAY(alloc, from, to, plural, singular)                                              \
    copy_array(alloc, (from)->plural, (from)->singular##_count, sizeof *(from)->plural,            \
               (void **)&(to)->plural, &(to)->singular##_capacity)

static tn_status fork_graph(const tni_alloc *alloc, const tni_graph *from, tni_graph *to) {
    *to = *from;
    to->node_capacity = to->input_capacity = to->output_capacity = to->output_name_capacity = 0;
    to->nodes = to->inputs = to->outputs = NULL;
    to->output_names = NULL;
    tn_status status = COPY_ARRAY(alloc, from, to, nodes, node);
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, from, to, inputs, input);
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, from, to, outputs, output);
    }
    return status != TN_OK ? status
                           : copy_array(alloc, from->output_names, from->output_count,
                                        sizeof *from->output_names, (void **)&to->output_names,
                                        &to->output_name_capacity);
}

static tn_status fork_graphs(const tni_model *parent, tni_model *model) {
    // Graph 0, which the new model came with, is empty: its arrays were never allocated.
    tn_status status = tni_grow(&model->alloc, (void **)&model->graphs, &model->graph_capacity,
                                parent->graph_count, sizeof *model->graphs);
    for (model->graph_count = 0; model->graph_count < parent->graph_count && status == TN_OK;) {
        const uint32_t at = model->graph_count++;
        status = fork_graph(&model->alloc, &parent->graphs[at], &model->graphs[at]);
    }
    return status;
}

// Lists of operands are changed in place by rewrites, so each fork has its own.
static tn_status fork_operands(tni_model *model) {
    uint64_t count = 0;
    uint32_t *ids = NULL;
    for (uint32_t i = 0; i < model->node_count; i++) {
        count += (uint64_t)model->nodes[i].input_count + model->nodes[i].output_count;
    }
    const tn_status status =
        tni_arena_array(&model->arena, count, sizeof *ids, sizeof *ids, (void **)&ids);
    for (uint32_t i = 0; i < model->node_count && status == TN_OK; i++) {
        tni_node *node = &model->nodes[i];
        if (node->input_count > 0) {
            memcpy(ids, node->inputs, node->input_count * sizeof *ids);
        }
        node->inputs = ids;
        ids += node->input_count;
        if (node->output_count > 0) {
            memcpy(ids, node->outputs, node->output_count * sizeof *ids);
        }
        node->outputs = ids;
        ids += node->output_count;
    }
    return status;
}

static tn_status fork_records(const tni_model *parent, tni_model *model) {
    const tni_alloc *alloc = &model->alloc;
    tn_status status = COPY_ARRAY(alloc, parent, model, nodes, node);
    model->node_count = status == TN_OK ? parent->node_count : 0;
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, values, value);
        model->value_count = status == TN_OK ? parent->value_count : 0;
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, constants, constant);
        model->constant_count = status == TN_OK ? parent->constant_count : 0;
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, symbols, symbol);
        model->symbol_count = status == TN_OK ? parent->symbol_count : 0;
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, sources, source);
        model->source_count = status == TN_OK ? parent->source_count : 0;
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, opsets, opset);
        model->opset_count = status == TN_OK ? parent->opset_count : 0;
    }
    if (status == TN_OK) {
        status = COPY_ARRAY(alloc, parent, model, calls, call);
        model->call_count = status == TN_OK ? parent->call_count : 0;
    }
    for (uint32_t i = 0; i < model->symbol_count && status == TN_OK; i++) {
        const tn_string name = model->symbols[i].name;
        status = name.size_bytes > 0 ? tni_map_set(&model->symbol_names, name, i) : TN_OK;
    }
    return status;
}

// Hashes that the parent learns later are not needed here; those it has were filled under its lock.
static tn_status fork_locked(tni_model *parent, tni_model *model) {
    tni_mutex_lock(&parent->lock);
    const tn_status status = fork_records(parent, model);
    tni_mutex_unlock(&parent->lock);
    return status;
}

tn_status tni_model_fork(tni_model *parent, uint64_t key_base, tni_model **out_model) {
    tni_model *model = NULL;
    *out_model = NULL;
    tn_status status =
        tni_model_create(&parent->alloc, &parent->log, parent->arena.limit_bytes, &model);
    if (status != TN_OK) {
        return status;
    }
    model->borrows = true;
    model->key_base = key_base;
    model->max_tensor_bytes = parent->max_tensor_bytes;
    model->ir_version = parent->ir_version;
    model->model_version = parent->model_version;
    model->producer_name = parent->producer_name;
    model->graph_name = parent->graph_name;
    status = fork_locked(parent, model);
    if (status == TN_OK) {
        status = fork_graphs(parent, model);
    }
    if (status == TN_OK) {
        status = fork_operands(model);
    }
    if (status != TN_OK) {
        tni_model_destroy(model);
        return status;
    }
    *out_model = model;
    return TN_OK;
}
