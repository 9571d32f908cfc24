// SPDX-License-Identifier: Apache-2.0
// The timeline of a finished plan, for callers.
#include "simulate.h"

#include <string.h>

void tnp_timeline_deinit(const tnp_allocator *allocator, tnp_timeline *timeline) {
    tnp_free_array(allocator, timeline->begin, timeline->segment_count, sizeof(int64_t));
    tnp_free_array(allocator, timeline->end, timeline->segment_count, sizeof(int64_t));
    memset(timeline, 0, sizeof(*timeline));
}

tnp_status tnp_simulate(const tnp_allocator *allocator, const tnp_problem *problem,
                        const tnp_plan *plan, tnp_timeline *out_timeline) {
    tnp_arena arena = {allocator, NULL};
    tnp_graph graph;
    tnp_simulator simulator;
    uint32_t unused;
    memset(out_timeline, 0, sizeof(*out_timeline));
    tnp_status status = tnp_graph_init(&arena, problem, &graph, &unused);
    if (status == TNP_OK) {
        status = tnp_simulator_init(&arena, &graph, &simulator);
    }
    if (status == TNP_OK) {
        out_timeline->lower_bound = tnp_makespan_bound(&simulator);
        out_timeline->makespan = tnp_simulator_run(&simulator, plan->label, plan->order);
        out_timeline->segment_count = simulator.segment_count;
        out_timeline->begin = tnp_alloc_array(allocator, simulator.segment_count, sizeof(int64_t));
        out_timeline->end = tnp_alloc_array(allocator, simulator.segment_count, sizeof(int64_t));
        if (out_timeline->begin == NULL || out_timeline->end == NULL) {
            tnp_timeline_deinit(allocator, out_timeline);
            status = TNP_OUT_OF_MEMORY;
        } else {
            uint64_t bytes = simulator.segment_count * sizeof(int64_t);
            memcpy(out_timeline->begin, simulator.begin, bytes);
            memcpy(out_timeline->end, simulator.end, bytes);
        }
    }
    tnp_arena_release(&arena);
    return status;
}
