// SPDX-License-Identifier: Apache-2.0
// Which Concat nodes may grow a state in place, and the copying of the new rows.
#include "state.h"

#include "kernels.h"

#include <string.h>

// Ops that read elements one by one, wherever they lie.
static uint32_t reads_apart(const tn_graph_view *view, const tn_graph_node *node) {
    return tn_view_node_is(view, node, "", "MatMul") ||
                   tn_view_node_is(view, node, "", "Transpose") ||
                   tn_view_node_is(view, node, "", "Shape") ||
                   tn_view_node_is(view, node, "", "Size")
               ? 1u
               : 0u;
}

// Whether every reader of a value in graph 0 can read rows that lie apart. Input 0 of `but` can.
static uint32_t readers_can(const tn_graph_view *view, uint32_t value, const tn_graph_node *but) {
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = 0; i < nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, nodes.begin + i);
        for (uint32_t k = 0; k < node->inputs.count; ++k) {
            if (tn_view_node_input(view, node, k) == value && !(node == but && k == 0) &&
                !reads_apart(view, node)) {
                return 0;
            }
        }
    }
    return 1;
}

// The port a value leaves by, if it leaves by just one.
static uint32_t only_output(const ref_program *program, uint32_t value) {
    const tn_graph_record *graph = tn_view_graph(program->view, 0);
    uint32_t found = TN_NONE;
    for (uint32_t i = 0; i < program->output_count; ++i) {
        if (tn_view_graph_output(program->view, graph, i) == value) {
            if (found != TN_NONE) {
                return TN_NONE;
            }
            found = i;
        }
    }
    return found;
}

static uint32_t input_port(const ref_program *program, uint32_t value) {
    const tn_graph_record *graph = tn_view_graph(program->view, 0);
    for (uint32_t i = 0; i < program->input_count; ++i) {
        if (tn_view_graph_input(program->view, graph, i) == value) {
            return i;
        }
    }
    return TN_NONE;
}

uint32_t tni_ref_reads_apart(const ref_program *program, uint32_t value) {
    return readers_can(program->view, value, NULL) && only_output(program, value) == TN_NONE;
}

void tni_ref_find_states(ref_program *program) {
    const tn_graph_view *view = program->view;
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = 0; i < nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, nodes.begin + i);
        if (!tn_view_node_is(view, node, "", "Concat") || node->inputs.count < 2) {
            continue;
        }
        const uint32_t past = tn_view_node_input(view, node, 0);
        const uint32_t result = tn_view_node_output(view, node, 0);
        const uint32_t input = past == TN_NONE ? TN_NONE : input_port(program, past);
        const uint32_t output = result == TN_NONE ? TN_NONE : only_output(program, result);
        if (input == TN_NONE || output == TN_NONE || only_output(program, past) != TN_NONE ||
            tni_ref_element_bits(tn_view_value(view, result)->dtype) % 8 != 0) {
            continue;
        }
        if (readers_can(view, past, node) && readers_can(view, result, NULL)) {
            program->appends_to[output] = input;
        }
    }
}

tn_status tni_ref_take_strides(ref_tensor *tensor, const tn_helper_port *port, tn_error *error) {
    int64_t expected = 1;
    uint32_t gaps = 0;
    tensor->row = 0;
    tensor->pitch = 0;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        if (tensor->dims[axis] > 1 && port->stride_elements[axis] != expected) {
            tensor->row = tni_ref_product(tensor->dims, axis + 1, tensor->rank);
            tensor->pitch = port->stride_elements[axis];
            expected = tensor->pitch;
            gaps += 1;
        }
        expected *= tensor->dims[axis];
    }
    if (gaps > 1 || tensor->pitch < tensor->row) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "reference.strides",
                              "strides that are not dense rows with one gap");
    }
    return TN_OK;
}

// Bytes from one row along axis to the next group of rows.
static int64_t pitch_bytes(const ref_tensor *tensor, int64_t group) {
    return (tensor->row == 0 ? group : tensor->pitch) * tni_ref_element_bytes(tensor->dtype);
}

tn_status tni_ref_append(const ref_call *call, uint32_t axis) {
    ref_tensor *output = call->outputs[0];
    const int64_t outer = tni_ref_product(output->dims, 0, axis);
    const int64_t unit = tni_ref_product(output->dims, axis + 1, output->rank);
    const int64_t bytes = tni_ref_element_bytes(output->dtype);
    if (output->row != 0 && output->row != output->dims[axis] * unit) {
        return tni_ref_invalid(call, "rows of the result lie apart along another axis");
    }
    int64_t position = 0;
    for (uint32_t i = 0; i < call->input_count; ++i) {
        const ref_tensor *input = call->inputs[i];
        const int64_t rows = input->dims[axis] * unit;
        const uint32_t is_there = i == 0 && input->data == output->data ? 1u : 0u;
        for (int64_t o = 0; o < outer && !is_there && rows > 0; ++o) {
            memcpy(output->data + o * pitch_bytes(output, output->dims[axis] * unit) +
                       position * unit * bytes,
                   input->data + o * pitch_bytes(input, rows), (size_t)(rows * bytes));
        }
        position += input->dims[axis];
    }
    return position == output->dims[axis] ? TN_OK : tni_ref_invalid(call, "shapes");
}
