// SPDX-License-Identifier: Apache-2.0
// Monotonic time in nanoseconds: the host's clock domain.
#ifndef TENON_BASE_CLOCK_H
#define TENON_BASE_CLOCK_H

#include <stdint.h>

// Nanoseconds of the monotonic clock; never goes back. Any thread.
uint64_t tni_clock_ns(void);

// now + timeout_ns, saturating at UINT64_MAX ("never").
uint64_t tni_clock_deadline(uint64_t timeout_ns);

#endif // TENON_BASE_CLOCK_H
