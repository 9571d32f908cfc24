// SPDX-License-Identifier: Apache-2.0
// The ELF check over any bytes. The corpus holds small whole libraries and damaged ones.
#include "fuzz/fuzz_target.h"

#include "base/error.h"
#include "loader/elf_check.h"

#include <stdlib.h>
#include <string.h>

static bool read_memory(const void *user_data, uint64_t offset, void *destination,
                        uint64_t size_bytes) {
    memcpy(destination, (const uint8_t *)user_data + offset, size_bytes);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const tni_elf_source source = {size, read_memory, data};
    tni_elf_report report;
    tn_error error;
    tni_error_init(&error);
    const tn_status status = tni_elf_check(tni_alloc_default(), &source, &report, &error);
    // A refusal without a reason is a finding too.
    if (status != TN_OK && (error.id[0] == '\0' || report.reason == TN_REASON_NONE)) {
        abort();
    }
    return 0;
}
