// SPDX-License-Identifier: Apache-2.0
// Pins, plans without programs, and what a plan tells about itself, over fake devices of known
// cost.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *const both[] = {"fake:alpha", "fake:beta"};

static tn_status compile_with(exec_fixture *f, tn_compile_policy policy, const tn_pin *pins,
                              uint32_t pin_count) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = both;
    config.device_count = 2;
    config.policy = policy | TN_COMPILE_NO_FALLBACK;
    config.pins = pins;
    config.pin_count = pin_count;
    return tn_compile(f->model, &config, &f->compiled, &f->error);
}

static tn_plan_summary summary_of(const exec_fixture *f) {
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &summary), TN_OK);
    return summary;
}

static uint32_t device_of(const exec_fixture *f, uint32_t node) {
    tn_placement placement = {.struct_size = sizeof(placement), .struct_type = TN_STRUCT_PLACEMENT};
    assert_int_equal(tn_compiled_placement_get(
                         f->compiled, node, tn_host_device_find(f->host, "fake:alpha"), &placement),
                     TN_OK);
    return placement.device;
}

static tn_choice choice_of(const exec_fixture *f, uint32_t node) {
    tn_choice choice = {.struct_size = sizeof(choice), .struct_type = TN_STRUCT_CHOICE};
    assert_int_equal(tn_compiled_choice_get(f->compiled, node, &choice), TN_OK);
    return choice;
}

// Alpha is dear, beta cheap.
static void open_priced(exec_fixture *f) {
    exec_open(f);
    fake_device(FAKE_ALPHA)->cost_ns = 4000;
    fake_device(FAKE_BETA)->cost_ns = 1000;
    exec_build_alternating(f, 4);
}

static void compile__pins_hold_whatever_they_cost(void **state) {
    (void)state;
    static const tn_pin pins[] = {{"fake:alpha", 1, TN_PIN_TO}, {"fake:beta", 3, TN_PIN_FORBID}};
    exec_fixture f;
    open_priced(&f);
    uint32_t alpha = tn_host_device_find(f.host, "fake:alpha");
    uint32_t beta = tn_host_device_find(f.host, "fake:beta");
    assert_int_equal(compile_with(&f, 0, NULL, 0), TN_OK);
    assert_int_equal(device_of(&f, 1), beta);
    int64_t free_cost = summary_of(&f).cost_ns;
    tn_compiled_release(f.compiled);
    f.compiled = NULL;
    assert_int_equal(compile_with(&f, 0, pins, 2), TN_OK);
    assert_int_equal(device_of(&f, 1), alpha);
    assert_int_equal(device_of(&f, 3), alpha);
    assert_true(summary_of(&f).cost_ns > free_cost);
    tn_placement placement = {.struct_size = sizeof(placement), .struct_type = TN_STRUCT_PLACEMENT};
    assert_int_equal(tn_compiled_placement_get(f.compiled, 1, beta, &placement), TN_OK);
    assert_int_equal(placement.reason, TN_REASON_USER_PINNED);
    assert_int_equal(tn_compiled_placement_get(f.compiled, 3, beta, &placement), TN_OK);
    assert_int_equal(placement.reason, TN_REASON_USER_FORBID);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, -1.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(exec_output(&f, 0)[7], exec_alternate(6.0f, 4), 0);
    exec_close(&f);
}

static void compile__bad_pins_are_named(void **state) {
    (void)state;
    static const struct {
        tn_pin pin;
        tn_status status;
        const char *id;
    } cases[] = {{{"fake:alpha", 99, TN_PIN_TO}, TN_ERROR_INVALID_ARGUMENT, "compile.pin"},
                 {{NULL, 0, TN_PIN_TO}, TN_ERROR_INVALID_ARGUMENT, "compile.pin"},
                 {{"fake:alpha", 0, 9}, TN_ERROR_INVALID_ARGUMENT, "compile.pin"},
                 {{"fake:nowhere", 0, TN_PIN_TO}, TN_ERROR_NOT_FOUND, "compile.pin"},
                 {{"fake:shared", 0, TN_PIN_TO}, TN_ERROR_NOT_FOUND, "compile.pin"},
                 {{"fake:alpha", 1, TN_PIN_TO}, TN_ERROR_UNSUPPORTED, "plan.pin"}};
    exec_fixture f;
    open_priced(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(compile_with(&f, 0, &cases[i].pin, 1), cases[i].status);
        assert_string_equal(f.error.id, cases[i].id);
        assert_null(f.compiled);
    }
    exec_close(&f);
}

static void compile__a_plan_only_is_no_program(void **state) {
    (void)state;
    exec_fixture f;
    open_priced(&f);
    fake_device(FAKE_BETA)->compile_status = TN_ERROR_INTERNAL; // would fail
    assert_int_equal(compile_with(&f, TN_COMPILE_PLAN_ONLY, NULL, 0), TN_OK);
    assert_int_equal(summary_of(&f).island_count, 1);
    assert_int_equal(tn_request_create(f.compiled, NULL, &f.request, &f.error),
                     TN_ERROR_INVALID_STATE);
    assert_string_equal(f.error.id, "request.plan-only");
    tn_plan_alternative none = {.struct_size = sizeof(none),
                                .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
    assert_int_equal(tn_compiled_alternative_count(f.compiled), 0);
    assert_int_equal(tn_compiled_alternative_get(f.compiled, 0, &none), TN_ERROR_NOT_FOUND);
    exec_close(&f);
}

static void explain__alternatives_and_transfers_add_up(void **state) {
    (void)state;
    exec_fixture f;
    open_priced(&f);
    fake_device(FAKE_BETA)->ops = FAKE_RELU; // of Relu, Neg, Relu, Neg
    assert_int_equal(compile_with(&f, TN_COMPILE_EXPLAIN, NULL, 0), TN_OK);
    tn_plan_summary s = summary_of(&f);
    assert_int_equal(s.cost_ns, s.compute_ns + s.transfer_ns + s.handover_ns - s.claim_saving_ns);
    assert_true(s.plan_hash != 0);
    assert_int_equal(tn_compiled_alternative_count(f.compiled), 2);
    for (uint32_t i = 0; i < 2; i++) {
        tn_plan_alternative one = {.struct_size = sizeof(one),
                                   .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
        assert_int_equal(tn_compiled_alternative_get(f.compiled, i, &one), TN_OK);
        bool alpha = one.device == tn_host_device_find(f.host, "fake:alpha");
        assert_int_equal(one.refused_nodes, alpha ? 0 : 2);
        assert_true(one.cost_ns >= s.cost_ns);
    }
    int64_t copies = 0;
    for (uint32_t i = 0; i < tn_compiled_transfer_count(f.compiled); i++) {
        tn_planned_transfer one = {.struct_size = sizeof(one),
                                   .struct_type = TN_STRUCT_PLANNED_TRANSFER};
        assert_int_equal(tn_compiled_transfer_get(f.compiled, i, &one), TN_OK);
        assert_int_equal(one.size_bytes, EXEC_WIDTH * sizeof(float));
        assert_true(one.from_device != one.to_device);
        copies += one.cost_ns;
    }
    assert_int_equal(copies, s.transfer_ns);
    exec_close(&f);
}

// Of three devices, each once left out: what the plan does not use costs nothing to leave out, what
// nobody replaces leaves no plan, and anything else costs as if it had never been there.
static void explain__one_device_less_is_priced(void **state) {
    (void)state;
    static const char *const three[] = {"fake:alpha", "fake:beta", "fake:mute"};
    exec_fixture f;
    open_priced(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    fake_device(FAKE_BETA)->ops = FAKE_RELU;
    fake_device(FAKE_MUTE)->ops = FAKE_NEG;
    fake_device(FAKE_BETA)->cost_ns = 1;
    int64_t costs[3] = {0};
    for (uint32_t count = 3; count >= 2; count--) {
        static const char *const pair[] = {"fake:alpha", "fake:mute"};
        tn_compile_config config;
        tn_compile_config_init(&config);
        config.devices = count == 3 ? three : pair;
        config.device_count = count;
        config.policy = TN_COMPILE_EXPLAIN | TN_COMPILE_NO_FALLBACK;
        assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
        if (count == 2) { // without beta, planned anew
            assert_int_equal(tn_compiled_alternative_count(f.compiled), 2);
            assert_int_equal(summary_of(&f).cost_ns, costs[1]);
            break;
        }
        assert_int_equal(tn_compiled_alternative_count(f.compiled), 6);
        for (uint32_t i = 0; i < 3; i++) {
            tn_plan_alternative one = {.struct_size = sizeof(one),
                                       .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
            assert_int_equal(tn_compiled_alternative_get(f.compiled, 3 + i, &one), TN_OK);
            assert_int_equal(one.kind, TN_ALTERNATIVE_WITHOUT);
            assert_int_equal(one.device, tn_host_device_find(f.host, three[i]));
            costs[i] = one.cost_ns;
        }
        assert_int_equal(costs[0], summary_of(&f).cost_ns);
        assert_true(costs[1] > costs[0]);
        assert_int_equal(costs[2], TN_COST_NO_PLAN);
        tn_compiled_release(f.compiled);
        f.compiled = NULL;
    }
    exec_close(&f);
}

// Handovers to the cheap device cost more than it saves, and the plan says so.
static void explain__nodes_off_their_cheapest_device_say_why(void **state) {
    (void)state;
    exec_fixture f;
    open_priced(&f);
    fake_device(FAKE_BETA)->ops = FAKE_RELU;
    assert_int_equal(compile_with(&f, TN_COMPILE_EXPLAIN, NULL, 0), TN_OK);
    uint32_t alpha = tn_host_device_find(f.host, "fake:alpha");
    tn_choice relu = choice_of(&f, 2);
    assert_int_equal(relu.device, alpha);
    assert_int_equal(relu.cheapest_device, tn_host_device_find(f.host, "fake:beta"));
    assert_int_equal(relu.cost_ns - relu.cheapest_cost_ns, 3000);
    assert_true(relu.why == TN_WHY_COPIES || relu.why == TN_WHY_HANDOVERS);
    assert_true(relu.copies_ns + relu.handovers_ns >= 3000);
    tn_choice neg = choice_of(&f, 1);
    assert_int_equal(neg.why, TN_WHY_CHEAPEST);
    assert_int_equal(neg.cheapest_device, alpha);
    tn_choice outside = {.struct_size = sizeof(outside), .struct_type = TN_STRUCT_CHOICE};
    assert_int_equal(tn_compiled_choice_get(f.compiled, 99, &outside), TN_ERROR_INVALID_ARGUMENT);
    exec_close(&f);
}

static void pause_ms(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static uint32_t runs_of(uint32_t device) {
    fake_lock();
    uint32_t count = fake_device(device)->run_count;
    fake_unlock();
    return count;
}

// Two branches of 10 ms: planned for one device when it is the sum that counts, for both when it is
// the end; and then one of them runs while the other is held back.
static void compile__concurrent_plans_overlap_devices(void **state) {
    (void)state;
    static const int64_t dims[] = {EXEC_WIDTH};
    exec_fixture f;
    onnx_builder b;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->cost_ns = 10000000;
    fake_device(FAKE_BETA)->cost_ns = 10000000;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "one");
    onnx_node(&b, "Neg", "x", "other");
    onnx_output(&b, "one", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "other", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f.bytes);
    exec_load(&f);
    assert_int_equal(compile_with(&f, TN_COMPILE_EXPLAIN, NULL, 0), TN_OK);
    tn_plan_summary serial = summary_of(&f);
    assert_int_equal(serial.island_count, 1);
    assert_true(serial.makespan_ns <= serial.cost_ns);
    tn_compiled_release(f.compiled);
    f.compiled = NULL;
    assert_int_equal(compile_with(&f, TN_COMPILE_CONCURRENT, NULL, 0), TN_OK);
    tn_plan_summary overlapped = summary_of(&f);
    assert_int_equal(overlapped.island_count, 2);
    assert_true(overlapped.makespan_ns < serial.makespan_ns);
    assert_true(overlapped.makespan_bound_ns <= overlapped.makespan_ns);
    exec_prepare(&f, 1);
    exec_fill(&f, 0, -1.0f);
    fake_lock();
    fake_device(FAKE_ALPHA)->hold = 1;
    fake_unlock();
    assert_int_equal(tn_request_submit(f.request, 0, NULL, NULL, &f.error), TN_OK);
    for (int i = 0; i < 5000 && runs_of(FAKE_BETA) == 0; i++) {
        pause_ms(1);
    }
    assert_int_equal(runs_of(FAKE_BETA), 1);
    assert_int_equal(runs_of(FAKE_ALPHA), 0);
    fake_lock();
    fake_device(FAKE_ALPHA)->hold = 0;
    fake_unlock();
    assert_int_equal(tn_request_wait(f.request, UINT64_MAX, &f.error), TN_OK);
    assert_float_equal(exec_output(&f, 0)[7], 6.0f, 0);
    assert_float_equal(exec_output(&f, 1)[7], -6.0f, 0);
    assert_true(exec_counts_agree(&f, 1));
    exec_close(&f);
}

static uint32_t stop_searching(void *user_data, const char *phase, uint32_t permille) {
    uint32_t *asked = user_data;
    (void)permille;
    *asked += strcmp(phase, "plan") == 0;
    return *asked > 0;
}

static void compile__a_time_limit_is_told(void **state) {
    (void)state;
    exec_fixture f;
    tn_compile_config config;
    open_priced(&f);
    tn_compile_config_init(&config);
    config.devices = both;
    config.device_count = 2;
    config.policy = TN_COMPILE_NO_FALLBACK;
    config.plan_time_limit_ns = UINT64_MAX;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_int_equal(summary_of(&f).truncated, 0);
    assert_true(summary_of(&f).plan_hash != 0);
    tn_compiled_release(f.compiled);
    f.compiled = NULL;
    config.plan_time_limit_ns = 1;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_int_equal(summary_of(&f).truncated, 1);
    assert_int_equal(summary_of(&f).plan_hash, 0);
    exec_prepare(&f, 0);
    exec_fill(&f, 0, -1.0f);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(exec_output(&f, 0)[7], exec_alternate(6.0f, 4), 0);
    exec_close(&f);
}

static void compile__the_callback_stops_the_search(void **state) {
    (void)state;
    exec_fixture f;
    tn_compile_config config;
    uint32_t asked = 0;
    open_priced(&f);
    tn_compile_config_init(&config);
    config.progress = stop_searching;
    config.progress_user_data = &asked;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_ERROR_CANCELLED);
    assert_string_equal(f.error.id, "plan.cancelled");
    assert_int_equal(asked, 1);
    exec_close(&f);
}

static void compile__links_replace_what_is_assumed(void **state) {
    (void)state;
    exec_fixture f;
    tn_compile_config config;
    tn_link_cost links[] = {{"host", "fake:beta", 1000000, 0, 0},
                            {"fake:beta", "host", 500000, 0, 1}};
    open_priced(&f);
    tn_compile_config_init(&config);
    config.devices = &both[1];
    config.device_count = 1;
    config.policy = TN_COMPILE_NO_FALLBACK;
    config.link_count = 2;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error),
                     TN_ERROR_INVALID_ARGUMENT); // a count without links
    config.links = links;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_int_equal(summary_of(&f).handover_ns, 1500000);
    // EXEC_WIDTH floats at a byte a second.
    assert_int_equal(summary_of(&f).transfer_ns, EXEC_WIDTH * sizeof(float) * 1000000000);
    tn_compiled_release(f.compiled);
    f.compiled = NULL;
    links[1].copy_ns = -1;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.error.id, "compile.link");
    links[1] = (tn_link_cost){"fake:beta", "fake:beta", 0, 0, 0};
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error),
                     TN_ERROR_INVALID_ARGUMENT);
    links[1].to = "fake:none";
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_ERROR_NOT_FOUND);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compile__pins_hold_whatever_they_cost),
        cmocka_unit_test(compile__bad_pins_are_named),
        cmocka_unit_test(compile__a_plan_only_is_no_program),
        cmocka_unit_test(explain__alternatives_and_transfers_add_up),
        cmocka_unit_test(explain__one_device_less_is_priced),
        cmocka_unit_test(compile__concurrent_plans_overlap_devices),
        cmocka_unit_test(explain__nodes_off_their_cheapest_device_say_why),
        cmocka_unit_test(compile__a_time_limit_is_told),
        cmocka_unit_test(compile__the_callback_stops_the_search),
        cmocka_unit_test(compile__links_replace_what_is_assumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
