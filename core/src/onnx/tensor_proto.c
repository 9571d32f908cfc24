// SPDX-License-Identifier: Apache-2.0
// TensorProto to constant. Raw data, and typed data in one packed run of the right width, stay
// where they are in the file; everything else is decoded.
#include "base/checked.h"
#include "base/dtype.h"
#include "onnx/tensor_data.h"

#include <string.h>

static tn_status add_dim(tni_importer *in, tni_tensor *tensor, uint64_t value, const uint8_t *at) {
    if (tensor->rank >= in->limits.rank) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.tensor-rank", at,
                             "rank above %u", in->limits.rank);
    }
    if (value > (uint64_t)INT64_MAX) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.tensor-dim", at,
                             "dimension %u is negative", tensor->rank);
    }
    tensor->dims[tensor->rank++] = (int64_t)value;
    return TN_OK;
}

static tn_status read_dims(tni_importer *in, tni_tensor *tensor, const tni_field *field) {
    uint64_t value = 0;
    if (!tni_wire_expect_numbers(&in->wire, field, TNI_WIRE_VARINT)) {
        return in->wire.status;
    }
    if (field->type == TNI_WIRE_VARINT) {
        return add_dim(in, tensor, field->value, field->at);
    }
    tni_bytes packed = field->bytes;
    tni_wire_enter(&in->wire, "dims", TN_NONE);
    while (tni_wire_varint(&in->wire, &packed, &value)) {
        if (add_dim(in, tensor, value, field->at) != TN_OK) {
            return in->wire.status;
        }
    }
    tni_wire_leave(&in->wire);
    return in->wire.status;
}

static tn_status read_number(tni_importer *in, tn_string text, const uint8_t *at,
                             uint64_t *out_value) {
    uint64_t value = 0;
    bool good = text.size_bytes > 0;
    for (uint64_t i = 0; i < text.size_bytes && good; i++) {
        const uint32_t digit = (uint32_t)((uint8_t)text.data[i]) - '0';
        good = digit <= 9 && tni_mul_u64(value, 10, &value) && tni_add_u64(value, digit, &value);
    }
    *out_value = value;
    if (!good) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.external-number", at,
                             "'%.*s' is no number of bytes", TNI_TEXT(text));
    }
    return TN_OK;
}

// One StringStringEntryProto of external_data.
static tn_status read_external(tni_importer *in, tni_tensor *tensor, const tni_field *entry) {
    tni_bytes message = entry->bytes;
    tni_field field;
    tn_string key = {NULL, 0};
    tn_string value = {NULL, 0};
    if (!tni_wire_expect(&in->wire, entry, TNI_WIRE_BYTES)) {
        return in->wire.status;
    }
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == 1 || field.number == 2) {
            tni_import_name(in, &field, field.number == 1 ? &key : &value);
        }
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    tensor->external.at = entry->at;
    if (tni_string_is(key, "location")) {
        tensor->external.location = value;
    } else if (tni_string_is(key, "offset")) {
        return read_number(in, value, entry->at, &tensor->external.offset_bytes);
    } else if (tni_string_is(key, "length")) {
        tensor->external.has_length = true;
        return read_number(in, value, entry->at, &tensor->external.length_bytes);
    }
    return TN_OK;
}

static tn_status read_field(tni_importer *in, tni_tensor *tensor, const tni_field *field) {
    switch (field->number) {
    case 1:
        return read_dims(in, tensor, field);
    case 2:
        if (tni_wire_expect(&in->wire, field, TNI_WIRE_VARINT)) {
            tensor->dtype = field->value < TN_DTYPE_COUNT ? (tn_dtype)field->value : TN_DTYPE_COUNT;
        }
        return in->wire.status;
    case 3:
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.tensor-segment", field->at,
                             "segmented tensors are not supported");
    case TNI_TENSOR_FLOAT_DATA:
    case TNI_TENSOR_INT32_DATA:
    case TNI_TENSOR_STRING_DATA:
    case TNI_TENSOR_INT64_DATA:
    case TNI_TENSOR_RAW_DATA:
    case TNI_TENSOR_DOUBLE_DATA:
    case TNI_TENSOR_UINT64_DATA:
        return tni_tensor_count_data(in, tensor, field);
    case 8:
        return tni_import_name(in, field, &tensor->name);
    case 13:
        return read_external(in, tensor, field);
    case 14:
        if (tni_wire_expect(&in->wire, field, TNI_WIRE_VARINT)) {
            tensor->is_external = field->value == 1;
        }
        return in->wire.status;
    default:
        return in->wire.status;
    }
}

static tn_status check_size(tni_importer *in, tni_tensor *tensor) {
    const bool text = tensor->dtype == TN_DTYPE_STRING;
    if (!tni_dtype_known(tensor->dtype)) {
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.tensor-dtype", tensor->at,
                             "tensor '%.*s' has no element type this build knows",
                             TNI_TEXT(tensor->name));
    }
    if (!tni_count_of_dims(tensor->dims, tensor->rank, &tensor->element_count) ||
        (!text &&
         !tni_size_of_elements(tensor->dtype, tensor->element_count, &tensor->size_bytes))) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.tensor-overflow", tensor->at,
                             "the dimensions of '%.*s' overflow", TNI_TEXT(tensor->name));
    }
    if (tensor->size_bytes > in->limits.tensor_bytes) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.tensor-size", tensor->at,
                             "tensor '%.*s' has %llu bytes, the limit is %llu",
                             TNI_TEXT(tensor->name), (unsigned long long)tensor->size_bytes,
                             (unsigned long long)in->limits.tensor_bytes);
    }
    return TN_OK;
}

// Whether the amount of data fits the dimensions.
static tn_status check_data(tni_importer *in, const tni_tensor *tensor) {
    const uint64_t items = tni_tensor_items_of(tensor);
    if (tensor->data_field == TNI_TENSOR_RAW_DATA) {
        const uint64_t raw_bytes = tni_bytes_size(tensor->only_chunk);
        if (tensor->dtype == TN_DTYPE_STRING || raw_bytes != tensor->size_bytes) {
            return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.raw-size", tensor->at,
                                 "tensor '%.*s' of %s has %llu raw bytes, its dimensions need %llu",
                                 TNI_TEXT(tensor->name), tni_dtype_name(tensor->dtype),
                                 (unsigned long long)raw_bytes,
                                 (unsigned long long)tensor->size_bytes);
        }
        return TN_OK;
    }
    if (tensor->data_field != 0 && tensor->data_field != tni_tensor_field_of(tensor->dtype)) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.data-field", tensor->at,
                             "tensor '%.*s' of %s has its data in field %u", TNI_TEXT(tensor->name),
                             tni_dtype_name(tensor->dtype), tensor->data_field);
    }
    if (tensor->data_items != items) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.data-count", tensor->at,
                             "tensor '%.*s' has %llu data elements, its dimensions need %llu",
                             TNI_TEXT(tensor->name), (unsigned long long)tensor->data_items,
                             (unsigned long long)items);
    }
    return TN_OK;
}

static bool in_place(const tni_tensor *tensor) {
    if (tensor->data_field == TNI_TENSOR_RAW_DATA) {
        return true;
    }
    return tensor->one_chunk && (tensor->data_field == TNI_TENSOR_FLOAT_DATA ||
                                 tensor->data_field == TNI_TENSOR_DOUBLE_DATA);
}

static tn_status add_constant(tni_importer *in, const tni_tensor *tensor, tni_constant_info *info,
                              uint32_t *out_constant) {
    info->dtype = tensor->dtype;
    info->rank = tensor->rank;
    info->dims = tensor->dims;
    info->size_bytes = tensor->size_bytes;
    const tn_status status = tni_model_add_constant(in->model, info, out_constant);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, tensor->at, "tensor");
}

static tn_status add_external(tni_importer *in, const tni_tensor *tensor, uint32_t *out_constant) {
    tni_constant_info info = {.kind = TNI_CONSTANT_RAW,
                              .offset_bytes = tensor->external.offset_bytes};
    if (tensor->dtype == TN_DTYPE_STRING || tensor->data_field != 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.external-data", tensor->at,
                             "tensor '%.*s' is external but of strings, or has data of its own",
                             TNI_TEXT(tensor->name));
    }
    if (tni_import_external(in, &tensor->external, tensor->size_bytes, &info.source) != TN_OK) {
        return in->wire.status;
    }
    return add_constant(in, tensor, &info, out_constant);
}

static tn_status add_tensor(tni_importer *in, const tni_tensor *tensor, uint32_t *out_constant) {
    if (tensor->is_external) {
        return add_external(in, tensor, out_constant);
    }
    if (check_data(in, tensor) != TN_OK) {
        return in->wire.status;
    }
    if (tensor->dtype == TN_DTYPE_STRING) {
        return tni_tensor_add_strings(in, tensor, out_constant);
    }
    if (in_place(tensor)) {
        tni_constant_info info = {.kind = TNI_CONSTANT_RAW,
                                  .source = in->source,
                                  .offset_bytes =
                                      (uint64_t)(tensor->only_chunk.at - in->wire.base)};
        return add_constant(in, tensor, &info, out_constant);
    }
    tni_constant_info info = {.kind = TNI_CONSTANT_OWNED};
    if (add_constant(in, tensor, &info, out_constant) != TN_OK) {
        return in->wire.status;
    }
    return tni_tensor_decode(in, tensor,
                             (uint8_t *)(uintptr_t)in->model->constants[*out_constant].bytes);
}

tn_status tni_import_tensor(tni_importer *in, tni_bytes message, tn_string *out_name,
                            uint32_t *out_constant) {
    tni_tensor tensor = {.message = message, .at = message.at};
    tni_field field;
    *out_constant = TN_NONE;
    while (tni_wire_next(&in->wire, &message, &field)) {
        read_field(in, &tensor, &field);
    }
    if (in->wire.status != TN_OK || check_size(in, &tensor) != TN_OK) {
        return in->wire.status;
    }
    if (out_name != NULL) {
        *out_name = tensor.name;
    }
    return add_tensor(in, &tensor, out_constant);
}
