// SPDX-License-Identifier: Apache-2.0
// The list of what does not pass: its lines, its patterns, and what is wrong with a list.
#include "onnx/expectations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Reads text as a file.
static bool read_text(const char *text, suite_expectations *list, uint32_t *line) {
    char path[] = "/tmp/tenon-list-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(file), 0);
    const bool good = suite_expectations_read(path, list, line);
    assert_int_equal(unlink(path), 0);
    return good;
}

static void read__takes_names_and_reasons(void **state) {
    (void)state;
    suite_expectations list;
    uint32_t line = 0;
    assert_true(
        read_text("# nothing\n\n  node/test_a   it is so, a/b \nnode/test_b* why", &list, &line));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "node/test_a");
    assert_string_equal(list.items[0].reason, "it is so, a/b");
    assert_string_equal(list.items[1].reason, "why");
    suite_expectations_free(&list);
}

static void read__names_the_line_that_is_wrong(void **state) {
    (void)state;
    suite_expectations list;
    uint32_t line = 7;
    char *text = malloc(2000);
    assert_non_null(text);
    static const char *const wrong[] = {
        "node/a b\nnode/test_a\n",        // no reason
        "node/a b\ntest_a of a/b\n",      // no suite
        "node/a b\ntest_a\n",             // neither
        "node/a b\nnode/test_a   \t  \n", // blank reason
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(read_text(wrong[i], &list, &line));
        assert_int_equal(line, 2);
        assert_int_equal(list.count, 0);
    }
    // One too long is not read as two.
    memset(text, 'x', 1999);
    memcpy(text, "node/a ", 7);
    memcpy(text + 600, " node/b ", 8);
    text[1999] = '\0';
    assert_false(read_text(text, &list, &line));
    assert_int_equal(line, 1);
    free(text);
    assert_false(suite_expectations_read("/nonexistent/list", &list, &line));
    assert_int_equal(line, 0);
}

static void find__prefers_the_longest_name(void **state) {
    (void)state;
    suite_expectations list;
    uint32_t line = 0;
    assert_true(read_text("node/* all\nnode/test_a* some\nnode/test_ab* more\nnode/test_ab one\n",
                          &list, &line));
    assert_string_equal(suite_expectations_find(&list, "node", "test_ab")->reason, "one");
    assert_string_equal(suite_expectations_find(&list, "node", "test_abc")->reason, "more");
    assert_string_equal(suite_expectations_find(&list, "node", "test_ac")->reason, "some");
    assert_string_equal(suite_expectations_find(&list, "node", "test_b")->reason, "all");
    assert_null(suite_expectations_find(&list, "simple", "test_ab"));
    assert_null(suite_expectations_find(&list, "nod", "e/test_ab"));
    suite_expectations_free(&list);
}

static void find__takes_a_name_without_a_star_as_it_is(void **state) {
    (void)state;
    suite_expectations list;
    uint32_t line = 0;
    assert_true(read_text("node/test_a why\n", &list, &line));
    assert_null(suite_expectations_find(&list, "node", "test_ab"));
    assert_null(suite_expectations_find(&list, "node", "test_"));
    assert_non_null(suite_expectations_find(&list, "node", "test_a"));
    suite_expectations_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__takes_names_and_reasons),
        cmocka_unit_test(read__names_the_line_that_is_wrong),
        cmocka_unit_test(find__prefers_the_longest_name),
        cmocka_unit_test(find__takes_a_name_without_a_star_as_it_is),
    };
    return cmocka_run_group_tests_name("conformance expectations", tests, NULL, NULL);
}
