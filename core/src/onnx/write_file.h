// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name only when it is whole: written beside it, synchronised,
// renamed.
#ifndef TENON_ONNX_WRITE_FILE_H
#define TENON_ONNX_WRITE_FILE_H

#include "base/error.h"
#include "base/string.h"

#include <stdint.h>

#define TNI_OUTPUT_PATH_BYTES 4096u

// Single owner. Zeroed is closed.
typedef struct tni_output {
    int fd;
    bool open;
    uint64_t size_bytes;
    char path[TNI_OUTPUT_PATH_BYTES];
    char temporary[TNI_OUTPUT_PATH_BYTES];
} tni_output;

// Creates a temporary file beside path. TN_OK · TN_ERROR_INVALID_ARGUMENT the path is empty or too
// long · TN_ERROR_NOT_FOUND no such folder · TN_ERROR_IO.
TN_MUST_USE tn_status tni_output_open(tni_output *out, const char *path, tn_error *error);
// Appends. TN_OK · TN_ERROR_IO.
TN_MUST_USE tn_status tni_output_write(tni_output *out, const void *data, uint64_t size_bytes,
                                       tn_error *error);
// Leaves a gap of zeros up to offset_bytes, which lies at or behind the end; data must follow.
TN_MUST_USE tn_status tni_output_skip_to(tni_output *out, uint64_t offset_bytes, tn_error *error);
// Makes sure that the content is on the medium, so that only the renaming is left.
TN_MUST_USE tn_status tni_output_finish(tni_output *out, tn_error *error);
// Takes the place of what is at path; after tni_output_finish. TN_OK · TN_ERROR_IO.
TN_MUST_USE tn_status tni_output_commit(tni_output *out, tn_error *error);
// Removes the temporary file unless it was committed. Closed is ignored.
void tni_output_abandon(tni_output *out);

#endif // TENON_ONNX_WRITE_FILE_H
