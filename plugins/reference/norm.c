// SPDX-License-Identifier: Apache-2.0
// Normalisation (ONNX operator list): (x - mean) / sqrt(variance + epsilon) * scale + bias, over
// different parts of the tensor. Means and variances are double, in two passes.
#include "kernels.h"

#include <math.h>

static uint32_t is_vector(const ref_tensor *tensor, int64_t size) {
    return tensor != NULL && tensor->rank == 1 && tensor->dims[0] == size ? 1u : 0u;
}

typedef struct moments {
    double mean;
    double variance;
} moments;

// Mean and variance of one channel over all images.
static moments measure_channel(const ref_tensor *x, int64_t channel, int64_t channels,
                               int64_t plane) {
    moments result = {0.0, 0.0};
    const int64_t count = x->dims[0] * plane;
    for (int64_t i = 0; i < count; ++i) {
        result.mean += tni_ref_load(x, (i / plane * channels + channel) * plane + i % plane);
    }
    result.mean /= (double)count;
    for (int64_t i = 0; i < count; ++i) {
        const double centred =
            tni_ref_load(x, (i / plane * channels + channel) * plane + i % plane) - result.mean;
        result.variance += centred * centred;
    }
    result.variance /= (double)count;
    return result;
}

// The next running statistics: old * momentum + new * (1 - momentum).
static void store_running(const ref_call *call, int64_t channel, moments m) {
    const double momentum = tni_ref_float(call, "momentum", 0.9f);
    const double now[2] = {m.mean, m.variance};
    for (uint32_t i = 0; i < 2; ++i) {
        ref_tensor *output = tni_ref_output(call, 1 + i);
        if (output != NULL) {
            const double old = tni_ref_load(call->inputs[3 + i], channel);
            tni_ref_store(output, channel, old * momentum + now[i] * (1.0 - momentum));
        }
    }
}

// BatchNormalization: mean and variance per channel are inputs, or in training those of the batch.
tn_status tni_ref_batch_norm(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const int64_t channels = x->rank < 2 ? 1 : x->dims[1];
    const uint32_t training = tni_ref_int(call, "training_mode", 0) != 0 ? 1u : 0u;
    if (x->rank < 1 || !tni_ref_same_shape(x, y)) {
        return tni_ref_invalid(call, "shape");
    }
    for (uint32_t i = 1; i < 3; ++i) {
        if (tni_ref_output(call, i) != NULL && !is_vector(call->outputs[i], channels)) {
            return tni_ref_invalid(call, "running mean or variance");
        }
    }
    for (uint32_t i = 1; i < 5; ++i) {
        if (!is_vector(call->inputs[i], channels)) {
            return tni_ref_invalid(call, "scale, bias, mean or variance");
        }
    }
    const double epsilon = tni_ref_float(call, "epsilon", 1e-5f);
    const int64_t plane = x->rank < 2 ? 1 : tni_ref_product(x->dims, 2, x->rank);
    for (int64_t c = 0; c < channels && y->count != 0; ++c) {
        moments m = {tni_ref_load(call->inputs[3], c), tni_ref_load(call->inputs[4], c)};
        if (training) {
            m = measure_channel(x, c, channels, plane);
            store_running(call, c, m);
        }
        const double bias = tni_ref_load(call->inputs[2], c);
        const double scale = tni_ref_load(call->inputs[1], c) / sqrt(m.variance + epsilon);
        for (int64_t k = 0; k < x->dims[0] * plane; ++k) {
            const int64_t i = (k / plane * channels + c) * plane + k % plane;
            tni_ref_store(y, i, (tni_ref_load(x, i) - m.mean) * scale + bias);
        }
    }
    return TN_OK;
}

// Training is training_mode since version 14; before, it had more outputs (and no is_test before
// version 7), which are refused. spatial = 0 has statistics of another shape.
uint32_t tni_ref_check_batch_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict) {
    uint32_t attribute = TN_NONE;
    for (uint32_t i = 1; i < node->outputs.count && node->since_version < 14; ++i) {
        if (tn_view_node_output(view, node, i) != TN_NONE) {
            tn_helper_no(out_verdict, TN_REASON_OPTIONAL_INPUT, node->inputs.count + i, 1,
                         node->outputs.count);
            return 0;
        }
    }
    if (node->since_version < 7 && tn_view_attr_int(view, node, "is_test", 0) == 0) {
        (void)tn_view_find_attr(view, node, "is_test", &attribute);
    } else if (tn_view_attr_int(view, node, "spatial", 1) == 0) {
        (void)tn_view_find_attr(view, node, "spatial", &attribute);
    } else {
        return 1;
    }
    tn_helper_no(out_verdict, TN_REASON_ATTR_UNSUPPORTED, attribute, 0, 0);
    return 0;
}

static moments measure(const ref_tensor *tensor, int64_t begin, int64_t count) {
    moments result = {0.0, 0.0};
    for (int64_t i = 0; i < count; ++i) {
        result.mean += tni_ref_load(tensor, begin + i);
    }
    result.mean /= (double)count;
    for (int64_t i = 0; i < count; ++i) {
        const double centred = tni_ref_load(tensor, begin + i) - result.mean;
        result.variance += centred * centred;
    }
    result.variance /= (double)count;
    return result;
}

// InstanceNormalization: each plane of each image by itself. GroupNormalization: num_groups runs of
// channels; its scale and bias are per channel since version 21, per group before.
tn_status tni_ref_group_norm(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    if (x->rank < 3 || !tni_ref_same_shape(x, y)) {
        return tni_ref_invalid(call, "shape");
    }
    const int64_t channels = x->dims[1];
    const int64_t groups = tni_ref_int(call, "num_groups", channels);
    const int64_t plane = tni_ref_product(x->dims, 2, x->rank);
    const double epsilon = tni_ref_float(call, "epsilon", 1e-5f);
    if (groups < 1 || channels % groups != 0) {
        return tni_ref_invalid(call, "num_groups");
    }
    const int64_t scales = call->inputs[1]->count;
    if ((scales != channels && scales != groups) || !is_vector(call->inputs[1], scales) ||
        !is_vector(call->inputs[2], scales)) {
        return tni_ref_invalid(call, "scale or bias");
    }
    const int64_t run = channels / groups * plane;
    for (int64_t g = 0; run != 0 && g < x->count / run; ++g) {
        const moments m = measure(x, g * run, run);
        const double factor = 1.0 / sqrt(m.variance + epsilon);
        for (int64_t i = g * run; i < (g + 1) * run; ++i) {
            const int64_t s = scales == channels ? i / plane % channels : g % groups;
            const double normal = (tni_ref_load(x, i) - m.mean) * factor;
            tni_ref_store(
                y, i, normal * tni_ref_load(call->inputs[1], s) + tni_ref_load(call->inputs[2], s));
        }
    }
    return TN_OK;
}

static double mean_of_squares(const ref_tensor *tensor, int64_t begin, int64_t count) {
    double sum = 0.0;
    for (int64_t i = begin; i < begin + count; ++i) {
        sum += tni_ref_load(tensor, i) * tni_ref_load(tensor, i);
    }
    return sum / (double)count;
}

static void layer_row(const ref_call *call, int64_t row, int64_t size, double epsilon) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *scale = call->inputs[1];
    const ref_tensor *bias = tni_ref_input(call, 2);
    const uint32_t rms = call->op->variant == REF_NORM_RMS ? 1u : 0u;
    const moments m =
        rms ? (moments){0.0, mean_of_squares(x, row * size, size)} : measure(x, row * size, size);
    const double factor = 1.0 / sqrt(m.variance + epsilon);
    for (int64_t i = 0; i < size; ++i) {
        const int64_t at = row * size + i;
        double y = (tni_ref_load(x, at) - m.mean) * factor;
        y *= tni_ref_load(scale, tni_ref_broadcast(scale, x->dims, x->rank, at));
        if (bias != NULL) {
            y += tni_ref_load(bias, tni_ref_broadcast(bias, x->dims, x->rank, at));
        }
        tni_ref_store(call->outputs[0], at, y);
    }
    if (!rms && tni_ref_output(call, 1) != NULL) {
        tni_ref_store(call->outputs[1], row, m.mean);
    }
    if (!rms && tni_ref_output(call, 2) != NULL) {
        tni_ref_store(call->outputs[2], row, factor);
    }
}

// LayerNormalization and RMSNormalization: over all axes from axis on.
tn_status tni_ref_layer_norm(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    const ref_tensor *bias = tni_ref_input(call, 2);
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", -1), x->rank, &axis) ||
        !tni_ref_same_shape(x, call->outputs[0]) ||
        !tni_ref_broadcasts_to(call->inputs[1], x->dims, x->rank) ||
        (bias != NULL && !tni_ref_broadcasts_to(bias, x->dims, x->rank))) {
        return tni_ref_invalid(call, "axis or shapes");
    }
    const int64_t rows = tni_ref_product(x->dims, 0, axis);
    const int64_t size = tni_ref_product(x->dims, axis, x->rank);
    for (uint32_t i = 1; i < 3; ++i) {
        if (tni_ref_output(call, i) != NULL && call->outputs[i]->count != rows) {
            return tni_ref_invalid(call, "shape of Mean or InvStdDev");
        }
    }
    const double epsilon = tni_ref_float(call, "epsilon", 1e-5f);
    for (int64_t row = 0; size != 0 && row < rows; ++row) {
        layer_row(call, row, size, epsilon);
    }
    return TN_OK;
}

// LRN: y = x / (bias + alpha / size * sum of squares over size neighbouring channels)^beta.
tn_status tni_ref_lrn(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    const int64_t size = tni_ref_int(call, "size", 0);
    if (x->rank < 2 || !tni_ref_same_shape(x, y) || size < 1) {
        return tni_ref_invalid(call, "shape or size");
    }
    const double alpha = tni_ref_float(call, "alpha", 1e-4f);
    const double beta = tni_ref_float(call, "beta", 0.75f);
    const double bias = tni_ref_float(call, "bias", 1.0f);
    const int64_t channels = x->dims[1];
    const int64_t plane = tni_ref_product(x->dims, 2, x->rank);
    for (int64_t i = 0; i < y->count; ++i) {
        const int64_t c = i / plane % channels;
        double squares = 0.0;
        const int64_t first = (size - 1) / 2 > c ? 0 : c - (size - 1) / 2;
        const int64_t last = size / 2 >= channels - c ? channels - 1 : c + size / 2;
        for (int64_t k = first; k <= last; ++k) {
            const double neighbour = tni_ref_load(x, i + (k - c) * plane);
            squares += neighbour * neighbour;
        }
        tni_ref_store(y, i, tni_ref_load(x, i) / pow(bias + alpha / (double)size * squares, beta));
    }
    return TN_OK;
}
