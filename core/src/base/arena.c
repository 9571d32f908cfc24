// SPDX-License-Identifier: Apache-2.0
// The bump arena: chunks double from 4 KiB to 1 MiB; a larger block gets a chunk of its own.
#include "base/arena.h"

#include "base/checked.h"

#include <string.h>

#define MIN_CHUNK_BYTES ((uint64_t)4096)
#define MAX_CHUNK_BYTES ((uint64_t)1 << 20)

struct tni_arena_chunk {
    tni_arena_chunk *next;
    uint64_t total_bytes; // this header included
    uint64_t used_bytes;  // this header included
    uint64_t padding;     // keeps the first block 16-aligned
};

void tni_arena_init(tni_arena *arena, const tni_alloc *alloc, uint64_t limit_bytes) {
    *arena = (tni_arena){.alloc = *alloc, .limit_bytes = limit_bytes};
}

void tni_arena_deinit(tni_arena *arena) {
    tni_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        tni_arena_chunk *next = chunk->next;
        tni_free(&arena->alloc, chunk, chunk->total_bytes);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->used_bytes = 0;
}

static tn_status add_chunk(tni_arena *arena, uint64_t block_bytes) {
    uint64_t wanted = MIN_CHUNK_BYTES;
    if (arena->chunks != NULL) {
        wanted = arena->chunks->total_bytes * 2;
        wanted = wanted > MAX_CHUNK_BYTES ? MAX_CHUNK_BYTES : wanted;
    }
    uint64_t needed = 0;
    if (!tni_add_u64(block_bytes, sizeof(tni_arena_chunk) + TNI_ALIGNMENT, &needed)) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    const uint64_t left_bytes = arena->limit_bytes - arena->used_bytes;
    wanted = wanted < needed ? needed : wanted;
    wanted = wanted > left_bytes ? needed : wanted;
    if (wanted > left_bytes) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    tni_arena_chunk *chunk = tni_alloc_bytes(&arena->alloc, wanted, TNI_ALIGNMENT);
    if (chunk == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    *chunk = (tni_arena_chunk){
        .next = arena->chunks, .total_bytes = wanted, .used_bytes = sizeof(tni_arena_chunk)};
    arena->chunks = chunk;
    arena->used_bytes += wanted;
    return TN_OK;
}

static void *take(tni_arena_chunk *chunk, uint64_t size_bytes, uint64_t alignment_bytes) {
    if (chunk == NULL) {
        return NULL;
    }
    const uint64_t begin = (chunk->used_bytes + alignment_bytes - 1) & ~(alignment_bytes - 1);
    if (begin > chunk->total_bytes || size_bytes > chunk->total_bytes - begin) {
        return NULL;
    }
    chunk->used_bytes = begin + size_bytes;
    uint8_t *block = (uint8_t *)chunk + begin;
    memset(block, 0, (size_t)size_bytes);
    return block;
}

tn_status tni_arena_alloc(tni_arena *arena, uint64_t size_bytes, uint64_t alignment_bytes,
                          void **out_pointer) {
    *out_pointer = take(arena->chunks, size_bytes, alignment_bytes);
    if (*out_pointer != NULL) {
        return TN_OK;
    }
    const tn_status status = add_chunk(arena, size_bytes);
    if (status != TN_OK) {
        return status;
    }
    *out_pointer = take(arena->chunks, size_bytes, alignment_bytes);
    return *out_pointer != NULL ? TN_OK : TN_ERROR_INTERNAL;
}

tn_status tni_arena_array(tni_arena *arena, uint64_t count, uint64_t item_bytes,
                          uint64_t alignment_bytes, void **out_pointer) {
    uint64_t size_bytes = 0;
    *out_pointer = NULL;
    if (!tni_mul_u64(count, item_bytes, &size_bytes)) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    return tni_arena_alloc(arena, size_bytes, alignment_bytes, out_pointer);
}

tn_status tni_arena_text(tni_arena *arena, tn_string text, tn_string *out_text) {
    void *copy = NULL;
    uint64_t size_bytes = 0;
    *out_text = (tn_string){NULL, 0};
    if (!tni_add_u64(text.size_bytes, 1, &size_bytes)) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    const tn_status status = tni_arena_alloc(arena, size_bytes, 1, &copy);
    if (status != TN_OK) {
        return status;
    }
    if (text.size_bytes > 0) {
        memcpy(copy, text.data, (size_t)text.size_bytes);
    }
    *out_text = (tn_string){copy, text.size_bytes};
    return TN_OK;
}
