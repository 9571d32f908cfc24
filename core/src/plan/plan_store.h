// SPDX-License-Identifier: Apache-2.0
// Plans kept on disk by the content of their problem, so that what was searched for once is read
// from then on. Nothing in a file is believed: a plan is priced anew before it is used.
#ifndef TENON_PLAN_PLAN_STORE_H
#define TENON_PLAN_PLAN_STORE_H

#include "base/hash.h"
#include "base/log.h"
#include "loader/state_folder.h"

#include "tenon/partition.h"

#include <limits.h>

// Smaller problems are solved as soon as a file is read; larger ones make files that are too large.
#define TNI_PLAN_STORE_LEAST_OPS 32u
#define TNI_PLAN_STORE_MOST_OPS (1u << 18)
// Searches of less work (about a millisecond) are not worth a file.
#define TNI_PLAN_STORE_LEAST_WORK 100000u
// The oldest go when there are more.
#define TNI_PLAN_STORE_FILES 256u

// Read by any thread; processes may share the folder. It must outlive everybody who uses it.
typedef struct tni_plan_store {
    char folder[PATH_MAX]; // made by the first plan that is kept; "" when nobody wants any
    const tni_log *log;
} tni_plan_store;

// What a problem is called: equal for equal problems of one version of the search.
typedef struct tni_plan_key {
    uint8_t bytes[TNI_DIGEST_BYTES];
} tni_plan_key;

// concurrent: as in tnp_options; other options are the default.
void tni_plan_key_make(const tnp_problem *problem, bool concurrent, tni_plan_key *out_key);

// Whether the store has a plan of the problem: *out_plan is then as the search would have left it,
// but for its work. A file that is damaged, or whose plan is not one of this problem, is deleted
// and told to the log. False also for lack of memory.
bool tni_plan_store_take(const tni_plan_store *store, const tnp_allocator *allocator,
                         const tnp_problem *problem, const tni_plan_key *key, tnp_plan *out_plan);

// Keeps a plan that is not truncated. Failing is no error: the log says why.
void tni_plan_store_keep(const tni_plan_store *store, const tnp_allocator *allocator,
                         const tni_plan_key *key, const tnp_plan *plan);

#endif // TENON_PLAN_PLAN_STORE_H
