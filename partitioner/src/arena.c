// SPDX-License-Identifier: Apache-2.0
// A list of blocks, one an allocation: a search makes some dozens of them, all of known size.
#include "arena.h"

#include <string.h>

struct tnp_arena_block {
    tnp_arena_block *next;
    uint64_t size_bytes;
};

// One byte more than nothing, so that an empty array is no failure.
static int array_bytes(uint64_t count, uint64_t size, uint64_t *out_bytes) {
    if (size != 0 && count > (UINT64_MAX - 64) / size) {
        return 0;
    }
    *out_bytes = count * size + 1;
    return 1;
}

void *tnp_alloc_array(const tnp_allocator *allocator, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (!array_bytes(count, size, &bytes)) {
        return NULL;
    }
    void *array = allocator->alloc(allocator->user_data, bytes);
    if (array != NULL) {
        memset(array, 0, bytes);
    }
    return array;
}

void tnp_free_array(const tnp_allocator *allocator, void *array, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (array != NULL && array_bytes(count, size, &bytes)) {
        allocator->free(allocator->user_data, array, bytes);
    }
}

void *tnp_arena_array(tnp_arena *arena, uint64_t count, uint64_t size) {
    uint64_t bytes;
    if (!array_bytes(count, size, &bytes)) {
        return NULL;
    }
    tnp_arena_block *block =
        arena->allocator->alloc(arena->allocator->user_data, sizeof(*block) + bytes);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    block->size_bytes = sizeof(*block) + bytes;
    arena->blocks = block;
    memset(block + 1, 0, bytes);
    return block + 1;
}

void tnp_arena_release(tnp_arena *arena) {
    while (arena->blocks != NULL) {
        tnp_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        arena->allocator->free(arena->allocator->user_data, block, block->size_bytes);
    }
}
