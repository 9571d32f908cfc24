// SPDX-License-Identifier: Apache-2.0
// Making a model and adding records to it.
#include "graph/graph.h"

#include "graph/source.h"

#include <string.h>

// Appends one zeroed record to a growing array.
static tn_status append(tni_model *model, void **items, uint32_t *capacity, uint32_t *count,
                        uint64_t item_bytes, uint32_t *out_id) {
    *out_id = TN_NONE;
    const tn_status status =
        tni_grow(&model->alloc, items, capacity, (uint64_t)*count + 1, item_bytes);
    if (status != TN_OK) {
        return status;
    }
    *out_id = (*count)++;
    return TN_OK;
}

#define APPEND(model, plural, singular, out_id)                                                    \
    append(model, (void **)&(model)->plural, &(model)->singular##_capacity,                        \
           &(model)->singular##_count, sizeof *(model)->plural, out_id)

tn_status tni_model_create(const tni_alloc *alloc, const tni_log *log, uint64_t arena_limit_bytes,
                           tni_model **out_model) {
    *out_model = NULL;
    tni_model *model = tni_alloc_zeroed(alloc, sizeof *model);
    if (model == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    model->alloc = *alloc;
    if (log != NULL) {
        model->log = *log;
    }
    tni_arena_init(&model->arena, alloc, arena_limit_bytes);
    tni_map_init(&model->symbol_names, alloc);
    uint32_t outermost = TN_NONE;
    tn_status status = tni_mutex_init(&model->lock);
    if (status != TN_OK) {
        goto fail;
    }
    model->lock_ready = true;
    status = tni_model_add_graph(model, TN_NONE, TNI_LITERAL(""), &outermost);
    if (status != TN_OK) {
        goto fail;
    }
    *out_model = model;
    return TN_OK;
fail:
    tni_model_destroy(model);
    return status;
}

static void free_graph(const tni_alloc *alloc, tni_graph *graph) {
    tni_free_array(alloc, graph->nodes, graph->node_capacity, sizeof *graph->nodes);
    tni_free_array(alloc, graph->inputs, graph->input_capacity, sizeof *graph->inputs);
    tni_free_array(alloc, graph->outputs, graph->output_capacity, sizeof *graph->outputs);
    tni_free_array(alloc, graph->output_names, graph->output_name_capacity,
                   sizeof *graph->output_names);
}

#define FREE_ARRAY(model, plural, singular)                                                        \
    tni_free_array(&(model)->alloc, (model)->plural, (model)->singular##_capacity,                 \
                   sizeof *(model)->plural)

void tni_model_destroy(tni_model *model) {
    if (model == NULL) {
        return;
    }
    for (uint32_t i = 0; i < model->source_count && !model->borrows; i++) {
        tni_source_close(&model->alloc, &model->sources[i]);
    }
    for (uint32_t i = 0; i < model->graph_count; i++) {
        free_graph(&model->alloc, &model->graphs[i]);
    }
    FREE_ARRAY(model, graphs, graph);
    FREE_ARRAY(model, nodes, node);
    FREE_ARRAY(model, values, value);
    FREE_ARRAY(model, constants, constant);
    FREE_ARRAY(model, symbols, symbol);
    FREE_ARRAY(model, sources, source);
    FREE_ARRAY(model, opsets, opset);
    FREE_ARRAY(model, metadata, metadata);
    FREE_ARRAY(model, calls, call);
    tni_map_deinit(&model->symbol_names);
    tni_arena_deinit(&model->arena);
    if (model->lock_ready) {
        tni_mutex_deinit(&model->lock);
    }
    const tni_alloc alloc = model->alloc;
    tni_free(&alloc, model, sizeof *model);
}

tn_status tni_model_add_graph(tni_model *model, uint32_t parent_node, tn_string name,
                              uint32_t *out_id) {
    tn_string copy;
    *out_id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, name, &copy);
    if (status == TN_OK) {
        status = APPEND(model, graphs, graph, out_id);
    }
    if (status == TN_OK) {
        model->graphs[*out_id] =
            (tni_graph){.name = copy, .parent_node = parent_node, .next_form = TN_NONE};
    }
    return status;
}

tn_status tni_model_add_value(tni_model *model, uint32_t graph, tn_string name, uint32_t *out_id) {
    tn_string copy;
    *out_id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, name, &copy);
    if (status == TN_OK) {
        status = APPEND(model, values, value, out_id);
    }
    if (status == TN_OK) {
        model->values[*out_id] = (tni_value){.name = copy,
                                             .rank = TN_RANK_UNKNOWN,
                                             .constant = TN_NONE,
                                             .producer = TN_NONE,
                                             .graph = graph,
                                             .replaced_by = TN_NONE};
    }
    return status;
}

static tn_status copy_ids(tni_model *model, const uint32_t *ids, uint32_t count, uint32_t **out) {
    const tn_status status =
        tni_arena_array(&model->arena, count, sizeof *ids, sizeof *ids, (void **)out);
    if (status == TN_OK && count > 0) {
        memcpy(*out, ids, count * sizeof *ids);
    }
    return status;
}

// Copies count items of an attribute's array; a null source stays null.
static tn_status copy_items(tni_model *model, const void *items, uint32_t count,
                            uint64_t item_bytes, void **out) {
    *out = NULL;
    if (items == NULL) {
        return TN_OK;
    }
    const tn_status status = tni_arena_array(&model->arena, count, item_bytes, 8, out);
    if (status == TN_OK && count > 0) {
        memcpy(*out, items, (size_t)(count * item_bytes));
    }
    return status;
}

static tn_status copy_attr(tni_model *model, const tni_attr *attr, tni_attr *out) {
    *out = (tni_attr){.kind = attr->kind, .count = attr->count};
    tn_status status = tni_arena_text(&model->arena, attr->name, &out->name);
    if (status == TN_OK) {
        status =
            copy_items(model, attr->ints, attr->count, sizeof *attr->ints, (void **)&out->ints);
    }
    if (status == TN_OK) {
        status = copy_items(model, attr->floats, attr->count, sizeof *attr->floats,
                            (void **)&out->floats);
    }
    if (status == TN_OK) {
        status = copy_items(model, attr->indices, attr->count, sizeof *attr->indices,
                            (void **)&out->indices);
    }
    if (status == TN_OK && attr->texts != NULL) {
        status =
            copy_items(model, attr->texts, attr->count, sizeof *attr->texts, (void **)&out->texts);
        for (uint32_t i = 0; i < attr->count && status == TN_OK; i++) {
            status = tni_arena_text(&model->arena, attr->texts[i], &out->texts[i]);
        }
    }
    return status;
}

static tn_status copy_node(tni_model *model, const tni_node_info *info, tni_node *out) {
    *out = (tni_node){.since_version = info->since_version,
                      .graph = info->graph,
                      .input_count = info->input_count,
                      .output_count = info->output_count,
                      .attr_count = info->attr_count,
                      .expansion = TN_NONE,
                      .form = TN_NONE,
                      .expanded_from = TN_NONE,
                      .call = TN_NONE,
                      .called = TN_NONE,
                      .flags = info->flags,
                      .source_id = info->source_id};
    const tn_string texts[3] = {info->domain, info->op_type, info->name};
    tn_string *const copies[3] = {&out->domain, &out->op_type, &out->name};
    for (int i = 0; i < 3; i++) {
        const tn_status status = tni_arena_text(&model->arena, texts[i], copies[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    tn_status status = copy_ids(model, info->inputs, info->input_count, &out->inputs);
    if (status == TN_OK) {
        status = copy_ids(model, info->outputs, info->output_count, &out->outputs);
    }
    if (status == TN_OK) {
        status = tni_arena_array(&model->arena, info->attr_count, sizeof *out->attrs, 8,
                                 (void **)&out->attrs);
    }
    for (uint32_t i = 0; i < info->attr_count && status == TN_OK; i++) {
        status = copy_attr(model, &info->attrs[i], &out->attrs[i]);
    }
    return status;
}

static tn_status push_id(tni_model *model, uint32_t **ids, uint32_t *capacity, uint32_t *count,
                         uint32_t id) {
    const tn_status status =
        tni_grow(&model->alloc, (void **)ids, capacity, (uint64_t)*count + 1, sizeof **ids);
    if (status == TN_OK) {
        (*ids)[(*count)++] = id;
    }
    return status;
}

tn_status tni_model_add_node(tni_model *model, const tni_node_info *info, uint32_t *out_id) {
    tni_node node;
    *out_id = TN_NONE;
    tn_status status = copy_node(model, info, &node);
    if (status == TN_OK) {
        status = APPEND(model, nodes, node, out_id);
    }
    if (status == TN_OK) {
        model->nodes[*out_id] = node;
        tni_graph *graph = &model->graphs[info->graph];
        status = push_id(model, &graph->nodes, &graph->node_capacity, &graph->node_count, *out_id);
    }
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t i = 0; i < node.output_count; i++) {
        if (node.outputs[i] != TN_NONE) {
            model->values[node.outputs[i]].producer = *out_id;
        }
    }
    return TN_OK;
}

tn_status tni_model_add_symbol(tni_model *model, tn_string name, uint32_t *out_id) {
    tn_string copy;
    if (name.size_bytes > 0 && tni_map_find(&model->symbol_names, name, out_id)) {
        return TN_OK;
    }
    *out_id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, name, &copy);
    if (status == TN_OK) {
        status = APPEND(model, symbols, symbol, out_id);
    }
    if (status != TN_OK) {
        return status;
    }
    model->symbols[*out_id] = (tni_symbol){copy, 0, INT64_MAX};
    return name.size_bytes > 0 ? tni_map_set(&model->symbol_names, copy, *out_id) : TN_OK;
}

tn_status tni_model_add_opset(tni_model *model, tn_string domain, uint32_t version) {
    tn_string copy;
    uint32_t id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, domain, &copy);
    if (status == TN_OK) {
        status = APPEND(model, opsets, opset, &id);
    }
    if (status == TN_OK) {
        model->opsets[id] = (tni_opset){copy, version};
    }
    return status;
}

tn_status tni_model_add_metadata(tni_model *model, tn_string key, tn_string value) {
    tni_pair pair;
    uint32_t id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, key, &pair.key);
    if (status == TN_OK) {
        status = tni_arena_text(&model->arena, value, &pair.value);
    }
    if (status == TN_OK) {
        status = APPEND(model, metadata, metadata, &id);
    }
    if (status == TN_OK) {
        model->metadata[id] = pair;
    }
    return status;
}

tn_status tni_model_add_call(tni_model *model, const tni_function_call *call, uint32_t *out_id) {
    tni_function_call copy = *call;
    *out_id = TN_NONE;
    tn_status status = tni_arena_text(&model->arena, call->domain, &copy.domain);
    if (status == TN_OK) {
        status = tni_arena_text(&model->arena, call->function, &copy.function);
    }
    if (status == TN_OK) {
        status = tni_arena_text(&model->arena, call->name, &copy.name);
    }
    if (status == TN_OK) {
        status = APPEND(model, calls, call, out_id);
    }
    if (status == TN_OK) {
        model->calls[*out_id] = copy;
    }
    return status;
}

tn_status tni_graph_add_input(tni_model *model, uint32_t graph, uint32_t value) {
    tni_graph *g = &model->graphs[graph];
    return push_id(model, &g->inputs, &g->input_capacity, &g->input_count, value);
}

tn_status tni_graph_add_output(tni_model *model, uint32_t graph, uint32_t value) {
    tni_graph *g = &model->graphs[graph];
    tn_status status = tni_grow(&model->alloc, (void **)&g->output_names, &g->output_name_capacity,
                                (uint64_t)g->output_count + 1, sizeof *g->output_names);
    if (status == TN_OK) {
        status = push_id(model, &g->outputs, &g->output_capacity, &g->output_count, value);
    }
    if (status != TN_OK) {
        return status;
    }
    g->output_names[g->output_count - 1] =
        value != TN_NONE ? model->values[value].name : TNI_LITERAL("");
    return TN_OK;
}

tn_status tni_value_set_dims(tni_model *model, uint32_t value, uint32_t rank,
                             const tn_graph_dim *dims) {
    void *copy = NULL;
    if (rank != TN_RANK_UNKNOWN) {
        const tn_status status = tni_arena_array(&model->arena, rank, sizeof *dims, 8, &copy);
        if (status != TN_OK) {
            return status;
        }
        if (rank > 0) {
            memcpy(copy, dims, rank * sizeof *dims);
        }
    }
    model->values[value].rank = rank;
    model->values[value].dims = copy;
    return TN_OK;
}

tn_status tni_model_add_constant_value(tni_model *model, uint32_t graph, tn_string name,
                                       uint32_t constant, uint32_t *out_id) {
    const tni_constant *source = &model->constants[constant];
    tn_graph_dim dims[TN_MAX_RANK];
    for (uint32_t i = 0; i < source->rank; i++) {
        dims[i] = (tn_graph_dim){source->dims[i], TN_NONE, 0};
    }
    tn_status status = tni_model_add_value(model, graph, name, out_id);
    if (status == TN_OK) {
        status = tni_value_set_dims(model, *out_id, source->rank, dims);
    }
    if (status == TN_OK) {
        model->values[*out_id].dtype = source->dtype;
        model->values[*out_id].constant = constant;
    }
    return status;
}
