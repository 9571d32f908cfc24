// SPDX-License-Identifier: Apache-2.0
// Sets of input shapes that a request stays prepared for, the ones used last, within the memory
// cap.
#include "api/request_object.h"

#include <string.h>

static bool has_shapes(const tn_request *request, const tni_prepared *prepared,
                       const tni_shape_input *inputs) {
    const tni_graph *graph = &request->compiled->flow->model->graphs[0];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const tni_shape *shape = tni_shape_of(prepared->table, graph->inputs[i]);
        if (shape->rank != inputs[i].rank ||
            memcmp(shape->dims, inputs[i].dims, shape->rank * sizeof(*shape->dims)) != 0) {
            return false;
        }
    }
    return true;
}

static void drop(tni_request_profile *profile) {
    tni_prepared_drop(profile->prepared);
    *profile = (tni_request_profile){0};
}

void tni_request_profiles_drop(tn_request *request) {
    for (uint32_t i = 0; i < TNI_MAX_SHAPE_PROFILES; i++) {
        drop(&request->profiles[i]);
    }
}

static uint64_t kept_bytes(const tn_request *request) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < request->profile_count; i++) {
        const tni_prepared *prepared = request->profiles[i].prepared;
        bytes += prepared != NULL ? prepared->arena_bytes : 0;
    }
    return bytes;
}

// One that a device is still at after a run that was given up would be busy: it is made anew.
static tni_request_profile *find(tn_request *request, const tni_shape_input *inputs) {
    tni_request_profile *oldest = &request->profiles[0];
    for (uint32_t i = 0; i < request->profile_count; i++) {
        tni_request_profile *p = &request->profiles[i];
        if (p->prepared != NULL && has_shapes(request, p->prepared, inputs) &&
            tni_execution_drained(p->prepared->execution)) {
            return p;
        }
        oldest = p->last_use < oldest->last_use ? p : oldest;
    }
    drop(oldest);
    return oldest;
}

static tn_status make(tn_request *request, const tni_prepare_context *context,
                      const tni_shape_input *inputs, tni_prepared **out_prepared, tn_error *error) {
    const tni_flow *flow = request->compiled->flow;
    const tni_stage *stage = &flow->tracks[0].stages[0];
    tni_shape_table *table = NULL;
    tn_status status = tni_shapes_evaluate(flow->model, &request->host->alloc, inputs,
                                           stage->region.input_count, &table, error);
    if (status == TN_OK) {
        status = tni_prepared_create(context, &stage->region, flow->plans[stage->id], table,
                                     out_prepared, error);
    }
    if (status != TN_OK) {
        tni_shape_table_destroy(table);
    }
    return status;
}

tn_status tni_request_profile_get(tn_request *request, const tni_prepare_context *context,
                                  const tni_shape_input *inputs, tni_prepared **out_prepared,
                                  tn_error *error) {
    *out_prepared = NULL;
    tni_request_profile *profile = find(request, inputs);
    uint64_t cap = context->memory_cap_bytes;
    uint64_t kept = kept_bytes(request);
    // The others give way where the cap does not hold all.
    if (profile->prepared == NULL && cap > 0 && kept > 0) {
        tni_prepare_context tight = *context;
        tight.memory_cap_bytes = kept < cap ? cap - kept : 1;
        if (make(request, &tight, inputs, &profile->prepared, NULL) != TN_OK) {
            tni_request_profiles_drop(request);
        }
    }
    if (profile->prepared == NULL) {
        tn_status status = make(request, context, inputs, &profile->prepared, error);
        if (status != TN_OK) {
            return status;
        }
    }
    profile->last_use = ++request->uses;
    *out_prepared = profile->prepared;
    return TN_OK;
}
