// SPDX-License-Identifier: Apache-2.0
// Verdicts and islands of elementwise float32 ops over equal shapes.
#include "gpu/island.h"

#include <string.h>

// Slices of the workspace start at multiples of this, enough for any device's vector loads.
#define SLICE_BYTES 256u
#define PORT_ALIGNMENT 64u

const tn_op_record gpu_ops[GPU_OP_COUNT] = {{"", "Add", 14, 7}, {"", "Relu", 14, 6}};

static uint32_t same_shape(const tn_graph_view *view, uint32_t a, uint32_t b) {
    const tn_graph_value *one = tn_view_value(view, a);
    const tn_graph_value *other = tn_view_value(view, b);
    if (one->dims.count != other->dims.count) {
        return 0;
    }
    for (uint32_t i = 0; i < one->dims.count; i++) {
        const tn_graph_dim *x = tn_view_value_dim(view, one, i);
        const tn_graph_dim *y = tn_view_value_dim(view, other, i);
        if (x->size != y->size || x->symbol != y->symbol) {
            return 0;
        }
    }
    return 1;
}

// Operands are numbered inputs first, then the output.
static uint32_t judge_operand(const tn_graph_view *view, uint32_t value, uint32_t output,
                              uint32_t operand, tn_node_verdict *out_verdict) {
    if (value == TN_NONE) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, operand, 0, 0);
        return 0;
    }
    const tn_graph_value *v = tn_view_value(view, value);
    if (v->kind != TN_VALUE_TENSOR || v->dtype != TN_DTYPE_FLOAT) {
        tn_helper_no(out_verdict, TN_REASON_DTYPE, operand, TN_DTYPE_FLOAT, v->dtype);
        return 0;
    }
    if (v->constant != TN_NONE) {
        tn_helper_no(out_verdict, TN_REASON_LAYOUT, operand, 0, 0);
        return 0;
    }
    if (v->dims.count == TN_RANK_UNKNOWN || v->dims.count > TN_MAX_RANK) {
        tn_helper_no(out_verdict, TN_REASON_RANK_LIMIT, operand, TN_MAX_RANK, v->dims.count);
        return 0;
    }
    for (uint32_t i = 0; i < v->dims.count; i++) {
        const tn_graph_dim *dim = tn_view_value_dim(view, v, i);
        if (dim->size < 0 && dim->symbol == TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, operand, 0, -1);
            return 0;
        }
    }
    // Broadcasting comes with the full set of ops.
    if (!same_shape(view, value, output)) {
        tn_helper_no(out_verdict, TN_REASON_LAYOUT, operand, 0, 0);
        return 0;
    }
    return 1;
}

static void judge(const tn_graph_view *view, uint32_t index, tn_node_verdict *out_verdict) {
    const tn_graph_node *node = tn_view_node(view, index);
    const tn_op_record *record = NULL;
    if (!tn_helper_find_op(view, node, gpu_ops, GPU_OP_COUNT, sizeof(gpu_ops[0]), &record,
                           out_verdict)) {
        return;
    }
    uint32_t input_count = record == &gpu_ops[GPU_ADD] ? 2 : 1;
    uint32_t output = tn_view_node_output(view, node, 0);
    if (output == TN_NONE || node->inputs.count != input_count) {
        tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, TN_NONE, input_count,
                     node->inputs.count);
        return;
    }
    for (uint32_t i = 0; i <= input_count; i++) {
        uint32_t value = i < input_count ? tn_view_node_input(view, node, i) : output;
        if (!judge_operand(view, value, output, i, out_verdict)) {
            return;
        }
    }
    tn_helper_yes(out_verdict, TN_NUMERICS_EXACT);
}

void gpu_judge_all(const tn_graph_view *view, tn_verdicts *inout_verdicts) {
    for (uint32_t i = 0; i < view->nodes.count; i++) {
        tn_node_verdict verdict;
        memset(&verdict, 0, sizeof(verdict));
        judge(view, i, &verdict);
        tn_helper_put_verdict(inout_verdicts, i, &verdict);
    }
}

static uint32_t port_count_of(const gpu_island *island) {
    return island->input_count + island->output_count;
}

static void copy_values(gpu_island *island, const tn_graph_view *view) {
    for (uint32_t i = 0; i < island->value_count; i++) {
        const tn_graph_value *value = tn_view_value(view, i);
        island->values[i].port = TN_NONE;
        if (value->dims.count > TN_MAX_RANK) {
            continue; // no step reads it: every value of a step was judged
        }
        island->values[i].rank = value->dims.count;
        for (uint32_t k = 0; k < value->dims.count; k++) {
            island->values[i].dims[k] = *tn_view_value_dim(view, value, k);
        }
    }
}

static void copy_ports(gpu_island *island, const tn_graph_view *view) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < port_count_of(island); i++) {
        island->ports[i] = i < island->input_count
                               ? tn_view_graph_input(view, graph, i)
                               : tn_view_graph_output(view, graph, i - island->input_count);
        island->values[island->ports[i]].port = i;
    }
}

static tn_status copy_steps(gpu_island *island, const tn_graph_view *view, tn_error *error) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < island->step_count; i++) {
        tn_node_verdict verdict;
        uint32_t index = graph->nodes.begin + i;
        memset(&verdict, 0, sizeof(verdict));
        judge(view, index, &verdict);
        if (verdict.answer != TN_ANSWER_YES) {
            return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, index, TN_NONE, "gpu.node",
                                     "node %u is not one this device takes (reason %u)", index,
                                     verdict.reason);
        }
        const tn_graph_node *node = tn_view_node(view, index);
        island->steps[i] = (gpu_step){
            .op = tn_view_node_is(view, node, "", "Add") ? GPU_ADD : GPU_RELU,
            .a = tn_view_node_input(view, node, 0),
            .b = tn_view_node_input(view, node, 1),
            .out = tn_view_node_output(view, node, 0),
        };
    }
    return TN_OK;
}

tn_status gpu_island_create(const tn_helper_host *host, const tn_graph_view *view,
                            gpu_island **out_island, tn_error *error) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    *out_island = NULL;
    gpu_island *island = tn_helper_alloc(host, sizeof(*island));
    if (island == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a program");
    }
    island->host = *host;
    island->input_count = graph->inputs.count;
    island->output_count = graph->outputs.count;
    island->step_count = graph->nodes.count;
    island->value_count = view->values.count;
    island->ports =
        tn_helper_alloc_array(host, (uint64_t)port_count_of(island) + 1, sizeof(uint32_t));
    island->steps =
        tn_helper_alloc_array(host, (uint64_t)island->step_count + 1, sizeof(*island->steps));
    island->values =
        tn_helper_alloc_array(host, (uint64_t)island->value_count + 1, sizeof(*island->values));
    tn_status status = TN_OK;
    if (island->ports == NULL || island->steps == NULL || island->values == NULL) {
        status = tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a program");
    } else {
        copy_values(island, view);
        copy_ports(island, view);
        status = copy_steps(island, view, error);
    }
    if (status != TN_OK) {
        gpu_island_destroy(island);
        return status;
    }
    *out_island = island;
    return TN_OK;
}

void gpu_island_destroy(gpu_island *island) {
    if (island == NULL) {
        return;
    }
    const tn_helper_host host = island->host;
    tn_helper_free(&host, island->ports,
                   ((uint64_t)port_count_of(island) + 1) * sizeof(*island->ports));
    tn_helper_free(&host, island->steps,
                   ((uint64_t)island->step_count + 1) * sizeof(*island->steps));
    tn_helper_free(&host, island->values,
                   ((uint64_t)island->value_count + 1) * sizeof(*island->values));
    tn_helper_free(&host, island, sizeof(*island));
}

static int64_t resolve(const tn_graph_dim *dim, const tn_symbol_value *symbols,
                       uint64_t symbol_count) {
    for (uint64_t i = 0; dim->size < 0 && i < symbol_count; i++) {
        if (symbols[i].symbol == dim->symbol) {
            return symbols[i].size;
        }
    }
    return dim->size;
}

// Elements of a value; also its sizes when out_dims is given. UINT64_MAX when they are not known or
// too many.
static uint64_t count_elements(const gpu_value *value, const tn_symbol_value *symbols,
                               uint64_t symbol_count, int64_t *out_dims) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < value->rank; i++) {
        int64_t size = resolve(&value->dims[i], symbols, symbol_count);
        if (size < 0 || (size > 0 && count > (UINT64_MAX >> 8) / (uint64_t)size)) {
            return UINT64_MAX;
        }
        count *= (uint64_t)size;
        if (out_dims != NULL) {
            out_dims[i] = size;
        }
    }
    return count;
}

static uint32_t is_used(const gpu_island *island, uint32_t value) {
    for (uint32_t i = 0; i < island->step_count; i++) {
        if (island->steps[i].out == value) {
            return 1;
        }
    }
    return island->values[value].port != TN_NONE;
}

tn_status gpu_island_sizes(const gpu_island *island, const tn_symbol_value *symbols,
                           uint64_t symbol_count, gpu_size *sizes, uint64_t *out_workspace_bytes,
                           tn_error *error) {
    uint64_t workspace = 0;
    for (uint32_t i = 0; i < island->value_count; i++) {
        sizes[i] = (gpu_size){0, 0};
        if (!is_used(island, i)) {
            continue;
        }
        sizes[i].element_count = count_elements(&island->values[i], symbols, symbol_count, NULL);
        if (sizes[i].element_count == UINT64_MAX) {
            return tn_helper_fail_at(error, TN_ERROR_INVALID_ARGUMENT, TN_NONE, i, "gpu.size",
                                     "a size of value %u is missing or too large", i);
        }
        if (island->values[i].port == TN_NONE) {
            uint64_t bytes = sizes[i].element_count * sizeof(float);
            sizes[i].workspace_offset_bytes = workspace;
            workspace += (bytes + SLICE_BYTES - 1) / SLICE_BYTES * SLICE_BYTES;
        }
    }
    *out_workspace_bytes = workspace;
    return TN_OK;
}

// The host's records may be longer than ours (ABI-41).
static tn_port_info *port_at(tn_port_info *ports, uint32_t index) {
    unsigned char *bytes = (unsigned char *)ports;
    return (tn_port_info *)(void *)(bytes + (uint64_t)index * ports->struct_size);
}

static void fill_port(const gpu_island *island, uint32_t index, uint32_t heap_count,
                      const tn_port_query *query, tn_port_info *out_port) {
    const gpu_value *value = &island->values[island->ports[index]];
    tn_port_info port;
    memset(&port, 0, sizeof(port));
    port.kind = index < island->input_count ? TN_PORT_INPUT : TN_PORT_OUTPUT;
    port.dtype = TN_DTYPE_FLOAT;
    port.rank = value->rank;
    port.size_bytes =
        sizeof(float) * count_elements(value, query->symbols, query->symbol_count, port.dims);
    port.alignment_bytes = PORT_ALIGNMENT;
    port.alias_of = TN_NONE;
    port.heap_count = heap_count;
    for (uint32_t i = 0; i < heap_count; i++) {
        port.heaps[i] = i;
    }
    tn_helper_copy_out(out_port, &port, sizeof(port));
}

tn_status gpu_island_ports(const gpu_island *island, const tn_port_query *query,
                           uint32_t heap_count, tn_port_info *ports, uint32_t port_capacity,
                           uint32_t *out_port_count, tn_error *error) {
    uint64_t workspace = 0;
    uint64_t room = (uint64_t)island->value_count + 1;
    gpu_size *sizes = tn_helper_alloc_array(&island->host, room, sizeof(*sizes));
    *out_port_count = port_count_of(island);
    if (sizes == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for sizes");
    }
    tn_status status =
        gpu_island_sizes(island, query->symbols, query->symbol_count, sizes, &workspace, error);
    tn_helper_free(&island->host, sizes, room * sizeof(*sizes));
    if (status != TN_OK) {
        return status;
    }
    *out_port_count += workspace > 0;
    if (*out_port_count > port_capacity) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    for (uint32_t i = 0; i < port_count_of(island); i++) {
        fill_port(island, i, heap_count, query, port_at(ports, i));
    }
    if (workspace > 0) {
        tn_port_info port;
        memset(&port, 0, sizeof(port));
        port.kind = TN_PORT_WORKSPACE;
        port.dtype = TN_DTYPE_UINT8;
        port.rank = 1;
        port.dims[0] = (int64_t)workspace;
        port.size_bytes = workspace;
        port.alignment_bytes = SLICE_BYTES;
        port.alias_of = TN_NONE;
        port.heap_count = heap_count;
        for (uint32_t i = 0; i < heap_count; i++) {
            port.heaps[i] = i;
        }
        tn_helper_copy_out(port_at(ports, port_count_of(island)), &port, sizeof(port));
    }
    return TN_OK;
}
