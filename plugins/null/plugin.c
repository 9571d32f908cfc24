// SPDX-License-Identifier: Apache-2.0
// The null plugin: the skeleton of a synchronous plugin, complete and loadable, that claims no
// node. Clone the folder as README.md says, then fill the functions in the order in which they
// stand here.
#include "tenon/helper/sync_adapter.h"

#include <stdio.h>

// The one exported symbol (ABI-2). The prototype is here because nothing else declares it.
TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

// What a program is to you: whatever compile makes of an island. It is immutable once compiled, and
// several contexts may run it at the same time. Keep the host: memory comes from it.
typedef struct null_program {
    tn_helper_host host;
    uint32_t input_count;
    uint32_t output_count;
} null_program;

// What one execution owns: scratch of its own, sizes fixed by prepare. One user at a time.
typedef struct null_context {
    null_program *program;
} null_context;

// 1. Describe each device. *out_info arrives zeroed; say as much as you know, because the
// partitioner plans with dispatch_ns and the two rates until the device is calibrated.
static tn_status null_device_info(const tn_helper_host *host, uint32_t device_index,
                                  tn_device_info *out_info, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)error;
    (void)snprintf(out_info->name, sizeof out_info->name, "null");
    (void)snprintf(out_info->description, sizeof out_info->description, "Computes nothing");
    (void)snprintf(out_info->vendor, sizeof out_info->vendor, "Tenon");
    (void)snprintf(out_info->driver, sizeof out_info->driver, "none");
    // Two devices with the same physical_id are the same silicon; a PCI address is a good one.
    (void)snprintf(out_info->physical_id, sizeof out_info->physical_id, "null");
    (void)snprintf(out_info->resource_group, sizeof out_info->resource_group, "null");
    out_info->kind = TN_DEVICE_KIND_OTHER;
    return TN_OK;
}

// 2. List the ops you know, each with the newest since_version you implement: the host writes nodes
// in that form. The null plugin knows none; a plugin with one op would write
//     static const tn_op_record ops[] = {{"", "Relu", 14, 6}};
// and .ops = ops, .op_count = 1, .op_stride_bytes = sizeof ops[0] below.

// 3. Judge one node of an op on that list. A refusal says why, with limit and actual value where
// the reason has them (verdict.h); users are shown exactly that.
static void null_supports(const tn_helper_host *host, uint32_t device_index,
                          const tn_graph_view *view, uint32_t node_index,
                          const tn_op_record *record, const tn_query_info *info,
                          tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)view;
    (void)node_index;
    (void)record;
    (void)info;
    tn_helper_no(out_verdict, TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
}

// 4. Compile an island whose nodes you all said yes to. The view is valid and lives for this call:
// copy what you keep. Constants come from host->services->weight_map (in place, any alignment) or
// weight_read (into your memory).
static tn_status null_compile(const tn_helper_host *host, uint32_t device_index,
                              const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    *out_program = NULL;
    const tn_graph_record *graph = tn_view_graph(info->view, 0);
    if (graph->nodes.count != 0) {
        return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, graph->nodes.begin, TN_NONE,
                                 "null.compile", "the null plugin compiles no node");
    }
    null_program *program = tn_helper_alloc(host, sizeof *program);
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "null: no memory");
    }
    program->host = *host;
    program->input_count = graph->inputs.count;
    program->output_count = graph->outputs.count;
    *out_program = program;
    return TN_OK;
}

static void null_program_destroy(void *program) {
    null_program *own = program;
    // Copied out, because the host must outlive the memory that holds it.
    const tn_helper_host host = own->host;
    tn_helper_free(&host, own, sizeof *own);
}

static void null_program_info(void *program, tn_program_info *out_info) {
    const null_program *own = program;
    out_info->input_count = own->input_count;
    out_info->output_count = own->output_count;
}

// 5. Say what each port needs for given sizes of the symbols: type, shape, bytes, alignment. Inputs
// come first, then outputs, then workspaces. The first call has port_capacity 0 and wants the
// count.
static tn_status null_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    (void)query;
    (void)error;
    const null_program *own = program;
    *out_port_count = own->input_count + own->output_count;
    for (uint32_t i = 0; i < *out_port_count && i < port_capacity; ++i) {
        ports[i].kind = i < own->input_count ? TN_PORT_INPUT : TN_PORT_OUTPUT;
        ports[i].alignment_bytes = 1;
        ports[i].alias_of = TN_NONE;
    }
    return TN_OK;
}

static tn_status null_context_create(void *program, void **out_context, tn_error *error) {
    *out_context = NULL;
    null_program *own = program;
    null_context *context = tn_helper_alloc(&own->host, sizeof *context);
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "null: no memory");
    }
    context->program = own;
    *out_context = context;
    return TN_OK;
}

// 6. Fix the shapes. Allocate here whatever run will need: run itself must not allocate.
static tn_status null_prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    (void)context;
    (void)info;
    (void)error;
    return TN_OK;
}

// 7. Compute: ports[i].data are host pointers, checked against what null_ports asked for. Spread
// work with host->services->parallel_for rather than with threads of your own. When this fails, the
// adapter fails the fences that others wait for.
static tn_status null_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                          tn_error *error) {
    (void)context;
    (void)ports;
    (void)port_count;
    (void)error;
    return TN_OK;
}

static void null_context_destroy(void *context) {
    null_context *own = context;
    tn_helper_free(&own->program->host, own, sizeof *own);
}

// 8. Name the plugin. `name` is what users type; it must match the manifest. No variable here is
// writable: all state hangs on the objects above, so that a process may load the plugin twice.
static const tn_helper_simple_plugin null_plugin = {
    .desc = {.name = "null",
             .vendor = "Tenon",
             .build = "null 0.1.0",
             .flags = TN_PLUGIN_UNLOADABLE | TN_PLUGIN_REMOTE_SAFE,
             .sanitizers = TN_HELPER_SANITIZERS,
             .abi_minor_min = 0,
             .abi_minor_max = TN_ABI_VERSION_MINOR},
    .device_count = 1,
    .ops = NULL,
    .op_count = 0,
    .op_stride_bytes = sizeof(tn_op_record),
    .device_info = null_device_info,
    .supports = null_supports,
    .compile = null_compile,
    .program_destroy = null_program_destroy,
    .program_info = null_program_info,
    .ports = null_ports,
    .context_create = null_context_create,
    .prepare = null_prepare,
    .run = null_run,
    .context_destroy = null_context_destroy,
};

// The adapter checks versions and layouts, makes the plugin object and supplies the five tables.
tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    return tn_helper_simple_entry(offer, answer, &null_plugin, error);
}
