// SPDX-License-Identifier: Apache-2.0
// Two hashes: a fast 64-bit one for tables, and BLAKE2b-256 for the identity of content.
#ifndef TENON_BASE_HASH_H
#define TENON_BASE_HASH_H

#include <stdint.h>

#define TNI_DIGEST_BYTES 32u

// Fast and well mixed, not for security; the same on every machine. data may be null when size is
// 0.
uint64_t tni_hash64(const void *data, uint64_t size_bytes, uint64_t seed);
// Mixes one number.
uint64_t tni_hash64_u64(uint64_t value);

// A running BLAKE2b-256. Abandon it at will, but do not move or copy it: the state inside is
// aligned to 64 bytes at run time, because not every compiler mode aligns stack variables that far.
typedef struct tni_digest {
    uint8_t opaque[384 + 64];
} tni_digest;

void tni_digest_init(tni_digest *digest);
void tni_digest_update(tni_digest *digest, const void *data, uint64_t size_bytes);
// Writes the result; the state must be initialised again before another use.
void tni_digest_final(tni_digest *digest, uint8_t out_bytes[TNI_DIGEST_BYTES]);

#endif // TENON_BASE_HASH_H
