// SPDX-License-Identifier: Apache-2.0
// From the partitioner's answer to islands: the nodes of each, and the values that cross its
// border.
#include "plan/connected.h"
#include "plan/draft.h"

#include "base/error.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static uint32_t *copy_ids(const tni_alloc *alloc, const uint32_t *ids, uint32_t count) {
    uint32_t *copy = tni_alloc_array(alloc, at_least_one(count), sizeof(*copy));
    if (copy != NULL && count > 0) {
        memcpy(copy, ids, (uint64_t)count * sizeof(*copy));
    }
    return copy;
}

// Working arrays for the borders of islands: mark[value] is 1 + the island that lists it already.
typedef struct borders {
    uint32_t *seen_in;  // as input
    uint32_t *seen_out; // as output
    uint32_t *list;
    uint32_t capacity;
} borders;

static bool crosses(const tni_draft_plan *d, const tnp_plan *answer, uint32_t value,
                    uint32_t label_op) {
    // A value leaves its island when any consumer is in another one; ops carry their island in
    // label.
    uint32_t tensor = d->tensor_of[value];
    if (tensor == TN_NONE) {
        return false;
    }
    const tnp_tensor *t = &d->tensors[tensor];
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        if (answer->label[d->consumers[t->consumer_begin + i]] != label_op) {
            return true;
        }
    }
    return false;
}

// Values read from outside the island; answer->label holds islands here.
static tn_status find_inputs(const tni_draft_plan *d, const tnp_plan *answer, borders *b,
                             uint32_t index, tni_island *island) {
    const tni_model *model = d->plan->model;
    uint32_t count = 0;
    for (uint32_t i = 0; i < island->node_count; i++) {
        const tni_node *node = &model->nodes[island->nodes[i]];
        for (uint32_t k = 0; k < node->input_count; k++) {
            uint32_t value = node->inputs[k];
            if (!tni_is_op_input(model, value) || b->seen_in[value] == index + 1) {
                continue;
            }
            uint32_t producer = model->values[value].producer;
            if (producer == TN_NONE || answer->label[d->op_of_node[producer]] != index) {
                b->seen_in[value] = index + 1;
                b->list[count++] = value;
            }
        }
    }
    island->inputs = copy_ids(&d->plan->alloc, b->list, count);
    island->input_count = island->inputs != NULL ? count : 0;
    return island->inputs != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

static tn_status find_outputs(const tni_draft_plan *d, const tnp_plan *answer, borders *b,
                              uint32_t index, tni_island *island) {
    const tni_model *model = d->plan->model;
    uint32_t count = 0;
    for (uint32_t i = 0; i < island->node_count; i++) {
        const tni_node *node = &model->nodes[island->nodes[i]];
        for (uint32_t k = 0; k < node->output_count; k++) {
            uint32_t value = node->outputs[k];
            if (value != TN_NONE && b->seen_out[value] != index + 1 &&
                crosses(d, answer, value, index)) {
                b->seen_out[value] = index + 1;
                b->list[count++] = value;
            }
        }
    }
    island->outputs = copy_ids(&d->plan->alloc, b->list, count);
    island->output_count = island->outputs != NULL ? count : 0;
    return island->outputs != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

// Takes the nodes of one segment; ops 0 and n + 1 are the host's and belong to no island.
static tn_status make_island(tni_draft_plan *d, tnp_plan *answer, const tnp_segment *segment) {
    tni_plan *plan = d->plan;
    const tni_alloc *alloc = &plan->alloc;
    uint32_t index = plan->island_count;
    tni_island *island = &plan->islands[index];
    island->device = plan->sets[segment->label - 1].device;
    island->nodes = tni_alloc_array(alloc, segment->count, sizeof(uint32_t));
    island->node_count = segment->count;
    plan->island_count++;
    island->places = tni_alloc_array(alloc, segment->count, sizeof(uint32_t));
    if (island->nodes == NULL || island->places == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < segment->count; i++) {
        uint32_t op = answer->order[segment->begin + i];
        uint32_t node = d->region->nodes[op - 1];
        island->nodes[i] = node;
        island->places[i] = op - 1;
        plan->island_of[op - 1] = index;
    }
    return TN_OK;
}

static tn_status find_borders(tni_draft_plan *d, tnp_plan *answer) {
    tni_plan *plan = d->plan;
    uint64_t values = at_least_one(plan->model->value_count);
    borders b = {
        .seen_in = tni_alloc_array(&plan->alloc, values, sizeof(uint32_t)),
        .seen_out = tni_alloc_array(&plan->alloc, values, sizeof(uint32_t)),
        .list = tni_alloc_array(&plan->alloc, values, sizeof(uint32_t)),
    };
    tn_status status =
        b.seen_in != NULL && b.seen_out != NULL && b.list != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    for (uint32_t op = 0; op < answer->op_count; op++) {
        bool host = op == 0 || op + 1 == answer->op_count;
        answer->label[op] = host ? TN_NONE : plan->island_of[op - 1];
    }
    for (uint32_t i = 0; i < plan->island_count && status == TN_OK; i++) {
        status = find_inputs(d, answer, &b, i, &plan->islands[i]);
        if (status == TN_OK) {
            status = find_outputs(d, answer, &b, i, &plan->islands[i]);
        }
    }
    tni_free_array(&plan->alloc, b.seen_in, values, sizeof(uint32_t));
    tni_free_array(&plan->alloc, b.seen_out, values, sizeof(uint32_t));
    tni_free_array(&plan->alloc, b.list, values, sizeof(uint32_t));
    return status;
}

// The answer's segments, in pieces for devices that want connected islands.
static tn_status cut_segments(const tni_draft_plan *d, tnp_plan *answer, tnp_segment **out_segments,
                              uint32_t *out_count) {
    bool wants[TNP_MAX_LABELS] = {false}; // the host's label has no islands
    for (uint32_t k = 0; k < d->plan->set_count; k++) {
        wants[k + 1] = tni_device_is(d->plan->sets[k].device, TN_DEVICE_CONNECTED_ISLANDS);
    }
    return tni_connected_segments(&d->plan->alloc, d->plan->model, d->region->nodes, wants, answer,
                                  out_segments, out_count);
}

tn_status tni_make_islands(tni_draft_plan *d, tnp_plan *answer, tn_error *error) {
    tni_plan *plan = d->plan;
    tnp_segment *segments = NULL;
    uint32_t count = 0;
    tn_status status = cut_segments(d, answer, &segments, &count);
    if (status == TN_OK) {
        plan->islands = tni_alloc_array(&plan->alloc, at_least_one(count), sizeof(*plan->islands));
        plan->island_capacity = plan->islands != NULL ? count : 0;
        status = plan->islands != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    }
    memset(plan->island_of, 0xff, at_least_one(d->region->node_count) * sizeof(uint32_t));
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        if (segments[i].label != 0) {
            status = make_island(d, answer, &segments[i]);
        }
    }
    tni_free_array(&plan->alloc, segments, answer->op_count, sizeof(*segments));
    if (status == TN_OK) {
        status = find_borders(d, answer);
    }
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "islands");
}
