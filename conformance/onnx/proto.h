// SPDX-License-Identifier: Apache-2.0
// Reads the .pb files beside ONNX test models: a TensorProto, SequenceProto or OptionalProto each.
#ifndef TENON_CONFORMANCE_ONNX_PROTO_H
#define TENON_CONFORMANCE_ONNX_PROTO_H

#include "proto_tensor.h"

#include "tenon/tenon.h"

#include <stdbool.h>

// What one file holds: a tensor, the elements of a sequence, or an optional.
typedef struct suite_value {
    bool is_none; // an optional without an element
    uint32_t count;
    proto_tensor *tensors;
} suite_value;

#define SUITE_TEXT PROTO_TEXT_BYTES

// Reads a file as what the model says its value is (TN_VALUE_). On failure text says why and
// nothing is to be freed. A file that is not there is SUITE_ABSENT.
typedef enum suite_read {
    SUITE_READ,
    SUITE_ABSENT,
    SUITE_UNREADABLE,
} suite_read;
suite_read suite_value_read(const char *path, tn_value_kind kind, suite_value *out_value,
                            char text[SUITE_TEXT]);
void suite_value_free(suite_value *value); // a zeroed one may be

#endif // TENON_CONFORMANCE_ONNX_PROTO_H
