// SPDX-License-Identifier: Apache-2.0
// The protobuf wire format, as far as test data needs it. Nothing is read past the end; groups are
// not supported.
#ifndef TENON_TOOLS_PROTO_READER_H
#define TENON_TOOLS_PROTO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A message, or the packed values of a field, of which part has been read.
typedef struct proto_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool broken; // it ended too early, or is no protobuf
} proto_reader;

typedef enum {
    PROTO_VARINT = 0,
    PROTO_FIXED64 = 1,
    PROTO_BYTES = 2,
    PROTO_FIXED32 = 5,
} proto_wire;

typedef struct proto_field {
    uint32_t number;
    uint32_t wire;     // proto_wire
    uint64_t value;    // VARINT, FIXED64, FIXED32
    proto_reader body; // BYTES
} proto_field;

// Reads the next field; false at the end, or when the message is broken.
bool proto_next(proto_reader *r, proto_field *out);
// Read one packed value; 0, and r is broken, when there is none. bytes: 4 or 8.
uint64_t proto_take_varint(proto_reader *r);
uint64_t proto_take_fixed(proto_reader *r, uint32_t bytes);

#endif // TENON_TOOLS_PROTO_READER_H
