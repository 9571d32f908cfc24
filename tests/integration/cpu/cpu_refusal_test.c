// SPDX-License-Identifier: Apache-2.0
// Views that no honest host sends, and odd ones that it may: the plugin cpu says what is wrong, or
// computes what they say.
#include "support/abi_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST_BYTES 65536

tn_status tn_plugin_entry_1_cpu(const tn_host_offer *offer, tn_plugin_answer *answer,
                                tn_error *error);

static uint32_t floats(view_builder *b, uint32_t rank, const int64_t *dims) {
    return view_builder_value(b, TN_DTYPE_FLOAT, rank, dims);
}

static uint32_t fed(view_builder *b, uint32_t rank, const int64_t *dims) {
    const uint32_t value = floats(b, rank, dims);
    view_builder_input(b, value);
    return value;
}

static uint32_t known(view_builder *b, uint32_t rank, const int64_t *dims, uint64_t count) {
    static const float zeros[64] = {0};
    return view_builder_constant_value(b, TN_DTYPE_FLOAT, rank, dims, zeros, count * sizeof(float),
                                       TN_CONSTANT_MAPPABLE);
}

static void finish(view_builder *b, const char *type, uint32_t version, const uint32_t *inputs,
                   uint32_t count, uint32_t out) {
    view_builder_node(b, type, version, inputs, count, &out, 1);
    view_builder_output(b, out);
}

static void sum_larger_than_summands(view_builder *b) {
    const uint32_t x = fed(b, 1, (const int64_t[]){2});
    finish(b, "Add", 14, (const uint32_t[]){x, x}, 2, floats(b, 1, (const int64_t[]){1000}));
}

static void product_of_unequal_depth(view_builder *b) {
    const uint32_t x = fed(b, 2, (const int64_t[]){2, 3});
    const uint32_t w = known(b, 2, (const int64_t[]){4, 5}, 20);
    finish(b, "MatMul", 13, (const uint32_t[]){x, w}, 2, floats(b, 2, (const int64_t[]){2, 5}));
}

static void window_larger_than_it_reaches(view_builder *b) {
    const uint32_t x = fed(b, 4, (const int64_t[]){1, 1, 5, 5});
    finish(b, "MaxPool", 12, &x, 1, floats(b, 4, (const int64_t[]){1, 1, 9, 9}));
    view_builder_ints(b, "kernel_shape", (const int64_t[]){2, 2}, 2);
}

static void axis_that_is_moved_twice(view_builder *b) {
    const uint32_t x = fed(b, 3, (const int64_t[]){2, 2, 2});
    finish(b, "Transpose", 13, &x, 1, floats(b, 3, (const int64_t[]){2, 2, 2}));
    view_builder_ints(b, "perm", (const int64_t[]){0, 1, 1}, 3);
}

static void table_read_into_too_much(view_builder *b) {
    const uint32_t x = fed(b, 2, (const int64_t[]){4, 2});
    const uint32_t at = view_builder_value(b, TN_DTYPE_INT64, 1, (const int64_t[]){3});
    view_builder_input(b, at);
    finish(b, "Gather", 13, (const uint32_t[]){x, at}, 2, floats(b, 2, (const int64_t[]){3, 9}));
}

static void lengths_of_another_batch(view_builder *b) {
    const uint32_t x = fed(b, 3, (const int64_t[]){2, 3, 1});
    const uint32_t lengths = view_builder_value(b, TN_DTYPE_INT32, 1, (const int64_t[]){1});
    view_builder_input(b, lengths);
    const uint32_t w = known(b, 3, (const int64_t[]){1, 8, 1}, 8);
    const uint32_t r = known(b, 3, (const int64_t[]){1, 8, 2}, 16);
    finish(b, "LSTM", 14, (const uint32_t[]){x, w, r, TN_NONE, lengths}, 5,
           floats(b, 4, (const int64_t[]){2, 1, 3, 2}));
}

static void scales_for_half_of_the_axis(view_builder *b) {
    const uint32_t w = view_builder_constant_value(b, TN_DTYPE_INT8, 2, (const int64_t[]){4, 2},
                                                   "abcdefgh", 8, TN_CONSTANT_MAPPABLE);
    const uint32_t s = known(b, 1, (const int64_t[]){2}, 2);
    finish(b, "DequantizeLinear", 13, (const uint32_t[]){w, s}, 2,
           floats(b, 2, (const int64_t[]){4, 2}));
    view_builder_int(b, "axis", 0);
}

static void constant_of_another_shape(view_builder *b) {
    const uint32_t x = fed(b, 1, (const int64_t[]){8});
    const uint32_t unseen = known(b, 1, (const int64_t[]){2}, 2);
    (void)unseen; // the constant 0, which the next value claims to be
    const uint32_t w = floats(b, 1, (const int64_t[]){8});
    view_builder_bind(b, w, 0);
    finish(b, "Add", 14, (const uint32_t[]){x, w}, 2, floats(b, 1, (const int64_t[]){8}));
}

static void input_that_nothing_makes(view_builder *b) {
    const uint32_t x = floats(b, 1, (const int64_t[]){8});
    finish(b, "Relu", 14, &x, 1, floats(b, 1, (const int64_t[]){8}));
}

static void absent_part(view_builder *b) {
    const uint32_t x = fed(b, 1, (const int64_t[]){8});
    finish(b, "Concat", 13, (const uint32_t[]){x, TN_NONE}, 2, floats(b, 1, (const int64_t[]){8}));
    view_builder_int(b, "axis", 0);
}

static void node_without_result(view_builder *b) {
    const uint32_t x = fed(b, 1, (const int64_t[]){8});
    view_builder_node(b, "Relu", 14, &x, 1, NULL, 0);
    view_builder_output(b, x);
}

static void axis_beyond_all_numbers(view_builder *b) {
    const uint32_t x = fed(b, 2, (const int64_t[]){2, 8});
    const uint32_t gain = known(b, 1, (const int64_t[]){8}, 8);
    finish(b, "LayerNormalization", 17, (const uint32_t[]){x, gain}, 2,
           floats(b, 2, (const int64_t[]){2, 8}));
    view_builder_int(b, "axis", INT64_MIN);
}

static void enlargement_to_fewer_axes(view_builder *b) {
    const uint32_t x = fed(b, 4, (const int64_t[]){1, 1, 2, 2});
    finish(b, "Resize", 19, &x, 1, floats(b, 2, (const int64_t[]){1, 1}));
}

static void limits_in_the_wrong_order(view_builder *b) {
    const uint32_t x = fed(b, 4, (const int64_t[]){1, 1, 3, 3});
    const uint32_t w = known(b, 4, (const int64_t[]){1, 1, 1, 1}, 1);
    const uint32_t c = floats(b, 4, (const int64_t[]){1, 1, 3, 3});
    view_builder_node(b, "Conv", 11, (const uint32_t[]){x, w}, 2, &c, 1);
    finish(b, "Clip", 10, &c, 1, floats(b, 4, (const int64_t[]){1, 1, 3, 3}));
    view_builder_float(b, "min", 2.0f);
    view_builder_float(b, "max", 1.0f);
}

static void four_bits_that_are_returned(view_builder *b) {
    const uint32_t x = fed(b, 1, (const int64_t[]){2});
    const uint32_t w =
        view_builder_constant_value(b, TN_DTYPE_INT4, 1, (const int64_t[]){64},
                                    "abcdefghijklmnopqrstuvwxyz123456", 32, TN_CONSTANT_MAPPABLE);
    view_builder_output(b, w);
    finish(b, "Relu", 14, &x, 1, floats(b, 1, (const int64_t[]){2}));
}

static void more_keys_than_any_memory_holds(view_builder *b) {
    const int64_t keys = (int64_t)1 << 56;
    const uint32_t q = fed(b, 4, (const int64_t[]){1, 1, 1, 1});
    const uint32_t k = fed(b, 4, (const int64_t[]){1, 1, keys, 1});
    const uint32_t turned = floats(b, 4, (const int64_t[]){1, 1, 1, keys});
    const uint32_t scores = floats(b, 4, (const int64_t[]){1, 1, 1, keys});
    const uint32_t weights = floats(b, 4, (const int64_t[]){1, 1, 1, keys});
    view_builder_node(b, "Transpose", 13, &k, 1, &turned, 1);
    view_builder_ints(b, "perm", (const int64_t[]){0, 1, 3, 2}, 4);
    view_builder_node(b, "MatMul", 13, (const uint32_t[]){q, turned}, 2, &scores, 1);
    view_builder_node(b, "Softmax", 13, &scores, 1, &weights, 1);
    finish(b, "MatMul", 13, (const uint32_t[]){weights, k}, 2,
           floats(b, 4, (const int64_t[]){1, 1, 1, 1}));
}

typedef struct refusal {
    const char *name;
    void (*build)(view_builder *b);
    tn_status expected;
} refusal;

static const refusal refusals[] = {
    {"sum_larger_than_summands", sum_larger_than_summands, TN_ERROR_INVALID_DATA},
    {"product_of_unequal_depth", product_of_unequal_depth, TN_ERROR_INVALID_DATA},
    {"window_larger_than_it_reaches", window_larger_than_it_reaches, TN_ERROR_INVALID_DATA},
    {"axis_that_is_moved_twice", axis_that_is_moved_twice, TN_ERROR_INVALID_DATA},
    {"table_read_into_too_much", table_read_into_too_much, TN_ERROR_INVALID_DATA},
    {"lengths_of_another_batch", lengths_of_another_batch, TN_ERROR_INVALID_DATA},
    {"scales_for_half_of_the_axis", scales_for_half_of_the_axis, TN_ERROR_INVALID_DATA},
    {"constant_of_another_shape", constant_of_another_shape, TN_ERROR_INVALID_DATA},
    {"input_that_nothing_makes", input_that_nothing_makes, TN_ERROR_INVALID_DATA},
    {"absent_part", absent_part, TN_ERROR_UNSUPPORTED},
    {"node_without_result", node_without_result, TN_ERROR_UNSUPPORTED},
    {"axis_beyond_all_numbers", axis_beyond_all_numbers, TN_ERROR_UNSUPPORTED},
    {"enlargement_to_fewer_axes", enlargement_to_fewer_axes, TN_ERROR_UNSUPPORTED},
    {"more_keys_than_any_memory_holds", more_keys_than_any_memory_holds, TN_ERROR_UNSUPPORTED},
    {"limits_in_the_wrong_order", limits_in_the_wrong_order, TN_OK},
    {"four_bits_that_are_returned", four_bits_that_are_returned, TN_OK},
};

static tn_status run(abi_plugin *plugin, const tn_graph_view *view, tn_error *error) {
    abi_program program;
    void *buffers[8] = {NULL};
    tn_status status = abi_program_open(plugin, view, NULL, 0, &program, error);
    if (status != TN_OK) {
        return status;
    }
    for (uint32_t i = 0; i < program.port_count && i < 8; ++i) {
        assert_in_range(program.ports[i].size_bytes, 1, MOST_BYTES);
        const uint64_t bytes = (program.ports[i].size_bytes + 63) / 64 * 64;
        buffers[i] = aligned_alloc(64, bytes);
        assert_non_null(buffers[i]);
        memset(buffers[i], 0, bytes);
    }
    status = abi_program_run(&program, buffers, error);
    for (uint32_t i = 0; i < 8; ++i) {
        free(buffers[i]);
    }
    abi_program_close(&program);
    return status;
}

static void refusals__name_what_is_wrong(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
        abi_host host;
        abi_plugin plugin;
        tn_node_verdict verdict;
        tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
        view_builder *b = view_builder_create();
        refusals[i].build(b);
        const tn_graph_view *view = view_builder_finish(b, 0);
        abi_host_init(&host, b);
        assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_cpu, &plugin, &error), TN_OK);
        assert_int_equal(abi_plugin_judge(&plugin, view, &verdict, &error), TN_OK);
        const tn_status status = run(&plugin, view, &error);
        if (status != refusals[i].expected || (status != TN_OK && error.text[0] == '\0')) {
            fail_msg("%s: status %d, %s", refusals[i].name, status, error.text);
        }
        assert_int_equal(abi_plugin_close(&plugin), TN_OK);
        assert_int_equal(host.live_blocks, 0);
        view_builder_destroy(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals__name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
