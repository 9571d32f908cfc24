// SPDX-License-Identifier: Apache-2.0
// Reading nodes: attributes, operands, opsets.
#include "graph/graph.h"

static bool same_domain(tn_string a, tn_string b) {
    const tn_string onnx = TNI_LITERAL("ai.onnx");
    const tn_string empty = TNI_LITERAL("");
    a = tni_string_equal(a, onnx) ? empty : a;
    b = tni_string_equal(b, onnx) ? empty : b;
    return tni_string_equal(a, b);
}

uint32_t tni_model_opset(const tni_model *model, tn_string domain) {
    for (uint32_t i = 0; i < model->opset_count; i++) {
        if (same_domain(model->opsets[i].domain, domain)) {
            return model->opsets[i].version;
        }
    }
    return 0;
}

const tni_attr *tni_node_attr(const tni_node *node, const char *name) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        if (tni_string_is(node->attrs[i].name, name)) {
            return &node->attrs[i];
        }
    }
    return NULL;
}

int64_t tni_node_int(const tni_node *node, const char *name, int64_t fallback) {
    const tni_attr *attr = tni_node_attr(node, name);
    return attr != NULL && attr->kind == TN_ATTR_INT ? attr->ints[0] : fallback;
}

float tni_node_float(const tni_node *node, const char *name, float fallback) {
    const tni_attr *attr = tni_node_attr(node, name);
    return attr != NULL && attr->kind == TN_ATTR_FLOAT ? attr->floats[0] : fallback;
}

tn_string tni_node_text(const tni_node *node, const char *name, const char *fallback) {
    const tni_attr *attr = tni_node_attr(node, name);
    return attr != NULL && attr->kind == TN_ATTR_STRING ? attr->texts[0] : tni_string_of(fallback);
}

const int64_t *tni_node_ints(const tni_node *node, const char *name, uint32_t *out_count) {
    const tni_attr *attr = tni_node_attr(node, name);
    *out_count = 0;
    if (attr == NULL || attr->kind != TN_ATTR_INTS) {
        return NULL;
    }
    *out_count = attr->count;
    return attr->ints;
}

bool tni_node_is(const tni_node *node, const char *op_type) {
    return node->domain.size_bytes == 0 && tni_string_is(node->op_type, op_type);
}

bool tni_node_has_bodies(const tni_node *node) {
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tn_attr_kind kind = node->attrs[i].kind;
        if (kind == TN_ATTR_GRAPH || kind == TN_ATTR_GRAPHS) {
            return true;
        }
    }
    return false;
}

uint32_t tni_node_input(const tni_node *node, uint32_t index) {
    return index < node->input_count ? node->inputs[index] : TN_NONE;
}

uint32_t tni_node_output(const tni_node *node, uint32_t index) {
    return index < node->output_count ? node->outputs[index] : TN_NONE;
}

uint32_t tni_node_owner(const tni_model *model, uint32_t node) {
    const tni_graph *graph = &model->graphs[model->nodes[node].graph];
    while (graph->is_form || graph->is_expansion) {
        node = graph->parent_node;
        graph = &model->graphs[model->nodes[node].graph];
    }
    return node;
}

bool tni_call_is_in(const tni_model *model, uint32_t call, uint32_t outer) {
    while (call != TN_NONE && call > outer) {
        call = model->calls[call].caller;
    }
    return call == outer && outer != TN_NONE;
}

const tni_constant *tni_node_constant(const tni_model *model, const tni_node *node,
                                      uint32_t input) {
    const uint32_t value = tni_model_resolve(model, tni_node_input(node, input));
    if (value == TN_NONE || model->values[value].constant == TN_NONE) {
        return NULL;
    }
    return &model->constants[model->values[value].constant];
}
