// SPDX-License-Identifier: Apache-2.0
// The fake plugin as a test steers it: what each device claims, when it is held or fails, and what
// it counted. The plugin is linked statically; its controls are one global, reset by every test.
#ifndef TENON_TESTS_FAKE_CONTROL_H
#define TENON_TESTS_FAKE_CONTROL_H

#include "tenon/abi/device.h"

#include <stdint.h>

// Devices of the fake plugin, by index. All compute float32 Add, Relu and Neg without broadcasting.
#define FAKE_ALPHA 0u  // asynchronous, memory of its own
#define FAKE_BETA 1u   // the same
#define FAKE_SHARED 2u // asynchronous, computes in host memory
#define FAKE_WORKER 3u // synchronous, host memory: gets a worker of the host's
#define FAKE_INLINE 4u // synchronous, host memory, inline
#define FAKE_MUTE 5u   // asynchronous, own memory; no callbacks, no signals from the host
#define FAKE_DEVICE_COUNT 6u

#define FAKE_ADD 1u
#define FAKE_RELU 2u
#define FAKE_NEG 4u
#define FAKE_ALL 7u
// Relu(a + b) as an op of the fake plugin's own, listed only by devices that claim it.
#define FAKE_ADD_RELU 8u
#define FAKE_DOMAIN "test.fake"
#define FAKE_ADD_RELU_NAME "AddRelu"

typedef uint32_t fake_claims;
#define FAKE_CLAIMS_NONE 0u
#define FAKE_CLAIMS_BOUND 1u    // the Neg only together with the Relu
#define FAKE_CLAIMS_BONUS 2u    // together for less
#define FAKE_CLAIMS_NOWHERE 3u  // against ABI-47: a Neg is IN_CLAIM and no claim names it
#define FAKE_CLAIMS_REFUSED 4u  // against ABI-47: a claim names a node that it refuses
#define FAKE_CLAIMS_BAD_KIND 5u // against ABI-47: a claim of no kind
#define FAKE_CLAIMS_OUTSIDE 6u  // against ABI-47: a claim names a node that is not there

// What a test sets before creating a host, or under fake_lock afterwards.
typedef struct fake_control {
    uint32_t ops;              // FAKE_ADD | ... it claims
    uint64_t cost_ns;          // of every node; 0: unknown
    uint32_t newest_version;   // of every op it lists, and
    uint32_t oldest_version;   // the oldest; 0: those it has. Set before the device is opened
    uint32_t seen_version;     // counted: since_version of the last node it compiled
    uint32_t seen_nodes;       // of the last island
    uint32_t seen_add_relu;    // of them
    int64_t seen_k;            // attribute k of the last AddRelu; -1: none
    uint32_t refuses_add_relu; // 1: lists AddRelu, and claims no node of it
    fake_claims claims;        // how it takes a Neg that only one Relu reads
    uint64_t claim_ns;         // cost or saving of each claim; 0: unknown
    uint32_t seen_lone_neg;    // counted: nodes compiled without the Relu they are bound to
    int64_t most_size;         // of any dimension; 0: no limit. Told as bounds of its verdicts
    uint32_t bound_off;        // 1: those name a node, 2: a symbol, that the view does not have
    tn_status compile_status;  // returned by compile unless TN_OK
    uint32_t compile_refusals; // how often compile_status is returned; 0: always
    tn_status submit_status;   // returned by submit unless TN_OK
    tn_status run_status;      // runs fail their signals with this unless TN_OK
    uint32_t fail_run_number;  // only the run with this ordinal (from 1) fails; 0: every run
    uint64_t port_extra_bytes; // asked for by every port beyond its tensor
    uint32_t hold;             // 1: queued work does not start
    tn_device_flags flags;     // on top of the device's own; set before the host is created
    uint32_t takes_constants;  // 1: in plans; it has no programs that read them
    uint32_t fixed_only;       // 1: refuses what has an open size
    uint64_t heap_bytes;       // that its heap says it has. Set before the device is opened
    uint32_t can_abort;        // 1: cancel ends held work; set before the host is created
    uint32_t run_count;        // counted: runs begun
    uint32_t submit_count;
    uint32_t copy_count;
    uint64_t copy_bytes;
    uint32_t wait_count;     // calls of fence_wait
    uint32_t callback_count; // callbacks made
    uint32_t memory_count;   // live
    uint32_t fence_count;    // live
    // Calls not on the thread that opened the device, where the contract asks for it (ABI-33).
    uint32_t foreign_calls;
    // Islands refused for being in pieces, by devices with TN_DEVICE_CONNECTED_ISLANDS.
    uint32_t disconnected;
} fake_control;

// The entry function, to be given as a static plugin.
tn_status fake_plugin_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);

// Everything as new: all ops, no failures, nothing counted.
void fake_reset(void);
// The controls of a device. Read and write between lock and unlock while anything may run.
fake_control *fake_device(uint32_t device);
void fake_lock(void);
// Also wakes the device threads, so that they look at the controls again.
void fake_unlock(void);

#endif // TENON_TESTS_FAKE_CONTROL_H
