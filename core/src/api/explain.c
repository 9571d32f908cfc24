// SPDX-License-Identifier: Apache-2.0
// tenon/plan.h: what was kept to explain the plan. Records of all stages of graph 0, in order;
// alternatives are summed over them.
#include "api/objects.h"

#include "flow/estimate.h"
#include "plan/cost.h"
#include "plan/why.h"

static const tni_plan *plan_at(const tn_compiled *compiled, uint32_t index) {
    const tni_flow *flow = compiled->flow;
    return flow->plans[flow->tracks[0].stages[index].id];
}

static uint32_t stage_count(const tn_compiled *compiled) {
    return compiled == NULL ? 0 : compiled->flow->tracks[0].stage_count;
}

// The explanation of a stage, or null.
static const tni_why *why_at(const tn_compiled *compiled, uint32_t index) {
    const tni_plan *plan = plan_at(compiled, index);
    return plan != NULL ? plan->why : NULL;
}

static const tni_why *first_why(const tn_compiled *compiled) {
    const tni_why *why = NULL;
    for (uint32_t i = 0; i < stage_count(compiled) && why == NULL; i++) {
        why = why_at(compiled, i);
    }
    return why;
}

static uint32_t host_index(const tni_device *device) {
    return device == NULL ? TN_NONE : device->host_index;
}

uint32_t tn_compiled_alternative_count(const tn_compiled *compiled) {
    const tni_why *why = first_why(compiled);
    return why == NULL ? 0 : why->alternative_count;
}

static const tni_alternative *alternative_of(const tni_why *why, const tni_alternative *like) {
    for (uint32_t i = 0; why != NULL && i < why->alternative_count; i++) {
        if (why->alternatives[i].device == like->device &&
            why->alternatives[i].kind == like->kind) {
            return &why->alternatives[i];
        }
    }
    return NULL;
}

static tni_estimate estimate_of(const void *user_data, const tni_plan *plan) {
    const tni_alternative *one = alternative_of(plan->why, user_data);
    return one == NULL ? (tni_estimate){0}
                       : (tni_estimate){
                             .total = one->cost.total,
                             .handover_count = one->cost.handover_count,
                             .copy_count = one->cost.copy_count,
                             .none = one->cost.total == TN_COST_NO_PLAN,
                         };
}

tn_status tn_compiled_alternative_get(const tn_compiled *compiled, uint32_t index,
                                      tn_plan_alternative *out_alternative) {
    if (compiled == NULL ||
        !tni_struct_ok(out_alternative, TN_STRUCT_PLAN_ALTERNATIVE, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_why *first = first_why(compiled);
    if (first == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    if (index >= first->alternative_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_alternative *like = &first->alternatives[index];
    const tni_estimate all = tni_estimate_flow(compiled->flow, estimate_of, like);
    tn_plan_alternative sum = {
        .device = like->device->host_index,
        .kind = like->kind,
        .cost_ns = all.none ? TN_COST_NO_PLAN : all.total,
        .handovers = all.handover_count,
        .transfers = all.copy_count,
    };
    for (uint32_t i = 0; i < stage_count(compiled); i++) {
        const tni_alternative *one = alternative_of(why_at(compiled, i), like);
        sum.refused_nodes += one != NULL ? one->refused_nodes : 0;
    }
    tni_struct_out(out_alternative, &sum, sizeof(sum));
    return TN_OK;
}

uint32_t tn_compiled_transfer_count(const tn_compiled *compiled) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < stage_count(compiled); i++) {
        const tni_why *why = why_at(compiled, i);
        count += why != NULL ? why->transfer_count : 0;
    }
    return count;
}

// Islands are numbered through all stages.
static uint32_t island_at(const tn_compiled *compiled, uint32_t stage, uint32_t place) {
    if (place == TN_NONE) {
        return TN_NONE;
    }
    uint32_t before = 0;
    for (uint32_t i = 0; i < stage; i++) {
        before += plan_at(compiled, i) != NULL ? plan_at(compiled, i)->island_count : 0;
    }
    return before + plan_at(compiled, stage)->island_of[place];
}

tn_status tn_compiled_transfer_get(const tn_compiled *compiled, uint32_t index,
                                   tn_planned_transfer *out_transfer) {
    if (compiled == NULL ||
        !tni_struct_ok(out_transfer, TN_STRUCT_PLANNED_TRANSFER, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < stage_count(compiled); i++) {
        const tni_why *why = why_at(compiled, i);
        uint32_t count = why != NULL ? why->transfer_count : 0;
        if (index >= count) {
            index -= count;
            continue;
        }
        const tni_planned_transfer *one = &why->transfers[index];
        const tn_planned_transfer transfer = {
            .name = tni_text_or_empty(compiled->fork->values[one->value].name),
            .from_device = host_index(one->from),
            .to_device = host_index(one->to),
            .from_island = island_at(compiled, i, one->from_place),
            .to_island = island_at(compiled, i, one->to_place),
            .size_bytes = tni_value_bytes(compiled->fork, one->value),
            .cost_ns = one->cost_ns,
        };
        tni_struct_out(out_transfer, &transfer, sizeof(transfer));
        return TN_OK;
    }
    return first_why(compiled) == NULL ? TN_ERROR_NOT_FOUND : TN_ERROR_INVALID_ARGUMENT;
}

tn_status tn_compiled_choice_get(const tn_compiled *compiled, uint32_t node,
                                 tn_choice *out_choice) {
    if (compiled == NULL || node >= compiled->model->model->graphs[0].node_count ||
        !tni_struct_ok(out_choice, TN_STRUCT_CHOICE, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    uint32_t place = TN_NONE;
    const tni_stage *stage =
        tni_flow_stage_of(compiled->flow, tni_standing_for(compiled, node), &place);
    const tni_plan *plan = compiled->flow->plans[stage->id];
    const tni_node_choice *one =
        plan != NULL && plan->why != NULL ? &plan->why->choices[place] : NULL;
    if (one == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    const tn_choice choice = {
        .device = host_index(one->device),
        .cheapest_device = host_index(one->cheapest),
        .why = one->choice.why,
        .cost_ns = one->cost_ns,
        .cheapest_cost_ns = one->cheapest_cost_ns,
        .copies_ns = one->choice.copies,
        .handovers_ns = one->choice.handovers,
        .claims_ns = one->choice.savings,
    };
    tni_struct_out(out_choice, &choice, sizeof(choice));
    return TN_OK;
}
