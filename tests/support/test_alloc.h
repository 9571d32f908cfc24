// SPDX-License-Identifier: Apache-2.0
// An allocator for tests: counts, tracks every live block, checks what is given back, fails on
// command, and enforces a cap. Any thread.
#ifndef TENON_TESTS_TEST_ALLOC_H
#define TENON_TESTS_TEST_ALLOC_H

#include "base/alloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum test_alloc_mode {
    TEST_ALLOC_NORMAL,
    TEST_ALLOC_FAIL_ONE,  // only allocation number fail_at fails
    TEST_ALLOC_FAIL_FROM, // that one and every later one fail
} test_alloc_mode;

typedef struct test_alloc {
    tni_alloc alloc; // hand this to the code under test
    pthread_mutex_t lock;
    test_alloc_mode mode;
    uint64_t fail_at;   // counted from 0 since init or reset
    uint64_t cap_bytes; // 0: none; live bytes above it fail
    uint64_t count;     // allocations asked for
    uint64_t failed;    // of those, refused
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint64_t peak_bytes;
    uint64_t mistakes; // frees with another size or alignment, or of an unknown block
} test_alloc;

// Prepares an allocator over the C library; allocator->alloc.user points at it, so it must not
// move.
void test_alloc_init(test_alloc *allocator);
// Frees what the allocator itself holds. Blocks that are still live stay live.
void test_alloc_deinit(test_alloc *allocator);
// Zeroes the counts (not the live blocks) and sets what shall fail.
void test_alloc_reset(test_alloc *allocator, test_alloc_mode mode, uint64_t fail_at);
// Whether nothing is live and no mistake was made.
bool test_alloc_clean(const test_alloc *allocator);

#endif // TENON_TESTS_TEST_ALLOC_H
