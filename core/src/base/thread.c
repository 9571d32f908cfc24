// SPDX-License-Identifier: Apache-2.0
// Wrappers over POSIX threads.
#include "base/thread.h"

#include "base/string.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <time.h>

// Keeps "checked in debug builds" free of unused-variable warnings.
static void must(int result) {
    assert(result == 0);
    (void)result;
}

tn_status tni_mutex_init(tni_mutex *mutex) {
    return pthread_mutex_init(&mutex->handle, NULL) == 0 ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

void tni_mutex_deinit(tni_mutex *mutex) {
    must(pthread_mutex_destroy(&mutex->handle));
}

void tni_mutex_lock(tni_mutex *mutex) {
    must(pthread_mutex_lock(&mutex->handle));
}

void tni_mutex_unlock(tni_mutex *mutex) {
    must(pthread_mutex_unlock(&mutex->handle));
}

tn_status tni_cond_init(tni_cond *cond) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0) {
        result = pthread_cond_init(&cond->handle, &attributes);
    }
    must(pthread_condattr_destroy(&attributes));
    return result == 0 ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

void tni_cond_deinit(tni_cond *cond) {
    must(pthread_cond_destroy(&cond->handle));
}

void tni_cond_wait(tni_cond *cond, tni_mutex *mutex) {
    must(pthread_cond_wait(&cond->handle, &mutex->handle));
}

bool tni_cond_wait_until(tni_cond *cond, tni_mutex *mutex, uint64_t deadline_ns) {
    if (deadline_ns == UINT64_MAX) {
        tni_cond_wait(cond, mutex);
        return true;
    }
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                      .tv_nsec = (long)(deadline_ns % 1000000000u)};
    const int result = pthread_cond_timedwait(&cond->handle, &mutex->handle, &deadline);
    assert(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void tni_cond_signal(tni_cond *cond) {
    must(pthread_cond_signal(&cond->handle));
}

void tni_cond_broadcast(tni_cond *cond) {
    must(pthread_cond_broadcast(&cond->handle));
}

static void *thread_main(void *argument) {
    tni_thread *thread = argument;
    (void)pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->user_data);
    return NULL;
}

tn_status tni_thread_start(tni_thread *thread, const char *name, tni_thread_fn run,
                           void *user_data) {
    sigset_t all;
    sigset_t before;
    thread->run = run;
    thread->user_data = user_data;
    (void)tni_string_copy(thread->name, sizeof thread->name, tni_string_of(name));
    // A library's thread must never be the one that handles the application's signals. The new
    // thread inherits the mask, so it is set around the creation.
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before));
    const int result = pthread_create(&thread->handle, NULL, thread_main, thread);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    return result == 0 ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

bool tni_thread_is_current(const tni_thread *thread) {
    return pthread_equal(pthread_self(), thread->handle) != 0;
}

void tni_thread_join(tni_thread *thread) {
    must(pthread_join(thread->handle, NULL));
}
