// SPDX-License-Identifier: Apache-2.0
// The cases of present_test.c.
#ifndef TENON_TESTS_PRESENT_CASES_H
#define TENON_TESTS_PRESENT_CASES_H

#include "support/onnx_builder.h"

#include "tenon/abi/compile.h"

#include <stddef.h>
#include <stdint.h>

typedef struct version_case {
    const char *name;
    void (*build)(onnx_builder *b); // the node, and what it reads beside x
    uint32_t opset;
    uint32_t limit; // expected
    tn_op_record known;
    const char *expected;
} version_case;

extern const version_case version_cases[];
extern const size_t version_case_count;

#endif // TENON_TESTS_PRESENT_CASES_H
