// SPDX-License-Identifier: Apache-2.0
// What the comparison accepts and what it does not, value by value.
#include "onnx/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct verdict {
    bool same_type;
    suite_result result;
} verdict;

// count elements of dtype, as one dimension on both sides.
static verdict judge(suite_class kind, tn_dtype dtype, int64_t count, const void *want,
                     const void *have) {
    verdict v = {.result = {.strict = true, .tolerant = true}};
    uint8_t bytes[2][64] = {{0}};
    const uint64_t size = ((uint64_t)count * proto_dtype_bits(dtype) + 7) / 8;
    char text[SUITE_TEXT] = "";
    assert_true(size <= sizeof(bytes[0]));
    memcpy(bytes[0], want, size);
    memcpy(bytes[1], have, size);
    const proto_tensor expected = {.dtype = dtype,
                                   .rank = 1,
                                   .dims = {count},
                                   .count = (uint64_t)count,
                                   .size_bytes = size,
                                   .data = bytes[0]};
    const tn_tensor_view got = {
        .data = bytes[1], .size_bytes = size, .dtype = dtype, .rank = 1, .dims = expected.dims};
    v.same_type = suite_compare(&expected, &got, kind, &v.result, text);
    return v;
}

static verdict judge_float(suite_class kind, float want, float have) {
    return judge(kind, TN_DTYPE_FLOAT, 1, &want, &have);
}

// The float that is steps units after one.
static float after(float from, int steps) {
    for (int i = 0; i < steps; i++) {
        from = nextafterf(from, INFINITY);
    }
    return from;
}

static void compare__takes_no_other_type_or_shape(void **state) {
    (void)state;
    float data[4] = {0};
    static const int64_t other[] = {4};
    static const int64_t turned[] = {1, 4};
    char text[SUITE_TEXT] = "";
    const proto_tensor expected = {
        .dtype = TN_DTYPE_FLOAT, .rank = 1, .dims = {3}, .count = 3, .data = (uint8_t *)data};
    tn_tensor_view got = {.data = data, .dtype = TN_DTYPE_INT32, .rank = 1, .dims = expected.dims};
    suite_result result = {.strict = true, .tolerant = true};
    assert_false(suite_compare(&expected, &got, SUITE_ULP, &result, text));
    assert_string_equal(text, "type int32 instead of float");
    assert_false(result.strict || result.tolerant);
    got.dtype = TN_DTYPE_FLOAT;
    got.dims = other;
    assert_false(suite_compare(&expected, &got, SUITE_ULP, &result, text));
    got.rank = 2;
    got.dims = turned;
    assert_false(suite_compare(&expected, &got, SUITE_RANDOM, &result, text));
}

static void compare__wants_nan_for_nan_and_infinity_for_infinity(void **state) {
    (void)state;
    static const struct {
        const char *name;
        float want;
        float have;
        bool good;
    } cases[] = {
        {"NaN", NAN, NAN, true},
        {"NaN of another sign", NAN, -NAN, true},
        {"a number for NaN", NAN, 1.0f, false},
        {"NaN for a number", 1.0f, NAN, false},
        {"infinity", INFINITY, INFINITY, true},
        {"the other infinity", INFINITY, -INFINITY, false},
        {"the largest number for infinity", INFINITY, 3.4028235e38f, false},
        {"NaN for infinity", INFINITY, NAN, false},
        {"zero of another sign", 0.0f, -0.0f, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int kind = SUITE_EXACT; kind <= SUITE_DOT; kind++) {
            const verdict v = judge_float((suite_class)kind, cases[i].want, cases[i].have);
            if (v.result.strict != cases[i].good || v.result.tolerant != cases[i].good) {
                fail_msg("%s, class %d", cases[i].name, kind);
            }
            assert_true(cases[i].good || isinf(v.result.max_range_error));
        }
    }
}

static void compare__keeps_the_limit_of_the_class(void **state) {
    (void)state;
    assert_true(judge_float(SUITE_EXACT, 1.0f, 1.0f).result.strict);
    assert_false(judge_float(SUITE_EXACT, 1.0f, after(1.0f, 1)).result.strict);
    assert_true(judge_float(SUITE_EXACT, 1.0f, after(1.0f, 1)).result.tolerant);
    assert_true(judge_float(SUITE_ULP, 1.0f, after(1.0f, 16)).result.strict);
    assert_false(judge_float(SUITE_ULP, 1.0f, after(1.0f, 17)).result.strict);
    assert_true(judge_float(SUITE_DOT, 1.0f, after(1.0f, 64)).result.strict);
    assert_false(judge_float(SUITE_DOT, 1.0f, after(1.0f, 65)).result.strict);
    assert_true(judge_float(SUITE_ULP, 1.0f, after(1.0f, 5)).result.max_ulp == 5.0);
    assert_true(judge_float(SUITE_ULP, 1.0f, 1.0009f).result.tolerant);
    assert_false(judge_float(SUITE_DOT, 1.0f, 1.0011f).result.tolerant);
    assert_true(judge_float(SUITE_RANDOM, 1.0f, 2.0f).result.strict);
}

// Units at zero are those of the smallest numbers, not of one.
static void compare__measures_what_should_be_zero(void **state) {
    (void)state;
    assert_true(judge_float(SUITE_ULP, 0.0f, after(0.0f, 16)).result.strict);
    assert_false(judge_float(SUITE_ULP, 0.0f, 5e-8f).result.strict);
    assert_true(judge_float(SUITE_ULP, 0.0f, 5e-8f).result.tolerant);
    assert_false(judge_float(SUITE_ULP, 0.0f, 5e-7f).result.tolerant);
}

// Sums are judged by the largest element of the tensor.
static void compare__scales_sums_by_the_largest_element(void **state) {
    (void)state;
    const float want[] = {1.0f, 1024.0f};
    const float have[] = {after(1.0f, 1024), 1024.0f};
    assert_true(judge(SUITE_REDUCTION, TN_DTYPE_FLOAT, 2, want, have).result.strict);
    assert_false(judge(SUITE_ULP, TN_DTYPE_FLOAT, 2, want, have).result.strict);
}

static void compare__reads_narrow_floats(void **state) {
    (void)state;
    static const uint16_t one_half = 0x3c00;
    static const uint16_t next_half = 0x3c01;
    static const uint16_t half_nan = 0x7e00;
    static const uint16_t half_inf = 0x7c00;
    static const uint16_t one_brain = 0x3f80;
    static const uint16_t next_brain = 0x3f81;
    assert_true(judge(SUITE_ULP, TN_DTYPE_FLOAT16, 1, &one_half, &next_half).result.max_ulp == 1.0);
    assert_true(judge(SUITE_ULP, TN_DTYPE_BFLOAT16, 1, &one_brain, &next_brain).result.max_ulp ==
                1.0);
    assert_false(judge(SUITE_ULP, TN_DTYPE_FLOAT16, 1, &one_half, &half_nan).result.tolerant);
    assert_false(judge(SUITE_ULP, TN_DTYPE_FLOAT16, 1, &half_inf, &half_nan).result.tolerant);
}

static void compare__leaves_bits_behind_packed_elements_alone(void **state) {
    (void)state;
    static const uint8_t want[] = {0x21, 0x03};
    static const uint8_t tail[] = {0x21, 0xf3};
    static const uint8_t wrong[] = {0x21, 0x04};
    assert_true(judge(SUITE_EXACT, TN_DTYPE_UINT4, 3, want, tail).result.strict);
    assert_false(judge(SUITE_EXACT, TN_DTYPE_UINT4, 4, want, tail).result.strict);
    assert_false(judge(SUITE_EXACT, TN_DTYPE_UINT4, 3, want, wrong).result.strict);
    assert_false(judge(SUITE_EXACT, TN_DTYPE_UINT4, 3, want, wrong).result.tolerant);
}

static void compare__takes_integers_by_value(void **state) {
    (void)state;
    static const int64_t want = -10000;
    static const int64_t near = -10001;
    static const int64_t far = -10011;
    static const uint8_t yes = 1;
    static const uint8_t no = 0;
    assert_false(judge(SUITE_EXACT, TN_DTYPE_INT64, 1, &want, &near).result.strict);
    assert_true(judge(SUITE_EXACT, TN_DTYPE_INT64, 1, &want, &near).result.tolerant);
    assert_false(judge(SUITE_EXACT, TN_DTYPE_INT64, 1, &want, &far).result.tolerant);
    assert_false(judge(SUITE_EXACT, TN_DTYPE_BOOL, 1, &yes, &no).result.tolerant);
}

static void compare__looks_at_both_parts_of_complex_numbers(void **state) {
    (void)state;
    static const float want[] = {1.0f, 1.0f};
    static const float other_real[] = {2.0f, 1.0f};
    static const float other_imaginary[] = {1.0f, 1.0078125f};
    assert_true(judge(SUITE_ULP, TN_DTYPE_COMPLEX64, 1, want, want).result.strict);
    assert_false(judge(SUITE_ULP, TN_DTYPE_COMPLEX64, 1, want, other_real).result.tolerant);
    assert_false(judge(SUITE_ULP, TN_DTYPE_COMPLEX64, 1, want, other_imaginary).result.tolerant);
}

static void class_of_op__is_that_of_its_rounding(void **state) {
    (void)state;
    assert_int_equal(suite_class_of_op("Transpose"), SUITE_EXACT);
    assert_int_equal(suite_class_of_op("Exp"), SUITE_ULP);
    assert_int_equal(suite_class_of_op("Softmax"), SUITE_REDUCTION);
    assert_int_equal(suite_class_of_op("MatMul"), SUITE_DOT);
    assert_int_equal(suite_class_of_op("RandomNormal"), SUITE_RANDOM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare__takes_no_other_type_or_shape),
        cmocka_unit_test(compare__wants_nan_for_nan_and_infinity_for_infinity),
        cmocka_unit_test(compare__keeps_the_limit_of_the_class),
        cmocka_unit_test(compare__measures_what_should_be_zero),
        cmocka_unit_test(compare__scales_sums_by_the_largest_element),
        cmocka_unit_test(compare__reads_narrow_floats),
        cmocka_unit_test(compare__leaves_bits_behind_packed_elements_alone),
        cmocka_unit_test(compare__takes_integers_by_value),
        cmocka_unit_test(compare__looks_at_both_parts_of_complex_numbers),
        cmocka_unit_test(class_of_op__is_that_of_its_rounding),
    };
    return cmocka_run_group_tests_name("conformance compare", tests, NULL, NULL);
}
