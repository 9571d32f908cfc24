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

// Everything from the handshake to the answer, each allocation failing in turn.
static void every_allocation__may_fail(void **state) {
    (void)state;
    uint64_t failures = 0;
    for (uint32_t fail_on = 0; fail_on < 2; ++fail_on) {
        for (uint64_t fail_at = 1;; ++fail_at) {
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
            if (status == TN_OK) {
                break;
            }
            assert_int_equal(status, TN_ERROR_OUT_OF_MEMORY);
            failures += 1;
        }
    }
    // Plugin, device, program and its six arrays, ports, context, bindings, fence: far more than
    // ten.
    assert_true(failures > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__computes_a_small_network),
        cmocka_unit_test(run__reads_weights_that_cannot_be_mapped),
        cmocka_unit_test(run__strides_over_longer_records),
        cmocka_unit_test(every_allocation__may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
