// SPDX-License-Identifier: Apache-2.0
// If, Loop and SequenceMap as the ONNX standard defines them (docs/Operators.md): the host reads
// conditions and steps through the bodies.
#include "base/error.h"
#include "flow/collect.h"
#include "flow/host_ops.h"

#include <string.h>

static tn_status body_mismatch(tni_flow_run *run, const tni_node *node, tn_error *error) {
    return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.body",
                         (uint32_t)(node - run->flow->model->nodes), TN_NONE,
                         "node \"%.*s\" (%.*s): the body takes or gives another number of values",
                         TNI_TEXT(node->name), TNI_TEXT(node->op_type));
}

tn_status tni_op_if(tni_flow_run *run, const tni_node *node, tn_error *error) {
    bool condition = false;
    uint32_t graph = TN_NONE;
    tn_status status = tni_operand_bool(run, node, 0, &condition, error);
    if (status == TN_OK) {
        status = tni_body(run, node, condition ? "then_branch" : "else_branch", &graph, error);
    }
    if (status != TN_OK) {
        return status;
    }
    const tni_graph *body = &run->flow->model->graphs[graph];
    if (body->output_count < node->output_count) {
        return body_mismatch(run, node, error);
    }
    status = tni_flow_walk(run, graph, error);
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        tni_item item;
        status = tni_flow_take(run, body->outputs[i], &item, error);
        tni_result(run, node, i, item);
    }
    tni_flow_clear_body(run, graph);
    return status;
}

// A Loop under way. Values that are carried are followed by those that are collected.
typedef struct loop {
    tni_flow_run *run;
    const tni_node *node;
    uint32_t graph;
    const tni_graph *body;
    uint32_t carried_count;
    uint32_t collected_count;
    tni_item *carried;
    tni_collector *collectors;
    bool go_on;
} loop;

static tn_status read_flag(loop *l, const tni_item *item, tn_error *error) {
    if (item->kind != TNI_ITEM_TENSOR || item->tensor->dtype != TN_DTYPE_BOOL ||
        item->tensor->size_bytes != 1) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.condition",
                             (uint32_t)(l->node - l->run->flow->model->nodes), TN_NONE,
                             "the condition of a loop is no single bool");
    }
    l->go_on = item->tensor->data[0] != 0;
    return TN_OK;
}

static tn_status bind_step(loop *l, int64_t step, tn_error *error) {
    tni_item item;
    const uint8_t flag = 1;
    tn_status status = tni_scalar(l->run, TN_DTYPE_INT64, &step, &item, error);
    tni_flow_set(l->run, l->body->inputs[0], item);
    if (status == TN_OK) {
        status = tni_scalar(l->run, TN_DTYPE_BOOL, &flag, &item, error);
        tni_flow_set(l->run, l->body->inputs[1], item);
    }
    for (uint32_t i = 0; i < l->carried_count && status == TN_OK; i++) {
        tni_flow_set(l->run, l->body->inputs[2 + i], l->carried[i]);
        l->carried[i] = (tni_item){.kind = TNI_ITEM_EMPTY};
    }
    return status;
}

static tn_status take_step(loop *l, tn_error *error) {
    tni_item item;
    tn_status status = tni_flow_take(l->run, l->body->outputs[0], &item, error);
    if (status == TN_OK) {
        status = read_flag(l, &item, error);
        tni_item_clear(&item);
    }
    for (uint32_t i = 0; i < l->carried_count && status == TN_OK; i++) {
        status = tni_flow_take(l->run, l->body->outputs[1 + i], &l->carried[i], error);
    }
    for (uint32_t i = 0; i < l->collected_count && status == TN_OK; i++) {
        status = tni_flow_take(l->run, l->body->outputs[1 + l->carried_count + i], &item, error);
        if (status == TN_OK) {
            status = tni_collect(&l->collectors[i], &item, error);
        }
    }
    return status;
}

static tn_status loop_steps(loop *l, int64_t trip_count, tn_error *error) {
    tn_status status = TN_OK;
    for (int64_t step = 0; status == TN_OK && l->go_on && step < trip_count; step++) {
        status = tni_iterate(l->run, l->node, error);
        if (status == TN_OK) {
            status = bind_step(l, step, error);
        }
        if (status == TN_OK) {
            status = tni_flow_walk(l->run, l->graph, error);
        }
        if (status == TN_OK) {
            status = take_step(l, error);
        }
        tni_flow_clear_body(l->run, l->graph);
    }
    return status;
}

static tn_status loop_begin(loop *l, int64_t *out_trip_count, tn_error *error) {
    tni_flow_run *run = l->run;
    tn_status status = TN_OK;
    *out_trip_count = INT64_MAX;
    l->go_on = true;
    if (tni_operand_present(l->node, 0)) {
        status = tni_operand_int(run, l->node, 0, out_trip_count, error);
    }
    if (status == TN_OK && tni_operand_present(l->node, 1)) {
        status = tni_operand_bool(run, l->node, 1, &l->go_on, error);
    }
    for (uint32_t i = 0; i < l->carried_count && status == TN_OK; i++) {
        status = tni_operand(run, l->node, 2 + i, &l->carried[i], error);
    }
    for (uint32_t i = 0; i < l->collected_count && status == TN_OK; i++) {
        uint32_t value = l->body->outputs[1 + l->carried_count + i];
        tni_collector_init(&l->collectors[i], &run->store, &run->flow->model->values[value], 0,
                           false, *out_trip_count);
    }
    return status;
}

static tn_status loop_end(loop *l, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < l->carried_count; i++) {
        tni_result(l->run, l->node, i, l->carried[i]);
        l->carried[i] = (tni_item){.kind = TNI_ITEM_EMPTY};
    }
    for (uint32_t i = 0; i < l->collected_count && status == TN_OK; i++) {
        tni_item item;
        status = tni_collector_finish(&l->collectors[i], &item, error);
        tni_result(l->run, l->node, l->carried_count + i, item);
    }
    return status;
}

static tn_status run_loop(loop *l, tn_error *error) {
    int64_t trip_count = 0;
    tn_status status = loop_begin(l, &trip_count, error);
    if (status == TN_OK) {
        status = loop_steps(l, trip_count, error);
    }
    return status == TN_OK ? loop_end(l, error) : status;
}

tn_status tni_op_loop(tni_flow_run *run, const tni_node *node, tn_error *error) {
    loop l = {.run = run, .node = node};
    tn_status status = tni_body(run, node, "body", &l.graph, error);
    if (status != TN_OK) {
        return status;
    }
    l.body = &run->flow->model->graphs[l.graph];
    l.carried_count = node->input_count > 2 ? node->input_count - 2 : 0;
    if (l.body->input_count != l.carried_count + 2 || l.body->output_count < l.carried_count + 1) {
        return body_mismatch(run, node, error);
    }
    l.collected_count = l.body->output_count - l.carried_count - 1;
    l.carried = tni_alloc_array(&run->alloc, (uint64_t)l.carried_count + 1, sizeof(tni_item));
    l.collectors =
        tni_alloc_array(&run->alloc, (uint64_t)l.collected_count + 1, sizeof(tni_collector));
    status = l.carried != NULL && l.collectors != NULL
                 ? run_loop(&l, error)
                 : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a loop");
    for (uint32_t i = 0; l.carried != NULL && i < l.carried_count; i++) {
        tni_item_clear(&l.carried[i]);
    }
    for (uint32_t i = 0; l.collectors != NULL && i < l.collected_count; i++) {
        tni_collector_deinit(&l.collectors[i]);
    }
    tni_free_array(&run->alloc, l.carried, (uint64_t)l.carried_count + 1, sizeof(tni_item));
    tni_free_array(&run->alloc, l.collectors, (uint64_t)l.collected_count + 1,
                   sizeof(tni_collector));
    return status;
}

// Element index of every sequence operand goes in; tensors go in as they are.
static tn_status bind_map_step(tni_flow_run *run, const tni_node *node, const tni_graph *body,
                               uint32_t index, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node->input_count && status == TN_OK; i++) {
        tni_item item;
        status = tni_operand(run, node, i, &item, error);
        if (status == TN_OK && item.kind == TNI_ITEM_SEQUENCE) {
            if (index >= item.sequence->count) {
                tni_item_clear(&item);
                return body_mismatch(run, node, error);
            }
            tni_item element = tni_item_share(tni_item_of(item.sequence->tensors[index]));
            tni_item_clear(&item);
            item = element;
        }
        tni_flow_set(run, body->inputs[i], item);
    }
    return status;
}

static tn_status take_map_step(tni_flow_run *run, const tni_node *node, const tni_graph *body,
                               uint32_t index, tni_item *outputs, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        tni_item item;
        status = tni_flow_take(run, body->outputs[i], &item, error);
        if (status == TN_OK && item.kind != TNI_ITEM_TENSOR) {
            tni_item_clear(&item);
            status = body_mismatch(run, node, error);
        }
        if (status == TN_OK) {
            outputs[i].sequence->tensors[index] = item.tensor;
        }
    }
    return status;
}

static tn_status run_map(tni_flow_run *run, const tni_node *node, uint32_t graph, uint32_t count,
                         tni_item *outputs, tn_error *error) {
    const tni_graph *body = &run->flow->model->graphs[graph];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        status = tni_sequence_create(&run->store, count, &outputs[i].sequence, error);
        outputs[i].kind = status == TN_OK ? TNI_ITEM_SEQUENCE : TNI_ITEM_EMPTY;
    }
    for (uint32_t k = 0; k < count && status == TN_OK; k++) {
        status = tni_iterate(run, node, error);
        if (status == TN_OK) {
            status = bind_map_step(run, node, body, k, error);
        }
        if (status == TN_OK) {
            status = tni_flow_walk(run, graph, error);
        }
        if (status == TN_OK) {
            status = take_map_step(run, node, body, k, outputs, error);
        }
        tni_flow_clear_body(run, graph);
    }
    return status;
}

tn_status tni_op_sequence_map(tni_flow_run *run, const tni_node *node, tn_error *error) {
    uint32_t graph = TN_NONE;
    tni_sequence *first = NULL;
    tn_status status = tni_body(run, node, "body", &graph, error);
    if (status == TN_OK) {
        const tni_graph *body = &run->flow->model->graphs[graph];
        status = body->input_count == node->input_count && body->output_count >= node->output_count
                     ? tni_operand_sequence(run, node, 0, &first, error)
                     : body_mismatch(run, node, error);
    }
    if (status != TN_OK) {
        return status;
    }
    uint32_t count = first->count;
    tni_sequence_release(first);
    uint64_t room = (uint64_t)node->output_count + 1;
    tni_item *outputs = tni_alloc_array(&run->alloc, room, sizeof(*outputs));
    status = outputs != NULL ? run_map(run, node, graph, count, outputs, error)
                             : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a sequence");
    for (uint32_t i = 0; outputs != NULL && i < node->output_count; i++) {
        if (status == TN_OK) {
            tni_result(run, node, i, outputs[i]);
        } else {
            tni_item_clear(&outputs[i]);
        }
    }
    tni_free_array(&run->alloc, outputs, room, sizeof(*outputs));
    return status;
}
