// SPDX-License-Identifier: Apache-2.0
// The allocator that the embedder hands over at creation, and the few helpers everything else uses.
// Every block is freed with the size and alignment it was allocated with. Read next: arena.h.
#ifndef TENON_BASE_ALLOC_H
#define TENON_BASE_ALLOC_H

#include "tenon/abi/status.h"

#include <stdint.h>

// What a block is aligned to when nothing is asked for.
#define TNI_ALIGNMENT 16u
#define TNI_MAX_ALIGNMENT 4096u

// Copied by whoever keeps it; user must stay valid as long as any block lives. Both functions are
// called from any thread, at the same time.
typedef struct tni_alloc {
    // Returns null when memory is exhausted. size_bytes > 0; alignment_bytes is a power of two.
    void *(*alloc)(void *user, uint64_t size_bytes, uint64_t alignment_bytes);
    // pointer is not null; size and alignment are those of the allocation.
    void (*free)(void *user, void *pointer, uint64_t size_bytes, uint64_t alignment_bytes);
    void *user;
} tni_alloc;

// Returns the allocator over the C library. Static, any thread.
const tni_alloc *tni_alloc_default(void);
// The same, asking the system for large pages for blocks that fill some.
const tni_alloc *tni_alloc_large_pages(void);

// An allocator over inner, which must outlive its blocks, that overwrites every block before it
// goes.
tni_alloc tni_alloc_wiping(const tni_alloc *inner);

// Allocates size_bytes, uninitialised, at alignment_bytes (a power of two up to TNI_MAX_ALIGNMENT).
// Returns null when the size is 0, the alignment is invalid, or memory is exhausted.
void *tni_alloc_bytes(const tni_alloc *alloc, uint64_t size_bytes, uint64_t alignment_bytes);

// The same, zeroed, at TNI_ALIGNMENT.
void *tni_alloc_zeroed(const tni_alloc *alloc, uint64_t size_bytes);

// Zeroed room for count items; null also when count * item_bytes overflows.
void *tni_alloc_array(const tni_alloc *alloc, uint64_t count, uint64_t item_bytes);

// Frees a block of tni_alloc_bytes. A null pointer is ignored.
void tni_free_aligned(const tni_alloc *alloc, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes);

// Frees a block of tni_alloc_zeroed, or of tni_alloc_bytes at TNI_ALIGNMENT. Null is ignored.
void tni_free(const tni_alloc *alloc, void *pointer, uint64_t size_bytes);

// Frees a block of tni_alloc_array. Null is ignored.
void tni_free_array(const tni_alloc *alloc, void *pointer, uint64_t count, uint64_t item_bytes);

// Moves a block at TNI_ALIGNMENT to a new size; new bytes are zero. Returns null, with the old
// block untouched, when memory is exhausted. A null pointer with old size 0 allocates.
void *tni_realloc(const tni_alloc *alloc, void *pointer, uint64_t old_bytes, uint64_t new_bytes);

// Makes room for at least needed items in a growing array of *inout_capacity items, at least
// doubling it. *inout_items is replaced only on success; new items are zero. The array is freed
// with tni_free_array(alloc, items, capacity, item_bytes). TN_OK · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_LIMIT_EXCEEDED needed is above 2^32 - 2.
TN_MUST_USE tn_status tni_grow(const tni_alloc *alloc, void **inout_items, uint32_t *inout_capacity,
                               uint64_t needed, uint64_t item_bytes);

#endif // TENON_BASE_ALLOC_H
