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

struct tn_request {
    tn_compiled *compiled;
    tn_host *host;
    bool background;
    tni_worker *worker;     // of a background request, from prepare on
    tni_prepared *prepared; // of a simple model; null until prepared
    tni_flow_run *stages;   // of any other; null until prepared
    uint64_t prepare_ns;
    uint64_t run_ns;
    tn_status last; // what the last run ended with
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

// TN_OK · TN_ERROR_INVALID_ARGUMENT null · TN_ERROR_INVALID_STATE not prepared, or running.
TN_MUST_USE tn_status tni_request_check(const tn_request *request, tn_error *error);

#endif // TENON_API_REQUEST_OBJECT_H
