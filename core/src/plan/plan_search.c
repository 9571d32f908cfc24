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
