// SPDX-License-Identifier: Apache-2.0
// Files and containers; field numbers: onnx-data.proto3 (SequenceProto, OptionalProto).
#include "onnx/proto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (1u << 30)

enum {
    CONTAINER_TENSOR = 3,
    CONTAINER_SEQUENCE = 5,
};

static bool complain(char text[SUITE_TEXT], const char *what) {
    snprintf(text, SUITE_TEXT, "%s", what);
    return false;
}

static bool add_tensor(suite_value *value, proto_reader r, char text[SUITE_TEXT]) {
    proto_tensor *grown =
        realloc(value->tensors, ((size_t)value->count + 1) * sizeof(*value->tensors));
    if (grown == NULL) {
        return complain(text, "out of memory");
    }
    value->tensors = grown;
    if (!proto_tensor_parse(r, &value->tensors[value->count], text)) {
        return false;
    }
    value->count++;
    return true;
}

static bool read_sequence(proto_reader r, suite_value *value, char text[SUITE_TEXT]) {
    proto_field f;
    while (proto_next(&r, &f)) {
        if (f.wire == PROTO_BYTES && f.number == CONTAINER_TENSOR &&
            !add_tensor(value, f.body, text)) {
            return false;
        }
        if (f.wire == PROTO_BYTES && f.number > CONTAINER_TENSOR) {
            return complain(text, "sequences of something else than tensors");
        }
    }
    return r.broken ? complain(text, "no SequenceProto") : true;
}

static bool read_optional(proto_reader r, bool of_sequence, suite_value *value,
                          char text[SUITE_TEXT]) {
    proto_field f;
    value->is_none = true;
    while (proto_next(&r, &f)) {
        if (f.wire != PROTO_BYTES) {
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
    proto_reader all = {bytes, bytes + size, false};
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
