// SPDX-License-Identifier: Apache-2.0
// A bump arena: many small blocks with one lifetime, in growing chunks of an allocator, under a
// byte limit that keeps hostile input from taking the machine.
#ifndef TENON_BASE_ARENA_H
#define TENON_BASE_ARENA_H

#include "base/alloc.h"
#include "base/string.h"

#include <stdint.h>

typedef struct tni_arena_chunk tni_arena_chunk;

// Single owner, single thread. A zeroed arena may be deinitialised.
typedef struct tni_arena {
    tni_alloc alloc;
    tni_arena_chunk *chunks; // newest first
    uint64_t limit_bytes;
    uint64_t used_bytes; // taken from alloc, headers included
} tni_arena;

// Prepares an empty arena; nothing is allocated yet. limit_bytes bounds what is ever taken from
// alloc.
void tni_arena_init(tni_arena *arena, const tni_alloc *alloc, uint64_t limit_bytes);

// Frees every block at once.
void tni_arena_deinit(tni_arena *arena);

// Allocates zeroed bytes that live as long as the arena. alignment_bytes: a power of two up to 16.
// A size of 0 gives a valid pointer to nothing. TN_OK · TN_ERROR_LIMIT_EXCEEDED the arena's limit ·
// TN_ERROR_OUT_OF_MEMORY the allocator gave none. *out_pointer is null on failure.
TN_MUST_USE tn_status tni_arena_alloc(tni_arena *arena, uint64_t size_bytes,
                                      uint64_t alignment_bytes, void **out_pointer);

// The same for count items; an overflowing product counts as LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_arena_array(tni_arena *arena, uint64_t count, uint64_t item_bytes,
                                      uint64_t alignment_bytes, void **out_pointer);

// Copies a text and appends a NUL that is not counted. Errors as tni_arena_alloc.
TN_MUST_USE tn_status tni_arena_text(tni_arena *arena, tn_string text, tn_string *out_text);

#endif // TENON_BASE_ARENA_H
