// SPDX-License-Identifier: Apache-2.0
// Graph views: what an island shows, what it refuses, and that every offset stays inside.
#include "graph/rewrite/rewrite.h"
#include "graph/view.h"
#include "unit/graph/model_fixture.h"

#include <string.h>

static const int64_t x_dims[2] = {-2, 4};

// Element i of a pool; the caller knows the type.
static const void *at(const tn_graph_view *view, const tn_span *span, uint32_t i) {
    assert_true(i < span->count);
    const uint64_t end = span->offset_bytes + (uint64_t)span->count * span->stride_bytes;
    assert_true(end <= view->total_bytes);
    assert_int_equal(span->offset_bytes % 8, 0);
    return (const uint8_t *)view + span->offset_bytes + (uint64_t)i * span->stride_bytes;
}

static const tn_graph_node *node_of(const tn_graph_view *view, uint32_t i) {
    return at(view, &view->nodes, i);
}

static const tn_graph_value *value_of(const tn_graph_view *view, uint32_t i) {
    return at(view, &view->values, i);
}

static const tn_graph_record *graph_of(const tn_graph_view *view, uint32_t i) {
    return at(view, &view->graphs, i);
}

static uint32_t id_of(const tn_graph_view *view, tn_range range, uint32_t i) {
    assert_true(i < range.count);
    return *(const uint32_t *)at(view, &view->value_ids, range.begin + i);
}

static bool text_is(const tn_graph_view *view, tn_text_ref text, const char *expected) {
    const char *bytes = (const char *)view + view->strings.offset_bytes;
    assert_true((uint64_t)text.offset_bytes + text.size_bytes <= view->strings.count);
    return tni_string_is((tn_string){bytes + text.offset_bytes, text.size_bytes}, expected);
}

static tni_view *build(model_fixture *f, const tni_view_spec *spec) {
    tni_view *view = NULL;
    must(f, tni_view_build(&f->allocator.alloc, f->model, spec, &view, &f->error));
    return view;
}

static void chain(model_fixture *f) {
    onnx_model_chain(&f->bytes, 4, 4);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static void whole_model__is_shown(void **state) {
    model_fixture *f = *state;
    const tni_view_spec spec = {.with_hashes = true};
    onnx_model_classifier(&f->bytes, -2, 8);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    tni_view *built = build(f, &spec);
    const tn_graph_view *view = built->view;
    assert_int_equal(view->struct_size, sizeof *view);
    assert_int_equal(view->total_bytes, built->total_bytes);
    const tn_graph_record *graph = graph_of(view, 0);
    assert_int_equal(graph->nodes.count, 8);
    assert_int_equal(graph->parent_node, TN_NONE);
    const tn_graph_node *conv = node_of(view, graph->nodes.begin);
    assert_true(text_is(view, conv->op_type, "Conv"));
    assert_int_equal(conv->domain.size_bytes, 0);
    assert_int_equal(conv->since_version, 11);
    const tn_graph_attribute *pads = at(view, &view->attributes, conv->attributes.begin);
    assert_true(text_is(view, pads->name, "pads"));
    assert_int_equal(pads->kind, TN_ATTR_INTS);
    assert_int_equal(pads->values.count, 4);
    const tn_graph_value *x = value_of(view, id_of(view, conv->inputs, 0));
    assert_int_equal(x->producer, TN_NONE);
    const tn_graph_dim *batch = at(view, &view->dims, x->dims.begin);
    assert_int_equal(batch->size, -1);
    const tn_graph_symbol *symbol = at(view, &view->symbols, batch->symbol);
    assert_true(text_is(view, symbol->name, "A"));
    const tn_graph_value *weight = value_of(view, id_of(view, conv->inputs, 1));
    const tn_graph_constant *constant = at(view, &view->constants, weight->constant);
    assert_int_equal(constant->size_bytes, 8 * 27 * 4);
    assert_int_equal(constant->flags & TN_CONSTANT_HASHED, TN_CONSTANT_HASHED);
    assert_int_equal(tni_constant_of_key(f->model, constant->key),
                     f->model->values[built->value_of[id_of(view, conv->inputs, 1)]].constant);
    const tn_graph_value *y = value_of(view, id_of(view, graph->outputs, 0));
    assert_true(text_is(view, y->name, "y"));
    assert_int_equal(y->producer, 7);
    for (uint32_t i = 0; i < graph->nodes.count; i++) {
        assert_int_equal(built->node_of[i], f->model->graphs[0].nodes[i]);
    }
    tni_view_destroy(built);
}

static void view__may_be_moved(void **state) {
    model_fixture *f = *state;
    const tni_view_spec spec = {.limit_bytes = 0};
    chain(f);
    tni_view *built = build(f, &spec);
    tn_graph_view *moved = malloc(built->total_bytes);
    assert_non_null(moved);
    memcpy(moved, built->view, built->total_bytes);
    tni_view_destroy(built);
    assert_true(text_is(moved, node_of(moved, 1)->op_type, "Relu"));
    free(moved);
}

static void island__has_its_ports_in_order(void **state) {
    model_fixture *f = *state;
    chain(f);
    const uint32_t nodes[2] = {f->model->graphs[0].nodes[1], f->model->graphs[0].nodes[2]};
    const uint32_t input = f->model->nodes[nodes[0]].inputs[0];
    const uint32_t outputs[2] = {f->model->nodes[nodes[1]].outputs[0],
                                 f->model->nodes[nodes[0]].outputs[0]};
    const tni_view_spec spec = {.nodes = nodes,
                                .node_count = 2,
                                .inputs = &input,
                                .input_count = 1,
                                .outputs = outputs,
                                .output_count = 2};
    tni_view *built = build(f, &spec);
    const tn_graph_view *view = built->view;
    const tn_graph_record *graph = graph_of(view, 0);
    assert_int_equal(view->nodes.count, 2);
    assert_int_equal(built->value_of[id_of(view, graph->inputs, 0)], input);
    // The value comes from outside: its producer is not in here.
    assert_int_equal(value_of(view, id_of(view, graph->inputs, 0))->producer, TN_NONE);
    assert_int_equal(built->value_of[id_of(view, graph->outputs, 0)], outputs[0]);
    assert_int_equal(built->value_of[id_of(view, graph->outputs, 1)], outputs[1]);
    assert_int_equal(view->constants.count, 1);
    tni_view_destroy(built);
}

static void island__refuses_what_is_not_closed(void **state) {
    model_fixture *f = *state;
    tni_view *built = NULL;
    chain(f);
    const uint32_t *nodes = f->model->graphs[0].nodes;
    const uint32_t twice[2] = {nodes[0], nodes[0]};
    const uint32_t x = f->model->graphs[0].inputs[0];
    const uint32_t y = f->model->graphs[0].outputs[0];
    const uint32_t unknown = 12345;
    tni_map first;
    tni_map_init(&first, &f->allocator.alloc);
    must(f, tni_map_set_u64(&first, nodes[0], 1));
    const struct {
        const char *id;
        tni_view_spec spec;
    } wrong[] = {
        {"view.missing-input", {.nodes = nodes + 1, .node_count = 1}},
        {"view.missing-input",
         {.nodes = nodes,
          .node_count = 1,
          .inputs = &x,
          .input_count = 1,
          .outputs = &y,
          .output_count = 1}},
        {"view.bad-node", {.nodes = twice, .node_count = 2, .inputs = &x, .input_count = 1}},
        {"view.bad-node", {.nodes = &unknown, .node_count = 1}},
        {"view.bad-value", {.nodes = nodes, .node_count = 1, .inputs = &unknown, .input_count = 1}},
        {"view.no-expansion",
         {.nodes = nodes, .node_count = 1, .inlined = &first, .inputs = &x, .input_count = 1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(
            tni_view_build(&f->allocator.alloc, f->model, &wrong[i].spec, &built, &f->error),
            TN_ERROR_INVALID_ARGUMENT);
        assert_string_equal(f->error.id, wrong[i].id);
        assert_null(built);
    }
    const tni_view_spec small = {.limit_bytes = 100};
    assert_int_equal(tni_view_build(&f->allocator.alloc, f->model, &small, &built, &f->error),
                     TN_ERROR_LIMIT_EXCEEDED);
    tni_map_deinit(&first);
}

static void make_gelu(model_fixture *f) {
    onnx_begin(&f->b, 20);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_node(&f->b, "Gelu", "x", "y");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static void expansion__is_a_graph_beside_its_node(void **state) {
    model_fixture *f = *state;
    const tni_view_spec spec = {.limit_bytes = 0};
    make_gelu(f);
    tni_view *built = build(f, &spec);
    const tn_graph_view *view = built->view;
    assert_int_equal(view->graphs.count, 2);
    const tn_graph_node *gelu = node_of(view, 0);
    assert_int_equal(gelu->expansion, 1);
    const tn_graph_record *graph = graph_of(view, 1);
    assert_int_equal(graph->parent_node, 0);
    assert_int_equal(graph->nodes.begin, 1);
    assert_int_equal(graph->nodes.count, 5);
    assert_int_equal(graph->inputs.count, 1);
    assert_int_equal(graph->outputs.count, 1);
    assert_int_equal(graph->captures.count, 0);
    assert_int_equal(node_of(view, 1)->graph, 1);
    tni_view_destroy(built);
}

static void expansion__can_take_its_nodes_place(void **state) {
    model_fixture *f = *state;
    make_gelu(f);
    const uint32_t node = f->model->graphs[0].nodes[0];
    tni_map inlined;
    tni_map_init(&inlined, &f->allocator.alloc);
    must(f, tni_map_set_u64(&inlined, node, 1));
    const tni_view_spec spec = {.nodes = &node,
                                .node_count = 1,
                                .inlined = &inlined,
                                .inputs = f->model->graphs[0].inputs,
                                .input_count = 1,
                                .outputs = f->model->graphs[0].outputs,
                                .output_count = 1};
    tni_view *built = build(f, &spec);
    const tn_graph_view *view = built->view;
    assert_int_equal(view->graphs.count, 1);
    assert_int_equal(view->nodes.count, 5);
    const tn_graph_record *graph = graph_of(view, 0);
    const tn_graph_node *first = node_of(view, 0);
    assert_true(text_is(view, first->op_type, "Mul"));
    assert_int_equal(id_of(view, first->inputs, 0), id_of(view, graph->inputs, 0));
    const tn_graph_value *y = value_of(view, id_of(view, graph->outputs, 0));
    assert_true(text_is(view, y->name, "y"));
    assert_int_equal(y->producer, 4);
    tni_map_deinit(&inlined);
    tni_view_destroy(built);
}

static void bodies__list_their_captures(void **state) {
    model_fixture *f = *state;
    const tni_view_spec spec = {.limit_bytes = 0};
    pb bodies[2];
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&f->b);
        onnx_node(&f->b, i == 0 ? "Relu" : "Neg", "t", "z");
        onnx_output_untyped(&f->b, "z");
        onnx_end_graph(&f->b, &bodies[i]);
    }
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, x_dims);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "Exp", "x", "t");
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &bodies[0]);
    onnx_attr_graph(&f->b, "else_branch", &bodies[1]);
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    tni_view *built = build(f, &spec);
    const tn_graph_view *view = built->view;
    assert_int_equal(view->graphs.count, 3);
    for (uint32_t i = 1; i < 3; i++) {
        const tn_graph_record *body = graph_of(view, i);
        assert_int_equal(body->parent_node, 1);
        assert_int_equal(body->captures.count, 1);
        const tn_graph_value *captured = value_of(view, id_of(view, body->captures, 0));
        assert_true(text_is(view, captured->name, "t"));
        assert_int_equal(captured->graph, 0);
        assert_int_equal(captured->producer, 0);
    }
    // A branch's shape reaches the output of If.
    const tni_value *y = &f->model->values[f->model->graphs[0].outputs[0]];
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dims[1].size, 4);
    // An island of If alone needs the captured value as an input.
    const uint32_t node = f->model->graphs[0].nodes[1];
    const tni_view_spec alone = {.nodes = &node,
                                 .node_count = 1,
                                 .inputs = &f->model->graphs[0].inputs[1],
                                 .input_count = 1};
    tni_view *refused = NULL;
    assert_int_equal(tni_view_build(&f->allocator.alloc, f->model, &alone, &refused, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    tni_view_destroy(built);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(whole_model__is_shown),
        MODEL_CASE(view__may_be_moved),
        MODEL_CASE(island__has_its_ports_in_order),
        MODEL_CASE(island__refuses_what_is_not_closed),
        MODEL_CASE(expansion__is_a_graph_beside_its_node),
        MODEL_CASE(expansion__can_take_its_nodes_place),
        MODEL_CASE(bodies__list_their_captures),
    };
    return cmocka_run_group_tests_name("graph_view", tests, NULL, NULL);
}
