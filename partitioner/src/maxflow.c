// SPDX-License-Identifier: Apache-2.0
// The two search trees: grow until they meet, push flow along the way, mend what that cut off.
#include "maxflow.h"

#include <string.h>

// Marks in tnp_flow_node.parent.
#define NO_PARENT UINT32_MAX         // in no tree
#define AT_TERMINAL (UINT32_MAX - 1) // child of its tree's terminal
#define ORPHAN (UINT32_MAX - 2)      // lost its parent, waits for adoption
#define NONE UINT32_MAX
#define NOT_ACTIVE (UINT32_MAX - 1)
#define FAR UINT32_MAX

tnp_status tnp_maxflow_init(tnp_arena *arena, uint32_t node_capacity, uint32_t arc_capacity,
                            tnp_maxflow *out_flow) {
    memset(out_flow, 0, sizeof(*out_flow));
    out_flow->nodes = tnp_arena_array(arena, node_capacity, sizeof(*out_flow->nodes));
    out_flow->arcs = tnp_arena_array(arena, (uint64_t)arc_capacity * 2, sizeof(*out_flow->arcs));
    out_flow->orphans = tnp_arena_array(arena, (uint64_t)node_capacity + 1, sizeof(uint32_t));
    out_flow->node_capacity = node_capacity;
    out_flow->arc_capacity = arc_capacity * 2;
    return out_flow->nodes != NULL && out_flow->arcs != NULL && out_flow->orphans != NULL
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

uint32_t tnp_maxflow_add_node(tnp_maxflow *flow) {
    tnp_flow_node *node = &flow->nodes[flow->node_count];
    memset(node, 0, sizeof(*node));
    node->first = NONE;
    node->parent = NO_PARENT;
    node->next_active = NOT_ACTIVE;
    return flow->node_count++;
}

void tnp_maxflow_reset(tnp_maxflow *flow, uint32_t node_count) {
    flow->node_count = 0;
    flow->arc_count = 0;
    flow->time = 0;
    flow->first_active = NONE;
    flow->last_active = NONE;
    flow->first_orphan = 0;
    flow->end_orphan = 0;
    for (uint32_t i = 0; i < node_count; i++) {
        tnp_maxflow_add_node(flow);
    }
}

void tnp_maxflow_add_unary(tnp_maxflow *flow, uint32_t node, int64_t cost0, int64_t cost1) {
    // A node on the sink's side cuts its arc from the source.
    flow->nodes[node].terminal += cost1 - cost0;
}

void tnp_maxflow_add_arc(tnp_maxflow *flow, uint32_t from, uint32_t to, int64_t capacity,
                         int64_t reverse) {
    if (capacity == 0 && reverse == 0) {
        return;
    }
    uint32_t arc = flow->arc_count;
    flow->arc_count += 2;
    flow->arcs[arc] = (tnp_flow_arc){capacity, to, flow->nodes[from].first};
    flow->arcs[arc + 1] = (tnp_flow_arc){reverse, from, flow->nodes[to].first};
    flow->nodes[from].first = arc;
    flow->nodes[to].first = arc + 1;
}

static void activate(tnp_maxflow *f, uint32_t node) {
    if (f->nodes[node].next_active != NOT_ACTIVE) {
        return;
    }
    f->nodes[node].next_active = NONE;
    if (f->last_active == NONE) {
        f->first_active = node;
    } else {
        f->nodes[f->last_active].next_active = node;
    }
    f->last_active = node;
}

// The first active node that is still in a tree, or NONE.
static uint32_t take_active(tnp_maxflow *f) {
    while (f->first_active != NONE) {
        uint32_t node = f->first_active;
        f->first_active = f->nodes[node].next_active;
        if (f->first_active == NONE) {
            f->last_active = NONE;
        }
        f->nodes[node].next_active = NOT_ACTIVE;
        if (f->nodes[node].parent != NO_PARENT) {
            return node;
        }
    }
    return NONE;
}

static void make_orphan(tnp_maxflow *f, uint32_t node) {
    f->nodes[node].parent = ORPHAN;
    f->orphans[f->end_orphan] = node;
    f->end_orphan = f->end_orphan == f->node_capacity ? 0 : f->end_orphan + 1;
}

// Capacity of arc in the direction in which flow of its node's tree runs: away from the source,
// towards the sink.
static int64_t tree_residual(const tnp_maxflow *f, uint32_t arc, uint32_t in_sink_tree) {
    return f->arcs[in_sink_tree ? arc ^ 1u : arc].residual;
}

// Grows node's tree by its free neighbours. Returns an arc from the source's tree to the sink's, or
// NONE.
static uint32_t grow(tnp_maxflow *f, uint32_t node) {
    tnp_flow_node *n = &f->nodes[node];
    for (uint32_t arc = n->first; arc != NONE; arc = f->arcs[arc].next) {
        f->work++;
        if (tree_residual(f, arc, n->in_sink_tree) == 0) {
            continue;
        }
        uint32_t head = f->arcs[arc].head;
        tnp_flow_node *h = &f->nodes[head];
        if (h->parent == NO_PARENT) {
            h->in_sink_tree = n->in_sink_tree;
            h->parent = arc ^ 1u;
            h->stamp = n->stamp;
            h->distance = n->distance + 1;
            activate(f, head);
        } else if (h->in_sink_tree != n->in_sink_tree) {
            return n->in_sink_tree ? arc ^ 1u : arc;
        } else if (h->stamp <= n->stamp && h->distance > n->distance) {
            // A shorter way to the terminal.
            h->parent = arc ^ 1u;
            h->stamp = n->stamp;
            h->distance = n->distance + 1;
        }
    }
    return NONE;
}

// The least residual from node to its tree's terminal.
static int64_t way_residual(const tnp_maxflow *f, uint32_t node, int64_t least) {
    uint32_t sink = f->nodes[node].in_sink_tree;
    while (f->nodes[node].parent != AT_TERMINAL) {
        uint32_t arc = f->nodes[node].parent;
        int64_t residual = f->arcs[sink ? arc : arc ^ 1u].residual;
        least = residual < least ? residual : least;
        node = f->arcs[arc].head;
    }
    int64_t terminal = f->nodes[node].terminal;
    terminal = sink ? -terminal : terminal;
    return terminal < least ? terminal : least;
}

static void push_way(tnp_maxflow *f, uint32_t node, int64_t amount) {
    uint32_t sink = f->nodes[node].in_sink_tree;
    while (f->nodes[node].parent != AT_TERMINAL) {
        uint32_t arc = f->nodes[node].parent;
        uint32_t along = sink ? arc : arc ^ 1u;
        f->arcs[along].residual -= amount;
        f->arcs[along ^ 1u].residual += amount;
        uint32_t up = f->arcs[arc].head;
        if (f->arcs[along].residual == 0) {
            make_orphan(f, node);
        }
        node = up;
        f->work++;
    }
    f->nodes[node].terminal += sink ? amount : -amount;
    if (f->nodes[node].terminal == 0) {
        make_orphan(f, node);
    }
}

static void augment(tnp_maxflow *f, uint32_t arc) {
    uint32_t source_end = f->arcs[arc ^ 1u].head;
    uint32_t sink_end = f->arcs[arc].head;
    int64_t least = f->arcs[arc].residual;
    least = way_residual(f, source_end, least);
    least = way_residual(f, sink_end, least);
    f->arcs[arc].residual -= least;
    f->arcs[arc ^ 1u].residual += least;
    push_way(f, source_end, least);
    push_way(f, sink_end, least);
}

// Distance of node from its terminal, or FAR when its way ends at an orphan.
static uint32_t distance_to_terminal(tnp_maxflow *f, uint32_t node) {
    uint32_t distance = 0;
    while (1) {
        tnp_flow_node *n = &f->nodes[node];
        f->work++;
        if (n->stamp == f->time) {
            return distance + n->distance;
        }
        distance++;
        if (n->parent == AT_TERMINAL) {
            n->stamp = f->time;
            n->distance = 1;
            return distance;
        }
        if (n->parent == ORPHAN) {
            return FAR;
        }
        node = f->arcs[n->parent].head;
    }
}

static void stamp_way(tnp_maxflow *f, uint32_t node, uint32_t distance) {
    while (f->nodes[node].stamp != f->time) {
        f->nodes[node].stamp = f->time;
        f->nodes[node].distance = distance--;
        node = f->arcs[f->nodes[node].parent].head;
    }
}

static void free_orphan(tnp_maxflow *f, uint32_t node) {
    tnp_flow_node *n = &f->nodes[node];
    for (uint32_t arc = n->first; arc != NONE; arc = f->arcs[arc].next) {
        uint32_t head = f->arcs[arc].head;
        tnp_flow_node *h = &f->nodes[head];
        f->work++;
        if (h->parent == NO_PARENT || h->in_sink_tree != n->in_sink_tree) {
            continue;
        }
        if (tree_residual(f, arc ^ 1u, n->in_sink_tree) > 0) {
            activate(f, head);
        }
        if (h->parent != AT_TERMINAL && h->parent != ORPHAN && f->arcs[h->parent].head == node) {
            make_orphan(f, head);
        }
    }
    n->parent = NO_PARENT;
}

// Finds the orphan a new parent in its tree, the nearest to the terminal, or sets it free.
static void adopt(tnp_maxflow *f, uint32_t node) {
    tnp_flow_node *n = &f->nodes[node];
    uint32_t best = NONE;
    uint32_t best_distance = FAR;
    for (uint32_t arc = n->first; arc != NONE; arc = f->arcs[arc].next) {
        uint32_t head = f->arcs[arc].head;
        tnp_flow_node *h = &f->nodes[head];
        f->work++;
        if (h->parent == NO_PARENT || h->in_sink_tree != n->in_sink_tree ||
            tree_residual(f, arc ^ 1u, n->in_sink_tree) == 0) {
            continue;
        }
        uint32_t distance = distance_to_terminal(f, head);
        if (distance == FAR) {
            continue;
        }
        if (distance < best_distance) {
            best = arc;
            best_distance = distance;
        }
        stamp_way(f, head, distance);
    }
    if (best == NONE) {
        free_orphan(f, node);
        return;
    }
    n->parent = best;
    n->stamp = f->time;
    n->distance = best_distance + 1;
}

static void adopt_orphans(tnp_maxflow *f) {
    f->time++;
    while (f->first_orphan != f->end_orphan) {
        uint32_t node = f->orphans[f->first_orphan];
        f->first_orphan = f->first_orphan == f->node_capacity ? 0 : f->first_orphan + 1;
        adopt(f, node);
    }
}

void tnp_maxflow_run(tnp_maxflow *flow) {
    tnp_maxflow *f = flow;
    for (uint32_t i = 0; i < f->node_count; i++) {
        if (f->nodes[i].terminal != 0) {
            f->nodes[i].in_sink_tree = f->nodes[i].terminal < 0;
            f->nodes[i].parent = AT_TERMINAL;
            f->nodes[i].distance = 1;
            activate(f, i);
        }
    }
    for (uint32_t node = take_active(f); node != NONE; node = take_active(f)) {
        uint32_t arc = grow(f, node);
        while (arc != NONE) {
            augment(f, arc);
            adopt_orphans(f);
            arc = f->nodes[node].parent == NO_PARENT ? NONE : grow(f, node);
        }
    }
}

int tnp_maxflow_side(const tnp_maxflow *flow, uint32_t node) {
    return flow->nodes[node].parent != NO_PARENT && flow->nodes[node].in_sink_tree;
}
