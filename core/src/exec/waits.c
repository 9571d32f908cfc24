// SPDX-License-Identifier: Apache-2.0
// Who waits for whom. A dependency that is known to be finished needs no wait; one on the same
// device is named in submit; one on another device is bridged where both sides can; the rest the
// host waits for.
#include "exec/schedule.h"

#include "plan/cost.h"

#include <string.h>

// Rows of the happens-before relation cost steps^2 bits: 8 MiB here.
#define MAX_ROWS 8192u

// What the host thread that walks the steps knows to be finished.
typedef struct walk {
    tni_schedule *s;
    uint64_t *done; // one row
} walk;

static void set_bit(uint64_t *row, uint32_t step) {
    row[step / 64] |= (uint64_t)1 << (step % 64);
}

static bool get_bit(const uint64_t *row, uint32_t step) {
    return ((row[step / 64] >> (step % 64)) & 1u) != 0;
}

static void merge(uint64_t *row, const uint64_t *other, uint32_t words) {
    for (uint32_t i = 0; i < words; i++) {
        row[i] |= other[i];
    }
}

static uint64_t *row_of(const tni_schedule *s, uint32_t step) {
    return s->before + (uint64_t)step * s->row_words;
}

// Whether a fence of from can release work of to without a host thread that blocks.
static bool can_bridge(const tni_device *from, const tni_device *to) {
    return from->notifies && (to->fence_caps.native & TN_FENCE_HOST_SIGNAL) != 0 &&
           (to->fence_caps.native & TN_FENCE_DEVICE_WAIT) != 0 &&
           to->fence_caps.wait_before_signal_submitted != 0;
}

typedef enum wait_kind {
    WAIT_NONE,
    WAIT_HOST,
    WAIT_DEVICE,
    WAIT_BRIDGE,
} wait_kind;

static wait_kind kind_of_wait(const walk *w, const tni_step *step, uint32_t dependency) {
    const tni_device *from = w->s->steps[dependency].device;
    if (get_bit(w->done, dependency)) {
        return WAIT_NONE;
    }
    // Another dependency that itself comes after this one makes the wait superfluous.
    for (uint32_t i = 0; i < step->dependencies.count; i++) {
        uint32_t other = w->s->links[step->dependencies.begin + i];
        if (other != dependency && w->s->row_words > 0 &&
            get_bit(row_of(w->s, other), dependency)) {
            return WAIT_NONE;
        }
    }
    if (tni_device_is(step->device, TN_DEVICE_SYNCHRONOUS)) {
        return WAIT_HOST;
    }
    if (from == step->device) {
        return (from->fence_caps.native & TN_FENCE_DEVICE_WAIT) != 0 ? WAIT_DEVICE : WAIT_HOST;
    }
    return can_bridge(from, step->device) ? WAIT_BRIDGE : WAIT_HOST;
}

static tn_status add_bridge(tni_schedule *s, uint32_t from, uint32_t to) {
    void *bridges = s->bridges;
    tn_status status = tni_grow(&s->alloc, &bridges, &s->bridge_capacity,
                                (uint64_t)s->bridge_count + 1, sizeof(*s->bridges));
    s->bridges = bridges;
    if (status == TN_OK) {
        s->bridges[s->bridge_count++] = (tni_bridge){from, to};
    }
    return status;
}

static tn_status collect(walk *w, uint32_t index, wait_kind kind, tn_range *out_range) {
    tni_schedule *s = w->s;
    out_range->begin = kind == WAIT_BRIDGE ? s->bridge_count : s->link_count;
    out_range->count = 0;
    for (uint32_t i = 0; i < s->steps[index].dependencies.count; i++) {
        uint32_t dependency = s->links[s->steps[index].dependencies.begin + i];
        if (kind_of_wait(w, &s->steps[index], dependency) != kind) {
            continue;
        }
        tn_status status = kind == WAIT_BRIDGE ? add_bridge(s, dependency, index)
                                               : tni_schedule_link(s, dependency);
        if (status != TN_OK) {
            return status;
        }
        out_range->count++;
    }
    return TN_OK;
}

// Everything the walking thread has waited for is finished for it from now on.
static void note_done(walk *w, uint32_t step) {
    if (w->s->row_words > 0) {
        merge(w->done, row_of(w->s, step), w->s->row_words);
    }
    set_bit(w->done, step);
}

static tn_status plan_step(walk *w, uint32_t index) {
    tni_schedule *s = w->s;
    tni_step *step = &s->steps[index];
    tn_range host = {0, 0};
    tn_range device = {0, 0};
    tn_range bridges = {0, 0};
    tn_status status = collect(w, index, WAIT_HOST, &host);
    if (status == TN_OK) {
        status = collect(w, index, WAIT_DEVICE, &device);
    }
    if (status == TN_OK) {
        status = collect(w, index, WAIT_BRIDGE, &bridges);
    }
    if (status != TN_OK) {
        return status;
    }
    step = &s->steps[index];
    step->host_waits = host;
    step->device_waits = device;
    step->bridges = bridges;
    s->counts.host_waits += host.count;
    s->counts.bridges += bridges.count;
    // A worker's waits are its own: the walking thread does not learn from them.
    for (uint32_t i = 0; i < host.count && !tni_device_needs_worker(step->device); i++) {
        note_done(w, s->links[host.begin + i]);
    }
    if (s->row_words > 0) {
        uint64_t *row = row_of(s, index);
        merge(row, w->done, s->row_words);
        for (uint32_t i = 0; i < step->dependencies.count; i++) {
            uint32_t dependency = s->links[step->dependencies.begin + i];
            merge(row, row_of(s, dependency), s->row_words);
            set_bit(row, dependency);
        }
    }
    if (tni_is_near_host(step->device)) {
        note_done(w, index);
    }
    return TN_OK;
}

// At the end the host waits for every step that nothing it knows of comes after.
static tn_status plan_end(walk *w) {
    tni_schedule *s = w->s;
    s->final_waits.begin = s->link_count;
    for (uint32_t i = s->step_count; i-- > 0;) {
        if (get_bit(w->done, i)) {
            continue;
        }
        tn_status status = tni_schedule_link(s, i);
        if (status != TN_OK) {
            return status;
        }
        note_done(w, i);
    }
    s->final_waits.count = s->link_count - s->final_waits.begin;
    s->counts.host_waits += s->final_waits.count;
    return TN_OK;
}

static void count_order(tni_schedule *s) {
    const tni_device *last = NULL;
    for (uint32_t i = 0; i < s->step_count; i++) {
        const tni_step *step = &s->steps[i];
        if (step->kind == TNI_STEP_COPY) {
            s->counts.transfers++;
            s->counts.transfer_bytes += tni_copy_bytes(s, step);
            continue;
        }
        bool start_near = last == NULL && tni_is_near_host(step->device);
        s->counts.handovers += step->device != last && !start_near;
        last = step->device;
    }
    s->counts.handovers += !tni_is_near_host(last);
}

tn_status tni_schedule_waits(tni_schedule *s) {
    uint32_t words = s->step_count / 64 + 1;
    s->row_words = s->step_count <= MAX_ROWS ? words : 0;
    uint64_t cells = (uint64_t)s->step_count * s->row_words;
    s->before = tni_alloc_array(&s->alloc, cells > 0 ? cells : 1, sizeof(*s->before));
    walk w = {.s = s, .done = tni_alloc_array(&s->alloc, words, sizeof(uint64_t))};
    tn_status status = s->before != NULL && w.done != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < s->step_count && status == TN_OK; i++) {
        status = plan_step(&w, i);
    }
    if (status == TN_OK) {
        status = plan_end(&w);
    }
    if (status == TN_OK) {
        count_order(s);
    }
    tni_free_array(&s->alloc, w.done, words, sizeof(uint64_t));
    return status;
}
