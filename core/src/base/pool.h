// SPDX-License-Identifier: Apache-2.0
// Threads that share one loop. A pool of one starts none.
#ifndef TENON_BASE_POOL_H
#define TENON_BASE_POOL_H

#include "base/alloc.h"

#include "tenon/abi/host.h"

typedef struct tni_pool tni_pool;

// worker_count includes the calling thread; 0 counts as 1. TN_OK · TN_ERROR_OUT_OF_MEMORY (also
// when a thread cannot be started). *out_pool is null on failure; free with tni_pool_destroy.
TN_MUST_USE tn_status tni_pool_create(const tni_alloc *alloc, uint32_t worker_count,
                                      tni_pool **out_pool);
// Joins the threads. Null is ignored. No loop may be running.
void tni_pool_destroy(tni_pool *pool);

uint32_t tni_pool_worker_count(const tni_pool *pool);

// Runs body over [0, count) in chunks of grain (0 counts as 1) and returns when all are done.
// Chunks start at multiples of grain. A call while another loop runs, a nested one included, runs
// on the calling thread alone. Any thread; allocates nothing.
void tni_pool_run(tni_pool *pool, uint64_t count, uint64_t grain, tn_parallel_fn body,
                  void *user_data);

#endif // TENON_BASE_POOL_H
