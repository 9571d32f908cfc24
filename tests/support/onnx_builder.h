// SPDX-License-Identifier: Apache-2.0
// Writes ONNX models for tests, in two layers: pb_* writes protobuf, right or wrong, field by
// field; onnx_* builds well-formed models. Out of memory aborts the test.
#ifndef TENON_TESTS_ONNX_BUILDER_H
#define TENON_TESTS_ONNX_BUILDER_H

#include "tenon/abi/graph.h"

#include <stddef.h>
#include <stdint.h>

// A growing run of bytes. Zeroed is empty; free with pb_free.
typedef struct pb {
    uint8_t *data;
    size_t size;
    size_t capacity;
} pb;

void pb_free(pb *out);
void pb_append(pb *out, const void *data, size_t size);
void pb_raw_varint(pb *out, uint64_t value);
void pb_tag(pb *out, uint32_t field, uint32_t wire_type);
void pb_varint(pb *out, uint32_t field, uint64_t value);
void pb_fixed32(pb *out, uint32_t field, uint32_t bits);
void pb_fixed64(pb *out, uint32_t field, uint64_t bits);
void pb_float(pb *out, uint32_t field, float value);
void pb_bytes(pb *out, uint32_t field, const void *data, size_t size);
void pb_text(pb *out, uint32_t field, const char *text);
// Appends inner as field and frees it.
void pb_message(pb *out, uint32_t field, pb *inner);

// A model under construction. Nodes are added in order; onnx_attr_* belong to the last node.
typedef struct onnx_builder {
    pb model; // everything but the graph
    pb graph;
    pb node;
    int node_open;
    uint32_t node_field; // of graph: it is one, or a function
} onnx_builder;

// Starts a model of IR version 8 with this opset of ai.onnx (0: no import) and graph name "g".
void onnx_begin(onnx_builder *b, uint32_t opset);
// Starts the graph of a body: finish it with onnx_end_graph.
void onnx_begin_graph(onnx_builder *b);
void onnx_opset(onnx_builder *b, const char *domain, uint32_t version);
// Starts a model-local function that imports opset 17 of ai.onnx: finish it with onnx_end_function.
// inputs, outputs: names separated by commas.
void onnx_begin_function(onnx_builder *b, const char *domain, const char *name, const char *inputs,
                         const char *outputs);
void onnx_function_opset(onnx_builder *b, const char *domain, uint32_t version);
void onnx_function_overload(onnx_builder *b, const char *overload);
// Appends the finished function to a finished model and frees the builder.
void onnx_end_function(onnx_builder *b, pb *inout_model);
// dims: rank sizes; rank TN_RANK_UNKNOWN declares no shape. A size of -1 is an unknown dim; -2, -3,
// ... are the names "A", "B", ...
void onnx_input(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                const int64_t *dims);
// A sequence of tensors of this type and any shape.
void onnx_input_sequence(onnx_builder *b, const char *name, uint32_t dtype);
void onnx_output(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                 const int64_t *dims);
// An output without a declared type.
void onnx_output_untyped(onnx_builder *b, const char *name);
// data: size bytes of raw data, borrowed for the call.
void onnx_initializer(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                      const int64_t *dims, const void *data, size_t size);
// A one-dimensional int64 initializer.
void onnx_initializer_ints(onnx_builder *b, const char *name, uint32_t count,
                           const int64_t *values);
// A float initializer whose element i is (seed + i) % 17 / 8 - 1.
void onnx_initializer_floats(onnx_builder *b, const char *name, uint32_t rank, const int64_t *dims,
                             uint32_t seed);
// inputs, outputs: names separated by commas; an empty name is an absent optional.
void onnx_node(onnx_builder *b, const char *op_type, const char *inputs, const char *outputs);
void onnx_node_domain(onnx_builder *b, const char *domain);
void onnx_node_name(onnx_builder *b, const char *name);
void onnx_attr_int(onnx_builder *b, const char *name, int64_t value);
void onnx_attr_ints(onnx_builder *b, const char *name, uint32_t count, const int64_t *values);
void onnx_attr_float(onnx_builder *b, const char *name, float value);
void onnx_attr_text(onnx_builder *b, const char *name, const char *value);
void onnx_attr_texts(onnx_builder *b, const char *name, uint32_t count, const char *const *values);
void onnx_attr_tensor(onnx_builder *b, const char *name, uint32_t dtype, uint32_t rank,
                      const int64_t *dims, const void *data, size_t size);
// An integer that the call of the function around the node gives as attribute `reference`.
void onnx_attr_int_reference(onnx_builder *b, const char *name, const char *reference);
// A type: kind TN_VALUE_TENSOR or TN_VALUE_SEQUENCE, without a shape.
void onnx_attr_type(onnx_builder *b, const char *name, uint32_t kind, uint32_t dtype);
// Takes the graph over and frees it.
void onnx_attr_graph(onnx_builder *b, const char *name, pb *graph);
// Writes the finished GraphProto to *out_graph and frees the builder.
void onnx_end_graph(onnx_builder *b, pb *out_graph);
// Writes the finished model to *out_model (free with pb_free) and frees the builder.
void onnx_end(onnx_builder *b, pb *out_model);
// Frees an unfinished builder.
void onnx_abandon(onnx_builder *b);

// Whole models, for tests that just need one. x and y are the input and the output.
// length nodes, Add and Relu in turn, over float [1, width]; each Add adds its own initializer.
void onnx_model_chain(pb *out_model, uint32_t length, int64_t width);
// Conv 3x3, BatchNormalization, Relu, MaxPool, Conv, GlobalAveragePool, Flatten, Gemm, Softmax over
// float [batch, 3, size, size]; batch -2 makes it the symbol "A".
void onnx_model_classifier(pb *out_model, int64_t batch, int64_t size);

// Appends a TensorProto with raw data to a message.
void onnx_tensor(pb *out, uint32_t field, const char *name, uint32_t dtype, uint32_t rank,
                 const int64_t *dims, const void *data, size_t size);

// Writes the bytes to a file; aborts on failure.
void pb_write_file(const pb *data, const char *path);

#endif // TENON_TESTS_ONNX_BUILDER_H
