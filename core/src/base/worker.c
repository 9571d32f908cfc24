// SPDX-License-Identifier: Apache-2.0
// The worker's queue: a list of the posters' own jobs.
#include "base/worker.h"

#include "base/thread.h"

struct tni_worker {
    tni_alloc alloc;
    tni_mutex mutex;
    tni_cond wake;
    tni_cond called; // some tni_worker_call is done
    tni_thread thread;
    bool stopping;
    tni_job *first;
    tni_job *last;
};

static void serve(void *user_data) {
    tni_worker *worker = user_data;
    tni_mutex_lock(&worker->mutex);
    for (;;) {
        while (worker->first == NULL && !worker->stopping) {
            tni_cond_wait(&worker->wake, &worker->mutex);
        }
        tni_job *job = worker->first;
        if (job == NULL) {
            break;
        }
        worker->first = job->next;
        tni_mutex_unlock(&worker->mutex);
        job->run(job->user_data);
        tni_mutex_lock(&worker->mutex);
    }
    tni_mutex_unlock(&worker->mutex);
}

tn_status tni_worker_create(const tni_alloc *alloc, const char *name, tni_worker **out_worker) {
    *out_worker = NULL;
    tni_worker *worker = tni_alloc_zeroed(alloc, sizeof(*worker));
    if (worker == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    worker->alloc = *alloc;
    tn_status status = tni_mutex_init(&worker->mutex);
    if (status != TN_OK) {
        goto no_mutex;
    }
    status = tni_cond_init(&worker->wake);
    if (status != TN_OK) {
        goto no_cond;
    }
    status = tni_cond_init(&worker->called);
    if (status != TN_OK) {
        goto no_called;
    }
    status = tni_thread_start(&worker->thread, name, serve, worker);
    if (status != TN_OK) {
        goto no_thread;
    }
    *out_worker = worker;
    return TN_OK;

no_thread:
    tni_cond_deinit(&worker->called);
no_called:
    tni_cond_deinit(&worker->wake);
no_cond:
    tni_mutex_deinit(&worker->mutex);
no_mutex:
    tni_free(alloc, worker, sizeof(*worker));
    return status;
}

void tni_worker_destroy(tni_worker *worker) {
    if (worker == NULL) {
        return;
    }
    tni_mutex_lock(&worker->mutex);
    worker->stopping = true;
    tni_cond_signal(&worker->wake);
    tni_mutex_unlock(&worker->mutex);
    tni_thread_join(&worker->thread);
    tni_cond_deinit(&worker->called);
    tni_cond_deinit(&worker->wake);
    tni_mutex_deinit(&worker->mutex);
    tni_alloc alloc = worker->alloc;
    tni_free(&alloc, worker, sizeof(*worker));
}

void tni_worker_post(tni_worker *worker, tni_job *job) {
    job->next = NULL;
    tni_mutex_lock(&worker->mutex);
    if (worker->first == NULL) {
        worker->first = job;
    } else {
        worker->last->next = job;
    }
    worker->last = job;
    tni_cond_signal(&worker->wake);
    tni_mutex_unlock(&worker->mutex);
}

typedef struct call {
    tni_worker *worker;
    void (*run)(void *user_data);
    void *user_data;
    bool done; // under the worker's mutex
} call;

static void run_call(void *user_data) {
    call *c = user_data;
    tni_worker *worker = c->worker;
    c->run(c->user_data);
    tni_mutex_lock(&worker->mutex);
    c->done = true; // the last touch: the caller's stack goes
    tni_cond_broadcast(&worker->called);
    tni_mutex_unlock(&worker->mutex);
}

void tni_worker_call(tni_worker *worker, void (*run)(void *user_data), void *user_data) {
    if (tni_thread_is_current(&worker->thread)) {
        run(user_data);
        return;
    }
    call c = {.worker = worker, .run = run, .user_data = user_data};
    tni_job job = {.run = run_call, .user_data = &c};
    tni_worker_post(worker, &job);
    tni_mutex_lock(&worker->mutex);
    while (!c.done) {
        tni_cond_wait(&worker->called, &worker->mutex);
    }
    tni_mutex_unlock(&worker->mutex);
}
