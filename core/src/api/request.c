// SPDX-License-Identifier: Apache-2.0
// tenon/request.h: making a request and preparing it for shapes. Read next: request_io.c,
// request_run.c.
#include "api/request_object.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

void tn_request_config_init(tn_request_config *config) {
    *config = (tn_request_config){.struct_size = sizeof(*config),
                                  .struct_type = TN_STRUCT_REQUEST_CONFIG};
}

// Under the mutex, since cancel may look at them from any thread.
static void set_prepared(tn_request *request, tni_prepared *prepared, tni_flow_run *stages) {
    tni_mutex_lock(&request->mutex);
    request->prepared = prepared;
    request->stages = stages;
    tni_mutex_unlock(&request->mutex);
}

static void drop_prepared(tn_request *request) {
    if (tni_request_is_prepared(request)) {
        set_prepared(request, NULL, NULL);
    }
    tni_request_profiles_drop(request);
    tni_flow_run_destroy(request->walk);
    request->walk = NULL;
}

tn_status tn_request_create(tn_compiled *compiled, const tn_request_config *config,
                            tn_request **out_request, tn_error *error) {
    if (out_request != NULL) {
        *out_request = NULL;
    }
    if (compiled == NULL || out_request == NULL ||
        (config != NULL && (!tni_struct_ok(config, TN_STRUCT_REQUEST_CONFIG, sizeof(*config)) ||
                            config->shape_profiles > TNI_MAX_SHAPE_PROFILES))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument",
                        "compiled or out_request is null, or the configuration is not one");
    }
    if (compiled->plan_only) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.plan-only",
                        "the model was compiled for its plan only");
    }
    tn_host *host = compiled->model->host;
    tn_request *request = tni_alloc_zeroed(&host->alloc, sizeof(*request));
    if (request == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a request");
    }
    tn_compiled_retain(compiled);
    tn_host_retain(host);
    request->compiled = compiled;
    request->host = host;
    request->background = config != NULL && config->background != 0;
    request->profile_count =
        config != NULL && config->shape_profiles > 1 ? config->shape_profiles : 1;
    tn_status status = tni_mutex_init(&request->mutex);
    request->mutex_ready = status == TN_OK;
    if (status == TN_OK) {
        status = tni_cond_init(&request->finished_cond);
        request->cond_ready = status == TN_OK;
    }
    if (status != TN_OK) {
        (void)tni_fail_plain(error, status, "a request");
    } else {
        status = tni_request_states_init(request, config, error);
    }
    if (status != TN_OK) {
        tn_request_destroy(request);
        return status;
    }
    *out_request = request;
    return TN_OK;
}

void tn_request_destroy(tn_request *request) {
    if (request == NULL) {
        return;
    }
    tn_request_cancel(request);
    tni_worker_destroy(request->worker); // a cancelled run ends at its next look
    drop_prepared(request);
    tni_states_release(request->states);
    if (request->cond_ready) {
        tni_cond_deinit(&request->finished_cond);
    }
    if (request->mutex_ready) {
        tni_mutex_deinit(&request->mutex);
    }
    tn_host *host = request->host;
    tn_compiled *compiled = request->compiled;
    tni_free(&host->alloc, request, sizeof(*request));
    tn_compiled_release(compiled);
    (void)tni_host_reap(host, 0);
    tni_host_drop(host);
}

// Working arrays of one prepare, one entry an input of graph 0.
typedef struct prepare_arrays {
    tni_shape_input *inputs;
    int64_t *dims;  // TN_MAX_RANK each
    uint8_t *given; // the embedder gave the shape
} prepare_arrays;

// Every input once, with the given dims or the model's own.
static tn_status gather_shapes(tn_request *request, const tn_input_shape *shapes,
                               uint32_t shape_count, prepare_arrays *a, tn_error *error) {
    tni_shape_input *inputs = a->inputs;
    const tni_model *model = request->compiled->flow->model;
    const tni_graph *graph = &model->graphs[0];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const tni_value *value = &model->values[graph->inputs[i]];
        int64_t *own = a->dims + (uint64_t)i * TN_MAX_RANK;
        bool ranked = value->kind == TN_VALUE_TENSOR && value->rank != TN_RANK_UNKNOWN;
        uint32_t rank = ranked ? value->rank : 0;
        for (uint32_t k = 0; k < rank; k++) {
            own[k] = value->dims[k].size;
        }
        inputs[i] = (tni_shape_input){.value = graph->inputs[i], .rank = rank, .dims = own};
    }
    for (uint32_t i = 0; i < shape_count; i++) {
        if (shapes[i].input >= graph->input_count || shapes[i].rank > TN_MAX_RANK ||
            (shapes[i].dims == NULL && shapes[i].rank > 0)) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.shape",
                            "shape %u names input %u of %u, or has no dims", i, shapes[i].input,
                            graph->input_count);
        }
        inputs[shapes[i].input].rank = shapes[i].rank;
        inputs[shapes[i].input].dims = shapes[i].dims;
        a->given[shapes[i].input] = 1;
    }
    tn_status status = tni_request_states_shape(request, inputs, a->given, error);
    for (uint32_t i = 0; i < graph->input_count && status == TN_OK; i++) {
        for (uint32_t k = 0; k < inputs[i].rank; k++) {
            if (inputs[i].dims[k] < 0) {
                const tni_value *value = &model->values[graph->inputs[i]];
                return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.dim",
                                "dimension %u of input \"%.*s\" is not known: give its shape", k,
                                (int)value->name.size_bytes, value->name.data);
            }
        }
    }
    return status;
}

// What the cap leaves beside the states; 0: no cap.
static uint64_t cap_without_states(const tn_request *request) {
    uint64_t cap = request->compiled->memory_cap_bytes;
    uint64_t states = tni_states_memory(request->states);
    return cap == 0 ? 0 : states < cap ? cap - states : 1;
}

static tni_prepare_context context_of(const tn_request *request) {
    tn_compiled *compiled = request->compiled;
    return (tni_prepare_context){
        .alloc = request->host->alloc,
        .flow = compiled->flow,
        .trace = &request->host->trace,
        .memory_cap_bytes = cap_without_states(request),
        .sensitive = compiled->model->sensitive,
        .states = request->states,
        .keeper = tni_compiled_keeper(compiled),
    };
}

// One region: everything is made now, so that a run allocates nothing.
static tn_status prepare_region(tn_request *request, const tni_shape_input *inputs,
                                tn_error *error) {
    tni_prepare_context context = context_of(request);
    tni_prepared *prepared = NULL;
    tn_status status = tni_request_profile_get(request, &context, inputs, &prepared, error);
    if (status != TN_OK) {
        return status;
    }
    set_prepared(request, prepared, NULL);
    return TN_OK;
}

// Several stages: the inputs get their memory now, regions are made ready as the run meets them.
static tn_status prepare_stages(tn_request *request, const tni_shape_input *inputs,
                                tn_error *error) {
    const tni_model *model = request->compiled->flow->model;
    const tni_graph *graph = &model->graphs[0];
    tni_prepare_context context = context_of(request);
    context.states = NULL; // between stages, values are tensors of their own
    tni_flow_limits limits = {
        .memory_cap_bytes = context.memory_cap_bytes,
        .max_iterations = request->compiled->max_iterations,
    };
    tn_status status = TN_OK;
    if (request->walk == NULL) {
        status = tni_flow_run_create(&context, &limits, &request->walk, error);
    } else {
        tni_flow_run_forget(request->walk);
    }
    for (uint32_t i = 0; i < graph->input_count && status == TN_OK; i++) {
        if (model->values[graph->inputs[i]].kind == TN_VALUE_TENSOR) {
            status = tni_flow_run_shape(request->walk, i, inputs[i].rank, inputs[i].dims, error);
        }
    }
    if (status == TN_OK) {
        set_prepared(request, NULL, request->walk);
    }
    return status;
}

static tn_status prepare(tn_request *request, const tn_input_shape *shapes, uint32_t shape_count,
                         tn_error *error) {
    const tni_alloc *alloc = &request->host->alloc;
    uint64_t count = (uint64_t)request->compiled->flow->model->graphs[0].input_count + 1;
    prepare_arrays a = {
        .inputs = tni_alloc_array(alloc, count, sizeof(*a.inputs)),
        .dims = tni_alloc_array(alloc, count * TN_MAX_RANK, sizeof(*a.dims)),
        .given = tni_alloc_array(alloc, count, sizeof(*a.given)),
    };
    tn_status status = a.inputs != NULL && a.dims != NULL && a.given != NULL
                           ? gather_shapes(request, shapes, shape_count, &a, error)
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "input shapes");
    if (status == TN_OK) {
        status = request->compiled->flow->simple ? prepare_region(request, a.inputs, error)
                                                 : prepare_stages(request, a.inputs, error);
    }
    if (status == TN_OK) {
        request->grown = false;
        status = tni_request_states_fit(request, error);
    }
    tni_free_array(alloc, a.inputs, count, sizeof(*a.inputs));
    tni_free_array(alloc, a.dims, count * TN_MAX_RANK, sizeof(*a.dims));
    tni_free_array(alloc, a.given, count, sizeof(*a.given));
    if (status == TN_OK && request->background && request->worker == NULL) {
        status = tni_worker_create(alloc, "tenon-request", &request->worker);
        if (status != TN_OK) {
            return tni_fail_plain(error, status, "the thread of a background request");
        }
    }
    return status;
}

// Growing states change shapes with every run: nothing that was prepared before is of use. A run
// that was given up may still be writing to their buffers, where the next would.
static tn_status leave_states(tn_request *request, tn_error *error) {
    if (request->states == NULL) {
        return TN_OK;
    }
    tni_request_profiles_drop(request);
    if (tni_states_are_shared(request->states)) {
        (void)tni_host_reap(request->host, 0);
    }
    return tni_states_are_shared(request->states)
               ? tni_fail(error, TN_ERROR_BUSY, "run.busy",
                          "devices are still at work on a run that was given up")
               : TN_OK;
}

tn_status tn_request_prepare(tn_request *request, const tn_input_shape *shapes,
                             uint32_t shape_count, tn_error *error) {
    if (request == NULL || (shapes == NULL && shape_count > 0)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument",
                        "request or shapes is null");
    }
    if (request->state != TNI_REQUEST_IDLE) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.running",
                        "a run was submitted and not waited for");
    }
    uint64_t begin = tni_clock_ns();
    set_prepared(request, NULL, NULL);
    request->last = TN_OK;
    tn_status status = leave_states(request, error);
    if (status == TN_OK) {
        status = prepare(request, shapes, shape_count, error);
    }
    if (status != TN_OK) {
        set_prepared(request, NULL, NULL);
    }
    if (request->states != NULL && !request->states_fixed && status != TN_OK) {
        drop_prepared(request);
        tni_states_forget(request->states);
    }
    request->states_fixed = request->states_fixed || status == TN_OK;
    request->prepare_ns = tni_clock_ns() - begin;
    tni_trace_add(&request->host->trace, TN_TRACE_PREPARE, TN_NONE, TN_NONE, 0, begin, 0);
    return status;
}
