// SPDX-License-Identifier: Apache-2.0
// The loops of simd.h for processors with AVX2.
#define CPU_SIMD_NAME "avx2"
#define CPU_SIMD_SYMBOL tni_cpu_simd_avx2
#define CPU_SIMD_FLOATS 8
#include "simd_body.h"
