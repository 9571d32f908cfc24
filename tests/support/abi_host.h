// SPDX-License-Identifier: Apache-2.0
// A host small enough to test a plugin through the ABI alone: services with counted, failable
// allocations, weights from a view builder, and one call that runs a view on host memory.
#ifndef TENON_TESTS_ABI_HOST_H
#define TENON_TESTS_ABI_HOST_H

#include "tenon/abi/exec.h"
#include "tenon/abi/plugin.h"

#include "support/view_builder.h"

typedef struct abi_host {
    tn_host_services services;
    tn_host_offer offer;
    tn_interface_digest digests[5];
    const view_builder *weights; // may be null
    // Where weights are null: the bytes of a constant by its key, or null.
    const void *(*find_weight)(void *user_data, uint64_t key, uint64_t *out_bytes);
    void *find_weight_user_data;
    uint64_t live_blocks;      // allocated and not freed
    uint64_t allocation_count; // since the last reset by the test
    uint64_t fail_at;          // 0: never; n: the n-th allocation fails
    uint32_t fail_on;          // with fail_at: all later ones fail too
    uint64_t most_bytes;       // larger allocations fail; 0: none does
    uint32_t map_count;        // successful weight_map calls
    uint32_t read_count;       // weight_read calls
    uint64_t wrong_free_count; // frees of another size than allocated
} abi_host;

// A plugin after its handshake, with its tables and one open device.
typedef struct abi_plugin {
    tn_plugin_answer answer;
    const tn_core_interface *core;
    const tn_compile_interface *compile;
    const tn_memory_interface *memory;
    const tn_sync_interface *sync;
    const tn_exec_interface *exec;
    tn_device *device;
    tn_compile_flags compile_flags; // what abi_program_open asks for; 0 after abi_plugin_open
    tn_precision precision;
} abi_plugin;

// Services that work; weights is borrowed and may be null.
void abi_host_init(abi_host *host, const view_builder *weights);

// Handshake, tables, probe, device 0. Returns the first failure; then nothing is left open.
tn_status abi_plugin_open(abi_host *host, tn_plugin_entry_fn entry, abi_plugin *out_plugin,
                          tn_error *error);
// Closes the device and shuts the plugin down. Returns the status of shutdown.
tn_status abi_plugin_close(abi_plugin *plugin);

// One program with one context, prepared.
typedef struct abi_program {
    abi_plugin *plugin;
    tn_program *program;
    tn_context *context;
    tn_port_info ports[64];
    uint32_t port_count;
    uint32_t input_count;
    uint32_t output_count;
    // Rank and sizes of data-dependent outputs after a run, by port.
    int64_t shapes[64][TN_MAX_RANK + 1];
} abi_program;

tn_status abi_program_open(abi_plugin *plugin, const tn_graph_view *view,
                           const tn_symbol_value *symbols, uint64_t symbol_count,
                           abi_program *out_program, tn_error *error);
void abi_program_close(abi_program *program);

// Runs once: buffers are host pointers for the inputs, then for the outputs; the workspace is
// allocated here. Returns what the signalled fence says.
tn_status abi_program_run(abi_program *program, void *const *buffers, tn_error *error);

// The verdict on node 0 of a view of at most 64 nodes.
tn_status abi_plugin_judge(abi_plugin *plugin, const tn_graph_view *view,
                           tn_node_verdict *out_verdict, tn_error *error);

#endif // TENON_TESTS_ABI_HOST_H
