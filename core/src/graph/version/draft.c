// SPDX-License-Identifier: Apache-2.0
// Editing drafts, and what every step between two versions of an op shares. See draft.h.
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

static bool is_default(const tni_attr *attr, const tni_schema_attr *schema) {
    if (schema == NULL || schema->has_default == 0 || attr->kind != schema->kind) {
        return false;
    }
    // Defaults are stated, not computed, so equality is what is meant.
    return attr->kind == TN_ATTR_INT     ? attr->ints[0] == schema->int_default
           : attr->kind == TN_ATTR_FLOAT ? !(attr->floats[0] < schema->float_default) &&
                                               !(attr->floats[0] > schema->float_default)
                                         : tni_string_is(attr->texts[0], schema->text_default);
}

// Attributes that d->to does not know go when they say nothing; then true.
static bool drop_unknown(tni_draft *d) {
    for (uint32_t i = d->attr_count; i-- > 0;) {
        const tni_attr attr = d->attrs[i];
        const tni_schema_attr *known = tni_schema_find_attr(d->to, attr.name);
        if (known != NULL && known->kind == attr.kind) {
            continue;
        }
        // A hint of the first versions, without a meaning for the result.
        const bool hint = tni_string_is(attr.name, "consumed_inputs");
        if (known != NULL ||
            (!hint && !is_default(&attr, tni_schema_find_attr(d->from, attr.name)))) {
            return false;
        }
        if (!own(d)) {
            return false;
        }
        d->attrs[i] = d->attrs[--d->attr_count];
    }
    return true;
}

// What the node left to a default is said where the other version has another one.
static void state_defaults(tni_draft *d) {
    for (uint32_t i = 0; i < d->from->attr_count; i++) {
        const tni_schema_attr *old = &d->from->attrs[i];
        const tni_schema_attr *new = tni_schema_find_attr(d->to, tni_string_of(old->name));
        if (old->has_default == 0 || new == NULL || tni_draft_attr(d, old->name) != NULL) {
            continue;
        }
        tn_string text = tni_string_of(old->text_default);
        int64_t number = old->int_default;
        float real = old->float_default;
        const tni_attr attr = {.kind = old->kind, .ints = &number, .floats = &real, .texts = &text};
        if (is_default(&attr, new)) {
            continue;
        }
        if (old->kind == TN_ATTR_INT) {
            tni_draft_set_int(d, old->name, number);
        } else if (old->kind == TN_ATTR_FLOAT) {
            tni_draft_set_float(d, old->name, real);
        } else {
            tni_draft_set_text(d, old->name, old->text_default);
        }
    }
}

// Axes counted from the end came with opset 11; every version understands those from the front.
static bool count_from_front(tni_draft *d) {
    if (d->to->since_version >= 11 || d->from->since_version < 11) {
        return true;
    }
    const bool grows =
        tni_string_is(d->op_type, "Unsqueeze") || tni_string_is(d->op_type, "OneHot");
    const uint32_t rank = tni_draft_rank(d, grows ? d->outputs[0] : tni_draft_input(d, 0));
    static const char *const names[] = {"axis", "axes"};
    for (size_t k = 0; k < 2; k++) {
        const tni_attr *attr = tni_draft_attr(d, names[k]);
        int64_t front[TN_MAX_RANK];
        bool negative = false;
        for (uint32_t i = 0; attr != NULL && i < attr->count; i++) {
            if ((attr->kind != TN_ATTR_INT && attr->kind != TN_ATTR_INTS) || i >= TN_MAX_RANK) {
                return false;
            }
            negative = negative || attr->ints[i] < 0;
            front[i] = attr->ints[i] < 0 ? attr->ints[i] + rank : attr->ints[i];
        }
        if (negative && rank == TN_RANK_UNKNOWN) {
            return false;
        }
        if (negative && attr->kind == TN_ATTR_INT) {
            tni_draft_set_int(d, names[k], front[0]);
        } else if (negative) {
            tni_draft_set_ints(d, names[k], front, attr->count);
        }
    }
    return true;
}

static bool type_allowed(const tni_draft *d, uint32_t value, uint32_t types) {
    const tni_value *record = &d->model->values[value];
    return record->kind != TN_VALUE_TENSOR || record->dtype == TN_DTYPE_UNDEFINED ||
           record->dtype >= 32 || (types >> record->dtype & 1u) != 0;
}

static bool operands_fit(const tni_draft *d) {
    const tni_schema *to = d->to;
    if (d->input_count < to->min_inputs || d->input_count > to->max_inputs ||
        d->output_count > to->max_outputs) {
        return false;
    }
    for (uint32_t i = 0; i < d->input_count; i++) {
        if (d->inputs[i] == TN_NONE
                ? i < to->min_inputs
                : !type_allowed(d, d->inputs[i], tni_schema_input_types(to, i))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < d->output_count; i++) {
        if (d->outputs[i] != TN_NONE &&
            !type_allowed(d, d->outputs[i], tni_schema_output_types(to, i))) {
            return false;
        }
    }
    return true;
}

static bool settle(tni_draft *d) {
    if (!drop_unknown(d) || !count_from_front(d)) {
        return false;
    }
    state_defaults(d);
    while (d->edited && d->input_count > 0 && d->inputs[d->input_count - 1] == TN_NONE) {
        d->input_count--;
    }
    return d->status == TN_OK && operands_fit(d);
}

bool tni_draft_place(tni_draft *d) {
    if (d->placed) {
        return true;
    }
    if (!settle(d)) {
        return false;
    }
    tni_builder *b = tni_draft_builder(d);
    const tni_node node = d->model->nodes[d->node];
    const tni_node_info info = {.graph = b->graph,
                                .domain = node.domain,
                                .op_type = d->op_type,
                                .name = node.name,
                                .since_version = d->to->since_version,
                                .flags = node.flags,
                                .input_count = d->input_count,
                                .output_count = d->output_count,
                                .inputs = d->inputs,
                                .outputs = d->outputs,
                                .attrs = d->attrs,
                                .attr_count = d->attr_count,
                                .source_id = node.source_id};
    if (b->status == TN_OK) {
        b->status = tni_model_add_node(d->model, &info, &d->main_node);
    }
    d->placed = b->status == TN_OK;
    if (d->placed) {
        d->model->nodes[d->main_node].expansion = node.expansion;
    }
    return d->placed;
}

// A form writes what its owner produces.
static void give_outputs_back(tni_draft *d) {
    const tni_node *node = &d->model->nodes[d->node];
    uint32_t owner = d->node;
    while (d->model->graphs[d->model->nodes[owner].graph].is_form) {
        owner = d->model->graphs[d->model->nodes[owner].graph].parent_node;
    }
    const tni_node *first = &d->model->nodes[owner];
    for (uint32_t i = 0; i < node->output_count; i++) {
        bool owned = false;
        for (uint32_t k = 0; k < first->output_count; k++) {
            owned = owned || first->outputs[k] == node->outputs[i];
        }
        if (node->outputs[i] != TN_NONE) {
            d->model->values[node->outputs[i]].producer = owned ? owner : d->node;
        }
    }
}

// Closes what the builder began; its failure is the draft's.
static void close_builder(tni_draft *d) {
    if (!d->open) {
        return;
    }
    give_outputs_back(d);
    if (d->builder.status != TN_OK && d->status == TN_OK) {
        d->status = tni_fail_plain(d->error, d->builder.status, "op versions");
    }
}

static tn_status finish(tni_draft *d, tni_step_result *out_result, uint32_t *out_form) {
    if (!d->edited && !d->open && settle(d) && !d->edited) {
        *out_result = d->status == TN_OK ? TNI_STEP_SAME : TNI_STEP_IMPOSSIBLE;
        return d->status;
    }
    const bool placed = tni_draft_place(d);
    close_builder(d);
    if (d->status != TN_OK || !placed) {
        return d->status;
    }
    tni_graph *form = &d->model->graphs[d->builder.graph];
    form->main_node = d->main_node;
    form->form_version = d->to->since_version;
    form->next_form = d->model->nodes[d->node].form;
    d->model->nodes[d->node].form = d->builder.graph;
    *out_form = d->builder.graph;
    *out_result = TNI_STEP_FORM;
    return TN_OK;
}

// A form that was made for another device.
static uint32_t find_form(const tni_model *model, uint32_t node, uint32_t version) {
    uint32_t form = model->nodes[node].form;
    while (form != TN_NONE && model->graphs[form].form_version != version) {
        form = model->graphs[form].next_form;
    }
    return form;
}

static bool apply_rule(tni_draft *d, const tni_step_rule *rule, bool up) {
    if (rule == NULL) {
        return true;
    }
    const tni_version_rule change = up ? rule->up : rule->down;
    return change != NULL && change(d);
}

tn_status tni_version_step(tni_model *model, uint32_t node, const tni_schema *from,
                           const tni_schema *to, bool with_helpers, tni_step_result *out_result,
                           uint32_t *out_form, tn_error *error) {
    const bool up = to->since_version > from->since_version;
    const tni_node *record = &model->nodes[node];
    *out_result = TNI_STEP_IMPOSSIBLE;
    *out_form = find_form(model, node, to->since_version);
    if (*out_form != TN_NONE) {
        const bool plain = model->graphs[*out_form].node_count == 1;
        *out_result = plain || with_helpers ? TNI_STEP_FORM : TNI_STEP_IMPOSSIBLE;
        return TN_OK;
    }
    tni_draft d = {.model = model,
                   .error = error,
                   .node = node,
                   .from = from,
                   .to = to,
                   .helpers = with_helpers,
                   .op_type = record->op_type,
                   .input_count = record->input_count,
                   .output_count = record->output_count,
                   .attr_count = record->attr_count,
                   .inputs = record->inputs,
                   .outputs = record->outputs,
                   .attrs = record->attrs,
                   .main_node = TN_NONE};
    const uint32_t boundary = up ? to->since_version : from->since_version;
    const tni_step_rule *rule =
        from->domain[0] == '\0' ? tni_step_rule_find(from->op_type, boundary) : NULL;
    if (!apply_rule(&d, rule, up) || (d.to->deprecated != 0 && d.status == TN_OK)) {
        close_builder(&d);
        return d.status;
    }
    return finish(&d, out_result, out_form);
}
