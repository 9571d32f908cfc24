// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for.
#include "loader/loader.h"

tn_status tni_loader_search(tni_loader *loader) {
    (void)loader;
    return TN_OK;
}

void tni_loader_close_library(tni_load_record *record, bool unloadable) {
    (void)record;
    (void)unloadable;
}
