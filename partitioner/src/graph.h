// SPDX-License-Identifier: Apache-2.0
// The problem as the search reads it: duplicates gone, dependencies as lists both ways, ops that
// must share a label bound to one variable.
#ifndef TENON_PARTITIONER_GRAPH_H
#define TENON_PARTITIONER_GRAPH_H

#include "arena.h"

#include <stddef.h>

// Greater than every total of a valid problem.
#define TNP_INFINITE ((int64_t)1 << 59)

typedef struct tnp_edge {
    uint32_t from; // op
    uint32_t to;   // op, above from
} tnp_edge;

typedef struct tnp_graph {
    const tnp_problem *problem;
    uint32_t op_count;
    uint32_t label_count;

    // Dependencies, each once, ordered by from then to. Successors of op: edges
    // [out_begin[op], out_begin[op + 1]); predecessors: in_edges[in_begin[op] ...) are edge
    // indices.
    tnp_edge *edges;
    uint32_t edge_count;
    uint32_t *out_begin;
    uint32_t *in_begin;
    uint32_t *in_edges;

    // Tensors somebody reads, each consumer once.
    tnp_tensor *tensors; // ranges of consumers below
    uint32_t *consumers;
    uint32_t *tensor_index; // in the problem, for copy costs
    uint32_t tensor_count;

    int64_t *handover; // [from][to], closed under the triangle inequality

    // Variables: var_of[op]; unary[var][label] sums its ops, TNP_INFINITE where one cannot run.
    uint32_t *var_of;
    int64_t *unary;
    uint64_t *var_bytes; // null when nothing is capped
    uint32_t var_count;

    uint32_t *claim_of; // [label][op]: claim or TNP_NONE; null when there are no claims
} tnp_graph;

// problem must have passed tnp_problem_validate. TNP_OK, TNP_INVALID (*out_culprit: a claim that
// shares an op with another of its label), TNP_INFEASIBLE (*out_culprit: an op of a group no label
// can run) or TNP_OUT_OF_MEMORY.
tnp_status tnp_graph_init(tnp_arena *arena, const tnp_problem *problem, tnp_graph *out_graph,
                          uint32_t *out_culprit);

static inline const int64_t *tnp_copy_row(const tnp_graph *graph, uint32_t tensor, uint32_t from) {
    uint64_t labels = graph->label_count;
    return graph->problem->copy_cost + (graph->tensor_index[tensor] * labels + from) * labels;
}

static inline int64_t tnp_op_cost(const tnp_graph *graph, uint32_t op, uint32_t label) {
    return graph->problem->op_cost[(uint64_t)op * graph->label_count + label];
}

static inline uint32_t tnp_claim_at(const tnp_graph *graph, uint32_t op, uint32_t label) {
    return graph->claim_of == NULL ? TNP_NONE
                                   : graph->claim_of[(uint64_t)label * graph->op_count + op];
}

#endif // TENON_PARTITIONER_GRAPH_H
