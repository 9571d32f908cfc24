// SPDX-License-Identifier: Apache-2.0
// Evaluates elementwise ops over small constants. Arithmetic is done in binary64 and rounded once,
// which for the basic operations gives the correctly rounded result in every narrower type.
#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "graph/elements.h"
#include "graph/rewrite/rewrite_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_COUNT (TNI_FOLD_MAX_BYTES / 2u)

typedef double (*unary_fn)(double);
typedef double (*binary_fn)(double, double);

static double add(double a, double b) {
    return a + b;
}
static double subtract(double a, double b) {
    return a - b;
}
static double multiply(double a, double b) {
    return a * b;
}
static double divide(double a, double b) {
    return a / b;
}
static double negate(double a) {
    return -a;
}
static double reciprocal(double a) {
    return 1.0 / a;
}

static unary_fn find_unary(const tni_node *node) {
    static const struct {
        const char *op_type;
        unary_fn fn;
    } rows[] = {{"Neg", negate}, {"Sqrt", sqrt},   {"Abs", fabs},
                {"Ceil", ceil},  {"Floor", floor}, {"Reciprocal", reciprocal}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (tni_node_is(node, rows[i].op_type)) {
            return rows[i].fn;
        }
    }
    return NULL;
}

static binary_fn find_binary(const tni_node *node) {
    static const struct {
        const char *op_type;
        binary_fn fn;
    } rows[] = {{"Add", add}, {"Sub", subtract}, {"Mul", multiply}, {"Div", divide}, {"Pow", pow}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (tni_node_is(node, rows[i].op_type)) {
            return rows[i].fn;
        }
    }
    return NULL;
}

// Room for one evaluation: up to two operands and the result, as doubles.
typedef struct {
    tni_model *model;
    tn_error *error;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t count;
    double *operands[2];
    uint64_t operand_counts[2];
    double *result;
} evaluation;

static tn_status load_operand(evaluation *e, uint32_t which, const tni_constant *constant) {
    const uint64_t count = constant->element_count;
    double *values = tni_alloc_array(&e->model->alloc, count + 1, sizeof *values);
    if (values == NULL) {
        return tni_fail_plain(e->error, TN_ERROR_OUT_OF_MEMORY, "constant folding");
    }
    e->operands[which] = values;
    e->operand_counts[which] = count;
    return tni_elements_read(e->model, (uint32_t)(constant - e->model->constants), 0, count, values,
                             e->error);
}

// Steps of an operand along the dims of the result; 0 where it is broadcast.
static void strides_of(const evaluation *e, const tni_constant *constant, uint64_t *strides) {
    uint64_t stride = 1;
    for (uint32_t i = 0; i < e->rank; i++) {
        const uint32_t at = e->rank - 1 - i;
        strides[at] = 0;
        if (i < constant->rank) {
            const int64_t size = constant->dims[constant->rank - 1 - i];
            strides[at] = size == 1 ? 0 : stride;
            stride *= (uint64_t)size;
        }
    }
}

static void apply_binary(evaluation *e, binary_fn fn, const tni_constant *a,
                         const tni_constant *b) {
    uint64_t steps[2][TN_MAX_RANK];
    int64_t index[TN_MAX_RANK] = {0};
    uint64_t at[2] = {0, 0};
    strides_of(e, a, steps[0]);
    strides_of(e, b, steps[1]);
    for (uint64_t i = 0; i < e->count; i++) {
        e->result[i] = fn(e->operands[0][at[0]], e->operands[1][at[1]]);
        for (uint32_t k = e->rank; k-- > 0;) {
            at[0] += steps[0][k];
            at[1] += steps[1][k];
            if (++index[k] < e->dims[k]) {
                break;
            }
            at[0] -= steps[0][k] * (uint64_t)index[k];
            at[1] -= steps[1][k] * (uint64_t)index[k];
            index[k] = 0;
        }
    }
}

static tn_status store_result(evaluation *e, tn_dtype dtype, uint32_t *out_constant) {
    tni_constant_info info = {
        .dtype = dtype, .rank = e->rank, .dims = e->dims, .kind = TNI_CONSTANT_OWNED};
    tn_status status = TN_ERROR_INVALID_ARGUMENT;
    if (tni_size_of_elements(dtype, e->count, &info.size_bytes)) {
        status = tni_model_add_constant(e->model, &info, out_constant);
    }
    if (status != TN_OK) {
        return tni_fail_plain(e->error, status, "constant folding");
    }
    // Owned bytes were made a moment ago, zeroed, for exactly this.
    uint8_t *bytes = (uint8_t *)(uintptr_t)e->model->constants[*out_constant].bytes;
    tni_elements_encode(dtype, e->result, e->count, bytes);
    return TN_OK;
}

static tn_status evaluate(evaluation *e, const tni_node *node, tn_dtype dtype,
                          uint32_t *out_constant) {
    const unary_fn unary = find_unary(node);
    const tni_constant *a = tni_node_constant(e->model, node, 0);
    const tni_constant *b = unary == NULL ? tni_node_constant(e->model, node, 1) : NULL;
    tn_status status = load_operand(e, 0, a);
    if (status == TN_OK && b != NULL) {
        status = load_operand(e, 1, b);
    }
    e->result = tni_alloc_array(&e->model->alloc, e->count + 1, sizeof *e->result);
    if (status == TN_OK && e->result == NULL) {
        status = tni_fail_plain(e->error, TN_ERROR_OUT_OF_MEMORY, "constant folding");
    }
    if (status != TN_OK) {
        return status;
    }
    assert(e->result != NULL && (b != NULL || unary != NULL));
    if (b != NULL) {
        apply_binary(e, find_binary(node), a, b);
    } else {
        for (uint64_t i = 0; i < e->count; i++) {
            e->result[i] = unary(e->operands[0][i]);
        }
    }
    return store_result(e, dtype, out_constant);
}

// Whether all operands are small constants of the result's float type.
static bool is_foldable(const tni_model *model, const tni_node *node, tn_dtype dtype) {
    const uint32_t operands = find_unary(node) != NULL ? 1 : find_binary(node) != NULL ? 2 : 0;
    if (operands == 0 || node->input_count != operands || !tni_elements_encodable(dtype)) {
        return false;
    }
    for (uint32_t i = 0; i < operands; i++) {
        const tni_constant *constant = tni_node_constant(model, node, i);
        if (constant == NULL || constant->dtype != dtype || constant->element_count > MAX_COUNT ||
            constant->element_count == 0) {
            return false;
        }
    }
    // Broadcasting followed other rules before opset 7.
    return operands == 1 || node->since_version >= 7;
}

// Whether a cast of these numbers to an integer type means the same everywhere: nothing is cut off
// by the range. ONNX leaves open what becomes of the rest.
static bool all_fit(const double *values, uint64_t count, tn_dtype to) {
    const uint32_t bits = tni_dtype_bits(to);
    const bool is_unsigned = to == TN_DTYPE_UINT8 || to == TN_DTYPE_UINT16 || to == TN_DTYPE_UINT32;
    // 2^53 bounds what a double tells apart; wider types are folded below it.
    const double high = bits >= 53 ? 9007199254740992.0 : ldexp(1.0, (int)bits - !is_unsigned);
    const double low = is_unsigned ? 0.0 : -high;
    for (uint64_t i = 0; i < count; i++) {
        if (!(trunc(values[i]) >= low && trunc(values[i]) < high)) {
            return false;
        }
    }
    return true;
}

// Writes numbers that fit, cut toward zero, as little-endian integers.
static void encode_integers(const double *values, uint64_t count, uint32_t bytes_each,
                            uint8_t *out) {
    for (uint64_t i = 0; i < count; i++) {
        const int64_t value = (int64_t)values[i];
        memcpy(out + i * bytes_each, &value, bytes_each);
    }
}

static tn_status cast_values(evaluation *e, const tni_constant *x, tn_dtype to,
                             uint32_t *out_constant) {
    const uint32_t bytes_each = tni_dtype_bits(to) / 8;
    int64_t dims[TN_MAX_RANK];
    const tn_status loaded = load_operand(e, 0, x);
    if (loaded != TN_OK || !all_fit(e->operands[0], x->element_count, to)) {
        return loaded;
    }
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    const tni_constant_info info = {.dtype = to,
                                    .rank = x->rank,
                                    .dims = dims,
                                    .kind = TNI_CONSTANT_OWNED,
                                    .size_bytes = x->element_count * bytes_each};
    const uint64_t count = x->element_count; // adding a constant moves the record
    const tn_status status = tni_model_add_constant(e->model, &info, out_constant);
    if (status != TN_OK) {
        return tni_fail_plain(e->error, status, "constant folding");
    }
    uint8_t *bytes = (uint8_t *)(uintptr_t)e->model->constants[*out_constant].bytes;
    encode_integers(e->operands[0], count, bytes_each, bytes);
    return TN_OK;
}

tn_status tni_fold_cast_to_integer(tni_model *model, const tni_constant *x, tn_dtype to,
                                   uint32_t *out_constant, tn_error *error) {
    evaluation e = {.model = model, .error = error};
    if (!tni_dtype_is_integer(to) || tni_dtype_bits(to) < 8 || to == TN_DTYPE_UINT64 ||
        !tni_elements_decodable(x->dtype) || x->element_count == 0 ||
        x->element_count > MAX_COUNT / 4) {
        return TN_OK;
    }
    const tn_status status = cast_values(&e, x, to, out_constant);
    tni_free_array(&model->alloc, e.operands[0], e.operand_counts[0] + 1, sizeof(double));
    return status;
}

tn_status tni_fold_small(tni_model *model, const tni_node *node, uint32_t *out_constant,
                         tn_error *error) {
    evaluation e = {.model = model, .error = error};
    const tn_dtype dtype = model->values[node->outputs[0]].dtype;
    uint64_t size_bytes = 0;
    if (!is_foldable(model, node, dtype) ||
        !tni_static_dims(model, node->outputs[0], &e.rank, e.dims) ||
        !tni_count_of_dims(e.dims, e.rank, &e.count) ||
        !tni_size_of_elements(dtype, e.count, &size_bytes) || size_bytes > TNI_FOLD_MAX_BYTES) {
        return TN_OK;
    }
    const tn_status status = evaluate(&e, node, dtype, out_constant);
    tni_free_array(&model->alloc, e.result, e.count + 1, sizeof *e.result);
    tni_free_array(&model->alloc, e.operands[1], e.operand_counts[1] + 1, sizeof(double));
    tni_free_array(&model->alloc, e.operands[0], e.operand_counts[0] + 1, sizeof(double));
    return status;
}
