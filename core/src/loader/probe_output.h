// SPDX-License-Identifier: Apache-2.0
// Reading what a probe writes, piece by piece: the result line, and the last other line it said.
#ifndef TENON_LOADER_PROBE_OUTPUT_H
#define TENON_LOADER_PROBE_OUTPUT_H

#include "loader/probe/protocol.h"

#include <stdbool.h>
#include <stddef.h>

// What the helper reported itself. Nothing in it is trusted: it comes from a process in which the
// plugin ran.
typedef struct tni_probe_result {
    bool present;
    uint32_t stage;
    tn_status status;
    uint32_t reason;
    uint32_t device_count;
    char id[64];
    char text[TN_ERROR_TEXT_BYTES];
} tni_probe_result;

// Single owner. Start with zeroes.
typedef struct tni_probe_output {
    tni_probe_result result;
    char last_words[160];
    size_t used;
    bool skipping; // the line is longer than any of ours
    char line[TNI_PROBE_LINE_BYTES];
} tni_probe_output;

// Takes the next bytes.
void tni_probe_output_add(tni_probe_output *output, const char *bytes, size_t count);
// Takes what is left when no more will come.
void tni_probe_output_end(tni_probe_output *output);

#endif // TENON_LOADER_PROBE_OUTPUT_H
