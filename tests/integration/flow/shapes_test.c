// SPDX-License-Identifier: Apache-2.0
// Sizes that change from prepare to prepare on one compiled model: right answers, memory that does
// not grow, and a plan of its own only where a verdict's bounds are left.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WIDTH 3
#define MOST 24

// x [batch, length, WIDTH], doubled and summed over the whole sequence: [batch, 1, WIDTH].
static void build_sum(flow_fixture *f) {
    static const int64_t dims[] = {-2, -3, WIDTH};
    static const int64_t axes[] = {1};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 3, dims);
    onnx_initializer_ints(&f->b, "axes", 1, axes);
    onnx_node(&f->b, "Add", "x,x", "a");
    onnx_node(&f->b, "ReduceSum", "a,axes", "y");
    onnx_output_untyped(&f->b, "y");
}

// Fills with small whole numbers, so that sums are exact.
static void fill(float *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        x[i] = (float)(i * 7 % 13);
    }
}

static void run_sum(flow_fixture *f, int64_t batch, int64_t length) {
    static float x[MOST * MOST * WIDTH];
    const int64_t dims[] = {batch, length, WIDTH};
    const tn_input_shape shape = {0, 3, dims};
    fill(x, batch * length * WIDTH);
    flow_must(f, tn_request_prepare(f->request, &shape, 1, &f->error));
    flow_put(f, 0, x, (uint64_t)(batch * length * WIDTH) * sizeof(float));
    flow_run(f);
    const tn_tensor_view view = flow_output(f, 0);
    assert_int_equal(view.dims[0], batch);
    const float *y = view.data;
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t w = 0; w < WIDTH; w++) {
            float sum = 0.0f;
            for (int64_t l = 0; l < length; l++) {
                sum += 2.0f * x[(b * length + l) * WIDTH + w];
            }
            assert_true(y[b * WIDTH + w] == sum);
        }
    }
}

static void request__takes_fifty_shapes_without_growing(void **state) {
    flow_fixture *f = *state;
    uint64_t random = 0x2545f4914f6cdd1dull;
    build_sum(f);
    flow_compile_on(f, "reference:cpu");
    flow_must(f, tn_request_create(f->compiled, NULL, &f->request, &f->error));
    run_sum(f, MOST, MOST);
    run_sum(f, 1, 1);
    uint64_t live = f->memory.live_bytes;
    uint64_t blocks = f->memory.live_blocks;
    for (int i = 0; i < 50; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        run_sum(f, 1 + (int64_t)(random >> 33) % MOST, 1 + (int64_t)(random >> 45) % MOST);
        assert_int_equal(flow_stats(f).replanned_regions, 0);
    }
    run_sum(f, 1, 1);
    assert_int_equal(f->memory.live_bytes, live);
    assert_int_equal(f->memory.live_blocks, blocks);
}

static void request__keeps_the_profiles_it_is_asked_to(void **state) {
    flow_fixture *f = *state;
    static const int64_t lengths[] = {1, 2, 3, 1, 2, 3, 4, 2};
    static const bool made[] = {true, true, true, false, false, false, true, false};
    tn_request_config config;
    build_sum(f);
    flow_compile_on(f, "reference:cpu");
    tn_request_config_init(&config);
    config.shape_profiles = 17;
    assert_int_equal(tn_request_create(f->compiled, &config, &f->request, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    config.shape_profiles = 3;
    assert_int_equal(tn_request_create(f->compiled, &config, &f->request, &f->error), TN_OK);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint64_t blocks = f->memory.live_blocks;
        uint64_t count = f->memory.count;
        run_sum(f, 2, lengths[i]);
        // Coming back to one takes the arrays of the call itself; making one takes dozens.
        assert_int_equal(f->memory.count - count > 10, made[i]);
        // Three at most: the fourth length takes the place of another.
        assert_int_equal(f->memory.live_blocks > blocks, made[i] && i < 3);
    }
}

// What ran on a device since the last call.
static uint32_t runs_of(uint32_t device) {
    static uint32_t seen[FAKE_DEVICE_COUNT];
    fake_lock();
    uint32_t count = fake_device(device)->run_count;
    fake_unlock();
    uint32_t since = count < seen[device] ? count : count - seen[device];
    seen[device] = count;
    return since;
}

// ABI-51: outside of its bounds a verdict does not hold.
static void request__is_planned_anew_outside_of_bounds(void **state) {
    flow_fixture *f = *state;
    static const int64_t named[] = {-2};
    static const int64_t sizes[] = {4, 8, 9, 200, 8, 9};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, named);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "a", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, named);
    fake_device(FAKE_ALPHA)->most_size = 8;
    fake_device(FAKE_ALPHA)->cost_ns = 10;
    fake_device(FAKE_BETA)->cost_ns = 1000000;
    flow_compile_on(f, "fake:alpha,fake:beta");
    flow_must(f, tn_request_create(f->compiled, NULL, &f->request, &f->error));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static float x[200];
        const tn_input_shape shape = {0, 1, &sizes[i]};
        bool inside = sizes[i] <= 8;
        fill(x, sizes[i]);
        flow_must(f, tn_request_prepare(f->request, &shape, 1, &f->error));
        flow_put(f, 0, x, (uint64_t)sizes[i] * sizeof(float));
        flow_run(f);
        assert_true(((const float *)flow_output(f, 0).data)[2] == -x[2]);
        assert_int_equal(flow_stats(f).replanned_regions, inside ? 0 : 1);
        assert_int_equal(runs_of(FAKE_ALPHA), inside ? 1 : 0);
        assert_int_equal(runs_of(FAKE_BETA), inside ? 0 : 1);
    }
}

// ABI-51: a bound is about a node and a symbol of the view, or the device is not believed.
static void compile__refuses_bounds_about_nothing(void **state) {
    flow_fixture *f = *state;
    static const int64_t named[] = {-2};
    tn_compile_config config;
    tn_compile_config_init(&config);
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, named);
    onnx_node(&f->b, "Relu", "x", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, named);
    onnx_end(&f->b, &f->bytes);
    fake_device(FAKE_ALPHA)->most_size = 8;
    for (uint32_t off = 1; off <= 2; off++) {
        fake_device(FAKE_ALPHA)->bound_off = off;
        assert_int_equal(flow_open(f, "fake:alpha", &config), TN_ERROR_INVALID_DATA);
        assert_string_equal(f->error.id, "verdict.bound");
        flow_close(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(request__takes_fifty_shapes_without_growing),
        FLOW_CASE(request__keeps_the_profiles_it_is_asked_to),
        FLOW_CASE(request__is_planned_anew_outside_of_bounds),
        FLOW_CASE(compile__refuses_bounds_about_nothing),
    };
    return cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
}
