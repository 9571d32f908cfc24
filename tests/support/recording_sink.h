// SPDX-License-Identifier: Apache-2.0
// A log sink that keeps what it is given, for tests to look at. Any thread.
#ifndef TENON_TESTS_RECORDING_SINK_H
#define TENON_TESTS_RECORDING_SINK_H

#include "base/log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RECORDING_SINK_LINES 64u
#define RECORDING_SINK_LINE_BYTES 512u

typedef struct recording_sink {
    tni_log log; // hand this to the code under test
    pthread_mutex_t lock;
    uint64_t count; // lines received; the first RECORDING_SINK_LINES are kept
    tn_log_level levels[RECORDING_SINK_LINES];
    char lines[RECORDING_SINK_LINES][RECORDING_SINK_LINE_BYTES];
} recording_sink;

// Prepares a sink that keeps levels up to `level`; it must not move.
void recording_sink_init(recording_sink *sink, tn_log_level level);
void recording_sink_deinit(recording_sink *sink);
// Whether a kept line of this level contains the text.
bool recording_sink_has(recording_sink *sink, tn_log_level level, const char *text);

#endif // TENON_TESTS_RECORDING_SINK_H
