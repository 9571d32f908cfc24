// SPDX-License-Identifier: Apache-2.0
// What the stages of the search share: the problem in its several forms, the best plan, the bound
// and the budget.
#ifndef TENON_PARTITIONER_SEARCH_H
#define TENON_PARTITIONER_SEARCH_H

#include "caps.h"
#include "contract.h"
#include "dual.h"
#include "move.h"
#include "order.h"
#include "paths.h"
#include "splits.h"

typedef struct tnp_search {
    tnp_graph graph; // contracted
    tnp_graph whole; // as it was before, when labels work at the same time
    tnp_energy energy;
    tnp_paths paths;
    tnp_caps caps;
    tnp_dual dual;
    tnp_mover mover;
    tnp_orderer orderer;
    const tnp_options *options;
    uint64_t budget;
    uint64_t own_work;
    uint64_t next_question; // work at which cancelled is asked again
    int cancelled;

    uint32_t *var_label; // working labels by variable
    uint32_t *op_label;  // working labels by op
    // The best plan.
    int found;
    uint32_t *label;
    uint32_t *order;
    tnp_cost cost;
    int64_t bound;
} tnp_search;

tnp_status tnp_search_init(tnp_arena *arena, const tnp_problem *problem, const tnp_options *options,
                           tnp_search *out_search, uint32_t *out_culprit);

// Steps taken so far, and whether the search should go on: budget left, not cancelled, and a gap.
uint64_t tnp_search_work(const tnp_search *search);
int tnp_search_goes_on(tnp_search *search);

// Orders and prices labels by variable and keeps the plan if it is the cheapest so far. Labels of
// claims with bound ops are mended first where they do not suit. Returns whether it was.
int tnp_search_consider(tnp_search *search, const uint32_t *var_label, int thorough);

// The same after making overfull labels fit, in place; nothing when they fit already.
int tnp_search_consider_fitted(tnp_search *search, uint32_t *var_label);

// Mends labels by variable as consider does and writes them by op to search->op_label. Returns 0
// when they cannot be.
int tnp_search_admit(tnp_search *search, const uint32_t *var_label);

// Takes over a proven bound.
void tnp_search_raise_bound(tnp_search *search, int64_t bound);

// Labels of the best plan by variable.
void tnp_search_best_labels(const tnp_search *search, uint32_t *out_var_label);

// Moves the prices of dependencies towards the path where these labels change most.
void tnp_search_follow(tnp_search *search, const uint32_t *var_label);

// Stages.
void tnp_search_seeds(tnp_search *search);     // seeds.c: simple plans to start from
void tnp_search_bounds(tnp_search *search);    // rounds.c: bound and plan in turn
void tnp_search_alternate(tnp_search *search); // rounds.c: labels for the best order, and again
tnp_status tnp_search_local(tnp_arena *arena, tnp_search *search); // local.c: small moves
tnp_status tnp_search_concurrent(tnp_arena *arena,
                                 tnp_search *search);               // concurrent.c: earlier ends
tnp_status tnp_search_branch(tnp_arena *arena, tnp_search *search); // branch.c: closes small gaps

#endif // TENON_PARTITIONER_SEARCH_H
