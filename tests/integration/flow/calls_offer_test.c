// SPDX-License-Identifier: Apache-2.0
// Which calls of model-local functions are offered to devices as one node, and which are not.
#include "calls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <string.h>

static void write_host(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "SequenceConstruct", "sum", "list");
    onnx_node(b, "Constant", "", "zero");
    const int64_t zero = 0;
    onnx_attr_tensor(b, "value", TN_DTYPE_INT64, 0, NULL, &zero, sizeof zero);
    onnx_node(b, "SequenceAt", "list,zero", "element");
    onnx_node(b, "Relu", "element", "r");
}

// The size of what NonZero gives is only known when it ran: such a function has stages.
static void write_non_zero(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Relu", "sum", "t");
    onnx_node(b, "NonZero", "t", "indices");
    onnx_node(b, "Transpose", "indices", "rows");
    onnx_node(b, "GatherND", "t,rows", "some");
    onnx_node(b, "ScatterND", "t,rows,some", "r");
}

static void write_reshape(onnx_builder *b) {
    const int64_t flat[2] = {1, -1};
    const int64_t two = 2;
    onnx_node(b, "Constant", "", "flat");
    onnx_attr_tensor(b, "value", TN_DTYPE_INT64, 1, &two, flat, sizeof flat);
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Reshape", "sum,flat", "row");
    onnx_node(b, "Relu", "row", "t");
    onnx_node(b, "Shape", "a", "shape");
    onnx_node(b, "Reshape", "t,shape", "r");
}

// Whether a function of these nodes is offered, and the answer is right either way.
static void must_offer(flow_fixture *f, calls_writer write, const int64_t *sizes, bool offered) {
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    calls_build(f, write, sizes);
    if (offered) {
        calls_without(f, calls_hides_relu);
    }
    calls_open(f, offered ? "fake:inline,narrow0:cpu" : "fake:inline,reference:cpu");
    assert_int_equal(calls_count(f, &desc), offered);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, offered);
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
    flow_close(f);
    calls_open(f, "reference:cpu");
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
}

static void call__that_needs_stages_is_not_offered(void **state) {
    must_offer(*state, write_non_zero, calls_dims, false);
}

static void call__that_the_host_carries_out_is_not_offered(void **state) {
    must_offer(*state, write_host, calls_dims, false);
}

static void call__of_function_ops_is_offered(void **state) {
    must_offer(*state, calls_write_softsign, calls_dims, true);
}

static void prepare_for(flow_fixture *f, int64_t size) {
    const tn_input_shape shapes[2] = {{.input = 0, .rank = 1, .dims = &size},
                                      {.input = 1, .rank = 1, .dims = &size}};
    assert_int_equal(tn_request_prepare(f->request, shapes, 2, &f->error), TN_OK);
}

static tn_status compile_open_sizes(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const tn_status status = flow_open(f, devices, &limits);
    assert_int_equal(status, TN_ERROR_INVALID_ARGUMENT); // no sizes were given
    return f->request != NULL ? TN_OK : status;
}

// Reshape to what Shape gives: no size is a number, and still all follow.
static void call__whose_sizes_follow_from_shapes_is_offered(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    const int64_t open[1] = {-2};
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    calls_without(f, calls_hides_relu);
    calls_build(f, write_reshape, open);
    assert_int_equal(compile_open_sizes(f, "fake:inline,narrow0:cpu"), TN_OK);
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.node_count, 5);
    for (uint32_t size = 1; size < 12; size += 3) {
        prepare_for(f, size);
        calls_compute(f, size, calls_add_relu);
    }
    assert_int_equal(calls_summary(f).stage_count, 1);
}

static void call__of_any_size(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    const int64_t open[1] = {-2};
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_INLINE)->cost_ns = CALLS_CHEAP_NS;
    fake_device(FAKE_INLINE)->most_size = 6;
    fake_device(FAKE_SHARED)->cost_ns = CALLS_EXPENSIVE_NS;
    calls_build(f, calls_write_add_relu, open);
    assert_int_equal(compile_open_sizes(f, "fake:inline,fake:shared"), TN_OK);
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    for (uint32_t size = 1; size < 12; size += 3) {
        const uint32_t runs = fake_device(FAKE_INLINE)->run_count;
        prepare_for(f, size);
        calls_compute(f, size, calls_add_relu);
        // Beyond its bounds, the device that takes the nodes runs them.
        assert_int_equal(fake_device(FAKE_INLINE)->run_count - runs, size <= 6);
    }
}

static void must_not_offer(flow_fixture *f) {
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    calls_open(f, "fake:inline,reference:cpu");
    assert_int_equal(calls_count(f, &desc), 0);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 0);
}

static void call__of_a_version_the_device_does_not_know(void **state) {
    flow_fixture *f = *state;
    onnx_opset(&f->b, FAKE_DOMAIN, 2);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, calls_dims);
    onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, calls_dims);
    calls_node(&f->b, "x,z", "y", "");
    onnx_output_untyped(&f->b, "y");
    onnx_end(&f->b, &f->bytes);
    calls_add_function(&f->bytes);
    must_not_offer(f);
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
}

// Overloads share a name, which is all that a device sees.
static void call__of_an_overload(void **state) {
    flow_fixture *f = *state;
    onnx_builder b;
    calls_ports(&f->b, calls_dims);
    calls_node(&f->b, "x,z", "y", "");
    pb_text(&f->b.node, 8, "other");
    onnx_end(&f->b, &f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_function_overload(&b, "other");
    calls_write_add_relu(&b);
    onnx_end_function(&b, &f->bytes);
    must_not_offer(f);
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
}

// Outer(p, q; j = 5) calls AddRelu(p, q; k = @j): the device sees the number.
static void call__with_attributes_of_its_caller(void **state) {
    flow_fixture *f = *state;
    onnx_builder b;
    pb attribute = {NULL, 0, 0};
    calls_ports(&f->b, calls_dims);
    onnx_node(&f->b, "Outer", "x,z", "y");
    onnx_node_domain(&f->b, FAKE_DOMAIN);
    onnx_end(&f->b, &f->bytes);
    calls_add_function(&f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, "Outer", "p,q", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    pb_text(&attribute, 1, "j");
    pb_varint(&attribute, 3, 5);
    pb_varint(&attribute, 20, 2);
    pb_message(&b.graph, 11, &attribute);
    calls_node(&b, "p,q", "r", "");
    onnx_attr_int_reference(&b, "k", "j");
    onnx_end_function(&b, &f->bytes);
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    calls_open(f, "fake:inline");
    assert_int_equal(fake_device(FAKE_INLINE)->seen_k, 5);
    calls_compute(f, CALLS_WIDTH, calls_add_relu);
}

static void write_unknown(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Secret", "sum", "r");
    onnx_node_domain(b, "test.nobody");
}

// Compiles for reference; others may help out.
static tn_status compile_with_fallback(flow_fixture *f) {
    static const char *const reference = "reference:cpu";
    tn_compile_config config;
    tn_compiled_release(f->compiled);
    f->compiled = NULL;
    tn_compile_config_init(&config);
    config.devices = &reference;
    config.device_count = 1;
    return tn_compile(f->model, &config, &f->compiled, &f->error);
}

// A device that is not listed is offered calls only where nothing else helps.
static void call__as_fallback(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_INLINE)->cost_ns = CALLS_CHEAP_NS;
    calls_build(f, calls_write_add_relu, calls_dims);
    calls_open(f, "reference:cpu");
    assert_int_equal(compile_with_fallback(f), TN_OK);
    assert_int_equal(calls_count(f, &desc), 0);
    assert_int_equal(calls_summary(f).fallback_count, 0);
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
    onnx_opset(&f->b, "test.nobody", 1);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, calls_dims);
    onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, calls_dims);
    onnx_opset(&f->b, FAKE_DOMAIN, 1);
    calls_node(&f->b, "x,z", "y", "");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, calls_dims);
    onnx_end(&f->b, &f->bytes);
    onnx_builder b;
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_function_opset(&b, "test.nobody", 1);
    write_unknown(&b);
    onnx_end_function(&b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_DENIED);
    assert_non_null(f->model);
    assert_int_equal(compile_with_fallback(f), TN_OK);
    assert_int_equal(calls_count(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    assert_int_equal(calls_summary(f).fallback_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(call__that_needs_stages_is_not_offered),
        FLOW_CASE(call__that_the_host_carries_out_is_not_offered),
        FLOW_CASE(call__whose_sizes_follow_from_shapes_is_offered),
        FLOW_CASE(call__of_function_ops_is_offered),
        FLOW_CASE(call__of_any_size),
        FLOW_CASE(call__of_a_version_the_device_does_not_know),
        FLOW_CASE(call__of_an_overload),
        FLOW_CASE(call__with_attributes_of_its_caller),
        FLOW_CASE(call__as_fallback),
    };
    return cmocka_run_group_tests_name("calls offer", tests, NULL, NULL);
}
