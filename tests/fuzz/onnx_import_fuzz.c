// SPDX-License-Identifier: Apache-2.0
// Fuzzes the whole of load: import, canonicalisation and lowering of whatever the bytes are.
#include "base/error.h"
#include "fuzz/fuzz_target.h"
#include "graph/rewrite/rewrite.h"
#include "graph/view.h"
#include "onnx/import.h"
#include "support/test_alloc.h"

#include <stdlib.h>

static void use_model(tni_model *model, const tni_alloc *alloc, tn_error *error) {
    const tni_view_spec spec = {.limit_bytes = (uint64_t)16 << 20};
    tni_view *view = NULL;
    if (tni_model_canonicalise(model, NULL, error) != TN_OK) {
        return;
    }
    if (tni_model_validate(model, error) == TN_ERROR_INVALID_DATA) {
        abort();
    }
    if (tni_view_build(alloc, model, &spec, &view, error) == TN_OK) {
        tni_view_destroy(view);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t nothing = 0;
    test_alloc allocator;
    tni_model *model = NULL;
    tn_error error;
    test_alloc_init(&allocator);
    allocator.cap_bytes = (uint64_t)256 << 20;
    tni_error_init(&error);
    const tni_import_info info = {
        .alloc = &allocator.alloc, .data = size > 0 ? data : &nothing, .size_bytes = size};
    if (tni_onnx_import(&info, &model, &error) == TN_OK) {
        use_model(model, &allocator.alloc, &error);
        tni_model_destroy(model);
    }
    if (!test_alloc_clean(&allocator)) {
        abort();
    }
    test_alloc_deinit(&allocator);
    return 0;
}
