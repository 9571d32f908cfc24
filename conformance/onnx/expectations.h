// SPDX-License-Identifier: Apache-2.0
// What is known not to pass, with the reason: a text file of lines "SUITE/CASE REASON...", where
// CASE may end in '*'. Blank lines and lines that begin with '#' do not count. A listed case that
// passes after all is an error, so that the list stays true.
#ifndef TENON_CONFORMANCE_ONNX_EXPECTATIONS_H
#define TENON_CONFORMANCE_ONNX_EXPECTATIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct suite_expectation {
    char *name; // "suite/case", perhaps with '*' at the end
    char *reason;
    uint32_t used; // cases it stood for
} suite_expectation;

typedef struct suite_expectations {
    uint32_t count;
    suite_expectation *items;
} suite_expectations;

// Reads a list. Returns false when the file cannot be read or a line has no reason, no '/' in its
// name, or more than 510 characters; line is its number, 0 for the file.
bool suite_expectations_read(const char *path, suite_expectations *out, uint32_t *out_line);
void suite_expectations_free(suite_expectations *list);

// The line for a case, or null. The longest name wins, and one without
// '*' over the same with it.
suite_expectation *suite_expectations_find(suite_expectations *list, const char *suite,
                                           const char *name);

#endif // TENON_CONFORMANCE_ONNX_EXPECTATIONS_H
