// SPDX-License-Identifier: Apache-2.0
// The SHA-256 of a library against its manifest's. It finds accidents (a broken download, a library
// that was stripped); against whoever may write to the folder it is no protection.
#include "loader/candidate.h"

#include "base/error.h"

#include <sodium.h>
#include <string.h>

#define CHUNK_BYTES 65536u

static bool hash_file(const tni_file *file, uint8_t *chunk, uint8_t out_sha256[TNI_SHA256_BYTES]) {
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    for (uint64_t at = 0; at < file->size_bytes;) {
        const uint64_t left = file->size_bytes - at;
        const uint64_t bytes = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        if (!tni_file_read(file, at, chunk, bytes)) {
            return false;
        }
        (void)crypto_hash_sha256_update(&state, chunk, bytes);
        at += bytes;
    }
    (void)crypto_hash_sha256_final(&state, out_sha256);
    return true;
}

static void to_hex(const uint8_t bytes[TNI_SHA256_BYTES], char out_text[65]) {
    (void)sodium_bin2hex(out_text, 65, bytes, TNI_SHA256_BYTES);
}

tn_status tni_digest_check(const tni_alloc *alloc, const tni_file *library,
                           const uint8_t sha256[TNI_SHA256_BYTES], tn_error *error) {
    uint8_t actual[TNI_SHA256_BYTES];
    uint8_t *chunk = tni_alloc_bytes(alloc, CHUNK_BYTES, TNI_ALIGNMENT);
    if (chunk == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the digest of a library");
    }
    const bool read = hash_file(library, chunk, actual);
    tni_free(alloc, chunk, CHUNK_BYTES);
    if (!read) {
        return tni_fail(error, TN_ERROR_IO, "load.library-read", "the library cannot be read");
    }
    if (memcmp(actual, sha256, TNI_SHA256_BYTES) == 0) {
        return TN_OK;
    }
    char wanted_text[65];
    char actual_text[65];
    to_hex(sha256, wanted_text);
    to_hex(actual, actual_text);
    return tni_fail(error, TN_ERROR_INVALID_DATA, "load.digest",
                    "the manifest says sha256 %s, the library has %s", wanted_text, actual_text);
}
