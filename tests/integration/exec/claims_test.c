// SPDX-License-Identifier: Apache-2.0
// Claims of devices: nodes that run only together stay together, savings count, and an answer that
// breaks the contract (ABI-47) fails the compile.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t dims[] = {EXEC_WIDTH};

// x -> Neg -> Relu -> ... `pairs` times -> y.
static void build_pairs(exec_fixture *f, uint32_t pairs) {
    onnx_builder b;
    char from[16] = "x";
    char to[16];
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        snprintf(to, sizeof(to), "v%u", i);
        onnx_node(&b, i % 2 == 0 ? "Neg" : "Relu", from, to);
        memcpy(from, to, sizeof(from));
    }
    onnx_output(&b, from, TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
    exec_load(f);
}

static tn_plan_summary summary_of(const exec_fixture *f) {
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(f->compiled, &summary), TN_OK);
    return summary;
}

static void set_claims(uint32_t device, fake_claims claims, uint64_t claim_ns, uint64_t node_ns) {
    fake_device(device)->claims = claims;
    fake_device(device)->claim_ns = claim_ns;
    fake_device(device)->cost_ns = node_ns;
}

static void assert_relu_of_neg(exec_fixture *f) {
    exec_prepare(f, 0);
    exec_fill(f, 0, -3.0f);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_OK);
    // The input counts up from -3; one pair makes max(-x, 0).
    for (uint32_t i = 0; i < EXEC_WIDTH; i++) {
        float x = -3.0f + (float)i;
        assert_float_equal(exec_output(f, 0)[i], x < 0 ? -x : 0.0f, 0);
    }
}

static void compile__bound_nodes_run_only_with_their_claim(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    set_claims(FAKE_ALPHA, FAKE_CLAIMS_BOUND, 100, 1000);
    fake_device(FAKE_BETA)->cost_ns = 1000000;
    build_pairs(&f, 1);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    assert_int_equal(fake_device(FAKE_ALPHA)->seen_nodes, 2);
    assert_int_equal(fake_device(FAKE_ALPHA)->seen_lone_neg, 0);
    assert_int_equal(summary_of(&f).island_count, 1);
    assert_relu_of_neg(&f);
    exec_close(&f);
}

// The Relu is refused, so the claim falls and the Neg must not stay behind.
static void compile__a_claim_that_loses_a_node_loses_all_bound_ones(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    set_claims(FAKE_ALPHA, FAKE_CLAIMS_BOUND, 100, 1000);
    fake_device(FAKE_BETA)->cost_ns = 1000000;
    fake_device(FAKE_ALPHA)->compile_status = TN_ERROR_UNSUPPORTED;
    fake_device(FAKE_ALPHA)->compile_refusals = 1;
    build_pairs(&f, 1);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:beta"), TN_OK);
    assert_int_equal(summary_of(&f).refused_programs, 1);
    assert_int_equal(fake_device(FAKE_BETA)->seen_nodes, 2);
    assert_int_equal(fake_device(FAKE_ALPHA)->seen_lone_neg, 0);
    assert_relu_of_neg(&f);
    exec_close(&f);
}

static int64_t cost_with(fake_claims claims, uint64_t claim_ns) {
    exec_fixture f;
    exec_open(&f);
    set_claims(FAKE_ALPHA, claims, claim_ns, 5000);
    build_pairs(&f, 3);
    assert_int_equal(exec_compile(&f, "fake:alpha"), TN_OK);
    int64_t cost = summary_of(&f).cost_ns;
    assert_true(summary_of(&f).lower_bound_ns <= cost);
    exec_close(&f);
    return cost;
}

static void compile__costs_of_claims_count(void **state) {
    (void)state;
    int64_t single = cost_with(FAKE_CLAIMS_NONE, 0);
    assert_int_equal(single - cost_with(FAKE_CLAIMS_BONUS, 700), 3 * 700);
    // A pair costs 10000 singly; together 4000 are saved at most what there is, or 2000 are left.
    assert_int_equal(single - cost_with(FAKE_CLAIMS_BONUS, 1000000), 3 * 10000);
    assert_int_equal(single - cost_with(FAKE_CLAIMS_BOUND, 6000), 3 * 4000);
    // The Relu alone costs more than the claim: the claim saves on it.
    assert_int_equal(single - cost_with(FAKE_CLAIMS_BOUND, 2000), 3 * 8000);
}

// Costs near the limit are cut to what the partitioner can add up, and savings with them.
static void compile__savings_are_cut_with_costs(void **state) {
    (void)state;
    exec_fixture f;
    const char *const devices[] = {"fake:alpha"};
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 1;
    config.policy = TN_COMPILE_PLAN_ONLY | TN_COMPILE_NO_FALLBACK;
    exec_open(&f);
    set_claims(FAKE_ALPHA, FAKE_CLAIMS_BONUS, (uint64_t)1 << 41, (uint64_t)1 << 40);
    build_pairs(&f, 100);
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_true(summary_of(&f).compute_ns >= summary_of(&f).claim_saving_ns);
    exec_close(&f);
}

static void compile__claims_against_the_contract_are_errors(void **state) {
    (void)state;
    static const struct {
        fake_claims claims;
        const char *id;
    } cases[] = {{FAKE_CLAIMS_NOWHERE, "verdict.no-claim"},
                 {FAKE_CLAIMS_REFUSED, "verdict.claim"},
                 {FAKE_CLAIMS_BAD_KIND, "verdict.claim"},
                 {FAKE_CLAIMS_OUTSIDE, "verdict.claim"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        exec_fixture f;
        exec_open(&f);
        set_claims(FAKE_ALPHA, cases[i].claims, 0, 0);
        build_pairs(&f, 2);
        assert_int_equal(exec_compile(&f, "fake:alpha"), TN_ERROR_INVALID_DATA);
        assert_string_equal(f.error.id, cases[i].id);
        exec_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compile__bound_nodes_run_only_with_their_claim),
        cmocka_unit_test(compile__a_claim_that_loses_a_node_loses_all_bound_ones),
        cmocka_unit_test(compile__costs_of_claims_count),
        cmocka_unit_test(compile__savings_are_cut_with_costs),
        cmocka_unit_test(compile__claims_against_the_contract_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
