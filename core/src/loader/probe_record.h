// SPDX-License-Identifier: Apache-2.0
// Good verdicts of probes, kept on disk so that a plugin is tried once and not at every start. Only
// good ones: a bad one may have had a reason that is gone.
#ifndef TENON_LOADER_PROBE_RECORD_H
#define TENON_LOADER_PROBE_RECORD_H

#include "loader/file.h"
#include "loader/manifest.h"
#include "loader/state_folder.h"

#define TNI_RECORD_DATE_BYTES 24u

// The folder with the records. One thread. Single owner.
typedef struct tni_probe_records {
    bool opened;
    int folder;                           // -1: no records are read or written
    char reason[TNI_STATE_REASON_BYTES]; // why not; "" when nobody wants any
} tni_probe_records;

// What a verdict holds for: this library, under this manifest. Version of host and probe are added.
typedef struct tni_probe_subject {
    const char *path;
    const tni_file *library;
    const tni_manifest *manifest;
} tni_probe_subject;

// Opens the folder, on the first call only: configured, or (null) the user's cache folder, made
// when absent. off: there is none. It must belong to this user and be writable by nobody else.
void tni_probe_records_open(tni_probe_records *records, const char *configured, bool off);
void tni_probe_records_close(tni_probe_records *records);

// Whether there is a good verdict for exactly this subject; out_date is when it was made. It is set
// aside until tni_probe_record_restore: if the plugin takes this process down in spite of it, the
// next one probes again. On false out_reason says why a record that is there was ignored, or is "".
bool tni_probe_record_take(const tni_probe_records *records, const tni_probe_subject *subject,
                           char out_date[TNI_RECORD_DATE_BYTES],
                           char out_reason[TNI_STATE_REASON_BYTES]);
void tni_probe_record_restore(const tni_probe_records *records, const tni_probe_subject *subject);

// Records a good verdict, in one step that another process sees whole or not at all. On false
// out_reason says why that was not possible, or is "".
bool tni_probe_record_write(const tni_probe_records *records, const tni_probe_subject *subject,
                            char out_reason[TNI_STATE_REASON_BYTES]);

#endif // TENON_LOADER_PROBE_RECORD_H
