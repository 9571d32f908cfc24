// SPDX-License-Identifier: Apache-2.0
// A serial order for given labels with few changes of label: keep running the current label's ready
// ops until none is left, then change to the label with the most ready work.
#ifndef TENON_PARTITIONER_SCHEDULE_H
#define TENON_PARTITIONER_SCHEDULE_H

#include "tenon/partition.h"

// Successor lists and working arrays for a problem. Single owner.
typedef struct tnp_schedule {
    const tnp_problem *problem;
    uint32_t *successor_begin; // op_count + 1
    uint32_t *successors;      // successor_count
    uint64_t successor_count;  // consumers of all tensors
    uint32_t *in_degree;       // op_count
    uint32_t *waiting;         // op_count: working copy of in_degree
    uint32_t *next_ready;      // op_count: chains of ready ops, one per label
} tnp_schedule;

// TNP_OK or TNP_OUT_OF_MEMORY; deinit in both cases.
tnp_status tnp_schedule_init(const tnp_allocator *allocator, const tnp_problem *problem,
                             tnp_schedule *out_schedule);
void tnp_schedule_deinit(const tnp_allocator *allocator, tnp_schedule *schedule);

// Writes op_count entries to out_order.
void tnp_schedule_order(tnp_schedule *schedule, const uint32_t *label, uint32_t *out_order);

#endif // TENON_PARTITIONER_SCHEDULE_H
