// SPDX-License-Identifier: Apache-2.0
// A compiled island of the OpenCL plugin.
#ifndef TENON_OPENCL_PROGRAM_H
#define TENON_OPENCL_PROGRAM_H

#include "opencl.h"

struct tn_program {
    tn_device *device;
    gpu_island *island;
};

#endif // TENON_OPENCL_PROGRAM_H
