// SPDX-License-Identifier: Apache-2.0
// A compiled island: a copy of its view, its weights as the library wants them, and one instance
// for each set of sizes that it runs with. Instances are built when sizes are first known; an
// island without symbols is built while it is compiled.
#ifndef TENON_CPU_PROGRAM_H
#define TENON_CPU_PROGRAM_H

#include "instance.h"

#include <pthread.h>

// Instances that are kept for sizes nobody runs at the moment.
#define CPU_IDLE_INSTANCES 4u

// One constant in one layout.
typedef struct cpu_weight {
    struct cpu_weight *next;
    uint32_t constant;
    uint32_t partner;         // another constant that went into it, or TN_NONE
    dnnl_memory_desc_t plain; // how it was read: a square matrix may be transposed, or not
    dnnl_memory_desc_t layout;
    const void *data;
    uint64_t owned_bytes; // 0: it lies in the host's mapping, or was packed
} cpu_weight;

// Memory that is used again, and grows.
typedef struct cpu_buffer {
    void *data;
    uint64_t size_bytes;
} cpu_buffer;

// An algorithm that was chosen by measuring, for all instances.
typedef struct cpu_chosen {
    struct cpu_chosen *next;
    uint64_t key;
    uint32_t choice;
} cpu_chosen;

// How images lie between convolutions: as the library likes it, which is channels last where it has
// kernels for that, or with channels in blocks.
typedef uint32_t cpu_images;
#define CPU_IMAGES_UNDECIDED 0u
#define CPU_IMAGES_ANY 1u
#define CPU_IMAGES_BLOCKED 2u

typedef struct cpu_program {
    tn_helper_host host;
    const cpu_simd *simd;
    dnnl_engine_t engine;
    tn_graph_view *view; // own copy
    uint64_t view_bytes;
    uint32_t threads;
    tn_precision precision;
    tn_compile_flags flags;
    uint32_t input_count;
    uint32_t output_count;
    pthread_mutex_t mutex; // guards what follows
    uint32_t mutex_ready;
    cpu_weight *weights;
    cpu_arena packed; // what is packed lies together, in large pages where there are such
    uint64_t weight_bytes;
    cpu_buffer passing; // while an instance is built: plain bytes that are about to be packed
    cpu_buffer pack_scratch;
    cpu_chosen *chosen;
    cpu_images images;
    uint32_t narrow; // 1: convolutions compute in bfloat16, and images are kept in it
    cpu_instance *instances;
    tn_numerics numerics;
} cpu_program;

// Functions of the adapter's table (tenon/helper/sync_adapter.h).
tn_status tni_cpu_compile(const tn_helper_host *host, uint32_t device_index,
                          const tn_compile_info *info, void **out_program, tn_error *error);
void tni_cpu_program_destroy(void *program);
void tni_cpu_program_info(void *program, tn_program_info *out_info);
tn_status tni_cpu_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                        uint32_t port_capacity, uint32_t *out_port_count, tn_error *error);
tn_status tni_cpu_context_create(void *program, void **out_context, tn_error *error);
tn_status tni_cpu_prepare(void *context, const tn_prepare_info *info, tn_error *error);
tn_status tni_cpu_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                      tn_error *error);
tn_status tni_cpu_cancel(void *context, tn_error *error);
void tni_cpu_context_destroy(void *context);

// The instance for the given sizes, built where there is none; give it back with
// tni_cpu_instance_release. TN_ERROR_INVALID_ARGUMENT a symbol is missing or out of its range ·
// TN_ERROR_UNSUPPORTED a node cannot run with these sizes · TN_ERROR_IO a weight could not be read
// · TN_ERROR_OUT_OF_MEMORY. *out_instance is null on failure.
tn_status tni_cpu_instance_acquire(cpu_program *program, const tn_symbol_value *symbols,
                                   uint64_t symbol_count, cpu_instance **out_instance,
                                   tn_error *error);
void tni_cpu_instance_release(cpu_program *program, cpu_instance *instance);

// Builds an instance (build.c). The caller holds the program's mutex.
tn_status tni_cpu_build(cpu_program *program, const tn_symbol_value *symbols, uint64_t symbol_count,
                        cpu_instance **out_instance, tn_error *error);

// A constant of the view in a layout: packed once, then shared by all instances. dims, rank: how
// its elements are read (a weight may be split into groups, a vector be seen as a row). The caller
// holds the program's mutex. *out_data lives as long as the program.
// TN_ERROR_IO the host could not give it · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_INTERNAL the library.
tn_status tni_cpu_weight(cpu_program *program, uint32_t constant, const dnnl_memory_desc_t *plain,
                         const dnnl_memory_desc_t *layout, const void **out_data, tn_error *error);

// The same in a form that only our kernels read: size_bytes that fill makes of the plain bytes and
// of another constant's, partner (TN_NONE: of none); told from other forms by their size and that.
typedef void (*cpu_fill_fn)(const void *plain, void *out_data, const void *user_data);
tn_status tni_cpu_weight_as(cpu_program *program, uint32_t constant, uint32_t partner,
                            uint64_t size_bytes, cpu_fill_fn fill, const void *user_data,
                            const void **out_data, tn_error *error);

// Where a constant lies in the host's mapping, at whatever alignment; null where it does not.
const void *tni_cpu_weight_mapped(cpu_program *program, uint32_t constant);

void tni_cpu_weights_free(cpu_program *program);

// Gives back what packing needed.
void tni_cpu_packing_done(cpu_program *program);

// Copies elements from one layout to another at once. The caller holds the program's mutex.
// [may-alloc]
dnnl_status_t tni_cpu_reorder_now(cpu_program *program, const dnnl_memory_desc_t *from,
                                  const void *data, const dnnl_memory_desc_t *to, void *out_data);

// Threads of the library and of ours, for calls from this thread; returns what it was before.
int tni_cpu_threads_set(int count);

// What a status of the library means here; fills error with the call's name.
tn_status tni_cpu_dnnl_fail(tn_error *error, dnnl_status_t status, uint32_t node, const char *call);

#endif // TENON_CPU_PROGRAM_H
