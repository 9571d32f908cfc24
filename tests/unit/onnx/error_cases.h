// SPDX-License-Identifier: Apache-2.0
// Hand-made broken models, one or more for every error id of the importer. Used by the error test
// and as seeds of the hostile one.
#ifndef TENON_TESTS_ERROR_CASES_H
#define TENON_TESTS_ERROR_CASES_H

#include "onnx/import.h"
#include "support/onnx_builder.h"

typedef struct error_case {
    const char *id;   // of the error that is expected
    const char *path; // how the error's text must begin, or null
    // Writes the model and may tighten the limits. folder holds the files "data.bin" (64 bytes),
    // "sub", and "leak.bin", a link out of it.
    void (*make)(pb *model, tni_import_limits *limits);
    tn_status status; // expected
    int with_folder;  // give the folder to the import
} error_case;

extern const error_case error_cases[];
extern const size_t error_case_count;

#endif // TENON_TESTS_ERROR_CASES_H
