// SPDX-License-Identifier: Apache-2.0
// A GPU plugin through the ABI alone: one device, and short forms of what tests do with it.
#ifndef TENON_TESTS_GPU_DIRECT_H
#define TENON_TESTS_GPU_DIRECT_H

#include "gpu_fixture.h"

#include "support/abi_host.h"

#include <stdatomic.h>

#define SECOND 1000000000ull
#define COUNT 4096u

typedef struct direct {
    abi_host host;
    abi_plugin plugin;
    tn_error error;
    uint32_t heap_count;
    int64_t count; // of the last direct_double
} direct;

// Opens the first device; false where there is none.
bool direct_open(direct *d);
// Closes it and asserts that all memory came back as it was given.
void direct_close(direct *d);
tn_fence *direct_fence(direct *d, uint64_t value);
tn_memory *direct_memory(direct *d, uint32_t heap, uint64_t bytes);
tn_status direct_copy(direct *d, tn_copy_end from, tn_copy_end to, uint64_t bytes,
                      const tn_fence_point *wait, const tn_fence_point *signal);
float *direct_map(direct *d, tn_memory *memory, uint64_t offset, uint64_t bytes);
// A callback for fences: sets an atomic_int to 1, or to 100 plus the failure.
void direct_note(void *user_data, tn_status status);

// A program y = x + x over count floats with a prepared context.
void direct_double(direct *d, int64_t count, view_builder **out_builder, abi_program *out_program);
// Submits it over two ranges of one memory. wait may be null.
tn_status direct_submit(direct *d, abi_program *program, tn_memory *memory, uint64_t from,
                        uint64_t to, const tn_fence_point *wait, const tn_fence_point *signal);

#endif // TENON_TESTS_GPU_DIRECT_H
