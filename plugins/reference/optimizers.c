// SPDX-License-Identifier: Apache-2.0
// One step of training (ONNX, domain ai.onnx.preview.training): Adagrad, Adam and Momentum. Inputs:
// the learning rate R, the step T, then all parameters X, all gradients G and the optimiser's
// states; outputs: the new parameters and states, in the same order.
#include "kernels.h"

#include <math.h>

// Numbers of one parameter: x, g and up to two states.
typedef struct step {
    double x;
    double g;
    double v;
    double h;
} step;

typedef struct settings {
    const ref_call *call;
    double rate;
    double time;
    double alpha;
    double beta;
    double epsilon;
    double norm;
    double norm_post;
    double decay;
    uint32_t nesterov;
} settings;

static void adagrad(const settings *s, step *p) {
    const double rate = s->rate / (1.0 + s->time * s->decay);
    const double g = s->norm * p->x + p->g;
    p->v += g * g;
    p->x -= rate * g / (sqrt(p->v) + s->epsilon);
}

static void adam(const settings *s, step *p) {
    const double g = s->norm * p->x + p->g;
    p->v = s->alpha * p->v + (1.0 - s->alpha) * g;
    p->h = s->beta * p->h + (1.0 - s->beta) * g * g;
    const double rate =
        s->time > 0.0 ? s->rate * sqrt(1.0 - pow(s->beta, s->time)) / (1.0 - pow(s->alpha, s->time))
                      : s->rate;
    p->x -= rate * p->v / (sqrt(p->h) + s->epsilon);
    p->x *= 1.0 - s->norm_post;
}

static void momentum(const settings *s, step *p) {
    const double g = s->norm * p->x + p->g;
    p->v = s->alpha * p->v + (s->time > 0.0 ? s->beta : 1.0) * g;
    p->x -= s->rate * (s->nesterov ? g + s->alpha * p->v : p->v);
}

static settings read_settings(const ref_call *call) {
    const uint32_t is_adam = call->op->variant == REF_OPTIMIZER_ADAM ? 1u : 0u;
    return (settings){
        .call = call,
        .rate = tni_ref_load(call->inputs[0], 0),
        .time = tni_ref_load(call->inputs[1], 0),
        .alpha = tni_ref_float(call, "alpha", is_adam ? 0.9f : 0.0f),
        .beta = tni_ref_float(call, "beta", is_adam ? 0.999f : 0.0f),
        .epsilon = tni_ref_float(call, "epsilon", 1e-6f),
        .norm = tni_ref_float(call, "norm_coefficient", 0.0f),
        .norm_post = tni_ref_float(call, "norm_coefficient_post", 0.0f),
        .decay = tni_ref_float(call, "decay_factor", 0.0f),
        .nesterov = tn_view_attr_string_is(call->view, call->node, "mode", "nesterov"),
    };
}

static void run_element(const settings *s, uint32_t parameter, uint32_t count, uint32_t states,
                        int64_t i) {
    const ref_call *call = s->call;
    const ref_tensor *const *in = &call->inputs[2 + parameter];
    step p = {.x = tni_ref_load(in[0], i),
              .g = tni_ref_load(in[count], i),
              .v = tni_ref_load(in[2 * count], i),
              .h = states == 2 ? tni_ref_load(in[3 * count], i) : 0.0};
    if (call->op->variant == REF_OPTIMIZER_ADAGRAD) {
        adagrad(s, &p);
    } else if (call->op->variant == REF_OPTIMIZER_ADAM) {
        adam(s, &p);
    } else {
        momentum(s, &p);
    }
    const double results[3] = {p.x, p.v, p.h};
    for (uint32_t k = 0; k <= states; ++k) {
        ref_tensor *output = tni_ref_output(call, parameter + k * count);
        if (output != NULL) {
            tni_ref_store(output, i, results[k]);
        }
    }
}

tn_status tni_ref_optimizer(const ref_call *call) {
    const uint32_t states = call->op->variant == REF_OPTIMIZER_ADAM ? 2 : 1;
    const uint32_t count = (call->input_count - 2) / (2 + states);
    if (call->inputs[0]->count != 1 || call->inputs[1]->count != 1 || count < 1 ||
        call->input_count != 2 + count * (2 + states) ||
        call->output_count > count * (1 + states)) {
        return tni_ref_invalid(call, "operand counts");
    }
    const settings s = read_settings(call);
    for (uint32_t parameter = 0; parameter < count; ++parameter) {
        const ref_tensor *x = call->inputs[2 + parameter];
        for (uint32_t k = 0; k < 2 + states; ++k) {
            const ref_tensor *input = call->inputs[2 + parameter + k * count];
            const ref_tensor *output =
                k <= states ? tni_ref_output(call, parameter + k * count) : NULL;
            if (input == NULL || !tni_ref_same_shape(input, x) ||
                (output != NULL && !tni_ref_same_shape(output, x))) {
                return tni_ref_invalid(call, "shapes");
            }
        }
        for (int64_t i = 0; i < x->count; ++i) {
            run_element(&s, parameter, count, states, i);
        }
    }
    return TN_OK;
}
