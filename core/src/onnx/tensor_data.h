// SPDX-License-Identifier: Apache-2.0
// Inside of tensor_proto.c: the typed data fields of a TensorProto, counted and then decoded.
#ifndef TENON_ONNX_TENSOR_DATA_H
#define TENON_ONNX_TENSOR_DATA_H

#include "onnx/importer.h"

// What was found of a TensorProto before its data is looked at.
typedef struct tni_tensor {
    tni_bytes message;
    const uint8_t *at;
    tn_string name;
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t element_count;
    uint64_t size_bytes;  // of the packed elements; 0 for strings
    uint32_t data_field;  // number of the data field that is present, or 0
    uint64_t data_items;  // elements of that field
    tni_bytes only_chunk; // the whole of the data field when it is one packed or raw run
    bool one_chunk;
    bool is_external;
    tni_external external;
} tni_tensor;

#define TNI_TENSOR_FLOAT_DATA 4u
#define TNI_TENSOR_INT32_DATA 5u
#define TNI_TENSOR_STRING_DATA 6u
#define TNI_TENSOR_INT64_DATA 7u
#define TNI_TENSOR_RAW_DATA 9u
#define TNI_TENSOR_DOUBLE_DATA 10u
#define TNI_TENSOR_UINT64_DATA 11u

// Counts the items of one data field into the tensor; latches errors.
tn_status tni_tensor_count_data(tni_importer *in, tni_tensor *tensor, const tni_field *field);
// The typed field that ONNX prescribes for a type.
uint32_t tni_tensor_field_of(tn_dtype dtype);
// Items of that field for the tensor's elements (packed narrow types, complex pairs).
uint64_t tni_tensor_items_of(const tni_tensor *tensor);
// Decodes the typed field into size_bytes of destination; the counts have been checked.
tn_status tni_tensor_decode(tni_importer *in, const tni_tensor *tensor, uint8_t *destination);
// Adds a string tensor as an owned constant.
tn_status tni_tensor_add_strings(tni_importer *in, const tni_tensor *tensor,
                                 uint32_t *out_constant);

#endif // TENON_ONNX_TENSOR_DATA_H
