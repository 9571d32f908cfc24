// SPDX-License-Identifier: Apache-2.0
// What a probe writes, in pieces of every size, with noise around it, and forged or cut.
#include "loader/probe_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RESULT                                                                                     \
    "\n" TNI_PROBE_PREFIX "{\"schema_version\":1,\"stage\":9,\"status\":3,\"reason\":28,"          \
    "\"device_count\":2,\"id\":\"plugin.name\",\"text\":\"why\"}\n"

static tni_probe_output *feed(const char *text, size_t size, size_t piece) {
    tni_probe_output *output = calloc(1, sizeof(*output));
    assert_non_null(output);
    for (size_t at = 0; at < size; at += piece) {
        tni_probe_output_add(output, text + at, size - at < piece ? size - at : piece);
    }
    tni_probe_output_end(output);
    return output;
}

static void add__a_result_in_pieces(void **state) {
    (void)state;
    static const char text[] = "half a line" RESULT "more noise\n\n";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        tni_probe_output *output = feed(text, sizeof(text) - 1, piece);
        assert_true(output->result.present);
        assert_int_equal(output->result.stage, 9);
        assert_int_equal(output->result.status, TN_ERROR_INVALID_DATA);
        assert_int_equal(output->result.reason, 28);
        assert_int_equal(output->result.device_count, 2);
        assert_string_equal(output->result.id, "plugin.name");
        assert_string_equal(output->result.text, "why");
        assert_string_equal(output->last_words, "more noise");
        free(output);
    }
}

static void add__no_result(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "@tenon-probe ",
        "@tenon-probe {}\n",
        "@tenon-probe [1,2]\n",
        "@tenon-probe {\"schema_version\":1}\n",
        "x @tenon-probe {\"schema_version\":1,\"stage\":9,\"status\":0,\"reason\":0,"
        "\"device_count\":2,\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":2,\"stage\":9,\"status\":0,\"reason\":0,"
        "\"device_count\":2,\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":1,\"stage\":-9,\"status\":0,\"reason\":0,"
        "\"device_count\":2,\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":1,\"stage\":9,\"status\":99,\"reason\":0,"
        "\"device_count\":2,\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":1,\"stage\":9,\"status\":0,\"reason\":4294967296,"
        "\"device_count\":2,\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":1,\"stage\":9,\"status\":0,\"reason\":0,"
        "\"device_count\":\"2\",\"id\":\"\",\"text\":\"\"}\n",
        "@tenon-probe {\"schema_version\":1,\"stage\":9,\"status\":0,\"reason\":0,",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tni_probe_output *output = feed(texts[i], strlen(texts[i]), 7);
        assert_false(output->result.present);
        free(output);
    }
}

static void add__long_lines(void **state) {
    (void)state;
    const size_t size = 3 * TNI_PROBE_LINE_BYTES;
    char *text = malloc(size + sizeof(RESULT));
    assert_non_null(text);
    memset(text, 'n', size);
    memcpy(text, TNI_PROBE_PREFIX, sizeof(TNI_PROBE_PREFIX) - 1);
    memcpy(text + size, RESULT, sizeof(RESULT));
    tni_probe_output *output = feed(text, size + sizeof(RESULT) - 1, 1000);
    assert_true(output->result.present);
    assert_int_equal(output->result.stage, 9);
    assert_int_equal(strlen(output->last_words), sizeof(output->last_words) - 1);
    free(output);
    free(text);
}

static void add__bytes_that_are_no_text(void **state) {
    (void)state;
    static const char text[] = "\x01\xff\x1b[31m red\n";
    tni_probe_output *output = feed(text, sizeof(text) - 1, 3);
    assert_string_equal(output->last_words, "???[31m red");
    free(output);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__a_result_in_pieces),
        cmocka_unit_test(add__no_result),
        cmocka_unit_test(add__long_lines),
        cmocka_unit_test(add__bytes_that_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
