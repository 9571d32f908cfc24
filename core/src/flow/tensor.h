// SPDX-License-Identifier: Apache-2.0
// What values are between the stages of a flow: tensors in host memory, sequences of them, and
// optionals. Counted references, shared and immutable once written. One thread.
#ifndef TENON_FLOW_TENSOR_H
#define TENON_FLOW_TENSOR_H

#include "base/alloc.h"

#include "tenon/abi/graph.h"

#include <stdbool.h>
#include <stdint.h>

// The memory of one run's tensors. Outlives them.
typedef struct tni_store {
    tni_alloc alloc;
    bool sensitive;            // bytes are overwritten before they are freed
    uint64_t cap_bytes;        // 0: none
    uint64_t max_tensor_bytes; // of one tensor; 0: no limit
    uint64_t live_bytes;       // of tensors and lists, and what tni_store_take counted
    // Asked when the cap is met: gives something back with tni_store_give and returns true, or
    // false when there is nothing. May be null.
    bool (*give_way)(void *user_data);
    void *give_way_user_data;
} tni_store;

// Counts bytes against the cap; what can give way does. TN_OK · TN_ERROR_LIMIT_EXCEEDED nothing was
// counted.
TN_MUST_USE tn_status tni_store_take(tni_store *store, uint64_t bytes, tn_error *error);
void tni_store_give(tni_store *store, uint64_t bytes);

typedef struct tni_tensor {
    tni_store *store;
    uint32_t references;
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t size_bytes;
    uint8_t *data; // never null
} tni_tensor;

// A dense tensor, its elements zero, with one reference. dims are checked. TN_OK ·
// TN_ERROR_INVALID_DATA a negative dim, too high a rank or a type without a size ·
// TN_ERROR_LIMIT_EXCEEDED the cap, or the limit of one tensor · TN_ERROR_OUT_OF_MEMORY. *out_tensor
// is null on failure.
TN_MUST_USE tn_status tni_tensor_create(tni_store *store, tn_dtype dtype, uint32_t rank,
                                        const int64_t *dims, tni_tensor **out_tensor,
                                        tn_error *error);
// The same of size_bytes, for types whose elements have no fixed size (text.h). Errors as above.
TN_MUST_USE tn_status tni_tensor_create_sized(tni_store *store, tn_dtype dtype, uint32_t rank,
                                              const int64_t *dims, uint64_t size_bytes,
                                              tni_tensor **out_tensor, tn_error *error);
void tni_tensor_release(tni_tensor *tensor); // null is ignored
// Whether elements are whole bytes of one size, so that a tensor can be taken apart.
bool tni_tensor_divides(const tni_tensor *tensor);

// A tensor of the same contents. Errors as tni_tensor_create.
TN_MUST_USE tn_status tni_tensor_copy(const tni_tensor *tensor, tni_tensor **out_tensor,
                                      tn_error *error);

// Part index of a tensor along an axis, as a tensor without that axis. Errors as
// tni_tensor_create · TN_ERROR_UNSUPPORTED elements smaller than a byte.
TN_MUST_USE tn_status tni_tensor_part(const tni_tensor *tensor, uint32_t axis, int64_t index,
                                      tni_tensor **out_tensor, tn_error *error);
// Copies count rows of source along axis, from source_begin, over destination's from
// destination_begin. Both have whole-byte elements of one type and the same other dims, and the
// ranges are inside.
void tni_tensor_copy_rows(tni_tensor *destination, int64_t destination_begin,
                          const tni_tensor *source, int64_t source_begin, int64_t count,
                          uint32_t axis);

typedef struct tni_sequence {
    tni_store *store;
    uint32_t references;
    uint32_t count;
    tni_tensor **tensors; // each holds a reference
} tni_sequence;

typedef enum tni_item_kind {
    TNI_ITEM_EMPTY, // nothing is there yet
    TNI_ITEM_TENSOR,
    TNI_ITEM_SEQUENCE,
    TNI_ITEM_NONE, // an optional without an element
} tni_item_kind;

// A reference to one of them.
typedef struct tni_item {
    tni_item_kind kind;
    tni_tensor *tensor;
    tni_sequence *sequence;
} tni_item;

// Room for count tensors, all null. TN_OK · TN_ERROR_LIMIT_EXCEEDED the cap ·
// TN_ERROR_OUT_OF_MEMORY. *out is null on failure.
TN_MUST_USE tn_status tni_sequence_create(tni_store *store, uint32_t count,
                                          tni_sequence **out_sequence, tn_error *error);
void tni_sequence_release(tni_sequence *sequence); // null is ignored

// Another reference to the same.
tni_item tni_item_share(tni_item item);
static inline tni_item tni_item_of(tni_tensor *tensor) {
    return (tni_item){.kind = TNI_ITEM_TENSOR, .tensor = tensor};
}
// Gives the reference up and makes the item empty.
void tni_item_clear(tni_item *item);

#endif // TENON_FLOW_TENSOR_H
