// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "plan/claims_inner.h"

// What stands for one node of the model, as a number: the node for a form of several nodes, and
// beyond all nodes the graph for an expansion. TN_NONE: the view node does alone, or is in a body.
static uint64_t group_of(const tni_inner_claims *c, uint32_t node) {
    const tn_range outermost = tni_view_outermost(c->view);
    const uint32_t graph = tni_view_node(c->view, node)->graph;
    if (graph != 0) {
        const uint32_t parent = tni_view_graph(c->view, graph)->parent_node;
        return tni_view_node(c->view, parent)->expansion == graph
                   ? (uint64_t)c->model->node_count + graph
                   : TN_NONE;
    }
    const uint32_t owner = tni_view_written_for(c->model, c->view, node);
    const bool before =
        node > outermost.begin && tni_view_written_for(c->model, c->view, node - 1) == owner;
    const bool after = node + 1 < outermost.begin + outermost.count &&
                       tni_view_written_for(c->model, c->view, node + 1) == owner;
    return before || after ? owner : TN_NONE;
}

static const uint32_t *nodes_of(const tni_inner_claims *c, const tn_claim *claim) {
    return c->verdicts->claim_nodes + claim->nodes.begin;
}

static bool lies_inside(const tni_inner_claims *c, const tn_claim *claim) {
    const uint32_t *nodes = nodes_of(c, claim);
    const uint64_t group = group_of(c, nodes[0]);
    for (uint32_t i = 1; i < claim->nodes.count && group != TN_NONE; i++) {
        if (group_of(c, nodes[i]) != group) {
            return false;
        }
    }
    return group != TN_NONE;
}

// Claims the nodes unless an earlier claim has some of them, or one is named twice.
static bool take(tni_inner_claims *c, const tn_claim *claim, uint32_t index) {
    const uint32_t *nodes = nodes_of(c, claim);
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        if (c->inner[nodes[i]] != 0 || c->seen[nodes[i]] == index + 1) {
            return false;
        }
        c->seen[nodes[i]] = index + 1;
    }
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        c->inner[nodes[i]] = index + 1;
    }
    return true;
}

tn_status tni_inner_claims_init(const tni_alloc *alloc, const tni_model *model,
                                const tni_view *view, const tn_verdicts *verdicts,
                                tni_inner_claims *out) {
    *out = (tni_inner_claims){.alloc = *alloc,
                              .model = model,
                              .view = view,
                              .verdicts = verdicts,
                              .node_room = (uint64_t)view->node_count + 1,
                              .claim_room = (uint64_t)verdicts->claim_count + 1};
    out->inner = tni_alloc_array(alloc, out->node_room, sizeof(uint32_t));
    out->outer = tni_alloc_array(alloc, out->node_room, 1);
    out->seen = tni_alloc_array(alloc, out->node_room, sizeof(uint32_t));
    out->is_inner = tni_alloc_array(alloc, out->claim_room, 1);
    if (out->inner == NULL || out->outer == NULL || out->seen == NULL || out->is_inner == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < verdicts->claim_count; i++) {
        const tn_claim *claim = tni_claim_at(verdicts, i);
        out->is_inner[i] = lies_inside(out, claim);
        for (uint32_t k = 0; k < claim->nodes.count && !out->is_inner[i]; k++) {
            out->outer[nodes_of(out, claim)[k]] = 1;
        }
        out->overlaps += out->is_inner[i] && !take(out, claim, i);
    }
    return TN_OK;
}

void tni_inner_claims_deinit(tni_inner_claims *c) {
    tni_free_array(&c->alloc, c->inner, c->node_room, sizeof(uint32_t));
    tni_free_array(&c->alloc, c->outer, c->node_room, 1);
    tni_free_array(&c->alloc, c->seen, c->node_room, sizeof(uint32_t));
    tni_free_array(&c->alloc, c->is_inner, c->claim_room, 1);
}

void tni_inner_claims_member(const tni_inner_claims *c, uint32_t node, tni_option *inout_one) {
    const uint32_t index = c->inner[node];
    if (index == 0) {
        if (c->verdicts->nodes[node].answer == TN_ANSWER_IN_CLAIM && c->outer[node] == 0) {
            *inout_one = (tni_option){.reason = TN_REASON_CONVEXITY, .subject = TN_NONE};
        }
        return;
    }
    const tn_claim *claim = tni_claim_at(c->verdicts, index - 1);
    if (claim->kind == TN_CLAIM_ALL_OR_NOTHING && claim->origin != TN_COST_UNKNOWN) {
        inout_one->cost_ns = nodes_of(c, claim)[0] == node ? claim->cost_ns : 0;
        inout_one->origin = claim->origin;
    }
    inout_one->bound = false;
}

uint64_t tni_inner_claims_saving(const tni_inner_claims *c, uint32_t begin, uint32_t count) {
    uint64_t saving = 0;
    for (uint32_t i = begin; i < begin + count; i++) {
        const tn_claim *claim =
            c->inner[i] != 0 ? tni_claim_at(c->verdicts, c->inner[i] - 1) : NULL;
        if (claim == NULL || claim->kind != TN_CLAIM_BONUS || claim->origin == TN_COST_UNKNOWN ||
            nodes_of(c, claim)[0] != i) {
            continue;
        }
        uint64_t singles = 0;
        for (uint32_t k = 0; k < claim->nodes.count; k++) {
            singles += c->verdicts->nodes[nodes_of(c, claim)[k]].cost_ns;
        }
        saving += claim->cost_ns < singles ? claim->cost_ns : singles;
    }
    return saving;
}
