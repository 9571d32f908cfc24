// SPDX-License-Identifier: Apache-2.0
// Borrowed texts (tn_string): making, comparing, copying within bounds, and UTF-8 checks.
#ifndef TENON_BASE_STRING_H
#define TENON_BASE_STRING_H

#include "tenon/abi/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// For printf: printf("%.*s", TNI_TEXT(name)). Long texts are cut at 120 bytes.
#define TNI_TEXT(text)                                                                             \
    (int)((text).size_bytes > 120 ? 120 : (text).size_bytes),                                      \
        ((text).data != NULL ? (text).data : "")

// A string literal as tn_string.
#define TNI_LITERAL(literal) ((tn_string){"" literal, sizeof(literal) - 1})

// Borrows a NUL-terminated text; null gives the empty text.
tn_string tni_string_of(const char *text);

bool tni_string_equal(tn_string a, tn_string b);
// Against a NUL-terminated text.
bool tni_string_is(tn_string a, const char *b);
bool tni_string_starts_with(tn_string text, const char *prefix);
// Byte order; a prefix comes first. Negative, zero or positive.
int tni_string_compare(tn_string a, tn_string b);

// Copies at most capacity - 1 bytes, cut at a whole UTF-8 character, and terminates. capacity > 0.
// Returns false when the text was cut.
bool tni_string_copy(char *destination, size_t capacity, tn_string text);

// Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates).
bool tni_utf8_valid(tn_string text);

// Makes a NUL-terminated text one printable line in place: control characters and bytes that are
// not well-formed UTF-8 become '?'.
void tni_text_sanitise(char *text);

#endif // TENON_BASE_STRING_H
