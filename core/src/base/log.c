// SPDX-License-Identifier: Apache-2.0
// Formats log lines for the embedder's sink.
#include "base/log.h"

#include "base/string.h"

#include <stdarg.h>
#include <stdio.h>

bool tni_log_enabled(const tni_log *log, tn_log_level level) {
    return log != NULL && log->write != NULL && level <= log->level;
}

void tni_log_write(const tni_log *log, tn_log_level level, const char *format, ...) {
    char line[1024];
    va_list arguments;
    if (!tni_log_enabled(log, level)) {
        return;
    }
    va_start(arguments, format);
    const int written = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (written < 0) {
        return;
    }
    tni_text_sanitise(line);
    log->write(log->user_data, level, tni_string_of(line));
}
