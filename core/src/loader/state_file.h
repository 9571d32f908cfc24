// SPDX-License-Identifier: Apache-2.0
// Files of the state folder: read only when nobody but this user can have written them, and written
// so that other processes see them whole or not at all.
#ifndef TENON_LOADER_STATE_FILE_H
#define TENON_LOADER_STATE_FILE_H

#include "loader/state_folder.h"

#include <stddef.h>

#define TNI_STATE_NAME_BYTES 128u

// Reads at most capacity bytes. Returns how many, or 0 with a reason: "" when there is no such
// file.
size_t tni_state_file_read(int folder, const char *name, void *out_data, size_t capacity,
                           char out_reason[TNI_STATE_REASON_BYTES]);

// Writes a file in one step, over one of the same name. On false out_reason says why not.
bool tni_state_file_write(int folder, const char *name, const void *data, size_t size_bytes,
                          char out_reason[TNI_STATE_REASON_BYTES]);

#endif // TENON_LOADER_STATE_FILE_H
