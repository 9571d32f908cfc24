// SPDX-License-Identifier: Apache-2.0
// Interface "compile": what a device supports, turning an island into a program, and the program's
// ports. Read next: memory.h.
#ifndef TENON_ABI_COMPILE_H
#define TENON_ABI_COMPILE_H

#include "tenon/abi/device.h"
#include "tenon/abi/verdict.h"

#ifdef __cplusplus
extern "C" {
#endif

// One op a device knows: the host presents nodes in the newest of these forms that can express them
// (ABI-48).
typedef struct tn_op_record {
    // NUL-terminated, static; "" means ai.onnx. In a domain that ONNX does not have, this is the
    // plugin's own op: a call of a model's function of that domain and name is shown as a node.
    const char *domain;
    const char *op_type;
    uint32_t newest_version; // since_version of the newest schema the plugin implements
    uint32_t oldest_version;
} tn_op_record;

typedef struct tn_op_list {
    uint32_t struct_size;
    uint32_t struct_type;
    const tn_op_record *ops; // static until device_close
    uint32_t op_count;
    uint32_t op_stride_bytes;
} tn_op_list;

typedef uint32_t tn_precision;
#define TN_PRECISION_AS_WRITTEN 0u // no narrower type than the tensor's anywhere
#define TN_PRECISION_RELAXED 1u    // a narrower type inside is allowed
#define TN_PRECISION_STRICT 2u     // as written, and no algebraic rewrites (Winograd)

typedef struct tn_query_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_precision precision;
    uint32_t reserved; // zero
} tn_query_info;

typedef uint32_t tn_compile_flags;
#define TN_COMPILE_FAST 1u // prefer short compile time to short run time

// How far a compile has come. Returns 0 to go on, anything else to stop soon with CANCELLED.
typedef uint32_t (*tn_progress_fn)(void *user_data, uint32_t permille);

typedef struct tn_compile_info {
    uint32_t struct_size;
    uint32_t struct_type;
    // The island and nothing else: graph 0's inputs then outputs are the program's ports, in order.
    // Borrowed for the call.
    const tn_graph_view *view;
    tn_precision precision;
    tn_compile_flags flags;
    uint64_t budget_ns;      // soft limit on compile time; 0: none
    tn_progress_fn progress; // may be null; called on the compiling thread
    void *progress_user_data;
} tn_compile_info;

typedef struct tn_program_info {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t input_count;
    uint32_t output_count;
    uint64_t weight_bytes; // packed weights the program holds, in device_heap or host memory
    uint64_t code_bytes;
    tn_numerics numerics; // of the algorithms chosen
    uint32_t reserved;    // zero
} tn_program_info;

typedef uint32_t tn_port_kind;
#define TN_PORT_INPUT 0u
#define TN_PORT_OUTPUT 1u
#define TN_PORT_WORKSPACE 2u // scratch the host allocates; contents undefined before and after

typedef uint32_t tn_port_flags;
// The size is the largest possible; the actual shape is reported at run time.
#define TN_PORT_DATA_DEPENDENT 1u
// No largest size is known: the output is allocated through tn_submit_info.allocate_output.
#define TN_PORT_UNBOUNDED 2u
// May be bound to the same memory as the input alias_of: updated in place.
#define TN_PORT_IN_PLACE 4u

#define TN_PORT_MAX_HEAPS 8u

// What a program needs of the memory bound to one port, for given shapes. Layout is dense row-major
// unless strides are accepted; opaque layouts exist only between programs of one plugin.
typedef struct tn_port_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_port_kind kind;
    tn_port_flags flags;
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK]; // the largest, for data-dependent ports
    uint64_t size_bytes;
    uint64_t alignment_bytes; // power of two
    uint32_t alias_of;        // port index, or TN_NONE
    uint32_t heap_count;      // acceptable heaps, best first; 0: host memory only
    uint32_t heaps[TN_PORT_MAX_HEAPS];
    uint32_t accepts_strides;  // 1: any positive element strides are accepted
    uint32_t opaque_layout_id; // 0: dense; else a layout of this plugin it would rather have
    uint32_t opaque_layout_version;
    uint32_t reserved; // zero
} tn_port_info;

// Actual sizes for the symbols of the compiled view.
typedef struct tn_symbol_value {
    uint32_t symbol;
    uint32_t reserved; // zero
    int64_t size;
} tn_symbol_value;

typedef struct tn_port_query {
    uint32_t struct_size;
    uint32_t struct_type;
    const tn_symbol_value *symbols; // borrowed for the call; every symbol of the view once
    uint64_t symbol_count;
} tn_port_query;

typedef struct tn_compile_interface {
    tn_interface base;

    // Lists the ops the device knows at all. [any-thread] [no-block] [no-alloc]
    // TN_OK · TN_ERROR_DEVICE_LOST.
    tn_status (*op_list)(tn_device *device, tn_op_list *out_ops, tn_error *error);

    // Judges every node of a view in one call. [any-thread] [may-block] [may-alloc] Pure: the same
    // view gets the same answer, and nothing is kept. view is borrowed for the call.
    // TN_OK · TN_ERROR_LIMIT_EXCEEDED an array is too short: the needed counts are written, call
    // again · TN_ERROR_INVALID_DATA the view is broken · TN_ERROR_OUT_OF_MEMORY ·
    // TN_ERROR_DEVICE_LOST.
    tn_status (*query_support)(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error);

    // Builds a program from an island. [compile-thread] [may-block] [may-alloc] Several compiles
    // may run at once on one device unless it has TN_DEVICE_OWN_THREADS. TN_OK: free it with
    // program_destroy · TN_ERROR_UNSUPPORTED contrary to the verdict; node_index says which node ·
    // TN_ERROR_INVALID_DATA the view is broken · TN_ERROR_CANCELLED · TN_ERROR_TIMEOUT budget_ns
    // passed · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST · TN_ERROR_IO a weight could not be
    // read. *out_program is null on failure.
    tn_status (*compile)(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error);

    // [any-thread] [no-block] [no-alloc] TN_OK always, on a valid program.
    tn_status (*program_info)(tn_program *program, tn_program_info *out_info, tn_error *error);

    // Fills one record per port: inputs, outputs, then workspaces. [any-thread] [no-block]
    // ports: port_capacity host-zeroed records with struct_size set in each, that many bytes apart
    // (ABI-41); *out_port_count is set to the number the program has, also on LIMIT_EXCEEDED.
    // TN_OK · TN_ERROR_LIMIT_EXCEEDED port_capacity is too small · TN_ERROR_INVALID_ARGUMENT a
    // symbol is missing or out of its range · TN_ERROR_UNSUPPORTED sizes outside the verdict's
    // bounds · TN_ERROR_OUT_OF_MEMORY.
    tn_status (*port_query)(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error);

    // Frees a program without contexts. Null is ignored. [any-thread] [may-block]
    void (*program_destroy)(tn_program *program);
} tn_compile_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_COMPILE_H
