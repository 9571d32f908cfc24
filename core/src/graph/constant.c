// SPDX-License-Identifier: Apache-2.0
// Adding, mapping, reading and hashing constants. Recipes are computed in recipe.c.
#include "graph/constant.h"

#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "graph/graph.h"
#include "graph/recipe.h"
#include "graph/source.h"

#include <string.h>

static tn_status check_size(const tni_constant_info *info, uint64_t *out_count) {
    uint64_t size_bytes = 0;
    if (info->rank > TN_MAX_RANK || !tni_dtype_known(info->dtype) ||
        !tni_count_of_dims(info->dims, info->rank, out_count)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (info->dtype == TN_DTYPE_STRING) {
        return TN_OK;
    }
    if (!tni_size_of_elements(info->dtype, *out_count, &size_bytes) ||
        size_bytes != info->size_bytes) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    return TN_OK;
}

// Copies dims and whatever the kind keeps in the arena.
static tn_status copy_parts(tni_model *model, const tni_constant_info *info, tni_constant *out) {
    void *block = NULL;
    tn_status status =
        tni_arena_array(&model->arena, info->rank, sizeof *info->dims, 8, (void **)&out->dims);
    if (status != TN_OK) {
        return status;
    }
    if (info->rank > 0) {
        memcpy(out->dims, info->dims, info->rank * sizeof *info->dims);
    }
    if (info->kind == TNI_CONSTANT_OWNED) {
        status = tni_arena_alloc(&model->arena, info->size_bytes, TNI_ALIGNMENT, &block);
        if (status == TN_OK && info->bytes != NULL && info->size_bytes > 0) {
            memcpy(block, info->bytes, (size_t)info->size_bytes);
        }
        out->bytes = block;
    } else if (info->kind == TNI_CONSTANT_RECIPE) {
        status = tni_arena_alloc(&model->arena, sizeof *out->recipe, 8, &block);
        if (status == TN_OK) {
            out->recipe = block;
            *out->recipe = *info->recipe;
        }
    }
    return status;
}

static tn_status append_constant(tni_model *model, tni_constant *record, uint32_t *out_id) {
    const tn_status status =
        tni_grow(&model->alloc, (void **)&model->constants, &model->constant_capacity,
                 (uint64_t)model->constant_count + 1, sizeof *model->constants);
    if (status == TN_OK) {
        *out_id = model->constant_count++;
        record->key = model->key_base + *out_id;
        model->constants[*out_id] = *record;
    }
    return status;
}

tn_status tni_model_add_constant(tni_model *model, const tni_constant_info *info,
                                 uint32_t *out_id) {
    tni_constant record = {.size_bytes = info->size_bytes,
                           .dtype = info->dtype,
                           .rank = info->rank,
                           .kind = info->kind,
                           .source = info->source,
                           .offset_bytes = info->offset_bytes};
    *out_id = TN_NONE;
    tn_status status = check_size(info, &record.element_count);
    if (status == TN_OK) {
        status = copy_parts(model, info, &record);
    }
    return status == TN_OK ? append_constant(model, &record, out_id) : status;
}

tn_status tni_model_add_reshaped(tni_model *model, uint32_t constant, const int64_t *dims,
                                 uint32_t rank, uint32_t *out_id) {
    tni_constant record = model->constants[constant];
    uint64_t count = 0;
    *out_id = TN_NONE;
    if (rank > TN_MAX_RANK || !tni_count_of_dims(dims, rank, &count) ||
        count != record.element_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    record.rank = rank;
    record.hashed = false;
    const tn_status status =
        tni_arena_array(&model->arena, rank, sizeof *dims, 8, (void **)&record.dims);
    if (status != TN_OK) {
        return status;
    }
    if (rank > 0) {
        memcpy(record.dims, dims, rank * sizeof *dims);
    }
    return append_constant(model, &record, out_id);
}

tn_status tni_model_add_ints(tni_model *model, const int64_t *values, uint32_t count, uint32_t rank,
                             uint32_t *out_id) {
    const int64_t dim = count;
    const tni_constant_info info = {.dtype = TN_DTYPE_INT64,
                                    .rank = rank,
                                    .dims = &dim,
                                    .kind = TNI_CONSTANT_OWNED,
                                    .bytes = values,
                                    .size_bytes = (uint64_t)count * sizeof *values};
    return tni_model_add_constant(model, &info, out_id);
}

// Null, with error filled, when there is none.
static const tni_constant *find_constant(const tni_model *model, uint32_t constant,
                                         tn_error *error) {
    if (constant >= model->constant_count) {
        (void)tni_fail(error, TN_ERROR_NOT_FOUND, "model.no-constant", "no constant %u", constant);
        return NULL;
    }
    return &model->constants[constant];
}

tn_status tni_constant_map(const tni_model *model, uint32_t constant, const void **out_data,
                           uint64_t *out_size_bytes, tn_error *error) {
    const tni_constant *record = find_constant(model, constant, error);
    *out_data = NULL;
    *out_size_bytes = 0;
    if (record == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    if (record->kind == TNI_CONSTANT_RECIPE) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "model.constant-derived",
                        "constant %u is computed when it is read", constant);
    }
    if (record->kind == TNI_CONSTANT_RAW) {
        const tni_source *source = &model->sources[record->source];
        const tn_status status = tni_source_check(source, error);
        if (status != TN_OK) {
            return status;
        }
        *out_data = source->data + record->offset_bytes;
    } else {
        *out_data = record->bytes;
    }
    *out_size_bytes = record->size_bytes;
    return TN_OK;
}

tn_status tni_constant_read(const tni_model *model, uint32_t constant, uint64_t offset_bytes,
                            uint64_t size_bytes, void *destination, tn_error *error) {
    const tni_constant *record = find_constant(model, constant, error);
    if (record == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    if (offset_bytes > record->size_bytes || size_bytes > record->size_bytes - offset_bytes) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "model.constant-range",
                        "constant %u has %llu bytes, asked for %llu at %llu", constant,
                        (unsigned long long)record->size_bytes, (unsigned long long)size_bytes,
                        (unsigned long long)offset_bytes);
    }
    if (size_bytes == 0) {
        return TN_OK;
    }
    if (record->kind == TNI_CONSTANT_RAW) {
        return tni_source_read(&model->sources[record->source], record->offset_bytes + offset_bytes,
                               size_bytes, destination, error);
    }
    if (record->kind == TNI_CONSTANT_OWNED) {
        memcpy(destination, record->bytes + offset_bytes, (size_t)size_bytes);
        return TN_OK;
    }
    return tni_recipe_read(model, record, offset_bytes, size_bytes, destination, error);
}

uint32_t tni_constant_of_key(const tni_model *model, uint64_t key) {
    const uint64_t index = key - model->key_base;
    return index < model->constant_count ? (uint32_t)index : TN_NONE;
}

// Streams the content of a constant through the digest.
static tn_status digest_content(tni_model *model, uint32_t constant, tni_digest *digest,
                                tn_error *error) {
    uint8_t block[4096];
    const uint64_t size_bytes = model->constants[constant].size_bytes;
    for (uint64_t at = 0; at < size_bytes; at += sizeof block) {
        const uint64_t left = size_bytes - at;
        const uint64_t piece = left < sizeof block ? left : sizeof block;
        const tn_status status = tni_constant_read(model, constant, at, piece, block, error);
        if (status != TN_OK) {
            return status;
        }
        tni_digest_update(digest, block, piece);
    }
    return TN_OK;
}

// A recipe is what it is made of; reading it would cost the computation. Sources have smaller
// indices, so the recursion ends; folding keeps chains short.
static tn_status digest_recipe(tni_model *model, const tni_recipe *recipe, tni_digest *digest,
                               tn_error *error) {
    tni_digest_update(digest, &recipe->kind, sizeof recipe->kind);
    tni_digest_update(digest, &recipe->axis, sizeof recipe->axis);
    tni_digest_update(digest, &recipe->block, sizeof recipe->block);
    tni_digest_update(digest, recipe->perm, sizeof recipe->perm);
    tni_digest_update(digest, &recipe->epsilon, sizeof recipe->epsilon);
    for (uint32_t i = 0; i < TNI_RECIPE_MAX_SOURCES; i++) {
        uint8_t hash[TNI_DIGEST_BYTES] = {0};
        if (recipe->sources[i] != TN_NONE) {
            const tn_status status = tni_constant_hash(model, recipe->sources[i], hash, error);
            if (status != TN_OK) {
                return status;
            }
        }
        tni_digest_update(digest, hash, sizeof hash);
    }
    return TN_OK;
}

tn_status tni_constant_hash(tni_model *model, uint32_t constant, uint8_t out_hash[TNI_DIGEST_BYTES],
                            tn_error *error) {
    const tni_constant *record = find_constant(model, constant, error);
    if (record == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    tni_mutex_lock(&model->lock);
    const bool known = record->hashed;
    if (known) {
        memcpy(out_hash, record->content_hash, TNI_DIGEST_BYTES);
    }
    tni_mutex_unlock(&model->lock);
    if (known) {
        return TN_OK;
    }
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, &record->dtype, sizeof record->dtype);
    tni_digest_update(&digest, &record->rank, sizeof record->rank);
    tni_digest_update(&digest, record->dims, record->rank * sizeof *record->dims);
    const tn_status status = record->kind == TNI_CONSTANT_RECIPE
                                 ? digest_recipe(model, record->recipe, &digest, error)
                                 : digest_content(model, constant, &digest, error);
    if (status != TN_OK) {
        return status;
    }
    tni_digest_final(&digest, out_hash);
    // Two threads may both have computed it; they store the same bytes.
    tni_mutex_lock(&model->lock);
    memcpy(model->constants[constant].content_hash, out_hash, TNI_DIGEST_BYTES);
    model->constants[constant].hashed = true;
    tni_mutex_unlock(&model->lock);
    return TN_OK;
}

static int64_t integer_at(const uint8_t *bytes, tn_dtype dtype) {
    int64_t wide = 0;
    int32_t word = 0;
    uint32_t natural = 0;
    int16_t half = 0;
    uint16_t natural_half = 0;
    switch (dtype) {
    case TN_DTYPE_INT64:
        memcpy(&wide, bytes, sizeof wide);
        return wide;
    case TN_DTYPE_INT32:
        memcpy(&word, bytes, sizeof word);
        return word;
    case TN_DTYPE_UINT32:
        memcpy(&natural, bytes, sizeof natural);
        return natural;
    case TN_DTYPE_INT16:
        memcpy(&half, bytes, sizeof half);
        return half;
    case TN_DTYPE_UINT16:
        memcpy(&natural_half, bytes, sizeof natural_half);
        return natural_half;
    case TN_DTYPE_INT8:
        return bytes[0] < 128 ? bytes[0] : (int64_t)bytes[0] - 256;
    default:
        return bytes[0];
    }
}

tn_status tni_constant_ints(const tni_model *model, uint32_t constant, int64_t *out_values,
                            uint32_t capacity, uint32_t *out_count, tn_error *error) {
    const tni_constant *record = find_constant(model, constant, error);
    *out_count = 0;
    if (record == NULL) {
        return TN_ERROR_NOT_FOUND;
    }
    const uint32_t bits = tni_dtype_bits(record->dtype);
    const bool readable =
        (tni_dtype_is_integer(record->dtype) && bits >= 8 && record->dtype != TN_DTYPE_UINT64) ||
        record->dtype == TN_DTYPE_BOOL;
    if (!readable || record->element_count > capacity) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "model.constant-not-ints",
                        "constant %u: %llu elements of %s are no small integer list", constant,
                        (unsigned long long)record->element_count, tni_dtype_name(record->dtype));
    }
    const uint64_t item_bytes = bits / 8;
    for (uint64_t i = 0; i < record->element_count; i++) {
        uint8_t bytes[8] = {0};
        const tn_status status =
            tni_constant_read(model, constant, i * item_bytes, item_bytes, bytes, error);
        if (status != TN_OK) {
            return status;
        }
        out_values[i] = integer_at(bytes, record->dtype);
    }
    *out_count = (uint32_t)record->element_count;
    return TN_OK;
}
