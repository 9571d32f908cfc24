// SPDX-License-Identifier: Apache-2.0
// The manifest next to a plugin's library (NAME.tenon.json): everything that can be known about a
// plugin before a byte of it is executed. Strict: what is not understood is refused.
#ifndef TENON_LOADER_MANIFEST_H
#define TENON_LOADER_MANIFEST_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/hash.h"

#define TNI_MANIFEST_SUFFIX ".tenon.json"
#define TNI_MANIFEST_MAX_BYTES 65536u
#define TNI_MANIFEST_VERSION 1
#define TNI_SHA256_BYTES 32u

// A list of NUL-terminated texts.
typedef struct tni_text_list {
    const char **texts;
    uint32_t count;
} tni_text_list;

// Texts live in the arena; the optional ones are "" when absent. Single owner.
typedef struct tni_manifest {
    tni_arena arena;
    const char *name; // [a-z][a-z0-9_-]{0,31}
    const char *vendor;
    const char *description;
    const char *license;
    const char *library; // relative to the manifest's folder; no "..", not absolute
    const char *os;
    const char *arch;
    const char *libc;
    uint32_t abi_major;
    uint32_t abi_min_minor;
    uint32_t abi_max_minor;
    uint8_t sha256[TNI_SHA256_BYTES]; // of the library
    uint8_t digest[TNI_DIGEST_BYTES]; // of the manifest itself
    tni_text_list requires_cpu;
    tni_text_list requires_path; // absolute; at least one must exist
} tni_manifest;

// Reads a manifest from memory. Any thread. Every problem has an error id of its own
// ("manifest.unknown-key"); syntax errors carry the byte offset.
// TN_OK · TN_ERROR_INVALID_DATA · TN_ERROR_UNSUPPORTED a manifest_version that is not known ·
// TN_ERROR_LIMIT_EXCEEDED above TNI_MANIFEST_MAX_BYTES · TN_ERROR_OUT_OF_MEMORY.
// Deinit in every case.
//
// The JSON tree in between is allocated by jansson with the C library's malloc: its allocator hooks
// belong to the whole process, and a library must not take them. It is bounded by the file's size
// and gone before this returns.
TN_MUST_USE tn_status tni_manifest_parse(const tni_alloc *alloc, const void *data,
                                         uint64_t size_bytes, tni_manifest *out_manifest,
                                         tn_error *error);

// The same from a file. Also TN_ERROR_NOT_FOUND and TN_ERROR_IO (id "manifest.unreadable").
TN_MUST_USE tn_status tni_manifest_read(const tni_alloc *alloc, const char *path,
                                        tni_manifest *out_manifest, tn_error *error);

// Frees the texts. A zeroed manifest is allowed.
void tni_manifest_deinit(tni_manifest *manifest);

#endif // TENON_LOADER_MANIFEST_H
