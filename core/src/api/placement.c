// SPDX-License-Identifier: Apache-2.0
// tenon/compiled.h: where everything runs, and what the devices said. Islands of graph 0 are
// numbered through all its stages.
#include "api/objects.h"

#include "flow/estimate.h"
#include "plan/cost.h"

#include <string.h>

// The plan of the stage at index of graph 0, or null.
static const tni_plan *plan_at(const tn_compiled *compiled, uint32_t index) {
    const tni_flow *flow = compiled->flow;
    return flow->plans[flow->tracks[0].stages[index].id];
}

// Nodes on a device that was not listed.
static uint32_t count_fallbacks(const tni_plan *plan) {
    uint32_t count = 0;
    if (plan->automatic) {
        return 0; // nobody asked for other devices
    }
    for (uint32_t i = 0; i < plan->island_count; i++) {
        for (uint32_t k = plan->listed_count; k < plan->set_count; k++) {
            count +=
                plan->sets[k].device == plan->islands[i].device ? plan->islands[i].node_count : 0;
        }
    }
    return count;
}

static uint32_t count_handovers(const tni_plan *plan) {
    const tni_device *last = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->island_count; i++) {
        const tni_device *device = plan->islands[i].device;
        count += device != last && !(last == NULL && tni_is_near_host(device));
        last = device;
    }
    return count + !tni_is_near_host(last);
}

static void add_plan(tn_plan_summary *summary, const tni_plan *plan) {
    summary->island_count += plan->island_count;
    summary->fallback_count += count_fallbacks(plan);
    summary->refused_programs += plan->refused_count;
    summary->replans += plan->replan_count;
    for (uint32_t i = 0; i < plan->set_count; i++) {
        summary->lost_claims += plan->sets[i].lost_claims;
    }
    summary->body_ns -= plan->cost.total; // what is left is the bodies'
    summary->plan_hash = summary->plan_hash * 1099511628211u ^ plan->hash;
    summary->truncated |= plan->truncated;
    summary->stored_stages += plan->stored;
    summary->settled_stages += plan->settled;
    summary->weight_bytes += plan->weight_bytes;
}

static tni_estimate estimate_of(const void *user_data, const tni_plan *plan) {
    (void)user_data;
    return (tni_estimate){
        .total = plan->cost.total,
        .compute = plan->cost.compute,
        .copies = plan->cost.copies,
        .handovers = plan->cost.handovers,
        .savings = plan->cost.savings,
        .lower_bound = plan->lower_bound_ns,
        .makespan = plan->makespan_ns,
        .makespan_bound = plan->makespan_bound_ns,
        .handover_count = count_handovers(plan),
        .copy_count = plan->cost.copy_count,
        .claim_count = plan->cost.claim_count,
    };
}

static tn_plan_summary predict(const tn_compiled *compiled) {
    const tni_estimate all = tni_estimate_flow(compiled->flow, estimate_of, NULL);
    return (tn_plan_summary){
        .compile_ns = compiled->compile_ns,
        .handovers = all.handover_count,
        .cost_ns = all.total,
        .body_ns = all.total,
        .compute_ns = all.compute,
        .transfer_ns = all.copies,
        .handover_ns = all.handovers,
        .claim_saving_ns = all.savings,
        .claim_count = all.claim_count,
        .lower_bound_ns = all.lower_bound,
        .makespan_ns = all.makespan,
        .makespan_bound_ns = all.makespan_bound,
        .assumed_loops = all.loops_assumed,
        .unplanned_nodes = all.unplanned_nodes,
    };
}

tn_status tn_compiled_plan_get(const tn_compiled *compiled, tn_plan_summary *out_summary) {
    if (compiled == NULL ||
        !tni_struct_ok(out_summary, TN_STRUCT_PLAN_SUMMARY, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_track *track = &compiled->flow->tracks[0];
    tn_plan_summary summary = predict(compiled);
    for (uint32_t i = 0; i < track->stage_count; i++) {
        const tni_plan *plan = plan_at(compiled, i);
        summary.host_nodes += track->stages[i].kind == TNI_STAGE_HOST;
        if (plan != NULL) {
            add_plan(&summary, plan);
        }
    }
    summary.stage_count = track->stage_count;
    // A plan that the clock had a part in is like no other.
    summary.plan_hash = summary.truncated ? 0 : summary.plan_hash;
    tni_struct_out(out_summary, &summary, sizeof(summary));
    return TN_OK;
}

tn_status tn_compiled_island_get(const tn_compiled *compiled, uint32_t island,
                                 tn_island_desc *out_desc) {
    if (compiled == NULL ||
        !tni_struct_ok(out_desc, TN_STRUCT_ISLAND_DESC, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (island >= compiled->report.island_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_island_report *i = &compiled->report.islands[island];
    const tn_island_desc desc = {
        .device = i->island->device->host_index,
        .node_count = i->node_count,
        .nodes = i->nodes,
        .input_count = i->island->input_count,
        .output_count = i->island->output_count,
        .flops = i->flops,
        .call_count = i->call_count,
    };
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}

tn_status tn_compiled_call_get(const tn_compiled *compiled, uint32_t island, uint32_t call,
                               tn_call_desc *out_desc) {
    if (compiled == NULL || island >= compiled->report.island_count ||
        !tni_struct_ok(out_desc, TN_STRUCT_CALL_DESC, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_island_report *i = &compiled->report.islands[island];
    if (call >= i->call_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_call_report *c = &i->calls[call];
    const tni_node *node = &compiled->fork->nodes[c->node];
    const tn_call_desc desc = {
        .name = tni_text_or_empty(node->name),
        .function = tni_text_or_empty(node->op_type),
        .domain = tni_text_or_empty(node->domain),
        .version = node->since_version,
        .in_parts = c->in_parts,
        .node_count = c->count,
        .nodes = i->nodes + c->first,
    };
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}

static const tni_option *option_of(const tni_plan *plan, uint32_t device, uint32_t place) {
    for (uint32_t i = 0; plan != NULL && i < plan->set_count; i++) {
        if (plan->sets[i].device->host_index == device) {
            return &plan->sets[i].options[place];
        }
    }
    return NULL;
}

// Islands of the stages before this one.
static uint32_t islands_before(const tn_compiled *compiled, const tni_stage *stage) {
    const tni_track *track = &compiled->flow->tracks[0];
    uint32_t count = 0;
    for (uint32_t i = 0; i < track->stage_count && &track->stages[i] != stage; i++) {
        const tni_plan *plan = plan_at(compiled, i);
        count += plan != NULL ? plan->island_count : 0;
    }
    return count;
}

static tn_placement placement_of(const tni_plan *plan, const tni_option *option, uint32_t place,
                                 uint32_t device, uint32_t island_base) {
    uint32_t there = plan->islands[plan->island_of[place]].device->host_index;
    return (tn_placement){
        .island = island_base + plan->island_of[place],
        .device = there,
        .answer = option->possible ? TN_ANSWER_YES : TN_ANSWER_NO,
        .reason = !option->possible ? option->reason
                  : there == device ? TN_REASON_NONE
                                    : TN_REASON_UNPROFITABLE,
        .subject = option->subject,
        .cost_origin = option->origin,
        .limit = option->limit,
        .actual = option->actual,
        .cost_ns = option->cost_ns,
    };
}

uint32_t tni_standing_for(const tn_compiled *compiled, uint32_t position) {
    const tni_model *fork = compiled->flow->model;
    uint32_t id = compiled->model->model->graphs[0].nodes[position];
    while (fork->nodes[id].removed) {
        uint32_t output = 0;
        while (fork->nodes[id].outputs[output] == TN_NONE) {
            output++;
        }
        id = fork->values[fork->nodes[id].outputs[output]].producer;
    }
    return tni_node_owner(fork, id);
}

tn_status tn_compiled_placement_get(const tn_compiled *compiled, uint32_t node, uint32_t device,
                                    tn_placement *out_placement) {
    if (compiled == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_flow *flow = compiled->flow;
    const tni_graph *graph = &compiled->model->model->graphs[0];
    if (!tni_struct_ok(out_placement, TN_STRUCT_PLACEMENT, sizeof(tn_struct_header)) ||
        node >= graph->node_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    uint32_t place = TN_NONE;
    const tni_stage *stage = tni_flow_stage_of(flow, tni_standing_for(compiled, node), &place);
    const tni_plan *plan = flow->plans[stage->id];
    const tni_option *option = option_of(plan, device, place);
    tn_placement placement = {
        .island = TN_NONE,
        .device = TN_NONE,
        .answer = TN_ANSWER_NO,
        .reason = TN_REASON_NONE,
        .subject = TN_NONE,
    };
    if (plan != NULL && option == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    if (plan != NULL) {
        placement = placement_of(plan, option, place, device, islands_before(compiled, stage));
    }
    tni_struct_out(out_placement, &placement, sizeof(placement));
    return TN_OK;
}
