// SPDX-License-Identifier: Apache-2.0
// What the pass knows of elements: constants, what the host read of a region's inputs, and small
// integer tensors that rules follow by value.
#include "base/dtype.h"
#include "base/error.h"
#include "graph/elements.h"
#include "graph/shape/infer.h"

#include <string.h>

// Reads the elements of an int64 or int32 tensor that the host holds. TN_ERROR_UNSUPPORTED another
// type, or too many.
static tn_status read_data(const tni_fact *fact, int64_t *out_values, uint32_t *out_count) {
    uint32_t width = fact->dtype == TN_DTYPE_INT64 ? 8 : fact->dtype == TN_DTYPE_INT32 ? 4 : 0;
    uint64_t count = width > 0 ? fact->data_bytes / width : 0;
    if (width == 0 || count > TNI_MAX_ELEMENTS) {
        return TN_ERROR_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t narrow = 0;
        if (width == 8) {
            memcpy(&out_values[i], (const uint8_t *)fact->data + 8 * i, 8);
        } else {
            memcpy(&narrow, (const uint8_t *)fact->data + 4 * i, 4);
            out_values[i] = narrow;
        }
    }
    *out_count = (uint32_t)count;
    return TN_OK;
}

// Reads a small integer constant, or what the host read for us, into its fact.
static tn_status look_up(tni_inference *in, tni_fact *fact, uint32_t constant) {
    int64_t values[TNI_MAX_ELEMENTS];
    uint32_t count = 0;
    tn_status status = TN_OK;
    fact->looked_up = true;
    if (fact->rank > 1) {
        return TN_OK;
    }
    if (constant == TN_NONE) {
        status = read_data(fact, values, &count);
    } else {
        status =
            tni_constant_ints(in->model, constant, values, TNI_MAX_ELEMENTS, &count, in->error);
    }
    if (status == TN_ERROR_UNSUPPORTED) {
        return TN_OK;
    }
    if (status == TN_OK) {
        status =
            tni_arena_array(&in->arena, count, sizeof *fact->elements, 8, (void **)&fact->elements);
        status = status == TN_OK ? TN_OK : tni_fail_plain(in->error, status, "shape inference");
    }
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        fact->elements[i] = tni_element_of(values[i]);
    }
    fact->element_count = count;
    return status;
}

tn_status tni_in_elements(tni_inference *in, uint32_t index, const tni_element **out_elements,
                          uint32_t *out_count) {
    const uint32_t value = tni_model_resolve(in->model, tni_node_input(in->node, index));
    *out_elements = NULL;
    *out_count = 0;
    if (value == TN_NONE) {
        return TN_OK;
    }
    tni_fact *fact = &in->facts[value];
    const uint32_t constant = in->model->values[value].constant;
    if ((constant != TN_NONE || fact->data != NULL) && !fact->looked_up) {
        const tn_status status = look_up(in, fact, constant);
        if (status != TN_OK) {
            return status;
        }
    }
    *out_elements = fact->elements;
    *out_count = fact->element_count;
    return TN_OK;
}

tn_status tni_in_vector(tni_inference *in, uint32_t index, tni_element *out_elements,
                        uint32_t *out_count, bool *out_known) {
    const tni_element *elements = NULL;
    const tn_status status = tni_in_elements(in, index, &elements, out_count);
    *out_known = status == TN_OK && elements != NULL;
    if (*out_known && *out_count > 0) {
        memcpy(out_elements, elements, *out_count * sizeof *elements);
    }
    if (status != TN_OK || *out_known) {
        return status;
    }
    *out_count = 0;
    const tni_fact *fact = tni_in(in, index);
    if (fact != NULL && fact->rank == 1 && fact->dims[0].size >= 0 &&
        fact->dims[0].size <= TNI_MAX_ELEMENTS) {
        *out_known = true;
        *out_count = (uint32_t)fact->dims[0].size;
    }
    for (uint32_t i = 0; i < *out_count; i++) {
        out_elements[i] = tni_element_unknown();
    }
    return TN_OK;
}

// The bytes behind an input when it is short enough, else null. buffer has room for 8 a number.
static tn_status find_bytes(tni_inference *in, uint32_t index, uint32_t capacity, uint8_t *buffer,
                            const uint8_t **out_bytes, uint64_t *out_size) {
    const uint32_t value = tni_model_resolve(in->model, tni_node_input(in->node, index));
    *out_bytes = NULL;
    if (value == TN_NONE) {
        return TN_OK;
    }
    const tni_fact *fact = &in->facts[value];
    const uint32_t constant = in->model->values[value].constant;
    if (constant == TN_NONE) {
        *out_bytes = fact->data;
        *out_size = fact->data_bytes;
        return TN_OK;
    }
    *out_size = in->model->constants[constant].size_bytes;
    if (*out_size == 0 || *out_size > 8 * (uint64_t)capacity) {
        return TN_OK;
    }
    *out_bytes = buffer;
    return tni_constant_read(in->model, constant, 0, *out_size, buffer, in->error);
}

tn_status tni_in_numbers(tni_inference *in, uint32_t index, double *out_values, uint32_t capacity,
                         uint32_t *out_count) {
    uint8_t buffer[8 * TN_MAX_RANK];
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    const tn_dtype dtype = tni_in_dtype(in, index);
    const uint32_t bits = tni_dtype_bits(dtype);
    *out_count = 0;
    if (bits < 8 || capacity > TN_MAX_RANK) {
        return TN_OK;
    }
    const tn_status status = find_bytes(in, index, capacity, buffer, &bytes, &size);
    const uint64_t count = size / (bits / 8);
    if (status != TN_OK || bytes == NULL || count > capacity) {
        return status;
    }
    if (tni_elements_decodable(dtype)) {
        tni_elements_decode(dtype, bytes, 0, count, out_values);
        *out_count = (uint32_t)count;
    } else if (dtype == TN_DTYPE_INT64) {
        for (uint64_t i = 0; i < count; i++) {
            int64_t number = 0;
            memcpy(&number, bytes + 8 * i, sizeof number);
            out_values[i] = (double)number;
        }
        *out_count = (uint32_t)count;
    }
    return TN_OK;
}
