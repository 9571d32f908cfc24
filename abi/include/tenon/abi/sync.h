// SPDX-License-Identifier: Apache-2.0
// Interface "sync": fences. A fence is a 64-bit timeline that only grows; work waits until it has
// reached a value and raises it when done. Failure is the host's record; a plugin reports it
// through fence_query. Rules: CONTRACT.md, section "Fences". Read next: exec.h.
#ifndef TENON_ABI_SYNC_H
#define TENON_ABI_SYNC_H

#include "tenon/abi/device.h"

#ifdef __cplusplus
extern "C" {
#endif

// A fence in use never runs further ahead of its reached value than this.
#define TN_FENCE_MAX_DISTANCE 0x7fffffffull

typedef struct tn_fence_create_info {
    uint32_t struct_size;
    uint32_t struct_type;
    uint64_t initial_value;
} tn_fence_create_info;

typedef uint32_t tn_fence_ability;
#define TN_FENCE_DEVICE_WAIT 1u   // submit can wait for it without the host
#define TN_FENCE_DEVICE_SIGNAL 2u // submit can signal it without the host
#define TN_FENCE_HOST_WAIT 4u     // fence_wait works
#define TN_FENCE_HOST_SIGNAL 8u   // fence_signal works

typedef struct tn_fence_caps {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_fence_ability native; // for fences this device created
    uint32_t
        wait_before_signal_submitted; // 1: waits on values nobody has submitted yet are allowed
} tn_fence_caps;

// Called once when a fence reaches a value or fails (status), on any thread, possibly before
// fence_on_reach returned. It may note something, or call fence_signal or fence_fail of another
// fence (ABI-75): no other plugin call, no blocking, no allocation.
typedef void (*tn_fence_reached_fn)(void *user_data, tn_status status);

typedef struct tn_sync_interface {
    tn_interface base;

    // [any-thread] [no-block] TN_OK always, on an open device.
    tn_status (*fence_caps)(tn_device *device, tn_fence_caps *out_caps, tn_error *error);

    // [any-thread] [may-alloc] TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST. *out_fence is null on
    // failure. Give it back with fence_destroy.
    tn_status (*fence_create)(tn_device *device, const tn_fence_create_info *info,
                              tn_fence **out_fence, tn_error *error);

    // Frees a fence that no submitted work names and nobody waits for. Null is ignored. Callbacks
    // of it that are running on another thread are waited for: when it returns, none will touch the
    // fence. [any-thread] [may-block] Not from a callback of the same fence.
    void (*fence_destroy)(tn_fence *fence);

    // Reads the reached value, and the failure if there was one: the return value is TN_OK, or the
    // status the fence failed with. *out_value is written in both cases. [any-thread] [no-block]
    tn_status (*fence_query)(tn_fence *fence, uint64_t *out_value, tn_error *error);

    // Raises the timeline from the host. [any-thread] [no-block]
    // TN_ERROR_INVALID_ARGUMENT value is not above the reached one · TN_ERROR_UNSUPPORTED no host
    // signal · TN_ERROR_DEVICE_LOST.
    tn_status (*fence_signal)(tn_fence *fence, uint64_t value, tn_error *error);

    // Marks the timeline failed with status and releases everything that waits on it, as if it had
    // reached every value; device work that waits still runs, its results are the host's to
    // discard. [any-thread] [no-block] The first failure wins. TN_ERROR_INVALID_ARGUMENT status is
    // TN_OK.
    tn_status (*fence_fail)(tn_fence *fence, tn_status status, tn_error *error);

    // Blocks until value is reached, the fence fails, or timeout_ns passed (0: only look;
    // UINT64_MAX: for ever). [any-thread] [may-block]
    // TN_OK · TN_ERROR_TIMEOUT · the status the fence failed with · TN_ERROR_DEVICE_LOST.
    tn_status (*fence_wait)(tn_fence *fence, uint64_t value, uint64_t timeout_ns, tn_error *error);

    // Asks for a call when value is reached or the fence fails. [any-thread] [no-block] [may-alloc]
    // Every registration that returned TN_OK is called exactly once, at the latest by fence_destroy
    // (with TN_ERROR_CANCELLED). TN_ERROR_UNIMPLEMENTED the host waits on a thread instead ·
    // TN_ERROR_OUT_OF_MEMORY.
    tn_status (*fence_on_reach)(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                void *user_data, tn_error *error);
} tn_sync_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_SYNC_H
