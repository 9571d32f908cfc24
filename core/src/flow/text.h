// SPDX-License-Identifier: Apache-2.0
// Tensors of strings, which the host alone handles. Their bytes are count + 1 end offsets
// (uint64_t, the first 0) followed by the characters of all strings, as in constants.
#ifndef TENON_FLOW_TEXT_H
#define TENON_FLOW_TEXT_H

#include "base/string.h"
#include "flow/tensor.h"

// Whether size_bytes of data are count strings in that form.
bool tni_texts_valid(const void *data, uint64_t size_bytes, uint64_t count);

// A tensor of these strings, which are copied; null: all empty. Errors as tni_tensor_create.
TN_MUST_USE tn_status tni_texts_create(tni_store *store, uint32_t rank, const int64_t *dims,
                                       const tn_string *texts, tni_tensor **out_tensor,
                                       tn_error *error);

uint64_t tni_texts_count(const tni_tensor *tensor);
// Borrowed from the tensor. index is inside.
tn_string tni_texts_at(const tni_tensor *tensor, uint64_t index);

#endif // TENON_FLOW_TEXT_H
