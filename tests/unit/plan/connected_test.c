// SPDX-License-Identifier: Apache-2.0
// Cutting segments into connected components: who belongs together, in which order, and what
// happens without memory.
#include "plan/connected.h"

#include "unit/graph/model_fixture.h"

#include <string.h>

static const int64_t dims[] = {4};

// One answer over all nodes of graph 0: op 0 is the host's, and so is the last.
typedef struct answer {
    tnp_plan plan;
    uint32_t order[16];
    tnp_segment segments[3];
} answer;

static void one_segment(const model_fixture *f, answer *a) {
    uint32_t nodes = f->model->graphs[0].node_count;
    memset(a, 0, sizeof(*a));
    assert_in_range(nodes + 2, 2, 16);
    for (uint32_t i = 0; i < nodes + 2; i++) {
        a->order[i] = i;
    }
    a->segments[0] = (tnp_segment){0, 0, 1};
    a->segments[1] = (tnp_segment){1, 1, nodes};
    a->segments[2] = (tnp_segment){0, nodes + 1, 1};
    a->plan = (tnp_plan){
        .op_count = nodes + 2, .segment_count = 3, .order = a->order, .segments = a->segments};
}

// Cuts and compares the sizes of the pieces (0 ends the list) and the order of the ops.
static void check(model_fixture *f, const uint32_t *sizes, const uint32_t *order) {
    static const bool wants[] = {false, true};
    answer a;
    tnp_segment *segments = NULL;
    uint32_t count = 0;
    uint32_t begin = 1;
    one_segment(f, &a);
    assert_int_equal(tni_connected_segments(&f->allocator.alloc, f->model,
                                            f->model->graphs[0].nodes, wants, &a.plan, &segments,
                                            &count),
                     TN_OK);
    for (uint32_t i = 0; sizes[i] != 0; i++) {
        assert_in_range(i + 1, 1, count - 1);
        assert_int_equal(segments[i + 1].label, 1);
        assert_int_equal(segments[i + 1].begin, begin);
        assert_int_equal(segments[i + 1].count, sizes[i]);
        begin += sizes[i];
    }
    assert_int_equal(begin, a.plan.op_count - 1);
    assert_int_equal(segments[0].label, 0);
    assert_int_equal(segments[count - 1].label, 0);
    assert_memory_equal(a.order, order, a.plan.op_count * sizeof(*order));
    tni_free_array(&f->allocator.alloc, segments, a.plan.op_count, sizeof(*segments));
}

static void begin_model(model_fixture *f) {
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
}

static void segments__a_chain_stays_whole(void **state) {
    model_fixture *f = *state;
    begin_model(f);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "a", "b");
    onnx_node(&f->b, "Add", "a,b", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    check(f, (const uint32_t[]){3, 0}, (const uint32_t[]){0, 1, 2, 3, 4});
}

static void segments__a_common_input_connects_nothing(void **state) {
    model_fixture *f = *state;
    begin_model(f);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "x", "b");
    onnx_node(&f->b, "Neg", "a", "c");
    onnx_node(&f->b, "Relu", "b", "d");
    onnx_output(&f->b, "c", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&f->b, "d", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    check(f, (const uint32_t[]){2, 2, 0}, (const uint32_t[]){0, 1, 3, 2, 4, 5});
}

static void segments__a_late_join_connects(void **state) {
    model_fixture *f = *state;
    begin_model(f);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "x", "b");
    onnx_node(&f->b, "Abs", "x", "lone");
    onnx_node(&f->b, "Neg", "a", "c");
    onnx_node(&f->b, "Add", "b,c", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&f->b, "lone", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    check(f, (const uint32_t[]){4, 1, 0}, (const uint32_t[]){0, 1, 2, 4, 5, 3, 6});
}

// The If reads a only inside its branches.
static void segments__what_a_body_reads_connects(void **state) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    model_fixture *f = *state;
    begin_model(f);
    onnx_input(&f->b, "condition", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "x", "b");
    onnx_node(&f->b, "If", "condition", "y");
    for (int i = 0; i < 2; i++) {
        onnx_builder body;
        pb graph = {0};
        onnx_begin_graph(&body);
        onnx_node(&body, i == 0 ? "Neg" : "Abs", "a", i == 0 ? "n" : "m");
        onnx_output(&body, i == 0 ? "n" : "m", TN_DTYPE_FLOAT, 1, dims);
        onnx_end_graph(&body, &graph);
        onnx_attr_graph(&f->b, branches[i], &graph);
    }
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&f->b, "b", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    check(f, (const uint32_t[]){2, 1, 0}, (const uint32_t[]){0, 1, 3, 2, 4});
}

static void segments__of_other_labels_stay(void **state) {
    static const bool wants[] = {false, false};
    model_fixture *f = *state;
    answer a;
    tnp_segment *segments = NULL;
    uint32_t count = 0;
    begin_model(f);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "x", "b");
    onnx_output(&f->b, "a", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&f->b, "b", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    one_segment(f, &a);
    assert_int_equal(tni_connected_segments(&f->allocator.alloc, f->model,
                                            f->model->graphs[0].nodes, wants, &a.plan, &segments,
                                            &count),
                     TN_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(segments, a.segments, sizeof(a.segments));
    tni_free_array(&f->allocator.alloc, segments, a.plan.op_count, sizeof(*segments));
}

static void segments__every_allocation_fails_once(void **state) {
    static const bool wants[] = {false, true};
    model_fixture *f = *state;
    begin_model(f);
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    import_built(f);
    uint64_t failures = 0;
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    for (uint64_t k = 0; status != TN_OK && k < 100; k++) {
        answer a;
        tnp_segment *segments = NULL;
        uint32_t count = 0;
        one_segment(f, &a);
        test_alloc_reset(&f->allocator, TEST_ALLOC_FAIL_ONE, k);
        status = tni_connected_segments(&f->allocator.alloc, f->model, f->model->graphs[0].nodes,
                                        wants, &a.plan, &segments, &count);
        test_alloc_reset(&f->allocator, TEST_ALLOC_NORMAL, 0);
        failures += status != TN_OK;
        assert_int_equal(segments == NULL, status != TN_OK);
        tni_free_array(&f->allocator.alloc, segments, a.plan.op_count, sizeof(*segments));
    }
    assert_int_equal(status, TN_OK);
    assert_int_equal(failures, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segments__a_chain_stays_whole, model_set_up,
                                        model_tear_down),
        cmocka_unit_test_setup_teardown(segments__a_common_input_connects_nothing, model_set_up,
                                        model_tear_down),
        cmocka_unit_test_setup_teardown(segments__a_late_join_connects, model_set_up,
                                        model_tear_down),
        cmocka_unit_test_setup_teardown(segments__what_a_body_reads_connects, model_set_up,
                                        model_tear_down),
        cmocka_unit_test_setup_teardown(segments__of_other_labels_stay, model_set_up,
                                        model_tear_down),
        cmocka_unit_test_setup_teardown(segments__every_allocation_fails_once, model_set_up,
                                        model_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
