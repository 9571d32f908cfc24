// SPDX-License-Identifier: Apache-2.0
// Sizes for given symbols, and the layout of the workspace by liveness: each value gets the lowest
// bytes that no value alive at the same time has.
#include "program.h"

#include <inttypes.h>

static tn_status symbol_size(const ref_program *program, const tn_symbol_value *symbols,
                             uint64_t symbol_count, uint32_t symbol, int64_t *out_size,
                             tn_error *error) {
    const tn_graph_symbol *record = tn_view_symbol(program->view, symbol);
    for (uint64_t i = 0; i < symbol_count; ++i) {
        if (symbols[i].symbol != symbol) {
            continue;
        }
        *out_size = symbols[i].size;
        if (symbols[i].size < record->min || symbols[i].size > record->max) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "reference.symbol-range",
                                  "symbol %u is %" PRId64 ", outside [%" PRId64 ", %" PRId64 "]",
                                  symbol, symbols[i].size, record->min, record->max);
        }
        return TN_OK;
    }
    return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "reference.symbol-missing",
                          "symbol %u has no size", symbol);
}

static tn_status fill_tensor(const ref_program *program, uint32_t index,
                             const tn_symbol_value *symbols, uint64_t symbol_count,
                             ref_tensor *out_tensor, tn_error *error) {
    const tn_graph_value *value = tn_view_value(program->view, index);
    *out_tensor = (ref_tensor){.dtype = value->dtype, .rank = value->dims.count};
    if (value->dims.count == TN_RANK_UNKNOWN || tni_ref_element_bits(value->dtype) == 0) {
        return tn_helper_fail_at(error, TN_ERROR_INVALID_DATA, TN_NONE, index, "reference.value",
                                 "value %u has no rank or no plain type", index);
    }
    for (uint32_t axis = 0; axis < value->dims.count; ++axis) {
        const tn_graph_dim *dim = tn_view_value_dim(program->view, value, axis);
        int64_t size = dim->size;
        if (size < 0) {
            if (dim->symbol == TN_NONE) {
                return tn_helper_fail_at(error, TN_ERROR_INVALID_DATA, TN_NONE, index,
                                         "reference.value", "value %u: axis %u is unknown", index,
                                         axis);
            }
            const tn_status status =
                symbol_size(program, symbols, symbol_count, dim->symbol, &size, error);
            if (status != TN_OK) {
                return status;
            }
        }
        out_tensor->dims[axis] = size;
    }
    if (!tni_ref_count(out_tensor->dims, out_tensor->rank, &out_tensor->count)) {
        return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, TN_NONE, index,
                                 "reference.value-bytes", "value %u is too large", index);
    }
    out_tensor->size_bytes = tni_ref_bytes_of(value->dtype, out_tensor->count);
    return TN_OK;
}

// The most operands of an op with data-dependent outputs or scratch memory.
#define MAX_ASKED_OPERANDS 16u

typedef struct question {
    const ref_tensor *inputs[MAX_ASKED_OPERANDS];
    ref_tensor *outputs[MAX_ASKED_OPERANDS];
    ref_call call;
} question;

// A call that has shapes but no data, but for constants.
static void pose(const ref_program *program, uint32_t order, ref_tensor *tensors, tn_error *error,
                 question *out_question) {
    const tn_graph_view *view = program->view;
    const uint32_t index = tn_view_graph(view, 0)->nodes.begin + order;
    const tn_graph_node *node = tn_view_node(view, index);
    const uint32_t most = MAX_ASKED_OPERANDS;
    *out_question = (question){.inputs = {NULL}, .outputs = {NULL}};
    for (uint32_t i = 0; i < node->inputs.count && i < most; ++i) {
        const uint32_t value = tn_view_node_input(view, node, i);
        out_question->inputs[i] = value == TN_NONE ? NULL : &tensors[value];
    }
    for (uint32_t i = 0; i < node->outputs.count && i < most; ++i) {
        const uint32_t value = tn_view_node_output(view, node, i);
        out_question->outputs[i] = value == TN_NONE ? NULL : &tensors[value];
    }
    out_question->call =
        (ref_call){.host = &program->host,
                   .op = program->ops[order],
                   .view = view,
                   .node = node,
                   .node_index = index,
                   .constants = program->constants,
                   .inputs = out_question->inputs,
                   .input_count = node->inputs.count < most ? node->inputs.count : most,
                   .outputs = out_question->outputs,
                   .output_count = node->outputs.count < most ? node->outputs.count : most,
                   .error = error};
}

// The largest shapes of a node's data-dependent outputs.
static tn_status bound_node(const ref_program *program, uint32_t order, ref_tensor *tensors,
                            tn_error *error) {
    question asked;
    pose(program, order, tensors, error, &asked);
    const ref_call *call = &asked.call;
    for (uint32_t i = 0; i < call->output_count; ++i) {
        if (call->outputs[i] != NULL) {
            const uint32_t value = tn_view_node_output(call->view, call->node, i);
            call->outputs[i]->dtype = tn_view_value(call->view, value)->dtype;
        }
    }
    return call->op->bound(call)
               ? TN_OK
               : tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, call->node_index, TN_NONE,
                                   "reference.largest-shape",
                                   "%s: its largest result is too large, or its inputs are wrong",
                                   call->op->record.op_type);
}

// The most scratch memory that any node needs: they run one after another.
static tn_status measure_scratch(const ref_program *program, ref_tensor *tensors,
                                 int64_t *out_bytes, tn_error *error) {
    const uint32_t node_count = tn_view_graph(program->view, 0)->nodes.count;
    *out_bytes = 0;
    for (uint32_t i = 0; i < node_count; ++i) {
        question asked;
        if (program->ops[i]->scratch == NULL) {
            continue;
        }
        pose(program, i, tensors, error, &asked);
        const int64_t bytes = program->ops[i]->scratch(&asked.call);
        if (bytes < 0 || bytes > INT64_MAX / 4) {
            return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, asked.call.node_index, TN_NONE,
                                     "reference.scratch", "%s: it needs too much scratch memory",
                                     asked.call.op->record.op_type);
        }
        *out_bytes = bytes > *out_bytes ? bytes : *out_bytes;
    }
    return TN_OK;
}

tn_status tni_ref_resolve(const ref_program *program, const tn_symbol_value *symbols,
                          uint64_t symbol_count, ref_tensor *tensors, tn_error *error) {
    for (uint32_t i = 0; i < program->view->values.count; ++i) {
        const ref_place *place = &program->places[i];
        if (place->home == REF_HOME_CONSTANT) {
            tensors[i] = program->constants[place->index];
            continue;
        }
        if (place->home == REF_HOME_NOWHERE || place->data_dependent) {
            continue;
        }
        const tn_status status = fill_tensor(program, i, symbols, symbol_count, &tensors[i], error);
        if (status != TN_OK) {
            return status;
        }
    }
    // No node reads what another one bounds, so that the order does not matter.
    const uint32_t node_count = tn_view_graph(program->view, 0)->nodes.count;
    for (uint32_t i = 0; i < node_count; ++i) {
        const tn_status status =
            program->ops[i]->bound == NULL ? TN_OK : bound_node(program, i, tensors, error);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static uint32_t live_together(const ref_place *a, const ref_place *b) {
    return a->first_node <= b->last_node && b->first_node <= a->last_node ? 1u : 0u;
}

// Values that were placed and may still be alive.
typedef struct living {
    uint32_t *values;
    uint32_t count;
} living;

// The lowest offset at which the value clashes with none of them.
static int64_t lowest_offset(const ref_program *program, const ref_tensor *tensors,
                             const int64_t *offsets, const living *placed, uint32_t index) {
    const int64_t size = tensors[index].size_bytes;
    int64_t offset = 0;
    uint32_t moved = 1;
    while (moved) {
        moved = 0;
        for (uint32_t i = 0; i < placed->count; ++i) {
            const uint32_t other = placed->values[i];
            if (!live_together(&program->places[other], &program->places[index])) {
                continue;
            }
            const int64_t begin = offsets[other];
            const int64_t end = begin + tensors[other].size_bytes;
            if (begin < offset + size && offset < end) {
                offset = (end + REF_WORKSPACE_ALIGNMENT - 1) / REF_WORKSPACE_ALIGNMENT *
                         REF_WORKSPACE_ALIGNMENT;
                moved = 1;
            }
        }
    }
    return offset;
}

// Whether the workspace values lie in the order in which nodes make them. Then those that were
// read for the last time before a value is made clash with nothing that comes after it.
static uint32_t in_order(const ref_program *program) {
    uint32_t latest = 0;
    for (uint32_t i = 0; i < program->view->values.count; ++i) {
        const ref_place *place = &program->places[i];
        if (place->home == REF_HOME_WORKSPACE) {
            if (place->first_node < latest) {
                return 0;
            }
            latest = place->first_node;
        }
    }
    return 1;
}

static void forget_dead(const ref_program *program, living *placed, uint32_t node) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < placed->count; ++i) {
        if (program->places[placed->values[i]].last_node >= node) {
            placed->values[kept++] = placed->values[i];
        }
    }
    placed->count = kept;
}

// *out_total: the end of the last one.
static tn_status place_all(const ref_program *program, const ref_tensor *tensors, int64_t *offsets,
                           living *placed, int64_t *out_total, tn_error *error) {
    const uint32_t sorted = in_order(program);
    // At least one unit, so that a workspace port always has memory behind it.
    int64_t total = REF_WORKSPACE_ALIGNMENT;
    int64_t sum = 0;
    for (uint32_t i = 0; i < program->view->values.count; ++i) {
        if (program->places[i].home != REF_HOME_WORKSPACE) {
            continue;
        }
        const int64_t size = tensors[i].size_bytes;
        if (size > INT64_MAX / 4 - sum) {
            return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "reference.workspace",
                                  "the intermediates are too large");
        }
        sum += size;
        if (sorted) {
            forget_dead(program, placed, program->places[i].first_node);
        }
        offsets[i] = lowest_offset(program, tensors, offsets, placed, i);
        placed->values[placed->count++] = i;
        if (offsets[i] + size > total) {
            total = offsets[i] + size;
        }
    }
    *out_total = total;
    return TN_OK;
}

tn_status tni_ref_plan(const ref_program *program, ref_tensor *tensors, int64_t *offsets,
                       int64_t *out_scratch, int64_t *out_bytes, tn_error *error) {
    const uint64_t list_bytes = ((uint64_t)program->view->values.count + 1) * sizeof(uint32_t);
    living placed = {.values = tn_helper_alloc(&program->host, list_bytes)};
    int64_t total = 0;
    int64_t scratch_bytes = 0;
    if (placed.values == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "workspace: no memory");
    }
    tn_status status = place_all(program, tensors, offsets, &placed, &total, error);
    tn_helper_free(&program->host, placed.values, list_bytes);
    if (status == TN_OK) {
        status = measure_scratch(program, tensors, &scratch_bytes, error);
    }
    *out_scratch =
        (total + REF_WORKSPACE_ALIGNMENT - 1) / REF_WORKSPACE_ALIGNMENT * REF_WORKSPACE_ALIGNMENT;
    *out_bytes = scratch_bytes == 0 ? total : *out_scratch + scratch_bytes;
    return status;
}
