// SPDX-License-Identifier: Apache-2.0
// Building a model by hand, changing it, and the checks that catch a broken one.
#include "unit/graph/model_fixture.h"

#include <string.h>

static int set_up_empty(void **state) {
    const int result = model_set_up(state);
    model_fixture *f = *state;
    return result != 0 ? result
                       : (int)tni_model_create(&f->allocator.alloc, NULL, 1 << 20, &f->model);
}

static uint32_t add_value(model_fixture *f, const char *name) {
    uint32_t id = TN_NONE;
    must(f, tni_model_add_value(f->model, 0, tni_string_of(name), &id));
    return id;
}

static uint32_t add_node(model_fixture *f, const char *op_type, uint32_t input, uint32_t output) {
    uint32_t id = TN_NONE;
    const tni_node_info info = {.op_type = tni_string_of(op_type),
                                .since_version = 1,
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &input,
                                .outputs = &output};
    must(f, tni_model_add_node(f->model, &info, &id));
    return id;
}

// x -> Relu -> a -> Neg -> b -> Exp -> y
typedef struct {
    uint32_t x, a, b, y;
    uint32_t nodes[3];
} line;

static line make_line(model_fixture *f) {
    line l = {.x = add_value(f, "x"), .a = add_value(f, "a"), .b = add_value(f, "b")};
    l.y = add_value(f, "y");
    must(f, tni_graph_add_input(f->model, 0, l.x));
    l.nodes[0] = add_node(f, "Relu", l.x, l.a);
    l.nodes[1] = add_node(f, "Neg", l.a, l.b);
    l.nodes[2] = add_node(f, "Exp", l.b, l.y);
    must(f, tni_graph_add_output(f->model, 0, l.y));
    must(f, tni_model_validate(f->model, &f->error));
    return l;
}

static void add_node__copies_what_it_is_given(void **state) {
    model_fixture *f = *state;
    char op_type[] = "Thing";
    int64_t ints[2] = {4, 5};
    float number = 0.5f;
    tn_string text = TNI_LITERAL("mode");
    const tni_attr attrs[3] = {
        {.name = TNI_LITERAL("axes"), .kind = TN_ATTR_INTS, .count = 2, .ints = ints},
        {.name = TNI_LITERAL("alpha"), .kind = TN_ATTR_FLOAT, .count = 1, .floats = &number},
        {.name = TNI_LITERAL("kind"), .kind = TN_ATTR_STRING, .count = 1, .texts = &text}};
    uint32_t id = TN_NONE;
    const tni_node_info info = {
        .op_type = tni_string_of(op_type), .attrs = attrs, .attr_count = 3, .since_version = 9};
    must(f, tni_model_add_node(f->model, &info, &id));
    memset(op_type, '?', sizeof op_type - 1);
    ints[0] = 0;
    number = 0.0f;
    const tni_node *node = &f->model->nodes[id];
    uint32_t count = 0;
    assert_true(tni_node_is(node, "Thing"));
    assert_int_equal(tni_node_ints(node, "axes", &count)[0], 4);
    assert_int_equal(count, 2);
    assert_true(tni_node_float(node, "alpha", 0.0f) == 0.5f);
    assert_true(tni_string_is(tni_node_text(node, "kind", ""), "mode"));
    assert_int_equal(tni_node_int(node, "axes", 77), 77);
    assert_true(tni_string_is(tni_node_text(node, "absent", "dflt"), "dflt"));
    assert_null(tni_node_ints(node, "alpha", &count));
    assert_int_equal(tni_node_input(node, 3), TN_NONE);
}

static void symbols__are_shared_by_name(void **state) {
    model_fixture *f = *state;
    uint32_t first = 0;
    uint32_t second = 0;
    must(f, tni_model_add_symbol(f->model, TNI_LITERAL("batch"), &first));
    must(f, tni_model_add_symbol(f->model, TNI_LITERAL("batch"), &second));
    assert_int_equal(first, second);
    must(f, tni_model_add_symbol(f->model, TNI_LITERAL(""), &first));
    must(f, tni_model_add_symbol(f->model, TNI_LITERAL(""), &second));
    assert_int_not_equal(first, second);
}

static void replace_uses__takes_effect_in_compact(void **state) {
    model_fixture *f = *state;
    const line l = make_line(f);
    tni_model_replace_uses(f->model, l.b, l.a);
    tni_model_remove_node(f->model, l.nodes[1]);
    assert_int_equal(f->model->nodes[l.nodes[2]].inputs[0], l.b);
    assert_int_equal(tni_model_resolve(f->model, l.b), l.a);
    tni_model_compact(f->model);
    assert_int_equal(f->model->graphs[0].node_count, 2);
    assert_int_equal(f->model->nodes[l.nodes[2]].inputs[0], l.a);
    must(f, tni_model_validate(f->model, &f->error));
}

static void compact__drops_what_nobody_reads(void **state) {
    model_fixture *f = *state;
    const line l = make_line(f);
    tni_model_replace_uses(f->model, l.y, l.a);
    tni_model_compact(f->model);
    assert_int_equal(f->model->graphs[0].node_count, 1);
    assert_true(f->model->nodes[l.nodes[2]].removed);
    must(f, tni_model_normalise_outputs(f->model));
    assert_true(tni_string_is(f->model->values[l.a].name, "y"));
}

static void validate__catches_broken_models(void **state) {
    model_fixture *f = *state;
    const line l = make_line(f);
    tni_graph *graph = &f->model->graphs[0];
    tni_node *nodes = f->model->nodes;

    nodes[l.nodes[0]].inputs[0] = l.b;
    assert_int_equal(tni_model_validate(f->model, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "model.not-sorted");
    assert_int_equal(f->error.node_index, l.nodes[0]);
    nodes[l.nodes[0]].inputs[0] = 1000;
    assert_int_equal(tni_model_validate(f->model, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "model.bad-value");
    nodes[l.nodes[0]].inputs[0] = l.x;

    nodes[l.nodes[1]].outputs[0] = l.a;
    assert_int_equal(tni_model_validate(f->model, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "model.bad-output");
    nodes[l.nodes[1]].outputs[0] = l.b;

    graph->nodes[1] = graph->nodes[0];
    assert_int_equal(tni_model_validate(f->model, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "model.bad-node");
    graph->nodes[1] = l.nodes[1];

    graph->inputs[0] = l.a;
    assert_int_equal(tni_model_validate(f->model, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "model.bad-input");
    graph->inputs[0] = l.x;
    must(f, tni_model_validate(f->model, &f->error));
}

static void arena_limit__is_reported(void **state) {
    tni_model *model = NULL;
    uint32_t id = 0;
    tn_status status = TN_OK;
    (void)state;
    assert_int_equal(tni_model_create(tni_alloc_default(), NULL, 8192, &model), TN_OK);
    for (int i = 0; i < 10000 && status == TN_OK; i++) {
        status = tni_model_add_value(model, 0, TNI_LITERAL("a name of some length"), &id);
    }
    assert_int_equal(status, TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(id, TN_NONE);
    tni_model_destroy(model);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up_empty, model_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(add_node__copies_what_it_is_given),     CASE(symbols__are_shared_by_name),
        CASE(replace_uses__takes_effect_in_compact), CASE(compact__drops_what_nobody_reads),
        CASE(validate__catches_broken_models),       cmocka_unit_test(arena_limit__is_reported),
    };
    return cmocka_run_group_tests_name("graph_model", tests, NULL, NULL);
}
