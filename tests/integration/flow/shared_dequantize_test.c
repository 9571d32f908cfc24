// SPDX-License-Identifier: Apache-2.0
// A DequantizeLinear that several nodes read: devices that claim it together with one of them get
// one of their own, the results are those of the model, and nobody computes it twice for nothing.
#include "flow_fixture.h"

#include "support/narrow/narrow.h"

#include "tenon/helper/graph_reader.h"
#include "tenon/helper/verdicts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <string.h>

#define WIDTH 6u
#define NODE_NS 1000000u

static const int64_t dims[1] = {WIDTH};

// What a device claims: DequantizeLinear, op, QuantizeLinear.
typedef struct {
    const char *op;
    bool bound; // the op only so
    uint64_t saving_ns;
    uint32_t claims; // counted in the last answer
} taste;
static taste tastes[NARROW_COUNT];

static const tn_static_plugin extra = {"narrow0", narrow_entry_0};

// The only node that reads the value, TN_NONE where there are others, or it is an output.
static uint32_t only_reader(const tn_graph_view *view, uint32_t value) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    uint32_t reader = TN_NONE;
    for (uint32_t i = 0; i < graph->outputs.count; i++) {
        if (tn_view_graph_output(view, graph, i) == value) {
            return TN_NONE;
        }
    }
    for (uint32_t i = 0; i < view->nodes.count; i++) {
        const tn_graph_node *node = tn_view_node(view, i);
        for (uint32_t k = 0; k < node->inputs.count; k++) {
            if (tn_view_node_input(view, node, k) == value) {
                if (reader != TN_NONE && reader != i) {
                    return TN_NONE;
                }
                reader = i;
            }
        }
    }
    return reader;
}

static void claim_group(taste *t, const tn_graph_view *view, uint32_t op, tn_verdicts *v) {
    const tn_graph_node *node = tn_view_node(view, op);
    const uint32_t result = tn_view_node_output(view, node, 0);
    const uint32_t first = tn_view_value(view, tn_view_node_input(view, node, 0))->producer;
    const uint32_t last = only_reader(view, result);
    const bool fits = first != TN_NONE && last != TN_NONE &&
                      tn_view_node_is(view, tn_view_node(view, first), "", "DequantizeLinear") &&
                      tn_view_node_is(view, tn_view_node(view, last), "", "QuantizeLinear") &&
                      only_reader(view, tn_view_node_input(view, node, 0)) == op;
    if (!fits) {
        if (t->bound) {
            tn_helper_no(&v->nodes[op], TN_REASON_QUANT_SCHEME, TN_NONE, 0, 0);
        }
        return;
    }
    v->nodes[op].answer = t->bound ? TN_ANSWER_IN_CLAIM : TN_ANSWER_YES;
    v->claim_nodes[v->claim_node_count] = first;
    v->claim_nodes[v->claim_node_count + 1] = op;
    v->claim_nodes[v->claim_node_count + 2] = last;
    v->claims[v->claim_count++] = (tn_claim){
        .nodes = {v->claim_node_count, 3},
        .kind = t->bound ? TN_CLAIM_ALL_OR_NOTHING : TN_CLAIM_BONUS,
        .cost_ns = t->bound ? 3 * NODE_NS - t->saving_ns : t->saving_ns,
        .origin = TN_COST_DECLARED,
    };
    v->claim_node_count += 3;
    t->claims++;
}

static void judge(taste *t, const tn_graph_view *view, tn_verdicts *v) {
    t->claims = 0;
    for (uint32_t i = 0; i < view->nodes.count; i++) {
        v->nodes[i].cost_ns = NODE_NS;
        v->nodes[i].origin = TN_COST_DECLARED;
    }
    for (uint32_t i = 0; i < view->nodes.count && t->op != NULL; i++) {
        if (tn_view_node_is(view, tn_view_node(view, i), "", t->op)) {
            claim_group(t, view, i, v);
        }
    }
}

static void judge_0(const tn_graph_view *view, tn_verdicts *v) {
    judge(&tastes[0], view, v);
}

static void judge_1(const tn_graph_view *view, tn_verdicts *v) {
    judge(&tastes[1], view, v);
}

static bool hides_relu(const char *op_type) {
    return strcmp(op_type, "Relu") == 0;
}

static bool hides_neg(const char *op_type) {
    return strcmp(op_type, "Neg") == 0;
}

// Of x or of a constant: d = DequantizeLinear(q); r = QuantizeLinear(Relu(d)); n =
// QuantizeLinear(Neg(d)); with_output: d is an output too.
static void build(flow_fixture *f, bool constant, bool with_output) {
    static const float scale = 0.5f;
    static const int8_t zero = 0;
    static const int8_t weights[WIDTH] = {-3, -2, -1, 0, 1, 2};
    onnx_initializer(&f->b, "s", TN_DTYPE_FLOAT, 0, NULL, &scale, sizeof(scale));
    onnx_initializer(&f->b, "z", TN_DTYPE_INT8, 0, NULL, &zero, sizeof(zero));
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&f->b, "QuantizeLinear", "x,s,z", "xq");
    if (constant) {
        onnx_initializer(&f->b, "w", TN_DTYPE_INT8, 1, dims, weights, sizeof(weights));
    }
    onnx_node(&f->b, "DequantizeLinear", constant ? "w,s,z" : "xq,s,z", "d");
    onnx_node(&f->b, "Relu", "d", "relu");
    onnx_node(&f->b, "QuantizeLinear", "relu,s,z", "r");
    onnx_node(&f->b, "Neg", "d", "neg");
    onnx_node(&f->b, "QuantizeLinear", "neg,s,z", "n");
    onnx_output(&f->b, "r", TN_DTYPE_INT8, 1, dims);
    onnx_output(&f->b, "n", TN_DTYPE_INT8, 1, dims);
    if (with_output) {
        onnx_output(&f->b, "d", TN_DTYPE_FLOAT, 1, dims);
    }
    onnx_output(&f->b, "xq", TN_DTYPE_INT8, 1, dims);
}

static void set_up(flow_fixture *f, const taste *first, const taste *second) {
    f->reference = narrow_entry_1;
    f->extra = &extra;
    tastes[0] = *first;
    tastes[1] = *second;
    narrow_controls[0] = (narrow_control){.judges = judge_0};
    narrow_controls[1] = (narrow_control){.judges = judge_1};
}

static void assert_results(flow_fixture *f) {
    static const float x[WIDTH] = {-1.5f, -1.0f, -0.5f, 0.0f, 0.5f, 1.0f};
    flow_put(f, 0, x, sizeof(x));
    flow_run(f);
    const int8_t *r = flow_output(f, 0).data;
    const int8_t *n = flow_output(f, 1).data;
    for (int i = 0; i < (int)WIDTH; i++) {
        assert_int_equal(r[i], i - 3 > 0 ? i - 3 : 0);
        assert_int_equal(n[i], 3 - i);
    }
}

// Nodes of all islands, and in *out_dequantize how many of them are node 1 of the model.
static uint32_t count_nodes(const flow_fixture *f, uint32_t *out_dequantize) {
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    uint32_t count = 0;
    *out_dequantize = 0;
    assert_int_equal(tn_compiled_plan_get(f->compiled, &summary), TN_OK);
    for (uint32_t i = 0; i < summary.island_count; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        assert_int_equal(tn_compiled_island_get(f->compiled, i, &island), TN_OK);
        count += island.node_count;
        for (uint32_t k = 0; k < island.node_count; k++) {
            *out_dequantize += island.nodes[k] == 1;
        }
    }
    return count;
}

// One takes Relu in a group only and no Neg, the other the other way round: without copies nobody
// takes either.
static void compile__each_claim_gets_its_own(void **state) {
    for (int constant = 0; constant < 2; constant++) {
        flow_fixture *f = *state;
        uint32_t copies = 0;
        set_up(f, &(taste){.op = "Relu", .bound = true}, &(taste){.op = "Neg", .bound = true});
        narrow_controls[0].hides = hides_neg;
        narrow_controls[1].hides = hides_relu;
        build(f, constant != 0, false);
        flow_open_on(f, "narrow0:cpu,narrow1:cpu");
        assert_int_equal(tastes[0].claims, 1);
        assert_int_equal(tastes[1].claims, 1);
        assert_int_equal(count_nodes(f, &copies), 7);
        assert_int_equal(copies, 2);
        assert_results(f);
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
    }
}

// What is an output stays the model's own: both claims get copies.
static void compile__an_output_keeps_the_original(void **state) {
    flow_fixture *f = *state;
    uint32_t copies = 0;
    set_up(f, &(taste){.op = "Relu", .bound = true}, &(taste){.op = "Neg", .bound = true});
    narrow_controls[0].hides = hides_neg;
    narrow_controls[1].hides = hides_relu;
    build(f, false, true);
    flow_open_on(f, "narrow0:cpu,narrow1:cpu");
    assert_int_equal(count_nodes(f, &copies), 8);
    assert_int_equal(copies, 3);
    assert_results(f);
    assert_float_equal(((const float *)flow_output(f, 2).data)[1], -1.0f, 0);
}

static void compile__copies_are_made_where_they_pay(void **state) {
    static const struct {
        taste first;
        uint32_t copies;
    } cases[] = {
        {{.op = NULL}, 1}, // nobody claims anything
        {{.op = "Relu", .bound = false, .saving_ns = NODE_NS / 2}, 1},
        {{.op = "Relu", .bound = false, .saving_ns = 2 * NODE_NS}, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        flow_fixture *f = *state;
        uint32_t copies = 0;
        set_up(f, &cases[i].first, &(taste){.op = NULL});
        build(f, false, false);
        flow_open_on(f, "narrow0:cpu");
        assert_int_equal(count_nodes(f, &copies), 5 + cases[i].copies);
        assert_int_equal(copies, cases[i].copies);
        assert_results(f);
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
    }
}

// With a copy narrow0 takes all for 6.5 nodes, and narrow1 without for 6. A trial that counted the
// copy on narrow1 too would choose the dearer one.
static void compile__copies_that_nobody_needs_cost_nothing(void **state) {
    flow_fixture *f = *state;
    uint32_t copies = 0;
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    set_up(f, &(taste){.op = "Relu", .bound = true, .saving_ns = NODE_NS / 2},
           &(taste){.op = NULL});
    build(f, false, false);
    flow_open_on(f, "narrow0:cpu,narrow1:cpu");
    assert_int_equal(tn_compiled_plan_get(f->compiled, &summary), TN_OK);
    assert_int_equal(summary.compute_ns, 6 * NODE_NS);
    assert_int_equal(count_nodes(f, &copies), 6);
}

// Pins name the node of the file: all that stands for it goes there.
static void compile__a_pin_holds_for_copies(void **state) {
    flow_fixture *f = *state;
    uint32_t copies = 0;
    const tn_pin pin = {.node = 1, .kind = TN_PIN_TO, .device = "narrow0:cpu"};
    tn_compile_config config;
    tn_compile_config_init(&config);
    set_up(f, &(taste){.op = "Relu", .bound = false, .saving_ns = 2 * NODE_NS},
           &(taste){.op = NULL});
    build(f, false, false);
    onnx_end(&f->b, &f->bytes);
    config.pins = &pin;
    config.pin_count = 1;
    flow_must(f, flow_open(f, "narrow0:cpu,narrow1:cpu", &config));
    (void)count_nodes(f, &copies);
    assert_int_equal(copies, 2);
    tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
    assert_int_equal(
        tn_compiled_placement_get(f->compiled, 1, tn_host_device_find(f->host, "narrow1:cpu"), &p),
        TN_OK);
    assert_int_equal(p.reason, TN_REASON_USER_PINNED);
    assert_results(f);
}

static tn_status open_both(flow_fixture *f) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    return flow_open(f, "narrow0:cpu,narrow1:cpu", &limits);
}

static void compile__every_allocation_may_fail(void **state) {
    flow_fixture *f = *state;
    set_up(f, &(taste){.op = "Relu", .bound = true}, &(taste){.op = "Neg", .bound = true});
    build(f, false, false);
    onnx_end(&f->b, &f->bytes);
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    flow_must(f, open_both(f));
    const uint64_t total = f->memory.count;
    flow_close(f);
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            const tn_status status = open_both(f);
            // A plugin that found no memory is left out.
            assert_true(status == TN_ERROR_OUT_OF_MEMORY || status == TN_ERROR_NOT_FOUND ||
                        (status == TN_OK && mode == TEST_ALLOC_FAIL_ONE));
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(compile__each_claim_gets_its_own),
        FLOW_CASE(compile__an_output_keeps_the_original),
        FLOW_CASE(compile__copies_are_made_where_they_pay),
        FLOW_CASE(compile__copies_that_nobody_needs_cost_nothing),
        FLOW_CASE(compile__a_pin_holds_for_copies),
        FLOW_CASE(compile__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
