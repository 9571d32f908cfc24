// SPDX-License-Identifier: Apache-2.0
// A growing buffer of equal tensors, and laying them out along the new axis.
#include "flow/collect.h"

#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"

#include <string.h>

void tni_collector_init(tni_collector *collector, tni_store *store, const tni_value *declared,
                        int64_t axis, bool backwards, int64_t expected) {
    *collector = (tni_collector){
        .store = store,
        .declared = declared,
        .axis = axis,
        .backwards = backwards,
        .expected = expected,
    };
}

static bool same_kind(const tni_tensor *a, const tni_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0;
}

static void free_bytes(tni_collector *c) {
    if (c->store->sensitive && c->bytes != NULL) {
        explicit_bzero(c->bytes, c->room_bytes);
    }
    tni_free(&c->store->alloc, c->bytes, c->room_bytes);
}

// Room for one more step: exactly what is expected at first, twice as much later.
static tn_status make_room(tni_collector *c, uint64_t step_bytes, tn_error *error) {
    uint64_t used = (uint64_t)c->count * step_bytes;
    uint64_t room = used == 0 ? step_bytes : 2 * used;
    if (used + step_bytes <= c->room_bytes || step_bytes == 0) {
        return TN_OK;
    }
    uint64_t all = 0;
    if (c->expected > c->count && tni_mul_u64((uint64_t)c->expected, step_bytes, &all) &&
        all < room) {
        room = all;
    }
    const uint64_t most = c->store->max_tensor_bytes;
    if (most > 0 && used + step_bytes > most) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "flow.tensor-size",
                        "'%.*s' takes more than %llu bytes after %lld steps",
                        TNI_TEXT(c->declared->name), (unsigned long long)most, (long long)c->count);
    }
    room = most > 0 && room > most ? most : room;
    tn_status status = tni_store_take(c->store, room - c->room_bytes, error);
    if (status != TN_OK) {
        return status;
    }
    uint8_t *grown = tni_alloc_zeroed(&c->store->alloc, room);
    if (grown == NULL) {
        tni_store_give(c->store, room - c->room_bytes);
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the steps of a loop");
    }
    if (used > 0) {
        memcpy(grown, c->bytes, used);
    }
    free_bytes(c);
    c->bytes = grown;
    c->room_bytes = room;
    return TN_OK;
}

static tn_status add(tni_collector *c, const tni_item *item, tn_error *error) {
    const tni_tensor *tensor = item->tensor;
    if (item->kind != TNI_ITEM_TENSOR || (c->first != NULL && !same_kind(c->first, tensor))) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "flow.step-shape",
                        "step %lld gives '%.*s' another type or shape than the first",
                        (long long)c->count, TNI_TEXT(c->declared->name));
    }
    if (!tni_tensor_divides(tensor)) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "flow.packed",
                        "elements of type %s cannot be collected", tni_dtype_name(tensor->dtype));
    }
    tn_status status = make_room(c, tensor->size_bytes, error);
    if (status == TN_OK && tensor->size_bytes > 0) {
        memcpy(c->bytes + (uint64_t)c->count * tensor->size_bytes, tensor->data,
               tensor->size_bytes);
    }
    return status;
}

tn_status tni_collect(tni_collector *c, tni_item *item, tn_error *error) {
    tn_status status = add(c, item, error);
    if (status == TN_OK && c->first == NULL) {
        c->first = tni_item_share(*item).tensor;
    }
    c->count += status == TN_OK;
    tni_item_clear(item);
    return status;
}

// The shape of one step.
static uint32_t step_dims(const tni_collector *c, int64_t *dims) {
    if (c->first != NULL) {
        memcpy(dims, c->first->dims, sizeof(c->first->dims));
        return c->first->rank;
    }
    uint32_t rank = c->declared->rank == TN_RANK_UNKNOWN ? 0 : c->declared->rank;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = c->declared->dims[i].size < 0 ? 0 : c->declared->dims[i].size;
    }
    return rank;
}

// Step s of bytes[step][outer][inner] goes to result[outer][place of s][inner].
static void lay_out(const tni_collector *c, tni_tensor *result, uint32_t axis) {
    uint64_t outer = 1;
    uint64_t inner = tni_dtype_bits(result->dtype) / 8;
    for (uint32_t i = 0; i < result->rank; i++) {
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : (uint64_t)result->dims[i];
    }
    for (int64_t step = 0; step < c->count && inner > 0; step++) {
        uint64_t place = (uint64_t)(c->backwards ? c->count - 1 - step : step);
        for (uint64_t o = 0; o < outer; o++) {
            memcpy(result->data + (o * (uint64_t)result->dims[axis] + place) * inner,
                   c->bytes + ((uint64_t)step * outer + o) * inner, inner);
        }
    }
}

tn_status tni_collector_finish(tni_collector *c, tni_item *out_item, tn_error *error) {
    int64_t step[TN_MAX_RANK];
    int64_t dims[TN_MAX_RANK + 1];
    uint32_t rank = step_dims(c, step) + 1;
    int64_t axis = c->axis < 0 ? c->axis + rank : c->axis;
    tn_dtype dtype = c->first != NULL ? c->first->dtype : c->declared->dtype;
    tni_tensor *result = NULL;
    *out_item = (tni_item){.kind = TNI_ITEM_EMPTY};
    if (axis < 0 || axis >= rank) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "flow.axis",
                        "axis %lld is outside of rank %u", (long long)c->axis, rank);
    }
    const int64_t steps = c->count > c->at_least ? c->count : c->at_least;
    for (uint32_t i = 0, from = 0; i < rank; i++) {
        dims[i] = i == axis ? steps : step[from++];
    }
    tn_status status = tni_tensor_create(c->store, dtype, rank, dims, &result, error);
    if (status != TN_OK) {
        return status;
    }
    if (result->size_bytes > 0) {
        lay_out(c, result, (uint32_t)axis);
    }
    *out_item = tni_item_of(result);
    return TN_OK;
}

void tni_collector_deinit(tni_collector *c) {
    if (c->store == NULL) {
        return;
    }
    tni_tensor_release(c->first);
    free_bytes(c);
    tni_store_give(c->store, c->room_bytes);
    *c = (tni_collector){0};
}
