// SPDX-License-Identifier: Apache-2.0
// Reading test data: what it means, and that no file, however broken, is read past its end.
#include "onnx/proto.h"

#include "support/onnx_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TENSOR_OF_CONTAINER 3

static const int64_t pair[] = {2, 3};
static const float numbers[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};

static char path[] = "/tmp/tenon-proto-XXXXXX";

static int make_file(void **state) {
    (void)state;
    const int file = mkstemp(path);
    return file >= 0 ? close(file) : -1;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static suite_read read_bytes(const void *data, size_t size, tn_value_kind kind,
                             suite_value *value) {
    char text[SUITE_TEXT] = "";
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    const suite_read result = suite_value_read(path, kind, value, text);
    assert_true(result == SUITE_READ || text[0] != '\0');
    return result;
}

// A TensorProto without a field around it.
static void tensor(pb *out, uint32_t dtype, uint32_t rank, const int64_t *dims) {
    for (uint32_t i = 0; i < rank; i++) {
        pb_varint(out, 1, (uint64_t)dims[i]);
    }
    pb_varint(out, 2, dtype);
}

static void value_read__takes_raw_and_typed_data(void **state) {
    (void)state;
    suite_value value;
    pb raw = {0};
    pb typed = {0};
    tensor(&raw, TN_DTYPE_FLOAT, 2, pair);
    pb_bytes(&raw, 9, numbers, sizeof(numbers));
    tensor(&typed, TN_DTYPE_FLOAT, 2, pair);
    for (int i = 0; i < 6; i++) {
        pb_float(&typed, 4, numbers[i]); // one by one, as an old writer does
    }
    const pb *const files[] = {&raw, &typed};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_bytes(files[i]->data, files[i]->size, TN_VALUE_TENSOR, &value),
                         SUITE_READ);
        assert_int_equal(value.count, 1);
        assert_int_equal(value.tensors[0].rank, 2);
        assert_int_equal(value.tensors[0].dims[1], 3);
        assert_int_equal(value.tensors[0].count, 6);
        assert_memory_equal(value.tensors[0].data, numbers, sizeof(numbers));
        suite_value_free(&value);
    }
    pb_free(&raw);
    pb_free(&typed);
}

static void value_read__takes_negative_integers_and_halves(void **state) {
    (void)state;
    suite_value value;
    static const int64_t two[] = {2};
    static const int32_t integers[] = {-1, 7};
    static const uint16_t halves[] = {0x3c00, 0xbc00};
    pb file = {0};
    tensor(&file, TN_DTYPE_INT32, 1, two);
    pb_varint(&file, 5, UINT64_MAX); // -1, sign-extended as protobuf has it
    pb_varint(&file, 5, 7);
    assert_int_equal(read_bytes(file.data, file.size, TN_VALUE_TENSOR, &value), SUITE_READ);
    assert_memory_equal(value.tensors[0].data, integers, sizeof(integers));
    suite_value_free(&value);
    pb_free(&file);
    tensor(&file, TN_DTYPE_FLOAT16, 1, two);
    pb_varint(&file, 5, halves[0]);
    pb_varint(&file, 5, halves[1]);
    assert_int_equal(read_bytes(file.data, file.size, TN_VALUE_TENSOR, &value), SUITE_READ);
    assert_memory_equal(value.tensors[0].data, halves, sizeof(halves));
    suite_value_free(&value);
    pb_free(&file);
}

static void value_read__takes_sequences_and_optionals(void **state) {
    (void)state;
    suite_value value;
    pb file = {0};
    for (int i = 0; i < 2; i++) {
        onnx_tensor(&file, TENSOR_OF_CONTAINER, "t", TN_DTYPE_FLOAT, 2, pair, numbers,
                    sizeof(numbers));
    }
    assert_int_equal(read_bytes(file.data, file.size, TN_VALUE_SEQUENCE, &value), SUITE_READ);
    assert_int_equal(value.count, 2);
    suite_value_free(&value);
    pb_free(&file);
    pb_varint(&file, 2, 0);
    assert_int_equal(read_bytes(file.data, file.size, TN_VALUE_OPTIONAL_TENSOR, &value),
                     SUITE_READ);
    assert_true(value.is_none);
    assert_int_equal(value.count, 0);
    suite_value_free(&value);
    pb_free(&file);
}

static void value_read__refuses_what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t dtype;
        int64_t dims[2];
        size_t bytes;
    } cases[] = {
        {"too few bytes", TN_DTYPE_FLOAT, {2, 3}, 23},
        {"too many bytes", TN_DTYPE_FLOAT, {2, 3}, 24 + 1},
        {"no bytes", TN_DTYPE_FLOAT, {2, 3}, 0},
        {"a negative dim", TN_DTYPE_FLOAT, {-1, 3}, 24},
        {"dims that overflow", TN_DTYPE_FLOAT, {INT64_MAX, INT64_MAX}, 24},
        {"bits that overflow", TN_DTYPE_FLOAT, {INT64_MAX, 1}, 24},
        {"dims far above the data", TN_DTYPE_FLOAT, {1 << 20, 1 << 20}, 24},
        {"no type", TN_DTYPE_UNDEFINED, {2, 3}, 24},
        {"strings", TN_DTYPE_STRING, {2, 3}, 24},
        {"an unknown type", 77, {2, 3}, 24},
    };
    static const uint8_t data[64] = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        suite_value value;
        pb file = {0};
        tensor(&file, cases[i].dtype, 2, cases[i].dims);
        if (cases[i].bytes > 0) {
            pb_bytes(&file, 9, data, cases[i].bytes);
        }
        if (read_bytes(file.data, file.size, TN_VALUE_TENSOR, &value) != SUITE_UNREADABLE) {
            fail_msg("%s", cases[i].name);
        }
        assert_null(value.tensors);
        pb_free(&file);
    }
}

static void value_read__refuses_data_in_another_file(void **state) {
    (void)state;
    suite_value value;
    pb file = {0};
    tensor(&file, TN_DTYPE_FLOAT, 2, pair);
    pb_bytes(&file, 9, numbers, sizeof(numbers)); // raw_data
    pb_varint(&file, 14, 1);                      // data_location: EXTERNAL
    assert_int_equal(read_bytes(file.data, file.size, TN_VALUE_TENSOR, &value), SUITE_UNREADABLE);
    pb_free(&file);
}

static void value_read__tells_what_is_not_there(void **state) {
    (void)state;
    suite_value value;
    char text[SUITE_TEXT] = "";
    assert_int_equal(suite_value_read("/nonexistent/x.pb", TN_VALUE_TENSOR, &value, text),
                     SUITE_ABSENT);
    assert_int_equal(suite_value_read("/tmp", TN_VALUE_TENSOR, &value, text), SUITE_UNREADABLE);
}

// Every prefix, and every byte turned over, as each kind of value.
static void value_read__survives_damage(void **state) {
    (void)state;
    static const tn_value_kind kinds[] = {TN_VALUE_TENSOR, TN_VALUE_SEQUENCE,
                                          TN_VALUE_OPTIONAL_TENSOR, TN_VALUE_OPTIONAL_SEQUENCE,
                                          TN_VALUE_SPARSE_TENSOR};
    suite_value value;
    pb file = {0};
    uint32_t good = 0;
    onnx_tensor(&file, TENSOR_OF_CONTAINER, "t", TN_DTYPE_FLOAT, 2, pair, numbers, sizeof(numbers));
    tensor(&file, TN_DTYPE_FLOAT, 2, pair);
    for (int i = 0; i < 6; i++) {
        pb_float(&file, 4, numbers[i]);
    }
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (size_t size = 0; size <= file.size; size++) {
            good += read_bytes(file.data, size, kinds[k], &value) == SUITE_READ;
            suite_value_free(&value);
        }
        for (size_t at = 0; at < 8 * file.size; at++) {
            file.data[at / 8] ^= (uint8_t)(1u << (at % 8));
            good += read_bytes(file.data, file.size, kinds[k], &value) == SUITE_READ;
            suite_value_free(&value);
            file.data[at / 8] ^= (uint8_t)(1u << (at % 8));
        }
    }
    assert_true(good > 0);
    pb_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_read__takes_raw_and_typed_data),
        cmocka_unit_test(value_read__takes_negative_integers_and_halves),
        cmocka_unit_test(value_read__takes_sequences_and_optionals),
        cmocka_unit_test(value_read__refuses_what_does_not_fit),
        cmocka_unit_test(value_read__refuses_data_in_another_file),
        cmocka_unit_test(value_read__tells_what_is_not_there),
        cmocka_unit_test(value_read__survives_damage),
    };
    return cmocka_run_group_tests_name("conformance proto", tests, make_file, remove_file);
}
