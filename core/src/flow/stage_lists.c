// SPDX-License-Identifier: Apache-2.0
// What every stage reads, makes and releases: the readers of each value (bodies count for the node
// that holds them), the borders of a region, and the last stage that reads a value.
#include "flow/stage_internal.h"

#include "flow/size_operands.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

// Called for every value that a node or its bodies read and that graph makes or is given.
typedef tn_status (*read_fn)(tni_stager *s, uint32_t node, uint32_t value);

static tn_status visit_values(tni_stager *s, uint32_t node, const uint32_t *values, uint32_t count,
                              read_fn visit) {
    for (uint32_t i = 0; i < count; i++) {
        bool here = values[i] != TN_NONE && s->model->values[values[i]].constant == TN_NONE &&
                    s->model->values[values[i]].graph == s->track->graph;
        tn_status status = here ? visit(s, node, values[i]) : TN_OK;
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Puts the bodies of a node on the work list.
static tn_status push_bodies(tni_stager *s, const tni_node *node) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count && status == TN_OK; k++) {
            status = tni_id_list_push(&s->alloc, &s->work, attr->indices[k]);
        }
    }
    return status;
}

// Visits everything that node reads, directly or in its bodies at any depth.
static tn_status visit_reads(tni_stager *s, uint32_t id, read_fn visit) {
    const tni_node *node = &s->model->nodes[id];
    s->work.count = 0;
    tn_status status = visit_values(s, id, node->inputs, node->input_count, visit);
    if (status == TN_OK) {
        status = push_bodies(s, node);
    }
    while (s->work.count > 0 && status == TN_OK) {
        const tni_graph *body = &s->model->graphs[s->work.ids[--s->work.count]];
        status = visit_values(s, id, body->outputs, body->output_count, visit);
        for (uint32_t i = 0; i < body->node_count && status == TN_OK; i++) {
            const tni_node *inner = &s->model->nodes[body->nodes[i]];
            status = visit_values(s, id, inner->inputs, inner->input_count, visit);
            if (status == TN_OK) {
                status = push_bodies(s, inner);
            }
        }
    }
    return status;
}

static tn_status count_reader(tni_stager *s, uint32_t node, uint32_t value) {
    (void)node;
    if (s->reader_count == TN_NONE - 1) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    s->reader_count++;
    s->reader_begin[value + 1]++;
    return TN_OK;
}

// reader_begin[value] runs from the begin of the value's range to its end while they are filled in,
// and is put back afterwards.
static tn_status add_reader(tni_stager *s, uint32_t node, uint32_t value) {
    s->readers[s->reader_begin[value]++] = node;
    if (s->model->values[value].producer != TN_NONE) {
        s->pending[node]++;
    }
    return TN_OK;
}

static tn_status find_readers(tni_stager *s) {
    const tni_graph *graph = &s->model->graphs[s->track->graph];
    uint32_t values = s->model->value_count;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < graph->node_count && status == TN_OK; i++) {
        status = visit_reads(s, graph->nodes[i], count_reader);
    }
    for (uint32_t v = 0; v < values; v++) {
        s->reader_begin[v + 1] += s->reader_begin[v];
    }
    s->readers = tni_alloc_array(&s->alloc, at_least_one(s->reader_count), sizeof(uint32_t));
    if (status == TN_OK && s->readers == NULL) {
        status = TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < graph->node_count && status == TN_OK; i++) {
        status = visit_reads(s, graph->nodes[i], add_reader);
    }
    for (uint32_t v = values; v > 0 && status == TN_OK; v--) {
        s->reader_begin[v] = s->reader_begin[v - 1];
    }
    s->reader_begin[0] = 0;
    return status;
}

tn_status tni_stager_init(tni_stager *s) {
    const tni_alloc *alloc = &s->alloc;
    const tni_graph *graph = &s->model->graphs[s->track->graph];
    uint64_t nodes = at_least_one(s->model->node_count);
    uint64_t values = (uint64_t)s->model->value_count + 1;
    s->state = tni_alloc_array(alloc, values, sizeof(*s->state));
    s->is_output = tni_alloc_array(alloc, values, sizeof(*s->is_output));
    s->listed = tni_alloc_array(alloc, values, sizeof(uint32_t));
    s->followed = tni_alloc_array(alloc, values, sizeof(uint32_t));
    s->reader_begin = tni_alloc_array(alloc, values + 1, sizeof(uint32_t));
    s->pending = tni_alloc_array(alloc, nodes, sizeof(uint32_t));
    s->position = tni_alloc_array(alloc, nodes, sizeof(uint32_t));
    s->stage_of = tni_alloc_array(alloc, nodes, sizeof(uint32_t));
    if (s->state == NULL || s->is_output == NULL || s->listed == NULL || s->followed == NULL ||
        s->reader_begin == NULL || s->pending == NULL || s->position == NULL ||
        s->stage_of == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    memset(s->stage_of, 0xff, nodes * sizeof(uint32_t));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        s->position[graph->nodes[i]] = i;
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        s->is_output[graph->outputs[i]] = 1;
    }
    return find_readers(s);
}

void tni_stager_deinit(tni_stager *s) {
    const tni_alloc *alloc = &s->alloc;
    uint64_t nodes = at_least_one(s->model->node_count);
    uint64_t values = (uint64_t)s->model->value_count + 1;
    tni_free_array(alloc, s->state, values, sizeof(*s->state));
    tni_free_array(alloc, s->is_output, values, sizeof(*s->is_output));
    tni_free_array(alloc, s->listed, values, sizeof(uint32_t));
    tni_free_array(alloc, s->followed, values, sizeof(uint32_t));
    tni_free_array(alloc, s->reader_begin, values + 1, sizeof(uint32_t));
    tni_free_array(alloc, s->pending, nodes, sizeof(uint32_t));
    tni_free_array(alloc, s->position, nodes, sizeof(uint32_t));
    tni_free_array(alloc, s->stage_of, nodes, sizeof(uint32_t));
    tni_free_array(alloc, s->readers, at_least_one(s->reader_count), sizeof(uint32_t));
    tni_id_list_deinit(alloc, &s->now);
    tni_id_list_deinit(alloc, &s->later);
    tni_id_list_deinit(alloc, &s->for_host);
    tni_id_list_deinit(alloc, &s->work);
}

static bool is_special(const tni_value *value) {
    return value->kind != TN_VALUE_TENSOR || value->dtype == TN_DTYPE_STRING;
}

bool tni_stager_has_containers(const tni_model *model, const tni_graph *graph) {
    bool found = false;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        found = found || is_special(&model->values[graph->inputs[i]]);
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        found = found || is_special(&model->values[graph->outputs[i]]);
    }
    return found;
}

// Whether this is the first time for the stage at hand.
static bool is_new(const tni_stager *s, uint32_t *marks, uint32_t value) {
    bool first = marks[value] != s->track->stage_count + 1;
    marks[value] = s->track->stage_count + 1;
    return first;
}

// Follows value back to the inputs whose elements decide its elements.
static tn_status follow_back(tni_stager *s, uint32_t value) {
    s->work.count = 0;
    tn_status status = tni_id_list_push(&s->alloc, &s->work, value);
    while (s->work.count > 0 && status == TN_OK) {
        uint32_t at = s->work.ids[--s->work.count];
        const tni_value *record = &s->model->values[at];
        if (record->constant != TN_NONE || !is_new(s, s->followed, at) ||
            s->state[at] != TNI_INSIDE_FOLLOWED) {
            continue;
        }
        const tni_node *node = &s->model->nodes[record->producer];
        bool by_element = !tni_elements_from_shape(node);
        for (uint32_t i = 0; by_element && i < node->input_count && status == TN_OK; i++) {
            if (node->inputs[i] != TN_NONE) {
                status = tni_id_list_push(&s->alloc, &s->work, node->inputs[i]);
            }
        }
    }
    return status;
}

static tn_status find_followed(tni_stager *s, const tni_member *members, uint32_t count) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        const tni_node *node = &s->model->nodes[members[i].node];
        uint32_t operands = tni_size_operands(node);
        for (uint32_t k = 0; k < node->input_count && k < 32 && status == TN_OK; k++) {
            if (((operands >> k) & 1u) != 0 && node->inputs[k] != TN_NONE) {
                status = follow_back(s, node->inputs[k]);
            }
        }
    }
    return status;
}

static tn_status list_once(tni_stager *s, tni_id_list *list, uint32_t value) {
    return is_new(s, s->listed, value) ? tni_id_list_push(&s->alloc, list, value) : TN_OK;
}

// Everything the members read that none of them makes, of any graph.
static tn_status find_inputs(tni_stager *s, const tni_member *members, uint32_t count,
                             tni_id_list *inputs) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        const tni_node *node = &s->model->nodes[members[i].node];
        for (uint32_t k = 0; k < node->input_count && status == TN_OK; k++) {
            uint32_t value = node->inputs[k];
            if (value != TN_NONE && s->model->values[value].constant == TN_NONE &&
                !tni_stager_inside(s, value)) {
                status = list_once(s, inputs, value);
            }
        }
    }
    return status;
}

// What the members make for others: read in another stage, by a body, or by whoever runs the graph.
static tn_status find_outputs(tni_stager *s, const tni_member *members, uint32_t count,
                              tni_id_list *outputs) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        const tni_node *node = &s->model->nodes[members[i].node];
        for (uint32_t k = 0; k < node->output_count && status == TN_OK; k++) {
            uint32_t value = node->outputs[k];
            if (value == TN_NONE) {
                continue;
            }
            bool leaves = s->is_output[value] != 0;
            for (uint32_t r = s->reader_begin[value]; r < s->reader_begin[value + 1]; r++) {
                leaves = leaves || s->stage_of[s->readers[r]] != s->track->stage_count;
            }
            status = leaves ? list_once(s, outputs, value) : TN_OK;
        }
    }
    return status;
}

static void fill_region(const tni_stager *s, const tni_member *members, const tni_id_list *inputs,
                        const tni_id_list *outputs, tni_region *region) {
    for (uint32_t i = 0; i < region->node_count; i++) {
        region->nodes[i] = members[i].node;
    }
    for (uint32_t i = 0; i < inputs->count; i++) {
        region->inputs[i] = inputs->ids[i];
        region->read_inputs[i] = s->followed[inputs->ids[i]] == s->track->stage_count + 1;
    }
    for (uint32_t i = 0; i < outputs->count; i++) {
        region->outputs[i] = outputs->ids[i];
    }
}

tn_status tni_stager_make_region(tni_stager *s, const tni_member *members, uint32_t count,
                                 tni_region *out_region) {
    tni_id_list inputs = {0};
    tni_id_list outputs = {0};
    tn_status status = find_inputs(s, members, count, &inputs);
    if (status == TN_OK) {
        status = find_outputs(s, members, count, &outputs);
    }
    if (status == TN_OK) {
        status = find_followed(s, members, count);
    }
    if (status == TN_OK) {
        status = tni_region_init(&s->alloc, s->track->graph, count, inputs.count, outputs.count,
                                 out_region);
    }
    if (status == TN_OK) {
        fill_region(s, members, &inputs, &outputs, out_region);
    }
    tni_id_list_deinit(&s->alloc, &inputs);
    tni_id_list_deinit(&s->alloc, &outputs);
    return status;
}

void tni_stager_close(tni_stager *s) {
    const tni_region *region = &s->track->stages[s->track->stage_count - 1].region;
    for (uint32_t i = 0; i < region->node_count; i++) {
        const tni_node *node = &s->model->nodes[region->nodes[i]];
        for (uint32_t k = 0; k < node->output_count; k++) {
            if (node->outputs[k] != TN_NONE) {
                s->state[node->outputs[k]] = TNI_OUTSIDE;
            }
        }
    }
}

// The stage after which a value of the graph is not needed; TN_NONE: it is an output.
static uint32_t last_stage(const tni_stager *s, uint32_t value) {
    uint32_t producer = s->model->values[value].producer;
    uint32_t last = producer == TN_NONE ? 0 : s->stage_of[producer];
    if (s->is_output[value] != 0) {
        return TN_NONE;
    }
    for (uint32_t r = s->reader_begin[value]; r < s->reader_begin[value + 1]; r++) {
        uint32_t stage = s->stage_of[s->readers[r]];
        last = stage > last ? stage : last;
    }
    return last;
}

// Calls count for every value, then again to fill the lists.
static void note_release(tni_stager *s, uint32_t value, bool fill) {
    uint32_t last = last_stage(s, value);
    if (last == TN_NONE || last >= s->track->stage_count) {
        return;
    }
    tni_stage *stage = &s->track->stages[last];
    if (fill) {
        stage->releases[stage->release_count] = value;
    }
    stage->release_count++;
}

static void note_releases(tni_stager *s, bool fill) {
    const tni_graph *graph = &s->model->graphs[s->track->graph];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        note_release(s, graph->inputs[i], fill);
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const tni_node *node = &s->model->nodes[graph->nodes[i]];
        for (uint32_t k = 0; k < node->output_count; k++) {
            if (node->outputs[k] != TN_NONE) {
                note_release(s, node->outputs[k], fill);
            }
        }
    }
}

tn_status tni_stager_find_releases(tni_stager *s) {
    note_releases(s, false);
    for (uint32_t i = 0; i < s->track->stage_count; i++) {
        tni_stage *stage = &s->track->stages[i];
        stage->releases =
            tni_alloc_array(&s->alloc, at_least_one(stage->release_count), sizeof(uint32_t));
        if (stage->releases == NULL) {
            return TN_ERROR_OUT_OF_MEMORY;
        }
    }
    for (uint32_t i = 0; i < s->track->stage_count; i++) {
        s->track->stages[i].release_count = 0;
    }
    note_releases(s, true);
    return TN_OK;
}
