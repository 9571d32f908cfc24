// SPDX-License-Identifier: Apache-2.0
// A program for one set of sizes: steps in order, and where their operands lie. Immutable once
// built, shared by contexts, each of which points the operands at its own memory.
#ifndef TENON_CPU_INSTANCE_H
#define TENON_CPU_INSTANCE_H

#include "arena.h"
#include "simd/simd.h"

#include <oneapi/dnnl/dnnl.h>

// Start of every storage in the workspace: a register's width, and no false sharing.
#define CPU_ALIGNMENT 64

typedef uint32_t cpu_home;
#define CPU_HOME_WORKSPACE 0u
#define CPU_HOME_PORT 1u     // index: port
#define CPU_HOME_CONSTANT 2u // data

// One stretch of memory, of which values are views.
typedef struct cpu_storage {
    cpu_home home;
    uint32_t index;
    const void *data;
    int64_t size_bytes;
    int64_t offset_bytes; // in the workspace
    uint32_t first_step;  // that touches it, and last
    uint32_t last_step;
    int64_t pending; // while building: uses of its values by nodes that are not emitted yet
    uint32_t fixed;  // nothing may be written over what it holds
} cpu_storage;

// What a step reads or writes.
typedef struct cpu_operand {
    uint32_t storage;
    int dnnl_arg; // of a primitive's operand
    int64_t offset_bytes;
    const dnnl_memory_desc_t *layout; // of a primitive's operand
} cpu_operand;

typedef struct cpu_step cpu_step;

// What a step sees while it runs.
typedef struct cpu_call {
    const tn_helper_host *host;
    const cpu_simd *simd;
    uint32_t threads;
    void *const *data; // one an operand
    // One an operand: of ports whose rows lie apart, the steps of all axes in elements; else null.
    const int64_t *const *strides;
    const void *params;
    uint32_t node; // of the view
    tn_error *error;
} cpu_call;

typedef tn_status (*cpu_step_fn)(const cpu_call *call);

struct cpu_step {
    cpu_step_fn run;            // of our own kernels
    dnnl_primitive_t primitive; // or of the library
    const void *params;
    uint32_t operand_begin;
    uint32_t operand_count;
    uint32_t node; // of the view
};

typedef struct cpu_instance {
    uint32_t references; // guarded by the program
    uint32_t symbol_count;
    tn_symbol_value *symbols;
    cpu_arena arena;
    cpu_storage *storages;
    uint32_t storage_count;
    uint32_t storage_capacity;
    cpu_operand *operands;
    uint32_t operand_count;
    uint32_t operand_capacity;
    cpu_step *steps;
    uint32_t step_count;
    uint32_t step_capacity;
    int64_t workspace_bytes;
    tn_port_info *ports; // inputs, outputs, and the workspace
    uint32_t port_count;
    tn_numerics numerics;
    uint32_t has_states; // ports may have rows that lie apart
    struct cpu_instance *next;
} cpu_instance;

// Frees everything; null is ignored. No context may use it.
void tni_cpu_instance_destroy(cpu_instance *instance);

// Gives every workspace storage an offset, so that those in use at the same time do not overlap.
// TN_ERROR_OUT_OF_MEMORY · TN_ERROR_UNSUPPORTED the sum overflows.
tn_status tni_cpu_instance_place(cpu_instance *instance, tn_error *error);

#endif // TENON_CPU_INSTANCE_H
