// SPDX-License-Identifier: Apache-2.0
// One node in the place of a call's nodes, and back: what it reads and makes, what rewrites did to
// the call before, and when there is no such node.
#include "graph/rewrite/rewrite.h"
#include "graph/shape/shape.h"
#include "unit/graph/model_fixture.h"

#include <string.h>

#define DOMAIN "test.own"
#define MAX_CALLS 8u

static const int64_t dims[1] = {4};

static void import_with(model_fixture *f, pb *functions) {
    onnx_end(&f->b, &f->bytes);
    pb_append(&f->bytes, functions->data, functions->size);
    pb_free(functions);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static void begin(model_fixture *f) {
    onnx_begin(&f->b, 17);
    onnx_opset(&f->b, DOMAIN, 1);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, dims);
}

static void call(onnx_builder *b, const char *function, const char *inputs, const char *outputs) {
    onnx_node(b, function, inputs, outputs);
    onnx_node_domain(b, DOMAIN);
}

static bool always(void *user_data, const tni_model *model, uint32_t at, const uint32_t *nodes,
                   uint32_t count) {
    (void)model;
    (void)at;
    (void)nodes;
    *(uint32_t *)user_data += count;
    return true;
}

// Outlines what is possible, checks the model, and returns the number of nodes that moved.
static uint32_t outline(model_fixture *f, bool expected) {
    uint8_t wanted[MAX_CALLS];
    uint32_t moved = 0;
    bool changed = false;
    assert_true(f->model->call_count <= MAX_CALLS);
    memset(wanted, 1, sizeof wanted);
    must(f, tni_rewrite_outline(f->model, wanted, always, &moved, &changed, &f->error));
    assert_int_equal(changed, expected);
    must(f, tni_model_validate(f->model, &f->error));
    must(f, tni_shapes_infer(f->model, &f->error));
    return moved;
}

// s = Neg(x); r, t = Two(s, z, c); y = Abs(r)
// Two(a, b, k): r = Relu(Add(a, b)) * k, t = Add(a, b)
static void make_two(model_fixture *f) {
    pb functions = {NULL, 0, 0};
    onnx_builder b;
    begin(f);
    onnx_initializer_floats(&f->b, "c", 1, dims, 3);
    onnx_node(&f->b, "Neg", "x", "s");
    call(&f->b, "Two", "s,z,c", "r,t");
    onnx_node_name(&f->b, "caller");
    onnx_attr_int(&f->b, "mode", 3);
    onnx_node(&f->b, "Abs", "r", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_output_untyped(&f->b, "t");
    onnx_begin_function(&b, DOMAIN, "Two", "a,b,k", "r,t");
    onnx_node(&b, "Add", "a,b", "t");
    onnx_node(&b, "Relu", "t", "u");
    onnx_node(&b, "Mul", "u,k", "r");
    onnx_end_function(&b, &functions);
    import_with(f, &functions);
}

static void outline__has_the_calls_operands(void **state) {
    model_fixture *f = *state;
    make_two(f);
    const uint32_t r = value_named(f->model, "r");
    const uint32_t t = value_named(f->model, "t");
    const uint32_t s = value_named(f->model, "s");
    assert_int_equal(f->model->graphs[0].node_count, 5);
    assert_int_equal(outline(f, true), 3);
    assert_int_equal(f->model->graphs[0].node_count, 3);
    const tni_node *node = node_at(f->model, 1);
    assert_true(tni_string_is(node->op_type, "Two"));
    assert_true(tni_string_is(node->domain, DOMAIN));
    assert_true(tni_string_is(node->name, "caller"));
    assert_int_equal(node->since_version, 1);
    assert_int_equal(node->flags, TN_NODE_CUSTOM);
    assert_int_equal(tni_node_int(node, "mode", 0), 3);
    assert_int_equal(node->input_count, 3);
    assert_int_equal(node->inputs[0], s);
    assert_non_null(tni_node_constant(f->model, node, 2));
    assert_int_equal(node->output_count, 2);
    assert_int_equal(node->outputs[0], r);
    assert_int_equal(node->outputs[1], t);
    const tni_graph *expansion = &f->model->graphs[node->expansion];
    assert_int_equal(expansion->node_count, 3);
    // The constant is read as it is.
    assert_int_equal(expansion->inputs[2], TN_NONE);
    const tni_node *mul = &f->model->nodes[expansion->nodes[2]];
    assert_non_null(tni_node_constant(f->model, mul, 1));
    assert_int_equal(f->model->values[r].rank, 1);
    assert_int_equal(f->model->values[r].dtype, TN_DTYPE_FLOAT);
    // A second time there is nothing left to do.
    assert_int_equal(outline(f, false), 0);
}

// Shapes of a run come through the expansion, too.
static void outline__keeps_sizes_of_a_run(void **state) {
    model_fixture *f = *state;
    const int64_t size = 4;
    tni_shape_table *table = NULL;
    make_two(f);
    (void)outline(f, true);
    const tni_shape_input inputs[2] = {
        {.value = f->model->graphs[0].inputs[0], .rank = 1, .dims = &size},
        {.value = f->model->graphs[0].inputs[1], .rank = 1, .dims = &size}};
    must(f, tni_shapes_evaluate(f->model, &f->allocator.alloc, inputs, 2, &table, &f->error));
    assert_true(tni_shape_of(table, value_named(f->model, "y"))->known);
    assert_true(tni_shape_of(table, node_at(f->model, 1)->outputs[1])->known);
    tni_shape_table_destroy(table);
}

// A run is compared with what the model says inside of the call, too.
static void outline__is_looked_into_for_sizes(void **state) {
    model_fixture *f = *state;
    const int64_t size = 4;
    tni_shape_table *table = NULL;
    tni_region region;
    make_two(f);
    (void)outline(f, true);
    const tni_shape_input inputs[2] = {
        {.value = f->model->graphs[0].inputs[0], .rank = 1, .dims = &size},
        {.value = f->model->graphs[0].inputs[1], .rank = 1, .dims = &size}};
    must(f, tni_shapes_evaluate(f->model, &f->allocator.alloc, inputs, 2, &table, &f->error));
    must(f, tni_region_of_graph(&f->allocator.alloc, f->model, 0, &region));
    assert_true(tni_shapes_agree(f->model, &region, table));
    f->model->values[value_named(f->model, "u")].dims[0].size = 5;
    assert_false(tni_shapes_agree(f->model, &region, table));
    tni_region_deinit(&region);
    tni_shape_table_destroy(table);
}

static void expand_refused__gives_the_nodes_back(void **state) {
    model_fixture *f = *state;
    uint32_t before[5];
    uint32_t operands[5][3];
    bool changed = false;
    make_two(f);
    for (uint32_t i = 0; i < 5; i++) {
        before[i] = f->model->graphs[0].nodes[i];
        for (uint32_t k = 0; k < 3; k++) {
            operands[i][k] = k < 2 ? tni_node_input(node_at(f->model, i), k)
                                   : tni_node_output(node_at(f->model, i), 0);
        }
    }
    (void)outline(f, true);
    node_at(f->model, 1)->refused = true;
    must(f, tni_model_expand_refused(f->model, &changed, &f->error));
    assert_true(changed);
    must(f, tni_model_validate(f->model, &f->error));
    assert_int_equal(f->model->graphs[0].node_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const tni_node *node = node_at(f->model, i);
        assert_int_equal(f->model->graphs[0].nodes[i], before[i]);
        assert_int_equal(node->expanded_from, TN_NONE);
        assert_int_equal(tni_node_input(node, 0), operands[i][0]);
        assert_int_equal(tni_node_input(node, 1), operands[i][1]);
        assert_int_equal(tni_node_output(node, 0), operands[i][2]);
    }
    assert_int_equal(outline(f, false), 0); // once is enough
}

// r = Identity(a) and k = constant are known elsewhere after rewrites; only s is made inside. The
// second call makes nothing that is needed.
static void outline__leaves_out_what_rewrites_found_elsewhere(void **state) {
    model_fixture *f = *state;
    pb functions = {NULL, 0, 0};
    onnx_builder b;
    const float constant[4] = {1, 2, 3, 4};
    begin(f);
    call(&f->b, "Mixed", "x,z", "r,k,s,same");
    call(&f->b, "Mixed", "z,x", "q");
    onnx_node(&f->b, "Sum", "r,k,s,same,q", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_begin_function(&b, DOMAIN, "Mixed", "a,b", "r,k,s,t");
    onnx_node(&b, "Identity", "a", "r");
    onnx_node(&b, "Constant", "", "k");
    onnx_attr_tensor(&b, "value", TN_DTYPE_FLOAT, 1, dims, constant, sizeof constant);
    onnx_node(&b, "Add", "a,b", "s");
    onnx_node(&b, "Identity", "s", "t");
    onnx_end_function(&b, &functions);
    import_with(f, &functions);
    assert_int_equal(outline(f, true), 1);
    const tni_node *node = node_at(f->model, 0);
    assert_true(tni_string_is(node->op_type, "Mixed"));
    assert_int_equal(node->output_count, 3);
    assert_int_equal(node->outputs[0], TN_NONE);
    assert_int_equal(node->outputs[1], TN_NONE);
    assert_int_equal(node->outputs[2], value_named(f->model, "s"));
    assert_int_equal(f->model->graphs[0].node_count, 2);
}

// What the call was given is gone: the function only looked at its shape.
static void outline__needs_its_inputs(void **state) {
    model_fixture *f = *state;
    pb functions = {NULL, 0, 0};
    onnx_builder b;
    begin(f);
    onnx_node(&f->b, "Abs", "x", "only shape");
    call(&f->b, "Like", "only shape,z", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_begin_function(&b, DOMAIN, "Like", "a,b", "r");
    onnx_node(&b, "Shape", "a", "shape");
    onnx_node(&b, "Expand", "b,shape", "c");
    onnx_node(&b, "Neg", "c", "r");
    onnx_end_function(&b, &functions);
    import_with(f, &functions);
    assert_int_equal(f->model->graphs[0].node_count, 1);
    assert_int_equal(outline(f, false), 0);
}

// Somebody reads what the call keeps to itself, as derivatives may.
static void outline__needs_its_inner_results_alone(void **state) {
    model_fixture *f = *state;
    uint32_t made = TN_NONE;
    uint32_t node = TN_NONE;
    make_two(f);
    const uint32_t inner = value_named(f->model, "u");
    must(f, tni_model_add_value(f->model, 0, TNI_LITERAL("reader"), &made));
    const tni_node_info info = {.op_type = TNI_LITERAL("Abs"),
                                .since_version = 13,
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &inner,
                                .outputs = &made};
    must(f, tni_model_add_node(f->model, &info, &node));
    assert_int_equal(outline(f, false), 0);
}

static void add_layer(pb *functions, const char *name, const char *op, const char *inputs) {
    onnx_builder b;
    onnx_begin_function(&b, DOMAIN, name, inputs, "r");
    onnx_node(&b, op, inputs, "r");
    onnx_end_function(&b, functions);
}

// y = Block(x, w): Conv and BatchNormalization, each a function, fold into one node.
static void fold__spoils_the_calls_whose_border_it_crosses(void **state) {
    model_fixture *f = *state;
    pb functions = {NULL, 0, 0};
    onnx_builder b;
    const int64_t image[4] = {1, 2, 3, 3};
    const int64_t weight[4] = {2, 2, 1, 1};
    const int64_t channels[1] = {2};
    const float positive[2] = {1, 2};
    onnx_begin(&f->b, 17);
    onnx_opset(&f->b, DOMAIN, 1);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 4, image);
    onnx_initializer_floats(&f->b, "w", 4, weight, 1);
    onnx_initializer(&f->b, "p", TN_DTYPE_FLOAT, 1, channels, positive, sizeof positive);
    call(&f->b, "Block", "x,w,p", "y");
    onnx_output_untyped(&f->b, "y");
    onnx_begin_function(&b, DOMAIN, "Block", "a,w,p", "r");
    onnx_function_opset(&b, DOMAIN, 1);
    call(&b, "Convolve", "a,w", "c");
    call(&b, "Normalise", "c,p,p,p,p", "r");
    onnx_end_function(&b, &functions);
    add_layer(&functions, "Convolve", "Conv", "a,w");
    add_layer(&functions, "Normalise", "BatchNormalization", "a,s,b,m,v");
    import_with(f, &functions);
    assert_int_equal(f->model->call_count, 3);
    assert_int_equal(f->model->graphs[0].node_count, 1);
    assert_false(f->model->calls[0].changed);
    assert_true(f->model->calls[1].changed);
    assert_true(f->model->calls[2].changed);
    // The block around both still is what it was.
    assert_int_equal(outline(f, true), 1);
    assert_true(tni_string_is(node_at(f->model, 0)->op_type, "Block"));
}

static void cross_calls__spares_what_holds_both(void **state) {
    model_fixture *f = *state;
    make_two(f);
    tni_model_cross_calls(f->model, 0, 0);
    tni_model_cross_calls(f->model, TN_NONE, TN_NONE);
    assert_false(f->model->calls[0].changed);
    tni_model_cross_calls(f->model, TN_NONE, 0);
    assert_true(f->model->calls[0].changed);
    assert_int_equal(outline(f, false), 0);
}

// Neither the outer call, which has a branch, nor what is in the branch without it.
static void outline__stops_at_bodies(void **state) {
    model_fixture *f = *state;
    pb functions = {NULL, 0, 0};
    pb branches[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    onnx_builder b;
    begin(f);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    call(&f->b, "Pick", "x,z,c", "y");
    onnx_output_untyped(&f->b, "y");
    for (uint32_t i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        call(&b, i == 0 ? "Plus" : "Minus", "p,q", "s");
        onnx_output_untyped(&b, "s");
        onnx_end_graph(&b, &branches[i]);
    }
    onnx_begin_function(&b, DOMAIN, "Pick", "p,q,c", "r");
    onnx_function_opset(&b, DOMAIN, 1);
    onnx_node(&b, "If", "c", "r");
    onnx_attr_graph(&b, "then_branch", &branches[0]);
    onnx_attr_graph(&b, "else_branch", &branches[1]);
    onnx_end_function(&b, &functions);
    add_layer(&functions, "Plus", "Add", "a,b");
    add_layer(&functions, "Minus", "Sub", "a,b");
    import_with(f, &functions);
    assert_int_equal(f->model->call_count, 3);
    assert_int_equal(outline(f, true), 2);
    assert_true(tni_node_is(node_at(f->model, 0), "If"));
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t body = node_at(f->model, 0)->attrs[i].indices[0];
        const tni_graph *graph = &f->model->graphs[body];
        assert_int_equal(graph->node_count, 1);
        assert_int_not_equal(f->model->nodes[graph->nodes[0]].called, TN_NONE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(outline__has_the_calls_operands),
        MODEL_CASE(outline__keeps_sizes_of_a_run),
        MODEL_CASE(outline__is_looked_into_for_sizes),
        MODEL_CASE(expand_refused__gives_the_nodes_back),
        MODEL_CASE(outline__leaves_out_what_rewrites_found_elsewhere),
        MODEL_CASE(outline__needs_its_inputs),
        MODEL_CASE(outline__needs_its_inner_results_alone),
        MODEL_CASE(fold__spoils_the_calls_whose_border_it_crosses),
        MODEL_CASE(cross_calls__spares_what_holds_both),
        MODEL_CASE(outline__stops_at_bodies),
    };
    return cmocka_run_group_tests_name("graph_outline", tests, NULL, NULL);
}
