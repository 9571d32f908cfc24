// SPDX-License-Identifier: Apache-2.0
// Reads the .pb files beside ONNX test models: a TensorProto, SequenceProto or OptionalProto each.
// Every size is checked against the bytes that are there.
#ifndef TENON_CONFORMANCE_ONNX_PROTO_H
#define TENON_CONFORMANCE_ONNX_PROTO_H

#include "tenon/tenon.h"

#include <stdbool.h>
#include <stddef.h>

// Dense, row-major, little-endian; elements below a byte packed, the first in the low bits.
typedef struct suite_tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t count;
    uint64_t size_bytes;
    uint8_t *data;
} suite_tensor;

// What one file holds: a tensor, the elements of a sequence, or an optional.
typedef struct suite_value {
    bool is_none; // an optional without an element
    uint32_t count;
    suite_tensor *tensors;
} suite_value;

#define SUITE_TEXT 256u

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

// Bits of one element; 0 for strings and unknown types.
uint32_t suite_dtype_bits(tn_dtype dtype);
const char *suite_dtype_name(tn_dtype dtype);

#endif // TENON_CONFORMANCE_ONNX_PROTO_H
