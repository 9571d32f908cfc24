// SPDX-License-Identifier: Apache-2.0
// The pool: one loop at a time, chunks handed out by an atomic counter.
#include "base/pool.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct pool_worker {
    tni_pool *pool;
    uint32_t index;
    tni_thread thread;
} pool_worker;

struct tni_pool {
    tni_alloc alloc;
    uint32_t worker_count;
    uint32_t started_count;
    pool_worker *workers; // worker_count - 1
    tni_mutex mutex;
    tni_cond wake;
    tni_cond done;
    bool mutex_ready;
    bool wake_ready;
    bool done_ready;
    bool stopping;
    bool busy;
    uint64_t generation; // of the loop that runs or ran last
    uint32_t active;     // workers inside it
    tn_parallel_fn body;
    void *user_data;
    uint64_t count;
    uint64_t grain;
    atomic_uint_fast64_t next_chunk;
};

static void run_chunks(tni_pool *pool, tn_parallel_fn body, void *user_data, uint64_t count,
                       uint64_t grain, uint32_t worker) {
    uint64_t chunk_count = count / grain + (count % grain != 0);
    for (;;) {
        uint64_t chunk = atomic_fetch_add(&pool->next_chunk, 1);
        if (chunk >= chunk_count) {
            return;
        }
        uint64_t begin = chunk * grain;
        body(user_data, begin, count - begin < grain ? count : begin + grain, worker);
    }
}

static void work(void *user_data) {
    pool_worker *worker = user_data;
    tni_pool *pool = worker->pool;
    uint64_t seen = 0;
    tni_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->stopping && (!pool->busy || pool->generation == seen)) {
            tni_cond_wait(&pool->wake, &pool->mutex);
        }
        if (pool->stopping) {
            break;
        }
        seen = pool->generation;
        pool->active++;
        tn_parallel_fn body = pool->body;
        void *body_data = pool->user_data;
        uint64_t count = pool->count;
        uint64_t grain = pool->grain;
        tni_mutex_unlock(&pool->mutex);
        run_chunks(pool, body, body_data, count, grain, worker->index);
        tni_mutex_lock(&pool->mutex);
        if (--pool->active == 0) {
            tni_cond_broadcast(&pool->done);
        }
    }
    tni_mutex_unlock(&pool->mutex);
}

static tn_status start_workers(tni_pool *pool) {
    uint32_t extra = pool->worker_count - 1;
    if (extra == 0) {
        return TN_OK;
    }
    pool->workers = tni_alloc_array(&pool->alloc, extra, sizeof(*pool->workers));
    if (pool->workers == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < extra; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i + 1;
        tn_status status =
            tni_thread_start(&pool->workers[i].thread, "tenon-pool", work, &pool->workers[i]);
        if (status != TN_OK) {
            return status;
        }
        pool->started_count++;
    }
    return TN_OK;
}

tn_status tni_pool_create(const tni_alloc *alloc, uint32_t worker_count, tni_pool **out_pool) {
    *out_pool = NULL;
    tni_pool *pool = tni_alloc_zeroed(alloc, sizeof(*pool));
    if (pool == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    pool->alloc = *alloc;
    pool->worker_count = worker_count == 0 ? 1 : worker_count;
    atomic_init(&pool->next_chunk, 0);
    tn_status status = tni_mutex_init(&pool->mutex);
    pool->mutex_ready = status == TN_OK;
    if (status == TN_OK) {
        status = tni_cond_init(&pool->wake);
        pool->wake_ready = status == TN_OK;
    }
    if (status == TN_OK) {
        status = tni_cond_init(&pool->done);
        pool->done_ready = status == TN_OK;
    }
    if (status == TN_OK) {
        status = start_workers(pool);
    }
    if (status != TN_OK) {
        tni_pool_destroy(pool);
        return status;
    }
    *out_pool = pool;
    return TN_OK;
}

void tni_pool_destroy(tni_pool *pool) {
    if (pool == NULL) {
        return;
    }
    if (pool->started_count > 0) {
        tni_mutex_lock(&pool->mutex);
        pool->stopping = true;
        tni_cond_broadcast(&pool->wake);
        tni_mutex_unlock(&pool->mutex);
    }
    for (uint32_t i = 0; i < pool->started_count; i++) {
        tni_thread_join(&pool->workers[i].thread);
    }
    tni_free_array(&pool->alloc, pool->workers, pool->worker_count - 1, sizeof(*pool->workers));
    if (pool->done_ready) {
        tni_cond_deinit(&pool->done);
    }
    if (pool->wake_ready) {
        tni_cond_deinit(&pool->wake);
    }
    if (pool->mutex_ready) {
        tni_mutex_deinit(&pool->mutex);
    }
    tni_alloc alloc = pool->alloc;
    tni_free(&alloc, pool, sizeof(*pool));
}

uint32_t tni_pool_worker_count(const tni_pool *pool) {
    return pool->worker_count;
}

static void run_alone(uint64_t count, uint64_t grain, tn_parallel_fn body, void *user_data) {
    for (uint64_t begin = 0; begin < count;) {
        uint64_t end = count - begin < grain ? count : begin + grain;
        body(user_data, begin, end, 0);
        begin = end;
    }
}

void tni_pool_run(tni_pool *pool, uint64_t count, uint64_t grain, tn_parallel_fn body,
                  void *user_data) {
    uint64_t step = grain == 0 ? 1 : grain;
    if (pool->worker_count == 1 || count <= step) {
        run_alone(count, step, body, user_data);
        return;
    }
    tni_mutex_lock(&pool->mutex);
    if (pool->busy) {
        tni_mutex_unlock(&pool->mutex);
        run_alone(count, step, body, user_data);
        return;
    }
    pool->busy = true;
    pool->generation++;
    pool->body = body;
    pool->user_data = user_data;
    pool->count = count;
    pool->grain = step;
    atomic_store(&pool->next_chunk, 0);
    tni_cond_broadcast(&pool->wake);
    tni_mutex_unlock(&pool->mutex);

    run_chunks(pool, body, user_data, count, step, 0);

    tni_mutex_lock(&pool->mutex);
    while (pool->active > 0) {
        tni_cond_wait(&pool->done, &pool->mutex);
    }
    pool->busy = false;
    tni_mutex_unlock(&pool->mutex);
}
