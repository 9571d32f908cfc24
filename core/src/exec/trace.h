// SPDX-License-Identifier: Apache-2.0
// The bounded record of what happened. Recording is one atomic add and one store; what does not fit
// is counted. A null or stopped trace records nothing.
#ifndef TENON_EXEC_TRACE_H
#define TENON_EXEC_TRACE_H

#include "base/alloc.h"

#include "tenon/trace.h"

#include <stdatomic.h>

typedef struct tni_trace {
    tni_alloc alloc;
    tn_trace_event *events; // null: stopped
    uint32_t capacity;
    atomic_uint_fast64_t next;
} tni_trace;

// Makes a stopped trace.
void tni_trace_init(tni_trace *trace, const tni_alloc *alloc);
// TN_OK · TN_ERROR_INVALID_STATE it is on · TN_ERROR_INVALID_ARGUMENT no capacity ·
// TN_ERROR_OUT_OF_MEMORY
TN_MUST_USE tn_status tni_trace_start(tni_trace *trace, uint32_t capacity, tn_error *error);
void tni_trace_stop(tni_trace *trace);
uint32_t tni_trace_count(const tni_trace *trace, uint64_t *out_dropped);

// Adds an event that ended now; begin_ns of an instant is 0. Any thread.
void tni_trace_add(tni_trace *trace, tn_trace_kind kind, uint32_t device, uint32_t index,
                   uint64_t run, uint64_t begin_ns, uint64_t bytes);

// Names devices for the JSON; null for the host.
typedef const char *(*tni_trace_name_fn)(const void *user_data, uint32_t device);
// Errors as tn_host_trace_write.
TN_MUST_USE tn_status tni_trace_write(const tni_trace *trace, tni_trace_name_fn name,
                                      const void *name_user_data, tn_write_fn write,
                                      void *user_data, tn_error *error);

#endif // TENON_EXEC_TRACE_H
