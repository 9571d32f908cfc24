// SPDX-License-Identifier: Apache-2.0
// What the machine has, for limits that nobody set.
#ifndef TENON_BASE_MACHINE_H
#define TENON_BASE_MACHINE_H

#include <stdint.h>

// Bytes of physical memory, in use or not; UINT64_MAX when the system does not tell. Any thread.
uint64_t tni_machine_memory_bytes(void);

#endif // TENON_BASE_MACHINE_H
