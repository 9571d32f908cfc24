// SPDX-License-Identifier: Apache-2.0
// Fuzzes the whole life of a model on the reference plugin: load, compile, prepare, run. Nested
// graphs, functions and sequences are where a plan depends on what earlier parts computed. A device
// that knows a function by name takes calls of it whole, whatever the function consists of.
#include "base/error.h"
#include "fuzz/fuzz_target.h"
#include "support/fake/fake_control.h"
#include "support/test_alloc.h"
#include "tenon/tenon.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 8u
#define DYNAMIC_SIZE 2 // of a dimension that the model leaves open

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

static tn_host *open_host(test_alloc *allocator) {
    static const tn_static_plugin plugins[] = {{"reference", tn_plugin_entry_1_reference},
                                               {"fake", fake_plugin_entry}};
    tn_host *host = NULL;
    tn_host_config config;
    tn_error error;
    tn_error_init(&error);
    tn_host_config_init(&config);
    config.allocator =
        (tn_allocator){allocator->alloc.alloc, allocator->alloc.free, allocator->alloc.user};
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = 2;
    fake_reset();
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    if (tn_host_create(&config, &host, &error) != TN_OK) {
        abort();
    }
    return host;
}

// Every open dimension gets one size; inputs that are no tensors stay what they are.
static tn_status prepare(tn_request *request, const tn_model *model, tn_error *error) {
    tn_input_shape shapes[MAX_INPUTS];
    int64_t dims[MAX_INPUTS][TN_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = 0; i < tn_model_input_count(model) && count < MAX_INPUTS; i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (tn_model_input_get(model, i, &desc) != TN_OK || desc.kind != TN_VALUE_TENSOR ||
            desc.rank > TN_MAX_RANK) {
            continue;
        }
        for (uint32_t k = 0; k < desc.rank; k++) {
            dims[count][k] = desc.dims[k] >= 0 ? desc.dims[k] : DYNAMIC_SIZE;
        }
        shapes[count] = (tn_input_shape){.input = i, .rank = desc.rank, .dims = dims[count]};
        count++;
    }
    return tn_request_prepare(request, shapes, count, error);
}

// Zeros, and one in the first element of each: counts of a loop stay small.
static void fill_inputs(tn_request *request, uint32_t count, uint8_t first) {
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        if (tn_request_input(request, i, &view) == TN_OK && view.data != NULL) {
            memset(view.data, 0, view.size_bytes);
            memset(view.data, first, view.size_bytes > 0 ? 1 : 0);
        }
    }
}

static void use_model(tn_model *model, tn_error *error) {
    const uint64_t deadline_ns = 200 * 1000 * 1000;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    // The one is offered calls; the other takes what is left.
    static const char *const devices[] = {"fake:inline", "reference:cpu"};
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 2;
    config.policy = TN_COMPILE_NO_FALLBACK;
    config.memory_cap_bytes = (uint64_t)16 << 20;
    if (tn_compile(model, &config, &compiled, error) == TN_OK &&
        tn_request_create(compiled, NULL, &request, error) == TN_OK &&
        prepare(request, model, error) == TN_OK) {
        // Twice: the second run meets what the first one left.
        for (uint8_t i = 0; i < 2; i++) {
            fill_inputs(request, tn_model_input_count(model), i);
            const tn_status status = tn_request_run(request, deadline_ns, error);
            if (status != TN_OK && error->text[0] == '\0') {
                abort(); // an error without words
            }
        }
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t nothing = 0;
    test_alloc allocator;
    tn_model *model = NULL;
    tn_model_config config;
    tn_error error;
    test_alloc_init(&allocator);
    allocator.cap_bytes = (uint64_t)256 << 20;
    tn_host *host = open_host(&allocator);
    tn_error_init(&error);
    tn_model_config_init(&config);
    config.max_tensor_bytes = (uint64_t)16 << 20;
    if (tn_model_load_memory(host, size > 0 ? data : &nothing, size, &config, &model, &error) ==
        TN_OK) {
        use_model(model, &error);
        tn_model_release(model);
    }
    tn_host_release(host);
    if (!test_alloc_clean(&allocator)) {
        abort();
    }
    test_alloc_deinit(&allocator);
    return 0;
}
