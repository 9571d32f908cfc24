// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "proto_reader.h"

#include <string.h>

uint64_t proto_take_varint(proto_reader *r) {
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

uint64_t proto_take_fixed(proto_reader *r, uint32_t bytes) {
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

bool proto_next(proto_reader *r, proto_field *out) {
    if (r->at == r->end) {
        return false;
    }
    uint64_t tag = proto_take_varint(r);
    *out = (proto_field){.number = (uint32_t)(tag >> 3), .wire = (uint32_t)(tag & 7)};
    if (out->wire == PROTO_VARINT) {
        out->value = proto_take_varint(r);
    } else if (out->wire == PROTO_FIXED64 || out->wire == PROTO_FIXED32) {
        out->value = proto_take_fixed(r, out->wire == PROTO_FIXED64 ? 8 : 4);
    } else if (out->wire == PROTO_BYTES) {
        uint64_t size = proto_take_varint(r);
        if (r->broken || size > (uint64_t)(r->end - r->at)) {
            r->broken = true;
            return false;
        }
        out->body = (proto_reader){r->at, r->at + size, false};
        r->at += size;
    } else {
        r->broken = true;
    }
    return !r->broken;
}
