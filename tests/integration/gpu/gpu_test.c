// SPDX-License-Identifier: Apache-2.0
// A GPU plugin under the real host, on a real driver: results, fences bridged to another device and
// back, exact poisoning, abandonment, and the contract as the validate layer sees it.
#include "gpu_fixture.h"

#include "support/validate/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const int64_t dims[] = {GPU_WIDTH};

#define OPEN_OR_SKIP(f)                                                                            \
    do {                                                                                           \
        if (!gpu_open(f)) {                                                                        \
            gpu_close(f);                                                                          \
            print_message(GPU_PLUGIN ": no device here\n");                                        \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static void pause_ms(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static void set_hold(uint32_t hold) {
    fake_lock();
    fake_device(FAKE_ALPHA)->hold = hold;
    fake_unlock();
}

static uint32_t fake_submits(void) {
    fake_lock();
    uint32_t count = fake_device(FAKE_ALPHA)->submit_count;
    fake_unlock();
    return count;
}

// y = Relu(Relu(x + z) + x).
static void build_sums(gpu_fixture *f) {
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(&b, "z", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Add", "x,z", "a");
    onnx_node(&b, "Relu", "a", "b");
    onnx_node(&b, "Add", "b,x", "c");
    onnx_node(&b, "Relu", "c", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
}

static float positive(float x) {
    return x > 0 ? x : 0;
}

static void assert_sums(gpu_fixture *f, float x, float z) {
    const float *y = gpu_output(f, 0);
    for (int i = 0; i < GPU_WIDTH; i++) {
        float xi = x + (float)i;
        float zi = z + (float)i;
        assert_float_equal(y[i], positive(positive(xi + zi) + xi), 0);
    }
}

static void run__one_island_computes(void **state) {
    (void)state;
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    build_sums(&f);
    gpu_ready(&f, NULL, 0);
    for (int run = 0; run < 20; run++) {
        gpu_fill(&f, 0, -700.0f + (float)run);
        gpu_fill(&f, 1, 3.0f);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        assert_sums(&f, -700.0f + (float)run, 3.0f);
        assert_true(gpu_counts_agree(&f));
    }
    gpu_close(&f);
}

static void run__lets_nan_and_infinity_through(void **state) {
    (void)state;
    static const uint32_t bits[] = {0x7fc00000u, 0xffc00001u, 0x7f800000u,
                                    0xff800000u, 0x80000001u, 0x3f800000u};
    static const uint32_t expected[] = {0x7fc00000u, 0xffc00001u, 0x7f800000u, 0, 0, 0x3f800000u};
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f.bytes);
    gpu_ready(&f, NULL, 0);
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_input(f.request, 0, &view), TN_OK);
    memcpy(view.data, bits, sizeof(bits));
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_memory_equal(gpu_output(&f, 0), expected, sizeof(expected));
    gpu_close(&f);
}

// y = Relu(Neg(Relu(x))) ...: length nodes, Relu first; the fake device takes Neg.
static void build_alternating(gpu_fixture *f, int length) {
    onnx_builder b;
    char from[16] = "x";
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        fake_device(i)->ops = FAKE_NEG;
    }
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    for (int i = 0; i < length; i++) {
        char to[16];
        snprintf(to, sizeof(to), i + 1 == length ? "y" : "v%d", i);
        onnx_node(&b, i % 2 == 0 ? "Relu" : "Neg", from, to);
        snprintf(from, sizeof(from), "%s", to);
    }
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f->bytes);
}

static void assert_alternating(gpu_fixture *f, float first, int length) {
    const float *y = gpu_output(f, 0);
    for (int i = 0; i < GPU_WIDTH; i++) {
        float x = first + (float)i;
        for (int k = 0; k < length; k++) {
            x = k % 2 == 0 ? positive(x) : -x;
        }
        assert_float_equal(y[i], x, 0);
    }
}

// Every submit returns while the other device is held: only fences connect them, both ways.
static void run__two_devices_chain_by_fences(void **state) {
    (void)state;
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    build_alternating(&f, 6);
    gpu_ready(&f, "fake:alpha", 1);
    gpu_fill(&f, 0, -10.0f);
    set_hold(1);
    assert_int_equal(tn_request_submit(f.request, 0, NULL, NULL, &f.error), TN_OK);
    for (int i = 0; i < 5000 && fake_submits() < 3; i++) {
        pause_ms(1);
    }
    // The third of the fake device comes after two of the GPU, the second of which has to wait.
    assert_int_equal(fake_submits(), 3);
    assert_int_equal(fake_device(FAKE_ALPHA)->run_count, 0);
    set_hold(0);
    assert_int_equal(tn_request_wait(f.request, UINT64_MAX, &f.error), TN_OK);
    assert_alternating(&f, -10.0f, 6);
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    assert_int_equal(tn_request_stats(f.request, &stats), TN_OK);
    assert_int_equal(stats.host_waits, 1);
    assert_true(stats.bridged_fences >= 5);
    assert_true(gpu_counts_agree(&f));
    gpu_close(&f);
}

static void run__pairs_with_every_kind_of_device(void **state) {
    (void)state;
    static const char *const others[] = {"fake:alpha", "fake:shared", "fake:worker", "fake:inline",
                                         "fake:mute"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        gpu_fixture f;
        OPEN_OR_SKIP(&f);
        build_alternating(&f, 7);
        gpu_ready(&f, others[i], 0);
        for (int run = 0; run < 10; run++) {
            gpu_fill(&f, 0, (float)run - 5.0f);
            assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
            assert_alternating(&f, (float)run - 5.0f, 7);
            assert_true(gpu_counts_agree(&f));
        }
        gpu_close(&f);
    }
}

static void run__a_deadline_abandons_and_nothing_is_freed_early(void **state) {
    (void)state;
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    build_alternating(&f, 3);
    gpu_ready(&f, "fake:alpha", 0);
    set_hold(1);
    assert_int_equal(tn_request_run(f.request, 20000000, &f.error), TN_ERROR_TIMEOUT);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_BUSY);
    // The request goes while the GPU still waits for the other device; its memory has to stay.
    tn_request_destroy(f.request);
    f.request = NULL;
    assert_true(fake_device(FAKE_ALPHA)->fence_count > 0);
    set_hold(0);
    gpu_close(&f);
}

// While one request waits for the held device, another on the same GPU runs to its end.
static void run__a_waiting_request_does_not_block_another(void **state) {
    (void)state;
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    build_alternating(&f, 3);
    gpu_ready(&f, "fake:alpha", 1);
    set_hold(1);
    assert_int_equal(tn_request_submit(f.request, 0, NULL, NULL, &f.error), TN_OK);
    for (int i = 0; i < 5000 && fake_submits() < 1; i++) {
        pause_ms(1);
    }
    gpu_fixture g = {.host = f.host, .error = f.error};
    memcpy(g.device, f.device, sizeof(g.device));
    build_sums(&g);
    gpu_ready(&g, NULL, 0);
    gpu_fill(&g, 0, -3.0f);
    gpu_fill(&g, 1, 1.0f);
    assert_int_equal(tn_request_run(g.request, 5000000000ull, &g.error), TN_OK);
    assert_sums(&g, -3.0f, 1.0f);
    tn_request_destroy(g.request);
    tn_compiled_release(g.compiled);
    tn_model_release(g.model);
    pb_free(&g.bytes);
    set_hold(0);
    assert_int_equal(tn_request_wait(f.request, UINT64_MAX, &f.error), TN_OK);
    gpu_close(&f);
}

// Three outputs in a chain: the GPU's first is right, the second fails, the GPU's third depends on
// it.
static void run__a_failure_poisons_exactly_its_descendants(void **state) {
    (void)state;
    gpu_fixture f;
    OPEN_OR_SKIP(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_NEG;
    onnx_builder b;
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "good");
    onnx_node(&b, "Neg", "good", "bad");
    onnx_node(&b, "Relu", "bad", "heir");
    onnx_output(&b, "good", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "bad", TN_DTYPE_FLOAT, 1, dims);
    onnx_output(&b, "heir", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &f.bytes);
    gpu_ready(&f, "fake:alpha", 0);
    gpu_fill(&f, 0, -3.0f);
    fake_device(FAKE_ALPHA)->run_status = TN_ERROR_INTERNAL;
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INTERNAL);
    assert_int_equal(tn_request_output_status(f.request, 0), TN_OK);
    assert_int_equal(tn_request_output_status(f.request, 1), TN_ERROR_INTERNAL);
    assert_int_equal(tn_request_output_status(f.request, 2), TN_ERROR_INTERNAL);
    assert_float_equal(gpu_output(&f, 0)[5], 2.0f, 0);
    fake_lock();
    fake_device(FAKE_ALPHA)->run_status = TN_OK;
    fake_unlock();
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_float_equal(gpu_output(&f, 1)[5], -2.0f, 0);
    assert_float_equal(gpu_output(&f, 2)[5], 0.0f, 0);
    gpu_close(&f);
}

static void validate__the_contract_is_kept(void **state) {
    (void)state;
    gpu_fixture f;
    validate_wrap(gpu_entry());
    if (!gpu_open_entry(&f, validate_entry)) {
        gpu_close(&f);
        skip();
    }
    build_alternating(&f, 5);
    gpu_ready(&f, "fake:alpha", 0);
    for (int run = 0; run < 5; run++) {
        gpu_fill(&f, 0, -2.0f);
        assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
        assert_alternating(&f, -2.0f, 5);
    }
    fake_lock();
    fake_device(FAKE_ALPHA)->run_status = TN_ERROR_INTERNAL;
    fake_unlock();
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_ERROR_INTERNAL);
    gpu_close(&f);
    if (validate_violation_count() > 0) {
        print_message("%u violations, first: %s\n", validate_violation_count(),
                      validate_first_violation());
    }
    assert_int_equal(validate_violation_count(), 0);
    assert_int_equal(validate_live_handles(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__one_island_computes),
        cmocka_unit_test(run__lets_nan_and_infinity_through),
        cmocka_unit_test(run__two_devices_chain_by_fences),
        cmocka_unit_test(run__pairs_with_every_kind_of_device),
        cmocka_unit_test(run__a_deadline_abandons_and_nothing_is_freed_early),
        cmocka_unit_test(run__a_waiting_request_does_not_block_another),
        cmocka_unit_test(run__a_failure_poisons_exactly_its_descendants),
        cmocka_unit_test(validate__the_contract_is_kept),
        cmocka_unit_test(copy__carries_bytes_through_the_device),
        cmocka_unit_test(copy__waits_and_signals_in_any_order),
        cmocka_unit_test(import__refuses_what_is_not_aligned),
        cmocka_unit_test(fence__keeps_its_contract),
        cmocka_unit_test(fence__calls_back_from_submitted_work),
        cmocka_unit_test(submit__many_in_flight_keep_their_order),
        cmocka_unit_test(submit__waits_for_work_that_comes_later),
        cmocka_unit_test(open__survives_every_failed_allocation),
        cmocka_unit_test(submit__is_released_by_a_failed_fence),
        cmocka_unit_test(submit__cannot_mend_a_failed_fence),
        cmocka_unit_test(submit__covers_every_element_of_a_large_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
