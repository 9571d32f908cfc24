// SPDX-License-Identifier: Apache-2.0
// Manifests: any bytes, from memory.
#include "fuzz/fuzz_target.h"

#include "base/error.h"
#include "loader/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tni_manifest manifest;
    tn_error error;
    tni_error_init(&error);
    const tn_status status = tni_manifest_parse(tni_alloc_default(), data, size, &manifest, &error);
    // A refusal without a reason is a finding too.
    if (status != TN_OK && error.id[0] == '\0') {
        abort();
    }
    tni_manifest_deinit(&manifest);
    return 0;
}
