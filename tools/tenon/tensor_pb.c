// SPDX-License-Identifier: Apache-2.0
// ONNX's TensorProto as a tensor of the command line.
#include "tensor_file.h"

#include "proto_tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tensor_parse_pb(const uint8_t *bytes, size_t size, tensor *t, char *text) {
    proto_tensor read;
    memset(t, 0, sizeof(*t));
    if (!proto_tensor_parse((proto_reader){bytes, bytes + size, false}, &read, text)) {
        return false;
    }
    if (tensor_element_bytes(read.dtype) == 0) {
        free(read.data);
        snprintf(text, TENSOR_TEXT_BYTES, "tensors of type %s", tn_dtype_text(read.dtype));
        return false;
    }
    *t = (tensor){
        .dtype = read.dtype, .rank = read.rank, .data = read.data, .size_bytes = read.size_bytes};
    memcpy(t->dims, read.dims, sizeof(t->dims));
    return true;
}
