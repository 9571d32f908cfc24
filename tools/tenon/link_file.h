// SPDX-License-Identifier: Apache-2.0
// Costs of passing work between devices, from a file that somebody wrote, or a calibration file.
#ifndef TENON_TOOLS_LINK_FILE_H
#define TENON_TOOLS_LINK_FILE_H

#include "cli.h"

#define LINK_FILE_MOST 4096u

// Zeroed: none.
typedef struct link_file {
    json_t *document; // owned: what the texts of links point into
    tn_link_cost *links;
    uint32_t count;
} link_file;

// Reads {"schema_version": 1, "pairs": [{"from": ID, "to": ID, "handover_ns": N, "copy_ns": N,
// "bytes_per_second": N}, ...]}, ids being those of devices, or "host". Of a calibration file the
// pairs are read, and nothing else. CLI_OK, or an exit code after a message that names the place;
// free in both cases.
int link_file_read(const char *command, const char *path, link_file *out_file);
void link_file_free(link_file *file);

#endif // TENON_TOOLS_LINK_FILE_H
