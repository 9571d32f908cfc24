// SPDX-License-Identifier: Apache-2.0
// Memory that is given back all at once: what one instance of a program consists of, and weights.
#ifndef TENON_CPU_ARENA_H
#define TENON_CPU_ARENA_H

#include "tenon/helper/sync_adapter.h"

typedef struct cpu_chunk cpu_chunk;

typedef struct cpu_arena {
    tn_helper_host host;
    uint64_t least_bytes; // of a chunk; less than a small one: that
    cpu_chunk *chunks;
    uint64_t total_bytes;
} cpu_arena;

// Zeroed, aligned to 64 bytes; null when there is no memory. Size 0 gives an address as well.
void *tni_cpu_arena_alloc(cpu_arena *arena, uint64_t size_bytes);
// The same, not zeroed.
void *tni_cpu_arena_room(cpu_arena *arena, uint64_t size_bytes);
void *tni_cpu_arena_array(cpu_arena *arena, uint64_t count, uint64_t element_bytes);
// A longer copy of an array, whose old place stays taken.
void *tni_cpu_arena_grow(cpu_arena *arena, const void *old, uint64_t old_count, uint64_t new_count,
                         uint64_t element_bytes);
void tni_cpu_arena_deinit(cpu_arena *arena);

#endif // TENON_CPU_ARENA_H
