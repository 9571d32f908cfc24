// SPDX-License-Identifier: Apache-2.0
// Random numbers (ONNX operator list): RandomUniform, RandomNormal and their Like forms, Bernoulli,
// Multinomial, Dropout in training. Element i is a hash of the seed, the node and i, so that a run
// repeats itself and no state is kept; a node without a seed has the same numbers in every run.
#include "kernels.h"

#include <math.h>

typedef struct generator {
    uint64_t seed;
} generator;

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static generator make_generator(const ref_call *call) {
    const float seed = tn_view_attr_float(call->view, call->node, "seed", 0.0f);
    const int64_t integer = tn_view_attr_int(call->view, call->node, "seed", 0);
    uint32_t bits;
    memcpy(&bits, &seed, sizeof bits);
    return (generator){mix(mix(bits ^ (uint64_t)integer) + call->node_index)};
}

// In [0, 1).
static double uniform(generator g, int64_t i) {
    return (double)(mix(g.seed + (uint64_t)i) >> 11) * 0x1p-53;
}

// Box and Muller, with one of the two results.
static double normal(generator g, int64_t i) {
    const double radius = sqrt(-2.0 * log(1.0 - uniform(g, 2 * i)));
    return radius * cos(6.28318530717958647692 * uniform(g, 2 * i + 1));
}

tn_status tni_ref_random(const ref_call *call) {
    ref_tensor *y = call->outputs[0];
    const generator g = make_generator(call);
    const double low = tni_ref_float(call, "low", 0.0f);
    const double high = tni_ref_float(call, "high", 1.0f);
    const double mean = tni_ref_float(call, "mean", 0.0f);
    const double scale = tni_ref_float(call, "scale", 1.0f);
    const uint32_t is_normal = call->op->variant == REF_RANDOM_NORMAL ? 1u : 0u;
    if (tni_ref_input(call, 0) != NULL && !tni_ref_same_shape(call->inputs[0], y)) {
        return tni_ref_invalid(call, "shape");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        tni_ref_store(y, i,
                      is_normal ? mean + scale * normal(g, i) : low + (high - low) * uniform(g, i));
    }
    return TN_OK;
}

// Bernoulli: 1 with the probability that the input says.
tn_status tni_ref_bernoulli(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const generator g = make_generator(call);
    if (!tni_ref_same_shape(x, y)) {
        return tni_ref_invalid(call, "shape");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        tni_ref_store_int(y, i, uniform(g, i) < tni_ref_load(x, i) ? 1 : 0);
    }
    return TN_OK;
}

// Multinomial: classes drawn with probabilities that are the exponentials of the input.
tn_status tni_ref_multinomial(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const generator g = make_generator(call);
    if (x->rank != 2 || y->rank != 2 || x->dims[0] != y->dims[0] || x->dims[1] < 1 ||
        y->dims[1] != tni_ref_int(call, "sample_size", 1)) {
        return tni_ref_invalid(call, "shapes");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t row = i / y->dims[1] * x->dims[1];
        double largest = -(double)INFINITY;
        double sum = 0.0;
        for (int64_t c = 0; c < x->dims[1]; ++c) {
            largest = fmax(largest, tni_ref_load(x, row + c));
        }
        for (int64_t c = 0; c < x->dims[1]; ++c) {
            sum += exp(tni_ref_load(x, row + c) - largest);
        }
        double left = uniform(g, i) * sum;
        int64_t chosen = 0;
        while (chosen + 1 < x->dims[1] && left >= exp(tni_ref_load(x, row + chosen) - largest)) {
            left -= exp(tni_ref_load(x, row + chosen) - largest);
            chosen += 1;
        }
        tni_ref_store_int(y, i, chosen);
    }
    return TN_OK;
}

// Dropout: at inference the identity and a mask of ones; in training elements are dropped with the
// probability ratio and the others scaled by 1 / (1 - ratio).
tn_status tni_ref_dropout(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *given = tni_ref_input(call, 1);
    const ref_tensor *mode = tni_ref_input(call, 2);
    ref_tensor *y = call->outputs[0];
    ref_tensor *mask = tni_ref_output(call, 1);
    const generator g = make_generator(call);
    if (!tni_ref_is_scalar(given) || !tni_ref_is_scalar(mode)) {
        return tni_ref_invalid(call, "ratio and training_mode are scalars");
    }
    const uint32_t training = mode != NULL && tni_ref_load_int(mode, 0) != 0 ? 1u : 0u;
    double ratio = given != NULL ? tni_ref_load(given, 0) : 0.5;
    ratio = training ? ratio : 0.0;
    if (!tni_ref_same_shape(x, y) || x->dtype != y->dtype || !(ratio >= 0.0 && ratio < 1.0) ||
        (mask != NULL && !tni_ref_same_shape(x, mask))) {
        return tni_ref_invalid(call, "shape, type or ratio");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        const uint32_t kept = ratio == 0.0 || uniform(g, i) >= ratio ? 1u : 0u;
        if (ratio == 0.0) {
            tni_ref_move(y, i, x, i);
        } else {
            tni_ref_store(y, i, kept ? tni_ref_load(x, i) / (1.0 - ratio) : 0.0);
        }
        if (mask != NULL) {
            tni_ref_store_int(mask, i, kept);
        }
    }
    return TN_OK;
}
