// SPDX-License-Identifier: Apache-2.0
// What happened when: a bounded record of every call to a plugin. Off until started. Never holds
// tensor values.
#ifndef TENON_TRACE_H
#define TENON_TRACE_H

#include "tenon/host.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_trace_kind;
#define TN_TRACE_LOAD 0u
#define TN_TRACE_COMPILE 1u
#define TN_TRACE_PREPARE 2u
#define TN_TRACE_RUN 3u      // a whole run
#define TN_TRACE_SUBMIT 4u   // a call of submit: an island
#define TN_TRACE_TRANSFER 5u // bytes copied between heaps
#define TN_TRACE_WAIT 6u     // the host blocked on a fence
#define TN_TRACE_HANDOVER 7u // an instant: the order passed to another device
#define TN_TRACE_BRIDGE 8u   // an instant: a fence of one device released one of another

typedef struct tn_trace_event {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_trace_kind kind;
    uint32_t clock;  // TN_CLOCK_ (abi/device.h)
    uint32_t device; // index in the host, or TN_NONE for the host itself
    uint32_t index;  // island or tensor; TN_NONE when none
    uint64_t run;    // number of the run, 0 outside runs
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t bytes;
    uint64_t thread;
} tn_trace_event;

// Starts recording up to capacity events; forgets earlier ones. TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_INVALID_ARGUMENT capacity is 0 · TN_ERROR_INVALID_STATE already started.
// [any-thread], while nothing runs.
TN_API TN_MUST_USE tn_status tn_host_trace_start(tn_host *host, uint32_t capacity, tn_error *error);
// Stops recording and frees the record. [any-thread], while nothing runs.
TN_API void tn_host_trace_stop(tn_host *host);
// Events recorded, and how many did not fit.
TN_API uint32_t tn_host_trace_count(const tn_host *host, uint64_t *out_dropped);
TN_API TN_MUST_USE tn_status tn_host_trace_get(const tn_host *host, uint32_t index,
                                               tn_trace_event *out_event);

// Receives the JSON in pieces; returns 0 to go on.
typedef int (*tn_write_fn)(void *user_data, const void *data, uint64_t size_bytes);

// Writes the record in Chrome's trace event format. TN_ERROR_INVALID_STATE not started ·
// TN_ERROR_IO write returned non-zero.
TN_API TN_MUST_USE tn_status tn_host_trace_write(const tn_host *host, tn_write_fn write,
                                                 void *user_data, tn_error *error);

#ifdef __cplusplus
}
#endif

#endif // TENON_TRACE_H
