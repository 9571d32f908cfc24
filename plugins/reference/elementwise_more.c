// SPDX-License-Identifier: Apache-2.0
// Elementwise ops that do not fit the two plain loops: any number of inputs, attributes that change
// the function, three inputs, other result types.
#include "kernels.h"

#include <math.h>

static uint32_t all_broadcast(const ref_call *call) {
    const ref_tensor *output = call->outputs[0];
    for (uint32_t i = 0; i < call->input_count; ++i) {
        if (call->inputs[i] == NULL ||
            !tni_ref_broadcasts_to(call->inputs[i], output->dims, output->rank)) {
            return 0;
        }
    }
    return 1;
}

static void fold_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const ref_call *call = user_data;
    const ref_op *op = call->op;
    ref_tensor *output = call->outputs[0];
    const uint32_t floats = tni_ref_is_float(output->dtype);
    const uint32_t is_unsigned = tni_ref_is_unsigned(output->dtype);
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        double sum = 0.0;
        uint64_t integer = 0;
        for (uint32_t k = 0; k < call->input_count; ++k) {
            const ref_tensor *input = call->inputs[k];
            const int64_t at = tni_ref_broadcast(input, output->dims, output->rank, i);
            if (floats) {
                const double x = tni_ref_load(input, at);
                sum = k == 0 ? x : op->binary(sum, x);
            } else {
                const uint64_t x = (uint64_t)tni_ref_load_int(input, at);
                integer = k == 0 ? x : op->integer(integer, x, is_unsigned);
            }
        }
        if (floats) {
            tni_ref_store(output, i, op->variant == REF_FOLD_MEAN ? sum / call->input_count : sum);
        } else {
            tni_ref_store_int(output, i, (int64_t)integer);
        }
    }
}

// Sum, Mean, Max, Min: from left to right over all inputs, then rounded once.
tn_status tni_ref_fold(const ref_call *call) {
    if (!all_broadcast(call)) {
        return tni_ref_invalid(call, "inputs do not broadcast to the output");
    }
    for (uint32_t i = 0; i < call->input_count; ++i) {
        if (call->inputs[i]->dtype != call->outputs[0]->dtype) {
            return tni_ref_invalid(call, "operand types");
        }
    }
    // The call is constant for all workers; only the type of the hook is not.
    ref_call copy = *call;
    tni_ref_parallel(call, call->outputs[0]->count, 30 * (int64_t)call->input_count, fold_range,
                     &copy);
    return TN_OK;
}

static uint64_t integer_power(uint64_t base, int64_t exponent) {
    if (exponent < 0) {
        return base == 1 ? 1 : (base == UINT64_MAX ? (exponent % 2 == 0 ? 1 : base) : 0);
    }
    uint64_t result = 1;
    for (uint64_t left = (uint64_t)exponent; left != 0; left >>= 1) {
        result = (left & 1) != 0 ? result * base : result;
        base *= base;
    }
    return result;
}

// Pow: the result has the type of the base, whatever the exponent's.
tn_status tni_ref_pow(const ref_call *call) {
    const ref_tensor *base = call->inputs[0];
    const ref_tensor *exponent = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    if (!all_broadcast(call) || base->dtype != output->dtype) {
        return tni_ref_invalid(call, "shapes or types");
    }
    const uint32_t integers =
        !tni_ref_is_float(base->dtype) && !tni_ref_is_float(exponent->dtype) ? 1u : 0u;
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t b = tni_ref_broadcast(base, output->dims, output->rank, i);
        const int64_t e = tni_ref_broadcast(exponent, output->dims, output->rank, i);
        if (integers) {
            const uint64_t result =
                integer_power((uint64_t)tni_ref_load_int(base, b), tni_ref_load_int(exponent, e));
            tni_ref_store_int(output, i, (int64_t)result);
        } else {
            tni_ref_store(output, i, pow(tni_ref_load(base, b), tni_ref_load(exponent, e)));
        }
    }
    return TN_OK;
}

// x - floor(x / y) * y: the remainder gets the divisor's sign, a zero one too; x modulo an infinity
// is x, or that infinity where the signs differ.
static double floor_mod(double x, double y) {
    const double rest = fmod(x, y);
    if (rest == 0.0) {
        return copysign(0.0, y);
    }
    return !isnan(rest) && (rest < 0.0) != (y < 0.0) ? rest + y : rest;
}

// Mod: fmod = 1 gives the sign of the dividend, for integers too; 0 that of the divisor.
tn_status tni_ref_mod(const ref_call *call) {
    const ref_tensor *left = call->inputs[0];
    const ref_tensor *right = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    const uint32_t truncate = tni_ref_int(call, "fmod", 0) != 0 ? 1u : 0u;
    const uint32_t is_unsigned = tni_ref_is_unsigned(left->dtype);
    if (!all_broadcast(call) || left->dtype != right->dtype || left->dtype != output->dtype) {
        return tni_ref_invalid(call, "shapes or types");
    }
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t l = tni_ref_broadcast(left, output->dims, output->rank, i);
        const int64_t r = tni_ref_broadcast(right, output->dims, output->rank, i);
        if (tni_ref_is_float(left->dtype)) {
            const double x = tni_ref_load(left, l);
            const double y = tni_ref_load(right, r);
            tni_ref_store(output, i, truncate ? fmod(x, y) : floor_mod(x, y));
            continue;
        }
        const int64_t x = tni_ref_load_int(left, l);
        const int64_t y = tni_ref_load_int(right, r);
        int64_t rest = (int64_t)call->op->integer((uint64_t)x, (uint64_t)y, is_unsigned);
        if (truncate && !is_unsigned && rest != 0 && (rest < 0) != (x < 0)) {
            rest -= y;
        }
        tni_ref_store_int(output, i, rest);
    }
    return TN_OK;
}

// Gelu: x * P(X <= x), or its tanh approximation.
static double gelu(double x, uint32_t approximate) {
    if (approximate) {
        return 0.5 * x * (1.0 + tanh(0.7978845608028653559 * (x + 0.044715 * x * x * x)));
    }
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

tn_status tni_ref_gelu(const ref_call *call) {
    const uint32_t approximate =
        tn_view_attr_string_is(call->view, call->node, "approximate", "tanh");
    if (!tni_ref_same_shape(call->inputs[0], call->outputs[0])) {
        return tni_ref_invalid(call, "input and output differ in shape");
    }
    for (int64_t i = 0; i < call->outputs[0]->count; ++i) {
        tni_ref_store(call->outputs[0], i, gelu(tni_ref_load(call->inputs[0], i), approximate));
    }
    return TN_OK;
}

// IsInf: detect_positive and detect_negative choose the infinities that count.
tn_status tni_ref_isinf(const ref_call *call) {
    const uint32_t positive = tni_ref_int(call, "detect_positive", 1) != 0 ? 1u : 0u;
    const uint32_t negative = tni_ref_int(call, "detect_negative", 1) != 0 ? 1u : 0u;
    if (!tni_ref_same_shape(call->inputs[0], call->outputs[0])) {
        return tni_ref_invalid(call, "input and output differ in shape");
    }
    for (int64_t i = 0; i < call->outputs[0]->count; ++i) {
        const double x = tni_ref_load(call->inputs[0], i);
        const uint32_t yes = isinf(x) && (x > 0 ? positive : negative) ? 1u : 0u;
        tni_ref_store_int(call->outputs[0], i, yes);
    }
    return TN_OK;
}

// A bound of Clip: an input since version 11, an attribute before. Absent: no bound.
typedef struct clip_bound {
    uint32_t present;
    double number;
    int64_t integer;
} clip_bound;

static clip_bound read_bound(const ref_call *call, uint32_t input, const char *name) {
    const ref_tensor *tensor = tni_ref_input(call, input);
    if (tensor != NULL && tensor->count == 1) {
        return (clip_bound){1, tni_ref_load(tensor, 0), tni_ref_load_int(tensor, 0)};
    }
    const double number = tni_ref_float(call, name, 0.0f);
    return (clip_bound){tni_ref_has(call, name), number, (int64_t)number};
}

tn_status tni_ref_clip(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const clip_bound low = read_bound(call, 1, "min");
    const clip_bound high = read_bound(call, 2, "max");
    if (!tni_ref_same_shape(input, output)) {
        return tni_ref_invalid(call, "input and output differ in shape");
    }
    const uint32_t u = tni_ref_is_unsigned(input->dtype);
    for (int64_t i = 0; i < output->count; ++i) {
        if (tni_ref_is_float(input->dtype)) {
            double x = tni_ref_load(input, i);
            x = low.present && x < low.number ? low.number : x;
            x = high.present && x > high.number ? high.number : x;
            tni_ref_store(output, i, x);
            continue;
        }
        int64_t x = tni_ref_load_int(input, i);
        const uint32_t below = u ? (uint64_t)x < (uint64_t)low.integer : x < low.integer;
        x = low.present && below ? low.integer : x;
        const uint32_t above = u ? (uint64_t)x > (uint64_t)high.integer : x > high.integer;
        x = high.present && above ? high.integer : x;
        tni_ref_store_int(output, i, x);
    }
    return TN_OK;
}

// Where: X where the condition holds, else Y; elements of any type are moved as they are.
tn_status tni_ref_where(const ref_call *call) {
    const ref_tensor *condition = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const size_t bytes = (size_t)tni_ref_element_bytes(output->dtype);
    if (!all_broadcast(call) || call->inputs[1]->dtype != output->dtype ||
        call->inputs[2]->dtype != output->dtype) {
        return tni_ref_invalid(call, "shapes or types");
    }
    for (int64_t i = 0; i < output->count; ++i) {
        const int64_t c = tni_ref_broadcast(condition, output->dims, output->rank, i);
        const ref_tensor *chosen = call->inputs[tni_ref_load_int(condition, c) != 0 ? 1 : 2];
        const int64_t from = tni_ref_broadcast(chosen, output->dims, output->rank, i);
        memcpy(output->data + (size_t)i * bytes, chosen->data + (size_t)from * bytes, bytes);
    }
    return TN_OK;
}

// Cast and CastLike: the output's type says to what. Floating point to integer cuts toward zero;
// what does not fit saturates (ONNX leaves it open). Narrow floating-point types follow the tables
// of Cast, with saturate and round_mode.
tn_status tni_ref_cast(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const uint32_t saturate = tni_ref_int(call, "saturate", 1) != 0 ? 1u : 0u;
    const ref_rounding rounding =
        tn_view_attr_string_is(call->view, call->node, "round_mode", "down") ? REF_ROUND_DOWN
        : tn_view_attr_string_is(call->view, call->node, "round_mode", "nearest")
            ? REF_ROUND_NEAREST
            : REF_ROUND_UP;
    if (!tni_ref_same_shape(input, output)) {
        return tni_ref_invalid(call, "input and output differ in shape");
    }
    const uint32_t from_float = tni_ref_is_float(input->dtype);
    const uint32_t to_float = tni_ref_is_float(output->dtype);
    // Integers lose their upper bits in narrower ones, and so do numbers in packed integers.
    const uint32_t packed = tni_ref_element_bits(output->dtype) % 8 != 0 ? 1u : 0u;
    for (int64_t i = 0; i < output->count; ++i) {
        if (!to_float && (!from_float || packed)) {
            tni_ref_store_int(output, i, tni_ref_load_int(input, i));
        } else {
            tni_ref_store_rounded(output, i, tni_ref_load(input, i), saturate, rounding);
        }
    }
    return TN_OK;
}

uint32_t tni_ref_check_cast(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict) {
    const uint32_t value = tn_view_node_output(view, node, 0);
    const tn_dtype dtype = value == TN_NONE ? TN_DTYPE_FLOAT : tn_view_value(view, value)->dtype;
    if (dtype == TN_DTYPE_STRING || dtype == TN_DTYPE_COMPLEX64 || dtype == TN_DTYPE_COMPLEX128) {
        tn_helper_no(out_verdict, TN_REASON_DTYPE, node->inputs.count, 0, dtype);
        return 0;
    }
    return 1;
}
