// SPDX-License-Identifier: Apache-2.0
// tenon/request.h: state that a request keeps from run to run.
#include "api/request_object.h"

#include "base/error.h"

#include <string.h>

void tn_state_config_init(tn_state_config *config) {
    *config = (tn_state_config){
        .struct_size = sizeof(*config), .struct_type = TN_STRUCT_STATE_CONFIG, .axis = TN_NONE};
}

static const tni_model *model_of(const tn_request *request) {
    return request->compiled->flow->model;
}

static const tni_value *input_value(const tn_request *request, const tni_state *state) {
    return &model_of(request)->values[model_of(request)->graphs[0].inputs[state->input]];
}

bool tni_request_is_state(const tn_request *request, bool is_output, uint32_t index) {
    for (uint32_t i = 0; request->states != NULL && i < request->states->count; i++) {
        const tni_state *state = &request->states->states[i];
        if ((is_output ? state->output : state->input) == index) {
            return true;
        }
    }
    return false;
}

static tn_status check_pair(const tn_request *request, const tn_state_config *pair, uint32_t index,
                            tn_error *error) {
    const tni_model *model = model_of(request);
    const tni_graph *graph = &model->graphs[0];
    bool good = tni_struct_ok(pair, TN_STRUCT_STATE_CONFIG, sizeof(*pair)) &&
                pair->input < graph->input_count && pair->output < graph->output_count &&
                (pair->axis == TN_NONE || (pair->axis < TN_MAX_RANK && pair->capacity > 0)) &&
                !tni_request_is_state(request, false, pair->input) &&
                !tni_request_is_state(request, true, pair->output);
    if (good) {
        const tni_value *in = &model->values[graph->inputs[pair->input]];
        const tni_value *out = &model->values[graph->outputs[pair->output]];
        good = in->kind == TN_VALUE_TENSOR && out->kind == TN_VALUE_TENSOR &&
               (out->dtype == in->dtype || out->dtype == TN_DTYPE_UNDEFINED);
    }
    return good ? TN_OK
                : tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.state",
                           "state %u: no such input or output, of different types, in two states, "
                           "or without capacity",
                           index);
}

tn_status tni_request_states_init(tn_request *request, const tn_request_config *config,
                                  tn_error *error) {
    if (config == NULL || config->state_count == 0) {
        return TN_OK;
    }
    if (config->states == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.state", "states is null");
    }
    tn_status status = tni_states_create(&request->host->alloc, config->state_count,
                                         request->compiled->model->sensitive, &request->states);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "the states of a request");
    }
    request->states->cap_bytes = request->compiled->memory_cap_bytes;
    request->states->count = 0; // the ones checked so far
    for (uint32_t i = 0; i < config->state_count && status == TN_OK; i++) {
        const tn_state_config *pair = &config->states[i];
        status = check_pair(request, pair, i, error);
        if (status == TN_OK) {
            request->states->states[i] = (tni_state){.input = pair->input,
                                                     .output = pair->output,
                                                     .axis = pair->axis,
                                                     .capacity = pair->capacity};
            request->states->count = i + 1;
        }
    }
    request->states->count = config->state_count;
    return status;
}

// The shape a state begins with: unknown sizes are an error, but along its axis.
static tn_status first_shape(tn_request *request, uint32_t index, const tni_shape_input *input,
                             tn_error *error) {
    const tni_state *state = &request->states->states[index];
    int64_t dims[TN_MAX_RANK];
    for (uint32_t i = 0; i < input->rank; i++) {
        dims[i] = input->dims[i] < 0 && i == state->axis ? 0 : input->dims[i];
        if (dims[i] < 0) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.dim",
                            "dimension %u of state %u is not known: give its shape", i, index);
        }
    }
    return tni_state_shape(request->states, index, input_value(request, state)->dtype, input->rank,
                           dims, error);
}

static bool same_dims(const tni_state *state, const tni_shape_input *input) {
    return input->rank == state->rank &&
           memcmp(input->dims, state->dims, state->rank * sizeof(*state->dims)) == 0;
}

tn_status tni_request_states_shape(tn_request *request, tni_shape_input *inputs,
                                   const uint8_t *given, tn_error *error) {
    tni_state_set *set = request->states;
    tn_status status = TN_OK;
    for (uint32_t i = 0; set != NULL && i < set->count && status == TN_OK; i++) {
        tni_state *state = &set->states[i];
        tni_shape_input *input = &inputs[state->input];
        if (state->data == NULL) {
            status = first_shape(request, i, input, error);
        } else if (given[state->input] != 0 && !same_dims(state, input)) {
            status = tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.state-shape",
                              "state %u has another shape by now", i);
        }
        input->rank = state->rank;
        input->dims = state->dims;
    }
    if (set != NULL && status == TN_OK) {
        tni_states_externals(set, model_of(request));
    }
    return status;
}

// The shape of what a run makes of a state; false when it is not known.
static bool made_shape(const tn_request *request, const tni_state *state, uint32_t *out_rank,
                       const int64_t **out_dims) {
    if (request->stages != NULL) {
        const tni_item *item = &request->stages->outputs[state->output];
        *out_rank = item->kind == TNI_ITEM_TENSOR ? item->tensor->rank : 0;
        *out_dims = item->kind == TNI_ITEM_TENSOR ? item->tensor->dims : NULL;
        return item->kind == TNI_ITEM_TENSOR;
    }
    uint32_t value = model_of(request)->graphs[0].outputs[state->output];
    const tni_shape *shape = tni_shape_of(request->prepared->table, value);
    *out_rank = shape->rank;
    *out_dims = shape->dims;
    return shape->known;
}

static tn_status fits(const tn_request *request, uint32_t index, int64_t *out_length,
                      tn_error *error) {
    const tni_state *state = &request->states->states[index];
    uint32_t rank = 0;
    const int64_t *dims = NULL;
    *out_length = 0;
    bool good = made_shape(request, state, &rank, &dims) && rank == state->rank;
    for (uint32_t i = 0; good && i < rank; i++) {
        good = dims[i] == state->dims[i] || (i == state->axis && dims[i] >= state->length);
    }
    if (!good) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "state.shape",
                        "the output of state %u does not follow from its input", index);
    }
    if (state->axis == TN_NONE) {
        return TN_OK;
    }
    *out_length = dims[state->axis];
    return *out_length <= state->capacity
               ? TN_OK
               : tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "state.capacity",
                          "state %u would have %lld rows, there is room for %lld", index,
                          (long long)*out_length, (long long)state->capacity);
}

tn_status tni_request_states_fit(const tn_request *request, tn_error *error) {
    tn_status status = TN_OK;
    uint32_t count =
        request->states != NULL && request->prepared != NULL ? request->states->count : 0;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        int64_t length = 0;
        status = fits(request, i, &length, error);
    }
    return status;
}

static bool in_place(const tn_request *request, const tni_state *state) {
    return state->axis != TN_NONE && request->prepared != NULL && request->prepared->states != NULL;
}

static void *input_memory(const tn_request *request, const tni_state *state) {
    if (request->stages != NULL) {
        return request->stages->inputs[state->input].tensor->data;
    }
    const tni_execution *execution = request->prepared->execution;
    return tni_execution_host(execution, execution->schedule->input_places[state->input]);
}

static const void *output_memory(const tn_request *request, const tni_state *state) {
    if (request->stages != NULL) {
        return request->stages->outputs[state->output].tensor->data;
    }
    const tni_execution *execution = request->prepared->execution;
    return tni_execution_host(execution, execution->schedule->output_places[state->output]);
}

tn_status tni_request_states_bring(tn_request *request, tn_error *error) {
    request->state_bytes = 0;
    if (request->grown) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.state-grown",
                        "a state has grown: prepare again");
    }
    for (uint32_t i = 0; request->states != NULL && i < request->states->count; i++) {
        const tni_state *state = &request->states->states[i];
        if (!in_place(request, state)) {
            tni_state_copy_out(state, input_memory(request, state), state->length, 0,
                               state->length);
            request->state_bytes += tni_state_bytes(state);
        }
    }
    return TN_OK;
}

static void commit(tn_request *request, uint32_t index, int64_t length) {
    tni_state *state = &request->states->states[index];
    uint64_t before = tni_state_bytes(state);
    if (!in_place(request, state)) {
        tni_state_copy_in(state, output_memory(request, state), length, state->length,
                          length - state->length);
    }
    if (state->axis == TN_NONE) {
        request->state_bytes += before;
        return;
    }
    request->grown = request->grown || length != state->length;
    state->length = length;
    state->dims[state->axis] = length;
    request->state_bytes += tni_state_bytes(state) - before;
}

tn_status tni_request_states_commit(tn_request *request, tn_error *error) {
    uint32_t count = request->states != NULL ? request->states->count : 0;
    tn_status status = TN_OK;
    int64_t length = 0;
    // All or none: nothing is taken before everything is known to fit.
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        status = fits(request, i, &length, error);
    }
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        status = fits(request, i, &length, error);
        commit(request, i, length);
    }
    return status;
}

static tni_state *find(tn_request *request, uint32_t index, tn_status *out_status) {
    *out_status = TN_OK;
    if (request == NULL || !tni_request_is_prepared(request) ||
        request->state != TNI_REQUEST_IDLE) {
        *out_status = TN_ERROR_INVALID_STATE;
    } else if (request->states == NULL || index >= request->states->count) {
        *out_status = TN_ERROR_INVALID_ARGUMENT;
    }
    return *out_status == TN_OK ? &request->states->states[index] : NULL;
}

tn_status tn_request_state_length(tn_request *request, uint32_t index, int64_t *out_length) {
    tn_status status = TN_OK;
    const tni_state *state = find(request, index, &status);
    if (state == NULL || out_length == NULL) {
        return state == NULL ? status : TN_ERROR_INVALID_ARGUMENT;
    }
    *out_length = state->length;
    for (uint32_t i = 0; state->axis == TN_NONE && i < state->rank; i++) {
        *out_length = (i == 0 ? 1 : *out_length) * state->dims[i];
    }
    return TN_OK;
}

tn_status tn_request_state_bytes(tn_request *request, uint32_t index, uint64_t *out_bytes) {
    tn_status status = TN_OK;
    const tni_state *state = find(request, index, &status);
    if (state == NULL || out_bytes == NULL) {
        return state == NULL ? status : TN_ERROR_INVALID_ARGUMENT;
    }
    *out_bytes = tni_state_bytes(state);
    return TN_OK;
}

tn_status tn_request_state_read(tn_request *request, uint32_t index, void *data,
                                uint64_t size_bytes) {
    tn_status status = TN_OK;
    const tni_state *state = find(request, index, &status);
    if (state == NULL || size_bytes != tni_state_bytes(state) || (data == NULL && size_bytes > 0)) {
        return state == NULL ? status : TN_ERROR_INVALID_ARGUMENT;
    }
    tni_state_copy_out(state, data, state->length, 0, state->length);
    return TN_OK;
}

tn_status tn_request_state_write(tn_request *request, uint32_t index, int64_t length,
                                 const void *data, uint64_t size_bytes) {
    tn_status status = TN_OK;
    tni_state *state = find(request, index, &status);
    if (state == NULL) {
        return status;
    }
    if (request->prepared != NULL && !tni_execution_drained(request->prepared->execution)) {
        return TN_ERROR_BUSY;
    }
    bool grows = state->axis != TN_NONE;
    if (grows && (length < 0 || length > state->capacity)) {
        return length < 0 ? TN_ERROR_INVALID_ARGUMENT : TN_ERROR_LIMIT_EXCEEDED;
    }
    tni_state next = *state;
    if (grows) {
        next.length = length;
        next.dims[state->axis] = length;
    }
    if (size_bytes != tni_state_bytes(&next) || (data == NULL && size_bytes > 0)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    request->grown = request->grown || next.length != state->length;
    *state = next;
    tni_state_copy_in(state, data, length, 0, length);
    return TN_OK;
}
