// SPDX-License-Identifier: Apache-2.0
// Putting one node in the place of a call's nodes, which become its expansion: the way back from
// what the importer did. See rewrite.h.
#include "graph/rewrite/rewrite_internal.h"

#include "base/error.h"

#include <string.h>

// Where a call's nodes lie in the list of its graph.
typedef struct {
    uint32_t first;
    uint32_t last;
    uint32_t count;
} call_run;

typedef struct {
    tni_model *model;
    call_run *runs;   // per call
    uint8_t *inside;  // per call: it, or one around it, is one node now
    uint32_t *formal; // per value: what stands for it in the expansion that is being made
    uint32_t *reach;  // per value: innermost call that holds its maker and all who read it
    uint32_t *stamp;  // per value: 1 + the last call that was found to be given or to give it
    uint32_t call_count;
    uint32_t value_count;
    uint32_t graph; // the expansion
} outlining;

static uint64_t at_least_one(uint32_t count) {
    return count > 0 ? count : 1;
}

static void outlining_deinit(outlining *o) {
    const tni_alloc *alloc = &o->model->alloc;
    tni_free_array(alloc, o->runs, at_least_one(o->call_count), sizeof *o->runs);
    tni_free_array(alloc, o->inside, at_least_one(o->call_count), sizeof *o->inside);
    tni_free_array(alloc, o->formal, at_least_one(o->value_count), sizeof *o->formal);
    tni_free_array(alloc, o->reach, at_least_one(o->value_count), sizeof *o->reach);
    tni_free_array(alloc, o->stamp, at_least_one(o->value_count), sizeof *o->stamp);
}

static tn_status outlining_init(outlining *o, tni_model *model) {
    const tni_alloc *alloc = &model->alloc;
    *o = (outlining){
        .model = model, .call_count = model->call_count, .value_count = model->value_count};
    o->runs = tni_alloc_array(alloc, at_least_one(o->call_count), sizeof *o->runs);
    o->inside = tni_alloc_array(alloc, at_least_one(o->call_count), sizeof *o->inside);
    o->formal = tni_alloc_array(alloc, at_least_one(o->value_count), sizeof *o->formal);
    o->reach = tni_alloc_array(alloc, at_least_one(o->value_count), sizeof *o->reach);
    o->stamp = tni_alloc_array(alloc, at_least_one(o->value_count), sizeof *o->stamp);
    if (o->runs == NULL || o->inside == NULL || o->formal == NULL || o->reach == NULL ||
        o->stamp == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    memset(o->formal, 0xff, at_least_one(o->value_count) * sizeof *o->formal);
    return TN_OK;
}

// Graph 0 and bodies: where the nodes of calls are listed.
static bool lists_calls(const tni_graph *graph) {
    return !graph->removed && !graph->is_expansion && !graph->is_form;
}

static void add_to_runs(outlining *o, uint32_t g, uint32_t at) {
    const tni_model *model = o->model;
    uint32_t call = model->nodes[model->graphs[g].nodes[at]].call;
    for (; call != TN_NONE && model->calls[call].graph == g; call = model->calls[call].caller) {
        call_run *run = &o->runs[call];
        run->first = run->count == 0 ? at : run->first;
        run->last = at;
        run->count++;
    }
}

// The innermost call that holds both, or TN_NONE. Callers come first.
static uint32_t common_call(const tni_model *model, uint32_t a, uint32_t b) {
    while (a != b) {
        uint32_t *inner = a == TN_NONE || (b != TN_NONE && b > a) ? &b : &a;
        *inner = model->calls[*inner].caller;
    }
    return a;
}

static void extend_reach(outlining *o, const uint32_t *values, uint32_t count, uint32_t call) {
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != TN_NONE) {
            o->reach[values[i]] = common_call(o->model, o->reach[values[i]], call);
        }
    }
}

static void find_runs(outlining *o) {
    const tni_model *model = o->model;
    for (uint32_t v = 0; v < model->value_count; v++) {
        const uint32_t producer = model->values[v].producer;
        o->reach[v] = producer == TN_NONE ? TN_NONE : model->nodes[producer].call;
    }
    for (uint32_t g = 0; g < model->graph_count; g++) {
        const tni_graph *graph = &model->graphs[g];
        if (!lists_calls(graph)) {
            continue;
        }
        for (uint32_t i = 0; i < graph->node_count; i++) {
            const tni_node *node = &model->nodes[graph->nodes[i]];
            add_to_runs(o, g, i);
            extend_reach(o, node->inputs, node->input_count, node->call);
        }
        const uint32_t holder =
            graph->parent_node == TN_NONE ? TN_NONE : model->nodes[graph->parent_node].call;
        extend_reach(o, graph->outputs, graph->output_count, holder);
    }
}

// Whether a call's operand is still there: a constant, an input, or made by a node that is.
static bool is_alive(const tni_model *model, uint32_t value) {
    const tni_value *record = value == TN_NONE ? NULL : &model->values[value];
    return record == NULL || record->constant != TN_NONE || record->producer == TN_NONE ||
           !model->nodes[record->producer].removed;
}

static bool is_made_inside(const tni_model *model, uint32_t value, uint32_t call) {
    const uint32_t producer = value == TN_NONE ? TN_NONE : model->values[value].producer;
    return producer != TN_NONE && !model->nodes[producer].removed &&
           model->nodes[producer].graph == model->calls[call].graph &&
           tni_call_is_in(model, model->nodes[producer].call, call);
}

// Stamps what the call is given. Returns false when not all of it is there any more.
static bool stamp_inputs(outlining *o, uint32_t call) {
    const tni_function_call *record = &o->model->calls[call];
    for (uint32_t i = 0; i < record->input_count; i++) {
        const uint32_t value = tni_model_resolve(o->model, record->inputs[i]);
        if (!is_alive(o->model, value)) {
            return false;
        }
        if (value != TN_NONE) {
            o->stamp[value] = call + 1;
        }
    }
    return true;
}

// Whether the node reads nothing but what the call was given, constants, and results inside of it.
static bool reads_operands_only(const outlining *o, const tni_node *node, uint32_t call) {
    const tni_model *model = o->model;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const uint32_t value = node->inputs[i];
        if (value != TN_NONE && model->values[value].constant == TN_NONE &&
            o->stamp[value] != call + 1 && !is_made_inside(model, value, call)) {
            return false;
        }
    }
    return true;
}

// Whether others read nothing of what the node makes but what the call gives them, which is
// stamped.
static bool makes_results_only(const outlining *o, const tni_node *node, uint32_t call) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        const uint32_t value = node->outputs[i];
        if (value != TN_NONE && o->stamp[value] != call + 1 &&
            !tni_call_is_in(o->model, o->reach[value], call)) {
            return false;
        }
    }
    return true;
}

// Stamps what the call gives. Returns false when nothing of it is made inside any more.
static bool stamp_outputs(outlining *o, uint32_t call) {
    const tni_function_call *record = &o->model->calls[call];
    bool found = false;
    for (uint32_t i = 0; i < record->output_count; i++) {
        const uint32_t value = tni_model_resolve(o->model, record->outputs[i]);
        if (is_made_inside(o->model, value, call)) {
            o->stamp[value] = call + 1;
            found = true;
        }
    }
    return found;
}

static bool fits_one_node(outlining *o, uint32_t call) {
    const tni_model *model = o->model;
    const tni_function_call *record = &model->calls[call];
    const call_run *run = &o->runs[call];
    if (run->count == 0 || run->last - run->first + 1 != run->count || record->changed ||
        !stamp_inputs(o, call) || !stamp_outputs(o, call)) {
        return false;
    }
    for (uint32_t i = run->first; i <= run->last; i++) {
        const tni_node *node = &model->nodes[model->graphs[record->graph].nodes[i]];
        if (tni_node_has_bodies(node) || !reads_operands_only(o, node, call) ||
            !makes_results_only(o, node, call)) {
            return false;
        }
    }
    return true;
}

// An absent operand at the end is the same as none.
static uint32_t without_absent(const uint32_t *values, uint32_t count) {
    while (count > 0 && values[count - 1] == TN_NONE) {
        count--;
    }
    return count;
}

// Adds the node, with the operands as they are now. An output that rewrites found elsewhere (a
// constant, an input of the call, another output) is absent: nobody reads it here any more.
static tn_status add_call_node(outlining *o, uint32_t call, uint32_t *out_node) {
    tni_model *model = o->model;
    const tni_function_call record = model->calls[call];
    uint32_t *values = NULL;
    tn_status status =
        tni_arena_array(&model->arena, (uint64_t)record.input_count + record.output_count,
                        sizeof *values, sizeof *values, (void **)&values);
    if (status != TN_OK) {
        return status;
    }
    uint32_t *outputs = values + record.input_count;
    for (uint32_t i = 0; i < record.input_count; i++) {
        values[i] = tni_model_resolve(model, record.inputs[i]);
    }
    for (uint32_t i = 0; i < record.output_count; i++) {
        const uint32_t value = tni_model_resolve(model, record.outputs[i]);
        outputs[i] = TN_NONE;
        // Each is an output once: the stamp goes.
        if (is_made_inside(model, value, call) && o->stamp[value] == call + 1) {
            outputs[i] = value;
            o->stamp[value] = 0;
        }
    }
    const tni_node_info info = {.graph = record.graph,
                                .domain = record.domain,
                                .op_type = record.function,
                                .name = record.name,
                                .since_version = record.version,
                                .flags = TN_NODE_CUSTOM,
                                .input_count = without_absent(values, record.input_count),
                                .output_count = without_absent(outputs, record.output_count),
                                .inputs = values,
                                .outputs = outputs,
                                .attrs = record.attrs,
                                .attr_count = record.attr_count,
                                .source_id = record.source_id};
    status = tni_model_add_node(model, &info, out_node);
    if (status == TN_OK) {
        model->nodes[*out_node].call = record.caller;
        model->nodes[*out_node].called = call;
        // It is listed where the call's first node is, once all calls are done.
        model->graphs[record.graph].node_count--;
    }
    return status;
}

// The value that stands in the expansion for one of the call's; it knows what that one knows.
static tn_status add_formal(outlining *o, uint32_t actual, uint32_t *out_formal) {
    tni_model *model = o->model;
    *out_formal = TN_NONE;
    if (actual == TN_NONE || model->values[actual].constant != TN_NONE ||
        o->formal[actual] != TN_NONE) {
        return TN_OK;
    }
    const tn_status status =
        tni_model_add_value(model, o->graph, model->values[actual].name, out_formal);
    if (status == TN_OK) {
        tni_value *formal = &model->values[*out_formal];
        const tni_value *known = &model->values[actual];
        formal->kind = known->kind;
        formal->dtype = known->dtype;
        formal->rank = known->rank;
        formal->dims = known->dims;
        o->formal[actual] = *out_formal;
    }
    return status;
}

static tn_status add_formals(outlining *o, uint32_t node) {
    tni_model *model = o->model;
    const tni_node record = model->nodes[node];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < record.input_count && status == TN_OK; i++) {
        uint32_t formal = TN_NONE;
        status = add_formal(o, record.inputs[i], &formal);
        if (status == TN_OK) {
            status = tni_graph_add_input(model, o->graph, formal);
        }
    }
    for (uint32_t i = 0; i < record.output_count && status == TN_OK; i++) {
        uint32_t formal = TN_NONE;
        status = add_formal(o, record.outputs[i], &formal);
        if (status == TN_OK) {
            status = tni_graph_add_output(model, o->graph, formal);
        }
    }
    return status;
}

static void move_operands(const outlining *o, uint32_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = ids[i] != TN_NONE && o->formal[ids[i]] != TN_NONE ? o->formal[ids[i]] : ids[i];
    }
}

static void move_node(const outlining *o, uint32_t id) {
    tni_model *model = o->model;
    tni_node *node = &model->nodes[id];
    move_operands(o, node->inputs, node->input_count);
    move_operands(o, node->outputs, node->output_count);
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != TN_NONE) {
            model->values[node->outputs[i]].producer = id;
            model->values[node->outputs[i]].graph = o->graph;
        }
    }
    node->graph = o->graph;
    node->form = TN_NONE; // forms refer to the actual values; they are made again
}

static tn_status outline_call(outlining *o, uint32_t call) {
    tni_model *model = o->model;
    const call_run run = o->runs[call];
    const uint32_t outer = model->calls[call].graph;
    uint32_t node = TN_NONE;
    tn_status status = add_call_node(o, call, &node);
    if (status == TN_OK) {
        status = tni_model_add_graph(model, node, model->calls[call].function, &o->graph);
    }
    if (status != TN_OK) {
        return status;
    }
    tni_graph *expansion = &model->graphs[o->graph];
    expansion->is_expansion = true;
    model->nodes[node].expansion = o->graph;
    status = tni_grow(&model->alloc, (void **)&expansion->nodes, &expansion->node_capacity,
                      run.count, sizeof *expansion->nodes);
    if (status == TN_OK) {
        status = add_formals(o, node);
    }
    for (uint32_t i = 0; i < run.count && status == TN_OK; i++) {
        const uint32_t id = model->graphs[outer].nodes[run.first + i];
        model->graphs[o->graph].nodes[i] = id;
        model->graphs[o->graph].node_count++;
        move_node(o, id);
    }
    const tni_node *record = &model->nodes[node];
    for (uint32_t i = 0; i < record->input_count + record->output_count; i++) {
        const uint32_t value =
            i < record->input_count ? record->inputs[i] : record->outputs[i - record->input_count];
        if (value != TN_NONE) {
            o->formal[value] = TN_NONE;
        }
    }
    return status;
}

// Nodes that moved give their place to the node whose expansion they are in now.
static void list_call_nodes(tni_model *model, uint32_t g) {
    tni_graph *graph = &model->graphs[g];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const uint32_t id = graph->nodes[i];
        const uint32_t owner =
            model->nodes[id].graph == g ? id : model->graphs[model->nodes[id].graph].parent_node;
        if (kept == 0 || graph->nodes[kept - 1] != owner) {
            graph->nodes[kept++] = owner;
        }
    }
    graph->node_count = kept;
}

tn_status tni_rewrite_outline(tni_model *model, const uint8_t *wanted, tni_call_check check,
                              void *user_data, bool *inout_changed, tn_error *error) {
    outlining o;
    const uint32_t graph_count = model->graph_count;
    bool changed = false;
    tn_status status = outlining_init(&o, model);
    if (status == TN_OK) {
        find_runs(&o);
    }
    for (uint32_t call = 0; call < o.call_count && status == TN_OK; call++) {
        const tni_function_call *record = &model->calls[call];
        o.inside[call] = record->caller != TN_NONE && o.inside[record->caller] != 0;
        if (o.inside[call] == 0 && !record->tried && wanted[call] != 0 && fits_one_node(&o, call) &&
            check(user_data, model, call, &model->graphs[record->graph].nodes[o.runs[call].first],
                  o.runs[call].count)) {
            o.inside[call] = 1;
            model->calls[call].tried = true;
            changed = true;
            status = outline_call(&o, call);
        }
    }
    for (uint32_t g = 0; g < graph_count && changed && status == TN_OK; g++) {
        if (lists_calls(&model->graphs[g])) {
            list_call_nodes(model, g);
        }
    }
    outlining_deinit(&o);
    *inout_changed = *inout_changed || changed;
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "calls of functions");
}
