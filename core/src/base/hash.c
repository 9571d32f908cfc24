// SPDX-License-Identifier: Apache-2.0
// The table hash, and libsodium's BLAKE2b behind a fixed-size state.
#include "base/hash.h"

#include <assert.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <string.h>

static_assert(sizeof(crypto_generichash_blake2b_state) + 64 <= sizeof(tni_digest),
              "the state must fit the opaque bytes");

// The finaliser of splitmix64: every input bit reaches every output bit.
uint64_t tni_hash64_u64(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t tni_hash64(const void *data, uint64_t size_bytes, uint64_t seed) {
    const uint8_t *bytes = data;
    uint64_t hash = seed ^ tni_hash64_u64(size_bytes);
    while (size_bytes > 0) {
        const uint64_t taken = size_bytes < 8 ? size_bytes : 8;
        uint64_t word = 0;
        memcpy(&word, bytes, (size_t)taken);
        hash = tni_hash64_u64(hash ^ word);
        bytes += taken;
        size_bytes -= taken;
    }
    return hash;
}

static crypto_generichash_blake2b_state *state_of(tni_digest *digest) {
    const uintptr_t begin = (uintptr_t)digest->opaque;
    const uintptr_t skipped = (64 - begin % 64) % 64;
    return (crypto_generichash_blake2b_state *)(void *)(digest->opaque + skipped);
}

void tni_digest_init(tni_digest *digest) {
    (void)crypto_generichash_blake2b_init(state_of(digest), NULL, 0, TNI_DIGEST_BYTES);
}

void tni_digest_update(tni_digest *digest, const void *data, uint64_t size_bytes) {
    if (size_bytes > 0) {
        (void)crypto_generichash_blake2b_update(state_of(digest), data, size_bytes);
    }
}

void tni_digest_final(tni_digest *digest, uint8_t out_bytes[TNI_DIGEST_BYTES]) {
    (void)crypto_generichash_blake2b_final(state_of(digest), out_bytes, TNI_DIGEST_BYTES);
}
