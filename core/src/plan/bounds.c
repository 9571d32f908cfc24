// SPDX-License-Identifier: Apache-2.0
// The sizes within which a plan may be used: those of the verdicts it made use of.
#include "plan/plan.h"

static bool is_used(const tni_plan *plan, const tni_verdict_set *set, uint32_t place) {
    uint32_t island = place == TN_NONE ? TN_NONE : plan->island_of[place];
    return island != TN_NONE && plan->islands[island].device == set->device;
}

bool tni_plan_holds(const tni_plan *plan, const tni_shape_table *table) {
    for (uint32_t i = 0; i < plan->set_count; i++) {
        const tni_verdict_set *set = &plan->sets[i];
        for (uint32_t k = 0; k < set->bound_count; k++) {
            const tn_verdict_bound *bound = &set->bounds[k];
            int64_t size = table->symbol_sizes[bound->symbol];
            if (size >= 0 && (size < bound->min || size > bound->max) &&
                is_used(plan, set, bound->node)) {
                return false;
            }
        }
    }
    return true;
}
