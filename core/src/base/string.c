// SPDX-License-Identifier: Apache-2.0
// Borrowed texts and UTF-8.
#include "base/string.h"

#include <string.h>

tn_string tni_string_of(const char *text) {
    return text != NULL ? (tn_string){text, strlen(text)} : (tn_string){NULL, 0};
}

bool tni_string_equal(tn_string a, tn_string b) {
    return a.size_bytes == b.size_bytes &&
           (a.size_bytes == 0 || memcmp(a.data, b.data, (size_t)a.size_bytes) == 0);
}

bool tni_string_is(tn_string a, const char *b) {
    return tni_string_equal(a, tni_string_of(b));
}

bool tni_string_starts_with(tn_string text, const char *prefix) {
    const size_t size_bytes = strlen(prefix);
    return text.size_bytes >= size_bytes &&
           (size_bytes == 0 || memcmp(text.data, prefix, size_bytes) == 0);
}

int tni_string_compare(tn_string a, tn_string b) {
    const uint64_t common = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
    const int order = common > 0 ? memcmp(a.data, b.data, (size_t)common) : 0;
    if (order != 0 || a.size_bytes == b.size_bytes) {
        return order;
    }
    return a.size_bytes < b.size_bytes ? -1 : 1;
}

// Bytes of the well-formed character at the front, or 0.
static uint64_t character_bytes(const uint8_t *at, uint64_t left) {
    const uint8_t lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    const uint64_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < size) {
        return 0;
    }
    for (uint64_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    const bool surrogate = lead == 0xed && at[1] >= 0xa0;
    const bool too_large = lead == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : size;
}

bool tni_utf8_valid(tn_string text) {
    uint64_t at = 0;
    while (at < text.size_bytes) {
        const uint64_t size =
            character_bytes((const uint8_t *)text.data + at, text.size_bytes - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

bool tni_string_copy(char *destination, size_t capacity, tn_string text) {
    size_t size = (size_t)text.size_bytes;
    const bool fits = text.size_bytes < capacity;
    if (!fits) {
        size = capacity - 1;
        // Step back over continuation bytes so that no character is cut in two.
        while (size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    if (size > 0) {
        memcpy(destination, text.data, size);
    }
    destination[size] = '\0';
    return fits;
}

void tni_text_sanitise(char *text) {
    uint64_t left = strlen(text);
    while (left > 0) {
        uint64_t size = character_bytes((const uint8_t *)text, left);
        if (size == 0 || (size == 1 && ((uint8_t)*text < 0x20 || *text == 0x7f))) {
            *text = '?';
            size = 1;
        }
        text += size;
        left -= size;
    }
}
