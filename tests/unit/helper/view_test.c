// SPDX-License-Identifier: Apache-2.0
// Graph views: hostile ones are refused without a read beyond their bytes (run under
// AddressSanitizer), good ones are read right, also with longer records.
#include "support/view_builder.h"

#include "tenon/helper/graph_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Two nodes with every kind of attribute, a constant, a symbol, an absent operand.
static view_builder *sample(void) {
    view_builder *b = view_builder_create();
    const uint32_t batch = view_builder_symbol(b, "batch", 1, 64);
    const int64_t dims[] = {VIEW_SYMBOL(batch), 3, VIEW_ANONYMOUS};
    const int64_t four[] = {4};
    const float weights[] = {1, 2, 3, 4};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 3, dims);
    const uint32_t w =
        view_builder_constant_value(b, TN_DTYPE_FLOAT, 1, four, weights, sizeof weights, 0);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    const uint32_t z = view_builder_value(b, TN_DTYPE_INT64, 0, NULL);
    const uint32_t table = view_builder_constant(b, TN_DTYPE_FLOAT, 1, four, weights, 16, 0);
    view_builder_node(b, "First", 7, (const uint32_t[]){x, TN_NONE, w}, 3, &y, 1);
    view_builder_int(b, "axis", -2);
    view_builder_ints(b, "pads", (const int64_t[]){1, 2, 3}, 3);
    view_builder_float(b, "alpha", 0.5f);
    view_builder_text(b, "mode", "same");
    view_builder_tensor(b, "table", table);
    view_builder_node(b, "Second", 9, &y, 1, &z, 1);
    view_builder_input(b, x);
    view_builder_output(b, z);
    return b;
}

static void accessors__read_what_was_written(void **state) {
    (void)state;
    for (uint32_t extra = 0; extra <= 40; extra += 8) {
        view_builder *b = sample();
        const tn_graph_view *view = view_builder_finish(b, extra);
        assert_int_equal(tn_view_validate(view, NULL), TN_OK);
        const tn_graph_node *node = tn_view_node(view, 0);
        int64_t pads[2] = {0, 0};
        assert_true(tn_view_node_is(view, node, "", "First"));
        assert_true(tn_view_node_is(view, node, "ai.onnx", "First"));
        assert_false(tn_view_node_is(view, node, "com.vendor", "First"));
        assert_false(tn_view_node_is(view, node, "", "Firs"));
        assert_int_equal(tn_view_node_input(view, node, 1), TN_NONE);
        assert_int_equal(tn_view_node_input(view, node, 2), 1);
        assert_int_equal(tn_view_node_input(view, node, 3), TN_NONE);
        assert_int_equal(tn_view_attr_int(view, node, "axis", 5), -2);
        assert_int_equal(tn_view_attr_int(view, node, "absent", 5), 5);
        assert_int_equal(tn_view_attr_int(view, node, "alpha", 5), 5);
        assert_int_equal(tn_view_attr_ints(view, node, "pads", pads, 2), 3);
        assert_int_equal(pads[1], 2);
        assert_true(tn_view_attr_float(view, node, "alpha", 0.0f) == 0.5f);
        assert_true(tn_view_attr_string_is(view, node, "mode", "same"));
        assert_false(tn_view_attr_string_is(view, node, "mode", "sam"));
        assert_int_equal(tn_view_attr_tensor(view, node, "table")->size_bytes, 16);
        assert_int_equal(tn_view_attr_graph(view, node, "table"), TN_NONE);
        const tn_graph_value *x = tn_view_value(view, 0);
        assert_int_equal(tn_view_value_dim(view, x, 0)->symbol, 0);
        assert_int_equal(tn_view_value_dim(view, x, 1)->size, 3);
        assert_int_equal(tn_view_value_dim(view, x, 2)->symbol, TN_NONE);
        assert_null(tn_view_value_constant(view, x));
        assert_int_equal(tn_view_value_constant(view, tn_view_value(view, 1))->dtype,
                         TN_DTYPE_FLOAT);
        view_builder_destroy(b);
    }
}

static void dtype_bytes__packs_narrow_types(void **state) {
    (void)state;
    assert_int_equal(tn_view_dtype_bytes(TN_DTYPE_INT4, 3), 2);
    assert_int_equal(tn_view_dtype_bytes(TN_DTYPE_UINT2, 5), 2);
    assert_int_equal(tn_view_dtype_bytes(TN_DTYPE_COMPLEX128, 2), 32);
    assert_int_equal(tn_view_dtype_bytes(TN_DTYPE_STRING, 2), 0);
    assert_int_equal(tn_view_dtype_bytes(99, 2), 0);
    assert_true(tn_view_dtype_bytes(TN_DTYPE_DOUBLE, UINT64_MAX / 4) == UINT64_MAX);
}

// One way to break the sample.
typedef struct breakage {
    const char *name;
    void (*change)(tn_graph_view *view);
    const char *id;
} breakage;

static void *record(tn_graph_view *view, const tn_span *span, uint32_t index) {
    return (unsigned char *)(void *)view + span->offset_bytes +
           (uint64_t)index * span->stride_bytes;
}

#define RECORD(type, member, index) ((type *)record(view, &view->member, index))
#define BREAK(function, ...)                                                                       \
    static void function(tn_graph_view *view) {                                                    \
        __VA_ARGS__;                                                                               \
    }

BREAK(wrong_type, view->struct_type = TN_STRUCT_ERROR)
BREAK(short_header, view->struct_size = 40)
BREAK(long_total, view->total_bytes += 1)
BREAK(far_span, view->values.offset_bytes = UINT64_MAX - 7)
BREAK(odd_span, view->values.offset_bytes += 4)
BREAK(many_records, view->nodes.count = 1u << 31)
BREAK(short_stride, view->nodes.stride_bytes -= 8)
BREAK(odd_stride, view->nodes.stride_bytes += 4)
BREAK(no_graph, view->graphs.count = 0)
BREAK(far_nodes, RECORD(tn_graph_record, graphs, 0)->nodes.count = 3)
BREAK(few_nodes, RECORD(tn_graph_record, graphs, 0)->nodes.count = 1)
BREAK(own_parent, RECORD(tn_graph_record, graphs, 0)->parent_node = 0)
BREAK(far_outputs, RECORD(tn_graph_record, graphs, 0)->outputs.begin = UINT32_MAX)
BREAK(shared_inputs, RECORD(tn_graph_node, nodes, 1)->inputs = (tn_range){0, 5})
BREAK(node_graph, RECORD(tn_graph_node, nodes, 1)->graph = 7)
BREAK(node_text, RECORD(tn_graph_node, nodes, 0)->op_type.offset_bytes = 100000)
BREAK(node_expansion, RECORD(tn_graph_node, nodes, 0)->expansion = 0)
BREAK(far_attributes, RECORD(tn_graph_node, nodes, 0)->attributes.count = 6)
BREAK(shared_attributes, RECORD(tn_graph_node, nodes, 1)->attributes = (tn_range){0, 2})
BREAK(late_input, *RECORD(uint32_t, value_ids, 0) = 3)
BREAK(far_value, *RECORD(uint32_t, value_ids, 0) = 4)
BREAK(foreign_output, RECORD(tn_graph_value, values, 2)->producer = 1)
BREAK(far_producer, RECORD(tn_graph_value, values, 2)->producer = 2)
BREAK(stray_producer, RECORD(tn_graph_value, values, 0)->producer = 0)
BREAK(value_kind, RECORD(tn_graph_value, values, 0)->kind = 9)
BREAK(value_rank, RECORD(tn_graph_value, values, 0)->dims.count = 17)
BREAK(value_dims, RECORD(tn_graph_value, values, 0)->dims.begin = 90)
BREAK(value_constant, RECORD(tn_graph_value, values, 1)->constant = 2)
BREAK(value_both, RECORD(tn_graph_value, values, 2)->constant = 0)
BREAK(value_graph, RECORD(tn_graph_value, values, 0)->graph = 1)
BREAK(dim_symbol, RECORD(tn_graph_dim, dims, 0)->symbol = 1)
BREAK(dim_size, RECORD(tn_graph_dim, dims, 1)->size = -2)
BREAK(symbol_range, RECORD(tn_graph_symbol, symbols, 0)->max = 0)
BREAK(constant_size, RECORD(tn_graph_constant, constants, 0)->size_bytes = 12)
BREAK(constant_type, RECORD(tn_graph_constant, constants, 0)->dtype = 77)
BREAK(attr_kind, RECORD(tn_graph_attribute, attributes, 0)->kind = 0)
BREAK(attr_count, RECORD(tn_graph_attribute, attributes, 0)->values.count = 2)
BREAK(attr_range, RECORD(tn_graph_attribute, attributes, 1)->values.begin = 3)
BREAK(attr_tensor, *RECORD(uint32_t, attr_indices, 0) = 2)
BREAK(attr_graph, RECORD(tn_graph_attribute, attributes, 4)->kind = TN_ATTR_GRAPH)
BREAK(attr_text, RECORD(tn_text_ref, attr_texts, 0)->size_bytes = 100000)

static const breakage breakages[] = {
    {"wrong_type", wrong_type, "view.header"},
    {"short_header", short_header, "view.header"},
    {"long_total", long_total, "view.header"},
    {"far_span", far_span, "view.span"},
    {"odd_span", odd_span, "view.span"},
    {"many_records", many_records, "view.span"},
    {"short_stride", short_stride, "view.span"},
    {"odd_stride", odd_stride, "view.span"},
    {"no_graph", no_graph, "view.graphs"},
    {"far_nodes", far_nodes, "view.graph"},
    {"few_nodes", few_nodes, "view.graph-nodes"},
    {"own_parent", own_parent, "view.graph"},
    {"far_outputs", far_outputs, "view.graph"},
    {"shared_inputs", shared_inputs, "view.operands"},
    {"node_graph", node_graph, "view.graph-nodes"},
    {"node_text", node_text, "view.node"},
    {"node_expansion", node_expansion, "view.expansion"},
    {"far_attributes", far_attributes, "view.attributes"},
    {"shared_attributes", shared_attributes, "view.attributes"},
    {"late_input", late_input, "view.order"},
    {"far_value", far_value, "view.operands"},
    {"foreign_output", foreign_output, "view.producer"},
    {"far_producer", far_producer, "view.value-producer"},
    {"stray_producer", stray_producer, "view.order"},
    {"value_kind", value_kind, "view.value"},
    {"value_rank", value_rank, "view.value-dims"},
    {"value_dims", value_dims, "view.value-dims"},
    {"value_constant", value_constant, "view.value-constant"},
    {"value_both", value_both, "view.value-constant"},
    {"value_graph", value_graph, "view.value"},
    {"dim_symbol", dim_symbol, "view.dim"},
    {"dim_size", dim_size, "view.dim"},
    {"symbol_range", symbol_range, "view.symbol"},
    {"constant_size", constant_size, "view.constant-bytes"},
    {"constant_type", constant_type, "view.constant-bytes"},
    {"attr_kind", attr_kind, "view.attribute-kind"},
    {"attr_count", attr_count, "view.attribute"},
    {"attr_range", attr_range, "view.attribute"},
    {"attr_tensor", attr_tensor, "view.attribute-index"},
    {"attr_graph", attr_graph, "view.attribute-index"},
    {"attr_text", attr_text, "view.text"},
};

// ABI-42, ABI-43.
static void validate__refuses_each_breakage(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; ++i) {
        view_builder *b = sample();
        tn_graph_view *view = view_builder_finish(b, 0);
        const uint64_t size_bytes = view->total_bytes;
        tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
        assert_int_equal(tn_view_validate_bytes(view, size_bytes, &error), TN_OK);
        breakages[i].change(view);
        const tn_status status = tn_view_validate_bytes(view, size_bytes, &error);
        if (status != TN_ERROR_INVALID_DATA || strcmp(error.id, breakages[i].id) != 0) {
            fail_msg("%s: status %d, id %s, expected %s", breakages[i].name, status, error.id,
                     breakages[i].id);
        }
        view_builder_destroy(b);
    }
    assert_int_equal(tn_view_validate(NULL, NULL), TN_ERROR_INVALID_DATA);
}

static void validate__refuses_every_truncation(void **state) {
    (void)state;
    view_builder *b = sample();
    const tn_graph_view *view = view_builder_finish(b, 0);
    for (uint64_t size = 0; size < view->total_bytes; ++size) {
        // An exact allocation, so that AddressSanitizer sees one byte too far.
        unsigned char *bytes = malloc(size == 0 ? 1 : size);
        assert_non_null(bytes);
        memcpy(bytes, view, size);
        assert_int_equal(
            tn_view_validate_bytes((const tn_graph_view *)(const void *)bytes, size, NULL),
            TN_ERROR_INVALID_DATA);
        free(bytes);
    }
    view_builder_destroy(b);
}

// Touches everything an accessor can reach.
static uint64_t walk(const tn_graph_view *view) {
    uint64_t sum = 0;
    for (uint32_t n = 0; n < view->nodes.count; ++n) {
        const tn_graph_node *node = tn_view_node(view, n);
        sum += tn_view_text_is(view, node->op_type, "Second");
        for (uint32_t i = 0; i < node->inputs.count; ++i) {
            const uint32_t id = tn_view_node_input(view, node, i);
            sum += id == TN_NONE ? 0 : tn_view_value(view, id)->dtype;
        }
        for (uint32_t a = 0; a < node->attributes.count; ++a) {
            const tn_graph_attribute *attribute =
                tn_view_attribute(view, node->attributes.begin + a);
            const tn_string name = tn_view_text(view, attribute->name);
            for (uint64_t i = 0; i < name.size_bytes; ++i) {
                sum += (unsigned char)name.data[i];
            }
        }
        int64_t ints[4];
        sum += tn_view_attr_ints(view, node, "pads", ints, 4);
        sum += tn_view_attr_string(view, node, "mode").size_bytes;
        sum += tn_view_attr_tensor(view, node, "table") != NULL;
    }
    for (uint32_t v = 0; v < view->values.count; ++v) {
        const tn_graph_value *value = tn_view_value(view, v);
        for (uint32_t d = 0; value->dims.count != TN_RANK_UNKNOWN && d < value->dims.count; ++d) {
            sum += (uint64_t)tn_view_value_dim(view, value, d)->size;
        }
    }
    return sum;
}

// Seeded byte changes: whatever passes validation must be safe to read.
static void validate__makes_mutants_safe_to_read(void **state) {
    (void)state;
    view_builder *b = sample();
    const tn_graph_view *view = view_builder_finish(b, 0);
    const size_t size = (size_t)view->total_bytes;
    uint64_t random = 0x9e3779b97f4a7c15u;
    uint32_t accepted = 0;
    uint32_t refused = 0;
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 20000; ++round) {
        unsigned char *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, view, size);
        for (uint32_t change = 0; change <= round % 3; ++change) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            static const unsigned char values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
            bytes[(random >> 33) % size] = values[(random >> 20) % sizeof values];
        }
        const tn_graph_view *mutant = (const tn_graph_view *)(const void *)bytes;
        if (tn_view_validate_bytes(mutant, size, NULL) == TN_OK) {
            accepted += 1;
            sum += walk(mutant);
        } else {
            refused += 1;
        }
        free(bytes);
    }
    assert_true(accepted > 100 && refused > 100 && sum != 0);
    view_builder_destroy(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accessors__read_what_was_written),
        cmocka_unit_test(dtype_bytes__packs_narrow_types),
        cmocka_unit_test(validate__refuses_each_breakage),
        cmocka_unit_test(validate__refuses_every_truncation),
        cmocka_unit_test(validate__makes_mutants_safe_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
