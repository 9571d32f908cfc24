// SPDX-License-Identifier: Apache-2.0
// Mutex, condition variable with monotonic deadlines, and thread: thin, checked wrappers.
#ifndef TENON_BASE_THREAD_H
#define TENON_BASE_THREAD_H

#include "tenon/abi/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tni_mutex {
    pthread_mutex_t handle;
} tni_mutex;

typedef struct tni_cond {
    pthread_cond_t handle;
} tni_cond;

typedef void (*tni_thread_fn)(void *user_data);

typedef struct tni_thread {
    pthread_t handle;
    tni_thread_fn run;
    void *user_data;
    char name[16];
} tni_thread;

// TN_OK · TN_ERROR_OUT_OF_MEMORY the system is out of resources. deinit only after a successful
// init.
TN_MUST_USE tn_status tni_mutex_init(tni_mutex *mutex);
void tni_mutex_deinit(tni_mutex *mutex);
// Misuse (relock, foreign unlock) is a bug and asserts.
void tni_mutex_lock(tni_mutex *mutex);
void tni_mutex_unlock(tni_mutex *mutex);

// As tni_mutex_init.
TN_MUST_USE tn_status tni_cond_init(tni_cond *cond);
void tni_cond_deinit(tni_cond *cond);
// Waits with the mutex released; may wake without a signal.
void tni_cond_wait(tni_cond *cond, tni_mutex *mutex);
// The same until tni_clock_ns() reaches deadline_ns; false when it has. UINT64_MAX: for ever.
bool tni_cond_wait_until(tni_cond *cond, tni_mutex *mutex, uint64_t deadline_ns);
void tni_cond_signal(tni_cond *cond);
void tni_cond_broadcast(tni_cond *cond);

// Starts run(user_data) in a new thread with all signals blocked. name is cut at 15 bytes. thread
// must stay where it is until tni_thread_join. TN_OK · TN_ERROR_OUT_OF_MEMORY no thread can be
// started.
TN_MUST_USE tn_status tni_thread_start(tni_thread *thread, const char *name, tni_thread_fn run,
                                       void *user_data);
// Whether the caller runs in this started thread.
bool tni_thread_is_current(const tni_thread *thread);
// Waits for the end of a started thread, once. May block.
void tni_thread_join(tni_thread *thread);

#endif // TENON_BASE_THREAD_H
