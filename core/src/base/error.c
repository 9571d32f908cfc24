// SPDX-License-Identifier: Apache-2.0
// Filling in tn_error.
#include "base/error.h"

#include "base/string.h"

#include "tenon/abi/types.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Of a subject, so that the text behind it is seen.
#define SUBJECT_BYTES 200u

static const tn_error no_error = {
    .struct_size = sizeof(tn_error),
    .struct_type = TN_STRUCT_ERROR,
    .node_index = TN_NONE,
    .value_index = TN_NONE,
    .byte_offset = TN_NO_OFFSET,
};

void tni_error_init(tn_error *error) {
    *error = no_error;
}

// Copies what fits into the caller's size, keeping the caller's header.
static void deliver(tn_error *error, const tn_error *filled) {
    const size_t header_bytes = sizeof(tn_struct_header);
    size_t size = error->struct_size;
    size = size > sizeof *filled ? sizeof *filled : size;
    if (size > header_bytes) {
        memcpy((char *)error + header_bytes, (const char *)filled + header_bytes,
               size - header_bytes);
    }
}

static tn_status fill(tn_error *error, tn_error *filled, const char *id, const char *format,
                      va_list arguments) {
    if (error == NULL) {
        return filled->status;
    }
    (void)tni_string_copy(filled->id, sizeof filled->id, tni_string_of(id));
    if (vsnprintf(filled->text, sizeof filled->text, format, arguments) < 0) {
        filled->text[0] = '\0';
    }
    if (filled->domain == TN_DOMAIN_ERRNO) {
        const size_t used = strlen(filled->text);
        char reason[128];
        snprintf(filled->text + used, sizeof filled->text - used, ": %s",
                 strerror_r((int)filled->native_code, reason, sizeof reason));
    }
    tni_text_sanitise(filled->text);
    deliver(error, filled);
    return filled->status;
}

tn_status tni_fail(tn_error *error, tn_status status, const char *id, const char *format, ...) {
    tn_error filled = no_error;
    va_list arguments;
    filled.status = status;
    va_start(arguments, format);
    fill(error, &filled, id, format, arguments);
    va_end(arguments);
    return status;
}

tn_status tni_fail_at(tn_error *error, tn_status status, const char *id, uint64_t byte_offset,
                      const char *format, ...) {
    tn_error filled = no_error;
    va_list arguments;
    filled.status = status;
    filled.byte_offset = byte_offset;
    va_start(arguments, format);
    fill(error, &filled, id, format, arguments);
    va_end(arguments);
    return status;
}

tn_status tni_fail_node(tn_error *error, tn_status status, const char *id, uint32_t node_index,
                        uint32_t value_index, const char *format, ...) {
    tn_error filled = no_error;
    va_list arguments;
    filled.status = status;
    filled.node_index = node_index;
    filled.value_index = value_index;
    va_start(arguments, format);
    fill(error, &filled, id, format, arguments);
    va_end(arguments);
    return status;
}

tn_status tni_fail_errno(tn_error *error, int os_error, const char *id, const char *format, ...) {
    tn_error filled = no_error;
    va_list arguments;
    filled.status = TN_ERROR_IO;
    filled.domain = TN_DOMAIN_ERRNO;
    filled.native_code = os_error;
    va_start(arguments, format);
    fill(error, &filled, id, format, arguments);
    va_end(arguments);
    return TN_ERROR_IO;
}

tn_status tni_fail_plain(tn_error *error, tn_status status, const char *what) {
    if (status == TN_ERROR_OUT_OF_MEMORY) {
        return tni_fail(error, status, "base.out-of-memory", "%s: out of memory", what);
    }
    if (status == TN_ERROR_LIMIT_EXCEEDED) {
        return tni_fail(error, status, "base.limit", "%s: above the configured limit", what);
    }
    return tni_fail(error, status, "base.failed", "%s: %s", what, tni_status_name(status));
}

const char *tni_status_name(tn_status status) {
    static const char *const names[TN_STATUS_COUNT] = {
        "TN_OK",
        "TN_ERROR_INVALID_ARGUMENT",
        "TN_ERROR_INVALID_STATE",
        "TN_ERROR_INVALID_DATA",
        "TN_ERROR_UNSUPPORTED",
        "TN_ERROR_UNIMPLEMENTED",
        "TN_ERROR_OUT_OF_MEMORY",
        "TN_ERROR_LIMIT_EXCEEDED",
        "TN_ERROR_NOT_FOUND",
        "TN_ERROR_VERSION_MISMATCH",
        "TN_ERROR_BUSY",
        "TN_ERROR_TIMEOUT",
        "TN_ERROR_CANCELLED",
        "TN_ERROR_DEVICE_LOST",
        "TN_ERROR_STATE_LOST",
        "TN_ERROR_IO",
        "TN_ERROR_DENIED",
        "TN_ERROR_STALE",
        "TN_ERROR_INTERNAL",
    };
    return status >= 0 && status < TN_STATUS_COUNT ? names[status] : "TN_ERROR_?";
}

void tni_error_copy(tn_error *destination, const tn_error *source) {
    if (destination != NULL) {
        deliver(destination, source);
    }
}

void tni_error_about(tn_error *error, const char *subject) {
    const size_t size = strlen(subject);
    if (strncmp(error->text, subject, size) != 0) {
        const bool cut = size > SUBJECT_BYTES;
        tn_error filled = *error;
        snprintf(filled.text, sizeof filled.text, "%s%.200s: %.270s", cut ? "..." : "",
                 subject + (cut ? size - SUBJECT_BYTES : 0), error->text);
        tni_text_sanitise(filled.text);
        *error = filled;
    }
}
