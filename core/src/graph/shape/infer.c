// SPDX-License-Identifier: Apache-2.0
// The inference pass: visits nodes in order, calls the rule of each, and keeps the facts. What a
// rule leaves unknown is filled from declarations.
#include "graph/shape/infer.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SCRATCH_LIMIT_BYTES ((uint64_t)1 << 30)

tni_fact *tni_in(tni_inference *in, uint32_t index) {
    const uint32_t value = tni_model_resolve(in->model, tni_node_input(in->node, index));
    return value == TN_NONE ? NULL : &in->facts[value];
}

// The last node of a form writes what its owner produces and has stated already.
static bool states(const tni_inference *in, uint32_t node, uint32_t value) {
    return in->model->values[value].producer == node;
}

tni_fact *tni_out(tni_inference *in, uint32_t index) {
    const uint32_t value = tni_node_output(in->node, index);
    return value == TN_NONE || !states(in, in->node_id, value) ? &in->unused : &in->facts[value];
}

bool tni_in_ranked(tni_inference *in, uint32_t index) {
    const tni_fact *fact = tni_in(in, index);
    return fact != NULL && fact->rank != TN_RANK_UNKNOWN;
}

tn_dtype tni_in_dtype(tni_inference *in, uint32_t index) {
    const tni_fact *fact = tni_in(in, index);
    return fact != NULL ? fact->dtype : TN_DTYPE_UNDEFINED;
}

static tn_status out_of_memory(tni_inference *in, tn_status status) {
    return tni_fail_plain(in->error, status, "shape inference");
}

tn_status tni_state(tni_inference *in, uint32_t output, tn_dtype dtype, uint32_t rank,
                    const tn_graph_dim *dims) {
    tni_fact *fact = tni_out(in, output);
    fact->dtype = dtype;
    fact->rank = TN_RANK_UNKNOWN;
    // A body may be inferred more than once, with other elements.
    fact->elements = NULL;
    fact->element_count = 0;
    if (rank == TN_RANK_UNKNOWN) {
        return TN_OK;
    }
    if (rank > TN_MAX_RANK) {
        return tni_contradiction(in, 0, "shape.rank", "the result has rank %u", rank);
    }
    const tn_status status =
        tni_arena_array(&in->arena, rank, sizeof *dims, 8, (void **)&fact->dims);
    if (status != TN_OK) {
        return out_of_memory(in, status);
    }
    if (rank > 0) {
        memcpy(fact->dims, dims, rank * sizeof *dims);
    }
    fact->rank = rank;
    return TN_OK;
}

tn_status tni_state_like(tni_inference *in, uint32_t output, uint32_t input, tn_dtype dtype) {
    const tni_fact *fact = tni_in(in, input);
    if (fact == NULL) {
        return tni_state(in, output, dtype, TN_RANK_UNKNOWN, NULL);
    }
    tni_out(in, output)->kind = fact->kind;
    return tni_state(in, output, dtype, fact->rank, fact->dims);
}

tn_status tni_state_elements(tni_inference *in, uint32_t output, const tni_element *elements,
                             uint32_t count) {
    tni_fact *fact = tni_out(in, output);
    if (elements == NULL || count > TNI_MAX_ELEMENTS) {
        return TN_OK;
    }
    const tn_status status =
        tni_arena_array(&in->arena, count, sizeof *elements, 8, (void **)&fact->elements);
    if (status != TN_OK) {
        return out_of_memory(in, status);
    }
    if (count > 0) {
        memcpy(fact->elements, elements, count * sizeof *elements);
    }
    fact->element_count = count;
    return TN_OK;
}

static void write_shape(const tni_inference *in, const tni_fact *fact, char *text,
                        size_t capacity) {
    size_t used = 0;
    if (fact == NULL || fact->rank == TN_RANK_UNKNOWN) {
        snprintf(text, capacity, "[?]");
        return;
    }
    used += (size_t)snprintf(text, capacity, "[");
    for (uint32_t i = 0; i < fact->rank && used + 64 < capacity; i++) {
        const tn_graph_dim dim = fact->dims[i];
        const char *comma = i > 0 ? ", " : "";
        int written = 0;
        if (dim.size >= 0) {
            written = snprintf(text + used, capacity - used, "%s%lld", comma, (long long)dim.size);
        } else if (dim.symbol != TN_NONE && in->model->symbols[dim.symbol].name.size_bytes > 0) {
            written = snprintf(text + used, capacity - used, "%s%.32s", comma,
                               in->model->symbols[dim.symbol].name.data);
        } else {
            written = snprintf(text + used, capacity - used, "%s?", comma);
        }
        used += (size_t)written;
    }
    snprintf(text + used, capacity - used, "]");
}

tn_status tni_contradiction(tni_inference *in, uint32_t input, const char *id, const char *format,
                            ...) {
    char message[160];
    char shape[160];
    va_list arguments;
    const uint32_t value = tni_model_resolve(in->model, tni_node_input(in->node, input));
    const tn_string name =
        value != TN_NONE ? in->model->values[value].name : TNI_LITERAL("(absent)");
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) {
        message[0] = '\0';
    }
    va_end(arguments);
    write_shape(in, value != TN_NONE ? &in->facts[value] : NULL, shape, sizeof shape);
    return tni_fail_node(in->error, TN_ERROR_INVALID_DATA, id, in->node_id, value,
                         "node %u '%.*s' (%.*s), operand %u '%.*s' %s: %s", in->node_id,
                         TNI_TEXT(in->node->name), TNI_TEXT(in->node->op_type), input,
                         TNI_TEXT(name), shape, message);
}

tn_graph_dim tni_dim_of_element(tni_element element) {
    if (element.known) {
        return element.value >= 0 ? tni_dim(element.value) : tni_dim_unknown();
    }
    return (tn_graph_dim){-1, element.symbol, 0};
}

tni_element tni_element_of_dim(tn_graph_dim dim) {
    return dim.size >= 0 ? tni_element_of(dim.size) : (tni_element){0, dim.symbol, false};
}

tn_status tni_axis(tni_inference *in, int64_t axis, uint32_t rank, uint32_t *out_axis) {
    *out_axis = 0;
    if (axis < -(int64_t)rank || axis >= (int64_t)rank) {
        return tni_contradiction(in, 0, "shape.axis", "axis %lld is outside of rank %u",
                                 (long long)axis, rank);
    }
    *out_axis = (uint32_t)(axis < 0 ? axis + rank : axis);
    return TN_OK;
}

tn_status tni_broadcast(tni_inference *in, uint32_t operand, uint32_t rank_a, const tn_graph_dim *a,
                        uint32_t rank_b, const tn_graph_dim *b, uint32_t *out_rank,
                        tn_graph_dim *out_dims) {
    const uint32_t rank = rank_a > rank_b ? rank_a : rank_b;
    tn_graph_dim dims[TN_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        // Aligned at the last dimension; missing ones are 1.
        const tn_graph_dim x = i + rank_a >= rank ? a[i + rank_a - rank] : tni_dim(1);
        const tn_graph_dim y = i + rank_b >= rank ? b[i + rank_b - rank] : tni_dim(1);
        if (x.size == 1 || tni_dim_equal(x, y)) {
            dims[i] = y;
        } else if (y.size == 1) {
            dims[i] = x;
        } else if (tni_dim_differ(x, y)) {
            return tni_contradiction(in, operand, "shape.broadcast",
                                     "dimension %u is %lld, the other operands have %lld", i,
                                     (long long)y.size, (long long)x.size);
        } else if (x.size >= 0 || y.size >= 0) {
            // One size is known and not 1: the other is that size, or 1.
            dims[i] = x.size >= 0 ? x : y;
        } else {
            dims[i] = tni_dim_unknown();
        }
    }
    memcpy(out_dims, dims, rank * sizeof *dims);
    *out_rank = rank;
    return TN_OK;
}

static void sort_axes(uint32_t *axes, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        const uint32_t axis = axes[i];
        uint32_t at = i;
        while (at > 0 && axes[at - 1] > axis) {
            axes[at] = axes[at - 1];
            at--;
        }
        axes[at] = axis;
    }
}

tn_status tni_axes(tni_inference *in, uint32_t input, uint32_t rank, uint32_t *out_axes,
                   uint32_t *out_count, bool *out_present, bool *out_known) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    const int64_t *ints = tni_node_ints(in->node, "axes", &count);
    *out_count = 0;
    *out_known = true;
    *out_present = ints != NULL || tni_in(in, input) != NULL;
    if (!*out_present) {
        return TN_OK;
    }
    if (ints == NULL) {
        const tn_status status = tni_in_elements(in, input, &elements, &count);
        if (status != TN_OK) {
            return status;
        }
        *out_known = elements != NULL;
    }
    if (count > TN_MAX_RANK) {
        return tni_contradiction(in, 0, "shape.axis", "%u axes", count);
    }
    for (uint32_t i = 0; i < count && *out_known; i++) {
        if (ints == NULL && !elements[i].known) {
            *out_known = false;
            return TN_OK;
        }
        const tn_status status =
            tni_axis(in, ints != NULL ? ints[i] : elements[i].value, rank, &out_axes[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    *out_count = *out_known ? count : 0;
    sort_axes(out_axes, *out_count);
    for (uint32_t i = 1; i < *out_count; i++) {
        if (out_axes[i] == out_axes[i - 1]) {
            return tni_contradiction(in, 0, "shape.axis", "axis %u twice", out_axes[i]);
        }
    }
    return TN_OK;
}

tn_status tni_inference_init(tni_inference *in, const tni_model *model, tni_model *changing,
                             tn_error *error) {
    *in = (tni_inference){.model = model, .changing = changing, .error = error};
    tni_arena_init(&in->arena, &model->alloc, SCRATCH_LIMIT_BYTES);
    in->facts = tni_alloc_array(&model->alloc, (uint64_t)model->value_count + 1, sizeof *in->facts);
    if (in->facts == NULL) {
        return out_of_memory(in, TN_ERROR_OUT_OF_MEMORY);
    }
    for (uint32_t i = 0; i < model->value_count; i++) {
        const tni_value *value = &model->values[i];
        in->facts[i].rank = TN_RANK_UNKNOWN;
        in->facts[i].kind = value->kind;
        if (value->constant != TN_NONE) {
            in->facts[i].dtype = value->dtype;
            in->facts[i].rank = value->rank;
            in->facts[i].dims = value->dims;
        }
    }
    return TN_OK;
}

void tni_inference_deinit(tni_inference *in) {
    tni_free_array(&in->model->alloc, in->facts, (uint64_t)in->model->value_count + 1,
                   sizeof *in->facts);
    tni_arena_deinit(&in->arena);
}

// Fills from the declaration what the rule left open.
static tn_status complete(tni_inference *in, uint32_t value) {
    tni_fact *fact = &in->facts[value];
    const tni_value *declared = &in->model->values[value];
    if (fact->dtype == TN_DTYPE_UNDEFINED) {
        fact->dtype = declared->dtype;
        fact->kind = declared->kind;
    }
    if (fact->rank == TN_RANK_UNKNOWN && declared->rank != TN_RANK_UNKNOWN &&
        (in->changing != NULL || fact->kind == TN_VALUE_TENSOR)) {
        const tn_status status = tni_arena_array(&in->arena, declared->rank, sizeof *fact->dims, 8,
                                                 (void **)&fact->dims);
        if (status != TN_OK) {
            return out_of_memory(in, status);
        }
        fact->rank = declared->rank;
        for (uint32_t i = 0; i < fact->rank; i++) {
            fact->dims[i] = in->changing != NULL || declared->dims[i].size >= 0 ? declared->dims[i]
                                                                                : tni_dim_unknown();
        }
    }
    const bool comparable = fact->rank != TN_RANK_UNKNOWN && fact->rank == declared->rank;
    for (uint32_t i = 0; comparable && i < fact->rank; i++) {
        tn_graph_dim *dim = &fact->dims[i];
        if (dim->size < 0 && dim->symbol == TN_NONE &&
            (in->changing != NULL || declared->dims[i].size >= 0)) {
            *dim = declared->dims[i];
        } else if (in->changing != NULL && tni_dim_differ(*dim, declared->dims[i])) {
            tni_log_write(&in->model->log, TN_LOG_WARN,
                          "'%.*s': dimension %u is declared as %lld, but computed as %lld",
                          TNI_TEXT(declared->name), i, (long long)declared->dims[i].size,
                          (long long)dim->size);
        }
    }
    return TN_OK;
}

// Gives every open dim a symbol and writes the fact into the model.
static tn_status publish(tni_inference *in, uint32_t value) {
    tni_fact *fact = &in->facts[value];
    tni_value *record = &in->changing->values[value];
    record->dtype = fact->dtype;
    record->kind = fact->kind;
    if (fact->rank == TN_RANK_UNKNOWN) {
        return TN_OK;
    }
    for (uint32_t i = 0; i < fact->rank; i++) {
        if (fact->dims[i].size < 0 && fact->dims[i].symbol == TN_NONE) {
            const tn_status status =
                tni_model_add_symbol(in->changing, TNI_LITERAL(""), &fact->dims[i].symbol);
            if (status != TN_OK) {
                return out_of_memory(in, status);
            }
        }
    }
    if (record->rank == fact->rank &&
        (fact->rank == 0 ||
         memcmp(record->dims, fact->dims, fact->rank * sizeof *fact->dims) == 0)) {
        return TN_OK;
    }
    const tn_status status = tni_value_set_dims(in->changing, value, fact->rank, fact->dims);
    return status == TN_OK ? TN_OK : out_of_memory(in, status);
}

static tn_status settle(tni_inference *in, uint32_t value) {
    tn_status status = complete(in, value);
    if (status == TN_OK && in->changing != NULL) {
        status = publish(in, value);
    }
    return status;
}

// The formal values of an expansion know what its node's operands know.
static tn_status infer_expansion(tni_inference *in, const tni_node *node) {
    const tni_graph *graph = &in->model->graphs[node->expansion];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const uint32_t actual = tni_model_resolve(in->model, tni_node_input(node, i));
        if (graph->inputs[i] != TN_NONE && actual != TN_NONE) {
            in->facts[graph->inputs[i]] = in->facts[actual];
        }
    }
    return tni_infer_graph(in, node->expansion);
}

// A node that stands for a call makes what the function's nodes make.
static tn_status infer_call(tni_inference *in, const tni_node *node) {
    const tn_status status = infer_expansion(in, node);
    const tni_graph *graph = &in->model->graphs[node->expansion];
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        if (node->outputs[i] != TN_NONE) {
            in->facts[node->outputs[i]] = in->facts[graph->outputs[i]];
        }
    }
    return status;
}

static tn_status infer_node(tni_inference *in, uint32_t id) {
    const tni_node *node = &in->model->nodes[id];
    const bool call = node->called != TN_NONE;
    tni_rule_fn rule = tni_rule_find(node->domain, node->op_type);
    in->node = node;
    in->node_id = id;
    tn_status status = call ? infer_call(in, node) : rule != NULL ? rule(in) : TN_OK;
    for (uint32_t i = 0; i < node->output_count && status == TN_OK; i++) {
        if (node->outputs[i] != TN_NONE && states(in, id, node->outputs[i])) {
            status = settle(in, node->outputs[i]);
        }
    }
    if (status == TN_OK && node->expansion != TN_NONE && !call) {
        status = infer_expansion(in, node);
    }
    for (uint32_t form = node->form; form != TN_NONE && status == TN_OK;
         form = in->model->graphs[form].next_form) {
        status = tni_infer_graph(in, form);
    }
    return status;
}

tn_status tni_infer_graph(tni_inference *in, uint32_t graph) {
    const tni_graph *record = &in->model->graphs[graph];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < record->input_count && status == TN_OK; i++) {
        if (record->inputs[i] != TN_NONE) {
            status = settle(in, record->inputs[i]);
        }
    }
    return status == TN_OK ? tni_infer_nodes(in, record->nodes, record->node_count) : status;
}

tn_status tni_infer_nodes(tni_inference *in, const uint32_t *nodes, uint32_t count) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        if (!in->model->nodes[nodes[i]].removed) {
            status = infer_node(in, nodes[i]);
        }
    }
    return status;
}
