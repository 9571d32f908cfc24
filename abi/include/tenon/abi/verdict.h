// SPDX-License-Identifier: Apache-2.0
// What a device says about a graph: for every node yes or no with a reason, and claims over groups
// of nodes with a cost. Read next: compile.h.
#ifndef TENON_ABI_VERDICT_H
#define TENON_ABI_VERDICT_H

#include "tenon/abi/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Why a node is not (or was not left) on a device. Values are frozen; new ones are appended. Those
// marked [host] are only ever given by the host.
typedef uint32_t tn_reason;
#define TN_REASON_NONE 0u
#define TN_REASON_OP_UNSUPPORTED 1u
#define TN_REASON_OP_VERSION 2u       // limit: newest version known; actual: the node's
#define TN_REASON_ATTR_UNSUPPORTED 3u // subject: attribute index of the node
#define TN_REASON_DTYPE 4u            // subject: operand; actual: dtype
#define TN_REASON_RANK_LIMIT 5u       // subject: operand; limit and actual rank
#define TN_REASON_DIM_LIMIT 6u        // subject: operand; limit and actual size
#define TN_REASON_LAYOUT 7u
#define TN_REASON_DYNAMIC_SHAPE 8u // subject: operand with an unknown dimension
#define TN_REASON_SHAPE_BUCKET 9u
#define TN_REASON_QUANT_SCHEME 10u
#define TN_REASON_PRECISION_POLICY 11u
#define TN_REASON_MEM_LIMIT 12u      // bytes
#define TN_REASON_SRAM_LIMIT 13u     // bytes
#define TN_REASON_NEEDS_CONSTANT 14u // subject: operand that must be a constant
#define TN_REASON_OPTIONAL_INPUT 15u // subject: operand that must be present (or absent)
#define TN_REASON_CONTROL_FLOW 16u
#define TN_REASON_UNPROFITABLE 17u      // [host] limit: cost here in ns; actual: cost there
#define TN_REASON_CONVEXITY 18u         // [host]
#define TN_REASON_USER_PINNED 19u       // [host]
#define TN_REASON_USER_FORBID 20u       // [host]
#define TN_REASON_COMPILE_FAILED 21u    // [host]
#define TN_REASON_COMPILE_TIMEOUT 22u   // [host]
#define TN_REASON_COMPILE_CANCELLED 23u // [host]
#define TN_REASON_RUNTIME_FAILED 24u    // [host]
#define TN_REASON_DEVICE_LOST 25u       // [host]
#define TN_REASON_NOT_REGISTERED 26u    // [host]
#define TN_REASON_NOT_USABLE 27u        // [host]
#define TN_REASON_ABI_REJECTED 28u      // [host]
#define TN_REASON_DEP_MISSING 29u       // [host]
#define TN_REASON_ISA_REJECTED 30u      // [host]
#define TN_REASON_CACHE_STALE 31u       // [host]
#define TN_REASON_COUNT 32u

typedef uint32_t tn_answer;
#define TN_ANSWER_NO 0u
#define TN_ANSWER_YES 1u
// Only as part of one of the claims that name the node.
#define TN_ANSWER_IN_CLAIM 2u

// Where a cost comes from; carried through to every report.
typedef uint32_t tn_cost_origin;
#define TN_COST_UNKNOWN 0u // the host estimates by roofline
#define TN_COST_DECLARED 1u
#define TN_COST_CALIBRATED 2u // [host]
#define TN_COST_OBSERVED 3u   // [host]
#define TN_COST_ROOFLINE 4u   // [host]

// How results may differ from the reference's.
typedef uint32_t tn_numerics;
#define TN_NUMERICS_EXACT 0u    // bit-equal to the definition (integer and movement ops)
#define TN_NUMERICS_ROUNDED 1u  // same operations, other order: a few units in the last place
#define TN_NUMERICS_WINOGRAD 2u // algebraically equal, larger error
#define TN_NUMERICS_REDUCED 3u  // computes in a narrower type than the tensor's

typedef uint32_t tn_verdict_flags;
// Works, but through a conversion that costs extra; included in the cost.
#define TN_VERDICT_CONVERTS 1u
// Shape arithmetic and other tiny work that is better left on the host.
#define TN_VERDICT_PREFERS_HOST 2u

// One per node of the view, bodies and expansions included, at the node's index.
typedef struct tn_node_verdict {
    tn_answer answer;
    tn_reason reason; // when NO: never TN_REASON_NONE (ABI-46)
    uint32_t subject; // operand or attribute index the reason speaks of, or TN_NONE
    tn_verdict_flags flags;
    int64_t limit;
    int64_t actual;
    uint64_t cost_ns; // on this device, inside an island
    uint64_t scratch_bytes;
    uint32_t confidence_permille; // 0 to 1000, of cost_ns
    tn_cost_origin origin;
    tn_numerics numerics;
    uint32_t reserved; // zero
} tn_node_verdict;

typedef uint32_t tn_claim_kind;
// All together cost cost_ns in total; those of them that are IN_CLAIM run here only so.
#define TN_CLAIM_ALL_OR_NOTHING 0u
// When all are here, the sum of their costs falls by cost_ns.
#define TN_CLAIM_BONUS 1u

typedef struct tn_claim {
    tn_range nodes; // of claim_nodes
    tn_claim_kind kind;
    uint32_t confidence_permille;
    uint64_t cost_ns;
    tn_cost_origin origin;
    tn_numerics numerics;
} tn_claim;

// The verdict of node holds only while the symbol's size stays in [min, max].
typedef struct tn_verdict_bound {
    uint32_t node;
    uint32_t symbol;
    int64_t min;
    int64_t max;
} tn_verdict_bound;

// Answer of query_support, in arrays of the host's, zeroed. node_capacity is the view's node count.
// Records are addressed by the strides given here, which may exceed the plugin's (ABI-41).
typedef struct tn_verdicts {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_node_verdict *nodes;
    tn_claim *claims;
    uint32_t *claim_nodes;
    tn_verdict_bound *bounds;
    uint32_t node_capacity;
    uint32_t node_stride_bytes;
    uint32_t claim_capacity;
    uint32_t claim_stride_bytes;
    uint32_t claim_node_capacity;
    uint32_t bound_capacity;
    uint32_t bound_stride_bytes;
    // Written by the plugin: how many are filled, or needed when it returns LIMIT_EXCEEDED.
    uint32_t claim_count;
    uint32_t claim_node_count;
    uint32_t bound_count;
} tn_verdicts;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_VERDICT_H
