// SPDX-License-Identifier: Apache-2.0
// Models that are valid and ask for too much: loops without an end, tensors that no machine holds,
// graphs of a million nodes. Each ends in an error that says what, soon, and without an allocation
// that was bound to fail.
#include "integration/flow/flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define HUGE ((int64_t)1 << 40)
#define ENDLESS ((int64_t)1 << 62)
#define TENSOR_LIMIT ((uint64_t)16 << 20)
#define MEMORY_CAP ((uint64_t)256 << 20)
#define ITERATIONS 1000u

static const int64_t one[1] = {1};
static const int64_t two[2] = {1, 1};
static const int64_t image[4] = {1, 1, 1, 1};

// What goes into the operand that says how large the result is.
static const int64_t huge_shape[1] = {HUGE};
static const int64_t huge_plane[2] = {(int64_t)1 << 20, (int64_t)1 << 20};
static const int64_t huge_pads[4] = {0, 0, (int64_t)1 << 20, (int64_t)1 << 20};
static const int64_t huge_image[4] = {1, 1, (int64_t)1 << 20, (int64_t)1 << 20};

// The operand is input 0 of the model, or a constant.
typedef struct growth {
    const char *name;
    const char *op_type;
    const char *inputs; // "s" is the operand
    uint32_t x_rank;
    const int64_t *x_dims;
    const int64_t *operand;
    uint32_t operand_rank;
    uint32_t operand_count;
} growth;

static const growth growths[] = {
    {"Expand", "Expand", "x,s", 1, one, huge_shape, 1, 1},
    {"Range", "Range", "zero,s,step", 1, one, huge_shape, 0, 1},
    {"ConstantOfShape", "ConstantOfShape", "s", 1, one, huge_plane, 1, 2},
    {"Tile", "Tile", "x,s", 2, two, huge_plane, 1, 2},
    {"Pad", "Pad", "x,s", 2, two, huge_pads, 1, 4},
    {"Resize", "Resize", "x,,,s", 4, image, huge_image, 1, 4},
    {"OneHot", "OneHot", "at,s,values", 1, one, huge_shape, 0, 1},
};

static uint64_t seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static tn_compile_config limits_of(uint64_t max_iterations) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.max_iterations = max_iterations;
    return limits;
}

// From the builder to the end of a run, or to the first error.
static tn_status live(flow_fixture *f, const tn_compile_config *limits, const void *operand,
                      uint64_t operand_bytes) {
    f->memory.cap_bytes = MEMORY_CAP;
    f->model_config.max_tensor_bytes = TENSOR_LIMIT;
    if (f->bytes.size == 0) {
        onnx_end(&f->b, &f->bytes);
    }
    tn_status status = flow_open(f, "reference:cpu", limits);
    if (status == TN_OK && operand != NULL) {
        status = tn_request_write(f->request, 0, operand, operand_bytes, &f->error);
    }
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

// The error is this one, and no allocation was refused. That it comes at all is what the time-out
// of the whole test holds to.
static void ends_with(flow_fixture *f, const tn_compile_config *limits, const char *id) {
    const tn_status status = live(f, limits, NULL, 0);
    if (status != TN_ERROR_LIMIT_EXCEEDED || strcmp(f->error.id, id) != 0) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, id);
    assert_int_equal(f->memory.failed, 0);
}

static void build_growth(onnx_builder *b, const growth *g, bool constant) {
    static const int64_t zero = 0;
    static const int64_t step = 1;
    static const float values[2] = {0.0f, 1.0f};
    const int64_t count = g->operand_count;
    onnx_begin(b, 17);
    if (constant) {
        onnx_initializer(b, "s", TN_DTYPE_INT64, g->operand_rank, &count, g->operand,
                         g->operand_count * sizeof(int64_t));
    } else {
        onnx_input(b, "s", TN_DTYPE_INT64, g->operand_rank, &count);
    }
    onnx_input(b, "x", TN_DTYPE_FLOAT, g->x_rank, g->x_dims);
    onnx_input(b, "at", TN_DTYPE_INT64, 1, one);
    onnx_initializer(b, "zero", TN_DTYPE_INT64, 0, NULL, &zero, sizeof zero);
    onnx_initializer(b, "step", TN_DTYPE_INT64, 0, NULL, &step, sizeof step);
    onnx_initializer(b, "values", TN_DTYPE_FLOAT, 1, (const int64_t[]){2}, values, sizeof values);
    onnx_node(b, g->op_type, g->inputs, "large");
    onnx_node(b, "Cast", "large", "cast");
    onnx_attr_int(b, "to", TN_DTYPE_FLOAT);
    onnx_node(b, "ReduceMax", "cast", "y");
    onnx_output_untyped(b, "y");
}

static void grow(void **state, bool constant) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof growths / sizeof growths[0]; i++) {
        const growth *g = &growths[i];
        onnx_abandon(&f->b);
        build_growth(&f->b, g, constant);
        test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
        const tn_status status =
            live(f, &limits, constant ? NULL : g->operand, g->operand_count * sizeof(int64_t));
        // Either the shapes say so already, or the plan of the memory.
        const bool good = status == TN_ERROR_LIMIT_EXCEEDED && f->memory.failed == 0;
        if (!good) {
            print_message("%s: %s %s: %s; %llu allocations refused\n", g->name,
                          tn_status_text(status), f->error.id, f->error.text,
                          (unsigned long long)f->memory.failed);
        }
        wrong += good ? 0 : 1;
        flow_close(f);
        pb_free(&f->bytes);
    }
    assert_int_equal(wrong, 0);
}

static void growth__by_an_operand_of_the_run_is_refused(void **state) {
    grow(state, false);
}

static void growth__by_a_constant_is_refused(void **state) {
    grow(state, true);
}

static void begin_body(onnx_builder *body) {
    onnx_begin_graph(body);
    onnx_input(body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(body, "Identity", "go", "more");
    onnx_output(body, "more", TN_DTYPE_BOOL, 0, NULL);
}

static void add_loop(onnx_builder *b, onnx_builder *body, int64_t count, const char *inputs,
                     const char *outputs) {
    pb graph;
    onnx_end_graph(body, &graph);
    onnx_initializer(b, "count", TN_DTYPE_INT64, 0, NULL, &count, sizeof count);
    onnx_node(b, "Loop", inputs, outputs);
    onnx_attr_graph(b, "body", &graph);
}

static void loop__without_an_end_meets_the_limit(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    const tn_compile_config limits = limits_of(ITERATIONS);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, one);
    begin_body(&body);
    onnx_input(&body, "v", TN_DTYPE_FLOAT, 1, one);
    onnx_node(&body, "Add", "v,v", "w");
    onnx_output(&body, "w", TN_DTYPE_FLOAT, 1, one);
    add_loop(&f->b, &body, ENDLESS, "count,,x", "y");
    onnx_output_untyped(&f->b, "y");
    ends_with(f, &limits, "flow.iterations");
}

// Tensors without elements take no memory, however many rows they have.
static void scan__over_hollow_rows_meets_the_limit(void **state) {
    flow_fixture *f = *state;
    static const int64_t hollow[2] = {ENDLESS, 0};
    static const int64_t row[1] = {0};
    onnx_builder body;
    pb graph;
    const tn_compile_config limits = limits_of(ITERATIONS);
    onnx_begin_graph(&body);
    onnx_input(&body, "r", TN_DTYPE_FLOAT, 1, row);
    onnx_node(&body, "Neg", "r", "s");
    onnx_output(&body, "s", TN_DTYPE_FLOAT, 1, row);
    onnx_end_graph(&body, &graph);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, hollow);
    onnx_node(&f->b, "Scan", "x", "y");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_output_untyped(&f->b, "y");
    ends_with(f, &limits, "flow.iterations");
}

// 4 MiB a step; a terabyte in the end.
static void loop__that_collects_too_much_meets_the_limit_of_a_tensor(void **state) {
    flow_fixture *f = *state;
    static const int64_t million[1] = {1 << 20};
    onnx_builder body;
    const tn_compile_config limits = limits_of(1u << 20);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, million);
    begin_body(&body);
    onnx_node(&body, "Neg", "x", "seen");
    onnx_output(&body, "seen", TN_DTYPE_FLOAT, 1, million);
    add_loop(&f->b, &body, 1 << 18, "count,", "y");
    onnx_output_untyped(&f->b, "y");
    ends_with(f, &limits, "flow.tensor-size");
    assert_non_null(strstr(f->error.text, "seen"));
}

static void loop__that_doubles_a_tensor_meets_the_limit_of_a_tensor(void **state) {
    flow_fixture *f = *state;
    onnx_builder body;
    const tn_compile_config limits = limits_of(ITERATIONS);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, one);
    begin_body(&body);
    onnx_input(&body, "v", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    onnx_node(&body, "Concat", "v,v", "w");
    onnx_attr_int(&body, "axis", 0);
    onnx_output(&body, "w", TN_DTYPE_FLOAT, TN_RANK_UNKNOWN, NULL);
    add_loop(&f->b, &body, ENDLESS, "count,,x", "y");
    onnx_output_untyped(&f->b, "y");
    ends_with(f, &limits, "memory.tensor-size");
    assert_non_null(strstr(f->error.text, "'w'"));
}

static void build_inserting_loop(flow_fixture *f) {
    onnx_builder body;
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, one);
    onnx_node(&f->b, "SequenceConstruct", "x", "s");
    begin_body(&body);
    onnx_input_sequence(&body, "v", TN_DTYPE_FLOAT);
    onnx_node(&body, "SequenceInsert", "v,x", "w");
    onnx_output_untyped(&body, "w");
    add_loop(&f->b, &body, ENDLESS, "count,,s", "t");
    onnx_node(&f->b, "SequenceLength", "t", "y");
    onnx_output_untyped(&f->b, "y");
}

static void sequence__that_grows_in_a_loop_meets_the_limit(void **state) {
    flow_fixture *f = *state;
    // Without the cost of copying long lists, this would be two billion copies.
    const tn_compile_config limits = limits_of(1u << 16);
    build_inserting_loop(f);
    ends_with(f, &limits, "flow.iterations");
}

static void sequence__that_grows_in_a_loop_meets_the_cap(void **state) {
    flow_fixture *f = *state;
    tn_compile_config limits = limits_of(1u << 20);
    limits.memory_cap_bytes = 64 << 10;
    build_inserting_loop(f);
    ends_with(f, &limits, "flow.memory-cap");
}

// Scan of 100 rows, around a Loop of 100 steps, around an If.
static void loops__inside_of_each_other_count_together(void **state) {
    flow_fixture *f = *state;
    static const int64_t rows[2] = {100, 4};
    static const int64_t row[1] = {4};
    const int64_t steps = 100;
    onnx_builder scan;
    onnx_builder loop;
    pb branches[2];
    pb graph;
    const tn_compile_config limits = limits_of(ITERATIONS);
    for (int i = 0; i < 2; i++) {
        onnx_builder branch;
        onnx_begin_graph(&branch);
        onnx_node(&branch, i == 0 ? "Neg" : "Abs", "v", i == 0 ? "n" : "a");
        onnx_output(&branch, i == 0 ? "n" : "a", TN_DTYPE_FLOAT, 1, row);
        onnx_end_graph(&branch, &branches[i]);
    }
    begin_body(&loop);
    onnx_input(&loop, "v", TN_DTYPE_FLOAT, 1, row);
    onnx_node(&loop, "If", "go", "w");
    onnx_attr_graph(&loop, "then_branch", &branches[0]);
    onnx_attr_graph(&loop, "else_branch", &branches[1]);
    onnx_output(&loop, "w", TN_DTYPE_FLOAT, 1, row);
    onnx_begin_graph(&scan);
    onnx_input(&scan, "r", TN_DTYPE_FLOAT, 1, row);
    add_loop(&scan, &loop, steps, "count,,r", "s");
    onnx_output(&scan, "s", TN_DTYPE_FLOAT, 1, row);
    onnx_end_graph(&scan, &graph);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, rows);
    onnx_node(&f->b, "Scan", "x", "y");
    onnx_attr_graph(&f->b, "body", &graph);
    onnx_attr_int(&f->b, "num_scan_inputs", 1);
    onnx_output_untyped(&f->b, "y");
    ends_with(f, &limits, "flow.iterations");
    flow_close(f);
    const tn_compile_config enough = limits_of(100 + 100 * 100);
    assert_int_equal(live(f, &enough, NULL, 0), TN_OK);
}

// depth graphs of If inside of each other, below graph 0.
static void build_nest(onnx_builder *b, uint32_t depth) {
    pb inner = {NULL, 0, 0};
    for (uint32_t level = depth; level > 0; level--) {
        pb branches[2];
        char name[16];
        char below[16];
        snprintf(name, sizeof name, "v%u", level);
        snprintf(below, sizeof below, "v%u", level + 1);
        for (int i = 0; i < 2; i++) {
            onnx_builder body;
            onnx_begin_graph(&body);
            if (i == 0 && level < depth) {
                pb flat = {NULL, 0, 0};
                onnx_builder other;
                onnx_begin_graph(&other);
                onnx_node(&other, "Neg", "x", below);
                onnx_output(&other, below, TN_DTYPE_FLOAT, 1, one);
                onnx_end_graph(&other, &flat);
                onnx_node(&body, "If", "c", name);
                onnx_attr_graph(&body, "then_branch", &inner);
                onnx_attr_graph(&body, "else_branch", &flat);
            } else {
                onnx_node(&body, i == 0 ? "Abs" : "Neg", "x", name);
            }
            onnx_output(&body, name, TN_DTYPE_FLOAT, 1, one);
            onnx_end_graph(&body, &branches[i]);
        }
        pb_free(&branches[1]);
        inner = branches[0];
    }
    pb flat = {NULL, 0, 0};
    onnx_builder other;
    onnx_begin_graph(&other);
    onnx_node(&other, "Neg", "x", "v1");
    onnx_output(&other, "v1", TN_DTYPE_FLOAT, 1, one);
    onnx_end_graph(&other, &flat);
    onnx_input(b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, one);
    onnx_node(b, "If", "c", "y");
    onnx_attr_graph(b, "then_branch", &inner);
    onnx_attr_graph(b, "else_branch", &flat);
    onnx_output(b, "y", TN_DTYPE_FLOAT, 1, one);
}

static void nest__runs_as_deep_as_the_limit_and_no_deeper(void **state) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    // The limit of the configuration, and what it comes to.
    static const uint32_t cases[][2] = {{0, 64}, {5, 5}, {100000, 256}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t yes = 1;
        f->model_config.max_depth = cases[i][0];
        onnx_abandon(&f->b);
        onnx_begin(&f->b, 17);
        build_nest(&f->b, cases[i][1]);
        const tn_status status = live(f, &limits, &yes, sizeof yes);
        if (status != TN_OK) {
            print_message("%u deep: %s: %s\n", cases[i][1], f->error.id, f->error.text);
        }
        assert_int_equal(status, TN_OK);
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
        build_nest(&f->b, cases[i][1] + 1);
        ends_with(f, &limits, "onnx.graph-depth");
        flow_close(f);
        pb_free(&f->bytes);
    }
}

static void build_chain(onnx_builder *b, uint32_t length) {
    char from[16] = "x";
    char to[16];
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, one);
    for (uint32_t i = 0; i < length; i++) {
        snprintf(to, sizeof to, "v%u", i);
        onnx_node(b, i % 2 == 0 ? "Abs" : "Neg", from, to);
        memcpy(from, to, sizeof from);
    }
    onnx_output_untyped(b, to);
}

#define CHAIN 50000u
#define BYTES_A_NODE 4096u

static void chain__takes_memory_and_time_by_its_length(void **state) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    const uint64_t begin = seconds_now();
    build_chain(&f->b, CHAIN);
    assert_int_equal(live(f, &limits, NULL, 0), TN_OK);
    print_message("%u nodes: %llu bytes at most, %llu s\n", CHAIN,
                  (unsigned long long)f->memory.peak_bytes,
                  (unsigned long long)(seconds_now() - begin));
    assert_true(f->memory.peak_bytes < (uint64_t)CHAIN * BYTES_A_NODE);
}

static void chain__above_a_million_nodes_is_refused(void **state) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    f->memory.cap_bytes = 0;
    build_chain(&f->b, 1000001);
    onnx_end(&f->b, &f->bytes);
    tn_host_release(f->host);
    f->host = NULL;
    f->model_config.max_tensor_bytes = TENSOR_LIMIT;
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "onnx.too-many-nodes");
}

// y = Abs or Neg of x, so many times, each time in a branch.
static void build_branches(flow_fixture *f, uint32_t count) {
    char from[16] = "x";
    char to[16];
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, one);
    for (uint32_t i = 0; i < count; i++) {
        pb branches[2];
        snprintf(to, sizeof to, "v%u", i);
        for (int k = 0; k < 2; k++) {
            onnx_builder body;
            onnx_begin_graph(&body);
            onnx_node(&body, k == 0 ? "Abs" : "Neg", from, "r");
            onnx_output(&body, "r", TN_DTYPE_FLOAT, 1, one);
            onnx_end_graph(&body, &branches[k]);
        }
        onnx_node(&f->b, "If", "c", to);
        onnx_attr_graph(&f->b, "then_branch", &branches[0]);
        onnx_attr_graph(&f->b, "else_branch", &branches[1]);
        memcpy(from, to, sizeof from);
    }
    onnx_output_untyped(&f->b, to);
}

#define BRANCHES 3000u
#define BYTES_A_BRANCH 65536u

// Every body is a part to plan and to run: memory follows the parts, not parts times the model.
static void bodies__by_the_thousand_run(void **state) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    const uint8_t no = 0;
    build_branches(f, BRANCHES);
    assert_int_equal(live(f, &limits, &no, sizeof no), TN_OK);
    print_message("%u branches: %llu bytes at most\n", BRANCHES,
                  (unsigned long long)f->memory.peak_bytes);
    assert_true(f->memory.peak_bytes < (uint64_t)BRANCHES * BYTES_A_BRANCH);
}

static void bodies__beyond_what_can_be_planned_are_refused(void **state) {
    flow_fixture *f = *state;
    const tn_compile_config limits = limits_of(ITERATIONS);
    build_branches(f, 12000);
    ends_with(f, &limits, "flow.stages");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(growth__by_an_operand_of_the_run_is_refused),
        FLOW_CASE(growth__by_a_constant_is_refused),
        FLOW_CASE(loop__without_an_end_meets_the_limit),
        FLOW_CASE(scan__over_hollow_rows_meets_the_limit),
        FLOW_CASE(loop__that_collects_too_much_meets_the_limit_of_a_tensor),
        FLOW_CASE(loop__that_doubles_a_tensor_meets_the_limit_of_a_tensor),
        FLOW_CASE(sequence__that_grows_in_a_loop_meets_the_limit),
        FLOW_CASE(sequence__that_grows_in_a_loop_meets_the_cap),
        FLOW_CASE(loops__inside_of_each_other_count_together),
        FLOW_CASE(nest__runs_as_deep_as_the_limit_and_no_deeper),
        FLOW_CASE(chain__takes_memory_and_time_by_its_length),
        FLOW_CASE(chain__above_a_million_nodes_is_refused),
        FLOW_CASE(bodies__by_the_thousand_run),
        FLOW_CASE(bodies__beyond_what_can_be_planned_are_refused),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
