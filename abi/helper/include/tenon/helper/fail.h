// SPDX-License-Identifier: Apache-2.0
// Filling tn_error, and reading and writing structs of which only the first struct_size bytes exist
// on the other side. Read next: negotiate.h.
#ifndef TENON_HELPER_FAIL_H
#define TENON_HELPER_FAIL_H

#include "tenon/abi/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TN_HELPER_PRINTF(format_index, first_index)                                                \
    __attribute__((format(printf, format_index, first_index)))
#else
#define TN_HELPER_PRINTF(format_index, first_index)
#endif

// Fills error, which may be null, and returns status, so that a failure is one statement.
// id: the stable identifier of the check that failed, or null. text is cut to what fits. Never
// writes past error->struct_size. [any-thread] [no-block] [no-alloc]
tn_status tn_helper_fail(tn_error *error, tn_status status, const char *id, const char *format, ...)
    TN_HELPER_PRINTF(4, 5);

// The same, naming a node or a value of the view; TN_NONE where there is none.
tn_status tn_helper_fail_at(tn_error *error, tn_status status, uint32_t node_index,
                            uint32_t value_index, const char *id, const char *format, ...)
    TN_HELPER_PRINTF(6, 7);

// Whether a struct reaches far enough to hold the bytes before end_offset_bytes.
// header: null or the struct's first member. Returns 0 for null. [any-thread] [no-block] [no-alloc]
uint32_t tn_helper_struct_reaches(const void *header, uint64_t end_offset_bytes);

// Writes a filled struct into the caller's: as many bytes as both have, the caller's struct_size
// and struct_type kept. out_struct must begin with tn_struct_header and hold at least that.
void tn_helper_copy_out(void *out_struct, const void *filled, uint32_t filled_size_bytes);

// Reads the caller's struct into a local one: as many bytes as both have, the rest zero.
// in_struct: null reads as all zero.
void tn_helper_copy_in(void *local, uint32_t local_size_bytes, const void *in_struct);

#ifdef __cplusplus
}
#endif

#endif // TENON_HELPER_FAIL_H
