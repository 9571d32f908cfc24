// SPDX-License-Identifier: Apache-2.0
// A regular file held open, so that what was checked and what is used can be told to be the same.
#ifndef TENON_LOADER_FILE_H
#define TENON_LOADER_FILE_H

#include "tenon/abi/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct tni_file {
    int descriptor; // -1: closed
    uint64_t size_bytes;
    uint64_t device;
    uint64_t inode;
    struct timespec modified; // the content
    struct timespec changed;  // content or attributes
} tni_file;

// Opens a regular file for reading; it is not inherited by other programs. error_id names what is
// being opened. TN_OK · TN_ERROR_NOT_FOUND · TN_ERROR_IO · TN_ERROR_INVALID_DATA not a regular
// file.
TN_MUST_USE tn_status tni_file_open(const char *path, const char *error_id, tni_file *out_file,
                                    tn_error *error);
void tni_file_close(tni_file *file);

// Reads exactly size_bytes at offset; false when the file is shorter or the system refuses.
bool tni_file_read(const tni_file *file, uint64_t offset, void *destination, uint64_t size_bytes);

// Whether path still names the open file, unchanged since it was opened.
bool tni_file_is_at(const tni_file *file, const char *path);

#endif // TENON_LOADER_FILE_H
