// SPDX-License-Identifier: Apache-2.0
// Strict reading of small JSON documents: every problem has an error id of its own that begins with
// the kind of document ("manifest.unknown-key"). Used for what comes from disk and is not trusted.
#ifndef TENON_BASE_JSON_H
#define TENON_BASE_JSON_H

#include "tenon/abi/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An object being read. Borrowed.
typedef struct tni_json {
    const json_t *object;
    const char *kind;  // begins the error ids
    const char *where; // "" or how the object is called in messages, with a dot at its end
    tn_error *error;
} tni_json;

// Parses size_bytes of data; duplicate keys are refused. TN_OK · TN_ERROR_INVALID_DATA with the
// byte offset · TN_ERROR_OUT_OF_MEMORY. *out_value is null on failure; else json_decref.
//
// The tree is allocated by jansson with the C library's malloc: its allocator hooks belong to the
// whole process, and a library must not take them. Callers bound it by the size they let in.
TN_MUST_USE tn_status tni_json_load(const char *kind, const void *data, uint64_t size_bytes,
                                    json_t **out_value, tn_error *error);

// "an integer", "null", ...; static.
const char *tni_json_type_text(const json_t *value);

// Fills the error; all return TN_ERROR_INVALID_DATA. fail: KIND.problem.
tn_status tni_json_fail(const tni_json *from, const char *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
tn_status tni_json_fail_type(const tni_json *from, const char *key, const json_t *value,
                             const char *wanted);
tn_status tni_json_fail_missing(const tni_json *from, const char *key);

// Refuses keys that are not listed; those that begin with "x-" are the writer's own and are
// skipped. KIND.unknown-key.
TN_MUST_USE tn_status tni_json_check_keys(const tni_json *from, const char *const *keys,
                                          size_t key_count, int version);

// An integer from 0 to max that has to be there. KIND.missing-key · KIND.wrong-type ·
// KIND.out-of-range; *out_value is 0 then.
TN_MUST_USE tn_status tni_json_integer(const tni_json *from, const char *key, int64_t max,
                                       int64_t *out_value);

// A text of at most max_bytes without control characters; borrowed from the tree. KIND.wrong-type ·
// KIND.text-too-long · KIND.control-character.
TN_MUST_USE tn_status tni_json_text(const tni_json *from, const char *key, const json_t *value,
                                    size_t max_bytes);

#endif // TENON_BASE_JSON_H
