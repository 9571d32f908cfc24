// SPDX-License-Identifier: Apache-2.0
// GraphProto, ValueInfoProto and TypeProto.
#include "onnx/writer.h"

enum {
    FIELD_NODE = 1,
    FIELD_NAME = 2,
    FIELD_INITIALIZER = 5,
    FIELD_INPUT = 11,
    FIELD_OUTPUT = 12,
    FIELD_VALUE_INFO = 13,
};

enum {
    FIELD_TENSOR_TYPE = 1,
    FIELD_SEQUENCE_TYPE = 4,
    FIELD_SPARSE_TYPE = 8,
    FIELD_OPTIONAL_TYPE = 9,
};

static void write_dim(tni_writer *w, const void *item) {
    const tn_graph_dim *dim = item;
    if (dim->size >= 0) {
        tni_put_varint(w, 1, (uint64_t)dim->size);
    } else if (dim->symbol != TN_NONE) {
        tni_put_name(w, 2, w->model->symbols[dim->symbol].name);
    }
}

static void write_shape(tni_writer *w, const void *item) {
    const tni_value *value = item;
    for (uint32_t i = 0; i < value->rank; i++) {
        tni_put_message(w, 1, write_dim, &value->dims[i]);
    }
}

static void write_tensor_type(tni_writer *w, const void *item) {
    const tni_value *value = item;
    if (value->dtype != TN_DTYPE_UNDEFINED) {
        tni_put_varint(w, 1, value->dtype);
    }
    if (value->rank != TN_RANK_UNKNOWN) {
        tni_put_message(w, 2, write_shape, value);
    }
}

static void write_plain_tensor(tni_writer *w, const void *item) {
    tni_put_message(w, FIELD_TENSOR_TYPE, write_tensor_type, item);
}

// The element of a container is its only field.
static void write_of_tensors(tni_writer *w, const void *item) {
    tni_put_message(w, 1, write_plain_tensor, item);
}

static void write_sequence(tni_writer *w, const void *item) {
    tni_put_message(w, FIELD_SEQUENCE_TYPE, write_of_tensors, item);
}

static void write_of_sequences(tni_writer *w, const void *item) {
    tni_put_message(w, 1, write_sequence, item);
}

void tni_write_type(tni_writer *w, const void *value) {
    switch (((const tni_value *)value)->kind) {
    case TN_VALUE_SEQUENCE:
        write_sequence(w, value);
        break;
    case TN_VALUE_OPTIONAL_TENSOR:
        tni_put_message(w, FIELD_OPTIONAL_TYPE, write_of_tensors, value);
        break;
    case TN_VALUE_OPTIONAL_SEQUENCE:
        tni_put_message(w, FIELD_OPTIONAL_TYPE, write_of_sequences, value);
        break;
    case TN_VALUE_SPARSE_TENSOR:
        tni_put_message(w, FIELD_SPARSE_TYPE, write_tensor_type, value);
        break;
    default:
        write_plain_tensor(w, value);
        break;
    }
}

// A value under the name that it has in this place.
typedef struct declaration {
    const tni_value *value;
    tn_string name;
} declaration;

static bool is_typed(const tni_value *value) {
    return value->dtype != TN_DTYPE_UNDEFINED || value->kind != TN_VALUE_TENSOR;
}

static void write_declaration(tni_writer *w, const void *item) {
    const declaration *d = item;
    tni_put_text(w, 1, d->name);
    if (is_typed(d->value) || d->value->rank != TN_RANK_UNKNOWN) {
        tni_put_message(w, 2, tni_write_type, d->value);
    }
}

static void put_declaration(tni_writer *w, uint32_t field, uint32_t value, tn_string name) {
    const declaration d = {&w->model->values[value], name};
    tni_put_message(w, field, write_declaration, &d);
}

// Types of what the graph's nodes compute; outputs of the graph have theirs already.
static void put_value_infos(tni_writer *w, const tni_node *node) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        const uint32_t value = node->outputs[i];
        if (value != TN_NONE && is_typed(&w->model->values[value]) && w->is_output[value] == 0) {
            put_declaration(w, FIELD_VALUE_INFO, value, w->names[value]);
        }
    }
}

// An Identity that lets an output be made in this graph.
typedef struct detour {
    tn_string from;
    tn_string to;
} detour;

static void write_identity(tni_writer *w, const void *item) {
    const detour *d = item;
    tni_put_text(w, 1, d->from);
    tni_put_text(w, 2, d->to);
    tni_put_text(w, 4, TNI_LITERAL("Identity"));
}

static void put_outputs(tni_writer *w, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    const tn_string *identities = w->graphs[graph].identities;
    for (uint32_t i = 0; i < record->output_count; i++) {
        const uint32_t value = record->outputs[i];
        put_declaration(w, FIELD_OUTPUT, value,
                        identities[i].size_bytes > 0 ? identities[i] : w->names[value]);
    }
}

static void put_nodes(tni_writer *w, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    for (uint32_t i = 0; i < record->node_count; i++) {
        tni_put_message(w, FIELD_NODE, tni_write_node, &record->nodes[i]);
    }
    for (uint32_t i = 0; i < record->output_count; i++) {
        const detour d = {w->names[record->outputs[i]], w->graphs[graph].identities[i]};
        if (d.to.size_bytes > 0) {
            tni_put_message(w, FIELD_NODE, write_identity, &d);
        }
    }
}

static void put_fields(tni_writer *w, uint32_t graph) {
    const tni_graph *record = &w->model->graphs[graph];
    put_nodes(w, graph);
    tni_put_name(w, FIELD_NAME, record->name);
    for (uint32_t v = w->graphs[graph].first_value; v != TN_NONE; v = w->next_value[v]) {
        tni_put_message(w, FIELD_INITIALIZER, tni_write_initializer, &v);
    }
    for (uint32_t i = 0; i < record->input_count; i++) {
        put_declaration(w, FIELD_INPUT, record->inputs[i], w->names[record->inputs[i]]);
    }
    put_outputs(w, graph);
    for (uint32_t i = 0; i < record->node_count; i++) {
        put_value_infos(w, &w->model->nodes[record->nodes[i]]);
    }
}

// Bodies are measured once, however deep they lie.
void tni_write_graph(tni_writer *w, const void *graph) {
    const uint32_t id = *(const uint32_t *)graph;
    uint64_t *known = &w->graphs[id].size_bytes;
    if (w->counting && *known != UINT64_MAX) {
        w->counted += *known;
        return;
    }
    const uint64_t before = w->counted;
    put_fields(w, id);
    if (w->counting) {
        *known = w->counted - before;
    }
}
