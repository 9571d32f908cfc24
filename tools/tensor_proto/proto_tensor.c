// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "proto_tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_STRING_DATA = 6,
    TENSOR_INT64_DATA = 7,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_DATA_LOCATION = 14,
};

uint32_t proto_dtype_bits(tn_dtype dtype) {
    static const uint8_t bits[] = {
        [TN_DTYPE_FLOAT] = 32,         [TN_DTYPE_UINT8] = 8,          [TN_DTYPE_INT8] = 8,
        [TN_DTYPE_UINT16] = 16,        [TN_DTYPE_INT16] = 16,         [TN_DTYPE_INT32] = 32,
        [TN_DTYPE_INT64] = 64,         [TN_DTYPE_BOOL] = 8,           [TN_DTYPE_FLOAT16] = 16,
        [TN_DTYPE_DOUBLE] = 64,        [TN_DTYPE_UINT32] = 32,        [TN_DTYPE_UINT64] = 64,
        [TN_DTYPE_COMPLEX64] = 64,     [TN_DTYPE_COMPLEX128] = 128,   [TN_DTYPE_BFLOAT16] = 16,
        [TN_DTYPE_FLOAT8E4M3FN] = 8,   [TN_DTYPE_FLOAT8E4M3FNUZ] = 8, [TN_DTYPE_FLOAT8E5M2] = 8,
        [TN_DTYPE_FLOAT8E5M2FNUZ] = 8, [TN_DTYPE_UINT4] = 4,          [TN_DTYPE_INT4] = 4,
        [TN_DTYPE_FLOAT4E2M1] = 4,     [TN_DTYPE_FLOAT8E8M0] = 8,     [TN_DTYPE_UINT2] = 2,
        [TN_DTYPE_INT2] = 2,
    };
    return dtype < sizeof bits ? bits[dtype] : 0;
}

static bool complain(char text[PROTO_TEXT_BYTES], const char *what) {
    snprintf(text, PROTO_TEXT_BYTES, "%s", what);
    return false;
}

static bool read_shape(proto_reader r, proto_tensor *t, bool *out_external) {
    proto_field f;
    while (proto_next(&r, &f)) {
        if (f.number == TENSOR_DATA_TYPE) {
            t->dtype = (tn_dtype)f.value;
        } else if (f.number == TENSOR_DATA_LOCATION) {
            *out_external = f.value != 0;
        }
        bool packed = f.wire == PROTO_BYTES;
        while (f.number == TENSOR_DIMS && (!packed || f.body.at < f.body.end)) {
            int64_t dim = (int64_t)(packed ? proto_take_varint(&f.body) : f.value);
            if (f.body.broken || dim < 0 || t->rank == TN_MAX_RANK) {
                return false;
            }
            t->dims[t->rank++] = dim;
            if (!packed) {
                break;
            }
        }
    }
    t->count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (__builtin_mul_overflow(t->count, (uint64_t)t->dims[i], &t->count)) {
            return false;
        }
    }
    return !r.broken;
}

// The width of one entry of a typed field in the tensor's bytes, 0 for fields of another kind.
static uint32_t entry_bytes(const proto_tensor *t, uint32_t number) {
    uint32_t element = proto_dtype_bits(t->dtype) < 8 ? 1 : proto_dtype_bits(t->dtype) / 8;
    switch (number) {
    case TENSOR_FLOAT_DATA:
        return 4;
    case TENSOR_DOUBLE_DATA:
        return 8;
    case TENSOR_INT32_DATA:
    case TENSOR_INT64_DATA:
    case TENSOR_UINT64_DATA:
        return element > 8 ? 0 : element;
    default:
        return 0;
    }
}

static bool push(proto_tensor *t, uint64_t *inout_filled, uint64_t value, uint32_t bytes) {
    if (*inout_filled + bytes > t->size_bytes) {
        return false;
    }
    memcpy(t->data + *inout_filled, &value, bytes);
    *inout_filled += bytes;
    return true;
}

static bool push_field(proto_tensor *t, proto_field *f, uint64_t *inout_filled) {
    uint32_t bytes = entry_bytes(t, f->number);
    bool fixed = f->number == TENSOR_FLOAT_DATA || f->number == TENSOR_DOUBLE_DATA;
    if (f->wire != PROTO_BYTES) {
        return push(t, inout_filled, f->value, bytes);
    }
    while (f->body.at < f->body.end) {
        uint64_t value = fixed ? proto_take_fixed(&f->body, bytes) : proto_take_varint(&f->body);
        if (f->body.broken || !push(t, inout_filled, value, bytes)) {
            return false;
        }
    }
    return true;
}

static bool fill(proto_reader r, proto_tensor *t) {
    uint64_t filled = 0;
    proto_field f;
    while (proto_next(&r, &f)) {
        if (f.number == TENSOR_RAW_DATA && f.wire == PROTO_BYTES) {
            if ((uint64_t)(f.body.end - f.body.at) != t->size_bytes) {
                return false;
            }
            memcpy(t->data, f.body.at, t->size_bytes);
            filled = t->size_bytes;
        } else if (entry_bytes(t, f.number) > 0 && !push_field(t, &f, &filled)) {
            return false;
        }
    }
    return !r.broken && filled == t->size_bytes;
}

// Strings as the embedding API takes them: end offsets, then characters.
static bool read_strings(proto_reader r, proto_tensor *t) {
    uint64_t characters = 0;
    uint64_t seen = 0;
    uint64_t end = 0;
    proto_field f;
    for (proto_reader pass = r; proto_next(&pass, &f);) {
        bool is_text = f.number == TENSOR_STRING_DATA && f.wire == PROTO_BYTES;
        seen += is_text;
        characters += is_text ? (uint64_t)(f.body.end - f.body.at) : 0;
    }
    if (seen != t->count) {
        return false;
    }
    t->size_bytes = (seen + 1) * sizeof(end) + characters;
    t->data = calloc(1, t->size_bytes);
    seen = 0;
    while (t->data != NULL && proto_next(&r, &f)) {
        if (f.number == TENSOR_STRING_DATA && f.wire == PROTO_BYTES) {
            uint64_t size = (uint64_t)(f.body.end - f.body.at);
            memcpy(t->data + (t->count + 1) * sizeof(end) + end, f.body.at, size);
            end += size;
            memcpy(t->data + ++seen * sizeof(end), &end, sizeof(end));
        }
    }
    return t->data != NULL && !r.broken;
}

bool proto_tensor_parse(proto_reader r, proto_tensor *t, char text[PROTO_TEXT_BYTES]) {
    bool external = false;
    memset(t, 0, sizeof(*t));
    if (!read_shape(r, t, &external)) {
        return complain(text, "no TensorProto, or its dims are not supported");
    }
    if (external) {
        return complain(text, "the TensorProto's data is in another file");
    }
    if (t->dtype == TN_DTYPE_STRING) {
        if (!read_strings(r, t)) {
            free(t->data);
            t->data = NULL;
            return complain(text, "the TensorProto's strings do not fit its dims");
        }
        return true;
    }
    uint64_t bits = 0;
    if (proto_dtype_bits(t->dtype) == 0) {
        snprintf(text, PROTO_TEXT_BYTES, "tensors of type %s", tn_dtype_text(t->dtype));
        return false;
    }
    // A typed entry takes at least a byte, a raw element at least two bits.
    if (__builtin_mul_overflow(t->count, (uint64_t)proto_dtype_bits(t->dtype), &bits) ||
        bits / 8 > (uint64_t)(r.end - r.at) * 16) {
        return complain(text, "the TensorProto's dims do not fit its data");
    }
    t->size_bytes = bits / 8 + (bits % 8 != 0);
    t->data = calloc(1, t->size_bytes + 1);
    if (t->data == NULL || !fill(r, t)) {
        free(t->data);
        t->data = NULL;
        return complain(text, "the TensorProto's data does not fit its dims");
    }
    return true;
}
