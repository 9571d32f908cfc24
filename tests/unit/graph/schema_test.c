// SPDX-License-Identifier: Apache-2.0
// The table of op forms and its look-up.
#include "graph/schema/schema.h"

#include "base/string.h"
#include "graph/schema/schema_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

static uint32_t since(const char *domain, const char *op_type, uint32_t opset) {
    return tni_schema_since_version(tni_string_of(domain), tni_string_of(op_type), opset);
}

static void since_version__is_the_newest_not_above(void **state) {
    (void)state;
    assert_int_equal(since("", "Add", 1), 1);
    assert_int_equal(since("", "Add", 6), 6);
    assert_int_equal(since("", "Add", 12), 7);
    assert_int_equal(since("", "Add", 13), 13);
    assert_int_equal(since("ai.onnx", "Add", 17), 14);
    assert_int_equal(since("", "Gelu", 19), 0);
    assert_int_equal(since("", "Gelu", 20), 20);
    assert_int_equal(since("", "Gel", 20), 0);
    assert_int_equal(since("", "", 20), 0);
    assert_int_equal(since("", "Relu", 1000), 14);
    assert_int_equal(since("ai.onnx.ml", "Scaler", 3), 1);
    assert_int_equal(since("com.example", "Add", 17), 0);
}

static void known__tells_domains_and_ops(void **state) {
    (void)state;
    assert_true(tni_schema_domain_known(tni_string_of("")));
    assert_true(tni_schema_domain_known(tni_string_of("ai.onnx")));
    assert_true(tni_schema_domain_known(tni_string_of("ai.onnx.ml")));
    assert_false(tni_schema_domain_known(tni_string_of("ai.onnx.m")));
    assert_false(tni_schema_domain_known(tni_string_of("zzz")));
    assert_true(tni_schema_op_known(tni_string_of(""), tni_string_of("Gelu")));
    assert_false(tni_schema_op_known(tni_string_of(""), tni_string_of("Zzz")));
    assert_true(tni_schema_newest_opset() >= 22);
}

static void table__is_sorted_and_sane(void **state) {
    (void)state;
    assert_true(tni_schema_row_count > 600);
    for (uint32_t i = 0; i < tni_schema_row_count; i++) {
        const tni_schema *row = &tni_schema_rows[i];
        assert_true(row->since_version > 0);
        assert_true(row->min_inputs <= row->max_inputs);
        assert_true(row->min_outputs <= row->max_outputs);
        if (i == 0) {
            continue;
        }
        const tni_schema *before = row - 1;
        int order = tni_string_compare(tni_string_of(before->domain), tni_string_of(row->domain));
        if (order == 0) {
            order = tni_string_compare(tni_string_of(before->op_type), tni_string_of(row->op_type));
        }
        assert_true(order < 0 || (order == 0 && before->since_version < row->since_version));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(since_version__is_the_newest_not_above),
        cmocka_unit_test(known__tells_domains_and_ops),
        cmocka_unit_test(table__is_sorted_and_sane),
    };
    return cmocka_run_group_tests_name("graph_schema", tests, NULL, NULL);
}
