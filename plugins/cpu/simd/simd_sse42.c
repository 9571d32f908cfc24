// SPDX-License-Identifier: Apache-2.0
// The loops of simd.h for processors with SSE4.2.
#define CPU_SIMD_NAME "sse42"
#define CPU_SIMD_SYMBOL tni_cpu_simd_sse42
#define CPU_SIMD_FLOATS 4
#include "simd_body.h"
