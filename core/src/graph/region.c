// SPDX-License-Identifier: Apache-2.0
// Memory of regions, and the region that is a whole graph.
#include "graph/region.h"

#include <string.h>

// One more than needed, so that an empty list is memory too.
static uint32_t *make_ids(const tni_alloc *alloc, uint32_t count) {
    uint32_t *ids = tni_alloc_array(alloc, (uint64_t)count + 1, sizeof(*ids));
    if (ids != NULL) {
        memset(ids, 0xff, ((uint64_t)count + 1) * sizeof(*ids));
    }
    return ids;
}

tn_status tni_region_init(const tni_alloc *alloc, uint32_t graph, uint32_t node_count,
                          uint32_t input_count, uint32_t output_count, tni_region *out_region) {
    *out_region = (tni_region){
        .alloc = *alloc,
        .graph = graph,
        .node_count = node_count,
        .input_count = input_count,
        .output_count = output_count,
        .nodes = make_ids(alloc, node_count),
        .inputs = make_ids(alloc, input_count),
        .outputs = make_ids(alloc, output_count),
        .read_inputs = tni_alloc_array(alloc, (uint64_t)input_count + 1, sizeof(uint8_t)),
    };
    const tni_region *r = out_region;
    return r->nodes != NULL && r->inputs != NULL && r->outputs != NULL && r->read_inputs != NULL
               ? TN_OK
               : TN_ERROR_OUT_OF_MEMORY;
}

void tni_region_deinit(tni_region *region) {
    const tni_alloc *alloc = &region->alloc;
    uint64_t id = sizeof(uint32_t);
    tni_free_array(alloc, region->nodes, (uint64_t)region->node_count + 1, id);
    tni_free_array(alloc, region->inputs, (uint64_t)region->input_count + 1, id);
    tni_free_array(alloc, region->outputs, (uint64_t)region->output_count + 1, id);
    tni_free_array(alloc, region->read_inputs, (uint64_t)region->input_count + 1, 1);
    memset(region, 0, sizeof(*region));
}

tn_status tni_region_of_graph(const tni_alloc *alloc, const tni_model *model, uint32_t graph,
                              tni_region *out_region) {
    const tni_graph *g = &model->graphs[graph];
    tn_status status =
        tni_region_init(alloc, graph, g->node_count, g->input_count, g->output_count, out_region);
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        out_region->nodes[i] = g->nodes[i];
    }
    for (uint32_t i = 0; i < g->input_count; i++) {
        out_region->inputs[i] = g->inputs[i];
    }
    for (uint32_t i = 0; i < g->output_count; i++) {
        out_region->outputs[i] = g->outputs[i];
    }
    return TN_OK;
}
