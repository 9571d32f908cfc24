// SPDX-License-Identifier: Apache-2.0
// The synchronous adapter around a plugin that copies its input, opened as a host would.
#ifndef TENON_TESTS_ADAPTER_FIXTURE_H
#define TENON_TESTS_ADAPTER_FIXTURE_H

#include "support/abi_host.h"

#include "tenon/helper/sync_adapter.h"

// A plugin, a program, a context that is prepared unless the test says otherwise.
typedef struct adapter_fixture {
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    view_builder *builder;
    tn_error error;
} adapter_fixture;

// The author's program: four floats in, the same out. A first element of 13 makes run fail.
typedef struct sample_program {
    tn_helper_host host;
    uint32_t runs;
} sample_program;

// For cmocka; teardown fails where something is left.
int adapter_setup(void **state);
int adapter_teardown(void **state);

// A fence that begins at value; asserts that it works.
tn_fence *adapter_fence(adapter_fixture *f, uint64_t value);
tn_status adapter_import(adapter_fixture *f, void *pointer, uint64_t size_bytes, tn_access access,
                         tn_memory **out_memory);

#define ADAPTER_CASE(name) cmocka_unit_test_setup_teardown(name, adapter_setup, adapter_teardown)

#endif // TENON_TESTS_ADAPTER_FIXTURE_H
