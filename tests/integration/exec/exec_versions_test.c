// SPDX-License-Identifier: Apache-2.0
// What op_list says is kept (ABI-48): a device is shown nodes in versions that it lists, and none
// that it does not.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const int64_t dims[] = {EXEC_WIDTH};

static void build_relu(exec_fixture *f, uint32_t opset) {
    onnx_builder b;
    onnx_begin(&b, opset);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

static void know(uint32_t newest, uint32_t oldest) {
    fake_device(FAKE_INLINE)->newest_version = newest;
    fake_device(FAKE_INLINE)->oldest_version = oldest;
}

static void run_as(uint32_t opset, uint32_t newest, uint32_t oldest, uint32_t expected) {
    exec_fixture f;
    exec_open(&f);
    know(newest, oldest);
    build_relu(&f, opset);
    assert_int_equal(exec_compile(&f, "fake:inline"), TN_OK);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_version, expected);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, -3.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(exec_output(&f, 0)[0], 0.0f, 0);
    assert_float_equal(exec_output(&f, 0)[5], 2.0f, 0);
    exec_close(&f);
}

static void compile__an_old_device_sees_the_newest_form_it_knows(void **state) {
    (void)state;
    run_as(17, 6, 6, 6);
    run_as(17, 13, 1, 13);
}

static void compile__a_new_device_sees_an_old_model_in_its_form(void **state) {
    (void)state;
    run_as(1, 14, 14, 14);
    run_as(6, 99, 13, 14);
}

static void compile__what_cannot_be_expressed_is_refused(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    know(99, 90);
    build_relu(&f, 17);
    assert_int_equal(exec_compile(&f, "fake:inline,fake:worker"), TN_OK);
    const uint32_t device = tn_host_device_find(f.host, "fake:inline");
    tn_placement placement = {.struct_size = sizeof(placement), .struct_type = TN_STRUCT_PLACEMENT};
    assert_int_equal(tn_compiled_placement_get(f.compiled, 0, device, &placement), TN_OK);
    assert_int_equal(placement.reason, TN_REASON_OP_VERSION);
    assert_int_equal(placement.limit, 90);
    assert_int_equal(placement.actual, 14);
    assert_int_equal(placement.device, tn_host_device_find(f.host, "fake:worker"));
    exec_close(&f);
}

// Two compiles of one model write it for devices of different age, each for itself.
static void compile__does_not_change_the_model(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    know(6, 6);
    fake_device(FAKE_WORKER)->newest_version = 13;
    fake_device(FAKE_WORKER)->oldest_version = 13;
    build_relu(&f, 17);
    assert_int_equal(exec_compile(&f, "fake:inline"), TN_OK);
    tn_compiled_release(f.compiled);
    assert_int_equal(exec_compile(&f, "fake:worker"), TN_OK);
    assert_int_equal(fake_device(FAKE_INLINE)->seen_version, 6);
    assert_int_equal(fake_device(FAKE_WORKER)->seen_version, 13);
    tn_node_desc node = {.struct_size = sizeof(node), .struct_type = TN_STRUCT_NODE_DESC};
    assert_int_equal(tn_model_node_get(f.model, 0, &node), TN_OK);
    assert_int_equal(node.since_version, 14);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compile__an_old_device_sees_the_newest_form_it_knows),
        cmocka_unit_test(compile__a_new_device_sees_an_old_model_in_its_form),
        cmocka_unit_test(compile__what_cannot_be_expressed_is_refused),
        cmocka_unit_test(compile__does_not_change_the_model),
    };
    return cmocka_run_group_tests_name("exec_versions", tests, NULL, NULL);
}
