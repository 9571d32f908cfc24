// SPDX-License-Identifier: Apache-2.0
// A plugin with one op: Relu on float32. The synchronous adapter supplies devices, memory, fences
// and all checks of arguments; what is here is what every plugin has to write itself.
#include "tenon/helper/sync_adapter.h"

#include <stdio.h>
#include <string.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

// An island of Relus: every output is the Relu of one input, however many Relus lie between,
// because Relu(Relu(x)) is Relu(x). The view is copied: it is relocatable, and ports needs its
// dimensions.
typedef struct relu_program {
    tn_helper_host host;
    tn_graph_view *view;
    uint32_t *source; // per output: the input it comes from
    uint32_t input_count;
    uint32_t output_count;
} relu_program;

// Sizes are fixed by prepare, so that run has nothing left to look up.
typedef struct relu_context {
    relu_program *program;
    uint64_t *element_count; // per output
} relu_context;

static tn_status device_info(const tn_helper_host *host, uint32_t device_index,
                             tn_device_info *out_info, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)error;
    (void)snprintf(out_info->name, sizeof out_info->name, "cpu");
    (void)snprintf(out_info->description, sizeof out_info->description, "Relu, and nothing else");
    (void)snprintf(out_info->physical_id, sizeof out_info->physical_id, "cpu");
    (void)snprintf(out_info->resource_group, sizeof out_info->resource_group, "cpu");
    out_info->kind = TN_DEVICE_KIND_CPU;
    return TN_OK;
}

static void supports(const tn_helper_host *host, uint32_t device_index, const tn_graph_view *view,
                     uint32_t node_index, const tn_op_record *record, const tn_query_info *info,
                     tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)record;
    (void)info;
    const tn_graph_node *node = tn_view_node(view, node_index);
    const uint32_t input = tn_view_node_input(view, node, 0);
    if (input == TN_NONE) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, 0, 1, 0);
        return;
    }
    const tn_graph_value *value = tn_view_value(view, input);
    if (value->kind != TN_VALUE_TENSOR || value->dtype != TN_DTYPE_FLOAT) {
        tn_helper_no(out_verdict, TN_REASON_DTYPE, 0, TN_DTYPE_FLOAT, value->dtype);
        return;
    }
    if (value->constant != TN_NONE) {
        // The host folds Relu of a constant; nothing here reads weights.
        tn_helper_no(out_verdict, TN_REASON_OP_UNSUPPORTED, 0, 0, 0);
        return;
    }
    const uint32_t rank = value->dims.count;
    for (uint32_t axis = 0; rank != TN_RANK_UNKNOWN && axis < rank; ++axis) {
        const tn_graph_dim *dim = tn_view_value_dim(view, value, axis);
        if (dim->size < 0 && dim->symbol == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, 0, 0, -1);
            return;
        }
    }
    if (rank == TN_RANK_UNKNOWN) {
        tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, 0, 0, -1);
        return;
    }
    tn_helper_yes(out_verdict, TN_NUMERICS_EXACT);
}

static void program_destroy(void *program) {
    relu_program *own = program;
    if (own == NULL) {
        return;
    }
    const tn_helper_host host = own->host;
    tn_helper_free(&host, own->source, own->output_count * sizeof *own->source);
    if (own->view != NULL) {
        tn_helper_free(&host, own->view, own->view->total_bytes);
    }
    tn_helper_free(&host, own, sizeof *own);
}

// Walks from an output back to the input of the island that it comes from.
static uint32_t find_source(const tn_graph_view *view, uint32_t value) {
    while (tn_view_value(view, value)->producer != TN_NONE) {
        const tn_graph_node *node = tn_view_node(view, tn_view_value(view, value)->producer);
        value = tn_view_node_input(view, node, 0);
    }
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < graph->inputs.count; ++i) {
        if (tn_view_graph_input(view, graph, i) == value) {
            return i;
        }
    }
    return TN_NONE;
}

// Compile sees the same nodes again, and checks again: a host could ask for what was refused.
static tn_status check_nodes(const tn_graph_view *view, tn_error *error) {
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        tn_node_verdict verdict = {.answer = TN_ANSWER_NO};
        if (tn_view_node_is(view, tn_view_node(view, i), "", "Relu")) {
            supports(NULL, 0, view, i, NULL, NULL, &verdict);
        }
        if (verdict.answer != TN_ANSWER_YES) {
            return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, i, TN_NONE, "relu.node",
                                     "node %u was refused and cannot be compiled", i);
        }
    }
    return TN_OK;
}

static tn_status fill_program(relu_program *program, const tn_graph_view *view, tn_error *error) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    program->input_count = graph->inputs.count;
    program->output_count = graph->outputs.count;
    program->view = tn_helper_alloc(&program->host, view->total_bytes);
    program->source =
        tn_helper_alloc_array(&program->host, program->output_count, sizeof *program->source);
    if (program->view == NULL || (program->source == NULL && program->output_count != 0)) {
        if (program->view != NULL) {
            program->view->total_bytes = view->total_bytes; // what program_destroy frees
        }
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "relu: no memory");
    }
    memcpy(program->view, view, (size_t)view->total_bytes);
    for (uint32_t i = 0; i < program->output_count; ++i) {
        const uint32_t value = tn_view_graph_output(view, graph, i);
        program->source[i] = value == TN_NONE ? TN_NONE : find_source(view, value);
        if (program->source[i] == TN_NONE) {
            return tn_helper_fail(error, TN_ERROR_INVALID_DATA, "relu.source",
                                  "output %u comes from nowhere", i);
        }
    }
    return TN_OK;
}

static tn_status compile(const tn_helper_host *host, uint32_t device_index,
                         const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    *out_program = NULL;
    tn_status status = check_nodes(info->view, error);
    if (status != TN_OK) {
        return status;
    }
    relu_program *program = tn_helper_alloc(host, sizeof *program);
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "relu: no memory");
    }
    program->host = *host;
    status = fill_program(program, info->view, error);
    if (status != TN_OK) {
        program_destroy(program);
        return status;
    }
    *out_program = program;
    return TN_OK;
}

static void program_info(void *program, tn_program_info *out_info) {
    const relu_program *own = program;
    out_info->input_count = own->input_count;
    out_info->output_count = own->output_count;
    out_info->numerics = TN_NUMERICS_EXACT;
}

// The size of one dimension: known, or the actual size of its symbol.
static tn_status dim_size(const tn_graph_dim *dim, const tn_port_query *query, int64_t *out_size,
                          tn_error *error) {
    *out_size = dim->size;
    for (uint64_t i = 0; dim->size < 0 && i < query->symbol_count; ++i) {
        if (query->symbols[i].symbol == dim->symbol) {
            *out_size = query->symbols[i].size;
        }
    }
    return *out_size >= 0 ? TN_OK
                          : tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "relu.symbol",
                                           "symbol %u has no size", dim->symbol);
}

static tn_status fill_port(const relu_program *program, const tn_port_query *query, uint32_t index,
                           tn_port_info *port, tn_error *error) {
    const tn_graph_view *view = program->view;
    const tn_graph_record *graph = tn_view_graph(view, 0);
    const uint32_t is_input = index < program->input_count ? 1u : 0u;
    const uint32_t id = is_input ? tn_view_graph_input(view, graph, index)
                                 : tn_view_graph_output(view, graph, index - program->input_count);
    const tn_graph_value *value = tn_view_value(view, id);
    uint64_t count = 1;
    port->kind = is_input ? TN_PORT_INPUT : TN_PORT_OUTPUT;
    port->dtype = TN_DTYPE_FLOAT;
    port->rank = value->dims.count;
    for (uint32_t axis = 0; axis < port->rank; ++axis) {
        const tn_status status =
            dim_size(tn_view_value_dim(view, value, axis), query, &port->dims[axis], error);
        if (status != TN_OK) {
            return status;
        }
        const uint64_t size = (uint64_t)port->dims[axis];
        if (size != 0 && count > UINT64_MAX / sizeof(float) / size) {
            return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "relu.size", "port %u is too large",
                                  index);
        }
        count *= size;
    }
    port->size_bytes = count * sizeof(float);
    port->alignment_bytes = sizeof(float);
    // Every element is read before it is written, so input and output may be the same memory.
    port->alias_of = is_input ? TN_NONE : program->source[index - program->input_count];
    port->flags = is_input ? 0 : TN_PORT_IN_PLACE;
    port->heap_count = 1;
    return TN_OK;
}

static tn_status ports(void *program, const tn_port_query *query, tn_port_info *infos,
                       uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    const relu_program *own = program;
    *out_port_count = own->input_count + own->output_count;
    for (uint32_t i = 0; i < *out_port_count && port_capacity >= *out_port_count; ++i) {
        const tn_status status = fill_port(own, query, i, &infos[i], error);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static void context_destroy(void *context) {
    relu_context *own = context;
    if (own == NULL) {
        return;
    }
    const relu_program *program = own->program;
    tn_helper_free(&program->host, own->element_count,
                   program->output_count * sizeof *own->element_count);
    tn_helper_free(&program->host, own, sizeof *own);
}

static tn_status context_create(void *program, void **out_context, tn_error *error) {
    relu_program *own = program;
    *out_context = NULL;
    relu_context *context = tn_helper_alloc(&own->host, sizeof *context);
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "relu: no memory");
    }
    context->program = own;
    context->element_count =
        tn_helper_alloc_array(&own->host, own->output_count, sizeof *context->element_count);
    if (context->element_count == NULL && own->output_count != 0) {
        context_destroy(context);
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "relu: no memory");
    }
    *out_context = context;
    return TN_OK;
}

static tn_status prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    relu_context *own = context;
    const relu_program *program = own->program;
    const tn_port_query query = {.symbols = info->symbols, .symbol_count = info->symbol_count};
    for (uint32_t i = 0; i < program->output_count; ++i) {
        tn_port_info port = {.rank = 0};
        const tn_status status = fill_port(program, &query, program->input_count + i, &port, error);
        if (status != TN_OK) {
            return status;
        }
        own->element_count[i] = port.size_bytes / sizeof(float);
    }
    return TN_OK;
}

static tn_status run(void *context, const tn_helper_port *bound, uint32_t port_count,
                     tn_error *error) {
    (void)port_count;
    (void)error;
    const relu_context *own = context;
    const relu_program *program = own->program;
    for (uint32_t i = 0; i < program->output_count; ++i) {
        const float *x = bound[program->source[i]].data;
        float *y = bound[program->input_count + i].data;
        for (uint64_t k = 0; k < own->element_count[i]; ++k) {
            // Written so that NaN stays NaN.
            y[k] = x[k] < 0.0f ? 0.0f : x[k];
        }
    }
    return TN_OK;
}

static const tn_op_record ops[] = {{"", "Relu", 14, 6}};

static const tn_helper_simple_plugin plugin = {
    .desc = {.name = "relu",
             .vendor = "Example",
             .build = "1",
             .flags = TN_PLUGIN_UNLOADABLE | TN_PLUGIN_REMOTE_SAFE,
             .sanitizers = TN_HELPER_SANITIZERS,
             .abi_minor_max = TN_ABI_VERSION_MINOR},
    .device_count = 1,
    .ops = ops,
    .op_count = 1,
    .op_stride_bytes = sizeof ops[0],
    .device_info = device_info,
    .supports = supports,
    .compile = compile,
    .program_destroy = program_destroy,
    .program_info = program_info,
    .ports = ports,
    .context_create = context_create,
    .prepare = prepare,
    .run = run,
    .context_destroy = context_destroy,
};

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    return tn_helper_simple_entry(offer, answer, &plugin, error);
}
