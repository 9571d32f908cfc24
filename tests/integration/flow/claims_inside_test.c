// SPDX-License-Identifier: Apache-2.0
// Claims over what stands for a node of the model: its expansion, or a form of several nodes in
// another op version. Inside of one node they are part of what it costs; a claim over all of it
// names the node; what cannot be expressed is counted.
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

#include <math.h>
#include <string.h>

#define NODE_NS 1000000u
#define MAX_NAMED 64u

static const int64_t dims[] = {2, 3, 4};
static const tn_static_plugin extra = {"narrow0", narrow_entry_0};

// What the device claims of the model y = Abs(op(x)).
static struct {
    bool form;     // op is shown as several nodes, else its expansion is taken
    bool inside;   // all that stands for op, or
    uint32_t most; // of it at most
    bool abs;      // and the Abs
    bool twice;    // and the first node again
    bool bound;    // they run only so
    tn_claim_kind kind;
    uint64_t cost_ns;
    uint32_t inside_count; // seen: nodes that stand for op
} wish;

static bool stands_for_op(const tn_graph_view *view, uint32_t index, bool expanded) {
    const tn_graph_node *node = tn_view_node(view, index);
    return expanded ? node->graph != 0
                    : node->graph == 0 && !tn_view_node_is(view, node, "", "Abs");
}

static void judge(const tn_graph_view *view, tn_verdicts *v) {
    uint32_t named[MAX_NAMED];
    uint32_t count = 0;
    wish.inside_count = 0;
    for (uint32_t i = 0; i < view->nodes.count; i++) {
        const bool inside = stands_for_op(view, i, !wish.form);
        const bool abs = tn_view_node_is(view, tn_view_node(view, i), "", "Abs");
        v->nodes[i].cost_ns = NODE_NS;
        v->nodes[i].origin = TN_COST_DECLARED;
        if ((inside && wish.inside && wish.inside_count < wish.most) || (abs && wish.abs)) {
            v->nodes[i].answer = wish.bound ? TN_ANSWER_IN_CLAIM : TN_ANSWER_YES;
            named[count++] = i;
        }
        wish.inside_count += inside;
    }
    if (wish.twice) {
        named[count] = named[0];
        count++;
    }
    memcpy(v->claim_nodes, named, count * sizeof(*named));
    v->claims[0] = (tn_claim){.nodes = {0, count},
                              .kind = wish.kind,
                              .cost_ns = wish.cost_ns,
                              .origin = TN_COST_DECLARED};
    v->claim_count = count > 0;
    v->claim_node_count = count;
}

static bool hides_hard_swish(const char *op_type) {
    return strcmp(op_type, "HardSwish") == 0;
}

static void old_softmax(const char *op_type, uint32_t *inout_newest, uint32_t *inout_oldest) {
    if (strcmp(op_type, "Softmax") == 0) {
        *inout_newest = 11;
        *inout_oldest = 1;
    }
}

static tn_plan_summary plan(flow_fixture *f, bool form) {
    tn_plan_summary s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    f->extra = &extra;
    narrow_controls[0] = form ? (narrow_control){.versions = old_softmax, .judges = judge}
                              : (narrow_control){.hides = hides_hard_swish, .judges = judge};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_node(&f->b, form ? "Softmax" : "HardSwish", "x", "h");
    if (form) {
        onnx_attr_int(&f->b, "axis", 1);
    }
    onnx_node(&f->b, "Abs", "h", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 3, dims);
    flow_open_on(f, "narrow0:cpu");
    assert_int_equal(tn_compiled_plan_get(f->compiled, &s), TN_OK);
    return s;
}

static void assert_runs(flow_fixture *f, bool form) {
    float x[24];
    for (int i = 0; i < 24; i++) {
        x[i] = (float)(i * 7 % 24) / 4.0f - 3.0f;
    }
    flow_put(f, 0, x, sizeof(x));
    flow_run(f);
    const float *y = flow_output(f, 0).data;
    for (int i = 0; i < 24; i++) {
        const int first = i / 12 * 12 + i % 4;
        double sum = 0;
        for (int k = 0; k < 3; k++) {
            sum += exp((double)x[first + 4 * k]);
        }
        const double sigmoid = fmin(fmax((double)x[i] / 6 + 0.5, 0), 1);
        const double expected = form ? exp((double)x[i]) / sum : fabs((double)x[i] * sigmoid);
        assert_float_equal(y[i], (float)expected, 1e-5);
    }
}

static void again(flow_fixture *f) {
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
}

typedef struct inside_case {
    const char *name;
    bool abs, bound, twice;
    uint32_t most;
    tn_claim_kind kind;
    uint64_t cost_ns;
    int64_t less_ns; // than all nodes singly
    uint32_t claims; // that hold in the plan
    uint32_t lost;
} inside_case;

#define ALL 99u
static const inside_case cases[] = {
    {.name = "less for all that stands for it",
     .most = ALL,
     .kind = TN_CLAIM_BONUS,
     .cost_ns = 300000,
     .less_ns = 300000},
    {.name = "less for a part", .most = 2, .cost_ns = NODE_NS / 2, .less_ns = 3 * NODE_NS / 2},
    {.name = "a part only together",
     .most = 2,
     .bound = true,
     .cost_ns = NODE_NS,
     .less_ns = NODE_NS},
    {.name = "less with the next one",
     .most = ALL,
     .abs = true,
     .kind = TN_CLAIM_BONUS,
     .cost_ns = 700000,
     .less_ns = 700000,
     .claims = 1},
    {.name = "a part and the next one",
     .most = 1,
     .abs = true,
     .kind = TN_CLAIM_BONUS,
     .cost_ns = 700000,
     .lost = 1},
    {.name = "a node twice",
     .most = ALL,
     .abs = true,
     .twice = true,
     .kind = TN_CLAIM_BONUS,
     .cost_ns = 700000,
     .lost = 1},
};

static void run_cases(flow_fixture *f, bool form) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const inside_case *c = &cases[i];
        memset(&wish, 0, sizeof(wish));
        wish.form = form;
        wish.inside = true;
        wish.most = c->most;
        wish.abs = c->abs;
        wish.twice = c->twice;
        wish.bound = c->bound;
        wish.kind = c->kind;
        wish.cost_ns = c->cost_ns;
        print_message("%s\n", c->name);
        const tn_plan_summary s = plan(f, form);
        assert_true(wish.inside_count > 2);
        assert_int_equal(s.compute_ns - s.claim_saving_ns,
                         (int64_t)(wish.inside_count + 1) * NODE_NS - c->less_ns);
        assert_int_equal(s.claim_count, c->claims);
        assert_int_equal(s.lost_claims, c->lost);
        assert_runs(f, form);
        again(f);
    }
}

static void claims__inside_of_expansions(void **state) {
    run_cases(*state, false);
}

static void claims__inside_of_forms(void **state) {
    run_cases(*state, true);
}

// Bound nodes that nothing can hold together are refused, and with them the op.
static void claims__that_are_lost_bind(void **state) {
    flow_fixture *f = *state;
    memset(&wish, 0, sizeof(wish));
    wish.inside = true;
    wish.most = 1;
    wish.abs = true;
    wish.bound = true;
    wish.cost_ns = 1;
    f->extra = &extra;
    narrow_controls[0] = (narrow_control){.hides = hides_hard_swish, .judges = judge};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_node(&f->b, "HardSwish", "x", "h");
    onnx_node(&f->b, "Abs", "h", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 3, dims);
    flow_open_on(f, "narrow0:cpu,reference:cpu");
    tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
    for (uint32_t node = 0; node < 2; node++) {
        assert_int_equal(tn_compiled_placement_get(f->compiled, node,
                                                   tn_host_device_find(f->host, "narrow0:cpu"), &p),
                         TN_OK);
        assert_int_equal(p.answer, TN_ANSWER_NO);
        assert_int_equal(p.reason, TN_REASON_CONVEXITY);
    }
    assert_runs(f, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(claims__inside_of_expansions),
        FLOW_CASE(claims__inside_of_forms),
        FLOW_CASE(claims__that_are_lost_bind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
