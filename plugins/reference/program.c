// SPDX-License-Identifier: Apache-2.0
// Compiling an island: copy the view, find a kernel for every node and a home for every value.
#include "program.h"
#include "state.h"

#include <inttypes.h>

static tn_status no_memory(tn_error *error) {
    (void)tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "reference: no memory");
    return TN_ERROR_OUT_OF_MEMORY;
}

void tni_ref_program_destroy(void *program) {
    ref_program *own = program;
    if (own == NULL) {
        return;
    }
    const tn_helper_host host = own->host;
    if (own->view != NULL) {
        const tn_graph_view *view = own->view;
        const uint32_t constant_count = view->constants.count;
        for (uint32_t i = 0; own->owned != NULL && own->constants != NULL && i < constant_count;
             ++i) {
            if (own->owned[i]) {
                tn_helper_free(&host, own->constants[i].data,
                               (uint64_t)own->constants[i].size_bytes);
            }
        }
        const uint64_t node_count = tn_view_graph(view, 0)->nodes.count;
        tn_helper_free(&host, own->appends_to,
                       ((uint64_t)own->output_count + 1) * sizeof *own->appends_to);
        tn_helper_free(&host, own->owned, (uint64_t)constant_count + 1);
        tn_helper_free(&host, own->constants,
                       ((uint64_t)constant_count + 1) * sizeof *own->constants);
        tn_helper_free(&host, own->places,
                       ((uint64_t)view->values.count + 1) * sizeof *own->places);
        tn_helper_free(&host, (void *)own->ops, (node_count + 1) * sizeof *own->ops);
        tn_helper_free(&host, own->view, own->view_bytes);
    }
    if (own->weights_mutex_ready) {
        (void)pthread_mutex_destroy(&own->weights_mutex);
    }
    tn_helper_free(&host, own, sizeof *own);
}

static tn_status find_ops(ref_program *program, tn_error *error) {
    const tn_graph_view *view = program->view;
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = 0; i < nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, nodes.begin + i);
        const ref_op *op = tni_ref_find_op(view, node);
        tn_node_verdict verdict = {.answer = TN_ANSWER_NO, .reason = TN_REASON_OP_UNSUPPORTED};
        if (op != NULL) {
            tni_ref_judge(view, node, op, &verdict);
        }
        if (verdict.answer != TN_ANSWER_YES) {
            const tn_string type = tn_view_text(view, node->op_type);
            return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, nodes.begin + i, TN_NONE,
                                     "reference.unsupported", "op %.*s version %u: reason %u",
                                     (int)(type.size_bytes < 64 ? type.size_bytes : 64), type.data,
                                     node->since_version, verdict.reason);
        }
        program->ops[i] = op;
        program->workspace_count = op->scratch != NULL ? 1 : program->workspace_count;
        const uint32_t operands =
            node->inputs.count > node->outputs.count ? node->inputs.count : node->outputs.count;
        if (operands > program->operand_capacity) {
            program->operand_capacity = operands;
        }
    }
    return TN_OK;
}

static void place_ports(ref_program *program) {
    const tn_graph_view *view = program->view;
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < graph->inputs.count; ++i) {
        const uint32_t value = tn_view_graph_input(view, graph, i);
        if (value != TN_NONE) {
            program->places[value] = (ref_place){.home = REF_HOME_PORT, .index = i};
        }
    }
    for (uint32_t i = 0; i < graph->outputs.count; ++i) {
        const uint32_t value = tn_view_graph_output(view, graph, i);
        // An input or constant that is also an output stays where it is; run copies it.
        if (value != TN_NONE && program->places[value].home == REF_HOME_NOWHERE &&
            tn_view_value(view, value)->producer != TN_NONE) {
            program->places[value] =
                (ref_place){.home = REF_HOME_PORT, .index = graph->inputs.count + i};
        }
    }
}

static void place_node(ref_program *program, uint32_t order, const tn_graph_node *node) {
    const tn_graph_view *view = program->view;
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        const uint32_t value = tn_view_node_output(view, node, i);
        if (value != TN_NONE && program->places[value].home == REF_HOME_NOWHERE) {
            program->places[value] =
                (ref_place){.home = REF_HOME_WORKSPACE, .first_node = order, .last_node = order};
            program->workspace_count = 1;
        }
    }
    for (uint32_t i = 0; i < node->inputs.count; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        if (value != TN_NONE && program->places[value].home == REF_HOME_WORKSPACE) {
            program->places[value].last_node = order;
        }
    }
}

// Values whose shape depends on data leave the program: the memory of what follows from them is
// only known to the host, between two programs.
static tn_status mark_dependent(ref_program *program, tn_error *error) {
    const tn_graph_view *view = program->view;
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = 0; i < nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, nodes.begin + i);
        for (uint32_t k = 0; k < node->inputs.count; ++k) {
            const uint32_t value = tn_view_node_input(view, node, k);
            if (value != TN_NONE && program->places[value].data_dependent) {
                return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, nodes.begin + i, value,
                                         "reference.data-dependent",
                                         "value %u has a data-dependent shape and is read in the "
                                         "same program",
                                         value);
            }
        }
        for (uint32_t k = 0; k < node->outputs.count; ++k) {
            const uint32_t value = tn_view_node_output(view, node, k);
            if (value != TN_NONE && (program->ops[i]->dependent_outputs >> k & 1u) != 0) {
                program->places[value].data_dependent = 1;
            }
        }
    }
    return TN_OK;
}

static tn_status place_values(ref_program *program, tn_error *error) {
    const tn_graph_view *view = program->view;
    place_ports(program);
    for (uint32_t i = 0; i < view->values.count; ++i) {
        const uint32_t constant = tn_view_value(view, i)->constant;
        if (constant != TN_NONE && program->places[i].home == REF_HOME_NOWHERE) {
            program->places[i] = (ref_place){.home = REF_HOME_CONSTANT, .index = constant};
        }
    }
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < graph->nodes.count; ++i) {
        place_node(program, i, tn_view_node(view, graph->nodes.begin + i));
    }
    for (uint32_t i = 0; i < graph->nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, graph->nodes.begin + i);
        for (uint32_t k = 0; k < node->inputs.count; ++k) {
            const uint32_t value = tn_view_node_input(view, node, k);
            if (value != TN_NONE && program->places[value].home == REF_HOME_NOWHERE) {
                return tn_helper_fail_at(error, TN_ERROR_INVALID_DATA, graph->nodes.begin + i,
                                         value, "reference.no-source",
                                         "value %u comes from nowhere", value);
            }
        }
    }
    for (uint32_t i = 0; i < graph->outputs.count; ++i) {
        const uint32_t value = tn_view_graph_output(view, graph, i);
        if (value == TN_NONE || program->places[value].home == REF_HOME_NOWHERE) {
            return tn_helper_fail(error, TN_ERROR_INVALID_DATA, "reference.no-source",
                                  "output %u comes from nowhere", i);
        }
    }
    return mark_dependent(program, error);
}

// One entry more than is used, so that null only ever means that there is no memory.
static uint32_t allocate_arrays(ref_program *program) {
    const tn_helper_host *host = &program->host;
    const tn_graph_view *view = program->view;
    const uint64_t node_count = tn_view_graph(view, 0)->nodes.count;
    const uint64_t constant_count = view->constants.count;
    program->ops = tn_helper_alloc_array(host, node_count + 1, sizeof *program->ops);
    program->places =
        tn_helper_alloc_array(host, (uint64_t)view->values.count + 1, sizeof *program->places);
    program->constants =
        tn_helper_alloc_array(host, constant_count + 1, sizeof *program->constants);
    program->owned = tn_helper_alloc_array(host, constant_count + 1, sizeof *program->owned);
    const uint64_t output_count = (uint64_t)program->output_count + 1;
    program->appends_to = tn_helper_alloc_array(host, output_count, sizeof *program->appends_to);
    for (uint64_t i = 0; program->appends_to != NULL && i < output_count; ++i) {
        program->appends_to[i] = TN_NONE;
    }
    return program->ops != NULL && program->places != NULL && program->constants != NULL &&
                   program->owned != NULL && program->appends_to != NULL
               ? 1u
               : 0u;
}

static tn_status fill_program(ref_program *program, const tn_graph_view *view, tn_error *error) {
    const tn_helper_host *host = &program->host;
    program->view = tn_helper_alloc(host, view->total_bytes);
    if (program->view == NULL) {
        return no_memory(error);
    }
    program->view_bytes = view->total_bytes;
    memcpy(program->view, view, (size_t)view->total_bytes);
    const tn_graph_record *graph = tn_view_graph(program->view, 0);
    program->input_count = graph->inputs.count;
    program->output_count = graph->outputs.count;
    if (!allocate_arrays(program)) {
        return no_memory(error);
    }
    tn_status status = find_ops(program, error);
    for (uint32_t i = 0; status == TN_OK && i < view->constants.count; ++i) {
        status = tni_ref_constant_open(program, i, error);
    }
    status = status == TN_OK ? place_values(program, error) : status;
    if (status == TN_OK) {
        tni_ref_find_states(program);
    }
    return status;
}

tn_status tni_ref_compile(const tn_helper_host *host, uint32_t device_index,
                          const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    *out_program = NULL;
    ref_program *program = tn_helper_alloc(host, sizeof *program);
    if (program == NULL) {
        return no_memory(error);
    }
    program->host = *host;
    program->weights_mutex_ready = pthread_mutex_init(&program->weights_mutex, NULL) == 0;
    const tn_status status =
        program->weights_mutex_ready ? fill_program(program, info->view, error) : no_memory(error);
    if (status != TN_OK) {
        tni_ref_program_destroy(program);
        return status;
    }
    *out_program = program;
    return TN_OK;
}

void tni_ref_program_info(void *program, tn_program_info *out_info) {
    const ref_program *own = program;
    out_info->input_count = own->input_count;
    out_info->output_count = own->output_count;
    out_info->weight_bytes = own->owned_bytes;
    out_info->numerics = TN_NUMERICS_EXACT;
}

static void fill_port(tn_port_info *port, tn_port_kind kind, uint32_t data_dependent,
                      const ref_tensor *tensor) {
    port->kind = kind;
    port->flags = data_dependent ? TN_PORT_DATA_DEPENDENT : 0;
    port->dtype = tensor->dtype;
    port->rank = tensor->rank;
    memcpy(port->dims, tensor->dims, sizeof port->dims);
    port->size_bytes = (uint64_t)tensor->size_bytes;
    port->alignment_bytes = kind == TN_PORT_WORKSPACE ? REF_WORKSPACE_ALIGNMENT : 1;
    port->alias_of = TN_NONE;
    port->heap_count = 1;
    port->heaps[0] = 0;
}

static tn_status fill_ports(const ref_program *program, const tn_port_query *query,
                            ref_tensor *tensors, int64_t *offsets, tn_port_info *ports,
                            tn_error *error) {
    const tn_graph_view *view = program->view;
    const tn_graph_record *graph = tn_view_graph(view, 0);
    int64_t scratch = 0;
    int64_t workspace_bytes = 0;
    tn_status status =
        tni_ref_resolve(program, query->symbols, query->symbol_count, tensors, error);
    if (status == TN_OK) {
        status = tni_ref_plan(program, tensors, offsets, &scratch, &workspace_bytes, error);
    }
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t i = 0; i < program->input_count; ++i) {
        const uint32_t value = tn_view_graph_input(view, graph, i);
        fill_port(&ports[i], TN_PORT_INPUT, 0, &tensors[value]);
        ports[i].accepts_strides = tni_ref_reads_apart(program, value);
    }
    for (uint32_t i = 0; i < program->output_count; ++i) {
        const uint32_t value = tn_view_graph_output(view, graph, i);
        fill_port(&ports[program->input_count + i], TN_PORT_OUTPUT,
                  program->places[value].data_dependent, &tensors[value]);
        if (program->appends_to[i] != TN_NONE) {
            tn_port_info *output = &ports[program->input_count + i];
            output->flags |= TN_PORT_IN_PLACE;
            output->alias_of = program->appends_to[i];
            output->accepts_strides = 1;
            ports[output->alias_of].accepts_strides = 1;
        }
    }
    if (program->workspace_count != 0) {
        const ref_tensor workspace = {.dtype = TN_DTYPE_UINT8,
                                      .rank = 1,
                                      .dims = {workspace_bytes},
                                      .count = workspace_bytes,
                                      .size_bytes = workspace_bytes};
        fill_port(&ports[program->input_count + program->output_count], TN_PORT_WORKSPACE, 0,
                  &workspace);
    }
    return TN_OK;
}

tn_status tni_ref_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                        uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    const ref_program *own = program;
    const uint32_t value_count = own->view->values.count;
    *out_port_count = own->input_count + own->output_count + own->workspace_count;
    if (port_capacity < *out_port_count || value_count == 0) {
        return TN_OK;
    }
    ref_tensor *tensors = tn_helper_alloc_array(&own->host, value_count, sizeof *tensors);
    int64_t *offsets = tn_helper_alloc_array(&own->host, value_count, sizeof *offsets);
    const tn_status status = tensors == NULL || offsets == NULL
                                 ? no_memory(error)
                                 : fill_ports(own, query, tensors, offsets, ports, error);
    tn_helper_free(&own->host, offsets, value_count * sizeof *offsets);
    tn_helper_free(&own->host, tensors, value_count * sizeof *tensors);
    return status;
}
