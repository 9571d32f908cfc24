// SPDX-License-Identifier: Apache-2.0
// State that grows in place: Concat(past, new) where past comes in, the result goes out, and
// nothing but attention reads it. Bound to one buffer with room to spare, only new rows are
// written; the buffer's steps are those of the port, which a run tells.
#include "build.h"

#include <string.h>

static uint32_t input_port(const cpu_build *build, uint32_t value) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    for (uint32_t i = 0; i < graph->inputs.count; ++i) {
        if (tn_view_graph_input(build->view, graph, i) == value) {
            return i;
        }
    }
    return TN_NONE;
}

static uint32_t output_count(const cpu_build *build, uint32_t value) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->outputs.count; ++i) {
        count += tn_view_graph_output(build->view, graph, i) == value;
    }
    return count;
}

// Whether nobody reads a value but attention, as keys or values.
static uint32_t read_by_attention(const cpu_build *build, uint32_t value) {
    uint32_t readings = 0;
    for (uint32_t i = 0; i < build->node_count; ++i) {
        const cpu_node *node = &build->nodes[i];
        const uint32_t attends = !node->dead && node->emit == tni_cpu_emit_attention;
        readings += attends && node->inputs[1] == value;
        readings += attends && node->inputs[2] == value;
    }
    // The program's output is a use as well.
    return readings + 1 == tni_cpu_value(build, value)->uses ? 1u : 0u;
}

void tni_cpu_find_states(cpu_build *build) {
    for (uint32_t i = 0; i < build->node_count; ++i) {
        cpu_node *node = &build->nodes[i];
        if (node->dead || node->kind != CPU_KIND_CONCAT || node->input_count != 2) {
            continue;
        }
        const uint32_t past = node->inputs[0];
        const uint32_t result = node->outputs[0];
        const cpu_value *p = tni_cpu_value(build, past);
        const cpu_value *r = tni_cpu_value(build, result);
        const uint32_t port = input_port(build, past);
        if (port != TN_NONE && p->uses == 1 && output_count(build, past) == 0 && r->rank == 4 &&
            r->dtype == TN_DTYPE_FLOAT && r->output_port != TN_NONE &&
            output_count(build, result) == 1 &&
            tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), 4) == 2 &&
            read_by_attention(build, result)) {
            node->grows = port + 1;
            node->emit = tni_cpu_emit_append;
            // It is written where it is, and nowhere else.
            node->kind = CPU_KIND_OTHER;
        }
    }
}

typedef struct append {
    int64_t batch;
    int64_t heads;
    int64_t past;
    int64_t added;
    int64_t size;    // of a row
    int64_t from[3]; // steps of what is added
} append;

static tn_status append_run(const cpu_call *call) {
    const append *a = call->params;
    const int64_t whole = a->past + a->added;
    const int64_t dense_out[3] = {a->heads * whole * a->size, whole * a->size, a->size};
    const int64_t dense_past[3] = {a->heads * a->past * a->size, a->past * a->size, a->size};
    const int64_t *to = call->strides[0] != NULL ? call->strides[0] : dense_out;
    const int64_t *old = call->strides[1] != NULL ? call->strides[1] : dense_past;
    const uint32_t there = call->data[0] == call->data[1];
    for (int64_t i = 0; i < a->batch * a->heads; ++i) {
        const int64_t b = i / a->heads;
        const int64_t h = i % a->heads;
        float *out = (float *)call->data[0] + b * to[0] + h * to[1];
        const float *past = (const float *)call->data[1] + b * old[0] + h * old[1];
        const float *added = (const float *)call->data[2] + b * a->from[0] + h * a->from[1];
        for (int64_t row = 0; row < a->past && !there; ++row) {
            memcpy(out + row * to[2], past + row * old[2], (size_t)a->size * sizeof *out);
        }
        for (int64_t row = 0; row < a->added; ++row) {
            memcpy(out + (a->past + row) * to[2], added + row * a->from[2],
                   (size_t)a->size * sizeof *out);
        }
    }
    return TN_OK;
}

void tni_cpu_emit_append(cpu_build *build, const cpu_node *node) {
    append *a = tni_cpu_arena_alloc(build->arena, sizeof *a);
    const uint32_t added = a == NULL ? TN_NONE : tni_cpu_with_rows(build, node->inputs[1], a->from);
    if (added == TN_NONE) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    const cpu_value *past = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *v = tni_cpu_value(build, added);
    a->batch = v->dims[0];
    a->heads = v->dims[1];
    a->past = past->dims[2];
    a->added = v->dims[2];
    a->size = v->dims[3];
    tni_cpu_define_plain(build, node->outputs[0]);
    build->out->has_states = 1;
    tni_cpu_step(build, append_run, a, 3,
                 (const uint32_t[]){node->outputs[0], node->inputs[0], added});
}
