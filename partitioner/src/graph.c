// SPDX-License-Identifier: Apache-2.0
// Builds the lists that the search reads a problem by.
#include "graph.h"

#include <string.h>

static tnp_status graph_alloc(tnp_arena *arena, tnp_graph *g) {
    const tnp_problem *p = g->problem;
    uint64_t ops = p->op_count;
    uint64_t labels = p->label_count;
    uint64_t uses = p->consumer_total;
    g->edges = tnp_arena_array(arena, uses, sizeof(*g->edges));
    g->out_begin = tnp_arena_array(arena, ops + 1, sizeof(uint32_t));
    g->in_begin = tnp_arena_array(arena, ops + 2, sizeof(uint32_t));
    g->in_edges = tnp_arena_array(arena, uses, sizeof(uint32_t));
    g->tensors = tnp_arena_array(arena, p->tensor_count, sizeof(*g->tensors));
    g->consumers = tnp_arena_array(arena, uses, sizeof(uint32_t));
    g->tensor_index = tnp_arena_array(arena, p->tensor_count, sizeof(uint32_t));
    g->handover = tnp_arena_array(arena, labels * labels, sizeof(int64_t));
    g->var_of = tnp_arena_array(arena, ops, sizeof(uint32_t));
    g->unary = tnp_arena_array(arena, ops * labels, sizeof(int64_t));
    if (p->label_capacity != NULL && p->op_bytes != NULL) {
        g->var_bytes = tnp_arena_array(arena, ops, sizeof(uint64_t));
    }
    if (p->claim_count > 0) {
        g->claim_of = tnp_arena_array(arena, ops * labels, sizeof(uint32_t));
    }
    int complete = g->edges != NULL && g->out_begin != NULL && g->in_begin != NULL &&
                   g->in_edges != NULL && g->tensors != NULL && g->consumers != NULL &&
                   g->tensor_index != NULL && g->handover != NULL && g->var_of != NULL &&
                   g->unary != NULL &&
                   (g->var_bytes != NULL || p->label_capacity == NULL || p->op_bytes == NULL) &&
                   (g->claim_of != NULL || p->claim_count == 0);
    return complete ? TNP_OK : TNP_OUT_OF_MEMORY;
}

// A consumer that reads a tensor twice is listed once; last_seen[op] is 1 + the tensor that listed
// it.
static void fill_tensors(tnp_graph *g, uint32_t *last_seen) {
    const tnp_problem *p = g->problem;
    uint32_t used = 0;
    for (uint32_t t = 0; t < p->tensor_count; t++) {
        tnp_tensor *tensor = &g->tensors[g->tensor_count];
        tensor->producer = p->tensors[t].producer;
        tensor->consumer_begin = used;
        tensor->consumer_count = 0;
        for (uint32_t i = 0; i < p->tensors[t].consumer_count; i++) {
            uint32_t op = p->consumers[p->tensors[t].consumer_begin + i];
            if (last_seen[op] != t + 1) {
                last_seen[op] = t + 1;
                g->consumers[used++] = op;
                tensor->consumer_count++;
            }
        }
        if (tensor->consumer_count > 0) {
            g->tensor_index[g->tensor_count++] = t;
        }
    }
}

// Counting sort of the uses by producer, then by consumer: two passes of a radix sort, so that
// neighbours that two tensors name are next to each other and one of them can go.
static void fill_edges(tnp_graph *g, tnp_edge *by_consumer, uint32_t *next) {
    uint32_t n = g->op_count;
    memset(next, 0, ((uint64_t)n + 1) * sizeof(*next));
    uint32_t uses = 0;
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        for (uint32_t i = 0; i < g->tensors[t].consumer_count; i++) {
            next[g->consumers[g->tensors[t].consumer_begin + i] + 1]++;
            uses++;
        }
    }
    for (uint32_t op = 0; op < n; op++) {
        next[op + 1] += next[op];
    }
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        for (uint32_t i = 0; i < g->tensors[t].consumer_count; i++) {
            uint32_t to = g->consumers[g->tensors[t].consumer_begin + i];
            by_consumer[next[to]++] = (tnp_edge){g->tensors[t].producer, to};
        }
    }
    memset(next, 0, ((uint64_t)n + 1) * sizeof(*next));
    for (uint32_t i = 0; i < uses; i++) {
        next[by_consumer[i].from + 1]++;
    }
    for (uint32_t op = 0; op < n; op++) {
        next[op + 1] += next[op];
    }
    for (uint32_t i = 0; i < uses; i++) {
        g->edges[next[by_consumer[i].from]++] = by_consumer[i];
    }
    for (uint32_t i = 0; i < uses; i++) {
        tnp_edge edge = g->edges[i];
        if (g->edge_count == 0 || g->edges[g->edge_count - 1].from != edge.from ||
            g->edges[g->edge_count - 1].to != edge.to) {
            g->edges[g->edge_count++] = edge;
        }
    }
}

static void fill_lists(tnp_graph *g) {
    for (uint32_t e = 0; e < g->edge_count; e++) {
        g->out_begin[g->edges[e].from + 1]++;
        g->in_begin[g->edges[e].to + 2]++;
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        g->out_begin[op + 1] += g->out_begin[op];
        g->in_begin[op + 1] += g->in_begin[op];
    }
    for (uint32_t e = 0; e < g->edge_count; e++) {
        g->in_edges[g->in_begin[g->edges[e].to + 1]++] = e;
    }
}

// Shortest ways between labels (Floyd and Warshall).
static void close_handovers(tnp_graph *g) {
    uint32_t k = g->label_count;
    memcpy(g->handover, g->problem->handover_cost, (uint64_t)k * k * sizeof(int64_t));
    for (uint32_t via = 0; via < k; via++) {
        for (uint32_t a = 0; a < k; a++) {
            for (uint32_t b = 0; b < k; b++) {
                int64_t way = g->handover[a * k + via] + g->handover[via * k + b];
                if (way < g->handover[a * k + b]) {
                    g->handover[a * k + b] = way;
                }
            }
        }
    }
}

// Variables are numbered by their first op, so that their order follows the graph.
static void fill_variables(tnp_graph *g, uint32_t *var_of_group) {
    const tnp_problem *p = g->problem;
    memset(var_of_group, 0xff, (uint64_t)g->op_count * sizeof(*var_of_group));
    for (uint32_t op = 0; op < g->op_count; op++) {
        uint32_t group = p->group != NULL ? p->group[op] : TNP_NONE;
        uint32_t var = group != TNP_NONE ? var_of_group[group] : TNP_NONE;
        if (var == TNP_NONE) {
            var = g->var_count++;
            if (group != TNP_NONE) {
                var_of_group[group] = var;
            }
        }
        g->var_of[op] = var;
        for (uint32_t label = 0; label < g->label_count; label++) {
            int64_t *sum = &g->unary[(uint64_t)var * g->label_count + label];
            int64_t cost = tnp_op_cost(g, op, label);
            *sum = cost == TNP_UNSUPPORTED || *sum == TNP_INFINITE ? TNP_INFINITE : *sum + cost;
        }
        if (g->var_bytes != NULL) {
            g->var_bytes[var] += p->op_bytes[op];
        }
    }
}

static tnp_status check_variables(const tnp_graph *g, uint32_t *out_culprit) {
    for (uint32_t op = 0; op < g->op_count; op++) {
        const int64_t *unary = g->unary + (uint64_t)g->var_of[op] * g->label_count;
        int feasible = 0;
        for (uint32_t label = 0; label < g->label_count; label++) {
            feasible |= unary[label] != TNP_INFINITE;
        }
        if (!feasible) {
            *out_culprit = op;
            return TNP_INFEASIBLE;
        }
    }
    return TNP_OK;
}

static tnp_status fill_claims(tnp_graph *g, uint32_t *out_culprit) {
    if (g->claim_of == NULL) {
        return TNP_OK;
    }
    memset(g->claim_of, 0xff, (uint64_t)g->op_count * g->label_count * sizeof(uint32_t));
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        const tnp_claim *claim = &g->problem->claims[c];
        for (uint32_t i = 0; i < claim->op_count; i++) {
            uint32_t op = g->problem->claim_ops[claim->op_begin + i];
            uint32_t *of = &g->claim_of[(uint64_t)claim->label * g->op_count + op];
            if (*of != TNP_NONE) {
                *out_culprit = c;
                return TNP_INVALID;
            }
            *of = c;
        }
    }
    return TNP_OK;
}

tnp_status tnp_graph_init(tnp_arena *arena, const tnp_problem *problem, tnp_graph *out_graph,
                          uint32_t *out_culprit) {
    tnp_graph *g = out_graph;
    memset(g, 0, sizeof(*g));
    g->problem = problem;
    g->op_count = problem->op_count;
    g->label_count = problem->label_count;
    tnp_edge *edges = tnp_arena_array(arena, problem->consumer_total, sizeof(*edges));
    uint32_t *words = tnp_arena_array(arena, (uint64_t)g->op_count + 1, sizeof(*words));
    if (edges == NULL || words == NULL || graph_alloc(arena, g) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    fill_tensors(g, words);
    fill_edges(g, edges, words);
    fill_lists(g);
    close_handovers(g);
    fill_variables(g, words);
    tnp_status status = fill_claims(g, out_culprit);
    return status == TNP_OK ? check_variables(g, out_culprit) : status;
}
