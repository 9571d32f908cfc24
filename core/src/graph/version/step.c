// SPDX-License-Identifier: Apache-2.0
// One step between two versions of an op: its rule, then what every step shares, then the form. See
// draft.h.
#include "graph/version/draft.h"

#include "base/error.h"

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
        tni_draft_touch(d);
        if (d->status != TN_OK) {
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
