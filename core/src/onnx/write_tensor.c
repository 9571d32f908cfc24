// SPDX-License-Identifier: Apache-2.0
// TensorProto: raw data of every element type but strings, or the place of external data.
#include "base/string.h"
#include "onnx/writer.h"

#include <stdio.h>
#include <string.h>

enum {
    FIELD_DIMS = 1,
    FIELD_TYPE = 2,
    FIELD_STRING_DATA = 6,
    FIELD_NAME = 8,
    FIELD_RAW_DATA = 9,
    FIELD_EXTERNAL = 13,
    FIELD_LOCATION = 14,
};

// The value of TensorProto.DataLocation.
#define LOCATION_EXTERNAL 1u

// One StringStringEntryProto.
typedef struct entry {
    const char *key;
    const char *value;
} entry;

static void write_entry(tni_writer *w, const void *item) {
    const entry *e = item;
    tni_put_text(w, 1, tni_string_of(e->key));
    tni_put_text(w, 2, tni_string_of(e->value));
}

static void put_number(tni_writer *w, const char *key, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    tni_put_message(w, FIELD_EXTERNAL, write_entry, &(entry){key, text});
}

static void put_external(tni_writer *w, uint32_t constant) {
    const entry location = {"location", w->info->external_name};
    tni_put_message(w, FIELD_EXTERNAL, write_entry, &location);
    put_number(w, "offset", w->external_offsets[constant]);
    put_number(w, "length", w->model->constants[constant].size_bytes);
    tni_put_varint(w, FIELD_LOCATION, LOCATION_EXTERNAL);
}

// The elements of a string tensor: end offsets, then the characters (graph/constant.h).
static void put_strings(tni_writer *w, const tni_constant *constant) {
    const uint8_t *characters = constant->bytes + (constant->element_count + 1) * sizeof(uint64_t);
    uint64_t begin = 0;
    for (uint64_t i = 0; i < constant->element_count; i++) {
        uint64_t end = 0;
        memcpy(&end, constant->bytes + (i + 1) * sizeof end, sizeof end);
        const tn_string text = {(const char *)characters + begin, end - begin};
        tni_put_text(w, FIELD_STRING_DATA, text);
        begin = end;
    }
}

static void put_tensor(tni_writer *w, uint32_t constant, tn_string name, bool external) {
    const tni_constant *record = &w->model->constants[constant];
    for (uint32_t i = 0; i < record->rank; i++) {
        tni_put_varint(w, FIELD_DIMS, (uint64_t)record->dims[i]);
    }
    tni_put_varint(w, FIELD_TYPE, record->dtype);
    if (record->dtype == TN_DTYPE_STRING) {
        put_strings(w, record);
    }
    tni_put_name(w, FIELD_NAME, name);
    if (external) {
        put_external(w, constant);
    } else if (record->dtype != TN_DTYPE_STRING) {
        tni_put_head(w, FIELD_RAW_DATA, record->size_bytes);
        tni_put_constant(w, constant);
    }
}

void tni_write_tensor(tni_writer *w, const void *constant) {
    put_tensor(w, *(const uint32_t *)constant, TNI_LITERAL(""), false);
}

void tni_write_initializer(tni_writer *w, const void *value) {
    const uint32_t id = *(const uint32_t *)value;
    const uint32_t constant = w->model->values[id].constant;
    put_tensor(w, constant, w->names[id], w->external_offsets[constant] != TNI_NOT_EXTERNAL);
}
