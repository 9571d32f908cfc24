// SPDX-License-Identifier: Apache-2.0
// Which ops the host can carry out itself. What they do: host_ops.h.
#ifndef TENON_FLOW_HOST_OP_H
#define TENON_FLOW_HOST_OP_H

#include "graph/graph.h"

// In the order of their names.
typedef enum tni_host_op {
    TNI_HOST_CAST,
    TNI_HOST_CAST_LIKE,
    TNI_HOST_CONCAT_FROM_SEQUENCE,
    TNI_HOST_EQUAL,
    TNI_HOST_IDENTITY,
    TNI_HOST_IF,
    TNI_HOST_LOOP,
    TNI_HOST_OPTIONAL,
    TNI_HOST_OPTIONAL_GET_ELEMENT,
    TNI_HOST_OPTIONAL_HAS_ELEMENT,
    TNI_HOST_SCAN,
    TNI_HOST_SEQUENCE_AT,
    TNI_HOST_SEQUENCE_CONSTRUCT,
    TNI_HOST_SEQUENCE_EMPTY,
    TNI_HOST_SEQUENCE_ERASE,
    TNI_HOST_SEQUENCE_INSERT,
    TNI_HOST_SEQUENCE_LENGTH,
    TNI_HOST_SEQUENCE_MAP,
    TNI_HOST_SPLIT_TO_SEQUENCE,
    TNI_HOST_STRING_CONCAT,
    TNI_HOST_STRING_NORMALIZER,
    TNI_HOST_STRING_SPLIT,
    TNI_HOST_OP_COUNT, // none of them
} tni_host_op;

// The op that a node is, of ai.onnx, or TNI_HOST_OP_COUNT.
tni_host_op tni_host_op_of(const tni_node *node);
// TN_OK · TN_ERROR_UNSUPPORTED "flow.op" the host cannot carry the node out.
TN_MUST_USE tn_status tni_host_op_check(const tni_model *model, uint32_t node, tn_error *error);

#endif // TENON_FLOW_HOST_OP_H
