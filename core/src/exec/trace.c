// SPDX-License-Identifier: Apache-2.0
// Recording events and writing them in Chrome's trace event format (the "JSON Object Format").
#include "exec/trace.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void tni_trace_init(tni_trace *trace, const tni_alloc *alloc) {
    memset(trace, 0, sizeof(*trace));
    trace->alloc = *alloc;
    atomic_init(&trace->next, 0);
}

tn_status tni_trace_start(tni_trace *trace, uint32_t capacity, tn_error *error) {
    if (capacity == 0) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "trace.capacity",
                        "a trace needs room for at least one event");
    }
    if (trace->events != NULL) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "trace.started", "the trace is on already");
    }
    trace->events = tni_alloc_array(&trace->alloc, capacity, sizeof(*trace->events));
    if (trace->events == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a trace");
    }
    trace->capacity = capacity;
    atomic_store(&trace->next, 0);
    return TN_OK;
}

void tni_trace_stop(tni_trace *trace) {
    tni_free_array(&trace->alloc, trace->events, trace->capacity, sizeof(*trace->events));
    trace->events = NULL;
    trace->capacity = 0;
}

uint32_t tni_trace_count(const tni_trace *trace, uint64_t *out_dropped) {
    uint64_t total = atomic_load(&trace->next);
    uint64_t kept = total < trace->capacity ? total : trace->capacity;
    if (out_dropped != NULL) {
        *out_dropped = trace->events == NULL ? 0 : total - kept;
    }
    return trace->events == NULL ? 0 : (uint32_t)kept;
}

void tni_trace_add(tni_trace *trace, tn_trace_kind kind, uint32_t device, uint32_t index,
                   uint64_t run, uint64_t begin_ns, uint64_t bytes) {
    if (trace == NULL || trace->events == NULL) {
        return;
    }
    uint64_t slot = atomic_fetch_add(&trace->next, 1);
    if (slot >= trace->capacity) {
        return;
    }
    uint64_t now = tni_clock_ns();
    trace->events[slot] = (tn_trace_event){
        .struct_size = sizeof(tn_trace_event),
        .struct_type = TN_STRUCT_TRACE_EVENT,
        .kind = kind,
        .device = device,
        .index = index,
        .run = run,
        .begin_ns = begin_ns == 0 ? now : begin_ns,
        .end_ns = now,
        .bytes = bytes,
        .thread = (uint64_t)syscall(SYS_gettid),
    };
}

static const char *kind_text(tn_trace_kind kind) {
    static const char *const texts[] = {"load",     "compile", "prepare",  "run",   "submit",
                                        "transfer", "wait",    "handover", "bridge"};
    return kind < sizeof(texts) / sizeof(texts[0]) ? texts[kind] : "event";
}

// Device names come from plugins: what JSON would trip over is dropped.
static void plain_text(char *destination, size_t capacity, const char *text) {
    size_t used = 0;
    for (; *text != '\0' && used + 1 < capacity; text++) {
        if (*text >= 0x20 && *text < 0x7f && *text != '"' && *text != '\\') {
            destination[used++] = *text;
        }
    }
    destination[used] = '\0';
}

static int write_event(const tn_trace_event *event, const char *device, bool first,
                       tn_write_fn write, void *user_data) {
    char name[96];
    char line[512];
    bool instant = event->kind == TN_TRACE_HANDOVER || event->kind == TN_TRACE_BRIDGE;
    plain_text(name, sizeof(name), device);
    int size = snprintf(
        line, sizeof(line),
        "%s\n{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"%s\",%s\"pid\":1,\"tid\":%llu,"
        "\"ts\":%llu.%03llu,\"dur\":%llu.%03llu,\"args\":{\"device\":\"%s\",\"index\":%lld,"
        "\"run\":%llu,\"bytes\":%llu}}",
        first ? "" : ",", kind_text(event->kind), kind_text(event->kind), instant ? "i" : "X",
        instant ? "\"s\":\"t\"," : "", (unsigned long long)event->thread,
        (unsigned long long)(event->begin_ns / 1000), (unsigned long long)(event->begin_ns % 1000),
        (unsigned long long)((event->end_ns - event->begin_ns) / 1000),
        (unsigned long long)((event->end_ns - event->begin_ns) % 1000), name,
        event->index == TN_NONE ? -1ll : (long long)event->index, (unsigned long long)event->run,
        (unsigned long long)event->bytes);
    return size > 0 && (size_t)size < sizeof(line) ? write(user_data, line, (uint64_t)size) : 1;
}

tn_status tni_trace_write(const tni_trace *trace, tni_trace_name_fn name,
                          const void *name_user_data, tn_write_fn write, void *user_data,
                          tn_error *error) {
    static const char head[] = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
    if (trace->events == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "trace.off", "the trace is not on");
    }
    uint64_t dropped = 0;
    uint32_t count = tni_trace_count(trace, &dropped);
    int failed = write(user_data, head, sizeof(head) - 1);
    for (uint32_t i = 0; i < count && !failed; i++) {
        const tn_trace_event *event = &trace->events[i];
        const char *device = event->device == TN_NONE ? NULL : name(name_user_data, event->device);
        failed = write_event(event, device == NULL ? "host" : device, i == 0, write, user_data);
    }
    char tail[96];
    int size =
        snprintf(tail, sizeof(tail), "\n],\"otherData\":{\"schema_version\":1,\"dropped\":%llu}}\n",
                 (unsigned long long)dropped);
    if (!failed) {
        failed = write(user_data, tail, (uint64_t)size);
    }
    return failed ? tni_fail(error, TN_ERROR_IO, "trace.write", "the trace could not be written")
                  : TN_OK;
}
