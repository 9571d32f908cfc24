// SPDX-License-Identifier: Apache-2.0
// Tells the parent about fences: by callback where the device has them, else by waiting in turns.
#include "child.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CHILD_WATCHES 1024u
#define CHILD_TURN_NS 1000000u

typedef enum watch_state { WATCH_FREE, WATCH_ARMED, WATCH_POLLED, WATCH_FIRED } watch_state;

typedef struct watch {
    watch_state state;
    tn_fence *fence;
    proxy_event event;
} watch;

static watch watches[CHILD_WATCHES];
static uint32_t busy; // the handle a wait is going on for
static bool stopping;
static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void fired(void *user_data, tn_status status) {
    watch *w = user_data;
    pthread_mutex_lock(&mutex);
    w->event.status = status;
    w->state = WATCH_FIRED;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
}

void child_watch(uint32_t handle, uint64_t value) {
    tn_fence *fence = child_get(CHILD_FENCE, handle);
    watch *w = NULL;
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < CHILD_WATCHES && w == NULL; i++) {
        w = watches[i].state == WATCH_FREE ? &watches[i] : NULL;
    }
    if (w == NULL || fence == NULL) {
        abort(); // the parent would wait for ever; without a child it does not
    }
    *w = (watch){WATCH_ARMED, fence, {handle, TN_OK, value}};
    pthread_mutex_unlock(&mutex);
    if (child.sync->fence_on_reach(fence, value, fired, w, NULL) != TN_OK) {
        pthread_mutex_lock(&mutex);
        w->state = WATCH_POLLED;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
}

void child_unwatch(uint32_t handle) {
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < CHILD_WATCHES; i++) {
        if (watches[i].state == WATCH_POLLED && watches[i].event.fence == handle) {
            watches[i].state = WATCH_FREE;
        }
    }
    while (busy == handle) {
        pthread_cond_wait(&cond, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

// One turn of waiting. The lock is released meanwhile; the fence stays, because it is busy.
static void wait_for(uint32_t index) {
    watch *w = &watches[index];
    const watch seen = *w;
    uint64_t value = 0;
    busy = seen.event.fence;
    pthread_mutex_unlock(&mutex);
    // Whatever this says, a time-out included, the fence says what it means.
    (void)child.sync->fence_wait(seen.fence, seen.event.value, CHILD_TURN_NS, NULL);
    tn_status status = child.sync->fence_query(seen.fence, &value, NULL);
    pthread_mutex_lock(&mutex);
    busy = 0;
    pthread_cond_broadcast(&cond);
    if (w->state == WATCH_POLLED && (status != TN_OK || value >= seen.event.value)) {
        w->event.status = status;
        w->state = WATCH_FIRED;
    }
}

static bool send_fired(void) {
    bool any = false;
    for (uint32_t i = 0; i < CHILD_WATCHES; i++) {
        if (watches[i].state == WATCH_FIRED) {
            const proxy_event event = watches[i].event;
            watches[i].state = WATCH_FREE;
            pthread_mutex_unlock(&mutex);
            (void)send(child.event_socket, &event, sizeof(event), MSG_NOSIGNAL);
            pthread_mutex_lock(&mutex);
            any = true;
        }
    }
    return any;
}

static void *serve(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&mutex);
    while (!stopping) {
        bool any = send_fired();
        for (uint32_t i = 0; i < CHILD_WATCHES && !stopping; i++) {
            if (watches[i].state == WATCH_POLLED) {
                wait_for(i);
                (void)send_fired();
                any = true;
            }
        }
        if (!any && !stopping) {
            pthread_cond_wait(&cond, &mutex);
        }
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

bool child_watch_start(void) {
    return pthread_create(&thread, NULL, serve, NULL) == 0;
}

void child_watch_stop(void) {
    pthread_mutex_lock(&mutex);
    stopping = true;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
}
