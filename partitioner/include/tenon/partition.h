// SPDX-License-Identifier: Apache-2.0
// The partitioner's interface: a weighted graph in, a plan with a proven lower bound out. It knows
// labels, costs and order; no tensor, no file format, no plugin. Costs are integers of one unit
// (Tenon uses nanoseconds).
//
// What is minimised, over a label for every op and a serial order of the ops:
//   the ops' costs on their labels
//   + one copy for every tensor and every label that needs it and did not produce it
//   + one handover for every change of label between neighbours in the order
//   - the savings of claims whose ops are all on the claim's label, in one segment.
// A segment is a maximal run of one label in the order: convex and acyclic by construction.
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
// An index, count or cost of the problem is out of range; plan->culprit is the op, tensor, claim
// or label. The same for sums of costs beyond TNP_MAX_TOTAL, with culprit op_count.
#define TNP_INVALID 1
// No label can run op plan->culprit (with all ops of its group).
#define TNP_INFEASIBLE 2
#define TNP_OUT_OF_MEMORY 3
// The labels' capacities cannot hold the ops, or no such plan was found within the budget.
#define TNP_OVER_CAPACITY 4
// No serial order makes every claim hold that ops are bound to, with the labels that were given.
#define TNP_UNORDERABLE 5

// Raised with every change that gives some problem another plan, so that plans which were kept
// are known to be of another search.
#define TNP_REVISION 1u

#define TNP_UNSUPPORTED ((int64_t)-1)
#define TNP_NONE UINT32_MAX
#define TNP_MAX_LABELS 64u
#define TNP_MAX_COST ((int64_t)1 << 44)
#define TNP_MAX_TOTAL ((int64_t)1 << 49)
#define TNP_NO_CAPACITY UINT64_MAX

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

// Ops that one label computes together for less, or only together. A claim holds when all of its
// ops are on its label in one segment. Claims of one label share no op.
typedef struct tnp_claim {
    uint32_t label;
    uint32_t op_begin; // range of tnp_problem.claim_ops; every op supports the label
    uint32_t op_count; // at least 1
    // The first of the ops that run on the label only while the claim holds: 0 for a mere bonus,
    // op_count for all or nothing.
    uint32_t bound_count;
    int64_t saving; // while it holds; at most the sum of the ops' costs on the label
} tnp_claim;

// The problem; all arrays are borrowed for the call. Ops are numbered in a topological order:
// every consumer's index is above its producer's. Pins and forbids are unsupported labels.
typedef struct tnp_problem {
    uint32_t op_count;
    uint32_t label_count;
    uint32_t tensor_count;
    uint32_t consumer_total;
    const int64_t *op_cost; // [op_count][label_count]; TNP_UNSUPPORTED where it cannot run
    const tnp_tensor *tensors;
    const uint32_t *consumers;
    const int64_t *copy_cost; // [tensor_count][from][to], 0 where from == to
    // [from][to], 0 where from == to; the cost of starting a segment of "to" belongs here. A
    // handover may pass through a third label: the least sum along any way is what is charged.
    const int64_t *handover_cost;
    // Optional, null when absent:
    const tnp_claim *claims; // claim_count
    const uint32_t *claim_ops;
    const uint32_t *group;          // [op_count]: ops of one number share a label; TNP_NONE: free
    const uint64_t *op_bytes;       // [op_count]: what an op's weights take where it runs
    const uint64_t *label_capacity; // [label_count]: TNP_NO_CAPACITY where unlimited
    uint32_t claim_count;
    uint32_t claim_op_total;
} tnp_problem;

typedef struct tnp_options {
    uint64_t work_budget; // steps of the inner loops; 0: a default by size (about 8 ns each)
    // Optional: asked now and then; nonzero stops the search with the best plan so far, which is
    // then marked truncated. What it returns may depend on the clock: so may such a plan.
    int (*cancelled)(void *user_data);
    void *user_data;
    // 1: labels work at the same time, and what counts is when the last op ends (tnp_simulate): the
    // plan of the serial search is changed as long as that makes the end earlier.
    uint32_t concurrent;
    uint32_t reserved;
} tnp_options;

// A maximal run of one label in the serial order.
typedef struct tnp_segment {
    uint32_t label;
    uint32_t begin; // range of tnp_plan.order
    uint32_t count;
} tnp_segment;

typedef struct tnp_cost {
    int64_t total; // compute + copies + handovers - savings
    int64_t compute;
    int64_t copies;
    int64_t handovers;
    int64_t savings;
    uint32_t copy_count; // copies that cost something
    uint32_t handover_count;
    uint32_t claim_count; // claims that hold
    uint32_t reserved;    // 0: no padding, so that costs compare byte by byte
} tnp_cost;

typedef struct tnp_plan {
    uint32_t op_count;
    uint32_t segment_count;
    uint32_t *label; // of each op
    uint32_t *order; // op indices, topological
    tnp_segment *segments;
    tnp_cost cost;
    int64_t lower_bound; // no plan for this problem costs less
    uint64_t hash;       // of labels and order; 0 when truncated: never keep such a plan
    uint64_t work;       // steps spent
    uint32_t truncated;  // 1: stopped by cancelled
    uint32_t culprit;    // see tnp_status
} tnp_plan;

// Finds a plan. options may be null. *out_plan is fully written also on failure, and then only
// culprit means something. Release it with tnp_plan_deinit. The same problem and budget give the
// same plan on every machine. Never worse than the best single label where one label can run every
// op that is not pinned to another and capacities allow it.
tnp_status tnp_plan_init(const tnp_allocator *allocator, const tnp_problem *problem,
                         const tnp_options *options, tnp_plan *out_plan);

// The best order known for given labels (op_count entries), priced; lower_bound is INT64_MIN.
// TNP_INFEASIBLE with culprit where an op does not support its label, breaks its group or is bound
// to a claim whose ops are not all on its label; capacities are not looked at.
tnp_status tnp_plan_of_labels(const tnp_allocator *allocator, const tnp_problem *problem,
                              const uint32_t *label, tnp_plan *out_plan);

// A plan of labels and an order (op_count entries each) that somebody else says are one, priced;
// nothing in them is trusted. lower_bound is INT64_MIN. TNP_INFEASIBLE as above; TNP_UNORDERABLE
// the order is not one of all ops, or a claim does not hold in it that an op is bound to;
// TNP_OVER_CAPACITY; else TNP_OK, TNP_INVALID or TNP_OUT_OF_MEMORY.
tnp_status tnp_plan_of_order(const tnp_allocator *allocator, const tnp_problem *problem,
                             const uint32_t *label, const uint32_t *order, tnp_plan *out_plan);

// Frees what init allocated; accepts a plan that init failed on.
void tnp_plan_deinit(const tnp_allocator *allocator, tnp_plan *plan);

// Checks every index and cost. Returns TNP_OK, TNP_INVALID or TNP_INFEASIBLE with *out_culprit.
tnp_status tnp_problem_validate(const tnp_problem *problem, uint32_t *out_culprit);

// The exact cost of running order (op_count entries, topological) with label; both valid for the
// problem. Savings count where a claim holds; whether bound ops have their claim is
// not checked. TNP_OK or TNP_OUT_OF_MEMORY.
tnp_status tnp_cost_of_order(const tnp_allocator *allocator, const tnp_problem *problem,
                             const uint32_t *label, const uint32_t *order, tnp_cost *out_cost);

// A plan on labels that work at the same time: each runs its segments in order, as soon as what
// they read is there. A segment that reads what another label made begins a handover after that
// ended at the earliest; copies into one label follow each other. Never later than cost.total.
typedef struct tnp_timeline {
    int64_t makespan;    // when the last segment ends
    int64_t lower_bound; // no plan of the problem ends earlier
    int64_t *begin;      // [segment_count], and
    int64_t *end;
    uint32_t segment_count;
} tnp_timeline;

// TNP_OK or TNP_OUT_OF_MEMORY; *out_timeline is valid for deinit in both cases.
tnp_status tnp_simulate(const tnp_allocator *allocator, const tnp_problem *problem,
                        const tnp_plan *plan, tnp_timeline *out_timeline);
void tnp_timeline_deinit(const tnp_allocator *allocator, tnp_timeline *timeline);

// Why an op is where it is.
typedef uint32_t tnp_why;
#define TNP_WHY_CHEAPEST 0u  // its label costs it least
#define TNP_WHY_COPIES 1u    // on its cheapest label copies would cost more than it gains,
#define TNP_WHY_HANDOVERS 2u // or copies and handovers together would
#define TNP_WHY_CLAIM 3u     // a claim holds here that is worth more,
#define TNP_WHY_GROUP 4u     // or the ops of its group together are cheaper here
#define TNP_WHY_CAPACITY 5u  // its cheapest label is full
#define TNP_WHY_TOGETHER 6u  // alone it could move, but not its neighbours, or the search missed it

typedef struct tnp_choice {
    uint32_t cheapest; // label that costs the op least
    tnp_why why;
    // If it alone moved there, at its place in the order: what it costs less, and what copies,
    // handovers and lost claims cost more (less when negative).
    int64_t gain;
    int64_t copies;
    int64_t handovers;
    int64_t savings;
} tnp_choice;

// Fills out_choices (op_count) for a plan of the problem. TNP_OK or TNP_OUT_OF_MEMORY.
tnp_status tnp_choices(const tnp_allocator *allocator, const tnp_problem *problem,
                       const tnp_plan *plan, tnp_choice *out_choices);

#ifdef __cplusplus
}
#endif

#endif // TENON_PARTITION_H
