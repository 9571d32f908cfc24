// SPDX-License-Identifier: Apache-2.0
// The end of a run that was given up: asking devices to stop, and knowing when none of them can
// touch its memory any more.
#include "exec/request.h"

#include "base/clock.h"
#include "plan/cost.h"

#include <sched.h>
#include <time.h>

// Tails of callbacks take microseconds, abandoned work takes as long as it takes.
#define DRAIN_SPINS 200
#define DRAIN_POLL_NS 200000

void tni_execution_abandon(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    atomic_store(&e->cancelled, true);
    for (uint32_t i = 0; i < s->step_count; i++) {
        if (s->steps[i].kind == TNI_STEP_ISLAND && atomic_load(&e->steps[i].submitted)) {
            // UNIMPLEMENTED is an answer too: then the work runs on and is waited for.
            tn_status status = s->steps[i].device->plugin->exec.cancel(e->steps[i].context, NULL);
            (void)status;
        }
    }
}

static bool step_is_over(const tni_execution *e, uint32_t index) {
    const tni_step_state *state = &e->steps[index];
    if (atomic_load(&state->queued)) {
        return false;
    }
    if (!atomic_load(&state->submitted) || tni_device_is_inline(e->schedule->steps[index].device)) {
        return true;
    }
    uint64_t value = 0;
    tn_status status =
        e->schedule->steps[index].device->plugin->sync.fence_query(state->fence, &value, NULL);
    return status != TN_OK || value >= e->run;
}

bool tni_execution_drained(tni_execution *e) {
    for (uint32_t i = 0; i < e->schedule->step_count; i++) {
        if (!step_is_over(e, i)) {
            return false;
        }
    }
    return atomic_load(&e->pending_bridges) == 0;
}

bool tni_execution_drain(tni_execution *e, uint64_t deadline_ns) {
    for (uint32_t round = 0; !tni_execution_drained(e); round++) {
        if (tni_clock_ns() >= deadline_ns) {
            return false;
        }
        struct timespec pause = {.tv_sec = 0, .tv_nsec = DRAIN_POLL_NS};
        if (round < DRAIN_SPINS) {
            sched_yield();
        } else {
            nanosleep(&pause, NULL);
        }
    }
    return true;
}
