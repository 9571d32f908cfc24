// SPDX-License-Identifier: Apache-2.0
// Computing recipes, a block of elements at a time. Formulas: DequantizeLinear is (x - zero) *
// scale in binary32; a folded BatchNormalization scales channel c of the weight by gamma[c] /
// sqrt(variance[c] + epsilon) and turns the bias into (bias[c] - mean[c]) * that + beta[c], in
// binary64, rounded once.
#include "graph/recipe.h"

#include "base/dtype.h"
#include "base/error.h"
#include "graph/elements.h"
#include "graph/graph.h"

#include <math.h>
#include <string.h>

#define BLOCK_ELEMENTS ((uint64_t)1024)
#define BLOCK_BYTES (BLOCK_ELEMENTS * 8)

// One read in progress. table holds what every element of a channel shares.
typedef struct {
    const tni_model *model;
    const tni_constant *constant;
    const tni_recipe *recipe;
    double *values;  // BLOCK_ELEMENTS
    uint8_t *packed; // BLOCK_BYTES
    double *table;   // table_count
    uint64_t table_count;
    tn_error *error;
} reading;

bool tni_recipe_castable(tn_dtype from, tn_dtype to) {
    return tni_elements_decodable(from) && tni_elements_encodable(to);
}

// The channel of an element along the recipe's axis.
static uint64_t channel_of(const reading *r, uint64_t element, uint64_t inner) {
    return element / inner % (uint64_t)r->constant->dims[r->recipe->axis];
}

static uint64_t inner_of(const reading *r) {
    uint64_t inner = 1;
    for (uint32_t i = r->recipe->axis + 1; i < r->constant->rank; i++) {
        inner *= (uint64_t)r->constant->dims[i];
    }
    return inner;
}

static uint64_t count_of(const reading *r, uint32_t source) {
    return r->model->constants[r->recipe->sources[source]].element_count;
}

static tn_status read_source(const reading *r, uint32_t source, uint64_t first, uint64_t count,
                             double *out) {
    return tni_elements_read(r->model, r->recipe->sources[source], first, count, out, r->error);
}

// table: scales, then zero points.
static tn_status prepare_dequantize(reading *r) {
    const uint64_t scales = count_of(r, 1);
    tn_status status = read_source(r, 1, 0, scales, r->table);
    if (status == TN_OK && r->recipe->sources[2] != TN_NONE) {
        status = read_source(r, 2, 0, scales, r->table + scales);
    }
    return status;
}

// table: the factor of every channel, with the variance behind it as scratch.
static tn_status prepare_factors(reading *r, uint32_t gamma, uint32_t variance) {
    const uint64_t channels = count_of(r, gamma);
    tn_status status = read_source(r, gamma, 0, channels, r->table);
    if (status == TN_OK) {
        status = read_source(r, variance, 0, channels, r->table + channels);
    }
    for (uint64_t i = 0; i < channels && status == TN_OK; i++) {
        r->table[i] /= sqrt(r->table[channels + i] + r->recipe->epsilon);
    }
    return status;
}

static tn_status prepare(reading *r) {
    switch (r->recipe->kind) {
    case TNI_RECIPE_DEQUANTIZE:
        return prepare_dequantize(r);
    case TNI_RECIPE_BN_WEIGHT:
        return prepare_factors(r, 1, 2);
    case TNI_RECIPE_BN_BIAS:
        return prepare_factors(r, 1, 4);
    case TNI_RECIPE_CAST:
    case TNI_RECIPE_TRANSPOSE:
        break;
    }
    return TN_OK;
}

static uint64_t table_count(const reading *r) {
    switch (r->recipe->kind) {
    case TNI_RECIPE_DEQUANTIZE:
    case TNI_RECIPE_BN_WEIGHT:
    case TNI_RECIPE_BN_BIAS:
        return count_of(r, 1) * 2;
    case TNI_RECIPE_CAST:
    case TNI_RECIPE_TRANSPOSE:
        break;
    }
    return 0;
}

// Elements from here on that share the channel, at most left.
static uint64_t run_of(uint64_t element, uint64_t inner, uint64_t left) {
    const uint64_t run = inner - element % inner;
    return run < left ? run : left;
}

// Every element has a scale of its own: that of its block along the axis.
static void apply_blocks(const reading *r, uint64_t first, uint64_t count) {
    const uint64_t scales = r->table_count / 2;
    const uint64_t inner = inner_of(r);
    const uint64_t size = (uint64_t)r->constant->dims[r->recipe->axis];
    const uint64_t block = r->recipe->block;
    const uint64_t blocks = (size + block - 1) / block;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t element = first + i;
        const uint64_t outer = element / inner / size;
        const uint64_t at =
            (outer * blocks + channel_of(r, element, inner) / block) * inner + element % inner;
        const float difference = (float)(r->values[i] - r->table[scales + at]);
        r->values[i] = (double)(difference * (float)r->table[at]);
    }
}

static void apply_dequantize(const reading *r, uint64_t first, uint64_t count) {
    const uint64_t scales = r->table_count / 2;
    if (r->recipe->block != 0) {
        apply_blocks(r, first, count);
        return;
    }
    const uint64_t inner = scales > 1 ? inner_of(r) : r->constant->element_count;
    for (uint64_t at = 0; at < count;) {
        const uint64_t channel = scales > 1 ? channel_of(r, first + at, inner) : 0;
        const double zero = r->table[scales + channel];
        const float scale = (float)r->table[channel];
        const uint64_t end = at + run_of(first + at, inner, count - at);
        for (; at < end; at++) {
            // The difference of integers of at most 32 bits is exact before it is rounded here.
            const float difference = (float)(r->values[at] - zero);
            r->values[at] = (double)(difference * scale);
        }
    }
}

static void apply_bn_weight(const reading *r, uint64_t first, uint64_t count) {
    const uint64_t inner = inner_of(r);
    for (uint64_t at = 0; at < count;) {
        const double factor = r->table[channel_of(r, first + at, inner)];
        const uint64_t end = at + run_of(first + at, inner, count - at);
        for (; at < end; at++) {
            r->values[at] *= factor;
        }
    }
}

static tn_status apply_bn_bias(const reading *r, uint64_t first, uint64_t count) {
    double mean[64];
    double beta[64];
    for (uint64_t at = 0; at < count; at += 64) {
        const uint64_t piece = count - at < 64 ? count - at : 64;
        tn_status status = read_source(r, 3, first + at, piece, mean);
        if (status == TN_OK) {
            status = read_source(r, 2, first + at, piece, beta);
        }
        if (status != TN_OK) {
            return status;
        }
        for (uint64_t i = 0; i < piece; i++) {
            const double factor = r->table[first + at + i];
            r->values[at + i] = (r->values[at + i] - mean[i]) * factor + beta[i];
        }
    }
    return TN_OK;
}

// Fills packed with elements [first, first + count).
static tn_status compute_block(const reading *r, uint64_t first, uint64_t count) {
    tn_status status = TN_OK;
    if (r->recipe->sources[0] == TN_NONE) {
        memset(r->values, 0, (size_t)(count * sizeof *r->values));
    } else {
        status = read_source(r, 0, first, count, r->values);
    }
    if (status != TN_OK) {
        return status;
    }
    if (r->recipe->kind == TNI_RECIPE_DEQUANTIZE) {
        apply_dequantize(r, first, count);
    } else if (r->recipe->kind == TNI_RECIPE_BN_WEIGHT) {
        apply_bn_weight(r, first, count);
    } else if (r->recipe->kind == TNI_RECIPE_BN_BIAS) {
        status = apply_bn_bias(r, first, count);
    }
    if (status == TN_OK) {
        tni_elements_encode(r->constant->dtype, r->values, count, r->packed);
    }
    return status;
}

static tn_status stream(const reading *r, uint64_t offset_bytes, uint64_t size_bytes,
                        uint8_t *destination) {
    const uint64_t item_bytes = tni_dtype_bits(r->constant->dtype) / 8;
    while (size_bytes > 0) {
        const uint64_t first = offset_bytes / item_bytes;
        const uint64_t skipped = offset_bytes % item_bytes;
        const uint64_t left = r->constant->element_count - first;
        const uint64_t count = left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS;
        const tn_status status = compute_block(r, first, count);
        if (status != TN_OK) {
            return status;
        }
        uint64_t piece = count * item_bytes - skipped;
        piece = piece < size_bytes ? piece : size_bytes;
        memcpy(destination, r->packed + skipped, (size_t)piece);
        destination += piece;
        offset_bytes += piece;
        size_bytes -= piece;
    }
    return TN_OK;
}

static tn_status read_elementwise(const tni_model *model, const tni_constant *constant,
                                  uint64_t offset_bytes, uint64_t size_bytes, void *destination,
                                  tn_error *error) {
    reading r = {.model = model, .constant = constant, .recipe = constant->recipe, .error = error};
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    r.table_count = table_count(&r);
    r.values = tni_alloc_array(&model->alloc, BLOCK_ELEMENTS, sizeof *r.values);
    r.packed = tni_alloc_array(&model->alloc, BLOCK_BYTES, 1);
    r.table = tni_alloc_array(&model->alloc, r.table_count + 1, sizeof *r.table);
    if (r.values == NULL || r.packed == NULL || r.table == NULL) {
        status = tni_fail_plain(error, status, "scratch for a derived constant");
        goto done;
    }
    status = prepare(&r);
    if (status == TN_OK) {
        status = stream(&r, offset_bytes, size_bytes, destination);
    }
done:
    tni_free_array(&model->alloc, r.table, r.table_count + 1, sizeof *r.table);
    tni_free_array(&model->alloc, r.packed, BLOCK_BYTES, 1);
    tni_free_array(&model->alloc, r.values, BLOCK_ELEMENTS, sizeof *r.values);
    return status;
}

// Walks the output in order and gathers whole elements from the source's bytes.
static void gather(const tni_constant *out, const tni_constant *in, const uint8_t *source,
                   uint64_t offset_bytes, uint64_t size_bytes, uint8_t *destination) {
    const uint64_t item_bytes = tni_dtype_bits(out->dtype) / 8;
    uint64_t in_strides[TN_MAX_RANK];
    uint64_t strides[TN_MAX_RANK];
    uint64_t index[TN_MAX_RANK];
    uint64_t stride = 1;
    for (uint32_t i = in->rank; i-- > 0;) {
        in_strides[i] = stride;
        stride *= (uint64_t)in->dims[i];
    }
    uint64_t element = offset_bytes / item_bytes;
    uint64_t skipped = offset_bytes % item_bytes;
    uint64_t at = 0;
    for (uint32_t i = out->rank; i-- > 0;) {
        strides[i] = in_strides[out->recipe->perm[i]];
        index[i] = element % (uint64_t)out->dims[i];
        element /= (uint64_t)out->dims[i];
        at += index[i] * strides[i];
    }
    while (size_bytes > 0) {
        const uint64_t whole = item_bytes - skipped;
        const uint64_t piece = whole < size_bytes ? whole : size_bytes;
        memcpy(destination, source + at * item_bytes + skipped, (size_t)piece);
        destination += piece;
        size_bytes -= piece;
        skipped = 0;
        for (uint32_t i = out->rank; i-- > 0;) {
            at += strides[i];
            if (++index[i] < (uint64_t)out->dims[i]) {
                break;
            }
            at -= index[i] * strides[i];
            index[i] = 0;
        }
    }
}

static tn_status read_transpose(const tni_model *model, const tni_constant *constant,
                                uint64_t offset_bytes, uint64_t size_bytes, void *destination,
                                tn_error *error) {
    const uint32_t source = constant->recipe->sources[0];
    const tni_constant *in = &model->constants[source];
    const void *mapped = NULL;
    uint64_t mapped_bytes = 0;
    if (in->kind != TNI_CONSTANT_RECIPE) {
        const tn_status status = tni_constant_map(model, source, &mapped, &mapped_bytes, error);
        if (status == TN_OK) {
            gather(constant, in, mapped, offset_bytes, size_bytes, destination);
        }
        return status;
    }
    uint8_t *whole = tni_alloc_bytes(&model->alloc, in->size_bytes, TNI_ALIGNMENT);
    if (whole == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "source of a transposed constant");
    }
    const tn_status status = tni_constant_read(model, source, 0, in->size_bytes, whole, error);
    if (status == TN_OK) {
        gather(constant, in, whole, offset_bytes, size_bytes, destination);
    }
    tni_free(&model->alloc, whole, in->size_bytes);
    return status;
}

tn_status tni_recipe_read(const tni_model *model, const tni_constant *constant,
                          uint64_t offset_bytes, uint64_t size_bytes, void *destination,
                          tn_error *error) {
    if (constant->recipe->kind == TNI_RECIPE_TRANSPOSE) {
        return read_transpose(model, constant, offset_bytes, size_bytes, destination, error);
    }
    return read_elementwise(model, constant, offset_bytes, size_bytes, destination, error);
}
