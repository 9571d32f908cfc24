// SPDX-License-Identifier: Apache-2.0
// The recording log sink.
#include "support/recording_sink.h"

#include "base/string.h"

#include <string.h>

static void record(void *user_data, tn_log_level level, tn_string text) {
    recording_sink *sink = user_data;
    pthread_mutex_lock(&sink->lock);
    if (sink->count < RECORDING_SINK_LINES) {
        sink->levels[sink->count] = level;
        (void)tni_string_copy(sink->lines[sink->count], RECORDING_SINK_LINE_BYTES, text);
    }
    sink->count++;
    pthread_mutex_unlock(&sink->lock);
}

void recording_sink_init(recording_sink *sink, tn_log_level level) {
    memset(sink, 0, sizeof *sink);
    pthread_mutex_init(&sink->lock, NULL);
    sink->log = (tni_log){record, sink, level};
}

void recording_sink_deinit(recording_sink *sink) {
    pthread_mutex_destroy(&sink->lock);
}

bool recording_sink_has(recording_sink *sink, tn_log_level level, const char *text) {
    bool found = false;
    pthread_mutex_lock(&sink->lock);
    for (uint64_t i = 0; i < sink->count && i < RECORDING_SINK_LINES; i++) {
        found = found || (sink->levels[i] == level && strstr(sink->lines[i], text) != NULL);
    }
    pthread_mutex_unlock(&sink->lock);
    return found;
}
