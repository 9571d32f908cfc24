// SPDX-License-Identifier: Apache-2.0
// One opset version a domain. A model has one for all its nodes, while the functions that were
// inlined may have brought others: each node allows those from its own form to before the next.
#include "base/error.h"
#include "graph/schema/schema.h"
#include "onnx/writer.h"

static uint32_t add_domain(tni_writer *w, tni_map *index, tn_string domain, uint32_t version) {
    const uint32_t id = w->opset_count;
    tni_write_plain(w, tni_grow(&w->model->alloc, (void **)&w->opsets, &w->opset_capacity,
                                (uint64_t)id + 1, sizeof *w->opsets));
    if (w->status == TN_OK) {
        w->opsets[id] = (tni_written_opset){domain, version, 1, UINT32_MAX};
        w->opset_count++;
        tni_write_plain(w, tni_map_set(index, domain, id));
    }
    return id;
}

static void conflict(tni_writer *w, const tni_written_opset *opset, uint32_t node) {
    const tni_node *record = &w->model->nodes[node];
    w->status = tni_fail_node(w->error, TN_ERROR_UNSUPPORTED, "save.op-versions", node, TN_NONE,
                              "node \"%.*s\" (%.*s-%u): no version of domain '%.*s' that means the "
                              "same for all nodes",
                              TNI_TEXT(record->name), TNI_TEXT(record->op_type),
                              record->since_version, TNI_TEXT(opset->domain));
}

static void narrow(tni_writer *w, tni_written_opset *opset, uint32_t node) {
    const tni_node *record = &w->model->nodes[node];
    const tni_schema *row = tni_schema_find(record->domain, record->op_type, record->since_version);
    uint32_t newest = UINT32_MAX;
    if (record->since_version == 0) {
        return; // Of a domain that the file did not import.
    }
    if (!tni_schema_domain_known(record->domain)) {
        newest = record->since_version;
    } else if (row != NULL && tni_schema_newer(row) != NULL) {
        newest = tni_schema_newer(row)->since_version - 1;
    }
    opset->oldest = record->since_version > opset->oldest ? record->since_version : opset->oldest;
    opset->newest = newest < opset->newest ? newest : opset->newest;
    if (opset->oldest > opset->newest) {
        conflict(w, opset, node);
    }
}

static void visit_nodes(tni_writer *w, tni_map *index) {
    for (uint32_t g = 0; g < w->model->graph_count; g++) {
        const tni_graph *graph = &w->model->graphs[g];
        for (uint32_t i = 0; w->graphs[g].written && i < graph->node_count; i++) {
            const tn_string domain = w->model->nodes[graph->nodes[i]].domain;
            uint32_t id = 0;
            if (!tni_map_find(index, domain, &id)) {
                id = add_domain(w, index, domain, 0);
            }
            if (w->status != TN_OK) {
                return;
            }
            narrow(w, &w->opsets[id], graph->nodes[i]);
        }
    }
}

void tni_write_decide_opsets(tni_writer *w) {
    const tni_model *model = w->model;
    tni_map index;
    tni_map_init(&index, &model->alloc);
    for (uint32_t i = 0; i < model->opset_count && w->status == TN_OK; i++) {
        (void)add_domain(w, &index, model->opsets[i].domain, model->opsets[i].version);
    }
    if (w->status == TN_OK) {
        visit_nodes(w, &index);
    }
    for (uint32_t i = 0; i < w->opset_count; i++) {
        tni_written_opset *opset = &w->opsets[i];
        const bool fits = opset->version >= opset->oldest && opset->version <= opset->newest;
        // Nothing speaks for any of the others: the oldest is what most readers know.
        opset->version = fits ? opset->version : opset->oldest;
    }
    tni_map_deinit(&index);
}
