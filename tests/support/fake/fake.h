// SPDX-License-Identifier: Apache-2.0
// Objects of the fake plugin. One lock guards them all: what is tested is the host.
#ifndef TENON_TESTS_FAKE_H
#define TENON_TESTS_FAKE_H

#include "fake_control.h"

#include "tenon/helper/negotiate.h"
#include "tenon/helper/verdicts.h"

#include <pthread.h>
#include <stdbool.h>

#define FAKE_OP_COUNT 4u
#define FAKE_MAX_POINTS 16u
#define FAKE_MAX_PORTS 64u
#define FAKE_MAX_NODES 64u
#define FAKE_MAX_VALUES 128u
#define FAKE_MAX_WAITERS 64u
#define FAKE_MAX_RANK 8u

struct tn_plugin {
    tn_helper_host host;
};

struct tn_memory {
    tn_device *device;
    unsigned char *data;
    uint64_t size_bytes;
    bool imported;
};

typedef struct fake_waiter {
    uint64_t value;
    tn_fence_reached_fn callback;
    void *user_data;
} fake_waiter;

struct tn_fence {
    tn_device *device;
    uint64_t value;
    tn_status failed;
    fake_waiter waiters[FAKE_MAX_WAITERS];
    uint32_t waiter_count;
    uint32_t notifying; // threads inside notify: destroy waits for them
};

typedef struct fake_node {
    uint32_t op; // FAKE_ADD ...
    uint32_t inputs[2];
    uint32_t output;
} fake_node;

typedef struct fake_shape {
    uint32_t rank;
    tn_graph_dim dims[FAKE_MAX_RANK];
} fake_shape;

struct tn_program {
    tn_device *device;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t node_count;
    uint32_t value_count;
    fake_node nodes[FAKE_MAX_NODES];
    uint32_t ports[FAKE_MAX_PORTS];    // value of each port
    uint32_t port_of[FAKE_MAX_VALUES]; // port of a value, or TN_NONE
    fake_shape shapes[FAKE_MAX_VALUES];
};

typedef struct fake_job {
    bool active; // queued or running
    bool cancelled;
    tn_context *context; // null for copies
    tn_copy_info copy;
    tn_binding bindings[FAKE_MAX_PORTS];
    tn_fence_point waits[FAKE_MAX_POINTS];
    tn_fence_point signals[FAKE_MAX_POINTS];
    uint32_t wait_count;
    uint32_t signal_count;
    struct fake_job *next;
} fake_job;

struct tn_context {
    tn_program *program;
    uint64_t element_counts[FAKE_MAX_VALUES];
    uint64_t most_elements; // of any value
    float *scratch;         // value_count * most_elements
    uint64_t scratch_bytes;
    bool prepared;
    fake_job job;
};

#define FAKE_COPY_JOBS 64u

struct tn_device {
    tn_plugin *plugin;
    uint32_t index;
    pthread_t opener; // the thread that opened it
    tn_op_record ops[FAKE_OP_COUNT];
    pthread_t thread;
    bool has_thread;
    bool stopping;
    fake_job *queue;
    fake_job copies[FAKE_COPY_JOBS];
};

extern pthread_mutex_t fake_mutex;
extern pthread_cond_t fake_cond;

bool fake_is_synchronous(const tn_device *device);
bool fake_uses_host_memory(const tn_device *device);
// Notes a call that may do work: with TN_DEVICE_OWN_THREADS it belongs on the opener's thread. The
// lock is not held.
void fake_enter(const tn_device *device);

// With the lock held: raises or fails a fence; callbacks are made with the lock released.
void fake_fence_raise(tn_fence *fence, uint64_t value);
void fake_fence_break(tn_fence *fence, tn_status status);
bool fake_point_reached(const tn_fence_point *point);

// Starts and ends the thread of an asynchronous device; runs its queue.
int fake_queue_start(tn_device *device);
void fake_queue_stop(tn_device *device);
// With the lock held: queues a job, or runs it at once on a synchronous device.
void fake_queue_push(tn_device *device, fake_job *job);
// A free copy job, or null.
fake_job *fake_queue_copy_job(tn_device *device);
bool fake_set_points(fake_job *job, const tn_fence_point *waits, uint64_t wait_count,
                     const tn_fence_point *signals, uint64_t signal_count);
// Computes a context's island over its bindings; no lock held.
void fake_compute(tn_context *context, const tn_binding *bindings);

extern const tn_compile_interface fake_compile_table;
extern const tn_memory_interface fake_memory_table;
extern const tn_sync_interface fake_sync_table;
extern const tn_exec_interface fake_exec_table;

#endif // TENON_TESTS_FAKE_H
