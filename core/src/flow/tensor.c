// SPDX-License-Identifier: Apache-2.0
// Memory of tensors and sequences, counted against the cap of a request.
#include "flow/tensor.h"

#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"

#include <string.h>

#define DATA_ALIGNMENT 64u

static bool has_room(const tni_store *store, uint64_t bytes) {
    uint64_t live = 0;
    return tni_add_u64(store->live_bytes, bytes, &live) &&
           (store->cap_bytes == 0 || live <= store->cap_bytes);
}

tn_status tni_store_take(tni_store *store, uint64_t bytes, tn_error *error) {
    bool fits = has_room(store, bytes);
    while (!fits && store->give_way != NULL && store->give_way(store->give_way_user_data)) {
        fits = has_room(store, bytes);
    }
    if (!fits) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "flow.memory-cap",
                        "%llu bytes more than the %llu in use would be above the cap of %llu",
                        (unsigned long long)bytes, (unsigned long long)store->live_bytes,
                        (unsigned long long)store->cap_bytes);
    }
    store->live_bytes += bytes;
    return TN_OK;
}

void tni_store_give(tni_store *store, uint64_t bytes) {
    store->live_bytes -= bytes;
}

// An empty tensor has memory too, so that its data is never null.
static uint64_t memory_bytes(const tni_tensor *tensor) {
    return tensor->size_bytes > 0 ? tensor->size_bytes : 1;
}

tn_status tni_tensor_create(tni_store *store, tn_dtype dtype, uint32_t rank, const int64_t *dims,
                            tni_tensor **out_tensor, tn_error *error) {
    uint64_t count = 0;
    uint64_t bytes = 0;
    *out_tensor = NULL;
    if (rank > TN_MAX_RANK || !tni_count_of_dims(dims, rank, &count) ||
        !tni_size_of_elements(dtype, count, &bytes)) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "flow.tensor",
                        "no tensor of type %s can have this shape", tni_dtype_name(dtype));
    }
    return tni_tensor_create_sized(store, dtype, rank, dims, bytes, out_tensor, error);
}

tn_status tni_tensor_create_sized(tni_store *store, tn_dtype dtype, uint32_t rank,
                                  const int64_t *dims, uint64_t size_bytes, tni_tensor **out_tensor,
                                  tn_error *error) {
    *out_tensor = NULL;
    tni_tensor made = {
        .store = store, .references = 1, .dtype = dtype, .rank = rank, .size_bytes = size_bytes};
    if (rank > TN_MAX_RANK) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "flow.tensor", "rank %u is too high", rank);
    }
    if (rank > 0) {
        memcpy(made.dims, dims, rank * sizeof(*dims));
    }
    if (store->max_tensor_bytes > 0 && made.size_bytes > store->max_tensor_bytes) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "flow.tensor-size",
                        "a tensor of type %s takes %llu bytes, the limit is %llu",
                        tni_dtype_name(dtype), (unsigned long long)made.size_bytes,
                        (unsigned long long)store->max_tensor_bytes);
    }
    tn_status status = tni_store_take(store, made.size_bytes, error);
    if (status != TN_OK) {
        return status;
    }
    tni_tensor *tensor = tni_alloc_zeroed(&store->alloc, sizeof(*tensor));
    made.data = tni_alloc_bytes(&store->alloc, memory_bytes(&made), DATA_ALIGNMENT);
    if (tensor == NULL || made.data == NULL) {
        tni_free(&store->alloc, tensor, sizeof(*tensor));
        tni_free_aligned(&store->alloc, made.data, memory_bytes(&made), DATA_ALIGNMENT);
        tni_store_give(store, made.size_bytes);
        return tni_fail(error, TN_ERROR_OUT_OF_MEMORY, "flow.tensor", "%llu bytes for a tensor",
                        (unsigned long long)made.size_bytes);
    }
    memset(made.data, 0, memory_bytes(&made));
    *tensor = made;
    *out_tensor = tensor;
    return TN_OK;
}

bool tni_tensor_divides(const tni_tensor *tensor) {
    uint32_t bits = tni_dtype_bits(tensor->dtype);
    return bits > 0 && bits % 8 == 0;
}

void tni_tensor_release(tni_tensor *tensor) {
    if (tensor == NULL || --tensor->references > 0) {
        return;
    }
    tni_store *store = tensor->store;
    if (store->sensitive) {
        explicit_bzero(tensor->data, memory_bytes(tensor));
    }
    tni_store_give(store, tensor->size_bytes);
    tni_free_aligned(&store->alloc, tensor->data, memory_bytes(tensor), DATA_ALIGNMENT);
    tni_free(&store->alloc, tensor, sizeof(*tensor));
}

tn_status tni_tensor_copy(const tni_tensor *tensor, tni_tensor **out_tensor, tn_error *error) {
    tn_status status =
        tni_tensor_create_sized(tensor->store, tensor->dtype, tensor->rank, tensor->dims,
                                tensor->size_bytes, out_tensor, error);
    if (status == TN_OK) {
        memcpy((*out_tensor)->data, tensor->data, tensor->size_bytes);
    }
    return status;
}

// A tensor as [outer, dims[axis], inner] with inner in bytes.
static void split_dims(const tni_tensor *tensor, uint32_t axis, uint64_t *out_outer,
                       uint64_t *out_inner_bytes) {
    *out_outer = 1;
    *out_inner_bytes = tni_dtype_bits(tensor->dtype) / 8;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        *(i < axis ? out_outer : out_inner_bytes) *= i == axis ? 1 : (uint64_t)tensor->dims[i];
    }
}

void tni_tensor_copy_rows(tni_tensor *destination, int64_t destination_begin,
                          const tni_tensor *source, int64_t source_begin, int64_t count,
                          uint32_t axis) {
    uint64_t outer = 0;
    uint64_t inner = 0;
    split_dims(source, axis, &outer, &inner);
    uint64_t from_row = (uint64_t)source->dims[axis] * inner;
    uint64_t to_row = (uint64_t)destination->dims[axis] * inner;
    for (uint64_t i = 0; i < outer && count > 0 && inner > 0; i++) {
        memcpy(destination->data + i * to_row + (uint64_t)destination_begin * inner,
               source->data + i * from_row + (uint64_t)source_begin * inner,
               (uint64_t)count * inner);
    }
}

tn_status tni_tensor_part(const tni_tensor *tensor, uint32_t axis, int64_t index,
                          tni_tensor **out_tensor, tn_error *error) {
    *out_tensor = NULL;
    if (!tni_tensor_divides(tensor)) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "flow.packed",
                        "elements of type %s cannot be taken apart", tni_dtype_name(tensor->dtype));
    }
    int64_t dims[TN_MAX_RANK];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (i != axis) {
            dims[rank++] = tensor->dims[i];
        }
    }
    tn_status status =
        tni_tensor_create(tensor->store, tensor->dtype, rank, dims, out_tensor, error);
    if (status != TN_OK) {
        return status;
    }
    uint64_t outer = 0;
    uint64_t inner = 0;
    split_dims(tensor, axis, &outer, &inner);
    uint64_t row = (uint64_t)tensor->dims[axis] * inner;
    for (uint64_t i = 0; i < outer && inner > 0; i++) {
        memcpy((*out_tensor)->data + i * inner, tensor->data + i * row + (uint64_t)index * inner,
               inner);
    }
    return TN_OK;
}

static uint64_t list_bytes_of(uint32_t count) {
    return sizeof(tni_sequence) + ((uint64_t)count + 1) * sizeof(tni_tensor *);
}

tn_status tni_sequence_create(tni_store *store, uint32_t count, tni_sequence **out_sequence,
                              tn_error *error) {
    *out_sequence = NULL;
    const uint64_t list_bytes = list_bytes_of(count);
    tn_status status = tni_store_take(store, list_bytes, error);
    if (status != TN_OK) {
        return status;
    }
    tni_sequence *sequence = tni_alloc_zeroed(&store->alloc, sizeof(*sequence));
    tni_tensor **tensors = tni_alloc_array(&store->alloc, (uint64_t)count + 1, sizeof(*tensors));
    if (sequence == NULL || tensors == NULL) {
        tni_free(&store->alloc, sequence, sizeof(*sequence));
        tni_free_array(&store->alloc, tensors, (uint64_t)count + 1, sizeof(*tensors));
        tni_store_give(store, list_bytes);
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a sequence");
    }
    *sequence = (tni_sequence){store, 1, count, tensors};
    *out_sequence = sequence;
    return TN_OK;
}

void tni_sequence_release(tni_sequence *sequence) {
    if (sequence == NULL || --sequence->references > 0) {
        return;
    }
    tni_store *store = sequence->store;
    tni_store_give(store, list_bytes_of(sequence->count));
    for (uint32_t i = 0; i < sequence->count; i++) {
        tni_tensor_release(sequence->tensors[i]);
    }
    tni_free_array(&store->alloc, sequence->tensors, (uint64_t)sequence->count + 1,
                   sizeof(tni_tensor *));
    tni_free(&store->alloc, sequence, sizeof(*sequence));
}

tni_item tni_item_share(tni_item item) {
    if (item.kind == TNI_ITEM_TENSOR) {
        item.tensor->references++;
    } else if (item.kind == TNI_ITEM_SEQUENCE) {
        item.sequence->references++;
    }
    return item;
}

void tni_item_clear(tni_item *item) {
    if (item->kind == TNI_ITEM_TENSOR) {
        tni_tensor_release(item->tensor);
    } else if (item->kind == TNI_ITEM_SEQUENCE) {
        tni_sequence_release(item->sequence);
    }
    *item = (tni_item){.kind = TNI_ITEM_EMPTY};
}
