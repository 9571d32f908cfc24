// SPDX-License-Identifier: Apache-2.0
// Reading calibration files (docs/guide/calibration.md): what `tenon calibrate` measured on this
// machine. Strict: a file that is not understood is not used at all.
#ifndef TENON_PLAN_COST_FILE_H
#define TENON_PLAN_COST_FILE_H

#include "plan/cost_table.h"

#define TNI_COST_FILE_NAME "calibration.json"
#define TNI_COST_FILE_VERSION 1
#define TNI_COST_FILE_MAX_BYTES ((uint64_t)1 << 20)
#define TNI_COST_FILE_TEXT_BYTES 256u

// Which costs are wanted. Borrowed for the call.
typedef struct tni_cost_file_info {
    const tni_device *const *devices; // by host index
    uint32_t device_count;
    const char *machine; // tni_machine_name
} tni_cost_file_info;

// What was in a file.
typedef struct tni_cost_file {
    char date[TNI_COST_FILE_TEXT_BYTES];
    uint32_t device_count; // whose costs are used
    uint32_t pair_count;   // whose costs are used
    uint32_t stale_count;  // devices that are here, of another vendor, driver or build
} tni_cost_file;

// Fills an empty table of the devices from a file's text; what belongs to devices that are not
// here, or not what they were, is left out. Any thread. Every problem has an error id of its own
// ("calibration.unknown-key"); syntax errors carry the byte offset.
// TN_OK · TN_ERROR_INVALID_DATA · TN_ERROR_UNSUPPORTED a schema_version that is not known ·
// TN_ERROR_STALE measured on another machine · TN_ERROR_LIMIT_EXCEEDED above
// TNI_COST_FILE_MAX_BYTES · TN_ERROR_OUT_OF_MEMORY. On failure the table is as if nothing had been
// measured; deinit it in every case.
TN_MUST_USE tn_status tni_cost_file_parse(const tni_alloc *alloc, const tni_cost_file_info *info,
                                          const void *data, uint64_t size_bytes,
                                          tni_cost_table *out_table, tni_cost_file *out_file,
                                          tn_error *error);

// The same from a file that nobody but this user can have written. Also TN_ERROR_NOT_FOUND,
// TN_ERROR_IO (id "calibration.unreadable") and TN_ERROR_DENIED (id "calibration.distrusted").
TN_MUST_USE tn_status tni_cost_file_read(const tni_alloc *alloc, const tni_cost_file_info *info,
                                         const char *path, tni_cost_table *out_table,
                                         tni_cost_file *out_file, tn_error *error);

#endif // TENON_PLAN_COST_FILE_H
