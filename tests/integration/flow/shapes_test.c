// SPDX-License-Identifier: Apache-2.0
// Sizes that change from prepare to prepare on one compiled model: right answers, memory that does
// not grow, and a plan of its own only where a verdict's bounds are left.
#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

#define WIDTH 3
#define MOST 24

typedef struct fixture {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    pb bytes;
    onnx_builder b;
    tn_error error;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    test_alloc_init(&f->memory);
    tn_error_init(&f->error);
    fake_reset();
    onnx_begin(&f->b, 17);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    onnx_abandon(&f->b);
    pb_free(&f->bytes);
    const bool clean = test_alloc_clean(&f->memory);
    test_alloc_deinit(&f->memory);
    free(f);
    return clean ? 0 : -1;
}

static void open_on(fixture *f, uint32_t count, const char *const *devices) {
    static const tn_static_plugin plugins[] = {{"reference", tn_plugin_entry_1_reference},
                                               {"fake", fake_plugin_entry}};
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator =
        (tn_allocator){f->memory.alloc.alloc, f->memory.alloc.free, f->memory.alloc.user};
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = 2;
    tn_compile_config compile;
    tn_compile_config_init(&compile);
    compile.devices = devices;
    compile.device_count = count;
    compile.policy = TN_COMPILE_NO_FALLBACK;
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(tn_host_create(&config, &f->host, &f->error), TN_OK);
    assert_int_equal(
        tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error),
        TN_OK);
    assert_int_equal(tn_compile(f->model, &compile, &f->compiled, &f->error), TN_OK);
    assert_int_equal(tn_request_create(f->compiled, NULL, &f->request, &f->error), TN_OK);
}

// x [batch, length, WIDTH], doubled and summed over the whole sequence: [batch, 1, WIDTH].
static void build_sum(fixture *f) {
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

static void run_sum(fixture *f, int64_t batch, int64_t length) {
    static float x[MOST * MOST * WIDTH];
    const int64_t dims[] = {batch, length, WIDTH};
    const tn_input_shape shape = {0, 3, dims};
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    fill(x, batch * length * WIDTH);
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
    assert_int_equal(tn_request_write(f->request, 0, x,
                                      (uint64_t)(batch * length * WIDTH) * sizeof(float),
                                      &f->error),
                     TN_OK);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_OK);
    assert_int_equal(tn_request_output(f->request, 0, &view), TN_OK);
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
    fixture *f = *state;
    static const char *const device = "reference:cpu";
    uint64_t random = 0x2545f4914f6cdd1dull;
    build_sum(f);
    open_on(f, 1, &device);
    run_sum(f, MOST, MOST);
    run_sum(f, 1, 1);
    uint64_t live = f->memory.live_bytes;
    uint64_t blocks = f->memory.live_blocks;
    for (int i = 0; i < 50; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        run_sum(f, 1 + (int64_t)(random >> 33) % MOST, 1 + (int64_t)(random >> 45) % MOST);
        tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
        assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
        assert_int_equal(stats.replanned_regions, 0);
    }
    run_sum(f, 1, 1);
    assert_int_equal(f->memory.live_bytes, live);
    assert_int_equal(f->memory.live_blocks, blocks);
}

static void request__keeps_the_profiles_it_is_asked_to(void **state) {
    fixture *f = *state;
    static const char *const device = "reference:cpu";
    static const int64_t lengths[] = {1, 2, 3, 1, 2, 3, 4, 2};
    static const bool made[] = {true, true, true, false, false, false, true, false};
    tn_request_config config;
    build_sum(f);
    open_on(f, 1, &device);
    tn_request_destroy(f->request);
    f->request = NULL;
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

static void request__is_planned_anew_outside_of_bounds(void **state) {
    fixture *f = *state;
    static const char *const devices[] = {"fake:alpha", "fake:beta"};
    static const int64_t named[] = {-2};
    static const int64_t sizes[] = {4, 8, 9, 200, 8, 9};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, named);
    onnx_node(&f->b, "Relu", "x", "a");
    onnx_node(&f->b, "Neg", "a", "y");
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, named);
    fake_device(FAKE_ALPHA)->most_size = 8;
    fake_device(FAKE_ALPHA)->cost_ns = 10;
    fake_device(FAKE_BETA)->cost_ns = 1000000;
    open_on(f, 2, devices);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static float x[200];
        const tn_input_shape shape = {0, 1, &sizes[i]};
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
        bool inside = sizes[i] <= 8;
        fill(x, sizes[i]);
        assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_OK);
        assert_int_equal(
            tn_request_write(f->request, 0, x, (uint64_t)sizes[i] * sizeof(float), &f->error),
            TN_OK);
        assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_OK);
        assert_int_equal(tn_request_output(f->request, 0, &view), TN_OK);
        assert_true(((float *)view.data)[2] == -x[2]);
        assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
        assert_int_equal(stats.replanned_regions, inside ? 0 : 1);
        assert_int_equal(runs_of(FAKE_ALPHA), inside ? 1 : 0);
        assert_int_equal(runs_of(FAKE_BETA), inside ? 0 : 1);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(request__takes_fifty_shapes_without_growing),
        CASE(request__keeps_the_profiles_it_is_asked_to),
        CASE(request__is_planned_anew_outside_of_bounds),
    };
    return cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
}
