// SPDX-License-Identifier: Apache-2.0
// TypeProto: element type, shape and container kind of a declared value.
#include "base/dtype.h"
#include "onnx/importer.h"

typedef struct {
    tn_value_kind kind;
    tn_dtype dtype;
    uint32_t rank;
    tn_graph_dim dims[TN_MAX_RANK];
} declared_type;

static tn_status read_dim(tni_importer *in, tni_bytes message, tn_graph_dim *out_dim) {
    tni_field field;
    tn_string name = {NULL, 0};
    *out_dim = (tn_graph_dim){-1, TN_NONE, 0};
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == 1 && tni_wire_expect(&in->wire, &field, TNI_WIRE_VARINT)) {
            const int64_t size = (int64_t)field.value;
            // Some writers put -1 for "unknown".
            if (size < -1) {
                return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.value-dim", field.at,
                                     "dimension of size %lld", (long long)size);
            }
            *out_dim = (tn_graph_dim){size, TN_NONE, 0};
        } else if (field.number == 2 && tni_import_name(in, &field, &name) == TN_OK &&
                   name.size_bytes > 0) {
            *out_dim = (tn_graph_dim){-1, TN_NONE, 0};
            const tn_status status = tni_model_add_symbol(in->model, name, &out_dim->symbol);
            if (status != TN_OK) {
                return tni_import_plain(in, status, field.at, "dimension name");
            }
        }
    }
    return in->wire.status;
}

static tn_status read_shape(tni_importer *in, tni_bytes message, declared_type *out) {
    tni_field field;
    out->rank = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != 1 || !tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            continue;
        }
        if (out->rank >= in->limits.rank) {
            return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.value-rank", field.at,
                                 "rank above %u", in->limits.rank);
        }
        tni_wire_enter(&in->wire, "dim", out->rank);
        if (read_dim(in, field.bytes, &out->dims[out->rank++]) != TN_OK) {
            return in->wire.status;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

// TypeProto.Tensor and TypeProto.SparseTensor have the same fields.
static tn_status read_tensor(tni_importer *in, tni_bytes message, declared_type *out) {
    tni_field field;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == 1 && tni_wire_expect(&in->wire, &field, TNI_WIRE_VARINT)) {
            if (field.value >= TN_DTYPE_COUNT) {
                return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.value-dtype", field.at,
                                     "unknown element type %llu", (unsigned long long)field.value);
            }
            out->dtype = (tn_dtype)field.value;
        } else if (field.number == 2 && tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            tni_wire_enter(&in->wire, "shape", TN_NONE);
            if (read_shape(in, field.bytes, out) != TN_OK) {
                return in->wire.status;
            }
            tni_wire_leave(&in->wire);
        }
    }
    return in->wire.status;
}

static tn_status read_type(tni_importer *in, tni_bytes message, declared_type *out);

// The elem_type of a sequence or optional.
static tn_status read_element(tni_importer *in, tni_bytes message, declared_type *out) {
    tni_field field;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == 1 && tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            tni_wire_enter(&in->wire, "elem_type", TN_NONE);
            if (read_type(in, field.bytes, out) != TN_OK) {
                return in->wire.status;
            }
            tni_wire_leave(&in->wire);
        }
    }
    return in->wire.status;
}

// Which container a container of this kind is; false for nestings that no value can have.
static bool wrap(tn_value_kind *kind, uint32_t field_number) {
    const bool optional = field_number == 9;
    if (*kind == TN_VALUE_TENSOR) {
        *kind = optional ? TN_VALUE_OPTIONAL_TENSOR : TN_VALUE_SEQUENCE;
        return true;
    }
    if (*kind == TN_VALUE_SEQUENCE && optional) {
        *kind = TN_VALUE_OPTIONAL_SEQUENCE;
        return true;
    }
    return false;
}

static tn_status unsupported(tni_importer *in, const tni_field *field) {
    return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.value-kind", field->at,
                         "maps, opaque types and nested containers are not supported");
}

// Recursion ends: the only nesting that wrap accepts is optional of sequence of tensor, and the
// path depth bounds what hostile input may try before that is known.
static tn_status read_type(tni_importer *in, tni_bytes message, declared_type *out) {
    tni_field field;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number != 1 && field.number != 4 && field.number != 5 && field.number != 7 &&
            field.number != 8 && field.number != 9) {
            continue;
        }
        if (!tni_wire_expect(&in->wire, &field, TNI_WIRE_BYTES)) {
            return in->wire.status;
        }
        const bool too_deep = in->wire.depth > TNI_WIRE_MAX_PATH - 8;
        if (field.number == 5 || field.number == 7 || too_deep) {
            return unsupported(in, &field);
        }
        tni_wire_enter(&in->wire, "type", TN_NONE);
        if (field.number == 1 || field.number == 8) {
            out->kind = field.number == 8 ? TN_VALUE_SPARSE_TENSOR : TN_VALUE_TENSOR;
            read_tensor(in, field.bytes, out);
        } else if (read_element(in, field.bytes, out) == TN_OK && !wrap(&out->kind, field.number)) {
            return unsupported(in, &field);
        }
        if (in->wire.status != TN_OK) {
            return in->wire.status;
        }
        tni_wire_leave(&in->wire);
    }
    return in->wire.status;
}

tn_status tni_import_type(tni_importer *in, tni_bytes type_message, uint32_t value) {
    declared_type type = {.kind = TN_VALUE_TENSOR, .rank = TN_RANK_UNKNOWN};
    tni_value *record = &in->model->values[value];
    if (read_type(in, type_message, &type) != TN_OK) {
        return in->wire.status;
    }
    if (record->dtype != TN_DTYPE_UNDEFINED) {
        return TN_OK;
    }
    record->kind = type.kind;
    record->dtype = type.dtype;
    const tn_status status = tni_value_set_dims(in->model, value, type.rank, type.dims);
    return status == TN_OK ? TN_OK
                           : tni_import_plain(in, status, type_message.at, "declared shape");
}
