// SPDX-License-Identifier: Apache-2.0
// The form of tensors of strings.
#include "flow/text.h"

#include "base/checked.h"
#include "base/error.h"

#include <string.h>

static uint64_t offset_at(const void *data, uint64_t index) {
    uint64_t offset = 0;
    memcpy(&offset, (const uint8_t *)data + index * sizeof(offset), sizeof(offset));
    return offset;
}

bool tni_texts_valid(const void *data, uint64_t size_bytes, uint64_t count) {
    uint64_t table = 0;
    if (data == NULL || count == UINT64_MAX || !tni_mul_u64(count + 1, sizeof(uint64_t), &table) ||
        size_bytes < table || offset_at(data, 0) != 0 ||
        offset_at(data, count) != size_bytes - table) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (offset_at(data, i) > offset_at(data, i + 1)) {
            return false;
        }
    }
    return true;
}

tn_status tni_texts_create(tni_store *store, uint32_t rank, const int64_t *dims,
                           const tn_string *texts, tni_tensor **out_tensor, tn_error *error) {
    uint64_t count = 0;
    uint64_t bytes = 0;
    *out_tensor = NULL;
    bool fits = rank <= TN_MAX_RANK && tni_count_of_dims(dims, rank, &count) &&
                count < UINT64_MAX && tni_mul_u64(count + 1, sizeof(uint64_t), &bytes);
    uint64_t table = bytes;
    for (uint64_t i = 0; texts != NULL && fits && i < count; i++) {
        fits = tni_add_u64(bytes, texts[i].size_bytes, &bytes);
    }
    if (!fits) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "flow.tensor",
                        "no tensor of strings can have this shape");
    }
    tn_status status =
        tni_tensor_create_sized(store, TN_DTYPE_STRING, rank, dims, bytes, out_tensor, error);
    uint64_t end = 0;
    for (uint64_t i = 0; status == TN_OK && texts != NULL && i < count; i++) {
        uint8_t *data = (*out_tensor)->data;
        if (texts[i].size_bytes > 0) {
            memcpy(data + table + end, texts[i].data, texts[i].size_bytes);
        }
        end += texts[i].size_bytes;
        memcpy(data + (i + 1) * sizeof(end), &end, sizeof(end));
    }
    return status;
}

uint64_t tni_texts_count(const tni_tensor *tensor) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        count *= (uint64_t)tensor->dims[i];
    }
    return count;
}

tn_string tni_texts_at(const tni_tensor *tensor, uint64_t index) {
    uint64_t table = (tni_texts_count(tensor) + 1) * sizeof(uint64_t);
    uint64_t begin = offset_at(tensor->data, index);
    return (tn_string){(const char *)tensor->data + table + begin,
                       offset_at(tensor->data, index + 1) - begin};
}
