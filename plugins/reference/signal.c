// SPDX-License-Identifier: Apache-2.0
// DFT, STFT, window functions and MelWeightMatrix (ONNX operator list). Transforms are sums as the
// formula is written, with the roots of unity computed once.
#include "kernels.h"

#include <math.h>

#define PI 3.14159265358979323846

// A complex signal along one axis: the last axis holds one number (real) or two.
typedef struct signal {
    const ref_tensor *tensor;
    int64_t begin;
    int64_t step;   // between samples, in elements
    int64_t length; // samples; what lies behind them is zero
    uint32_t complex;
} signal;

typedef struct transform {
    int64_t size;
    double *cosines; // of 2 pi i / size
    double *sines;
} transform;

static transform make_transform(unsigned char *scratch, int64_t size) {
    transform t = {.size = size, .cosines = (double *)(void *)scratch};
    t.sines = t.cosines + size;
    for (int64_t i = 0; i < size; ++i) {
        t.cosines[i] = cos(2.0 * PI * (double)i / (double)size);
        t.sines[i] = sin(2.0 * PI * (double)i / (double)size);
    }
    return t;
}

// sum over t of window[t] * x[t] * exp(sign 2 pi i k t / size).
static void transform_at(const transform *t, const signal *x, const ref_tensor *window, double sign,
                         int64_t k, double *out_real, double *out_imaginary) {
    const int64_t length = x->length < t->size ? x->length : t->size;
    *out_real = 0.0;
    *out_imaginary = 0.0;
    int64_t phase = 0;
    for (int64_t i = 0; i < length; ++i) {
        const int64_t at = x->begin + i * x->step;
        const double weight = window == NULL ? 1.0 : tni_ref_load(window, i);
        const double real = weight * tni_ref_load(x->tensor, at);
        const double imaginary = x->complex ? weight * tni_ref_load(x->tensor, at + 1) : 0.0;
        const double c = t->cosines[phase];
        const double s = sign * t->sines[phase];
        *out_real += real * c - imaginary * s;
        *out_imaginary += real * s + imaginary * c;
        phase += k;
        phase -= phase >= t->size ? t->size : 0;
    }
}

// The inverse of a one-sided transform: the missing half is the conjugate of the given one.
static double inverse_one_sided(const transform *t, const signal *x, int64_t k) {
    const int64_t bins = t->size / 2 + 1;
    double sum = 0.0;
    for (int64_t i = 0; i < x->length && i < bins; ++i) {
        const int64_t at = x->begin + i * x->step;
        const double imaginary = x->complex ? tni_ref_load(x->tensor, at + 1) : 0.0;
        const int64_t phase = i * k % t->size;
        const double real =
            tni_ref_load(x->tensor, at) * t->cosines[phase] - imaginary * t->sines[phase];
        sum += i == 0 || 2 * i == t->size ? real : 2.0 * real;
    }
    return sum / (double)t->size;
}

// Axis and length come as attribute or input, depending on the version.
static uint32_t dft_axis(const ref_call *call, uint32_t *out_axis) {
    const ref_tensor *given = tni_ref_input(call, 2);
    int64_t axis = call->node->since_version < 20 ? tni_ref_int(call, "axis", 1) : -2;
    if (given != NULL && given->count == 1 && given->data != NULL) {
        axis = tni_ref_load_int(given, 0);
    }
    return tni_ref_is_scalar(given) && tni_ref_axis(axis, call->inputs[0]->rank, out_axis) ? 1u
                                                                                           : 0u;
}

// Room for the longest transform that the output can belong to.
int64_t tni_ref_dft_scratch(const ref_call *call) {
    const ref_tensor *output = call->outputs[0];
    int64_t longest = 1;
    for (uint32_t i = 0; i < output->rank; ++i) {
        longest = output->dims[i] > longest ? output->dims[i] : longest;
    }
    return longest > INT32_MAX ? -1 : 2 * longest * 16;
}

static tn_status run_dft(const ref_call *call, uint32_t axis, int64_t size, uint32_t inverse,
                         uint32_t one_sided) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const int64_t parts_in = x->dims[x->rank - 1];
    const int64_t parts_out = y->dims[y->rank - 1];
    const int64_t inner = tni_ref_product(x->dims, axis + 1, x->rank - 1);
    const int64_t outer = tni_ref_product(x->dims, 0, axis);
    const int64_t points = y->dims[axis];
    const transform t = make_transform(call->scratch, size);
    for (int64_t i = 0; i < outer * points * inner; ++i) {
        const int64_t k = i / inner % points;
        const signal s = {.tensor = x,
                          .begin =
                              (i / inner / points * x->dims[axis] * inner + i % inner) * parts_in,
                          .step = inner * parts_in,
                          .length = x->dims[axis],
                          .complex = parts_in == 2 ? 1u : 0u};
        double real = 0.0;
        double imaginary = 0.0;
        if (inverse && one_sided) {
            real = inverse_one_sided(&t, &s, k);
        } else {
            transform_at(&t, &s, NULL, inverse ? 1.0 : -1.0, k, &real, &imaginary);
            real /= inverse ? (double)size : 1.0;
            imaginary /= inverse ? (double)size : 1.0;
        }
        tni_ref_store(y, i * parts_out, real);
        if (parts_out == 2) {
            tni_ref_store(y, i * parts_out + 1, imaginary);
        }
    }
    return TN_OK;
}

// DFT: y[k] = sum over t of x[t] exp(-2 pi i k t / n); inverse: with + and divided by n. onesided
// keeps the first n / 2 + 1 frequencies of a real signal, or takes them and gives the real signal.
tn_status tni_ref_dft(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *given = tni_ref_input(call, 1);
    ref_tensor *y = call->outputs[0];
    const uint32_t inverse = tni_ref_int(call, "inverse", 0) != 0 ? 1u : 0u;
    const uint32_t one_sided = tni_ref_int(call, "onesided", 0) != 0 ? 1u : 0u;
    uint32_t axis = 0;
    if (x->rank < 2 || y->rank != x->rank || !dft_axis(call, &axis) || axis + 1 == x->rank ||
        x->dims[x->rank - 1] < 1 || x->dims[x->rank - 1] > 2 || !tni_ref_is_scalar(given)) {
        return tni_ref_invalid(call, "rank, axis, last axis or dft_length");
    }
    int64_t size = inverse && one_sided ? 2 * (x->dims[axis] - 1) : x->dims[axis];
    size = given == NULL ? size : tni_ref_load_int(given, 0);
    const int64_t points = one_sided && !inverse ? size / 2 + 1 : size;
    const int64_t parts = one_sided && inverse ? 1 : 2;
    if (size < 1 || y->dims[axis] != points || y->dims[y->rank - 1] != parts) {
        return given != NULL ? tni_ref_stale(call, 1)
                             : tni_ref_invalid(call, "shape of the output");
    }
    for (uint32_t i = 0; i + 1 < x->rank; ++i) {
        if (i != axis && x->dims[i] != y->dims[i]) {
            return tni_ref_invalid(call, "shape of the output");
        }
    }
    return run_dft(call, axis, size, inverse, one_sided);
}

int64_t tni_ref_stft_scratch(const ref_call *call) {
    const ref_tensor *output = call->outputs[0];
    const int64_t bins = output->rank == 4 ? output->dims[2] : 1;
    return bins > INT32_MAX ? -1 : (2 * bins + 1) * 16;
}

// STFT: the transforms of frames of frame_length samples, frame_step apart, times a window.
tn_status tni_ref_stft(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *window = tni_ref_input(call, 2);
    const ref_tensor *given = tni_ref_input(call, 3);
    ref_tensor *y = call->outputs[0];
    const uint32_t one_sided = tni_ref_int(call, "onesided", 1) != 0 ? 1u : 0u;
    if (x->rank < 2 || x->rank > 3 || y->rank != 4 || call->inputs[1]->count != 1 ||
        (window != NULL && window->rank != 1) || (given != NULL && given->count != 1)) {
        return tni_ref_invalid(call, "ranks");
    }
    const int64_t parts = x->rank == 3 ? x->dims[2] : 1;
    const int64_t step = tni_ref_load_int(call->inputs[1], 0);
    int64_t size = window != NULL ? window->count : x->dims[1];
    size = given != NULL ? tni_ref_load_int(given, 0) : size;
    if (size < 1 || step < 1 || size > x->dims[1] || parts < 1 || parts > 2 ||
        (window != NULL && window->count != size)) {
        return tni_ref_invalid(call, "frame_step, frame_length or window");
    }
    const int64_t frames = (x->dims[1] - size) / step + 1;
    const int64_t bins = one_sided ? size / 2 + 1 : size;
    if (y->dims[0] != x->dims[0] || y->dims[1] != frames || y->dims[2] != bins || y->dims[3] != 2) {
        return tni_ref_stale(call, 1);
    }
    const transform t = make_transform(call->scratch, size);
    for (int64_t i = 0; i < x->dims[0] * frames * bins; ++i) {
        const int64_t frame = i / bins % frames;
        const signal s = {.tensor = x,
                          .begin = (i / bins / frames * x->dims[1] + frame * step) * parts,
                          .step = parts,
                          .length = size,
                          .complex = parts == 2 ? 1u : 0u};
        double real;
        double imaginary;
        transform_at(&t, &s, window, -1.0, i % bins, &real, &imaginary);
        tni_ref_store(y, 2 * i, real);
        tni_ref_store(y, 2 * i + 1, imaginary);
    }
    return TN_OK;
}

// a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), where n is the size, or one less if symmetric: then
// the body of the function divides 0 by 0 for the size 1.
tn_status tni_ref_window_function(const ref_call *call) {
    static const double weights[3][3] = {
        {0.5, 0.5, 0.0}, {25.0 / 46.0, 21.0 / 46.0, 0.0}, {0.42, 0.5, 0.08}};
    const double *a = weights[call->op->variant];
    ref_tensor *y = call->outputs[0];
    if (y->rank != 1 || call->inputs[0]->count != 1) {
        return tni_ref_invalid(call, "rank");
    }
    if (tni_ref_load_int(call->inputs[0], 0) != y->count) {
        return tni_ref_stale(call, 0);
    }
    const int64_t period = tni_ref_int(call, "periodic", 1) != 0 ? y->count : y->count - 1;
    for (int64_t i = 0; i < y->count; ++i) {
        const double angle = 2.0 * PI * (double)i / (double)period;
        tni_ref_store(y, i, a[0] - a[1] * cos(angle) + a[2] * cos(2.0 * angle));
    }
    return TN_OK;
}

// The spectrogram bin of mel edge i: edges are evenly spaced on the mel scale.
static int64_t mel_bin(double low, double step, int64_t i, double transform_size, double rate) {
    const double mel = low + step * (double)i;
    const double hertz = 700.0 * expm1(mel / 2595.0 * log(10.0));
    const double bin = floor((transform_size + 1.0) * hertz / rate);
    return bin > -1e15 && bin < 1e15 ? (int64_t)bin : -1;
}

// MelWeightMatrix: column m is a triangle over the bins, from edge m to edge m + 2, 1 at m + 1.
tn_status tni_ref_mel(const ref_call *call) {
    ref_tensor *y = call->outputs[0];
    double v[5];
    for (uint32_t i = 0; i < 5; ++i) {
        if (call->inputs[i]->count != 1) {
            return tni_ref_invalid(call, "inputs are scalars");
        }
        v[i] = tni_ref_load(call->inputs[i], 0);
    }
    if (y->rank != 2 || (double)y->dims[0] != floor(v[1] / 2.0) + 1.0 ||
        (double)y->dims[1] != v[0]) {
        return tni_ref_stale(call, 0);
    }
    const double low = 2595.0 * log1p(v[3] / 700.0) / log(10.0);
    const double high = 2595.0 * log1p(v[4] / 700.0) / log(10.0);
    const double step = (high - low) / (v[0] + 2.0);
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t bin = i / y->dims[1];
        const int64_t m = i % y->dims[1];
        const int64_t left = mel_bin(low, step, m, v[1], v[2]);
        const int64_t centre = mel_bin(low, step, m + 1, v[1], v[2]);
        const int64_t right = mel_bin(low, step, m + 2, v[1], v[2]);
        double weight = 0.0;
        if (bin >= left && bin <= centre) {
            weight = centre == left ? 1.0 : (double)(bin - left) / (double)(centre - left);
        }
        if (bin >= centre && bin < right) {
            weight = (double)(right - bin) / (double)(right - centre);
        }
        tni_ref_store(y, i, weight);
    }
    return TN_OK;
}
