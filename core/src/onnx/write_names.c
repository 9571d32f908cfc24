// SPDX-License-Identifier: Apache-2.0
// Which values are written, in which graph initializers are listed, and what everything is called.
// A name that the model gives is kept unless an enclosing graph, or the same one, has it already:
// rewrites and inlined functions leave such names, and ONNX allows none of them.
#include "onnx/writer.h"

#include <stdio.h>
#include <string.h>

// Bodies nest no deeper than the import's limit, so the recursions of this file are bounded.

typedef void (*visit_fn)(tni_writer *w, uint32_t graph);

static void visit_bodies(tni_writer *w, uint32_t node, visit_fn visit) {
    const tni_node *record = &w->model->nodes[node];
    for (uint32_t i = 0; i < record->attr_count; i++) {
        const tni_attr *attr = &record->attrs[i];
        const bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count; k++) {
            visit(w, attr->indices[k]);
        }
    }
}

static uint32_t parent_of(const tni_writer *w, uint32_t graph) {
    return w->model->nodes[w->model->graphs[graph].parent_node].graph;
}

// The innermost graph that encloses both; a graph encloses itself.
static uint32_t common_graph(const tni_writer *w, uint32_t a, uint32_t b) {
    while (a != b) {
        if (w->graphs[a].depth >= w->graphs[b].depth) {
            a = parent_of(w, a);
        } else {
            b = parent_of(w, b);
        }
    }
    return a;
}

// A constant is listed where the model has it, or further out when that does not enclose the use.
static void note_use(tni_writer *w, uint32_t graph, uint32_t value) {
    if (value == TN_NONE || w->model->values[value].constant == TN_NONE) {
        return;
    }
    const uint32_t home =
        w->owners[value] != TN_NONE ? w->owners[value] : w->model->values[value].graph;
    w->owners[value] = w->graphs[home].written ? common_graph(w, home, graph) : graph;
}

// Graphs from the outside in.
static void mark_graph(tni_writer *w, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    w->graphs[graph].written = true;
    w->graphs[graph].depth = graph == 0 ? 0 : w->graphs[parent_of(w, graph)].depth + 1;
    for (uint32_t i = 0; i < record->node_count; i++) {
        visit_bodies(w, record->nodes[i], mark_graph);
    }
}

static void place_constants(tni_writer *w, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    for (uint32_t i = 0; i < record->node_count; i++) {
        const tni_node *node = &w->model->nodes[record->nodes[i]];
        for (uint32_t k = 0; k < node->input_count; k++) {
            note_use(w, graph, node->inputs[k]);
        }
        visit_bodies(w, record->nodes[i], place_constants);
    }
    for (uint32_t i = 0; i < record->output_count; i++) {
        note_use(w, graph, record->outputs[i]);
    }
}

static void list_constants(tni_writer *w) {
    for (uint32_t v = w->model->value_count; v-- > 0;) {
        const uint32_t graph = w->owners[v];
        if (graph != TN_NONE) {
            w->next_value[v] = w->graphs[graph].first_value;
            w->graphs[graph].first_value = v;
        }
    }
}

// The names of one graph; parents are those around it.
typedef struct scope {
    const struct scope *parent;
    tni_map names;
} scope;

static bool is_taken(const scope *s, tn_string name) {
    uint32_t unused = 0;
    for (; s != NULL; s = s->parent) {
        if (tni_map_find(&s->names, name, &unused)) {
            return true;
        }
    }
    return false;
}

// The name itself, or with the id behind it, and underscores until nothing else is called so.
static tn_string make_unique(tni_writer *w, const scope *s, tn_string name, uint32_t id) {
    char text[320];
    tn_string copy = {NULL, 0};
    if (name.size_bytes > 0 && !is_taken(s, name)) {
        return name;
    }
    const int stem = (int)(name.size_bytes > 200 ? 200 : name.size_bytes);
    int used = name.size_bytes > 0 ? snprintf(text, sizeof text, "%.*s_%u", stem, name.data, id)
                                   : snprintf(text, sizeof text, "value_%u", id);
    while (is_taken(s, (tn_string){text, (uint64_t)used}) && used < (int)sizeof text - 2) {
        text[used++] = '_';
        text[used] = '\0';
    }
    // A cut name may end within a character.
    tni_text_sanitise(text);
    tni_write_plain(w, tni_arena_text(&w->arena, tni_string_of(text), &copy));
    return copy;
}

static tn_string take_name(tni_writer *w, scope *s, tn_string name, uint32_t id) {
    const tn_string unique = make_unique(w, s, name, id);
    if (w->status == TN_OK) {
        tni_write_plain(w, tni_map_set(&s->names, unique, id));
    }
    return unique;
}

static void name_value(tni_writer *w, scope *s, uint32_t graph, uint32_t value, tn_string name) {
    if (value != TN_NONE && w->names[value].data == NULL) {
        w->names[value] = take_name(w, s, name, value);
        w->owners[value] = graph;
    }
}

static void name_nodes(tni_writer *w, scope *s, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    for (uint32_t i = 0; i < record->node_count && w->status == TN_OK; i++) {
        const tni_node *node = &w->model->nodes[record->nodes[i]];
        for (uint32_t k = 0; k < node->output_count; k++) {
            if (node->outputs[k] != TN_NONE) {
                name_value(w, s, graph, node->outputs[k], w->model->values[node->outputs[k]].name);
            }
        }
    }
}

// An output that is made elsewhere, or given out before, comes from an Identity.
static void name_outputs(tni_writer *w, scope *s, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    tn_string **identities = &w->graphs[graph].identities;
    tni_write_plain(w, tni_arena_array(&w->arena, record->output_count, sizeof **identities, 8,
                                       (void **)identities));
    for (uint32_t i = 0; i < record->output_count && w->status == TN_OK; i++) {
        const uint32_t value = record->outputs[i];
        if (w->owners[value] == graph && w->is_output[value] == 0) {
            w->is_output[value] = 1;
        } else {
            (*identities)[i] = take_name(w, s, record->output_names[i], w->model->value_count + i);
        }
    }
}

static void name_graph(tni_writer *w, scope *s, uint32_t graph);

static void name_bodies(tni_writer *w, const scope *parent, const tni_node *node) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        const bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count && w->status == TN_OK; k++) {
            scope s = {.parent = parent};
            tni_map_init(&s.names, &w->model->alloc);
            name_graph(w, &s, attr->indices[k]);
            tni_map_deinit(&s.names);
        }
    }
}

// Inputs and outputs come first: their names are what the model's users know.
static void name_graph(tni_writer *w, scope *s, uint32_t graph) {
    const tni_model *model = w->model;
    const tni_graph *record = &model->graphs[graph];
    for (uint32_t i = 0; i < record->input_count; i++) {
        name_value(w, s, graph, record->inputs[i], model->values[record->inputs[i]].name);
    }
    for (uint32_t i = 0; i < record->output_count; i++) {
        const uint32_t value = record->outputs[i];
        const uint32_t producer = model->values[value].producer;
        if (producer != TN_NONE && model->nodes[producer].graph == graph) {
            name_value(w, s, graph, value, record->output_names[i]);
        }
    }
    for (uint32_t v = w->graphs[graph].first_value; v != TN_NONE; v = w->next_value[v]) {
        name_value(w, s, graph, v, model->values[v].name);
    }
    name_nodes(w, s, graph);
    name_outputs(w, s, graph);
    for (uint32_t i = 0; i < record->node_count && w->status == TN_OK; i++) {
        name_bodies(w, s, &model->nodes[record->nodes[i]]);
    }
}

void tni_write_decide_names(tni_writer *w) {
    scope s = {.parent = NULL};
    mark_graph(w, 0);
    place_constants(w, 0);
    list_constants(w);
    tni_map_init(&s.names, &w->model->alloc);
    name_graph(w, &s, 0);
    tni_map_deinit(&s.names);
}
