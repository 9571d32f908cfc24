// SPDX-License-Identifier: Apache-2.0
// Components by union and find over the producers of what each op reads.
#include "plan/connected.h"

#include <assert.h>
#include <string.h>

// Working arrays for any segment; a place is the position of an op in its segment.
typedef struct sorter {
    const tni_model *model;
    uint32_t capacity;
    uint32_t *place_of; // model node -> its place, or TN_NONE outside of the segment
    uint32_t *parent;   // place -> a place of the same component, itself at the root
    uint32_t *next;     // root -> the component's size, then where its next op goes
    uint32_t *sorted;
} sorter;

static void sorter_deinit(const tni_alloc *alloc, sorter *s) {
    tni_free_array(alloc, s->place_of, s->model->node_count, sizeof(uint32_t));
    tni_free_array(alloc, s->parent, s->capacity, sizeof(uint32_t));
    tni_free_array(alloc, s->next, s->capacity, sizeof(uint32_t));
    tni_free_array(alloc, s->sorted, s->capacity, sizeof(uint32_t));
}

static tn_status sorter_init(const tni_alloc *alloc, sorter *s) {
    s->place_of = tni_alloc_array(alloc, s->model->node_count, sizeof(uint32_t));
    s->parent = tni_alloc_array(alloc, s->capacity, sizeof(uint32_t));
    s->next = tni_alloc_array(alloc, s->capacity, sizeof(uint32_t));
    s->sorted = tni_alloc_array(alloc, s->capacity, sizeof(uint32_t));
    if (s->place_of == NULL || s->parent == NULL || s->next == NULL || s->sorted == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    memset(s->place_of, 0xff, (uint64_t)s->model->node_count * sizeof(uint32_t));
    return TN_OK;
}

static uint32_t root_of(sorter *s, uint32_t place) {
    while (s->parent[place] != place) {
        s->parent[place] = s->parent[s->parent[place]];
        place = s->parent[place];
    }
    return place;
}

static void connect_values(sorter *s, uint32_t place, const uint32_t *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t producer = values[i] == TN_NONE ? TN_NONE : s->model->values[values[i]].producer;
        uint32_t other = producer == TN_NONE ? TN_NONE : s->place_of[producer];
        if (other != TN_NONE) {
            // The smaller root wins: the root is then the component's first op.
            uint32_t a = root_of(s, place);
            uint32_t b = root_of(s, other);
            s->parent[a > b ? a : b] = a > b ? b : a;
        }
    }
}

// What a node reads, bodies included. Their depth is bounded by the importer.
static void connect_node(sorter *s, uint32_t place, const tni_node *node) {
    connect_values(s, place, node->inputs, node->input_count);
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; k < attr->count && bodies; k++) {
            const tni_graph *body = &s->model->graphs[attr->indices[k]];
            connect_values(s, place, body->outputs, body->output_count);
            for (uint32_t n = 0; n < body->node_count; n++) {
                connect_node(s, place, &s->model->nodes[body->nodes[n]]);
            }
        }
    }
}

// Deals the ops out to their components and adds a segment for each.
static void deal(sorter *s, uint32_t *ops, const tnp_segment *whole, tnp_segment *segments,
                 uint32_t *inout_count) {
    uint32_t begin = 0;
    memset(s->next, 0, (uint64_t)whole->count * sizeof(*s->next));
    for (uint32_t i = 0; i < whole->count; i++) {
        s->next[root_of(s, i)]++;
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        if (root_of(s, i) == i) {
            uint32_t size = s->next[i];
            segments[(*inout_count)++] = (tnp_segment){whole->label, whole->begin + begin, size};
            s->next[i] = begin;
            begin += size;
        }
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        s->sorted[s->next[root_of(s, i)]++] = ops[i];
    }
    memcpy(ops, s->sorted, (uint64_t)whole->count * sizeof(*ops));
}

static void split(sorter *s, const uint32_t *nodes, uint32_t *ops, const tnp_segment *whole,
                  tnp_segment *segments, uint32_t *inout_count) {
    assert(s->place_of != NULL && s->parent != NULL && s->next != NULL && s->sorted != NULL);
    for (uint32_t i = 0; i < whole->count; i++) {
        s->place_of[nodes[ops[i] - 1]] = i;
        s->parent[i] = i;
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        connect_node(s, i, &s->model->nodes[nodes[ops[i] - 1]]);
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        s->place_of[nodes[ops[i] - 1]] = TN_NONE;
    }
    deal(s, ops, whole, segments, inout_count);
}

tn_status tni_connected_segments(const tni_alloc *alloc, const tni_model *model,
                                 const uint32_t *nodes, const bool *wants, tnp_plan *answer,
                                 tnp_segment **out_segments, uint32_t *out_count) {
    sorter s = {.model = model, .capacity = answer->op_count};
    uint32_t count = 0;
    *out_count = 0;
    *out_segments = tni_alloc_array(alloc, answer->op_count, sizeof(**out_segments));
    bool any = false;
    for (uint32_t i = 0; i < answer->segment_count; i++) {
        any = any || wants[answer->segments[i].label];
    }
    tn_status status = *out_segments != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    if (status == TN_OK && any) {
        status = sorter_init(alloc, &s);
    }
    for (uint32_t i = 0; i < answer->segment_count && status == TN_OK; i++) {
        const tnp_segment *segment = &answer->segments[i];
        if (wants[segment->label]) {
            split(&s, nodes, answer->order + segment->begin, segment, *out_segments, &count);
        } else {
            (*out_segments)[count++] = *segment;
        }
    }
    sorter_deinit(alloc, &s);
    if (status != TN_OK) {
        tni_free_array(alloc, *out_segments, answer->op_count, sizeof(**out_segments));
        *out_segments = NULL;
        return status;
    }
    *out_count = count;
    return TN_OK;
}
