// SPDX-License-Identifier: Apache-2.0
// Interface "compile" of the GPU plugins, over what each of them says about its devices.
#ifndef TENON_GPU_PROGRAM_H
#define TENON_GPU_PROGRAM_H

#include "gpu/island.h"

#include "tenon/abi/compile.h"

struct tn_program {
    tn_device *device;
    gpu_island *island;
};

// Of each plugin: who it allocates from, and how many heaps every port may lie in.
const tn_helper_host *gpu_device_host(const tn_device *device);
uint32_t gpu_device_heap_count(const tn_device *device);

extern const tn_compile_interface gpu_compile_table;

#endif // TENON_GPU_PROGRAM_H
