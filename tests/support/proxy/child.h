// SPDX-License-Identifier: Apache-2.0
// The child's side of the proxy: handles, the watch over fences, and the calls it answers.
#ifndef TENON_TESTS_PROXY_CHILD_H
#define TENON_TESTS_PROXY_CHILD_H

#include "wire.h"

#include "tenon/abi/compile.h"

#include <stdbool.h>

typedef enum child_kind {
    CHILD_NONE,
    CHILD_DEVICE,
    CHILD_PROGRAM,
    CHILD_MEMORY,
    CHILD_FENCE,
    CHILD_CONTEXT
} child_kind;

typedef struct child_context {
    tn_context *context;
    tn_binding bindings[PROXY_MAX_PORTS];
    // Valid until the signals: every submit of a prepared context has the same sizes.
    int64_t dims[PROXY_MAX_PORTS][TN_MAX_RANK];
    int64_t strides[PROXY_MAX_PORTS][TN_MAX_RANK];
} child_context;

// One plugin, one parent: the child's whole state.
typedef struct child_state {
    proxy_shared *shared;
    int event_socket;
    tn_plugin *plugin;
    const tn_core_interface *core;
    const tn_compile_interface *compile;
    const tn_memory_interface *memory;
    const tn_sync_interface *sync;
    const tn_exec_interface *exec;
} child_state;

extern child_state child;

// A new handle for object, never used before; 0 when the table is full or object is null.
uint32_t child_put(child_kind kind, void *object);
// The object of a handle, or null when it is not one of this kind.
void *child_get(child_kind kind, uint32_t handle);
// The same, and forgets the handle.
void *child_take(child_kind kind, uint32_t handle);

// Starts the thread that sends events; false when there is none.
bool child_watch_start(void);
void child_watch_stop(void);
// Sends an event once the fence reaches value or fails, also on a device without callbacks.
void child_watch(uint32_t handle, uint64_t value);
// Forgets what only this side waits for. Before the fence is destroyed.
void child_unwatch(uint32_t handle);

// Answers the call in the frame.
void child_answer(proxy_frame *frame);

#endif // TENON_TESTS_PROXY_CHILD_H
