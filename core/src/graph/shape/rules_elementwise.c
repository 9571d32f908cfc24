// SPDX-License-Identifier: Apache-2.0
// Shapes of elementwise ops, casts, quantisation and normalisation; small integers by value.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <string.h>

// Every whole number up to this is a float.
#define EXACT_FLOAT 16777216

static tn_status negate(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    tni_element result[TNI_MAX_ELEMENTS];
    const tn_status status = tni_in_elements(in, 0, &elements, &count);
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        result[i] = elements[i].known && elements[i].value != INT64_MIN
                        ? tni_element_of(-elements[i].value)
                        : tni_element_unknown();
    }
    return status == TN_OK && elements != NULL ? tni_state_elements(in, 0, result, count) : status;
}

tn_status tni_rule_same(tni_inference *in) {
    tn_status status = tni_state_like(in, 0, 0, tni_in_dtype(in, 0));
    const tni_element *elements = NULL;
    uint32_t count = 0;
    if (status == TN_OK && tni_node_is(in->node, "Identity")) {
        status = tni_in_elements(in, 0, &elements, &count);
        if (status == TN_OK) {
            status = tni_state_elements(in, 0, elements, count);
        }
    }
    return status == TN_OK && tni_node_is(in->node, "Neg") ? negate(in) : status;
}

// One step of training: after rate and count come groups of as many tensors, parameters, gradients
// and then one or two states of each; parameters and states are made anew.
tn_status tni_rule_optimizer(tni_inference *in) {
    const uint32_t groups = tni_string_is(in->node->op_type, "Adam") ? 4 : 3;
    const uint32_t size = in->node->input_count > 2 ? (in->node->input_count - 2) / groups : 0;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < in->node->output_count && status == TN_OK; i++) {
        const uint32_t input = 2 + (i < size ? i : i + size);
        status = tni_state_like(in, i, input, tni_in_dtype(in, input));
    }
    return status;
}

tn_status tni_rule_not(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    tni_element result[TNI_MAX_ELEMENTS];
    tn_status status = tni_state_like(in, 0, 0, TN_DTYPE_BOOL);
    if (status == TN_OK && tni_node_is(in->node, "Not")) {
        status = tni_in_elements(in, 0, &elements, &count);
    }
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        result[i] =
            elements[i].known ? tni_element_of(elements[i].value == 0) : tni_element_unknown();
    }
    return status == TN_OK && elements != NULL ? tni_state_elements(in, 0, result, count) : status;
}

// Broadcasts all inputs from `first` on; the rank is unknown when one of theirs is.
static tn_status broadcast_from(tni_inference *in, uint32_t first, tn_dtype dtype) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = first; i < in->node->input_count; i++) {
        if (!tni_in_ranked(in, i)) {
            return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
        }
        const tni_fact *fact = tni_in(in, i);
        const tn_status status =
            tni_broadcast(in, i, rank, dims, fact->rank, fact->dims, &rank, dims);
        if (status != TN_OK) {
            return status;
        }
    }
    return tni_state(in, 0, dtype, rank, dims);
}

// Before opset 7, the second operand was laid along the first one's axis on request.
static bool broadcasts_into_first(const tni_inference *in) {
    return in->node->since_version < 7 && in->node->input_count == 2 &&
           tni_node_int(in->node, "broadcast", 0) != 0;
}

tn_status tni_rule_broadcast(tni_inference *in) {
    if (broadcasts_into_first(in)) {
        return tni_state_like(in, 0, 0, tni_in_dtype(in, 0));
    }
    return broadcast_from(in, 0, tni_in_dtype(in, 0));
}

static bool is_number(tni_element element, int64_t value) {
    return element.known && element.value == value;
}

static bool same_element(tni_element a, tni_element b) {
    return a.known ? b.known && a.value == b.value
                   : !b.known && a.symbol == b.symbol && a.symbol != TN_NONE;
}

static tni_element multiply(tni_element a, tni_element b) {
    int64_t value = 0;
    if (is_number(a, 1)) {
        return b;
    }
    if (is_number(b, 1)) {
        return a;
    }
    const bool known = a.known && b.known && tni_mul_i64(a.value, b.value, &value);
    return known ? tni_element_of(value) : tni_element_unknown();
}

static tni_element divide(const tni_inference *in, tni_element a, tni_element b) {
    if (is_number(b, 1)) {
        return a;
    }
    if (tni_node_is(in->node, "Mod") && a.known && b.known && a.value >= 0 && b.value > 0) {
        return tni_element_of(a.value % b.value);
    }
    const bool plain = a.known && b.known && a.value >= 0 && b.value > 0;
    return plain && tni_node_is(in->node, "Div") ? tni_element_of(a.value / b.value)
                                                 : tni_element_unknown();
}

// Sizes are never negative, so max(size, 0 or 1) is only known for numbers.
static tni_element combine(const tni_inference *in, tni_element a, tni_element b) {
    const tni_node *node = in->node;
    int64_t value = 0;
    if (tni_node_is(node, "Add")) {
        if (is_number(a, 0) || is_number(b, 0)) {
            return is_number(a, 0) ? b : a;
        }
        const bool known = a.known && b.known && tni_add_i64(a.value, b.value, &value);
        return known ? tni_element_of(value) : tni_element_unknown();
    }
    if (tni_node_is(node, "Sub")) {
        if (is_number(b, 0)) {
            return a;
        }
        if (same_element(a, b)) {
            return tni_element_of(0);
        }
        const bool known = a.known && b.known && tni_sub_i64(a.value, b.value, &value);
        return known ? tni_element_of(value) : tni_element_unknown();
    }
    if (tni_node_is(node, "Mul")) {
        return multiply(a, b);
    }
    if (tni_node_is(node, "Max") || tni_node_is(node, "Min")) {
        if (same_element(a, b)) {
            return a;
        }
        const bool first = tni_node_is(node, "Max") == (a.value > b.value);
        return a.known && b.known ? tni_element_of(first ? a.value : b.value)
                                  : tni_element_unknown();
    }
    return is_number(b, 1) && tni_node_is(node, "Mod") ? tni_element_of(0) : divide(in, a, b);
}

// Comparisons and logic of known numbers; sizes of which nothing is known but their name are equal
// to themselves.
static tni_element compare(const tni_inference *in, tni_element a, tni_element b) {
    static const struct {
        const char *op_type;
        bool less;
        bool equal;
        bool greater;
    } relations[] = {
        {"Equal", false, true, false},         {"Less", true, false, false},
        {"LessOrEqual", true, true, false},    {"Greater", false, false, true},
        {"GreaterOrEqual", false, true, true},
    };
    if (same_element(a, b)) {
        b = a = tni_element_of(a.known ? a.value : 0);
    }
    if (!a.known || !b.known) {
        return tni_element_unknown();
    }
    for (uint32_t i = 0; i < sizeof relations / sizeof relations[0]; i++) {
        if (tni_node_is(in->node, relations[i].op_type)) {
            return tni_element_of(a.value < b.value    ? relations[i].less
                                  : a.value == b.value ? relations[i].equal
                                                       : relations[i].greater);
        }
    }
    const bool x = a.value != 0;
    const bool y = b.value != 0;
    return tni_element_of(tni_node_is(in->node, "And")  ? x && y
                          : tni_node_is(in->node, "Or") ? x || y
                                                        : x != y);
}

typedef tni_element (*combine_fn)(const tni_inference *in, tni_element a, tni_element b);

static tn_status combine_elements(tni_inference *in, combine_fn fn) {
    const tni_element *a = NULL;
    const tni_element *b = NULL;
    uint32_t count_a = 0;
    uint32_t count_b = 0;
    tni_element result[TNI_MAX_ELEMENTS];
    tn_status status = tni_in_elements(in, 0, &a, &count_a);
    if (status == TN_OK) {
        status = tni_in_elements(in, 1, &b, &count_b);
    }
    const bool fits = a != NULL && b != NULL && count_a > 0 && count_b > 0 &&
                      (count_a == count_b || count_a == 1 || count_b == 1);
    if (status != TN_OK || !fits) {
        return status;
    }
    const uint32_t count = count_a > count_b ? count_a : count_b;
    for (uint32_t i = 0; i < count; i++) {
        result[i] = fn(in, a[count_a == 1 ? 0 : i], b[count_b == 1 ? 0 : i]);
    }
    return tni_state_elements(in, 0, result, count);
}

tn_status tni_rule_compare(tni_inference *in) {
    if (broadcasts_into_first(in)) {
        return tni_state_like(in, 0, 0, TN_DTYPE_BOOL);
    }
    const tn_status status = broadcast_from(in, 0, TN_DTYPE_BOOL);
    return status == TN_OK && tni_out(in, 0)->rank <= 1 ? combine_elements(in, compare) : status;
}

tn_status tni_rule_arithmetic(tni_inference *in) {
    const tn_status status = tni_rule_broadcast(in);
    const tni_fact *out = tni_out(in, 0);
    const bool follow = in->node->input_count == 2 && out->rank <= 1 &&
                        (out->dtype == TN_DTYPE_INT64 || out->dtype == TN_DTYPE_INT32);
    return status == TN_OK && follow ? combine_elements(in, combine) : status;
}

// Element i of a vector or scalar that is repeated.
static tni_element repeated(const tni_element *elements, uint32_t count, uint32_t i) {
    return elements[count == 1 ? 0 : i];
}

static tn_status choose_elements(tni_inference *in) {
    tni_element part[3][TNI_MAX_ELEMENTS];
    uint32_t count[3] = {0};
    uint32_t longest = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const tni_element *elements = NULL;
        const tn_status status = tni_in_elements(in, i, &elements, &count[i]);
        if (status != TN_OK || elements == NULL || count[i] == 0) {
            return status;
        }
        memcpy(part[i], elements, count[i] * sizeof *elements);
        longest = count[i] > longest ? count[i] : longest;
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (count[i] != 1 && count[i] != longest) {
            return TN_OK;
        }
    }
    tni_element result[TNI_MAX_ELEMENTS];
    for (uint32_t i = 0; i < longest; i++) {
        const tni_element condition = repeated(part[0], count[0], i);
        const tni_element x = repeated(part[1], count[1], i);
        const tni_element y = repeated(part[2], count[2], i);
        result[i] = condition.known      ? (condition.value != 0 ? x : y)
                    : same_element(x, y) ? x
                                         : tni_element_unknown();
    }
    return tni_state_elements(in, 0, result, longest);
}

tn_status tni_rule_where(tni_inference *in) {
    const tn_status status = broadcast_from(in, 0, tni_in_dtype(in, 1));
    return status == TN_OK && tni_out(in, 0)->rank <= 1 ? choose_elements(in) : status;
}

tn_status tni_rule_cast(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    tn_dtype dtype = (tn_dtype)tni_node_int(in->node, "to", 0);
    if (tni_node_is(in->node, "CastLike")) {
        dtype = tni_in_dtype(in, 1);
    }
    if (dtype >= TN_DTYPE_COUNT) {
        return tni_contradiction(in, 0, "shape.attribute", "cast to unknown type %u", dtype);
    }
    tn_status status = tni_state_like(in, 0, 0, dtype);
    // A size is the same number in all of these, but for what float cannot hold.
    const bool keeps = dtype == TN_DTYPE_INT64 || dtype == TN_DTYPE_INT32 ||
                       dtype == TN_DTYPE_FLOAT || dtype == TN_DTYPE_DOUBLE;
    if (status == TN_OK && keeps) {
        status = tni_in_elements(in, 0, &elements, &count);
        for (uint32_t i = 0; i < count && status == TN_OK; i++) {
            if (dtype == TN_DTYPE_FLOAT && elements[i].known &&
                (elements[i].value < -EXACT_FLOAT || elements[i].value > EXACT_FLOAT)) {
                return TN_OK;
            }
        }
        if (status == TN_OK) {
            status = tni_state_elements(in, 0, elements, count);
        }
    }
    return status;
}

tn_status tni_rule_dropout(tni_inference *in) {
    const tn_status status = tni_state_like(in, 0, 0, tni_in_dtype(in, 0));
    const tn_dtype mask = in->node->since_version >= 10 ? TN_DTYPE_BOOL : tni_in_dtype(in, 0);
    return status == TN_OK ? tni_state_like(in, 1, 0, mask) : status;
}

// The parameters of a normalisation over channels must have as many elements as there are channels.
static tn_status check_channels(tni_inference *in) {
    const tni_fact *x = tni_in(in, 0);
    for (uint32_t i = 1; i < in->node->input_count; i++) {
        const tni_fact *parameter = tni_in(in, i);
        if (!tni_in_ranked(in, i) || x->rank < 2 || parameter->rank != 1) {
            continue;
        }
        if (tni_dim_differ(x->dims[1], parameter->dims[0])) {
            return tni_contradiction(in, i, "shape.channels", "the input has %lld channels",
                                     (long long)x->dims[1].size);
        }
    }
    return TN_OK;
}

// Mean and InvStdDev of LayerNormalization: the shape with 1 from axis on.
static tn_status state_statistics(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axis = 0;
    const tni_fact *x = tni_in(in, 0);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", -1), x->rank, &axis);
    for (uint32_t i = 0; i < x->rank; i++) {
        dims[i] = i < axis ? x->dims[i] : tni_dim(1);
    }
    const tn_dtype dtype = (tn_dtype)tni_node_int(in->node, "stash_type", TN_DTYPE_FLOAT);
    for (uint32_t i = 1; i < in->node->output_count && status == TN_OK; i++) {
        status = tni_state(in, i, dtype, x->rank, dims);
    }
    return status;
}

tn_status tni_rule_normalization(tni_inference *in) {
    const tn_status status = tni_state_like(in, 0, 0, tni_in_dtype(in, 0));
    if (status != TN_OK || !tni_in_ranked(in, 0)) {
        return status;
    }
    if (tni_node_is(in->node, "LayerNormalization")) {
        return state_statistics(in);
    }
    const bool channels = tni_node_is(in->node, "BatchNormalization") ||
                          tni_node_is(in->node, "InstanceNormalization");
    if (!channels) {
        return TN_OK;
    }
    const tn_status checked = check_channels(in);
    // In training, and in old forms, further outputs are statistics per channel.
    tn_status stated = checked;
    for (uint32_t i = 1; i < in->node->output_count && stated == TN_OK; i++) {
        stated = tni_state_like(in, i, i % 2 == 1 ? 3 : 4, tni_in_dtype(in, 3));
    }
    return stated;
}

tn_status tni_rule_quantize(tni_inference *in) {
    tn_dtype dtype = tni_in_dtype(in, 2);
    if (dtype == TN_DTYPE_UNDEFINED) {
        dtype = (tn_dtype)tni_node_int(in->node, "output_dtype", TN_DTYPE_UINT8);
        dtype = dtype == TN_DTYPE_UNDEFINED ? TN_DTYPE_UINT8 : dtype;
    }
    return tni_state_like(in, 0, 0, dtype);
}

tn_status tni_rule_dequantize(tni_inference *in) {
    const tn_dtype asked = (tn_dtype)tni_node_int(in->node, "output_dtype", 0);
    const tn_dtype scale = tni_in_dtype(in, 1);
    return tni_state_like(in, 0, 0, asked != 0 ? asked : scale != 0 ? scale : TN_DTYPE_FLOAT);
}

tn_status tni_rule_dynamic_quantize(tni_inference *in) {
    tn_status status = tni_state_like(in, 0, 0, TN_DTYPE_UINT8);
    if (status == TN_OK) {
        status = tni_state(in, 1, TN_DTYPE_FLOAT, 0, NULL);
    }
    return status == TN_OK ? tni_state(in, 2, TN_DTYPE_UINT8, 0, NULL) : status;
}
