// SPDX-License-Identifier: Apache-2.0
// Threads, condition variables with deadlines, and the clock.
#include "base/clock.h"
#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <signal.h>
#include <string.h>

typedef struct {
    tni_mutex mutex;
    tni_cond cond;
    int phase;
    char name[16];
    bool blocks_signals;
} shared;

static void answer(void *user_data) {
    shared *s = user_data;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    tni_mutex_lock(&s->mutex);
    s->blocks_signals = sigismember(&mask, SIGINT) == 1;
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    while (s->phase != 1) {
        tni_cond_wait(&s->cond, &s->mutex);
    }
    s->phase = 2;
    tni_cond_broadcast(&s->cond);
    tni_mutex_unlock(&s->mutex);
}

static void thread__runs_named_and_without_signals(void **state) {
    shared s = {.phase = 0};
    tni_thread thread;
    (void)state;
    assert_int_equal(tni_mutex_init(&s.mutex), TN_OK);
    assert_int_equal(tni_cond_init(&s.cond), TN_OK);
    assert_int_equal(tni_thread_start(&thread, "tenon-test-with-a-long-name", answer, &s), TN_OK);
    tni_mutex_lock(&s.mutex);
    s.phase = 1;
    tni_cond_signal(&s.cond);
    while (s.phase != 2) {
        assert_true(tni_cond_wait_until(&s.cond, &s.mutex, tni_clock_deadline(10000000000u)));
    }
    tni_mutex_unlock(&s.mutex);
    tni_thread_join(&thread);
    assert_string_equal(s.name, "tenon-test-with");
    assert_true(s.blocks_signals);
    tni_cond_deinit(&s.cond);
    tni_mutex_deinit(&s.mutex);
}

static void cond_wait_until__gives_up_at_the_deadline(void **state) {
    shared s = {.phase = 0};
    (void)state;
    assert_int_equal(tni_mutex_init(&s.mutex), TN_OK);
    assert_int_equal(tni_cond_init(&s.cond), TN_OK);
    tni_mutex_lock(&s.mutex);
    const uint64_t deadline = tni_clock_deadline(20000000);
    bool signalled = true;
    while (signalled) {
        signalled = tni_cond_wait_until(&s.cond, &s.mutex, deadline);
    }
    assert_true(tni_clock_ns() >= deadline);
    assert_false(tni_cond_wait_until(&s.cond, &s.mutex, 0));
    tni_mutex_unlock(&s.mutex);
    tni_cond_deinit(&s.cond);
    tni_mutex_deinit(&s.mutex);
}

static void clock__goes_forward_and_saturates(void **state) {
    (void)state;
    const uint64_t before = tni_clock_ns();
    assert_true(tni_clock_ns() >= before);
    assert_int_equal(tni_clock_deadline(UINT64_MAX), UINT64_MAX);
    assert_true(tni_clock_deadline(1000000000) >= before + 1000000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread__runs_named_and_without_signals),
        cmocka_unit_test(cond_wait_until__gives_up_at_the_deadline),
        cmocka_unit_test(clock__goes_forward_and_saturates),
    };
    return cmocka_run_group_tests_name("base_thread", tests, NULL, NULL);
}
