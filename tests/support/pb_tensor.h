// SPDX-License-Identifier: Apache-2.0
// Reads the .pb files beside ONNX test models: one TensorProto each. For trusted test data only.
#ifndef TENON_TESTS_PB_TENSOR_H
#define TENON_TESTS_PB_TENSOR_H

#include "tenon/abi/types.h"

typedef struct pb_tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t count;
    uint64_t size_bytes;
    unsigned char *data; // row-major, little-endian; free with pb_tensor_deinit
} pb_tensor;

// Returns 1 when the file is there and holds a tensor of a type that is whole bytes. On 0
// *out_tensor is empty.
uint32_t pb_tensor_read(const char *path, pb_tensor *out_tensor);
void pb_tensor_deinit(pb_tensor *tensor);

#endif // TENON_TESTS_PB_TENSOR_H
