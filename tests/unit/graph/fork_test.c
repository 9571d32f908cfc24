// SPDX-License-Identifier: Apache-2.0
// A fork begins as the model, changes alone, and reads the same weights; expansions take the place
// of their op.
#include "graph/rewrite/rewrite.h"
#include "graph/shape/shape.h"
#include "unit/graph/model_fixture.h"

#include <string.h>

static const int64_t dims[1] = {4};

static tni_model *fork_of(model_fixture *f, uint64_t key_base) {
    tni_model *fork = NULL;
    must(f, tni_model_fork(f->model, key_base, &fork));
    assert_non_null(fork);
    return fork;
}

static void fork__has_the_same_records(void **state) {
    model_fixture *f = *state;
    onnx_model_classifier(&f->bytes, -2, 8);
    import_bytes(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
    tni_model *fork = fork_of(f, (uint64_t)1 << 40);
    must(f, tni_model_validate(fork, &f->error));
    assert_int_equal(fork->node_count, f->model->node_count);
    assert_int_equal(fork->value_count, f->model->value_count);
    assert_int_equal(fork->graphs[0].node_count, f->model->graphs[0].node_count);
    for (uint32_t i = 0; i < fork->constant_count; i++) {
        assert_int_equal(fork->constants[i].key, f->model->constants[i].key);
    }
    uint32_t symbol = TN_NONE;
    must(f, tni_model_add_symbol(fork, TNI_LITERAL("A"), &symbol));
    assert_int_equal(fork->symbol_count, f->model->symbol_count);
    tni_model_destroy(fork);
}

static void fork__new_constants_have_keys_of_their_own(void **state) {
    model_fixture *f = *state;
    const uint64_t base = (uint64_t)1 << 40;
    const int64_t ints[2] = {1, 2};
    uint32_t added = TN_NONE;
    onnx_model_chain(&f->bytes, 4, 4);
    import_bytes(f);
    tni_model *fork = fork_of(f, base);
    must(f, tni_model_add_ints(fork, ints, 2, 1, &added));
    const uint64_t key = fork->constants[added].key;
    assert_int_equal(tni_constant_of_key(fork, key), added);
    assert_int_equal(tni_constant_of_key(f->model, key), TN_NONE);
    assert_int_equal(tni_constant_of_key(fork, f->model->constants[0].key), TN_NONE);
    tni_model_destroy(fork);
}

static void import_function(model_fixture *f) {
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&f->b, "Neg", "x", "a");
    onnx_node(&f->b, "HardSwish", "a", "b");
    onnx_node(&f->b, "Abs", "b", "y");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    must(f, tni_model_canonicalise(f->model, NULL, &f->error));
}

static void expand_refused__puts_the_expansion_in_place(void **state) {
    model_fixture *f = *state;
    bool changed = false;
    import_function(f);
    tni_model *fork = fork_of(f, (uint64_t)1 << 40);
    const uint32_t whole = fork->graphs[0].nodes[1];
    const uint32_t result = fork->nodes[whole].outputs[0];
    fork->nodes[whole].refused = true;
    must(f, tni_model_expand_refused(fork, &changed, &f->error));
    assert_true(changed);
    must(f, tni_model_validate(fork, &f->error));
    assert_true(fork->nodes[whole].removed);
    const tni_graph *graph = &fork->graphs[0];
    assert_int_equal(graph->node_count, 7);
    for (uint32_t i = 1; i < 6; i++) {
        assert_int_equal(fork->nodes[graph->nodes[i]].expanded_from, whole);
    }
    // The value keeps its id and its shape; another node makes it.
    assert_int_equal(fork->values[result].producer, graph->nodes[5]);
    assert_int_equal(fork->nodes[graph->nodes[6]].inputs[0], result);
    assert_int_equal(fork->values[result].rank, 1);
    // The model it was forked from does not know.
    assert_int_equal(f->model->graphs[0].node_count, 3);
    assert_false(f->model->nodes[whole].removed);
    must(f, tni_model_validate(f->model, &f->error));
    tni_model_destroy(fork);
}

static void expand_refused__without_refusals_changes_nothing(void **state) {
    model_fixture *f = *state;
    bool changed = true;
    import_function(f);
    must(f, tni_model_expand_refused(f->model, &changed, &f->error));
    assert_false(changed);
    assert_int_equal(f->model->graphs[0].node_count, 3);
    // Neg has no expansion.
    assert_false(tni_expansion_fits_in_place(f->model, f->model->graphs[0].nodes[0]));
}

static void fork__survives_failing_allocations(void **state) {
    model_fixture *f = *state;
    import_function(f);
    const uint64_t before = f->allocator.count;
    tni_model_destroy(fork_of(f, 0));
    const uint64_t needed = f->allocator.count - before;
    assert_true(needed > 5);
    for (uint64_t i = 0; i < needed; i++) {
        tni_model *fork = NULL;
        test_alloc_reset(&f->allocator, TEST_ALLOC_FAIL_ONE, i);
        assert_int_equal(tni_model_fork(f->model, 0, &fork), TN_ERROR_OUT_OF_MEMORY);
        assert_null(fork);
    }
    test_alloc_reset(&f->allocator, TEST_ALLOC_NORMAL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(fork__has_the_same_records),
        MODEL_CASE(fork__new_constants_have_keys_of_their_own),
        MODEL_CASE(expand_refused__puts_the_expansion_in_place),
        MODEL_CASE(expand_refused__without_refusals_changes_nothing),
        MODEL_CASE(fork__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("graph_fork", tests, NULL, NULL);
}
