// SPDX-License-Identifier: Apache-2.0
// One search of the partitioner, or its plan from the store. The embedder may stop a search: at
// once through its progress callback, or with the best plan so far when a time has come.
#ifndef TENON_PLAN_PLAN_SEARCH_H
#define TENON_PLAN_PLAN_SEARCH_H

#include "plan/plan.h"

#include "tenon/partition.h"

// TN_OK: *out_solved is what the partitioner says, and *out_answer is its plan, to be released with
// tnp_plan_deinit; *out_stored: it was not searched for. TN_ERROR_CANCELLED the callback stopped
// the search.
TN_MUST_USE tn_status tni_plan_search(const tni_plan_info *info, const tnp_allocator *allocator,
                                      const tnp_problem *problem, tnp_plan *out_answer,
                                      tnp_status *out_solved, bool *out_stored, tn_error *error);

// Puts the plan of the one device that can run everything in the place of an answer that costs
// less by at most margin_permille of what that plan costs, the answer's handovers and copies
// beyond those of that plan counted twice: measured costs are not surer than that, those of
// handovers least of all, and a second device that does not pay makes a run slower. Not for
// concurrent plans. The answer's bound stays. TN_OK with *out_settled · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_plan_settle(const tni_plan_info *info, const tnp_allocator *allocator,
                                      const tnp_problem *problem, tnp_plan *inout_answer,
                                      bool *out_settled, tn_error *error);

#endif // TENON_PLAN_PLAN_SEARCH_H
