// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM (ONNX operator list, equations under "RNN", "GRU", "LSTM"). One sequence of one
// direction at a time; states and gates are double and rounded where they leave.
#include "kernels.h"

#include <math.h>

#define MAX_GATES 4u
#define MAX_DIRECTIONS 2u
#define MAX_FUNCTIONS (3u * MAX_DIRECTIONS)

typedef struct activation {
    const char *name;
    double (*run)(double x, double alpha, double beta);
    double alpha; // when the node gives none
    double beta;
} activation;

typedef struct cell_function {
    double (*run)(double x, double alpha, double beta);
    double alpha;
    double beta;
} cell_function;

typedef struct recurrent_job {
    const ref_tensor *x;
    const ref_tensor *w;
    const ref_tensor *r;
    const ref_tensor *bias;      // may be null
    const ref_tensor *lengths;   // may be null
    const ref_tensor *initial_h; // may be null
    const ref_tensor *initial_c; // may be null
    const ref_tensor *peepholes; // may be null
    ref_tensor *y;               // may be null, as the two below
    ref_tensor *y_h;
    ref_tensor *y_c;
    uint32_t kind; // REF_RECURRENT_
    uint32_t gates;
    uint32_t directions;
    uint32_t first_reversed; // the one direction of "reverse"
    uint32_t batch_first;    // layout 1
    uint32_t linear_before_reset;
    uint32_t couple_forget; // input_forget
    int64_t steps;
    int64_t batch;
    int64_t input;
    int64_t hidden;
    double clip; // 0: none
    cell_function functions[MAX_FUNCTIONS];
    double *h; // hidden numbers each
    double *c;
    double *next_h;
    double *gate; // gates * hidden
} recurrent_job;

#define CELL_FUNCTION(name, formula)                                                               \
    static double name(double x, double alpha, double beta) {                                      \
        (void)alpha;                                                                               \
        (void)beta;                                                                                \
        return (formula);                                                                          \
    }

CELL_FUNCTION(a_sigmoid, 1.0 / (1.0 + exp(-x)))
CELL_FUNCTION(a_tanh, tanh(x))
CELL_FUNCTION(a_relu, x < 0.0 ? 0.0 : x)
CELL_FUNCTION(a_affine, alpha *x + beta)
CELL_FUNCTION(a_leaky, x < 0.0 ? alpha * x : x)
CELL_FUNCTION(a_thresholded, x > alpha ? x : 0.0)
CELL_FUNCTION(a_scaled_tanh, alpha *tanh(beta *x))
CELL_FUNCTION(a_hard_sigmoid, fmin(fmax(alpha *x + beta, 0.0), 1.0))
CELL_FUNCTION(a_elu, x < 0.0 ? alpha * expm1(x) : x)
CELL_FUNCTION(a_softsign, x / (1.0 + fabs(x)))
CELL_FUNCTION(a_softplus, fmax(x, 0.0) + log1p(exp(-fabs(x))))

static const activation activations[] = {
    {"Sigmoid", a_sigmoid, 0.0, 0.0},
    {"Tanh", a_tanh, 0.0, 0.0},
    {"Relu", a_relu, 0.0, 0.0},
    {"Affine", a_affine, 1.0, 0.0},
    {"LeakyRelu", a_leaky, 0.01, 0.0},
    {"ThresholdedRelu", a_thresholded, 1.0, 0.0},
    {"ScaledTanh", a_scaled_tanh, 1.0, 1.0},
    {"HardSigmoid", a_hard_sigmoid, 0.2, 0.5},
    {"Elu", a_elu, 1.0, 0.0},
    {"Softsign", a_softsign, 0.0, 0.0},
    {"Softplus", a_softplus, 0.0, 0.0},
};

// Names are compared without case, as older exporters write "sigmoid".
static uint32_t same_name(tn_string text, const char *name) {
    if (strlen(name) != text.size_bytes) {
        return 0;
    }
    for (uint64_t i = 0; i < text.size_bytes; ++i) {
        const char c =
            text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] + 32) : text.data[i];
        const char d = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
        if (c != d) {
            return 0;
        }
    }
    return 1;
}

static uint32_t set_function(tn_string name, cell_function *out_function) {
    for (uint32_t i = 0; i < sizeof activations / sizeof activations[0]; ++i) {
        if (same_name(name, activations[i].name)) {
            *out_function =
                (cell_function){activations[i].run, activations[i].alpha, activations[i].beta};
            return 1;
        }
    }
    return 0;
}

// The functions f, g, h of each direction: all given, or the defaults.
static uint32_t read_functions(const ref_call *call, uint32_t per_direction, recurrent_job *job) {
    static const cell_function defaults[3][3] = {
        {{a_tanh, 0, 0}, {NULL, 0, 0}, {NULL, 0, 0}},
        {{a_sigmoid, 0, 0}, {a_tanh, 0, 0}, {NULL, 0, 0}},
        {{a_sigmoid, 0, 0}, {a_tanh, 0, 0}, {a_tanh, 0, 0}},
    };
    const uint32_t count = per_direction * job->directions;
    float alphas[MAX_FUNCTIONS];
    float betas[MAX_FUNCTIONS];
    const uint32_t alpha_count =
        tn_view_attr_floats(call->view, call->node, "activation_alpha", alphas, MAX_FUNCTIONS);
    const uint32_t beta_count =
        tn_view_attr_floats(call->view, call->node, "activation_beta", betas, MAX_FUNCTIONS);
    const tn_graph_attribute *names =
        tn_view_find_attr(call->view, call->node, "activations", NULL);
    if (names != NULL && (names->kind != TN_ATTR_STRINGS || names->values.count != count)) {
        return 0;
    }
    for (uint32_t i = 0; i < count; ++i) {
        job->functions[i] = defaults[per_direction - 1][i % per_direction];
        if (names != NULL) {
            const tn_text_ref text = tn_view_text_ref(call->view, names->values.begin + i);
            if (!set_function(tn_view_text(call->view, text), &job->functions[i])) {
                return 0;
            }
        }
        job->functions[i].alpha = i < alpha_count ? (double)alphas[i] : job->functions[i].alpha;
        job->functions[i].beta = i < beta_count ? (double)betas[i] : job->functions[i].beta;
    }
    return 1;
}

static uint32_t has_dims(const ref_tensor *tensor, uint32_t rank, int64_t a, int64_t b, int64_t c,
                         int64_t d) {
    const int64_t dims[4] = {a, b, c, d};
    return tensor == NULL ||
                   (tensor->rank == rank && memcmp(tensor->dims, dims, rank * sizeof dims[0]) == 0)
               ? 1u
               : 0u;
}

static uint32_t check_shapes(const recurrent_job *job) {
    const int64_t d = job->directions;
    const int64_t g = job->gates;
    const int64_t h = job->hidden;
    const int64_t b = job->batch;
    const uint32_t first = job->batch_first;
    const uint32_t states =
        first ? has_dims(job->initial_h, 3, b, d, h, 0) &&
                    has_dims(job->initial_c, 3, b, d, h, 0) && has_dims(job->y_h, 3, b, d, h, 0) &&
                    has_dims(job->y_c, 3, b, d, h, 0) && has_dims(job->y, 4, b, job->steps, d, h)
              : has_dims(job->initial_h, 3, d, b, h, 0) &&
                    has_dims(job->initial_c, 3, d, b, h, 0) && has_dims(job->y_h, 3, d, b, h, 0) &&
                    has_dims(job->y_c, 3, d, b, h, 0) && has_dims(job->y, 4, job->steps, d, b, h);
    return states && has_dims(job->w, 3, d, g * h, job->input, 0) &&
                   has_dims(job->r, 3, d, g * h, h, 0) &&
                   has_dims(job->bias, 2, d, 2 * g * h, 0, 0) &&
                   has_dims(job->lengths, 1, b, 0, 0, 0) &&
                   has_dims(job->peepholes, 2, d, 3 * h, 0, 0)
               ? 1u
               : 0u;
}

static double clip(const recurrent_job *job, double x) {
    return job->clip > 0.0 ? fmax(-job->clip, fmin(job->clip, x)) : x;
}

static double run_function(const recurrent_job *job, uint32_t direction, uint32_t index, double x) {
    const uint32_t per_direction = job->kind + 1;
    const cell_function *f = &job->functions[direction * per_direction + index];
    return f->run(clip(job, x), f->alpha, f->beta);
}

// Row `row` of a weight of one direction, times a vector of the input or of the state.
static double input_product(const recurrent_job *job, uint32_t direction, int64_t row, int64_t at) {
    const int64_t begin = (direction * job->gates * job->hidden + row) * job->input;
    double sum = 0.0;
    for (int64_t i = 0; i < job->input; ++i) {
        sum += tni_ref_load(job->w, begin + i) * tni_ref_load(job->x, at + i);
    }
    return sum;
}

static double state_product(const recurrent_job *job, uint32_t direction, int64_t row,
                            const double *state) {
    const int64_t begin = (direction * job->gates * job->hidden + row) * job->hidden;
    double sum = 0.0;
    for (int64_t i = 0; i < job->hidden; ++i) {
        sum += tni_ref_load(job->r, begin + i) * state[i];
    }
    return sum;
}

// Bias of the input side (part 0) or the state side (part 1).
static double bias_of(const recurrent_job *job, uint32_t direction, uint32_t part, int64_t row) {
    const int64_t rows = job->gates * job->hidden;
    return job->bias == NULL ? 0.0 : tni_ref_load(job->bias, (direction * 2 + part) * rows + row);
}

static double peephole(const recurrent_job *job, uint32_t direction, uint32_t which, int64_t i,
                       double c) {
    return job->peepholes == NULL
               ? 0.0
               : tni_ref_load(job->peepholes, (direction * 3 + which) * job->hidden + i) * c;
}

// H = f(X W + H R + Wb + Rb).
static void rnn_step(const recurrent_job *job, uint32_t d, int64_t at) {
    for (int64_t i = 0; i < job->hidden; ++i) {
        const double sum = input_product(job, d, i, at) + state_product(job, d, i, job->h) +
                           bias_of(job, d, 0, i) + bias_of(job, d, 1, i);
        job->next_h[i] = run_function(job, d, 0, sum);
    }
}

// Gates z, r, h. z = f(..), r = f(..), h~ = g(..), H = (1 - z) h~ + z H.
static void gru_step(const recurrent_job *job, uint32_t d, int64_t at) {
    const int64_t n = job->hidden;
    double *z = job->gate;
    double *reset = job->gate + n;
    double *masked = job->gate + 2 * n; // r times H
    for (int64_t i = 0; i < 2 * n; ++i) {
        job->gate[i] =
            run_function(job, d, 0,
                         input_product(job, d, i, at) + state_product(job, d, i, job->h) +
                             bias_of(job, d, 0, i) + bias_of(job, d, 1, i));
    }
    for (int64_t i = 0; i < n; ++i) {
        masked[i] = reset[i] * job->h[i];
    }
    for (int64_t i = 0; i < n; ++i) {
        const int64_t row = 2 * n + i;
        const double from_state =
            job->linear_before_reset
                ? reset[i] * (state_product(job, d, row, job->h) + bias_of(job, d, 1, row))
                : state_product(job, d, row, masked) + bias_of(job, d, 1, row);
        const double candidate = run_function(
            job, d, 1, input_product(job, d, row, at) + bias_of(job, d, 0, row) + from_state);
        job->next_h[i] = (1.0 - z[i]) * candidate + z[i] * job->h[i];
    }
}

// Gates i, o, f, c; peepholes i, o, f. C = f C + i c~, H = o h(C).
static void lstm_step(const recurrent_job *job, uint32_t d, int64_t at) {
    const int64_t n = job->hidden;
    for (int64_t row = 0; row < 4 * n; ++row) {
        job->gate[row] = input_product(job, d, row, at) + state_product(job, d, row, job->h) +
                         bias_of(job, d, 0, row) + bias_of(job, d, 1, row);
    }
    for (int64_t i = 0; i < n; ++i) {
        const double c = job->c[i];
        const double in = run_function(job, d, 0, job->gate[i] + peephole(job, d, 0, i, c));
        const double forget =
            job->couple_forget
                ? 1.0 - in
                : run_function(job, d, 0, job->gate[2 * n + i] + peephole(job, d, 2, i, c));
        job->c[i] = forget * c + in * run_function(job, d, 1, job->gate[3 * n + i]);
        const double out =
            run_function(job, d, 0, job->gate[n + i] + peephole(job, d, 1, i, job->c[i]));
        job->next_h[i] = out * run_function(job, d, 2, job->c[i]);
    }
}

// First element of a state of one direction and one sequence.
static int64_t state_at(const recurrent_job *job, uint32_t direction, int64_t b) {
    return (job->batch_first ? b * job->directions + direction : direction * job->batch + b) *
           job->hidden;
}

static void load_state(const recurrent_job *job, const ref_tensor *from, uint32_t direction,
                       int64_t b, double *out_state) {
    for (int64_t i = 0; i < job->hidden; ++i) {
        out_state[i] = from == NULL ? 0.0 : tni_ref_load(from, state_at(job, direction, b) + i);
    }
}

static void store_state(ref_tensor *to, int64_t at, const double *state, int64_t count) {
    for (int64_t i = 0; to != NULL && i < count; ++i) {
        tni_ref_store(to, at + i, state == NULL ? 0.0 : state[i]);
    }
}

static int64_t output_at(const recurrent_job *job, uint32_t direction, int64_t b, int64_t t) {
    const int64_t row = job->batch_first ? (b * job->steps + t) * job->directions + direction
                                         : (t * job->directions + direction) * job->batch + b;
    return row * job->hidden;
}

static void run_sequence(const recurrent_job *job, uint32_t direction, int64_t b, int64_t length) {
    const uint32_t reversed = direction == 1 || job->first_reversed ? 1u : 0u;
    load_state(job, job->initial_h, direction, b, job->h);
    load_state(job, job->initial_c, direction, b, job->c);
    for (int64_t k = 0; k < length; ++k) {
        const int64_t t = reversed ? length - 1 - k : k;
        const int64_t x = (job->batch_first ? b * job->steps + t : t * job->batch + b) * job->input;
        if (job->kind == REF_RECURRENT_RNN) {
            rnn_step(job, direction, x);
        } else if (job->kind == REF_RECURRENT_GRU) {
            gru_step(job, direction, x);
        } else {
            lstm_step(job, direction, x);
        }
        memcpy(job->h, job->next_h, (size_t)job->hidden * sizeof *job->h);
        store_state(job->y, output_at(job, direction, b, t), job->h, job->hidden);
    }
    for (int64_t t = length; t < job->steps; ++t) {
        store_state(job->y, output_at(job, direction, b, t), NULL, job->hidden);
    }
    store_state(job->y_h, state_at(job, direction, b), job->h, job->hidden);
    store_state(job->y_c, state_at(job, direction, b), job->c, job->hidden);
}

int64_t tni_ref_recurrent_scratch(const ref_call *call) {
    const ref_tensor *r = call->inputs[2];
    const int64_t hidden = r->rank == 3 ? r->dims[2] : 0;
    return hidden > INT64_MAX / 256 ? -1 : hidden * 8 * (3 + MAX_GATES);
}

tn_status tni_ref_recurrent(const ref_call *call) {
    recurrent_job job = {.x = call->inputs[0],
                         .w = call->inputs[1],
                         .r = call->inputs[2],
                         .bias = tni_ref_input(call, 3),
                         .lengths = tni_ref_input(call, 4),
                         .initial_h = tni_ref_input(call, 5),
                         .initial_c = tni_ref_input(call, 6),
                         .peepholes = tni_ref_input(call, 7),
                         .y = tni_ref_output(call, 0),
                         .y_h = tni_ref_output(call, 1),
                         .y_c = tni_ref_output(call, 2),
                         .kind = call->op->variant};
    static const uint32_t gates[3] = {1, 3, 4};
    job.gates = gates[job.kind];
    job.first_reversed = tn_view_attr_string_is(call->view, call->node, "direction", "reverse");
    job.directions =
        tn_view_attr_string_is(call->view, call->node, "direction", "bidirectional") ? 2 : 1;
    job.batch_first = tni_ref_int(call, "layout", 0) != 0 ? 1u : 0u;
    job.linear_before_reset = tni_ref_int(call, "linear_before_reset", 0) != 0 ? 1u : 0u;
    job.couple_forget = tni_ref_int(call, "input_forget", 0) != 0 ? 1u : 0u;
    job.clip = tni_ref_float(call, "clip", 0.0f);
    if (job.x->rank != 3 || job.r->rank != 3 || !read_functions(call, job.kind + 1, &job)) {
        return tni_ref_invalid(call, "ranks or activations");
    }
    job.batch = job.x->dims[job.batch_first ? 0 : 1];
    job.steps = job.x->dims[job.batch_first ? 1 : 0];
    job.input = job.x->dims[2];
    job.hidden = job.r->dims[2];
    if (!check_shapes(&job)) {
        return tni_ref_invalid(call, "shapes");
    }
    job.h = (double *)(void *)call->scratch;
    job.c = job.h + job.hidden;
    job.next_h = job.c + job.hidden;
    job.gate = job.next_h + job.hidden;
    for (uint32_t direction = 0; direction < job.directions; ++direction) {
        for (int64_t b = 0; b < job.batch; ++b) {
            const int64_t length =
                job.lengths == NULL ? job.steps : tni_ref_load_int(job.lengths, b);
            if (length < 0 || length > job.steps) {
                return tni_ref_invalid(call, "sequence_lens");
            }
            run_sequence(&job, direction, b, length);
        }
    }
    return TN_OK;
}
