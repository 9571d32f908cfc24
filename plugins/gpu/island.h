// SPDX-License-Identifier: Apache-2.0
// What the GPU plugins share before any driver is involved: which nodes they take, and an island as
// a list of elementwise steps over values that are ports or slices of one workspace.
#ifndef TENON_GPU_ISLAND_H
#define TENON_GPU_ISLAND_H

#include "tenon/helper/negotiate.h"
#include "tenon/helper/verdicts.h"

typedef uint32_t gpu_op;
#define GPU_ADD 0u
#define GPU_RELU 1u
#define GPU_OP_COUNT 2u

// One kernel call: out = op(a, b); b is TN_NONE for unary ops. Indices are of the island's values.
typedef struct gpu_step {
    gpu_op op;
    uint32_t a;
    uint32_t b;
    uint32_t out;
} gpu_step;

typedef struct gpu_value {
    uint32_t port; // input or output port, or TN_NONE: lies in the workspace
    uint32_t rank;
    tn_graph_dim dims[TN_MAX_RANK];
} gpu_value;

// Immutable. Freed with gpu_island_destroy.
typedef struct gpu_island {
    tn_helper_host host;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t step_count;
    uint32_t value_count;
    uint32_t *ports; // value of each input and output port
    gpu_step *steps;
    gpu_value *values;
} gpu_island;

// Where one value lies for given shapes.
typedef struct gpu_size {
    uint64_t element_count;
    uint64_t workspace_offset_bytes; // of values without a port
} gpu_size;

// The ops both plugins know, for op_list.
extern const tn_op_record gpu_ops[GPU_OP_COUNT];

// Answers query_support for every node of a view that the caller has validated.
void gpu_judge_all(const tn_graph_view *view, tn_verdicts *inout_verdicts);

// Makes an island of a validated view. TN_OK · TN_ERROR_UNSUPPORTED a node that gpu_judge_all
// refuses · TN_ERROR_OUT_OF_MEMORY. *out_island is null on failure.
TN_MUST_USE tn_status gpu_island_create(const tn_helper_host *host, const tn_graph_view *view,
                                        gpu_island **out_island, tn_error *error);
void gpu_island_destroy(gpu_island *island); // null is ignored

// Fills sizes[value_count] and *out_workspace_bytes for the given symbols.
// TN_OK · TN_ERROR_INVALID_ARGUMENT a symbol is missing, or a size overflows.
TN_MUST_USE tn_status gpu_island_sizes(const gpu_island *island, const tn_symbol_value *symbols,
                                       uint64_t symbol_count, gpu_size *sizes,
                                       uint64_t *out_workspace_bytes, tn_error *error);

// Answers port_query; heaps are listed in order for every port.
TN_MUST_USE tn_status gpu_island_ports(const gpu_island *island, const tn_port_query *query,
                                       uint32_t heap_count, tn_port_info *ports,
                                       uint32_t port_capacity, uint32_t *out_port_count,
                                       tn_error *error);

#endif // TENON_GPU_ISLAND_H
