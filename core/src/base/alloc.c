// SPDX-License-Identifier: Apache-2.0
// Allocation helpers, and the only place in the product that calls the C library's allocator.
#include "base/alloc.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *libc_alloc(void *user, uint64_t size_bytes, uint64_t alignment_bytes) {
    (void)user;
    void *pointer = NULL;
    if (alignment_bytes <= TNI_ALIGNMENT) {
        return malloc((size_t)size_bytes);
    }
    if (posix_memalign(&pointer, (size_t)alignment_bytes, (size_t)size_bytes) != 0) {
        return NULL;
    }
    return pointer;
}

static void libc_free(void *user, void *pointer, uint64_t size_bytes, uint64_t alignment_bytes) {
    (void)user;
    (void)size_bytes;
    (void)alignment_bytes;
    free(pointer);
}

const tni_alloc *tni_alloc_default(void) {
    static const tni_alloc libc = {libc_alloc, libc_free, NULL};
    return &libc;
}

// Weights and tensors are read from end to end in every run, through more small pages than a
// processor remembers (docs/decisions/0019-large-pages.md).
#define LARGE_PAGE_BYTES ((uint64_t)2 << 20)

// Whole large pages of a block are asked for as such; what is left over is made of small ones, so
// that no more memory is taken. Where the system grants none, nothing changes.
static void *large_alloc(void *user, uint64_t size_bytes, uint64_t alignment_bytes) {
    if (size_bytes < LARGE_PAGE_BYTES || size_bytes > (uint64_t)PTRDIFF_MAX - LARGE_PAGE_BYTES) {
        return libc_alloc(user, size_bytes, alignment_bytes);
    }
    void *pointer = libc_alloc(user, size_bytes, LARGE_PAGE_BYTES);
    if (pointer != NULL) {
        (void)madvise(pointer, (size_t)(size_bytes / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES),
                      MADV_HUGEPAGE);
    }
    return pointer;
}

const tni_alloc *tni_alloc_large_pages(void) {
    static const tni_alloc large = {large_alloc, libc_free, NULL};
    return &large;
}

static void *pass_alloc(void *user, uint64_t size_bytes, uint64_t alignment_bytes) {
    const tni_alloc *inner = user;
    return inner->alloc(inner->user, size_bytes, alignment_bytes);
}

static void wiping_free(void *user, void *pointer, uint64_t size_bytes, uint64_t alignment_bytes) {
    const tni_alloc *inner = user;
    explicit_bzero(pointer, (size_t)size_bytes);
    inner->free(inner->user, pointer, size_bytes, alignment_bytes);
}

tni_alloc tni_alloc_wiping(const tni_alloc *inner) {
    // The allocator is only read through this pointer.
    return (tni_alloc){pass_alloc, wiping_free, (void *)(uintptr_t)inner};
}

void *tni_alloc_bytes(const tni_alloc *alloc, uint64_t size_bytes, uint64_t alignment_bytes) {
    const bool valid = alignment_bytes != 0 && (alignment_bytes & (alignment_bytes - 1)) == 0 &&
                       alignment_bytes <= TNI_MAX_ALIGNMENT;
    // PTRDIFF_MAX is what the C library can hand out at most; beyond it, compilers assume nothing.
    if (!valid || size_bytes == 0 || size_bytes > (uint64_t)PTRDIFF_MAX) {
        return NULL;
    }
    return alloc->alloc(alloc->user, size_bytes, alignment_bytes);
}

void *tni_alloc_zeroed(const tni_alloc *alloc, uint64_t size_bytes) {
    void *pointer = tni_alloc_bytes(alloc, size_bytes, TNI_ALIGNMENT);
    if (pointer != NULL) {
        memset(pointer, 0, (size_t)size_bytes);
    }
    return pointer;
}

void *tni_alloc_array(const tni_alloc *alloc, uint64_t count, uint64_t item_bytes) {
    uint64_t size_bytes = 0;
    if (!tni_mul_u64(count, item_bytes, &size_bytes)) {
        return NULL;
    }
    return tni_alloc_zeroed(alloc, size_bytes);
}

void tni_free_aligned(const tni_alloc *alloc, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes) {
    if (pointer != NULL) {
        alloc->free(alloc->user, pointer, size_bytes, alignment_bytes);
    }
}

void tni_free(const tni_alloc *alloc, void *pointer, uint64_t size_bytes) {
    tni_free_aligned(alloc, pointer, size_bytes, TNI_ALIGNMENT);
}

void tni_free_array(const tni_alloc *alloc, void *pointer, uint64_t count, uint64_t item_bytes) {
    tni_free(alloc, pointer, count * item_bytes);
}

void *tni_realloc(const tni_alloc *alloc, void *pointer, uint64_t old_bytes, uint64_t new_bytes) {
    uint8_t *moved = tni_alloc_bytes(alloc, new_bytes, TNI_ALIGNMENT);
    if (moved == NULL) {
        return NULL;
    }
    const uint64_t kept_bytes = old_bytes < new_bytes ? old_bytes : new_bytes;
    if (kept_bytes > 0) {
        memcpy(moved, pointer, (size_t)kept_bytes);
    }
    memset(moved + kept_bytes, 0, (size_t)(new_bytes - kept_bytes));
    tni_free(alloc, pointer, old_bytes);
    return moved;
}

tn_status tni_grow(const tni_alloc *alloc, void **inout_items, uint32_t *inout_capacity,
                   uint64_t needed, uint64_t item_bytes) {
    const uint64_t old_capacity = *inout_capacity;
    if (needed <= old_capacity) {
        return TN_OK;
    }
    const uint64_t max_count = (uint64_t)TN_NONE - 1;
    if (needed > max_count) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    uint64_t capacity = old_capacity < 8 ? 8 : old_capacity * 2;
    capacity = capacity < needed ? needed : capacity;
    capacity = capacity > max_count ? max_count : capacity;
    uint64_t new_bytes = 0;
    if (!tni_mul_u64(capacity, item_bytes, &new_bytes)) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    void *items = tni_realloc(alloc, *inout_items, old_capacity * item_bytes, new_bytes);
    if (items == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    *inout_items = items;
    *inout_capacity = (uint32_t)capacity;
    return TN_OK;
}
