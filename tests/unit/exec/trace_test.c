// SPDX-License-Identifier: Apache-2.0
// The trace: what does not fit is counted, its JSON parses whatever devices are called, and a full
// disk is an error.
#include "exec/trace.h"
#include "support/test_alloc.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct sink {
    char text[65536];
    size_t size;
    uint32_t pieces_left; // 0: fails from now on
} sink;

static int take(void *user_data, const void *data, uint64_t size_bytes) {
    sink *s = user_data;
    if (s->pieces_left == 0 || s->size + size_bytes >= sizeof(s->text)) {
        return 1;
    }
    s->pieces_left--;
    memcpy(s->text + s->size, data, size_bytes);
    s->size += size_bytes;
    return 0;
}

static const char *name_of(const void *user_data, uint32_t device) {
    (void)user_data;
    return device == 0 ? "plain:device" : "evil\"\\\n\x01:name";
}

static void trace_write__json_parses_and_counts_what_was_dropped(void **state) {
    (void)state;
    test_alloc memory;
    tni_trace trace;
    static sink s;
    test_alloc_init(&memory);
    tni_trace_init(&trace, &memory.alloc);
    tni_trace_add(&trace, TN_TRACE_RUN, TN_NONE, TN_NONE, 1, 0, 0); // off: forgotten
    assert_int_equal(tni_trace_start(&trace, 0, NULL), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tni_trace_start(&trace, 5, NULL), TN_OK);
    assert_int_equal(tni_trace_start(&trace, 5, NULL), TN_ERROR_INVALID_STATE);
    for (uint32_t i = 0; i < 8; i++) {
        tni_trace_add(&trace, i, i % 3 == 2 ? TN_NONE : i % 3, i, 7, 0, i * 100);
    }
    uint64_t dropped = 0;
    assert_int_equal(tni_trace_count(&trace, &dropped), 5);
    assert_int_equal(dropped, 3);
    memset(&s, 0, sizeof(s));
    s.pieces_left = 100;
    assert_int_equal(tni_trace_write(&trace, name_of, NULL, take, &s, NULL), TN_OK);
    json_t *document = json_loadb(s.text, s.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    assert_int_equal(json_array_size(json_object_get(document, "traceEvents")), 5);
    json_t *other = json_object_get(document, "otherData");
    assert_int_equal(json_integer_value(json_object_get(other, "dropped")), 3);
    json_decref(document);
    for (uint32_t pieces = 0; pieces < 7; pieces++) {
        memset(&s, 0, sizeof(s));
        s.pieces_left = pieces;
        assert_int_equal(tni_trace_write(&trace, name_of, NULL, take, &s, NULL), TN_ERROR_IO);
    }
    tni_trace_stop(&trace);
    assert_int_equal(tni_trace_write(&trace, name_of, NULL, take, &s, NULL),
                     TN_ERROR_INVALID_STATE);
    assert_true(test_alloc_clean(&memory));
    test_alloc_deinit(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_write__json_parses_and_counts_what_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
