// SPDX-License-Identifier: Apache-2.0
// Planning a view: graph 0 first, then its bodies and expansions breadth first, so that the nodes
// of every graph are consecutive. See view_layout.h.
#include "graph/view_layout.h"

#include "base/checked.h"
#include "base/error.h"

#define DEFAULT_LIMIT_BYTES ((uint64_t)1 << 30)

static tn_status out_of_memory(tni_view_plan *plan) {
    return tni_fail_plain(plan->error, TN_ERROR_OUT_OF_MEMORY, "graph view");
}

static tn_status push(tni_view_plan *plan, uint32_t **items, uint32_t *capacity, uint32_t count,
                      uint32_t item) {
    const tn_status status =
        tni_grow(&plan->alloc, (void **)items, capacity, (uint64_t)count + 1, sizeof **items);
    if (status != TN_OK) {
        return tni_fail_plain(plan->error, status, "graph view");
    }
    (*items)[count] = item;
    return TN_OK;
}

static void add_text(tni_view_plan *plan, tn_string text) {
    plan->strings += text.size_bytes;
}

static tn_status show_constant(tni_view_plan *plan, uint32_t constant) {
    if (plan->constant_index[constant] != TN_NONE) {
        return TN_OK;
    }
    const tn_status status =
        push(plan, &plan->constants, &plan->constant_capacity, plan->constant_count, constant);
    if (status == TN_OK) {
        plan->constant_index[constant] = plan->constant_count++;
        plan->dims += plan->model->constants[constant].rank;
    }
    return status;
}

static tn_status show_value(tni_view_plan *plan, uint32_t value) {
    const tni_value *record = &plan->model->values[value];
    if (plan->value_index[value] != TN_NONE) {
        return TN_OK;
    }
    const uint32_t graph = plan->graph_index[record->graph];
    const uint32_t at = plan->value_count;
    tn_status status = push(plan, &plan->values, &plan->value_capacity, at, value);
    if (status == TN_OK) {
        status = push(plan, &plan->value_graph, &plan->value_graph_capacity, at,
                      graph == TN_NONE ? 0 : graph);
    }
    if (status == TN_OK) {
        status = push(plan, &plan->value_producer, &plan->value_producer_capacity, at, TN_NONE);
    }
    if (status != TN_OK) {
        return status;
    }
    plan->value_index[value] = plan->value_count++;
    add_text(plan, record->name);
    const tni_shape *fixed = tni_view_shape(plan->spec, value);
    const uint32_t rank = fixed != NULL ? fixed->rank : record->rank;
    plan->dims += rank == TN_RANK_UNKNOWN ? 0 : rank;
    return record->constant == TN_NONE ? TN_OK : show_constant(plan, record->constant);
}

// Shows a value that must be available already.
static tn_status read_value(tni_view_plan *plan, uint32_t node, uint32_t value) {
    if (value == TN_NONE) {
        return TN_OK;
    }
    value = plan->alias[value];
    const tni_value *record = &plan->model->values[value];
    if (plan->ready[value] == 0 && record->constant == TN_NONE) {
        return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.missing-input", node,
                             value, "node %d reads %.*s, which is no input of the island",
                             (int)node, TNI_TEXT(record->name));
    }
    return show_value(plan, value);
}

static tn_status define_value(tni_view_plan *plan, uint32_t value, uint32_t producer) {
    if (value == TN_NONE) {
        return TN_OK;
    }
    value = plan->alias[value];
    const tn_status status = show_value(plan, value);
    if (status == TN_OK) {
        plan->ready[value] = 1;
        if (producer != TN_NONE) {
            plan->value_producer[plan->value_index[value]] = producer;
        }
    }
    return status;
}

static tn_status add_graph(tni_view_plan *plan, uint32_t graph) {
    const tn_status status = tni_grow(&plan->alloc, (void **)&plan->graphs, &plan->graph_capacity,
                                      (uint64_t)plan->graph_count + 1, sizeof *plan->graphs);
    if (status != TN_OK) {
        return tni_fail_plain(plan->error, status, "graph view");
    }
    plan->graph_index[graph] = plan->graph_count;
    plan->graphs[plan->graph_count++] = (tni_view_graph){.graph = graph};
    add_text(plan, plan->model->graphs[graph].name);
    return TN_OK;
}

static tn_status count_attr(tni_view_plan *plan, const tni_attr *attr) {
    tn_status status = TN_OK;
    if (attr->kind == TNI_ATTR_TYPE) {
        return TN_OK; // The node's output has the type, too.
    }
    add_text(plan, attr->name);
    plan->attributes++;
    for (uint32_t i = 0; i < attr->count && status == TN_OK; i++) {
        switch (attr->kind) {
        case TN_ATTR_INT:
        case TN_ATTR_INTS:
            plan->attr_ints++;
            break;
        case TN_ATTR_FLOAT:
        case TN_ATTR_FLOATS:
            plan->attr_floats++;
            break;
        case TN_ATTR_STRING:
        case TN_ATTR_STRINGS:
            plan->attr_texts++;
            add_text(plan, attr->texts[i]);
            break;
        case TN_ATTR_TENSOR:
        case TN_ATTR_TENSORS:
            plan->attr_indices++;
            status = show_constant(plan, attr->indices[i]);
            break;
        default:
            plan->attr_indices++;
            status = add_graph(plan, attr->indices[i]);
            break;
        }
    }
    return status;
}

static tn_status show_node(tni_view_plan *plan, uint32_t node, uint32_t view_graph) {
    const tni_node *record = &plan->model->nodes[node];
    const uint32_t at = plan->node_count;
    if (plan->node_index[node] != TN_NONE || record->removed) {
        return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.bad-node", node, TN_NONE,
                             "node %u is listed twice or was removed", node);
    }
    tn_status status = push(plan, &plan->nodes, &plan->node_capacity, at, node);
    if (status == TN_OK) {
        status = push(plan, &plan->node_graph, &plan->node_graph_capacity, at, view_graph);
    }
    if (status != TN_OK) {
        return status;
    }
    plan->node_index[node] = plan->node_count++;
    plan->graphs[view_graph].node_count++;
    add_text(plan, record->domain);
    add_text(plan, record->op_type);
    add_text(plan, record->name);
    plan->value_ids += (uint64_t)record->input_count + record->output_count;
    for (uint32_t i = 0; i < record->input_count && status == TN_OK; i++) {
        status = read_value(plan, node, record->inputs[i]);
    }
    for (uint32_t i = 0; i < record->output_count && status == TN_OK; i++) {
        status = define_value(plan, record->outputs[i], at);
    }
    for (uint32_t i = 0; i < record->attr_count && status == TN_OK; i++) {
        status = count_attr(plan, &record->attrs[i]);
    }
    if (status == TN_OK && record->expansion != TN_NONE && !plan->spec->without_expansions) {
        status = add_graph(plan, record->expansion);
    }
    return status;
}

// Shows a node in the form that the view asks for. Its bodies and its expansion then belong to the
// node that stands for it.
static tn_status present_node(tni_view_plan *plan, uint32_t node, uint32_t view_graph) {
    const tni_form *forms = plan->spec->forms;
    if (forms == NULL || forms[node].graph == TN_NONE) {
        return show_node(plan, node, view_graph);
    }
    const tni_graph *form = &plan->model->graphs[forms[node].graph];
    tn_status status = TN_OK;
    // Forms of forms are few: each is of another op version.
    for (uint32_t i = 0; i < form->node_count && status == TN_OK; i++) {
        status = present_node(plan, form->nodes[i], view_graph);
        if (status == TN_OK && form->nodes[i] == form->main_node) {
            plan->node_index[node] = plan->node_index[form->main_node];
        }
    }
    return status;
}

// The formal values of the expansion stand for the operands of the node.
static void alias_operands(tni_view_plan *plan, const uint32_t *formal, uint32_t formal_count,
                           const uint32_t *actual, uint32_t actual_count) {
    for (uint32_t i = 0; i < formal_count && i < actual_count; i++) {
        if (formal[i] != TN_NONE && actual[i] != TN_NONE) {
            plan->alias[formal[i]] = plan->alias[actual[i]];
        }
    }
}

static tn_status show_listed(tni_view_plan *plan, uint32_t node);

// Expansions of nodes in an expansion are the last: recursion goes no deeper.
static tn_status inline_expansion(tni_view_plan *plan, uint32_t node) {
    const tni_node *record = &plan->model->nodes[node];
    if (record->expansion == TN_NONE) {
        return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.no-expansion", node,
                             TN_NONE, "node %u (%.*s) has no expansion", node,
                             TNI_TEXT(record->op_type));
    }
    const tni_graph *graph = &plan->model->graphs[record->expansion];
    alias_operands(plan, graph->inputs, graph->input_count, record->inputs, record->input_count);
    alias_operands(plan, graph->outputs, graph->output_count, record->outputs,
                   record->output_count);
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < graph->node_count && status == TN_OK; i++) {
        status = show_listed(plan, graph->nodes[i]);
    }
    return status;
}

// Shows a node of an island, or of an expansion in its place, whole or as its own expansion.
static tn_status show_listed(tni_view_plan *plan, uint32_t node) {
    const tni_map *inlined = plan->spec->inlined;
    uint32_t yes = 0;
    return inlined != NULL && tni_map_find_u64(inlined, node, &yes) ? inline_expansion(plan, node)
                                                                    : present_node(plan, node, 0);
}

static tn_status show_inputs(tni_view_plan *plan, const uint32_t *inputs, uint32_t count) {
    plan->value_ids += count;
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i] != TN_NONE && inputs[i] >= plan->model->value_count) {
            return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.bad-value", TN_NONE,
                                 inputs[i], "no value %u", inputs[i]);
        }
        const tn_status status = define_value(plan, inputs[i], TN_NONE);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status show_outputs(tni_view_plan *plan, uint32_t parent, const uint32_t *outputs,
                              uint32_t count) {
    plan->value_ids += count;
    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i] != TN_NONE && outputs[i] >= plan->model->value_count) {
            return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.bad-value", TN_NONE,
                                 outputs[i], "no value %u", outputs[i]);
        }
        const tn_status status = read_value(plan, parent, outputs[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status show_island(tni_view_plan *plan) {
    const tni_view_spec *spec = plan->spec;
    tn_status status = show_inputs(plan, spec->inputs, spec->input_count);
    for (uint32_t i = 0; i < spec->node_count && status == TN_OK; i++) {
        const uint32_t node = spec->nodes[i];
        if (node >= plan->model->node_count) {
            return tni_fail_node(plan->error, TN_ERROR_INVALID_ARGUMENT, "view.bad-node", node,
                                 TN_NONE, "no node %u", node);
        }
        status = show_listed(plan, node);
    }
    return status == TN_OK ? show_outputs(plan, TN_NONE, spec->outputs, spec->output_count)
                           : status;
}

static tn_status show_graph(tni_view_plan *plan, uint32_t view_graph) {
    const tni_graph *graph = &plan->model->graphs[plan->graphs[view_graph].graph];
    plan->graphs[view_graph].first_node = plan->node_count;
    if (view_graph == 0 && plan->spec->nodes != NULL) {
        return show_island(plan);
    }
    tn_status status = show_inputs(plan, graph->inputs, graph->input_count);
    for (uint32_t i = 0; i < graph->node_count && status == TN_OK; i++) {
        status = present_node(plan, graph->nodes[i], view_graph);
    }
    return status == TN_OK
               ? show_outputs(plan, graph->parent_node, graph->outputs, graph->output_count)
               : status;
}

// One capture while they are collected: graph is the view's, value the model's.
typedef struct {
    uint32_t graph;
    uint32_t value;
} capture_pair;

typedef struct {
    capture_pair *pairs;
    uint32_t count, capacity;
    tni_map seen; // graph << 32 | value
} capture_list;

static tn_status add_capture(tni_view_plan *plan, capture_list *list, uint32_t graph,
                             uint32_t value) {
    const uint64_t key = (uint64_t)graph << 32 | value;
    uint32_t earlier = 0;
    if (tni_map_find_u64(&list->seen, key, &earlier)) {
        return TN_OK;
    }
    tn_status status = tni_map_set_u64(&list->seen, key, list->count);
    if (status == TN_OK) {
        status = tni_grow(&plan->alloc, (void **)&list->pairs, &list->capacity,
                          (uint64_t)list->count + 1, sizeof *list->pairs);
    }
    if (status != TN_OK) {
        return tni_fail_plain(plan->error, status, "graph view");
    }
    list->pairs[list->count++] = (capture_pair){graph, value};
    plan->graphs[graph].capture_count++;
    return TN_OK;
}

// A value read in a graph is a capture of every graph from there up to the one that defines it.
static tn_status capture_all(tni_view_plan *plan, capture_list *list, uint32_t reader,
                             const uint32_t *values, uint32_t count) {
    const tni_model *model = plan->model;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] == TN_NONE) {
            continue;
        }
        const uint32_t value = plan->alias[values[i]];
        const tni_value *record = &model->values[value];
        uint32_t graph = reader;
        while (record->constant == TN_NONE && graph != record->graph) {
            const uint32_t shown = plan->graph_index[graph];
            if (shown == TN_NONE || shown == 0) {
                break;
            }
            const tn_status status = add_capture(plan, list, shown, value);
            if (status != TN_OK) {
                return status;
            }
            graph = model->nodes[model->graphs[graph].parent_node].graph;
        }
    }
    return TN_OK;
}

static tn_status collect_captures(tni_view_plan *plan, capture_list *list) {
    for (uint32_t g = 1; g < plan->graph_count; g++) {
        const tni_view_graph shown = plan->graphs[g];
        const tni_graph *graph = &plan->model->graphs[shown.graph];
        tn_status status =
            capture_all(plan, list, shown.graph, graph->outputs, graph->output_count);
        for (uint32_t i = 0; i < shown.node_count && status == TN_OK; i++) {
            const tni_node *node = &plan->model->nodes[plan->nodes[shown.first_node + i]];
            status = capture_all(plan, list, shown.graph, node->inputs, node->input_count);
        }
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Lays the collected captures out graph by graph.
static tn_status arrange_captures(tni_view_plan *plan, const capture_list *list) {
    uint32_t end = 0;
    const tn_status status = tni_grow(&plan->alloc, (void **)&plan->captures,
                                      &plan->capture_capacity, list->count, sizeof(uint32_t));
    if (status != TN_OK) {
        return tni_fail_plain(plan->error, status, "graph view");
    }
    for (uint32_t g = 0; g < plan->graph_count; g++) {
        plan->graphs[g].first_capture = end;
        end += plan->graphs[g].capture_count;
        plan->graphs[g].capture_count = 0;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        tni_view_graph *graph = &plan->graphs[list->pairs[i].graph];
        plan->captures[graph->first_capture + graph->capture_count++] = list->pairs[i].value;
    }
    plan->value_ids += list->count;
    return TN_OK;
}

static tn_status find_captures(tni_view_plan *plan) {
    capture_list list = {.pairs = NULL};
    tni_map_init(&list.seen, &plan->alloc);
    tn_status status = collect_captures(plan, &list);
    if (status == TN_OK) {
        status = arrange_captures(plan, &list);
    }
    tni_map_deinit(&list.seen);
    tni_free_array(&plan->alloc, list.pairs, list.capacity, sizeof *list.pairs);
    return status;
}

static uint32_t *make_index(tni_view_plan *plan, uint32_t count, bool identity) {
    uint32_t *index = tni_alloc_array(&plan->alloc, (uint64_t)count + 1, sizeof *index);
    for (uint32_t i = 0; index != NULL && i < count; i++) {
        index[i] = identity ? i : TN_NONE;
    }
    return index;
}

static tn_status make_indices(tni_view_plan *plan) {
    const tni_model *model = plan->model;
    plan->graph_index = make_index(plan, model->graph_count, false);
    plan->node_index = make_index(plan, model->node_count, false);
    plan->value_index = make_index(plan, model->value_count, false);
    plan->constant_index = make_index(plan, model->constant_count, false);
    plan->alias = make_index(plan, model->value_count, true);
    plan->ready = tni_alloc_array(&plan->alloc, (uint64_t)model->value_count + 1, 1);
    const bool complete = plan->graph_index != NULL && plan->node_index != NULL &&
                          plan->value_index != NULL && plan->constant_index != NULL &&
                          plan->alias != NULL && plan->ready != NULL;
    return complete ? TN_OK : out_of_memory(plan);
}

static tn_status check_size(tni_view_plan *plan) {
    for (uint32_t i = 0; i < plan->model->symbol_count; i++) {
        add_text(plan, plan->model->symbols[i].name);
    }
    tn_graph_view header;
    const uint64_t limit =
        plan->spec->limit_bytes != 0 ? plan->spec->limit_bytes : DEFAULT_LIMIT_BYTES;
    const uint64_t pools[] = {plan->value_ids,   plan->attributes, plan->attr_ints,
                              plan->attr_floats, plan->attr_texts, plan->attr_indices,
                              plan->dims,        plan->strings};
    bool fits = true;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        fits = fits && pools[i] < TN_NONE;
    }
    if (fits) {
        tni_view_layout(plan, &header);
        fits = header.total_bytes <= limit;
    }
    return fits ? TN_OK : tni_fail_plain(plan->error, TN_ERROR_LIMIT_EXCEEDED, "graph view");
}

tn_status tni_view_plan_init(tni_view_plan *plan, const tni_alloc *alloc, const tni_model *model,
                             const tni_view_spec *spec, tn_error *error) {
    *plan = (tni_view_plan){.alloc = *alloc, .model = model, .spec = spec, .error = error};
    tn_status status = make_indices(plan);
    if (status == TN_OK) {
        status = add_graph(plan, 0);
    }
    for (uint32_t i = 0; status == TN_OK && i < plan->graph_count; i++) {
        status = show_graph(plan, i);
    }
    if (status == TN_OK) {
        status = find_captures(plan);
    }
    return status == TN_OK ? check_size(plan) : status;
}

void tni_view_plan_deinit(tni_view_plan *plan) {
    const tni_alloc *alloc = &plan->alloc;
    const tni_model *model = plan->model;
    const uint64_t id_bytes = sizeof(uint32_t);
    tni_free_array(alloc, plan->graph_index, (uint64_t)model->graph_count + 1, id_bytes);
    tni_free_array(alloc, plan->node_index, (uint64_t)model->node_count + 1, id_bytes);
    tni_free_array(alloc, plan->value_index, (uint64_t)model->value_count + 1, id_bytes);
    tni_free_array(alloc, plan->constant_index, (uint64_t)model->constant_count + 1, id_bytes);
    tni_free_array(alloc, plan->alias, (uint64_t)model->value_count + 1, id_bytes);
    tni_free_array(alloc, plan->ready, (uint64_t)model->value_count + 1, 1);
    tni_free_array(alloc, plan->graphs, plan->graph_capacity, sizeof *plan->graphs);
    tni_free_array(alloc, plan->nodes, plan->node_capacity, id_bytes);
    tni_free_array(alloc, plan->node_graph, plan->node_graph_capacity, id_bytes);
    tni_free_array(alloc, plan->values, plan->value_capacity, id_bytes);
    tni_free_array(alloc, plan->value_graph, plan->value_graph_capacity, id_bytes);
    tni_free_array(alloc, plan->value_producer, plan->value_producer_capacity, id_bytes);
    tni_free_array(alloc, plan->constants, plan->constant_capacity, id_bytes);
    tni_free_array(alloc, plan->captures, plan->capture_capacity, id_bytes);
}

// Appends a pool of count records at the next multiple of 8. Counts are below 2^32 and strides
// small, so the sum cannot overflow.
static void lay(tn_span *span, uint64_t *inout_end, uint64_t count, uint64_t stride) {
    span->offset_bytes = (*inout_end + 7) & ~(uint64_t)7;
    span->count = (uint32_t)count;
    span->stride_bytes = (uint32_t)stride;
    *inout_end = span->offset_bytes + count * stride;
}

void tni_view_layout(const tni_view_plan *plan, tn_graph_view *out_header) {
    tn_graph_view *h = out_header;
    *h = (tn_graph_view){.struct_size = sizeof *h, .struct_type = TN_STRUCT_GRAPH_VIEW};
    uint64_t end = sizeof *h;
    lay(&h->graphs, &end, plan->graph_count, sizeof(tn_graph_record));
    lay(&h->nodes, &end, plan->node_count, sizeof(tn_graph_node));
    lay(&h->values, &end, plan->value_count, sizeof(tn_graph_value));
    lay(&h->value_ids, &end, plan->value_ids, sizeof(uint32_t));
    lay(&h->attributes, &end, plan->attributes, sizeof(tn_graph_attribute));
    lay(&h->attr_ints, &end, plan->attr_ints, sizeof(int64_t));
    lay(&h->attr_floats, &end, plan->attr_floats, sizeof(float));
    lay(&h->attr_texts, &end, plan->attr_texts, sizeof(tn_text_ref));
    lay(&h->attr_indices, &end, plan->attr_indices, sizeof(uint32_t));
    lay(&h->dims, &end, plan->dims, sizeof(tn_graph_dim));
    lay(&h->symbols, &end, plan->model->symbol_count, sizeof(tn_graph_symbol));
    lay(&h->constants, &end, plan->constant_count, sizeof(tn_graph_constant));
    lay(&h->strings, &end, plan->strings, 1);
    h->total_bytes = (end + 7) & ~(uint64_t)7;
}
