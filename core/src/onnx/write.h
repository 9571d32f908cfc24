// SPDX-License-Identifier: Apache-2.0
// ONNX export: a tni_model becomes a model file that any reader of ONNX accepts. Weights are
// streamed through one block, recipes are computed on the way. Inside: writer.h.
#ifndef TENON_ONNX_WRITE_H
#define TENON_ONNX_WRITE_H

#include "graph/graph.h"

// All borrowed for the call.
typedef struct tni_write_info {
    const char *path;
    // Name of a file in the folder of path that gets the large initializers; null: none.
    const char *external_name;
    uint64_t external_min_bytes; // initializers of at least this size go there; 0: 1024
    bool sensitive;              // zero what held tensors before it is freed
} tni_write_info;

// Writes graph 0 and everything below it; expansions and forms are left out. The opset versions are
// the model's, or others in which every node keeps its meaning. Values get unique names where those
// of the model are not; a body's output that is not made in the body gets an Identity. Files appear
// under their names when they are whole, and replace what was there. Equal models give equal bytes.
// Any thread, while the model does not change. TN_OK · TN_ERROR_INVALID_ARGUMENT the external name
// is no plain file name · TN_ERROR_UNSUPPORTED no opset version gives all nodes their meaning ·
// TN_ERROR_LIMIT_EXCEEDED the file without external data would exceed what protobuf allows ·
// TN_ERROR_IO · TN_ERROR_NOT_FOUND no such folder · TN_ERROR_OUT_OF_MEMORY. After a failure what
// was under the names is as before.
TN_MUST_USE tn_status tni_onnx_write(const tni_model *model, const tni_write_info *info,
                                     tn_error *error);

#endif // TENON_ONNX_WRITE_H
