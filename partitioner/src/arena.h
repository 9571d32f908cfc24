// SPDX-License-Identifier: Apache-2.0
// Memory of one call: everything a search allocates goes at once when it ends.
#ifndef TENON_PARTITIONER_ARENA_H
#define TENON_PARTITIONER_ARENA_H

#include "tenon/partition.h"

typedef struct tnp_arena_block tnp_arena_block;

typedef struct tnp_arena {
    const tnp_allocator *allocator;
    tnp_arena_block *blocks;
} tnp_arena;

// Zeroed, aligned for any of the partitioner's types; null when out of memory or when count times
// size overflows. count 0 gives a valid pointer to nothing.
void *tnp_arena_array(tnp_arena *arena, uint64_t count, uint64_t size);

// The same for memory that outlives the arena; free it with tnp_free_array.
void *tnp_alloc_array(const tnp_allocator *allocator, uint64_t count, uint64_t size);
void tnp_free_array(const tnp_allocator *allocator, void *array, uint64_t count, uint64_t size);

void tnp_arena_release(tnp_arena *arena);

#endif // TENON_PARTITIONER_ARENA_H
