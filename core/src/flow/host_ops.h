// SPDX-License-Identifier: Apache-2.0
// How the ops that the host carries out work, and what they share. Which they are: host_op.h.
#ifndef TENON_FLOW_HOST_OPS_H
#define TENON_FLOW_HOST_OPS_H

#include "flow/run.h"

// A new reference to operand index. Errors as tni_flow_take; an absent operand is INVALID_DATA.
TN_MUST_USE tn_status tni_operand(tni_flow_run *run, const tni_node *node, uint32_t index,
                                  tni_item *out_item, tn_error *error);
// The same where a tensor, or a sequence, is needed. TN_ERROR_INVALID_DATA it is something else.
TN_MUST_USE tn_status tni_operand_tensor(tni_flow_run *run, const tni_node *node, uint32_t index,
                                         tni_tensor **out_tensor, tn_error *error);
TN_MUST_USE tn_status tni_operand_sequence(tni_flow_run *run, const tni_node *node, uint32_t index,
                                           tni_sequence **out_sequence, tn_error *error);
// The one element of a bool, or of an int64 or int32 operand. TN_ERROR_INVALID_DATA not one.
TN_MUST_USE tn_status tni_operand_bool(tni_flow_run *run, const tni_node *node, uint32_t index,
                                       bool *out_value, tn_error *error);
TN_MUST_USE tn_status tni_operand_int(tni_flow_run *run, const tni_node *node, uint32_t index,
                                      int64_t *out_value, tn_error *error);
bool tni_operand_present(const tni_node *node, uint32_t index);
// Sets output index; the reference is taken over.
void tni_result(tni_flow_run *run, const tni_node *node, uint32_t index, tni_item item);
// A tensor without dims that holds one element.
TN_MUST_USE tn_status tni_scalar(tni_flow_run *run, tn_dtype dtype, const void *element,
                                 tni_item *out_item, tn_error *error);
// The body behind an attribute. TN_ERROR_INVALID_DATA there is none.
TN_MUST_USE tn_status tni_body(const tni_flow_run *run, const tni_node *node, const char *name,
                               uint32_t *out_graph, tn_error *error);
// Counts one more step of a loop. TN_ERROR_LIMIT_EXCEEDED · TN_ERROR_CANCELLED · TN_ERROR_TIMEOUT.
TN_MUST_USE tn_status tni_iterate(tni_flow_run *run, const tni_node *node, tn_error *error);
// The same for count steps at once.
TN_MUST_USE tn_status tni_spend(tni_flow_run *run, const tni_node *node, uint64_t count,
                                tn_error *error);

tn_status tni_op_if(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_loop(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_scan(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_map(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_identity(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_optional(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_optional_get(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_optional_has(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_at(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_construct(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_empty(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_erase(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_insert(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_sequence_length(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_split_to_sequence(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_concat_from_sequence(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_cast_text(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_equal_text(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_string_concat(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_string_normalizer(tni_flow_run *run, const tni_node *node, tn_error *error);
tn_status tni_op_string_split(tni_flow_run *run, const tni_node *node, tn_error *error);

#endif // TENON_FLOW_HOST_OPS_H
