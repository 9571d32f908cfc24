// SPDX-License-Identifier: Apache-2.0
// A lower bound of the energy by moving costs between variables and what joins them until every
// part's own minimum is as great as possible: sequential tree-reweighted message passing
// (Kolmogorov 2006, in the form of Kolmogorov 2015, "A new look at reweighted message passing").
//
// Nothing but exact moves of integers happens, so the bound is one after every step: the constant
// that has been taken out, all that is left being non-negative. For the same reason a label whose
// cost at its variable, on top of the constant, reaches what the best plan costs can be struck out.
// The integers are kept in doubles, where below 2^53 they are exact on every machine, and which
// know an infinity that adding and subtracting leave alone.
#ifndef TENON_PARTITIONER_DUAL_H
#define TENON_PARTITIONER_DUAL_H

#include "energy.h"

typedef struct tnp_dual_node {
    uint64_t cost;      // index of its costs in values
    uint32_t labels;    // how many
    uint32_t out_begin; // edges to later nodes: [out_begin, next node's out_begin)
    uint32_t in_begin;  // range of in_edges: edges from earlier nodes
    uint32_t var;       // or TNP_NONE: a star's label (0: no copy, 1: copy) or a claim (1: holds)
} tnp_dual_node;

typedef struct tnp_dual_edge {
    uint64_t table; // index of its costs in values: [label of from][label of to]
    uint32_t from;
    uint32_t to;
    double reach; // the most that its costs without prices differ by: what it can tell an end
    double forth; // the part of an end's costs that it gets: of the earlier one on the way forth,
    double back;  // of the later one on the way back
} tnp_dual_edge;

typedef struct tnp_dual {
    const tnp_energy *energy;
    tnp_dual_node *nodes; // node_count + 1
    tnp_dual_edge *edges;
    uint32_t *in_edges;
    uint32_t node_count;
    uint32_t edge_count;
    uint32_t *node_of_var;
    uint32_t *edge_of; // [graph edge]: edge, or TNP_NONE within one variable
    double *values;    // the constant, then costs of nodes and edges
    uint64_t value_count;
    double *price;       // [metric][0: from, to; 1: to, from]: a share of flow costs
    uint32_t updates;    // so far
    uint32_t *flow_seen; // what the tables hold of energy->flow
    int64_t *price_seen; // of energy->byte_price
    uint32_t *choice;    // [node]: label of the last rounding
    uint32_t *left;      // [node]: labels that are not struck out
    double *doubt;       // [node]: what its second best label costs more; infinite if alone
    uint64_t work;
} tnp_dual;

// TNP_OK or TNP_OUT_OF_MEMORY. Loads the energy as it is.
tnp_status tnp_dual_init(tnp_arena *arena, const tnp_energy *energy, tnp_dual *out_dual);

// Puts values in the state that every step keeps: no cost negative, rows of labels that cannot be
// infinite.
void tnp_dual_settle(tnp_dual *dual);

// Moves a node's least cost to the constant and strikes out labels whose cost, with the constant,
// is above limit. Returns 0 when none is left.
int tnp_dual_settle_node(tnp_dual *dual, uint32_t node, double limit);

// Sets how much of nodes' costs goes to which of their edges, by the prices as they are.
void tnp_dual_weigh(tnp_dual *dual);

// Takes over changed flows and byte prices, and weighs anew.
void tnp_dual_update(tnp_dual *dual);

// One pass forth and one back. Labels that only plans costing at least `beat` can have are struck
// out (beat INT64_MAX: none). Returns 0 when no label is left somewhere: no plan costs less.
// out_label (by variable, or null) gets a labelling rounded on the way.
int tnp_dual_pass(tnp_dual *dual, int64_t beat, uint32_t *out_label);

// No plan among those that are left costs less than this.
int64_t tnp_dual_bound(const tnp_dual *dual);

// Allows var only this label. Returns 0 when that had been struck out.
int tnp_dual_fix(tnp_dual *dual, uint32_t var, uint32_t label);

// The label of var where all others have been struck out, or TNP_NONE.
uint32_t tnp_dual_only_label(const tnp_dual *dual, uint32_t var);

// Strikes out a label of var; returns how many are left.
uint32_t tnp_dual_forbid(tnp_dual *dual, uint32_t var, uint32_t label);

#endif // TENON_PARTITIONER_DUAL_H
