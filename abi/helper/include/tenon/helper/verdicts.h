// SPDX-License-Identifier: Apache-2.0
// Writing verdicts: yes and no in one call each, and look-up of a node in a table of ops.
// Read next: sync_adapter.h.
#ifndef TENON_HELPER_VERDICTS_H
#define TENON_HELPER_VERDICTS_H

#include "tenon/abi/compile.h"
#include "tenon/helper/graph_reader.h"

#ifdef __cplusplus
extern "C" {
#endif

// All functions are [any-thread] [no-block] [no-alloc].

// The device takes the node and leaves its cost to the host's roofline.
void tn_helper_yes(tn_node_verdict *out_verdict, tn_numerics numerics);

// The device refuses the node. reason: never TN_REASON_NONE (ABI-46). subject: operand or attribute
// index, or TN_NONE. limit, actual: as the reason defines them, else 0.
void tn_helper_no(tn_node_verdict *out_verdict, tn_reason reason, uint32_t subject, int64_t limit,
                  int64_t actual);

// Finds a node's op in a table of count records, stride_bytes apart, so that a plugin may keep its
// own columns behind each tn_op_record. *out_record is its record, or null.
// out_verdict is written only when the answer is no: OP_UNSUPPORTED when the table lacks the op,
// OP_VERSION with limit and actual when the node's version lies outside [oldest, newest].
// Returns 1 when the table has the op in the node's version.
uint32_t tn_helper_find_op(const tn_graph_view *view, const tn_graph_node *node,
                           const tn_op_record *ops, uint32_t count, uint32_t stride_bytes,
                           const tn_op_record **out_record, tn_node_verdict *out_verdict);

// Writes a verdict at node_index of the host's array, honouring its stride. node_index must be
// below node_capacity.
void tn_helper_put_verdict(tn_verdicts *verdicts, uint32_t node_index,
                           const tn_node_verdict *verdict);

// The answer that was put at node_index, which must be below node_capacity.
tn_answer tn_helper_answer(const tn_verdicts *verdicts, uint32_t node_index);

// Adds a claim over count nodes, honouring strides; claim->nodes is not read. It is counted in any
// case and written where there is room, so that the counts say what room there should be.
void tn_helper_put_claim(tn_verdicts *inout_verdicts, const tn_claim *claim, const uint32_t *nodes,
                         uint32_t count);

#ifdef __cplusplus
}
#endif

#endif // TENON_HELPER_VERDICTS_H
