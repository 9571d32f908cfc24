// SPDX-License-Identifier: Apache-2.0
// Caps on weights as inputs to planning: what does not fit goes elsewhere and says so, what fits
// nowhere is refused with the numbers.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t dims[] = {EXEC_WIDTH};
#define WEIGHT_BYTES ((uint64_t)EXEC_WIDTH * sizeof(float))

// x -> Add(weights[0]) -> Add(weights[1]) -> ... -> y, each with weights of that name.
static void build_adds(exec_fixture *f, const char *const *weights, uint32_t count) {
    onnx_builder b;
    char from[16] = "x";
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    for (uint32_t i = 0; i < count; i++) {
        char inputs[32];
        char to[16];
        bool known = false;
        for (uint32_t k = 0; k < i; k++) {
            known |= strcmp(weights[i], weights[k]) == 0;
        }
        if (!known) {
            onnx_initializer_floats(&b, weights[i], 1, dims, i);
        }
        snprintf(inputs, sizeof(inputs), "%s,%s", from, weights[i]);
        snprintf(to, sizeof(to), "v%u", i);
        onnx_node(&b, "Add", inputs, to);
        snprintf(to, sizeof(to), "add%u", i);
        onnx_node_name(&b, to);
        snprintf(from, sizeof(from), "v%u", i);
    }
    onnx_output(&b, from, TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

static void open_taking(exec_fixture *f) {
    exec_open(f);
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        fake_device(i)->takes_constants = 1;
        fake_device(i)->cost_ns = 100000000; // dear, and copies do not matter
    }
}

typedef struct capped {
    const char *devices[3];
    tn_device_cap caps[3];
    tn_pin pins[3];
    uint32_t device_count, cap_count, pin_count;
} capped;

static tn_status plan(exec_fixture *f, const capped *c) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = c->devices;
    config.device_count = c->device_count;
    config.policy = TN_COMPILE_NO_FALLBACK | TN_COMPILE_PLAN_ONLY | TN_COMPILE_EXPLAIN;
    config.caps = c->caps;
    config.cap_count = c->cap_count;
    config.pins = c->pins;
    config.pin_count = c->pin_count;
    tn_compiled_release(f->compiled);
    f->compiled = NULL;
    return tn_compile(f->model, &config, &f->compiled, &f->error);
}

// How many nodes are there.
static uint32_t count_on(const exec_fixture *f, const char *device) {
    uint32_t count = 0;
    for (uint32_t node = 0; node < tn_model_node_count(f->model); node++) {
        tn_choice choice = {.struct_size = sizeof(choice), .struct_type = TN_STRUCT_CHOICE};
        count += tn_compiled_choice_get(f->compiled, node, &choice) == TN_OK &&
                 choice.device == tn_host_device_find(f->host, device);
    }
    return count;
}

static uint32_t count_why(const exec_fixture *f, tn_why why) {
    uint32_t count = 0;
    for (uint32_t node = 0; node < tn_model_node_count(f->model); node++) {
        tn_choice choice = {.struct_size = sizeof(choice), .struct_type = TN_STRUCT_CHOICE};
        count += tn_compiled_choice_get(f->compiled, node, &choice) == TN_OK && choice.why == why;
    }
    return count;
}

static const char *const three[] = {"a", "b", "c"};
static const char *const same[] = {"a", "a", "a"};

static void caps__send_what_does_not_fit_elsewhere(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha", "fake:beta"}, .device_count = 2};
    open_taking(&f);
    fake_device(FAKE_BETA)->cost_ns = 1000;
    build_adds(&f, three, 3);
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 3);
    c.cap_count = 1;
    c.caps[0] = (tn_device_cap){"fake:beta", 2 * WEIGHT_BYTES + 1};
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 2);
    assert_int_equal(count_on(&f, "fake:alpha"), 1);
    assert_int_equal(count_why(&f, TN_WHY_CAPACITY), 1);
    tn_plan_alternative beta = {.struct_size = sizeof(beta),
                                .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
    assert_int_equal(tn_compiled_alternative_get(f.compiled, 1, &beta), TN_OK);
    assert_int_equal(beta.cost_ns, TN_COST_NO_PLAN);
    exec_close(&f);
}

static void caps__refuse_what_fits_nowhere(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha", "fake:beta"},
                .device_count = 2,
                .caps = {{"fake:alpha", WEIGHT_BYTES}, {"fake:beta", WEIGHT_BYTES + 3}},
                .cap_count = 2};
    open_taking(&f);
    build_adds(&f, three, 3);
    assert_int_equal(plan(&f, &c), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f.error.id, "plan.memory");
    assert_non_null(strstr(f.error.text, "fake:alpha has room for 32 of 32 bytes"));
    assert_non_null(strstr(f.error.text, "fake:beta has room for 35 of 35 bytes"));
    assert_non_null(strstr(f.error.text, "read 96 bytes"));
    assert_non_null(strstr(f.error.text, "\"add0\" (Add) 32"));
    assert_int_equal(f.error.node_index, 0);
    assert_null(f.compiled);
    exec_close(&f);
}

static void caps__count_a_shared_constant_once_a_device(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha", "fake:beta"},
                .device_count = 2,
                .caps = {{"fake:beta", WEIGHT_BYTES}},
                .cap_count = 1};
    open_taking(&f);
    fake_device(FAKE_BETA)->cost_ns = 1000;
    build_adds(&f, same, 3);
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 3);
    // Its first reader is elsewhere: beta needs the whole of it nevertheless.
    c.caps[0].weight_bytes = WEIGHT_BYTES - 1;
    c.pins[0] = (tn_pin){"fake:alpha", 0, TN_PIN_TO};
    c.pin_count = 1;
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 0);
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f.compiled, &summary), TN_OK);
    assert_true(summary.lower_bound_ns <= summary.cost_ns);
    exec_close(&f);
}

static void caps__of_zero_are_what_the_device_has(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha", "fake:beta"},
                .device_count = 2,
                .caps = {{"fake:alpha", 0}, {"fake:beta", 0}},
                .cap_count = 2};
    open_taking(&f);
    fake_device(FAKE_BETA)->cost_ns = 1000;
    fake_device(FAKE_BETA)->heap_bytes = WEIGHT_BYTES;
    build_adds(&f, three, 3);
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 1);
    assert_int_equal(count_on(&f, "fake:alpha"), 2); // which says nothing
    exec_close(&f);
}

// fake:shared and fake:worker are one silicon.
static void caps__are_shared_by_a_resource_group(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha", "fake:shared", "fake:worker"},
                .device_count = 3,
                .caps = {{"fake:shared", 2 * WEIGHT_BYTES}, {"fake:worker", 3 * WEIGHT_BYTES}},
                .cap_count = 2};
    open_taking(&f);
    fake_device(FAKE_SHARED)->cost_ns = 1000;
    fake_device(FAKE_WORKER)->cost_ns = 2000;
    build_adds(&f, three, 3);
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:alpha"), 1);
    assert_int_equal(count_on(&f, "fake:shared") + count_on(&f, "fake:worker"), 2);
    c.pin_count = 2;
    c.pins[0] = (tn_pin){"fake:shared", 0, TN_PIN_TO};
    c.pins[1] = (tn_pin){"fake:worker", 1, TN_PIN_TO};
    c.caps[0].weight_bytes = 2 * WEIGHT_BYTES - 1;
    assert_int_equal(plan(&f, &c), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f.error.id, "plan.memory");
    assert_non_null(strstr(f.error.text, "fake:shared has room for 63 of 63 bytes together with "
                                         "fake:worker (resource group \"fake-"));
    // Only the other one of the group is planned for, and it is not alone to blame.
    c.caps[0] = c.caps[1];
    c.caps[0].weight_bytes = WEIGHT_BYTES;
    c.cap_count = 1;
    c.pins[1] = (tn_pin){"fake:shared", 1, TN_PIN_TO};
    assert_int_equal(plan(&f, &c), TN_ERROR_LIMIT_EXCEEDED);
    assert_non_null(strstr(f.error.text, "fake:worker has room for 32 of 32 bytes together with "
                                         "fake:shared (resource group \"fake-"));
    exec_close(&f);
}

// What one part of a model holds is not there for the next.
static void caps__hold_for_all_stages_together(void **state) {
    (void)state;
    exec_fixture f;
    onnx_builder b;
    pb graphs[2];
    capped c = {.devices = {"fake:alpha", "fake:beta"},
                .device_count = 2,
                .caps = {{"fake:beta", 2 * WEIGHT_BYTES - 1}},
                .cap_count = 1};
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        onnx_node(&b, i == 0 ? "Relu" : "Neg", "a", "r");
        onnx_output_untyped(&b, "r");
        onnx_end_graph(&b, &graphs[i]);
    }
    open_taking(&f);
    fake_device(FAKE_BETA)->cost_ns = 1000;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&b, "which", TN_DTYPE_BOOL, 0, NULL);
    onnx_initializer_floats(&b, "w", 1, dims, 0);
    onnx_initializer_floats(&b, "v", 1, dims, 1);
    onnx_node(&b, "Add", "x,w", "a");
    onnx_node(&b, "If", "which", "c");
    onnx_attr_graph(&b, "then_branch", &graphs[0]);
    onnx_attr_graph(&b, "else_branch", &graphs[1]);
    onnx_node(&b, "Add", "c,v", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f.bytes);
    exec_load(&f);
    assert_int_equal(plan(&f, &c), TN_OK);
    assert_int_equal(count_on(&f, "fake:beta"), 1);
    assert_int_equal(count_on(&f, "fake:alpha"), 1);
    exec_close(&f);
}

static void caps__that_are_none_are_named(void **state) {
    (void)state;
    exec_fixture f;
    capped c = {.devices = {"fake:alpha"}, .device_count = 1, .cap_count = 1};
    open_taking(&f);
    build_adds(&f, three, 1);
    assert_int_equal(plan(&f, &c), TN_ERROR_INVALID_ARGUMENT);
    c.caps[0].device = "fake:beta"; // which may not be used
    assert_int_equal(plan(&f, &c), TN_ERROR_NOT_FOUND);
    assert_string_equal(f.error.id, "compile.cap");
    exec_close(&f);
}

static void caps__lose_nothing_without_memory(void **state) {
    (void)state;
    exec_fixture f;
    const capped c = {.devices = {"fake:alpha", "fake:beta"},
                      .device_count = 2,
                      .caps = {{"fake:beta", WEIGHT_BYTES - 1}},
                      .cap_count = 1,
                      .pins = {{"fake:alpha", 0, TN_PIN_TO}},
                      .pin_count = 1};
    open_taking(&f);
    fake_device(FAKE_BETA)->cost_ns = 1000;
    build_adds(&f, same, 3);
    assert_int_equal(plan(&f, &c), TN_OK); // opens the devices
    test_alloc_reset(&f.memory, TEST_ALLOC_NORMAL, 0);
    assert_int_equal(plan(&f, &c), TN_OK);
    const uint64_t total = f.memory.count;
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            tn_compiled_release(f.compiled);
            f.compiled = NULL;
            test_alloc_reset(&f.memory, (test_alloc_mode)mode, at);
            const tn_status status = plan(&f, &c);
            assert_true(status == TN_ERROR_OUT_OF_MEMORY ||
                        (status == TN_OK && mode == TEST_ALLOC_FAIL_ONE));
        }
    }
    test_alloc_reset(&f.memory, TEST_ALLOC_NORMAL, 0);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps__send_what_does_not_fit_elsewhere),
        cmocka_unit_test(caps__refuse_what_fits_nowhere),
        cmocka_unit_test(caps__count_a_shared_constant_once_a_device),
        cmocka_unit_test(caps__of_zero_are_what_the_device_has),
        cmocka_unit_test(caps__are_shared_by_a_resource_group),
        cmocka_unit_test(caps__hold_for_all_stages_together),
        cmocka_unit_test(caps__that_are_none_are_named),
        cmocka_unit_test(caps__lose_nothing_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
