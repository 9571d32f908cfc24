// SPDX-License-Identifier: Apache-2.0
// Filling in tn_error: one call that formats the text and returns the status. A null error is
// always allowed. Texts come out as one line of valid UTF-8.
#ifndef TENON_BASE_ERROR_H
#define TENON_BASE_ERROR_H

#include "tenon/abi/status.h"

#include <stdint.h>

#define TNI_PRINTF(format_index, first_index)                                                      \
    __attribute__((format(printf, format_index, first_index)))

// Sets the header and "nothing happened": TN_OK, no node, no value, no offset, empty texts.
void tni_error_init(tn_error *error);

// Fills error (as far as its struct_size reaches) and returns status. id: a stable identifier such
// as "onnx.varint-too-long", cut at 63 bytes.
tn_status tni_fail(tn_error *error, tn_status status, const char *id, const char *format, ...)
    TNI_PRINTF(4, 5);

// The same, about the byte at byte_offset of the input.
tn_status tni_fail_at(tn_error *error, tn_status status, const char *id, uint64_t byte_offset,
                      const char *format, ...) TNI_PRINTF(5, 6);

// The same, about a node and a value (TN_NONE where there is none).
tn_status tni_fail_node(tn_error *error, tn_status status, const char *id, uint32_t node_index,
                        uint32_t value_index, const char *format, ...) TNI_PRINTF(6, 7);

// TN_ERROR_IO with errno number os_error as native code; its text is appended.
tn_status tni_fail_errno(tn_error *error, int os_error, const char *id, const char *format, ...)
    TNI_PRINTF(4, 5);

// Fills error for an allocation that failed (id "base.out-of-memory") or a limit that was hit (id
// "base.limit"), when the callee returned only that status; other statuses get "base.failed". what
// names what was being done. Returns status.
tn_status tni_fail_plain(tn_error *error, tn_status status, const char *what);

// Copies source as far as destination's struct_size reaches. destination may be null.
void tni_error_copy(tn_error *destination, const tn_error *source);

// Puts "SUBJECT: " before the text, unless it begins with the subject already. Of a long subject,
// such as a path, the end is told.
void tni_error_about(tn_error *error, const char *subject);

// The name of a status, e.g. "TN_ERROR_IO"; "TN_ERROR_?" for unknown numbers. Static.
const char *tni_status_name(tn_status status);

#endif // TENON_BASE_ERROR_H
