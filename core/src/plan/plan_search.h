// SPDX-License-Identifier: Apache-2.0
// One search of the partitioner, which the embedder may stop: at once through its progress
// callback, or with the best plan so far when a time has come.
#ifndef TENON_PLAN_PLAN_SEARCH_H
#define TENON_PLAN_PLAN_SEARCH_H

#include "plan/plan.h"

#include "tenon/partition.h"

// TN_OK: *out_solved is what the partitioner says, and *out_answer is its plan, to be released with
// tnp_plan_deinit. TN_ERROR_CANCELLED the callback stopped it.
TN_MUST_USE tn_status tni_plan_search(const tni_plan_info *info, const tnp_allocator *allocator,
                                      const tnp_problem *problem, tnp_plan *out_answer,
                                      tnp_status *out_solved, tn_error *error);

#endif // TENON_PLAN_PLAN_SEARCH_H
