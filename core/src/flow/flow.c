// SPDX-License-Identifier: Apache-2.0
// Making a flow: cut graph 0, then every body that a host's stage holds, then plan the regions.
#include "flow/flow.h"

#include "base/clock.h"
#include "base/error.h"
#include "flow/calls.h"
#include "flow/host_op.h"
#include "graph/rewrite/rewrite.h"
#include "plan/caps.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static tn_status cut_graph(tni_flow *flow, uint32_t graph, tn_error *error);

// The bodies of a node that the host carries out are stepped through too.
static tn_status cut_bodies(tni_flow *flow, const tni_node *node, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count && status == TN_OK; k++) {
            status = cut_graph(flow, attr->indices[k], error);
        }
    }
    return status;
}

// Recursion is as deep as graphs nest, which the importer bounds.
static tn_status cut_graph(tni_flow *flow, uint32_t graph, tn_error *error) {
    tni_track *track = &flow->tracks[graph];
    tn_status status =
        tni_track_init(&flow->alloc, flow->model, graph, &flow->stage_count, track, error);
    for (uint32_t i = 0; i < track->stage_count && status == TN_OK; i++) {
        const tni_stage *stage = &track->stages[i];
        if (stage->kind == TNI_STAGE_HOST) {
            status = tni_host_op_check(flow->model, stage->node, error);
        }
        if (stage->kind == TNI_STAGE_HOST && status == TN_OK) {
            status = cut_bodies(flow, &flow->model->nodes[stage->node], error);
        }
    }
    return status;
}

static tn_status plan_stage(tni_flow *flow, const tni_stage *stage, tn_error *error) {
    if (stage->kind != TNI_STAGE_REGION || !tni_shapes_complete(flow->model, &stage->region)) {
        return TN_OK;
    }
    tn_status status =
        tni_flow_plan_for(flow, &stage->region, NULL, &flow->plans[stage->id], error);
    return status == TN_OK && flow->info.cap_count > 0
               ? tni_caps_add_used(flow->plans[stage->id], flow->caps, flow->info.cap_count, error)
               : status;
}

// Cutting a graph and planning a part go through tables with a record a node and value of the
// model: this many take seconds.
#define MAX_RECORDS ((uint64_t)1 << 30)

static tn_status check_parts(const tni_flow *flow, uint32_t part_count, tn_error *error) {
    const uint64_t records = (uint64_t)flow->model->node_count + flow->model->value_count;
    if (part_count > 1 && part_count > MAX_RECORDS / at_least_one(records)) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "flow.stages",
                        "%u parts to plan in a model of %u nodes and %u values", part_count,
                        flow->model->node_count, flow->model->value_count);
    }
    return TN_OK;
}

// Graph 0 and bodies.
static uint32_t count_graphs(const tni_model *model) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->graph_count; i++) {
        const tni_graph *graph = &model->graphs[i];
        count += !graph->removed && !graph->is_expansion && !graph->is_form;
    }
    return count;
}

static tn_status plan_stages(tni_flow *flow, tn_error *error) {
    flow->plans =
        tni_alloc_array(&flow->alloc, at_least_one(flow->stage_count), sizeof(tni_plan *));
    if (flow->plans == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    tn_status status = TN_OK;
    for (uint32_t g = 0; g < flow->graph_count; g++) {
        const tni_track *track = &flow->tracks[g];
        for (uint32_t i = 0; i < track->stage_count && status == TN_OK; i++) {
            status = plan_stage(flow, &track->stages[i], error);
        }
    }
    return status;
}

// Writes the model for every device. From here on it does not change any more, so that requests may
// plan regions while they run.
static tn_status present(tni_flow *flow, tn_error *error) {
    tn_status status = TN_OK;
    flow->info.presentations = flow->presentations;
    for (uint32_t i = 0; i < flow->info.device_count && status == TN_OK; i++) {
        status =
            tni_verdicts_present(flow->model, flow->devices[i], &flow->presentations[i], error);
    }
    return status;
}

static tn_status index_nodes(tni_flow *flow, tn_error *error) {
    uint64_t nodes = at_least_one(flow->model->node_count);
    flow->stage_of = tni_alloc_array(&flow->alloc, nodes, sizeof(uint32_t));
    flow->place_of = tni_alloc_array(&flow->alloc, nodes, sizeof(uint32_t));
    if (flow->stage_of == NULL || flow->place_of == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    memset(flow->stage_of, 0xff, nodes * sizeof(uint32_t));
    for (uint32_t i = 0; i < flow->tracks[0].stage_count; i++) {
        const tni_stage *stage = &flow->tracks[0].stages[i];
        if (stage->kind == TNI_STAGE_HOST) {
            flow->stage_of[stage->node] = i;
        }
        for (uint32_t k = 0; k < stage->region.node_count; k++) {
            flow->stage_of[stage->region.nodes[k]] = i;
            flow->place_of[stage->region.nodes[k]] = k;
        }
    }
    return TN_OK;
}

static tn_status settle_calls(const tni_flow *flow, tn_error *error) {
    bool refused = false;
    const tn_status status = tni_calls_settle(flow, &refused, error);
    return status == TN_OK && refused
               ? tni_fail(error, TN_ERROR_STALE, "flow.call", "no device takes the call whole")
               : status;
}

static tn_status create(tni_flow *flow, const tni_plan_info *info, tn_error *error) {
    flow->tracks =
        tni_alloc_array(&flow->alloc, at_least_one(flow->graph_count), sizeof(*flow->tracks));
    flow->devices =
        tni_alloc_array(&flow->alloc, at_least_one(info->device_count), sizeof(tni_device *));
    flow->presentations = tni_alloc_array(&flow->alloc, at_least_one(info->device_count),
                                          sizeof(*flow->presentations));
    flow->pins = tni_alloc_array(&flow->alloc, at_least_one(info->pin_count), sizeof(*flow->pins));
    flow->caps = tni_alloc_array(&flow->alloc, at_least_one(info->cap_count), sizeof(*flow->caps));
    if (flow->tracks == NULL || flow->devices == NULL || flow->presentations == NULL ||
        flow->pins == NULL || flow->caps == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    for (uint32_t i = 0; i < info->device_count; i++) {
        flow->devices[i] = info->devices[i];
    }
    flow->info.devices = flow->devices;
    for (uint32_t i = 0; i < info->pin_count; i++) {
        flow->pins[i] = info->pins[i];
    }
    flow->info.pins = flow->pins;
    for (uint32_t i = 0; i < info->cap_count; i++) {
        flow->caps[i] = info->caps[i];
    }
    flow->info.caps = flow->caps;
    tn_status status = present(flow, error);
    if (status == TN_OK) {
        status = check_parts(flow, count_graphs(flow->model), error);
    }
    if (status == TN_OK) {
        status = cut_graph(flow, 0, error);
    }
    if (status == TN_OK) {
        flow->simple = flow->tracks[0].simple;
        status = index_nodes(flow, error);
    }
    if (status == TN_OK) {
        status = check_parts(flow, flow->stage_count, error);
    }
    if (status == TN_OK) {
        status = settle_calls(flow, error);
    }
    if (status == TN_OK) {
        status = plan_stages(flow, error);
    }
    // The embedder's callback is borrowed for this call only.
    flow->info.explain = false; // of the plans there are now; later ones are for one run's shapes
    flow->info.progress = NULL;
    flow->info.progress_user_data = NULL;
    return status;
}

static tn_status try_create(const tni_alloc *alloc, const tni_plan_info *info, tni_flow **out_flow,
                            tn_error *error) {
    *out_flow = NULL;
    tni_flow *flow = tni_alloc_zeroed(alloc, sizeof(*flow));
    if (flow == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    flow->alloc = *alloc;
    flow->model = info->model;
    flow->info = *info;
    flow->graph_count = info->model->graph_count;
    tn_status status = create(flow, info, error);
    if (status != TN_OK) {
        tni_flow_destroy(flow);
        return status;
    }
    *out_flow = flow;
    return TN_OK;
}

static tn_status offer_and_create(const tni_alloc *alloc, const tni_plan_info *info,
                                  tni_flow **out_flow, tn_error *error) {
    bool offered = false;
    tn_error reason;
    tni_error_init(&reason);
    tn_status status =
        tni_calls_offer(info->model, info->devices, info->call_device_count, &offered, &reason);
    if (status == TN_OK) {
        status = try_create(alloc, info, out_flow, &reason);
    }
    if (status != TN_OK) {
        tni_error_copy(error, &reason);
    }
    return status;
}

// After a refusal: what may change the next answer. Devices that are not listed are offered calls
// when nothing else helps.
static tn_status give_way(tni_plan_info *info, bool *out_changed, tn_error *error) {
    const tn_status status = tni_model_expand_refused(info->model, out_changed, error);
    if (status == TN_OK && !*out_changed && info->call_device_count < info->device_count) {
        info->call_device_count = info->device_count;
        *out_changed = info->model->call_count > 0;
    }
    return status;
}

tn_status tni_flow_create(const tni_alloc *alloc, const tni_plan_info *info, tni_flow **out_flow,
                          tn_error *error) {
    // Every call is offered once.
    const uint64_t rounds = (uint64_t)TNI_MAX_EXPANSIONS + info->model->call_count;
    tni_plan_info attempt = *info;
    bool changed = true;
    tn_status status = TN_ERROR_UNSUPPORTED;
    attempt.call_device_count = info->listed_count;
    for (uint64_t round = 0; changed && round < rounds; round++) {
        changed = false;
        status = offer_and_create(alloc, &attempt, out_flow, error);
        if (status == TN_ERROR_UNSUPPORTED || status == TN_ERROR_DENIED ||
            status == TN_ERROR_STALE) {
            const tn_status gave_way = give_way(&attempt, &changed, error);
            status = gave_way != TN_OK ? gave_way : status;
            changed = changed && gave_way == TN_OK;
        }
    }
    return status;
}

void tni_flow_destroy(tni_flow *flow) {
    if (flow == NULL) {
        return;
    }
    for (uint32_t i = 0; i < flow->stage_count && flow->plans != NULL; i++) {
        tni_plan_destroy(flow->plans[i]);
    }
    for (uint32_t g = 0; g < flow->graph_count && flow->tracks != NULL; g++) {
        tni_track_deinit(&flow->tracks[g]);
    }
    tni_free_array(&flow->alloc, flow->plans, at_least_one(flow->stage_count), sizeof(tni_plan *));
    tni_free_array(&flow->alloc, flow->stage_of, at_least_one(flow->model->node_count),
                   sizeof(uint32_t));
    tni_free_array(&flow->alloc, flow->place_of, at_least_one(flow->model->node_count),
                   sizeof(uint32_t));
    tni_free_array(&flow->alloc, flow->tracks, at_least_one(flow->graph_count),
                   sizeof(*flow->tracks));
    for (uint32_t i = 0; i < flow->info.device_count && flow->presentations != NULL; i++) {
        tni_presentation_deinit(&flow->presentations[i]);
    }
    tni_free_array(&flow->alloc, flow->presentations, at_least_one(flow->info.device_count),
                   sizeof(*flow->presentations));
    tni_free_array(&flow->alloc, flow->devices, at_least_one(flow->info.device_count),
                   sizeof(tni_device *));
    tni_free_array(&flow->alloc, flow->pins, at_least_one(flow->info.pin_count),
                   sizeof(*flow->pins));
    tni_free_array(&flow->alloc, flow->caps, at_least_one(flow->info.cap_count),
                   sizeof(*flow->caps));
    tni_alloc alloc = flow->alloc;
    tni_free(&alloc, flow, sizeof(*flow));
}

tn_status tni_flow_plan_for(const tni_flow *flow, const tni_region *region,
                            const tni_shape_table *shapes, tni_plan **out_plan, tn_error *error) {
    tni_plan_info info = flow->info;
    info.region = region;
    info.shapes = shapes;
    info.plan_deadline_ns =
        info.plan_time_limit_ns > 0 ? tni_clock_deadline(info.plan_time_limit_ns) : UINT64_MAX;
    return tni_plan_create(&flow->alloc, &info, out_plan, error);
}

const tni_stage *tni_flow_stage_of(const tni_flow *flow, uint32_t node, uint32_t *out_place) {
    uint32_t stage = node < flow->model->node_count ? flow->stage_of[node] : TN_NONE;
    *out_place = stage == TN_NONE ? TN_NONE : flow->place_of[node];
    return stage == TN_NONE ? NULL : &flow->tracks[0].stages[stage];
}
