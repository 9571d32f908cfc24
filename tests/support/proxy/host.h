// SPDX-License-Identifier: Apache-2.0
// The proxy's side in the process of the host under test. Two locks: call_mutex around the frame,
// state_mutex around fences and slots; neither is held over a callback, nor one inside the other.
#ifndef TENON_TESTS_PROXY_HOST_H
#define TENON_TESTS_PROXY_HOST_H

#include "proxy.h"
#include "wire.h"

#include "tenon/helper/negotiate.h"
#include "tenon/helper/verdicts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define PROXY_MAX_WAITERS 64u

typedef enum proxy_slot_state {
    PROXY_SLOT_FREE,
    PROXY_SLOT_DEFERRED, // an upload whose waits are not reached: its source may not be read yet
    PROXY_SLOT_FLIGHT,
    PROXY_SLOT_LOST // the host failed its signal: the child may still touch it
} proxy_slot_state;

// A copy with a host pointer at one end.
typedef struct proxy_slot {
    proxy_slot_state state;
    bool upload;
    tn_device *device;
    tn_copy_info info; // waits and signals point into the arrays below
    tn_fence_point waits[PROXY_MAX_POINTS];
    tn_fence_point signals[PROXY_MAX_POINTS];
} proxy_slot;

struct tn_plugin {
    tn_helper_host host;
    pthread_mutex_t call_mutex;
    pthread_mutex_t state_mutex;
    pthread_cond_t state_cond; // on the monotonic clock
    pid_t child;
    int call_socket;
    int event_socket;
    proxy_shared *shared; // null: no child was started
    pthread_t reader;
    atomic_bool lost;
    uint32_t exposed[FAKE_DEVICE_COUNT]; // the child's index of each device
    uint32_t exposed_count;
    tn_fence *fences;
    proxy_slot slots[PROXY_SLOTS];
};

struct tn_device {
    tn_plugin *plugin;
    uint32_t id;
    bool notifies;
    uint32_t op_count;
    proxy_op_text texts[PROXY_MAX_OPS];
    tn_op_record ops[PROXY_MAX_OPS];
};

// Programs, contexts and memory are handles and no more.
struct tn_program {
    tn_plugin *plugin;
    uint32_t id;
};
struct tn_context {
    tn_plugin *plugin;
    uint32_t id;
};
struct tn_memory {
    tn_plugin *plugin;
    uint32_t id;
};

typedef struct proxy_waiter {
    uint64_t value;
    tn_fence_reached_fn callback;
    void *user_data;
} proxy_waiter;

// Mirrors the child's fence, so that looking and waiting need no call.
struct tn_fence {
    tn_device *device;
    tn_fence *next;
    uint32_t id;
    uint64_t value;
    tn_status failed;
    uint32_t notifying; // threads that use the fence without a lock
    uint32_t waiter_count;
    proxy_waiter waiters[PROXY_MAX_WAITERS];
};

// Takes the frame for one call; proxy_send makes it, proxy_end gives the frame back.
proxy_frame *proxy_begin(tn_plugin *plugin, proxy_op op, uint32_t object);
// The call's status; TN_ERROR_DEVICE_LOST when the child is gone. error may be null.
tn_status proxy_send(tn_plugin *plugin, tn_error *error);
void proxy_end(tn_plugin *plugin);
// A call that has a number to say at most.
tn_status proxy_call(tn_plugin *plugin, proxy_op op, uint32_t object, uint64_t value,
                     tn_error *error);

// Puts fence points into the frame; false when there are too many.
bool proxy_put_points(proxy_point *out_points, uint32_t *out_count, const tn_fence_point *points,
                      uint64_t count);

// The thread of a plugin (user_data) that takes the child's events until the child is gone.
void *proxy_read_events(void *user_data);
// Raises, or (status) fails, the mirror of a fence; then calls back, then starts copies that
// waited.
void proxy_mirror(tn_fence *fence, uint64_t value, tn_status status);
// With state_mutex held: whether a wait is over.
bool proxy_point_reached(const tn_fence_point *point);
// With state_mutex held: ends the staged copies that signal this fence point.
void proxy_finish_slots(tn_fence *fence);
// Starts the uploads whose waits are reached. No lock held.
void proxy_start_deferred(tn_plugin *plugin);
// With state_mutex held: forgets them, before a lost device fails their signals.
void proxy_drop_deferred(tn_plugin *plugin);

extern const tn_core_interface proxy_core_table;
extern const tn_compile_interface proxy_compile_table;
extern const tn_memory_interface proxy_memory_table;
extern const tn_sync_interface proxy_sync_table;
extern const tn_exec_interface proxy_exec_table;

#endif // TENON_TESTS_PROXY_HOST_H
