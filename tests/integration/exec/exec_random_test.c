// SPDX-License-Identifier: Apache-2.0
// Random graphs over random sets of fake devices: right answers, agreeing counts, nothing left
// behind.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_NODES 24
#define GRAPHS 400

typedef struct random_graph {
    int node_count;
    uint32_t ops[MAX_NODES];
    int inputs[MAX_NODES][2]; // value: 0 and 1 are the graph's inputs, 2 + i is node i's output
    bool output[MAX_NODES];
} random_graph;

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

static void make_graph(random_graph *g, uint64_t *seed) {
    static const uint32_t ops[] = {FAKE_ADD, FAKE_RELU, FAKE_NEG};
    bool used[MAX_NODES + 2] = {false};
    memset(g, 0, sizeof(*g));
    g->node_count = 1 + (int)(next_random(seed) % MAX_NODES);
    for (int i = 0; i < g->node_count; i++) {
        g->ops[i] = ops[next_random(seed) % 3];
        for (int k = 0; k < 2; k++) {
            g->inputs[i][k] = (int)(next_random(seed) % (uint32_t)(i + 2));
        }
        used[g->inputs[i][0]] = true;
        used[g->inputs[i][1]] = used[g->inputs[i][1]] || g->ops[i] == FAKE_ADD;
    }
    for (int i = 0; i < g->node_count; i++) {
        g->output[i] = !used[i + 2] || next_random(seed) % 8 == 0;
    }
}

static void build(exec_fixture *f, const random_graph *g) {
    static const int64_t dims[] = {EXEC_WIDTH};
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "v0", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&b, "v1", TN_DTYPE_FLOAT, 1, dims);
    for (int i = 0; i < g->node_count; i++) {
        char inputs[32];
        char output[16];
        snprintf(output, sizeof(output), "v%d", i + 2);
        if (g->ops[i] == FAKE_ADD) {
            snprintf(inputs, sizeof(inputs), "v%d,v%d", g->inputs[i][0], g->inputs[i][1]);
        } else {
            snprintf(inputs, sizeof(inputs), "v%d", g->inputs[i][0]);
        }
        onnx_node(&b,
                  g->ops[i] == FAKE_ADD    ? "Add"
                  : g->ops[i] == FAKE_RELU ? "Relu"
                                           : "Neg",
                  inputs, output);
        if (g->output[i]) {
            onnx_output(&b, output, TN_DTYPE_FLOAT, 1, dims);
        }
    }
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

static void compute(const random_graph *g, float x, float y, float *values) {
    values[0] = x;
    values[1] = y;
    for (int i = 0; i < g->node_count; i++) {
        float a = values[g->inputs[i][0]];
        float b = values[g->inputs[i][1]];
        values[i + 2] = g->ops[i] == FAKE_ADD    ? a + b
                        : g->ops[i] == FAKE_RELU ? (a > 0 ? a : 0)
                                                 : -a;
    }
}

// Random devices with random ops; together they can do everything.
static void choose_devices(char *list, size_t capacity, uint64_t *seed) {
    static const char *const names[FAKE_DEVICE_COUNT] = {
        "fake:alpha", "fake:beta", "fake:shared", "fake:worker", "fake:inline", "fake:mute"};
    uint32_t covered = 0;
    uint32_t chosen = 0;
    list[0] = '\0';
    while (covered != FAKE_ALL) {
        uint32_t device = next_random(seed) % FAKE_DEVICE_COUNT;
        if ((chosen >> device) & 1u) {
            uint32_t missing = FAKE_ALL & ~covered;
            fake_device(device)->ops |= missing & (1u << next_random(seed) % 3);
        } else {
            chosen |= 1u << device;
            fake_device(device)->ops = 1u << next_random(seed) % 3;
            fake_device(device)->cost_ns = next_random(seed) % 2 ? 1000 : 200000;
            snprintf(list + strlen(list), capacity - strlen(list), "%s%s",
                     list[0] == '\0' ? "" : ",", names[device]);
        }
        covered |= fake_device(device)->ops;
    }
}

static void check_outputs(exec_fixture *f, const random_graph *g, float x, float y) {
    float values[MAX_NODES + 2];
    for (int k = 0; k < EXEC_WIDTH; k++) {
        uint32_t output = 0;
        compute(g, x + (float)k, y + (float)k, values);
        for (int i = 0; i < g->node_count; i++) {
            if (g->output[i]) {
                assert_float_equal(exec_output(f, output++)[k], values[i + 2], 0);
            }
        }
    }
}

static void run__random_graphs_are_right_on_any_devices(void **state) {
    (void)state;
    uint32_t most_islands = 0;
    for (uint64_t i = 1; i <= GRAPHS; i++) {
        exec_fixture f;
        random_graph g;
        char devices[256];
        uint64_t seed = i * 7919;
        make_graph(&g, &seed);
        exec_open(&f);
        choose_devices(devices, sizeof(devices), &seed);
        build(&f, &g);
        assert_int_equal(exec_compile(&f, devices), TN_OK);
        exec_prepare(&f, 0);
        for (uint32_t run = 1; run <= 2; run++) {
            exec_fill(&f, 0, -4.0f * (float)run);
            exec_fill(&f, 1, 1.0f);
            assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
            check_outputs(&f, &g, -4.0f * (float)run, 1.0f);
            assert_true(exec_counts_agree(&f, run));
        }
        tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
        assert_int_equal(tn_compiled_plan_get(f.compiled, &plan), TN_OK);
        most_islands = plan.island_count > most_islands ? plan.island_count : most_islands;
        exec_close(&f);
    }
    assert_true(most_islands >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__random_graphs_are_right_on_any_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
