// SPDX-License-Identifier: Apache-2.0
// Reading a graph view: validate it once, then use the accessors, which check nothing again. All
// functions are [any-thread] [no-block] [no-alloc]; returned pointers lie inside the view and live
// as long as it does. Read next: verdicts.h.
#ifndef TENON_HELPER_GRAPH_READER_H
#define TENON_HELPER_GRAPH_READER_H

#include "tenon/abi/graph.h"
#include "tenon/helper/fail.h"

#ifdef __cplusplus
extern "C" {
#endif

// Bodies nested deeper than this are refused.
#define TN_VIEW_MAX_DEPTH 64u

// Checks everything the accessors rely on: alignment, spans, strides, ranges, indices, kinds, text,
// constant sizes, topological order, which graph owns what, nesting without cycles. Reads nothing
// beyond the smaller of readable_bytes and view->total_bytes.
// view: may be null. readable_bytes: how many bytes exist at view, UINT64_MAX when the sender is
// trusted about total_bytes. error: may be null; node_index, value_index and byte_offset say where.
// TN_OK · TN_ERROR_INVALID_DATA the view is broken; error->id begins with "view.".
TN_MUST_USE tn_status tn_view_validate_bytes(const tn_graph_view *view, uint64_t readable_bytes,
                                             tn_error *error);

// tn_view_validate_bytes with total_bytes trusted.
TN_MUST_USE tn_status tn_view_validate(const tn_graph_view *view, tn_error *error);

// Records by index; the index must be below the count of the span.
const tn_graph_record *tn_view_graph(const tn_graph_view *view, uint32_t index);
const tn_graph_node *tn_view_node(const tn_graph_view *view, uint32_t index);
const tn_graph_value *tn_view_value(const tn_graph_view *view, uint32_t index);
const tn_graph_attribute *tn_view_attribute(const tn_graph_view *view, uint32_t index);
const tn_graph_dim *tn_view_dim(const tn_graph_view *view, uint32_t index);
const tn_graph_symbol *tn_view_symbol(const tn_graph_view *view, uint32_t index);
const tn_graph_constant *tn_view_constant(const tn_graph_view *view, uint32_t index);
// Entries of the pools, with their strides.
uint32_t tn_view_value_id(const tn_graph_view *view, uint32_t index);
int64_t tn_view_int(const tn_graph_view *view, uint32_t index);
float tn_view_float(const tn_graph_view *view, uint32_t index);
tn_text_ref tn_view_text_ref(const tn_graph_view *view, uint32_t index);
uint32_t tn_view_index(const tn_graph_view *view, uint32_t index);

// The text of a reference.
tn_string tn_view_text(const tn_graph_view *view, tn_text_ref text);
// 1 when the text equals the NUL-terminated expected.
uint32_t tn_view_text_is(const tn_graph_view *view, tn_text_ref text, const char *expected);
// 1 when the node is domain's op_type; domain "" is ai.onnx, under both of its spellings.
uint32_t tn_view_node_is(const tn_graph_view *view, const tn_graph_node *node, const char *domain,
                         const char *op_type);

// Value index of an operand, or TN_NONE when it is absent or beyond the list.
uint32_t tn_view_node_input(const tn_graph_view *view, const tn_graph_node *node, uint32_t index);
uint32_t tn_view_node_output(const tn_graph_view *view, const tn_graph_node *node, uint32_t index);
uint32_t tn_view_graph_input(const tn_graph_view *view, const tn_graph_record *graph,
                             uint32_t index);
uint32_t tn_view_graph_output(const tn_graph_view *view, const tn_graph_record *graph,
                              uint32_t index);

// The dimension at axis of a value of known rank.
const tn_graph_dim *tn_view_value_dim(const tn_graph_view *view, const tn_graph_value *value,
                                      uint32_t axis);
// The constant a value is, or null.
const tn_graph_constant *tn_view_value_constant(const tn_graph_view *view,
                                                const tn_graph_value *value);

// The attribute called name, or null. *out_index, when not null, is its place in the node's list.
const tn_graph_attribute *tn_view_find_attr(const tn_graph_view *view, const tn_graph_node *node,
                                            const char *name, uint32_t *out_index);
// Scalars: the default when the attribute is absent, of another kind or empty.
int64_t tn_view_attr_int(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                         int64_t otherwise);
float tn_view_attr_float(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                         float otherwise);
// {NULL, 0} when absent.
tn_string tn_view_attr_string(const tn_graph_view *view, const tn_graph_node *node,
                              const char *name);
// 1 when the attribute is present and equals expected.
uint32_t tn_view_attr_string_is(const tn_graph_view *view, const tn_graph_node *node,
                                const char *name, const char *expected);
// Lists: copies at most capacity entries and returns how many there are, 0 when absent.
uint32_t tn_view_attr_ints(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                           int64_t *out_values, uint32_t capacity);
uint32_t tn_view_attr_floats(const tn_graph_view *view, const tn_graph_node *node, const char *name,
                             float *out_values, uint32_t capacity);
// The first constant of a tensor attribute, or null.
const tn_graph_constant *tn_view_attr_tensor(const tn_graph_view *view, const tn_graph_node *node,
                                             const char *name);
// Index of the first graph of a graph attribute, or TN_NONE.
uint32_t tn_view_attr_graph(const tn_graph_view *view, const tn_graph_node *node, const char *name);

// Bytes of count elements of a type: packed types rounded up to whole bytes, 0 for strings and
// unknown types. UINT64_MAX when the product overflows.
uint64_t tn_view_dtype_bytes(tn_dtype dtype, uint64_t count);

#ifdef __cplusplus
}
#endif

#endif // TENON_HELPER_GRAPH_READER_H
