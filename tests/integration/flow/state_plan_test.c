// SPDX-License-Identifier: Apache-2.0
// State lives in the host's memory between runs: devices that read or make it pay a copy in every
// run, which is what plans say and what runs count.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define WIDTH 1024
#define ROW 4

static const int64_t dims[] = {WIDTH};

// Reads the state s where the first node is and makes it where the last one is: y = Relu(x + s),
// s' = Neg(y).
static void build_fixed(flow_fixture *f) {
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&f->b, "s", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&f->b, "Add", "x,s", "sum");
    onnx_node(&f->b, "Relu", "sum", "y");
    onnx_node(&f->b, "Neg", "y", "t");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&f->b, "t", TN_DTYPE_FLOAT, 1, dims);
}

static void take_fixed_state(flow_fixture *f, tn_state_config *state) {
    tn_state_config_init(state);
    state->input = 1;
    state->output = 1;
    f->config.states = state;
    f->config.state_count = 1;
}

// What the plan says: tensors that are copied, their bytes, and in *out_state those of the state.
static uint32_t planned_transfers(const flow_fixture *f, uint64_t *out_bytes, uint32_t *out_state) {
    uint32_t count = 0;
    *out_bytes = 0;
    *out_state = 0;
    for (uint32_t i = 0; i < tn_compiled_transfer_count(f->compiled); i++) {
        tn_planned_transfer t = {.struct_size = sizeof(t),
                                 .struct_type = TN_STRUCT_PLANNED_TRANSFER};
        assert_int_equal(tn_compiled_transfer_get(f->compiled, i, &t), TN_OK);
        if (t.cost_ns > 0) {
            count++;
            *out_bytes += t.size_bytes;
            *out_state += strcmp(t.name, "s") == 0 || strcmp(t.name, "t") == 0;
        }
    }
    return count;
}

static void plan__of_a_fixed_state_is_what_runs_count(void **state) {
    static const struct {
        const char *first; // device of Add and Relu
        const char *last;  // of Neg
        uint32_t transfers;
        uint32_t of_state;
    } cases[] = {
        {"fake:alpha", "fake:alpha", 4, 2}, // x and s there, y and t back
        {"fake:alpha", "fake:beta", 5, 2},  // y to beta, too
        {"fake:inline", "fake:alpha", 2, 1},
        {"fake:inline", "fake:inline", 0, 0},
    };
    flow_fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const tn_pin pins[] = {{cases[i].first, 0, TN_PIN_TO},
                               {cases[i].first, 1, TN_PIN_TO},
                               {cases[i].last, 2, TN_PIN_TO}};
        const bool one = strcmp(cases[i].first, cases[i].last) == 0;
        char both[64];
        snprintf(both, sizeof(both), "%s,%s", cases[i].first, cases[i].last);
        tn_compile_config config;
        tn_state_config kept;
        tn_compile_config_init(&config);
        config.pins = pins;
        config.pin_count = 3;
        config.policy = TN_COMPILE_EXPLAIN;
        build_fixed(f);
        onnx_end(&f->b, &f->bytes);
        take_fixed_state(f, &kept);
        flow_must(f, flow_open(f, one ? cases[i].first : both, &config));
        uint64_t bytes = 0;
        uint32_t of_state = 0;
        assert_int_equal(planned_transfers(f, &bytes, &of_state), cases[i].transfers);
        assert_int_equal(of_state, cases[i].of_state);
        float expected = 0;
        for (int run = 0; run < 3; run++) {
            float x[WIDTH];
            for (int k = 0; k < WIDTH; k++) {
                x[k] = 1.0f + (float)run;
            }
            flow_put(f, 0, x, sizeof(x));
            flow_run(f);
            expected = x[0] + expected > 0 ? x[0] + expected : 0;
            assert_float_equal(((const float *)flow_output(f, 0).data)[7], expected, 0);
            expected = -expected;
            const tn_run_stats stats = flow_stats(f);
            assert_int_equal(stats.transfers, cases[i].transfers);
            assert_int_equal(stats.transfer_bytes, bytes);
            assert_int_equal(stats.planned_transfers, cases[i].transfers);
            assert_int_equal(stats.planned_transfer_bytes, bytes);
        }
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
    }
}

// A device that is faster by less than its copies of the state cost is not used.
static void plan__pays_for_state_that_is_elsewhere(void **state) {
    flow_fixture *f = *state;
    const char *const devices[] = {"fake:inline", "fake:alpha"};
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.policy = TN_COMPILE_EXPLAIN;
    fake_device(FAKE_INLINE)->cost_ns = 20000;
    fake_device(FAKE_ALPHA)->cost_ns = 1000;
    build_fixed(f);
    onnx_end(&f->b, &f->bytes);
    flow_must(f, flow_open(f, "fake:inline,fake:alpha", &config));
    tn_plan_alternative alpha = {.struct_size = sizeof(alpha),
                                 .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &plan), TN_OK);
    assert_int_equal(plan.compute_ns, 3 * 20000);
    assert_int_equal(plan.transfer_ns, 0);
    assert_int_equal(tn_compiled_alternative_get(f->compiled, 1, &alpha), TN_OK);
    assert_int_equal(alpha.device, tn_host_device_find(f->host, devices[1]));
    assert_int_equal(alpha.transfers, 4);
    assert_true(alpha.cost_ns > plan.cost_ns);
}

// A cache that grows where it lies, on the host; a device that reads all of it pays for all of it.
static void plan__of_a_growing_state_is_what_runs_count(void **state) {
    flow_fixture *f = *state;
    static const int64_t past[] = {-2, ROW};
    static const int64_t token[] = {1, ROW};
    tn_compile_config config;
    tn_state_config kept;
    tn_compile_config_init(&config);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, token);
    onnx_input(&f->b, "past", TN_DTYPE_FLOAT, 2, past);
    onnx_node(&f->b, "Concat", "past,x", "present");
    onnx_attr_int(&f->b, "axis", 0);
    onnx_node(&f->b, "Relu", "present", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "present");
    const tn_pin pin = {"fake:alpha", 1, TN_PIN_TO};
    config.pins = &pin;
    config.pin_count = 1;
    onnx_end(&f->b, &f->bytes);
    take_fixed_state(f, &kept);
    kept.axis = 0;
    kept.capacity = 8;
    flow_must(f, flow_open(f, "reference:cpu,fake:alpha", &config));
    for (uint64_t run = 0; run < 5; run++) {
        const float x[ROW] = {(float)run, -1.0f, 1.0f, 0.5f};
        flow_must(f, tn_request_prepare(f->request, NULL, 0, &f->error));
        flow_put(f, 0, x, sizeof(x));
        flow_run(f);
        const tn_run_stats stats = flow_stats(f);
        assert_int_equal(stats.transfers, 2);
        assert_int_equal(stats.transfer_bytes, 2 * (run + 1) * sizeof(x));
        assert_int_equal(stats.planned_transfers, stats.transfers);
        assert_int_equal(stats.planned_transfer_bytes, stats.transfer_bytes);
        assert_float_equal(((const float *)flow_output(f, 0).data)[run * ROW], (float)run, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(plan__of_a_fixed_state_is_what_runs_count),
        FLOW_CASE(plan__pays_for_state_that_is_elsewhere),
        FLOW_CASE(plan__of_a_growing_state_is_what_runs_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
