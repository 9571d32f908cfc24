// SPDX-License-Identifier: Apache-2.0
// Tensors in files: NumPy's .npy (format 1.0 and 2.0) and ONNX's TensorProto (.pb).
#ifndef TENON_TOOLS_TENSOR_FILE_H
#define TENON_TOOLS_TENSOR_FILE_H

#include "tenon/tenon.h"

#include <stdbool.h>
#include <stddef.h>

// Dense, row-major, little-endian. Free with tensor_deinit.
typedef struct tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    void *data;
    uint64_t size_bytes;
} tensor;

#define TENSOR_TEXT_BYTES 256

// Reads a file by its ending. Returns whether it worked; else text says what is wrong with what.
bool tensor_read(const char *path, tensor *out_tensor, char text[TENSOR_TEXT_BYTES]);
// Parses the content of a file, which must stay valid for the call.
bool tensor_parse_npy(const uint8_t *bytes, size_t size, tensor *out_tensor, char *text);
bool tensor_parse_pb(const uint8_t *bytes, size_t size, tensor *out_tensor, char *text);
// Writes .npy. Types NumPy does not have are written as unsigned integers of the same width.
bool tensor_write_npy(const char *path, const tn_tensor_view *view, char text[TENSOR_TEXT_BYTES]);
void tensor_deinit(tensor *t);

// Bytes of one element; 0 for types a file cannot hold here (strings, packed types).
uint32_t tensor_element_bytes(tn_dtype dtype);
// Elements of a shape; false when they do not fit.
bool tensor_count(const int64_t *dims, uint32_t rank, uint64_t *out_count);
// One element as a double; 0 for types without a value here.
double tensor_element(const void *data, tn_dtype dtype, uint64_t index);

#endif // TENON_TOOLS_TENSOR_FILE_H
