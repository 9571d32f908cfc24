// SPDX-License-Identifier: Apache-2.0
// A compiled island of the Vulkan plugin.
#ifndef TENON_VULKAN_PROGRAM_H
#define TENON_VULKAN_PROGRAM_H

#include "vlk.h"

struct tn_program {
    tn_device *device;
    gpu_island *island;
};

#endif // TENON_VULKAN_PROGRAM_H
