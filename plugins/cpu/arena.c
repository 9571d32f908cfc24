// SPDX-License-Identifier: Apache-2.0
// Chunks in a list, each filled from its beginning.
#include "arena.h"

#include <string.h>

#define CHUNK_BYTES 65536u
#define ALIGNMENT 64u

struct cpu_chunk {
    cpu_chunk *next;
    uint64_t size_bytes; // of the whole chunk, this header included
    uint64_t used_bytes;
};

static uint64_t rounded(uint64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *tni_cpu_arena_room(cpu_arena *arena, uint64_t size_bytes) {
    const uint64_t usual = arena->least_bytes > CHUNK_BYTES ? arena->least_bytes : CHUNK_BYTES;
    const uint64_t header = rounded(sizeof(cpu_chunk));
    if (size_bytes > UINT64_MAX / 2) {
        return NULL;
    }
    const uint64_t wanted = rounded(size_bytes > 0 ? size_bytes : 1);
    cpu_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < wanted) {
        const uint64_t room = wanted + header > usual ? wanted + header : usual;
        chunk = arena->host.services->alloc(arena->host.context, room, ALIGNMENT);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (cpu_chunk){.size_bytes = room, .used_bytes = header};
        arena->total_bytes += room;
        // A chunk made for one large thing is full; the one before it may still have room.
        if (arena->chunks != NULL && room > usual) {
            chunk->next = arena->chunks->next;
            arena->chunks->next = chunk;
        } else {
            chunk->next = arena->chunks;
            arena->chunks = chunk;
        }
    }
    unsigned char *place = (unsigned char *)chunk + chunk->used_bytes;
    chunk->used_bytes += wanted;
    return place;
}

void *tni_cpu_arena_alloc(cpu_arena *arena, uint64_t size_bytes) {
    void *place = tni_cpu_arena_room(arena, size_bytes);
    if (place != NULL) {
        memset(place, 0, rounded(size_bytes > 0 ? size_bytes : 1));
    }
    return place;
}

void *tni_cpu_arena_array(cpu_arena *arena, uint64_t count, uint64_t element_bytes) {
    return element_bytes != 0 && count > UINT64_MAX / 2 / element_bytes
               ? NULL
               : tni_cpu_arena_alloc(arena, count * element_bytes);
}

void *tni_cpu_arena_grow(cpu_arena *arena, const void *old, uint64_t old_count, uint64_t new_count,
                         uint64_t element_bytes) {
    void *grown = tni_cpu_arena_array(arena, new_count, element_bytes);
    if (grown != NULL && old_count > 0) {
        memcpy(grown, old, old_count * element_bytes);
    }
    return grown;
}

void tni_cpu_arena_deinit(cpu_arena *arena) {
    while (arena->chunks != NULL) {
        cpu_chunk *next = arena->chunks->next;
        arena->host.services->free(arena->host.context, arena->chunks, arena->chunks->size_bytes,
                                   ALIGNMENT);
        arena->chunks = next;
    }
    arena->total_bytes = 0;
}
