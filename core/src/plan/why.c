// SPDX-License-Identifier: Apache-2.0
// Prices each device alone, lists the copies, and asks the partitioner about every node.
#include "plan/why.h"

#include "base/error.h"
#include "plan/caps.h"
#include "plan/cost.h"

static const tni_device *label_device(const tni_draft_plan *d, uint32_t label) {
    return label == 0 ? NULL : d->plan->sets[label - 1].device;
}

void tni_why_destroy(tni_why *why) {
    if (why == NULL) {
        return;
    }
    tni_free_array(&why->alloc, why->alternatives, (uint64_t)why->alternative_count + 1,
                   sizeof(*why->alternatives));
    tni_free_array(&why->alloc, why->transfers, (uint64_t)why->transfer_capacity + 1,
                   sizeof(*why->transfers));
    tni_free_array(&why->alloc, why->choices, (uint64_t)why->choice_count + 1,
                   sizeof(*why->choices));
    tni_alloc alloc = why->alloc;
    tni_free(&alloc, why, sizeof(*why));
}

static int64_t op_cost(const tnp_problem *p, uint32_t op, uint32_t label) {
    return p->op_cost[(uint64_t)op * p->label_count + label];
}

// Everything on label that can be, the rest where it costs least.
static uint32_t prefer(const tnp_problem *p, uint32_t label, uint32_t *labels) {
    uint32_t refused = 0;
    for (uint32_t op = 0; op < p->op_count; op++) {
        uint32_t best = TNP_NONE;
        for (uint32_t other = 0; other < p->label_count; other++) {
            int64_t cost = op_cost(p, op, other);
            if (cost != TNP_UNSUPPORTED && (best == TNP_NONE || cost < op_cost(p, op, best))) {
                best = other;
            }
        }
        bool can = op_cost(p, op, label) != TNP_UNSUPPORTED;
        bool host = op == 0 || op + 1 == p->op_count;
        labels[op] = can ? label : best;
        refused += !can && !host;
    }
    return refused;
}

uint32_t tni_count_handovers(const tni_draft_plan *d, const tnp_plan *plan) {
    uint32_t count = 0;
    for (uint32_t i = 1; i < plan->segment_count; i++) {
        const tni_device *from = label_device(d, plan->segments[i - 1].label);
        const tni_device *to = label_device(d, plan->segments[i].label);
        bool at_host =
            (from == NULL && tni_is_near_host(to)) || (to == NULL && tni_is_near_host(from));
        count += at_host ? 0 : 1;
    }
    return count;
}

static tn_status price_alternatives(const tni_draft_plan *d, const tnp_allocator *allocator,
                                    const tnp_problem *p, uint32_t *labels, tni_why *why) {
    for (uint32_t k = 0; k < d->plan->set_count; k++) {
        tni_alternative *one = &why->alternatives[k];
        tnp_plan plan;
        one->device = d->plan->sets[k].device;
        one->refused_nodes = prefer(p, k + 1, labels);
        tnp_status solved = tnp_plan_of_labels(allocator, p, labels, &plan);
        if (solved == TNP_OUT_OF_MEMORY) {
            return TN_ERROR_OUT_OF_MEMORY;
        }
        one->cost = plan.cost;
        const tn_status fits =
            tni_caps_wanted(d) && solved == TNP_OK ? tni_caps_check(d, labels) : TN_OK;
        one->cost.total = solved == TNP_OK && fits == TN_OK ? plan.cost.total : TN_COST_NO_PLAN;
        one->cost.handover_count = tni_count_handovers(d, &plan);
        tnp_plan_deinit(allocator, &plan);
        if (fits == TN_ERROR_OUT_OF_MEMORY) {
            return fits;
        }
    }
    return TN_OK;
}

// The first and the last op are the host's.
static uint32_t place_of(const tnp_problem *p, uint32_t op) {
    return op == 0 || op + 1 == p->op_count ? TN_NONE : op - 1;
}

static void add_transfers(const tni_draft_plan *d, const tnp_problem *p, const tnp_plan *answer,
                          uint32_t value, tni_why *why) {
    uint32_t tensor = d->tensor_of[value];
    const tnp_tensor *t = &p->tensors[tensor];
    uint32_t from = answer->label[t->producer];
    uint64_t seen = (uint64_t)1 << from;
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t to = answer->label[p->consumers[t->consumer_begin + i]];
        if (((seen >> to) & 1u) == 0) {
            seen |= (uint64_t)1 << to;
            uint64_t cell = ((uint64_t)tensor * p->label_count + from) * p->label_count + to;
            why->transfers[why->transfer_count++] = (tni_planned_transfer){
                .value = value,
                .from = label_device(d, from),
                .to = label_device(d, to),
                .from_place = place_of(p, t->producer),
                .to_place = place_of(p, p->consumers[t->consumer_begin + i]),
                .cost_ns = p->copy_cost[cell],
            };
        }
    }
}

static void keep_choices(const tni_draft_plan *d, const tnp_problem *p, const tnp_plan *answer,
                         const tnp_choice *choices, tni_why *why) {
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        const tnp_choice *choice = &choices[i + 1];
        uint32_t label = answer->label[i + 1];
        why->choices[i] = (tni_node_choice){
            .device = label_device(d, label),
            .cheapest = label_device(d, choice->cheapest),
            .cost_ns = op_cost(p, i + 1, label),
            .cheapest_cost_ns = op_cost(p, i + 1, choice->cheapest),
            .choice = *choice,
        };
    }
}

static tn_status fill(const tni_draft_plan *d, const tnp_allocator *allocator, const tnp_problem *p,
                      const tnp_plan *answer, tni_why *why, tn_error *error) {
    const tni_alloc *alloc = &why->alloc;
    const uint32_t devices = d->plan->set_count;
    uint64_t ops = (uint64_t)p->op_count + 1;
    uint32_t *labels = tni_alloc_array(alloc, ops, sizeof(*labels));
    tnp_choice *choices = tni_alloc_array(alloc, ops, sizeof(*choices));
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (labels != NULL && choices != NULL && tnp_choices(allocator, p, answer, choices) == TNP_OK) {
        status = price_alternatives(d, allocator, p, labels, why);
    }
    if (status == TN_OK && why->alternative_count > devices) {
        status = tni_price_fewer(d, allocator, p, answer, why->alternatives + devices, error);
    }
    if (status == TN_OK) {
        for (uint32_t value = 0; value < d->plan->model->value_count; value++) {
            if (d->tensor_of[value] != TN_NONE) {
                add_transfers(d, p, answer, value, why);
            }
        }
        keep_choices(d, p, answer, choices, why);
    }
    tni_free_array(alloc, labels, ops, sizeof(*labels));
    tni_free_array(alloc, choices, ops, sizeof(*choices));
    return status;
}

tn_status tni_why_create(const tni_draft_plan *draft, const tnp_allocator *allocator,
                         const tnp_problem *problem, const tnp_plan *answer, tni_why **out_why,
                         tn_error *error) {
    const tni_alloc *alloc = &draft->plan->alloc;
    *out_why = NULL;
    tni_why *why = tni_alloc_zeroed(alloc, sizeof(*why));
    if (why == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "an explanation");
    }
    why->alloc = *alloc;
    // Of two devices, one less is one alone.
    why->alternative_count = draft->plan->set_count * (draft->plan->set_count > 2 ? 2u : 1u);
    why->choice_count = draft->region->node_count;
    why->transfer_capacity = problem->consumer_total; // one a consumer at most
    why->alternatives =
        tni_alloc_array(alloc, (uint64_t)why->alternative_count + 1, sizeof(*why->alternatives));
    why->transfers =
        tni_alloc_array(alloc, (uint64_t)why->transfer_capacity + 1, sizeof(*why->transfers));
    why->choices = tni_alloc_array(alloc, (uint64_t)why->choice_count + 1, sizeof(*why->choices));
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (why->alternatives != NULL && why->transfers != NULL && why->choices != NULL) {
        status = fill(draft, allocator, problem, answer, why, error);
    }
    if (status != TN_OK) {
        tni_why_destroy(why);
        return status == TN_ERROR_OUT_OF_MEMORY ? tni_fail_plain(error, status, "an explanation")
                                                : status;
    }
    *out_why = why;
    return TN_OK;
}
