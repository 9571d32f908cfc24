// SPDX-License-Identifier: Apache-2.0
// ONNX's node tests on a device that knows other op versions than they use, or not the op at all
// but what it expands to. What the device does not refuse must give the expected outputs.
#include "support/narrow/narrow.h"
#include "support/onnx_builder.h"
#include "support/pb_tensor.h"

#include "base/string.h"
#include "graph/schema/schema.h"

#include "tenon/tenon.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA_DIR "/usr/share/libonnx-testdata/data/node"
#define MAX_TENSORS 16u

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

typedef enum outcome {
    OUTCOME_PASSED,
    OUTCOME_FAILED,
    OUTCOME_REFUSED,
    OUTCOME_COUNT,
} outcome;

typedef struct mode {
    const char *name;
    uint32_t cap_opset; // versions up to this opset, where reference knows one; 0: all
    bool newest_only;
    bool hides_functions;
    bool splits;           // between two devices, by name of the op
    uint32_t passed_floor; // of the tests that reference passes
} mode;

static const mode *current;

static void narrow_versions(const char *op_type, uint32_t *inout_newest, uint32_t *inout_oldest) {
    const uint32_t version =
        tni_schema_since_version(TNI_LITERAL(""), tni_string_of(op_type), current->cap_opset);
    if (version >= *inout_oldest && version < *inout_newest) {
        *inout_newest = version;
    }
    if (current->newest_only) {
        *inout_oldest = *inout_newest;
    }
}

static bool is_function(const char *op_type) {
    static const char *const names[] = {"Celu",
                                        "Clip",
                                        "DynamicQuantizeLinear",
                                        "Elu",
                                        "Gelu",
                                        "GreaterOrEqual",
                                        "GroupNormalization",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "InstanceNormalization",
                                        "LayerNormalization",
                                        "LeakyRelu",
                                        "LessOrEqual",
                                        "LogSoftmax",
                                        "MeanVarianceNormalization",
                                        "Mish",
                                        "PRelu",
                                        "RMSNormalization",
                                        "ReduceL1",
                                        "ReduceL2",
                                        "ReduceLogSum",
                                        "ReduceLogSumExp",
                                        "ReduceSumSquare",
                                        "Selu",
                                        "Shrink",
                                        "Softmax",
                                        "Softplus",
                                        "Softsign",
                                        "Swish",
                                        "ThresholdedRelu"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], op_type) == 0) {
            return true;
        }
    }
    return false;
}

static bool hides_functions(const char *op_type) {
    return current->hides_functions && is_function(op_type);
}

// The second device takes what the first one leaves.
static bool hides_second_half(const char *op_type) {
    return hides_functions(op_type) || op_type[strlen(op_type) - 1] >= 'm';
}

static bool hides_first_half(const char *op_type) {
    return hides_functions(op_type) || !hides_second_half(op_type);
}

// Test data lies at any alignment.
static double element(tn_dtype dtype, const void *data, uint64_t i) {
    float narrow = 0.0f;
    double wide = 0.0;
    if (dtype == TN_DTYPE_FLOAT) {
        memcpy(&narrow, (const unsigned char *)data + i * sizeof narrow, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, (const unsigned char *)data + i * sizeof wide, sizeof wide);
    return wide;
}

static bool same_element(const tn_tensor_view *got, const pb_tensor *want, uint64_t i) {
    const double a = element(want->dtype, got->data, i);
    const double b = element(want->dtype, want->data, i);
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 2e-6 + 2e-5 * fabs(b);
}

static bool same_tensor(const tn_tensor_view *got, const pb_tensor *want) {
    bool same = got->rank == want->rank && got->size_bytes == want->size_bytes;
    for (uint32_t i = 0; same && i < want->rank; i++) {
        same = got->dims[i] == want->dims[i];
    }
    if (!same || (want->dtype != TN_DTYPE_FLOAT && want->dtype != TN_DTYPE_DOUBLE)) {
        return same && (want->size_bytes == 0 || want->dtype == TN_DTYPE_FLOAT16 ||
                        want->dtype == TN_DTYPE_BFLOAT16 ||
                        memcmp(got->data, want->data, want->size_bytes) == 0);
    }
    for (uint64_t i = 0; same && i < want->count; i++) {
        same = same_element(got, want, i);
    }
    return same;
}

static tn_tensor_view view_of(tn_request *request, bool output, uint32_t index) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    const tn_status status =
        output ? tn_request_output(request, index, &view) : tn_request_input(request, index, &view);
    // Sequences and optionals have no view; there are tests of their own for them.
    view.rank = status == TN_OK ? view.rank : TN_RANK_UNKNOWN;
    return view;
}

// Reads tensor `index` of the test, empty when it is not there.
static pb_tensor read_tensor(const char *folder, const char *kind, uint32_t index) {
    char path[1200];
    pb_tensor tensor = {0};
    (void)snprintf(path, sizeof path, "%s/test_data_set_0/%s_%u.pb", folder, kind, index);
    (void)pb_tensor_read(path, &tensor);
    return tensor;
}

static outcome run_request(tn_model *model, tn_request *request, const char *folder,
                           tn_error *error) {
    outcome result = OUTCOME_PASSED;
    for (uint32_t i = 0; i < tn_model_input_count(model); i++) {
        pb_tensor tensor = read_tensor(folder, "input", i);
        const tn_tensor_view view = view_of(request, false, i);
        if (tensor.data == NULL || view.rank == TN_RANK_UNKNOWN ||
            tensor.size_bytes != view.size_bytes) {
            result = OUTCOME_REFUSED;
        } else {
            memcpy(view.data, tensor.data, tensor.size_bytes);
        }
        pb_tensor_deinit(&tensor);
    }
    if (result != OUTCOME_PASSED) {
        return result;
    }
    const tn_status status = tn_request_run(request, 0, error);
    for (uint32_t i = 0; i < tn_model_output_count(model) && status == TN_OK; i++) {
        pb_tensor tensor = read_tensor(folder, "output", i);
        const tn_tensor_view view = view_of(request, true, i);
        if (!same_tensor(&view, &tensor)) {
            (void)snprintf(error->text, sizeof error->text, "output %u differs", i);
            result = OUTCOME_FAILED;
        }
        pb_tensor_deinit(&tensor);
    }
    return status == TN_OK ? result : OUTCOME_FAILED;
}

static outcome run_on(tn_host *host, const char *folder, const char *const *devices,
                      uint32_t device_count, tn_error *error) {
    char path[1200];
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_compile_config config;
    outcome result = OUTCOME_REFUSED;
    (void)snprintf(path, sizeof path, "%s/model.onnx", folder);
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = device_count;
    config.policy = TN_COMPILE_NO_FALLBACK;
    if (tn_model_load_file(host, path, NULL, &model, error) == TN_OK &&
        tn_compile(model, &config, &compiled, error) == TN_OK &&
        tn_request_create(compiled, NULL, &request, error) == TN_OK &&
        tn_request_prepare(request, NULL, 0, error) == TN_OK) {
        result = run_request(model, request, folder, error);
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    return result;
}

static tn_host *open_host(void) {
    static const tn_static_plugin plugins[] = {{"reference", tn_plugin_entry_1_reference},
                                               {"narrow0", narrow_entry_0},
                                               {"narrow1", narrow_entry_1}};
    tn_error error;
    tn_host *host = NULL;
    tn_host_config config;
    tn_error_init(&error);
    tn_host_config_init(&config);
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = 3;
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    assert_int_equal(tn_host_device_count(host), 3);
    return host;
}

static void run_folder(tn_host *host, const char *folder, uint32_t *counts) {
    static const char *const plain[] = {"reference:cpu"};
    static const char *const narrow[] = {"narrow0:cpu", "narrow1:cpu"};
    tn_error error;
    tn_error_init(&error);
    if (run_on(host, folder, plain, 1, &error) != OUTCOME_PASSED) {
        return;
    }
    tn_error_init(&error);
    const outcome result = run_on(host, folder, narrow, current->splits ? 2 : 1, &error);
    counts[result]++;
    if (result != OUTCOME_PASSED && getenv("TN_TEST_VERBOSE") != NULL) {
        print_message("%s: %s %s: %s\n", current->name,
                      result == OUTCOME_FAILED ? "FAILED" : "refused", strrchr(folder, '/') + 1,
                      error.text);
    }
}

static void run_mode(const mode *m) {
    uint32_t counts[OUTCOME_COUNT] = {0};
    struct dirent **entries = NULL;
    current = m;
    for (uint32_t i = 0; i < NARROW_COUNT; i++) {
        narrow_controls[i] = (narrow_control){
            .versions = m->cap_opset != 0 || m->newest_only ? narrow_versions : NULL,
            .hides = !m->splits ? hides_functions
                     : i == 0   ? hides_second_half
                                : hides_first_half};
    }
    tn_host *host = open_host();
    const int count = scandir(DATA_DIR, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char folder[1024];
        if (strncmp(entries[i]->d_name, "test_", 5) == 0) {
            (void)snprintf(folder, sizeof folder, "%s/%s", DATA_DIR, entries[i]->d_name);
            run_folder(host, folder, counts);
        }
        free(entries[i]);
    }
    free(entries);
    tn_host_release(host);
    print_message("%s: %u passed, %u failed, %u refused\n", m->name, counts[OUTCOME_PASSED],
                  counts[OUTCOME_FAILED], counts[OUTCOME_REFUSED]);
    assert_int_equal(counts[OUTCOME_FAILED], 0);
    assert_true(counts[OUTCOME_PASSED] >= m->passed_floor);
}

static void versions__old_device(void **state) {
    (void)state;
    static const mode modes[] = {{.name = "up to opset 7", .cap_opset = 7, .passed_floor = 750},
                                 {.name = "up to opset 9", .cap_opset = 9, .passed_floor = 760},
                                 {.name = "up to opset 12", .cap_opset = 12, .passed_floor = 826},
                                 {.name = "up to opset 17", .cap_opset = 17, .passed_floor = 865}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        run_mode(&modes[i]);
    }
}

static void versions__new_device(void **state) {
    (void)state;
    static const mode m = {
        .name = "newest versions only", .newest_only = true, .passed_floor = 864};
    run_mode(&m);
}

static void functions__device_without_them(void **state) {
    (void)state;
    static const mode m = {.name = "no function ops", .hides_functions = true, .passed_floor = 865};
    run_mode(&m);
}

static void functions__split_between_devices(void **state) {
    (void)state;
    static const mode m = {.name = "no function ops, two devices",
                           .hides_functions = true,
                           .splits = true,
                           .passed_floor = 865};
    run_mode(&m);
}

// Function ops that the node tests lack, over x of 2 by 4 by 3 by 3.
static void build_function(pb *out_model, uint32_t which) {
    static const char *const ops[] = {
        "Gelu",           "Swish", "RMSNormalization", "GroupNormalization", "LayerNormalization",
        "ReduceLogSumExp"};
    static const int64_t dims[4] = {2, 4, 3, 3};
    static const int64_t channels[1] = {4};
    static const int64_t columns[1] = {3};
    static const char *const inputs[] = {"x", "x", "x,last", "x,scale,bias", "x,last,last", "x"};
    onnx_builder b;
    onnx_begin(&b, 24);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 4, dims);
    onnx_initializer_floats(&b, "scale", 1, channels, 9);
    onnx_initializer_floats(&b, "bias", 1, channels, 3);
    onnx_initializer_floats(&b, "last", 1, columns, 5);
    onnx_node(&b, ops[which], inputs[which], "y");
    if (which == 3) {
        onnx_attr_int(&b, "num_groups", 2);
    }
    onnx_output_untyped(&b, "y");
    onnx_end(&b, out_model);
}

// Compiles for one device, runs, and copies the output. Returns the number of elements.
static uint64_t compute(tn_host *host, const pb *bytes, const char *device, float *out_values) {
    tn_error error;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_compile_config config;
    tn_error_init(&error);
    tn_compile_config_init(&config);
    config.devices = &device;
    config.device_count = 1;
    config.policy = TN_COMPILE_NO_FALLBACK;
    assert_int_equal(tn_model_load_memory(host, bytes->data, bytes->size, NULL, &model, &error),
                     TN_OK);
    assert_int_equal(tn_compile(model, &config, &compiled, &error), TN_OK);
    assert_int_equal(tn_request_create(compiled, NULL, &request, &error), TN_OK);
    assert_int_equal(tn_request_prepare(request, NULL, 0, &error), TN_OK);
    const tn_tensor_view x = view_of(request, false, 0);
    for (uint64_t i = 0; i < x.size_bytes / sizeof(float); i++) {
        ((float *)x.data)[i] = (float)(i * 37 % 41) / 4.0f - 5.0f;
    }
    assert_int_equal(tn_request_run(request, 0, &error), TN_OK);
    const tn_tensor_view y = view_of(request, true, 0);
    memcpy(out_values, y.data, y.size_bytes);
    const uint64_t count = y.size_bytes / sizeof(float);
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    return count;
}

static void functions__equal_the_op_itself(void **state) {
    (void)state;
    static const mode m = {.name = "no function ops", .hides_functions = true};
    current = &m;
    narrow_controls[0] = (narrow_control){.hides = hides_functions};
    tn_host *host = open_host();
    for (uint32_t which = 0; which < 6; which++) {
        pb bytes = {0};
        float whole[72];
        float parts[72];
        build_function(&bytes, which);
        const uint64_t count = compute(host, &bytes, "reference:cpu", whole);
        assert_int_equal(compute(host, &bytes, "narrow0:cpu", parts), count);
        for (uint64_t i = 0; i < count; i++) {
            assert_float_equal(parts[i], whole[i], 1e-5f + 1e-5f * fabsf(whole[i]));
        }
        pb_free(&bytes);
    }
    tn_host_release(host);
}

// What stands in the place of a function op is reported as that op.
static void functions__are_reported_at_their_place(void **state) {
    (void)state;
    static const char *const narrow[] = {"narrow0:cpu", "narrow1:cpu"};
    static const mode m = {.name = "split", .hides_functions = true, .splits = true};
    static const int64_t dims[1] = {4};
    pb bytes = {0};
    onnx_builder b;
    tn_error error;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_compile_config config;
    current = &m;
    narrow_controls[0] = (narrow_control){.hides = hides_second_half};
    narrow_controls[1] = (narrow_control){.hides = hides_first_half};
    tn_host *host = open_host();
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Neg", "x", "a");
    onnx_node(&b, "Softplus", "a", "b");
    onnx_node(&b, "Abs", "b", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &bytes);
    tn_error_init(&error);
    tn_compile_config_init(&config);
    config.devices = narrow;
    config.device_count = 2;
    config.policy = TN_COMPILE_NO_FALLBACK;
    assert_int_equal(tn_model_load_memory(host, bytes.data, bytes.size, NULL, &model, &error),
                     TN_OK);
    assert_int_equal(tn_compile(model, &config, &compiled, &error), TN_OK);
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    assert_int_equal(tn_compiled_plan_get(compiled, &summary), TN_OK);
    assert_true(summary.island_count > 1);
    uint32_t parts[3] = {0};
    for (uint32_t i = 0; i < summary.island_count; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        assert_int_equal(tn_compiled_island_get(compiled, i, &island), TN_OK);
        for (uint32_t k = 0; k < island.node_count; k++) {
            assert_true(island.nodes[k] < 3);
            parts[island.nodes[k]]++;
        }
    }
    assert_int_equal(parts[0], 1);
    assert_true(parts[1] > 2);
    assert_int_equal(parts[2], 1);
    for (uint32_t node = 0; node < 3; node++) {
        const uint32_t device = tn_host_device_find(host, narrow[0]);
        tn_placement placement = {.struct_size = sizeof(placement),
                                  .struct_type = TN_STRUCT_PLACEMENT};
        assert_int_equal(tn_compiled_placement_get(compiled, node, device, &placement), TN_OK);
        assert_true(placement.island < summary.island_count);
    }
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    pb_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions__old_device),
        cmocka_unit_test(versions__new_device),
        cmocka_unit_test(functions__device_without_them),
        cmocka_unit_test(functions__split_between_devices),
        cmocka_unit_test(functions__equal_the_op_itself),
        cmocka_unit_test(functions__are_reported_at_their_place),
    };
    return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
