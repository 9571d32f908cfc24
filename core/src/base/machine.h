// SPDX-License-Identifier: Apache-2.0
// What the machine has, for limits that nobody set.
#ifndef TENON_BASE_MACHINE_H
#define TENON_BASE_MACHINE_H

#include <stdint.h>

#define TNI_MACHINE_NAME_BYTES 160u

// Bytes of physical memory, in use or not; UINT64_MAX when the system does not tell. Any thread.
uint64_t tni_machine_memory_bytes(void);

// The processor's name and how many the process may count on: "Xeon ... x 8"; what measured costs
// are bound to. Always terminated. Any thread.
void tni_machine_name(char out_name[TNI_MACHINE_NAME_BYTES]);

#endif // TENON_BASE_MACHINE_H
