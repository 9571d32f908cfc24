// SPDX-License-Identifier: Apache-2.0
// The reference plugin as a whole: verdicts, compile, ports, liveness, symbols, weights, failures
// of every allocation.
#include "support/abi_host.h"

#include "tenon/helper/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

static tn_error fresh_error(void) {
    return (tn_error){.struct_size = (uint32_t)sizeof(tn_error), .struct_type = TN_STRUCT_ERROR};
}

// x -> Conv(w, b) -> Relu -> Add(itself) -> y, on 1x1x3x3 with a 2x2 window.
static view_builder *small_network(tn_constant_flags flags) {
    view_builder *b = view_builder_create();
    const int64_t in_dims[] = {1, 1, 3, 3};
    const int64_t w_dims[] = {1, 1, 2, 2};
    const int64_t b_dims[] = {1};
    const int64_t out_dims[] = {1, 1, 2, 2};
    const float weights[] = {1, 2, 3, 4};
    const float bias[] = {-30};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 4, in_dims);
    const uint32_t w =
        view_builder_constant_value(b, TN_DTYPE_FLOAT, 4, w_dims, weights, sizeof weights, flags);
    const uint32_t bias_value =
        view_builder_constant_value(b, TN_DTYPE_FLOAT, 1, b_dims, bias, sizeof bias, flags);
    const uint32_t c = view_builder_value(b, TN_DTYPE_FLOAT, 4, out_dims);
    const uint32_t r = view_builder_value(b, TN_DTYPE_FLOAT, 4, out_dims);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 4, out_dims);
    view_builder_node(b, "Conv", 11, (const uint32_t[]){x, w, bias_value}, 3, &c, 1);
    view_builder_node(b, "Relu", 14, &c, 1, &r, 1);
    view_builder_node(b, "Add", 14, (const uint32_t[]){r, r}, 2, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, y);
    return b;
}

static const float small_input[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
// Windows give 27, 37, 57, 67; less 30, at least 0, doubled.
static const float small_output[4] = {0, 14, 54, 74};

static void run_small(tn_constant_flags flags, uint32_t extra, abi_host *host) {
    view_builder *b = small_network(flags);
    const tn_graph_view *view = view_builder_finish(b, extra);
    tn_error error = fresh_error();
    abi_plugin plugin;
    abi_program program;
    float x[9];
    float y[4] = {0};
    memcpy(x, small_input, sizeof x);
    abi_host_init(host, b);
    assert_int_equal(abi_plugin_open(host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    assert_int_equal(abi_program_open(&plugin, view, NULL, 0, &program, &error), TN_OK);
    assert_int_equal(abi_program_run(&program, (void *[]){x, y}, &error), TN_OK);
    assert_memory_equal(y, small_output, sizeof y);
    abi_program_close(&program);
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    assert_int_equal(host->live_blocks, 0);
    assert_int_equal(host->wrong_free_count, 0);
    view_builder_destroy(b);
}

static void run__computes_a_small_network(void **state) {
    (void)state;
    abi_host host;
    run_small(TN_CONSTANT_MAPPABLE, 0, &host);
    assert_int_equal(host.map_count, 2);
    assert_int_equal(host.read_count, 0);
}

static void run__reads_weights_that_cannot_be_mapped(void **state) {
    (void)state;
    abi_host host;
    run_small(0, 0, &host);
    assert_int_equal(host.map_count, 0);
    assert_int_equal(host.read_count, 2);
}

static void run__strides_over_longer_records(void **state) {
    (void)state;
    abi_host host;
    run_small(TN_CONSTANT_MAPPABLE, 24, &host);
}

// Everything from the handshake to the answer, with allocations failing from the fail_at-th on.
static tn_status run_failing(uint64_t fail_at, uint32_t fail_on) {
    view_builder *b = small_network(0);
    const tn_graph_view *view = view_builder_finish(b, 0);
    tn_error error = fresh_error();
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    float x[9];
    float y[4] = {0};
    memcpy(x, small_input, sizeof x);
    abi_host_init(&host, b);
    host.fail_at = fail_at;
    host.fail_on = fail_on;
    tn_status status = abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error);
    if (status == TN_OK) {
        status = abi_program_open(&plugin, view, NULL, 0, &program, &error);
        if (status == TN_OK) {
            status = abi_program_run(&program, (void *[]){x, y}, &error);
            abi_program_close(&program);
        }
        assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    }
    assert_int_equal(host.live_blocks, 0);
    assert_int_equal(host.wrong_free_count, 0);
    view_builder_destroy(b);
    return status;
}

static void every_allocation__may_fail(void **state) {
    (void)state;
    for (uint32_t fail_on = 0; fail_on < 2; ++fail_on) {
        uint64_t failures = 0;
        tn_status status = run_failing(1, fail_on);
        while (status != TN_OK) {
            assert_int_equal(status, TN_ERROR_OUT_OF_MEMORY);
            failures += 1;
            status = run_failing(failures + 1, fail_on);
        }
        // Plugin, device, program with its arrays, ports, context, bindings, fence.
        assert_true(failures > 20);
    }
}

// A plugin with an open device, and one program over a builder's view.
typedef struct opened {
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    tn_error error;
} opened;

static tn_status open_program(opened *o, view_builder *b, const tn_symbol_value *symbols,
                              uint64_t symbol_count) {
    o->error = fresh_error();
    abi_host_init(&o->host, b);
    assert_int_equal(abi_plugin_open(&o->host, tn_plugin_entry_1_reference, &o->plugin, &o->error),
                     TN_OK);
    return abi_program_open(&o->plugin, view_builder_finish(b, 0), symbols, symbol_count,
                            &o->program, &o->error);
}

static void close_program(opened *o, view_builder *b) {
    assert_int_equal(abi_plugin_close(&o->plugin), TN_OK);
    assert_int_equal(o->host.live_blocks, 0);
    view_builder_destroy(b);
}

// x -> Neg -> ... -> Neg -> y, with x of [n, 100].
static view_builder *long_chain(uint32_t count, uint32_t *out_symbol) {
    view_builder *b = view_builder_create();
    *out_symbol = view_builder_symbol(b, "n", 1, 8);
    const int64_t dims[] = {VIEW_SYMBOL(*out_symbol), 100};
    uint32_t value = view_builder_value(b, TN_DTYPE_FLOAT, 2, dims);
    view_builder_input(b, value);
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t next = view_builder_value(b, TN_DTYPE_FLOAT, 2, dims);
        view_builder_node(b, "Neg", 13, &value, 1, &next, 1);
        value = next;
    }
    view_builder_output(b, value);
    return b;
}

static void workspace__is_shared_by_values_that_are_not_alive_together(void **state) {
    (void)state;
    uint32_t symbol = 0;
    view_builder *b = long_chain(9, &symbol);
    const tn_symbol_value size = {.symbol = symbol, .size = 4};
    opened o;
    assert_int_equal(open_program(&o, b, &size, 1), TN_OK);
    assert_int_equal(o.program.port_count, 3);
    assert_int_equal(o.program.ports[0].dims[0], 4);
    assert_int_equal(o.program.ports[0].size_bytes, 1600);
    // Eight intermediates of 1600 bytes, two alive at a time.
    assert_int_equal(o.program.ports[2].kind, TN_PORT_WORKSPACE);
    assert_int_equal(o.program.ports[2].size_bytes, 3200);
    float x[400];
    float y[400];
    for (uint32_t i = 0; i < 400; ++i) {
        x[i] = (float)i;
    }
    assert_int_equal(abi_program_run(&o.program, (void *[]){x, y}, &o.error), TN_OK);
    for (uint32_t i = 0; i < 400; ++i) {
        assert_true(y[i] == -(float)i);
    }
    abi_program_close(&o.program);
    close_program(&o, b);
}

static void symbols__must_be_given_and_in_range(void **state) {
    (void)state;
    const tn_symbol_value rows[] = {
        {.symbol = 0, .size = 9}, {.symbol = 0, .size = 0}, {.symbol = 7, .size = 4}};
    for (uint32_t i = 0; i < 3; ++i) {
        uint32_t symbol = 0;
        view_builder *b = long_chain(2, &symbol);
        opened o;
        assert_int_equal(open_program(&o, b, &rows[i], 1), TN_ERROR_INVALID_ARGUMENT);
        close_program(&o, b);
    }
}

// Outputs that are an input, a constant, and the same value twice.
static void outputs__that_nothing_computes_are_copied(void **state) {
    (void)state;
    view_builder *b = view_builder_create();
    const int64_t dims[] = {2};
    const float constant[] = {5, 6};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    const uint32_t c = view_builder_constant_value(b, TN_DTYPE_FLOAT, 1, dims, constant,
                                                   sizeof constant, TN_CONSTANT_MAPPABLE);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 1, dims);
    view_builder_node(b, "Neg", 13, &x, 1, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, x);
    view_builder_output(b, c);
    view_builder_output(b, y);
    view_builder_output(b, y);
    opened o;
    float in[2] = {1, -2};
    float out[4][2] = {{0}};
    const float expected[4][2] = {{1, -2}, {5, 6}, {-1, 2}, {-1, 2}};
    assert_int_equal(open_program(&o, b, NULL, 0), TN_OK);
    assert_int_equal(
        abi_program_run(&o.program, (void *[]){in, out[0], out[1], out[2], out[3]}, &o.error),
        TN_OK);
    assert_memory_equal(out, expected, sizeof out);
    abi_program_close(&o.program);
    close_program(&o, b);
}

static void empty_tensors__run(void **state) {
    (void)state;
    view_builder *b = view_builder_create();
    const int64_t none[] = {0, 3};
    const int64_t some[] = {2, 3};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 2, none);
    const uint32_t z = view_builder_value(b, TN_DTYPE_FLOAT, 2, some);
    const uint32_t h = view_builder_value(b, TN_DTYPE_FLOAT, 2, none);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 2, some);
    view_builder_node(b, "Relu", 14, &x, 1, &h, 1);
    view_builder_node(b, "Concat", 13, (const uint32_t[]){h, z}, 2, &y, 1);
    view_builder_int(b, "axis", 0);
    view_builder_input(b, x);
    view_builder_input(b, z);
    view_builder_output(b, y);
    opened o;
    float in[6] = {1, 2, 3, 4, 5, 6};
    float out[6] = {0};
    assert_int_equal(open_program(&o, b, NULL, 0), TN_OK);
    assert_int_equal(abi_program_run(&o.program, (void *[]){NULL, in, out}, &o.error), TN_OK);
    assert_memory_equal(in, out, sizeof in);
    abi_program_close(&o.program);
    close_program(&o, b);
}

// A view whose shapes contradict the op ends in an error that names the node, not in a stray
// access.
static void run__refuses_shapes_that_contradict_the_op(void **state) {
    (void)state;
    view_builder *b = view_builder_create();
    const int64_t small[] = {2};
    const int64_t large[] = {4};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 1, small);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 1, large);
    view_builder_node(b, "Relu", 14, &x, 1, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, y);
    opened o;
    float in[2] = {0};
    float out[4] = {0};
    assert_int_equal(open_program(&o, b, NULL, 0), TN_OK);
    assert_int_equal(abi_program_run(&o.program, (void *[]){in, out}, &o.error),
                     TN_ERROR_INVALID_DATA);
    assert_int_equal(o.error.node_index, 0);
    assert_non_null(strstr(o.error.text, "Relu"));
    abi_program_close(&o.program);
    close_program(&o, b);
}

static void compile__refuses_what_the_verdict_refused(void **state) {
    (void)state;
    view_builder *b = view_builder_create();
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
    const uint32_t h = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
    view_builder_node(b, "Relu", 14, &x, 1, &h, 1);
    view_builder_node(b, "Blur", 1, &h, 1, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, y);
    opened o;
    assert_int_equal(open_program(&o, b, NULL, 0), TN_ERROR_UNSUPPORTED);
    assert_int_equal(o.error.node_index, 1);
    close_program(&o, b);
}

// x [2, 3] -> NonZero -> y [2, ?]; with more nodes, y is also read inside.
static view_builder *selecting_network(uint32_t reads_inside) {
    view_builder *b = view_builder_create();
    const uint32_t symbol = view_builder_symbol(b, "", 0, INT64_MAX);
    const int64_t in_dims[] = {2, 3};
    const int64_t out_dims[] = {2, VIEW_SYMBOL(0)};
    assert_int_equal(symbol, 0);
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 2, in_dims);
    const uint32_t y = view_builder_value(b, TN_DTYPE_INT64, 2, out_dims);
    view_builder_node(b, "NonZero", 13, &x, 1, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, y);
    if (reads_inside) {
        const uint32_t z = view_builder_value(b, TN_DTYPE_INT64, 2, out_dims);
        view_builder_node(b, "Neg", 13, &y, 1, &z, 1);
        view_builder_output(b, z);
    }
    return b;
}

static void ports__have_the_largest_shape_and_run_reports_the_actual_one(void **state) {
    (void)state;
    static const float inputs[3][6] = {{0, 1, 0, 2, 0, 3}, {0}, {1, 1, 1, 1, 1, 1}};
    static const int64_t counts[3] = {3, 0, 6};
    view_builder *b = selecting_network(0);
    const tn_graph_view *view = view_builder_finish(b, 0);
    tn_error error = fresh_error();
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    abi_host_init(&host, b);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    // Nobody knows a size for the symbol, and none is asked for.
    assert_int_equal(abi_program_open(&plugin, view, NULL, 0, &program, &error), TN_OK);
    assert_int_equal(program.ports[0].flags, 0);
    assert_int_equal(program.ports[1].flags, TN_PORT_DATA_DEPENDENT);
    assert_int_equal(program.ports[1].rank, 2);
    assert_int_equal(program.ports[1].dims[1], 6);
    assert_int_equal(program.ports[1].size_bytes, 2 * 6 * sizeof(int64_t));
    // The same context again and again: a small result does not make the next one small.
    for (uint32_t i = 0; i < 3; ++i) {
        float x[6];
        int64_t y[12];
        memcpy(x, inputs[i], sizeof x);
        assert_int_equal(abi_program_run(&program, (void *[]){x, y}, &error), TN_OK);
        assert_int_equal(program.shapes[1][0], 2);
        assert_int_equal(program.shapes[1][1], 2);
        assert_int_equal(program.shapes[1][2], counts[i]);
        if (i == 0) {
            // Dense for the actual shape: rows 0 1 1, columns 1 0 2.
            const int64_t expected[6] = {0, 1, 1, 1, 0, 2};
            assert_memory_equal(y, expected, sizeof expected);
        }
    }
    abi_program_close(&program);
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    assert_int_equal(host.live_blocks, 0);
    view_builder_destroy(b);
}

static void compile__refuses_to_read_a_data_dependent_value(void **state) {
    (void)state;
    view_builder *b = selecting_network(1);
    const tn_graph_view *view = view_builder_finish(b, 0);
    tn_error error = fresh_error();
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    abi_host_init(&host, b);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    assert_int_equal(abi_program_open(&plugin, view, NULL, 0, &program, &error),
                     TN_ERROR_UNSUPPORTED);
    assert_string_equal(error.id, "reference.data-dependent");
    assert_int_equal(error.node_index, 1);
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    view_builder_destroy(b);
}

// A shape operand that is an input: sizes come at prepare, and the value must agree with them.
static void run__checks_a_shape_operand_against_what_was_prepared(void **state) {
    (void)state;
    view_builder *b = view_builder_create();
    const uint32_t symbol = view_builder_symbol(b, "n", 0, INT64_MAX);
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 1, (const int64_t[]){6});
    const uint32_t s = view_builder_value(b, TN_DTYPE_INT64, 1, (const int64_t[]){2});
    const uint32_t y =
        view_builder_value(b, TN_DTYPE_FLOAT, 2, (const int64_t[]){VIEW_SYMBOL(0), 2});
    view_builder_node(b, "Reshape", 14, (const uint32_t[]){x, s}, 2, &y, 1);
    view_builder_input(b, x);
    view_builder_input(b, s);
    view_builder_output(b, y);
    const tn_graph_view *view = view_builder_finish(b, 0);
    const tn_symbol_value size = {symbol, 0, 3};
    tn_error error = fresh_error();
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    float data[6] = {1, 2, 3, 4, 5, 6};
    float result[6];
    int64_t shape[2] = {-1, 2};
    abi_host_init(&host, b);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    assert_int_equal(abi_program_open(&plugin, view, &size, 1, &program, &error), TN_OK);
    assert_int_equal(abi_program_run(&program, (void *[]){data, shape, result}, &error), TN_OK);
    assert_memory_equal(result, data, sizeof data);
    shape[0] = 2;
    shape[1] = 3;
    assert_int_equal(abi_program_run(&program, (void *[]){data, shape, result}, &error),
                     TN_ERROR_INVALID_DATA);
    assert_string_equal(error.id, "reference.shape-operand");
    abi_program_close(&program);
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    view_builder_destroy(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__computes_a_small_network),
        cmocka_unit_test(run__reads_weights_that_cannot_be_mapped),
        cmocka_unit_test(run__strides_over_longer_records),
        cmocka_unit_test(every_allocation__may_fail),
        cmocka_unit_test(workspace__is_shared_by_values_that_are_not_alive_together),
        cmocka_unit_test(symbols__must_be_given_and_in_range),
        cmocka_unit_test(outputs__that_nothing_computes_are_copied),
        cmocka_unit_test(empty_tensors__run),
        cmocka_unit_test(run__refuses_shapes_that_contradict_the_op),
        cmocka_unit_test(compile__refuses_what_the_verdict_refused),
        cmocka_unit_test(ports__have_the_largest_shape_and_run_reports_the_actual_one),
        cmocka_unit_test(compile__refuses_to_read_a_data_dependent_value),
        cmocka_unit_test(run__checks_a_shape_operand_against_what_was_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
