// SPDX-License-Identifier: Apache-2.0
// Checked arithmetic, element types, texts, errors, hashes and the log.
#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/string.h"
#include "support/recording_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

static void checked__notices_overflow(void **state) {
    uint64_t u = 0;
    int64_t i = 0;
    (void)state;
    assert_true(tni_add_u64(UINT64_MAX - 1, 1, &u) && u == UINT64_MAX);
    assert_false(tni_add_u64(UINT64_MAX, 1, &u));
    assert_false(tni_sub_u64(1, 2, &u));
    assert_true(tni_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &u));
    assert_false(tni_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &u));
    assert_true(tni_mul_u64(0, UINT64_MAX, &u) && u == 0);
    assert_true(tni_add_i64(INT64_MAX, INT64_MIN, &i) && i == -1);
    assert_false(tni_add_i64(INT64_MAX, 1, &i));
    assert_false(tni_add_i64(INT64_MIN, -1, &i));
    assert_true(tni_sub_i64(-1, INT64_MIN, &i) && i == INT64_MAX);
    assert_false(tni_sub_i64(0, INT64_MIN, &i));
    assert_true(tni_mul_i64(INT64_MIN, 1, &i) && i == INT64_MIN);
    assert_false(tni_mul_i64(INT64_MIN, -1, &i));
    assert_true(tni_mul_i64(-3, -5, &i) && i == 15);
    assert_false(tni_mul_i64(INT64_C(1) << 40, INT64_C(1) << 40, &i));
    assert_true(tni_align_u64(17, 16, &u) && u == 32);
    assert_false(tni_align_u64(UINT64_MAX, 16, &u));
}

static void sizes__pack_narrow_elements(void **state) {
    static const struct {
        tn_dtype dtype;
        uint64_t count;
        uint64_t bytes;
    } cases[] = {{TN_DTYPE_FLOAT, 3, 12}, {TN_DTYPE_INT4, 3, 2},    {TN_DTYPE_UINT2, 5, 2},
                 {TN_DTYPE_BOOL, 3, 3},   {TN_DTYPE_INT4, 0, 0},    {TN_DTYPE_COMPLEX128, 2, 32},
                 {TN_DTYPE_UINT2, 4, 1},  {TN_DTYPE_FLOAT16, 1, 2}, {TN_DTYPE_FLOAT4E2M1, 1, 1}};
    uint64_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(tni_size_of_elements(cases[i].dtype, cases[i].count, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
    }
    assert_false(tni_size_of_elements(TN_DTYPE_STRING, 1, &bytes));
    assert_false(tni_size_of_elements(TN_DTYPE_UNDEFINED, 1, &bytes));
    assert_false(tni_size_of_elements(TN_DTYPE_COUNT, 1, &bytes));
    assert_false(tni_size_of_elements(TN_DTYPE_DOUBLE, UINT64_MAX / 4, &bytes));
}

static void dims__multiply_or_refuse(void **state) {
    const int64_t plain[3] = {2, 3, 4};
    const int64_t empty[3] = {INT64_MAX, 0, INT64_MAX};
    const int64_t negative[2] = {0, -1};
    const int64_t large[2] = {(int64_t)1 << 32, (int64_t)1 << 31};
    uint64_t count = 9;
    (void)state;
    assert_true(tni_count_of_dims(plain, 3, &count) && count == 24);
    assert_true(tni_count_of_dims(plain, 0, &count) && count == 1);
    assert_true(tni_count_of_dims(empty, 3, &count) && count == 0);
    assert_false(tni_count_of_dims(negative, 2, &count));
    assert_false(tni_count_of_dims(large, 2, &count));
}

static void half__survives_a_round_trip(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = tni_float_from_half((uint16_t)bits);
        const uint16_t back = tni_half_from_float(value);
        if (isnan(value)) {
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
        } else {
            assert_int_equal(back, bits);
        }
        const float brain = tni_float_from_bfloat16((uint16_t)bits);
        if (!isnan(brain)) {
            assert_int_equal(tni_bfloat16_from_float(brain), bits);
        }
    }
}

static void half__rounds_to_nearest_even(void **state) {
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {{1.0f, 0x3c00},           {65504.0f, 0x7bff},       {65519.0f, 0x7bff},
                 {65520.0f, 0x7c00},       {0x1p-24f, 0x0001},       {0x1p-25f, 0x0000},
                 {0x1.8p-25f, 0x0001},     {0x1.ff8p-15f, 0x03ff},   {0x1.ffcp-15f, 0x0400},
                 {1.00048828125f, 0x3c00}, {1.00146484375f, 0x3c02}, {-0.0f, 0x8000}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tni_half_from_float(cases[i].value), cases[i].half);
    }
    assert_int_equal(tni_bfloat16_from_float(1.00390625f), 0x3f80);
    assert_int_equal(tni_bfloat16_from_float(1.01171875f), 0x3f82);
    assert_int_equal(tni_bfloat16_from_float(3.4e38f), 0x7f80);
}

static void dtype__has_names_and_classes(void **state) {
    (void)state;
    assert_string_equal(tni_dtype_name(TN_DTYPE_FLOAT8E4M3FN), "float8e4m3fn");
    assert_string_equal(tni_dtype_name(1000), "unknown");
    assert_true(tni_dtype_is_float(TN_DTYPE_BFLOAT16));
    assert_true(tni_dtype_is_integer(TN_DTYPE_UINT2));
    assert_false(tni_dtype_is_integer(TN_DTYPE_BOOL));
    assert_false(tni_dtype_known(TN_DTYPE_UNDEFINED));
    for (tn_dtype dtype = 1; dtype < TN_DTYPE_COUNT; dtype++) {
        assert_true(tni_dtype_known(dtype));
        assert_string_not_equal(tni_dtype_name(dtype), "undefined");
    }
}

static void utf8__is_checked_strictly(void **state) {
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"plain", true},
                 {"\xc3\xa9", true},
                 {"\xe2\x82\xac", true},
                 {"\xf0\x9f\x98\x80", true},
                 {"\xc0\x80", false},
                 {"\xe0\x80\x80", false},
                 {"\xed\xa0\x80", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xff", false},
                 {"\xc3", false},
                 {"\xe2\x82", false},
                 {"a\x80", false},
                 {"\xf0\x80\x80\x80", false},
                 {"", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tni_utf8_valid(tni_string_of(cases[i].text)), cases[i].valid);
    }
}

static void string__compares_and_copies(void **state) {
    char small[4];
    char line[] = "a\nb\xff\xc3\xa9";
    (void)state;
    assert_true(tni_string_compare(TNI_LITERAL("ab"), TNI_LITERAL("abc")) < 0);
    assert_true(tni_string_compare(TNI_LITERAL("b"), TNI_LITERAL("abc")) > 0);
    assert_int_equal(tni_string_compare(TNI_LITERAL(""), (tn_string){NULL, 0}), 0);
    assert_true(tni_string_starts_with(TNI_LITERAL("ai.onnx.ml"), "ai.onnx"));
    assert_false(tni_string_starts_with(TNI_LITERAL("ai"), "ai.onnx"));
    assert_true(tni_string_copy(small, sizeof small, TNI_LITERAL("abc")));
    assert_string_equal(small, "abc");
    // The two-byte character does not fit whole, so all of it goes.
    assert_false(tni_string_copy(small, sizeof small, TNI_LITERAL("ab\xc3\xa9")));
    assert_string_equal(small, "ab");
    tni_text_sanitise(line);
    assert_string_equal(line, "a?b?\xc3\xa9");
}

static void fail__fills_what_the_caller_has_room_for(void **state) {
    tn_error error;
    (void)state;
    memset(&error, 0x55, sizeof error);
    error.struct_size = sizeof error;
    error.struct_type = TN_STRUCT_ERROR;
    assert_int_equal(tni_fail_at(&error, TN_ERROR_INVALID_DATA, "test.id", 7, "bad %s\n", "luck"),
                     TN_ERROR_INVALID_DATA);
    assert_int_equal(error.status, TN_ERROR_INVALID_DATA);
    assert_int_equal(error.byte_offset, 7);
    assert_int_equal(error.node_index, TN_NONE);
    assert_string_equal(error.id, "test.id");
    assert_string_equal(error.text, "bad luck?");
    // An older, shorter struct is not written beyond its end.
    memset(&error, 0x55, sizeof error);
    error.struct_size = offsetof(tn_error, byte_offset);
    assert_int_equal(tni_fail_node(&error, TN_ERROR_UNSUPPORTED, "test.id", 3, 4, "x"),
                     TN_ERROR_UNSUPPORTED);
    assert_int_equal(error.node_index, 3);
    assert_int_equal(error.value_index, 4);
    assert_int_equal(error.byte_offset, 0x5555555555555555u);
    assert_int_equal(error.struct_size, offsetof(tn_error, byte_offset));
    assert_int_equal(tni_fail(NULL, TN_ERROR_BUSY, "test.id", "x"), TN_ERROR_BUSY);
}

static void fail_errno__adds_the_systems_text(void **state) {
    tn_error error;
    (void)state;
    tni_error_init(&error);
    assert_int_equal(tni_fail_errno(&error, ENOENT, "test.open", "%s", "file.bin"), TN_ERROR_IO);
    assert_int_equal(error.domain, TN_DOMAIN_ERRNO);
    assert_int_equal(error.native_code, ENOENT);
    assert_string_equal(error.text, "file.bin: No such file or directory");
    assert_int_equal(tni_fail_plain(&error, TN_ERROR_OUT_OF_MEMORY, "thing"),
                     TN_ERROR_OUT_OF_MEMORY);
    assert_string_equal(error.id, "base.out-of-memory");
    assert_string_equal(tni_status_name(TN_ERROR_STALE), "TN_ERROR_STALE");
    assert_string_equal(tni_status_name(-1), "TN_ERROR_?");
    assert_string_equal(tni_status_name(TN_STATUS_COUNT), "TN_ERROR_?");
}

static void error_about__puts_the_subject_first(void **state) {
    tn_error error;
    char path[1000];
    (void)state;
    tni_error_init(&error);
    (void)tni_fail(&error, TN_ERROR_INVALID_DATA, "test.id", "field %d ends early", 7);
    tni_error_about(&error, "a.onnx");
    assert_string_equal(error.text, "a.onnx: field 7 ends early");
    tni_error_about(&error, "a.onnx");
    assert_string_equal(error.text, "a.onnx: field 7 ends early");
    assert_string_equal(error.id, "test.id");
    memset(path, 'p', sizeof path);
    memcpy(path + sizeof path - 5, "/end", 5);
    tni_error_about(&error, path);
    assert_non_null(strstr(error.text, "p/end: a.onnx: field 7 ends early"));
    assert_int_equal(strncmp(error.text, "...p", 4), 0);
}

static void hash64__spreads(void **state) {
    (void)state;
    assert_true(tni_hash64("abc", 3, 0) != tni_hash64("abd", 3, 0));
    assert_true(tni_hash64("abc", 3, 0) != tni_hash64("abc", 3, 1));
    assert_true(tni_hash64("\0", 1, 0) != tni_hash64("\0\0", 2, 0));
    assert_true(tni_hash64(NULL, 0, 0) == tni_hash64("", 0, 0));
}

static void digest__is_blake2b_256(void **state) {
    // The digest of "abc", as published with the algorithm's test vectors for 32-byte output.
    static const uint8_t expected[TNI_DIGEST_BYTES] = {
        0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef,
        0x3f, 0xee, 0x98, 0x57, 0x9b, 0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb,
        0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    uint8_t actual[TNI_DIGEST_BYTES];
    tni_digest digest;
    (void)state;
    tni_digest_init(&digest);
    tni_digest_update(&digest, "a", 1);
    tni_digest_update(&digest, NULL, 0);
    tni_digest_update(&digest, "bc", 2);
    tni_digest_final(&digest, actual);
    assert_memory_equal(actual, expected, sizeof expected);
}

static void log__keeps_its_level(void **state) {
    recording_sink sink;
    (void)state;
    recording_sink_init(&sink, TN_LOG_INFO);
    tni_log_write(&sink.log, TN_LOG_INFO, "number %d\n", 7);
    tni_log_write(&sink.log, TN_LOG_DEBUG, "not this");
    tni_log_write(NULL, TN_LOG_ERROR, "nor this");
    assert_int_equal(sink.count, 1);
    assert_true(recording_sink_has(&sink, TN_LOG_INFO, "number 7?"));
    assert_false(tni_log_enabled(&(tni_log){0}, TN_LOG_ERROR));
    recording_sink_deinit(&sink);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checked__notices_overflow),
        cmocka_unit_test(sizes__pack_narrow_elements),
        cmocka_unit_test(dims__multiply_or_refuse),
        cmocka_unit_test(half__survives_a_round_trip),
        cmocka_unit_test(half__rounds_to_nearest_even),
        cmocka_unit_test(dtype__has_names_and_classes),
        cmocka_unit_test(utf8__is_checked_strictly),
        cmocka_unit_test(string__compares_and_copies),
        cmocka_unit_test(fail__fills_what_the_caller_has_room_for),
        cmocka_unit_test(fail_errno__adds_the_systems_text),
        cmocka_unit_test(error_about__puts_the_subject_first),
        cmocka_unit_test(hash64__spreads),
        cmocka_unit_test(digest__is_blake2b_256),
        cmocka_unit_test(log__keeps_its_level),
    };
    return cmocka_run_group_tests_name("base_value", tests, NULL, NULL);
}
