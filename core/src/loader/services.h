// SPDX-License-Identifier: Apache-2.0
// What the host gives one plugin: the table of tenon/abi/host.h over the embedder's allocator and
// log, the host's pool and the models being compiled.
#ifndef TENON_LOADER_SERVICES_H
#define TENON_LOADER_SERVICES_H

#include "base/alloc.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/thread.h"

#include "tenon/abi/host.h"

#include <stdatomic.h>
#include <stdbool.h>

struct tni_model;

// Models whose constants plugins may ask for by key. Any thread.
typedef struct tni_weights {
    tni_alloc alloc;
    tni_mutex mutex;
    struct tni_model **models;
    uint32_t model_count;
    uint32_t model_capacity;
    uint64_t next_key_base;
    atomic_bool wipes; // one of the models is or was sensitive
} tni_weights;

// TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_weights_init(tni_weights *weights, const tni_alloc *alloc);
void tni_weights_deinit(tni_weights *weights);
// From now on, what plugins give back is overwritten first: it may hold constants of a sensitive
// model, or what was made from them.
void tni_weights_wipe(tni_weights *weights);
// A range of keys that no other model of this host has.
uint64_t tni_weights_reserve(tni_weights *weights);
// Makes the model's constants visible until it is removed. TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_weights_add(tni_weights *weights, struct tni_model *model);
void tni_weights_remove(tni_weights *weights, struct tni_model *model);

// The host context of one plugin. Its address is the handle the plugin holds.
struct tn_host_context {
    tni_alloc alloc;
    tni_log log;
    tni_pool *pool;
    tni_weights *weights;
    atomic_uint_fast64_t live_bytes;
    atomic_uint_fast64_t allocation_count;
};

// Fills every slot. The table works with any tn_host_context.
void tni_services_fill(tn_host_services *out_services);

#endif // TENON_LOADER_SERVICES_H
