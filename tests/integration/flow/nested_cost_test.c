// SPDX-License-Identifier: Apache-2.0
// What is predicted for models with control flow: bodies as often as they run, where that is known,
// else as often as is said.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#define NODE_NS 1000
#define ASSUMED 10

static const int64_t four[] = {4};
static const int64_t any[] = {-2};

static void body_of_loop(pb *out, pb *inner) {
    onnx_builder b;
    onnx_begin_graph(&b);
    onnx_input(&b, inner == NULL ? "j" : "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&b, inner == NULL ? "d" : "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&b, inner == NULL ? "w" : "v", TN_DTYPE_FLOAT, 1, four);
    if (inner != NULL) {
        onnx_node(&b, "Loop", "n,,v", "r");
        onnx_attr_graph(&b, "body", inner);
    } else {
        onnx_node(&b, "Relu", "w", "s");
    }
    onnx_output(&b, inner == NULL ? "d" : "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&b, inner == NULL ? "s" : "r", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&b, out);
}

// inputs: of the Loop before x.
static void loop_with(flow_fixture *f, const char *inputs, bool nested) {
    pb inner;
    pb body;
    body_of_loop(&inner, NULL);
    if (nested) {
        body_of_loop(&body, &inner);
    } else {
        body = inner;
    }
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Loop", inputs, "y");
    onnx_attr_graph(&f->b, "body", &body);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
}

static void constant_int(flow_fixture *f, const char *name, int64_t value) {
    onnx_initializer(&f->b, name, TN_DTYPE_INT64, 0, NULL, &value, sizeof(value));
}

static void constant_bool(flow_fixture *f, const char *name, uint8_t value) {
    onnx_initializer(&f->b, name, TN_DTYPE_BOOL, 0, NULL, &value, sizeof(value));
}

static void loop_of_five(flow_fixture *f) {
    constant_int(f, "m", 5);
    loop_with(f, "m,,x", false);
}

static void loop_nested(flow_fixture *f) {
    constant_int(f, "m", 3);
    constant_int(f, "n", 4);
    loop_with(f, "m,,x", true);
}

static void loop_never(flow_fixture *f) {
    constant_int(f, "m", 5);
    constant_bool(f, "no", 0);
    loop_with(f, "m,no,x", false);
}

static void loop_while(flow_fixture *f) {
    constant_int(f, "m", INT64_MAX);
    loop_with(f, "m,,x", false);
}

static void loop_unknown(flow_fixture *f) {
    loop_with(f, "m,,x", false);
    onnx_input(&f->b, "m", TN_DTYPE_INT64, 0, NULL);
}

static void scan_along(flow_fixture *f, const int64_t *dims) {
    onnx_builder b;
    pb body;
    onnx_begin_graph(&b);
    onnx_input(&b, "e", TN_DTYPE_FLOAT, 0, NULL);
    onnx_node(&b, "Neg", "e", "r");
    onnx_output(&b, "r", TN_DTYPE_FLOAT, 0, NULL);
    onnx_end_graph(&b, &body);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&f->b, "Scan", "x", "y");
    onnx_attr_graph(&f->b, "body", &body);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
}

static void scan_known(flow_fixture *f) {
    scan_along(f, four);
}

static void scan_unknown(flow_fixture *f) {
    scan_along(f, any);
}

static void branch_on(flow_fixture *f, const char *condition) {
    onnx_builder b;
    pb bodies[2];
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        onnx_node(&b, "Neg", "x", "r");
        if (i == 0) {
            onnx_node(&b, "Relu", "r", "s");
        }
        onnx_output(&b, i == 0 ? "s" : "r", TN_DTYPE_FLOAT, 1, four);
        onnx_end_graph(&b, &bodies[i]);
    }
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "If", condition, "y");
    onnx_attr_graph(&f->b, "then_branch", &bodies[0]);
    onnx_attr_graph(&f->b, "else_branch", &bodies[1]);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
}

static void branch_unknown(flow_fixture *f) {
    branch_on(f, "c");
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
}

static void branch_known(flow_fixture *f) {
    constant_bool(f, "c", 0);
    branch_on(f, "c");
}

typedef struct nested_case {
    const char *name;
    void (*build)(flow_fixture *f);
    uint32_t nodes; // that run
    uint32_t assumed;
    bool runs; // as predicted
} nested_case;

static const nested_case cases[] = {
    {"a constant trip count", loop_of_five, 5, 0, true},
    {"a loop in a loop", loop_nested, 12, 0, true},
    {"a condition that is false", loop_never, 0, 0, true},
    {"a loop without an end", loop_while, ASSUMED, 1, false},
    {"a trip count that only a run tells", loop_unknown, ASSUMED, 1, false},
    {"an axis of known size", scan_known, 4, 0, true},
    {"an axis of unknown size", scan_unknown, ASSUMED, 1, false},
    {"a branch", branch_unknown, 2, 0, false},
    {"a branch that is known", branch_known, 1, 0, true},
};

static void summary__counts_bodies(void **state) {
    flow_fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const float x[4] = {-1.0f, 2.0f, -3.0f, 4.0f};
        tn_plan_summary s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_PLAN_SUMMARY};
        fake_reset();
        fake_device(FAKE_ALPHA)->cost_ns = NODE_NS;
        cases[i].build(f);
        flow_compile_on(f, "fake:alpha");
        assert_int_equal(tn_compiled_plan_get(f->compiled, &s), TN_OK);
        print_message("%s\n", cases[i].name);
        assert_int_equal(s.compute_ns, cases[i].nodes * NODE_NS);
        assert_int_equal(s.assumed_loops, cases[i].assumed);
        assert_int_equal(s.cost_ns, s.compute_ns + s.transfer_ns + s.handover_ns);
        assert_int_equal(s.body_ns, s.cost_ns);
        assert_true(s.lower_bound_ns <= s.cost_ns);
        if (cases[i].runs) {
            flow_must(f, tn_request_create(f->compiled, &f->config, &f->request, &f->error));
            flow_must(f, tn_request_prepare(f->request, NULL, 0, &f->error));
            flow_put(f, 0, x, sizeof(x));
            flow_run(f);
            assert_int_equal(flow_stats(f).planned_handovers, s.handovers);
            assert_int_equal(flow_stats(f).handovers, s.handovers);
        }
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
    }
}

// What a device alone would cost is told of the same runs.
static void alternatives__count_bodies(void **state) {
    flow_fixture *f = *state;
    tn_compile_config config;
    tn_compile_config_init(&config);
    fake_device(FAKE_ALPHA)->cost_ns = NODE_NS;
    loop_of_five(f);
    onnx_node(&f->b, "Relu", "x", "z"); // a region of graph 0
    onnx_output(&f->b, "z", TN_DTYPE_FLOAT, 1, four);
    flow_compile_on(f, "fake:alpha");
    const char *const devices[] = {"fake:alpha"};
    config.devices = devices;
    config.device_count = 1;
    config.policy = TN_COMPILE_NO_FALLBACK | TN_COMPILE_EXPLAIN;
    tn_compiled *explained = NULL;
    flow_must(f, tn_compile(f->model, &config, &explained, &f->error));
    tn_plan_summary s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_plan_alternative a = {.struct_size = sizeof(a), .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
    assert_int_equal(tn_compiled_plan_get(explained, &s), TN_OK);
    assert_int_equal(s.compute_ns, 6 * NODE_NS);
    assert_true(s.body_ns < s.cost_ns);
    assert_int_equal(tn_compiled_alternative_get(explained, 0, &a), TN_OK);
    assert_int_equal(a.cost_ns, s.cost_ns);
    assert_int_equal(a.handovers, s.handovers);
    tn_compiled_release(explained);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(summary__counts_bodies),
        FLOW_CASE(alternatives__count_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
