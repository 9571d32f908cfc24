// SPDX-License-Identifier: Apache-2.0
// See the header. A callback that lets it go on, and a time that does not come, change no plan.
#include "plan/plan_search.h"

#include "base/clock.h"
#include "base/error.h"
#include "plan/plan_store.h"

typedef struct watch {
    const tni_plan_info *info;
    bool cancelled; // by the callback
} watch;

static int stops(void *user_data) {
    watch *w = user_data;
    const tni_plan_info *info = w->info;
    w->cancelled = w->cancelled || (info->progress != NULL &&
                                    info->progress(info->progress_user_data, "plan", 0) != 0);
    return w->cancelled ||
           (info->plan_deadline_ns != UINT64_MAX && tni_clock_ns() >= info->plan_deadline_ns);
}

static bool take(const tni_plan_info *info, const tnp_allocator *allocator,
                 const tnp_problem *problem, tni_plan_key *out_key, tnp_plan *out_answer) {
    uint32_t culprit;
    // The key reads all that the problem points to.
    if (info->store == NULL || tnp_problem_validate(problem, &culprit) != TNP_OK) {
        return false;
    }
    tni_plan_key_make(problem, info->concurrent, out_key);
    return tni_plan_store_take(info->store, allocator, problem, out_key, out_answer);
}

tn_status tni_plan_search(const tni_plan_info *info, const tnp_allocator *allocator,
                          const tnp_problem *problem, tnp_plan *out_answer, tnp_status *out_solved,
                          bool *out_stored, tn_error *error) {
    watch w = {info, false};
    const tnp_options options = {
        .cancelled = stops,
        .user_data = &w,
        .concurrent = info->concurrent,
    };
    tni_plan_key key;
    *out_solved = TNP_OK;
    *out_stored = take(info, allocator, problem, &key, out_answer);
    if (*out_stored) {
        return TN_OK;
    }
    *out_solved = tnp_plan_init(allocator, problem, &options, out_answer);
    if (w.cancelled) {
        tnp_plan_deinit(allocator, out_answer);
        return tni_fail(error, TN_ERROR_CANCELLED, "plan.cancelled",
                        "the progress callback stopped the search for a plan");
    }
    if (*out_solved == TNP_OK && info->store != NULL) {
        tni_plan_store_keep(info->store, allocator, &key, out_answer);
    }
    return TN_OK;
}

// The first and the last op are the host's, on label 0.
static bool fill_single(const tnp_problem *problem, uint32_t label, uint32_t *out_labels) {
    for (uint32_t op = 0; op < problem->op_count; op++) {
        out_labels[op] = op == 0 || op + 1 == problem->op_count ? 0 : label;
        if (problem->op_cost[(uint64_t)op * problem->label_count + out_labels[op]] ==
            TNP_UNSUPPORTED) {
            return false;
        }
    }
    return true;
}

// TNP_OK: *out_plan is that of the label alone, and capacities allow it.
static tnp_status plan_single(const tnp_allocator *allocator, const tnp_problem *problem,
                              const uint32_t *labels, tnp_plan *out_plan) {
    tnp_plan ordered;
    tnp_status status = tnp_plan_of_labels(allocator, problem, labels, &ordered);
    if (status == TNP_OK) {
        status = tnp_plan_of_order(allocator, problem, labels, ordered.order, out_plan);
        tnp_plan_deinit(allocator, &ordered);
    }
    return status;
}

static void replace(const tnp_allocator *allocator, tnp_plan *inout_answer, tnp_plan *by) {
    by->lower_bound = inout_answer->lower_bound;
    by->work = inout_answer->work;
    by->truncated = inout_answer->truncated;
    by->hash = by->truncated ? 0 : by->hash;
    tnp_plan_deinit(allocator, inout_answer);
    *inout_answer = *by;
}

static int64_t between(const tnp_cost *cost) {
    return cost->handovers + cost->copies;
}

// What the answer costs if all that it has between devices, and the single one has not, costs twice
// what was measured.
static int64_t doubted(const tnp_cost *found, const tnp_cost *single) {
    const int64_t more = between(found) - between(single);
    return found->total + (more > 0 ? more : 0);
}

// Takes the label alone if that is within the margin, and cheaper than what was taken before.
static tnp_status try_single(const tni_plan_info *info, const tnp_allocator *allocator,
                             const tnp_problem *problem, const uint32_t *labels,
                             const tnp_cost *found, tnp_plan *inout_answer, int64_t *inout_least) {
    tnp_plan single;
    const tnp_status status = plan_single(allocator, problem, labels, &single);
    if (status != TNP_OK) {
        return status;
    }
    const int64_t cost = single.cost.total;
    const int64_t saved = cost - doubted(found, &single.cost);
    if (cost < *inout_least && saved <= cost / 1000 * info->margin_permille) {
        *inout_least = cost;
        replace(allocator, inout_answer, &single);
    } else {
        tnp_plan_deinit(allocator, &single);
    }
    return TNP_OK;
}

tn_status tni_plan_settle(const tni_plan_info *info, const tnp_allocator *allocator,
                          const tnp_problem *problem, tnp_plan *inout_answer, bool *out_settled,
                          tn_error *error) {
    const uint64_t bytes = (uint64_t)problem->op_count * sizeof(uint32_t);
    const tnp_cost found = inout_answer->cost;
    int64_t least = INT64_MAX;
    *out_settled = false;
    // The host's start, one island, the host's end: it is settled already.
    if (info->margin_permille == 0 || info->concurrent || inout_answer->segment_count <= 3) {
        return TN_OK;
    }
    uint32_t *labels = allocator->alloc(allocator->user_data, bytes);
    tnp_status status = labels == NULL ? TNP_OUT_OF_MEMORY : TNP_OK;
    for (uint32_t label = 1; label < problem->label_count && status != TNP_OUT_OF_MEMORY; label++) {
        if (fill_single(problem, label, labels)) {
            status = try_single(info, allocator, problem, labels, &found, inout_answer, &least);
        }
    }
    if (labels != NULL) {
        allocator->free(allocator->user_data, labels, bytes);
    }
    *out_settled = least != INT64_MAX;
    return status == TNP_OUT_OF_MEMORY
               ? tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the partition")
               : TN_OK;
}
