// SPDX-License-Identifier: Apache-2.0
// The cut: nodes become ready as what they read is made, as in a topological sort, and join the
// open region unless something about it has to be known first. See stage.h; the lists of a region
// (its inputs, outputs, releases) are made in stage_lists.c.
#include "flow/stage_internal.h"

#include "base/error.h"
#include "flow/size_operands.h"

#include <stdlib.h>
#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

tn_status tni_id_list_push(const tni_alloc *alloc, tni_id_list *list, uint32_t id) {
    void *ids = list->ids;
    tn_status status =
        tni_grow(alloc, &ids, &list->capacity, (uint64_t)list->count + 1, sizeof(*list->ids));
    list->ids = ids;
    if (status == TN_OK) {
        list->ids[list->count++] = id;
    }
    return status;
}

void tni_id_list_deinit(const tni_alloc *alloc, tni_id_list *list) {
    tni_free_array(alloc, list->ids, list->capacity, sizeof(*list->ids));
    memset(list, 0, sizeof(*list));
}

// Elements of what comes from outside the region can be read by the host when they are few.
static bool is_readable(const tni_model *model, uint32_t value) {
    const tni_value *record = &model->values[value];
    return (record->dtype == TN_DTYPE_INT64 || record->dtype == TN_DTYPE_INT32) &&
           record->rank <= 1;
}

bool tni_stager_inside(const tni_stager *s, uint32_t value) {
    return s->state[value] >= TNI_INSIDE;
}

// Whether preparing the open region will know the elements of a value.
static bool is_followed(const tni_stager *s, uint32_t value) {
    if (s->model->values[value].constant != TN_NONE) {
        return true;
    }
    return tni_stager_inside(s, value) ? s->state[value] == TNI_INSIDE_FOLLOWED
                                       : is_readable(s->model, value);
}

static bool all_followed(const tni_stager *s, const tni_node *node) {
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != TN_NONE && !is_followed(s, node->inputs[i])) {
            return false;
        }
    }
    return true;
}

// Whether a node whose operands are all made can be prepared together with the open region.
static bool can_join(const tni_stager *s, const tni_node *node) {
    uint32_t operands = tni_size_operands(node);
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t value = node->inputs[i];
        if (value == TN_NONE || s->model->values[value].constant != TN_NONE) {
            continue;
        }
        bool decides = i < 32 && ((operands >> i) & 1u) != 0;
        if (s->state[value] == TNI_INSIDE_MEASURED ||
            (decides && tni_stager_inside(s, value) && !is_followed(s, value))) {
            return false;
        }
    }
    return true;
}

static tni_value_state state_of_output(const tni_stager *s, uint32_t id, uint32_t value) {
    const tni_node *node = &s->model->nodes[id];
    if (tni_sizes_need_data(node)) {
        return TNI_INSIDE_MEASURED;
    }
    bool integer = s->model->values[value].dtype == TN_DTYPE_INT64 ||
                   s->model->values[value].dtype == TN_DTYPE_INT32;
    bool followed =
        tni_elements_from_shape(node) || (tni_elements_followed(node) && all_followed(s, node));
    return integer && followed ? TNI_INSIDE_FOLLOWED : TNI_INSIDE;
}

// Puts a node whose operands are all made into the queue it belongs to.
static tn_status enqueue(tni_stager *s, uint32_t node) {
    const tni_node *record = &s->model->nodes[node];
    tni_id_list *queue = tni_node_is_for_host(s->model, record) ? &s->for_host
                         : can_join(s, record)                  ? &s->now
                                                                : &s->later;
    return tni_id_list_push(&s->alloc, queue, node);
}

// A node is done: its outputs have the given state, or their own; readers may become ready.
static tn_status finish(tni_stager *s, uint32_t id, bool inside) {
    const tni_node *node = &s->model->nodes[id];
    s->stage_of[id] = s->track->stage_count;
    for (uint32_t i = 0; i < node->output_count; i++) {
        uint32_t value = node->outputs[i];
        if (value != TN_NONE) {
            s->state[value] = (uint8_t)(inside ? state_of_output(s, id, value) : TNI_OUTSIDE);
        }
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        uint32_t value = node->outputs[i];
        uint32_t begin = value == TN_NONE ? 0 : s->reader_begin[value];
        uint32_t end = value == TN_NONE ? 0 : s->reader_begin[value + 1];
        for (uint32_t k = begin; k < end; k++) {
            uint32_t reader = s->readers[k];
            if (--s->pending[reader] == 0) {
                tn_status status = enqueue(s, reader);
                if (status != TN_OK) {
                    return status;
                }
            }
        }
    }
    return TN_OK;
}

static tn_status add_stage(tni_stager *s, const tni_stage *stage) {
    tni_track *track = s->track;
    void *stages = track->stages;
    tn_status status = tni_grow(&track->alloc, &stages, &track->stage_capacity,
                                (uint64_t)track->stage_count + 1, sizeof(*track->stages));
    track->stages = stages;
    if (status == TN_OK) {
        track->stages[track->stage_count] = *stage;
        track->stages[track->stage_count++].id = s->next_id++;
    }
    return status;
}

// The host carries out what is ready for it, and what becomes ready by that.
static tn_status cut_host_nodes(tni_stager *s) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->for_host.count && status == TN_OK; i++) {
        uint32_t node = s->for_host.ids[i];
        tni_stage stage = {.kind = TNI_STAGE_HOST, .node = node};
        status = finish(s, node, false);
        if (status == TN_OK) {
            status = add_stage(s, &stage);
        }
    }
    s->for_host.count = 0;
    return status;
}

static int by_position(const void *a, const void *b) {
    const tni_member *x = a;
    const tni_member *y = b;
    return x->position < y->position ? -1 : x->position > y->position;
}

// Takes everything that can join, then closes the region.
static tn_status cut_region(tni_stager *s) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->now.count && status == TN_OK; i++) {
        status = finish(s, s->now.ids[i], true);
    }
    if (status != TN_OK || s->now.count == 0) {
        return status;
    }
    tni_member *members = tni_alloc_array(&s->alloc, s->now.count, sizeof(*members));
    if (members == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < s->now.count; i++) {
        members[i] = (tni_member){s->position[s->now.ids[i]], s->now.ids[i]};
    }
    qsort(members, s->now.count, sizeof(*members), by_position);
    tni_stage stage = {.kind = TNI_STAGE_REGION};
    status = tni_stager_make_region(s, members, s->now.count, &stage.region);
    tni_free_array(&s->alloc, members, s->now.count, sizeof(*members));
    if (status == TN_OK) {
        status = add_stage(s, &stage);
    }
    if (status != TN_OK) {
        tni_region_deinit(&stage.region);
        return status;
    }
    tni_stager_close(s);
    s->now.count = 0;
    return TN_OK;
}

static tn_status cut(tni_stager *s) {
    const tni_graph *graph = &s->model->graphs[s->track->graph];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < graph->node_count && status == TN_OK; i++) {
        status = s->pending[graph->nodes[i]] == 0 ? enqueue(s, graph->nodes[i]) : TN_OK;
    }
    while (status == TN_OK && (s->now.count > 0 || s->later.count > 0 || s->for_host.count > 0)) {
        status = cut_host_nodes(s);
        // What waited for this region's end can join the next; nothing is inside one now.
        for (uint32_t i = 0; i < s->later.count && status == TN_OK; i++) {
            status = tni_id_list_push(&s->alloc, &s->now, s->later.ids[i]);
        }
        s->later.count = 0;
        if (status == TN_OK) {
            status = cut_region(s);
        }
    }
    return status;
}

// Nothing is read by value, nothing is measured, nothing is left to the host.
static bool is_simple(const tni_stager *s) {
    const tni_track *track = s->track;
    const tni_graph *graph = &s->model->graphs[track->graph];
    bool simple = track->stage_count == 0 ||
                  (track->stage_count == 1 && track->stages[0].kind == TNI_STAGE_REGION);
    for (uint32_t i = 0;
         simple && track->stage_count == 1 && i < track->stages[0].region.input_count; i++) {
        simple = track->stages[0].region.read_inputs[i] == 0;
    }
    for (uint32_t i = 0; simple && i < graph->node_count; i++) {
        simple = !tni_sizes_need_data(&s->model->nodes[graph->nodes[i]]);
    }
    return simple && !tni_stager_has_containers(s->model, graph);
}

// A simple graph is run with its inputs and outputs as they are declared. Bodies are not: what they
// hand out may be a constant or belong to the graph around them.
static tn_status simplify(tni_stager *s) {
    tni_track *track = s->track;
    track->simple = track->graph == 0 && is_simple(s);
    if (!track->simple) {
        return TN_OK;
    }
    if (track->stage_count == 0) {
        tni_stage stage = {.kind = TNI_STAGE_REGION};
        tn_status status = add_stage(s, &stage);
        if (status != TN_OK) {
            return status;
        }
    }
    tni_region_deinit(&track->stages[0].region);
    return tni_region_of_graph(&track->alloc, s->model, track->graph, &track->stages[0].region);
}

tn_status tni_track_init(const tni_alloc *alloc, const tni_model *model, uint32_t graph,
                         uint32_t *inout_stage_id, tni_track *out_track, tn_error *error) {
    *out_track = (tni_track){.alloc = *alloc, .graph = graph};
    tni_stager s = {
        .alloc = *alloc,
        .model = model,
        .track = out_track,
        .next_id = *inout_stage_id,
    };
    tn_status status = tni_stager_init(&s);
    if (status == TN_OK) {
        status = cut(&s);
    }
    if (status == TN_OK) {
        status = tni_stager_find_releases(&s);
    }
    if (status == TN_OK) {
        status = simplify(&s);
    }
    *inout_stage_id = s.next_id;
    tni_stager_deinit(&s);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "the stages of a graph");
}

void tni_track_deinit(tni_track *track) {
    for (uint32_t i = 0; i < track->stage_count; i++) {
        tni_stage *stage = &track->stages[i];
        tni_region_deinit(&stage->region);
        tni_free_array(&track->alloc, stage->releases, at_least_one(stage->release_count),
                       sizeof(uint32_t));
    }
    tni_free_array(&track->alloc, track->stages, track->stage_capacity, sizeof(*track->stages));
    memset(track, 0, sizeof(*track));
}
