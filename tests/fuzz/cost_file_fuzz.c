// SPDX-License-Identifier: Apache-2.0
// Calibration files: any bytes, from memory, read by a host without devices.
#include "fuzz/fuzz_target.h"

#include "base/error.h"
#include "plan/cost_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const tni_cost_file_info info = {NULL, 0, "test x 2"};
    tni_cost_table table;
    tni_cost_file file;
    tn_error error;
    tni_error_init(&error);
    const tn_status status =
        tni_cost_file_parse(tni_alloc_default(), &info, data, size, &table, &file, &error);
    // A refusal without a reason is a finding too.
    if (status != TN_OK && error.id[0] == '\0') {
        abort();
    }
    tni_cost_table_deinit(&table);
    return 0;
}
