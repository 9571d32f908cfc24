// SPDX-License-Identifier: Apache-2.0
// What each device is worth to a plan: the same problem searched again with that device taking
// nothing. One that the answer does not use is worth nothing, and needs no search.
#include "plan/why.h"

#include "base/error.h"
#include "plan/caps.h"
#include "plan/plan_search.h"

#include <string.h>

static bool uses(const tnp_problem *p, const tnp_plan *answer, uint32_t label) {
    for (uint32_t op = 0; op < p->op_count; op++) {
        if (answer->label[op] == label) {
            return true;
        }
    }
    return false;
}

// Nothing runs on the label any more, and it claims nothing. costs and claims are as long as those
// of the problem.
static tnp_problem leave_out(const tnp_problem *p, uint32_t label, int64_t *costs,
                             tnp_claim *claims) {
    tnp_problem fewer = *p;
    const uint64_t cells = (uint64_t)p->op_count * p->label_count;
    memcpy(costs, p->op_cost, cells * sizeof(*costs));
    for (uint64_t cell = label; cell < cells; cell += p->label_count) {
        costs[cell] = TNP_UNSUPPORTED;
    }
    fewer.claim_count = 0;
    for (uint32_t i = 0; i < p->claim_count; i++) {
        if (p->claims[i].label != label) {
            claims[fewer.claim_count++] = p->claims[i];
        }
    }
    fewer.op_cost = costs;
    fewer.claims = claims;
    return fewer;
}

static tn_status price(const tni_draft_plan *d, const tnp_allocator *allocator,
                       const tnp_problem *fewer, tni_alternative *out, tn_error *error) {
    tni_plan_info info = *d->info;
    info.store = NULL; // a plan that nobody runs
    tnp_plan plan;
    tnp_status solved = TNP_OK;
    bool stored = false;
    tn_status status = tni_plan_search(&info, allocator, fewer, &plan, &solved, &stored, error);
    if (status != TN_OK) {
        return status;
    }
    out->cost.total = TN_COST_NO_PLAN;
    if (solved == TNP_OK) {
        status = tni_caps_wanted(d) ? tni_caps_check(d, plan.label) : TN_OK;
        out->cost = plan.cost;
        out->cost.total = status == TN_OK ? plan.cost.total : TN_COST_NO_PLAN;
        out->cost.handover_count = tni_count_handovers(d, &plan);
    }
    tnp_plan_deinit(allocator, &plan);
    const bool full = solved == TNP_OUT_OF_MEMORY || status == TN_ERROR_OUT_OF_MEMORY;
    return full ? TN_ERROR_OUT_OF_MEMORY : TN_OK;
}

tn_status tni_price_fewer(const tni_draft_plan *d, const tnp_allocator *allocator,
                          const tnp_problem *p, const tnp_plan *answer,
                          tni_alternative *out_alternatives, tn_error *error) {
    const tni_alloc *alloc = &d->plan->alloc;
    const uint64_t cells = (uint64_t)p->op_count * p->label_count;
    int64_t *costs = tni_alloc_array(alloc, cells, sizeof(*costs));
    tnp_claim *claims = tni_alloc_array(alloc, (uint64_t)p->claim_count + 1, sizeof(*claims));
    tn_status status = costs != NULL && claims != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    for (uint32_t k = 0; k < d->plan->set_count && status == TN_OK; k++) {
        tni_alternative *one = &out_alternatives[k];
        one->device = d->plan->sets[k].device;
        one->kind = TN_ALTERNATIVE_WITHOUT;
        if (uses(p, answer, k + 1)) {
            const tnp_problem fewer = leave_out(p, k + 1, costs, claims);
            status = price(d, allocator, &fewer, one, error);
        } else {
            one->cost = answer->cost;
            one->cost.handover_count = tni_count_handovers(d, answer);
        }
    }
    tni_free_array(alloc, costs, cells, sizeof(*costs));
    tni_free_array(alloc, claims, (uint64_t)p->claim_count + 1, sizeof(*claims));
    return status;
}
