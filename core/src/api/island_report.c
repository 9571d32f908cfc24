// SPDX-License-Identifier: Apache-2.0
// What is said about islands in terms of the loaded model: compiling may have put the parts of a
// function op in its place, or one node in the place of a call.
#include "api/island_report.h"

#include "base/error.h"
#include "plan/cost.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

// The plan of the stage at index of graph 0, or null.
static const tni_plan *plan_at(const tni_flow *flow, uint32_t index) {
    return flow->plans[flow->tracks[0].stages[index].id];
}

static const tni_graph *call_nodes(const tni_model *fork, uint32_t node) {
    return fork->nodes[node].called == TN_NONE ? NULL : &fork->graphs[fork->nodes[node].expansion];
}

static void deinit_report(const tni_alloc *alloc, tni_island_report *report) {
    tni_free_array(alloc, report->nodes, at_least_one(report->node_count), sizeof(uint32_t));
    tni_free_array(alloc, report->calls, at_least_one(report->call_count), sizeof(*report->calls));
}

// The node of the model that a node of the fork is a part of.
static uint32_t origin_of(const tni_model *fork, uint32_t node) {
    while (fork->nodes[node].expanded_from != TN_NONE) {
        node = fork->nodes[node].expanded_from;
    }
    return node;
}

static void fill_report(const tni_model *fork, const tni_plan *plan, const uint32_t *position_of,
                        tni_island_report *report) {
    const tni_island *island = report->island;
    uint32_t nodes = 0;
    uint32_t calls = 0;
    for (uint32_t i = 0; i < island->node_count; i++) {
        const tni_graph *call = call_nodes(fork, island->nodes[i]);
        if (call == NULL) {
            report->nodes[nodes++] = position_of[origin_of(fork, island->nodes[i])];
            continue;
        }
        report->calls[calls++] = (tni_call_report){
            .node = island->nodes[i],
            .in_parts = tni_plan_inlines(plan, island->device, island->nodes[i]),
            .first = nodes,
            .count = call->node_count,
        };
        for (uint32_t k = 0; k < call->node_count; k++) {
            report->nodes[nodes++] = position_of[origin_of(fork, call->nodes[k])];
        }
    }
}

static tn_status make_report(const tni_alloc *alloc, const tni_model *fork, const tni_plan *plan,
                             const tni_island *island, const uint32_t *position_of,
                             tni_island_report *report) {
    uint32_t nodes = 0;
    uint32_t calls = 0;
    for (uint32_t i = 0; i < island->node_count; i++) {
        const tni_graph *call = call_nodes(fork, island->nodes[i]);
        nodes += call == NULL ? 1 : call->node_count;
        calls += call != NULL;
    }
    *report = (tni_island_report){
        .island = island,
        .nodes = tni_alloc_array(alloc, at_least_one(nodes), sizeof(uint32_t)),
        .calls = tni_alloc_array(alloc, at_least_one(calls), sizeof(*report->calls)),
        .node_count = nodes,
        .call_count = calls,
    };
    for (uint32_t i = 0; i < island->node_count; i++) {
        report->flops += tni_node_work(fork, island->nodes[i]).flops;
    }
    if (report->nodes == NULL || report->calls == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    fill_report(fork, plan, position_of, report);
    return TN_OK;
}

static tn_status make_reports(const tni_alloc *alloc, const tni_flow *flow,
                              const uint32_t *position_of, tni_report *out_report) {
    uint64_t count = 0;
    const tni_track *track = &flow->tracks[0];
    for (uint32_t i = 0; i < track->stage_count; i++) {
        count += plan_at(flow, i) != NULL ? plan_at(flow, i)->island_count : 0;
    }
    out_report->islands = tni_alloc_array(alloc, at_least_one(count), sizeof(tni_island_report));
    if (out_report->islands == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    out_report->capacity = count;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < track->stage_count; i++) {
        const tni_plan *plan = plan_at(flow, i);
        for (uint32_t k = 0; plan != NULL && k < plan->island_count && status == TN_OK; k++) {
            status = make_report(alloc, flow->model, plan, &plan->islands[k], position_of,
                                 &out_report->islands[out_report->island_count++]);
        }
    }
    return status;
}

tn_status tni_report_init(const tni_alloc *alloc, const tni_model *model, const tni_flow *flow,
                          tni_report *out_report, tn_error *error) {
    const tni_graph *graph = &model->graphs[0];
    *out_report = (tni_report){.alloc = *alloc};
    uint32_t *position_of =
        tni_alloc_array(alloc, at_least_one(model->node_count), sizeof(uint32_t));
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (position_of != NULL) {
        for (uint32_t i = 0; i < graph->node_count; i++) {
            position_of[graph->nodes[i]] = i;
        }
        status = make_reports(alloc, flow, position_of, out_report);
    }
    tni_free_array(alloc, position_of, at_least_one(model->node_count), sizeof(uint32_t));
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "a compiled model");
}

void tni_report_deinit(tni_report *report) {
    for (uint32_t i = 0; i < report->island_count; i++) {
        deinit_report(&report->alloc, &report->islands[i]);
    }
    if (report->islands != NULL) {
        tni_free_array(&report->alloc, report->islands, at_least_one(report->capacity),
                       sizeof(*report->islands));
    }
    memset(report, 0, sizeof(*report));
}
