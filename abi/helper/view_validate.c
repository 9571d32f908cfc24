// SPDX-License-Identifier: Apache-2.0
// Validation of a graph view from an untrusted sender. The work is linear in the size of the view:
// lists may not share entries of the value pool, so hostile overlaps cannot make it quadratic.
#include "tenon/helper/graph_reader.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

typedef struct checker {
    const tn_graph_view *view;
    tn_error *error;
    uint64_t listed_values;     // entries of value_ids used so far
    uint64_t listed_attributes; // entries of attributes used so far
    uint64_t produced_values;   // outputs of nodes seen so far
} checker;

static tn_status broken(const checker *check, const char *id, const char *what, uint64_t index) {
    return tn_helper_fail(check->error, TN_ERROR_INVALID_DATA, id, "%s %" PRIu64 " is broken", what,
                          index);
}

static tn_status broken_node(const checker *check, uint32_t node, const char *id,
                             const char *what) {
    return tn_helper_fail_at(check->error, TN_ERROR_INVALID_DATA, node, TN_NONE, id, "node %u: %s",
                             node, what);
}

static tn_status broken_value(const checker *check, uint32_t value, const char *id,
                              const char *what) {
    return tn_helper_fail_at(check->error, TN_ERROR_INVALID_DATA, TN_NONE, value, id,
                             "value %u: %s", value, what);
}

static tn_status check_span(const checker *check, const char *name, const tn_span *span,
                            uint32_t record_bytes, uint32_t alignment) {
    const uint64_t total = check->view->total_bytes;
    const uint64_t bytes = (uint64_t)span->count * span->stride_bytes;
    if (span->count == 0) {
        return TN_OK;
    }
    if (span->offset_bytes % 8 != 0 || span->stride_bytes < record_bytes ||
        span->stride_bytes % alignment != 0 || span->offset_bytes > total ||
        bytes > total - span->offset_bytes || span->count == TN_NONE) {
        return tn_helper_fail(check->error, TN_ERROR_INVALID_DATA, "view.span",
                              "span %s: %u records of %u bytes at %" PRIu64
                              " do not fit a view of %" PRIu64 " bytes",
                              name, span->count, span->stride_bytes, span->offset_bytes, total);
    }
    return TN_OK;
}

static tn_status check_header(const tn_graph_view *view, uint64_t readable_bytes, tn_error *error) {
    if (view == NULL || readable_bytes < sizeof *view || (uintptr_t)view % 8 != 0) {
        (void)tn_helper_fail(error, TN_ERROR_INVALID_DATA, "view.header",
                             "the view is null, misaligned or shorter than its header");
        return TN_ERROR_INVALID_DATA;
    }
    if (view->struct_type != TN_STRUCT_GRAPH_VIEW || view->struct_size < sizeof *view ||
        view->total_bytes < view->struct_size || view->total_bytes > readable_bytes) {
        (void)tn_helper_fail(error, TN_ERROR_INVALID_DATA, "view.header",
                             "type %u, header %u bytes, total %" PRIu64 " bytes", view->struct_type,
                             view->struct_size, view->total_bytes);
        return TN_ERROR_INVALID_DATA;
    }
    return TN_OK;
}

#define CHECK_SPAN(member, type)                                                                   \
    do {                                                                                           \
        const tn_status span_status =                                                              \
            check_span(check, #member, &check->view->member, (uint32_t)sizeof(type),               \
                       (uint32_t) _Alignof(type));                                                 \
        if (span_status != TN_OK) {                                                                \
            return span_status;                                                                    \
        }                                                                                          \
    } while (0)

static tn_status check_spans(const checker *check) {
    CHECK_SPAN(graphs, tn_graph_record);
    CHECK_SPAN(nodes, tn_graph_node);
    CHECK_SPAN(values, tn_graph_value);
    CHECK_SPAN(value_ids, uint32_t);
    CHECK_SPAN(attributes, tn_graph_attribute);
    CHECK_SPAN(attr_ints, int64_t);
    CHECK_SPAN(attr_floats, float);
    CHECK_SPAN(attr_texts, tn_text_ref);
    CHECK_SPAN(attr_indices, uint32_t);
    CHECK_SPAN(dims, tn_graph_dim);
    CHECK_SPAN(symbols, tn_graph_symbol);
    CHECK_SPAN(constants, tn_graph_constant);
    CHECK_SPAN(strings, char);
    if (check->view->strings.count != 0 && check->view->strings.stride_bytes != 1) {
        return broken(check, "view.span", "stride of the strings,",
                      check->view->strings.stride_bytes);
    }
    if (check->view->graphs.count == 0) {
        return broken(check, "view.graphs", "graph count", 0);
    }
    return TN_OK;
}

static uint32_t range_ok(tn_range range, const tn_span *pool) {
    return range.begin <= pool->count && range.count <= pool->count - range.begin ? 1u : 0u;
}

static uint32_t text_ok(const checker *check, tn_text_ref text) {
    const tn_range range = {text.offset_bytes, text.size_bytes};
    return text.size_bytes == 0 || range_ok(range, &check->view->strings) ? 1u : 0u;
}

// A list of values; counts its entries, which no other list may use too.
static uint32_t list_ok(checker *check, tn_range list) {
    if (!range_ok(list, &check->view->value_ids)) {
        return 0;
    }
    check->listed_values += list.count;
    if (check->listed_values > check->view->value_ids.count) {
        return 0;
    }
    for (uint32_t i = 0; i < list.count; ++i) {
        const uint32_t id = tn_view_value_id(check->view, list.begin + i);
        if (id != TN_NONE && id >= check->view->values.count) {
            return 0;
        }
    }
    return 1;
}

// The graph that encloses one, TN_NONE for graph 0. parent_node was checked to be in range.
static uint32_t parent_graph(const tn_graph_view *view, uint32_t graph) {
    const uint32_t node = tn_view_graph(view, graph)->parent_node;
    return node == TN_NONE ? TN_NONE : tn_view_node(view, node)->graph;
}

// Whether inner lies in outer; both are valid indices.
static uint32_t encloses(const tn_graph_view *view, uint32_t outer, uint32_t inner) {
    for (uint32_t depth = 0; depth <= TN_VIEW_MAX_DEPTH && inner != TN_NONE; ++depth) {
        if (inner == outer) {
            return 1;
        }
        inner = parent_graph(view, inner);
    }
    return 0;
}

static tn_status check_graphs(checker *check) {
    const tn_graph_view *view = check->view;
    uint64_t owned_nodes = 0;
    for (uint32_t i = 0; i < view->graphs.count; ++i) {
        const tn_graph_record *graph = tn_view_graph(view, i);
        const uint32_t is_outermost = graph->parent_node == TN_NONE ? 1u : 0u;
        if (!text_ok(check, graph->name) || !range_ok(graph->nodes, &view->nodes) ||
            !list_ok(check, graph->inputs) || !list_ok(check, graph->outputs) ||
            !list_ok(check, graph->captures) || is_outermost != (i == 0 ? 1u : 0u) ||
            (!is_outermost && graph->parent_node >= view->nodes.count)) {
            return broken(check, "view.graph", "graph", i);
        }
        owned_nodes += graph->nodes.count;
        if (owned_nodes > view->nodes.count) {
            return broken(check, "view.graph-nodes", "list of nodes of graph", i);
        }
        for (uint32_t n = 0; n < graph->nodes.count; ++n) {
            if (tn_view_node(view, graph->nodes.begin + n)->graph != i) {
                return broken(check, "view.graph-nodes", "list of nodes of graph", i);
            }
        }
    }
    // Every node names a graph that lists it, and the lists hold as many nodes as there are.
    return owned_nodes == view->nodes.count
               ? TN_OK
               : broken(check, "view.graph-nodes", "owned node count", owned_nodes);
}

static tn_status check_nesting(const checker *check) {
    const tn_graph_view *view = check->view;
    for (uint32_t i = 1; i < view->graphs.count; ++i) {
        uint32_t graph = i;
        for (uint32_t depth = 0; graph != 0; ++depth) {
            if (depth > TN_VIEW_MAX_DEPTH) {
                return broken(check, "view.nesting", "nesting of graph", i);
            }
            graph = parent_graph(view, graph);
        }
    }
    return TN_OK;
}

static tn_status check_dims(const checker *check) {
    const tn_graph_view *view = check->view;
    for (uint32_t i = 0; i < view->dims.count; ++i) {
        const tn_graph_dim *dim = tn_view_dim(view, i);
        if (dim->size < -1 || (dim->symbol != TN_NONE && dim->symbol >= view->symbols.count)) {
            return broken(check, "view.dim", "dimension", i);
        }
    }
    for (uint32_t i = 0; i < view->symbols.count; ++i) {
        const tn_graph_symbol *symbol = tn_view_symbol(view, i);
        if (!text_ok(check, symbol->name) || symbol->min < 0 || symbol->max < symbol->min) {
            return broken(check, "view.symbol", "symbol", i);
        }
    }
    return TN_OK;
}

static tn_status check_constants(const checker *check) {
    const tn_graph_view *view = check->view;
    for (uint32_t i = 0; i < view->constants.count; ++i) {
        const tn_graph_constant *constant = tn_view_constant(view, i);
        if (constant->dims.count > TN_MAX_RANK || !range_ok(constant->dims, &view->dims)) {
            return broken(check, "view.constant", "shape of constant", i);
        }
        uint64_t count = 1;
        for (uint32_t d = 0; d < constant->dims.count; ++d) {
            const int64_t size = tn_view_dim(view, constant->dims.begin + d)->size;
            if (size < 0 || (size != 0 && count > (uint64_t)INT64_MAX / (uint64_t)size)) {
                return broken(check, "view.constant", "shape of constant", i);
            }
            count *= (uint64_t)size;
        }
        if (constant->dtype != TN_DTYPE_STRING &&
            constant->size_bytes != tn_view_dtype_bytes(constant->dtype, count)) {
            return broken(check, "view.constant-bytes", "byte size of constant", i);
        }
    }
    return TN_OK;
}

static tn_status check_values(const checker *check) {
    const tn_graph_view *view = check->view;
    for (uint32_t i = 0; i < view->values.count; ++i) {
        const tn_graph_value *value = tn_view_value(view, i);
        if (!text_ok(check, value->name) || value->kind > TN_VALUE_SPARSE_TENSOR ||
            value->graph >= view->graphs.count) {
            return broken_value(check, i, "view.value", "name, kind or graph");
        }
        if (value->dims.count != TN_RANK_UNKNOWN &&
            (value->dims.count > TN_MAX_RANK || !range_ok(value->dims, &view->dims))) {
            return broken_value(check, i, "view.value-dims", "dimensions");
        }
        if (value->constant != TN_NONE &&
            (value->constant >= view->constants.count || value->producer != TN_NONE)) {
            return broken_value(check, i, "view.value-constant", "constant");
        }
        if (value->producer != TN_NONE &&
            (value->producer >= view->nodes.count ||
             tn_view_node(view, value->producer)->graph != value->graph)) {
            return broken_value(check, i, "view.value-producer", "producer");
        }
    }
    return TN_OK;
}

static tn_status check_attribute(const checker *check, uint32_t node_index,
                                 const tn_graph_attribute *attribute) {
    const tn_graph_view *view = check->view;
    const tn_span *pool = NULL;
    switch (attribute->kind) {
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        pool = &view->attr_floats;
        break;
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        pool = &view->attr_ints;
        break;
    case TN_ATTR_STRING:
    case TN_ATTR_STRINGS:
        pool = &view->attr_texts;
        break;
    case TN_ATTR_TENSOR:
    case TN_ATTR_TENSORS:
    case TN_ATTR_GRAPH:
    case TN_ATTR_GRAPHS:
        pool = &view->attr_indices;
        break;
    default:
        return broken_node(check, node_index, "view.attribute-kind", "attribute of unknown kind");
    }
    const uint32_t is_scalar = attribute->kind <= TN_ATTR_GRAPH ? 1u : 0u;
    if (!text_ok(check, attribute->name) || !range_ok(attribute->values, pool) ||
        (is_scalar && attribute->values.count != 1)) {
        return broken_node(check, node_index, "view.attribute", "attribute name or values");
    }
    const uint32_t is_graph =
        attribute->kind == TN_ATTR_GRAPH || attribute->kind == TN_ATTR_GRAPHS ? 1u : 0u;
    for (uint32_t i = 0; pool == &view->attr_indices && i < attribute->values.count; ++i) {
        const uint32_t index = tn_view_index(view, attribute->values.begin + i);
        if (is_graph ? index >= view->graphs.count ||
                           tn_view_graph(view, index)->parent_node != node_index
                     : index >= view->constants.count) {
            return broken_node(check, node_index, "view.attribute-index", "attribute index");
        }
    }
    return TN_OK;
}

static tn_status check_attributes(checker *check, uint32_t node_index, const tn_graph_node *node) {
    if (!range_ok(node->attributes, &check->view->attributes)) {
        return broken_node(check, node_index, "view.attributes", "list of attributes");
    }
    check->listed_attributes += node->attributes.count;
    if (check->listed_attributes > check->view->attributes.count) {
        return broken_node(check, node_index, "view.attributes", "attributes shared with a node");
    }
    for (uint32_t i = 0; i < node->attributes.count; ++i) {
        const tn_status status = check_attribute(
            check, node_index, tn_view_attribute(check->view, node->attributes.begin + i));
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Inputs come from an enclosing graph or from before; outputs name the node as their producer.
static tn_status check_operands(checker *check, uint32_t node_index, const tn_graph_node *node) {
    const tn_graph_view *view = check->view;
    if (!list_ok(check, node->inputs) || !list_ok(check, node->outputs)) {
        return broken_node(check, node_index, "view.operands", "list of inputs or outputs");
    }
    for (uint32_t i = 0; i < node->inputs.count; ++i) {
        const uint32_t id = tn_view_node_input(view, node, i);
        if (id == TN_NONE) {
            continue;
        }
        const tn_graph_value *value = tn_view_value(view, id);
        if (value->graph == node->graph
                ? value->producer != TN_NONE && value->producer >= node_index
                : !encloses(view, value->graph, node->graph)) {
            return broken_node(check, node_index, "view.order", "input that is not computed yet");
        }
    }
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        const uint32_t id = tn_view_node_output(view, node, i);
        if (id == TN_NONE) {
            continue;
        }
        if (tn_view_value(view, id)->producer != node_index) {
            return broken_node(check, node_index, "view.producer", "output of another node");
        }
        check->produced_values += 1;
    }
    return TN_OK;
}

static tn_status check_nodes(checker *check) {
    const tn_graph_view *view = check->view;
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, i);
        if (!text_ok(check, node->domain) || !text_ok(check, node->op_type) ||
            !text_ok(check, node->name)) {
            return broken_node(check, i, "view.node", "name");
        }
        if (node->expansion != TN_NONE &&
            (node->expansion >= view->graphs.count ||
             tn_view_graph(view, node->expansion)->parent_node != i)) {
            return broken_node(check, i, "view.expansion", "expansion");
        }
        tn_status status = check_attributes(check, i, node);
        if (status == TN_OK) {
            status = check_operands(check, i, node);
        }
        if (status != TN_OK) {
            return status;
        }
    }
    uint64_t expected = 0;
    for (uint32_t i = 0; i < view->values.count; ++i) {
        expected += tn_view_value(view, i)->producer != TN_NONE ? 1u : 0u;
    }
    return expected == check->produced_values
               ? TN_OK
               : broken(check, "view.producer", "count of produced values,", expected);
}

static tn_status check_texts(const checker *check) {
    for (uint32_t i = 0; i < check->view->attr_texts.count; ++i) {
        if (!text_ok(check, tn_view_text_ref(check->view, i))) {
            return broken(check, "view.text", "text of an attribute,", i);
        }
    }
    return TN_OK;
}

tn_status tn_view_validate_bytes(const tn_graph_view *view, uint64_t readable_bytes,
                                 tn_error *error) {
    tn_status status = check_header(view, readable_bytes, error);
    if (status != TN_OK) {
        return status;
    }
    checker check = {.view = view, .error = error};
    status = check_spans(&check);
    if (status == TN_OK) {
        status = check_texts(&check);
    }
    if (status == TN_OK) {
        status = check_dims(&check);
    }
    if (status == TN_OK) {
        status = check_constants(&check);
    }
    // Nodes name graphs and graphs list nodes; check_graphs proves both before either is followed.
    if (status == TN_OK) {
        status = check_graphs(&check);
    }
    if (status == TN_OK) {
        status = check_nesting(&check);
    }
    if (status == TN_OK) {
        status = check_values(&check);
    }
    if (status == TN_OK) {
        status = check_nodes(&check);
    }
    return status;
}

tn_status tn_view_validate(const tn_graph_view *view, tn_error *error) {
    return tn_view_validate_bytes(view, UINT64_MAX, error);
}
