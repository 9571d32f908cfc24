// SPDX-License-Identifier: Apache-2.0
// Building graph views in three steps: plan which graphs, nodes, values and constants are shown and
// how large every pool is, allocate once, fill. See view.h.
#include "graph/view.h"

#include "base/error.h"
#include "graph/view_layout.h"

#include <string.h>

// Fills the view from the plan. Counters run in the order of planning, so they stay within it.
typedef struct {
    const tni_view_plan *plan;
    const tni_view_spec *spec;
    tni_model *model;
    tn_graph_view *view;
    uint8_t *bytes;
    uint32_t value_ids;
    uint32_t attributes;
    uint32_t attr_ints;
    uint32_t attr_floats;
    uint32_t attr_texts;
    uint32_t attr_indices;
    uint32_t dims;
    uint32_t strings;
} filler;

#define POOL(f, type, pool) ((type *)(void *)((f)->bytes + (f)->view->pool.offset_bytes))

static tn_text_ref put_text(filler *f, tn_string text) {
    const tn_text_ref ref = {f->strings, (uint32_t)text.size_bytes};
    if (text.size_bytes > 0) {
        memcpy(POOL(f, uint8_t, strings) + f->strings, text.data, (size_t)text.size_bytes);
    }
    f->strings += ref.size_bytes;
    return ref;
}

// The view's index of a model value; TN_NONE for an absent operand.
static uint32_t view_value(const filler *f, uint32_t value) {
    return value == TN_NONE ? TN_NONE : f->plan->value_index[f->plan->alias[value]];
}

static tn_range put_value_ids(filler *f, const uint32_t *values, uint32_t count) {
    const tn_range range = {f->value_ids, count};
    for (uint32_t i = 0; i < count; i++) {
        POOL(f, uint32_t, value_ids)[f->value_ids++] = view_value(f, values[i]);
    }
    return range;
}

static tn_range put_dims(filler *f, const tn_graph_dim *dims, uint32_t rank) {
    const tn_range range = {f->dims, rank};
    for (uint32_t i = 0; i < rank && rank != TN_RANK_UNKNOWN; i++) {
        POOL(f, tn_graph_dim, dims)[f->dims++] = dims[i];
    }
    return range;
}

static tn_range put_attr_values(filler *f, const tni_attr *attr) {
    tn_range range = {0, attr->count};
    switch (attr->kind) {
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        range.begin = f->attr_ints;
        for (uint32_t i = 0; i < attr->count; i++) {
            POOL(f, int64_t, attr_ints)[f->attr_ints++] = attr->ints[i];
        }
        break;
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        range.begin = f->attr_floats;
        for (uint32_t i = 0; i < attr->count; i++) {
            POOL(f, float, attr_floats)[f->attr_floats++] = attr->floats[i];
        }
        break;
    case TN_ATTR_STRING:
    case TN_ATTR_STRINGS:
        range.begin = f->attr_texts;
        for (uint32_t i = 0; i < attr->count; i++) {
            POOL(f, tn_text_ref, attr_texts)[f->attr_texts++] = put_text(f, attr->texts[i]);
        }
        break;
    default:
        range.begin = f->attr_indices;
        for (uint32_t i = 0; i < attr->count; i++) {
            const bool tensor = attr->kind == TN_ATTR_TENSOR || attr->kind == TN_ATTR_TENSORS;
            const uint32_t *map = tensor ? f->plan->constant_index : f->plan->graph_index;
            POOL(f, uint32_t, attr_indices)[f->attr_indices++] = map[attr->indices[i]];
        }
        break;
    }
    return range;
}

static tn_range put_attributes(filler *f, const tni_node *node) {
    tn_range range = {f->attributes, 0};
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        if (attr->kind == TNI_ATTR_TYPE) {
            continue;
        }
        range.count++;
        const tn_text_ref name = put_text(f, attr->name);
        const tn_range values = put_attr_values(f, attr);
        POOL(f, tn_graph_attribute, attributes)
        [f->attributes++] = (tn_graph_attribute){name, attr->kind, 0, values};
    }
    return range;
}

static void put_node(filler *f, uint32_t at) {
    const uint32_t id = f->plan->nodes[at];
    const tni_form *forms = f->plan->spec->forms;
    const tni_node *node = &f->model->nodes[id];
    const bool expansion =
        node->expansion != TN_NONE && f->plan->graph_index[node->expansion] != TN_NONE;
    tn_graph_node *out = &POOL(f, tn_graph_node, nodes)[at];
    out->domain = put_text(f, node->domain);
    out->op_type = put_text(f, node->op_type);
    out->name = put_text(f, node->name);
    out->since_version = forms != NULL ? forms[id].since_version : node->since_version;
    out->graph = f->plan->node_graph[at];
    out->inputs = put_value_ids(f, node->inputs, node->input_count);
    out->outputs = put_value_ids(f, node->outputs, node->output_count);
    out->attributes = put_attributes(f, node);
    out->expansion = expansion ? f->plan->graph_index[node->expansion] : TN_NONE;
    out->flags = node->flags;
    out->source_id = node->source_id;
}

// The dims of one run; sizes that only the run will tell keep the symbol they have.
static tn_range put_fixed_dims(filler *f, const tni_shape *shape, const tni_value *value) {
    const tn_range range = {f->dims, shape->rank};
    for (uint32_t i = 0; i < shape->rank; i++) {
        const bool named = shape->dims[i] < 0 && value->rank == shape->rank;
        const uint32_t symbol = named ? value->dims[i].symbol : TN_NONE;
        POOL(f, tn_graph_dim, dims)[f->dims++] = (tn_graph_dim){shape->dims[i], symbol, 0};
    }
    return range;
}

static void put_value(filler *f, uint32_t at) {
    const tni_value *value = &f->model->values[f->plan->values[at]];
    const tni_shape *fixed = tni_view_shape(f->spec, f->plan->values[at]);
    tn_graph_value *out = &POOL(f, tn_graph_value, values)[at];
    out->name = put_text(f, value->name);
    out->kind = value->kind;
    out->dtype = fixed != NULL ? fixed->dtype : value->dtype;
    out->dims =
        fixed != NULL ? put_fixed_dims(f, fixed, value) : put_dims(f, value->dims, value->rank);
    out->constant = value->constant == TN_NONE ? TN_NONE : f->plan->constant_index[value->constant];
    out->producer = f->plan->value_producer[at];
    out->graph = f->plan->value_graph[at];
}

static tn_status put_constant(filler *f, uint32_t at, bool with_hash, tn_error *error) {
    const uint32_t id = f->plan->constants[at];
    const tni_constant *constant = &f->model->constants[id];
    tn_graph_constant *out = &POOL(f, tn_graph_constant, constants)[at];
    out->key = constant->key;
    out->size_bytes = constant->size_bytes;
    out->dtype = constant->dtype;
    out->flags = constant->kind == TNI_CONSTANT_RECIPE ? 0 : TN_CONSTANT_MAPPABLE;
    out->dims = (tn_range){f->dims, constant->rank};
    for (uint32_t i = 0; i < constant->rank; i++) {
        POOL(f, tn_graph_dim, dims)[f->dims++] = (tn_graph_dim){constant->dims[i], TN_NONE, 0};
    }
    if (!with_hash) {
        return TN_OK;
    }
    out->flags |= TN_CONSTANT_HASHED;
    return tni_constant_hash(f->model, id, out->content_hash, error);
}

static void put_graph(filler *f, uint32_t at, const tni_view_spec *spec) {
    const tni_view_plan *plan = f->plan;
    const tni_view_graph *shown = &plan->graphs[at];
    tn_graph_record *out = &POOL(f, tn_graph_record, graphs)[at];
    const tni_graph *graph = &f->model->graphs[shown->graph];
    const bool island = at == 0 && spec->nodes != NULL;
    out->name = put_text(f, graph->name);
    out->nodes = (tn_range){shown->first_node, shown->node_count};
    out->inputs = island ? put_value_ids(f, spec->inputs, spec->input_count)
                         : put_value_ids(f, graph->inputs, graph->input_count);
    out->outputs = island ? put_value_ids(f, spec->outputs, spec->output_count)
                          : put_value_ids(f, graph->outputs, graph->output_count);
    // Without captures the list was never allocated.
    const uint32_t *captures =
        shown->capture_count == 0 ? NULL : plan->captures + shown->first_capture;
    out->captures = put_value_ids(f, captures, shown->capture_count);
    out->parent_node = at == 0 ? TN_NONE : plan->node_index[graph->parent_node];
}

static void put_symbols(filler *f) {
    for (uint32_t i = 0; i < f->model->symbol_count; i++) {
        const tni_symbol *symbol = &f->model->symbols[i];
        const tn_text_ref name = put_text(f, symbol->name);
        POOL(f, tn_graph_symbol, symbols)[i] = (tn_graph_symbol){name, symbol->min, symbol->max};
    }
}

static tn_status fill(filler *f, const tni_view_spec *spec, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < f->plan->graph_count; i++) {
        put_graph(f, i, spec);
    }
    for (uint32_t i = 0; i < f->plan->node_count; i++) {
        put_node(f, i);
    }
    for (uint32_t i = 0; i < f->plan->value_count; i++) {
        put_value(f, i);
    }
    put_symbols(f);
    for (uint32_t i = 0; i < f->plan->constant_count && status == TN_OK; i++) {
        status = put_constant(f, i, spec->with_hashes, error);
    }
    return status;
}

static tn_status take_maps(tni_view *out, const tni_view_plan *plan) {
    out->node_count = plan->node_count;
    out->value_count = plan->value_count;
    out->constant_count = plan->constant_count;
    out->node_of = tni_alloc_array(&out->alloc, (uint64_t)plan->node_count + 1, sizeof(uint32_t));
    out->value_of = tni_alloc_array(&out->alloc, (uint64_t)plan->value_count + 1, sizeof(uint32_t));
    if (out->node_of == NULL || out->value_of == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    if (plan->node_count > 0) {
        memcpy(out->node_of, plan->nodes, plan->node_count * sizeof(uint32_t));
    }
    if (plan->value_count > 0) {
        memcpy(out->value_of, plan->values, plan->value_count * sizeof(uint32_t));
    }
    return TN_OK;
}

static tn_status allocate(const tni_alloc *alloc, const tni_view_plan *plan, tni_view **out) {
    tn_graph_view header;
    tni_view_layout(plan, &header);
    *out = tni_alloc_zeroed(alloc, sizeof **out);
    if (*out == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    (*out)->alloc = *alloc;
    (*out)->total_bytes = header.total_bytes;
    (*out)->view = tni_alloc_zeroed(alloc, header.total_bytes);
    if ((*out)->view == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    *(*out)->view = header;
    return take_maps(*out, plan);
}

tn_status tni_view_build(const tni_alloc *alloc, tni_model *model, const tni_view_spec *spec,
                         tni_view **out_view, tn_error *error) {
    tni_view_plan plan;
    *out_view = NULL;
    tn_status status = tni_view_plan_init(&plan, alloc, model, spec, error);
    if (status == TN_OK) {
        status = allocate(alloc, &plan, out_view);
        if (status != TN_OK) {
            (void)tni_fail_plain(error, status, "graph view");
        }
    }
    if (status == TN_OK) {
        filler f = {.plan = &plan,
                    .spec = spec,
                    .model = model,
                    .view = (*out_view)->view,
                    .bytes = (uint8_t *)(*out_view)->view};
        status = fill(&f, spec, error);
    }
    tni_view_plan_deinit(&plan);
    if (status != TN_OK) {
        tni_view_destroy(*out_view);
        *out_view = NULL;
    }
    return status;
}

void tni_view_destroy(tni_view *view) {
    if (view == NULL) {
        return;
    }
    const tni_alloc alloc = view->alloc;
    tni_free_array(&alloc, view->node_of, (uint64_t)view->node_count + 1, sizeof(uint32_t));
    tni_free_array(&alloc, view->value_of, (uint64_t)view->value_count + 1, sizeof(uint32_t));
    tni_free(&alloc, view->view, view->total_bytes);
    tni_free(&alloc, view, sizeof *view);
}
