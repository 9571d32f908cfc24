// SPDX-License-Identifier: Apache-2.0
// GCC's OpenMP lets a thread that waits for its team spin for up to 15 ms. That is best as long as
// all of them run: to sleep and be woken takes longer than most layers. Where the machine does
// something else as well, the one that the others wait for gets no processor while they spin, every
// step takes what a scheduler's slice does, and a network forty times its time. So the time that
// each thread ran is held against the time that passed, and where one was held up, and not seldom,
// waits are short for a while: 50 microseconds.
//
// The runtime has no call for that. It waits shortly where it manages more threads than there are
// processors, and is made to by a team that sleeps. What variables of the environment say stays.
#define _POSIX_C_SOURCE 200112L // clocks of other threads

#include "waiting.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

// Longer than a thread that is woken takes, and about as long as a slice of the scheduler's.
#define WINDOW_NS 3000000u
// Who was held up after so many times as long without it is let be: a host takes its processors
// away now and then, and short waits cost more than that.
#define SELDOM 4u
// Waits are short for so long, twice as long each time that they are found too long again.
#define FIRST_NS 20000000u
#define MOST_NS 1280000000u

// One for the process, as the runtime's own counts are.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t users;
static uint32_t is_short; // and there is a holder
static atomic_uint seen_short;
static uint64_t until_ns;
static uint64_t next_ns = FIRST_NS;
static pthread_t holder;
static int sleepers;
static clockid_t clocks[CPU_WATCHED]; // the sleepers'
static atomic_int known;              // how many of these are

static pthread_mutex_t end_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end_changed = PTHREAD_COND_INITIALIZER;
static uint32_t ends;

static uint64_t now(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Brings the team, and sleeps; with its thread the team ends.
static void *hold(void *argument) {
    (void)argument;
#pragma omp parallel num_threads(sleepers + 1)
    {
        const int i = omp_get_thread_num();
        if (i > 0 && pthread_getcpuclockid(pthread_self(), &clocks[i - 1]) == 0) {
            atomic_fetch_add(&known, 1);
        }
    }
    (void)pthread_mutex_lock(&end_mutex);
    while (!ends) {
        (void)pthread_cond_wait(&end_changed, &end_mutex);
    }
    (void)pthread_mutex_unlock(&end_mutex);
    return NULL;
}

static void shorten(void) {
    const int processors = omp_get_num_procs();
    if (is_short || processors > (int)CPU_WATCHED || getenv("OMP_WAIT_POLICY") != NULL ||
        getenv("GOMP_SPINCOUNT") != NULL) {
        return;
    }
    sleepers = processors;
    ends = 0;
    atomic_store(&known, 0);
    is_short = pthread_create(&holder, NULL, hold, NULL) == 0;
    atomic_store(&seen_short, is_short);
}

// The runtime does not wait for its threads to end, but whoever looks at the process's threads
// next, or unloads this library, may count on it. A second is more than they take.
static void await_end_of_team(void) {
    const struct timespec pause = {.tv_nsec = 50000};
    const int count = atomic_load(&known) == sleepers ? sleepers : 0;
    struct timespec t;
    int tries = 20000;
    for (int i = 0; i < count; ++i) {
        while (clock_gettime(clocks[i], &t) == 0 && tries-- > 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

static void lengthen(void) {
    if (!is_short) {
        return;
    }
    (void)pthread_mutex_lock(&end_mutex);
    ends = 1;
    (void)pthread_cond_signal(&end_changed);
    (void)pthread_mutex_unlock(&end_mutex);
    (void)pthread_join(holder, NULL);
    await_end_of_team();
    is_short = 0;
    atomic_store(&seen_short, 0);
}

uint32_t tni_cpu_wait_shortly(uint64_t for_ns) {
    (void)pthread_mutex_lock(&mutex);
    if (for_ns > 0) {
        until_ns = now() + for_ns;
        shorten();
    } else {
        lengthen();
    }
    const uint32_t result = is_short;
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

void tni_cpu_waiting_acquire(void) {
    (void)pthread_mutex_lock(&mutex);
    users += 1;
    (void)pthread_mutex_unlock(&mutex);
}

void tni_cpu_waiting_release(void) {
    (void)pthread_mutex_lock(&mutex);
    users -= 1;
    if (users == 0) {
        lengthen();
        next_ns = FIRST_NS;
    }
    (void)pthread_mutex_unlock(&mutex);
}

static void find_clocks(cpu_waiting *w, uint32_t threads) {
    atomic_uint found;
    atomic_init(&found, 0);
#pragma omp parallel num_threads((int)threads)
    {
        if (pthread_getcpuclockid(pthread_self(), &w->clocks[omp_get_thread_num()]) == 0) {
            atomic_fetch_add(&found, 1);
        }
    }
    // Of a team that is smaller than it was asked to be nothing is known.
    w->threads = atomic_load(&found) == threads ? threads : 0;
    w->owner = pthread_self();
}

// Returns 0 where a thread is no more: teams may get others.
static uint32_t read_clocks(const cpu_waiting *w, uint64_t *out_ran_ns) {
    for (uint32_t i = 0; i < w->threads; ++i) {
        struct timespec t;
        if (clock_gettime(w->clocks[i], &t) != 0) {
            return 0;
        }
        out_ran_ns[i] = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    return 1;
}

void tni_cpu_waiting_begin(cpu_waiting *w, uint32_t threads) {
    if (threads < 2 || threads > CPU_WATCHED) {
        return;
    }
    if (atomic_load_explicit(&seen_short, memory_order_relaxed)) {
        (void)pthread_mutex_lock(&mutex);
        if (is_short && now() >= until_ns) {
            lengthen(); // and see
        }
        (void)pthread_mutex_unlock(&mutex);
    }
    if (w->threads == 0 || !pthread_equal(w->owner, pthread_self()) || !read_clocks(w, w->ran_ns)) {
        find_clocks(w, threads);
        w->threads = read_clocks(w, w->ran_ns) ? w->threads : 0;
    }
    // What ended before it filled a window held nobody up for long.
    w->well_ns += w->seen_ns - w->since_ns;
    w->since_ns = now();
    w->seen_ns = w->since_ns;
}

uint32_t tni_cpu_is_held_up(uint64_t ran_ns, uint64_t passed_ns) {
    return ran_ns < passed_ns / 8 * 5 ? 1u : 0u;
}

static void judge(uint32_t held_up, uint32_t often) {
    (void)pthread_mutex_lock(&mutex);
    if (!held_up || !often) {
        next_ns = FIRST_NS;
    } else if (!is_short) {
        shorten();
        until_ns = now() + next_ns;
        next_ns = next_ns * 2 < MOST_NS ? next_ns * 2 : MOST_NS;
    }
    (void)pthread_mutex_unlock(&mutex);
}

void tni_cpu_waiting_step(cpu_waiting *w) {
    if (w->threads == 0 || atomic_load_explicit(&seen_short, memory_order_relaxed)) {
        return;
    }
    w->seen_ns = now();
    const uint64_t passed = w->seen_ns - w->since_ns;
    uint64_t ran[CPU_WATCHED];
    if (passed < WINDOW_NS || !read_clocks(w, ran)) {
        return;
    }
    uint32_t held_up = 0;
    for (uint32_t i = 0; i < w->threads; ++i) {
        held_up |= tni_cpu_is_held_up(ran[i] - w->ran_ns[i], passed);
        w->ran_ns[i] = ran[i];
    }
    w->since_ns = w->seen_ns;
    const uint32_t often = w->well_ns / SELDOM < passed;
    w->well_ns = held_up ? 0 : w->well_ns + passed;
    judge(held_up, often);
}
