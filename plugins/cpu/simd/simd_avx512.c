// SPDX-License-Identifier: Apache-2.0
// The loops of simd.h for processors with AVX-512.
#define CPU_SIMD_NAME "avx512"
#define CPU_SIMD_SYMBOL tni_cpu_simd_avx512
#define CPU_SIMD_FLOATS 16
#include "simd_body.h"
