// SPDX-License-Identifier: Apache-2.0
// The monotonic clock.
#include "base/clock.h"

#include <time.h>

uint64_t tni_clock_ns(void) {
    struct timespec now = {0};
    // CLOCK_MONOTONIC cannot fail with a valid pointer.
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t tni_clock_deadline(uint64_t timeout_ns) {
    const uint64_t now = tni_clock_ns();
    return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}
