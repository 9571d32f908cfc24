// SPDX-License-Identifier: Apache-2.0
// LSTM. What the inputs add to the gates is one product over all steps, which is the library's;
// what the state adds follows step by step, on a loop of ours: the library's own LSTM knows no
// sequences that end early.
#include "build.h"

#include <string.h>

#define GATES 4 // in ONNX's order: input, output, forget, cell

typedef struct lstm {
    int64_t steps;
    int64_t batch;
    int64_t hidden;
    int64_t directions;
    uint32_t reverse; // the only direction is backwards
} lstm;

// What one direction of one row of the batch works on.
typedef struct track {
    const lstm *shape;
    const float *inputs;  // to the gates, [steps, batch, directions, GATES, hidden]
    const float *weights; // [hidden, GATES * hidden]
    int64_t length;
    int64_t index; // direction
    int64_t row;
    float *h;
    float *c;
    float *gates;
    float *y; // all of it, or null
} track;

// gates = inputs + h times weights, four rows of the weights at a time.
static void add_state(const cpu_call *call, const track *t) {
    const int64_t n = GATES * t->shape->hidden;
    int64_t k = 0;
    for (; k + 4 <= t->shape->hidden; k += 4) {
        call->simd->axpy4(t->h + k, t->weights + k * n, n, t->gates, n);
    }
    for (; k < t->shape->hidden; ++k) {
        call->simd->axpy(t->h[k], t->weights + k * n, t->gates, n);
    }
}

static void run_step(const cpu_call *call, const track *t, int64_t step) {
    const lstm *s = t->shape;
    const int64_t n = GATES * s->hidden;
    const float *from = t->inputs + ((step * s->batch + t->row) * s->directions + t->index) * n;
    memcpy(t->gates, from, (size_t)n * sizeof(float));
    add_state(call, t);
    float *input = t->gates;
    float *output = input + s->hidden;
    float *forget = output + s->hidden;
    float *cell = forget + s->hidden;
    call->simd->act(CPU_ACT_SIGMOID, 0.0f, 0.0f, input, input, 3 * s->hidden);
    call->simd->act(CPU_ACT_TANH, 0.0f, 0.0f, cell, cell, s->hidden);
    call->simd->binary(CPU_BINARY_MUL, forget, 1, t->c, 1, t->c, s->hidden);
    call->simd->binary(CPU_BINARY_MUL, input, 1, cell, 1, cell, s->hidden);
    call->simd->binary(CPU_BINARY_ADD, t->c, 1, cell, 1, t->c, s->hidden);
    call->simd->act(CPU_ACT_TANH, 0.0f, 0.0f, t->c, t->h, s->hidden);
    call->simd->binary(CPU_BINARY_MUL, output, 1, t->h, 1, t->h, s->hidden);
    if (t->y != NULL) {
        memcpy(t->y + ((step * s->directions + t->index) * s->batch + t->row) * s->hidden, t->h,
               (size_t)s->hidden * sizeof(float));
    }
}

static void start(float *state, const float *initial, int64_t at, int64_t size) {
    if (initial == NULL) {
        memset(state, 0, (size_t)size * sizeof(float));
    } else {
        memcpy(state, initial + at, (size_t)size * sizeof(float));
    }
}

// What lies behind the end of a sequence is zero.
static void clear_rest(const track *t) {
    const lstm *s = t->shape;
    for (int64_t step = t->length; t->y != NULL && step < s->steps; ++step) {
        memset(t->y + ((step * s->directions + t->index) * s->batch + t->row) * s->hidden, 0,
               (size_t)s->hidden * sizeof(float));
    }
}

// Operands: y, h, c, inputs to the gates, weights, lengths, initial h, initial c, scratch.
static void lstm_range(const cpu_call *call, int64_t begin, int64_t end) {
    const lstm *s = call->params;
    const int64_t n = GATES * s->hidden;
    for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i * s->hidden;
        float *scratch = (float *)call->data[8] + i * (n + 2 * s->hidden);
        track t = {.shape = s,
                   .inputs = call->data[3],
                   .index = i / s->batch,
                   .row = i % s->batch,
                   .gates = scratch,
                   .h = scratch + n,
                   .c = scratch + n + s->hidden,
                   .y = call->data[0]};
        t.weights = (const float *)call->data[4] + t.index * s->hidden * n;
        t.length = call->data[5] == NULL ? s->steps : ((const int32_t *)call->data[5])[t.row];
        t.length = t.length < 0 ? 0 : (t.length > s->steps ? s->steps : t.length);
        start(t.h, call->data[6], at, s->hidden);
        start(t.c, call->data[7], at, s->hidden);
        clear_rest(&t);
        const uint32_t backwards = s->reverse || t.index == 1;
        for (int64_t step = 0; step < t.length; ++step) {
            run_step(call, &t, backwards ? t.length - 1 - step : step);
        }
        for (uint32_t k = 1; k < 3; ++k) {
            if (call->data[k] != NULL) {
                memcpy((float *)call->data[k] + at, k == 1 ? t.h : t.c,
                       (size_t)s->hidden * sizeof(float));
            }
        }
    }
}

static tn_status lstm_run(const cpu_call *call) {
    const lstm *s = call->params;
    tni_cpu_parallel(call, s->directions * s->batch, s->steps * s->hidden * s->hidden / 4,
                     lstm_range);
    return TN_OK;
}

// The two biases of every gate are only ever added.
static uint32_t sum_biases(cpu_build *build, const lstm *s, uint32_t bias) {
    const float *both = tni_cpu_known(build, bias);
    const int64_t n = GATES * s->hidden;
    const int64_t dims[2] = {1, s->directions * n};
    float *sums = tni_cpu_arena_array(build->arena, (uint64_t)dims[1], sizeof *sums);
    if (both == NULL || sums == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return TN_NONE;
    }
    for (int64_t i = 0; i < dims[1]; ++i) {
        const float *of_direction = both + i / n * 2 * n;
        sums[i] = of_direction[i % n] + of_direction[n + i % n];
    }
    return tni_cpu_value_known(build, TN_DTYPE_FLOAT, 2, dims, sums);
}

// [steps * batch, inputs] times [inputs, directions * GATES * hidden].
static uint32_t emit_inputs(cpu_build *build, const cpu_node *node, const lstm *s) {
    const cpu_value w = *tni_cpu_value(build, node->inputs[1]);
    const int64_t size = w.dims[2];
    const int64_t n = s->directions * GATES * s->hidden;
    const dnnl_dims_t x_dims = {s->steps * s->batch, size};
    const int64_t out_dims[2] = {s->steps * s->batch, n};
    const dnnl_memory_desc_t x_layout = tni_cpu_plain(TN_DTYPE_FLOAT, 2, x_dims);
    const int64_t written_dims[2] = {n, size};
    const dnnl_memory_desc_t written = tni_cpu_plain(TN_DTYPE_FLOAT, 2, written_dims);
    const uint32_t x = tni_cpu_as_plain(build, node->inputs[0]);
    const uint32_t bias = tni_cpu_input(node, 3);
    const uint32_t sums =
        bias == TN_NONE ? TN_NONE : tni_cpu_as_plain(build, sum_biases(build, s, bias));
    const uint32_t out = tni_cpu_value_new(build, TN_DTYPE_FLOAT, 2, out_dims);
    dnnl_matmul_desc_t matmul;
    if (build->status != TN_OK) {
        return TN_NONE;
    }
    const dnnl_memory_desc_t plain_w = tni_cpu_transposed(&written);
    const dnnl_memory_desc_t any_w = tni_cpu_any_of(plain_w);
    const dnnl_memory_desc_t out_layout = tni_cpu_value(build, out)->layout;
    dnnl_memory_desc_t bias_layout = out_layout;
    if (sums != TN_NONE) {
        bias_layout = tni_cpu_value(build, sums)->layout;
    }
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    const dnnl_status_t status = dnnl_matmul_desc_init(
        &matmul, &x_layout, &any_w, sums == TN_NONE ? NULL : &bias_layout, &out_layout);
    dnnl_primitive_desc_t desc = tni_cpu_desc(build, status, &matmul, attr, "product");
    if (desc != NULL) {
        const dnnl_memory_desc_t *packed =
            dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
        const uint32_t weights = tni_cpu_packed(build, node->inputs[1], &plain_w, packed);
        tni_cpu_define(build, out, &out_layout);
        if (build->status == TN_OK) {
            const cpu_arg args[4] = {{DNNL_ARG_SRC, x, &x_layout},
                                     {DNNL_ARG_WEIGHTS, weights, packed},
                                     {DNNL_ARG_DST, out, &out_layout},
                                     {DNNL_ARG_BIAS, sums, &bias_layout}};
            tni_cpu_step_primitive(build, desc, sums == TN_NONE ? 3 : 4, args);
        }
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
    return build->status == TN_OK ? out : TN_NONE;
}

void tni_cpu_emit_lstm(cpu_build *build, const cpu_node *node) {
    const cpu_value x = *tni_cpu_value(build, node->inputs[0]);
    const cpu_value r = *tni_cpu_value(build, node->inputs[2]);
    lstm *s = tni_cpu_arena_alloc(build->arena, sizeof *s);
    if (s == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    *s = (lstm){.steps = x.dims[0],
                .batch = x.dims[1],
                .hidden = r.dims[2],
                .directions = r.dims[0],
                .reverse = tn_view_attr_string_is(build->view, tni_cpu_view_node(build, node),
                                                  "direction", "reverse")};
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    if (r.dims[1] != GATES * s->hidden || w->dims[0] != s->directions || w->dims[1] != r.dims[1] ||
        w->dims[2] != x.dims[2] || s->directions > 2) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
        return;
    }
    dnnl_memory_desc_t by_state;
    const dnnl_dims_t r_dims = {r.dims[0], r.dims[1], r.dims[2]};
    (void)dnnl_memory_desc_init_by_tag(&by_state, 3, r_dims, dnnl_f32, dnnl_acb);
    const uint32_t inputs = emit_inputs(build, node, s);
    const dnnl_memory_desc_t plain_r = tni_cpu_plain_of(&r);
    uint32_t operands[9];
    for (uint32_t i = 0; i < 3; ++i) {
        operands[i] = i < node->output_count ? node->outputs[i] : TN_NONE;
    }
    operands[3] = inputs;
    operands[4] = tni_cpu_packed(build, node->inputs[2], &plain_r, &by_state);
    for (uint32_t i = 5; i < 8; ++i) {
        operands[i] = tni_cpu_as_plain(build, tni_cpu_input(node, i - 1));
    }
    operands[8] = tni_cpu_scratch(build, s->directions * s->batch * (GATES + 2) * s->hidden *
                                             (int64_t)sizeof(float));
    if (build->status != TN_OK) {
        return;
    }
    for (uint32_t i = 0; i < 3; ++i) {
        if (operands[i] != TN_NONE) {
            tni_cpu_define_plain(build, operands[i]);
        }
    }
    tni_cpu_step(build, lstm_run, s, 9, operands);
}
