// SPDX-License-Identifier: Apache-2.0
// Reading one ONNX TensorProto: dims, type, and the data as raw bytes or in its typed field.
#include "tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool broken;
} reader;

typedef struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value; // VARINT, FIXED
    reader body;    // LENGTH
} field;

static uint64_t take_varint(reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) {
            break;
        }
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

// Field numbers of TensorProto (onnx.proto3).
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    INT64_DATA = 7,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    DATA_LOCATION = 14,
};

static bool is_typed_data(uint32_t number) {
    return number == FLOAT_DATA || number == INT32_DATA || number == INT64_DATA ||
           number == DOUBLE_DATA || number == UINT64_DATA;
}

// Appends one element of a typed field, cut to the element's width.
static bool push(tensor *t, uint64_t *inout_filled, uint64_t value) {
    uint32_t bytes = tensor_element_bytes(t->dtype);
    if (*inout_filled + bytes > t->size_bytes) {
        return false;
    }
    memcpy((uint8_t *)t->data + *inout_filled, &value, bytes);
    *inout_filled += bytes;
    return true;
}

static bool push_field(tensor *t, field *f, uint64_t *inout_filled) {
    uint32_t fixed = f->number == FLOAT_DATA ? 4 : f->number == DOUBLE_DATA ? 8 : 0;
    if (f->wire != 2) {
        return push(t, inout_filled, f->value);
    }
    while (f->body.at < f->body.end) {
        uint64_t value = fixed > 0 ? take_fixed(&f->body, fixed) : take_varint(&f->body);
        if (f->body.broken || !push(t, inout_filled, value)) {
            return false;
        }
    }
    return true;
}

static bool read_shape(reader r, tensor *t, bool *out_external) {
    field f;
    while (next_field(&r, &f)) {
        if (f.number == DATA_TYPE) {
            t->dtype = (tn_dtype)f.value;
        } else if (f.number == DATA_LOCATION) {
            *out_external = f.value != 0;
        } else if (f.number == DIMS && (f.wire != 2 || f.body.at < f.body.end)) {
            do {
                int64_t dim = (int64_t)(f.wire == 2 ? take_varint(&f.body) : f.value);
                if (f.body.broken || t->rank == TN_MAX_RANK) {
                    return false;
                }
                t->dims[t->rank++] = dim;
            } while (f.wire == 2 && f.body.at < f.body.end);
        }
    }
    return !r.broken;
}

static bool complain(char *text, const char *what) {
    snprintf(text, TENSOR_TEXT_BYTES, "%s", what);
    return false;
}

bool tensor_parse_pb(const uint8_t *bytes, size_t size, tensor *t, char *text) {
    reader all = {bytes, bytes + size, false};
    bool external = false;
    uint64_t count = 0;
    memset(t, 0, sizeof(*t));
    if (!read_shape(all, t, &external)) {
        return complain(text, "not a TensorProto");
    }
    uint32_t element = tensor_element_bytes(t->dtype);
    if (element == 0 || external) {
        return complain(text, external ? "external data is not supported"
                                       : "the TensorProto's element type is not supported");
    }
    if (!tensor_count(t->dims, t->rank, &count) ||
        __builtin_mul_overflow(count, element, &t->size_bytes) ||
        t->size_bytes > (uint64_t)size * 16 + 16) {
        return complain(text, "the TensorProto's dims do not fit its data");
    }
    t->data = calloc(1, t->size_bytes + 1);
    if (t->data == NULL) {
        return complain(text, "out of memory");
    }
    uint64_t filled = 0;
    field f;
    while (next_field(&all, &f)) {
        if (f.number == RAW_DATA && f.wire == 2) {
            if ((uint64_t)(f.body.end - f.body.at) != t->size_bytes) {
                return complain(text, "raw_data has another size than dims say");
            }
            memcpy(t->data, f.body.at, t->size_bytes);
            filled = t->size_bytes;
        } else if (is_typed_data(f.number) && !push_field(t, &f, &filled)) {
            return complain(text, "the TensorProto has more data than dims say, or is broken");
        }
    }
    return filled == t->size_bytes ? true : complain(text, "the TensorProto has too little data");
}
