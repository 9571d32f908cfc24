// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "calls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <string.h>

const int64_t calls_dims[1] = {CALLS_WIDTH};

void calls_add_function(pb *model) {
    onnx_builder b;
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_node(&b, "Identity", "a", "same");
    onnx_node(&b, "Add", "same,b", "sum");
    onnx_node_name(&b, "the sum");
    onnx_node(&b, "Relu", "sum", "r");
    onnx_end_function(&b, model);
}

void calls_node(onnx_builder *b, const char *inputs, const char *outputs, const char *name) {
    onnx_node(b, FAKE_ADD_RELU_NAME, inputs, outputs);
    onnx_node_domain(b, FAKE_DOMAIN);
    onnx_node_name(b, name);
}

void calls_ports(onnx_builder *b, const int64_t *sizes) {
    onnx_opset(b, FAKE_DOMAIN, 1);
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, sizes);
    onnx_input(b, "z", TN_DTYPE_FLOAT, 1, sizes);
    onnx_output_untyped(b, "y");
}

bool calls_hides_relu(const char *op_type) {
    return strcmp(op_type, "Relu") == 0;
}

bool calls_hides_softsign(const char *op_type) {
    return strcmp(op_type, "Softsign") == 0;
}

void calls_without(flow_fixture *f, bool (*hides)(const char *op_type)) {
    static const tn_static_plugin narrow = {"narrow0", narrow_entry_0};
    f->extra = &narrow;
    narrow_controls[0] = (narrow_control){.hides = hides};
}

void calls_open(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const tn_status status = flow_open(f, devices, &limits);
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

void calls_compute(flow_fixture *f, uint32_t count, float (*expected)(float x, float z)) {
    float x[16] = {0};
    float z[16] = {0};
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

tn_plan_summary calls_summary(const flow_fixture *f) {
    tn_plan_summary s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &s), TN_OK);
    return s;
}

static tn_island_desc island_of(const flow_fixture *f, uint32_t island) {
    tn_island_desc d = {.struct_size = sizeof(d), .struct_type = TN_STRUCT_ISLAND_DESC};
    assert_int_equal(tn_compiled_island_get(f->compiled, island, &d), TN_OK);
    return d;
}

uint32_t calls_count(const flow_fixture *f, tn_call_desc *out_last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < calls_summary(f).island_count; i++) {
        for (uint32_t k = 0; k < island_of(f, i).call_count; k++) {
            *out_last = (tn_call_desc){.struct_size = sizeof(*out_last),
                                       .struct_type = TN_STRUCT_CALL_DESC};
            assert_int_equal(tn_compiled_call_get(f->compiled, i, k, out_last), TN_OK);
            count++;
        }
    }
    return count;
}

void calls_check_placements(const flow_fixture *f, const char *device) {
    uint32_t seen[64] = {0};
    const uint32_t index = tn_host_device_find(f->host, device);
    assert_true(tn_model_node_count(f->model) <= 64);
    for (uint32_t i = 0; i < calls_summary(f).island_count; i++) {
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

void calls_build(flow_fixture *f, calls_writer write, const int64_t *sizes) {
    onnx_builder b;
    calls_ports(&f->b, sizes);
    calls_node(&f->b, "x,z", "y", "");
    onnx_end(&f->b, &f->bytes);
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    write(&b);
    onnx_end_function(&b, &f->bytes);
}

float calls_add_relu(float x, float z) {
    return x + z > 0 ? x + z : 0;
}

void calls_write_add_relu(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Relu", "sum", "r");
}

void calls_write_softsign(onnx_builder *b) {
    onnx_node(b, "Add", "a,b", "sum");
    onnx_node(b, "Relu", "sum", "t");
    onnx_node(b, "Softsign", "t", "u");
    onnx_node(b, "Mul", "u,u", "v");
    onnx_node(b, "Sub", "v,v", "w");
    onnx_node(b, "Add", "w,t", "r");
}
