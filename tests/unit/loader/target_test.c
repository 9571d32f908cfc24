// SPDX-License-Identifier: Apache-2.0
// Processor features against what the compiler's own test says, digests, and files that change.
#include "base/error.h"
#include "loader/candidate.h"
#include "support/plugin_folder.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tn_status check_cpu(const char *feature, tn_error *error) {
    const tni_text_list list = {&feature, 1};
    tni_error_init(error);
    return tni_cpu_check(&list, error);
}

static void cpu_check__agrees_with_the_compiler(void **state) {
    (void)state;
#if defined(__x86_64__)
#define FEATURE(name)                                                                              \
    { name, __builtin_cpu_supports(name) != 0 }
    const struct {
        const char *name;
        bool present;
    } features[] = {
        FEATURE("sse2"),     FEATURE("sse3"),     FEATURE("ssse3"),    FEATURE("sse4.1"),
        FEATURE("sse4.2"),   FEATURE("popcnt"),   FEATURE("avx"),      FEATURE("avx2"),
        FEATURE("fma"),      FEATURE("bmi"),      FEATURE("bmi2"),     FEATURE("avx512f"),
        FEATURE("avx512vl"), FEATURE("avx512bw"), FEATURE("avx512dq"), FEATURE("avx512cd"),
    };
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        tn_error error;
        const tn_status status = check_cpu(features[i].name, &error);
        if ((status == TN_OK) != features[i].present) {
            fail_msg("%s: %s", features[i].name, error.text);
        }
        if (status != TN_OK) {
            assert_string_equal(error.id, "load.cpu");
        }
    }
#endif
}

static void cpu_check__names_the_feature(void **state) {
    (void)state;
    tn_error error;
    const tni_text_list none = {NULL, 0};
    assert_int_equal(tni_cpu_check(&none, &error), TN_OK);
    assert_int_equal(check_cpu("warp", &error), TN_ERROR_UNSUPPORTED);
    assert_string_equal(error.id, "load.cpu-unknown");
    assert_non_null(strstr(error.text, "\"warp\""));
}

static void digest_check__known_values(void **state) {
    (void)state;
    // SHA-256 of nothing, and of "abc", from FIPS 180.
    static const struct {
        const char *text;
        uint8_t first;
        uint8_t last;
    } cases[] = {{"", 0xe3, 0x55}, {"abc", 0xba, 0xad}};
    for (size_t i = 0; i < 2; i++) {
        plugin_folder folder;
        test_alloc alloc;
        tni_file file;
        tn_error error;
        char path[256];
        uint8_t wanted[TNI_SHA256_BYTES] = {0};
        tni_error_init(&error);
        plugin_folder_init(&folder);
        plugin_folder_write(&folder, "file", cases[i].text, strlen(cases[i].text));
        plugin_folder_join(&folder, "file", path);
        test_alloc_init(&alloc);
        assert_int_equal(tni_file_open(path, "test.file", &file, &error), TN_OK);
        assert_int_equal(tni_digest_check(&alloc.alloc, &file, wanted, &error),
                         TN_ERROR_INVALID_DATA);
        char part[32];
        snprintf(part, sizeof(part), "the library has %02x", cases[i].first);
        assert_non_null(strstr(error.text, part));
        snprintf(part, sizeof(part), "%02x", cases[i].last);
        assert_string_equal(error.text + strlen(error.text) - 2, part);
        tni_file_close(&file);
        assert_true(test_alloc_clean(&alloc));
        test_alloc_deinit(&alloc);
        plugin_folder_deinit(&folder);
    }
}

static void file__notices_a_change(void **state) {
    (void)state;
    plugin_folder folder;
    tni_file file;
    tn_error error;
    char path[256];
    char byte = 0;
    tni_error_init(&error);
    plugin_folder_init(&folder);
    plugin_folder_write(&folder, "file", "old", 3);
    plugin_folder_join(&folder, "file", path);
    assert_int_equal(tni_file_open(path, "test.file", &file, &error), TN_OK);
    assert_true(tni_file_is_at(&file, path));
    assert_true(tni_file_read(&file, 2, &byte, 1));
    assert_int_equal(byte, 'd');
    assert_false(tni_file_read(&file, 3, &byte, 1));
    assert_false(tni_file_read(&file, UINT64_MAX, &byte, 1));
    plugin_folder_write(&folder, "file", "new", 3);
    assert_false(tni_file_is_at(&file, path));
    tni_file_close(&file);
    plugin_folder_clear(&folder);
    assert_false(tni_file_is_at(&file, path));
    assert_int_equal(tni_file_open(path, "test.file", &file, &error), TN_ERROR_NOT_FOUND);
    assert_string_equal(error.id, "test.file");
    plugin_folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_check__agrees_with_the_compiler),
        cmocka_unit_test(cpu_check__names_the_feature),
        cmocka_unit_test(digest_check__known_values),
        cmocka_unit_test(file__notices_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
