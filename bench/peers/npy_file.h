// SPDX-License-Identifier: Apache-2.0
// Arrays in NumPy's files, as far as the loop needs them. Read next: tenon_loop.c.
#ifndef TENON_PEERS_NPY_FILE_H
#define TENON_PEERS_NPY_FILE_H

#include <stdbool.h>
#include <tenon/tenon.h>

// The elements of a little-endian file in C order. *out_data is the caller's to free. False: the
// file cannot be read or is none of these, and nothing is allocated.
bool npy_read(const char *path, void **out_data, uint64_t *out_bytes);

// False: the type has no counterpart, or the file cannot be written.
bool npy_write(const char *path, const tn_tensor_view *view);

#endif // TENON_PEERS_NPY_FILE_H
