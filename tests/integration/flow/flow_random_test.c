// SPDX-License-Identifier: Apache-2.0
// Random chains of ops, branches and loops over two asynchronous devices: right answers, and what
// was planned is what was counted, by the host and by the devices.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MODELS 60
#define MAX_PARTS 8
#define RUNS 3

static const int64_t four[] = {4};

typedef enum part_kind { PART_RELU, PART_NEG, PART_ADD, PART_IF, PART_LOOP, PART_KINDS } part_kind;

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

// A chain of two ops in a body, from one value to "r".
static void body_ops(onnx_builder *body, const char *from, bool relu_first) {
    onnx_node(body, relu_first ? "Relu" : "Neg", from, "m");
    onnx_node(body, relu_first ? "Neg" : "Relu", "m", "r");
}

static float apply_ops(float v, bool relu_first) {
    v = relu_first ? (v > 0 ? v : 0) : -v;
    return relu_first ? -v : v > 0 ? v : 0;
}

static void add_if(onnx_builder *b, const char *from, const char *to) {
    pb graphs[2];
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        body_ops(&body, from, i == 0);
        onnx_output(&body, "r", TN_DTYPE_FLOAT, 1, four);
        onnx_end_graph(&body, &graphs[i]);
    }
    onnx_node(b, "If", "c", to);
    onnx_attr_graph(b, "then_branch", &graphs[0]);
    onnx_attr_graph(b, "else_branch", &graphs[1]);
}

static void add_loop(onnx_builder *b, const char *from, const char *to) {
    onnx_builder body;
    pb graph;
    char inputs[32];
    onnx_begin_graph(&body);
    onnx_input(&body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&body, "v", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&body, "Neg", "v", "k");
    onnx_node(&body, "Add", "k,x", "r");
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&body, "r", TN_DTYPE_FLOAT, 1, four);
    onnx_end_graph(&body, &graph);
    snprintf(inputs, sizeof(inputs), "n,,%s", from);
    onnx_node(b, "Loop", inputs, to);
    onnx_attr_graph(b, "body", &graph);
}

static uint32_t build(onnx_builder *b, uint64_t *seed, part_kind *parts) {
    char from[16] = "x";
    const uint32_t count = 1 + next_random(seed) % MAX_PARTS;
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(b, "n", TN_DTYPE_INT64, 0, NULL);
    for (uint32_t i = 0; i < count; i++) {
        static const char *const ops[] = {"Relu", "Neg", "Add"};
        char to[16];
        char both[32];
        parts[i] = (part_kind)(next_random(seed) % PART_KINDS);
        snprintf(to, sizeof(to), "p%u", i);
        snprintf(both, sizeof(both), "%s,x", from);
        if (parts[i] == PART_IF) {
            add_if(b, from, to);
        } else if (parts[i] == PART_LOOP) {
            add_loop(b, from, to);
        } else {
            onnx_node(b, ops[parts[i]], parts[i] == PART_ADD ? both : from, to);
        }
        memcpy(from, to, sizeof(from));
    }
    onnx_output(b, from, TN_DTYPE_FLOAT, 1, four);
    return count;
}

static float answer(const part_kind *parts, uint32_t count, float x, bool c, int64_t n) {
    float v = x;
    for (uint32_t i = 0; i < count; i++) {
        for (int64_t k = 0; parts[i] == PART_LOOP && k < n; k++) {
            v = x - v;
        }
        v = parts[i] == PART_RELU  ? (v > 0 ? v : 0)
            : parts[i] == PART_NEG ? -v
            : parts[i] == PART_ADD ? v + x
            : parts[i] == PART_IF  ? apply_ops(v, c)
                                   : v;
    }
    return v;
}

// What the devices counted over all runs so far.
typedef struct device_counts {
    uint32_t submits;
    uint32_t copies;
    uint64_t bytes;
} device_counts;

static void check_counts(flow_fixture *f, device_counts *inout_before) {
    const tn_run_stats stats = flow_stats(f);
    device_counts now = {0};
    assert_int_equal(stats.host_waits, stats.planned_host_waits);
    assert_int_equal(stats.transfers, stats.planned_transfers);
    assert_int_equal(stats.handovers, stats.planned_handovers);
    assert_int_equal(stats.transfer_bytes, stats.planned_transfer_bytes);
    fake_lock();
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        now.submits += fake_device(i)->submit_count;
        now.copies += fake_device(i)->copy_count;
        now.bytes += fake_device(i)->copy_bytes;
    }
    fake_unlock();
    assert_int_equal(stats.submits, now.submits - inout_before->submits);
    assert_int_equal(stats.transfers, now.copies - inout_before->copies);
    assert_int_equal(stats.transfer_bytes, now.bytes - inout_before->bytes);
    *inout_before = now;
}

static void one_model(flow_fixture *f, uint64_t *seed) {
    part_kind parts[MAX_PARTS];
    device_counts before = {0};
    static const float x[] = {-2.0f, -1.0f, 1.0f, 3.0f};
    const uint32_t count = build(&f->b, seed, parts);
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD | FAKE_RELU;
    fake_device(FAKE_BETA)->ops = FAKE_NEG;
    flow_open_on(f, "fake:alpha,fake:beta");
    for (int64_t n = 0; n < RUNS; n++) {
        const uint8_t c = (uint8_t)(next_random(seed) % 2);
        flow_put(f, 0, x, sizeof(x));
        flow_put(f, 1, &c, 1);
        flow_put(f, 2, &n, sizeof(n));
        flow_run(f);
        const float *y = flow_output(f, 0).data;
        for (int i = 0; i < 4; i++) {
            assert_true(y[i] == answer(parts, count, x[i], c != 0, n));
        }
        check_counts(f, &before);
    }
}

static void random_stages__are_counted_as_planned(void **state) {
    uint64_t seed = 2026;
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        void *fixture = NULL;
        assert_int_equal(flow_set_up(&fixture), 0);
        one_model(fixture, &seed);
        assert_int_equal(flow_tear_down(&fixture), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_stages__are_counted_as_planned),
    };
    return cmocka_run_group_tests_name("flow random", tests, NULL, NULL);
}
