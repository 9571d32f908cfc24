// SPDX-License-Identifier: Apache-2.0
// What is behind a tn_request. A model of one region is prepared once and run where it lies
// (prepared); any other is walked stage by stage (stages).
#ifndef TENON_API_REQUEST_OBJECT_H
#define TENON_API_REQUEST_OBJECT_H

#include "api/objects.h"
#include "flow/run.h"

typedef enum tni_request_state {
    TNI_REQUEST_IDLE,
    TNI_REQUEST_RUNNING, // submitted, the result not yet fetched
} tni_request_state;

#define TNI_MAX_SHAPE_PROFILES 16u

// A model of one region, prepared for one set of input shapes.
typedef struct tni_request_profile {
    tni_prepared *prepared; // null: the slot is free
    uint64_t last_use;
} tni_request_profile;

struct tn_request {
    tn_compiled *compiled;
    tn_host *host;
    bool background;
    tni_worker *worker;    // of a background request, from prepare on
    tni_state_set *states; // null: none
    bool states_fixed;     // their shapes: a prepare succeeded
    bool grown;            // a state has grown since prepare
    uint64_t state_bytes;  // of the last run
    tni_request_profile profiles[TNI_MAX_SHAPE_PROFILES];
    uint32_t profile_count; // slots in use
    uint64_t uses;          // counts up, for profiles[].last_use
    tni_prepared *prepared; // of a simple model: one of profiles; null until prepared
    tni_flow_run *stages;   // of any other: walk; null until prepared
    tni_flow_run *walk;     // keeps what its regions were prepared for
    uint64_t prepare_ns;
    uint64_t run_ns;
    uint64_t state_ns; // of run_ns, bringing and keeping states
    tn_status last;    // what the last run ended with
    tni_request_state state;
    uint64_t deadline_ns;
    tn_request_done_fn done;
    void *done_user_data;
    tni_job job;
    tni_mutex mutex; // guards the result, and against cancel: prepared and stages
    tni_cond finished_cond;
    bool mutex_ready;
    bool cond_ready;
    bool finished;
    tn_status result;
    tn_error result_error;
};

static inline bool tni_request_is_prepared(const tn_request *request) {
    return request->prepared != NULL || request->stages != NULL;
}

// States (request_state.c). Checks and keeps the pairs of a configuration. TN_OK ·
// TN_ERROR_INVALID_ARGUMENT · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_request_states_init(tn_request *request, const tn_request_config *config,
                                              tn_error *error);
// Fixes the shapes of states at the first prepare, and puts what they are now into inputs. given:
// per input, 1 when the embedder gave its shape. Errors as tn_request_prepare.
TN_MUST_USE tn_status tni_request_states_shape(tn_request *request, tni_shape_input *inputs,
                                               const uint8_t *given, tn_error *error);
// Whether the rows that a prepared run will make have room. TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_request_states_fit(const tn_request *request, tn_error *error);
// Before a run: brings states that are not in place to their inputs.
TN_MUST_USE tn_status tni_request_states_bring(tn_request *request, tn_error *error);
// After one that succeeded: takes what it made. Errors as tni_request_states_fit.
TN_MUST_USE tn_status tni_request_states_commit(tn_request *request, tn_error *error);
// Whether an input or output belongs to a state.
bool tni_request_is_state(const tn_request *request, bool is_output, uint32_t index);

// Shape profiles (request_profile.c). Finds or makes what runs these input shapes; it stays the
// request's. Errors as tn_request_prepare. *out_prepared is null on failure.
TN_MUST_USE tn_status tni_request_profile_get(tn_request *request,
                                              const tni_prepare_context *context,
                                              const tni_shape_input *inputs,
                                              tni_prepared **out_prepared, tn_error *error);
void tni_request_profiles_drop(tn_request *request);

// TN_OK · TN_ERROR_INVALID_ARGUMENT null · TN_ERROR_INVALID_STATE not prepared, or running.
TN_MUST_USE tn_status tni_request_check(const tn_request *request, tn_error *error);

#endif // TENON_API_REQUEST_OBJECT_H
