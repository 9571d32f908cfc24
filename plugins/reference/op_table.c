// SPDX-License-Identifier: Apache-2.0
// The table of ops. Columns: newest and oldest since_version, kernel, types per input, operand
// counts, attributes. Versions: a node written in a form between oldest and newest means the same
// to the kernel, or the kernel looks at since_version itself.
#include "kernels.h"

#include <assert.h>
#include <math.h>

#define F16 (REF_TYPE(TN_DTYPE_FLOAT16) | REF_TYPE(TN_DTYPE_BFLOAT16))
#define FLOATS (REF_TYPE(TN_DTYPE_FLOAT) | REF_TYPE(TN_DTYPE_DOUBLE) | F16)
#define SIGNED_INTS                                                                                \
    (REF_TYPE(TN_DTYPE_INT8) | REF_TYPE(TN_DTYPE_INT16) | REF_TYPE(TN_DTYPE_INT32) |              \
     REF_TYPE(TN_DTYPE_INT64))
#define UNSIGNED_INTS                                                                              \
    (REF_TYPE(TN_DTYPE_UINT8) | REF_TYPE(TN_DTYPE_UINT16) | REF_TYPE(TN_DTYPE_UINT32) |           \
     REF_TYPE(TN_DTYPE_UINT64))
#define INTS (SIGNED_INTS | UNSIGNED_INTS)
#define NUMBERS (FLOATS | INTS)

static double relu(double x, double a, double b) {
    (void)a;
    (void)b;
    return x < 0.0 ? 0.0 : x;
}
static uint64_t relu_int(uint64_t x, uint64_t y, uint32_t is_unsigned) {
    (void)y;
    return !is_unsigned && (int64_t)x < 0 ? 0 : x;
}
static double add(double x, double y) {
    return x + y;
}
static uint64_t add_int(uint64_t x, uint64_t y, uint32_t is_unsigned) {
    (void)is_unsigned;
    return x + y;
}

const ref_op tni_ref_ops[] = {
    {{"", "Add", 14, 7}, .run = tni_ref_binary, .types = {NUMBERS}, .input_min = 2, .input_max = 2,
     .binary = add, .integer = add_int},
    {{"", "Relu", 14, 6}, .run = tni_ref_unary, .types = {FLOATS | SIGNED_INTS}, .input_min = 1,
     .input_max = 1, .unary = relu, .integer = relu_int},
    {{"", "Conv", 22, 1}, .run = tni_ref_conv, .check = tni_ref_check_conv, .types = {FLOATS},
     .input_min = 2, .input_max = 3,
     .attributes = "auto_pad dilations group kernel_shape pads strides"},
};

static_assert(sizeof tni_ref_ops / sizeof tni_ref_ops[0] == REF_OP_COUNT, "count in ops.h");
