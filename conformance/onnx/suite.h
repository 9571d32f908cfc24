// SPDX-License-Identifier: Apache-2.0
// Running folders in the layout of ONNX's backend tests: CASE/model.onnx with CASE/test_data_set_N/
// {input,output}_I.pb. A case passes when every data set does.
#ifndef TENON_CONFORMANCE_ONNX_SUITE_H
#define TENON_CONFORMANCE_ONNX_SUITE_H

#include "onnx/compare.h"

typedef enum suite_outcome {
    SUITE_PASSED,      // within either tolerance; the report has both
    SUITE_WRONG,       // an answer that is not the expected one
    SUITE_FAILED,      // an error where there should have been an answer
    SUITE_UNSUPPORTED, // a device or the host said that it does not do this
    SUITE_OUTCOMES,
} suite_outcome;

typedef struct suite_report {
    suite_outcome outcome;
    suite_class kind;
    suite_result result;
    uint32_t data_sets;
    char hash[65];         // SHA-256 of all outputs in order, hexadecimal
    char error_id[64];     // of the error, when there was one
    char text[SUITE_TEXT]; // why it did not pass
} suite_report;

// Runs one case on some devices alone, whose ids are separated by commas (null: whatever the host
// chooses). range_limit above 0 replaces both tolerances: no element may be further off than this
// part of the range of its tensor.
void suite_run_case(tn_host *host, const char *devices, const char *folder, double range_limit,
                    suite_report *report);

const char *suite_outcome_name(suite_outcome outcome);

#endif // TENON_CONFORMANCE_ONNX_SUITE_H
