// SPDX-License-Identifier: Apache-2.0
// Reading and editing drafts. See draft.h; what is done with them is in step.c.
#include "graph/version/draft.h"

#include "base/error.h"
#include "graph/elements.h"

#include <string.h>

// Room for what a rule adds.
#define EXTRA 8u

uint32_t tni_draft_input(const tni_draft *d, uint32_t index) {
    return index < d->input_count ? d->inputs[index] : TN_NONE;
}

const tni_attr *tni_draft_attr(const tni_draft *d, const char *name) {
    const tni_node node = {.attrs = d->attrs, .attr_count = d->attr_count};
    return tni_node_attr(&node, name);
}

int64_t tni_draft_int(const tni_draft *d, const char *name, int64_t fallback) {
    const tni_attr *attr = tni_draft_attr(d, name);
    return attr != NULL && attr->kind == TN_ATTR_INT ? attr->ints[0] : fallback;
}

float tni_draft_float(const tni_draft *d, const char *name, float fallback) {
    const tni_attr *attr = tni_draft_attr(d, name);
    return attr != NULL && attr->kind == TN_ATTR_FLOAT ? attr->floats[0] : fallback;
}

tn_string tni_draft_text(const tni_draft *d, const char *name, const char *fallback) {
    const tni_attr *attr = tni_draft_attr(d, name);
    return attr != NULL && attr->kind == TN_ATTR_STRING ? attr->texts[0] : tni_string_of(fallback);
}

uint32_t tni_draft_rank(const tni_draft *d, uint32_t value) {
    return value == TN_NONE ? TN_RANK_UNKNOWN : d->model->values[value].rank;
}

int64_t tni_draft_size(const tni_draft *d, uint32_t value, uint32_t axis) {
    const tni_value *record = &d->model->values[value];
    return record->rank != TN_RANK_UNKNOWN && axis < record->rank ? record->dims[axis].size : -1;
}

tn_dtype tni_draft_dtype(const tni_draft *d, uint32_t value) {
    return value == TN_NONE ? TN_DTYPE_UNDEFINED : d->model->values[value].dtype;
}

static const tni_constant *constant_of(const tni_draft *d, uint32_t input) {
    const uint32_t value = tni_draft_input(d, input);
    const uint32_t constant = value == TN_NONE ? TN_NONE : d->model->values[value].constant;
    return constant == TN_NONE ? NULL : &d->model->constants[constant];
}

bool tni_draft_is_empty(const tni_draft *d, uint32_t input) {
    const tni_constant *constant = constant_of(d, input);
    return tni_draft_input(d, input) == TN_NONE ||
           (constant != NULL && constant->element_count == 0);
}

bool tni_draft_read_ints(tni_draft *d, uint32_t input, int64_t *out_values, uint32_t *out_count) {
    const tni_constant *constant = constant_of(d, input);
    *out_count = 0;
    if (constant == NULL || constant->element_count > TNI_DRAFT_MAX_INTS ||
        (constant->dtype != TN_DTYPE_INT64 && constant->dtype != TN_DTYPE_INT32 &&
         constant->dtype != TN_DTYPE_BOOL)) {
        return false;
    }
    const tn_status status = tni_constant_ints(d->model, (uint32_t)(constant - d->model->constants),
                                               out_values, TNI_DRAFT_MAX_INTS, out_count, d->error);
    d->status = d->status == TN_OK ? status : d->status;
    return status == TN_OK;
}

bool tni_draft_read_number(tni_draft *d, uint32_t input, double *out_number) {
    const tni_constant *constant = constant_of(d, input);
    if (constant == NULL || constant->element_count != 1 ||
        !tni_elements_decodable(constant->dtype)) {
        return false;
    }
    const tn_status status = tni_elements_read(d->model, (uint32_t)(constant - d->model->constants),
                                               0, 1, out_number, d->error);
    d->status = d->status == TN_OK ? status : d->status;
    return status == TN_OK;
}

bool tni_draft_read_floats(tni_draft *d, uint32_t input, float out_values[TN_MAX_RANK],
                           uint32_t *out_count) {
    double wide[TN_MAX_RANK];
    const tni_constant *constant = constant_of(d, input);
    *out_count = 0;
    if (constant == NULL || constant->element_count > TN_MAX_RANK ||
        constant->dtype != TN_DTYPE_FLOAT) {
        return false;
    }
    const tn_status status = tni_elements_read(d->model, (uint32_t)(constant - d->model->constants),
                                               0, constant->element_count, wide, d->error);
    d->status = d->status == TN_OK ? status : d->status;
    *out_count = (uint32_t)constant->element_count;
    for (uint32_t i = 0; i < *out_count && status == TN_OK; i++) {
        out_values[i] = (float)wide[i];
    }
    return status == TN_OK;
}

// The draft's own copies, with room for more. Returns false after a failure.
static bool own(tni_draft *d) {
    uint32_t *inputs = NULL;
    uint32_t *outputs = NULL;
    tni_attr *attrs = NULL;
    if (d->edited || d->status != TN_OK) {
        return d->status == TN_OK;
    }
    tni_arena *arena = &d->model->arena;
    d->status = tni_arena_array(arena, (uint64_t)d->input_count + EXTRA, sizeof *inputs, 8,
                                (void **)&inputs);
    if (d->status == TN_OK) {
        d->status = tni_arena_array(arena, d->output_count, sizeof *outputs, 8, (void **)&outputs);
    }
    if (d->status == TN_OK) {
        d->status = tni_arena_array(arena, (uint64_t)d->attr_count + EXTRA, sizeof *attrs, 8,
                                    (void **)&attrs);
    }
    if (d->status != TN_OK) {
        (void)tni_fail_plain(d->error, d->status, "op versions");
        return false;
    }
    if (d->input_count > 0) {
        memcpy(inputs, d->inputs, d->input_count * sizeof *inputs);
    }
    if (d->attr_count > 0) {
        memcpy(attrs, d->attrs, d->attr_count * sizeof *attrs);
    }
    if (d->output_count > 0) {
        memcpy(outputs, d->outputs, d->output_count * sizeof *outputs);
    }
    d->inputs = inputs;
    d->outputs = outputs;
    d->attrs = attrs;
    d->edited = true;
    return true;
}

void tni_draft_set_input(tni_draft *d, uint32_t index, uint32_t value) {
    if (!own(d)) {
        return;
    }
    while (d->input_count <= index) {
        d->inputs[d->input_count++] = TN_NONE;
    }
    d->inputs[index] = value;
}

void tni_draft_set_output(tni_draft *d, uint32_t index, uint32_t value) {
    if (own(d)) {
        d->outputs[index] = value;
    }
}

void tni_draft_cut_inputs(tni_draft *d, uint32_t count) {
    if (d->input_count > count && own(d)) {
        d->input_count = count;
    }
}

void tni_draft_drop_attr(tni_draft *d, const char *name) {
    const tni_attr *found = tni_draft_attr(d, name);
    const uint32_t at = found == NULL ? 0 : (uint32_t)(found - d->attrs);
    if (found != NULL && own(d)) {
        d->attrs[at] = d->attrs[--d->attr_count];
    }
}

// Sets an attribute; payload points at count items of item_bytes, or is null.
static void set_attr(tni_draft *d, const char *name, tn_attr_kind kind, const void *payload,
                     uint32_t count, uint64_t item_bytes) {
    void *copy = NULL;
    tni_draft_drop_attr(d, name);
    if (!own(d)) {
        return;
    }
    d->status = tni_arena_array(&d->model->arena, count, item_bytes, 8, &copy);
    if (d->status != TN_OK) {
        (void)tni_fail_plain(d->error, d->status, "op versions");
        return;
    }
    if (count > 0) {
        memcpy(copy, payload, (size_t)(count * item_bytes));
    }
    const bool is_int = kind == TN_ATTR_INT || kind == TN_ATTR_INTS;
    const bool is_float = kind == TN_ATTR_FLOAT || kind == TN_ATTR_FLOATS;
    d->attrs[d->attr_count++] = (tni_attr){.name = tni_string_of(name),
                                           .kind = kind,
                                           .count = count,
                                           .ints = is_int ? copy : NULL,
                                           .floats = is_float ? copy : NULL,
                                           .texts = kind == TN_ATTR_STRING ? copy : NULL};
}

void tni_draft_set_int(tni_draft *d, const char *name, int64_t value) {
    set_attr(d, name, TN_ATTR_INT, &value, 1, sizeof value);
}

void tni_draft_set_ints(tni_draft *d, const char *name, const int64_t *values, uint32_t count) {
    set_attr(d, name, TN_ATTR_INTS, values, count, sizeof *values);
}

void tni_draft_set_float(tni_draft *d, const char *name, float value) {
    set_attr(d, name, TN_ATTR_FLOAT, &value, 1, sizeof value);
}

void tni_draft_set_floats(tni_draft *d, const char *name, const float *values, uint32_t count) {
    set_attr(d, name, TN_ATTR_FLOATS, values, count, sizeof *values);
}

void tni_draft_touch(tni_draft *d) {
    (void)own(d);
}

void tni_draft_set_text(tni_draft *d, const char *name, const char *value) {
    tn_string text = {NULL, 0};
    if (d->status == TN_OK) {
        d->status = tni_arena_text(&d->model->arena, tni_string_of(value), &text);
    }
    if (d->status == TN_OK) {
        set_attr(d, name, TN_ATTR_STRING, &text, 1, sizeof text);
    } else {
        (void)tni_fail_plain(d->error, d->status, "op versions");
    }
}

tni_builder *tni_draft_builder(tni_draft *d) {
    tni_builder *b = &d->builder;
    if (!d->open && d->status == TN_OK) {
        d->open = true;
        *b = (tni_builder){.model = d->model,
                           .node = d->node,
                           .graph = TN_NONE,
                           .scope = d->model->nodes[d->node].graph,
                           .opset = d->to->since_version,
                           .dtype = TN_DTYPE_FLOAT};
        // Values that a form of a form makes belong to the graph that shows them.
        while (d->model->graphs[b->scope].is_form) {
            b->scope = d->model->nodes[d->model->graphs[b->scope].parent_node].graph;
        }
        b->status = tni_model_add_graph(d->model, d->node, TNI_LITERAL(""), &b->graph);
        if (b->status == TN_OK) {
            d->model->graphs[b->graph].is_form = true;
        }
    }
    if (d->status != TN_OK) {
        b->status = d->status;
    }
    return b;
}
