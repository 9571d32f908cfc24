// SPDX-License-Identifier: Apache-2.0
// The graph view: one immutable, relocatable run of bytes that describes a graph. Everything in it
// is addressed by offset from its first byte, so it can be mapped into another process unchanged.
// Read it through tenon/helper/graph_reader.h. Read next: verdict.h.
#ifndef TENON_ABI_GRAPH_H
#define TENON_ABI_GRAPH_H

#include "tenon/abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// count records of stride_bytes each, starting offset_bytes after the first byte of the view. A
// reader built against an older header strides over fields it does not know (ABI-41). offset is a
// multiple of 8.
typedef struct tn_span {
    uint64_t offset_bytes;
    uint32_t count;
    uint32_t stride_bytes;
} tn_span;

// count consecutive records of the pool named by the field's comment, from index begin.
typedef struct tn_range {
    uint32_t begin;
    uint32_t count;
} tn_range;

// A run of bytes in the strings pool; not NUL-terminated.
typedef struct tn_text_ref {
    uint32_t offset_bytes;
    uint32_t size_bytes;
} tn_text_ref;

// The view. Graph 0 is the outermost; the others are bodies of If, Loop, Scan and expansions of
// function ops. Nodes of a graph are consecutive and in topological order.
typedef struct tn_graph_view {
    uint32_t struct_size;
    uint32_t struct_type;
    uint64_t total_bytes; // of the whole view, this header included
    tn_span graphs;       // tn_graph_record
    tn_span nodes;        // tn_graph_node
    tn_span values;       // tn_graph_value
    tn_span value_ids;    // uint32_t: lists of values, TN_NONE for an absent optional
    tn_span attributes;   // tn_graph_attribute
    tn_span attr_ints;    // int64_t
    tn_span attr_floats;  // float
    tn_span attr_texts;   // tn_text_ref
    tn_span attr_indices; // uint32_t: constants or graphs
    tn_span dims;         // tn_graph_dim
    tn_span symbols;      // tn_graph_symbol
    tn_span constants;    // tn_graph_constant
    tn_span strings;      // bytes, stride 1
} tn_graph_view;

typedef struct tn_graph_record {
    tn_text_ref name;
    tn_range nodes;       // nodes
    tn_range inputs;      // value_ids
    tn_range outputs;     // value_ids
    tn_range captures;    // value_ids: values of enclosing graphs that this one reads
    uint32_t parent_node; // the node whose body or expansion this is, TN_NONE for graph 0
    uint32_t reserved;    // zero
} tn_graph_record;

typedef uint32_t tn_node_flags;
// An op of an unknown domain: only its name and attributes mean something. One that the model
// itself defines as a function has what the function consists of as its expansion.
#define TN_NODE_CUSTOM 1u

typedef struct tn_graph_node {
    tn_text_ref domain; // empty means ai.onnx
    tn_text_ref op_type;
    tn_text_ref name;       // may be empty
    uint32_t since_version; // of the op's schema, as ONNX counts: the form the node is written in
    uint32_t graph;
    tn_range inputs;     // value_ids
    tn_range outputs;    // value_ids
    tn_range attributes; // attributes
    uint32_t expansion;  // graph that computes the same from simpler ops, or TN_NONE
    tn_node_flags flags;
    uint64_t source_id; // stable identity of the model's node, for reports and traces
} tn_graph_node;

// What a value is. Containers hold tensors of the value's dtype and dims.
typedef uint32_t tn_value_kind;
#define TN_VALUE_TENSOR 0u
#define TN_VALUE_SEQUENCE 1u
#define TN_VALUE_OPTIONAL_TENSOR 2u
#define TN_VALUE_OPTIONAL_SEQUENCE 3u
#define TN_VALUE_SPARSE_TENSOR 4u

// dims.count of a value whose rank is unknown.
#define TN_RANK_UNKNOWN UINT32_MAX

typedef struct tn_graph_value {
    tn_text_ref name;
    tn_value_kind kind;
    tn_dtype dtype;    // TN_DTYPE_UNDEFINED: unknown
    tn_range dims;     // dims; count is the rank, or TN_RANK_UNKNOWN
    uint32_t constant; // constants, or TN_NONE
    uint32_t producer; // node, or TN_NONE for graph inputs and constants
    uint32_t graph;
    uint32_t reserved; // zero
} tn_graph_value;

// One dimension: size when known, else -1 and the symbol that names it (TN_NONE: anonymous).
typedef struct tn_graph_dim {
    int64_t size;
    uint32_t symbol;
    uint32_t reserved; // zero
} tn_graph_dim;

// A named dimension; sizes lie in [min, max] for this shape profile.
typedef struct tn_graph_symbol {
    tn_text_ref name;
    int64_t min;
    int64_t max; // INT64_MAX: unbounded
} tn_graph_symbol;

// The numbers are ONNX's AttributeProto.AttributeType. Every kind uses values: a scalar has
// count 1.
typedef uint32_t tn_attr_kind;
#define TN_ATTR_FLOAT 1u  // attr_floats
#define TN_ATTR_INT 2u    // attr_ints
#define TN_ATTR_STRING 3u // attr_texts
#define TN_ATTR_TENSOR 4u // attr_indices: constants
#define TN_ATTR_GRAPH 5u  // attr_indices: graphs
#define TN_ATTR_FLOATS 6u
#define TN_ATTR_INTS 7u
#define TN_ATTR_STRINGS 8u
#define TN_ATTR_TENSORS 9u
#define TN_ATTR_GRAPHS 10u

typedef struct tn_graph_attribute {
    tn_text_ref name;
    tn_attr_kind kind;
    uint32_t reserved; // zero
    tn_range values;
} tn_graph_attribute;

typedef uint32_t tn_constant_flags;
// weight_map works: the bytes lie in the model file or in the caller's memory.
#define TN_CONSTANT_MAPPABLE 1u
// content_hash is filled.
#define TN_CONSTANT_HASHED 2u
// A weight slot: its bytes may be exchanged between runs, so it must not be folded or packed for
// good.
#define TN_CONSTANT_REPLACEABLE 4u

// A constant tensor by reference. Data is row-major, little-endian, with alignment 1.
typedef struct tn_graph_constant {
    uint64_t key; // for weight_map and weight_read
    uint64_t size_bytes;
    tn_dtype dtype;
    tn_constant_flags flags;
    tn_range dims; // dims, all sizes known
    uint8_t content_hash[32];
} tn_graph_constant;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_GRAPH_H
