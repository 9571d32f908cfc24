// SPDX-License-Identifier: Apache-2.0
// Random numbers that a seed determines on every machine (splitmix64): inputs, resampling, coins.
#ifndef TENON_TOOLS_SEEDED_RANDOM_H
#define TENON_TOOLS_SEEDED_RANDOM_H

#include <stdint.h>

static inline uint64_t seeded_random(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif // TENON_TOOLS_SEEDED_RANDOM_H
