// SPDX-License-Identifier: Apache-2.0
// The protobuf wire format, as far as test data needs it. Field numbers: onnx.proto3 (TensorProto)
// and onnx-data.proto3 (SequenceProto, OptionalProto).
#include "onnx/proto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (1u << 30)

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool broken;
} reader;

typedef struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value; // wire 0, 1, 5
    reader body;    // wire 2
} field;

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
    CONTAINER_ELEM_TYPE = 2,
    CONTAINER_TENSOR = 3,
    CONTAINER_SEQUENCE = 5,
};

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
    {"undefined", 0},      {"float", 32},       {"uint8", 8},          {"int8", 8},
    {"uint16", 16},        {"int16", 16},       {"int32", 32},         {"int64", 64},
    {"string", 0},         {"bool", 8},         {"float16", 16},       {"double", 64},
    {"uint32", 32},        {"uint64", 64},      {"complex64", 64},     {"complex128", 128},
    {"bfloat16", 16},      {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8}, {"float8e5m2", 8},
    {"float8e5m2fnuz", 8}, {"uint4", 4},        {"int4", 4},           {"float4e2m1", 4},
    {"float8e8m0", 8},     {"uint2", 2},        {"int2", 2},
};

uint32_t suite_dtype_bits(tn_dtype dtype) {
    return dtype < sizeof(dtypes) / sizeof(dtypes[0]) ? dtypes[dtype].bits : 0;
}

const char *suite_dtype_name(tn_dtype dtype) {
    return dtype < sizeof(dtypes) / sizeof(dtypes[0]) ? dtypes[dtype].name : "unknown";
}

static uint64_t take_varint(reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    r->broken = true;
    r->at = r->end;
    return 0;
}

static uint64_t take_fixed(reader *r, uint32_t bytes) {
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < bytes) {
        r->broken = true;
        r->at = r->end;
        return 0;
    }
    memcpy(&value, r->at, bytes);
    r->at += bytes;
    return value;
}

static bool next_field(reader *r, field *out) {
    if (r->at == r->end) {
        return false;
    }
    uint64_t tag = take_varint(r);
    *out = (field){.number = (uint32_t)(tag >> 3), .wire = (uint32_t)(tag & 7)};
    if (out->wire == 0) {
        out->value = take_varint(r);
    } else if (out->wire == 1 || out->wire == 5) {
        out->value = take_fixed(r, out->wire == 1 ? 8 : 4);
    } else if (out->wire == 2) {
        uint64_t size = take_varint(r);
        if (r->broken || size > (uint64_t)(r->end - r->at)) {
            r->broken = true;
            return false;
        }
        out->body = (reader){r->at, r->at + size, false};
        r->at += size;
    } else {
        r->broken = true;
    }
    return !r->broken;
}

static bool complain(char text[SUITE_TEXT], const char *what) {
    snprintf(text, SUITE_TEXT, "%s", what);
    return false;
}

static bool read_shape(reader r, suite_tensor *t) {
    field f;
    while (next_field(&r, &f)) {
        if (f.number == TENSOR_DATA_TYPE) {
            t->dtype = (tn_dtype)f.value;
        }
        bool packed = f.wire == 2;
        while (f.number == TENSOR_DIMS && (!packed || f.body.at < f.body.end)) {
            int64_t dim = (int64_t)(packed ? take_varint(&f.body) : f.value);
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
static uint32_t entry_bytes(const suite_tensor *t, uint32_t number) {
    uint32_t element = suite_dtype_bits(t->dtype) < 8 ? 1 : suite_dtype_bits(t->dtype) / 8;
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

static bool push(suite_tensor *t, uint64_t *inout_filled, uint64_t value, uint32_t bytes) {
    if (*inout_filled + bytes > t->size_bytes) {
        return false;
    }
    memcpy(t->data + *inout_filled, &value, bytes);
    *inout_filled += bytes;
    return true;
}

static bool push_field(suite_tensor *t, field *f, uint64_t *inout_filled) {
    uint32_t bytes = entry_bytes(t, f->number);
    bool fixed = f->number == TENSOR_FLOAT_DATA || f->number == TENSOR_DOUBLE_DATA;
    if (f->wire != 2) {
        return push(t, inout_filled, f->value, bytes);
    }
    while (f->body.at < f->body.end) {
        uint64_t value = fixed ? take_fixed(&f->body, bytes) : take_varint(&f->body);
        if (f->body.broken || !push(t, inout_filled, value, bytes)) {
            return false;
        }
    }
    return true;
}

static bool fill(reader r, suite_tensor *t) {
    uint64_t filled = 0;
    field f;
    while (next_field(&r, &f)) {
        if (f.number == TENSOR_RAW_DATA && f.wire == 2) {
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
static bool read_strings(reader r, suite_tensor *t) {
    uint64_t characters = 0;
    uint64_t seen = 0;
    uint64_t end = 0;
    field f;
    for (reader pass = r; next_field(&pass, &f);) {
        bool is_text = f.number == TENSOR_STRING_DATA && f.wire == 2;
        seen += is_text;
        characters += is_text ? (uint64_t)(f.body.end - f.body.at) : 0;
    }
    if (seen != t->count) {
        return false;
    }
    t->size_bytes = (seen + 1) * sizeof(end) + characters;
    t->data = calloc(1, t->size_bytes);
    seen = 0;
    while (t->data != NULL && next_field(&r, &f)) {
        if (f.number == TENSOR_STRING_DATA && f.wire == 2) {
            uint64_t size = (uint64_t)(f.body.end - f.body.at);
            memcpy(t->data + (t->count + 1) * sizeof(end) + end, f.body.at, size);
            end += size;
            memcpy(t->data + ++seen * sizeof(end), &end, sizeof(end));
        }
    }
    return t->data != NULL && !r.broken;
}

static bool read_tensor(reader r, suite_tensor *t, char text[SUITE_TEXT]) {
    memset(t, 0, sizeof(*t));
    if (!read_shape(r, t)) {
        return complain(text, "no TensorProto, or its dims are not supported");
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
    if (suite_dtype_bits(t->dtype) == 0) {
        snprintf(text, SUITE_TEXT, "tensors of type %s", suite_dtype_name(t->dtype));
        return false;
    }
    // A typed entry takes at least a byte, a raw element at least two bits.
    if (__builtin_mul_overflow(t->count, (uint64_t)suite_dtype_bits(t->dtype), &bits) ||
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

static bool add_tensor(suite_value *value, reader r, char text[SUITE_TEXT]) {
    suite_tensor *grown =
        realloc(value->tensors, ((size_t)value->count + 1) * sizeof(*value->tensors));
    if (grown == NULL) {
        return complain(text, "out of memory");
    }
    value->tensors = grown;
    if (!read_tensor(r, &value->tensors[value->count], text)) {
        return false;
    }
    value->count++;
    return true;
}

static bool read_sequence(reader r, suite_value *value, char text[SUITE_TEXT]) {
    field f;
    while (next_field(&r, &f)) {
        if (f.wire == 2 && f.number == CONTAINER_TENSOR && !add_tensor(value, f.body, text)) {
            return false;
        }
        if (f.wire == 2 && f.number > CONTAINER_TENSOR) {
            return complain(text, "sequences of something else than tensors");
        }
    }
    return r.broken ? complain(text, "no SequenceProto") : true;
}

static bool read_optional(reader r, bool of_sequence, suite_value *value, char text[SUITE_TEXT]) {
    field f;
    value->is_none = true;
    while (next_field(&r, &f)) {
        if (f.wire != 2) {
            continue;
        }
        value->is_none = value->is_none && f.number < CONTAINER_TENSOR;
        if (f.number == CONTAINER_TENSOR && !add_tensor(value, f.body, text)) {
            return false;
        }
        if (of_sequence && f.number == CONTAINER_SEQUENCE && !read_sequence(f.body, value, text)) {
            return false;
        }
    }
    return r.broken ? complain(text, "no OptionalProto") : true;
}

static uint8_t *read_file(const char *path, size_t *out_size) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    *out_size = 0;
    if (file == NULL) {
        return NULL;
    }
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size >= 0 && size < (long)MAX_FILE_BYTES && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size + 1);
        *out_size = (size_t)size;
        if (bytes != NULL && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
            free(bytes);
            bytes = NULL;
        }
    }
    (void)fclose(file); // was only read
    return bytes;
}

suite_read suite_value_read(const char *path, tn_value_kind kind, suite_value *out_value,
                            char text[SUITE_TEXT]) {
    size_t size = 0;
    memset(out_value, 0, sizeof(*out_value));
    errno = 0;
    uint8_t *bytes = read_file(path, &size);
    if (bytes == NULL) {
        (void)complain(text, errno == ENOENT ? "no such file" : "the file cannot be read");
        return errno == ENOENT ? SUITE_ABSENT : SUITE_UNREADABLE;
    }
    reader all = {bytes, bytes + size, false};
    bool good = kind == TN_VALUE_TENSOR     ? add_tensor(out_value, all, text)
                : kind == TN_VALUE_SEQUENCE ? read_sequence(all, out_value, text)
                : kind == TN_VALUE_OPTIONAL_TENSOR || kind == TN_VALUE_OPTIONAL_SEQUENCE
                    ? read_optional(all, kind == TN_VALUE_OPTIONAL_SEQUENCE, out_value, text)
                    : complain(text, "sparse tensors");
    free(bytes);
    if (!good) {
        suite_value_free(out_value);
    }
    return good ? SUITE_READ : SUITE_UNREADABLE;
}

void suite_value_free(suite_value *value) {
    for (uint32_t i = 0; i < value->count; i++) {
        free(value->tensors[i].data);
    }
    free(value->tensors);
    memset(value, 0, sizeof(*value));
}
