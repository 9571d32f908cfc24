// SPDX-License-Identifier: Apache-2.0
// The machine's memory, by sysconf.
#include "base/machine.h"

#include "base/checked.h"

#include <unistd.h>

uint64_t tni_machine_memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t bytes = 0;
    if (pages <= 0 || page_bytes <= 0 ||
        !tni_mul_u64((uint64_t)pages, (uint64_t)page_bytes, &bytes)) {
        return UINT64_MAX;
    }
    return bytes;
}
