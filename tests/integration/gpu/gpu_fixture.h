// SPDX-License-Identifier: Apache-2.0
// A host with one GPU plugin, loaded from its library, and the fake plugin; a model and a request.
#ifndef TENON_TESTS_GPU_FIXTURE_H
#define TENON_TESTS_GPU_FIXTURE_H

#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

#define GPU_WIDTH 1000

typedef struct gpu_fixture {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    pb bytes;
    tn_compiled *compiled;
    tn_request *request;
    tn_error error;
    char device[64]; // of the GPU plugin, "" when it has none here
} gpu_fixture;

// The plugin's library and its entry function. The library stays open.
#define GPU_LIBRARY TN_TEST_PLUGIN_DIR "/" GPU_PLUGIN ".so"
tn_plugin_entry_fn gpu_entry(void);

// Opens a host over a tracking allocator. False when the plugin finds no device: close and skip.
bool gpu_open(gpu_fixture *f);
// The same with an entry function instead of the library.
bool gpu_open_entry(gpu_fixture *f, tn_plugin_entry_fn entry);
// Loads f->bytes; compiles for the GPU and, unless null, a second device; prepares a request.
void gpu_ready(gpu_fixture *f, const char *second, uint32_t background);
// Writes value + index to an input.
void gpu_fill(gpu_fixture *f, uint32_t input, float value);
const float *gpu_output(gpu_fixture *f, uint32_t output);
// Whether a run did what the plan says.
bool gpu_counts_agree(const gpu_fixture *f);
// Releases everything and asserts that nothing is left.
void gpu_close(gpu_fixture *f);

// The tests of the ABI alone.
void copy__carries_bytes_through_the_device(void **state);
void copy__waits_and_signals_in_any_order(void **state);
void import__refuses_what_is_not_aligned(void **state);
void fence__keeps_its_contract(void **state);
void fence__calls_back_from_submitted_work(void **state);
void submit__many_in_flight_keep_their_order(void **state);
void submit__waits_for_work_that_comes_later(void **state);
void open__survives_every_failed_allocation(void **state);
void submit__is_released_by_a_failed_fence(void **state);
void submit__cannot_mend_a_failed_fence(void **state);
void submit__covers_every_element_of_a_large_tensor(void **state);

#endif // TENON_TESTS_GPU_FIXTURE_H
