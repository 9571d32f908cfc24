// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing, at most two thirds full. A number is a text of its 8 bytes
// whose data pointer is null, so both kinds of key share one table.
#include "base/map.h"

#include "base/clock.h"
#include "base/hash.h"

struct tni_map_slot {
    const char *key;
    uint64_t size_bytes; // of the text, or the number itself
    uint64_t hash;
    uint32_t value;
    uint32_t used;
};

void tni_map_init(tni_map *map, const tni_alloc *alloc) {
    *map = (tni_map){.alloc = *alloc};
    map->seed = tni_hash64_u64(tni_clock_ns() ^ (uint64_t)(uintptr_t)map);
}

void tni_map_deinit(tni_map *map) {
    tni_free_array(&map->alloc, map->slots, map->capacity, sizeof *map->slots);
    map->slots = NULL;
    map->capacity = 0;
    map->count = 0;
}

static bool same_key(const tni_map_slot *slot, const char *key, uint64_t size_bytes,
                     uint64_t hash) {
    if (slot->hash != hash || slot->size_bytes != size_bytes) {
        return false;
    }
    return key == NULL ||
           tni_string_equal((tn_string){slot->key, size_bytes}, (tn_string){key, size_bytes});
}

// The slot of the key, or the free one where it belongs. There is always a free slot.
static tni_map_slot *slot_for(const tni_map *map, const char *key, uint64_t size_bytes,
                              uint64_t hash) {
    uint64_t at = hash & (map->capacity - 1);
    while (map->slots[at].used != 0 && !same_key(&map->slots[at], key, size_bytes, hash)) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->slots[at];
}

static tn_status make_room(tni_map *map) {
    if ((map->count + 1) * 3 <= map->capacity * 2) {
        return TN_OK;
    }
    tni_map larger = {.alloc = map->alloc, .count = map->count, .seed = map->seed};
    larger.capacity = map->capacity == 0 ? 16 : map->capacity * 2;
    larger.slots = tni_alloc_array(&map->alloc, larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint64_t i = 0; i < map->capacity; i++) {
        const tni_map_slot *slot = &map->slots[i];
        if (slot->used != 0) {
            *slot_for(&larger, slot->key, slot->size_bytes, slot->hash) = *slot;
        }
    }
    tni_map_deinit(map);
    *map = larger;
    return TN_OK;
}

static tn_status set(tni_map *map, const char *key, uint64_t size_bytes, uint64_t hash,
                     uint32_t value) {
    const tn_status status = make_room(map);
    if (status != TN_OK) {
        return status;
    }
    tni_map_slot *slot = slot_for(map, key, size_bytes, hash);
    map->count += slot->used == 0 ? 1 : 0;
    *slot = (tni_map_slot){key, size_bytes, hash, value, 1};
    return TN_OK;
}

static bool find(const tni_map *map, const char *key, uint64_t size_bytes, uint64_t hash,
                 uint32_t *out_value) {
    if (map->capacity == 0) {
        return false;
    }
    const tni_map_slot *slot = slot_for(map, key, size_bytes, hash);
    if (slot->used != 0) {
        *out_value = slot->value;
    }
    return slot->used != 0;
}

// An empty text must not look like a number.
static const char *text_key(tn_string key) {
    return key.size_bytes == 0 ? "" : key.data;
}

tn_status tni_map_set(tni_map *map, tn_string key, uint32_t value) {
    return set(map, text_key(key), key.size_bytes, tni_hash64(key.data, key.size_bytes, map->seed),
               value);
}

tn_status tni_map_set_u64(tni_map *map, uint64_t key, uint32_t value) {
    return set(map, NULL, key, tni_hash64_u64(key ^ map->seed), value);
}

bool tni_map_find(const tni_map *map, tn_string key, uint32_t *out_value) {
    return find(map, text_key(key), key.size_bytes, tni_hash64(key.data, key.size_bytes, map->seed),
                out_value);
}

bool tni_map_find_u64(const tni_map *map, uint64_t key, uint32_t *out_value) {
    return find(map, NULL, key, tni_hash64_u64(key ^ map->seed), out_value);
}
