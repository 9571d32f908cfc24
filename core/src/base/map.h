// SPDX-License-Identifier: Apache-2.0
// A hash map to uint32_t from a text or from a 64-bit number. Open addressing, grows, no removal.
#ifndef TENON_BASE_MAP_H
#define TENON_BASE_MAP_H

#include "base/alloc.h"
#include "base/string.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct tni_map_slot tni_map_slot;

// Single owner, single thread while it changes. A zeroed map may be deinitialised. Use one map with
// one kind of key only.
typedef struct tni_map {
    tni_alloc alloc;
    tni_map_slot *slots;
    uint64_t capacity; // power of two, or 0
    uint64_t count;
    uint64_t seed; // differs by run, so that a file cannot be made to collide
} tni_map;

// Prepares an empty map; nothing is allocated yet.
void tni_map_init(tni_map *map, const tni_alloc *alloc);
void tni_map_deinit(tni_map *map);

// Adds or replaces. The key's bytes are borrowed: they must outlive the map.
// TN_OK · TN_ERROR_OUT_OF_MEMORY: the map is as before.
TN_MUST_USE tn_status tni_map_set(tni_map *map, tn_string key, uint32_t value);
TN_MUST_USE tn_status tni_map_set_u64(tni_map *map, uint64_t key, uint32_t value);

// Returns whether the key is there; *out_value is set only then.
bool tni_map_find(const tni_map *map, tn_string key, uint32_t *out_value);
bool tni_map_find_u64(const tni_map *map, uint64_t key, uint32_t *out_value);

#endif // TENON_BASE_MAP_H
