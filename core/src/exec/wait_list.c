// SPDX-License-Identifier: Apache-2.0
// The host waits of a schedule in words of the plan: which island is held up by which.
#include "exec/schedule.h"

static bool depends_on(const tni_schedule *s, uint32_t step, uint32_t on) {
    tn_range range = s->steps[step].dependencies;
    for (uint32_t i = range.begin; i < range.begin + range.count; i++) {
        if (s->links[i] == on) {
            return true;
        }
    }
    return false;
}

// The island that a step is for: itself, or the first one that reads what it copies, maybe through
// another copy. Steps are in order, so that one walk onwards finds it.
static uint32_t island_for(const tni_schedule *s, uint32_t step) {
    for (uint32_t i = step; i < s->step_count; i++) {
        if (i != step && !depends_on(s, i, step)) {
            continue;
        }
        if (s->steps[i].kind == TNI_STEP_ISLAND) {
            return s->steps[i].island;
        }
        step = i;
    }
    return TN_NONE;
}

// The island whose result a step gives: its own, or that of what it copies.
static uint32_t island_of(const tni_schedule *s, uint32_t step) {
    while (s->steps[step].kind == TNI_STEP_COPY) {
        step = s->places[s->steps[step].from].writer;
        if (step == TN_NONE) {
            return TN_NONE;
        }
    }
    return s->steps[step].island;
}

static tni_host_wait describe(const tni_schedule *s, uint32_t before_island, uint32_t on) {
    return (tni_host_wait){before_island, island_of(s, on), s->steps[on].kind == TNI_STEP_COPY};
}

bool tni_schedule_wait_get(const tni_schedule *s, uint32_t index, tni_host_wait *out_wait) {
    for (uint32_t i = 0; i < s->step_count; i++) {
        tn_range waits = s->steps[i].host_waits;
        if (index < waits.count) {
            *out_wait = describe(s, island_for(s, i), s->links[waits.begin + index]);
            return true;
        }
        index -= waits.count;
    }
    if (index >= s->final_waits.count) {
        return false;
    }
    *out_wait = describe(s, TN_NONE, s->links[s->final_waits.begin + index]);
    return true;
}
