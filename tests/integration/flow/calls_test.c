// SPDX-License-Identifier: Apache-2.0
// Calls of model-local functions: a device that lists the function as an op is handed one node, any
// other device what the function consists of, and the answer is the same.
#include "flow_fixture.h"

#include "support/narrow/narrow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <string.h>

#define WIDTH 4
#define EXPENSIVE_NS 100000000u
#define CHEAP_NS 1u

static const int64_t dims[1] = {WIDTH};

// AddRelu(a, b; k) = Relu(Identity(a) + b), with a default for k.
static void add_function(pb *model) {
    onnx_builder b;
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_node(&b, "Identity", "a", "same");
    onnx_node(&b, "Add", "same,b", "sum");
    onnx_node_name(&b, "the sum");
    onnx_node(&b, "Relu", "sum", "r");
    onnx_end_function(&b, model);
}

static void call(onnx_builder *b, const char *inputs, const char *outputs, const char *name) {
    onnx_node(b, FAKE_ADD_RELU_NAME, inputs, outputs);
    onnx_node_domain(b, FAKE_DOMAIN);
    onnx_node_name(b, name);
}

static void ports(onnx_builder *b, const int64_t *sizes) {
    onnx_opset(b, FAKE_DOMAIN, 1);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, sizes);
    onnx_input(b, "z", TN_DTYPE_FLOAT, 1, sizes);
    onnx_output_untyped(b, "y");
}

// y = -AddRelu(-x, z)
static void build_plain(flow_fixture *f) {
    ports(&f->b, dims);
    onnx_node(&f->b, "Neg", "x", "n");
    call(&f->b, "n,z", "s", "the call");
    onnx_attr_int(&f->b, "k", 7);
    onnx_node(&f->b, "Neg", "s", "y");
    onnx_end(&f->b, &f->bytes);
    add_function(&f->bytes);
}

static float plain(float x, float z) {
    return z - x > 0 ? x - z : 0;
}

static bool hides_relu(const char *op_type) {
    return strcmp(op_type, "Relu") == 0;
}

static bool hides_softsign(const char *op_type) {
    return strcmp(op_type, "Softsign") == 0;
}

// Adds the device narrow0:cpu, which knows all but that.
static void without(flow_fixture *f, bool (*hides)(const char *op_type)) {
    static const tn_static_plugin narrow = {"narrow0", narrow_entry_0};
    f->extra = &narrow;
    narrow_controls[0] = (narrow_control){NULL, hides};
}

static void must_open(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const tn_status status = flow_open(f, devices, &limits);
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

// Runs with x and z of `count` elements and compares.
static void must_compute(flow_fixture *f, uint32_t count, float (*expected)(float x, float z)) {
    float x[16];
    float z[16];
    for (uint32_t i = 0; i < count; i++) {
        x[i] = (float)i - 1.5f;
        z[i] = (float)(i * 5 % 7) - 2.0f;
    }
    flow_put(f, 0, x, count * sizeof(float));
    flow_put(f, 1, z, count * sizeof(float));
    flow_run(f);
    const tn_tensor_view y = flow_output(f, 0);
    assert_int_equal(y.size_bytes, count * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        assert_float_equal(((const float *)y.data)[i], expected(x[i], z[i]), 0);
    }
}

static tn_plan_summary summary_of(const flow_fixture *f) {
    tn_plan_summary s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &s), TN_OK);
    return s;
}

static tn_island_desc island_of(const flow_fixture *f, uint32_t island) {
    tn_island_desc d = {.struct_size = sizeof(d), .struct_type = TN_STRUCT_ISLAND_DESC};
    assert_int_equal(tn_compiled_island_get(f->compiled, island, &d), TN_OK);
    return d;
}

// Calls that stayed one node, and the last of them.
static uint32_t count_calls(const flow_fixture *f, tn_call_desc *out_last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < summary_of(f).island_count; i++) {
        for (uint32_t k = 0; k < island_of(f, i).call_count; k++) {
            *out_last = (tn_call_desc){.struct_size = sizeof(*out_last),
                                       .struct_type = TN_STRUCT_CALL_DESC};
            assert_int_equal(tn_compiled_call_get(f->compiled, i, k, out_last), TN_OK);
            count++;
        }
    }
    return count;
}

// Every node of the model is in one island, and its placement says which.
static void must_place_every_node(const flow_fixture *f, const char *device) {
    uint32_t seen[64] = {0};
    const uint32_t index = tn_host_device_find(f->host, device);
    assert_true(tn_model_node_count(f->model) <= 64);
    for (uint32_t i = 0; i < summary_of(f).island_count; i++) {
        const tn_island_desc island = island_of(f, i);
        for (uint32_t k = 0; k < island.node_count; k++) {
            tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
            assert_true(island.nodes[k] < tn_model_node_count(f->model));
            seen[island.nodes[k]]++;
            assert_int_equal(tn_compiled_placement_get(f->compiled, island.nodes[k], index, &p),
                             TN_OK);
            assert_int_equal(p.island, i);
            assert_int_equal(p.device, island.device);
        }
    }
    for (uint32_t i = 0; i < tn_model_node_count(f->model); i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void call__is_one_node_for_a_device_that_knows_it(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_NEG;
    build_plain(f);
    must_open(f, "fake:inline");
    assert_int_equal(summary_of(f).island_count, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 3);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_k, 7);
    assert_int_equal(count_calls(f, &desc), 1);
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
    must_place_every_node(f, "fake:inline");
    must_compute(f, WIDTH, plain);
}

static void call__is_its_nodes_for_other_devices(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    build_plain(f);
    must_open(f, "reference:cpu");
    assert_int_equal(count_calls(f, &desc), 0);
    must_place_every_node(f, "reference:cpu");
    must_compute(f, WIDTH, plain);
    flow_close(f);
    must_open(f, "fake:inline");
    assert_int_equal(count_calls(f, &desc), 0);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 4);
    must_compute(f, WIDTH, plain);
}

// One device knows the function, but another runs what it consists of for less.
static void call__can_go_to_whoever_takes_all_of_its_nodes(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_ALPHA)->cost_ns = EXPENSIVE_NS;
    fake_device(FAKE_INLINE)->cost_ns = CHEAP_NS;
    build_plain(f);
    must_open(f, "fake:alpha,fake:inline");
    assert_int_equal(summary_of(f).island_count, 1);
    assert_int_equal(count_calls(f, &desc), 1);
    assert_int_equal(desc.in_parts, 1);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 4);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 0);
    must_place_every_node(f, "fake:inline");
    must_compute(f, WIDTH, plain);
    flow_close(f);
    // And the other way round: the function is cheaper as a whole.
    fake_device(FAKE_ALPHA)->cost_ns = CHEAP_NS;
    fake_device(FAKE_INLINE)->cost_ns = EXPENSIVE_NS;
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU | FAKE_NEG;
    must_open(f, "fake:alpha,fake:inline");
    assert_int_equal(count_calls(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    assert_int_equal(fake_device(FAKE_ALPHA)->seen_add_relu, 1);
    must_compute(f, WIDTH, plain);
}

// The device that lists the function takes no call of it: its nodes are shared as always.
static void call__gives_way_when_nobody_takes_it(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU | FAKE_ADD;
    fake_device(FAKE_INLINE)->refuses_add_relu = 1;
    fake_device(FAKE_SHARED)->ops = FAKE_RELU | FAKE_NEG;
    build_plain(f);
    must_open(f, "fake:inline,fake:shared");
    assert_int_equal(count_calls(f, &desc), 0);
    assert_int_equal(summary_of(f).island_count, 3);
    must_place_every_node(f, "fake:inline");
    must_compute(f, WIDTH, plain);
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
    must_open(f, "fake:inline,fake:shared");
    assert_int_equal(count_calls(f, &desc), 0);
    must_place_every_node(f, "fake:inline");
    must_compute(f, WIDTH, plain);
}

// y = Outer(x, z) = AddRelu(Neg(AddRelu(x, z)), z)
static void build_nested(flow_fixture *f, const char *outer) {
    onnx_builder b;
    ports(&f->b, dims);
    onnx_node(&f->b, outer, "x,z", "y");
    onnx_node_domain(&f->b, FAKE_DOMAIN);
    onnx_end(&f->b, &f->bytes);
    add_function(&f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, outer, "p,q", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    call(&b, "p,q", "s", "inner 1");
    onnx_node(&b, "Neg", "s", "n");
    call(&b, "n,q", "r", "inner 2");
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
    must_open(f, "fake:inline");
    assert_int_equal(count_calls(f, &desc), 2);
    assert_string_equal(desc.name, "inner 2");
    assert_int_equal(fake_device(FAKE_INLINE)->seen_nodes, 3);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 2);
    must_place_every_node(f, "fake:inline");
    must_compute(f, WIDTH, nested);
}

// Of calls in each other, the outermost is offered first; those inside when it gave way.
static void call__in_a_call_that_gave_way(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    onnx_builder b;
    ports(&f->b, dims);
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
    must_open(f, "fake:inline,reference:cpu");
    assert_int_equal(count_calls(f, &desc), 0);
    must_place_every_node(f, "reference:cpu");
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
    build_nested(f, "Outer");
    fake_device(FAKE_INLINE)->refuses_add_relu = 1;
    must_open(f, "fake:inline,reference:cpu");
    assert_int_equal(count_calls(f, &desc), 0);
    must_compute(f, WIDTH, nested);
}

// y = c ? AddRelu(x, z) : x, with operands that the branch captures.
static void call__in_a_body(void **state) {
    flow_fixture *f = *state;
    without(f, hides_relu);
    onnx_builder body;
    pb branches[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    for (uint32_t yes = 1; yes < 2; yes--) {
        flow_close(f);
        pb_free(&f->bytes);
        onnx_abandon(&f->b);
        onnx_begin(&f->b, 17);
        fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
        ports(&f->b, dims);
        onnx_input(&f->b, "c", TN_DTYPE_BOOL, 0, NULL);
        onnx_begin_graph(&body);
        call(&body, "x,z", "then", "");
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
        add_function(&f->bytes);
        must_open(f, "fake:inline,narrow0:cpu");
        assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 1);
        const float x[WIDTH] = {-3, 1, 2, -1};
        const float z[WIDTH] = {1, 1, -5, 2};
        const uint8_t c = (uint8_t)yes;
        flow_put(f, 0, x, sizeof x);
        flow_put(f, 1, z, sizeof z);
        flow_put(f, 2, &c, 1);
        flow_run(f);
        const tn_tensor_view y = flow_output(f, 0);
        for (uint32_t i = 0; i < WIDTH; i++) {
            const float sum = x[i] + z[i];
            assert_float_equal(((const float *)y.data)[i], yes != 0 && sum < 0 ? 0 : sum, 0);
        }
    }
}

typedef void (*function_writer)(onnx_builder *b);

// y = AddRelu(x, z), with the function's nodes as given.
static void build_with(flow_fixture *f, function_writer write, const int64_t *sizes) {
    onnx_builder b;
    ports(&f->b, sizes);
    call(&f->b, "x,z", "y", "");
    onnx_end(&f->b, &f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    write(&b);
    onnx_end_function(&b, &f->bytes);
}

static float add_relu(float x, float z) {
    return x + z > 0 ? x + z : 0;
}

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

static void write_softplus(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Relu", "sum", "t");
    onnx_node(b, "Softsign", "t", "u");
    onnx_node(b, "Mul", "u,u", "v");
    onnx_node(b, "Sub", "v,v", "w");
    onnx_node(b, "Add", "w,t", "r");
}

// Whether a function of these nodes is offered, and the answer is right either way.
static void must_offer(flow_fixture *f, function_writer write, const int64_t *sizes, bool offered) {
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    build_with(f, write, sizes);
    if (offered) {
        without(f, hides_relu);
    }
    must_open(f, offered ? "fake:inline,narrow0:cpu" : "fake:inline,reference:cpu");
    assert_int_equal(count_calls(f, &desc), offered);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, offered);
    must_compute(f, WIDTH, add_relu);
    flow_close(f);
    must_open(f, "reference:cpu");
    must_compute(f, WIDTH, add_relu);
}

static void call__that_needs_stages_is_not_offered(void **state) {
    must_offer(*state, write_non_zero, dims, false);
}

static void call__that_the_host_carries_out_is_not_offered(void **state) {
    must_offer(*state, write_host, dims, false);
}

static void call__whose_sizes_follow_from_shapes_is_offered(void **state) {
    must_offer(*state, write_reshape, dims, true);
}

static void call__of_function_ops_is_offered(void **state) {
    must_offer(*state, write_softplus, dims, true);
}

// A device that takes the call in parts may take a function op among them in parts, too.
static void call__in_parts_of_parts(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    without(f, hides_softsign);
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_ALPHA)->cost_ns = EXPENSIVE_NS;
    build_with(f, write_softplus, dims);
    must_open(f, "fake:alpha,narrow0:cpu");
    assert_int_equal(count_calls(f, &desc), 1);
    assert_int_equal(desc.in_parts, 1);
    assert_int_equal(desc.node_count, 6);
    must_place_every_node(f, "narrow0:cpu");
    must_compute(f, WIDTH, add_relu);
}

static void write_add_relu(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Relu", "sum", "r");
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

static void call__of_any_size(void **state) {
    flow_fixture *f = *state;
    tn_call_desc desc;
    const int64_t open[1] = {-2};
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_INLINE)->cost_ns = CHEAP_NS;
    fake_device(FAKE_INLINE)->most_size = 6;
    fake_device(FAKE_SHARED)->cost_ns = EXPENSIVE_NS;
    build_with(f, write_add_relu, open);
    assert_int_equal(compile_open_sizes(f, "fake:inline,fake:shared"), TN_OK);
    assert_int_equal(count_calls(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    for (uint32_t size = 1; size < 12; size += 3) {
        const uint32_t runs = fake_device(FAKE_INLINE)->run_count;
        prepare_for(f, size);
        must_compute(f, size, add_relu);
        // Beyond its bounds, the device that takes the nodes runs them.
        assert_int_equal(fake_device(FAKE_INLINE)->run_count - runs, size <= 6);
    }
}

static void must_not_offer(flow_fixture *f) {
    tn_call_desc desc;
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    must_open(f, "fake:inline,reference:cpu");
    assert_int_equal(count_calls(f, &desc), 0);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_add_relu, 0);
}

static void call__of_a_version_the_device_does_not_know(void **state) {
    flow_fixture *f = *state;
    onnx_opset(&f->b, FAKE_DOMAIN, 2);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, dims);
    call(&f->b, "x,z", "y", "");
    onnx_output_untyped(&f->b, "y");
    onnx_end(&f->b, &f->bytes);
    add_function(&f->bytes);
    must_not_offer(f);
    must_compute(f, WIDTH, add_relu);
}

// Overloads share a name, which is all that a device sees.
static void call__of_an_overload(void **state) {
    flow_fixture *f = *state;
    onnx_builder b;
    ports(&f->b, dims);
    call(&f->b, "x,z", "y", "");
    pb_text(&f->b.node, 8, "other");
    onnx_end(&f->b, &f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_function_overload(&b, "other");
    write_add_relu(&b);
    onnx_end_function(&b, &f->bytes);
    must_not_offer(f);
    must_compute(f, WIDTH, add_relu);
}

// Outer(p, q; j = 5) calls AddRelu(p, q; k = @j): the device sees the number.
static void call__with_attributes_of_its_caller(void **state) {
    flow_fixture *f = *state;
    onnx_builder b;
    pb attribute = {NULL, 0, 0};
    ports(&f->b, dims);
    onnx_node(&f->b, "Outer", "x,z", "y");
    onnx_node_domain(&f->b, FAKE_DOMAIN);
    onnx_end(&f->b, &f->bytes);
    add_function(&f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, "Outer", "p,q", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    pb_text(&attribute, 1, "j");
    pb_varint(&attribute, 3, 5);
    pb_varint(&attribute, 20, 2);
    pb_message(&b.graph, 11, &attribute);
    call(&b, "p,q", "r", "");
    onnx_attr_int_reference(&b, "k", "j");
    onnx_end_function(&b, &f->bytes);
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    must_open(f, "fake:inline");
    assert_int_equal(fake_device(FAKE_INLINE)->seen_k, 5);
    must_compute(f, WIDTH, add_relu);
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
    fake_device(FAKE_INLINE)->cost_ns = CHEAP_NS;
    build_with(f, write_add_relu, dims);
    must_open(f, "reference:cpu");
    assert_int_equal(compile_with_fallback(f), TN_OK);
    assert_int_equal(count_calls(f, &desc), 0);
    assert_int_equal(summary_of(f).fallback_count, 0);
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
    onnx_opset(&f->b, "test.nobody", 1);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&f->b, "z", TN_DTYPE_FLOAT, 1, dims);
    onnx_opset(&f->b, FAKE_DOMAIN, 1);
    call(&f->b, "x,z", "y", "");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&f->b, &f->bytes);
    onnx_builder b;
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_function_opset(&b, "test.nobody", 1);
    write_unknown(&b);
    onnx_end_function(&b, &f->bytes);
    assert_int_equal(flow_open(f, "reference:cpu", &limits), TN_ERROR_DENIED);
    assert_non_null(f->model);
    assert_int_equal(compile_with_fallback(f), TN_OK);
    assert_int_equal(count_calls(f, &desc), 1);
    assert_int_equal(desc.in_parts, 0);
    assert_int_equal(summary_of(f).fallback_count, 1);
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
        FLOW_CASE(call__that_needs_stages_is_not_offered),
        FLOW_CASE(call__that_the_host_carries_out_is_not_offered),
        FLOW_CASE(call__whose_sizes_follow_from_shapes_is_offered),
        FLOW_CASE(call__of_function_ops_is_offered),
        FLOW_CASE(call__in_parts_of_parts),
        FLOW_CASE(call__of_any_size),
        FLOW_CASE(call__of_a_version_the_device_does_not_know),
        FLOW_CASE(call__of_an_overload),
        FLOW_CASE(call__with_attributes_of_its_caller),
        FLOW_CASE(call__as_fallback),
        FLOW_CASE(call__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
