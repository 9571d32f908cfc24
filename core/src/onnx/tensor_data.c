// SPDX-License-Identifier: Apache-2.0
// Typed data of tensors. Counting comes first, so that nothing is allocated for elements that are
// not there.
#include "onnx/tensor_data.h"

#include "base/checked.h"
#include "base/dtype.h"

#include <string.h>

static tni_wire_type item_type(uint32_t field) {
    switch (field) {
    case TNI_TENSOR_FLOAT_DATA:
        return TNI_WIRE_FIXED32;
    case TNI_TENSOR_DOUBLE_DATA:
        return TNI_WIRE_FIXED64;
    case TNI_TENSOR_RAW_DATA:
    case TNI_TENSOR_STRING_DATA:
        return TNI_WIRE_BYTES;
    default:
        return TNI_WIRE_VARINT;
    }
}

// Items in a packed run; latches an error when it is not a whole number of them.
static uint64_t packed_items(tni_importer *in, const tni_field *field) {
    const uint64_t size_bytes = tni_bytes_size(field->bytes);
    const tni_wire_type type = item_type(field->number);
    uint64_t count = 0;
    if (type == TNI_WIRE_VARINT) {
        // Every varint has exactly one byte without the continuation bit.
        for (const uint8_t *at = field->bytes.at; at < field->bytes.end; at++) {
            count += *at < 0x80 ? 1 : 0;
        }
        return count;
    }
    const uint64_t item_bytes = type == TNI_WIRE_FIXED64 ? 8 : 4;
    if (size_bytes % item_bytes != 0) {
        tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.packed-size", field->at,
                      "%llu packed bytes are no whole number of elements",
                      (unsigned long long)size_bytes);
    }
    return size_bytes / item_bytes;
}

tn_status tni_tensor_count_data(tni_importer *in, tni_tensor *tensor, const tni_field *field) {
    const tni_wire_type type = item_type(field->number);
    if (tensor->data_field != 0 && tensor->data_field != field->number) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.data-twice", field->at,
                             "data in field %u and in field %u", tensor->data_field, field->number);
    }
    const bool first = tensor->data_field == 0;
    tensor->data_field = field->number;
    if (type == TNI_WIRE_BYTES) {
        if (!tni_wire_expect(&in->wire, field, TNI_WIRE_BYTES)) {
            return in->wire.status;
        }
        if (field->number == TNI_TENSOR_RAW_DATA && !first) {
            return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.data-twice", field->at,
                                 "raw data twice");
        }
        tensor->data_items += 1;
    } else if (field->type == TNI_WIRE_BYTES) {
        tensor->data_items += packed_items(in, field);
    } else if (tni_wire_expect(&in->wire, field, type)) {
        tensor->data_items += 1;
    }
    tensor->one_chunk = first && field->type == TNI_WIRE_BYTES;
    tensor->only_chunk = field->bytes;
    return in->wire.status;
}

uint32_t tni_tensor_field_of(tn_dtype dtype) {
    switch (dtype) {
    case TN_DTYPE_FLOAT:
    case TN_DTYPE_COMPLEX64:
        return TNI_TENSOR_FLOAT_DATA;
    case TN_DTYPE_DOUBLE:
    case TN_DTYPE_COMPLEX128:
        return TNI_TENSOR_DOUBLE_DATA;
    case TN_DTYPE_INT64:
        return TNI_TENSOR_INT64_DATA;
    case TN_DTYPE_UINT32:
    case TN_DTYPE_UINT64:
        return TNI_TENSOR_UINT64_DATA;
    case TN_DTYPE_STRING:
        return TNI_TENSOR_STRING_DATA;
    default:
        return TNI_TENSOR_INT32_DATA;
    }
}

uint64_t tni_tensor_items_of(const tni_tensor *tensor) {
    if (tensor->dtype == TN_DTYPE_STRING) {
        return tensor->element_count;
    }
    const uint32_t bits = tni_dtype_bits(tensor->dtype);
    if (bits < 8) {
        return tensor->size_bytes;
    }
    if (tensor->dtype == TN_DTYPE_COMPLEX64 || tensor->dtype == TN_DTYPE_COMPLEX128) {
        return tensor->element_count * 2;
    }
    return tensor->element_count;
}

// Stores the low bytes of one item.
static void store(uint8_t *destination, uint64_t index, uint64_t item_bytes, uint64_t value) {
    memcpy(destination + index * item_bytes, &value, (size_t)item_bytes);
}

static uint64_t stored_bytes(const tni_tensor *tensor) {
    const uint32_t bits = tni_dtype_bits(tensor->dtype);
    switch (tni_tensor_field_of(tensor->dtype)) {
    case TNI_TENSOR_FLOAT_DATA:
        return 4;
    case TNI_TENSOR_DOUBLE_DATA:
        return 8;
    default:
        return bits < 8 ? 1 : bits / 8;
    }
}

static uint64_t decode_packed(tni_importer *in, const tni_field *field, uint64_t item_bytes,
                              uint64_t index, uint8_t *destination) {
    uint64_t value = 0;
    tni_bytes packed = field->bytes;
    if (item_type(field->number) != TNI_WIRE_VARINT) {
        const uint64_t size_bytes = tni_bytes_size(packed);
        if (size_bytes > 0) {
            memcpy(destination + index * item_bytes, packed.at, (size_t)size_bytes);
        }
        return index + size_bytes / item_bytes;
    }
    while (tni_wire_varint(&in->wire, &packed, &value)) {
        store(destination, index++, item_bytes, value);
    }
    return index;
}

tn_status tni_tensor_decode(tni_importer *in, const tni_tensor *tensor, uint8_t *destination) {
    const uint64_t item_bytes = stored_bytes(tensor);
    tni_bytes message = tensor->message;
    tni_field field;
    uint64_t index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != tensor->data_field) {
            continue;
        }
        if (field.type == TNI_WIRE_BYTES) {
            index = decode_packed(in, &field, item_bytes, index, destination);
        } else {
            store(destination, index++, item_bytes, field.value);
        }
    }
    return in->wire.status;
}

// Total bytes of the texts; latches when the sum is absurd.
static tn_status text_bytes(tni_importer *in, const tni_tensor *tensor, uint64_t *out_bytes) {
    tni_bytes message = tensor->message;
    tni_field field;
    *out_bytes = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == TNI_TENSOR_STRING_DATA) {
            *out_bytes += tni_bytes_size(field.bytes);
        }
    }
    return in->wire.status;
}

tn_status tni_tensor_add_strings(tni_importer *in, const tni_tensor *tensor,
                                 uint32_t *out_constant) {
    uint64_t characters = 0;
    if (text_bytes(in, tensor, &characters) != TN_OK) {
        return in->wire.status;
    }
    // The counts were checked against the fields present, so neither sum can overflow.
    const uint64_t offsets_bytes = (tensor->element_count + 1) * sizeof(uint64_t);
    const tni_constant_info info = {.dtype = TN_DTYPE_STRING,
                                    .rank = tensor->rank,
                                    .dims = tensor->dims,
                                    .kind = TNI_CONSTANT_OWNED,
                                    .size_bytes = offsets_bytes + characters};
    const tn_status status = tni_model_add_constant(in->model, &info, out_constant);
    if (status != TN_OK) {
        return tni_import_plain(in, status, tensor->at, "string tensor");
    }
    // The block was made here, zeroed, a moment ago: it is ours to fill.
    uint8_t *block = (uint8_t *)(uintptr_t)in->model->constants[*out_constant].bytes;
    tni_bytes message = tensor->message;
    tni_field field;
    uint64_t end = 0;
    uint64_t index = 1;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == TNI_TENSOR_STRING_DATA) {
            const uint64_t size_bytes = tni_bytes_size(field.bytes);
            if (size_bytes > 0) {
                memcpy(block + offsets_bytes + end, field.bytes.at, (size_t)size_bytes);
            }
            end += size_bytes;
            store(block, index++, sizeof end, end);
        }
    }
    return in->wire.status;
}
