// SPDX-License-Identifier: Apache-2.0
// plugins/cpu/waiting.c: who counts as held up, and that short waits are short: the time that the
// process's threads run says so, on a busy machine as well.
#include "plugins/cpu/waiting.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define MS 1000000u
// Seldom, however long the machine makes a sleep.
#define LONG_WELL_NS (UINT64_C(3600000) * MS)

static void is_held_up__who_ran_too_little_of_the_time(void **state) {
    (void)state;
    assert_false(tni_cpu_is_held_up(3 * MS, 3 * MS));
    assert_false(tni_cpu_is_held_up(2 * MS, 3 * MS));
    assert_true(tni_cpu_is_held_up(3 * MS / 2, 3 * MS));
    assert_true(tni_cpu_is_held_up(0, 3 * MS));
}

static uint64_t ran(void) {
    struct timespec t = {0};
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000u * MS + (uint64_t)t.tv_nsec;
}

// Until a team of two that has done something is asleep, and somewhat longer.
static uint64_t spent_after_a_region(void) {
    const struct timespec pause = {.tv_nsec = 60 * MS};
    atomic_int there;
    atomic_init(&there, 0);
#pragma omp parallel num_threads(2)
    { atomic_fetch_add(&there, 1); }
    assert_int_equal(atomic_load(&there), 2);
    const uint64_t before = ran();
    assert_int_equal(nanosleep(&pause, NULL), 0);
    return ran() - before;
}

// The team that makes waits short has to come first, which on a busy machine takes its time.
static uint32_t sleeps_early(void) {
    for (uint32_t i = 0; i < 50; i++) {
        if (spent_after_a_region() < 3 * MS) {
            return 1;
        }
    }
    return 0;
}

static void wait_shortly__puts_a_team_to_sleep_early(void **state) {
    (void)state;
    if (omp_get_num_procs() > (int)CPU_WATCHED) {
        skip(); // nobody waits shortly there
    }
    tni_cpu_waiting_acquire();
    (void)spent_after_a_region();
    assert_true(tni_cpu_wait_shortly(1000u * MS));
    assert_true(tni_cpu_wait_shortly(1000u * MS)); // still
    assert_true(sleeps_early());
    assert_false(tni_cpu_wait_shortly(0));
    assert_true(tni_cpu_wait_shortly(1000u * MS));
    tni_cpu_waiting_release(); // ends it
    assert_false(tni_cpu_wait_shortly(0));
}

static void step__shortens_waits_where_threads_did_not_run(void **state) {
    (void)state;
    cpu_waiting w = {.threads = 0};
    tni_cpu_waiting_acquire();
    tni_cpu_waiting_begin(&w, 1);
    assert_int_equal(w.threads, 0);
    tni_cpu_waiting_begin(&w, 2);
    assert_int_equal(w.threads, 2);
    const uint64_t since = w.since_ns;
    tni_cpu_waiting_step(&w);
    assert_int_equal(w.since_ns, since); // too early to tell
    (void)spent_after_a_region();        // of which both threads slept most
    tni_cpu_waiting_step(&w);
    assert_true(w.since_ns > since);
    assert_true(omp_get_num_procs() > (int)CPU_WATCHED || sleeps_early());
    tni_cpu_waiting_release();
}

// A step that both threads mostly slept through. Returns whether it was looked at, which none is
// while waits are short.
static uint32_t sees_slept(cpu_waiting *w) {
    tni_cpu_waiting_begin(w, 2);
    const uint64_t since = w->since_ns;
    (void)spent_after_a_region();
    tni_cpu_waiting_step(w);
    return w->since_ns > since;
}

static void step__lets_be_what_happens_seldom(void **state) {
    (void)state;
    if (omp_get_num_procs() > (int)CPU_WATCHED) {
        skip();
    }
    cpu_waiting w = {.threads = 0};
    tni_cpu_waiting_acquire();
    w.well_ns = LONG_WELL_NS;
    assert_true(sees_slept(&w));
    assert_int_equal(w.well_ns, 0);
    w.well_ns = LONG_WELL_NS;
    assert_true(sees_slept(&w)); // waits were not short
    assert_true(sees_slept(&w)); // nor are they yet, but this is the second at once
    assert_true(sleeps_early());
    tni_cpu_waiting_release();
}

static void begin__counts_what_ended_early_as_well(void **state) {
    (void)state;
    cpu_waiting w = {.threads = 0};
    tni_cpu_waiting_acquire();
    tni_cpu_waiting_begin(&w, 2);
    tni_cpu_waiting_step(&w);
    const uint64_t well = w.well_ns;              // not 0 where the machine made a window of it
    const uint64_t took = w.seen_ns - w.since_ns; // 0 there
    assert_true(well + took > 0 || w.threads == 0);
    tni_cpu_waiting_begin(&w, 2);
    assert_int_equal(w.well_ns, well + took);
    tni_cpu_waiting_release();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_held_up__who_ran_too_little_of_the_time),
        cmocka_unit_test(wait_shortly__puts_a_team_to_sleep_early),
        cmocka_unit_test(step__shortens_waits_where_threads_did_not_run),
        cmocka_unit_test(step__lets_be_what_happens_seldom),
        cmocka_unit_test(begin__counts_what_ended_early_as_well),
    };
    return cmocka_run_group_tests_name("cpu_waiting", tests, NULL, NULL);
}
