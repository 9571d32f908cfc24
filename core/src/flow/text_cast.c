// SPDX-License-Identifier: Apache-2.0
// Cast and CastLike between strings and numbers, as the ONNX standard defines them
// (docs/Operators.md, Cast): plain or scientific decimals, and NaN, INF, +INF, -INF. Independent of
// the program's locale.
#include "base/dtype.h"
#include "base/error.h"
#include "flow/host_ops.h"
#include "flow/text.h"
#include "graph/elements.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 64u

static tn_status bad_text(const tni_flow_run *run, const tni_node *node, tn_error *error,
                          const char *what) {
    return tni_fail_node(
        error, TN_ERROR_INVALID_DATA, "flow.text", (uint32_t)(node - run->flow->model->nodes),
        TN_NONE, "node \"%.*s\" (%.*s): %s", TNI_TEXT(node->name), TNI_TEXT(node->op_type), what);
}

// The fewest digits that read back as the same number.
static int fewest_digits(double value, bool narrow, char *text) {
    int most = narrow ? 9 : 17;
    for (int digits = 1; digits < most; digits++) {
        snprintf(text, NUMBER_BYTES, "%.*e", digits - 1, value);
        bool same = narrow ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
        if (same) {
            return digits;
        }
    }
    return most;
}

static void write_float(double value, bool narrow, char *text) {
    if (isnan(value) || isinf(value)) {
        snprintf(text, NUMBER_BYTES, "%s", isnan(value) ? "NaN" : value < 0 ? "-INF" : "INF");
        return;
    }
    int digits = fewest_digits(value, narrow, text);
    if (value != 0.0 && (fabs(value) < 1e-4 || fabs(value) >= 1e16)) {
        snprintf(text, NUMBER_BYTES, "%.*e", digits - 1, value);
        return;
    }
    int exponent = value == 0.0 ? 0 : (int)floor(log10(fabs(value)));
    int decimals = digits - 1 - exponent;
    snprintf(text, NUMBER_BYTES, "%.*f", decimals > 1 ? decimals : 1, value);
}

static void write_number(const tni_tensor *tensor, uint64_t index, char *text) {
    if (tensor->dtype == TN_DTYPE_INT64 || tensor->dtype == TN_DTYPE_UINT64) {
        int64_t value = 0;
        memcpy(&value, tensor->data + index * sizeof(value), sizeof(value));
        snprintf(text, NUMBER_BYTES, tensor->dtype == TN_DTYPE_INT64 ? "%lld" : "%llu",
                 (long long)value);
        return;
    }
    double value = 0.0;
    tni_elements_decode(tensor->dtype, tensor->data, index, 1, &value);
    if (tni_dtype_is_float(tensor->dtype)) {
        write_float(value, tensor->dtype != TN_DTYPE_DOUBLE, text);
    } else {
        snprintf(text, NUMBER_BYTES, "%.0f", value);
    }
}

// Reads one number, which must be all of the text.
static bool read_number(tn_string text, tn_dtype dtype, uint8_t *out) {
    char buffer[NUMBER_BYTES];
    char *end = NULL;
    if (text.size_bytes == 0 || text.size_bytes >= sizeof(buffer)) {
        return false;
    }
    memcpy(buffer, text.data, text.size_bytes);
    buffer[text.size_bytes] = '\0';
    if (tni_dtype_is_float(dtype)) {
        double value = strtod(buffer, &end);
        tni_elements_encode(dtype, &value, 1, out);
    } else {
        unsigned long long value = dtype == TN_DTYPE_UINT64
                                       ? strtoull(buffer, &end, 10)
                                       : (unsigned long long)strtoll(buffer, &end, 10);
        value = dtype == TN_DTYPE_BOOL ? value != 0 : value;
        memcpy(out, &value, tni_dtype_bits(dtype) / 8);
    }
    return *end == '\0';
}

static tn_status to_texts(tni_flow_run *run, const tni_tensor *from, tni_tensor **out_tensor,
                          tn_error *error) {
    uint64_t count = tni_texts_count(from);
    char(*numbers)[NUMBER_BYTES] = tni_alloc_array(&run->alloc, count + 1, NUMBER_BYTES);
    tn_string *texts = tni_alloc_array(&run->alloc, count + 1, sizeof(*texts));
    tn_status status = numbers != NULL && texts != NULL
                           ? TN_OK
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "strings");
    for (uint64_t i = 0; i < count && status == TN_OK; i++) {
        write_number(from, i, numbers[i]);
        texts[i] = tni_string_of(numbers[i]);
    }
    if (status == TN_OK) {
        status = tni_texts_create(&run->store, from->rank, from->dims, texts, out_tensor, error);
    }
    tni_free_array(&run->alloc, texts, count + 1, sizeof(*texts));
    tni_free_array(&run->alloc, numbers, count + 1, NUMBER_BYTES);
    return status;
}

static tn_status from_texts(tni_flow_run *run, const tni_node *node, const tni_tensor *from,
                            tn_dtype to, tni_tensor **out_tensor, tn_error *error) {
    uint64_t count = tni_texts_count(from);
    tn_status status =
        tni_tensor_create(&run->store, to, from->rank, from->dims, out_tensor, error);
    for (uint64_t i = 0; i < count && status == TN_OK; i++) {
        uint8_t *at = (*out_tensor)->data + i * (tni_dtype_bits(to) / 8);
        if (!read_number(tni_texts_at(from, i), to, at)) {
            status = bad_text(run, node, error, "a string is no number");
        }
    }
    return status;
}

static bool is_number_type(tn_dtype dtype) {
    return dtype == TN_DTYPE_INT64 || dtype == TN_DTYPE_UINT64 ||
           (tni_elements_decodable(dtype) && tni_dtype_bits(dtype) % 8 == 0);
}

static tn_status convert(tni_flow_run *run, const tni_node *node, tni_tensor *from, tn_dtype to,
                         tni_tensor **out_tensor, tn_error *error) {
    if (from->dtype == TN_DTYPE_STRING && to == TN_DTYPE_STRING) {
        *out_tensor = tni_item_share(tni_item_of(from)).tensor;
        return TN_OK;
    }
    if (!is_number_type(from->dtype == TN_DTYPE_STRING ? to : from->dtype)) {
        return bad_text(run, node, error, "between strings and this type there is no cast");
    }
    return to == TN_DTYPE_STRING ? to_texts(run, from, out_tensor, error)
                                 : from_texts(run, node, from, to, out_tensor, error);
}

// In the C locale, whatever the program has set: decimals have a point.
static tn_status convert_in_c(tni_flow_run *run, const tni_node *node, tni_tensor *from,
                              tn_dtype to, tni_tensor **out_tensor, tn_error *error) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "strings");
    }
    locale_t before = uselocale(plain);
    tn_status status = convert(run, node, from, to, out_tensor, error);
    (void)uselocale(before);
    freelocale(plain);
    return status;
}

tn_status tni_op_cast_text(tni_flow_run *run, const tni_node *node, tn_error *error) {
    uint32_t value = tni_node_output(node, 0);
    tn_dtype to = tni_node_is(node, "Cast") ? (tn_dtype)tni_node_int(node, "to", TN_DTYPE_UNDEFINED)
                  : tni_operand_present(node, 1) ? run->flow->model->values[node->inputs[1]].dtype
                                                 : TN_DTYPE_UNDEFINED;
    tni_tensor *from = NULL;
    tni_tensor *made = NULL;
    tn_status status = tni_operand_tensor(run, node, 0, &from, error);
    if (status == TN_OK) {
        status = convert_in_c(run, node, from, to, &made, error);
    }
    if (status == TN_OK) {
        tni_flow_set(run, value, tni_item_of(made));
    } else {
        tni_tensor_release(made);
    }
    tni_tensor_release(from);
    return status;
}
