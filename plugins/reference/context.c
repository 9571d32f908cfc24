// SPDX-License-Identifier: Apache-2.0
// Running a program: prepare fixes sizes and places, run points every value at its bytes and calls
// the kernels in order. Nothing is allocated after prepare.
#include "program.h"
#include "state.h"

#include <stdatomic.h>

typedef struct ref_context {
    ref_program *program;
    ref_tensor *prepared; // per value: type and size
    ref_tensor *tensors;  // per value: the same with the data of this run, and actual shapes
    int64_t *offsets;     // per value, in the workspace
    int64_t scratch;      // where scratch memory begins in the workspace
    const ref_tensor **inputs;
    ref_tensor **outputs;
    atomic_uint cancelled;
} ref_context;

tn_status tni_ref_context_create(void *program, void **out_context, tn_error *error) {
    *out_context = NULL;
    ref_program *own = program;
    ref_context *context = tn_helper_alloc(&own->host, sizeof *context);
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "context: no memory");
    }
    context->program = own;
    atomic_init(&context->cancelled, 0);
    *out_context = context;
    return TN_OK;
}

static uint64_t value_count(const ref_context *context) {
    return context->program->view->values.count;
}

static void free_arrays(ref_context *context) {
    const ref_program *program = context->program;
    const tn_helper_host *host = &program->host;
    tn_helper_free(host, context->prepared, value_count(context) * sizeof *context->prepared);
    tn_helper_free(host, context->tensors, value_count(context) * sizeof *context->tensors);
    tn_helper_free(host, context->offsets, value_count(context) * sizeof *context->offsets);
    tn_helper_free(host, (void *)context->inputs,
                   program->operand_capacity * sizeof *context->inputs);
    tn_helper_free(host, (void *)context->outputs,
                   program->operand_capacity * sizeof *context->outputs);
    context->prepared = NULL;
    context->tensors = NULL;
    context->offsets = NULL;
    context->inputs = NULL;
    context->outputs = NULL;
}

void tni_ref_context_destroy(void *context) {
    ref_context *own = context;
    if (own == NULL) {
        return;
    }
    free_arrays(own);
    tn_helper_free(&own->program->host, own, sizeof *own);
}

tn_status tni_ref_prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    ref_context *own = context;
    ref_program *program = own->program;
    const tn_helper_host *host = &program->host;
    free_arrays(own);
    own->prepared = tn_helper_alloc_array(host, value_count(own), sizeof *own->prepared);
    own->tensors = tn_helper_alloc_array(host, value_count(own), sizeof *own->tensors);
    own->offsets = tn_helper_alloc_array(host, value_count(own), sizeof *own->offsets);
    own->inputs = tn_helper_alloc_array(host, program->operand_capacity, sizeof *own->inputs);
    own->outputs = tn_helper_alloc_array(host, program->operand_capacity, sizeof *own->outputs);
    tn_status status = TN_OK;
    if ((value_count(own) != 0 &&
         (own->prepared == NULL || own->tensors == NULL || own->offsets == NULL)) ||
        (program->operand_capacity != 0 && (own->inputs == NULL || own->outputs == NULL))) {
        status = tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "prepare: no memory");
    }
    if (status == TN_OK) {
        status = tni_ref_weights_read(program, error);
    }
    if (status == TN_OK) {
        status = tni_ref_resolve(program, info->symbols, info->symbol_count, own->prepared, error);
    }
    if (status == TN_OK) {
        int64_t bytes = 0;
        status = tni_ref_plan(program, own->prepared, own->offsets, &own->scratch, &bytes, error);
    }
    if (status != TN_OK) {
        free_arrays(own);
    }
    return status;
}

static tn_status point_values(ref_context *context, const tn_helper_port *ports, tn_error *error) {
    const ref_program *program = context->program;
    const uint32_t workspace = program->input_count + program->output_count;
    for (uint32_t i = 0; i < value_count(context); ++i) {
        const ref_place *place = &program->places[i];
        context->tensors[i] = context->prepared[i];
        if (place->home == REF_HOME_PORT) {
            context->tensors[i].data = ports[place->index].data;
            if (ports[place->index].stride_elements != NULL) {
                const tn_status status =
                    tni_ref_take_strides(&context->tensors[i], &ports[place->index], error);
                if (status != TN_OK) {
                    return status;
                }
            }
        } else if (place->home == REF_HOME_WORKSPACE) {
            unsigned char *base = ports[workspace].data;
            context->tensors[i].data = base + context->offsets[i];
        }
        if (context->tensors[i].size_bytes == 0) {
            // An address that exists, so that kernels may add zero to it.
            context->tensors[i].data = (unsigned char *)(void *)context->tensors;
        }
    }
    return TN_OK;
}

// Packed elements may leave bits of the last byte over; they are zero.
static void clear_padding(ref_tensor *tensor) {
    if (tensor != NULL && tni_ref_element_bits(tensor->dtype) % 8 != 0 && tensor->size_bytes > 0) {
        tensor->data[tensor->size_bytes - 1] = 0;
    }
}

static tn_status run_node(ref_context *context, uint32_t order, const tn_helper_port *ports,
                          tn_error *error) {
    const ref_program *program = context->program;
    const tn_graph_view *view = program->view;
    const uint32_t index = tn_view_graph(view, 0)->nodes.begin + order;
    const tn_graph_node *node = tn_view_node(view, index);
    for (uint32_t i = 0; i < node->inputs.count; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        context->inputs[i] = value == TN_NONE ? NULL : &context->tensors[value];
    }
    for (uint32_t i = 0; i < node->outputs.count; ++i) {
        const uint32_t value = tn_view_node_output(view, node, i);
        context->outputs[i] = value == TN_NONE ? NULL : &context->tensors[value];
        clear_padding(context->outputs[i]);
    }
    unsigned char *workspace = program->workspace_count == 0
                                   ? NULL
                                   : ports[program->input_count + program->output_count].data;
    const ref_call call = {.host = &program->host,
                           .op = program->ops[order],
                           .view = view,
                           .node = node,
                           .node_index = index,
                           .constants = program->constants,
                           .inputs = context->inputs,
                           .input_count = node->inputs.count,
                           .outputs = context->outputs,
                           .output_count = node->outputs.count,
                           .scratch = workspace == NULL ? NULL : workspace + context->scratch,
                           .error = error};
    return program->ops[order]->run(&call);
}

// Outputs that are inputs, constants or another output as well.
static void copy_passed_through(ref_context *context, const tn_helper_port *ports) {
    const ref_program *program = context->program;
    const tn_graph_view *view = program->view;
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < program->output_count; ++i) {
        const ref_tensor *tensor = &context->tensors[tn_view_graph_output(view, graph, i)];
        unsigned char *target = ports[program->input_count + i].data;
        if (target != NULL && tensor->data != target && tensor->size_bytes != 0) {
            memmove(target, tensor->data, (size_t)tensor->size_bytes);
        }
    }
}

// Tells the host the shapes that only this run knows.
static tn_status report_shapes(const ref_context *context, const tn_helper_port *ports,
                               tn_error *error) {
    const ref_program *program = context->program;
    const tn_graph_view *view = program->view;
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < program->output_count; ++i) {
        const uint32_t value = tn_view_graph_output(view, graph, i);
        int64_t *shape = ports[program->input_count + i].out_shape;
        if (!program->places[value].data_dependent) {
            continue;
        }
        if (shape == NULL) {
            return tn_helper_fail_at(error, TN_ERROR_INVALID_ARGUMENT, TN_NONE, value,
                                     "reference.out-shape",
                                     "output %u is data-dependent: out_shape is null", i);
        }
        const ref_tensor *tensor = &context->tensors[value];
        shape[0] = tensor->rank;
        for (uint32_t axis = 0; axis < tensor->rank; ++axis) {
            shape[axis + 1] = tensor->dims[axis];
        }
    }
    return TN_OK;
}

tn_status tni_ref_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                      tn_error *error) {
    (void)port_count;
    ref_context *own = context;
    atomic_store(&own->cancelled, 0);
    tn_status status = point_values(own, ports, error);
    const uint32_t node_count = tn_view_graph(own->program->view, 0)->nodes.count;
    for (uint32_t i = 0; i < node_count && status == TN_OK; ++i) {
        if (atomic_load(&own->cancelled) != 0) {
            return tn_helper_fail(error, TN_ERROR_CANCELLED, NULL, "cancelled before node %u", i);
        }
        status = run_node(own, i, ports, error);
    }
    if (status != TN_OK) {
        return status;
    }
    copy_passed_through(own, ports);
    return report_shapes(own, ports, error);
}

tn_status tni_ref_cancel(void *context, tn_error *error) {
    (void)error;
    ref_context *own = context;
    atomic_store(&own->cancelled, 1);
    return TN_OK;
}
