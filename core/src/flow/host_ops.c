// SPDX-License-Identifier: Apache-2.0
// Dispatch of the ops the host carries out, and the reading of their operands.
#include "flow/host_ops.h"

#include "base/error.h"
#include "flow/host_op.h"

#include <string.h>

typedef tn_status (*host_op_fn)(tni_flow_run *run, const tni_node *node, tn_error *error);

static const host_op_fn functions[TNI_HOST_OP_COUNT] = {
    [TNI_HOST_CAST] = tni_op_cast_text,
    [TNI_HOST_CAST_LIKE] = tni_op_cast_text,
    [TNI_HOST_CONCAT_FROM_SEQUENCE] = tni_op_concat_from_sequence,
    [TNI_HOST_EQUAL] = tni_op_equal_text,
    [TNI_HOST_IDENTITY] = tni_op_identity,
    [TNI_HOST_IF] = tni_op_if,
    [TNI_HOST_LOOP] = tni_op_loop,
    [TNI_HOST_OPTIONAL] = tni_op_optional,
    [TNI_HOST_OPTIONAL_GET_ELEMENT] = tni_op_optional_get,
    [TNI_HOST_OPTIONAL_HAS_ELEMENT] = tni_op_optional_has,
    [TNI_HOST_SCAN] = tni_op_scan,
    [TNI_HOST_SEQUENCE_AT] = tni_op_sequence_at,
    [TNI_HOST_SEQUENCE_CONSTRUCT] = tni_op_sequence_construct,
    [TNI_HOST_SEQUENCE_EMPTY] = tni_op_sequence_empty,
    [TNI_HOST_SEQUENCE_ERASE] = tni_op_sequence_erase,
    [TNI_HOST_SEQUENCE_INSERT] = tni_op_sequence_insert,
    [TNI_HOST_SEQUENCE_LENGTH] = tni_op_sequence_length,
    [TNI_HOST_SEQUENCE_MAP] = tni_op_sequence_map,
    [TNI_HOST_SPLIT_TO_SEQUENCE] = tni_op_split_to_sequence,
    [TNI_HOST_STRING_CONCAT] = tni_op_string_concat,
    [TNI_HOST_STRING_NORMALIZER] = tni_op_string_normalizer,
    [TNI_HOST_STRING_SPLIT] = tni_op_string_split,
};

tn_status tni_flow_run_node(tni_flow_run *run, uint32_t id, tn_error *error) {
    const tni_node *node = &run->flow->model->nodes[id];
    const tni_host_op op = tni_host_op_of(node);
    return op != TNI_HOST_OP_COUNT ? functions[op](run, node, error)
                                   : tni_host_op_check(run->flow->model, id, error);
}

static uint32_t id_of(const tni_flow_run *run, const tni_node *node) {
    return (uint32_t)(node - run->flow->model->nodes);
}

bool tni_operand_present(const tni_node *node, uint32_t index) {
    return tni_node_input(node, index) != TN_NONE;
}

static tn_status bad_operand(const tni_flow_run *run, const tni_node *node, uint32_t index,
                             const char *needed, tn_error *error) {
    return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.operand", id_of(run, node),
                         tni_node_input(node, index), "node \"%.*s\" (%.*s): operand %u is no %s",
                         TNI_TEXT(node->name), TNI_TEXT(node->op_type), index, needed);
}

tn_status tni_operand(tni_flow_run *run, const tni_node *node, uint32_t index, tni_item *out_item,
                      tn_error *error) {
    uint32_t value = tni_node_input(node, index);
    *out_item = (tni_item){.kind = TNI_ITEM_EMPTY};
    return value == TN_NONE ? bad_operand(run, node, index, "value", error)
                            : tni_flow_take(run, value, out_item, error);
}

tn_status tni_operand_tensor(tni_flow_run *run, const tni_node *node, uint32_t index,
                             tni_tensor **out_tensor, tn_error *error) {
    tni_item item;
    *out_tensor = NULL;
    tn_status status = tni_operand(run, node, index, &item, error);
    if (status == TN_OK && item.kind != TNI_ITEM_TENSOR) {
        tni_item_clear(&item);
        status = bad_operand(run, node, index, "tensor", error);
    }
    *out_tensor = item.tensor;
    return status;
}

tn_status tni_operand_sequence(tni_flow_run *run, const tni_node *node, uint32_t index,
                               tni_sequence **out_sequence, tn_error *error) {
    tni_item item;
    *out_sequence = NULL;
    tn_status status = tni_operand(run, node, index, &item, error);
    if (status == TN_OK && item.kind != TNI_ITEM_SEQUENCE) {
        tni_item_clear(&item);
        status = bad_operand(run, node, index, "sequence", error);
    }
    *out_sequence = item.sequence;
    return status;
}

tn_status tni_operand_bool(tni_flow_run *run, const tni_node *node, uint32_t index, bool *out_value,
                           tn_error *error) {
    tni_tensor *tensor = NULL;
    *out_value = false;
    tn_status status = tni_operand_tensor(run, node, index, &tensor, error);
    if (status != TN_OK) {
        return status;
    }
    if (tensor->dtype == TN_DTYPE_BOOL && tensor->size_bytes == 1) {
        *out_value = tensor->data[0] != 0;
    } else {
        status = bad_operand(run, node, index, "single bool", error);
    }
    tni_tensor_release(tensor);
    return status;
}

tn_status tni_operand_int(tni_flow_run *run, const tni_node *node, uint32_t index,
                          int64_t *out_value, tn_error *error) {
    tni_tensor *tensor = NULL;
    int32_t narrow = 0;
    *out_value = 0;
    tn_status status = tni_operand_tensor(run, node, index, &tensor, error);
    if (status != TN_OK) {
        return status;
    }
    if (tensor->dtype == TN_DTYPE_INT64 && tensor->size_bytes == sizeof(*out_value)) {
        memcpy(out_value, tensor->data, sizeof(*out_value));
    } else if (tensor->dtype == TN_DTYPE_INT32 && tensor->size_bytes == sizeof(narrow)) {
        memcpy(&narrow, tensor->data, sizeof(narrow));
        *out_value = narrow;
    } else {
        status = bad_operand(run, node, index, "single integer", error);
    }
    tni_tensor_release(tensor);
    return status;
}

void tni_result(tni_flow_run *run, const tni_node *node, uint32_t index, tni_item item) {
    tni_flow_set(run, tni_node_output(node, index), item);
}

tn_status tni_scalar(tni_flow_run *run, tn_dtype dtype, const void *element, tni_item *out_item,
                     tn_error *error) {
    tni_tensor *tensor = NULL;
    *out_item = (tni_item){.kind = TNI_ITEM_EMPTY};
    tn_status status = tni_tensor_create(&run->store, dtype, 0, NULL, &tensor, error);
    if (status == TN_OK) {
        memcpy(tensor->data, element, tensor->size_bytes);
        *out_item = tni_item_of(tensor);
    }
    return status;
}

tn_status tni_body(const tni_flow_run *run, const tni_node *node, const char *name,
                   uint32_t *out_graph, tn_error *error) {
    const tni_attr *attr = tni_node_attr(node, name);
    if (attr == NULL || attr->kind != TN_ATTR_GRAPH) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.body", id_of(run, node), TN_NONE,
                             "node \"%.*s\" (%.*s) has no body \"%s\"", TNI_TEXT(node->name),
                             TNI_TEXT(node->op_type), name);
    }
    *out_graph = attr->indices[0];
    return TN_OK;
}

tn_status tni_iterate(tni_flow_run *run, const tni_node *node, tn_error *error) {
    return tni_spend(run, node, 1, error);
}

tn_status tni_spend(tni_flow_run *run, const tni_node *node, uint64_t count, tn_error *error) {
    const uint64_t most = run->limits.max_iterations;
    if (run->iterations > most || count > most - run->iterations) {
        return tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "flow.iterations", id_of(run, node),
                             TN_NONE, "node \"%.*s\" (%.*s): more than %llu iterations in one run",
                             TNI_TEXT(node->name), TNI_TEXT(node->op_type),
                             (unsigned long long)run->limits.max_iterations);
    }
    run->iterations += count;
    return tni_flow_check(run, error);
}
