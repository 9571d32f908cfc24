// SPDX-License-Identifier: Apache-2.0
// Optional interface "profile": what the device did and when. Reading records never waits for the
// device; records that did not fit are counted, not lost silently.
#ifndef TENON_ABI_EXT_PROFILE_H
#define TENON_ABI_EXT_PROFILE_H

#include "tenon/abi/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_profile_kind;
#define TN_PROFILE_KERNEL 0u
#define TN_PROFILE_COPY 1u
#define TN_PROFILE_QUEUE 2u // from submit to the start of work
#define TN_PROFILE_WAIT 3u

typedef struct tn_profile_record {
    uint64_t correlation_id; // of the submit or copy
    uint64_t begin_ticks;
    uint64_t end_ticks;
    uint64_t bytes; // moved, or 0
    tn_profile_kind kind;
    uint32_t node_index; // in the compiled view, or TN_NONE
} tn_profile_record;

typedef struct tn_profile_records {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_profile_record *records; // the host's, capacity long
    uint32_t capacity;
    uint32_t stride_bytes;
    uint32_t count;         // written by the plugin
    uint32_t reserved;      // zero
    uint64_t dropped_count; // since the last read
} tn_profile_records;

// One reading of both clocks as close together as the driver allows.
typedef struct tn_clock_sample {
    uint32_t struct_size;
    uint32_t struct_type;
    uint64_t host_ns;
    uint64_t device_ticks;
    uint64_t ticks_per_second;
    uint64_t uncertainty_ns;
} tn_clock_sample;

typedef struct tn_profile_interface {
    tn_interface base;

    // Turns recording on (1) or off (0). [any-thread] [no-block]
    tn_status (*profile_enable)(tn_device *device, uint32_t on, tn_error *error);
    // Moves finished records out, oldest first. [any-thread] [no-block] [no-alloc]
    tn_status (*profile_read)(tn_device *device, tn_profile_records *inout_records,
                              tn_error *error);
    // [any-thread] [no-block]
    tn_status (*clock_sample)(tn_device *device, tn_clock_sample *out_sample, tn_error *error);
} tn_profile_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_EXT_PROFILE_H
