// SPDX-License-Identifier: Apache-2.0
// Why a plan is as it is: what it would cost on each device alone, what is copied, and for every
// node what moving it would change. Kept when compiling with TN_COMPILE_EXPLAIN; all numbers are
// estimates, of the origin that tn_placement names. Read compiled.h first.
#ifndef TENON_PLAN_H
#define TENON_PLAN_H

#include "tenon/compiled.h"

#ifdef __cplusplus
extern "C" {
#endif

// All functions: [any-thread] [no-block]. TN_ERROR_INVALID_ARGUMENT a null handle or struct, or an
// index out of range · TN_ERROR_NOT_FOUND compiled without TN_COMPILE_EXPLAIN, or the node is the
// host's or not planned before the first run.

// What else could have been planned: one device for all it takes, and what it refuses where it
// costs least; or the best that a search finds with one device less.
typedef uint32_t tn_alternative_kind;
#define TN_ALTERNATIVE_ALONE 0u
#define TN_ALTERNATIVE_WITHOUT 1u

typedef struct tn_plan_alternative {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t device; // index in the host
    // ALONE, of graph 0; the rest counts bodies as tn_plan_summary does.
    uint32_t refused_nodes;
    // TN_COST_NO_PLAN: no order keeps the claims whole, weights do not fit, or WITHOUT the device
    // nobody takes a node.
    int64_t cost_ns;
    uint32_t handovers;
    uint32_t transfers;
    tn_alternative_kind kind;
    uint32_t reserved;
} tn_plan_alternative;

#define TN_COST_NO_PLAN ((int64_t)-1)

// ALONE with every device that was asked; then, of three devices and more, WITHOUT each of them. A
// device that the plan does not use can be left out at no cost.
TN_API uint32_t tn_compiled_alternative_count(const tn_compiled *compiled);
TN_API TN_MUST_USE tn_status tn_compiled_alternative_get(const tn_compiled *compiled,
                                                         uint32_t index,
                                                         tn_plan_alternative *out_alternative);

// A tensor that has to be made usable on another device: copied, unless their memory is shared.
typedef struct tn_planned_transfer {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *name;     // of the value; lives as long as the compiled model
    uint32_t from_device; // index in the host; TN_NONE: the host
    uint32_t to_device;
    uint32_t from_island; // TN_NONE: the host
    uint32_t to_island;
    uint64_t size_bytes; // unknown dimensions count as 1
    int64_t cost_ns;     // 0: shared
} tn_planned_transfer;

TN_API uint32_t tn_compiled_transfer_count(const tn_compiled *compiled);
TN_API TN_MUST_USE tn_status tn_compiled_transfer_get(const tn_compiled *compiled, uint32_t index,
                                                      tn_planned_transfer *out_transfer);

// Why a node is not on the device where it would cost least, among those that take it.
typedef uint32_t tn_why;
#define TN_WHY_CHEAPEST 0u  // it is
#define TN_WHY_COPIES 1u    // copies would cost more than it gains there,
#define TN_WHY_HANDOVERS 2u // or copies and handovers together
#define TN_WHY_CLAIM 3u     // its device takes it with others for less
#define TN_WHY_GROUP 4u     // it has to be where others are
#define TN_WHY_CAPACITY 5u  // no room there
#define TN_WHY_TOGETHER 6u  // it could move alone; the plan found nothing better with all others

typedef struct tn_choice {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t device; // index in the host
    uint32_t cheapest_device;
    tn_why why;
    uint32_t reserved;
    int64_t cost_ns;          // here
    int64_t cheapest_cost_ns; // there
    // What moving it alone would change, besides.
    int64_t copies_ns;
    int64_t handovers_ns;
    int64_t claims_ns;
} tn_choice;

// Of a function op that several devices share: the part that makes its first output.
TN_API TN_MUST_USE tn_status tn_compiled_choice_get(const tn_compiled *compiled, uint32_t node,
                                                    tn_choice *out_choice);

#ifdef __cplusplus
}
#endif

#endif // TENON_PLAN_H
