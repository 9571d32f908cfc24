// SPDX-License-Identifier: Apache-2.0
// Single ops: the corners that ONNX's own node tests leave out, and the reasons of refusals.
#include "support/abi_host.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

// One operand: type, up to three dims (the rank is how many are given), bytes.
typedef struct operand {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[3];
    const void *data;
    uint64_t size_bytes;
} operand;

#define OPERAND(type, array, ...)                                                                  \
    {                                                                                              \
        (type), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}, (array),        \
            sizeof(array)                                                                          \
    }

enum { BYTES = 256 };

// Runs one node whose inputs are all ports; what it ended with. Output starts as 0x5a.
static tn_status run_op(const char *op, uint32_t version, const operand *inputs,
                        uint32_t input_count, const operand *result,
                        void (*attributes)(view_builder *b), unsigned char output[BYTES],
                        tn_error *error) {
    view_builder *b = view_builder_create();
    uint32_t ids[5];
    void *buffers[6] = {NULL};
    unsigned char copies[5][BYTES];
    for (uint32_t i = 0; i < input_count; ++i) {
        ids[i] = view_builder_value(b, inputs[i].dtype, inputs[i].rank, inputs[i].dims);
        memcpy(copies[i], inputs[i].data, inputs[i].size_bytes);
        buffers[i] = copies[i];
    }
    const uint32_t y = view_builder_value(b, result->dtype, result->rank, result->dims);
    view_builder_node(b, op, version, ids, input_count, &y, 1);
    if (attributes != NULL) {
        attributes(b);
    }
    for (uint32_t i = 0; i < input_count; ++i) {
        view_builder_input(b, ids[i]);
    }
    view_builder_output(b, y);
    memset(output, 0x5a, BYTES);
    buffers[input_count] = output;
    *error = (tn_error){.struct_size = (uint32_t)sizeof *error, .struct_type = TN_STRUCT_ERROR};
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    abi_host_init(&host, b);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, error), TN_OK);
    tn_status status =
        abi_program_open(&plugin, view_builder_finish(b, 0), NULL, 0, &program, error);
    if (status == TN_OK) {
        status = abi_program_run(&program, buffers, error);
        abi_program_close(&program);
    }
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    view_builder_destroy(b);
    return status;
}

// Compares every byte of the node's one output.
static void check_op(const char *op, uint32_t version, const operand *inputs, uint32_t input_count,
                     const operand *expected, void (*attributes)(view_builder *b)) {
    unsigned char output[BYTES];
    tn_error error;
    if (run_op(op, version, inputs, input_count, expected, attributes, output, &error) != TN_OK) {
        fail_msg("%s: %s", op, error.text);
    }
    if (memcmp(output, expected->data, expected->size_bytes) != 0) {
        fail_msg("%s version %u: wrong bytes", op, version);
    }
    assert_int_equal(output[expected->size_bytes], 0x5a);
}

static void set_fmod(view_builder *b) {
    view_builder_int(b, "fmod", 1);
}

static void integers__wrap_divide_and_compare_in_their_own_type(void **state) {
    (void)state;
    const int8_t a8[] = {127, -128, -7, 7};
    const int8_t b8[] = {1, -1, 2, -2};
    const int8_t zero8[] = {0, 0, 0, 0};
    const int8_t sum8[] = {-128, 127, -5, 5};
    const int8_t quotient8[] = {127, -128, -3, -3};
    const int8_t floor_mod8[] = {0, 0, 1, -1};
    const int8_t trunc_mod8[] = {0, 0, -1, 1};
    const operand pair[] = {OPERAND(TN_DTYPE_INT8, a8, 4), OPERAND(TN_DTYPE_INT8, b8, 4)};
    const operand by_zero[] = {OPERAND(TN_DTYPE_INT8, a8, 4), OPERAND(TN_DTYPE_INT8, zero8, 4)};
    check_op("Add", 14, pair, 2, &(operand)OPERAND(TN_DTYPE_INT8, sum8, 4), NULL);
    check_op("Div", 14, pair, 2, &(operand)OPERAND(TN_DTYPE_INT8, quotient8, 4), NULL);
    check_op("Div", 14, by_zero, 2, &(operand)OPERAND(TN_DTYPE_INT8, zero8, 4), NULL);
    check_op("Mod", 13, pair, 2, &(operand)OPERAND(TN_DTYPE_INT8, floor_mod8, 4), NULL);
    check_op("Mod", 13, pair, 2, &(operand)OPERAND(TN_DTYPE_INT8, trunc_mod8, 4), set_fmod);
    const uint64_t big[] = {UINT64_MAX, 1};
    const uint64_t one[] = {1, UINT64_MAX};
    const uint8_t greater[] = {1, 0};
    const operand words[] = {OPERAND(TN_DTYPE_UINT64, big, 2), OPERAND(TN_DTYPE_UINT64, one, 2)};
    check_op("Greater", 13, words, 2, &(operand)OPERAND(TN_DTYPE_BOOL, greater, 2), NULL);
    const int64_t close[] = {9007199254740993, 1};
    const int64_t near_it[] = {9007199254740992, 1};
    const uint8_t equal[] = {0, 1};
    const operand longs[] = {OPERAND(TN_DTYPE_INT64, close, 2),
                             OPERAND(TN_DTYPE_INT64, near_it, 2)};
    check_op("Equal", 19, longs, 2, &(operand)OPERAND(TN_DTYPE_BOOL, equal, 2), NULL);
    check_op("Max", 13, longs, 2, &(operand)OPERAND(TN_DTYPE_INT64, close, 2), NULL);
}

static void broadcasting__repeats_axes_of_size_one(void **state) {
    (void)state;
    const float column[] = {10, 20};
    const float row[] = {1, 2, 3};
    const float sums[] = {11, 12, 13, 21, 22, 23};
    const float differences[] = {9, 8, 7, 19, 18, 17};
    const operand pair[] = {OPERAND(TN_DTYPE_FLOAT, column, 2, 1), OPERAND(TN_DTYPE_FLOAT, row, 3)};
    check_op("Add", 14, pair, 2, &(operand)OPERAND(TN_DTYPE_FLOAT, sums, 2, 3), NULL);
    check_op("Sub", 14, pair, 2, &(operand)OPERAND(TN_DTYPE_FLOAT, differences, 2, 3), NULL);
    check_op("Sum", 13, pair, 2, &(operand)OPERAND(TN_DTYPE_FLOAT, sums, 2, 3), NULL);
}

static void cast__rounds_once_and_saturates(void **state) {
    (void)state;
    // Halfway and beyond: ties to even, the smallest subnormal, overflow to infinity.
    const double numbers[] = {1.00048828125, 1.00146484375, 5.9604644775390625e-08, 65520.0, -0.0};
    const uint16_t halves[] = {0x3c00, 0x3c02, 0x0001, 0x7c00, 0x8000};
    const operand doubles[] = {OPERAND(TN_DTYPE_DOUBLE, numbers, 5)};
    check_op("Cast", 19, doubles, 1, &(operand)OPERAND(TN_DTYPE_FLOAT16, halves, 5), NULL);
    const float brains_in[] = {1.00390625f, 1.01171875f};
    const uint16_t brains[] = {0x3f80, 0x3f82};
    const operand floats[] = {OPERAND(TN_DTYPE_FLOAT, brains_in, 2)};
    check_op("Cast", 19, floats, 1, &(operand)OPERAND(TN_DTYPE_BFLOAT16, brains, 2), NULL);
    const float wild[] = {300.7f, -300.7f, -1.9f, (float)NAN};
    const int8_t bytes[] = {127, -128, -1, 0};
    const uint8_t truths[] = {1, 1, 1, 1};
    const operand wilds[] = {OPERAND(TN_DTYPE_FLOAT, wild, 4)};
    check_op("Cast", 19, wilds, 1, &(operand)OPERAND(TN_DTYPE_INT8, bytes, 4), NULL);
    check_op("Cast", 19, wilds, 1, &(operand)OPERAND(TN_DTYPE_BOOL, truths, 4), NULL);
    const int64_t longs[] = {16777217, -1};
    const float nearest[] = {16777216.0f, -1.0f};
    const operand ints[] = {OPERAND(TN_DTYPE_INT64, longs, 2)};
    check_op("Cast", 19, ints, 1, &(operand)OPERAND(TN_DTYPE_FLOAT, nearest, 2), NULL);
}

static void halve_and_double(view_builder *b) {
    view_builder_float(b, "alpha", 0.5f);
    view_builder_float(b, "beta", 2.0f);
}

static void gemm__scales_integers_too(void **state) {
    (void)state;
    const int32_t a[] = {1, 2, 3, 4};
    const int32_t c[] = {100, 200};
    const int32_t plain[] = {107, 210, 115, 222};
    const int32_t scaled[] = {203, 405, 207, 411};
    const operand inputs[] = {OPERAND(TN_DTYPE_INT32, a, 2, 2), OPERAND(TN_DTYPE_INT32, a, 2, 2),
                              OPERAND(TN_DTYPE_INT32, c, 2)};
    check_op("Gemm", 13, inputs, 3, &(operand)OPERAND(TN_DTYPE_INT32, plain, 2, 2), NULL);
    check_op("Gemm", 13, inputs, 3, &(operand)OPERAND(TN_DTYPE_INT32, scaled, 2, 2),
             halve_and_double);
}

static void not_a_number__passes_through(void **state) {
    (void)state;
    const float nan = (float)NAN;
    const float a[] = {nan, 1, -1};
    const float b[] = {1, nan, 2};
    const float largest[] = {nan, nan, 2};
    const float relu[] = {nan, 1, 0};
    const operand pair[] = {OPERAND(TN_DTYPE_FLOAT, a, 3), OPERAND(TN_DTYPE_FLOAT, b, 3)};
    check_op("Max", 13, pair, 2, &(operand)OPERAND(TN_DTYPE_FLOAT, largest, 3), NULL);
    check_op("Relu", 14, pair, 1, &(operand)OPERAND(TN_DTYPE_FLOAT, relu, 3), NULL);
    const float wide[] = {nan, 9, -9};
    const float hard[] = {nan, 1, 0};
    const float swish[] = {nan, 9, -0.0f};
    const operand wides[] = {OPERAND(TN_DTYPE_FLOAT, wide, 3)};
    check_op("HardSigmoid", 6, wides, 1, &(operand)OPERAND(TN_DTYPE_FLOAT, hard, 3), NULL);
    check_op("HardSwish", 14, wides, 1, &(operand)OPERAND(TN_DTYPE_FLOAT, swish, 3), NULL);
    const float sign_in[] = {nan, -0.0f, -9};
    const float sign[] = {nan, 0, -1};
    check_op("Sign", 13, &(operand)OPERAND(TN_DTYPE_FLOAT, sign_in, 3), 1,
             &(operand)OPERAND(TN_DTYPE_FLOAT, sign, 3), NULL);
    const float celu[] = {nan, 1, -0.5f};
    const float celu_in[] = {nan, 1, -0.693147180559945f};
    check_op("Celu", 12, &(operand)OPERAND(TN_DTYPE_FLOAT, celu_in, 3), 1,
             &(operand)OPERAND(TN_DTYPE_FLOAT, celu, 3), NULL);
}

static void last_of_equals(view_builder *b) {
    view_builder_int(b, "select_last_index", 1);
}

// The first NaN is both the largest and the smallest, as in numpy.
static void not_a_number__is_the_extreme(void **state) {
    (void)state;
    const float x[] = {1, (float)NAN, 3, (float)NAN, 0};
    const int64_t first[] = {1};
    const int64_t last[] = {3};
    const float one_hot[] = {0, 1, 0, 0, 0};
    const operand input = OPERAND(TN_DTYPE_FLOAT, x, 5);
    const operand at_first = OPERAND(TN_DTYPE_INT64, first, 1);
    const operand at_last = OPERAND(TN_DTYPE_INT64, last, 1);
    check_op("ArgMax", 13, &input, 1, &at_first, NULL);
    check_op("ArgMin", 13, &input, 1, &at_first, NULL);
    check_op("ArgMax", 13, &input, 1, &at_last, last_of_equals);
    check_op("ArgMin", 13, &input, 1, &at_last, last_of_equals);
    check_op("Hardmax", 13, &input, 1, &(operand)OPERAND(TN_DTYPE_FLOAT, one_hot, 5), NULL);
}

// One number in each place runs; two, in each place in turn, are refused.
static void check_scalars(const char *op, uint32_t version, const operand *inputs,
                          uint32_t input_count, uint32_t first, const operand *result) {
    unsigned char output[BYTES];
    tn_error error;
    operand changed[5];
    memcpy(changed, inputs, input_count * sizeof *inputs);
    assert_int_equal(run_op(op, version, changed, input_count, result, NULL, output, &error),
                     TN_OK);
    for (uint32_t i = first; i < input_count; ++i) {
        changed[i].dims[0] = 2;
        const tn_status status =
            run_op(op, version, changed, input_count, result, NULL, output, &error);
        if (status != TN_ERROR_INVALID_DATA && status != TN_ERROR_UNSUPPORTED) {
            fail_msg("%s, operand %u: status %d", op, i, status);
        }
        changed[i].dims[0] = 1;
    }
}

static void scalars__are_single_elements(void **state) {
    (void)state;
    const float x[] = {1, 2, 3, 4};
    const float half[] = {0.5f, 0.5f};
    const int64_t one[] = {1, 1};
    const uint8_t no[] = {0, 0};
    const int64_t boxes_found[] = {0, 0, 0};
    const operand number = {TN_DTYPE_FLOAT, 1, {1}, half, sizeof half};
    const operand integer = {TN_DTYPE_INT64, 1, {1}, one, sizeof one};
    const operand flag = {TN_DTYPE_BOOL, 1, {1}, no, sizeof no};
    const operand matrix = OPERAND(TN_DTYPE_FLOAT, x, 2, 2);
    check_scalars("Trilu", 14, (const operand[]){matrix, integer}, 2, 1, &matrix);
    check_scalars("Dropout", 13, (const operand[]){matrix, number, flag}, 3, 1, &matrix);
    const operand box = OPERAND(TN_DTYPE_FLOAT, x, 1, 1, 4);
    const operand score = {TN_DTYPE_FLOAT, 3, {1, 1, 1}, x + 1, sizeof *x};
    check_scalars("NonMaxSuppression", 11, (const operand[]){box, score, integer, number, number},
                  5, 2, &(operand)OPERAND(TN_DTYPE_INT64, boxes_found, 1, 3));
    const operand signal = OPERAND(TN_DTYPE_FLOAT, x, 1, 2, 2);
    check_scalars(
        "DFT", 20,
        (const operand[]){signal, {TN_DTYPE_INT64, 1, {1}, (const int64_t[]){2, 2}, 16}, integer},
        3, 1, &signal);
}

static void symmetric(view_builder *b) {
    view_builder_int(b, "periodic", 0);
}

// The function's body divides 0 by 0 for a symmetric window of one sample.
static void window__of_one_sample_is_what_its_formula_says(void **state) {
    (void)state;
    const int64_t size[] = {1};
    const operand input = {TN_DTYPE_INT64, 0, {0}, size, sizeof size};
    const float one[] = {0};
    const operand output = OPERAND(TN_DTYPE_FLOAT, one, 1);
    unsigned char bytes[BYTES];
    float y = 0.0f;
    tn_error error;
    check_op("HannWindow", 17, &input, 1, &output, NULL);
    assert_int_equal(run_op("HannWindow", 17, &input, 1, &output, symmetric, bytes, &error), TN_OK);
    memcpy(&y, bytes, sizeof y);
    assert_true(isnan(y));
}

// The mean of squares is infinite, nothing else is.
static void rms_normalization__divides_by_infinity(void **state) {
    (void)state;
    const float x[] = {(float)INFINITY, 2, -3};
    const float scale[] = {1, 1, 1};
    // Which NaN infinity times 0 is depends on the processor.
    volatile double infinite = (double)INFINITY;
    const float y[] = {(float)(infinite * 0.0), 0, -0.0f};
    const operand pair[] = {OPERAND(TN_DTYPE_FLOAT, x, 1, 3), OPERAND(TN_DTYPE_FLOAT, scale, 3)};
    check_op("RMSNormalization", 23, pair, 2, &(operand)OPERAND(TN_DTYPE_FLOAT, y, 1, 3), NULL);
}

static void quantize__rounds_half_to_even(void **state) {
    (void)state;
    const float x[] = {0.5f, 1.5f, -0.5f, 300.0f, -300.0f};
    const float scale[] = {1.0f};
    const uint8_t zero[] = {10};
    const uint8_t q[] = {10, 12, 10, 255, 0};
    const float back[] = {0, 2, 0, 245, -10};
    const operand inputs[] = {OPERAND(TN_DTYPE_FLOAT, x, 5), OPERAND(TN_DTYPE_FLOAT, scale, 1),
                              OPERAND(TN_DTYPE_UINT8, zero, 1)};
    const operand quantized[] = {OPERAND(TN_DTYPE_UINT8, q, 5), OPERAND(TN_DTYPE_FLOAT, scale, 1),
                                 OPERAND(TN_DTYPE_UINT8, zero, 1)};
    check_op("QuantizeLinear", 13, inputs, 3, &quantized[0], NULL);
    check_op("DequantizeLinear", 13, quantized, 3, &(operand)OPERAND(TN_DTYPE_FLOAT, back, 5),
             NULL);
}

// What a refusal says, for one way to be refused each.
static void set_unsaturated(view_builder *b) {
    view_builder_int(b, "saturate", 0);
}

// Codes worked out by hand from the tables in the ONNX documents.
static void cast__gives_the_codes_of_narrow_formats(void **state) {
    (void)state;
    const double half_in[] = {1.0, 65520.0, 65519.0, 0x1p-24, 0x1p-25, -2.0};
    const uint16_t half_out[] = {0x3c00, 0x7c00, 0x7bff, 0x0001, 0x0000, 0xc000};
    const double e4m3_in[] = {448.0, 464.0, 465.0, -1e9, 1.0625, -0.0};
    const uint8_t e4m3_out[] = {0x7e, 0x7e, 0x7e, 0xfe, 0x38, 0x80};
    const uint8_t e4m3_unsaturated[] = {0x7e, 0x7e, 0x7f, 0xff, 0x38, 0x80};
    const uint8_t fnuz_unsaturated[] = {0x80, 0x80, 0x80, 0x80, 0x40, 0x00};
    const double e5m2_in[] = {57344.0, 1e9, -1e9, 1.125, 1.375, 0x1p-17};
    const uint8_t e5m2_unsaturated[] = {0x7b, 0x7c, 0xfc, 0x3c, 0x3e, 0x00};
    const double e2m1_in[] = {100.0, 5.0, 0.25, -0.75, 2.5, -1.0};
    const uint8_t e2m1_out[] = {0x67, 0xa0, 0xa4}; // two to a byte, the first one low
    const double power_in[] = {1.0, 2.5, 4.0, 0x1p-127, 3.0, 0x1p200};
    const uint8_t power_out[] = {127, 129, 129, 0, 129, 0xfe};
    const operand half = OPERAND(TN_DTYPE_DOUBLE, half_in, 6);
    const operand e4m3 = OPERAND(TN_DTYPE_DOUBLE, e4m3_in, 6);
    const operand e5m2 = OPERAND(TN_DTYPE_DOUBLE, e5m2_in, 6);
    const operand e2m1 = OPERAND(TN_DTYPE_DOUBLE, e2m1_in, 6);
    const operand power = OPERAND(TN_DTYPE_DOUBLE, power_in, 6);
    check_op("Cast", 28, &half, 1, &(operand)OPERAND(TN_DTYPE_FLOAT16, half_out, 6), NULL);
    check_op("Cast", 28, &e4m3, 1, &(operand)OPERAND(TN_DTYPE_FLOAT8E4M3FN, e4m3_out, 6), NULL);
    check_op("Cast", 28, &e4m3, 1, &(operand)OPERAND(TN_DTYPE_FLOAT8E4M3FN, e4m3_unsaturated, 6),
             set_unsaturated);
    check_op("Cast", 28, &e4m3, 1, &(operand)OPERAND(TN_DTYPE_FLOAT8E4M3FNUZ, fnuz_unsaturated, 6),
             set_unsaturated);
    check_op("Cast", 28, &e5m2, 1, &(operand)OPERAND(TN_DTYPE_FLOAT8E5M2, e5m2_unsaturated, 6),
             set_unsaturated);
    check_op("Cast", 28, &e2m1, 1, &(operand)OPERAND(TN_DTYPE_FLOAT4E2M1, e2m1_out, 6), NULL);
    check_op("Cast", 28, &power, 1, &(operand)OPERAND(TN_DTYPE_FLOAT8E8M0, power_out, 6), NULL);
}

static void set_floor(view_builder *b) {
    view_builder_text(b, "mode", "nearest");
    view_builder_text(b, "nearest_mode", "floor");
}

// A coordinate that is a whole number must not fall below it: 1.5 * 7 / 3 - 0.5 is 3.
static void resize__keeps_whole_coordinates_whole(void **state) {
    (void)state;
    const float x[] = {0, 1, 2, 3, 4, 5, 6};
    const int64_t sizes[] = {3};
    const float y[] = {0, 3, 5};
    view_builder *b = view_builder_create();
    const uint32_t in = view_builder_value(b, TN_DTYPE_FLOAT, 1, (const int64_t[]){7});
    const uint32_t s = view_builder_constant_value(b, TN_DTYPE_INT64, 1, (const int64_t[]){1},
                                                   sizes, sizeof sizes, TN_CONSTANT_MAPPABLE);
    const uint32_t out = view_builder_value(b, TN_DTYPE_FLOAT, 1, (const int64_t[]){3});
    view_builder_node(b, "Resize", 19, (const uint32_t[]){in, TN_NONE, TN_NONE, s}, 4, &out, 1);
    set_floor(b);
    view_builder_input(b, in);
    view_builder_output(b, out);
    tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    float input[7];
    float output[3];
    memcpy(input, x, sizeof x);
    abi_host_init(&host, b);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    assert_int_equal(
        abi_program_open(&plugin, view_builder_finish(b, 0), NULL, 0, &program, &error), TN_OK);
    assert_int_equal(abi_program_run(&program, (void *[]){input, output}, &error), TN_OK);
    assert_memory_equal(output, y, sizeof y);
    abi_program_close(&program);
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    view_builder_destroy(b);
}

typedef struct refusal {
    const char *op;
    uint32_t version;
    tn_dtype dtype;
    int64_t dim;
    uint32_t rank;
    uint32_t input_count;
    const char *attribute; // null: none
    tn_reason reason;
    uint32_t subject;
    int64_t limit;
    int64_t actual;
} refusal;

static void refusals__say_why(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"Blur", 1, TN_DTYPE_FLOAT, 4, 1, 1, NULL, TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0},
        {"Relu", 99, TN_DTYPE_FLOAT, 4, 1, 1, NULL, TN_REASON_OP_VERSION, TN_NONE, 14, 99},
        {"Relu", 1, TN_DTYPE_FLOAT, 4, 1, 1, NULL, TN_REASON_OP_VERSION, TN_NONE, 6, 1},
        {"Relu", 14, TN_DTYPE_BOOL, 4, 1, 1, NULL, TN_REASON_DTYPE, 0, 0, TN_DTYPE_BOOL},
        {"Relu", 14, TN_DTYPE_INT4, 4, 1, 1, NULL, TN_REASON_DTYPE, 0, 0, TN_DTYPE_INT4},
        {"Relu", 14, TN_DTYPE_UNDEFINED, 4, 1, 1, NULL, TN_REASON_DTYPE, 0, 0, 0},
        {"Relu", 14, TN_DTYPE_FLOAT, 4, 1, 1, "speed", TN_REASON_ATTR_UNSUPPORTED, 0, 0, 0},
        {"Relu", 14, TN_DTYPE_FLOAT, VIEW_ANONYMOUS, 1, 1, NULL, TN_REASON_DYNAMIC_SHAPE, 0, 0, -1},
        {"Relu", 14, TN_DTYPE_FLOAT, 0, TN_RANK_UNKNOWN, 1, NULL, TN_REASON_DYNAMIC_SHAPE, 0, 0,
         -1},
        {"Relu", 14, TN_DTYPE_FLOAT, 4, 1, 2, NULL, TN_REASON_OPTIONAL_INPUT, 1, 1, 2},
        {"Add", 14, TN_DTYPE_FLOAT, 4, 1, 1, NULL, TN_REASON_OPTIONAL_INPUT, 1, 2, 1},
        {"Conv", 11, TN_DTYPE_FLOAT, 4, 2, 2, NULL, TN_REASON_RANK_LIMIT, 0, 5, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        const refusal *row = &rows[i];
        view_builder *b = view_builder_create();
        const int64_t dims[] = {row->dim, row->dim};
        const uint32_t x = view_builder_value(b, row->dtype, row->rank, dims);
        const uint32_t y = view_builder_value(b, row->dtype, row->rank, dims);
        view_builder_node(b, row->op, row->version, (const uint32_t[]){x, x, x}, row->input_count,
                          &y, 1);
        if (row->attribute != NULL) {
            view_builder_int(b, row->attribute, 1);
        }
        tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
        abi_host host;
        abi_plugin plugin;
        tn_node_verdict verdict;
        abi_host_init(&host, NULL);
        assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error),
                         TN_OK);
        assert_int_equal(abi_plugin_judge(&plugin, view_builder_finish(b, 0), &verdict, &error),
                         TN_OK);
        if (verdict.answer != TN_ANSWER_NO || verdict.reason != row->reason ||
            verdict.subject != row->subject || verdict.limit != row->limit ||
            verdict.actual != row->actual) {
            fail_msg("row %zu (%s): answer %u, reason %u, subject %u, limit %lld, actual %lld", i,
                     row->op, verdict.answer, verdict.reason, verdict.subject,
                     (long long)verdict.limit, (long long)verdict.actual);
        }
        assert_int_equal(abi_plugin_close(&plugin), TN_OK);
        view_builder_destroy(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers__wrap_divide_and_compare_in_their_own_type),
        cmocka_unit_test(broadcasting__repeats_axes_of_size_one),
        cmocka_unit_test(cast__rounds_once_and_saturates),
        cmocka_unit_test(gemm__scales_integers_too),
        cmocka_unit_test(not_a_number__passes_through),
        cmocka_unit_test(not_a_number__is_the_extreme),
        cmocka_unit_test(scalars__are_single_elements),
        cmocka_unit_test(window__of_one_sample_is_what_its_formula_says),
        cmocka_unit_test(rms_normalization__divides_by_infinity),
        cmocka_unit_test(quantize__rounds_half_to_even),
        cmocka_unit_test(cast__gives_the_codes_of_narrow_formats),
        cmocka_unit_test(resize__keeps_whole_coordinates_whole),
        cmocka_unit_test(refusals__say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
