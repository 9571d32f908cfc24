// SPDX-License-Identifier: Apache-2.0
// Inside of request.h: one step of a run, from its waits to its call.
#ifndef TENON_EXEC_STEP_H
#define TENON_EXEC_STEP_H

#include "exec/request.h"

// Why the run has to end now: TN_OK · TN_ERROR_CANCELLED · TN_ERROR_TIMEOUT.
tn_status tni_stop_reason(const tni_execution *execution);
// Whether status is a stop: the run's business, not a failure of the step that was waited for.
bool tni_is_stop(const tni_execution *execution, uint32_t step, tn_status status);
// The first failure of a step wins.
void tni_note_failure(tni_step_state *state, tn_status status);
// What an earlier step that this one needs has failed with, as far as is known.
tn_status tni_failed_dependency(const tni_execution *execution, uint32_t step);
// Blocks where the schedule says so. Returns a stop; failures are noted in the steps.
tn_status tni_host_waits(tni_execution *execution, tn_range waits);
// Starts one step; returns only a stop, failures are noted.
tn_status tni_start_step(tni_execution *execution, uint32_t step, tn_error *error);

#endif // TENON_EXEC_STEP_H
