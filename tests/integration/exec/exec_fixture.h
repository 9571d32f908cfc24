// SPDX-License-Identifier: Apache-2.0
// A host with the fake plugin alone, a model made by the builder, and a request over it.
#ifndef TENON_TESTS_EXEC_FIXTURE_H
#define TENON_TESTS_EXEC_FIXTURE_H

#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

// Zeroed: nothing is open.
typedef struct exec_fixture {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    pb bytes;
    tn_compiled *compiled;
    tn_request *request;
    tn_error error;
} exec_fixture;

// Resets the controls and opens a host over a tracking allocator.
void exec_open(exec_fixture *f);
// The same with flags on top of every device's own.
void exec_open_with(exec_fixture *f, tn_device_flags flags);
// Loads the finished model in f->bytes; asserts that it works.
void exec_load(exec_fixture *f);
// Loads y = Neg(Relu(Neg(Relu(x)))) and so on: length nodes, Relu first, EXEC_WIDTH elements.
void exec_build_alternating(exec_fixture *f, int length);
// What it computes.
float exec_alternate(float x, int length);
// Compiles for the devices named (separated by commas), without fallback.
tn_status exec_compile(exec_fixture *f, const char *devices);
// Creates a request and prepares it for the model's own shapes; asserts that it works.
void exec_prepare(exec_fixture *f, uint32_t background);
// Writes value + index to input.
void exec_fill(exec_fixture *f, uint32_t input, float value);
// The floats of an output.
const float *exec_output(exec_fixture *f, uint32_t output);
tn_run_stats exec_stats(const exec_fixture *f);
// Whether plan, host and the fake plugin counted the same. The fake's counters cover runs_total
// runs.
bool exec_counts_agree(const exec_fixture *f, uint32_t runs_total);
// Releases everything and asserts that nothing is left in host, plugin or allocator.
void exec_close(exec_fixture *f);

#define EXEC_WIDTH 8

#endif // TENON_TESTS_EXEC_FIXTURE_H
