// SPDX-License-Identifier: Apache-2.0
// What a finished run says about its outputs: whether they hold, and the shapes that only it knew.
#include "exec/request.h"

#include "base/checked.h"
#include "base/error.h"

tn_status tni_execution_output_status(tni_execution *e, uint32_t output) {
    uint32_t writer = e->schedule->places[e->schedule->output_places[output]].writer;
    return writer == TN_NONE ? TN_OK : atomic_load(&e->steps[writer].status);
}

// The port that makes a value, as an index into the schedule's; TN_NONE when no island does.
static uint32_t port_of_value(const tni_schedule *s, uint32_t value) {
    for (uint32_t i = 0; i < s->step_count; i++) {
        const tni_step *step = &s->steps[i];
        if (step->kind != TNI_STEP_ISLAND) {
            continue;
        }
        const tni_island *island = &s->plan->islands[step->island];
        for (uint32_t k = 0; k < island->output_count; k++) {
            if (island->outputs[k] == value) {
                return step->port_begin + island->input_count + k;
            }
        }
    }
    return TN_NONE;
}

// The port said the rank and the largest sizes (ABI-84).
static bool fits(const tn_port_info *port, const int64_t *told) {
    uint64_t count = 0;
    uint64_t bytes = 0;
    bool within = told[0] == (int64_t)port->rank;
    for (uint32_t i = 0; within && i < port->rank; i++) {
        within = told[1 + i] >= 0 && told[1 + i] <= port->dims[i];
    }
    return within && tni_count_of_dims(told + 1, (uint32_t)told[0], &count) &&
           tni_size_of_elements(port->dtype, count, &bytes) && bytes <= port->size_bytes;
}

tn_status tni_execution_measured(const tni_execution *e, uint32_t output, uint32_t *out_rank,
                                 const int64_t **out_dims, tn_error *error) {
    const tni_schedule *s = e->schedule;
    uint32_t value = s->places[s->output_places[output]].value;
    uint32_t port = port_of_value(s, value);
    *out_rank = 0;
    *out_dims = NULL;
    const int64_t *told = port == TN_NONE || e->measured == NULL
                              ? NULL
                              : e->measured + (uint64_t)port * TNI_MEASURED_SLOTS;
    if (told == NULL || !fits(&s->ports[port], told)) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "run.measured-shape", TN_NONE, value,
                             "a plugin gave output %u no shape, or one above its largest", output);
    }
    *out_rank = (uint32_t)told[0];
    *out_dims = told + 1;
    return TN_OK;
}
