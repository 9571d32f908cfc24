// SPDX-License-Identifier: Apache-2.0
// Models that call AddRelu(a, b; k) = Relu(a + b), a function of theirs that the fake plugin may
// have as an op, over float x and z; and what became of the calls.
#ifndef TENON_TESTS_CALLS_FIXTURE_H
#define TENON_TESTS_CALLS_FIXTURE_H

#include "flow_fixture.h"

#include "support/narrow/narrow.h"

#include <stdbool.h>

#define CALLS_WIDTH 4
#define CALLS_EXPENSIVE_NS 100000000u
#define CALLS_CHEAP_NS 1u

extern const int64_t calls_dims[1];

// Inputs x and z of these sizes, output y, and the import of the function's domain.
void calls_ports(onnx_builder *b, const int64_t *sizes);
// A node that calls AddRelu.
void calls_node(onnx_builder *b, const char *inputs, const char *outputs, const char *name);
// Appends the function to a finished model.
void calls_add_function(pb *model);

// Writes the nodes of a function from a and b to r.
typedef void (*calls_writer)(onnx_builder *b);
// y = AddRelu(x, z), with the function's nodes as given.
void calls_build(flow_fixture *f, calls_writer write, const int64_t *sizes);
void calls_write_add_relu(onnx_builder *b);
// The same by way of Softsign, which is a function op.
void calls_write_softsign(onnx_builder *b);
float calls_add_relu(float x, float z);

// Adds the device narrow0:cpu, which knows all but that.
void calls_without(flow_fixture *f, bool (*hides)(const char *op_type));
bool calls_hides_relu(const char *op_type);
bool calls_hides_softsign(const char *op_type);

// Opens without limits; asserts that it works.
void calls_open(flow_fixture *f, const char *devices);
// Runs with x and z of `count` elements and compares.
void calls_compute(flow_fixture *f, uint32_t count, float (*expected)(float x, float z));
tn_plan_summary calls_summary(const flow_fixture *f);
// Calls that stayed one node, and the last of them.
uint32_t calls_count(const flow_fixture *f, tn_call_desc *out_last);
// Asserts that every node of the model is in one island, and that its placement says which.
void calls_check_placements(const flow_fixture *f, const char *device);

#endif // TENON_TESTS_CALLS_FIXTURE_H
