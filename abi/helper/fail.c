// SPDX-License-Identifier: Apache-2.0
// Errors and structs across the boundary: every read and write stops at the other side's
// struct_size (ABI-10, ABI-11).
#include "tenon/helper/fail.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static tn_status fill(tn_error *error, tn_status status, uint32_t node_index, uint32_t value_index,
                      const char *id, const char *format, va_list arguments) {
    if (error == NULL) {
        return status;
    }
    tn_error filled = {.status = status,
                       .domain = TN_DOMAIN_NONE,
                       .node_index = node_index,
                       .value_index = value_index,
                       .byte_offset = TN_NO_OFFSET};
    if (id != NULL) {
        (void)snprintf(filled.id, sizeof filled.id, "%s", id);
    }
    (void)vsnprintf(filled.text, sizeof filled.text, format, arguments);
    const uint32_t caller_size = error->struct_size;
    tn_helper_copy_out(error, &filled, (uint32_t)sizeof filled);
    const uint32_t text_begin = (uint32_t)offsetof(tn_error, text);
    if (caller_size > text_begin && caller_size < sizeof filled) {
        error->text[caller_size - text_begin - 1] = '\0';
    }
    return status;
}

tn_status tn_helper_fail(tn_error *error, tn_status status, const char *id, const char *format,
                         ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fill(error, status, TN_NONE, TN_NONE, id, format, arguments);
    va_end(arguments);
    return status;
}

tn_status tn_helper_fail_at(tn_error *error, tn_status status, uint32_t node_index,
                            uint32_t value_index, const char *id, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fill(error, status, node_index, value_index, id, format, arguments);
    va_end(arguments);
    return status;
}

uint32_t tn_helper_struct_reaches(const void *header, uint64_t end_offset_bytes) {
    if (header == NULL) {
        return 0;
    }
    tn_struct_header read;
    memcpy(&read, header, sizeof read);
    return read.struct_size >= end_offset_bytes ? 1u : 0u;
}

void tn_helper_copy_out(void *out_struct, const void *filled, uint32_t filled_size_bytes) {
    tn_struct_header header;
    memcpy(&header, out_struct, sizeof header);
    const uint32_t size = smaller(header.struct_size, filled_size_bytes);
    if (size > sizeof header) {
        memcpy((unsigned char *)out_struct + sizeof header,
               (const unsigned char *)filled + sizeof header, size - sizeof header);
    }
}

void tn_helper_copy_in(void *local, uint32_t local_size_bytes, const void *in_struct) {
    memset(local, 0, local_size_bytes);
    if (in_struct == NULL) {
        return;
    }
    tn_struct_header header;
    memcpy(&header, in_struct, sizeof header);
    memcpy(local, in_struct, smaller(header.struct_size, local_size_bytes));
}
