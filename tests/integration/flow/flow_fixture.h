// SPDX-License-Identifier: Apache-2.0
// A host with the reference and the fake plugin, a model under construction, and a request over it.
#ifndef TENON_TESTS_FLOW_FIXTURE_H
#define TENON_TESTS_FLOW_FIXTURE_H

#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

// Zeroed: nothing is open.
typedef struct flow_fixture {
    test_alloc memory;
    tn_allocator allocator; // of the host; counts in memory
    tn_log_fn log;          // null: nothing is logged; else every level is
    void *log_user_data;
    tn_plugin_entry_fn reference;  // that of the reference plugin, or of one around it
    const tn_static_plugin *extra; // one more plugin, or null
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    tn_model_config model_config;
    tn_request_config config; // of the request
    pb bytes;
    onnx_builder b; // opset 17
    tn_error error;
} flow_fixture;

// Setup and teardown of a cmocka test; the latter fails when memory is left.
int flow_set_up(void **state);
int flow_tear_down(void **state);
// Releases everything but the model's bytes.
void flow_close(flow_fixture *f);
// From f->bytes to a prepared request, on devices separated by commas; what it ended with.
tn_status flow_open(flow_fixture *f, const char *devices, const tn_compile_config *limits);
// Finishes the builder and compiles, without a request; asserts that it works.
void flow_compile_on(flow_fixture *f, const char *devices);
// Finishes the builder and opens without limits; asserts that it works.
void flow_open_on(flow_fixture *f, const char *devices);
// Asserts TN_OK, and prints f->error otherwise.
void flow_must(flow_fixture *f, tn_status status);
// Each asserts that it works.
void flow_put(flow_fixture *f, uint32_t input, const void *data, uint64_t bytes);
void flow_run(flow_fixture *f);
tn_tensor_view flow_output(flow_fixture *f, uint32_t index);
tn_run_stats flow_stats(flow_fixture *f);

#define FLOW_CASE(name) cmocka_unit_test_setup_teardown(name, flow_set_up, flow_tear_down)

#endif // TENON_TESTS_FLOW_FIXTURE_H
