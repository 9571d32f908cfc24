// SPDX-License-Identifier: Apache-2.0
// Which loops this processor runs.
#include "simd.h"

extern const cpu_simd tni_cpu_simd_sse42;
extern const cpu_simd tni_cpu_simd_avx2;
extern const cpu_simd tni_cpu_simd_avx512;

const cpu_simd *tni_cpu_simd_at(uint32_t index) {
    const cpu_simd *const sets[CPU_SIMD_COUNT] = {&tni_cpu_simd_sse42, &tni_cpu_simd_avx2,
                                                  &tni_cpu_simd_avx512};
    return sets[index];
}

uint32_t tni_cpu_simd_usable(uint32_t index) {
    __builtin_cpu_init();
    switch (index) {
    case 2:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("fma");
    case 1:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default:
        return __builtin_cpu_supports("sse4.2") != 0;
    }
}

const cpu_simd *tni_cpu_simd_get(void) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < CPU_SIMD_COUNT; ++i) {
        best = tni_cpu_simd_usable(i) ? i : best;
    }
    return tni_cpu_simd_at(best);
}
