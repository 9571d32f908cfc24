// SPDX-License-Identifier: Apache-2.0
// Accessors of a validated graph view. Every record is found through its span's stride, because the
// writer may have been built against a header with longer records (ABI-41).
#include "tenon/helper/graph_reader.h"

#include <string.h>

static const void *at(const tn_graph_view *view, const tn_span *span, uint32_t index) {
    return (const unsigned char *)(const void *)view + span->offset_bytes +
           (uint64_t)index * span->stride_bytes;
}

const tn_graph_record *tn_view_graph(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->graphs, index);
}

const tn_graph_node *tn_view_node(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->nodes, index);
}

const tn_graph_value *tn_view_value(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->values, index);
}

const tn_graph_attribute *tn_view_attribute(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->attributes, index);
}

const tn_graph_dim *tn_view_dim(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->dims, index);
}

const tn_graph_symbol *tn_view_symbol(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->symbols, index);
}

const tn_graph_constant *tn_view_constant(const tn_graph_view *view, uint32_t index) {
    return at(view, &view->constants, index);
}

uint32_t tn_view_value_id(const tn_graph_view *view, uint32_t index) {
    uint32_t id;
    memcpy(&id, at(view, &view->value_ids, index), sizeof id);
    return id;
}

int64_t tn_view_int(const tn_graph_view *view, uint32_t index) {
    int64_t value;
    memcpy(&value, at(view, &view->attr_ints, index), sizeof value);
    return value;
}

float tn_view_float(const tn_graph_view *view, uint32_t index) {
    float value;
    memcpy(&value, at(view, &view->attr_floats, index), sizeof value);
    return value;
}

tn_text_ref tn_view_text_ref(const tn_graph_view *view, uint32_t index) {
    tn_text_ref text;
    memcpy(&text, at(view, &view->attr_texts, index), sizeof text);
    return text;
}

uint32_t tn_view_index(const tn_graph_view *view, uint32_t index) {
    uint32_t value;
    memcpy(&value, at(view, &view->attr_indices, index), sizeof value);
    return value;
}

tn_string tn_view_text(const tn_graph_view *view, tn_text_ref text) {
    if (text.size_bytes == 0) {
        return (tn_string){NULL, 0};
    }
    const char *base = at(view, &view->strings, 0);
    return (tn_string){base + text.offset_bytes, text.size_bytes};
}

static uint32_t string_is(tn_string text, const char *expected) {
    const size_t size = strlen(expected);
    if (text.size_bytes != size) {
        return 0;
    }
    return size == 0 || memcmp(text.data, expected, size) == 0 ? 1u : 0u;
}

uint32_t tn_view_text_is(const tn_graph_view *view, tn_text_ref text, const char *expected) {
    return string_is(tn_view_text(view, text), expected);
}

uint32_t tn_view_node_is(const tn_graph_view *view, const tn_graph_node *node, const char *domain,
                         const char *op_type) {
    if (!tn_view_text_is(view, node->op_type, op_type)) {
        return 0;
    }
    if (domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0) {
        return tn_view_text_is(view, node->domain, "") |
               tn_view_text_is(view, node->domain, "ai.onnx");
    }
    return tn_view_text_is(view, node->domain, domain);
}

static uint32_t listed_value(const tn_graph_view *view, tn_range list, uint32_t index) {
    return index < list.count ? tn_view_value_id(view, list.begin + index) : TN_NONE;
}

uint32_t tn_view_node_input(const tn_graph_view *view, const tn_graph_node *node, uint32_t index) {
    return listed_value(view, node->inputs, index);
}

uint32_t tn_view_node_output(const tn_graph_view *view, const tn_graph_node *node, uint32_t index) {
    return listed_value(view, node->outputs, index);
}

uint32_t tn_view_graph_input(const tn_graph_view *view, const tn_graph_record *graph,
                             uint32_t index) {
    return listed_value(view, graph->inputs, index);
}

uint32_t tn_view_graph_output(const tn_graph_view *view, const tn_graph_record *graph,
                              uint32_t index) {
    return listed_value(view, graph->outputs, index);
}

const tn_graph_dim *tn_view_value_dim(const tn_graph_view *view, const tn_graph_value *value,
                                      uint32_t axis) {
    return tn_view_dim(view, value->dims.begin + axis);
}

const tn_graph_constant *tn_view_value_constant(const tn_graph_view *view,
                                                const tn_graph_value *value) {
    return value->constant == TN_NONE ? NULL : tn_view_constant(view, value->constant);
}

const tn_graph_attribute *tn_view_find_attr(const tn_graph_view *view, const tn_graph_node *node,
                                            const char *name, uint32_t *out_index) {
    for (uint32_t i = 0; i < node->attributes.count; ++i) {
        const tn_graph_attribute *attribute = tn_view_attribute(view, node->attributes.begin + i);
        if (tn_view_text_is(view, attribute->name, name)) {
            if (out_index != NULL) {
                *out_index = i;
            }
            return attribute;
        }
    }
    return NULL;
}

// The attribute when it is of one of two kinds and has at least one value.
static const tn_graph_attribute *find_kind(const tn_graph_view *view, const tn_graph_node *node,
                                           const char *name, tn_attr_kind one, tn_attr_kind many) {
    const tn_graph_attribute *attribute = tn_view_find_attr(view, node, name, NULL);
    if (attribute == NULL || attribute->values.count == 0 ||
        (attribute->kind != one && attribute->kind != many)) {
        return NULL;
    }
    return attribute;
}

int64_t tn_view_attr_int(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                         int64_t otherwise) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_INT, TN_ATTR_INT);
    return found == NULL ? otherwise : tn_view_int(view, found->values.begin);
}

float tn_view_attr_float(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                         float otherwise) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_FLOAT, TN_ATTR_FLOAT);
    return found == NULL ? otherwise : tn_view_float(view, found->values.begin);
}

tn_string tn_view_attr_string(const tn_graph_view *view, const tn_graph_node *node,
                              const char *name) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_STRING, TN_ATTR_STRING);
    if (found == NULL) {
        return (tn_string){NULL, 0};
    }
    return tn_view_text(view, tn_view_text_ref(view, found->values.begin));
}

uint32_t tn_view_attr_string_is(const tn_graph_view *view, const tn_graph_node *node,
                                const char *name, const char *expected) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_STRING, TN_ATTR_STRING);
    return found == NULL
               ? 0
               : tn_view_text_is(view, tn_view_text_ref(view, found->values.begin), expected);
}

uint32_t tn_view_attr_ints(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                           int64_t *out_values, uint32_t capacity) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_INTS, TN_ATTR_INT);
    if (found == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < found->values.count && i < capacity; ++i) {
        out_values[i] = tn_view_int(view, found->values.begin + i);
    }
    return found->values.count;
}

uint32_t tn_view_attr_floats(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                             float *out_values, uint32_t capacity) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_FLOATS, TN_ATTR_FLOAT);
    if (found == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < found->values.count && i < capacity; ++i) {
        out_values[i] = tn_view_float(view, found->values.begin + i);
    }
    return found->values.count;
}

const tn_graph_constant *tn_view_attr_tensor(const tn_graph_view *view, const tn_graph_node *node,
                                             const char *name) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_TENSOR, TN_ATTR_TENSORS);
    return found == NULL ? NULL : tn_view_constant(view, tn_view_index(view, found->values.begin));
}

uint32_t tn_view_attr_graph(const tn_graph_view *view, const tn_graph_node *node,
                            const char *name) {
    const tn_graph_attribute *found = find_kind(view, node, name, TN_ATTR_GRAPH, TN_ATTR_GRAPHS);
    return found == NULL ? TN_NONE : tn_view_index(view, found->values.begin);
}

// Bits of one element by dtype number; 0 where there is no fixed size.
static const uint8_t dtype_bits[TN_DTYPE_COUNT] = {
    [TN_DTYPE_FLOAT] = 32,         [TN_DTYPE_UINT8] = 8,          [TN_DTYPE_INT8] = 8,
    [TN_DTYPE_UINT16] = 16,        [TN_DTYPE_INT16] = 16,         [TN_DTYPE_INT32] = 32,
    [TN_DTYPE_INT64] = 64,         [TN_DTYPE_BOOL] = 8,           [TN_DTYPE_FLOAT16] = 16,
    [TN_DTYPE_DOUBLE] = 64,        [TN_DTYPE_UINT32] = 32,        [TN_DTYPE_UINT64] = 64,
    [TN_DTYPE_COMPLEX64] = 64,     [TN_DTYPE_COMPLEX128] = 128,   [TN_DTYPE_BFLOAT16] = 16,
    [TN_DTYPE_FLOAT8E4M3FN] = 8,   [TN_DTYPE_FLOAT8E4M3FNUZ] = 8, [TN_DTYPE_FLOAT8E5M2] = 8,
    [TN_DTYPE_FLOAT8E5M2FNUZ] = 8, [TN_DTYPE_UINT4] = 4,          [TN_DTYPE_INT4] = 4,
    [TN_DTYPE_FLOAT4E2M1] = 4,     [TN_DTYPE_FLOAT8E8M0] = 8,     [TN_DTYPE_UINT2] = 2,
    [TN_DTYPE_INT2] = 2,
};

uint64_t tn_view_dtype_bytes(tn_dtype dtype, uint64_t count) {
    const uint64_t bits = dtype < TN_DTYPE_COUNT ? dtype_bits[dtype] : 0;
    if (bits == 0) {
        return 0;
    }
    if (count > (UINT64_MAX - 7) / bits) {
        return UINT64_MAX;
    }
    return (count * bits + 7) / 8;
}
