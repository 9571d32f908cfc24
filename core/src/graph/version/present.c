// SPDX-License-Identifier: Apache-2.0
// Choosing forms: every node walks from version to version towards the newest one that the device
// knows. See present.h.
#include "graph/version/present.h"

#include "base/error.h"
#include "graph/version/draft.h"

#include <string.h>

typedef struct {
    tni_presentation *out;
    uint32_t capacity;
    tni_model *model;
    const tn_op_list *ops;
    bool *changed;
    tn_error *error;
} presenting;

// Ops that live on under another name.
static const struct {
    const char *old_name;
    const char *new_name;
} successors[] = {{"Upsample", "Resize"}, {"Scatter", "ScatterElements"}};

const tn_op_record *tni_op_record_find(const tn_op_list *ops, tn_string domain, tn_string op) {
    const unsigned char *base = (const unsigned char *)(const void *)ops->ops;
    for (uint32_t i = 0; i < ops->op_count; i++) {
        const tn_op_record *record = (const void *)(base + (uint64_t)i * ops->op_stride_bytes);
        const bool onnx = strcmp(record->domain, "ai.onnx") == 0;
        if (tni_string_is(domain, onnx ? "" : record->domain) &&
            tni_string_is(op, record->op_type)) {
            return record;
        }
    }
    return NULL;
}

// The versions of a node that the device knows. Returns false when it does not know the op at all.
static bool known_range(const presenting *p, const tni_node *node, uint32_t *out_oldest,
                        uint32_t *out_newest) {
    const tn_op_record *record = tni_op_record_find(p->ops, node->domain, node->op_type);
    *out_oldest = record != NULL ? record->oldest_version : UINT32_MAX;
    *out_newest = record != NULL ? record->newest_version : UINT32_MAX;
    for (size_t i = 0; record == NULL && i < sizeof successors / sizeof successors[0]; i++) {
        if (tni_node_is(node, successors[i].old_name)) {
            // Up to the last version under the old name, and on from there.
            record =
                tni_op_record_find(p->ops, node->domain, tni_string_of(successors[i].new_name));
        }
    }
    return record != NULL;
}

static tn_status reserve(presenting *p) {
    const uint32_t count = p->out->node_count;
    const tn_status status = tni_grow(&p->model->alloc, (void **)&p->out->forms, &p->capacity,
                                      p->model->node_count, sizeof *p->out->forms);
    if (status != TN_OK) {
        return tni_fail_plain(p->error, status, "op versions");
    }
    p->out->node_count = p->capacity;
    for (uint32_t i = count; i < p->capacity; i++) {
        p->out->forms[i] = (tni_form){0, TN_NONE, 0};
    }
    return TN_OK;
}

// The neighbour that is one step nearer to what the device knows, or null when there is none or it
// is near enough. *out_needed: the device knows no version on this side of the step.
static const tni_schema *next_row(const tni_schema *row, uint32_t oldest, uint32_t newest,
                                  bool *out_needed) {
    *out_needed = true;
    if (row->since_version > newest) {
        return tni_schema_older(row);
    }
    const tni_schema *next = tni_schema_newer(row);
    *out_needed = row->since_version < oldest;
    return next != NULL && next->since_version <= newest ? next : NULL;
}

static tn_status present_node(presenting *p, uint32_t id);

// The nodes of a form are presented like any other: what stands for the node walks on.
static tn_status present_form(presenting *p, uint32_t id, uint32_t form) {
    tn_status status = reserve(p);
    if (status != TN_OK) {
        return status;
    }
    p->out->forms[id].graph = form;
    for (uint32_t i = 0; i < p->model->graphs[form].node_count && status == TN_OK; i++) {
        status = present_node(p, p->model->graphs[form].nodes[i]);
    }
    return status;
}

static tn_status present_node(presenting *p, uint32_t id) {
    const tni_node node = p->model->nodes[id];
    const tni_schema *row = tni_schema_find(node.domain, node.op_type, node.since_version);
    uint32_t oldest = 0;
    uint32_t newest = 0;
    p->out->forms[id] = (tni_form){node.since_version, TN_NONE, 0};
    if (row == NULL || row->since_version != node.since_version ||
        !known_range(p, &node, &oldest, &newest)) {
        return TN_OK;
    }
    // A form that says the op is gone computes what the one before it does.
    if (row->deprecated != 0 && tni_schema_older(row) != NULL) {
        row = tni_schema_older(row);
    }
    bool needed = false;
    const tni_schema *next = next_row(row, oldest, newest, &needed);
    while (next != NULL) {
        tni_step_result result = TNI_STEP_IMPOSSIBLE;
        uint32_t form = TN_NONE;
        const uint32_t before = p->model->node_count;
        const tn_status status =
            tni_version_step(p->model, id, row, next, needed, &result, &form, p->error);
        *p->changed = *p->changed || p->model->node_count != before;
        if (status != TN_OK) {
            return status;
        }
        if (result == TNI_STEP_FORM) {
            return present_form(p, id, form);
        }
        if (result == TNI_STEP_IMPOSSIBLE) {
            break;
        }
        row = next;
        next = next_row(row, oldest, newest, &needed);
    }
    p->out->forms[id].since_version = row->since_version;
    // Without a record of its own, the op is unknown rather than too old.
    const bool too_old = row->since_version < oldest && oldest != UINT32_MAX;
    p->out->forms[id].limit = row->since_version > newest ? newest : too_old ? oldest : 0;
    return TN_OK;
}

tn_status tni_presentation_init(tni_model *model, const tn_op_list *ops, tni_presentation *out,
                                bool *inout_changed, tn_error *error) {
    presenting p = {
        .out = out, .model = model, .ops = ops, .changed = inout_changed, .error = error};
    *out = (tni_presentation){.alloc = model->alloc};
    // Nodes that are added on the way belong to forms, which are presented with their nodes.
    const uint32_t node_count = model->node_count;
    tn_status status = reserve(&p);
    for (uint32_t i = 0; i < node_count && status == TN_OK; i++) {
        const tni_node *node = &model->nodes[i];
        if (!node->removed && !model->graphs[node->graph].is_form) {
            status = present_node(&p, i);
        }
    }
    return status;
}

void tni_presentation_deinit(tni_presentation *presentation) {
    tni_free_array(&presentation->alloc, presentation->forms, presentation->node_count,
                   sizeof *presentation->forms);
    presentation->forms = NULL;
    presentation->node_count = 0;
}
