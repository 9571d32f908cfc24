// SPDX-License-Identifier: Apache-2.0
// How long OpenMP's threads stay awake while they wait for each other: long, unless the machine
// holds one of them up. See waiting.c.
#ifndef TENON_CPU_WAITING_H
#define TENON_CPU_WAITING_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

// Machines with more processors than this have one left for everybody, and larger teams are let be.
#define CPU_WATCHED 32u

// What a context's team got of the processors since some moment of a run.
typedef struct cpu_waiting {
    uint32_t threads; // whose clocks are known; 0: none yet
    pthread_t owner;  // of the team
    uint64_t since_ns;
    uint64_t seen_ns; // the end of the last step
    uint64_t well_ns; // of runs, since somebody was held up last
    clockid_t clocks[CPU_WATCHED];
    uint64_t ran_ns[CPU_WATCHED];
} cpu_waiting;

// Programs with several threads; the last one's release ends what the first's began. [any thread;
// may block]
void tni_cpu_waiting_acquire(void);
void tni_cpu_waiting_release(void);

// At the start of a run with so many threads, and behind each of its steps. [one thread a context]
void tni_cpu_waiting_begin(cpu_waiting *w, uint32_t threads);
void tni_cpu_waiting_step(cpu_waiting *w);

// The parts of it, for tests. Whether a thread ran so little of the time that it was held up.
uint32_t tni_cpu_is_held_up(uint64_t ran_ns, uint64_t passed_ns);
// Lets waits be short for so long, or, with 0, long again. Returns whether they are short.
uint32_t tni_cpu_wait_shortly(uint64_t for_ns);

#endif // TENON_CPU_WAITING_H
