// SPDX-License-Identifier: Apache-2.0
// The tracking allocator. Every block carries a header in front of it with what was asked for,
// which the free is checked against.
#include "support/test_alloc.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC_LIVE 0x7e57a110c8edu
#define MAGIC_DEAD 0xdeadb10cu

typedef struct {
    void *base; // what the C library gave
    uint64_t magic;
    uint64_t size_bytes;
    uint64_t alignment_bytes;
} header;

// Decides under the lock whether this allocation may happen, and accounts for it.
static bool admit(test_alloc *a, uint64_t size_bytes) {
    const uint64_t number = a->count++;
    const bool fails = (a->mode == TEST_ALLOC_FAIL_ONE && number == a->fail_at) ||
                       (a->mode == TEST_ALLOC_FAIL_FROM && number >= a->fail_at) ||
                       (a->cap_bytes != 0 && size_bytes > a->cap_bytes - a->live_bytes);
    if (fails) {
        a->failed++;
        return false;
    }
    a->live_blocks++;
    a->live_bytes += size_bytes;
    a->peak_bytes = a->live_bytes > a->peak_bytes ? a->live_bytes : a->peak_bytes;
    return true;
}

static void *tracked_alloc(void *user, uint64_t size_bytes, uint64_t alignment_bytes) {
    test_alloc *a = user;
    pthread_mutex_lock(&a->lock);
    const bool admitted = admit(a, size_bytes);
    pthread_mutex_unlock(&a->lock);
    if (!admitted) {
        return NULL;
    }
    char *base = malloc((size_t)(size_bytes + alignment_bytes + sizeof(header)));
    if (base == NULL) {
        abort();
    }
    const uintptr_t lowest = (uintptr_t)base + sizeof(header);
    const uintptr_t start = (lowest + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
    char *block = base + (start - (uintptr_t)base);
    const header h = {base, MAGIC_LIVE, size_bytes, alignment_bytes};
    memcpy(block - sizeof h, &h, sizeof h);
    // Whoever reads memory that nobody wrote gets noise, not zeros.
    memset(block, 0xa5, (size_t)size_bytes);
    return block;
}

static void tracked_free(void *user, void *pointer, uint64_t size_bytes, uint64_t alignment_bytes) {
    test_alloc *a = user;
    header h;
    memcpy(&h, (char *)pointer - sizeof h, sizeof h);
    pthread_mutex_lock(&a->lock);
    const bool right =
        h.magic == MAGIC_LIVE && h.size_bytes == size_bytes && h.alignment_bytes == alignment_bytes;
    a->mistakes += right ? 0 : 1;
    if (h.magic == MAGIC_LIVE) {
        a->live_blocks--;
        a->live_bytes -= h.size_bytes;
    }
    pthread_mutex_unlock(&a->lock);
    if (h.magic != MAGIC_LIVE) {
        return;
    }
    memset(pointer, 0x5a, (size_t)h.size_bytes);
    void *base = h.base;
    h.magic = MAGIC_DEAD;
    memcpy((char *)pointer - sizeof h, &h, sizeof h);
    free(base);
}

void test_alloc_init(test_alloc *allocator) {
    memset(allocator, 0, sizeof *allocator);
    pthread_mutex_init(&allocator->lock, NULL);
    allocator->alloc = (tni_alloc){tracked_alloc, tracked_free, allocator};
}

void test_alloc_deinit(test_alloc *allocator) {
    pthread_mutex_destroy(&allocator->lock);
}

void test_alloc_reset(test_alloc *allocator, test_alloc_mode mode, uint64_t fail_at) {
    allocator->mode = mode;
    allocator->fail_at = fail_at;
    allocator->count = 0;
    allocator->failed = 0;
    allocator->peak_bytes = allocator->live_bytes;
}

bool test_alloc_clean(const test_alloc *allocator) {
    return allocator->live_blocks == 0 && allocator->live_bytes == 0 && allocator->mistakes == 0;
}
