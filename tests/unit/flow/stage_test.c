// SPDX-License-Identifier: Apache-2.0
// Where a graph is cut: what can be prepared together, what the host must read or do first, and
// when values are let go of.
#include "flow/host_op.h"
#include "flow/size_operands.h"
#include "flow/stage.h"
#include "graph/shape/shape.h"
#include "unit/graph/model_fixture.h"

#include <stdio.h>
#include <string.h>

static const int64_t four[] = {4};
static const int64_t two_three[] = {2, 3};
static const int64_t two[] = {2};

// Cuts graph 0 and writes the stages as text: "[Relu Neg] If [Add]".
static void cut(model_fixture *f, tni_track *track, char *text, size_t capacity) {
    uint32_t id = 0;
    size_t used = 0;
    must(f, tni_shapes_infer(f->model, &f->error));
    must(f, tni_track_init(&f->allocator.alloc, f->model, 0, &id, track, &f->error));
    assert_int_equal(id, track->stage_count);
    text[0] = '\0';
    for (uint32_t i = 0; i < track->stage_count; i++) {
        const tni_stage *stage = &track->stages[i];
        const uint32_t *nodes = stage->kind == TNI_STAGE_HOST ? &stage->node : stage->region.nodes;
        uint32_t count = stage->kind == TNI_STAGE_HOST ? 1 : stage->region.node_count;
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", i > 0 ? " " : "",
                                 stage->kind == TNI_STAGE_HOST ? "" : "[");
        for (uint32_t k = 0; k < count; k++) {
            used += (size_t)snprintf(text + used, capacity - used, "%s%s", k > 0 ? " " : "",
                                     f->model->nodes[nodes[k]].op_type.data);
        }
        used += (size_t)snprintf(text + used, capacity - used, "%s",
                                 stage->kind == TNI_STAGE_HOST ? "" : "]");
    }
}

static void expect(model_fixture *f, const char *stages, bool simple) {
    tni_track track;
    char text[256];
    import_built(f);
    cut(f, &track, text, sizeof(text));
    assert_string_equal(text, stages);
    assert_int_equal(track.simple, simple);
    tni_track_deinit(&track);
}

static void track__one_region_is_simple(void **state) {
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "a", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
    expect(f, "[Relu Neg]", true);
}

static void track__shape_arithmetic_needs_no_cut(void **state) {
    model_fixture *f = *state;
    static const int64_t named[] = {-2, 3};
    static const int64_t minus_one[] = {-1};
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, named);
    onnx_initializer_ints(&f->b, "flat", 1, minus_one);
    onnx_node(&f->b, "Shape", "x", "s");
    onnx_node(&f->b, "Add", "s,s", "t");
    onnx_node(&f->b, "Reshape", "x,flat", "r");
    onnx_node(&f->b, "ConstantOfShape", "t", "c");
    onnx_output(&f->b, "r", TN_DTYPE_FLOAT, 1, minus_one);
    onnx_output_untyped(&f->b, "c");
    expect(f, "[Shape Add Reshape ConstantOfShape]", true);
}

static void track__operand_that_decides_sizes_is_read(void **state) {
    model_fixture *f = *state;
    tni_track track;
    char text[256];
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 2, two_three);
    onnx_input(&f->b, "shape", TN_DTYPE_INT64, 1, two);
    onnx_node(&f->b, "Add", "shape,shape", "wanted");
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Reshape", "a,wanted", "y");
    onnx_output_untyped(&f->b, "y");
    import_built(f);
    cut(f, &track, text, sizeof(text));
    // Add is followed by value, so that reading `shape` before the region is enough.
    assert_string_equal(text, "[Add Relu Reshape]");
    assert_false(track.simple);
    const tni_region *region = &track.stages[0].region;
    for (uint32_t i = 0; i < region->input_count; i++) {
        bool is_shape = region->inputs[i] == value_named(f->model, "shape");
        assert_int_equal(region->read_inputs[i], is_shape);
    }
    tni_track_deinit(&track);
}

static void track__computed_float_operand_cuts(void **state) {
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 0, NULL);
    onnx_node(&f->b, "Sqrt", "x", "limit");
    onnx_node(&f->b, "Neg", "x", "start");
    onnx_node(&f->b, "Range", "start,limit,x", "y");
    onnx_node(&f->b, "Relu", "y", "z");
    onnx_output_untyped(&f->b, "z");
    expect(f, "[Sqrt Neg] [Range Relu]", false);
}

static void track__data_dependent_result_ends_a_region(void **state) {
    model_fixture *f = *state;
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "NonZero", "a", "n");
    onnx_node(&f->b, "Neg", "a", "b");
    onnx_node(&f->b, "Cast", "n", "m");
    onnx_attr_int(&f->b, "to", TN_DTYPE_FLOAT);
    onnx_output_untyped(&f->b, "m");
    onnx_output_untyped(&f->b, "b");
    expect(f, "[Relu NonZero Neg] [Cast]", false);
}

// A body that hands out the value of the graph around it.
static pb body_of(const char *op, const char *from) {
    onnx_builder b;
    pb graph;
    onnx_begin_graph(&b);
    onnx_node(&b, op, from, "out");
    onnx_output_untyped(&b, "out");
    onnx_end_graph(&b, &graph);
    return graph;
}

static void track__host_runs_what_is_ready_first(void **state) {
    model_fixture *f = *state;
    pb then_graph = body_of("Relu", "x");
    pb else_graph = body_of("Neg", "a");
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_node(&f->b, "Abs", "x", "a");
    onnx_node(&f->b, "If", "c", "y");
    onnx_attr_graph(&f->b, "then_branch", &then_graph);
    onnx_attr_graph(&f->b, "else_branch", &else_graph);
    onnx_node(&f->b, "Exp", "a", "e");
    onnx_node(&f->b, "Add", "y,e", "z");
    onnx_output_untyped(&f->b, "z");
    // The branch reads a, so that the If comes after Abs; Exp does not wait for it.
    expect(f, "[Abs Exp] If [Add]", false);
}

static void track__values_are_released_after_their_last_reader(void **state) {
    model_fixture *f = *state;
    tni_track track;
    char text[256];
    onnx_begin(&f->b, 17);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "NonZero", "a", "n");
    onnx_node(&f->b, "Shape", "n", "s");
    onnx_output_untyped(&f->b, "s");
    import_built(f);
    cut(f, &track, text, sizeof(text));
    assert_string_equal(text, "[Relu NonZero] [Shape]");
    // x and a end with the first stage; n is read by the second; s is the answer.
    assert_int_equal(track.stages[0].release_count, 2);
    assert_int_equal(track.stages[1].release_count, 1);
    assert_int_equal(track.stages[1].releases[0], value_named(f->model, "n"));
    assert_int_equal(track.stages[0].region.output_count, 1);
    tni_track_deinit(&track);
}

static void size_operands__tables_are_sorted(void **state) {
    (void)state;
    static const char *const sized[] = {"AffineGrid", "Resize", "STFT", "Slice", "Upsample"};
    static const char *const data[] = {"Compress", "NonZero", "Unique"};
    static const char *const followed[] = {"Add", "Flatten", "Squeeze", "Where"};
    // First, last and in between; the order of the numbers is that of the table.
    static const struct {
        const char *op_type;
        tni_host_op op;
    } host[] = {{"Cast", TNI_HOST_CAST},
                {"If", TNI_HOST_IF},
                {"Scan", TNI_HOST_SCAN},
                {"SequenceErase", TNI_HOST_SEQUENCE_ERASE},
                {"SequenceMap", TNI_HOST_SEQUENCE_MAP},
                {"StringSplit", TNI_HOST_STRING_SPLIT},
                {"Relu", TNI_HOST_OP_COUNT}};
    for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
        const tni_node node = {.op_type = tni_string_of(sized[i])};
        assert_true(tni_size_operands(&node) != 0);
    }
    for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        const tni_node node = {.op_type = tni_string_of(data[i])};
        assert_true(tni_sizes_need_data(&node));
    }
    for (size_t i = 0; i < sizeof(followed) / sizeof(followed[0]); i++) {
        const tni_node node = {.op_type = tni_string_of(followed[i])};
        assert_true(tni_elements_followed(&node));
    }
    for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++) {
        const tni_node node = {.op_type = tni_string_of(host[i].op_type)};
        assert_int_equal(tni_host_op_of(&node), host[i].op);
    }
    const tni_node custom = {.op_type = TNI_LITERAL("NonZero"), .domain = TNI_LITERAL("vendor")};
    assert_false(tni_sizes_need_data(&custom));
    const tni_node other = {.op_type = TNI_LITERAL("If"), .domain = TNI_LITERAL("vendor")};
    assert_int_equal(tni_host_op_of(&other), TNI_HOST_OP_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(track__one_region_is_simple),
        MODEL_CASE(track__shape_arithmetic_needs_no_cut),
        MODEL_CASE(track__operand_that_decides_sizes_is_read),
        MODEL_CASE(track__computed_float_operand_cuts),
        MODEL_CASE(track__data_dependent_result_ends_a_region),
        MODEL_CASE(track__host_runs_what_is_ready_first),
        MODEL_CASE(track__values_are_released_after_their_last_reader),
        cmocka_unit_test(size_operands__tables_are_sorted),
    };
    return cmocka_run_group_tests_name("flow/stage", tests, NULL, NULL);
}
