// SPDX-License-Identifier: Apache-2.0
// The pool covers every index once whatever the sizes, nested or at once from several threads; the
// worker runs jobs in order and finishes them before it ends.
#include "base/pool.h"
#include "base/worker.h"
#include "support/test_alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MAX_COUNT 1000u

typedef struct coverage {
    tni_pool *pool;
    atomic_uint hits[MAX_COUNT];
    uint64_t grain;
    atomic_uint bad_chunks;
    atomic_uint nested;
} coverage;

static void cover(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    coverage *c = user_data;
    if (begin % c->grain != 0 || end - begin > c->grain || begin >= end ||
        worker >= tni_pool_worker_count(c->pool)) {
        atomic_fetch_add(&c->bad_chunks, 1);
    }
    for (uint64_t i = begin; i < end; i++) {
        atomic_fetch_add(&c->hits[i], 1);
    }
}

static void pool_run__covers_every_index_once(void **state) {
    (void)state;
    static coverage c;
    for (uint32_t workers = 0; workers <= 4; workers++) {
        test_alloc memory;
        test_alloc_init(&memory);
        assert_int_equal(tni_pool_create(&memory.alloc, workers, &c.pool), TN_OK);
        assert_int_equal(tni_pool_worker_count(c.pool), workers == 0 ? 1 : workers);
        const uint64_t counts[] = {0, 1, 7, 64, 999, 1000};
        const uint64_t grains[] = {1, 3, 64, 5000};
        for (size_t i = 0; i < 6; i++) {
            for (size_t g = 0; g < 4; g++) {
                memset(c.hits, 0, sizeof(c.hits));
                c.grain = grains[g];
                tni_pool_run(c.pool, counts[i], grains[g], cover, &c);
                for (uint64_t k = 0; k < MAX_COUNT; k++) {
                    assert_int_equal(atomic_load(&c.hits[k]), k < counts[i] ? 1 : 0);
                }
            }
        }
        assert_int_equal(atomic_load(&c.bad_chunks), 0);
        tni_pool_destroy(c.pool);
        assert_true(test_alloc_clean(&memory));
        test_alloc_deinit(&memory);
    }
}

static void count_one(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    coverage *c = user_data;
    (void)worker;
    atomic_fetch_add(&c->nested, (unsigned)(end - begin));
}

static void nest(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    coverage *c = user_data;
    (void)worker;
    for (uint64_t i = begin; i < end; i++) {
        tni_pool_run(c->pool, 10, 2, count_one, c);
    }
}

static void pool_run__nested_loops_end(void **state) {
    (void)state;
    static coverage c;
    assert_int_equal(tni_pool_create(tni_alloc_default(), 3, &c.pool), TN_OK);
    tni_pool_run(c.pool, 50, 1, nest, &c);
    assert_int_equal(atomic_load(&c.nested), 500);
    tni_pool_destroy(c.pool);
}

static void *run_loops(void *user_data) {
    coverage *c = user_data;
    for (int i = 0; i < 50; i++) {
        tni_pool_run(c->pool, 100, 7, count_one, c);
    }
    return NULL;
}

static void pool_run__several_threads_share_it(void **state) {
    (void)state;
    static coverage c;
    pthread_t threads[4];
    assert_int_equal(tni_pool_create(tni_alloc_default(), 2, &c.pool), TN_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_loops, &c), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&c.nested), 4 * 50 * 100);
    tni_pool_destroy(c.pool);
}

static void pool_create__every_allocation_may_fail(void **state) {
    (void)state;
    test_alloc memory;
    tni_pool *pool = NULL;
    test_alloc_init(&memory);
    for (uint64_t i = 0; i < 2; i++) {
        test_alloc_reset(&memory, TEST_ALLOC_FAIL_ONE, i);
        assert_int_equal(tni_pool_create(&memory.alloc, 3, &pool), TN_ERROR_OUT_OF_MEMORY);
        assert_null(pool);
        assert_true(test_alloc_clean(&memory));
    }
    test_alloc_deinit(&memory);
}

typedef struct ordered {
    tni_job job;
    uint32_t index;
    uint32_t *next;
    bool in_order;
} ordered;

static void note_order(void *user_data) {
    ordered *o = user_data;
    o->in_order = o->index == *o->next;
    (*o->next)++;
}

static void worker_post__runs_in_order_and_before_the_end(void **state) {
    (void)state;
    static ordered jobs[200];
    tni_worker *worker = NULL;
    uint32_t next = 0;
    assert_int_equal(tni_worker_create(tni_alloc_default(), "test", &worker), TN_OK);
    for (uint32_t i = 0; i < 200; i++) {
        jobs[i] = (ordered){.job = {note_order, &jobs[i], NULL}, .index = i, .next = &next};
        tni_worker_post(worker, &jobs[i].job);
    }
    tni_worker_destroy(worker);
    assert_int_equal(next, 200);
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(jobs[i].in_order);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_run__covers_every_index_once),
        cmocka_unit_test(pool_run__nested_loops_end),
        cmocka_unit_test(pool_run__several_threads_share_it),
        cmocka_unit_test(pool_create__every_allocation_may_fail),
        cmocka_unit_test(worker_post__runs_in_order_and_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
