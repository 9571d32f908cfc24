// SPDX-License-Identifier: Apache-2.0
// The worker: one thread, in order, callable from itself.
#include "base/worker.h"

#include "support/test_alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct visit {
    tni_worker *worker;
    pthread_t thread;
    uint32_t depth;
    uint32_t calls;
} visit;

static void note(void *user_data) {
    visit *v = user_data;
    v->thread = pthread_self();
    v->calls++;
    if (v->depth > 0) {
        v->depth--;
        tni_worker_call(v->worker, note, v);
    }
}

typedef struct fixture {
    test_alloc memory;
    tni_worker *worker;
} fixture;

static void open_worker(fixture *f) {
    test_alloc_init(&f->memory);
    assert_int_equal(tni_worker_create(&f->memory.alloc, "test", &f->worker), TN_OK);
}

static void close_worker(fixture *f) {
    tni_worker_destroy(f->worker);
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
}

static void call__runs_on_one_other_thread(void **state) {
    (void)state;
    fixture f;
    open_worker(&f);
    visit first = {.worker = f.worker};
    visit second = {.worker = f.worker};
    tni_worker_call(f.worker, note, &first);
    tni_worker_call(f.worker, note, &second);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 1);
    assert_int_equal(pthread_equal(first.thread, pthread_self()), 0);
    assert_int_not_equal(pthread_equal(first.thread, second.thread), 0);
    close_worker(&f);
}

static void call__from_the_worker_is_a_plain_call(void **state) {
    (void)state;
    fixture f;
    open_worker(&f);
    visit v = {.worker = f.worker, .depth = 5};
    tni_worker_call(f.worker, note, &v);
    assert_int_equal(v.calls, 6);
    close_worker(&f);
}

static void call__comes_after_what_was_posted(void **state) {
    (void)state;
    fixture f;
    open_worker(&f);
    visit posted = {.worker = f.worker};
    visit called = {.worker = f.worker};
    tni_job jobs[20];
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        jobs[i] = (tni_job){.run = note, .user_data = &posted};
        tni_worker_post(f.worker, &jobs[i]);
    }
    tni_worker_call(f.worker, note, &called);
    assert_int_equal(posted.calls, 20);
    assert_int_equal(called.calls, 1);
    close_worker(&f);
}

static void *call_often(void *user_data) {
    visit *v = user_data;
    for (int i = 0; i < 200; i++) {
        tni_worker_call(v->worker, note, v);
    }
    return NULL;
}

static void call__many_callers_each_get_their_answer(void **state) {
    (void)state;
    fixture f;
    pthread_t threads[4];
    visit visits[4];
    open_worker(&f);
    for (int i = 0; i < 4; i++) {
        visits[i] = (visit){.worker = f.worker};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &visits[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(visits[i].calls, 200);
    }
    close_worker(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__runs_on_one_other_thread),
        cmocka_unit_test(call__from_the_worker_is_a_plain_call),
        cmocka_unit_test(call__comes_after_what_was_posted),
        cmocka_unit_test(call__many_callers_each_get_their_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
