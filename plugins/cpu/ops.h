// SPDX-License-Identifier: Apache-2.0
// What an op is to this plugin: a row of the table in op_table.c with its versions, operand types
// and attributes, and the function that turns a node into steps.
#ifndef TENON_CPU_OPS_H
#define TENON_CPU_OPS_H

#include "tenon/helper/sync_adapter.h"

typedef struct cpu_op cpu_op;
typedef struct cpu_build cpu_build;
typedef struct cpu_node cpu_node;

// What fusion looks for.
typedef uint32_t cpu_kind;
#define CPU_KIND_OTHER 0u
#define CPU_KIND_CONV 1u
#define CPU_KIND_CONV_TRANSPOSE 2u
#define CPU_KIND_MATMUL 3u
#define CPU_KIND_GEMM 4u
#define CPU_KIND_ACT 5u    // variant: cpu_act
#define CPU_KIND_BINARY 6u // variant: cpu_binary
#define CPU_KIND_BATCH_NORM 7u
#define CPU_KIND_TRANSPOSE 8u
#define CPU_KIND_CONCAT 9u
#define CPU_KIND_SOFTMAX 10u
#define CPU_KIND_REDUCE 11u // variant: CPU_REDUCE_
#define CPU_KIND_QUANTIZE 12u
#define CPU_KIND_DEQUANTIZE 13u
#define CPU_KIND_POOL 14u    // variant: CPU_POOL_
#define CPU_KIND_QLINEAR 16u // variant: the kind that it is with integers
#define CPU_KIND_VIEW 15u    // same elements in the same order, other dimensions

#define CPU_REDUCE_SUM 0u
#define CPU_REDUCE_MEAN 1u
#define CPU_REDUCE_MAX 2u
#define CPU_POOL_MAX 0u
#define CPU_POOL_AVERAGE 1u
#define CPU_POOL_GLOBAL 2u

// Turns a node into steps. Failures are kept in the build.
typedef void (*cpu_emit_fn)(cpu_build *build, const cpu_node *node);
// Judges what the table's columns cannot say. Returns 1 for yes; else it wrote a refusal.
typedef uint32_t (*cpu_check_fn)(const tn_graph_view *view, const tn_graph_node *node,
                                 tn_node_verdict *out_verdict);

typedef uint32_t cpu_types;
#define CPU_TYPE(dtype) (1u << (dtype))
#define CPU_FLOAT CPU_TYPE(TN_DTYPE_FLOAT)
#define CPU_BYTES (CPU_TYPE(TN_DTYPE_INT8) | CPU_TYPE(TN_DTYPE_UINT8))
#define CPU_INDEX (CPU_TYPE(TN_DTYPE_INT64) | CPU_TYPE(TN_DTYPE_INT32))
#define CPU_INTEGERS                                                                               \
    (CPU_BYTES | CPU_TYPE(TN_DTYPE_INT32) | CPU_TYPE(TN_DTYPE_INT4) | CPU_TYPE(TN_DTYPE_UINT4))
// Whatever the library can move.
#define CPU_MOVABLE (CPU_FLOAT | CPU_BYTES | CPU_TYPE(TN_DTYPE_INT32) | CPU_TYPE(TN_DTYPE_BOOL))

#define CPU_TYPED_INPUTS 4u
#define CPU_VARIADIC 255u

// Whether the shapes of a node's operands fit each other (fit.h). Returns 1 or 0.
typedef uint32_t (*cpu_fit_fn)(const cpu_build *build, const cpu_node *node);

struct cpu_op {
    tn_op_record record; // first: the helper walks the table by this
    cpu_kind kind;
    uint32_t variant;
    cpu_emit_fn emit;
    cpu_check_fn check; // may be null
    cpu_fit_fn fit;
    const char *attributes; // every attribute the op may carry, separated by spaces; null: none
    cpu_types types[CPU_TYPED_INPUTS]; // the last that is not 0 goes on for the rest
    cpu_types output_types;            // 0: those of the first input
    uint8_t input_min;
    uint8_t input_max;  // CPU_VARIADIC: no limit
    uint8_t output_max; // 0 means 1
    uint8_t constants;  // bit i: input i must be a constant
    uint8_t numerics;
};

#define CPU_OP_COUNT 59u
extern const cpu_op tni_cpu_ops[CPU_OP_COUNT];

// The table's row for a node that the device claims, or null.
const cpu_op *tni_cpu_find_op(const tn_graph_view *view, const tn_graph_node *node);
// Judges a node of a known op: operand counts, types, shapes, attributes, then the op's own check.
void tni_cpu_judge(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                   tn_node_verdict *out_verdict);

// Adds to a yes what the node costs, where the host's own estimate would be wrong.
void tni_cpu_price(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                   tn_node_verdict *inout_verdict);

// Operations a nanosecond in floats, as declared, and bytes.
uint64_t tni_cpu_flops_per_ns(uint32_t workers);
#define CPU_BYTES_PER_NS 8u

// Claims the groups that are computed with integers: see claims.c. The verdicts of single nodes
// are in place. TN_OK · TN_ERROR_OUT_OF_MEMORY.
tn_status tni_cpu_claims(const tn_helper_host *host, const tn_graph_view *view,
                         tn_verdicts *inout_verdicts, tn_error *error);

#endif // TENON_CPU_OPS_H
