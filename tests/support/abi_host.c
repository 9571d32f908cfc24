// SPDX-License-Identifier: Apache-2.0
// The small host of the plugin tests. Single-threaded, except that threads of a plugin may free;
// parallel_for calls the chunks in reverse order, because no plugin may depend on which runs first.
#include "support/abi_host.h"

#include "tenon/helper/negotiate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// In front of every block; 64 bytes keep the alignment that most callers ask for.
typedef struct block_header {
    void *allocation;
    uint64_t size_bytes;
    uint64_t alignment_bytes;
} block_header;

static abi_host *self(tn_host_context *context) {
    return (abi_host *)(void *)context;
}

static void *host_alloc(tn_host_context *context, uint64_t size_bytes, uint64_t alignment_bytes) {
    abi_host *host = self(context);
    const uint64_t alignment = alignment_bytes == 0 ? 16 : alignment_bytes;
    host->allocation_count += 1;
    if (size_bytes == 0 || (host->most_bytes != 0 && size_bytes > host->most_bytes) ||
        alignment > 4096 || (alignment & (alignment - 1)) != 0) {
        return NULL;
    }
    if (host->fail_at != 0 && (host->fail_on ? host->allocation_count >= host->fail_at
                                             : host->allocation_count == host->fail_at)) {
        return NULL;
    }
    unsigned char *allocation = malloc(size_bytes + alignment + sizeof(block_header));
    if (allocation == NULL) {
        return NULL;
    }
    const uintptr_t first = (uintptr_t)allocation + sizeof(block_header);
    const uint64_t shift = (alignment - first % alignment) % alignment;
    unsigned char *data = allocation + sizeof(block_header) + shift;
    // Garbage, so that a plugin that forgets to fill memory is found out.
    memset(data, 0xa5, size_bytes);
    const block_header header = {allocation, size_bytes, alignment_bytes};
    memcpy(data - sizeof header, &header, sizeof header);
    (void)__atomic_add_fetch(&host->live_blocks, 1, __ATOMIC_RELAXED);
    return data;
}

static void host_free(tn_host_context *context, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes) {
    if (pointer == NULL) {
        return;
    }
    block_header header;
    memcpy(&header, (unsigned char *)pointer - sizeof header, sizeof header);
    if (header.size_bytes != size_bytes || header.alignment_bytes != alignment_bytes) {
        self(context)->wrong_free_count += 1;
    }
    (void)__atomic_sub_fetch(&self(context)->live_blocks, 1, __ATOMIC_RELAXED);
    free(header.allocation);
}

static uint32_t host_log_enabled(tn_host_context *context, tn_log_level level) {
    (void)context;
    (void)level;
    return 0;
}

static void host_log(tn_host_context *context, tn_log_level level, tn_string text) {
    (void)context;
    (void)level;
    (void)text;
}

static uint64_t host_clock_ns(tn_host_context *context) {
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t host_worker_count(tn_host_context *context) {
    (void)context;
    return 1;
}

static void host_parallel_for(tn_host_context *context, uint64_t count, uint64_t grain,
                              tn_parallel_fn body, void *user_data) {
    (void)context;
    const uint64_t chunk = grain == 0 ? 1 : grain;
    for (uint64_t left = (count + chunk - 1) / chunk; left-- > 0;) {
        const uint64_t begin = left * chunk;
        const uint64_t end = begin + chunk < count ? begin + chunk : count;
        body(user_data, begin, end, 0);
    }
}

static const void *find_weight(const abi_host *host, uint64_t key, uint64_t *out_bytes) {
    if (host->weights != NULL) {
        return view_builder_weight(host->weights, key, out_bytes);
    }
    return host->find_weight == NULL
               ? NULL
               : host->find_weight(host->find_weight_user_data, key, out_bytes);
}

static tn_status host_weight_map(tn_host_context *context, uint64_t key, const void **out_data,
                                 uint64_t *out_size_bytes) {
    abi_host *host = self(context);
    *out_data = find_weight(host, key, out_size_bytes);
    host->map_count += *out_data != NULL ? 1u : 0u;
    return *out_data == NULL ? TN_ERROR_NOT_FOUND : TN_OK;
}

static tn_status host_weight_read(tn_host_context *context, uint64_t key, uint64_t offset_bytes,
                                  uint64_t size_bytes, void *destination) {
    abi_host *host = self(context);
    uint64_t all = 0;
    const unsigned char *data = find_weight(host, key, &all);
    host->read_count += 1;
    if (data == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    if (offset_bytes > all || size_bytes > all - offset_bytes) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    memcpy(destination, data + offset_bytes, size_bytes);
    return TN_OK;
}

void abi_host_init(abi_host *host, const view_builder *weights) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    memset(host, 0, sizeof *host);
    memcpy(host->digests, digests, sizeof host->digests);
    host->weights = weights;
    host->services = (tn_host_services){
        .struct_size = (uint32_t)sizeof host->services,
        .struct_type = TN_STRUCT_HOST_SERVICES,
        .alloc = host_alloc,
        .free = host_free,
        .log_enabled = host_log_enabled,
        .log = host_log,
        .clock_ns = host_clock_ns,
        .worker_count = host_worker_count,
        .parallel_for = host_parallel_for,
        .weight_map = host_weight_map,
        .weight_read = host_weight_read,
    };
    host->offer = (tn_host_offer){
        .struct_size = (uint32_t)sizeof host->offer,
        .struct_type = TN_STRUCT_HOST_OFFER,
        .abi_minor_min = 0,
        .abi_minor_max = TN_ABI_VERSION_MINOR,
        .sanitizers = TN_HELPER_SANITIZERS,
        .digests = host->digests,
        .digest_count = 5,
        .services = &host->services,
        .host = (tn_host_context *)(void *)host,
        .host_build = "test",
        .plugin_path = "",
    };
}

static tn_status open_device(abi_plugin *plugin, tn_error *error) {
    uint32_t count = 0;
    tn_status status = plugin->core->probe(plugin->answer.plugin, &count, error);
    if (status == TN_OK && count == 0) {
        status = TN_ERROR_NOT_FOUND;
    }
    if (status != TN_OK) {
        return status;
    }
    const tn_device_open_info info = {.struct_size = (uint32_t)sizeof info,
                                      .struct_type = TN_STRUCT_DEVICE_OPEN_INFO};
    return plugin->core->device_open(plugin->answer.plugin, &info, &plugin->device, error);
}

tn_status abi_plugin_open(abi_host *host, tn_plugin_entry_fn entry, abi_plugin *out_plugin,
                          tn_error *error) {
    *out_plugin = (abi_plugin){.answer = {.struct_size = (uint32_t)sizeof out_plugin->answer,
                                          .struct_type = TN_STRUCT_PLUGIN_ANSWER}};
    tn_status status = entry(&host->offer, &out_plugin->answer, error);
    if (status != TN_OK) {
        return status;
    }
    tn_plugin *plugin = out_plugin->answer.plugin;
    out_plugin->core = out_plugin->answer.get_interface(plugin, TN_INTERFACE_CORE);
    out_plugin->compile = out_plugin->answer.get_interface(plugin, TN_INTERFACE_COMPILE);
    out_plugin->memory = out_plugin->answer.get_interface(plugin, TN_INTERFACE_MEMORY);
    out_plugin->sync = out_plugin->answer.get_interface(plugin, TN_INTERFACE_SYNC);
    out_plugin->exec = out_plugin->answer.get_interface(plugin, TN_INTERFACE_EXEC);
    assert(out_plugin->core != NULL && out_plugin->compile != NULL && out_plugin->memory != NULL &&
           out_plugin->sync != NULL && out_plugin->exec != NULL);
    status = open_device(out_plugin, error);
    if (status != TN_OK) {
        (void)out_plugin->core->shutdown(plugin, 0, NULL);
    }
    return status;
}

tn_status abi_plugin_close(abi_plugin *plugin) {
    plugin->core->device_close(plugin->device);
    return plugin->core->shutdown(plugin->answer.plugin, 1000000000u, NULL);
}

static tn_status query_ports(abi_program *program, const tn_symbol_value *symbols,
                             uint64_t symbol_count, tn_error *error) {
    const uint32_t capacity = (uint32_t)(sizeof program->ports / sizeof program->ports[0]);
    for (uint32_t i = 0; i < capacity; ++i) {
        program->ports[i] = (tn_port_info){.struct_size = (uint32_t)sizeof program->ports[i],
                                           .struct_type = TN_STRUCT_PORT_INFO};
    }
    const tn_port_query query = {.struct_size = (uint32_t)sizeof query,
                                 .struct_type = TN_STRUCT_PORT_QUERY,
                                 .symbols = symbols,
                                 .symbol_count = symbol_count};
    tn_program_info info = {.struct_size = (uint32_t)sizeof info,
                            .struct_type = TN_STRUCT_PROGRAM_INFO};
    tn_status status = program->plugin->compile->program_info(program->program, &info, error);
    program->input_count = info.input_count;
    program->output_count = info.output_count;
    if (status == TN_OK) {
        status = program->plugin->compile->port_query(program->program, &query, program->ports,
                                                      capacity, &program->port_count, error);
    }
    return status;
}

tn_status abi_program_open(abi_plugin *plugin, const tn_graph_view *view,
                           const tn_symbol_value *symbols, uint64_t symbol_count,
                           abi_program *out_program, tn_error *error) {
    *out_program = (abi_program){.plugin = plugin};
    const tn_compile_info info = {.struct_size = (uint32_t)sizeof info,
                                  .struct_type = TN_STRUCT_COMPILE_INFO,
                                  .view = view,
                                  .precision = plugin->precision,
                                  .flags = plugin->compile_flags};
    tn_status status =
        plugin->compile->compile(plugin->device, &info, &out_program->program, error);
    if (status == TN_OK) {
        status = query_ports(out_program, symbols, symbol_count, error);
    }
    if (status == TN_OK) {
        const tn_context_create_info create = {.struct_size = (uint32_t)sizeof create,
                                               .struct_type = TN_STRUCT_CONTEXT_CREATE_INFO,
                                               .program = out_program->program};
        status =
            plugin->exec->context_create(plugin->device, &create, &out_program->context, error);
    }
    if (status == TN_OK) {
        const tn_prepare_info prepare = {.struct_size = (uint32_t)sizeof prepare,
                                         .struct_type = TN_STRUCT_PREPARE_INFO,
                                         .symbols = symbols,
                                         .symbol_count = symbol_count};
        status = plugin->exec->context_prepare(out_program->context, &prepare, error);
    }
    if (status != TN_OK) {
        abi_program_close(out_program);
    }
    return status;
}

void abi_program_close(abi_program *program) {
    program->plugin->exec->context_destroy(program->context);
    program->plugin->compile->program_destroy(program->program);
    program->context = NULL;
    program->program = NULL;
}

// Memory behind one port: an import of the caller's buffer, or an allocation for a workspace.
static tn_status bind(abi_program *program, uint32_t port, void *buffer, tn_binding *out_binding,
                      tn_error *error) {
    const tn_port_info *info = &program->ports[port];
    const tn_memory_interface *memory = program->plugin->memory;
    *out_binding =
        (tn_binding){.size_bytes = info->size_bytes, .rank = info->rank, .dims = info->dims};
    if ((info->flags & TN_PORT_DATA_DEPENDENT) != 0) {
        out_binding->out_shape = program->shapes[port];
    }
    if (info->size_bytes == 0) {
        return TN_OK;
    }
    if (info->kind == TN_PORT_WORKSPACE) {
        const tn_memory_alloc_info alloc = {.struct_size = (uint32_t)sizeof alloc,
                                            .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                            .size_bytes = info->size_bytes,
                                            .alignment_bytes = info->alignment_bytes};
        return memory->memory_alloc(program->plugin->device, &alloc, &out_binding->memory, error);
    }
    const tn_memory_import_info import = {.struct_size = (uint32_t)sizeof import,
                                          .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                          .access = info->kind == TN_PORT_INPUT ? TN_ACCESS_READ
                                                                                : TN_ACCESS_WRITE,
                                          .pointer = buffer,
                                          .size_bytes = info->size_bytes};
    return memory->memory_import(program->plugin->device, &import, &out_binding->memory, error);
}

static tn_status submit(abi_program *program, const tn_binding *bindings, tn_fence *fence,
                        tn_error *error) {
    const tn_fence_point signal = {fence, 1};
    const tn_submit_info info = {.struct_size = (uint32_t)sizeof info,
                                 .struct_type = TN_STRUCT_SUBMIT_INFO,
                                 .bindings = bindings,
                                 .binding_count = program->port_count,
                                 .binding_stride_bytes = (uint32_t)sizeof *bindings,
                                 .signals = &signal,
                                 .signal_count = 1};
    const tn_status status = program->plugin->exec->submit(program->context, &info, error);
    return status == TN_OK ? program->plugin->sync->fence_wait(fence, 1, UINT64_MAX, error)
                           : status;
}

tn_status abi_program_run(abi_program *program, void *const *buffers, tn_error *error) {
    tn_binding bindings[64] = {{0}};
    tn_status status = TN_OK;
    for (uint32_t i = 0; status == TN_OK && i < program->port_count; ++i) {
        const uint32_t is_workspace = program->ports[i].kind == TN_PORT_WORKSPACE ? 1u : 0u;
        status = bind(program, i, is_workspace ? NULL : buffers[i], &bindings[i], error);
    }
    tn_fence *fence = NULL;
    const tn_fence_create_info create = {.struct_size = (uint32_t)sizeof create,
                                         .struct_type = TN_STRUCT_FENCE_CREATE_INFO};
    if (status == TN_OK) {
        status =
            program->plugin->sync->fence_create(program->plugin->device, &create, &fence, error);
    }
    if (status == TN_OK) {
        status = submit(program, bindings, fence, error);
    }
    program->plugin->sync->fence_destroy(fence);
    for (uint32_t i = 0; i < program->port_count; ++i) {
        program->plugin->memory->memory_free(bindings[i].memory);
    }
    return status;
}

tn_status abi_plugin_judge(abi_plugin *plugin, const tn_graph_view *view,
                           tn_node_verdict *out_verdict, tn_error *error) {
    tn_node_verdict nodes[64] = {{0}};
    tn_claim claims[64] = {{.kind = 0}};
    uint32_t claim_nodes[1024] = {0};
    const tn_query_info info = {.struct_size = (uint32_t)sizeof info,
                                .struct_type = TN_STRUCT_QUERY_INFO};
    tn_verdicts verdicts = {.struct_size = (uint32_t)sizeof verdicts,
                            .struct_type = TN_STRUCT_VERDICTS,
                            .nodes = nodes,
                            .node_capacity = 64,
                            .node_stride_bytes = (uint32_t)sizeof nodes[0],
                            .claims = claims,
                            .claim_capacity = 64,
                            .claim_stride_bytes = (uint32_t)sizeof claims[0],
                            .claim_nodes = claim_nodes,
                            .claim_node_capacity = 1024};
    const tn_status status =
        plugin->compile->query_support(plugin->device, view, &info, &verdicts, error);
    *out_verdict = nodes[0];
    return status;
}
