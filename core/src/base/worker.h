// SPDX-License-Identifier: Apache-2.0
// One thread that runs jobs in the order they were posted.
#ifndef TENON_BASE_WORKER_H
#define TENON_BASE_WORKER_H

#include "base/alloc.h"

typedef struct tni_worker tni_worker;

// Owned by the poster; must stay where it is from post until run has returned.
typedef struct tni_job {
    void (*run)(void *user_data);
    void *user_data;
    struct tni_job *next; // the worker's
} tni_job;

// TN_OK · TN_ERROR_OUT_OF_MEMORY. *out_worker is null on failure. name is cut at 15 bytes.
TN_MUST_USE tn_status tni_worker_create(const tni_alloc *alloc, const char *name,
                                        tni_worker **out_worker);
// Runs what was posted, then joins. Null is ignored. Not from a job.
void tni_worker_destroy(tni_worker *worker);
// Any thread; allocates nothing, does not block on jobs.
void tni_worker_post(tni_worker *worker, tni_job *job);
// Calls run(user_data) on the worker, behind what was posted before, and waits until it returned.
// From a job of the same worker it is a plain call, so jobs may call too. Any thread; allocates
// nothing; blocks on the jobs in front.
void tni_worker_call(tni_worker *worker, void (*run)(void *user_data), void *user_data);

#endif // TENON_BASE_WORKER_H
