// SPDX-License-Identifier: Apache-2.0
// ONNX's TensorProto as plain bytes: dims, type, and the data, be they raw or in a typed field.
// Every size is checked against the bytes that are there. Field numbers: onnx.proto3.
#ifndef TENON_TOOLS_PROTO_TENSOR_H
#define TENON_TOOLS_PROTO_TENSOR_H

#include "proto_reader.h"

#include "tenon/tenon.h"

// Dense, row-major, little-endian; elements below a byte packed, the first in the low bits. Strings
// are as the embedding API takes them: count + 1 end offsets, then the characters.
typedef struct proto_tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t count;
    uint64_t size_bytes;
    uint8_t *data; // the owner's: free it
} proto_tensor;

#define PROTO_TEXT_BYTES 256u

// Reads a message. On failure text says why and nothing is to be freed.
bool proto_tensor_parse(proto_reader message, proto_tensor *out_tensor,
                        char text[PROTO_TEXT_BYTES]);

// Bits of one element; 0 for strings and unknown types.
uint32_t proto_dtype_bits(tn_dtype dtype);

#endif // TENON_TOOLS_PROTO_TENSOR_H
