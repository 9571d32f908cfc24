// SPDX-License-Identifier: Apache-2.0
// Comparing an answer with what is expected, twice: as strictly as the kind of op allows, and with
// the tolerance that ONNX's own backend tests use. No element is ever skipped.
#ifndef TENON_CONFORMANCE_ONNX_COMPARE_H
#define TENON_CONFORMANCE_ONNX_COMPARE_H

#include "onnx/proto.h"

// How large an error the strict comparison allows. Expected values are what another implementation
// computed, mostly in the same precision, so that each limit counts the error of both sides.
typedef enum suite_class {
    SUITE_EXACT,     // movement, comparison, integers: equal bits
    SUITE_ULP,       // elementwise functions: units in the last place
    SUITE_REDUCTION, // sums and normalisations: units of the largest element
    SUITE_DOT,       // long sums of products: the same, more of them
    SUITE_RANDOM,    // random by definition: type and shape alone
} suite_class;

// The class of a model with these ops: that of its loosest.
suite_class suite_class_of_op(const char *op_type);
const char *suite_class_name(suite_class kind);

typedef struct suite_result {
    uint64_t elements;
    double max_error; // largest |got - expected| of finite elements
    double max_ulp;   // the same in units of the last place of the expected element
    // The largest error of a tensor over the range of its expected elements (their size, where they
    // are all the same); infinite where anything but numbers differs.
    double max_range_error;
    bool strict;   // within the class
    bool tolerant; // within ONNX's tolerance (rtol 1e-3, atol 1e-7)
} suite_result;

// Compares got with expected and adds to inout_result, which begins as {.strict = true, .tolerant =
// true}. Type and shape must be the same, NaN is equal to NaN, infinities to themselves alone.
// Returns false when type or shape differ; text says how.
bool suite_compare(const proto_tensor *expected, const tn_tensor_view *got, suite_class kind,
                   suite_result *inout_result, char text[SUITE_TEXT]);

#endif // TENON_CONFORMANCE_ONNX_COMPARE_H
