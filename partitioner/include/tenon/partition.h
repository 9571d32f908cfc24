// SPDX-License-Identifier: Apache-2.0
// The partitioner's interface: a weighted graph in, a plan with a proven lower bound out. It knows
// labels, costs and order; no tensor, no file format, no plugin. All costs are integer nanoseconds.
//
// Threads: every function is pure in its arguments and may run on any thread.
#ifndef TENON_PARTITION_H
#define TENON_PARTITION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t tnp_status;
#define TNP_OK 0
// An index, count or cost of the problem is out of range; plan->culprit is the op or tensor.
#define TNP_INVALID 1
// No label can run op plan->culprit.
#define TNP_INFEASIBLE 2
#define TNP_OUT_OF_MEMORY 3

#define TNP_UNSUPPORTED ((int64_t)-1)
#define TNP_MAX_LABELS 64u
// Larger costs are invalid: sums over a problem must stay far from INT64_MAX.
#define TNP_MAX_COST ((int64_t)1 << 44)

// alloc returns null when out of memory; free gets the size it was allocated with.
typedef struct tnp_allocator {
    void *(*alloc)(void *user_data, uint64_t size_bytes);
    void (*free)(void *user_data, void *pointer, uint64_t size_bytes);
    void *user_data;
} tnp_allocator;

// A value that one op produces and others read. Moving it to another label costs once per label.
typedef struct tnp_tensor {
    uint32_t producer;
    uint32_t consumer_begin; // range of tnp_problem.consumers
    uint32_t consumer_count;
} tnp_tensor;

// The problem; all arrays are borrowed for the call. Ops are numbered in a topological order:
// every consumer's index is above its producer's.
typedef struct tnp_problem {
    uint32_t op_count;
    uint32_t label_count;
    uint32_t tensor_count;
    uint32_t consumer_total;
    const int64_t *op_cost; // [op_count][label_count]; TNP_UNSUPPORTED where it cannot run
    const tnp_tensor *tensors;
    const uint32_t *consumers;
    const int64_t *copy_cost;     // [tensor_count][from][to], 0 where from == to
    const int64_t *handover_cost; // [from][to], 0 where from == to
    uint64_t budget;              // op visits the search may spend; 0 means a default
} tnp_problem;

// A maximal run of one label in the serial order: convex and acyclic by construction.
typedef struct tnp_segment {
    uint32_t label;
    uint32_t begin; // range of tnp_plan.order
    uint32_t count;
} tnp_segment;

typedef struct tnp_cost {
    int64_t total; // the sum of the following three
    int64_t compute;
    int64_t copies;
    int64_t handovers;
    uint32_t copy_count;
    uint32_t handover_count;
} tnp_cost;

typedef struct tnp_plan {
    uint32_t op_count;
    uint32_t segment_count;
    uint32_t *label; // of each op
    uint32_t *order; // op indices, topological
    tnp_segment *segments;
    tnp_cost cost;
    int64_t lower_bound; // no plan for this problem costs less
    uint32_t culprit;    // see tnp_status
} tnp_plan;

// Finds a plan. *out_plan is fully written also on failure, and then only culprit means something.
// Release it with tnp_plan_deinit. The same problem gives the same plan on every machine. Never
// worse than the best single label where one label can run every op that is not pinned to another.
tnp_status tnp_plan_init(const tnp_allocator *allocator, const tnp_problem *problem,
                         tnp_plan *out_plan);

// Frees what init allocated; accepts a plan that init failed on.
void tnp_plan_deinit(const tnp_allocator *allocator, tnp_plan *plan);

// Checks every index and cost. Returns TNP_OK, TNP_INVALID or TNP_INFEASIBLE with *out_culprit.
tnp_status tnp_problem_validate(const tnp_problem *problem, uint32_t *out_culprit);

// The exact cost of running order (op_count entries) with label. Both must be valid for the
// problem.
void tnp_cost_of_order(const tnp_problem *problem, const uint32_t *label, const uint32_t *order,
                       tnp_cost *out_cost);

#ifdef __cplusplus
}
#endif

#endif // TENON_PARTITION_H
