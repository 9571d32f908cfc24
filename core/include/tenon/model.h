// SPDX-License-Identifier: Apache-2.0
// A model: a graph imported from ONNX, before any device is chosen. Read next: compiled.h.
#ifndef TENON_MODEL_H
#define TENON_MODEL_H

#include "tenon/abi/graph.h"
#include "tenon/host.h"

#ifdef __cplusplus
extern "C" {
#endif

// Shared and immutable: any thread may use it. Holds its host.
typedef struct tn_model tn_model;

typedef uint32_t tn_model_flags;
// Read files into memory instead of mapping them, for files that others may change or truncate;
// copy a model that is given in memory.
#define TN_MODEL_READ_COPY 1u
// Skip constant folding, no-op removal and BatchNormalization folding. Gradient nodes are written
// out nevertheless.
#define TN_MODEL_NO_REWRITES 2u
// Zero memory that held this model's tensors or weights before it is freed; from then on also all
// memory that plugins give back to this host.
#define TN_MODEL_SENSITIVE 4u

// Limits on what a model may ask for; zero means the default named.
typedef struct tn_model_config {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_model_flags flags;
    uint32_t max_depth;        // nested graphs: 64; at most 256
    uint64_t max_nodes;        // 1,000,000
    uint64_t max_values;       // 4,000,000
    uint64_t max_arena_bytes;  // memory for the graph, weights not counted: 1 GiB
    uint64_t max_tensor_bytes; // of one tensor, in the file or in a run: 16 GiB
} tn_model_config;

TN_API void tn_model_config_init(tn_model_config *config);

// Imports a model file. Weights stay in the file, mapped read-only. [any-thread] [may-block]
// config may be null. External data must lie in the model's folder. error.text names the path
// first, of a long one the end. TN_ERROR_NOT_FOUND no such file · TN_ERROR_IO cannot be opened or
// read · TN_ERROR_INVALID_DATA no regular file, or the format is broken: error.id names the check,
// byte_offset and text the place · TN_ERROR_UNSUPPORTED an op or feature nobody knows, or
// a Gradient through an op without a rule ·
// TN_ERROR_LIMIT_EXCEEDED · TN_ERROR_DENIED external data outside the folder ·
// TN_ERROR_OUT_OF_MEMORY · TN_ERROR_INVALID_ARGUMENT. *out_model is null on failure; else give it
// back with tn_model_release.
TN_API TN_MUST_USE tn_status tn_model_load_file(tn_host *host, const char *path,
                                                const tn_model_config *config, tn_model **out_model,
                                                tn_error *error);

// The same from memory, which stays the caller's and must outlive the model unless
// TN_MODEL_READ_COPY is set. External data is denied.
TN_API TN_MUST_USE tn_status tn_model_load_memory(tn_host *host, const void *data,
                                                  uint64_t size_bytes,
                                                  const tn_model_config *config,
                                                  tn_model **out_model, tn_error *error);

TN_API void tn_model_retain(tn_model *model);
TN_API void tn_model_release(tn_model *model); // null is ignored

// One value of the graph. Texts live as long as the model.
typedef struct tn_tensor_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *name;
    tn_dtype dtype;
    uint32_t kind; // TN_VALUE_ (abi/graph.h)
    uint32_t rank; // TN_RANK_UNKNOWN when not known
    uint32_t is_constant;
    int64_t dims[TN_MAX_RANK];        // -1: symbolic
    const char *symbols[TN_MAX_RANK]; // name of a symbolic dimension, "" when anonymous
    uint64_t size_bytes;              // 0 when a dimension is not known
} tn_tensor_desc;

TN_API uint32_t tn_model_input_count(const tn_model *model);
TN_API uint32_t tn_model_output_count(const tn_model *model);
// TN_ERROR_INVALID_ARGUMENT index out of range or bad struct; for all three.
TN_API TN_MUST_USE tn_status tn_model_input_get(const tn_model *model, uint32_t index,
                                                tn_tensor_desc *out_desc);
TN_API TN_MUST_USE tn_status tn_model_output_get(const tn_model *model, uint32_t index,
                                                 tn_tensor_desc *out_desc);
TN_API TN_MUST_USE tn_status tn_model_value_get(const tn_model *model, uint32_t value,
                                                tn_tensor_desc *out_desc);

// States that the model shows by its form: an output that is Concat(input, new). For
// tn_request_config.states, which needs a capacity besides.
typedef struct tn_state_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t input;
    uint32_t output;
    uint32_t axis;
    uint32_t reserved;
} tn_state_desc;

TN_API uint32_t tn_model_state_count(const tn_model *model);
// TN_ERROR_INVALID_ARGUMENT index out of range or bad struct.
TN_API TN_MUST_USE tn_status tn_model_state_get(const tn_model *model, uint32_t index,
                                                tn_state_desc *out_desc);

// One node of the canonical outermost graph, in topological order.
typedef struct tn_node_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *name; // may be ""
    const char *op_type;
    const char *domain; // "" means ai.onnx
    uint32_t since_version;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t is_custom;
    const uint32_t *inputs; // values; TN_NONE for an absent optional. Lives as long as the model
    const uint32_t *outputs;
    uint64_t flops; // estimate by the op's definition; 0 when a shape is not known
    uint64_t bytes; // read and written, constants included
    // Of convolutions and products: how often they loop along a row of the output, once for every
    // weight that goes into it. 0 for other ops.
    uint64_t rows;
} tn_node_desc;

TN_API uint32_t tn_model_node_count(const tn_model *model);
TN_API TN_MUST_USE tn_status tn_model_node_get(const tn_model *model, uint32_t node,
                                               tn_node_desc *out_desc);

typedef struct tn_model_summary {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *producer; // "name version", may be ""
    const char *graph_name;
    int64_t ir_version;
    int64_t opset;           // of ai.onnx
    uint32_t node_count;     // canonical
    uint32_t imported_count; // before rewrites, outermost graph
    uint32_t folded_count;   // nodes that became constants
    uint32_t removed_count;  // no-ops
    uint32_t fused_count;    // BatchNormalization folded away
    uint32_t constant_count;
    uint64_t parameter_count; // elements in constants
    uint64_t parameter_bytes;
    uint64_t mapped_bytes;  // of them, left in the file
    uint64_t decoded_bytes; // of them, decoded from typed fields into memory
    uint64_t derived_bytes; // of them, computed when a plugin asks
    uint64_t flops;
    uint64_t load_ns;
} tn_model_summary;

TN_API TN_MUST_USE tn_status tn_model_summary_get(const tn_model *model,
                                                  tn_model_summary *out_summary);

typedef struct tn_save_config {
    uint32_t struct_size;
    uint32_t struct_type;
    // The name of a file that large weights go to, in the folder of the model; null: none. Needed
    // for models above 2 GiB.
    const char *external_file;
    uint64_t external_min_bytes; // weights of at least this size go there; 0: 1024
} tn_save_config;

TN_API void tn_save_config_init(tn_save_config *config);

// Writes the canonical model as ONNX, derived weights computed; one loaded with
// TN_MODEL_NO_REWRITES keeps the nodes of its file, but for Gradient. Nodes of functions are where
// they were called. Both files appear whole or not at all, and replace what was there; the model
// may be one of those. [any-thread] [may-block] config may be null. TN_ERROR_INVALID_ARGUMENT also
// a path or name that cannot be · TN_ERROR_UNSUPPORTED no opset version gives all nodes their
// meaning (functions of other versions were inlined): node_index · TN_ERROR_LIMIT_EXCEEDED above 2
// GiB without an external file · TN_ERROR_NOT_FOUND no such folder · TN_ERROR_IO ·
// TN_ERROR_OUT_OF_MEMORY.
TN_API TN_MUST_USE tn_status tn_model_save_file(const tn_model *model, const char *path,
                                                const tn_save_config *config, tn_error *error);

#ifdef __cplusplus
}
#endif

#endif // TENON_MODEL_H
