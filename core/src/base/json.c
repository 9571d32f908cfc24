// SPDX-License-Identifier: Apache-2.0
// jansson for the syntax; what may stand where is the callers' business.
#include "base/json.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ID_BYTES 64

static void make_id(const char *kind, const char *problem, char out_id[ID_BYTES]) {
    snprintf(out_id, ID_BYTES, "%s.%s", kind, problem);
}

const char *tni_json_type_text(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

tn_status tni_json_fail(const tni_json *from, const char *problem, const char *format, ...) {
    char id[ID_BYTES];
    char text[TN_ERROR_TEXT_BYTES];
    va_list arguments;
    make_id(from->kind, problem, id);
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return tni_fail(from->error, TN_ERROR_INVALID_DATA, id, "%s", text);
}

tn_status tni_json_fail_type(const tni_json *from, const char *key, const json_t *value,
                             const char *wanted) {
    return tni_json_fail(from, "wrong-type", "\"%s%s\" is %s, not %s", from->where, key,
                         tni_json_type_text(value), wanted);
}

tn_status tni_json_fail_missing(const tni_json *from, const char *key) {
    return tni_json_fail(from, "missing-key", "\"%s%s\" is missing", from->where, key);
}

tn_status tni_json_check_keys(const tni_json *from, const char *const *keys, size_t key_count,
                              int version) {
    // The iterator takes the object without const, although it only reads.
    json_t *object = (json_t *)(uintptr_t)from->object;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        bool known = strncmp(key, "x-", 2) == 0;
        for (size_t i = 0; i < key_count && !known; i++) {
            known = strcmp(key, keys[i]) == 0;
        }
        if (!known) {
            return tni_json_fail(from, "unknown-key",
                                 "\"%s%.60s\" (%s) is not a field of %s version %d", from->where,
                                 key, tni_json_type_text(json_object_iter_value(at)), from->kind,
                                 version);
        }
    }
    return TN_OK;
}

tn_status tni_json_integer(const tni_json *from, const char *key, int64_t max, int64_t *out_value) {
    const json_t *value = json_object_get(from->object, key);
    *out_value = 0;
    if (value == NULL) {
        return tni_json_fail_missing(from, key);
    }
    if (!json_is_integer(value)) {
        return tni_json_fail_type(from, key, value, "an integer");
    }
    const int64_t number = json_integer_value(value);
    if (number < 0 || number > max) {
        return tni_json_fail(from, "out-of-range", "\"%s%s\" is %lld, not within 0 to %lld",
                             from->where, key, (long long)number, (long long)max);
    }
    *out_value = number;
    return TN_OK;
}

tn_status tni_json_text(const tni_json *from, const char *key, const json_t *value,
                        size_t max_bytes) {
    if (!json_is_string(value)) {
        return tni_json_fail_type(from, key, value, "a string");
    }
    const char *text = json_string_value(value);
    const size_t size = json_string_length(value);
    if (size > max_bytes) {
        return tni_json_fail(from, "text-too-long",
                             "\"%s%s\" has %zu bytes, at most %zu are allowed", from->where, key,
                             size, max_bytes);
    }
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f) {
            return tni_json_fail(from, "control-character",
                                 "\"%s%s\" holds the control character 0x%02x", from->where, key,
                                 byte);
        }
    }
    return TN_OK;
}

static const char *problem_of(enum json_error_code code) {
    static const struct {
        enum json_error_code code;
        const char *problem;
    } problems[] = {
        {json_error_stack_overflow, "too-deep"},
        {json_error_invalid_utf8, "not-utf8"},
        {json_error_premature_end_of_input, "incomplete"},
        {json_error_end_of_input_expected, "trailing-data"},
        {json_error_null_character, "null-character"},
        {json_error_null_byte_in_key, "null-character"},
        {json_error_duplicate_key, "duplicate-key"},
        {json_error_numeric_overflow, "number-range"},
    };
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        if (problems[i].code == code) {
            return problems[i].problem;
        }
    }
    return "syntax";
}

tn_status tni_json_load(const char *kind, const void *data, uint64_t size_bytes, json_t **out_value,
                        tn_error *error) {
    json_error_t problem;
    char id[ID_BYTES];
    *out_value = json_loadb(data == NULL ? "" : data, (size_t)size_bytes,
                            JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (*out_value != NULL) {
        return TN_OK;
    }
    const enum json_error_code code = json_error_code(&problem);
    if (code == json_error_out_of_memory) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a JSON tree");
    }
    make_id(kind, problem_of(code), id);
    const uint64_t offset = problem.position < 0 ? 0 : (uint64_t)problem.position;
    return tni_fail_at(error, TN_ERROR_INVALID_DATA, id, offset, "line %d, byte %llu: %s",
                       problem.line, (unsigned long long)offset, problem.text);
}
