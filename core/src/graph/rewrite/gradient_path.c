// SPDX-License-Identifier: Apache-2.0
// Names and dependence for Gradient. See gradient_path.h.
#include "graph/rewrite/gradient_path.h"

#include "base/error.h"

#include <string.h>

#define AMBIGUOUS (TN_NONE - 1u)

bool tni_is_gradient(const tni_node *node) {
    return tni_string_is(node->domain, "ai.onnx.preview.training") &&
           tni_string_is(node->op_type, "Gradient");
}

static uint32_t name_count(const tni_node *node, const char *attribute) {
    const tni_attr *attr = tni_node_attr(node, attribute);
    return attr != NULL && attr->kind == TN_ATTR_STRINGS ? attr->count : 0;
}

uint32_t tni_gradient_xs(const tni_node *node) {
    return name_count(node, "xs");
}

// Calls visit for every node that comes before the Gradient, in its graph and those around it, from
// the last to the first.
typedef void (*visit_fn)(const tni_model *model, uint32_t node, void *user);

static void visit_back(const tni_model *model, uint32_t gradient, visit_fn visit, void *user) {
    for (uint32_t child = gradient; child != TN_NONE;) {
        const tni_graph *graph = &model->graphs[model->nodes[child].graph];
        uint32_t i = graph->node_count;
        while (i > 0 && graph->nodes[i - 1] != child) {
            i--;
        }
        while (i-- > 1) {
            if (!model->nodes[graph->nodes[i - 1]].removed) {
                visit(model, graph->nodes[i - 1], user);
            }
        }
        child = graph->parent_node;
    }
}

static void mark_outputs(const tni_model *model, uint32_t node, void *user) {
    uint8_t *made = user;
    for (uint32_t i = 0; i < model->nodes[node].output_count; i++) {
        if (model->nodes[node].outputs[i] != TN_NONE) {
            made[model->nodes[node].outputs[i]] = 1;
        }
    }
}

static bool encloses(const tni_model *model, uint32_t graph, uint32_t node) {
    while (node != TN_NONE && model->nodes[node].graph != graph) {
        node = model->graphs[model->nodes[node].graph].parent_node;
    }
    return node != TN_NONE;
}

// Fills in values[i] for the i-th name: the value of that name that exists before the node.
static void look_up(const tni_model *model, uint32_t gradient, const tni_map *names,
                    const uint8_t *made, uint32_t *values) {
    for (uint32_t i = 0; i < model->value_count; i++) {
        const tni_value *value = &model->values[i];
        uint32_t at = 0;
        if (value->name.size_bytes > 0 && tni_map_find(names, value->name, &at) &&
            (value->producer == TN_NONE || made[i] != 0) &&
            encloses(model, value->graph, gradient)) {
            const uint32_t found = tni_model_resolve(model, i);
            values[at] = values[at] == TN_NONE || values[at] == found ? found : AMBIGUOUS;
        }
    }
}

// The j-th of the names in xs, zs and y.
static tn_string name_at(const tni_node *node, uint32_t j) {
    const uint32_t xs = name_count(node, "xs");
    const uint32_t zs = name_count(node, "zs");
    if (j < xs + zs) {
        return tni_node_attr(node, j < xs ? "xs" : "zs")->texts[j < xs ? j : j - xs];
    }
    return tni_node_text(node, "y", "");
}

// The map gives every name the index of its first occurrence.
static tn_status resolve_names(const tni_model *model, uint32_t gradient, uint32_t count,
                               uint32_t *values, tn_error *error) {
    const tni_node *node = &model->nodes[gradient];
    tn_status status = TN_OK;
    tni_map names;
    tni_map_init(&names, &model->alloc);
    uint8_t *made = tni_alloc_array(&model->alloc, model->value_count, 1);
    for (uint32_t j = count; j-- > 0 && status == TN_OK;) {
        status = tni_map_set(&names, name_at(node, j), j);
        values[j] = TN_NONE;
    }
    if (made == NULL || status != TN_OK) {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "Gradient");
    } else {
        visit_back(model, gradient, mark_outputs, made);
        look_up(model, gradient, &names, made, values);
    }
    for (uint32_t j = 0; j < count && status == TN_OK; j++) {
        uint32_t first = j;
        (void)tni_map_find(&names, name_at(node, j), &first);
        values[j] = values[first];
        if (values[j] >= AMBIGUOUS) {
            status = tni_fail_node(error, TN_ERROR_INVALID_DATA, "gradient.name", gradient, TN_NONE,
                                   "node '%.*s' (Gradient): '%.*s' is %s before it",
                                   TNI_TEXT(node->name), TNI_TEXT(name_at(node, j)),
                                   values[j] == TN_NONE ? "no value" : "more than one value");
        }
    }
    tni_free_array(&model->alloc, made, model->value_count, 1);
    tni_map_deinit(&names);
    return status;
}

tn_status tni_gradient_bind(tni_model *model, uint32_t gradient, tn_error *error) {
    tni_node *node = &model->nodes[gradient];
    const uint64_t named = (uint64_t)name_count(node, "xs") + name_count(node, "zs");
    uint32_t *operands = NULL;
    if (named == 0 || named != node->input_count) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "gradient.operands", gradient, TN_NONE,
                             "node '%.*s' (Gradient): %u inputs, while xs and zs have %llu names",
                             TNI_TEXT(node->name), node->input_count, (unsigned long long)named);
    }
    tn_status status = tni_arena_array(&model->arena, 2 * named + 1, sizeof *operands,
                                       sizeof *operands, (void **)&operands);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "Gradient");
    }
    for (uint32_t i = 0; i < named; i++) {
        if (node->inputs[i] == TN_NONE) {
            return tni_fail_node(error, TN_ERROR_INVALID_DATA, "gradient.operands", gradient,
                                 TN_NONE, "node '%.*s' (Gradient): input %u is absent",
                                 TNI_TEXT(node->name), i);
        }
        operands[i] = tni_model_resolve(model, node->inputs[i]);
    }
    status = resolve_names(model, gradient, (uint32_t)named + 1, operands + named, error);
    if (status == TN_OK) {
        node->inputs = operands;
        node->input_count = (uint32_t)(2 * named + 1);
    }
    return status;
}

// The search for a path: first what y depends on, then what of that depends on the named values.
typedef struct {
    tni_path *path;
    uint8_t *needed;      // per value
    uint8_t *independent; // per value: is named
    bool floats_only;
} search;

// The path's array has room for every node of the model.
static void collect_needed(const tni_model *model, uint32_t id, void *user) {
    const search *s = user;
    const tni_node *node = &model->nodes[id];
    bool needed = false;
    for (uint32_t i = 0; i < node->output_count; i++) {
        const uint32_t value = node->outputs[i];
        needed = needed || (value != TN_NONE && s->needed[value] != 0 && !s->independent[value]);
    }
    for (uint32_t i = 0; i < node->input_count && needed; i++) {
        if (node->inputs[i] != TN_NONE) {
            s->needed[node->inputs[i]] = 1;
        }
    }
    if (needed) {
        s->path->nodes[s->path->node_count++] = id;
    }
}

static bool is_float(tn_dtype dtype) {
    return dtype == TN_DTYPE_FLOAT || dtype == TN_DTYPE_DOUBLE || dtype == TN_DTYPE_FLOAT16 ||
           dtype == TN_DTYPE_BFLOAT16 || dtype == TN_DTYPE_UNDEFINED;
}

// Marks the outputs of a node on the path; false when it is not on it.
static bool pass_on(const tni_model *model, const search *s, const tni_node *node) {
    bool reads = tni_node_has_bodies(node);
    bool carries = false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        reads = reads || (node->inputs[i] != TN_NONE && s->path->depends[node->inputs[i]] != 0);
    }
    for (uint32_t i = 0; i < node->output_count && reads; i++) {
        const uint32_t value = node->outputs[i];
        if (value != TN_NONE && !s->independent[value] &&
            (!s->floats_only || is_float(model->values[value].dtype))) {
            s->path->depends[value] = 1;
            carries = true;
        }
    }
    return carries;
}

static void keep_dependent(const tni_model *model, const search *s) {
    tni_path *path = s->path;
    uint32_t kept = path->node_count; // they move to the end, then to the front
    for (uint32_t i = path->node_count; i-- > 0;) {
        if (pass_on(model, s, &model->nodes[path->nodes[i]])) {
            path->nodes[--kept] = path->nodes[i];
        }
    }
    path->node_count -= kept;
    memmove(path->nodes, path->nodes + kept, path->node_count * sizeof *path->nodes);
}

tn_status tni_path_find(const tni_model *model, uint32_t gradient, tni_path_kind kind,
                        tni_path *out_path, tn_error *error) {
    const tni_node *node = &model->nodes[gradient];
    const uint32_t named = (node->input_count - 1) / 2;
    const uint32_t roots = kind == TNI_PATH_OF_XS ? tni_gradient_xs(node) : named;
    *out_path = (tni_path){.alloc = model->alloc,
                           .node_capacity = model->node_count,
                           .value_count = model->value_count};
    search s = {.path = out_path, .floats_only = kind == TNI_PATH_OF_XS};
    tn_status status = TN_OK;
    out_path->nodes = tni_alloc_array(&model->alloc, model->node_count, sizeof *out_path->nodes);
    out_path->depends = tni_alloc_array(&model->alloc, model->value_count, 1);
    s.needed = tni_alloc_array(&model->alloc, model->value_count, 1);
    s.independent = tni_alloc_array(&model->alloc, model->value_count, 1);
    if (out_path->nodes == NULL || out_path->depends == NULL || s.needed == NULL ||
        s.independent == NULL) {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "Gradient");
        goto done;
    }
    for (uint32_t i = 0; i < named; i++) {
        const uint32_t value = tni_gradient_bound(node, i);
        s.independent[value] = 1;
        out_path->depends[value] = i < roots;
    }
    s.needed[tni_gradient_y(node)] = 1;
    visit_back(model, gradient, collect_needed, &s);
    keep_dependent(model, &s);
done:
    tni_free_array(&model->alloc, s.needed, model->value_count, 1);
    tni_free_array(&model->alloc, s.independent, model->value_count, 1);
    return status;
}

void tni_path_deinit(tni_path *path) {
    tni_free_array(&path->alloc, path->nodes, path->node_capacity, sizeof *path->nodes);
    tni_free_array(&path->alloc, path->depends, path->value_count, 1);
    path->nodes = NULL;
    path->depends = NULL;
}
