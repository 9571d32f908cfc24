// SPDX-License-Identifier: Apache-2.0
// The log sink that the embedder hands over at creation. Nothing is ever printed without one.
#ifndef TENON_BASE_LOG_H
#define TENON_BASE_LOG_H

#include "base/error.h"

#include "tenon/abi/host.h"

#include <stdbool.h>

// Receives one line. text is borrowed for the call, without a newline. Called from any thread, with
// no lock of ours held, possibly from several at once.
typedef void (*tni_log_fn)(void *user_data, tn_log_level level, tn_string text);

// Copied by whoever keeps it. A zeroed sink drops everything.
typedef struct tni_log {
    tni_log_fn write; // may be null: nothing is logged
    void *user_data;
    tn_log_level level; // the most verbose level kept; 0: none
} tni_log;

// Whether a message of this level would be kept. log may be null. Any thread.
bool tni_log_enabled(const tni_log *log, tn_log_level level);

// Formats one line of at most 1 KiB and hands it over if its level is kept. log may be null.
void tni_log_write(const tni_log *log, tn_log_level level, const char *format, ...)
    TNI_PRINTF(3, 4);

#endif // TENON_BASE_LOG_H
