// SPDX-License-Identifier: Apache-2.0
// The folder where a host keeps what it knows between processes: verdicts of probes, measured costs
// and plans. Nothing is believed that another user could have written.
#ifndef TENON_LOADER_STATE_FOLDER_H
#define TENON_LOADER_STATE_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#define TNI_STATE_REASON_BYTES 200u

// The path of the folder: configured, or (null) tenon in the user's cache folder, by the XDG rules;
// that one's parent is made when absent, as they ask. False with a reason: no such path.
bool tni_state_folder_path(const char *configured, char out_path[PATH_MAX],
                           char out_reason[TNI_STATE_REASON_BYTES]);

// Opens that folder, and makes it when absent. It must belong to this user and be writable by
// nobody else. A descriptor to close, or -1 with a reason.
int tni_state_folder_open(const char *configured, char out_reason[TNI_STATE_REASON_BYTES]);

// Opens a folder of that path if it is there and may be believed; -1: it is not, or may not.
int tni_state_folder_find(const char *path);

// Null when nobody but this user can have written it, else why.
const char *tni_state_distrust(const struct stat *info);

// Reasons of one line: "WHAT: WHY".
void tni_state_say(char out_reason[TNI_STATE_REASON_BYTES], const char *what, const char *why);
void tni_state_say_errno(char out_reason[TNI_STATE_REASON_BYTES], const char *what, int number);

#endif // TENON_LOADER_STATE_FOLDER_H
