// SPDX-License-Identifier: Apache-2.0
// The wire reader. A varint has at most 10 bytes, the last of them at most 1; a tag fits 32 bits.
#include "onnx/wire.h"

#include "tenon/abi/types.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Writes the path, keeping its beginning and its end when it is too long for the buffer.
static size_t write_path(const tni_wire *wire, char *text, size_t capacity) {
    size_t used = 0;
    for (uint32_t i = 0; i < wire->depth && i < TNI_WIRE_MAX_PATH; i++) {
        const tni_wire_step *step = &wire->path[i];
        const char *dot = i > 0 ? "." : "";
        const bool last = i + 1 == wire->depth;
        int written = 0;
        if (used > capacity / 2 && !last) {
            continue;
        }
        if (step->index == TN_NONE) {
            written = snprintf(text + used, capacity - used, "%s%s", dot, step->field);
        } else {
            written =
                snprintf(text + used, capacity - used, "%s%s[%u]", dot, step->field, step->index);
        }
        if (written > 0) {
            used += (size_t)written;
        }
    }
    return used;
}

tn_status tni_wire_fail(tni_wire *wire, tn_status status, const char *id, const uint8_t *at,
                        const char *format, ...) {
    char path[256] = "";
    char message[256];
    va_list arguments;
    if (wire->status != TN_OK) {
        return wire->status;
    }
    wire->status = status;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) {
        message[0] = '\0';
    }
    va_end(arguments);
    const bool has_path = write_path(wire, path, sizeof path) > 0;
    const uint64_t offset = at != NULL ? (uint64_t)(at - wire->base) : TN_NO_OFFSET;
    return tni_fail_at(wire->error, status, id, offset, "%s%s%s", path, has_path ? ": " : "",
                       message);
}

void tni_wire_enter(tni_wire *wire, const char *field, uint32_t index) {
    if (wire->depth < TNI_WIRE_MAX_PATH) {
        wire->path[wire->depth] = (tni_wire_step){field, index};
    }
    wire->depth++;
}

void tni_wire_leave(tni_wire *wire) {
    wire->depth--;
}

bool tni_wire_varint(tni_wire *wire, tni_bytes *packed, uint64_t *out_value) {
    const uint8_t *const begin = packed->at;
    uint64_t value = 0;
    *out_value = 0;
    if (wire->status != TN_OK || begin == packed->end) {
        return false;
    }
    for (uint32_t shift = 0; shift < 70; shift += 7) {
        if (packed->at == packed->end) {
            tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.varint-truncated", begin,
                          "a number runs past the end of its message");
            return false;
        }
        const uint8_t byte = *packed->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.varint-too-long", begin,
                  "a number has more than 64 bits");
    return false;
}

static bool read_fixed(tni_wire *wire, tni_bytes *message, uint64_t size_bytes, tni_field *out) {
    if (tni_bytes_size(*message) < size_bytes) {
        tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.fixed-truncated", out->at,
                      "field %u runs past the end of its message", out->number);
        return false;
    }
    // Little-endian on the wire and here (TN_ABI is little-endian only).
    memcpy(&out->value, message->at, (size_t)size_bytes);
    message->at += size_bytes;
    return true;
}

static bool read_bytes(tni_wire *wire, tni_bytes *message, tni_field *out) {
    uint64_t size_bytes = 0;
    if (message->at == message->end) {
        tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.varint-truncated", out->at,
                      "field %u ends before its length", out->number);
        return false;
    }
    if (!tni_wire_varint(wire, message, &size_bytes)) {
        return false;
    }
    if (size_bytes > tni_bytes_size(*message)) {
        tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.length-past-end", out->at,
                      "field %u is %llu bytes long, only %llu are left", out->number,
                      (unsigned long long)size_bytes, (unsigned long long)tni_bytes_size(*message));
        return false;
    }
    out->bytes = (tni_bytes){message->at, message->at + size_bytes};
    message->at += size_bytes;
    return true;
}

static bool read_tag(tni_wire *wire, tni_bytes *message, tni_field *out) {
    uint64_t tag = 0;
    if (!tni_wire_varint(wire, message, &tag)) {
        return false;
    }
    if (tag > UINT32_MAX || tag < 8) {
        tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.field-number", out->at,
                      "no field number %llu exists", (unsigned long long)(tag >> 3));
        return false;
    }
    out->number = (uint32_t)(tag >> 3);
    out->type = (tni_wire_type)(tag & 7);
    return true;
}

bool tni_wire_next(tni_wire *wire, tni_bytes *message, tni_field *out_field) {
    *out_field = (tni_field){.at = message->at};
    if (wire->status != TN_OK || message->at == message->end) {
        return false;
    }
    if (!read_tag(wire, message, out_field)) {
        return false;
    }
    const uint8_t *const begin = message->at;
    bool good = false;
    switch ((int)out_field->type) {
    case TNI_WIRE_VARINT:
        if (message->at == message->end) {
            tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.varint-truncated", out_field->at,
                          "field %u ends before its value", out_field->number);
            return false;
        }
        good = tni_wire_varint(wire, message, &out_field->value);
        break;
    case TNI_WIRE_FIXED64:
        good = read_fixed(wire, message, 8, out_field);
        break;
    case TNI_WIRE_FIXED32:
        good = read_fixed(wire, message, 4, out_field);
        break;
    case TNI_WIRE_BYTES:
        return read_bytes(wire, message, out_field);
    default:
        tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.wire-type-unknown", out_field->at,
                      "field %u has wire type %d (groups are not used in ONNX)", out_field->number,
                      (int)out_field->type);
        return false;
    }
    out_field->bytes = (tni_bytes){begin, message->at};
    return good;
}

bool tni_wire_expect(tni_wire *wire, const tni_field *field, tni_wire_type type) {
    if (field->type == type) {
        return true;
    }
    tni_wire_fail(wire, TN_ERROR_INVALID_DATA, "onnx.wire-type", field->at,
                  "field %u has wire type %d, expected %d", field->number, (int)field->type,
                  (int)type);
    return false;
}

bool tni_wire_expect_numbers(tni_wire *wire, const tni_field *field, tni_wire_type type) {
    return field->type == TNI_WIRE_BYTES || tni_wire_expect(wire, field, type);
}

tn_string tni_field_text(const tni_field *field) {
    return (tn_string){(const char *)field->bytes.at, tni_bytes_size(field->bytes)};
}
