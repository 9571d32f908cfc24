// SPDX-License-Identifier: Apache-2.0
// A bounded reader of protobuf's wire format over borrowed bytes. It never allocates, never copies
// and never trusts a length. Errors are latched in the reader: loops end, and the status tells why.
#ifndef TENON_ONNX_WIRE_H
#define TENON_ONNX_WIRE_H

#include "base/error.h"
#include "base/string.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum tni_wire_type {
    TNI_WIRE_VARINT = 0,
    TNI_WIRE_FIXED64 = 1,
    TNI_WIRE_BYTES = 2,
    TNI_WIRE_FIXED32 = 5,
} tni_wire_type;

// Three steps a nested graph, of which there may be 256.
#define TNI_WIRE_MAX_PATH 1024u

// One step of a field path: "node[3]", or "graph" with index TN_NONE.
typedef struct tni_wire_step {
    const char *field;
    uint32_t index;
} tni_wire_step;

// What all messages of one input share. Single thread.
typedef struct tni_wire {
    const uint8_t *base; // offsets in errors count from here
    tn_error *error;
    tn_status status; // TN_OK until the first failure
    uint32_t depth;
    tni_wire_step path[TNI_WIRE_MAX_PATH];
} tni_wire;

// A run of bytes: a message that is being read, from at, or a field's content.
typedef struct tni_bytes {
    const uint8_t *at;
    const uint8_t *end;
} tni_bytes;

typedef struct tni_field {
    uint32_t number;
    tni_wire_type type;
    uint64_t value;    // of a varint or fixed field
    tni_bytes bytes;   // of a bytes field; of the others, their own encoding
    const uint8_t *at; // its tag
} tni_field;

// Latches an error about the byte at `at`; the text is "path: message". The first one wins. Returns
// the latched status.
tn_status tni_wire_fail(tni_wire *wire, tn_status status, const char *id, const uint8_t *at,
                        const char *format, ...) TNI_PRINTF(5, 6);

// The path of errors: enter before reading an inner message, leave after it.
void tni_wire_enter(tni_wire *wire, const char *field, uint32_t index);
void tni_wire_leave(tni_wire *wire);

// Reads the next field and moves on. Returns false at the end of the message and after any error.
bool tni_wire_next(tni_wire *wire, tni_bytes *message, tni_field *out_field);
// Reads one varint from a packed field. Returns false at its end and after any error.
bool tni_wire_varint(tni_wire *wire, tni_bytes *packed, uint64_t *out_value);
// Latches "onnx.wire-type" unless the field has this type. Returns whether it has.
bool tni_wire_expect(tni_wire *wire, const tni_field *field, tni_wire_type type);
// For repeated numbers of either encoding: whether the field is a packed run or a single element of
// this type; latches "onnx.wire-type" otherwise.
bool tni_wire_expect_numbers(tni_wire *wire, const tni_field *field, tni_wire_type type);

static inline uint64_t tni_bytes_size(tni_bytes bytes) {
    return (uint64_t)(bytes.end - bytes.at);
}

// The content of a bytes field as text.
tn_string tni_field_text(const tni_field *field);

#endif // TENON_ONNX_WIRE_H
