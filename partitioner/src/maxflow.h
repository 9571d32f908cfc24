// SPDX-License-Identifier: Apache-2.0
// Maximum flow and minimum cut by two growing search trees that are kept between augmentations
// (Boykov and Kolmogorov 2004, "An experimental comparison of min-cut/max-flow algorithms").
#ifndef TENON_PARTITIONER_MAXFLOW_H
#define TENON_PARTITIONER_MAXFLOW_H

#include "arena.h"

typedef struct tnp_flow_node {
    int64_t terminal; // residual capacity from the source (> 0) or to the sink (< 0)
    uint32_t first;   // arc
    uint32_t parent;  // arc to the parent, or one of the marks in maxflow.c
    uint32_t next_active;
    uint32_t stamp; // when distance was last known to be right
    uint32_t distance;
    uint32_t in_sink_tree;
} tnp_flow_node;

typedef struct tnp_flow_arc {
    int64_t residual;
    uint32_t head;
    uint32_t next;
} tnp_flow_arc;

typedef struct tnp_maxflow {
    tnp_flow_node *nodes;
    tnp_flow_arc *arcs; // arc ^ 1 is its reverse
    uint32_t *orphans;
    uint32_t node_count;
    uint32_t node_capacity;
    uint32_t arc_count;
    uint32_t arc_capacity;
    uint32_t first_active;
    uint32_t last_active;
    uint32_t first_orphan; // a ring of node_capacity + 1
    uint32_t end_orphan;
    uint32_t time;
    uint64_t work; // steps taken so far
} tnp_maxflow;

tnp_status tnp_maxflow_init(tnp_arena *arena, uint32_t node_capacity, uint32_t arc_capacity,
                            tnp_maxflow *out_flow);

// An empty network of node_count nodes; at most node_capacity.
void tnp_maxflow_reset(tnp_maxflow *flow, uint32_t node_count);

// One more node; the capacity must allow it.
uint32_t tnp_maxflow_add_node(tnp_maxflow *flow);

// cost0 is paid when the node ends on the source's side, cost1 when on the sink's.
void tnp_maxflow_add_unary(tnp_maxflow *flow, uint32_t node, int64_t cost0, int64_t cost1);

// capacity is paid when from ends on the source's side and to on the sink's, reverse the other way
// round. Both are not negative.
void tnp_maxflow_add_arc(tnp_maxflow *flow, uint32_t from, uint32_t to, int64_t capacity,
                         int64_t reverse);

void tnp_maxflow_run(tnp_maxflow *flow);

// 1 when the node is on the sink's side of the minimum cut with the smallest such side.
int tnp_maxflow_side(const tnp_maxflow *flow, uint32_t node);

#endif // TENON_PARTITIONER_MAXFLOW_H
