// SPDX-License-Identifier: Apache-2.0
// Inside of constant.h: closing a source and reading from it without touching a shrunken mapping.
#ifndef TENON_GRAPH_SOURCE_H
#define TENON_GRAPH_SOURCE_H

#include "graph/constant.h"

// Unmaps, closes and frees what the source holds.
void tni_source_close(const tni_alloc *alloc, tni_source *source);

// TN_OK when a mapped file still has its size, and always for memory; else TN_ERROR_IO.
TN_MUST_USE tn_status tni_source_check(const tni_source *source, tn_error *error);

// Copies a range that lies inside the source; files are read with pread.
// TN_OK · TN_ERROR_IO short or failed read.
TN_MUST_USE tn_status tni_source_read(const tni_source *source, uint64_t offset_bytes,
                                      uint64_t size_bytes, void *destination, tn_error *error);

#endif // TENON_GRAPH_SOURCE_H
