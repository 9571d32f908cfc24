// SPDX-License-Identifier: Apache-2.0
// Calls of model-local functions: a device that lists the function as an op is handed one node, any
// other device what the function consists of, and the answer is the same.
#include "calls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <string.h>

// y = -AddRelu(-x, z)
static void build_plain(flow_fixture *f) {
    calls_ports(&f->b, calls_dims);
    onnx_node(&f->b, "Neg", "x", "n");
    calls_node(&f->b, "n,z", "s", "the call");
    onnx_attr_int(&f->b, "k", 7);
    onnx_node(&f->b, "Neg", "s", "y");
    onnx_end(&f->b, &f->bytes);
    calls_add_function(&f->bytes);
}

static float plain(float x, float z) {
    return z - x > 0 ? x - z : 0;
}

static void call__is_one_node_for_a_device_that_knows_it(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_NEG;
    build_plain(f);
    calls_open(f, "fake:inline");
    assert_int_equal(calls_summary(f).island_count, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 3);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_k, 7);
    assert_int_equal(calls_count(f, &desc), 1);
    assert_string_equal(desc.name, "the call");
    assert_string_equal(desc.function, FAKE_ADD_RELU_NAME);
    assert_string_equal(desc.domain, FAKE_DOMAIN);
    assert_int_equal(desc.version, 1);
    assert_int_equal(desc.in_parts, 0);
    assert_int_equal(desc.node_count, 2);
    tn_node_desc node = {.struct_size = sizeof(node), .struct_type = TN_STRUCT_NODE_DESC};
    assert_int_equal(tn_model_node_get(f->model, desc.nodes[0], &node), TN_OK);
    assert_string_equal(node.name, "the sum");
    assert_int_equal(tn_compiled_call_get(f->compiled, 0, 1, &desc), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_compiled_call_get(f->compiled, 1, 0, &desc), TN_ERROR_INVALID_ARGUMENT);
    calls_check_placements(f, "fake:inline");
    calls_compute(f, CALLS_WIDTH, plain);
}

static void call__is_its_nodes_for_other_devices(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    build_plain(f);
    calls_open(f, "reference:cpu");
    assert_int_equal(calls_count(f, &desc), 0);
    calls_check_placements(f, "reference:cpu");
    calls_compute(f, CALLS_WIDTH, plain);
    flow_close(f);
    calls_open(f, "fake:inline");
    assert_int_equal(calls_count(f, &desc), 0);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 4);
    calls_compute(f, CALLS_WIDTH, plain);
}

// One device knows the function, but another runs what it consists of for less.
static void call__can_go_to_whoever_takes_all_of_its_nodes(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_ALPHA)->cost_ns = CALLS_EXPENSIVE_NS;
    fake_device(FAKE_INLINE)->cost_ns = CALLS_CHEAP_NS;
    build_plain(f);
    calls_open(f, "fake:alpha,fake:inline");
    assert_int_equal(calls_summary(f).island_count, 1);
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.in_parts, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 4);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 0);
    calls_check_placements(f, "fake:inline");
    calls_compute(f, CALLS_WIDTH, plain);
    flow_close(f);
    // And the other way round: the function is cheaper as a whole.
    fake_device(FAKE_ALPHA)->cost_ns = CALLS_CHEAP_NS;
    fake_device(FAKE_INLINE)->cost_ns = CALLS_EXPENSIVE_NS;
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU | FAKE_NEG;
    calls_open(f, "fake:alpha,fake:inline");
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    assert_int_equal(fake_device(FAKE_ALPHA)->seen_add_relu, 1);
    calls_compute(f, CALLS_WIDTH, plain);
}

// The device that lists the function takes no call of it: its nodes are shared as always.
static void call__gives_way_when_nobody_takes_it(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_ADD;
    fake_device(FAKE_INLINE)->refuses_add_relu = 1;
    fake_device(FAKE_SHARED)->ops = FAKE_RELU | FAKE_NEG;
    build_plain(f);
    calls_open(f, "fake:inline,fake:shared");
    assert_int_equal(calls_count(f, &desc), 0);
    assert_int_equal(calls_summary(f).island_count, 3);
    calls_check_placements(f, "fake:inline");
    calls_compute(f, CALLS_WIDTH, plain);
}

// Claimed, and refused at compile: the same, with nobody else to take it in one piece.
static void call__gives_way_when_its_compile_is_refused(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_ADD | FAKE_NEG;
    fake_device(FAKE_INLINE)->compile_status = TN_ERROR_UNSUPPORTED;
    fake_device(FAKE_INLINE)->compile_refusals = 1;
    fake_device(FAKE_SHARED)->ops = FAKE_RELU | FAKE_NEG;
    build_plain(f);
    calls_open(f, "fake:inline,fake:shared");
    assert_int_equal(calls_count(f, &desc), 0);
    calls_check_placements(f, "fake:inline");
    calls_compute(f, CALLS_WIDTH, plain);
}

// y = Outer(x, z) = AddRelu(Neg(AddRelu(x, z)), z)
static void build_nested(flow_fixture *f, const char *outer) {
    onnx_builder b;
    calls_ports(&f->b, calls_dims);
    onnx_node(&f->b, outer, "x,z", "y");
    onnx_node_domain(&f->b, FAKE_DOMAIN);
    onnx_end(&f->b, &f->bytes);
    calls_add_function(&f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, outer, "p,q", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    calls_node(&b, "p,q", "s", "inner 1");
    onnx_node(&b, "Neg", "s", "n");
    calls_node(&b, "n,q", "r", "inner 2");
    onnx_end_function(&b, &f->bytes);
}

static float nested(float x, float z) {
    const float s = x + z > 0 ? x + z : 0;
    return z - s > 0 ? z - s : 0;
}

static void call__of_a_function_in_a_function(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_NEG;
    build_nested(f, "Outer");
    calls_open(f, "fake:inline");
    assert_int_equal(calls_count(f, &desc), 2);
    assert_string_equal(desc.name, "inner 2");
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 3);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 2);
    calls_check_placements(f, "fake:inline");
    calls_compute(f, CALLS_WIDTH, nested);
}

// Of calls in each other, the outermost is offered first; those inside when it gave way.
static void call__in_a_call_that_gave_way(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    onnx_builder b;
    calls_ports(&f->b, calls_dims);
    onnx_node(&f->b, FAKE_ADD_RELU_NAME, "x,z,x", "y");
    onnx_node_domain(&f->b, FAKE_DOMAIN);
    onnx_end(&f->b, &f->bytes);
    // The device takes AddRelu of two operands, but is called with three.
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "p,q,unused", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    onnx_node(&b, "Middle", "p,q", "r");
    onnx_node_domain(&b, FAKE_DOMAIN);
    onnx_end_function(&b, &f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, "Middle", "p,q", "r");
    onnx_node(&b, "Add", "p,q", "s");
    onnx_node(&b, "Relu", "s", "t");
    onnx_node(&b, "Neg", "t", "r");
    onnx_end_function(&b, &f->bytes);
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    calls_open(f, "fake:inline,reference:cpu");
    assert_int_equal(calls_count(f, &desc), 0);
    calls_check_placements(f, "reference:cpu");
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
    build_nested(f, "Outer");
    fake_device(FAKE_INLINE)->refuses_add_relu = 1;
    calls_open(f, "fake:inline,reference:cpu");
    assert_int_equal(calls_count(f, &desc), 0);
    calls_compute(f, CALLS_WIDTH, nested);
}

// y = c ? AddRelu(x, z) : x, with operands that the branch captures.
static void call__in_a_body(void **state) {
    flow_fixture *f = *state;
    calls_without(f, calls_hides_relu);
    onnx_builder body;
    pb branches[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    for (uint8_t yes = 0; yes < 2; yes++) {
        flow_close(f);
        pb_free(&f->bytes);
        onnx_abandon(&f->b);
        onnx_begin(&f->b, 17);
        fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
        calls_ports(&f->b, calls_dims);
        onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
        onnx_begin_graph(&body);
        calls_node(&body, "x,z", "then", "");
        onnx_output_untyped(&body, "then");
        onnx_end_graph(&body, &branches[0]);
        onnx_begin_graph(&body);
        onnx_node(&body, "Add", "x,z", "else");
        onnx_output_untyped(&body, "else");
        onnx_end_graph(&body, &branches[1]);
        onnx_node(&f->b, "If", "c", "y");
        onnx_attr_graph(&f->b, "then_branch", &branches[0]);
        onnx_attr_graph(&f->b, "else_branch", &branches[1]);
        onnx_end(&f->b, &f->bytes);
        calls_add_function(&f->bytes);
        calls_open(f, "fake:inline,narrow0:cpu");
        assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 1);
        const float x[CALLS_WIDTH] = {-3, 1, 2, -1};
        const float z[CALLS_WIDTH] = {1, 1, -5, 2};
        flow_put(f, 0, x, sizeof x);
        flow_put(f, 1, z, sizeof z);
        flow_put(f, 2, &yes, 1);
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        for (uint32_t i = 0; i < CALLS_WIDTH; i++) {
            const float sum = x[i] + z[i];
            assert_float_equal(((const float *)y.data)[i], yes != 0 && sum < 0 ? 0 : sum, 0);
        }
    }
}

// A device that takes the call in parts may take a function op among them in parts, too.
static void call__in_parts_of_parts(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    calls_without(f, calls_hides_softsign);
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_ALPHA)->cost_ns = CALLS_EXPENSIVE_NS;
    calls_build(f, calls_write_softsign, calls_dims);
    calls_open(f, "fake:alpha,narrow0:cpu");
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.in_parts, 1);
    assert_int_equal(desc.node_count, 6);
    calls_check_placements(f, "narrow0:cpu");
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
}

static tn_status live(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const tn_status status = flow_open(f, devices, &limits);
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

static void sweep(flow_fixture *f, const char *devices) {
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    assert_int_equal(live(f, devices), TN_OK);
    const uint64_t total = f->memory.count;
    flow_close(f);
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            const tn_status status = live(f, devices);
            // A plugin that found no memory is left out, and then there is no such device.
            if (status != TN_OK && status != TN_ERROR_OUT_OF_MEMORY &&
                status != TN_ERROR_NOT_FOUND) {
                print_message("allocation %llu: %s: %s\n", (unsigned long long)at, f->error.id,
                              f->error.text);
                fail();
            }
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

static void call__survives_failing_allocations(void **state) {
    flow_fixture *f = *state;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    build_nested(f, "Outer");
    sweep(f, "fake:inline,reference:cpu");
    fake_device(FAKE_INLINE)->refuses_add_relu = 1;
    sweep(f, "fake:inline,reference:cpu");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(call__is_one_node_for_a_device_that_knows_it),
        FLOW_CASE(call__is_its_nodes_for_other_devices),
        FLOW_CASE(call__can_go_to_whoever_takes_all_of_its_nodes),
        FLOW_CASE(call__gives_way_when_nobody_takes_it),
        FLOW_CASE(call__gives_way_when_its_compile_is_refused),
        FLOW_CASE(call__of_a_function_in_a_function),
        FLOW_CASE(call__in_a_call_that_gave_way),
        FLOW_CASE(call__in_a_body),
        FLOW_CASE(call__in_parts_of_parts),
        FLOW_CASE(call__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
