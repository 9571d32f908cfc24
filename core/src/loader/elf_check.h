// SPDX-License-Identifier: Apache-2.0
// A bounded look at a shared library before the dynamic linker gets it: a truncated or damaged one
// crashes inside dlopen, where nothing can be caught. Reads nothing outside the file and follows no
// loop that the file could make endless.
#ifndef TENON_LOADER_ELF_CHECK_H
#define TENON_LOADER_ELF_CHECK_H

#include "base/alloc.h"

#include "tenon/abi/verdict.h"

#include <stdbool.h>

// Where the bytes come from: a file that is held open, or memory.
typedef struct tni_elf_source {
    uint64_t size_bytes;
    // Reads exactly size_bytes at offset; false when they are not there.
    bool (*read)(const void *user_data, uint64_t offset, void *destination, uint64_t size_bytes);
    const void *user_data;
} tni_elf_source;

// What is worth telling when the library does not open although it passed.
typedef struct tni_elf_report {
    char needed[256]; // names of DT_NEEDED, joined by ", ", cut at the end
    tn_reason reason; // of a failure, for the load report
} tni_elf_report;

// Checks that the file is a shared library for this machine, whole, and that it exports the entry
// function and nothing else (ABI-2): headers, segments, dynamic section, string and symbol tables,
// hash table, relocations, version tables. error has a specific id ("elf.segment-range") and, where
// there is one, the byte offset.
// TN_OK · TN_ERROR_INVALID_DATA · TN_ERROR_UNSUPPORTED another machine · TN_ERROR_IO ·
// TN_ERROR_OUT_OF_MEMORY. *out_report is filled as far as the check came.
TN_MUST_USE tn_status tni_elf_check(const tni_alloc *alloc, const tni_elf_source *source,
                                    tni_elf_report *out_report, tn_error *error);

#endif // TENON_LOADER_ELF_CHECK_H
