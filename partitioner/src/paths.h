// SPDX-License-Identifier: Apache-2.0
// Handovers as prices on dependencies.
//
// Let m be any metric on labels, or one that differs by direction. Along one path of dependencies
// the label changes happen in disjoint stretches of every order, so an order hands over, in m, at
// least what any one path does; and at least what any convex mix of paths does, which is a unit
// flow through the dependencies. Hence for every such flow f: cost of a plan >= its labels' cost +
// sum over e of f(e) * m(labels of e).
//
// If the handover costs are at least a sum of metrics, each metric may have a flow of its own
// (splits.h).
//
// The best flows are found by fictitious play (Brown 1951): each round the labels answer the mix of
// all paths so far, and a path is added that answers the mix of all labels so far. Letting both
// answer the past's average and not the last move is what makes it converge fast.
#ifndef TENON_PARTITIONER_PATHS_H
#define TENON_PARTITIONER_PATHS_H

#include "energy.h"

typedef struct tnp_paths {
    tnp_energy *energy;
    double *average; // [metric][edge]: changes in the labels so far
    double *most;    // [op]: most changes on a path that ends here
    uint32_t *way;   // [op]: edge that path came by
    uint32_t round;
    uint64_t work;
} tnp_paths;

tnp_status tnp_paths_init(tnp_arena *arena, tnp_energy *energy, tnp_paths *out_paths);

// Takes labels (by op) into the average and moves every metric's flow towards the path that changes
// most by it.
void tnp_paths_follow(tnp_paths *paths, const uint32_t *label);

#endif // TENON_PARTITIONER_PATHS_H
